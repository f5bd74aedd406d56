/* SPDX-License-Identifier: Apache-2.0 */
/* Frequency tables of 32 symbols (docs/format.md, sections 5.5 and 6.1). */
#include "table.h"

#include <string.h>

#include "bytes.h"
#include "checksum.h"
#include "errors.h"

/* Find the window of 31 symbol values with the largest count. It never holds the value 0, which has a symbol of
 * its own when it is frequent: pruned tensors would otherwise pull the window away from all other values. */
static unsigned find_window(const uint32_t *counts, unsigned symbol_bits)
{
    const unsigned width = ZNL_SYMBOL_COUNT - 1, value_count = 1u << symbol_bits;
    uint64_t sum = 0;
    for (unsigned value = 1; value <= width; value++) sum += counts[value];
    uint64_t best = sum;
    unsigned base = 1;
    for (unsigned first = 2; first + width <= value_count; first++) {
        sum += counts[first + width - 1];
        sum -= counts[first - 1];
        if (sum > best) {
            best = sum;
            base = first;
        }
    }
    return base;
}

/* Scale 32 counts to frequencies that are at least 1 and sum to the table size. */
static void normalise(const uint32_t *counts, uint16_t *frequency)
{
    uint64_t total = 0;
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) total += counts[s];
    if (total == 0) total = 1;
    uint32_t sum = 0;
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) {
        const uint64_t scaled = ((uint64_t)counts[s] * ZNL_TABLE_SIZE + total / 2) / total;
        frequency[s] = (uint16_t)(scaled ? scaled : 1);
        sum += frequency[s];
    }
    /* Give to or take from the largest, one at a time where rounding took more than it can spare. */
    while (sum != ZNL_TABLE_SIZE) {
        unsigned largest = 0;
        for (unsigned s = 1; s < ZNL_SYMBOL_COUNT; s++)
            if (frequency[s] > frequency[largest]) largest = s;
        if (sum < ZNL_TABLE_SIZE) {
            frequency[largest] = (uint16_t)(frequency[largest] + (ZNL_TABLE_SIZE - sum));
            sum = ZNL_TABLE_SIZE;
        } else {
            frequency[largest]--;
            sum--;
        }
    }
}

void znl_table_fit(const uint32_t *counts, unsigned symbol_bits, znl_freq_table *table)
{
    const unsigned base = find_window(counts, symbol_bits);
    const unsigned next = base + ZNL_SYMBOL_COUNT - 1;
    const uint32_t next_count = next < 1u << symbol_bits ? counts[next] : 0;
    table->base = (uint16_t)base;
    table->has_zero = next >= 1u << symbol_bits || counts[0] > next_count;
    uint32_t window[ZNL_SYMBOL_COUNT];
    memcpy(window, counts + base, (ZNL_SYMBOL_COUNT - 1) * sizeof *window);
    window[ZNL_SYMBOL_COUNT - 1] = table->has_zero ? counts[0] : next_count;
    normalise(window, table->frequency);
}

const uint32_t znl_log2_points[33] = {0,     2909,  5732,  8473,  11136, 13727, 16248, 18704, 21098,
                                      23433, 25711, 27936, 30109, 32234, 34312, 36346, 38336, 40286,
                                      42196, 44068, 45904, 47705, 49472, 51207, 52911, 54584, 56229,
                                      57845, 59434, 60997, 62534, 64047, 65536};

uint64_t znl_entropy_q16(const uint32_t *counts, size_t count)
{
    uint64_t total = 0, known = 0;
    for (size_t i = 0; i < count; i++) {
        total += counts[i];
        known += znl_n_log2_n_q16(counts[i]);
    }
    const uint64_t all = znl_n_log2_n_q16(total);
    return all > known ? all - known : 0; /* rounded logarithms */
}

unsigned znl_code_length(unsigned frequency)
{
    return (ZNL_TABLE_BITS << 8) - ((znl_log2_q16(frequency) + 128) >> 8);
}

uint64_t znl_table_cost(const znl_freq_table *table, const uint32_t *counts, unsigned symbol_bits)
{
    const uint64_t last = znl_code_length(table->frequency[ZNL_SYMBOL_COUNT - 1]);
    uint64_t total = 0, coded = 0, cost = 0;
    for (unsigned value = 0; value < 1u << symbol_bits; value++) total += counts[value];
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) {
        const unsigned value = znl_table_value(table, s, symbol_bits);
        /* A window that wraps around 0 could meet the value 0 twice; the symbol of its own wins. */
        if (znl_table_symbol(table, value, symbol_bits) != s) continue;
        coded += counts[value];
        cost += (uint64_t)counts[value] * znl_code_length(table->frequency[s]);
    }
    return cost + (total - coded) * (last + (32 << 8));
}

