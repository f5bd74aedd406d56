/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder with SSSE3 and SSE4.1. */
#include "errors.h"
#include "expand.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_SSE4
#include <immintrin.h>

#include "vector_sse4.h"

#define FOR_EACH_PAIR_BACKWARDS(STEP) STEP(3) STEP(2) STEP(1) STEP(0)
#define ENCODE znl_rans_encode_sse4

typedef __m128 F;

/* States below 2^31, and any by their halves, which are exact in float. */
TARGET ZNL_INLINE F float_of_states(V states)
{
    return _mm_cvtepi32_ps(states);
}

TARGET ZNL_INLINE F float_of_halves(V high, V low)
{
    const __m128 upper = _mm_mul_ps(_mm_cvtepi32_ps(high), _mm_set1_ps(65536.0f));
    return _mm_add_ps(upper, _mm_cvtepi32_ps(low));
}

/* Quotients of 4 states by frequencies, exact or 1 short. frequencies: bits of the floats 2^23 + frequency.
 * They are taken 8 units of 2^-24 too large, which is more than a state, a frequency and a quotient can
 * gain by rounding in any mode of the process: 2 units each. What is lost is at most 14 units of a
 * quotient below 2^20, less than 1. */
TARGET ZNL_INLINE V divide(F states, V frequencies)
{
    const __m128 exact = _mm_sub_ps(_mm_castsi128_ps(frequencies), _mm_set1_ps(8388608.0f));
    const __m128 divisors = _mm_mul_ps(exact, _mm_set1_ps(1.0f + 8.0f / 16777216.0f));
    return _mm_cvttps_epi32(_mm_div_ps(states, divisors));
}

#include "rans_encode_shuffle_body.h" /* last: it uses the names above */

#endif
