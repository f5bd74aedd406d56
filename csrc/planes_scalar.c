/* SPDX-License-Identifier: Apache-2.0 */
/* Planes in portable C. Each loop is written once and specialised by constant layouts through inlining. */
#include "planes.h"

#include <string.h>

#include "bytes.h"
#include "errors.h"

#define BLOCK ZNL_BLOCK_VALUES

#if defined(__GNUC__)
#define ZNL_INLINE static inline __attribute__((always_inline))
#else
#define ZNL_INLINE static inline
#endif

/* Position of value j of a block in pair order: value j < 32 at byte 2 j, value 32 + j at byte 2 j + 1. */
ZNL_INLINE unsigned pair_position(unsigned value)
{
    return value < BLOCK / 2 ? 2 * value : 2 * (value - BLOCK / 2) + 1;
}

ZNL_INLINE uint32_t transform_top(const znl_layout *layout, uint32_t top)
{
    const unsigned bits = layout->width == 1 ? 8 : 16;
    const uint32_t mask = (1u << bits) - 1;
    if (layout->transform == ZNL_ROTATE) return (top << 1 | top >> (bits - 1)) & mask;
    if (layout->transform == ZNL_OFFSET) return top ^ 1u << (bits - 1);
    return top;
}

ZNL_INLINE uint32_t restore_top(const znl_layout *layout, uint32_t turned)
{
    const unsigned bits = layout->width == 1 ? 8 : 16;
    const uint32_t mask = (1u << bits) - 1;
    if (layout->transform == ZNL_ROTATE) return (turned >> 1 | turned << (bits - 1)) & mask;
    if (layout->transform == ZNL_OFFSET) return turned ^ 1u << (bits - 1);
    return turned;
}

/* The transformed top of the value at `in`: its highest two bytes, or its only one. */
ZNL_INLINE uint32_t load_turned(const znl_layout *layout, const uint8_t *in)
{
    const uint32_t top = layout->width == 1 ? in[0] : load_u16le(in + layout->width - 2);
    return transform_top(layout, top);
}

ZNL_INLINE unsigned raw_top_bits(const znl_layout *layout)
{
    return (layout->width == 1 ? 8u : 16u) - layout->symbol_bits;
}

/* Bytes of a value below its top, each a plane of its own. */
ZNL_INLINE unsigned bytes_below_top(const znl_layout *layout)
{
    return layout->width > 2 ? layout->width - 2u : 0;
}

/* Pack the low bits of up to 8 blocks into the vectors of a superblock. */
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

/* The inverse; returns the bits found in fields of blocks that are absent. */
ZNL_INLINE unsigned unpack_superblock(unsigned low_bits, const uint8_t *in, unsigned vectors,
                                      unsigned blocks, uint8_t fields[8][BLOCK])
{
    const unsigned in_a_byte = 8 / low_bits, direct = in_a_byte * low_bits;
    const uint8_t mask = (uint8_t)((1u << low_bits) - 1);
    memset(fields, 0, 8 * BLOCK);
    for (unsigned v = 0; v < vectors; v++) {
        const uint8_t *packed = in + v * BLOCK;
        for (unsigned f = 0; f < in_a_byte; f++)
            for (unsigned i = 0; i < BLOCK; i++)
                fields[v * in_a_byte + f][i] = (uint8_t)(packed[i] >> (f * low_bits) & mask);
        for (unsigned f = direct; f < 8; f++)
            for (unsigned i = 0; i < BLOCK; i++)
                fields[f][i] = (uint8_t)(fields[f][i] | (packed[i] >> f & 1) << v);
    }
    unsigned stray = 0;
    for (unsigned f = blocks; f < 8; f++)
        for (unsigned i = 0; i < BLOCK; i++) stray |= fields[f][i];
    return stray;
}

ZNL_INLINE size_t histogram(const znl_layout *layout, const uint8_t *in, size_t value_count,
                            size_t step, uint32_t *counts)
{
    const unsigned raw_bits = raw_top_bits(layout);
    size_t counted = 0;
    memset(counts, 0, sizeof *counts << layout->symbol_bits);
    for (size_t first = 0; first < value_count; first += 8 * step) {
        const size_t end = value_count - first < 8 ? value_count : first + 8;
        for (size_t i = first; i < end; i++)
            counts[load_turned(layout, in + i * layout->width) >> raw_bits]++;
        counted += end - first;
    }
    return counted;
}

