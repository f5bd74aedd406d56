/* SPDX-License-Identifier: Apache-2.0 */
/* Whether second symbols pay for a chunk, and their contexts and tables. */
#ifndef ZNL_CONTEXTS_H
#define ZNL_CONTEXTS_H

#include "arrangement.h"
#include "kernels.h"
#include "second.h"
#include "table.h"

/* What second symbols must save, 1 / so many of the values: they cost a decoder another pass. */
#define ZNL_SECOND_SAVES 400u
#define ZNL_SECOND_CLASSED_BITS 5 /* the widest symbol values whose contexts follow classes */

/* A chunk's values in source order, and what says their classes. */
typedef struct {
    const znl_layout *layout;
    const uint8_t *values;
    size_t coded_count; /* a multiple of 64 */
    unsigned class_count;
    const znl_arrangement *arrangement; /* not read when there is one class */
} znl_classed_values;

typedef struct {
    znl_second second; /* of kind ZNL_NO_SECOND when they don't pay */
    znl_freq_table tables[ZNL_MAX_CONTEXTS];
    unsigned new_tables; /* all of them, or none: they are those of a plan before */
    size_t saved_nbytes; /* about; tables and references are taken off */
} znl_second_plan;

/* Neighbouring places (class << S | symbol value) that share tables: all their counts lie with the first of them; of
 * classes, with the places of the first class. */
typedef struct {
    unsigned first;
    uint64_t cost;
    uint64_t together; /* with the next one */
} znl_second_interval;

#define ZNL_CONTEXTS_BEGUN 64u /* of a group of classes, before they are joined */

/* Counts of second symbols by place, and working memory. */
#define ZNL_SECOND_PLACES (ZNL_MAX_TABLES << ZNL_SECOND_CLASSED_BITS)
typedef struct {
    uint32_t of[ZNL_SECOND_PLACES][ZNL_SYMBOL_COUNT];
    unsigned first, end; /* places in use */
    uint64_t value_count;
    znl_second_interval contexts[ZNL_MAX_CONTEXTS * ZNL_CONTEXTS_BEGUN];
    znl_contexts before; /* of another plan */
} znl_second_counts;

/* Decide by counting a sample.
 *
 * before    the plan of a chunk before, whose tables may do; or NULL
 */
void znl_second_plan_make(const znl_kernels *kernels, const znl_classed_values *of,
                          const znl_second_plan *before, znl_second_counts *counts,
                          znl_second_plan *plan);

#endif
