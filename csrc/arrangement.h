/* SPDX-License-Identifier: Apache-2.0 */
/* The arrangement of a chunk: the rows and columns of its matrices, the classes of both, and the order of values that
 * follows from them (docs/format.md, section 5.8). */
#ifndef ZNL_ARRANGEMENT_H
#define ZNL_ARRANGEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"
#include "reduced.h"
#include "second.h"

#define ZNL_MAX_PARTS 1024u
#define ZNL_MIN_ROW_VALUES 1u
#define ZNL_MAX_ROW_VALUES 131072u
#define ZNL_MAX_ROWS (ZNL_MAX_STATIC_VALUES / ZNL_MIN_ROW_VALUES) /* of a chunk */

typedef struct {
    size_t part_count;
    znl_part parts[ZNL_MAX_PARTS];
    uint8_t row_classes[ZNL_MAX_ROWS]; /* of all parts, in order; below the number of tables */
    uint8_t column_classes
        [ZNL_MAX_STATIC_VALUES]; /* of the parts that have them, in order; as stored */
    znl_reduction reduction;
    znl_second second;
} znl_arrangement;

/* Working memory of the two moves. */
typedef struct {
    uint32_t columns[ZNL_MAX_ROW_VALUES];
} znl_move_scratch;

/* The classes of a chunk with `table_count` tables (1 to 32): others are for second symbols. */
static inline unsigned znl_class_count(const znl_arrangement *arrangement, unsigned table_count)
{
    return table_count - arrangement->second.context_count;
}

/* Bytes on the wire with `class_count` classes (1 to 32). */
size_t znl_arrangement_nbytes(const znl_arrangement *arrangement, unsigned class_count);

/* Write that many bytes. */
void znl_arrangement_write(const znl_arrangement *arrangement, unsigned class_count, uint8_t *out);

/* Read and validate the arrangement of a chunk of `value_count` values.
 *
 * in[0..in_nbytes)   wire, untrusted; may go on behind the arrangement
 * table_count        of the chunk
 * arrangement        out; its reduction and second symbols may still be such as the dtype can't have
 * returns            bytes consumed, or ZNL_E_TRUNCATED, _BAD_VALUE, _BAD_PADDING
 */
int64_t znl_arrangement_read(const uint8_t *in, size_t in_nbytes, size_t value_count,
                             unsigned table_count, znl_arrangement *arrangement);

/* 1 when the arranged values are those of the source in their order, so that nothing needs to move. */
int znl_arrangement_is_source_order(const znl_arrangement *arrangement);

/* The class of each block of 64 values in arranged order: that of its value 32.
 *
 * classes    out, block_count entries below class_count
 */
void znl_arrangement_block_classes(const znl_arrangement *arrangement, unsigned class_count,
                                   size_t block_count, uint8_t *classes);

/* The classes of `count` values from number `first` on, in source order. */
void znl_arrangement_value_classes(const znl_arrangement *arrangement, unsigned class_count,
                                   size_t first, size_t count, uint8_t *classes);

/* Copy the values of a chunk from source order into arranged order, and back.
 *
 * width      bytes of a value: 1, 2, 4 or 8
 * in, out    all values of the chunk; they may not overlap
 */
void znl_arrange_values(const znl_kernels *kernels, const znl_arrangement *arrangement,
                        size_t width, const uint8_t *in, uint8_t *out, znl_move_scratch *scratch);
void znl_restore_values(const znl_kernels *kernels, const znl_arrangement *arrangement,
                        size_t width, const uint8_t *in, uint8_t *out, znl_move_scratch *scratch);

#endif
