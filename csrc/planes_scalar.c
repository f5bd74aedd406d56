/* SPDX-License-Identifier: Apache-2.0 */
/* Planes in portable C: loops over the 32 pairs of a block, of which the compiler makes vectors. */
#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "planes.h"
#include "target.h"

#define BLOCK ZNL_BLOCK_VALUES
#define PAIRS (ZNL_BLOCK_VALUES / 2)

ZNL_INLINE unsigned top_bits(const znl_layout *layout)
{
    return layout->width == 1 ? 8 : 16;
}

ZNL_INLINE unsigned raw_top_bits(const znl_layout *layout)
{
    return top_bits(layout) - layout->symbol_bits;
}

/* Bytes of a value below its top, each a plane of its own. */
ZNL_INLINE unsigned bytes_below_top(const znl_layout *layout)
{
    return layout->width > 2 ? layout->width - 2u : 0;
}

ZNL_INLINE uint16_t transform_top(const znl_layout *layout, unsigned top)
{
    const unsigned bits = top_bits(layout);
    if (layout->transform == ZNL_ROTATE)
        return (uint16_t)((top << 1 | top >> (bits - 1)) & ((1u << bits) - 1));
    if (layout->transform == ZNL_OFFSET) return (uint16_t)(top ^ 1u << (bits - 1));
    return (uint16_t)top;
}

/* The transformed tops of a block's values. */
ZNL_INLINE void load_tops(const znl_layout *layout, const uint8_t *in, uint16_t tops[BLOCK])
{
    const unsigned width = layout->width;
    for (unsigned j = 0; j < BLOCK; j++) {
        const unsigned top = width == 1   ? in[j]
                             : width == 2 ? load_u16le(in + 2 * j)
                             : width == 4 ? load_u32le(in + 4 * j) >> 16
                                          : (unsigned)(load_u64le(in + 8 * j) >> 48);
        tops[j] = transform_top(layout, top);
    }
}

/* Pack the low bits of up to 8 blocks, in pair order, into the vectors of a superblock. */
ZNL_INLINE void pack_superblock(unsigned low_bits, uint8_t fields[8][BLOCK], uint8_t *out,
                                unsigned vectors)
{
    const unsigned in_a_byte = 8 / low_bits, direct = in_a_byte * low_bits;
    for (unsigned v = 0; v < vectors; v++) {
        uint8_t packed[BLOCK] = {0};
        for (unsigned f = 0; f < in_a_byte; f++)
            for (unsigned i = 0; i < BLOCK; i++)
                packed[i] = (uint8_t)(packed[i] | fields[v * in_a_byte + f][i] << (f * low_bits));
        for (unsigned f = direct; f < 8; f++)
            for (unsigned i = 0; i < BLOCK; i++)
                packed[i] = (uint8_t)(packed[i] | (fields[f][i] >> v & 1) << f);
        memcpy(out + v * BLOCK, packed, BLOCK);
    }
}

/* Split one block; fields: its low bits in pair order. */
ZNL_INLINE void split_block(const znl_layout *layout, const uint8_t *in, uint16_t *symbols,
                            uint8_t *planes, size_t plane_nbytes, uint8_t fields[BLOCK])
{
    const unsigned width = layout->width, below = bytes_below_top(layout);
    const unsigned raw_bits = raw_top_bits(layout), low_shift = raw_bits - layout->low_bits;
    const unsigned mask = (1u << layout->low_bits) - 1;
    uint16_t tops[BLOCK];
    load_tops(layout, in, tops);
    for (unsigned j = 0; j < BLOCK; j++) symbols[j] = (uint16_t)(tops[j] >> raw_bits);
    for (unsigned j = 0; j < PAIRS; j++) {
        const unsigned low = (unsigned)tops[j] >> low_shift & mask,
                       high = (unsigned)tops[PAIRS + j] >> low_shift & mask;
        store_u16le(fields + 2 * j, (uint16_t)(low | high << 8));
    }
    if (low_shift)
        for (unsigned j = 0; j < PAIRS; j++)
            store_u16le(planes + below * plane_nbytes + 2 * j,
                        (uint16_t)((tops[j] & 255) | tops[PAIRS + j] << 8));
    for (unsigned p = 0; p < below; p++)
        for (unsigned j = 0; j < PAIRS; j++)
            store_u16le(planes + p * plane_nbytes + 2 * j,
                        (uint16_t)(in[j * width + p] | in[(PAIRS + j) * width + p] << 8));
}

