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

typedef __m256 F;

/* States below 2^31, and any by their halves, which are exact in float. */
TARGET ZNL_INLINE F float_of_states(V states)
{
    return _mm256_cvtepi32_ps(states);
}

TARGET ZNL_INLINE F float_of_halves(V high, V low)
{
    const __m256 upper = _mm256_cvtepi32_ps(high), lower = _mm256_cvtepi32_ps(low);
    return _mm256_fmadd_ps(upper, _mm256_set1_ps(65536.0f), lower);
}

/* Quotients of 8 states by frequencies, exact or 1 short. frequencies: bits of the floats 2^23 + frequency.
 * They are taken 8 units of 2^-24 too large, which is more than a state, a frequency and a quotient can
 * gain by rounding in any mode of the process: 2 units each. What is lost is at most 14 units of a
 * quotient below 2^20, less than 1. */
TARGET ZNL_INLINE V divide(F states, V frequencies)
{
    const float above_1 = 1.0f + 8.0f / 16777216.0f;
    const __m256 divisors =
        _mm256_fmsub_ps(_mm256_castsi256_ps(frequencies), _mm256_set1_ps(above_1),
                        _mm256_set1_ps(8388608.0f * above_1));
    return _mm256_cvttps_epi32(_mm256_div_ps(states, divisors));
}

#include "rans_encode_shuffle_body.h" /* last: it uses the names above */

#endif
