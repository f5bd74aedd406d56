/* SPDX-License-Identifier: Apache-2.0 */
/* Means of rows and columns. */
#include "measure.h"

#include <string.h>

#define MIN_COLUMN_VARIANCE 2u /* in square bins: columns that differ less save less than 0.25 % */
#define CHANCE 64u             /* square bins, over rows: how far a mean of normal values strays */
#define FAR 24u                /* scores below the mean of a part */
#define MEAN_ROWS 32u          /* rows that say what the mean is */

/* The mean symbol value, by counts; 0 is left out. */
static unsigned mean_value(const uint32_t *counts, unsigned value_count)
{
    uint64_t total = 0, sum = 0;
    for (unsigned value = 1; value < value_count; value++) {
        total += counts[value];
        sum += (uint64_t)value * counts[value];
    }
    return total ? (unsigned)(sum / total) : 0;
}

void znl_measure_begin(const znl_layout *layout, const uint32_t *counts, unsigned step,
                       znl_measure_view *view)
{
    const unsigned value_count = 1u << layout->symbol_bits;
    znl_score_rule_of(layout, &view->rule);
    view->low = 0;
    if (value_count > ZNL_SCORE_COUNT) { /* F64 */
        const unsigned mean = mean_value(counts, value_count);
        view->low = mean < ZNL_SCORE_COUNT / 2 ? 0 : mean - ZNL_SCORE_COUNT / 2;
    }
    view->step = step;
    view->moves = value_count > ZNL_WINDOW_COUNT;
    if (!view->rule.is_distance) return;
    unsigned mode = 0;
    for (unsigned byte = 1; byte < 256; byte++)
        if (counts[byte] > counts[mode]) mode = byte;
    view->rule.centre = (uint8_t)(mode ^ view->rule.flip);
}

int znl_measure_sizes(const znl_part *parts, size_t part_count, size_t value_count,
                      size_t *row_count, size_t *column_count)
{
    size_t rows = 0, columns = 0, left = value_count;
    for (size_t p = 0; p < part_count; p++) {
        const znl_part *part = &parts[p];
        if (part->rows == 0 || part->row_values == 0 || part->row_values > ZNL_MAX_ROW_VALUES ||
            part->rows > left / part->row_values)
            return 0;
        left -= (size_t)part->rows * part->row_values;
        rows += part->rows;
        if (znl_part_has_columns(part)) columns += part->row_values;
    }
    *row_count = rows;
    *column_count = columns;
    return left == 0 && part_count <= ZNL_MAX_PARTS && rows <= ZNL_MAX_ROWS &&
           rows <= value_count / ZNL_MEASURE_ROW_VALUES + part_count;
}

/* Eight times log2 of a mean distance and a half, and 8; in 1/65536. */
static int64_t distance_bin(uint64_t sum, uint64_t count)
{
    const unsigned bins = 2 * ZNL_BINS_A_SCORE;
    return (int64_t)bins * znl_log2_q16(2 * sum + count) - (int64_t)bins * znl_log2_q16(2 * count) +
           (bins << 16);
}

/* The bin of a row of row_values values; four times a sum of scores fits 32 bits. */
static unsigned row_bin(const znl_measure_view *view, znl_row_score row, size_t row_values)
{
    if (view->rule.is_distance)
        return (unsigned)((distance_bin(row.sum, row_values) + 32768) >> 16);
    const uint32_t low = row.count * view->low;
    if (row.count == 0 || row.sum < low) return 0;
    const uint32_t bin = (ZNL_BINS_A_SCORE * (row.sum - low) + row.count / 2) / row.count;
    return bin < ZNL_BIN_COUNT ? bin : ZNL_BIN_COUNT - 1;
}

/* What scores of columns must exceed: what is very small, 0 among it, must not stand for all of a column. */
static uint16_t least_score(const znl_kernels *kernels, const znl_measure_view *view,
                            const uint8_t *in, const znl_part *part)
{
    const size_t row_nbytes = part->row_values * (size_t)view->rule.width;
    uint64_t sum = 0, count = 0;
    if (view->rule.is_distance) return 0;
    for (uint32_t i = 0; i < MEAN_ROWS; i++) {
        /* By the golden ratio: evenly, but in step with no period that rows may have. */
        const size_t at = (size_t)((uint64_t)(i * 2654435769u) * part->rows >> 32);
        const znl_row_score row =
            kernels->score_row(&view->rule, in + at * row_nbytes, part->row_values, NULL);
        sum += row.sum;
        count += row.count;
    }
    const uint64_t mean = count ? sum / count : 0;
    return (uint16_t)(mean < FAR ? 0 : mean - FAR);
}

