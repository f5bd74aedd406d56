/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder with AVX2. */
#include "errors.h"
#include "expand.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_AVX2
#include <immintrin.h>

#include "vector_avx2.h"

#define FOR_EACH_PAIR_BACKWARDS(STEP) STEP(1) STEP(0)
#define ENCODE znl_rans_encode_avx2

/* Quotients of 8 states by frequencies, exact or 1 short. Halves and frequencies are exact in float. The
 * upper half, at least 0.5 of a state that has one, is taken 10 units of 2^-24 too small, which is more
 * than the sum and the quotient can gain by rounding in any mode of the process: 2 units each. What is
 * lost is at most 14 units of a quotient below 2^20, less than 1. */
TARGET ZNL_INLINE V divide(V high, V low, V frequency)
{
    const __m256 scale = _mm256_set1_ps(65536.0f * (1.0f - 10.0f / 16777216.0f));
    const __m256 state = _mm256_fmadd_ps(_mm256_cvtepi32_ps(high), scale, _mm256_cvtepi32_ps(low));
    return _mm256_cvttps_epi32(_mm256_div_ps(state, _mm256_cvtepi32_ps(frequency)));
}

#include "rans_encode_shuffle_body.h" /* last: it uses the names above */

#endif
