/* SPDX-License-Identifier: Apache-2.0 */
/* Wire constants of a chunk (docs/format.md, sections 4 to 6): widths, caps, codes. */
#ifndef ZNL_FORMAT_H
#define ZNL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "zipnn_like.h"

#define ZNL_SYMBOL_COUNT 32u
#define ZNL_TABLE_BITS 12
#define ZNL_TABLE_SIZE (1u << ZNL_TABLE_BITS)
#define ZNL_BUCKET_SIZE (ZNL_TABLE_SIZE / ZNL_SYMBOL_COUNT)
#define ZNL_MAX_SYMBOL_BITS 12 /* F64: 11 bits of exponent, 1 of mantissa */
#define ZNL_MAX_SYMBOL_VALUES (1u << ZNL_MAX_SYMBOL_BITS)

#define ZNL_STATE_MIN 65536u /* states lie in [2^16, 2^32); below it a 16-bit word is taken */
#define ZNL_BLOCK_VALUES 64u
#define ZNL_SUPERBLOCK_BLOCKS 8u
#define ZNL_WIDE_LANES 64u
#define ZNL_NARROW_LANES 8u
#define ZNL_WIDE_LANES_MIN_VALUES 2048u /* 64 states cost more than they gain below this */

#define ZNL_PATCH_POSITION_SHIFT 12
#define ZNL_TABLE_NAME_BIT (UINT64_C(1) << 63)
#define ZNL_UNIVERSAL_SHAPES 16u
#define ZNL_UNIVERSAL_BASE_BITS 12
#define ZNL_UNIT_SHIFT_SMALL 6u
#define ZNL_UNIT_SHIFT_LARGE 9u
#define ZNL_MAX_UNITS (ZNL_MAX_STATIC_VALUES >> ZNL_UNIT_SHIFT_SMALL)

/* Repeats, zstd frames and composed chunks are for the caller of the decoder. */
static inline int znl_is_left(const znl_chunk *chunk)
{
    return chunk->distance != 0 || chunk->method == ZNL_METHOD_ZSTD ||
           chunk->method == ZNL_METHOD_COMPOSED;
}

/* Whether a chunk's method, `table_count` and `unit_shift` go together (docs/format.md, section 4). */
static inline int znl_chunk_has_tables(const znl_chunk *chunk)
{
    const unsigned count = chunk->table_count, shift = chunk->unit_shift;
    switch (chunk->method) {
    case ZNL_METHOD_RAW:
    case ZNL_METHOD_CONSTANT:
    case ZNL_METHOD_ZSTD: return count == 0 && shift == 0;
    case ZNL_METHOD_STATIC:
        if (count < 1 || count > ZNL_MAX_STATIC_TABLES) return 0;
        return count == 1 ? shift == 0
                          : shift == ZNL_UNIT_SHIFT_SMALL || shift == ZNL_UNIT_SHIFT_LARGE;
    case ZNL_METHOD_ARRANGED: return count >= 1 && count <= ZNL_MAX_TABLES && shift == 0;
    case ZNL_METHOD_COMPOSED: return count <= ZNL_MAX_TABLES && shift == 0;
    default: return 0;
    }
}

static inline unsigned znl_lane_count(size_t value_count)
{
    return value_count >= ZNL_WIDE_LANES_MIN_VALUES ? ZNL_WIDE_LANES : ZNL_NARROW_LANES;
}

/* Bits of a class for `table_count` tables (1 to ZNL_MAX_TABLES): those of the highest class. */
static inline unsigned znl_class_bits(unsigned table_count)
{
    unsigned bits = 0;
    while (table_count > 1u << bits) bits++;
    return bits;
}

static inline size_t znl_unit_count(size_t coded_count, unsigned unit_shift)
{
    return (coded_count + ((size_t)1 << unit_shift) - 1) >> unit_shift;
}

/* Bytes of the class map, padded to 4. */
static inline size_t znl_class_map_nbytes(size_t coded_count, unsigned table_count,
                                          unsigned unit_shift)
{
    if (table_count <= 1) return 0;
    const size_t bits = znl_unit_count(coded_count, unit_shift) * znl_class_bits(table_count);
    return (bits + 31) / 32 * 4;
}

#endif