/* Score the rows of a part; with the sums of its columns when those are wanted. */
static void score_rows(const znl_kernels *kernels, const znl_measure_view *view, const uint8_t *in,
                       const znl_part *part, znl_measure_scratch *scratch, uint16_t *row_bins)
{
    const size_t width = part->row_values, row_nbytes = width * view->rule.width;
    const int has_columns = znl_part_has_columns(part);
    const size_t most_rows = UINT16_MAX / view->rule.mask; /* before sums can wrap */
    znl_score_rule rule = view->rule;
    if (has_columns) {
        rule.least = least_score(kernels, view, in, part);
        memset(scratch->totals, 0, width * sizeof *scratch->totals);
    }
    for (size_t first = 0; first < part->rows; first += most_rows) {
        const size_t end = part->rows - first < most_rows ? part->rows : first + most_rows;
        if (has_columns) memset(scratch->sums, 0, width * sizeof *scratch->sums);
        for (size_t row = first; row < end; row++)
            row_bins[row] =
                (uint16_t)row_bin(view,
                                  kernels->score_row(&rule, in + row * row_nbytes, width,
                                                     has_columns ? scratch->sums : NULL),
                                  width);
        for (size_t c = 0; has_columns && c < width; c++) scratch->totals[c] += scratch->sums[c];
    }
}

/* How much the mean score of each column differs from that of all, in bins. */
static void find_column_bins(const znl_measure_view *view, const znl_part *part,
                             const uint32_t *totals, int8_t *bins)
{
    const size_t width = part->row_values;
    const uint64_t rows = part->rows, inverse = (UINT64_C(1) << 32) / rows;
    uint64_t all = 0;
    for (size_t c = 0; c < width; c++) all += totals[c];
    const int is_distance = view->rule.is_distance;
    const int64_t mean = is_distance ? distance_bin(all, rows * width)
                                     : (int64_t)((all / width * inverse * ZNL_BINS_A_SCORE) >> 16);
    for (size_t c = 0; c < width; c++) {
        const int64_t bin = is_distance ? distance_bin(totals[c], rows)
                                        : (int64_t)((totals[c] * inverse * ZNL_BINS_A_SCORE) >> 16);
        /* Half away from 0. */
        const int64_t differs = bin - mean,
                      rounded = (differs + (differs < 0 ? -32768 : 32768)) / 65536;
        bins[c] = (int8_t)(rounded < -127 ? -127 : rounded > 127 ? 127 : rounded);
    }
}

/* Take the bins of a part's columns, or clear them when they are hardly more than chance, and too little to pay. */
static void take_columns(const znl_part *part, int8_t *bins, znl_measure *found)
{
    const size_t width = part->row_values;
    uint64_t squares = 0;
    unsigned reach = 0;
    for (size_t c = 0; c < width; c++) {
        const unsigned distance = (unsigned)(bins[c] < 0 ? -bins[c] : bins[c]);
        squares += distance * distance;
        if (distance > reach) reach = distance;
    }
    if (squares < MIN_COLUMN_VARIANCE * width) {
        memset(bins, 0, width);
        return;
    }
    found->column_squares += squares * part->rows - CHANCE * width;
    if (reach > found->column_reach) found->column_reach = reach;
}

void znl_measure_chunk(const znl_kernels *kernels, const znl_measure_view *view,
                       const znl_chunk *chunk, znl_measure_scratch *scratch, znl_measure *found)
{
    const uint8_t *in = chunk->source;
    uint16_t *row_bins = found->row_bins;
    int8_t *column_bins = found->column_bins;
    found->column_reach = 0;
    found->column_squares = 0;
    for (size_t p = 0; p < chunk->part_count; p++) {
        const znl_part *part = &chunk->parts[p];
        score_rows(kernels, view, in, part, scratch, row_bins);
        if (znl_part_has_columns(part)) {
            find_column_bins(view, part, scratch->totals, column_bins);
            take_columns(part, column_bins, found);
            column_bins += part->row_values;
        }
        row_bins += part->rows;
        in += (size_t)part->rows * part->row_values * view->rule.width;
    }
}
