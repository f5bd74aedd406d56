/* SPDX-License-Identifier: Apache-2.0 */
/* Decides by what the sampled counts cost, never by trial. */
#include "arranged_groups.h"

#include <string.h>

#include "static_body.h"

/* A TABLE record of 16 + 36 bytes, again 4 + 36 in the page; a reference in a chunk; in 1/256 bit. */
#define TABLE_COST ((uint64_t)(92 * 8) << 8)
#define REFERENCE_COST ((uint64_t)64 << 8)
/* What moving rows must save, of all coded and raw bits of a chunk: it costs time. */
#define ROWS_SAVE 1000u

static unsigned bits_of(unsigned count)
{
    unsigned bits = 0;
    while (1u << bits < count) bits++;
    return bits;
}

/* The symbol values of a chunk; its planes are not kept. */
static void find_symbols(const znl_kernels *kernels, const znl_layout *layout,
                         const znl_chunk *chunk, size_t value_count, uint16_t *symbols)
{
    enum { RUN = ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES };
    uint8_t planes[8 * RUN], bit_plane[8 * RUN / 8], last[8 * ZNL_BLOCK_VALUES] = {0};
    const size_t width = layout->width, whole = value_count - value_count % ZNL_BLOCK_VALUES;
    for (size_t first = 0; first < whole; first += RUN) {
        const size_t count = whole - first < RUN ? whole - first : RUN;
        kernels->split(layout, chunk->source + first * width, count / ZNL_BLOCK_VALUES,
                       symbols + first, planes, RUN, bit_plane);
    }
    if (whole == value_count) return;
    memcpy(last, chunk->source + whole * width, (value_count - whole) * width);
    kernels->split(layout, last, 1, symbols + whole, planes, RUN, bit_plane);
}

/* How symbol values and bytes of the batch are distributed, roughly. */
static void begin_view(const znl_kernels *kernels, const znl_layout *layout,
                       const znl_chunk *chunks, size_t chunk_count, const uint8_t *wanted,
                       znl_arranged_groups_scratch *scratch)
{
    uint32_t *total = scratch->total;
    const size_t entries = (size_t)1 << layout->symbol_bits;
    uint64_t value_count = 0;
    memset(total, 0, entries * sizeof *total);
    memset(scratch->byte_counts, 0, sizeof scratch->byte_counts);
    for (size_t i = 0; i < chunk_count; i++) {
        if (!wanted[i]) continue;
        const size_t count = chunks[i].source_nbytes / layout->width;
        kernels->histogram(layout, chunks[i].source, count, 128, scratch->counts);
        for (size_t v = 0; v < entries; v++) total[v] += scratch->counts[v];
        for (size_t at = 0; layout->width == 1 && at < count; at += 61)
            scratch->byte_counts[chunks[i].source[at]]++;
        value_count += count;
    }
    /* Tables of large batches are fitted to some 400 thousand values, of small ones to 32 thousand. */
    const uint64_t step = value_count >> 15;
    znl_measure_begin(layout, total, scratch->byte_counts,
                      step < 1    ? 1
                      : step > 12 ? 12
                                  : (unsigned)step,
                      &scratch->view);
}

/* What a way to code a chunk costs, in 1/256 bit of the whole chunk. */
typedef struct {
    uint64_t code; /* with tables of its own, which are not in it */
    uint64_t side; /* references and classes */
} way_cost;

/* A cost of value_count values by what was sampled of them. */
static uint64_t sampled_cost(uint64_t cost, uint64_t value_count, uint64_t sampled)
{
    return cost * sampled / value_count;
}

/* The width of even classes that lets a column move a value by its whole bin. */
static unsigned width_for(unsigned reach)
{
    return (2 * reach) / (2 * ZNL_COLUMN_CLASS_ZERO + 1) + 1;
}

static way_cost cost_of(const znl_bin_counts *bins, unsigned even_width, uint64_t value_count,
                        uint64_t sampled, size_t row_count, size_t column_count)
{
    znl_bin_classes classes;
    way_cost cost;
    znl_cut_bins(bins, even_width, sampled_cost(TABLE_COST + REFERENCE_COST, value_count, sampled),
                 &classes);
    cost.code = classes.cost * value_count / sampled;
    cost.side = REFERENCE_COST * classes.class_count +
                ((uint64_t)(row_count * bits_of(classes.class_count) + 4 * column_count) << 8);
    return cost;
}

static int is_in_source_order(const znl_chunk *chunk)
{
    for (size_t p = 0; p < chunk->part_count; p++)
        if (chunk->parts[p].row_values % ZNL_BLOCK_VALUES) return 0;
    return 1;
}

/* Choose the cheapest way for a measured chunk; its counts are left in by_row. cost: out, of that way;
 * flat: out, with one table. */
static int choose_way(const znl_layout *layout, const znl_chunk *chunk, const znl_measure *measure,
                      znl_arranged_groups_scratch *scratch, way_cost *cost, uint64_t *flat)
{
    const uint64_t count = chunk->source_nbytes / layout->width, sampled = measure->sampled;
    const way_cost rows = cost_of(&scratch->by_row, 0, count, sampled, measure->row_count, 0);
    const unsigned raw_bits = 8u * layout->width - layout->symbol_bits;
    uint64_t best = znl_bins_flat_cost(&scratch->by_row) * count / sampled;
    const uint64_t whole = best + ((count * raw_bits) << 8);
    int way = ZNL_NOT_ARRANGED;
    best += REFERENCE_COST;
    *flat = best;
    const uint64_t rows_need = is_in_source_order(chunk) ? 0 : whole / ROWS_SAVE;
    if (rows.code + rows.side + rows_need < best) {
        way = ZNL_BY_ROWS;
        best = rows.code + rows.side;
        *cost = rows;
    }
    if (measure->column_reach) {
        const way_cost both = cost_of(&scratch->by_column, width_for(measure->column_reach), count,
                                      sampled, measure->row_count, measure->column_count);
        if (both.code + both.side + whole / ZNL_COLUMNS_SAVE < best) {
            way = ZNL_BY_ROWS_AND_COLUMNS;
            *cost = both;
        }
    }
    return way;
}

