/* SPDX-License-Identifier: Apache-2.0 */
/* Merging one block with AVX-512 (BW, VBMI2), for *_avx512.c, which include this text after immintrin.h. A
 * block of 64 values is two registers of 16-bit tops, values 0 to 31 and 32 to 63, and in pair order
 * these are the even and the odd bytes of a 64-byte vector, so that no byte has to change lanes. Not a
 * header for others. */

/* Functions that take a constant layout or block number vanish into their callers. */
#define TARGET ZNL_TARGET_AVX512
#define INLINE TARGET ZNL_INLINE
#define BLOCK ZNL_BLOCK_VALUES
#define SELECT 0xca /* of _mm512_ternarylogic_epi64: a ? b : c, bit by bit */
#define AND_OR 0xea /* a & b | c */
#define OR_AND 0xa8 /* (a | b) & c */

/* A block's values as 32 numbers each: values 0 to 31, values 32 to 63. */
typedef struct {
    __m512i lower, upper;
} halves;

INLINE __m512i load(const void *in)
{
    return _mm512_loadu_si512(in);
}

INLINE __m512i every_16(unsigned value)
{
    return _mm512_set1_epi16((short)value);
}

/* Shifts of 16-bit numbers; not by an immediate, which some compilers want literally. */
INLINE __m512i shift_left(__m512i x, unsigned count)
{
    return count ? _mm512_sllv_epi16(x, every_16(count)) : x;
}

INLINE __m512i shift_right(__m512i x, unsigned count)
{
    return count ? _mm512_srlv_epi16(x, every_16(count)) : x;
}

INLINE unsigned raw_top_bits(const znl_layout *layout)
{
    return (layout->width == 1 ? 8u : 16u) - layout->symbol_bits;
}

/* Numbers of two registers by turns: those 0, 1, 2 ... of both, with 16 or 32 bits each. */
INLINE halves interleave_16(__m512i even, __m512i odd)
{
    const __m512i lower =
        _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                         37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i upper = _mm512_add_epi16(lower, every_16(16));
    const halves turns = {_mm512_permutex2var_epi16(even, lower, odd),
                          _mm512_permutex2var_epi16(even, upper, odd)};
    return turns;
}

INLINE halves interleave_32(__m512i even, __m512i odd)
{
    const __m512i lower = _mm512_set_epi32(23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i upper = _mm512_add_epi32(lower, _mm512_set1_epi32(8));
    const halves turns = {_mm512_permutex2var_epi32(even, lower, odd),
                          _mm512_permutex2var_epi32(even, upper, odd)};
    return turns;
}

/* Byte planes `plane` and `plane` + 1 of a block as 16-bit numbers. */
INLINE halves load_plane_pair(const uint8_t *planes, size_t plane_nbytes, unsigned plane)
{
    const __m512i low = load(planes + plane * plane_nbytes);
    const __m512i high = load(planes + (plane + 1) * plane_nbytes);
    const halves columns = {
        _mm512_ternarylogic_epi64(low, every_16(0x00ff), _mm512_slli_epi16(high, 8), AND_OR),
        _mm512_ternarylogic_epi64(high, every_16(0xff00), _mm512_srli_epi16(low, 8), AND_OR)};
    return columns;
}

/* The low bits of a block that lie one bit in each vector of the superblock's bit plane: each step shifts
 * them down and puts the next one on top. */
INLINE __m512i gather_field(unsigned low_bits, unsigned block, const uint8_t *bit_plane)
{
    const __m512i top = _mm512_set1_epi8((char)(1u << block));
    __m512i gathered = load(bit_plane);
    for (unsigned k = 1; k < low_bits; k++)
        gathered = _mm512_ternarylogic_epi64(top, load(bit_plane + k * BLOCK),
                                             _mm512_srli_epi16(gathered, 1), SELECT);
    return shift_right(gathered, block + 1 - low_bits);
}

/* Add the low bits of block `block` of a superblock to the tops of its values. */
INLINE halves add_low_bits(const znl_layout *layout, unsigned block, const uint8_t *bit_plane,
                           halves tops)
{
    const unsigned low_bits = layout->low_bits, in_a_byte = 8 / low_bits;
    const unsigned at = raw_top_bits(layout) - low_bits; /* 0, or 8 above a low byte */
    const __m512i mask = every_16(((1u << low_bits) - 1) << at);
    __m512i packed;
    unsigned from = 0;
    if (block < in_a_byte * low_bits) {
        packed = load(bit_plane + block / in_a_byte * BLOCK);
        from = block % in_a_byte * low_bits;
    } else {
        packed = gather_field(low_bits, block, bit_plane);
    }
    const __m512i lower = at ? shift_left(packed, at - from) : shift_right(packed, from);
    const __m512i upper = shift_right(packed, from + 8 - at);
    tops.lower = _mm512_ternarylogic_epi64(lower, mask, tops.lower, AND_OR);
    tops.upper = _mm512_ternarylogic_epi64(upper, mask, tops.upper, AND_OR);
    return tops;
}

/* Store 64 values of one byte each: they come as 16-bit numbers below 256. */
INLINE void store_bytes(const znl_layout *layout, halves tops, uint8_t *out)
{
    const __m512i in_order = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0);
    __m512i bytes = _mm512_permutexvar_epi64(in_order, _mm512_packus_epi16(tops.lower, tops.upper));
    if (layout->transform == ZNL_ROTATE)
        bytes = _mm512_ternarylogic_epi64(_mm512_set1_epi8(0x7f), _mm512_srli_epi16(bytes, 1),
                                          _mm512_slli_epi16(bytes, 7), SELECT);
    if (layout->transform == ZNL_OFFSET)
        bytes = _mm512_xor_si512(bytes, _mm512_set1_epi8((char)0x80));
    _mm512_storeu_si512(out, bytes);
}

