/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the way of the arranged method that suits each chunk. */
#include "arranged_chunks.h"

#include <string.h>

#include "errors.h"

/* --- encoding ------------------------------------------------------------------------------------- */

/* Encode a chunk as its arrangement says; sets its method when that is smaller than its source. */
static void try_arranged(const znl_kernels *kernels, const znl_layout *layout, znl_chunk *chunk,
                         znl_static_encode_scratch *body, znl_arranging_scratch *scratch)
{
    const int is_smaller =
        znl_arranged_encode(kernels, layout, scratch->tables, chunk, &scratch->arrangement, body,
                            &scratch->encoding) == ZNL_OK &&
        znl_saved_by_coding(chunk);
    chunk->method = is_smaller ? ZNL_METHOD_ARRANGED : ZNL_METHOD_RAW;
    if (!is_smaller) chunk->body_nbytes = chunk->source_nbytes;
}

/* Let the tables of second symbols follow those that the chunk has. */
static void add_second(const znl_arranged_choice *choice, znl_chunk *chunk,
                       znl_arranging_scratch *scratch)
{
    const znl_second *second = &choice->plan.second;
    scratch->arrangement.second = *second;
    for (unsigned c = 0; c < second->context_count; c++) {
        scratch->tables[chunk->table_count] = choice->plan.tables[c];
        chunk->tables[chunk->table_count++] = choice->names[c];
    }
}

/* An arrangement that moves nothing: one row, or two when that is too long. */
static void keep_order(size_t value_count, znl_arrangement *arrangement)
{
    const uint32_t rows = value_count > ZNL_MAX_ROW_VALUES ? 2 : 1;
    const uint32_t shorter = (uint32_t)value_count / rows;
    arrangement->part_count = rows;
    for (uint32_t p = 0; p < rows; p++) {
        const znl_part part = {1, p ? shorter : (uint32_t)value_count - (rows - 1) * shorter, 0};
        arrangement->parts[p] = part;
        arrangement->row_classes[p] = 0;
    }
}

void znl_encode_in_order(const znl_kernels *kernels, const znl_layout *layout,
                         const znl_freq_table *table, znl_chunk *chunk,
                         const znl_arranged_choice *choice, znl_static_encode_scratch *body,
                         znl_arranging_scratch *scratch)
{
    keep_order(chunk->source_nbytes / layout->width, &scratch->arrangement);
    scratch->tables[0] = *table;
    add_second(choice, chunk, scratch);
    try_arranged(kernels, layout, chunk, body, scratch);
}

/* Whether what is lost where an order by columns mixes rows with zero bits and others is more than that order
 * gains, maybe. */
static int may_regret_columns(const znl_layout *layout, const znl_chunk *chunk,
                              const znl_reduction *found)
{
    znl_reduction by_rows;
    const size_t coded_count = znl_coded_count(layout, chunk);
    if (!znl_reduction_seems_to_pay(layout, chunk->source, coded_count)) return 0;
    znl_reduction_find(layout, chunk->source, coded_count, &by_rows);
    return znl_reduction_saved_nbytes(&by_rows, coded_count) >
           znl_reduction_saved_nbytes(found, coded_count) + chunk->source_nbytes / ZNL_COLUMNS_SAVE;
}

/* Encode a chunk as planned, which the arrangement is already. Returns 1 when that is smaller than its source. */
static int encode_planned(const znl_kernels *kernels, const znl_layout *layout, znl_chunk *chunk,
                          const znl_arranged_plan *plan, const znl_arranged_choice *choice,
                          const znl_table *tables, znl_static_encode_scratch *body,
                          znl_arranging_scratch *scratch)
{
    const znl_arranged_group *group = &scratch->groups[plan->group];
    chunk->table_count = (uint8_t)group->classes.class_count;
    for (unsigned t = 0; t < chunk->table_count; t++) {
        chunk->tables[t] = tables[group->first_table + t].name;
        scratch->tables[t] = group->tables[t];
    }
    add_second(choice, chunk, scratch);
    try_arranged(kernels, layout, chunk, body, scratch);
    if (plan->kind == ZNL_BY_ROWS_AND_COLUMNS && choice->plan.second.kind == ZNL_NO_SECOND &&
        may_regret_columns(layout, chunk, &scratch->arrangement.reduction)) {
        const uint32_t by_columns = chunk->body_nbytes;
        znl_arranged_plan other = *plan;
        other.kind = ZNL_BY_ROWS;
        znl_arrangement_of_plan(chunk, &other, group, &scratch->arrangement);
        try_arranged(kernels, layout, chunk, body, scratch);
        if (chunk->body_nbytes > by_columns) {
            znl_arrangement_of_plan(chunk, plan, group, &scratch->arrangement);
            try_arranged(kernels, layout, chunk, body, scratch);
        }
    }
    if (chunk->method != ZNL_METHOD_ARRANGED) chunk->table_count = 0;
    return chunk->method == ZNL_METHOD_ARRANGED;
}

/* --- choosing ------------------------------------------------------------------------------------- */

