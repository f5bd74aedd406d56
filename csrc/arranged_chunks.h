/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of a call of the encoder that are coded by the arranged method: by their rows and columns, or in source
 * order but with less bits or with second symbols. */
#ifndef ZNL_ARRANGED_CHUNKS_H
#define ZNL_ARRANGED_CHUNKS_H

#include "arranged_groups.h"
#include "contexts.h"
#include "static_body.h"

#define ZNL_MOST_ARRANGED 64u /* of a call, the others are not looked at */

/* What was decided for a chunk: nothing; that it is coded already; that znl_encode_in_order is for it. */
enum { ZNL_NO_CHOICE, ZNL_CODED, ZNL_IN_ORDER };

typedef struct {
    int kind;
    znl_second_plan plan;
    uint64_t names[ZNL_MAX_CONTEXTS]; /* of its tables */
} znl_arranged_choice;

typedef struct {
    znl_arranged_groups_scratch planning;
    znl_arranged_encode_scratch encoding;
    znl_arrangement arrangement;
    znl_second_counts counts;
    znl_freq_table tables[ZNL_MAX_TABLES];
    uint8_t wanted[ZNL_MOST_ARRANGED]; /* chunks that were looked at; their checksums are taken */
    znl_arranged_plan plans[ZNL_MOST_ARRANGED];
    znl_arranged_group groups[ZNL_MOST_ARRANGED];
} znl_arranging_scratch;

/* Encode the chunks that gain by it, and choose for the others.
 *
 * chunks     chunk_count of one layout, at most ZNL_MOST_ARRANGED
 * choices    in: of kind ZNL_CODED for those that are not to be touched, ZNL_NO_CHOICE for the others; out
 * tables     out, at most 32 and ZNL_MAX_CONTEXTS for each chunk
 * returns    the number of tables
 */
uint32_t znl_arrange_chunks(const znl_kernels *kernels, const znl_layout *layout, znl_chunk *chunks,
                            size_t chunk_count, znl_arranged_choice *choices, znl_table *tables,
                            znl_static_encode_scratch *body, znl_arranging_scratch *scratch);

/* Encode a chunk of that kind with one table for its values, whose name stands in chunk->tables. Sets its method
 * when that is smaller than its source. */
void znl_encode_in_order(const znl_kernels *kernels, const znl_layout *layout,
                         const znl_freq_table *table, znl_chunk *chunk,
                         const znl_arranged_choice *choice, znl_static_encode_scratch *body,
                         znl_arranging_scratch *scratch);

#endif
