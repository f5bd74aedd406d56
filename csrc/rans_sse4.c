/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder with SSSE3 and SSE4.1: 8 lanes a register. */
#include "errors.h"
#include "expand.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_SSE4
#include <immintrin.h>

#include "vector_sse4.h"

#define DECODE znl_rans_decode_sse4

/* The lanes marked in `takes` get the next words, in order; the others 0. */
TARGET ZNL_INLINE void take_words(const uint8_t **words, const V takes[2], V taken[2])
{
    const uint8_t *orders = znl_expand_words[0];
    const size_t marked = (unsigned)_mm_movemask_epi8(_mm_packs_epi16(takes[0], takes[1]));
    const size_t a = marked << 4 & 0xff0, b = marked >> 4 & 0xff0;
    const uint8_t *at_b = *words + 2 * (size_t)_mm_popcnt_u64(a);
    taken[0] = SHUFFLE8(LOAD(*words), LOAD(orders + a));
    taken[1] = SHUFFLE8(LOAD(at_b), LOAD(orders + b));
    *words = at_b + 2 * (size_t)_mm_popcnt_u64(b);
}

#include "rans_shuffle_body.h" /* last: it uses the names above */

#endif
