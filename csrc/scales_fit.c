/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for classes. */
#include <string.h>

#include "scales.h"

void znl_bins_fit(const znl_bin_counts *bins, const znl_bin_classes *classes, unsigned low,
                  unsigned symbol_bits, uint32_t *counts, znl_freq_table *tables)
{
    const unsigned value_count = 1u << symbol_bits;
    int fitted = -1; /* the last class with a table of its own */
    memset(counts, 0, value_count * sizeof *counts);
    znl_table_fit(counts, symbol_bits, &tables[0]); /* for all, should nothing fit a window */
    for (unsigned class = 1; class < classes->class_count; class ++) tables[class] = tables[0];
    for (unsigned class = 0, bin = bins->first_bin; class < classes->class_count; class ++) {
        uint64_t total = 0;
        memset(counts, 0, value_count * sizeof *counts);
        for (; bin <= bins->last_bin && classes->class_of[bin] == class; bin++) {
            const unsigned window =
                bins->moves ? low + bin / ZNL_BINS_A_SCORE - ZNL_WINDOW_BELOW : 0;
            for (unsigned w = 0; w < ZNL_WINDOW_ZERO; w++)
                if (bins->of[bin][w] && window + w < value_count) {
                    counts[window + w] += bins->of[bin][w];
                    total += bins->of[bin][w];
                }
            counts[0] += bins->of[bin][ZNL_WINDOW_ZERO];
            total += bins->of[bin][ZNL_WINDOW_ZERO];
        }
        if (total == 0 && fitted >= 0) tables[class] = tables[fitted];
        if (total == 0) continue;
        znl_table_fit(counts, symbol_bits, &tables[class]);
        for (int before = (int)class - 1; before > fitted; before--)
            if (fitted < 0) tables[before] = tables[class];
        fitted = (int)class;
    }
}
