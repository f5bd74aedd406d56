/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder with AVX2: 16 lanes a register. */
#include "errors.h"
#include "expand.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_AVX2
#include <immintrin.h>

#include "vector_avx2.h"

#define DECODE znl_rans_decode_avx2
#define DECODE_PAIR znl_rans_decode_pair_avx2

/* Words for 8 lanes in the lower half and the next 8 lanes in the upper; orders are offsets in the
 * table, 16 times a mask of lanes. */
TARGET ZNL_INLINE V expand(const uint8_t *first, size_t first_order, const uint8_t *second,
                           size_t second_order)
{
    const uint8_t *orders = znl_expand_words[0];
    const V data =
        _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)first)),
                                _mm_loadu_si128((const __m128i *)second), 1);
    const V order = _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(orders + first_order))),
        _mm_loadu_si128((const __m128i *)(orders + second_order)), 1);
    return SHUFFLE8(data, order);
}

/* The lanes marked in `takes` get the next words, in order; the others 0. */
TARGET ZNL_INLINE void take_words(const uint8_t **words, const V takes[2], V taken[2])
{
    /* A pack works within 128-bit halves: bytes 0 and 2 of the mask are vector 0, 1 and 3 vector 1. */
    const size_t marked = (unsigned)_mm256_movemask_epi8(_mm256_packs_epi16(takes[0], takes[1]));
    const size_t a = marked << 4 & 0xff0, b = marked >> 12 & 0xff0, c = marked >> 4 & 0xff0,
                 d = marked >> 20 & 0xff0;
    const uint8_t *at_b = *words + 2 * (size_t)_mm_popcnt_u64(a);
    const uint8_t *at_c = at_b + 2 * (size_t)_mm_popcnt_u64(b);
    const uint8_t *at_d = at_c + 2 * (size_t)_mm_popcnt_u64(c);
    taken[0] = expand(*words, a, at_b, b);
    taken[1] = expand(at_c, c, at_d, d);
    *words = at_d + 2 * (size_t)_mm_popcnt_u64(d);
}

#include "rans_shuffle_body.h" /* last: it uses the names above */

#endif
