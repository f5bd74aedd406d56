/* SPDX-License-Identifier: Apache-2.0 */
/* Scores and places: at every level what their definition says, on random and on extreme values, in buffers that end
 * where the contract says. */
#include "bytes.h"
#include "levels.h"
#include "values.h"

/* The arguments of one case, for messages. */
static char where[128];

static void fill_values(unsigned dtype, unsigned kind, size_t count, uint64_t seed, guarded *out)
{
    static const enum pattern kinds[] = {RANDOM_BITS, EXTREMES, GAUSSIAN, SPARSE, WIDE};
    make_values(dtype, kinds[kind], seed, out->bytes, count);
}

/* A rule with any centre, and any score that columns must exceed. */
static znl_score_rule any_rule(unsigned dtype, uint64_t *seed)
{
    znl_score_rule rule;
    znl_score_rule_of(znl_layout_of(dtype), &rule);
    if (rule.is_distance) rule.centre = (uint8_t)random_u64(seed);
    if (random_below(seed, 2)) rule.least = (uint16_t)random_below(seed, rule.mask + 1u);
    return rule;
}

/* The symbol value of the value `i`, as the planes kernels split it off. */
static unsigned symbol_at(unsigned dtype, const guarded *in, size_t i)
{
    uint8_t block[8 * 64] = {0}, planes[8 * 64], bit_plane[8 * 64];
    uint16_t symbols[64];
    memcpy(block, in->bytes + i * dtype_width(dtype), dtype_width(dtype));
    use_level(ZNL_ISA_SCALAR)
        ->split(znl_layout_of(dtype), block, 1, symbols, planes, 64, bit_plane);
    return symbols[0];
}

/* What the definition says: scores of floats are symbol values. */
static znl_row_score expected_row(unsigned dtype, const znl_score_rule *rule, const guarded *in,
                                  size_t count, uint16_t *columns)
{
    znl_row_score row = {0, 0};
    for (size_t i = 0; i < count; i++) {
        const int byte = in->bytes[i], centre = rule->centre;
        const unsigned score = dtype == 14   ? (unsigned)abs((byte ^ 0x80) - centre)
                               : dtype == 15 ? (unsigned)abs(byte - centre)
                                             : symbol_at(dtype, in, i);
        row.sum += score;
        row.count += score > 0;
        if (columns && score > rule->least)
            columns[i] = (uint16_t)(columns[i] + score - rule->least);
    }
    return row;
}

static void check_scores(unsigned dtype, size_t count, unsigned kind, uint64_t seed)
{
    const znl_score_rule rule = any_rule(dtype, &seed);
    const int has_columns = seed % 3 > 0;
    guarded in = guarded_new(count * dtype_width(dtype), 0xee, count % 16);
    guarded sums = guarded_new(2 * count, 0xee, 0);
    fill_values(dtype, kind, count, seed, &in);
    for (size_t i = 0; i < sums.nbytes; i++) sums.bytes[i] = (uint8_t)random_u64(&seed);
    guarded wanted = guarded_copy(sums.bytes, sums.nbytes, 0);
    const znl_row_score expected = expected_row(
        dtype, &rule, &in, count, has_columns ? (uint16_t *)(void *)wanted.bytes : NULL);
    for (int i = 0; i < level_count; i++) {
        guarded columns = guarded_copy(sums.bytes, sums.nbytes, 2 * (count % 8));
        const znl_row_score row = use_level(i)->score_row(
            &rule, in.bytes, count, has_columns ? (uint16_t *)(void *)columns.bytes : NULL);
        CHECK(row.sum == expected.sum && row.count == expected.count, "%s: %u of %u, not %u of %u",
              where, row.sum, row.count, expected.sum, expected.count);
        CHECK(memcmp(columns.bytes, wanted.bytes, wanted.nbytes) == 0, "%s: columns", where);
        CHECK(guarded_free(&columns), "%s: around the columns", where);
    }
    CHECK(guarded_free(&in), "%s: around the values", where);
    guarded_free(&sums);
    guarded_free(&wanted);
}

