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

/* Quotients of 4 states by frequencies, exact or 1 short. Halves and frequencies are exact in float.
 * States are taken 8 units of 2^-24 too small, which is more than products, sum and quotient can gain by
 * rounding in any mode of the process: 2 units each. What is lost is at most 14 units of a quotient below
 * 2^20, less than 1. */
TARGET ZNL_INLINE V divide(V high, V low, V frequency)
{
    const float below_1 = 1.0f - 8.0f / 16777216.0f;
    const __m128 upper = _mm_mul_ps(_mm_cvtepi32_ps(high), _mm_set1_ps(65536.0f * below_1));
    const __m128 lower = _mm_mul_ps(_mm_cvtepi32_ps(low), _mm_set1_ps(below_1));
    return _mm_cvttps_epi32(_mm_div_ps(_mm_add_ps(upper, lower), _mm_cvtepi32_ps(frequency)));
}

#include "rans_encode_shuffle_body.h" /* last: it uses the names above */

#endif
