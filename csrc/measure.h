/* SPDX-License-Identifier: Apache-2.0 */
/* What a chunk shows of the scales of its rows and columns, by sampling. */
#ifndef ZNL_MEASURE_H
#define ZNL_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "arrangement.h"
#include "layout.h"
#include "scales.h"

#define ZNL_MEASURE_ROW_VALUES                                                                     \
    16u /* rows are longer on the whole, or their classes cost more than they save */
#define ZNL_MEASURE_COLUMN_ROWS 32u /* with fewer rows the mean of a column is mostly chance */

/* How the values of a batch are looked at. A score is twice log2 of the magnitude, but for a constant: of a float its
 * symbol value; 0 counts for nothing. */
typedef struct {
    unsigned low;  /* the symbol value of score 0 */
    unsigned step; /* one piece of 16 values in so many is counted */
    int moves;     /* the window moves with the bin */
    int scores_bytes;
    uint16_t score_of[256]; /* of a byte of I8 and U8 */
} znl_measure_view;

/* What was found out about a chunk. */
typedef struct {
    uint16_t *row_bins; /* of all its rows */
    /* Of the columns of parts that are matrices with enough rows: what they differ from the mean. */
    int8_t *column_bins;
    size_t row_count, column_count;
    unsigned column_reach; /* the largest bin of a column either way; 0: they hardly differ */
    uint64_t sampled;
} znl_measure;

typedef struct {
    uint16_t scores[ZNL_MAX_STATIC_VALUES];
    znl_bin_counts more;
    uint32_t column_sums[ZNL_MAX_STATIC_VALUES / ZNL_MEASURE_COLUMN_ROWS];
} znl_measure_scratch;

/* Make the view for a dtype from counts of symbol values of a batch, and of the bytes of I8 and U8. */
void znl_measure_begin(const znl_layout *layout, const uint32_t *counts,
                       const uint32_t *byte_counts, unsigned step, znl_measure_view *view);

/* Rows and columns that a measure of these parts has; 0 when they do not tell scales: too many rows, or parts that
 * are not the whole chunk. */
int znl_measure_sizes(const znl_part *parts, size_t part_count, size_t value_count,
                      size_t *row_count, size_t *column_count);

/* A part whose columns are measured. */
static inline int znl_part_has_columns(const znl_part *part)
{
    return part->has_columns && part->rows >= ZNL_MEASURE_COLUMN_ROWS;
}

/* Measure a chunk.
 *
 * symbols      its value_count symbol values; the parts add up to as many
 * found        in: arrays of the sizes above; out: the bins
 * by_row       out, counts by the bins of rows
 * by_column    out, counts by the sums of the bins of row and column
 */
void znl_measure_chunk(const znl_measure_view *view, const znl_chunk *chunk,
                       const uint16_t *symbols, size_t value_count, znl_measure_scratch *scratch,
                       znl_measure *found, znl_bin_counts *by_row, znl_bin_counts *by_column);

#endif
