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

/* Values whose blocks have contexts of one group. */
typedef struct {
    size_t end;
    unsigned first, end_context;
} run;

/* The run that begins with value i, of values before `end`. */
ZNL_INLINE run run_at(const znl_contexts *contexts, const uint8_t *classes, size_t i, size_t end)
{
    const uint8_t g = contexts->group_of[classes[i / ZNL_BLOCK_VALUES]];
    size_t block = i / ZNL_BLOCK_VALUES + 1;
    while (block * ZNL_BLOCK_VALUES < end && contexts->group_of[classes[block]] == g) block++;
    const size_t behind = block * ZNL_BLOCK_VALUES;
    const run found = {behind < end ? behind : end, contexts->groups[g].first,
                       contexts->groups[g].end};
    return found;
}

/* The lanes whose symbol values lie in a context of a run. at_least: those not below it; becomes those not below the
 * next. */
TARGET ZNL_INLINE __mmask32 lanes_of(const znl_contexts *contexts, const run *of, unsigned c,
                                     __m512i symbols, __mmask32 *at_least)
{
    const __mmask32 from = *at_least;
    if (c + 1 == of->end_context) return from;
    /* Not masked: one comparison need not wait for another. */
    const __mmask32 next =
        _mm512_cmpge_epu16_mask(symbols, _mm512_set1_epi16((short)contexts->begins[c + 1]));
    *at_least = from & next;
    return from & ~next;
}

/* Add the values of a run, from value i on, to the counts of their contexts. */
TARGET ZNL_INLINE void count_run(const znl_contexts *contexts, const run *of,
                                 const uint16_t *symbols, size_t i, uint32_t *counts)
{
    for (; i < of->end; i += LANES) {
        __mmask32 lanes = first_lanes((unsigned)(of->end - i < LANES ? of->end - i : LANES));
        const __m512i values = _mm512_maskz_loadu_epi16(lanes, symbols + i);
        for (unsigned c = of->first; c < of->end_context; c++)
            counts[c] += (uint32_t)_mm_popcnt_u32(lanes_of(contexts, of, c, values, &lanes));
    }
}

TARGET void znl_count_contexts_avx512(const znl_contexts *contexts, const uint8_t *classes,
                                      const uint16_t *symbols, size_t count,
                                      znl_context_counts *counts)
{
    const size_t quarter = count / ZNL_QUARTERS;
    memset(counts, 0, sizeof *counts);
    for (unsigned q = 0; q < ZNL_QUARTERS; q++) {
        const size_t end = (q + 1) * quarter;
        for (size_t i = q * quarter; i < end;) {
            const run of = run_at(contexts, classes, i, end);
            count_run(contexts, &of, symbols, i, counts->of[q]);
            i = of.end;
        }
    }
}

/* Sort the values of a run, from value i on; next: where the next one of each context goes. */
TARGET ZNL_INLINE void sort_run(const znl_contexts *contexts, const run *of,
                                const uint16_t *symbols, const uint8_t *in, size_t i,
                                uint32_t *next, uint16_t *out)
{
    for (; i < of->end; i += LANES) {
        const __m512i values = _mm512_loadu_si512(symbols + i);
        const __m512i second = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(in + i)));
        __mmask32 rest = UINT32_MAX;
        for (unsigned c = of->first; c < of->end_context; c++) {
            const __mmask32 lanes = lanes_of(contexts, of, c, values, &rest);
            const unsigned found = (unsigned)_mm_popcnt_u32(lanes);
            _mm512_mask_storeu_epi16(out + next[c], first_lanes(found),
                                     _mm512_maskz_compress_epi16(lanes, second));
            next[c] += found;
        }
    }
}

TARGET void znl_sort_second_avx512(const znl_contexts *contexts, const uint8_t *classes,
                                   const uint16_t *symbols, const znl_context_counts *begins,
                                   const uint8_t *in, size_t count, uint16_t *out)
{
    uint32_t next[ZNL_MAX_CONTEXTS];
    memcpy(next, begins->of[0], sizeof next);
    for (size_t i = 0; i < count;) {
        const run of = run_at(contexts, classes, i, count);
        sort_run(contexts, &of, symbols, in, i, next, out);
        i = of.end;
    }
}

/* The same back. */
TARGET ZNL_INLINE void spread_run(const znl_contexts *contexts, const run *of,
                                  const uint16_t *symbols, const uint16_t *in, size_t i,
                                  uint32_t *next, uint8_t *out)
{
    for (; i < of->end; i += LANES) {
        const __m512i values = _mm512_loadu_si512(symbols + i);
        __m512i second = _mm512_setzero_si512();
        __mmask32 rest = UINT32_MAX;
        for (unsigned c = of->first; c < of->end_context; c++) {
            const __mmask32 lanes = lanes_of(contexts, of, c, values, &rest);
            const unsigned found = (unsigned)_mm_popcnt_u32(lanes);
            second = _mm512_mask_expand_epi16(
                second, lanes, _mm512_maskz_loadu_epi16(first_lanes(found), in + next[c]));
            next[c] += found;
        }
        _mm256_storeu_si256((__m256i *)(out + i), _mm512_cvtepi16_epi8(second));
    }
}

TARGET void znl_spread_second_avx512(const znl_contexts *contexts, const uint8_t *classes,
                                     const uint16_t *symbols, const znl_context_counts *begins,
                                     const uint16_t *in, size_t count, uint8_t *out)
{
    uint32_t next[ZNL_MAX_CONTEXTS];
    memcpy(next, begins->of[0], sizeof next);
    for (size_t i = 0; i < count;) {
        const run of = run_at(contexts, classes, i, count);
        spread_run(contexts, &of, symbols, in, i, next, out);
        i = of.end;
    }
}

#endif
