/* SPDX-License-Identifier: Apache-2.0 */
/* Decides by what the sampled counts cost, never by trial. */
#include "arranged_groups.h"

#include <string.h>

#include "static_body.h"

/* What moving rows must save, of all coded and raw bits of a chunk: it costs time. */
#define ROWS_SAVE 1000u
/* In 1/512 bit a value and square bin: columns of normal values gain about as much by what they differ, at most. */
#define MOST_SQUARE_GAIN 5u

static unsigned bits_of(unsigned count)
{
    unsigned bits = 0;
    while (1u << bits < count) bits++;
    return bits;
}

/* How symbol values of F64, or bytes of I8 and U8, are distributed in the batch, roughly. */
static void count_batch(const znl_kernels *kernels, const znl_layout *layout,
                        const znl_chunk *chunks, size_t chunk_count, const uint8_t *wanted,
                        znl_arranged_groups_scratch *scratch)
{
    enum { RUN = 64, STRIDE = 32768 };
    const size_t entries = (size_t)1 << layout->symbol_bits;
    memset(scratch->total, 0, sizeof scratch->total);
    if (entries <= ZNL_SCORE_COUNT && !znl_scores_distance(layout)) return;
    for (size_t i = 0; i < chunk_count; i++) {
        const uint8_t *in = chunks[i].source;
        const size_t nbytes = chunks[i].source_nbytes;
        if (!wanted[i]) continue;
        if (layout->width == 1) {
            for (size_t at = 0; at + RUN <= nbytes; at += STRIDE)
                for (size_t byte = 0; byte < RUN; byte++) scratch->total[in[at + byte]]++;
            continue;
        }
        kernels->histogram(layout, in, nbytes / layout->width, 128, scratch->counts);
        for (size_t v = 0; v < entries; v++) scratch->total[v] += scratch->counts[v];
    }
}

static void begin_view(const znl_kernels *kernels, const znl_layout *layout,
                       const znl_chunk *chunks, size_t chunk_count, const uint8_t *wanted,
                       znl_arranged_groups_scratch *scratch)
{
    uint64_t value_count = 0;
    for (size_t i = 0; i < chunk_count; i++)
        if (wanted[i]) value_count += chunks[i].source_nbytes / layout->width;
    count_batch(kernels, layout, chunks, chunk_count, wanted, scratch);
    /* Tables of large batches are fitted to some 300 thousand values at most, of small ones to 32 thousand. */
    const uint64_t step = value_count >> 15, most = layout->width > 2 ? 12 : 14;
    znl_measure_begin(layout, scratch->total,
                      (unsigned)(step < 1      ? 1
                                 : step > most ? most
                                               : step),
                      &scratch->view);
}

/* The width of even classes that lets a column move a value by its whole bin. */
static unsigned width_for(unsigned reach)
{
    return (2 * reach) / (2 * ZNL_COLUMN_CLASS_ZERO + 1) + 1;
}

/* A table and its references, for each class of a group. */
static uint64_t class_cost_of(const znl_counted_group *group)
{
    return ZNL_TABLE_COST + group->chunk_count * ZNL_REFERENCE_COST;
}

/* What code and tables of a group cost with these classes, by what its sampled counts cost. */
static uint64_t group_cost(const znl_counted_group *group, const znl_bin_classes *classes,
                           uint64_t counts_cost)
{
    return counts_cost * group->value_count / group->sampled +
           classes->class_count * class_cost_of(group);
}

/* Cut the bins of a group into the best classes. */
static void cut_group(znl_counted_group *group)
{
    znl_cut_bins(&group->counts, group->reach ? width_for(group->reach) : 0,
                 class_cost_of(group) * group->sampled / group->value_count, &group->classes);
    group->cost = group_cost(group, &group->classes, group->classes.cost);
}

static int is_in_source_order(const znl_chunk *chunk)
{
    for (size_t p = 0; p < chunk->part_count; p++)
        if (chunk->parts[p].row_values % ZNL_BLOCK_VALUES) return 0;
    return 1;
}

static void swap_groups(znl_counted_group **a, znl_counted_group **b)
{
    znl_counted_group *other = *a;
    *a = *b;
    *b = other;
}

/* A chunk that is being decided on. */
typedef struct {
    const znl_chunk *chunk;
    uint64_t value_count;
    const znl_measure *measure;
    uint64_t flat;  /* with one table */
    uint64_t whole; /* the same and the raw bits */
} candidate;

