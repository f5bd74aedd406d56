/* SPDX-License-Identifier: Apache-2.0 */
/* Which chunks of a batch are arranged, by rows alone or by columns too, and with which tables. */
#ifndef ZNL_ARRANGED_GROUPS_H
#define ZNL_ARRANGED_GROUPS_H

#include "arrangement.h"
#include "kernels.h"
#include "measure.h"

#define ZNL_ARRANGED_MIN_VALUES 16384u /* of a chunk: tables for less do not pay */
/* What an order by columns must save, 1 / so many of all coded and raw bits of a chunk: a decoder scatters single
 * values. */
#define ZNL_COLUMNS_SAVE 400u

/* Consecutive chunks that share the classes of their bins and the tables of these. */
typedef struct {
    znl_bin_classes classes;
    znl_freq_table tables[ZNL_MOST_CLASSES];
    uint32_t first_table; /* its number in the batch */
    uint64_t saved;       /* against one table for each chunk, in 1/256 bit, tables not counted */
} znl_arranged_group;

enum { ZNL_NOT_ARRANGED, ZNL_BY_ROWS, ZNL_BY_ROWS_AND_COLUMNS };

/* What was decided for a chunk. */
typedef struct {
    int kind;
    uint32_t group;
    znl_measure measure; /* its bins lie in the pools */
} znl_arranged_plan;

/* Bins of the rows and columns of a batch: chunks that find no more room are not arranged. */
#define ZNL_ROW_POOL (512u << 10)
#define ZNL_COLUMN_POOL (256u << 10)

/* Chunks that may share classes: what was sampled of them, and the best classes known. */
typedef struct {
    znl_bin_counts counts;
    znl_bin_classes classes;
    uint64_t cost; /* of its chunks' codes and its tables */
    uint64_t sampled, value_count;
    unsigned reach; /* of the columns of its chunks that have column classes */
    uint32_t chunk_count;
} znl_counted_group;

typedef struct {
    uint32_t counts[ZNL_MAX_SYMBOL_VALUES], total[ZNL_MAX_SYMBOL_VALUES];
    znl_measure_view view;
    znl_measure_scratch measure;
    znl_counted_group counted[4];
    znl_counted_group *ways[2]; /* of a chunk; the first one is the cheaper one at last */
    znl_counted_group *open;    /* grows while chunks pass */
    znl_counted_group *merged;  /* both of them */
    uint32_t group_count;
    size_t rows_taken, columns_taken; /* of the pools */
    uint16_t row_bins[ZNL_ROW_POOL];
    int8_t column_bins[ZNL_COLUMN_POOL];
} znl_arranged_groups_scratch;

/* Decide for the chunks of a batch: begin, then each chunk that is wanted in turn, then end.
 *
 * wanted    per chunk, 0: it is left alone
 * plans     out, chunk_count
 * groups    out, chunk_count at most
 * returns   the number of groups
 */
void znl_plan_begin(const znl_kernels *kernels, const znl_layout *layout, const znl_chunk *chunks,
                    size_t chunk_count, const uint8_t *wanted,
                    znl_arranged_groups_scratch *scratch);
void znl_plan_chunk(const znl_kernels *kernels, const znl_layout *layout, const znl_chunk *chunk,
                    znl_arranged_plan *plan, znl_arranged_group *groups,
                    znl_arranged_groups_scratch *scratch);
uint32_t znl_plan_end(const znl_layout *layout, znl_arranged_plan *plans, size_t chunk_count,
                      const uint8_t *wanted, znl_arranged_group *groups,
                      znl_arranged_groups_scratch *scratch);

/* The arrangement that a plan means, with the classes of its group. */
void znl_arrangement_of_plan(const znl_chunk *chunk, const znl_arranged_plan *plan,
                             const znl_arranged_group *group, znl_arrangement *arrangement);

#endif
