/* SPDX-License-Identifier: Apache-2.0 */
/* Planes with AVX-512 (BW, VBMI2): whole superblocks, portable C does the rest. */
#include "errors.h"
#include "planes.h"
#include "target.h"

#if ZNL_HAS_AVX512
#include <immintrin.h>

#ifdef __AVX512F__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#include "planes_avx512_block.h"

INLINE void merge(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                  size_t plane_nbytes, size_t block_count, const uint8_t *bit_plane, uint8_t *out)
{
    for (size_t block = 0; block < block_count; block++) {
        const halves tops = {load(symbols), load(symbols + BLOCK / 2)};
        const unsigned in_superblock = (unsigned)block % ZNL_SUPERBLOCK_BLOCKS;
        merge_block(layout, in_superblock, tops, planes, plane_nbytes, bit_plane, out);
        symbols += BLOCK;
        planes += BLOCK;
        out += BLOCK * layout->width;
        if (in_superblock == ZNL_SUPERBLOCK_BLOCKS - 1) bit_plane += BLOCK * layout->low_bits;
    }
}

TARGET int znl_merge_avx512(const znl_layout *layout, const uint16_t *symbols,
                            const uint8_t *planes, size_t plane_nbytes, size_t block_count,
                            const uint8_t *bit_plane, uint8_t *out)
{
    const size_t rest = block_count % ZNL_SUPERBLOCK_BLOCKS, whole = block_count - rest;
    const size_t values = whole * BLOCK;
#define CALL(fixed) merge(fixed, symbols, planes, plane_nbytes, whole, bit_plane, out)
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
    return ZNL_E_BAD_CALL;
#undef CALL
    if (rest == 0) return ZNL_OK;
    return znl_merge_scalar(layout, symbols + values, planes + values, plane_nbytes, rest,
                            bit_plane + values / 8 * layout->low_bits,
                            out + values * layout->width);
}

/* The inverses: numbers 0, 2, 4 ... of 64 or 32 that lie in two registers, and the others. */
INLINE halves part_16(__m512i first, __m512i second)
{
    const __m512i even =
        _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30, 28, 26,
                         24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_add_epi16(even, every_16(1));
    const halves parts = {_mm512_permutex2var_epi16(first, even, second),
                          _mm512_permutex2var_epi16(first, odd, second)};
    return parts;
}

INLINE halves part_32(__m512i first, __m512i second)
{
    const __m512i even =
        _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    const halves parts = {_mm512_permutex2var_epi32(first, even, second),
                          _mm512_permutex2var_epi32(first, odd, second)};
    return parts;
}

/* Eight constant block numbers. */
#define FOR_EACH_BLOCK(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

/* Store 16-bit numbers as byte planes `plane` and `plane` + 1 of a block. */
INLINE void store_plane_pair(halves columns, uint8_t *planes, size_t plane_nbytes, unsigned plane)
{
    const __m512i low = _mm512_ternarylogic_epi64(columns.lower, every_16(0x00ff),
                                                  _mm512_slli_epi16(columns.upper, 8), AND_OR);
    const __m512i high = _mm512_ternarylogic_epi64(columns.upper, every_16(0xff00),
                                                   _mm512_srli_epi16(columns.lower, 8), AND_OR);
    _mm512_storeu_si512(planes + plane * plane_nbytes, low);
    _mm512_storeu_si512(planes + (plane + 1) * plane_nbytes, high);
}

/* Load half a block of values of 2, 4 or 8 bytes as columns of 16 bits, the lowest first. */
INLINE void load_columns(unsigned width, const uint8_t *in, __m512i columns[4])
{
    if (width == 2) columns[0] = load(in);
    if (width == 4) {
        const halves parts = part_16(load(in), load(in + 64));
        columns[0] = parts.lower;
        columns[1] = parts.upper;
    }
    if (width == 8) {
        const halves first = part_32(load(in), load(in + 64));
        const halves second = part_32(load(in + 128), load(in + 192));
        const halves low = part_16(first.lower, second.lower);
        const halves high = part_16(first.upper, second.upper);
        columns[0] = low.lower;
        columns[1] = low.upper;
        columns[2] = high.lower;
        columns[3] = high.upper;
    }
}

/* The transformed tops of 64 values of one byte. */
INLINE halves load_bytes(const znl_layout *layout, const uint8_t *in)
{
    __m512i bytes = load(in);
    if (layout->transform == ZNL_ROTATE)
        bytes = _mm512_ternarylogic_epi64(_mm512_set1_epi8((char)0xfe), _mm512_slli_epi16(bytes, 1),
                                          _mm512_srli_epi16(bytes, 7), SELECT);
    if (layout->transform == ZNL_OFFSET)
        bytes = _mm512_xor_si512(bytes, _mm512_set1_epi8((char)0x80));
    const halves tops = {_mm512_cvtepu8_epi16(_mm512_castsi512_si256(bytes)),
                         _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(bytes, 1))};
    return tops;
}

