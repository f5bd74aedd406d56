/* SPDX-License-Identifier: Apache-2.0 */
/* A look at a few values of a chunk: whether it is worth the caller's while to take them apart. */
#include "bytes.h"
#include "layout.h"

/* Most chunks are plain weights, which the first look tells: 1/100 of their time is 1 microsecond. */
#define FIRST_LOOK 96u
#define SAMPLES 256u
#define BUCKETS (2 * SAMPLES)

/* What must be seen for a chunk to be worth it. A palette of 256 equally frequent values shows 80 and 162 of them, weights in
 * bf16 91 and 230; the most frequent value of weights shows 1 to 4 times. */
typedef struct {
    unsigned samples, few_values, often;
} threshold;

static const threshold FIRST = {FIRST_LOOK, 86, 3}, FINAL = {SAMPLES, 190, 7};
/* Where values have 8 bits: one costs 3 raw bits and more, so that only symbols of 5 bits are better. The squares of the
 * counts of 16 nibbles add up to 4352 +- 88 when all are equally frequent; 4-bit weights give 4900 and more. */
static const threshold OF_BYTES = {SAMPLES, 33, 32};
#define UNEVEN_NIBBLES 4700u

/* The samples so far: an open hash table of the values. */
typedef struct {
    unsigned distinct, most;
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
    return found->distinct <= wanted->few_values || found->most >= wanted->often;
}

static int has_uneven_nibbles(const sample *found)
{
    unsigned squares = 0;
    for (unsigned n = 0; n < 16; n++) squares += (unsigned)found->nibbles[n] * found->nibbles[n];
    return squares >= UNEVEN_NIBBLES;
}

static int seems_composable(const znl_chunk *chunk)
{
    const znl_layout *layout = znl_layout_of(chunk->dtype);
    if (!layout || chunk->source_nbytes % layout->width) return 0;
    const size_t value_count = chunk->source_nbytes / layout->width;
    if (value_count < SAMPLES) return 0;
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
