/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses universal tables: every unit proposes its best one, the proposals that most units want become candidates,
 * and candidates are taken greedily while they save more than they cost. */
#include "classes.h"

#include <string.h>

#define UNIT 64u
#define WINDOW (ZNL_SYMBOL_COUNT - 1)
#define POOL 64u

/* Code lengths of one shape in 1/256 bit: [0..30] the window, [31] zero, [32] a patched value. */
typedef struct {
    uint32_t length[ZNL_SYMBOL_COUNT + 1];
    int mean; /* mean symbol of the window */
} shape_costs;

typedef struct {
    int shape, base; /* the base may be negative: it wraps modulo 2^S on the wire */
    uint32_t units;
} proposal;

static void measure_shapes(shape_costs *shapes)
{
    for (unsigned shape = 0; shape < ZNL_UNIVERSAL_SHAPES; shape++) {
        znl_freq_table table;
        uint32_t sum = 0, weighted = 0;
        znl_table_universal(shape, 0, &table);
        for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) {
            shapes[shape].length[s] = znl_code_length(table.frequency[s]);
            if (s == WINDOW) continue;
            sum += table.frequency[s];
            weighted += table.frequency[s] * s;
        }
        shapes[shape].length[ZNL_SYMBOL_COUNT] = shapes[shape].length[WINDOW] + (32u << 8);
        shapes[shape].mean = (int)((weighted + sum / 2) / sum);
    }
}

/* The different symbol values of a unit and how often each occurs: a unit has few, so costs are summed over these. */
typedef struct {
    uint16_t values[UNIT];
    uint8_t counts[UNIT];
    unsigned count;
} unit_values;

static void collect_values(const uint16_t *symbols, uint8_t *at, unit_values *unit)
{
    unit->count = 0;
    for (unsigned i = 0; i < UNIT; i++) {
        const uint16_t value = symbols[i];
        /* `at` is never cleared: an entry counts only when it points at its own value. */
        if (at[value] >= unit->count || unit->values[at[value]] != value) {
            at[value] = (uint8_t)unit->count;
            unit->values[unit->count] = value;
            unit->counts[unit->count++] = 0;
        }
        unit->counts[at[value]]++;
    }
}

static uint32_t unit_cost(const shape_costs *shape, int base, const unit_values *unit)
{
    uint32_t cost = 0;
    for (unsigned i = 0; i < unit->count; i++) {
        const unsigned value = unit->values[i], inside = (unsigned)((int)value - base);
        cost += unit->counts[i] * shape->length[value == 0        ? WINDOW
                                                : inside < WINDOW ? inside
                                                                  : ZNL_SYMBOL_COUNT];
    }
    return cost;
}

static proposal propose(const shape_costs *shapes, const unit_values *unit)
{
    uint32_t sum = 0, count = 0, best_cost = UINT32_MAX;
    for (unsigned i = 0; i < unit->count; i++) {
        sum += (uint32_t)unit->values[i] * unit->counts[i];
        if (unit->values[i]) count += unit->counts[i];
    }
    const int mean = count ? (int)((sum + count / 2) / count) : 0;
    proposal best = {0, 0, 1};
    for (int shape = 0; shape < (int)ZNL_UNIVERSAL_SHAPES; shape++)
        for (int step = -1; step <= 1; step++) {
            const int base = mean - shapes[shape].mean + step;
            const uint32_t cost = unit_cost(&shapes[shape], base, unit);
            if (cost >= best_cost) continue;
            best_cost = cost;
            best.shape = shape;
            best.base = base;
        }
    return best;
}

/* The proposals of all units, most wanted first; returns how many, at most ZNL_CHOOSE_CANDIDATES. */
static unsigned collect_candidates(const shape_costs *shapes, const uint16_t *symbols, size_t units,
                                   uint8_t *at_of, proposal *pool)
{
    unsigned count = 0;
    for (size_t u = 0; u < units; u++) {
        unit_values unit;
        collect_values(symbols + u * UNIT, at_of, &unit);
        const proposal wanted = propose(shapes, &unit);
        unsigned at = 0;
        while (at < count && (pool[at].shape != wanted.shape || pool[at].base != wanted.base)) at++;
        if (at < count)
            pool[at].units++;
        else if (count < POOL)
            pool[count++] = wanted;
    }
    for (unsigned i = 1; i < count; i++) { /* insertion sort: stable, so equal on every machine */
        const proposal moved = pool[i];
        unsigned at = i;
        for (; at > 0 && pool[at - 1].units < moved.units; at--) pool[at] = pool[at - 1];
        pool[at] = moved;
    }
    return count < ZNL_CHOOSE_CANDIDATES ? count : ZNL_CHOOSE_CANDIDATES;
}

/* Sum over units of what candidate `c` leaves when added to the tables taken so far. */
static uint64_t total_with(const znl_choose_scratch *scratch, size_t units, unsigned c)
{
    uint64_t total = 0;
    for (size_t u = 0; u < units; u++)
        total += scratch->cost[u][c] < scratch->best[u] ? scratch->cost[u][c] : scratch->best[u];
    return total;
}

static uint64_t side_cost(size_t units, unsigned table_count)
{
    return ((uint64_t)64 * table_count +
            8 * znl_class_map_nbytes(units * UNIT, table_count, ZNL_UNIT_SHIFT_SMALL))
           << 8;
}

void znl_choose_classes(const uint16_t *symbols, size_t value_count, unsigned symbol_bits,
                        znl_choose_scratch *scratch, uint8_t *classes, znl_class_choice *choice)
{
    const size_t units = value_count / UNIT;
    shape_costs shapes[ZNL_UNIVERSAL_SHAPES];
    proposal pool[POOL];
    measure_shapes(shapes);
    memset(scratch->at, 0, sizeof scratch->at);
    const unsigned candidates = collect_candidates(shapes, symbols, units, scratch->at, pool);
    for (size_t u = 0; u < units; u++) {
        unit_values unit;
        collect_values(symbols + u * UNIT, scratch->at, &unit);
        scratch->best[u] = UINT32_MAX;
        for (unsigned c = 0; c < candidates; c++)
            scratch->cost[u][c] = unit_cost(&shapes[pool[c].shape], pool[c].base, &unit);
    }
    unsigned taken[ZNL_MAX_STATIC_TABLES];
    choice->table_count = 0;
    choice->cost = UINT64_MAX;
    while (choice->table_count < ZNL_MAX_STATIC_TABLES && choice->table_count < candidates) {
        unsigned best = 0;
        uint64_t best_total = UINT64_MAX;
        for (unsigned c = 0; c < candidates; c++) {
            const uint64_t total = total_with(scratch, units, c);
            if (total < best_total) {
                best_total = total;
                best = c;
            }
        }
        const uint64_t cost = best_total + side_cost(units, choice->table_count + 1);
        if (cost >= choice->cost) break;
        choice->cost = cost;
        taken[choice->table_count] = best;
        choice->references[choice->table_count] =
            (uint16_t)((unsigned)pool[best].shape << ZNL_UNIVERSAL_BASE_BITS |
                       ((unsigned)pool[best].base & ((1u << symbol_bits) - 1)));
        choice->table_count++;
        for (size_t u = 0; u < units; u++)
            if (scratch->cost[u][best] < scratch->best[u])
                scratch->best[u] = scratch->cost[u][best];
    }
    for (size_t u = 0; u < units; u++) {
        unsigned best = 0;
        for (unsigned t = 1; t < choice->table_count; t++)
            if (scratch->cost[u][taken[t]] < scratch->cost[u][taken[best]]) best = t;
        classes[u] = (uint8_t)best;
    }
}
