/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder with SSSE3 and SSE4.1: 8 lanes a register. */
#include "errors.h"
#include "expand.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_SSE4
#include <immintrin.h>

#ifdef __SSE4_1__
#error "build for the baseline: this file must not decide what other code may use"
#endif

typedef __m128i V;
#define TARGET ZNL_TARGET_SSE4
#define LANES 8
#define VECTORS (ZNL_WIDE_LANES / LANES)
#define DECODE znl_rans_decode_sse4
#define LOAD_TABLE(bytes) LOAD(bytes)
#define ADD16(a, b) _mm_add_epi16(a, b)
#define ADD8(a, b) _mm_add_epi8(a, b)
#define AND(a, b) _mm_and_si128(a, b)
#define AND_NOT(a, b) _mm_andnot_si128(a, b)
#define EQUAL16(a, b) _mm_cmpeq_epi16(a, b)
#define EQUAL8(a, b) _mm_cmpeq_epi8(a, b)
#define LOAD(from) _mm_loadu_si128((const V *)(from))
#define MAX8(a, b) _mm_max_epu8(a, b)
#define MIN16(a, b) _mm_min_epu16(a, b)
#define MUL_HIGH(a, b) _mm_mulhi_epu16(a, b)
#define MUL_LOW(a, b) _mm_mullo_epi16(a, b)
#define OR(a, b) _mm_or_si128(a, b)
#define PACK(a, b) _mm_packus_epi16(a, b)
#define SET16(x) _mm_set1_epi16(x)
#define SET8(x) _mm_set1_epi8(x)
#define SHIFT_RIGHT(a, count) _mm_srli_epi16(a, count)
#define SHUFFLE(table, index) _mm_shuffle_epi8(table, index)
#define STORE(to, a) _mm_storeu_si128((V *)(to), a)
#define SUB_SATURATED(a, b) _mm_subs_epu16(a, b)
#define UNPACK_HIGH(a, b) _mm_unpackhi_epi8(a, b)
#define UNPACK_LOW(a, b) _mm_unpacklo_epi8(a, b)
#define XOR(a, b) _mm_xor_si128(a, b)
#define ZERO() _mm_setzero_si128()

/* The lanes marked in `takes` get the next words, in order; the others 0. */
TARGET static inline void take_words(const uint8_t **words, const V takes[2], V taken[2])
{
    const unsigned marked = (unsigned)_mm_movemask_epi8(_mm_packs_epi16(takes[0], takes[1]));
    for (int i = 0; i < 2; i++) {
        const unsigned lanes = marked >> (8 * i) & 255;
        taken[i] = SHUFFLE(LOAD(*words), LOAD(znl_expand_words[lanes]));
        *words += 2 * _mm_popcnt_u32(lanes);
    }
}

#include "rans_shuffle_body.h" /* last: it uses the names above */

#endif
