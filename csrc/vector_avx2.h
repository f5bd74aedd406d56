/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 32 bytes by the names that the *_shuffle_body.h texts use. For files named *_avx2.c, after
 * immintrin.h. */
#ifndef ZNL_VECTOR_AVX2_H
#define ZNL_VECTOR_AVX2_H

#include "target.h"

#ifdef __AVX2__
#error "build for the baseline: this file must not decide what other code may use"
#endif

typedef __m256i V;
#define TARGET ZNL_TARGET_AVX2
#define LANES 16 /* 16-bit numbers of a vector */

#define LOAD(from) _mm256_loadu_si256((const V *)(const void *)(from))
#define STORE(to, a) _mm256_storeu_si256((V *)(void *)(to), a)
/* 16 bytes from or to each of two places. */
#define LOAD_HALVES(lower, upper)                                                                  \
    JOIN(_mm_loadu_si128((const __m128i *)(const void *)(lower)),                                  \
         _mm_loadu_si128((const __m128i *)(const void *)(upper)))
#define STORE_HALVES(lower, upper, a)                                                              \
    do {                                                                                           \
        _mm_storeu_si128((__m128i *)(void *)(lower), LOWER(a));                                    \
        _mm_storeu_si128((__m128i *)(void *)(upper), UPPER(a));                                    \
    } while (0)
/* 16 bytes, once in each half: shuffles work within halves. */
#define LOAD_TABLE(bytes)                                                                          \
    _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(bytes)))
/* LANES bytes as numbers of 16 bits. */
#define WIDEN8(from) _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(from)))
#define WIDEN_SIGNED8(from)                                                                        \
    _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(from)))
#define SET8(x) _mm256_set1_epi8((char)(x))
#define SET16(x) _mm256_set1_epi16((short)(x))
#define SET32(x) _mm256_set1_epi32(x)
#define SET64(x) _mm256_set1_epi64x(x)
#define ZERO() _mm256_setzero_si256()

#define AND(a, b) _mm256_and_si256(a, b)
#define AND_NOT(a, b) _mm256_andnot_si256(a, b)
#define OR(a, b) _mm256_or_si256(a, b)
#define XOR(a, b) _mm256_xor_si256(a, b)
#define ADD8(a, b) _mm256_add_epi8(a, b)
#define ADD16(a, b) _mm256_add_epi16(a, b)
#define ADD32(a, b) _mm256_add_epi32(a, b)
#define ADD64(a, b) _mm256_add_epi64(a, b)
#define SUB8(a, b) _mm256_sub_epi8(a, b)
#define SUB16(a, b) _mm256_sub_epi16(a, b)
#define SUB_SATURATED8(a, b) _mm256_subs_epu8(a, b)
#define SUB_SATURATED16(a, b) _mm256_subs_epu16(a, b)
#define MUL_LOW16(a, b) _mm256_mullo_epi16(a, b)
#define MUL_HIGH16(a, b) _mm256_mulhi_epu16(a, b)
#define MUL32(a, b) _mm256_mul_epu32(a, b)              /* of the lower halves of 64 bits */
#define ADD_PAIRS16(a, ones) _mm256_madd_epi16(a, ones) /* signed, to 32 bits */
#define MAX16(a, b) _mm256_max_epu16(a, b)
#define MIN8(a, b) _mm256_min_epu8(a, b)
#define MIN16(a, b) _mm256_min_epu16(a, b)
#define EQUAL16(a, b) _mm256_cmpeq_epi16(a, b)
#define GREATER8(a, b) _mm256_cmpgt_epi8(a, b)
#define SHIFT_LEFT16(a, count) _mm256_slli_epi16(a, count)
#define SHIFT_LEFT32(a, count) _mm256_slli_epi32(a, count)
#define SHIFT_LEFT64(a, count) _mm256_slli_epi64(a, count)
#define SHIFT_RIGHT16(a, count) _mm256_srli_epi16(a, count)
#define SHIFT_RIGHT32(a, count) _mm256_srli_epi32(a, count)
#define SHIFT_RIGHT64(a, count) _mm256_srli_epi64(a, count)
#define SHIFT_RIGHT_SIGNED16(a, count) _mm256_srai_epi16(a, count)
#define SWAP_HALVES64(a) _mm256_shuffle_epi32(a, 0x4e) /* of each 128 bits */
#define SHUFFLE8(table, index) _mm256_shuffle_epi8(table, index)
#define SELECT8(mask, a, b) _mm256_blendv_epi8(b, a, mask)
#define EVEN_AND_ODD16(even, odd) _mm256_blend_epi16(even, odd, 0xaa)
#define LOWER(a) _mm256_castsi256_si128(a)
#define UPPER(a) _mm256_extracti128_si256(a, 1)
#define JOIN(lower, upper) _mm256_inserti128_si256(_mm256_castsi128_si256(lower), upper, 1)
#define IS_ZERO(a) _mm256_testz_si256(a, a)
#define MASK8(a) (unsigned)_mm256_movemask_epi8(a)

/* These work within halves; what one takes apart another puts together. */
#define PACK_SIGNED16(a, b) _mm256_packs_epi16(a, b)
#define PACK_UNSIGNED16(a, b) _mm256_packus_epi16(a, b)
#define PACK_UNSIGNED32(a, b) _mm256_packus_epi32(a, b)
#define UNPACK_LOW8(a, b) _mm256_unpacklo_epi8(a, b)
#define UNPACK_LOW16(a, b) _mm256_unpacklo_epi16(a, b)
#define UNPACK_LOW32(a, b) _mm256_unpacklo_epi32(a, b)
#define UNPACK_LOW64(a, b) _mm256_unpacklo_epi64(a, b)
#define UNPACK_HIGH8(a, b) _mm256_unpackhi_epi8(a, b)
#define UNPACK_HIGH16(a, b) _mm256_unpackhi_epi16(a, b)
#define UNPACK_HIGH32(a, b) _mm256_unpackhi_epi32(a, b)
#define UNPACK_HIGH64(a, b) _mm256_unpackhi_epi64(a, b)

/* Vectors that are whole: the numbers of a, then those of b, each cut to its lower half. */
#define NARROW16(a, b) _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xd8)
#define NARROW32(a, b) _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8)

/* a[0], b[0], a[1], b[1] ...: two vectors to `to`. */
#define STORE_INTERLEAVED16(to, a, b)                                                              \
    do {                                                                                           \
        const V first_ = _mm256_unpacklo_epi16(a, b), second_ = _mm256_unpackhi_epi16(a, b);       \
        STORE(to, _mm256_permute2x128_si256(first_, second_, 0x20));                               \
        STORE((to) + sizeof(V), _mm256_permute2x128_si256(first_, second_, 0x31));                 \
    } while (0)

/* The same of bytes, in registers. */
#define INTERLEAVE8(a, b, first, second)                                                           \
    do {                                                                                           \
        const V a_ = _mm256_permute4x64_epi64(a, 0xd8), b_ = _mm256_permute4x64_epi64(b, 0xd8);    \
        first = _mm256_unpacklo_epi8(a_, b_);                                                      \
        second = _mm256_unpackhi_epi8(a_, b_);                                                     \
    } while (0)

#endif
