/* SPDX-License-Identifier: Apache-2.0 */
/* Means of rows and columns, and counts by bins of them. */
#include "measure.h"

#include <string.h>

#define PIECE_VALUES 16u       /* counted together */
#define MIN_COLUMN_VARIANCE 2u /* in square bins: columns that differ less save less than 0.25 % */
#define FAR 24u                /* scores below the mean of a part */
#define MOST_COLUMN_SAMPLES 256u /* rows that the mean of a column looks at */

/* 2 * log2(distance + 1/2) + 2, rounded: what a symbol value of a float is for a float. */
static unsigned score_of_distance(unsigned distance)
{
    return ((znl_log2_q16(2 * distance + 1) >> 7) + 256) >> 8;
}

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

void znl_measure_begin(const znl_layout *layout, const uint32_t *counts,
                       const uint32_t *byte_counts, unsigned step, znl_measure_view *view)
{
    const unsigned value_count = 1u << layout->symbol_bits;
    view->low = 0;
    if (value_count > ZNL_SCORE_COUNT) { /* F64 */
        const unsigned mean = mean_value(counts, value_count);
        view->low = mean < ZNL_SCORE_COUNT / 2 ? 0 : mean - ZNL_SCORE_COUNT / 2;
    }
    view->step = step;
    view->moves = value_count > ZNL_WINDOW_COUNT;
    view->scores_bytes =
        layout->width == 1 && layout->low_bits == 3 && layout->transform != ZNL_ROTATE;
    if (!view->scores_bytes) return;
    unsigned mode = 0;
    for (unsigned byte = 1; byte < 256; byte++)
        if (byte_counts[byte] > byte_counts[mode]) mode = byte;
    for (unsigned byte = 0; byte < 256; byte++) {
        /* I8 is two's complement. */
        const int value = layout->transform == ZNL_OFFSET ? (int8_t)byte : (int)byte;
        const int centre = layout->transform == ZNL_OFFSET ? (int8_t)mode : (int)mode;
        view->score_of[byte] = (uint16_t)score_of_distance(
            (unsigned)(value > centre ? value - centre : centre - value));
    }
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

/* The bin of a mean score. */
static unsigned bin_of_mean(uint64_t sum, uint64_t count, unsigned low)
{
    if (count == 0 || sum < count * low) return 0;
    const uint64_t bin = (ZNL_BINS_A_SCORE * (sum - count * low) + count / 2) / count;
    return bin < ZNL_BIN_COUNT ? (unsigned)bin : ZNL_BIN_COUNT - 1;
}

/* The mean score of a row, in bins; a loop that compilers make vectors of. */
static unsigned row_bin(const uint16_t *scores, size_t row_values, unsigned low)
{
    uint32_t sum = 0, count = 0;
    for (size_t c = 0; c < row_values; c++) {
        sum += scores[c];
        count += scores[c] != 0;
    }
    return bin_of_mean(sum, count, low);
}

/* How much the mean score of each column differs from that of all, in bins. Returns the largest difference, or 0
 * when they are hardly more than chance, and too little to pay. */
static unsigned measure_columns(const uint16_t *scores, const znl_part *part, unsigned mean,
                                uint32_t *sums, int8_t *bins)
{
    const size_t width = part->row_values;
    const size_t step = (part->rows + MOST_COLUMN_SAMPLES - 1) / MOST_COLUMN_SAMPLES;
    /* What is very small, 0 among it, must not stand for all of a column. */
    const uint16_t least = (uint16_t)(mean < FAR ? 0 : mean - FAR);
    uint64_t total = 0, squares = 0;
    unsigned reach = 0;
    int64_t samples = 0;
    memset(sums, 0, width * sizeof *sums);
    for (size_t row = 0; row < part->rows; row += step, samples++)
        for (size_t c = 0; c < width; c++) {
            const uint16_t score = scores[row * width + c];
            sums[c] += score < least ? least : score;
        }
    for (size_t c = 0; c < width; c++) total += sums[c];
    for (size_t c = 0; c < width; c++) {
        /* Twice the difference in bins, then half of it, rounded. */
        const int64_t differs = (int64_t)(2 * ZNL_BINS_A_SCORE) *
                                ((int64_t)sums[c] * (int64_t)width - (int64_t)total) /
                                (samples * (int64_t)width);
        const int64_t bin = (differs + (differs < 0 ? -1 : 1)) / 2;
        const unsigned distance = (unsigned)(bin < 0 ? -bin : bin);
        bins[c] = (int8_t)(bin < -127 ? -127 : bin > 127 ? 127 : bin);
        squares += distance * distance;
        if (distance > reach) reach = distance < 127 ? distance : 127;
    }
    return squares >= MIN_COLUMN_VARIANCE * width ? reach : 0;
}

static unsigned clamp_bin(int bin)
{
    return bin < 0 ? 0 : bin >= (int)ZNL_BIN_COUNT ? ZNL_BIN_COUNT - 1 : (unsigned)bin;
}

/* The places of 16 symbol values at most, in the window of a bin. */
typedef struct {
    unsigned first; /* the symbol value of place 0, or what wraps around to it */
    int moves;
} window;

static window window_of(const znl_measure_view *view, unsigned bin)
{
    const window at = {view->moves ? view->low + bin / ZNL_BINS_A_SCORE - ZNL_WINDOW_BELOW : 0,
                       view->moves};
    return at;
}

static unsigned place_in(window at, unsigned value)
{
    const unsigned place = value - at.first;
    if (value == 0) return ZNL_WINDOW_ZERO;
    return place < ZNL_WINDOW_ZERO ? place : ZNL_WINDOW_OTHER;
}

/* Count the sampled pieces of a row, in turns in two sets: a count that follows itself waits for its own store. */
static uint64_t count_row(const znl_measure_view *view, const uint16_t *symbols, size_t row_values,
                          size_t row, unsigned bin, uint32_t *counts, uint32_t *more)
{
    uint64_t sampled = 0;
    const window at = window_of(view, bin);
    const size_t stride = view->step * PIECE_VALUES;
    for (size_t c = row % view->step * PIECE_VALUES; c < row_values; c += stride) {
        const size_t end = row_values - c < PIECE_VALUES ? row_values : c + PIECE_VALUES;
        size_t i = c;
        for (; i + 1 < end; i += 2) {
            counts[place_in(at, symbols[i])]++;
            more[place_in(at, symbols[i + 1])]++;
        }
        if (i < end) counts[place_in(at, symbols[i])]++;
        sampled += end - c;
    }
    return sampled;
}

/* The same by row and column. */
static void count_columns(const znl_measure_view *view, const uint16_t *symbols, size_t row_values,
                          size_t row, unsigned bin, const int8_t *columns, znl_bin_counts *counts)
{
    const size_t stride = view->step * PIECE_VALUES;
    for (size_t c = row % view->step * PIECE_VALUES; c < row_values; c += stride) {
        const size_t end = row_values - c < PIECE_VALUES ? row_values : c + PIECE_VALUES;
        for (size_t i = c; i < end; i++) {
            const unsigned both = clamp_bin((int)bin + columns[i]);
            znl_bins_extend(counts, both);
            counts->of[both][place_in(window_of(view, both), symbols[i])]++;
        }
    }
}

/* Count all rows of a chunk by the bins of row and column. */
static void count_by_columns(const znl_measure_view *view, const znl_chunk *chunk,
                             const uint16_t *symbols, const znl_measure *found,
                             znl_bin_counts *counts)
{
    const uint16_t *row_bins = found->row_bins;
    const int8_t *column_bins = found->column_bins;
    for (size_t p = 0; p < chunk->part_count; p++) {
        const znl_part *part = &chunk->parts[p];
        const int has_columns = znl_part_has_columns(part);
        for (size_t row = 0; row < part->rows; row++, symbols += part->row_values) {
            const unsigned bin = *row_bins++;
            if (has_columns) {
                count_columns(view, symbols, part->row_values, row, bin, column_bins, counts);
                continue;
            }
            znl_bins_extend(counts, bin);
            count_row(view, symbols, part->row_values, row, bin, counts->of[bin], counts->of[bin]);
        }
        if (has_columns) column_bins += part->row_values;
    }
}

/* The mean score of a part, by its rows. */
static unsigned part_mean(const uint16_t *row_bins, size_t rows, unsigned low)
{
    uint64_t sum = 0;
    for (size_t row = 0; row < rows; row++) sum += row_bins[row];
    return low + (unsigned)(sum / rows / ZNL_BINS_A_SCORE);
}

/* The scores of a chunk: for floats the symbol values themselves. */
static const uint16_t *score_values(const znl_measure_view *view, const znl_chunk *chunk,
                                    const uint16_t *symbols, size_t value_count, uint16_t *scores)
{
    if (!view->scores_bytes) return symbols;
    for (size_t i = 0; i < value_count; i++) scores[i] = view->score_of[chunk->source[i]];
    return scores;
}

void znl_measure_chunk(const znl_measure_view *view, const znl_chunk *chunk,
                       const uint16_t *symbols, size_t value_count, znl_measure_scratch *scratch,
                       znl_measure *found, znl_bin_counts *by_row, znl_bin_counts *by_column)
{
    uint16_t *row_bins = found->row_bins;
    int8_t *column_bins = found->column_bins;
    const uint16_t *scores = score_values(view, chunk, symbols, value_count, scratch->scores);
    znl_bins_clear(by_row, view->moves);
    znl_bins_clear(by_column, view->moves);
    znl_bins_clear(&scratch->more, view->moves);
    found->sampled = 0;
    found->column_reach = 0;
    for (size_t p = 0, first = 0; p < chunk->part_count; p++) {
        const znl_part *part = &chunk->parts[p];
        const size_t width = part->row_values;
        for (size_t row = 0; row < part->rows; row++) {
            const size_t at = first + row * width;
            const unsigned bin = row_bin(scores + at, width, view->low);
            row_bins[row] = (uint16_t)bin;
            znl_bins_extend(by_row, bin);
            znl_bins_extend(&scratch->more, bin);
            found->sampled += count_row(view, symbols + at, width, row, bin, by_row->of[bin],
                                        scratch->more.of[bin]);
        }
        if (znl_part_has_columns(part)) {
            const unsigned mean = part_mean(row_bins, part->rows, view->low);
            const unsigned reach =
                measure_columns(scores + first, part, mean, scratch->column_sums, column_bins);
            if (reach == 0) memset(column_bins, 0, width);
            if (reach > found->column_reach) found->column_reach = reach;
            column_bins += width;
        }
        row_bins += part->rows;
        first += part->rows * width;
    }
    znl_bins_add(by_row, &scratch->more);
    if (found->column_reach) count_by_columns(view, chunk, symbols, found, by_column);
}
