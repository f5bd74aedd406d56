/* SPDX-License-Identifier: Apache-2.0 */
/* Fields with AVX2 and BMI2: four at a time are put in their places by one pdep. */
#include "second.h"
#include "target.h"

#if ZNL_HAS_AVX2
#include <immintrin.h>

#include "bytes.h"

#ifdef __AVX2__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#define TARGET ZNL_TARGET_AVX2
#define GROUP 16u /* values of a register */

/* The lowest one bit of each of 16 values by their zeros; none for 16 zeros. */
TARGET ZNL_INLINE __m256i lowest_ones(const uint8_t *second)
{
    const __m128i bits = _mm_set1_epi64x((int64_t)0x8040201008040201), none = _mm_setzero_si128();
    const __m128i low = _mm_unpacklo_epi64(bits, none), high = _mm_unpacklo_epi64(none, bits);
    const __m128i zeros = _mm_loadu_si128((const __m128i *)second);
    /* 16 becomes a place that a shuffle leaves empty. */
    const __m128i sixteen = _mm_and_si128(_mm_slli_epi16(zeros, 3), _mm_set1_epi8((char)0x80));
    const __m128i place = _mm_or_si128(zeros, sixteen);
    const __m128i low_bytes = _mm_shuffle_epi8(low, place),
                  high_bytes = _mm_shuffle_epi8(high, place);
    return _mm256_set_m128i(_mm_unpackhi_epi8(low_bytes, high_bytes),
                            _mm_unpacklo_epi8(low_bytes, high_bytes));
}

/* 64 bits from any bit on; reads 9 bytes. */
ZNL_INLINE uint64_t bits_at(const uint8_t *in, size_t bit)
{
    const unsigned shift = bit & 7;
    const uint8_t *from = in + (bit >> 3);
    return load_u64le(from) >> shift | (uint64_t)from[8] << 1 << (63 - shift);
}

TARGET ZNL_INLINE void store_planes(const uint16_t *low, uint8_t *low_bytes, uint8_t *high_bytes)
{
    const __m256i byte = _mm256_set1_epi16(0x00ff);
    for (unsigned j = 0; j < ZNL_BLOCK_VALUES / 2; j += GROUP) { /* pair order */
        const __m256i even = _mm256_loadu_si256((const __m256i *)(low + j));
        const __m256i odd = _mm256_loadu_si256((const __m256i *)(low + ZNL_BLOCK_VALUES / 2 + j));
        _mm256_storeu_si256(
            (__m256i *)(low_bytes + 2 * j),
            _mm256_or_si256(_mm256_and_si256(even, byte), _mm256_slli_epi16(odd, 8)));
        _mm256_storeu_si256(
            (__m256i *)(high_bytes + 2 * j),
            _mm256_or_si256(_mm256_srli_epi16(even, 8), _mm256_andnot_si256(byte, odd)));
    }
}

TARGET size_t znl_read_fields_avx2(const uint8_t *in, const uint8_t *second, size_t count,
                                   uint8_t *planes)
{
    size_t bit = 0;
    for (size_t first = 0; first < count; first += ZNL_BLOCK_VALUES) {
        uint16_t low[ZNL_BLOCK_VALUES];
        for (unsigned i = 0; i < ZNL_BLOCK_VALUES; i += GROUP) {
            const __m256i ones = lowest_ones(second + first + i);
            /* The places above the lowest one bit: -2, -4, ... of 16 bits; of no bit none. */
            const __m256i above =
                _mm256_sub_epi16(_mm256_setzero_si256(), _mm256_add_epi16(ones, ones));
            uint64_t fields[GROUP / 4];
            _mm256_storeu_si256((__m256i *)fields, above);
            for (unsigned f = 0; f < GROUP / 4; f++) {
                const uint64_t places = fields[f];
                fields[f] = _pdep_u64(bits_at(in, bit), places);
                bit += (size_t)_mm_popcnt_u64(places);
            }
            _mm256_storeu_si256((__m256i *)(low + i),
                                _mm256_or_si256(ones, _mm256_loadu_si256((const __m256i *)fields)));
        }
        store_planes(low, planes + first, planes + count + first);
    }
    return bit;
}

#endif
