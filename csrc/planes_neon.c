/* SPDX-License-Identifier: Apache-2.0 */
/* Planes with NEON, 16 values at a time: those that share 16 bytes in pair order. As numbers of 16
 * bits such bytes hold a value of the block's first half below and one of the second half above.
 * Written out because compilers widen the loops of planes_scalar.c to 32 bits here. Values of 8 bytes
 * and parts of superblocks are left to those. */
#include "errors.h"
#include "planes.h"
#include "target.h"

#if ZNL_HAS_NEON
#include <arm_neon.h>

enum {
    BLOCK = ZNL_BLOCK_VALUES,
    HALF = BLOCK / 2,
    STEP = 8, /* values of each half at a time */
    STEP_NBYTES = 2 * STEP,
    FIELDS = ZNL_SUPERBLOCK_BLOCKS,
};

/* Eight numbers for values of the first half and eight for those 32 behind them. */
typedef struct {
    uint16x8_t first, second;
} half_pair;

ZNL_INLINE unsigned top_bits(const znl_layout *layout)
{
    return layout->width == 1 ? 8 : 16;
}

ZNL_INLINE unsigned raw_top_bits(const znl_layout *layout)
{
    return top_bits(layout) - layout->symbol_bits;
}

/* Shifts by counts that are constant only once the layout is; those down are negative. */
ZNL_INLINE uint16x8_t shift_numbers(uint16x8_t x, int count)
{
    return vshlq_u16(x, vdupq_n_s16((int16_t)count));
}

ZNL_INLINE uint8x16_t shift_bytes(uint8x16_t x, int count)
{
    return vshlq_u8(x, vdupq_n_s8((int8_t)count));
}

ZNL_INLINE uint16x8_t load_numbers(const uint8_t *in)
{
    return vreinterpretq_u16_u8(vld1q_u8(in));
}

ZNL_INLINE void store_numbers(uint8_t *out, uint16x8_t numbers)
{
    vst1q_u8(out, vreinterpretq_u8_u16(numbers));
}

/* The lower bytes in pair order, and the upper ones. */
ZNL_INLINE uint16x8_t join_lower(half_pair numbers)
{
    return vsliq_n_u16(numbers.first, numbers.second, 8);
}

ZNL_INLINE uint16x8_t join_upper(half_pair numbers)
{
    return vsriq_n_u16(numbers.second, numbers.first, 8);
}

/* --- splitting
 * ---------------------------------------------------------------------------------- */

ZNL_INLINE uint16x8_t transform_tops(const znl_layout *layout, uint16x8_t tops)
{
    if (layout->transform == ZNL_OFFSET)
        return veorq_u16(tops, vdupq_n_u16((uint16_t)(1u << (top_bits(layout) - 1))));
    if (layout->transform != ZNL_ROTATE) return tops;
    if (layout->width > 1) return vsraq_n_u16(vshlq_n_u16(tops, 1), tops, 15);
    return vandq_u16(vsraq_n_u16(vshlq_n_u16(tops, 1), tops, 7), vdupq_n_u16(255));
}

/* Transformed tops of eight values; *below: the 16 bits below the tops of values of 4 bytes. */
ZNL_INLINE uint16x8_t load_tops(const znl_layout *layout, const uint8_t *in, uint16x8_t *below)
{
    *below = vdupq_n_u16(0);
    if (layout->width == 1) return transform_tops(layout, vmovl_u8(vld1_u8(in)));
    if (layout->width == 2) return transform_tops(layout, load_numbers(in));
    const uint16x8_t low = load_numbers(in), high = load_numbers(in + STEP_NBYTES);
    *below = vuzp1q_u16(low, high);
    return transform_tops(layout, vuzp2q_u16(low, high));
}

