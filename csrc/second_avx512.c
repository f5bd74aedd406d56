/* SPDX-License-Identifier: Apache-2.0 */
/* Second order with AVX-512 (F, BW, VL, VBMI2): a register of second symbols is compressed to those of each context, or
 * put together from them. */
#include <string.h>

#include "second.h"
#include "target.h"

#if ZNL_HAS_AVX512
#include <immintrin.h>

#ifdef __AVX512F__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#define TARGET ZNL_TARGET_AVX512
#define LANES 32u

/* Ones for the first lanes. */
ZNL_INLINE __mmask32 first_lanes(unsigned count)
{
    return count < LANES ? (UINT32_C(1) << count) - 1 : UINT32_MAX;
}

/* The lanes whose symbol values lie in a context. at_least: those not below it; becomes those not below the next. */
TARGET ZNL_INLINE __mmask32 lanes_of(const znl_contexts *contexts, unsigned c, __m512i symbols,
                                     __mmask32 *at_least)
{
    const __mmask32 from = *at_least;
    if (c + 1 == contexts->count) return from;
    *at_least = _mm512_mask_cmpge_epu16_mask(from, symbols,
                                             _mm512_set1_epi16((short)contexts->begins[c + 1]));
    return from & ~*at_least;
}

TARGET void znl_count_contexts_avx512(const znl_contexts *contexts, const uint16_t *symbols,
                                      size_t count, znl_context_counts *counts)
{
    const size_t quarter = count / ZNL_QUARTERS;
    memset(counts, 0, sizeof *counts);
    for (unsigned q = 0; q < ZNL_QUARTERS; q++)
        for (size_t i = 0; i < quarter; i += LANES) {
            __mmask32 lanes = first_lanes((unsigned)(quarter - i < LANES ? quarter - i : LANES));
            const __m512i values = _mm512_maskz_loadu_epi16(lanes, symbols + q * quarter + i);
            for (unsigned c = 0; c < contexts->count; c++)
                counts->of[q][c] += (uint32_t)_mm_popcnt_u32(lanes_of(contexts, c, values, &lanes));
        }
}

TARGET void znl_sort_second_avx512(const znl_contexts *contexts, const uint16_t *symbols,
                                   const znl_context_counts *begins, const uint8_t *in,
                                   size_t count, uint16_t *out)
{
    uint32_t next[ZNL_MAX_CONTEXTS];
    memcpy(next, begins->of[0], sizeof next);
    for (size_t i = 0; i < count; i += LANES) {
        const __m512i values = _mm512_loadu_si512(symbols + i);
        const __m512i second = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(in + i)));
        __mmask32 rest = UINT32_MAX;
        for (unsigned c = 0; c < contexts->count; c++) {
            const __mmask32 lanes = lanes_of(contexts, c, values, &rest);
            const unsigned found = (unsigned)_mm_popcnt_u32(lanes);
            _mm512_mask_storeu_epi16(out + next[c], first_lanes(found),
                                     _mm512_maskz_compress_epi16(lanes, second));
            next[c] += found;
        }
    }
}

TARGET void znl_spread_second_avx512(const znl_contexts *contexts, const uint16_t *symbols,
                                     const znl_context_counts *begins, const uint16_t *in,
                                     size_t count, uint8_t *out)
{
    uint32_t next[ZNL_MAX_CONTEXTS];
    memcpy(next, begins->of[0], sizeof next);
    for (size_t i = 0; i < count; i += LANES) {
        const __m512i values = _mm512_loadu_si512(symbols + i);
        __m512i second = _mm512_setzero_si512();
        __mmask32 rest = UINT32_MAX;
        for (unsigned c = 0; c < contexts->count; c++) {
            const __mmask32 lanes = lanes_of(contexts, c, values, &rest);
            const unsigned found = (unsigned)_mm_popcnt_u32(lanes);
            second = _mm512_mask_expand_epi16(
                second, lanes, _mm512_maskz_loadu_epi16(first_lanes(found), in + next[c]));
            next[c] += found;
        }
        _mm256_storeu_si256((__m256i *)(out + i), _mm512_cvtepi16_epi8(second));
    }
}

#endif
