/* SPDX-License-Identifier: Apache-2.0 */
/* Decides by entropies of sampled counts. Integers only: every machine must choose the same. */
#include "contexts.h"

#include <string.h>

#define CONTEXT_COST (ZNL_TABLE_COST + ZNL_REFERENCE_COST)
/* Superblocks that tell whether to look closer, and of the closer look. */
#define GLANCED 8u
#define LOOKED 96u
/* How much an entropy of counts is too low: (cells - 1) / 2 in natural units (Miller 1955), in 1/256 bit. */
#define BIAS_OF_CELL 185u

/* --- counting ------------------------------------------------------------------------------------- */

/* Nothing counted. Where there are classes, all places of theirs are in use: they are looked at as wholes. */
static void clear_counts(unsigned class_count, unsigned symbol_bits, znl_second_counts *counts)
{
    counts->value_count = 0;
    counts->first = class_count > 1 ? 0 : ZNL_SECOND_PLACES;
    counts->end = class_count > 1 ? class_count << symbol_bits : 0;
    if (counts->end) memset(counts->of, 0, counts->end * sizeof counts->of[0]);
}

/* Take a place into the range in use. */
static void extend(znl_second_counts *counts, unsigned place)
{
    if (counts->first >= counts->end) {
        counts->first = place;
        counts->end = place;
    }
    for (; counts->end <= place; counts->end++)
        memset(counts->of[counts->end], 0, sizeof counts->of[0]);
    for (; counts->first > place; counts->first--)
        memset(counts->of[counts->first - 1], 0, sizeof counts->of[0]);
}

/* Count about `wanted` superblocks, from all parts of a chunk. */
static void count_superblocks(const znl_kernels *kernels, const znl_classed_values *of,
                              unsigned class_count, size_t wanted, znl_second_counts *counts)
{
    enum { COUNT = ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES };
    uint16_t symbols[COUNT];
    uint8_t second[COUNT], classes[COUNT] = {0}, planes[2 * COUNT], bit_plane[COUNT];
    const znl_layout *layout = of->layout;
    const size_t superblocks = of->coded_count / COUNT;
    /* Odd: what repeats does so in even numbers. */
    const size_t step = superblocks > wanted ? superblocks / wanted | 1 : 1;
    clear_counts(class_count, layout->symbol_bits, counts);
    for (size_t s = 0; s < superblocks; s += step) {
        const uint8_t *in = of->values + s * COUNT * layout->width;
        kernels->split(layout, in, ZNL_SUPERBLOCK_BLOCKS, symbols, planes, COUNT, bit_plane);
        znl_find_second(layout, in, COUNT, second);
        if (class_count > 1)
            znl_arrangement_value_classes(of->arrangement, class_count, s * COUNT, COUNT, classes);
        for (unsigned i = 0; i < COUNT; i++) {
            const unsigned place = (unsigned)classes[i] << layout->symbol_bits | symbols[i];
            if (place < counts->first || place >= counts->end) extend(counts, place);
            counts->of[place][second[i]]++;
        }
        counts->value_count += COUNT;
    }
}

/* --- costs, in 1/256 bit -------------------------------------------------------------------------- */

/* What counts cost with a table of their own. */
static uint64_t counts_cost(const uint32_t *counts)
{
    uint64_t total = 0, known = 0;
    for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++)
        if (counts[z]) {
            total += counts[z];
            known += znl_n_log2_n_q16(counts[z]) >> 8;
        }
    const uint64_t all = znl_n_log2_n_q16(total) >> 8;
    return all > known ? all - known : 0;
}

/* What the counted values take without second symbols. */
static uint64_t raw_cost(const znl_layout *layout, const znl_second_counts *counts)
{
    uint64_t bits = 0;
    if (layout->width == 1) return (counts->value_count * layout->low_bits) << 8;
    for (unsigned place = counts->first; place < counts->end; place++)
        for (unsigned z = 0; z <= ZNL_TRAILING_BITS; z++)
            bits += (uint64_t)counts->of[place][z] * (z < ZNL_TRAILING_BITS ? z + 1 : z);
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
    for (unsigned place = counts->first; place < counts->end; place++) {
        unsigned cells = 0;
        for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++) cells += counts->of[place][z] != 0;
        cost += counts_cost(counts->of[place]) + (cells ? cells - 1 : 0) * BIAS_OF_CELL;
    }
    /* Tables will take some of it. */
    return cost + least_saved(layout, counts->value_count) * 3 / 2 < raw_cost(layout, counts);
}

/* --- joining -------------------------------------------------------------------------------------- */

typedef znl_second_interval interval;

static void add_places(znl_second_counts *counts, unsigned to, unsigned from, unsigned places)
{
    for (unsigned p = 0; p < places; p++)
        for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++)
            counts->of[to + p][z] += counts->of[from + p][z];
}

