/* SPDX-License-Identifier: Apache-2.0 */
/* Scales of rows and columns (docs/models.md): the values of a matrix spread alike in all its rows but for a factor,
 * and in log scale a factor is a shift. A value's bin is the mean logarithm of its row, plus what that of
 * its column differs from the mean; a table for each few neighbouring bins says almost all that can be known. */
#ifndef ZNL_SCALES_H
#define ZNL_SCALES_H

#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include "scores.h"
#include "table.h"

/* Sampled counts by bin and window place. */
typedef struct {
    uint32_t of[ZNL_BIN_COUNT][ZNL_WINDOW_COUNT];
    unsigned first_bin, last_bin; /* in use; none when the first is above the last */
    int moves;                    /* the window moves with the bin */
} znl_bin_counts;

/* Classes of neighbouring bins. Of even ones all have the same width, so that the bin of a column moves the class of a
 * row by as much everywhere. */
typedef struct {
    uint8_t class_of[ZNL_BIN_COUNT];
    unsigned class_count;
    unsigned bins_a_class; /* of even ones; 0: they are of any width */
    uint64_t
        cost; /* of the code of all that was counted, in 1/256 bit, with a table for each class */
} znl_bin_classes;

#define ZNL_MOST_CLASSES 32u /* more gain little, and cost references in each chunk */

/* Nothing counted. What lies outside the range of bins in use is not read, whatever it holds. */
void znl_bins_clear(znl_bin_counts *bins, int moves);

/* Take a bin into that range before something is counted in it. */
void znl_bins_widen(znl_bin_counts *bins, unsigned bin);
static inline void znl_bins_extend(znl_bin_counts *bins, unsigned bin)
{
    if (bin < bins->first_bin || bin > bins->last_bin) znl_bins_widen(bins, bin);
}
void znl_bins_add(znl_bin_counts *to, const znl_bin_counts *from);
void znl_bins_copy(znl_bin_counts *to, const znl_bin_counts *from);

/* Cut the bins in use into at most ZNL_MOST_CLASSES classes, each of which saves what it costs.
 *
 * even_width   0, or the least width in bins: classes are of one width then
 * class_cost   of one class more, in 1/256 bit of what was counted
 */
void znl_cut_bins(const znl_bin_counts *bins, unsigned even_width, uint64_t class_cost,
                  znl_bin_classes *classes);

/* The cost of one class for all, and of these classes. */
uint64_t znl_bins_flat_cost(const znl_bin_counts *bins);
uint64_t znl_bins_cost(const znl_bin_counts *bins, const znl_bin_classes *classes);

/* A table for each class; one that holds nothing gets that of a neighbour. low: the symbol value of score 0. */
void znl_bins_fit(const znl_bin_counts *bins, const znl_bin_classes *classes, unsigned low,
                  unsigned symbol_bits, uint32_t *counts, znl_freq_table *tables);

#endif
