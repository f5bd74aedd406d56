/* SPDX-License-Identifier: Apache-2.0 */
/* Decides by entropies of sampled counts. Integers only: every machine must choose the same. */
#include "contexts.h"

#include <string.h>

/* A TABLE record of 16 + 36 bytes, again 4 + 36 in the page, and a reference in a chunk; in 1/256 bit. */
#define CONTEXT_COST ((uint64_t)((92 + 8) * 8) << 8)
/* Superblocks that tell whether to look closer, and of the closer look. */
#define GLANCED 8u
#define LOOKED 96u
/* How much an entropy of counts is too low: (cells - 1) / 2 in natural units (Miller 1955), in 1/256 bit. */
#define BIAS_OF_CELL 185u

/* --- counting ------------------------------------------------------------------------------------- */

static void clear_counts(znl_second_counts *counts)
{
    counts->first = 1u << ZNL_CONTEXT_SYMBOL_BITS;
    counts->end = 0;
    counts->value_count = 0;
}

/* Take a symbol value into the range in use. */
static void extend(znl_second_counts *counts, unsigned value)
{
    if (counts->first >= counts->end) {
        counts->first = value;
        counts->end = value;
    }
    for (; counts->end <= value; counts->end++)
        memset(counts->of[counts->end], 0, sizeof counts->of[0]);
    for (; counts->first > value; counts->first--)
        memset(counts->of[counts->first - 1], 0, sizeof counts->of[0]);
}

/* Count about `wanted` superblocks, from all parts of a chunk. */
static void count_superblocks(const znl_kernels *kernels, const znl_layout *layout,
                              const uint8_t *values, size_t coded_count, size_t wanted,
                              znl_second_counts *counts)
{
    enum { COUNT = ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES };
    uint16_t symbols[COUNT];
    uint8_t second[COUNT], planes[2 * COUNT], bit_plane[COUNT];
    const size_t superblocks = coded_count / COUNT;
    /* Odd: what repeats does so in even numbers. */
    const size_t step = superblocks > wanted ? superblocks / wanted | 1 : 1;
    clear_counts(counts);
    for (size_t s = 0; s < superblocks; s += step) {
        const uint8_t *in = values + s * COUNT * layout->width;
        kernels->split(layout, in, ZNL_SUPERBLOCK_BLOCKS, symbols, planes, COUNT, bit_plane);
        znl_find_second(layout, in, COUNT, second);
        for (unsigned i = 0; i < COUNT; i++) {
            if (symbols[i] < counts->first || symbols[i] >= counts->end) extend(counts, symbols[i]);
            counts->of[symbols[i]][second[i]]++;
        }
        counts->value_count += COUNT;
    }
}

/* --- costs, in 1/256 bit -------------------------------------------------------------------------- */

static uint64_t n_log2_n(uint64_t n)
{
    return n < 2 ? 0 : n * znl_log2_q16(n) >> 8;
}

/* What counts cost with a table of their own. */
static uint64_t counts_cost(const uint32_t *counts)
{
    uint64_t total = 0, known = 0;
    for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++)
        if (counts[z]) {
            total += counts[z];
            known += n_log2_n(counts[z]);
        }
    const uint64_t all = n_log2_n(total);
    return all > known ? all - known : 0;
}

/* What the counted values take without second symbols. */
static uint64_t raw_cost(const znl_layout *layout, const znl_second_counts *counts)
{
    uint64_t bits = 0;
    if (layout->width == 1) return (counts->value_count * layout->low_bits) << 8;
    for (unsigned value = counts->first; value < counts->end; value++)
        for (unsigned z = 0; z <= ZNL_TRAILING_BITS; z++)
            bits += (uint64_t)counts->of[value][z] * (z < ZNL_TRAILING_BITS ? z + 1 : z);
    return bits << 8;
}

/* What they must save. */
static uint64_t least_saved(const znl_layout *layout, uint64_t value_count)
{
    return (value_count * 8 * layout->width << 8) / ZNL_SECOND_SAVES;
}

/* Whether a context for each symbol value would pay, if its tables cost nothing. */
static int seems_to_pay(const znl_layout *layout, const znl_second_counts *counts)
{
    uint64_t cost = 0;
    for (unsigned value = counts->first; value < counts->end; value++) {
        unsigned cells = 0;
        for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++) cells += counts->of[value][z] != 0;
        cost += counts_cost(counts->of[value]) + (cells ? cells - 1 : 0) * BIAS_OF_CELL;
    }
    /* Tables will take some of it. */
    return cost + least_saved(layout, counts->value_count) * 3 / 2 < raw_cost(layout, counts);
}

