/* SPDX-License-Identifier: Apache-2.0 */
/* Second symbols of an arranged chunk: bits of a value whose table its first symbol tells (docs/format.md,
 * section 5.10). */
#ifndef ZNL_SECOND_H
#define ZNL_SECOND_H

#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#define ZNL_MAX_CONTEXTS 16u
#define ZNL_SECOND_BITS 5u /* S of second symbols: a table that begins at 1 has a symbol for each */
#define ZNL_TRAILING_BITS 16u     /* the lower bits of a value, whose zeros are counted */
#define ZNL_CONTEXT_SYMBOL_BITS 9 /* the widest symbol values that contexts are made of */

enum { ZNL_NO_SECOND, ZNL_SECOND_LOW_BITS, ZNL_SECOND_TRAILING_ZEROS };

typedef struct {
    unsigned kind;
    unsigned context_count; /* M; 0 without second symbols */
    /* Where the contexts 1, 2, ... begin, rising: class << S | symbol value. */
    uint16_t bounds[ZNL_MAX_CONTEXTS - 1];
} znl_second;

/* The kind that a layout can have. */
unsigned znl_second_kind(const znl_layout *layout);

/* Whether second symbols that came from the wire are such as values of this layout and so many classes can have. */
int znl_second_is_allowed(const znl_layout *layout, unsigned class_count, const znl_second *second);

/* One more than the highest number that a second symbol can mean. */
unsigned znl_second_limit(const znl_layout *layout);

/* Contexts of neighbouring classes that have the same ones. */
typedef struct {
    uint8_t of[1u << ZNL_CONTEXT_SYMBOL_BITS]; /* of each symbol value */
    uint8_t first, end;
} znl_context_group;

/* Contexts as kernels look for them. */
typedef struct {
    znl_context_group groups[ZNL_MAX_CONTEXTS];
    uint8_t group_of[ZNL_MAX_TABLES]; /* of each class */
    /* Their lowest symbol values; that of a group's first one is 0, whatever stands here. */
    uint16_t begins[ZNL_MAX_CONTEXTS];
} znl_contexts;

/* second: allowed */
void znl_contexts_make(const znl_second *second, unsigned symbol_bits, znl_contexts *contexts);

/* How many of the values lie in each context, of the first quarter of a chunk, the second, ...: quarters are sorted
 * side by side, as one alone would wait for its own counts. */
#define ZNL_QUARTERS 4u
typedef struct {
    uint32_t of[ZNL_QUARTERS][ZNL_MAX_CONTEXTS];
} znl_context_counts;

/* Count the contexts of values.
 *
 * classes    of each block of 64
 * symbols    the symbol values of `count` values, a multiple of 64
 */
typedef void znl_count_contexts_fn(const znl_contexts *contexts, const uint8_t *classes,
                                   const uint16_t *symbols, size_t count,
                                   znl_context_counts *counts);

/* The context that the table of each block in second order is for: that of its value 32. */
void znl_context_blocks(const znl_context_counts *counts, size_t block_count, uint8_t *blocks);

/* Where in second order the values of each context and quarter begin. */
znl_context_counts znl_context_begins(const znl_context_counts *counts);

/* Second symbols into second order, and back.
 *
 * classes, symbols, count    as above
 * begins                     of znl_context_begins, for the counts of these values
 */
typedef void znl_sort_second_fn(const znl_contexts *contexts, const uint8_t *classes,
                                const uint16_t *symbols, const znl_context_counts *begins,
                                const uint8_t *in, size_t count, uint16_t *out);
typedef void znl_spread_second_fn(const znl_contexts *contexts, const uint8_t *classes,
                                  const uint16_t *symbols, const znl_context_counts *begins,
                                  const uint16_t *in, size_t count, uint8_t *out);

/* The second symbols of `count` values, a multiple of 64. */
void znl_find_second(const znl_layout *layout, const uint8_t *values, size_t count,
                     uint8_t *second);

/* Put values of 1 byte together whose low bits are second symbols. */
void znl_join_low_bits(const znl_layout *layout, const uint16_t *symbols, const uint8_t *second,
                       size_t count, uint8_t *out);

/* Bytes of the fields of `count` values: what their zeros leave of ZNL_TRAILING_BITS bits. */
size_t znl_fields_nbytes(const uint8_t *second, size_t count);

/* Write so many bytes of fields, and what they leave of 8 more. */
void znl_write_fields(const uint8_t *values, const uint8_t *second, size_t count, uint8_t *out);

/* Make two byte planes, `count` bytes apart, of fields.
 *
 * in         znl_fields_nbytes() bytes, behind which 16 more can be read
 * second     each 16 at most
 * count      a multiple of 64
 * returns    the number of bits taken
 */
typedef size_t znl_read_fields_fn(const uint8_t *in, const uint8_t *second, size_t count,
                                  uint8_t *planes);

/* ZNL_OK when what follows so many bits of fields, up to their size, is zero, or ZNL_E_BAD_PADDING. */
int znl_fields_end(const uint8_t *in, size_t nbytes, size_t bits);

znl_count_contexts_fn znl_count_contexts_scalar, znl_count_contexts_avx512;
znl_sort_second_fn znl_sort_second_scalar, znl_sort_second_avx512;
znl_spread_second_fn znl_spread_second_scalar, znl_spread_second_avx512;
znl_read_fields_fn znl_read_fields_scalar, znl_read_fields_avx2;

#endif