/* Look at one way to code a chunk. Returns what it costs but for tables, classes of rows and columns included. */
static uint64_t try_way(const znl_kernels *kernels, const znl_layout *layout,
                        const znl_measure_view *view, candidate *it, int by_columns,
                        znl_counted_group *way)
{
    const znl_measure *measure = it->measure;
    way->chunk_count = 1;
    way->value_count = it->value_count;
    way->reach = by_columns ? measure->column_reach : 0;
    way->sampled = znl_measure_count(kernels, view, it->chunk, measure, by_columns, &way->counts);
    if (way->sampled == 0) return UINT64_MAX;
    cut_group(way);
    if (!by_columns) {
        const unsigned raw_bits = 8u * layout->width - layout->symbol_bits;
        it->flat = znl_bins_flat_cost(&way->counts) * it->value_count / way->sampled;
        it->whole = it->flat + ((it->value_count * raw_bits) << 8);
        it->flat += ZNL_REFERENCE_COST;
    }
    const uint64_t class_bits = measure->row_count * bits_of(way->classes.class_count) +
                                (by_columns ? 4 * measure->column_count : 0);
    return way->cost - way->classes.class_count * ZNL_TABLE_COST + (class_bits << 8);
}

/* Choose the cheapest way for a measured chunk, and leave its counts and classes in ways[0]. saved: out, against one
 * table. */
static int choose_way(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_measure_view *view, candidate *it, znl_counted_group **ways,
                      uint64_t *saved)
{
    const znl_measure *measure = it->measure;
    const uint64_t rows = try_way(kernels, layout, view, it, 0, ways[0]);
    if (rows == UINT64_MAX) return ZNL_NOT_ARRANGED;
    const uint64_t rows_need = is_in_source_order(it->chunk) ? 0 : it->whole / ROWS_SAVE;
    const int by_rows = rows + rows_need < it->flat;
    const uint64_t best = by_rows ? rows : it->flat, need = it->whole / ZNL_COLUMNS_SAVE;
    *saved = it->flat - best;
    if (measure->column_reach &&
        measure->column_squares * MOST_SQUARE_GAIN / 2 > need + (4 * measure->column_count << 8)) {
        const uint64_t both = try_way(kernels, layout, view, it, 1, ways[1]);
        if (both + need < best) {
            swap_groups(&ways[0], &ways[1]);
            *saved = it->flat - both;
            return ZNL_BY_ROWS_AND_COLUMNS;
        }
    }
    return by_rows ? ZNL_BY_ROWS : ZNL_NOT_ARRANGED;
}

/* Fit the tables of the open group, which is complete. */
static void close_group(const znl_layout *layout, znl_arranged_groups_scratch *scratch,
                        znl_arranged_group *group)
{
    znl_counted_group *open = scratch->open;
    cut_group(open);
    group->classes = open->classes;
    znl_bins_fit(&open->counts, &group->classes, scratch->view.low, layout->symbol_bits,
                 scratch->counts, group->tables);
}

/* Take these classes for a group when no others were cheaper. */
static void try_classes(const znl_bin_classes *classes, znl_counted_group *group)
{
    if (group->reach ? classes->bins_a_class < width_for(group->reach) : classes->bins_a_class > 0)
        return;
    const uint64_t cost = group_cost(group, classes, znl_bins_cost(&group->counts, classes));
    if (cost >= group->cost) return;
    group->cost = cost;
    group->classes = *classes;
}

/* Both groups in one, with the classes of the one or the other; new ones when that costs more than apart. */
static void merge_groups(const znl_counted_group *a, const znl_counted_group *b,
                         znl_counted_group *merged)
{
    znl_bins_copy(&merged->counts, &a->counts);
    znl_bins_add(&merged->counts, &b->counts);
    merged->sampled = a->sampled + b->sampled;
    merged->value_count = a->value_count + b->value_count;
    merged->reach = a->reach > b->reach ? a->reach : b->reach;
    merged->chunk_count = a->chunk_count + b->chunk_count;
    merged->cost = UINT64_MAX;
    try_classes(&a->classes, merged);
    try_classes(&b->classes, merged);
    if (merged->cost > a->cost + b->cost) cut_group(merged);
}

/* Put the chunk that was chosen last into the open group, or close that one and begin another. */
static void join_or_begin(const znl_layout *layout, znl_arranged_group *groups,
                          znl_arranged_groups_scratch *scratch)
{
    const znl_counted_group *open = scratch->open, *own = scratch->ways[0];
    if (scratch->group_count) {
        merge_groups(open, own, scratch->merged);
        if (scratch->merged->cost <= open->cost + own->cost) {
            swap_groups(&scratch->open, &scratch->merged);
            return;
        }
        close_group(layout, scratch, &groups[scratch->group_count - 1]);
    }
    swap_groups(&scratch->open, &scratch->ways[0]);
    groups[scratch->group_count++].saved = 0;
}

