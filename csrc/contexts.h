/* SPDX-License-Identifier: Apache-2.0 */
/* Whether second symbols pay for a chunk, and their contexts and tables. */
#ifndef ZNL_CONTEXTS_H
#define ZNL_CONTEXTS_H

#include "kernels.h"
#include "second.h"
#include "table.h"

/* What second symbols must save, 1 / so many of the values: they cost a decoder another pass. */
#define ZNL_SECOND_SAVES 400u

typedef struct {
    znl_second second; /* of kind ZNL_NO_SECOND when they don't pay */
    znl_freq_table tables[ZNL_MAX_CONTEXTS];
    size_t saved_nbytes; /* about; tables and references are taken off */
} znl_second_plan;

/* Counts of second symbols by symbol value. */
typedef struct {
    uint32_t of[1u << ZNL_CONTEXT_SYMBOL_BITS][ZNL_SYMBOL_COUNT];
    unsigned first, end; /* symbol values in use */
    uint64_t value_count;
} znl_second_counts;

/* Decide by counting a sample.
 *
 * values    coded_count values, a multiple of 64
 */
void znl_second_plan_make(const znl_kernels *kernels, const znl_layout *layout,
                          const uint8_t *values, size_t coded_count, znl_second_counts *counts,
                          znl_second_plan *plan);

#endif
