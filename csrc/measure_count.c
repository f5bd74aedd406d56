/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of sampled values by the bins of their rows and columns. */
#include <string.h>

#include "measure.h"

#define PIECE ZNL_PIECE_VALUES

static const int8_t NO_COLUMNS[PIECE] = {0};

static unsigned clamp_bin(int bin)
{
    return bin < 0 ? 0 : bin >= (int)ZNL_BIN_COUNT ? ZNL_BIN_COUNT - 1 : (unsigned)bin;
}

/* Bins of columns; none: all are 0. */
typedef struct {
    const int8_t *bins;
    int least, most;
} column_span;

static column_span span_of(const int8_t *bins, size_t count)
{
    column_span span = {bins, 127, -127};
    for (size_t c = 0; c < count; c++) {
        if (bins[c] < span.least) span.least = bins[c];
        if (bins[c] > span.most) span.most = bins[c];
    }
    return span;
}

/* What is being counted. */
typedef struct {
    const znl_kernels *kernels;
    const znl_measure_view *view;
    znl_windows windows;
    column_span columns;
    znl_bin_counts *counts;
    uint64_t sampled;
} counter;

/* Count fewer values than a piece has. */
static void count_rest(counter *it, const uint8_t *in, size_t column, size_t count,
                       uint32_t *counts)
{
    uint8_t values[8 * PIECE] = {0};
    int8_t columns[PIECE] = {0};
    uint16_t places[PIECE];
    memcpy(values, in, count * it->view->rule.width);
    if (it->columns.bins) memcpy(columns, it->columns.bins + column, count);
    it->kernels->find_places(&it->view->rule, &it->windows, values, columns, places);
    for (size_t i = 0; i < count; i++) counts[places[i]]++;
}

/* Count one piece in `step` of a row, from piece `first` on. */
static void count_row(counter *it, const uint8_t *in, size_t row_values, size_t first, unsigned bin)
{
    const size_t stride = it->view->step * PIECE, width = it->view->rule.width;
    const unsigned lowest = clamp_bin((int)bin + it->columns.least);
    znl_bins_extend(it->counts, lowest);
    znl_bins_extend(it->counts, clamp_bin((int)bin + it->columns.most));
    uint32_t *counts = it->counts->of[lowest];
    it->windows.bin = bin;
    it->windows.lowest = lowest;
    for (size_t c = first * PIECE; c < row_values; c += stride) {
        uint16_t places[PIECE];
        if (row_values - c < PIECE) {
            count_rest(it, in + c * width, c, row_values - c, counts);
            it->sampled += row_values - c;
            break;
        }
        it->kernels->find_places(&it->view->rule, &it->windows, in + c * width,
                                 it->columns.bins ? it->columns.bins + c : NO_COLUMNS, places);
        for (unsigned i = 0; i < PIECE; i++) counts[places[i]]++;
        it->sampled += PIECE;
    }
}

uint64_t znl_measure_count(const znl_kernels *kernels, const znl_measure_view *view,
                           const znl_chunk *chunk, const znl_measure *found, int by_columns,
                           znl_bin_counts *counts)
{
    const uint8_t *in = chunk->source;
    const uint16_t *row_bins = found->row_bins;
    const int8_t *column_bins = found->column_bins;
    counter it = {
        kernels,      view,   {0, 0, (uint16_t)(view->low - ZNL_WINDOW_BELOW), view->moves},
        {NULL, 0, 0}, counts, 0};
    znl_bins_clear(counts, view->moves);
    for (size_t p = 0; p < chunk->part_count; p++) {
        const znl_part *part = &chunk->parts[p];
        const int has_columns = by_columns && znl_part_has_columns(part);
        const column_span none = {NULL, 0, 0};
        it.columns = has_columns ? span_of(column_bins, part->row_values) : none;
        for (size_t row = 0, first = 0; row < part->rows; row++) {
            count_row(&it, in, part->row_values, first, *row_bins++);
            if (++first == view->step) first = 0;
            in += part->row_values * (size_t)view->rule.width;
        }
        if (has_columns) column_bins += part->row_values;
    }
    return it.sampled;
}