static uint64_t places_cost(const znl_second_counts *counts, unsigned first, unsigned places)
{
    uint64_t cost = 0;
    for (unsigned p = 0; p < places; p++) cost += counts_cost(counts->of[first + p]);
    return cost;
}

static uint64_t cost_together(const znl_second_counts *counts, unsigned a, unsigned b,
                              unsigned places)
{
    uint64_t cost = 0;
    for (unsigned p = 0; p < places; p++) {
        uint32_t sums[ZNL_SYMBOL_COUNT];
        for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++)
            sums[z] = counts->of[a + p][z] + counts->of[b + p][z];
        cost += counts_cost(sums);
    }
    return cost;
}

/* How intervals are joined. */
typedef struct {
    unsigned places; /* of each that hold its counts */
    unsigned within; /* none reaches over a multiple of so many places */
    unsigned most;
    uint64_t least; /* what each must save */
} join_rule;

/* Find what an interval costs with the next one; never to be joined, where that is out of reach. */
static void look_ahead(const znl_second_counts *counts, const join_rule *rule, interval *it)
{
    it->together = it[0].first / rule->within == it[1].first / rule->within
                       ? cost_together(counts, it[0].first, it[1].first, rule->places)
                       : UINT64_MAX;
}

/* Join neighbours while they are too many or one of them does not save what it must. Returns how many are left. */
static unsigned join(znl_second_counts *counts, const join_rule *rule, interval *intervals,
                     unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        intervals[i].cost = places_cost(counts, intervals[i].first, rule->places);
    for (unsigned i = 0; i + 1 < count; i++) look_ahead(counts, rule, &intervals[i]);
    while (count > 1) {
        unsigned best = 0;
        uint64_t least = UINT64_MAX;
        for (unsigned i = 0; i + 1 < count; i++) {
            const uint64_t apart = intervals[i].cost + intervals[i + 1].cost;
            const uint64_t loss = intervals[i].together > apart ? intervals[i].together - apart : 0;
            if (loss < least) {
                least = loss;
                best = i;
            }
        }
        if (count <= rule->most && least >= rule->least) break;
        add_places(counts, intervals[best].first, intervals[best + 1].first, rule->places);
        intervals[best].cost = intervals[best].together;
        count--;
        memmove(&intervals[best + 1], &intervals[best + 2], (count - best - 1) * sizeof *intervals);
        if (best + 1 < count) look_ahead(counts, rule, &intervals[best]);
        if (best > 0) look_ahead(counts, rule, &intervals[best - 1]);
    }
    return count;
}

/* --- contexts ------------------------------------------------------------------------------------- */

/* Join neighbouring classes whose contexts are alike. Returns how many groups of them there are. */
static unsigned group_classes(znl_second_counts *counts, unsigned class_count, unsigned symbol_bits,
                              unsigned most, uint64_t least, interval *groups)
{
    const join_rule rule = {1u << symbol_bits, ZNL_SECOND_PLACES, most, least};
    for (unsigned class = 0; class < class_count; class ++)
        groups[class].first = class << symbol_bits;
    return class_count > 1 ? join(counts, &rule, groups, class_count) : 1;
}

static int is_empty(const znl_second_counts *counts, unsigned place)
{
    uint32_t any = 0;
    for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++) any |= counts->of[place][z];
    return !any;
}

/* Begin the contexts of a group of classes, whose counts are in places [first, end): as many as symbol values in use, or
 * half, a quarter, ... of them. Returns their number. */
static unsigned begin_contexts(znl_second_counts *counts, unsigned first, unsigned end,
                               interval *contexts)
{
    unsigned width = 1, count = 0;
    while (first < end && is_empty(counts, first)) first++;
    while (first < end && is_empty(counts, end - 1)) end--;
    while ((end - first) / width >= ZNL_CONTEXTS_BEGUN) width *= 2;
    for (unsigned place = first; place < end; place++) {
        if (is_empty(counts, place)) continue;
        if (count == 0 || place / width != contexts[count - 1].first / width)
            contexts[count++].first = place;
        else
            add_places(counts, contexts[count - 1].first, place, 1);
    }
    return count;
}

/* Choose contexts: the counts of each are left in its first place. Returns their number, at most `most`. */
static unsigned choose_contexts(znl_second_counts *counts, unsigned class_count,
                                unsigned symbol_bits, unsigned most, uint64_t context_cost,
                                interval *contexts)
{
    interval groups[ZNL_MAX_TABLES];
    unsigned count = 0;
    /* A group has two contexts or more, mostly. */
    const unsigned group_count =
        group_classes(counts, class_count, symbol_bits, most, 2 * context_cost, groups);
    for (unsigned g = 0; g < group_count; g++) {
        const unsigned begin = groups[g].first, limit = begin + (1u << symbol_bits);
        count += begin_contexts(counts, begin > counts->first ? begin : counts->first,
                                limit < counts->end ? limit : counts->end, contexts + count);
    }
    const join_rule rule = {1, 1u << symbol_bits, most, context_cost};
    return join(counts, &rule, contexts, count);
}