/* Split the 16 values at `in`; returns their low bits as bytes in pair order. */
ZNL_INLINE uint8x16_t split_step(const znl_layout *layout, const uint8_t *in, uint16_t *symbols,
                                 uint8_t *planes, size_t plane_nbytes)
{
    const unsigned raw_bits = raw_top_bits(layout), low_shift = raw_bits - layout->low_bits;
    half_pair tops, below;
    tops.first = load_tops(layout, in, &below.first);
    tops.second = load_tops(layout, in + HALF * layout->width, &below.second);
    vst1q_u16(symbols, shift_numbers(tops.first, -(int)raw_bits));
    vst1q_u16(symbols + HALF, shift_numbers(tops.second, -(int)raw_bits));
    if (layout->width == 4) {
        store_numbers(planes, join_lower(below));
        store_numbers(planes + plane_nbytes, join_upper(below));
    }
    if (low_shift)
        store_numbers(planes + (layout->byte_planes - 1u) * plane_nbytes, join_lower(tops));
    const half_pair low = {shift_numbers(tops.first, -(int)low_shift),
                           shift_numbers(tops.second, -(int)low_shift)};
    const uint8x16_t mask = vdupq_n_u8((uint8_t)((1u << layout->low_bits) - 1));
    return vandq_u8(vreinterpretq_u8_u16(join_lower(low)), mask);
}

/* Vector `v` of the bit plane: whole fields, then bit v of each of the last fields. */
ZNL_INLINE uint8x16_t pack_fields(unsigned low_bits, const uint8_t *fields, unsigned v)
{
    const unsigned in_a_byte = 8 / low_bits, direct = in_a_byte * low_bits;
    uint8x16_t packed = vdupq_n_u8(0);
    for (unsigned f = 0; f < in_a_byte; f++)
        packed = vorrq_u8(packed, shift_bytes(vld1q_u8(fields + BLOCK * (v * in_a_byte + f)),
                                              (int)(f * low_bits)));
    for (unsigned f = direct; f < FIELDS; f++) {
        const uint8x16_t bit =
            vandq_u8(shift_bytes(vld1q_u8(fields + BLOCK * f), -(int)v), vdupq_n_u8(1));
        packed = vorrq_u8(packed, shift_bytes(bit, (int)f));
    }
    return packed;
}

ZNL_INLINE void split(const znl_layout *layout, const uint8_t *in, uint16_t *symbols,
                      uint8_t *planes, size_t plane_nbytes, uint8_t *bit_plane)
{
    uint8_t fields[FIELDS * BLOCK];
    for (unsigned f = 0; f < FIELDS; f++)
        for (unsigned j = 0; j < HALF; j += STEP) {
            const unsigned at = f * BLOCK + j, pair_at = f * BLOCK + 2 * j;
            vst1q_u8(fields + pair_at, split_step(layout, in + at * layout->width, symbols + at,
                                                  planes + pair_at, plane_nbytes));
        }
    for (unsigned v = 0; v < layout->low_bits; v++)
        for (unsigned i = 0; i < BLOCK; i += STEP_NBYTES)
            vst1q_u8(bit_plane + v * BLOCK + i, pack_fields(layout->low_bits, fields + i, v));
}

/* --- merging
 * ------------------------------------------------------------------------------------ */

ZNL_INLINE uint16x8_t restore_tops(const znl_layout *layout, uint16x8_t turned)
{
    if (layout->transform == ZNL_OFFSET)
        return veorq_u16(turned, vdupq_n_u16((uint16_t)(1u << (top_bits(layout) - 1))));
    if (layout->transform != ZNL_ROTATE) return turned;
    if (layout->width > 1) return vsraq_n_u16(vshlq_n_u16(turned, 15), turned, 1);
    return vsraq_n_u16(vshlq_n_u16(turned, 7), turned, 1); /* bits above the byte are not stored */
}