/* Split one block; returns its low bits in pair order, below other bits. */
INLINE __m512i split_block(const znl_layout *layout, unsigned block, const uint8_t *in,
                           uint16_t *symbols, uint8_t *planes, size_t plane_nbytes)
{
    const unsigned width = layout->width, below = width > 2 ? width - 2u : 0;
    const unsigned raw_bits = raw_top_bits(layout), at = raw_bits - layout->low_bits;
    in += (size_t)block * BLOCK * width;
    symbols += block * BLOCK;
    planes += block * BLOCK;
    halves tops;
    if (width == 1) {
        tops = load_bytes(layout, in);
    } else {
        __m512i lower[4], upper[4];
        load_columns(width, in, lower);
        load_columns(width, in + BLOCK / 2 * width, upper);
        for (unsigned i = 0; i < below / 2; i++) {
            const halves columns = {lower[i], upper[i]};
            store_plane_pair(columns, planes, plane_nbytes, 2 * i);
        }
        tops.lower = _mm512_shldi_epi16(lower[below / 2], lower[below / 2], 1);
        tops.upper = _mm512_shldi_epi16(upper[below / 2], upper[below / 2], 1);
    }
    _mm512_storeu_si512(symbols, shift_right(tops.lower, raw_bits));
    _mm512_storeu_si512(symbols + 32, shift_right(tops.upper, raw_bits));
    if (at)
        _mm512_storeu_si512(planes + below * plane_nbytes,
                            _mm512_ternarylogic_epi64(tops.lower, every_16(255),
                                                      _mm512_slli_epi16(tops.upper, 8), AND_OR));
    return _mm512_ternarylogic_epi64(shift_right(tops.lower, at), every_16(255),
                                     shift_left(shift_right(tops.upper, at), 8), AND_OR);
}

/* Vector `v` of a superblock's bit plane, of the low bits of its blocks. */
INLINE __m512i pack_fields(unsigned low_bits, unsigned v, const __m512i fields[8])
{
    const unsigned in_a_byte = 8 / low_bits, mask = (1u << low_bits) - 1;
    __m512i packed = _mm512_setzero_si512();
    for (unsigned f = 0; f < in_a_byte; f++) {
        const __m512i here = _mm512_set1_epi8((char)(mask << (f * low_bits)));
        packed = _mm512_ternarylogic_epi64(shift_left(fields[v * in_a_byte + f], f * low_bits),
                                           here, packed, AND_OR);
    }
    for (unsigned f = in_a_byte * low_bits; f < 8; f++) {
        const __m512i here = _mm512_set1_epi8((char)(1u << f));
        packed = _mm512_ternarylogic_epi64(shift_left(fields[f], f - v), here, packed, AND_OR);
    }
    return packed;
}

INLINE void split(const znl_layout *layout, const uint8_t *in, size_t superblock_count,
                  uint16_t *symbols, uint8_t *planes, size_t plane_nbytes, uint8_t *bit_plane,
                  __m512i fields[8])
{
    const size_t values = ZNL_SUPERBLOCK_BLOCKS * BLOCK;
    for (size_t i = 0; i < superblock_count; i++) {
#define SPLIT_BLOCK(block)                                                                         \
    fields[block] = split_block(layout, block, in, symbols, planes, plane_nbytes);
        FOR_EACH_BLOCK(SPLIT_BLOCK)
#undef SPLIT_BLOCK
#define STORE_VECTOR(v)                                                                            \
    if (layout->low_bits > (v))                                                                    \
        _mm512_storeu_si512(bit_plane + (v)*BLOCK, pack_fields(layout->low_bits, v, fields));
        FOR_EACH_BLOCK(STORE_VECTOR)
#undef STORE_VECTOR
        in += values * layout->width;
        symbols += values;
        planes += values;
        bit_plane += values / 8 * layout->low_bits;
    }
}

TARGET void znl_split_avx512(const znl_layout *layout, const uint8_t *in, size_t block_count,
                             uint16_t *symbols, uint8_t *planes, size_t plane_nbytes,
                             uint8_t *bit_plane)
{
    const size_t whole = block_count / ZNL_SUPERBLOCK_BLOCKS;
    const size_t values = whole * ZNL_SUPERBLOCK_BLOCKS * BLOCK;
    __m512i fields[8]; /* one for all rows: each may get a stack of its own */
#define CALL(fixed) split(fixed, in, whole, symbols, planes, plane_nbytes, bit_plane, fields)
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
    return;
#undef CALL
    if (block_count % ZNL_SUPERBLOCK_BLOCKS)
        znl_split_scalar(layout, in + values * layout->width, block_count % ZNL_SUPERBLOCK_BLOCKS,
                         symbols + values, planes + values, plane_nbytes,
                         bit_plane + values / 8 * layout->low_bits);
}

#endif
