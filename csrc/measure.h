/* SPDX-License-Identifier: Apache-2.0 */
/* What a chunk shows of the scales of its rows and columns, and counts by bins of them. */
#ifndef ZNL_MEASURE_H
#define ZNL_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "arrangement.h"
#include "kernels.h"
#include "layout.h"
#include "scales.h"

#define ZNL_MEASURE_ROW_VALUES                                                                     \
    16u /* rows are longer on the whole, or their classes cost more than they save */
#define ZNL_MEASURE_COLUMN_ROWS 32u /* with fewer rows the mean of a column is mostly chance */

/* How the values of a batch are looked at. */
typedef struct {
    znl_score_rule rule;
    unsigned low;  /* the symbol value of score 0 */
    unsigned step; /* one piece of 16 values in so many is counted */
    int moves;     /* the window moves with the bin */
} znl_measure_view;

/* What was found out about a chunk. A row's bin is its mean score, 0 left out; of I8 and U8 it is twice log2 of the
 * mean distance. A column's bin is what it differs from the mean of its part. */
typedef struct {
    uint16_t *row_bins;  /* of all its rows */
    int8_t *column_bins; /* of parts that are matrices with enough rows */
    size_t row_count, column_count;
    unsigned column_reach;   /* the largest bin of a column either way; 0: they hardly differ */
    uint64_t column_squares; /* of those bins, summed over all values, less what chance adds */
} znl_measure;

/* Working memory: the columns of a part. */
typedef struct {
    uint16_t sums[ZNL_MAX_STATIC_VALUES / ZNL_MEASURE_COLUMN_ROWS]; /* of some rows */
    uint32_t totals[ZNL_MAX_STATIC_VALUES / ZNL_MEASURE_COLUMN_ROWS];
} znl_measure_scratch;

/* Make the view for a dtype from counts of symbol values of a batch (F64) or of its bytes (I8 and U8). */
void znl_measure_begin(const znl_layout *layout, const uint32_t *counts, unsigned step,
                       znl_measure_view *view);

/* Rows and columns that a measure of these parts has; 0 when they do not tell scales: too many rows, or parts that
 * are not the whole chunk. */
int znl_measure_sizes(const znl_part *parts, size_t part_count, size_t value_count,
                      size_t *row_count, size_t *column_count);

/* A part whose columns are measured. */
static inline int znl_part_has_columns(const znl_part *part)
{
    return part->has_columns && part->rows >= ZNL_MEASURE_COLUMN_ROWS;
}

/* Find the bins of rows and columns.
 *
 * chunk   its parts are all its values
 * found   in: arrays of the sizes above; out: all else
 */
void znl_measure_chunk(const znl_kernels *kernels, const znl_measure_view *view,
                       const znl_chunk *chunk, znl_measure_scratch *scratch, znl_measure *found);

/* Count sampled values by their bins: those of the rows, or the sums of those of row and column. Returns how many
 * there are. */
uint64_t znl_measure_count(const znl_kernels *kernels, const znl_measure_view *view,
                           const znl_chunk *chunk, const znl_measure *found, int by_columns,
                           znl_bin_counts *counts);

#endif
