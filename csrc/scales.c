/* SPDX-License-Identifier: Apache-2.0 */
/* Counts by scale: classes and costs. Integers only: every machine must choose the same. */
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

void znl_bins_widen(znl_bin_counts *bins, unsigned bin)
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

/* Neighbouring bins have windows at different places: together they take a wider one. */
#define WIDE_COUNT 126u

/* Counts of neighbouring bins by symbol value. */
typedef struct {
    uint32_t of[WIDE_COUNT];
    uint32_t zero, other;
    unsigned origin; /* the score of the first bin, where the window moves */
} wide_counts;

static unsigned origin_of(const znl_bin_counts *bins, unsigned bin)
{
    return bins->moves ? bin / ZNL_BINS_A_SCORE : 0;
}

static void begin_wide(wide_counts *counts, unsigned origin)
{
    memset(counts, 0, sizeof *counts);
    counts->origin = origin;
}

/* Add counts of `count` places, from `shift` on; what would lie behind the last one is `other`. */
static void add_places(wide_counts *restrict to, const uint32_t *restrict from, unsigned count,
                       unsigned shift)
{
    const unsigned room = shift < WIDE_COUNT ? WIDE_COUNT - shift : 0;
    const unsigned inside = count < room ? count : room;
    uint32_t *restrict out = to->of + (inside ? shift : 0);
    for (unsigned w = 0; w < inside; w++) out[w] += from[w];
    for (unsigned w = inside; w < count; w++) to->other += from[w];
}

static void add_bin(wide_counts *to, const znl_bin_counts *bins, unsigned bin)
{
    const uint32_t *from = bins->of[bin];
    add_places(to, from, ZNL_WINDOW_ZERO, origin_of(bins, bin) - to->origin);
    to->zero += from[ZNL_WINDOW_ZERO];
    to->other += from[ZNL_WINDOW_OTHER];
}

/* Add counts of bins that lie behind. */
static void add_counts(wide_counts *to, const wide_counts *from)
{
    add_places(to, from->of, WIDE_COUNT, from->origin - to->origin);
    to->zero += from->zero;
    to->other += from->other;
}

/* What a table can have symbols for: the 31 neighbouring counts that hold most, and 0 or the next one. All counts
 * lie between begin and end. */
static uint64_t best_window(const wide_counts *counts, unsigned begin, unsigned end)
{
    uint64_t sum = 0, best = 0;
    unsigned next = begin;
    if (end - begin < ZNL_SYMBOL_COUNT) {
        for (unsigned w = begin; w < end; w++) sum += counts->of[w];
        return sum + counts->zero;
    }
    for (unsigned w = begin; w < end; w++) {
        sum += counts->of[w];
        if (w >= begin + ZNL_SYMBOL_COUNT - 1) sum -= counts->of[w - (ZNL_SYMBOL_COUNT - 1)];
        if (sum > best) {
            best = sum;
            next = w + 1;
        }
    }
    const uint64_t next_count = next < end ? counts->of[next] : 0;
    return best + (next_count > counts->zero ? next_count : counts->zero);
}

/* What coding counts with a table of their own costs, in 1/256 bit: the code, and 32 bits for each value without a
 * symbol. */
static uint64_t counts_cost(const wide_counts *counts)
{
    uint64_t total = (uint64_t)counts->zero + counts->other;
    uint64_t known = znl_n_log2_n_q16(counts->zero) + znl_n_log2_n_q16(counts->other);
    unsigned begin = 0, end = WIDE_COUNT;
    while (begin < end && counts->of[begin] == 0) begin++;
    while (begin < end && counts->of[end - 1] == 0) end--;
    for (unsigned w = begin; w < end; w++) {
        total += counts->of[w];
        known += znl_n_log2_n_q16(counts->of[w]);
    }
    const uint64_t missing = total - best_window(counts, begin, end);
    return (znl_n_log2_n_q16(total) - known) / 256 + (missing * 32 << 8);
}

/* Neighbouring bins that are looked at as one. */
typedef struct {
    wide_counts counts;
    uint64_t cost;
    uint64_t together; /* with the next one */
    unsigned last_bin;
} interval;

/* Of any width: more gain nothing, as what was sampled says little about narrow ones; and groups to begin with. */
enum { MOST_INTERVALS = 8, MOST_GROUPS = 64 };

