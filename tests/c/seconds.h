/* SPDX-License-Identifier: Apache-2.0 */
/* Second symbols for tests: what docs/format.md, sections 5.1, 5.5, 5.6 and 5.10, says of them, written again value by
 * value so that a slip in csrc/ shows. */
#ifndef ZNL_TEST_SECONDS_H
#define ZNL_TEST_SECONDS_H

#include "bytes.h"
#include "second.h"
#include "table.h"
#include "values.h"

/* The dtypes that can have them: numbers of trailing zeros (2 and 5), or low bits. */
static const uint8_t SECOND_DTYPES[] = {2, 5, 6, 7, 8, 9, 14, 15};
enum { SECOND_DTYPE_COUNT = sizeof SECOND_DTYPES };

static inline unsigned kind_of_second(unsigned dtype)
{
    if (dtype == 2 || dtype == 5) return 2;
    return (dtype >= 6 && dtype <= 9) || dtype == 14 || dtype == 15;
}

/* b of 1-byte values. */
static inline unsigned low_bits_of(unsigned dtype)
{
    return dtype == 6 || dtype == 8 ? 2 : 3;
}

/* One more than the highest number that is valid. */
static inline unsigned number_limit(unsigned dtype)
{
    return kind_of_second(dtype) == 2 ? 17 : 1u << low_bits_of(dtype);
}

static inline unsigned value_at(unsigned dtype, const uint8_t *values, size_t i)
{
    return kind_of_second(dtype) == 2 ? load_u32le(values + 4 * i) : values[i];
}

static inline unsigned transformed_top(unsigned dtype, unsigned v)
{
    if (dtype == 2 || dtype == 5) return (v >> 16 << 1 | v >> 31) & 0xffff;
    if (dtype == 14) return v ^ 0x80;
    if (dtype == 15) return v;
    return (v << 1 | v >> 7) & 0xff;
}

static inline unsigned symbol_value_of(unsigned dtype, unsigned v)
{
    return transformed_top(dtype, v) >> (kind_of_second(dtype) == 2 ? 7 : low_bits_of(dtype));
}

/* What the second symbol of a value means. */
static inline unsigned number_of(unsigned dtype, unsigned v)
{
    if (kind_of_second(dtype) == 1) return transformed_top(dtype, v) % number_limit(dtype);
    unsigned zeros = 0;
    while (zeros < 16 && (v >> zeros & 1) == 0) zeros++;
    return zeros;
}

/* Of a value of class r and symbol value e: "let q be the highest class of a bound that is not above r, or 0 when there is
 * none"; "the number of bounds that are not above q * 2^S + e". */
static inline unsigned context_of(const znl_second *second, unsigned S, unsigned r, unsigned e)
{
    unsigned q = 0, context = 0;
    for (unsigned i = 0; i + 1 < second->context_count; i++)
        if (second->bounds[i] >> S <= (int)r) q = second->bounds[i] >> S;
    for (unsigned i = 0; i + 1 < second->context_count; i++)
        context += second->bounds[i] <= (q << S) + e;
    return context;
}

/* "Sorted by context, equal ones as they were": the number of each value in second order, by their contexts. */
static inline void order_second(const znl_second *second, const uint8_t *contexts, size_t count,
                                uint32_t *order)
{
    size_t placed = 0;
    for (unsigned c = 0; c < second->context_count; c++)
        for (size_t i = 0; i < count; i++)
            if (contexts[i] == c) order[placed++] = (uint32_t)i;
    CHECK(placed == count, "%zu of %zu values in second order", placed, count);
}

/* --- slots and symbols ---------------------------------------------------------------------------- */

/* The symbol and index of every slot (5.5). */
typedef struct {
    uint8_t symbols[4096];
    uint16_t indices[4096];
} slot_owners;

static inline void own_slots(const uint16_t *f, slot_owners *owners)
{
    unsigned small[64], large[32], small_count = 0, large_count = 0;
    int rem[32], thr[32], next[32], off[32] = {0};
    unsigned alias[32];
    for (unsigned s = 0; s < 32; s++) {
        rem[s] = f[s];
        alias[s] = s;
        thr[s] = 128;
        if (rem[s] < 128)
            small[small_count++] = s;
        else
            large[large_count++] = s;
    }
    while (small_count && large_count) {
        const unsigned b = small[--small_count], l = large[large_count - 1];
        thr[b] = rem[b];
        alias[b] = l;
        rem[l] -= 128 - rem[b];
        if (rem[l] < 128) small[small_count++] = large[--large_count];
    }
    memcpy(next, thr, sizeof next);
    for (unsigned b = 0; b < 32; b++)
        if (thr[b] < 128) {
            off[b] = next[alias[b]] - thr[b];
            next[alias[b]] += 128 - thr[b];
        }
    for (unsigned slot = 0; slot < 4096; slot++) {
        const unsigned b = slot / 128;
        const int r = (int)(slot % 128), is_own = r < thr[b];
        owners->symbols[slot] = (uint8_t)(is_own ? b : alias[b]);
        owners->indices[slot] = (uint16_t)(is_own ? r : r + off[b]);
    }
}

/* Lanes of a body on their way (5.6), L = 64. */
typedef struct {
    uint32_t x[64];
    const uint8_t *words;
    size_t w, word_count; /* words taken, more than there are maybe; and all of them */
    size_t i;             /* symbols so far */
} text_lanes;

/* The next symbol. */
static inline unsigned next_symbol(text_lanes *lanes, const znl_freq_table *table,
                                   const slot_owners *owners)
{
    uint32_t *x = &lanes->x[lanes->i++ % 64];
    const unsigned slot = *x % 4096, s = owners->symbols[slot];
    *x = table->frequency[s] * (*x >> 12) + owners->indices[slot];
    if (*x < 65536) {
        const size_t w = lanes->w++;
        *x = *x << 16 | (w < lanes->word_count ? load_u16le(lanes->words + 2 * w) : 0u);
    }
    return s;
}

static inline unsigned meaning_of(const znl_freq_table *table, unsigned symbol, unsigned S)
{
    return table->has_zero && symbol == 31 ? 0 : (table->base + symbol) % (1u << S);
}

#endif
