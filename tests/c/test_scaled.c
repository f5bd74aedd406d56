/* SPDX-License-Identifier: Apache-2.0 */
/* Scales of rows, columns and whole matrices: taken out and multiplied in again to the last bit, found where a few values
 * say so, and nothing read or written around the values. */
#include "bytes.h"
#include "errors.h"
#include "values.h"
#include "zipnn_like.h"

enum { ROWS = 24, COLUMNS = 96, COUNT = ROWS * COLUMNS, TRIES = 60 };

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A value with `count` significant bits: F16 has 11. */
static float narrow_value(uint64_t *seed, unsigned count)
{
    const uint32_t bits = bits_of((float)random_gaussian(seed)) & ~((1u << (24 - count)) - 1);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Fill a matrix with narrow values times a factor of each run. */
static void make_scaled(uint64_t seed, size_t run, size_t scale_count, unsigned bits, uint8_t *out)
{
    float factors[COUNT];
    for (size_t s = 0; s < scale_count; s++)
        factors[s] = (float)((double)(1 + random_below(&seed, UINT32_MAX)) / 4294967296.0);
    for (size_t i = 0; i < COUNT; i++)
        store_u32le(out + 4 * i,
                    bits_of(narrow_value(&seed, bits) * factors[i / run % scale_count]));
}

static int64_t join(const guarded *scales, const guarded *halves, size_t run, size_t scale_count,
                    uint8_t *out)
{
    return znl_join_scaled(scales->bytes, halves->bytes, 0, COUNT, run, scale_count, out);
}

static void check_layout(size_t run, size_t scale_count, size_t row_values)
{
    for (unsigned i = 0; i < TRIES; i++) {
        guarded source = guarded_new(4 * COUNT, 0, 0), scales = guarded_new(4 * scale_count, 0, 0);
        guarded halves = guarded_new(2 * COUNT, 0, 0), spans = guarded_new(scale_count, 0, 0);
        guarded joined = guarded_new(4 * COUNT, 0, 0);
        make_scaled(i + 1, run, scale_count, i % 3 ? 11u : 7u, source.bytes);
        CHECK(znl_looks_scaled(source.bytes, COUNT, row_values), "run %zu, try %u", run, i);
        const int is_split = znl_split_scaled(source.bytes, COUNT, run, scale_count, scales.bytes,
                                              halves.bytes, spans.bytes);
        CHECK(is_split, "run %zu, try %u", run, i);
        CHECK(join(&scales, &halves, run, scale_count, joined.bytes) == ZNL_OK, "try %u", i);
        CHECK(memcmp(source.bytes, joined.bytes, 4 * COUNT) == 0, "run %zu, try %u", run, i);
        source.bytes[4 * (COUNT / 2)] ^= 1;
        CHECK(!znl_split_scaled(source.bytes, COUNT, run, scale_count, scales.bytes, halves.bytes,
                                spans.bytes),
              "run %zu, try %u: one value is no product", run, i);
        for (guarded *each[] = {&source, &scales, &halves, &spans, &joined, NULL}, **at = each; *at;
             at++)
            CHECK(guarded_free(*at), "run %zu, try %u", run, i);
    }
}

/* Weights of 24 bits, and whatever bits there are. */
static void check_others(enum pattern pattern)
{
    static uint8_t source[4 * COUNT], scales[4 * ROWS], halves[2 * COUNT], spans[ROWS];
    for (unsigned i = 0; i < 500; i++) {
        make_values(2, pattern, i + 1, source, COUNT);
        CHECK(!znl_looks_scaled(source, COUNT, COLUMNS), "%s %u", PATTERN_NAMES[pattern], i);
        CHECK(!znl_looks_scaled(source, COUNT, 0), "%s %u", PATTERN_NAMES[pattern], i);
        CHECK(!znl_split_scaled(source, COUNT, COLUMNS, ROWS, scales, halves, spans), "%s %u",
              PATTERN_NAMES[pattern], i);
    }
}

/* Whatever the wire says, a product is a normal number, zero, or refused; nothing else is written. */
static void check_wire(void)
{
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t seed = i + 1;
        const size_t count = 1 + random_below(&seed, 40);
        const size_t scale_count = 1 + random_below(&seed, 5), run = 1 + random_below(&seed, 50);
        const int are_bytes = i % 2;
        guarded scales = guarded_new(4 * scale_count, 0, 0), joined = guarded_new(4 * count, 0, 0);
        guarded narrow = guarded_new(are_bytes ? count : 2 * count, 0, 0);
        for (size_t b = 0; b < 4 * scale_count; b++)
            scales.bytes[b] = (uint8_t)(random_below(&seed, 256) & (b % 4 == 3 ? 127 : 255));
        for (size_t b = 0; b < (are_bytes ? count : 2 * count); b++)
            narrow.bytes[b] = (uint8_t)random_below(&seed, 256);
        const int64_t status = znl_join_scaled(scales.bytes, narrow.bytes, are_bytes, count, run,
                                               scale_count, joined.bytes);
        CHECK(status == ZNL_OK || status == ZNL_E_BAD_VALUE, "try %u: %d", i, (int)status);
        for (size_t v = 0; v < count && status == ZNL_OK; v++) {
            const uint32_t value = load_u32le(joined.bytes + 4 * v), exponent = value >> 23 & 255;
            CHECK(value << 1 == 0 || (exponent > 0 && exponent < 255), "try %u: %08x", i, value);
        }
        CHECK(guarded_free(&scales) & guarded_free(&narrow) & guarded_free(&joined), "try %u", i);
    }
}

int main(void)
{
    check_layout(COLUMNS, ROWS, COLUMNS);
    check_layout(32, COUNT / 32, COLUMNS);
    check_layout(1, COLUMNS, COLUMNS);
    check_layout(COUNT, 1, 0);
    check_others(GAUSSIAN);
    check_others(RANDOM_BITS);
    check_wire();
    return check_result();
}