/* 16 bytes of a field that lies bit by bit in the vectors. */
ZNL_INLINE uint8x16_t collect_field(unsigned low_bits, const uint8_t *bit_plane, unsigned f)
{
    uint8x16_t field = vdupq_n_u8(0);
    for (unsigned v = 0; v < low_bits; v++) {
        const uint8x16_t packed = vld1q_u8(bit_plane + BLOCK * v);
        const uint8x16_t bit = vandq_u8(shift_bytes(packed, -(int)f), vdupq_n_u8(1));
        field = vorrq_u8(field, shift_bytes(bit, (int)v));
    }
    return field;
}

/* Add the two bytes of each pair, shifted up, to the tops. */
ZNL_INLINE half_pair add_bytes(half_pair tops, uint16x8_t bytes, unsigned shift)
{
    const half_pair added = {
        vorrq_u16(tops.first, shift_numbers(vandq_u16(bytes, vdupq_n_u16(255)), (int)shift)),
        vorrq_u16(tops.second, shift_numbers(vshrq_n_u16(bytes, 8), (int)shift)),
    };
    return added;
}

ZNL_INLINE void store_values(const znl_layout *layout, uint16x8_t tops, uint16x8_t below,
                             uint8_t *out)
{
    if (layout->width == 1) vst1_u8(out, vmovn_u16(tops));
    if (layout->width == 2) store_numbers(out, tops);
    if (layout->width == 4) {
        store_numbers(out, vzip1q_u16(below, tops));
        store_numbers(out + STEP_NBYTES, vzip2q_u16(below, tops));
    }
}

/* Where the parts of the 16 values of a step lie in block 0. */
typedef struct {
    const uint16_t *symbols;
    const uint8_t *planes;
    size_t plane_nbytes;
    uint8_t *out;
} merge_at;

/* Merge 16 values of block f; fields: their low bits as bytes in pair order. */
ZNL_INLINE void merge_step(const znl_layout *layout, const merge_at *at, size_t f,
                           uint8x16_t fields)
{
    const unsigned raw_bits = raw_top_bits(layout), low_shift = raw_bits - layout->low_bits;
    const uint16_t *symbols = at->symbols + f * BLOCK;
    const uint8_t *planes = at->planes + f * BLOCK;
    uint8_t *out = at->out + f * BLOCK * layout->width;
    half_pair tops = {shift_numbers(vld1q_u16(symbols), (int)raw_bits),
                      shift_numbers(vld1q_u16(symbols + HALF), (int)raw_bits)};
    half_pair below = {vdupq_n_u16(0), vdupq_n_u16(0)};
    tops = add_bytes(tops, vreinterpretq_u16_u8(fields), low_shift);
    if (low_shift)
        tops = add_bytes(tops, load_numbers(planes + (layout->byte_planes - 1u) * at->plane_nbytes),
                         0);
    if (layout->width == 4) {
        const half_pair rows = {load_numbers(planes), load_numbers(planes + at->plane_nbytes)};
        below.first = join_lower(rows);
        below.second = join_upper(rows);
    }
    store_values(layout, restore_tops(layout, tops.first), below.first, out);
    store_values(layout, restore_tops(layout, tops.second), below.second,
                 out + HALF * layout->width);
}

/* Merge 16 values of each block, of those blocks first whose fields lie whole in a vector. */
ZNL_INLINE void merge_steps(const znl_layout *layout, const merge_at *at, const uint8_t *bit_plane)
{
    const unsigned low_bits = layout->low_bits, in_a_byte = 8 / low_bits;
    const uint8x16_t mask = vdupq_n_u8((uint8_t)((1u << low_bits) - 1));
    for (unsigned v = 0; v < low_bits; v++) {
        const uint8x16_t packed = vld1q_u8(bit_plane + BLOCK * v);
        for (unsigned i = 0; i < in_a_byte; i++)
            merge_step(layout, at, v * in_a_byte + i,
                       vandq_u8(shift_bytes(packed, -(int)(i * low_bits)), mask));
    }
    for (unsigned f = low_bits * in_a_byte; f < FIELDS; f++)
        merge_step(layout, at, f, collect_field(low_bits, bit_plane, f));
}