/* Store half a block of values of 2, 4 or 8 bytes: columns of 16 bits, the lowest first. */
INLINE void store_columns(unsigned width, const __m512i columns[4], uint8_t *out)
{
    if (width == 2) _mm512_storeu_si512(out, columns[0]);
    if (width == 4) {
        const halves values = interleave_16(columns[0], columns[1]);
        _mm512_storeu_si512(out, values.lower);
        _mm512_storeu_si512(out + 64, values.upper);
    }
    if (width == 8) {
        const halves low = interleave_16(columns[0], columns[1]);
        const halves high = interleave_16(columns[2], columns[3]);
        const halves first = interleave_32(low.lower, high.lower);
        const halves second = interleave_32(low.upper, high.upper);
        _mm512_storeu_si512(out, first.lower);
        _mm512_storeu_si512(out + 64, first.upper);
        _mm512_storeu_si512(out + 128, second.lower);
        _mm512_storeu_si512(out + 192, second.upper);
    }
}

/* Merge block `block` of a superblock out of its symbol values.
 *
 * planes     the block's part of the byte planes, which lie plane_nbytes apart
 * bit_plane  the superblock's
 */
INLINE void merge_block(const znl_layout *layout, unsigned block, halves symbols,
                        const uint8_t *planes, size_t plane_nbytes, const uint8_t *bit_plane,
                        uint8_t *out)
{
    const unsigned width = layout->width, below = width > 2 ? width - 2u : 0;
    const unsigned raw_bits = raw_top_bits(layout);
    halves tops = {shift_left(symbols.lower, raw_bits), shift_left(symbols.upper, raw_bits)};
    if (layout->low_bits) tops = add_low_bits(layout, block, bit_plane, tops);
    if (raw_bits > layout->low_bits) {
        const __m512i low = load(planes + below * plane_nbytes);
        tops.lower = _mm512_ternarylogic_epi64(low, every_16(255), tops.lower, AND_OR);
        tops.upper = _mm512_or_si512(_mm512_srli_epi16(low, 8), tops.upper);
    }
    if (width == 1) {
        store_bytes(layout, tops, out);
        return;
    }
    /* All layouts of more than one byte rotate. */
    __m512i lower[4], upper[4];
    for (unsigned i = 0; i < below / 2; i++) {
        const halves columns = load_plane_pair(planes, plane_nbytes, 2 * i);
        lower[i] = columns.lower;
        upper[i] = columns.upper;
    }
    lower[below / 2] = _mm512_shrdi_epi16(tops.lower, tops.lower, 1);
    upper[below / 2] = _mm512_shrdi_epi16(tops.upper, tops.upper, 1);
    store_columns(width, lower, out);
    store_columns(width, upper, out + BLOCK / 2 * width);
}

/* Run CALL with a constant layout equal to *layout, so that the compiler sees every shift and width;
 * what follows the rows is for a layout that is none of them. */
#define SPECIALISE(code, w, t, s, p, b)                                                            \
    if (layout->width == (w) && layout->transform == (t) && layout->symbol_bits == (s)) {          \
        static const znl_layout fixed = {w, t, s, p, b};                                           \
        CALL(&fixed);                                                                              \
    } else