size_t znl_table_write(const znl_freq_table *table, uint8_t *out)
{
    memset(out, 0, ZNL_MAX_TABLE_NBYTES);
    store_u16le(out, (uint16_t)(table->base | table->has_zero << 15));
    size_t bit = 16;
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) {
        unsigned log2 = 0;
        while (table->frequency[s] >> (log2 + 1)) log2++;
        const unsigned field = log2 | (table->frequency[s] - (1u << log2)) << 4;
        for (unsigned i = 0; i < 4 + log2; i++, bit++)
            out[bit >> 3] = (uint8_t)(out[bit >> 3] | (field >> i & 1) << (bit & 7));
    }
    return (bit + 31) / 32 * 4;
}

void znl_table_name(const znl_freq_table *table, znl_table *wire)
{
    wire->nbytes = (uint32_t)znl_table_write(table, wire->bytes);
    wire->name = znl_xxh3_64_scalar(wire->bytes, wire->nbytes) | ZNL_TABLE_NAME_BIT;
}

int znl_table_read(const uint8_t *in, size_t in_nbytes, znl_freq_table *table)
{
    if (in_nbytes < 4 || in_nbytes > ZNL_MAX_TABLE_NBYTES || in_nbytes % 4) return ZNL_E_BAD_VALUE;
    /* A copy with zeros behind it: 8 bytes can be loaded at any bit of it. */
    uint8_t copy[ZNL_MAX_TABLE_NBYTES + 8] = {0};
    memcpy(copy, in, in_nbytes);
    const unsigned first = load_u16le(copy);
    if (first & 0x7000) return ZNL_E_BAD_VALUE;
    table->base = first & 0x0fff;
    table->has_zero = (uint16_t)(first >> 15);
    const size_t end = 8 * in_nbytes;
    size_t bit = 16;
    unsigned sum = 0;
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) {
        /* At most 4 + 11 bits of the 57 or more that a load holds. */
        const uint64_t field = load_u64le(copy + (bit >> 3)) >> (bit & 7);
        if (end - bit < 4) return ZNL_E_TRUNCATED;
        const unsigned log2 = (unsigned)field & 15;
        if (log2 >= ZNL_TABLE_BITS) return ZNL_E_BAD_TABLE;
        if (end - bit - 4 < log2) return ZNL_E_TRUNCATED;
        table->frequency[s] =
            (uint16_t)((1u << log2) + ((unsigned)(field >> 4) & ((1u << log2) - 1)));
        sum += table->frequency[s];
        bit += 4 + log2;
    }
    if (sum != ZNL_TABLE_SIZE) return ZNL_E_BAD_TABLE;
    if ((bit + 31) / 32 * 4 != in_nbytes) return ZNL_E_BAD_SIZE;
    /* Less than 32 bits are left. */
    if (load_u64le(copy + (bit >> 3)) >> (bit & 7)) return ZNL_E_BAD_PADDING;
    return ZNL_OK;
}

int64_t znl_table_check(const uint8_t *in, size_t in_nbytes, uint64_t *name)
{
    znl_freq_table table;
    const int status = znl_table_read(in, in_nbytes, &table);
    if (status != ZNL_OK) return status;
    *name = znl_xxh3_64_scalar(in, in_nbytes) | ZNL_TABLE_NAME_BIT;
    return ZNL_OK;
}

void znl_alias_build(const znl_freq_table *table, znl_alias *alias)
{
    int32_t rest[ZNL_SYMBOL_COUNT];
    uint8_t small[ZNL_SYMBOL_COUNT], large[ZNL_SYMBOL_COUNT], full[ZNL_SYMBOL_COUNT];
    unsigned small_count = 0, large_count = 0;
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) {
        rest[s] = table->frequency[s];
        alias->alias[s] = (uint8_t)s;
        alias->threshold[s] = ZNL_BUCKET_SIZE;
        if (rest[s] < (int32_t)ZNL_BUCKET_SIZE)
            small[small_count++] = (uint8_t)s;
        else
            large[large_count++] = (uint8_t)s;
    }
    while (small_count && large_count) {
        const unsigned bucket = small[--small_count], giver = large[large_count - 1];
        alias->threshold[bucket] = (uint8_t)rest[bucket];
        alias->alias[bucket] = (uint8_t)giver;
        rest[giver] -= (int32_t)ZNL_BUCKET_SIZE - rest[bucket];
        if (rest[giver] < (int32_t)ZNL_BUCKET_SIZE) {
            large_count--;
            small[small_count++] = (uint8_t)giver;
        }
    }
    int32_t next[ZNL_SYMBOL_COUNT];
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) {
        full[s] = alias->threshold[s] == ZNL_BUCKET_SIZE;
        next[s] = alias->threshold[s];
    }
    for (unsigned b = 0; b < ZNL_SYMBOL_COUNT; b++) {
        alias->shift[b] = 0;
        if (full[b]) continue;
        alias->shift[b] = (int16_t)(next[alias->alias[b]] - alias->threshold[b]);
        next[alias->alias[b]] += (int32_t)ZNL_BUCKET_SIZE - alias->threshold[b];
    }
}
