/* SPDX-License-Identifier: Apache-2.0 */
/* Counts by scale: classes, costs, tables. Integers only: every machine must choose the same. */
#include "scales.h"

#include <string.h>

void znl_bins_clear(znl_bin_counts *bins, int moves)
{
    bins->first_bin = ZNL_BIN_COUNT;
    bins->last_bin = 0;
    bins->moves = moves;
}

static void clear_range(znl_bin_counts *bins, unsigned first, unsigned end)
{
    memset(bins->of[first], 0, (end - first) * sizeof bins->of[0]);
}

void znl_bins_extend(znl_bin_counts *bins, unsigned bin)
{
    if (bins->first_bin > bins->last_bin) {
        clear_range(bins, bin, bin + 1);
        bins->first_bin = bins->last_bin = bin;
    } else if (bin < bins->first_bin) {
        clear_range(bins, bin, bins->first_bin);
        bins->first_bin = bin;
    } else if (bin > bins->last_bin) {
        clear_range(bins, bins->last_bin + 1, bin + 1);
        bins->last_bin = bin;
    }
}

void znl_bins_add(znl_bin_counts *to, const znl_bin_counts *from)
{
    if (from->first_bin > from->last_bin) return;
    znl_bins_extend(to, from->first_bin);
    znl_bins_extend(to, from->last_bin);
    for (unsigned bin = from->first_bin; bin <= from->last_bin; bin++)
        for (unsigned w = 0; w < ZNL_WINDOW_COUNT; w++) to->of[bin][w] += from->of[bin][w];
}

void znl_bins_copy(znl_bin_counts *to, const znl_bin_counts *from)
{
    znl_bins_clear(to, from->moves);
    znl_bins_add(to, from);
}

/* n * log2(n) in 1/65536 bit. */
static uint64_t n_log2_n(uint64_t n)
{
    return n < 2 ? 0 : n * znl_log2_q16(n);
}

/* Neighbouring bins have windows at different places: together they take a wider one. */
#define WIDE_COUNT 128u
#define WIDE_ZERO 126u
#define WIDE_OTHER 127u

/* Counts of neighbouring bins by symbol value. */
typedef struct {
    uint32_t of[WIDE_COUNT];
    unsigned origin; /* the score of the first bin, where the window moves */
} wide_counts;

static unsigned origin_of(const znl_bin_counts *bins, unsigned bin)
{
    return bins->moves ? bin / ZNL_BINS_A_SCORE : 0;
}

static void add_bin(wide_counts *to, const znl_bin_counts *bins, unsigned bin)
{
    const uint32_t *from = bins->of[bin];
    const unsigned shift = origin_of(bins, bin) - to->origin;
    for (unsigned w = 0; w < ZNL_WINDOW_ZERO; w++)
        to->of[w + shift < WIDE_ZERO ? w + shift : WIDE_OTHER] += from[w];
    to->of[WIDE_ZERO] += from[ZNL_WINDOW_ZERO];
    to->of[WIDE_OTHER] += from[ZNL_WINDOW_OTHER];
}

/* Add counts of bins that lie behind. */
static void add_counts(wide_counts *to, const wide_counts *from)
{
    const unsigned shift = from->origin - to->origin;
    for (unsigned w = 0; w < WIDE_ZERO; w++)
        if (from->of[w]) to->of[w + shift < WIDE_ZERO ? w + shift : WIDE_OTHER] += from->of[w];
    to->of[WIDE_ZERO] += from->of[WIDE_ZERO];
    to->of[WIDE_OTHER] += from->of[WIDE_OTHER];
}

/* What a table can have symbols for: the 31 neighbouring counts that hold most, and 0 or the next one. */
static uint64_t best_window(const uint32_t *counts)
{
    uint64_t sum = 0, best = 0;
    unsigned next = 0;
    for (unsigned w = 0; w < WIDE_ZERO; w++) {
        sum += counts[w];
        if (w >= ZNL_SYMBOL_COUNT - 1) sum -= counts[w - (ZNL_SYMBOL_COUNT - 1)];
        if (sum > best) {
            best = sum;
            next = w + 1;
        }
    }
    const uint64_t next_count = next < WIDE_ZERO ? counts[next] : 0;
    return best + (next_count > counts[WIDE_ZERO] ? next_count : counts[WIDE_ZERO]);
}