static void bin_totals(const znl_bin_counts *bins, uint32_t *totals)
{
    for (unsigned bin = bins->first_bin; bin <= bins->last_bin; bin++) {
        totals[bin] = 0;
        for (unsigned w = 0; w < ZNL_WINDOW_COUNT; w++) totals[bin] += bins->of[bin][w];
    }
}

/* The bins that hold all but 0.7 % of what was counted at each end: a few outliers share the outermost classes. */
static void find_span(const znl_bin_counts *bins, const uint32_t *totals, unsigned *low,
                      unsigned *high)
{
    uint64_t all = 0, below = 0;
    for (unsigned bin = bins->first_bin; bin <= bins->last_bin; bin++) all += totals[bin];
    const uint64_t outliers = all / 143;
    *low = bins->first_bin;
    *high = bins->last_bin;
    for (; *low < *high && (below += totals[*low]) <= outliers; ++*low)
        ;
    below = 0;
    for (; *high > *low && (below += totals[*high]) <= outliers; --*high)
        ;
}

/* Count what lies in intervals whose last bins are known, and what they cost. */
static void fill_intervals(const znl_bin_counts *bins, const uint32_t *totals, interval *intervals,
                           unsigned count)
{
    unsigned bin = bins->first_bin;
    for (unsigned i = 0; i < count; i++) {
        while (bin <= bins->last_bin && totals[bin] == 0) bin++;
        begin_wide(&intervals[i].counts, origin_of(bins, bin));
        for (; bin <= bins->last_bin && bin <= intervals[i].last_bin; bin++)
            if (totals[bin]) add_bin(&intervals[i].counts, bins, bin);
        intervals[i].cost = counts_cost(&intervals[i].counts);
    }
}

/* Neighbouring bins before they are worth counts. */
typedef struct {
    uint64_t count, sum; /* of values and of their bins */
    uint64_t loss;       /* when joined with the next one */
    unsigned last_bin;
} bin_group;

/* What is lost when two groups share a table, roughly and by an unknown factor: the square of what their scales
 * differ, for each value. */
static uint64_t loss_of(const bin_group *a, const bin_group *b)
{
    /* In 1/16 bin; b lies behind. */
    const uint64_t between = 16 * b->sum / b->count - 16 * a->sum / a->count;
    return a->count * b->count / (a->count + b->count) * between * between;
}

/* Group the bins that hold something, as many each, and join those that differ least while they are too many. */
static unsigned group_bins(const znl_bin_counts *bins, const uint32_t *totals, interval *intervals)
{
    bin_group groups[MOST_GROUPS];
    unsigned occupied = 0, count = 0, seen = 0;
    for (unsigned bin = bins->first_bin; bin <= bins->last_bin; bin++) occupied += totals[bin] != 0;
    const unsigned width = (occupied + MOST_GROUPS - 1) / MOST_GROUPS;
    for (unsigned bin = bins->first_bin; bin <= bins->last_bin; bin++) {
        if (totals[bin] == 0) continue;
        if (seen++ % width == 0) memset(&groups[count++], 0, sizeof groups[0]);
        bin_group *group = &groups[count - 1];
        group->count += totals[bin];
        group->sum += (uint64_t)bin * totals[bin];
        group->last_bin = bin;
    }
    for (unsigned g = 0; g + 1 < count; g++) groups[g].loss = loss_of(&groups[g], &groups[g + 1]);
    while (count > MOST_INTERVALS) {
        unsigned best = 0;
        for (unsigned g = 1; g + 1 < count; g++)
            if (groups[g].loss < groups[best].loss) best = g;
        groups[best].count += groups[best + 1].count;
        groups[best].sum += groups[best + 1].sum;
        groups[best].last_bin = groups[best + 1].last_bin;
        count--;
        for (unsigned g = best + 1; g < count; g++) groups[g] = groups[g + 1];
        if (best + 1 < count) groups[best].loss = loss_of(&groups[best], &groups[best + 1]);
        if (best > 0) groups[best - 1].loss = loss_of(&groups[best - 1], &groups[best]);
    }
    for (unsigned g = 0; g < count; g++) intervals[g].last_bin = groups[g].last_bin;
    intervals[count - 1].last_bin = ZNL_BIN_COUNT - 1;
    return count;
}