/* Whether a chunk that stays in source order gains by leaving out bits. */
static int wants_reduction(const znl_layout *layout, const znl_chunk *chunk)
{
    znl_reduction found;
    const size_t coded_count = znl_coded_count(layout, chunk);
    if (!znl_reduction_seems_to_pay(layout, chunk->source, coded_count)) return 0;
    znl_reduction_find(layout, chunk->source, coded_count, &found);
    return found.shift > 0;
}

/* Plan second symbols for a chunk with class_count tables, unless known bits save more. before: the choice for the last
 * chunk that has some, or NULL. Returns the number of new tables, which are written. */
static unsigned plan_second(const znl_kernels *kernels, const znl_layout *layout,
                            const znl_chunk *chunk, unsigned class_count,
                            const znl_arranged_choice *before, znl_arranged_choice *choice,
                            znl_table *tables, znl_arranging_scratch *scratch)
{
    znl_second_plan *plan = &choice->plan;
    const size_t coded_count = znl_coded_count(layout, chunk);
    const znl_classed_values values = {layout, chunk->source, coded_count, class_count,
                                       &scratch->arrangement};
    znl_second_plan_make(kernels, &values, before ? &before->plan : NULL, &scratch->counts, plan);
    if (plan->second.kind == ZNL_NO_SECOND) return 0;
    znl_reduction known;
    znl_reduction_find(layout, chunk->source, coded_count, &known);
    if (znl_reduction_saved_nbytes(&known, coded_count) >= plan->saved_nbytes) {
        plan->second.kind = ZNL_NO_SECOND;
        plan->second.context_count = 0;
        return 0;
    }
    if (plan->new_tables == 0) memcpy(choice->names, before->names, sizeof choice->names);
    for (unsigned c = 0; c < plan->new_tables; c++) {
        znl_table_name(&plan->tables[c], &tables[c]);
        choice->names[c] = tables[c].name;
    }
    return plan->new_tables;
}

/* Write the tables of all groups. Returns their number. */
static uint32_t write_groups(uint32_t group_count, znl_table *tables,
                             znl_arranging_scratch *scratch)
{
    uint32_t table_count = 0;
    for (uint32_t g = 0; g < group_count; g++) {
        znl_arranged_group *group = &scratch->groups[g];
        group->first_table = table_count;
        for (unsigned t = 0; t < group->classes.class_count; t++)
            znl_table_name(&group->tables[t], &tables[table_count++]);
    }
    return table_count;
}

uint32_t znl_arrange_chunks(const znl_kernels *kernels, const znl_layout *layout, znl_chunk *chunks,
                            size_t chunk_count, znl_arranged_choice *choices, znl_table *tables,
                            znl_static_encode_scratch *body, znl_arranging_scratch *scratch)
{
    int any = 0;
    for (size_t i = 0; i < chunk_count; i++) {
        scratch->wanted[i] = chunks[i].part_count > 0 && choices[i].kind == ZNL_NO_CHOICE &&
                             chunks[i].source_nbytes / layout->width >= ZNL_ARRANGED_MIN_VALUES;
        any |= scratch->wanted[i];
    }
    if (!any) return 0;
    znl_plan_begin(kernels, layout, chunks, chunk_count, scratch->wanted, &scratch->planning);
    for (size_t i = 0; i < chunk_count; i++) {
        if (!scratch->wanted[i]) continue;
        /* Here, so that the plan finds the chunk in a near cache. */
        chunks[i].checksum = kernels->xxh3_64(chunks[i].source, chunks[i].source_nbytes);
        znl_plan_chunk(kernels, layout, &chunks[i], &scratch->plans[i], scratch->groups,
                       &scratch->planning);
    }
    uint32_t table_count =
        write_groups(znl_plan_end(layout, scratch->plans, chunk_count, scratch->wanted,
                                  scratch->groups, &scratch->planning),
                     tables, scratch);
    const znl_arranged_choice *before = NULL;
    for (size_t i = 0; i < chunk_count; i++) {
        const znl_arranged_plan *plan = &scratch->plans[i];
        const int is_planned = plan->kind != ZNL_NOT_ARRANGED;
        if (!scratch->wanted[i]) continue;
        unsigned class_count = 1;
        if (is_planned) {
            const znl_arranged_group *group = &scratch->groups[plan->group];
            class_count = group->classes.class_count;
            znl_arrangement_of_plan(&chunks[i], plan, group, &scratch->arrangement);
        }
        table_count += plan_second(kernels, layout, &chunks[i], class_count, before, &choices[i],
                                   tables + table_count, scratch);
        const int has_second = choices[i].plan.second.kind != ZNL_NO_SECOND;
        if (has_second) before = &choices[i];
        if (!is_planned) {
            if (has_second || wants_reduction(layout, &chunks[i])) choices[i].kind = ZNL_IN_ORDER;
        } else if (encode_planned(kernels, layout, &chunks[i], plan, &choices[i], tables, body,
                                  scratch)) {
            choices[i].kind = ZNL_CODED;
        }
    }
    return table_count;
}
