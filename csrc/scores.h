/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of the scores of rows and columns: how large values are, roughly (docs/models.md). */
#ifndef ZNL_SCORES_H
#define ZNL_SCORES_H

#include <stddef.h>
#include <stdint.h>

#include "layout.h"

/* Bins of a quarter of a score, which is an eighth of an octave for floats. */
#define ZNL_BINS_A_SCORE 4
#define ZNL_SCORE_COUNT 512u
#define ZNL_BIN_COUNT (ZNL_SCORE_COUNT * ZNL_BINS_A_SCORE)

/* Symbol values are counted by their place in a window around their bin: 31 values below the bin's own to 30 above,
 * then 0, then all others. Where there are 64 symbol values or fewer all bins have the same window, 0 to 61. */
#define ZNL_WINDOW_COUNT 64u
#define ZNL_WINDOW_BELOW 31u
#define ZNL_WINDOW_ZERO 62u
#define ZNL_WINDOW_OTHER 63u

/* How the values of a dtype are scored, by the top 8 or 16 bits of each: by their symbol value, which of a float is
 * twice log2 of its magnitude but for a constant; or, of I8 and U8, by their distance from a centre. */
typedef struct {
    uint8_t width; /* bytes of a value */
    uint8_t is_distance;
    uint8_t flip;   /* bits of a byte to turn over first: I8 is two's complement */
    uint8_t shift;  /* from the top to the symbol value ... */
    uint16_t mask;  /* ... and its bits, which is the largest score, too */
    uint8_t centre; /* flipped */
    uint16_t least; /* columns only add what scores are above it */
} znl_score_rule;

/* I8 and U8 are scored by distance. */
static inline int znl_scores_distance(const znl_layout *layout)
{
    return layout->width == 1 && layout->low_bits == 3 && layout->transform != ZNL_ROTATE;
}

/* The rule of a layout; centre and least are 0. */
void znl_score_rule_of(const znl_layout *layout, znl_score_rule *rule);

typedef struct {
    uint32_t sum;   /* of all scores */
    uint32_t count; /* of those that are not 0 */
} znl_row_score;

/* Score a row.
 *
 * in            row_values values, ZNL_MAX_ROW_VALUES at most
 * column_sums   row_values entries, added to; the caller sees to it that they do not wrap. NULL: none
 */
typedef znl_row_score znl_score_row_fn(const znl_score_rule *rule, const uint8_t *in,
                                       size_t row_values, uint16_t *column_sums);

#define ZNL_PIECE_VALUES 16u /* looked up together */

/* Where the values of a row are counted. */
typedef struct {
    unsigned bin; /* of the row, below ZNL_BIN_COUNT */
    unsigned
        lowest; /* of the bins that values get: it is counted from 0 on, the next one from 64 */
    uint16_t
        first; /* where windows move, the symbol value of the first place of bin 0, modulo 2^16 */
    int moves;
} znl_windows;

/* Find the bin of each value, which is that of the row and its column added up, and its place in the window.
 *
 * in       ZNL_PIECE_VALUES values
 * columns  the bins of their columns
 * places   out, 64 (bin - lowest) + place
 */
typedef void znl_find_places_fn(const znl_score_rule *rule, const znl_windows *windows,
                                const uint8_t *in, const int8_t *columns, uint16_t *places);

znl_score_row_fn znl_score_row_scalar, znl_score_row_sse4, znl_score_row_avx2, znl_score_row_avx512;
znl_find_places_fn znl_find_places_scalar, znl_find_places_sse4, znl_find_places_avx2;

#endif
