/* SPDX-License-Identifier: Apache-2.0 */
/* Rows by the classes of their columns with AVX-512 (F, BW, VL, VBMI2): a register of values is compressed to
 * those of each class, or put together from them. */
#include "moves.h"
#include "target.h"

#if ZNL_HAS_AVX512
#include <immintrin.h>

#ifdef __AVX512F__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#define TARGET ZNL_TARGET_AVX512
#define LANES 32u

/* Loads and stores touch the marked lanes only; `width`, 1 or 2, is a constant everywhere. */
TARGET ZNL_INLINE __m512i load(size_t width, __mmask32 lanes, const uint8_t *in)
{
    if (width == 1) return _mm512_castsi256_si512(_mm256_maskz_loadu_epi8(lanes, in));
    return _mm512_maskz_loadu_epi16(lanes, in);
}

TARGET ZNL_INLINE void store(size_t width, __mmask32 lanes, __m512i values, uint8_t *out)
{
    if (width == 1)
        _mm256_mask_storeu_epi8(out, lanes, _mm512_castsi512_si256(values));
    else
        _mm512_mask_storeu_epi16(out, lanes, values);
}

/* The marked lanes to the front. */
TARGET ZNL_INLINE __m512i compress(size_t width, __mmask32 lanes, __m512i values)
{
    if (width == 1)
        return _mm512_castsi256_si512(
            _mm256_maskz_compress_epi8(lanes, _mm512_castsi512_si256(values)));
    return _mm512_maskz_compress_epi16(lanes, values);
}

/* The marked lanes get the next values, as many as there are of them, and the others 0. */
TARGET ZNL_INLINE __m512i expand(size_t width, __mmask32 lanes, const uint8_t *in)
{
    if (width == 1) return _mm512_castsi256_si512(_mm256_maskz_expandloadu_epi8(lanes, in));
    return _mm512_maskz_expandloadu_epi16(lanes, in);
}

TARGET ZNL_INLINE __mmask32 first_lanes(size_t count)
{
    return (__mmask32)_bzhi_u32(UINT32_MAX, (unsigned)count);
}

/* 32 columns, or the last ones of a row. */
typedef struct {
    __mmask32 lanes;
    __m256i classes;
} columns;

TARGET ZNL_INLINE columns load_columns(const uint8_t *classes, size_t left)
{
    columns loaded;
    loaded.lanes = first_lanes(left < LANES ? left : LANES);
    loaded.classes = _mm256_maskz_loadu_epi8(loaded.lanes, classes);
    return loaded;
}

TARGET ZNL_INLINE __mmask32 find_class(columns among, uint8_t class)
{
    return _mm256_mask_cmpeq_epi8_mask(among.lanes, among.classes, _mm256_set1_epi8((char)class));
}

TARGET ZNL_INLINE void arrange_row(size_t width, const uint8_t *classes, size_t row_values,
                                   const znl_column_group *groups, size_t group_count,
                                   const uint8_t *row, uint8_t *arranged)
{
    uint8_t *next[ZNL_COLUMN_CLASSES];
    for (size_t g = 0; g < group_count; g++) next[g] = arranged + groups[g].offset;
    for (size_t at = 0; at < row_values; at += LANES) {
        const columns among = load_columns(classes + at, row_values - at);
        const __m512i values = load(width, among.lanes, row + at * width);
        for (size_t g = 0; g < group_count; g++) {
            const __mmask32 found = find_class(among, groups[g].class);
            const size_t count = (size_t)_mm_popcnt_u32(found);
            store(width, first_lanes(count), compress(width, found, values), next[g]);
            next[g] += count * width;
        }
    }
}

TARGET ZNL_INLINE void restore_row(size_t width, const uint8_t *classes, size_t row_values,
                                   const znl_column_group *groups, size_t group_count,
                                   const uint8_t *arranged, uint8_t *row)
{
    const uint8_t *next[ZNL_COLUMN_CLASSES];
    for (size_t g = 0; g < group_count; g++) next[g] = arranged + groups[g].offset;
    for (size_t at = 0; at < row_values; at += LANES) {
        const columns among = load_columns(classes + at, row_values - at);
        __m512i values = _mm512_setzero_si512();
        for (size_t g = 0; g < group_count; g++) {
            const __mmask32 found = find_class(among, groups[g].class);
            values = _mm512_or_si512(values, expand(width, found, next[g]));
            next[g] += (size_t)_mm_popcnt_u32(found) * width;
        }
        store(width, among.lanes, values, row + at * width);
    }
}

TARGET void znl_arrange_row_avx512(size_t width, const uint8_t *classes, size_t row_values,
                                   const znl_column_group *groups, size_t group_count,
                                   const uint8_t *row, uint8_t *arranged)
{
    if (width == 1)
        arrange_row(1, classes, row_values, groups, group_count, row, arranged);
    else
        arrange_row(2, classes, row_values, groups, group_count, row, arranged);
}

TARGET void znl_restore_row_avx512(size_t width, const uint8_t *classes, size_t row_values,
                                   const znl_column_group *groups, size_t group_count,
                                   const uint8_t *arranged, uint8_t *row)
{
    if (width == 1)
        restore_row(1, classes, row_values, groups, group_count, arranged, row);
    else
        restore_row(2, classes, row_values, groups, group_count, arranged, row);
}

#endif
