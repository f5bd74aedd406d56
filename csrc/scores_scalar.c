/* SPDX-License-Identifier: Apache-2.0 */
/* Scores in portable C: short loops, of which the compiler makes vectors. */
#include "scores.h"

#include "bytes.h"
#include "target.h"

enum { RUN = 128 }; /* values at a time: their scores stay in the first-level cache */

void znl_score_rule_of(const znl_layout *layout, znl_score_rule *rule)
{
    const unsigned top_bits = layout->width == 1 ? 8 : 16;
    rule->width = layout->width;
    rule->is_distance = (uint8_t)znl_scores_distance(layout);
    rule->flip = layout->transform == ZNL_OFFSET ? 0x80 : 0;
    /* Rotated bits lie one to the right: the sign went to the other end. */
    rule->shift =
        (uint8_t)(top_bits - layout->symbol_bits - (layout->transform == ZNL_ROTATE ? 1 : 0));
    rule->mask = (uint16_t)(rule->is_distance ? 255 : (1u << layout->symbol_bits) - 1);
    rule->centre = 0;
    rule->least = 0;
}

ZNL_INLINE unsigned load_top(const uint8_t *in, size_t width)
{
    return width == 1   ? in[0]
           : width == 2 ? load_u16le(in)
           : width == 4 ? load_u32le(in) >> 16
                        : (unsigned)(load_u64le(in) >> 48);
}

/* The scores of up to RUN values; width and is_distance are constants. */
ZNL_INLINE void find_scores(const znl_score_rule *rule, const uint8_t *in, size_t count,
                            size_t width, int is_distance, uint16_t *scores)
{
    const unsigned flip = rule->flip, shift = rule->shift, mask = rule->mask;
    const int centre = rule->centre;
    for (size_t i = 0; i < count; i++) {
        const unsigned top = load_top(in + i * width, width) ^ flip;
        const int distance = (int)top - centre;
        scores[i] = (uint16_t)(is_distance ? (unsigned)(distance < 0 ? -distance : distance)
                                           : top >> shift & mask);
    }
}

static void add_columns(const uint16_t *scores, size_t count, uint16_t least, uint16_t *sums)
{
    for (size_t i = 0; i < count; i++)
        sums[i] = (uint16_t)(sums[i] + (scores[i] > least ? scores[i] - least : 0));
}

ZNL_INLINE znl_row_score score_row(const znl_score_rule *rule, const uint8_t *in, size_t row_values,
                                   uint16_t *column_sums, size_t width, int is_distance)
{
    znl_row_score row = {0, 0};
    for (size_t at = 0; at < row_values; at += RUN) {
        const size_t count = row_values - at < RUN ? row_values - at : RUN;
        uint16_t scores[RUN];
        find_scores(rule, in + at * width, count, width, is_distance, scores);
        for (size_t i = 0; i < count; i++) {
            row.sum += scores[i];
            row.count += scores[i] != 0;
        }
        if (column_sums) add_columns(scores, count, rule->least, column_sums + at);
    }
    return row;
}

znl_row_score znl_score_row_scalar(const znl_score_rule *rule, const uint8_t *in, size_t row_values,
                                   uint16_t *column_sums)
{
    if (rule->is_distance) return score_row(rule, in, row_values, column_sums, 1, 1);
    switch (rule->width) {
    case 1: return score_row(rule, in, row_values, column_sums, 1, 0);
    case 2: return score_row(rule, in, row_values, column_sums, 2, 0);
    case 4: return score_row(rule, in, row_values, column_sums, 4, 0);
    default: return score_row(rule, in, row_values, column_sums, 8, 0);
    }
}

/* The place of a symbol value in the window that begins at `first`. */
static unsigned place_in(unsigned first, unsigned value)
{
    const uint16_t place = (uint16_t)(value - first);
    if (value == 0) return ZNL_WINDOW_ZERO;
    return place < ZNL_WINDOW_ZERO ? place : ZNL_WINDOW_OTHER;
}

void znl_find_places_scalar(const znl_score_rule *rule, const znl_windows *windows,
                            const uint8_t *in, const int8_t *columns, uint16_t *places)
{
    for (unsigned i = 0; i < ZNL_PIECE_VALUES; i++) {
        const unsigned top = load_top(in + i * rule->width, rule->width) ^ rule->flip;
        const int sum = (int)windows->bin + columns[i], most = (int)ZNL_BIN_COUNT - 1;
        const unsigned bin = (unsigned)(sum < 0 ? 0 : sum > most ? most : sum);
        const unsigned first = windows->moves ? windows->first + bin / ZNL_BINS_A_SCORE : 0;
        places[i] = (uint16_t)((bin - windows->lowest) * ZNL_WINDOW_COUNT +
                               place_in(first, top >> rule->shift & rule->mask));
    }
}