ZNL_INLINE void split(const znl_layout *layout, const uint8_t *in, size_t block_count,
                      uint16_t *symbols, uint8_t *raw)
{
    const unsigned width = layout->width, raw_bits = raw_top_bits(layout),
                   below = bytes_below_top(layout);
    const unsigned low_bits = layout->low_bits, low_shift = raw_bits - low_bits;
    const size_t plane_nbytes = block_count * BLOCK;
    uint8_t *bit_plane = raw + layout->byte_planes * plane_nbytes;
    for (size_t first = 0; first < block_count; first += 8) {
        uint8_t fields[8][BLOCK];
        const unsigned blocks = block_count - first < 8 ? (unsigned)(block_count - first) : 8;
        if (blocks < 8) memset(fields, 0, sizeof fields);
        for (unsigned f = 0; f < blocks; f++) {
            const size_t at = (first + f) * BLOCK;
            for (unsigned j = 0; j < BLOCK; j++) {
                const uint8_t *value = in + (at + j) * width;
                const uint32_t turned = load_turned(layout, value);
                const unsigned position = pair_position(j);
                symbols[at + j] = (uint16_t)(turned >> raw_bits);
                for (unsigned p = 0; p < below; p++)
                    raw[p * plane_nbytes + at + position] = value[p];
                if (low_shift) raw[below * plane_nbytes + at + position] = (uint8_t)turned;
                fields[f][position] = (uint8_t)(turned >> low_shift & ((1u << low_bits) - 1));
            }
        }
        if (low_bits) {
            const unsigned vectors = (unsigned)(znl_bit_plane_nbytes(blocks, low_bits) / BLOCK);
            pack_superblock(low_bits, fields, bit_plane, vectors);
            bit_plane += vectors * BLOCK;
        }
    }
}

ZNL_INLINE int merge(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                     size_t plane_nbytes, size_t first_block, size_t block_count,
                     const uint8_t *bit_plane, uint8_t *out)
{
    const unsigned width = layout->width, raw_bits = raw_top_bits(layout),
                   below = bytes_below_top(layout);
    const unsigned low_bits = layout->low_bits, low_shift = raw_bits - low_bits;
    unsigned stray = 0;
    for (size_t first = 0; first < block_count; first += 8) {
        uint8_t fields[8][BLOCK];
        const unsigned blocks = block_count - first < 8 ? (unsigned)(block_count - first) : 8;
        if (low_bits) {
            const unsigned vectors = (unsigned)(znl_bit_plane_nbytes(blocks, low_bits) / BLOCK);
            stray |= unpack_superblock(low_bits, bit_plane, vectors, blocks, fields);
            bit_plane += vectors * BLOCK;
        }
        for (unsigned f = 0; f < blocks; f++) {
            const size_t local = (first + f) * BLOCK, at = (first_block + first + f) * BLOCK;
            for (unsigned j = 0; j < BLOCK; j++) {
                const unsigned position = pair_position(j);
                uint8_t *value = out + (local + j) * width;
                uint32_t turned = (uint32_t)symbols[local + j] << raw_bits;
                if (low_bits) turned |= (uint32_t)fields[f][position] << low_shift;
                if (low_shift) turned |= planes[below * plane_nbytes + at + position];
                const uint32_t top = restore_top(layout, turned);
                for (unsigned p = 0; p < below; p++)
                    value[p] = planes[p * plane_nbytes + at + position];
                if (width == 1)
                    value[0] = (uint8_t)top;
                else
                    store_u16le(value + width - 2, (uint16_t)top);
            }
        }
    }
    return stray ? ZNL_E_BAD_PADDING : ZNL_OK;
}

/* Run `call` with a constant layout equal to *layout, so that the compiler sees every shift and width. */
#define SPECIALISE(code, w, t, s, p, b)                                                            \
    if (layout->width == (w) && layout->transform == (t) && layout->symbol_bits == (s)) {          \
        static const znl_layout fixed = {w, t, s, p, b};                                           \
        CALL(&fixed);                                                                              \
    }

size_t znl_histogram_scalar(const znl_layout *layout, const uint8_t *in, size_t value_count,
                            size_t step, uint32_t *counts)
{
#define CALL(fixed) return histogram(fixed, in, value_count, step, counts)
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
    return 0;
}

void znl_split_scalar(const znl_layout *layout, const uint8_t *in, size_t block_count,
                      uint16_t *symbols, uint8_t *raw)
{
#define CALL(fixed)                                                                                \
    split(fixed, in, block_count, symbols, raw);                                                   \
    return
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
}

int znl_merge_scalar(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                     size_t plane_nbytes, size_t first_block, size_t block_count,
                     const uint8_t *bit_plane, uint8_t *out)
{
#define CALL(fixed)                                                                                \
    return merge(fixed, symbols, planes, plane_nbytes, first_block, block_count, bit_plane, out)
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
    return ZNL_E_BAD_CALL;
}