/* The group that grows while chunks pass. */
typedef struct {
    uint64_t cost; /* of its chunks' codes and its tables */
    uint64_t sampled, value_count;
    unsigned reach; /* of the columns of its chunks that have column classes */
    uint32_t chunk_count;
} open_group;

static void cut_group(const znl_bin_counts *bins, open_group *group, znl_bin_classes *classes)
{
    const uint64_t class_cost = TABLE_COST + group->chunk_count * REFERENCE_COST;
    znl_cut_bins(bins, group->reach ? width_for(group->reach) : 0,
                 sampled_cost(class_cost, group->value_count, group->sampled), classes);
    group->cost =
        classes->cost * group->value_count / group->sampled + classes->class_count * class_cost;
}

/* Fit the tables of a group that is complete. */
static void close_group(const znl_layout *layout, znl_arranged_groups_scratch *scratch,
                        open_group *open, znl_arranged_group *group)
{
    cut_group(&scratch->group, open, &group->classes);
    znl_bins_fit(&scratch->group, &group->classes, scratch->view.low, layout->symbol_bits,
                 scratch->counts, group->tables);
}

/* Put a chunk into the open group, or close that one and begin another. saved: against one table. */
static void join_or_begin(const znl_layout *layout, const znl_bin_counts *bins, open_group own,
                          uint64_t saved, open_group *open, znl_arranged_group *groups,
                          uint32_t *group_count, znl_arranged_groups_scratch *scratch)
{
    znl_bin_classes classes;
    cut_group(bins, &own, &classes);
    if (*group_count) {
        open_group both = {0, open->sampled + own.sampled, open->value_count + own.value_count,
                           open->reach > own.reach ? open->reach : own.reach,
                           open->chunk_count + 1};
        znl_bins_copy(&scratch->merged, &scratch->group);
        znl_bins_add(&scratch->merged, bins);
        cut_group(&scratch->merged, &both, &classes);
        if (both.cost <= open->cost + own.cost) {
            znl_bins_copy(&scratch->group, &scratch->merged);
            groups[*group_count - 1].saved += saved;
            *open = both;
            return;
        }
        close_group(layout, scratch, open, &groups[*group_count - 1]);
    }
    znl_bins_copy(&scratch->group, bins);
    *open = own;
    groups[*group_count].saved = saved;
    ++*group_count;
}

uint32_t znl_plan_arranged(const znl_kernels *kernels, const znl_layout *layout,
                           const znl_chunk *chunks, size_t chunk_count, const uint8_t *wanted,
                           znl_arranged_plan *plans, znl_arranged_group *groups,
                           znl_arranged_groups_scratch *scratch)
{
    size_t rows_taken = 0, columns_taken = 0;
    uint32_t group_count = 0;
    open_group open = {0, 0, 0, 0, 0};
    begin_view(kernels, layout, chunks, chunk_count, wanted, scratch);
    for (size_t i = 0; i < chunk_count; i++) {
        const znl_chunk *chunk = &chunks[i];
        const size_t count = chunk->source_nbytes / layout->width;
        znl_measure *measure = &plans[i].measure;
        plans[i].kind = ZNL_NOT_ARRANGED;
        if (!wanted[i] ||
            !znl_measure_sizes(chunk->parts, chunk->part_count, count, &measure->row_count,
                               &measure->column_count) ||
            measure->row_count > ZNL_ROW_POOL - rows_taken ||
            measure->column_count > ZNL_COLUMN_POOL - columns_taken)
            continue;
        measure->row_bins = scratch->row_bins + rows_taken;
        measure->column_bins = scratch->column_bins + columns_taken;
        find_symbols(kernels, layout, chunk, count, scratch->symbols);
        znl_measure_chunk(&scratch->view, chunk, scratch->symbols, count, &scratch->measure,
                          measure, &scratch->by_row, &scratch->by_column);
        way_cost cost;
        uint64_t flat;
        if (measure->sampled == 0) continue;
        plans[i].kind = choose_way(layout, chunk, measure, scratch, &cost, &flat);
        if (plans[i].kind == ZNL_NOT_ARRANGED) continue;
        const int by_rows = plans[i].kind == ZNL_BY_ROWS;
        const open_group own = {0, measure->sampled, count, by_rows ? 0 : measure->column_reach, 1};
        join_or_begin(layout, by_rows ? &scratch->by_row : &scratch->by_column, own,
                      flat - cost.code - cost.side, &open, groups, &group_count, scratch);
        plans[i].group = group_count - 1;
        rows_taken += measure->row_count;
        columns_taken += measure->column_count;
    }
    if (group_count) close_group(layout, scratch, &open, &groups[group_count - 1]);
    /* A group that does not earn its tables leaves its chunks to others. */
    for (size_t i = 0; i < chunk_count; i++)
        if (plans[i].kind != ZNL_NOT_ARRANGED &&
            groups[plans[i].group].saved <= groups[plans[i].group].classes.class_count * TABLE_COST)
            plans[i].kind = ZNL_NOT_ARRANGED;
    return group_count;
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