ZNL_INLINE void split(const znl_layout *layout, const uint8_t *in, size_t block_count,
                      uint16_t *symbols, uint8_t *planes, size_t plane_nbytes, uint8_t *bit_plane)
{
    uint8_t fields[8][BLOCK];
    const unsigned low_bits = layout->low_bits;
    for (size_t f = 0; f < block_count; f++)
        split_block(layout, in + f * BLOCK * layout->width, symbols + f * BLOCK, planes + f * BLOCK,
                    plane_nbytes, fields[f]);
    if (low_bits == 0) return;
    if (block_count == 8) {
        pack_superblock(low_bits, fields, bit_plane, low_bits);
        return;
    }
    memset(fields[block_count], 0, (8 - block_count) * BLOCK);
    pack_superblock(low_bits, fields, bit_plane,
                    (unsigned)(znl_bit_plane_nbytes(block_count, low_bits) / BLOCK));
}

/* Run CALL with a constant layout equal to *layout, so that the compiler sees every shift and width. */
#define SPECIALISE(code, w, t, s, p, b)                                                            \
    if (layout->width == (w) && layout->transform == (t) && layout->symbol_bits == (s)) {          \
        static const znl_layout fixed = {w, t, s, p, b};                                           \
        CALL(&fixed);                                                                              \
    }

ZNL_INLINE void split_all(const znl_layout *layout, const uint8_t *in, size_t block_count,
                          uint16_t *symbols, uint8_t *planes, size_t plane_nbytes,
                          uint8_t *bit_plane)
{
    for (size_t block = 0; block < block_count; block += ZNL_SUPERBLOCK_BLOCKS) {
        const size_t left = block_count - block, first = block * BLOCK;
        split(layout, in + first * layout->width,
              left < ZNL_SUPERBLOCK_BLOCKS ? left : ZNL_SUPERBLOCK_BLOCKS, symbols + first,
              planes + first, plane_nbytes, bit_plane + first / 8 * layout->low_bits);
    }
}

void znl_split_scalar(const znl_layout *layout, const uint8_t *in, size_t block_count,
                      uint16_t *symbols, uint8_t *planes, size_t plane_nbytes, uint8_t *bit_plane)
{
#define CALL(fixed)                                                                                \
    split_all(fixed, in, block_count, symbols, planes, plane_nbytes, bit_plane);                   \
    return
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
}

ZNL_INLINE uint16_t restore_top(const znl_layout *layout, unsigned turned)
{
    const unsigned bits = top_bits(layout);
    if (layout->transform == ZNL_ROTATE)
        return (uint16_t)((turned >> 1 | turned << (bits - 1)) & ((1u << bits) - 1));
    if (layout->transform == ZNL_OFFSET) return (uint16_t)(turned ^ 1u << (bits - 1));
    return (uint16_t)turned;
}

/* The 64 bytes of a block in pair order as 32 numbers: value j below, value 32 + j above. */
ZNL_INLINE void load_pairs(const uint8_t *in, uint16_t pairs[PAIRS])
{
    for (unsigned j = 0; j < PAIRS; j++) pairs[j] = load_u16le(in + 2 * j);
}

/* The inverse for a whole superblock. */
ZNL_INLINE void unpack_superblock(unsigned low_bits, const uint8_t *in, unsigned vectors,
                                  uint8_t fields[8][BLOCK])
{
    const unsigned in_a_byte = 8 / low_bits, direct = in_a_byte * low_bits;
    const uint8_t mask = (uint8_t)((1u << low_bits) - 1);
    for (unsigned f = vectors * in_a_byte; f < 8; f++) memset(fields[f], 0, BLOCK);
    for (unsigned v = 0; v < vectors; v++) {
        const uint8_t *packed = in + v * BLOCK;
        for (unsigned f = 0; f < in_a_byte; f++)
            for (unsigned i = 0; i < BLOCK; i++)
                fields[v * in_a_byte + f][i] = (uint8_t)(packed[i] >> (f * low_bits) & mask);
        for (unsigned f = direct; f < 8; f++)
            for (unsigned i = 0; i < BLOCK; i++)
                fields[f][i] = (uint8_t)(fields[f][i] | (packed[i] >> f & 1) << v);
    }
}

