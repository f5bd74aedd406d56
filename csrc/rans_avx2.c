/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder with AVX2: 16 lanes a register. */
#include "errors.h"
#include "expand.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_AVX2
#include <immintrin.h>

#ifdef __AVX2__
#error "build for the baseline: this file must not decide what other code may use"
#endif

typedef __m256i V;
#define TARGET ZNL_TARGET_AVX2
#define LANES 16
#define VECTORS (ZNL_WIDE_LANES / LANES)
#define DECODE znl_rans_decode_avx2
#define LOAD_TABLE(bytes) _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(bytes)))
#define ADD16(a, b) _mm256_add_epi16(a, b)
#define ADD8(a, b) _mm256_add_epi8(a, b)
#define AND(a, b) _mm256_and_si256(a, b)
#define AND_NOT(a, b) _mm256_andnot_si256(a, b)
#define EQUAL16(a, b) _mm256_cmpeq_epi16(a, b)
#define EQUAL8(a, b) _mm256_cmpeq_epi8(a, b)
#define LOAD(from) _mm256_loadu_si256((const V *)(from))
#define MAX8(a, b) _mm256_max_epu8(a, b)
#define MIN16(a, b) _mm256_min_epu16(a, b)
#define MUL_HIGH(a, b) _mm256_mulhi_epu16(a, b)
#define MUL_LOW(a, b) _mm256_mullo_epi16(a, b)
#define OR(a, b) _mm256_or_si256(a, b)
#define PACK(a, b) _mm256_packus_epi16(a, b)
#define SET16(x) _mm256_set1_epi16(x)
#define SET8(x) _mm256_set1_epi8(x)
#define SHIFT_RIGHT(a, count) _mm256_srli_epi16(a, count)
#define SHUFFLE(table, index) _mm256_shuffle_epi8(table, index)
#define STORE(to, a) _mm256_storeu_si256((V *)(to), a)
#define SUB_SATURATED(a, b) _mm256_subs_epu16(a, b)
#define UNPACK_HIGH(a, b) _mm256_unpackhi_epi8(a, b)
#define UNPACK_LOW(a, b) _mm256_unpacklo_epi8(a, b)
#define XOR(a, b) _mm256_xor_si256(a, b)
#define ZERO() _mm256_setzero_si256()

/* Words for 8 lanes in the lower half and the next 8 lanes in the upper. */
TARGET static inline V expand(const uint8_t *first, unsigned first_lanes, const uint8_t *second,
                              unsigned second_lanes)
{
    const V data =
        _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)first)),
                                _mm_loadu_si128((const __m128i *)second), 1);
    const V order = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)znl_expand_words[first_lanes])),
        _mm_loadu_si128((const __m128i *)znl_expand_words[second_lanes]), 1);
    return SHUFFLE(data, order);
}

/* The lanes marked in `takes` get the next words, in order; the others 0. */
TARGET static inline void take_words(const uint8_t **words, const V takes[2], V taken[2])
{
    /* A pack works within 128-bit halves: bytes 0 and 2 of the mask are vector 0, 1 and 3 vector 1. */
    const unsigned marked = (unsigned)_mm256_movemask_epi8(_mm256_packs_epi16(takes[0], takes[1]));
    const unsigned a = marked & 255, b = marked >> 16 & 255, c = marked >> 8 & 255,
                   d = marked >> 24;
    const uint8_t *at_b = *words + 2 * _mm_popcnt_u32(a);
    const uint8_t *at_c = at_b + 2 * _mm_popcnt_u32(b);
    const uint8_t *at_d = at_c + 2 * _mm_popcnt_u32(c);
    taken[0] = expand(*words, a, at_b, b);
    taken[1] = expand(at_c, c, at_d, d);
    *words = at_d + 2 * _mm_popcnt_u32(d);
}

#include "rans_shuffle_body.h" /* last: it uses the names above */

#endif