/* What coding counts with a table of their own costs, in 1/256 bit: the code, and 32 bits for each value without a
 * symbol. */
static uint64_t counts_cost(const wide_counts *counts)
{
    uint64_t total = 0, known = 0;
    for (unsigned w = 0; w < WIDE_COUNT; w++)
        if (counts->of[w]) {
            total += counts->of[w];
            known += n_log2_n(counts->of[w]);
        }
    const uint64_t missing = total - best_window(counts->of);
    return (n_log2_n(total) - known) / 256 + (missing * 32 << 8);
}

/* Neighbouring bins that are looked at as one. */
typedef struct {
    wide_counts counts;
    uint64_t cost;
    uint64_t together; /* with the next one */
    unsigned last_bin;
} interval;

enum { MOST_INTERVALS = 64 };

/* The bins that hold all but 0.7 % of what was counted at each end: a few outliers share the outermost classes. */
static void find_span(const znl_bin_counts *bins, unsigned *low, unsigned *high)
{
    uint64_t totals[ZNL_BIN_COUNT], all = 0, below = 0;
    for (unsigned bin = bins->first_bin; bin <= bins->last_bin; bin++) {
        totals[bin] = 0;
        for (unsigned w = 0; w < ZNL_WINDOW_COUNT; w++) totals[bin] += bins->of[bin][w];
        all += totals[bin];
    }
    const uint64_t outliers = all / 143;
    *low = bins->first_bin;
    *high = bins->last_bin;
    for (; *low < *high && (below += totals[*low]) <= outliers; ++*low)
        ;
    below = 0;
    for (; *high > *low && (below += totals[*high]) <= outliers; --*high)
        ;
}

/* Cut into intervals of one width, `least` or more, at most `most`; those outside the span go to the outermost. */
static unsigned cut_evenly(const znl_bin_counts *bins, unsigned most, unsigned least,
                           interval *intervals, unsigned *width)
{
    unsigned low, high;
    find_span(bins, &low, &high);
    *width = (high - low + most) / most;
    if (*width < least) *width = least;
    const unsigned count = (high - low) / *width + 1;
    memset(intervals, 0, count * sizeof *intervals);
    for (unsigned i = 0; i < count; i++) {
        intervals[i].last_bin = i + 1 < count ? low + (i + 1) * *width - 1 : ZNL_BIN_COUNT - 1;
        intervals[i].counts.origin = origin_of(bins, i == 0 ? bins->first_bin : low + i * *width);
    }
    for (unsigned bin = bins->first_bin, i = 0; bin <= bins->last_bin; bin++) {
        while (bin > intervals[i].last_bin) i++;
        add_bin(&intervals[i].counts, bins, bin);
    }
    for (unsigned i = 0; i < count; i++) intervals[i].cost = counts_cost(&intervals[i].counts);
    return count;
}

/* Cut the bins that hold something into intervals of as many each. */
static unsigned cut_occupied(const znl_bin_counts *bins, interval *intervals)
{
    unsigned occupied[ZNL_BIN_COUNT], occupied_count = 0, count = 0;
    for (unsigned bin = bins->first_bin; bin <= bins->last_bin; bin++)
        for (unsigned w = 0; w < ZNL_WINDOW_COUNT; w++)
            if (bins->of[bin][w]) {
                occupied[occupied_count++] = bin;
                break;
            }
    const unsigned width = (occupied_count + MOST_INTERVALS - 1) / MOST_INTERVALS;
    for (unsigned i = 0; i < occupied_count; i++) {
        if (i % width == 0) {
            memset(&intervals[count], 0, sizeof *intervals);
            intervals[count++].counts.origin = origin_of(bins, occupied[i]);
        }
        add_bin(&intervals[count - 1].counts, bins, occupied[i]);
        intervals[count - 1].last_bin = occupied[i];
    }
    intervals[count - 1].last_bin = ZNL_BIN_COUNT - 1;
    for (unsigned i = 0; i < count; i++) intervals[i].cost = counts_cost(&intervals[i].counts);
    return count;
}

static uint64_t cost_together(const interval *a, const interval *b)
{
    wide_counts counts = a->counts;
    add_counts(&counts, &b->counts);
    return counts_cost(&counts);
}