/* Merge one block. */
ZNL_INLINE void merge_block(const znl_layout *layout, const uint16_t *symbols,
                            const uint8_t *planes, size_t plane_nbytes, const uint8_t fields[BLOCK],
                            uint8_t *out)
{
    const unsigned width = layout->width, below = bytes_below_top(layout);
    const unsigned raw_bits = raw_top_bits(layout), low_shift = raw_bits - layout->low_bits;
    uint16_t pairs[PAIRS], tops[BLOCK];
    for (unsigned j = 0; j < BLOCK; j++) tops[j] = (uint16_t)(symbols[j] << raw_bits);
    if (layout->low_bits) {
        load_pairs(fields, pairs);
        for (unsigned j = 0; j < PAIRS; j++) {
            tops[j] = (uint16_t)(tops[j] | (pairs[j] & 255) << low_shift);
            tops[PAIRS + j] = (uint16_t)(tops[PAIRS + j] | (pairs[j] >> 8) << low_shift);
        }
    }
    if (low_shift) {
        load_pairs(planes + below * plane_nbytes, pairs);
        for (unsigned j = 0; j < PAIRS; j++) {
            tops[j] = (uint16_t)(tops[j] | (pairs[j] & 255));
            tops[PAIRS + j] = (uint16_t)(tops[PAIRS + j] | pairs[j] >> 8);
        }
    }
    for (unsigned j = 0; j < BLOCK; j++) tops[j] = restore_top(layout, tops[j]);
    if (width == 1)
        for (unsigned j = 0; j < BLOCK; j++) out[j] = (uint8_t)tops[j];
    if (width == 2)
        for (unsigned j = 0; j < BLOCK; j++) store_u16le(out + 2 * j, tops[j]);
    if (width == 4) {
        uint16_t first[PAIRS], second[PAIRS];
        load_pairs(planes, first);
        load_pairs(planes + plane_nbytes, second);
        for (unsigned j = 0; j < PAIRS; j++) {
            const unsigned low = (first[j] & 255u) | (second[j] & 255u) << 8;
            const unsigned high = (unsigned)(first[j] >> 8) | (second[j] & 0xff00u);
            store_u32le(out + 4 * j, low | (uint32_t)tops[j] << 16);
            store_u32le(out + 4 * (PAIRS + j), high | (uint32_t)tops[PAIRS + j] << 16);
        }
    }
    if (width == 8)
        for (unsigned half = 0; half < 2; half++)
            for (unsigned j = 0; j < PAIRS; j++) {
                uint64_t value = (uint64_t)tops[half * PAIRS + j] << 48;
                for (unsigned p = 0; p < 6; p++)
                    value |= (uint64_t)planes[p * plane_nbytes + 2 * j + half] << (8 * p);
                store_u64le(out + 8 * (half * PAIRS + j), value);
            }
}

ZNL_INLINE int merge(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                     size_t plane_nbytes, size_t block_count, const uint8_t *bit_plane,
                     uint8_t *out)
{
    uint8_t fields[8][BLOCK];
    const unsigned low_bits = layout->low_bits;
    unsigned stray = 0;
    if (low_bits && block_count == 8) unpack_superblock(low_bits, bit_plane, low_bits, fields);
    if (low_bits && block_count < 8) {
        unpack_superblock(low_bits, bit_plane,
                          (unsigned)(znl_bit_plane_nbytes(block_count, low_bits) / BLOCK), fields);
        for (size_t f = block_count; f < 8; f++)
            for (unsigned i = 0; i < BLOCK; i++) stray |= fields[f][i];
    }
    for (size_t f = 0; f < block_count; f++)
        merge_block(layout, symbols + f * BLOCK, planes + f * BLOCK, plane_nbytes, fields[f],
                    out + f * BLOCK * layout->width);
    return stray ? ZNL_E_BAD_PADDING : ZNL_OK;
}

