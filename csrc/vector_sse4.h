/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors of 16 bytes by the names that the *_shuffle_body.h texts use. For files named *_sse4.c, after
 * immintrin.h. */
#ifndef ZNL_VECTOR_SSE4_H
#define ZNL_VECTOR_SSE4_H

#include "target.h"

#ifdef __SSE4_1__
#error "build for the baseline: this file must not decide what other code may use"
#endif

typedef __m128i V;
#define TARGET ZNL_TARGET_SSE4
#define LANES 8 /* 16-bit numbers of a vector */

#define LOAD(from) _mm_loadu_si128((const V *)(const void *)(from))
#define STORE(to, a) _mm_storeu_si128((V *)(void *)(to), a)
#define LOAD_HALVES(lower, upper) LOAD(lower)
#define STORE_HALVES(lower, upper, a) STORE(lower, a)
#define LOAD_TABLE(bytes) LOAD(bytes)
/* LANES bytes as numbers of 16 bits. */
#define WIDEN8(from) _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)(from)))
#define WIDEN_SIGNED8(from)                                                                        \
    _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)(from)))
#define SET8(x) _mm_set1_epi8((char)(x))
#define SET16(x) _mm_set1_epi16((short)(x))
#define SET32(x) _mm_set1_epi32(x)
#define SET64(x) _mm_set1_epi64x(x)
#define ZERO() _mm_setzero_si128()

#define AND(a, b) _mm_and_si128(a, b)
#define AND_NOT(a, b) _mm_andnot_si128(a, b)
#define OR(a, b) _mm_or_si128(a, b)
#define XOR(a, b) _mm_xor_si128(a, b)
#define ADD8(a, b) _mm_add_epi8(a, b)
#define ADD16(a, b) _mm_add_epi16(a, b)
#define ADD32(a, b) _mm_add_epi32(a, b)
#define ADD64(a, b) _mm_add_epi64(a, b)
#define SUB8(a, b) _mm_sub_epi8(a, b)
#define SUB16(a, b) _mm_sub_epi16(a, b)
#define SUB_SATURATED8(a, b) _mm_subs_epu8(a, b)
#define SUB_SATURATED16(a, b) _mm_subs_epu16(a, b)
#define MUL_LOW16(a, b) _mm_mullo_epi16(a, b)
#define MUL_HIGH16(a, b) _mm_mulhi_epu16(a, b)
#define MUL32(a, b) _mm_mul_epu32(a, b)              /* of the lower halves of 64 bits */
#define ADD_PAIRS16(a, ones) _mm_madd_epi16(a, ones) /* signed, to 32 bits */
#define MAX16(a, b) _mm_max_epu16(a, b)
#define MIN8(a, b) _mm_min_epu8(a, b)
#define MIN16(a, b) _mm_min_epu16(a, b)
#define EQUAL16(a, b) _mm_cmpeq_epi16(a, b)
#define GREATER8(a, b) _mm_cmpgt_epi8(a, b)
#define SHIFT_LEFT16(a, count) _mm_slli_epi16(a, count)
#define SHIFT_LEFT32(a, count) _mm_slli_epi32(a, count)
#define SHIFT_LEFT64(a, count) _mm_slli_epi64(a, count)
#define SHIFT_RIGHT16(a, count) _mm_srli_epi16(a, count)
#define SHIFT_RIGHT32(a, count) _mm_srli_epi32(a, count)
#define SHIFT_RIGHT64(a, count) _mm_srli_epi64(a, count)
#define SHIFT_RIGHT_SIGNED16(a, count) _mm_srai_epi16(a, count)
#define SWAP_HALVES64(a) _mm_shuffle_epi32(a, 0x4e) /* of each 128 bits */
#define SHUFFLE8(table, index) _mm_shuffle_epi8(table, index)
#define SELECT8(mask, a, b) _mm_blendv_epi8(b, a, mask)
#define EVEN_AND_ODD16(even, odd) _mm_blend_epi16(even, odd, 0xaa)
#define IS_ZERO(a) _mm_testz_si128(a, a)
#define MASK8(a) (unsigned)_mm_movemask_epi8(a)

#define PACK_SIGNED16(a, b) _mm_packs_epi16(a, b)
#define PACK_UNSIGNED16(a, b) _mm_packus_epi16(a, b)
#define PACK_UNSIGNED32(a, b) _mm_packus_epi32(a, b)
#define UNPACK_LOW8(a, b) _mm_unpacklo_epi8(a, b)
#define UNPACK_LOW16(a, b) _mm_unpacklo_epi16(a, b)
#define UNPACK_LOW32(a, b) _mm_unpacklo_epi32(a, b)
#define UNPACK_LOW64(a, b) _mm_unpacklo_epi64(a, b)
#define UNPACK_HIGH8(a, b) _mm_unpackhi_epi8(a, b)
#define UNPACK_HIGH16(a, b) _mm_unpackhi_epi16(a, b)
#define UNPACK_HIGH32(a, b) _mm_unpackhi_epi32(a, b)
#define UNPACK_HIGH64(a, b) _mm_unpackhi_epi64(a, b)

/* The numbers of a, then those of b, each cut to its lower half. */
#define NARROW16(a, b) _mm_packus_epi16(a, b)
#define NARROW32(a, b) _mm_packus_epi32(a, b)

/* a[0], b[0], a[1], b[1] ...: two vectors to `to`. */
#define STORE_INTERLEAVED16(to, a, b)                                                              \
    do {                                                                                           \
        STORE(to, _mm_unpacklo_epi16(a, b));                                                       \
        STORE((to) + sizeof(V), _mm_unpackhi_epi16(a, b));                                         \
    } while (0)

/* The same of bytes, in registers. */
#define INTERLEAVE8(a, b, first, second)                                                           \
    do {                                                                                           \
        first = _mm_unpacklo_epi8(a, b);                                                           \
        second = _mm_unpackhi_epi8(a, b);                                                          \
    } while (0)

#endif