/* Join neighbours while they are too many or one of them does not save what it costs. */
static unsigned join_intervals(interval *intervals, unsigned count, uint64_t class_cost)
{
    for (unsigned i = 0; i + 1 < count; i++)
        intervals[i].together = cost_together(&intervals[i], &intervals[i + 1]);
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
        if (count <= ZNL_MOST_CLASSES && least >= class_cost) break;
        add_counts(&intervals[best].counts, &intervals[best + 1].counts);
        intervals[best].cost = intervals[best].together;
        intervals[best].last_bin = intervals[best + 1].last_bin;
        count--;
        for (unsigned i = best + 1; i < count; i++) intervals[i] = intervals[i + 1];
        if (best + 1 < count)
            intervals[best].together = cost_together(&intervals[best], &intervals[best + 1]);
        if (best > 0)
            intervals[best - 1].together = cost_together(&intervals[best - 1], &intervals[best]);
    }
    return count;
}

static uint64_t total_cost(const interval *intervals, unsigned count)
{
    uint64_t cost = 0;
    for (unsigned i = 0; i < count; i++) cost += intervals[i].cost;
    return cost;
}

void znl_cut_bins(const znl_bin_counts *bins, unsigned even_width, uint64_t class_cost,
                  znl_bin_classes *classes)
{
    interval intervals[MOST_INTERVALS];
    unsigned width = 0, count;
    if (even_width) {
        /* Fewer, wider classes while that costs less. */
        unsigned most = ZNL_MOST_CLASSES, best = most;
        uint64_t least = UINT64_MAX;
        for (; most > 1; most /= 2) {
            count = cut_evenly(bins, most, even_width, intervals, &width);
            const uint64_t cost = total_cost(intervals, count) + count * class_cost;
            if (cost < least) {
                least = cost;
                best = most;
            }
        }
        count = cut_evenly(bins, best, even_width, intervals, &width);
    } else {
        count = cut_occupied(bins, intervals);
        count = join_intervals(intervals, count, class_cost);
        width = 0;
    }
    classes->class_count = count;
    classes->bins_a_class = width;
    classes->cost = total_cost(intervals, count);
    for (unsigned bin = 0, class = 0; bin < ZNL_BIN_COUNT; bin++) {
        while (bin > intervals[class].last_bin) class ++;
        classes->class_of[bin] = (uint8_t) class;
    }
}

uint64_t znl_bins_flat_cost(const znl_bin_counts *bins)
{
    interval all;
    unsigned width;
    cut_evenly(bins, 1, 1, &all, &width);
    return all.cost;
}

void znl_bins_fit(const znl_bin_counts *bins, const znl_bin_classes *classes, unsigned low,
                  unsigned symbol_bits, uint32_t *counts, znl_freq_table *tables)
{
    const unsigned value_count = 1u << symbol_bits;
    int fitted = -1; /* the last class with a table of its own */
    memset(counts, 0, value_count * sizeof *counts);
    znl_table_fit(counts, symbol_bits, &tables[0]); /* for all, should nothing fit a window */
    for (unsigned class = 1; class < classes->class_count; class ++) tables[class] = tables[0];
    for (unsigned class = 0, bin = bins->first_bin; class < classes->class_count; class ++) {
        uint64_t total = 0;
        memset(counts, 0, value_count * sizeof *counts);
        for (; bin <= bins->last_bin && classes->class_of[bin] == class; bin++) {
            const unsigned window =
                bins->moves ? low + bin / ZNL_BINS_A_SCORE - ZNL_WINDOW_BELOW : 0;
            for (unsigned w = 0; w < ZNL_WINDOW_ZERO; w++)
                if (bins->of[bin][w] && window + w < value_count) {
                    counts[window + w] += bins->of[bin][w];
                    total += bins->of[bin][w];
                }
            counts[0] += bins->of[bin][ZNL_WINDOW_ZERO];
            total += bins->of[bin][ZNL_WINDOW_ZERO];
        }
        if (total == 0 && fitted >= 0) tables[class] = tables[fitted];
        if (total == 0) continue;
        znl_table_fit(counts, symbol_bits, &tables[class]);
        for (int before = (int)class - 1; before > fitted; before--)
            if (fitted < 0) tables[before] = tables[class];
        fitted = (int)class;
    }
}