ZNL_INLINE int merge_all(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                         size_t plane_nbytes, size_t block_count, const uint8_t *bit_plane,
                         uint8_t *out)
{
    int status = ZNL_OK;
    for (size_t block = 0; block < block_count; block += ZNL_SUPERBLOCK_BLOCKS) {
        const size_t left = block_count - block, first = block * BLOCK;
        const int found =
            merge(layout, symbols + first, planes + first, plane_nbytes,
                  left < ZNL_SUPERBLOCK_BLOCKS ? left : ZNL_SUPERBLOCK_BLOCKS,
                  bit_plane + first / 8 * layout->low_bits, out + first * layout->width);
        if (found != ZNL_OK) status = found;
    }
    return status;
}

int znl_merge_scalar(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                     size_t plane_nbytes, size_t block_count, const uint8_t *bit_plane,
                     uint8_t *out)
{
#define CALL(fixed)                                                                                \
    return merge_all(fixed, symbols, planes, plane_nbytes, block_count, bit_plane, out)
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
    return ZNL_E_BAD_CALL;
}

/* Count values first .. end into tables by turns: neighbours are often equal, and a count that was just
 * stored can't be loaded at once. */
ZNL_INLINE void count_values(const znl_layout *layout, const uint8_t *in, size_t first, size_t end,
                             uint32_t *const tables[4])
{
    const unsigned raw_bits = raw_top_bits(layout), width = layout->width;
    for (size_t i = first; i < end; i++) {
        const uint8_t *value = in + i * width;
        const unsigned top = width == 1 ? value[0] : load_u16le(value + width - 2);
        tables[i % 4][transform_top(layout, top) >> raw_bits]++;
    }
}

/* Symbol values that more tables of counts are worth their stack for. */
enum { MOST_TURNS = 512 };

/* Counts can't be vectorised: one version serves all. */
ZNL_INLINE size_t histogram(const znl_layout *layout, const uint8_t *in, size_t value_count,
                            size_t step, uint32_t *counts, uint32_t more[3][MOST_TURNS])
{
    const size_t entries = (size_t)1 << layout->symbol_bits;
    const int takes_turns = entries <= MOST_TURNS;
    uint32_t *tables[4] = {counts, counts, counts, counts};
    size_t counted = 0;
    for (unsigned t = 1; t < 4 && takes_turns; t++) tables[t] = more[t - 1];
    for (unsigned t = 0; t < 4; t++) memset(tables[t], 0, entries * sizeof *counts);
    for (size_t first = 0; first < value_count; first += 8 * step) {
        const size_t end = value_count - first < 8 ? value_count : first + 8;
        if (end - first == 8)
            count_values(layout, in, first, first + 8, tables);
        else
            count_values(layout, in, first, end, tables);
        counted += end - first;
    }
    for (unsigned t = 1; t < 4 && takes_turns; t++)
        for (size_t v = 0; v < entries; v++) counts[v] += tables[t][v];
    return counted;
}

size_t znl_histogram_scalar(const znl_layout *layout, const uint8_t *in, size_t value_count,
                            size_t step, uint32_t *counts)
{
    uint32_t more[3][MOST_TURNS];
#define CALL(fixed) return histogram(fixed, in, value_count, step, counts, more)
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
    return 0;
}

void znl_patch_value(const znl_layout *layout, unsigned symbol_value, uint8_t *value)
{
    const unsigned raw_bits = raw_top_bits(layout);
    uint8_t *top = value + (layout->width == 1 ? 0 : layout->width - 2);
    const unsigned old = layout->width == 1 ? top[0] : load_u16le(top);
    const unsigned raw = transform_top(layout, old) & ((1u << raw_bits) - 1);
    const uint16_t restored = restore_top(layout, symbol_value << raw_bits | raw);
    if (layout->width == 1)
        top[0] = (uint8_t)restored;
    else
        store_u16le(top, restored);
}