static uint64_t cost_together(const interval *a, const interval *b)
{
    wide_counts counts = a->counts;
    add_counts(&counts, &b->counts);
    return counts_cost(&counts);
}

/* Join neighbours while one of them does not save what it costs. */
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
        if (least >= class_cost) break;
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

/* Classes of these intervals. */
static void take_intervals(const interval *intervals, unsigned count, unsigned width,
                           znl_bin_classes *classes)
{
    unsigned bin = 0;
    classes->class_count = count;
    classes->bins_a_class = width;
    classes->cost = total_cost(intervals, count);
    for (unsigned class = 0; class < count; class ++) {
        memset(classes->class_of + bin, (int)class, intervals[class].last_bin + 1 - bin);
        bin = intervals[class].last_bin + 1;
    }
}

/* Cut into intervals of one width, `least` or more, at most `most`; those outside the span go to the outermost. */
static unsigned cut_evenly(const znl_bin_counts *bins, const uint32_t *totals, unsigned most,
                           unsigned least, interval *intervals, unsigned *width)
{
    unsigned low, high;
    find_span(bins, totals, &low, &high);
    *width = (high - low + most) / most;
    if (*width < least) *width = least;
    const unsigned count = (high - low) / *width + 1;
    for (unsigned i = 0; i < count; i++)
        intervals[i].last_bin = i + 1 < count ? low + (i + 1) * *width - 1 : ZNL_BIN_COUNT - 1;
    fill_intervals(bins, totals, intervals, count);
    return count;
}

/* Take even classes, `most` at most, when these cost less than the best so far. */
static int try_evenly(const znl_bin_counts *bins, const uint32_t *totals, unsigned most,
                      unsigned even_width, uint64_t class_cost, uint64_t *best,
                      znl_bin_classes *classes)
{
    interval intervals[ZNL_MOST_CLASSES];
    unsigned width;
    const unsigned count = cut_evenly(bins, totals, most, even_width, intervals, &width);
    const uint64_t cost = total_cost(intervals, count) + count * class_cost;
    if (cost >= *best) return 0;
    *best = cost;
    take_intervals(intervals, count, width, classes);
    return 1;
}

/* Even classes: twice as many while that costs less, or else half as many. */
static void choose_evenly(const znl_bin_counts *bins, const uint32_t *totals, unsigned even_width,
                          uint64_t class_cost, znl_bin_classes *classes)
{
    enum { FIRST = 8 };
    uint64_t best = UINT64_MAX;
    unsigned most = FIRST;
    while (try_evenly(bins, totals, most, even_width, class_cost, &best, classes) &&
           most < ZNL_MOST_CLASSES)
        most *= 2;
    if (most > 2 * FIRST) return;
    for (most = FIRST / 2; most > 1; most /= 2)
        if (!try_evenly(bins, totals, most, even_width, class_cost, &best, classes)) return;
}

void znl_cut_bins(const znl_bin_counts *bins, unsigned even_width, uint64_t class_cost,
                  znl_bin_classes *classes)
{
    uint32_t totals[ZNL_BIN_COUNT];
    bin_totals(bins, totals);
    if (even_width) {
        choose_evenly(bins, totals, even_width, class_cost, classes);
        return;
    }
    interval intervals[MOST_INTERVALS];
    unsigned count = group_bins(bins, totals, intervals);
    fill_intervals(bins, totals, intervals, count);
    count = join_intervals(intervals, count, class_cost);
    take_intervals(intervals, count, 0, classes);
}

uint64_t znl_bins_flat_cost(const znl_bin_counts *bins)
{
    wide_counts all;
    begin_wide(&all, origin_of(bins, bins->first_bin));
    for (unsigned bin = bins->first_bin; bin <= bins->last_bin; bin++) add_bin(&all, bins, bin);
    return counts_cost(&all);
}

uint64_t znl_bins_cost(const znl_bin_counts *bins, const znl_bin_classes *classes)
{
    uint64_t cost = 0;
    for (unsigned bin = bins->first_bin; bin <= bins->last_bin;) {
        const unsigned class = classes->class_of[bin];
        wide_counts counts;
        begin_wide(&counts, origin_of(bins, bin));
        for (; bin <= bins->last_bin && classes->class_of[bin] == class; bin++)
            add_bin(&counts, bins, bin);
        cost += counts_cost(&counts);
    }
    return cost;
}
