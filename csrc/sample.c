/* SPDX-License-Identifier: Apache-2.0 */
/* A look at a few values of a chunk: whether it is worth the caller's while to take them apart. */
#include "bytes.h"
#include "layout.h"
#include "zipnn_like.h"

/* Most chunks are plain weights, which the first look tells: 1/100 of their time is 1 microsecond. */
#define FIRST_LOOK 96u
#define SAMPLES 256u
#define BUCKETS (2 * SAMPLES)

/* What must be seen for a chunk to be worth it. A palette of 256 equally frequent values shows 80 and 162 of them, weights in
 * bf16 91 and 230; the most frequent value of weights shows 1 to 4 times. */
typedef struct {
    unsigned samples, few_values, often, zeros;
} threshold;

/* Few weights are exactly zero unless they were made so. */
static const threshold FIRST = {FIRST_LOOK, 86, 3, 1}, FINAL = {SAMPLES, 190, 7, 3};
/* Where values have 8 bits: one costs 3 raw bits and more, so that only symbols of 5 bits are better. The squares of the
 * counts of 16 nibbles add up to 4352 +- 88 when all are equally frequent; 4-bit weights give 4900 and more. */
static const threshold OF_BYTES = {SAMPLES, 33, 32, SAMPLES + 1};
#define UNEVEN_NIBBLES 4700u

/* The samples so far: an open hash table of the values. */
typedef struct {
    unsigned distinct, most, zeros;
    uint16_t nibbles[16];
    uint16_t seen[BUCKETS];
    uint64_t keys[BUCKETS]; /* written before it is read */
} sample;

static uint64_t load_value(const uint8_t *in, unsigned width)
{
    switch (width) {
    case 1: return *in;
    case 2: return load_u16le(in);
    case 4: return load_u32le(in);
    default: return load_u64le(in);
    }
}

static void add_value(sample *to, uint64_t value)
{
    size_t bucket = (size_t)((value * UINT64_C(0x9E3779B97F4A7C15)) >> 55);
    while (to->seen[bucket] && to->keys[bucket] != value) bucket = (bucket + 1) % BUCKETS;
    to->keys[bucket] = value;
    to->distinct += to->seen[bucket] == 0;
    to->seen[bucket]++;
    if (to->seen[bucket] > to->most) to->most = to->seen[bucket];
    to->nibbles[value & 15]++;
    to->zeros += value == 0;
}

/* Add as many values as `wanted` says, at uneven distances, so that no period of the data is in step. */
static void look(const uint8_t *values, size_t value_count, unsigned width, const threshold *wanted,
                 sample *to)
{
    const size_t stride = value_count / wanted->samples;
    memset(to, 0, offsetof(sample, keys));
    for (size_t i = 0, jitter = 0; i < wanted->samples; i++) {
        jitter = (jitter + 40503) & 65535;
        add_value(to, load_value(values + (i * stride + (jitter * stride >> 16)) * width, width));
    }
}

static int reaches(const sample *found, const threshold *wanted)
{
    return found->distinct <= wanted->few_values || found->most >= wanted->often ||
           found->zeros >= wanted->zeros;
}

static int has_uneven_nibbles(const sample *found)
{
    unsigned squares = 0;
    for (unsigned n = 0; n < 16; n++) squares += (unsigned)found->nibbles[n] * found->nibbles[n];
    return squares >= UNEVEN_NIBBLES;
}

#define DTYPE_F32 2

static int seems_scaled(const znl_chunk *chunk)
{
    if (chunk->dtype != DTYPE_F32 || chunk->part_count == 0) return 0;
    const znl_part *part = &chunk->parts[0];
    const int is_matrix = part->has_columns && chunk->part_count == 1;
    return znl_looks_scaled(chunk->source, chunk->source_nbytes / 4,
                            is_matrix ? part->row_values : 0);
}

/* Symbols of 9 bits and more cost weights 3.6; where they cost this, exponents may spread wider than tables reach. Of
 * as many different ones as these, noise has twice as many. */
#define WIDE_SYMBOL_BITS 9u
#define WIDE_MIN_VALUES 8192u
#define MOST_OF_NARROW 19u /* in 1/4 bit */
#define MOST_EXPONENTS (FIRST_LOOK / 2)

static int is_wide(const znl_layout *layout, const znl_chunk *chunk)
{
    const unsigned bits = 8u * layout->width, symbol_bits = layout->symbol_bits;
    const uint32_t stored =
        chunk->method == ZNL_METHOD_RAW ? chunk->source_nbytes : chunk->body_nbytes;
    if (symbol_bits < WIDE_SYMBOL_BITS || chunk->source_nbytes < WIDE_MIN_VALUES * layout->width ||
        4 * (uint64_t)stored * bits <=
            (uint64_t)(4 * (bits - symbol_bits) + MOST_OF_NARROW) * chunk->source_nbytes)
        return 0;
    uint64_t seen[1 << (ZNL_MAX_SYMBOL_BITS - 1 - 6)] = {0};
    const size_t stride = chunk->source_nbytes / layout->width / FIRST_LOOK;
    unsigned distinct = 0;
    for (size_t i = 0; i < FIRST_LOOK; i++) {
        const uint64_t value =
            load_value(chunk->source + i * stride * layout->width, layout->width);
        const unsigned exponent =
            (unsigned)(value >> (bits - symbol_bits)) & ((1u << (symbol_bits - 1)) - 1);
        const uint64_t bit = (uint64_t)1 << (exponent & 63);
        distinct += !(seen[exponent >> 6] & bit);
        seen[exponent >> 6] |= bit;
    }
    return distinct <= MOST_EXPONENTS;
}

static int seems_composable(const znl_chunk *chunk)
{
    const znl_layout *layout = znl_layout_of(chunk->dtype);
    if (!layout || chunk->source_nbytes % layout->width) return 0;
    const size_t value_count = chunk->source_nbytes / layout->width;
    if (value_count < SAMPLES) return 0;
    if (is_wide(layout, chunk) || seems_scaled(chunk)) return 1;
    sample found;
    if (layout->width == 1) {
        look(chunk->source, value_count, 1, &OF_BYTES, &found);
        const int is_integer = layout->transform != ZNL_ROTATE;
        return reaches(&found, &OF_BYTES) || (is_integer && has_uneven_nibbles(&found));
    }
    look(chunk->source, value_count, layout->width, &FIRST, &found);
    if (!reaches(&found, &FIRST)) return 0;
    look(chunk->source, value_count, layout->width, &FINAL, &found);
    return reaches(&found, &FINAL);
}

size_t znl_list_composable(const znl_chunk *chunks, size_t chunk_count, uint32_t *numbers)
{
    size_t count = 0;
    for (size_t i = 0; i < chunk_count; i++)
        if (chunks[i].method != ZNL_METHOD_CONSTANT && seems_composable(&chunks[i]))
            numbers[count++] = (uint32_t)i;
    return count;
}