/* Where each of 16 values is counted: the bins at both ends, and windows that begin below 0, are favoured. */
static void check_places(unsigned dtype, unsigned kind, uint64_t seed)
{
    enum { PLACES = ZNL_PIECE_VALUES };
    const znl_score_rule rule = any_rule(dtype, &seed);
    const unsigned edge = random_below(&seed, 3), reach = random_below(&seed, 128);
    const unsigned bin = edge == 0   ? random_below(&seed, ZNL_BIN_COUNT)
                         : edge == 1 ? random_below(&seed, 100)
                                     : ZNL_BIN_COUNT - 1 - random_below(&seed, 100);
    const unsigned low = random_below(&seed, 2) ? 0 : random_below(&seed, 3584);
    const znl_windows windows = {bin, bin < reach ? 0 : bin - reach,
                                 (uint16_t)(low - ZNL_WINDOW_BELOW), dtype_symbol_bits(dtype) > 6};
    guarded in = guarded_new(PLACES * dtype_width(dtype), 0xee, (unsigned)(seed % 16));
    guarded columns = guarded_new(PLACES, 0xee, (unsigned)(seed / 16 % 16));
    guarded found[MAX_LEVELS];
    fill_values(dtype, kind, PLACES, seed, &in);
    for (unsigned i = 0; i < PLACES; i++)
        columns.bytes[i] = (uint8_t)((int)random_below(&seed, 2 * reach + 1) - (int)reach);
    for (int i = 0; i < level_count; i++) {
        found[i] = guarded_new(2 * PLACES, 0xee, 0);
        use_level(i)->find_places(&rule, &windows, in.bytes, (int8_t *)columns.bytes,
                                  (uint16_t *)(void *)found[i].bytes);
        CHECK(memcmp(found[i].bytes, found[0].bytes, 2 * PLACES) == 0, "%s: places", where);
    }
    for (unsigned i = 0; i < PLACES; i++) {
        const int sum = (int)bin + (int8_t)columns.bytes[i], symbol = (int)symbol_at(dtype, &in, i);
        const int both = sum < 0 ? 0 : sum > 2047 ? 2047 : sum;
        const int place = symbol - (windows.moves ? (int)low + both / 4 - 31 : 0);
        const int expected = symbol == 0 ? 62 : place < 0 || place > 61 ? 63 : place;
        CHECK(((uint16_t *)(void *)found[0].bytes)[i] ==
                  64 * (both - (int)windows.lowest) + expected,
              "%s: value %u", where, i);
    }
    for (int i = 0; i < level_count; i++)
        CHECK(guarded_free(&found[i]), "%s: around the places", where);
    CHECK(guarded_free(&in) && guarded_free(&columns), "%s: around values or columns", where);
}

static void check_measures(void)
{
    uint64_t seed = 7;
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const unsigned dtype = MODELLED_DTYPES[d];
        for (unsigned kind = 0; kind < 5; kind++) {
            for (size_t count = 1; count < 6000; count += 1 + count / 7) {
                snprintf(where, sizeof where, "scores, dtype %u, kind %u, %zu", dtype, kind, count);
                check_scores(dtype, count, kind, random_u64(&seed));
            }
            for (unsigned round = 0; round < 200; round++) {
                snprintf(where, sizeof where, "places, dtype %u, kind %u, %u", dtype, kind, round);
                check_places(dtype, kind, random_u64(&seed));
            }
        }
    }
    use_level(ZNL_ISA_SCALAR);
}

/* A row as long as they get, of the largest scores: nothing wraps. */
static void check_longest_row(void)
{
    enum { COUNT = 131072 };
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const size_t width = dtype_width(MODELLED_DTYPES[d]);
        znl_score_rule rule;
        znl_score_rule_of(znl_layout_of(MODELLED_DTYPES[d]), &rule);
        guarded in = guarded_new(COUNT * width, rule.flip ? 0x7f : 0xff, 0);
        for (int i = 0; i < level_count; i++) {
            const znl_row_score row = use_level(i)->score_row(&rule, in.bytes, COUNT, NULL);
            CHECK(row.sum == COUNT * (uint32_t)rule.mask && row.count == COUNT,
                  "dtype %u: a sum of %u, %u values", MODELLED_DTYPES[d], row.sum, row.count);
        }
        CHECK(guarded_free(&in), "dtype %u: around the values", MODELLED_DTYPES[d]);
    }
    use_level(ZNL_ISA_SCALAR);
}

int main(void)
{
    new_levels();
    check_measures();
    check_longest_row();
    return check_result();
}