ZNL_INLINE void merge(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                      size_t plane_nbytes, const uint8_t *bit_plane, uint8_t *out)
{
    for (unsigned j = 0; j < HALF; j += STEP) {
        const merge_at at = {symbols + j, planes + 2 * j, plane_nbytes, out + j * layout->width};
        if (layout->low_bits)
            merge_steps(layout, &at, bit_plane + 2 * j);
        else
            for (unsigned f = 0; f < FIELDS; f++) merge_step(layout, &at, f, vdupq_n_u8(0));
    }
}

#define VALUES (ZNL_SUPERBLOCK_BLOCKS * BLOCK)

/* --- every layout ------------------------------------------------------------------------------- */

/* Run CALL with a constant layout equal to *layout, so that the compiler sees every shift and
 * width. */
#define SPECIALISE(code, w, t, s, p, b)                                                            \
    if ((w) < 8 && layout->width == (w) && layout->transform == (t) &&                             \
        layout->symbol_bits == (s)) {                                                              \
        static const znl_layout fixed = {w, t, s, p, b};                                           \
        CALL(&fixed);                                                                              \
    }

/* Both return whether the layout is one of those above. */
static int split_superblocks(const znl_layout *layout, const uint8_t *in, size_t count,
                             uint16_t *symbols, uint8_t *planes, size_t plane_nbytes,
                             uint8_t *bit_plane)
{
#define CALL(fixed)                                                                                \
    for (size_t s = 0; s < count; s++)                                                             \
        split(fixed, in + s * VALUES * (fixed)->width, symbols + s * VALUES, planes + s * VALUES,  \
              plane_nbytes, bit_plane + s * BLOCK * (fixed)->low_bits);                            \
    return 1
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
    return 0;
}

void znl_split_neon(const znl_layout *layout, const uint8_t *in, size_t block_count,
                    uint16_t *symbols, uint8_t *planes, size_t plane_nbytes, uint8_t *bit_plane)
{
    size_t done = block_count / ZNL_SUPERBLOCK_BLOCKS;
    if (!split_superblocks(layout, in, done, symbols, planes, plane_nbytes, bit_plane)) done = 0;
    if (done * ZNL_SUPERBLOCK_BLOCKS == block_count) return;
    const size_t first = done * VALUES;
    znl_split_scalar(layout, in + first * layout->width, block_count - done * ZNL_SUPERBLOCK_BLOCKS,
                     symbols + first, planes + first, plane_nbytes,
                     bit_plane + done * BLOCK * layout->low_bits);
}

static int merge_superblocks(const znl_layout *layout, const uint16_t *symbols,
                             const uint8_t *planes, size_t plane_nbytes, size_t count,
                             const uint8_t *bit_plane, uint8_t *out)
{
#define CALL(fixed)                                                                                \
    for (size_t s = 0; s < count; s++)                                                             \
        merge(fixed, symbols + s * VALUES, planes + s * VALUES, plane_nbytes,                      \
              bit_plane + s * BLOCK * (fixed)->low_bits, out + s * VALUES * (fixed)->width);       \
    return 1
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
    return 0;
}

int znl_merge_neon(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                   size_t plane_nbytes, size_t block_count, const uint8_t *bit_plane, uint8_t *out)
{
    size_t done = block_count / ZNL_SUPERBLOCK_BLOCKS;
    if (!merge_superblocks(layout, symbols, planes, plane_nbytes, done, bit_plane, out)) done = 0;
    if (done * ZNL_SUPERBLOCK_BLOCKS == block_count) return ZNL_OK;
    const size_t first = done * VALUES;
    return znl_merge_scalar(layout, symbols + first, planes + first, plane_nbytes,
                            block_count - done * ZNL_SUPERBLOCK_BLOCKS,
                            bit_plane + done * BLOCK * layout->low_bits,
                            out + first * layout->width);
}

#endif
