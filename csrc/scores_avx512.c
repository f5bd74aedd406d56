/* SPDX-License-Identifier: Apache-2.0 */
/* Scores of rows with AVX-512 (BW). */
#include "scores.h"
#include "target.h"

#if ZNL_HAS_AVX512
#include <immintrin.h>

#ifdef __AVX512F__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#define TARGET ZNL_TARGET_AVX512
#define LANES 32 /* 16-bit numbers of a vector */

TARGET ZNL_INLINE __m512i every_16(unsigned value)
{
    return _mm512_set1_epi16((short)value);
}

/* The transformed tops of LANES values. */
TARGET ZNL_INLINE __m512i load_tops(const uint8_t *in, size_t width)
{
    const __m512i upper_halves =
        _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27,
                         25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    if (width == 1)
        return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)in));
    if (width == 2) return _mm512_loadu_si512(in);
    return _mm512_permutex2var_epi16(_mm512_loadu_si512(in), upper_halves,
                                     _mm512_loadu_si512(in + 64));
}

/* The scores of LANES values; width and is_distance are constants. */
TARGET ZNL_INLINE __m512i find_scores(const znl_score_rule *rule, const uint8_t *in, size_t width,
                                      int is_distance)
{
    const __m512i tops = load_tops(in, width), centre = every_16(rule->centre);
    if (!is_distance)
        return _mm512_and_si512(_mm512_srlv_epi16(tops, every_16(rule->shift)),
                                every_16(rule->mask));
    const __m512i flipped = _mm512_xor_si512(tops, every_16(rule->flip));
    return _mm512_or_si512(_mm512_subs_epu16(flipped, centre), _mm512_subs_epu16(centre, flipped));
}

/* The first `count` values of a row, a multiple of LANES; width, is_distance and has_columns are constants. */
TARGET ZNL_INLINE znl_row_score score_vectors(const znl_score_rule *rule, const uint8_t *in,
                                              size_t count, uint16_t *column_sums, size_t width,
                                              int is_distance, int has_columns)
{
    const __m512i least = every_16(rule->least), ones = every_16(1);
    __m512i sums = _mm512_setzero_si512(), counts = sums; /* of 32 and 16 bits */
    for (size_t i = 0; i < count; i += LANES) {
        const __m512i scores = find_scores(rule, in + i * width, width, is_distance);
        sums = _mm512_add_epi32(sums, _mm512_madd_epi16(scores, ones));
        counts = _mm512_add_epi16(counts, _mm512_min_epu16(scores, ones));
        if (has_columns)
            _mm512_storeu_si512(column_sums + i,
                                _mm512_add_epi16(_mm512_loadu_si512(column_sums + i),
                                                 _mm512_subs_epu16(scores, least)));
    }
    const znl_row_score row = {(uint32_t)_mm512_reduce_add_epi32(sums),
                               (uint32_t)_mm512_reduce_add_epi32(_mm512_madd_epi16(counts, ones))};
    return row;
}

#define SCORE_VECTORS(width, is_distance)                                                          \
    (column_sums ? score_vectors(rule, in, done, column_sums, width, is_distance, 1)               \
                 : score_vectors(rule, in, done, NULL, width, is_distance, 0))

TARGET znl_row_score znl_score_row_avx512(const znl_score_rule *rule, const uint8_t *in,
                                          size_t row_values, uint16_t *column_sums)
{
    znl_row_score row = {0, 0};
    size_t done = row_values / LANES * LANES;
    if (rule->is_distance)
        row = SCORE_VECTORS(1, 1);
    else if (rule->width == 1)
        row = SCORE_VECTORS(1, 0);
    else if (rule->width == 2)
        row = SCORE_VECTORS(2, 0);
    else if (rule->width == 4)
        row = SCORE_VECTORS(4, 0);
    else
        done = 0;
    if (done == row_values) return row;
    const znl_row_score rest = znl_score_row_avx2(rule, in + done * rule->width, row_values - done,
                                                  column_sums ? column_sums + done : NULL);
    row.sum += rest.sum;
    row.count += rest.count;
    return row;
}

#endif