void znl_plan_begin(const znl_kernels *kernels, const znl_layout *layout, const znl_chunk *chunks,
                    size_t chunk_count, const uint8_t *wanted, znl_arranged_groups_scratch *scratch)
{
    for (unsigned i = 0; i < 2; i++) scratch->ways[i] = &scratch->counted[i];
    scratch->open = &scratch->counted[2];
    scratch->merged = &scratch->counted[3];
    scratch->group_count = 0;
    scratch->rows_taken = scratch->columns_taken = 0;
    begin_view(kernels, layout, chunks, chunk_count, wanted, scratch);
}

void znl_plan_chunk(const znl_kernels *kernels, const znl_layout *layout, const znl_chunk *chunk,
                    znl_arranged_plan *plan, znl_arranged_group *groups,
                    znl_arranged_groups_scratch *scratch)
{
    znl_measure *measure = &plan->measure;
    candidate it = {chunk, chunk->source_nbytes / layout->width, measure, 0, 0};
    uint64_t saved;
    plan->kind = ZNL_NOT_ARRANGED;
    if (!znl_measure_sizes(chunk->parts, chunk->part_count, it.value_count, &measure->row_count,
                           &measure->column_count) ||
        measure->row_count > ZNL_ROW_POOL - scratch->rows_taken ||
        measure->column_count > ZNL_COLUMN_POOL - scratch->columns_taken)
        return;
    measure->row_bins = scratch->row_bins + scratch->rows_taken;
    measure->column_bins = scratch->column_bins + scratch->columns_taken;
    znl_measure_chunk(kernels, &scratch->view, chunk, &scratch->measure, measure);
    plan->kind = choose_way(kernels, layout, &scratch->view, &it, scratch->ways, &saved);
    if (plan->kind == ZNL_NOT_ARRANGED) return;
    join_or_begin(layout, groups, scratch);
    plan->group = scratch->group_count - 1;
    groups[plan->group].saved += saved;
    scratch->rows_taken += measure->row_count;
    scratch->columns_taken += measure->column_count;
}

uint32_t znl_plan_end(const znl_layout *layout, znl_arranged_plan *plans, size_t chunk_count,
                      const uint8_t *wanted, znl_arranged_group *groups,
                      znl_arranged_groups_scratch *scratch)
{
    if (scratch->group_count) close_group(layout, scratch, &groups[scratch->group_count - 1]);
    for (size_t i = 0; i < chunk_count; i++) {
        /* A group that does not earn its tables leaves its chunks to others. */
        if (!wanted[i] || (plans[i].kind != ZNL_NOT_ARRANGED &&
                           groups[plans[i].group].saved <=
                               groups[plans[i].group].classes.class_count * ZNL_TABLE_COST))
            plans[i].kind = ZNL_NOT_ARRANGED;
    }
    return scratch->group_count;
}

/* How many classes a column's bin moves a value. */
static uint8_t column_class(const znl_bin_classes *classes, int bin)
{
    const int width = (int)classes->bins_a_class, half = width / 2;
    const int moves = (bin < 0 ? bin - half : bin + half) / width;
    const int most = ZNL_COLUMN_CLASS_ZERO;
    return (uint8_t)(most + (moves < -most ? -most : moves > most ? most : moves));
}

void znl_arrangement_of_plan(const znl_chunk *chunk, const znl_arranged_plan *plan,
                             const znl_arranged_group *group, znl_arrangement *arrangement)
{
    const int by_columns = plan->kind == ZNL_BY_ROWS_AND_COLUMNS;
    uint8_t *out = arrangement->column_classes;
    const int8_t *bins = plan->measure.column_bins;
    arrangement->part_count = chunk->part_count;
    for (size_t r = 0; r < plan->measure.row_count; r++)
        arrangement->row_classes[r] = group->classes.class_of[plan->measure.row_bins[r]];
    for (size_t p = 0; p < chunk->part_count; p++) {
        znl_part *part = &arrangement->parts[p];
        const int is_measured = znl_part_has_columns(&chunk->parts[p]);
        *part = chunk->parts[p];
        part->has_columns = 0;
        for (size_t c = 0; by_columns && is_measured && c < part->row_values; c++) {
            out[c] = column_class(&group->classes, bins[c]);
            part->has_columns |= out[c] != ZNL_COLUMN_CLASS_ZERO;
        }
        if (part->has_columns) out += part->row_values;
        if (is_measured) bins += part->row_values;
    }
}