/* --- contexts ------------------------------------------------------------------------------------- */

/* Neighbouring symbol values that share a table. */
typedef struct {
    unsigned first;
    uint32_t counts[ZNL_SYMBOL_COUNT];
    uint64_t cost;
    uint64_t together; /* with the next one */
} context;

enum { MOST_BEGUN = 64 };

/* As many contexts as symbol values in use, or half, a quarter, ... of them. */
static unsigned begin_contexts(const znl_second_counts *counts, context *contexts)
{
    unsigned width = 1, count = 0;
    while ((counts->end - counts->first) / width >= MOST_BEGUN) width *= 2;
    for (unsigned value = counts->first; value < counts->end; value++) {
        uint32_t any = 0;
        for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++) any |= counts->of[value][z];
        if (!any) continue;
        if (count == 0 || value / width != contexts[count - 1].first / width) {
            memset(&contexts[count], 0, sizeof *contexts);
            contexts[count++].first = value;
        }
        for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++)
            contexts[count - 1].counts[z] += counts->of[value][z];
    }
    for (unsigned i = 0; i < count; i++) contexts[i].cost = counts_cost(contexts[i].counts);
    return count;
}

static uint64_t cost_together(const context *a, const context *b)
{
    uint32_t counts[ZNL_SYMBOL_COUNT];
    for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++) counts[z] = a->counts[z] + b->counts[z];
    return counts_cost(counts);
}

/* Join neighbours while they are too many or one of them does not save what it costs. */
static unsigned join_contexts(context *contexts, unsigned count, unsigned most,
                              uint64_t context_cost)
{
    for (unsigned i = 0; i + 1 < count; i++)
        contexts[i].together = cost_together(&contexts[i], &contexts[i + 1]);
    while (count > 1) {
        unsigned best = 0;
        uint64_t least = UINT64_MAX;
        for (unsigned i = 0; i + 1 < count; i++) {
            const uint64_t apart = contexts[i].cost + contexts[i + 1].cost;
            const uint64_t loss = contexts[i].together > apart ? contexts[i].together - apart : 0;
            if (loss < least) {
                least = loss;
                best = i;
            }
        }
        if (count <= most && least >= context_cost) break;
        for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++)
            contexts[best].counts[z] += contexts[best + 1].counts[z];
        contexts[best].cost = contexts[best].together;
        count--;
        memmove(&contexts[best + 1], &contexts[best + 2], (count - best - 1) * sizeof *contexts);
        if (best + 1 < count)
            contexts[best].together = cost_together(&contexts[best], &contexts[best + 1]);
        if (best > 0)
            contexts[best - 1].together = cost_together(&contexts[best - 1], &contexts[best]);
    }
    return count;
}

void znl_second_plan_make(const znl_kernels *kernels, const znl_layout *layout,
                          const uint8_t *values, size_t coded_count, znl_second_counts *counts,
                          znl_second_plan *plan)
{
    context contexts[MOST_BEGUN + 1];
    plan->second.kind = ZNL_NO_SECOND;
    plan->second.context_count = 0;
    plan->saved_nbytes = 0;
    if (znl_second_kind(layout) == ZNL_NO_SECOND) return;
    count_superblocks(kernels, layout, values, coded_count, GLANCED, counts);
    if (counts->value_count == 0 || !seems_to_pay(layout, counts)) return;
    count_superblocks(kernels, layout, values, coded_count, LOOKED, counts);
    const uint64_t sampled = counts->value_count;
    unsigned count = begin_contexts(counts, contexts);
    count = join_contexts(contexts, count, ZNL_MAX_CONTEXTS, CONTEXT_COST * sampled / coded_count);
    uint64_t cost = least_saved(layout, sampled) + count * (CONTEXT_COST * sampled / coded_count);
    for (unsigned c = 0; c < count; c++) {
        znl_table_fit(contexts[c].counts, ZNL_SECOND_BITS, &plan->tables[c]);
        cost += znl_table_cost(&plan->tables[c], contexts[c].counts, ZNL_SECOND_BITS);
        if (c) plan->second.bounds[c - 1] = (uint16_t)contexts[c].first;
    }
    const uint64_t raw = raw_cost(layout, counts);
    if (cost >= raw) return;
    plan->second.kind = znl_second_kind(layout);
    plan->second.context_count = count;
    plan->saved_nbytes =
        (size_t)((raw - cost + least_saved(layout, sampled)) / 2048 * coded_count / sampled);
}