/* Let contexts begin where they were found, those of a group with the lowest symbol value. */
static void set_bounds(const interval *contexts, unsigned count, unsigned symbol_bits,
                       znl_second *second)
{
    second->context_count = count;
    for (unsigned c = 1; c < count; c++) {
        const unsigned class = contexts[c].first >> symbol_bits;
        const int is_first = class != contexts[c - 1].first >> symbol_bits;
        second->bounds[c - 1] = (uint16_t)(is_first ? class << symbol_bits : contexts[c].first);
    }
}

/* Make a plan of what was counted. Returns its cost, tables and references included. */
static uint64_t make_plan(const znl_classed_values *of, unsigned class_count,
                          znl_second_counts *counts, znl_second_plan *plan)
{
    interval *contexts = counts->contexts;
    const unsigned symbol_bits = of->layout->symbol_bits, left = ZNL_MAX_TABLES - of->class_count;
    const unsigned most = left < ZNL_MAX_CONTEXTS ? left : ZNL_MAX_CONTEXTS;
    const uint64_t context_cost = CONTEXT_COST * counts->value_count / of->coded_count;
    const unsigned count =
        choose_contexts(counts, class_count, symbol_bits, most, context_cost, contexts);
    uint64_t cost = count * context_cost;
    for (unsigned c = 0; c < count; c++) {
        const uint32_t *of_context = counts->of[contexts[c].first];
        znl_table_fit(of_context, ZNL_SECOND_BITS, &plan->tables[c]);
        cost += znl_table_cost(&plan->tables[c], of_context, ZNL_SECOND_BITS);
    }
    plan->second.kind = znl_second_kind(of->layout);
    set_bounds(contexts, count, symbol_bits, &plan->second);
    plan->new_tables = count;
    return cost;
}

/* The cost of what was counted with a plan that was made for another chunk: its tables are there already. */
static uint64_t cost_with(const znl_classed_values *of, znl_second_counts *counts,
                          const znl_second_plan *plan)
{
    znl_contexts *contexts = &counts->before;
    uint32_t sums[ZNL_MAX_CONTEXTS][ZNL_SYMBOL_COUNT] = {{0}};
    const unsigned symbol_bits = of->layout->symbol_bits;
    znl_contexts_make(&plan->second, symbol_bits, contexts);
    for (unsigned place = counts->first; place < counts->end; place++) {
        const unsigned value = place & ((1u << symbol_bits) - 1);
        const unsigned group = contexts->group_of[place >> symbol_bits];
        uint32_t *to = sums[contexts->groups[group].of[value]];
        for (unsigned z = 0; z < ZNL_SYMBOL_COUNT; z++) to[z] += counts->of[place][z];
    }
    const unsigned count = plan->second.context_count;
    uint64_t cost = count * (ZNL_REFERENCE_COST * counts->value_count / of->coded_count);
    for (unsigned c = 0; c < count; c++)
        cost += znl_table_cost(&plan->tables[c], sums[c], ZNL_SECOND_BITS);
    return cost;
}

/* Whether a chunk can have the plan of another. */
static int fits(const znl_classed_values *of, const znl_second_plan *plan)
{
    return plan->second.kind != ZNL_NO_SECOND &&
           of->class_count + plan->second.context_count <= ZNL_MAX_TABLES &&
           znl_second_is_allowed(of->layout, of->class_count, &plan->second);
}

static void clear_plan(znl_second_plan *plan)
{
    plan->second.kind = ZNL_NO_SECOND;
    plan->second.context_count = plan->new_tables = 0;
    plan->saved_nbytes = 0;
}

void znl_second_plan_make(const znl_kernels *kernels, const znl_classed_values *of,
                          const znl_second_plan *before, znl_second_counts *counts,
                          znl_second_plan *plan)
{
    /* A factor moves exponents, and what depends on them with them; but not integers. */
    const unsigned class_count = of->layout->transform == ZNL_ROTATE ? 1 : of->class_count;
    clear_plan(plan);
    if (znl_second_kind(of->layout) == ZNL_NO_SECOND || of->class_count == ZNL_MAX_TABLES) return;
    count_superblocks(kernels, of, 1, GLANCED, counts);
    if (counts->value_count == 0 || !seems_to_pay(of->layout, counts)) return;
    count_superblocks(kernels, of, class_count, LOOKED, counts);
    const uint64_t sampled = counts->value_count, raw = raw_cost(of->layout, counts);
    /* Before counts are joined. */
    const uint64_t again = before && fits(of, before) ? cost_with(of, counts, before) : UINT64_MAX;
    uint64_t cost = make_plan(of, class_count, counts, plan);
    if (again < cost) {
        cost = again;
        *plan = *before;
        plan->new_tables = 0;
    }
    if (cost + least_saved(of->layout, sampled) < raw)
        plan->saved_nbytes = (size_t)((raw - cost) / 2048 * of->coded_count / sampled);
    else
        clear_plan(plan);
}
