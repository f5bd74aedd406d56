/* SPDX-License-Identifier: Apache-2.0 */
/* Arrangements for tests: random ones, and what docs/format.md, section 5.8, says of them, written again value by
 * value so that a slip in csrc/ shows. */
#ifndef ZNL_TEST_ARRANGEMENTS_H
#define ZNL_TEST_ARRANGEMENTS_H

#include "arrangement.h"
#include "bytes.h"
#include "check.h"

/* Kinds of parts that random_arrangement favours. */
enum { ANY_PARTS, WHOLE_BLOCKS, NO_COLUMNS, ALL_COLUMNS, PART_KINDS };

/* Rows and columns for about `value_count` values; returns the exact number of them, 2048 to 262144. */
static inline size_t random_arrangement(unsigned kind, unsigned table_count, size_t value_count,
                                        size_t part_count, uint64_t *seed, znl_arrangement *made)
{
    static const uint32_t lengths[] = {1,  2,  5,   7,   31,  32,   33,  63,
                                       64, 65, 100, 128, 320, 1000, 1027};
    size_t total = 0, rows = 0, columns = 0;
    memset(made, 0xa5, sizeof *made);
    memset(&made->reduction, 0, sizeof made->reduction);
    memset(&made->second, 0, sizeof made->second);
    for (made->part_count = 0; made->part_count < part_count || total < 2048;) {
        const size_t most = (value_count > total ? value_count - total : 0) /
                            (part_count > made->part_count ? part_count - made->part_count : 1);
        znl_part *part = &made->parts[made->part_count++];
        part->row_values = lengths[random_below(seed, sizeof lengths / sizeof *lengths)];
        if (kind == WHOLE_BLOCKS) part->row_values = 64 * (1 + random_below(seed, 9));
        if (random_below(seed, 9) == 0 && kind != WHOLE_BLOCKS)
            part->row_values = 1 + random_below(seed, 5000);
        if (part->row_values > most) part->row_values = most < 1 ? 1 : (uint32_t)most;
        if (kind == WHOLE_BLOCKS) part->row_values = (part->row_values + 63) / 64 * 64;
        part->rows = (uint32_t)(most / part->row_values);
        if (part->rows == 0) part->rows = 1;
        part->has_columns = kind == ALL_COLUMNS || (kind == ANY_PARTS && random_below(seed, 2));
        for (size_t i = 0; i < part->rows; i++)
            made->row_classes[rows++] = (uint8_t)random_below(seed, table_count);
        const unsigned spread = 1 + random_below(seed, 15);
        for (size_t i = 0; i < part->row_values && part->has_columns; i++)
            made->column_classes[columns++] = (uint8_t)((7 + random_below(seed, spread)) % 15);
        total += (size_t)part->rows * part->row_values;
    }
    return total;
}

/* Second symbols with M contexts, whose bounds lie below `limit`: M - 1 of them or more must fit there. */
static inline void random_second(unsigned kind, unsigned context_count, unsigned limit,
                                 uint64_t *seed, znl_second *made)
{
    unsigned left = context_count - 1, count = 0;
    memset(made, 0xa5, sizeof *made);
    made->kind = kind;
    made->context_count = context_count;
    for (unsigned value = 1; left > 0; value++)
        if (random_below(seed, limit - value) < left) {
            made->bounds[count++] = (uint16_t)value;
            left--;
        }
}

/* "A value is the i-th": the number in source order of each value in arranged order, and its class. */
typedef struct {
    uint32_t source[ZNL_MAX_STATIC_VALUES];
    uint8_t classes[ZNL_MAX_STATIC_VALUES];
    size_t count;
} arranged_order;

/* One value more. q: its column's class as stored. */
static inline void put_value(arranged_order *order, size_t source, int r, int q,
                             unsigned table_count)
{
    int class = r + q - 7;
    if (class < 0) class = 0;
    if (class > (int)table_count - 1) class = (int)table_count - 1;
    order->source[order->count] = (uint32_t)source;
    order->classes[order->count++] = (uint8_t) class;
}

static inline void order_values(const znl_arrangement *arrangement, unsigned table_count,
                                arranged_order *order)
{
    const uint8_t *rows = arrangement->row_classes, *columns = arrangement->column_classes;
    size_t first = 0;
    order->count = 0;
    for (size_t p = 0; p < arrangement->part_count; p++) {
        const znl_part *part = &arrangement->parts[p];
        const size_t length = part->row_values;
        if (part->has_columns) {
            for (unsigned r = 0; r < table_count; r++)
                for (unsigned q = 0; q < 15; q++)
                    for (size_t i = 0; i < part->rows; i++)
                        for (size_t j = 0; j < length && rows[i] == r; j++)
                            if (columns[j] == q)
                                put_value(order, first + i * length + j, (int)r, (int)q,
                                          table_count);
            columns += length;
        } else if (length % 64 == 0) {
            for (size_t i = 0; i < part->rows; i++)
                for (size_t j = 0; j < length; j++)
                    put_value(order, first + i * length + j, rows[i], 7, table_count);
        } else {
            for (unsigned r = 0; r < table_count; r++)
                for (size_t i = 0; i < part->rows; i++)
                    for (size_t j = 0; j < length && rows[i] == r; j++)
                        put_value(order, first + i * length + j, (int)r, 7, table_count);
        }
        rows += part->rows;
        first += part->rows * length;
    }
}

/* The class of a block. */
static inline unsigned block_class(const arranged_order *order, size_t block)
{
    return order->classes[64 * block + 32];
}

static inline size_t put_class(uint8_t *out, size_t bit, unsigned class, unsigned bits)
{
    for (unsigned i = 0; i < bits; i++, bit++)
        out[bit / 8] = (uint8_t)(out[bit / 8] | (class >> i & 1) << bit % 8);
    return bit;
}

static inline void put_front(const znl_arrangement *arrangement, uint8_t *out)
{
    const znl_reduction *reduction = &arrangement->reduction;
    const znl_second *second = &arrangement->second;
    store_u32le(
        out, (uint32_t)arrangement->part_count + (reduction->one_sign ? 1u << 16 : 0) +
                 (reduction->sign << 17) + (reduction->shift << 18) +
                 (second->kind ? (second->kind << 24) + ((second->context_count - 1) << 26) : 0));
}

/* The bounds of contexts; returns their size. */
static inline size_t put_bounds(const znl_second *second, uint8_t *out)
{
    const unsigned count = second->kind ? second->context_count - 1 : 0;
    for (unsigned i = 0; i < count; i++) store_u16le(out + 2 * i, second->bounds[i]);
    return 4 * ((count + 1) / 2);
}

/* The arrangement on the wire, with `table_count` classes; returns its size. `out` is all zero. */
static inline size_t wire_of_arrangement(const znl_arrangement *arrangement, unsigned table_count,
                                         uint8_t *out)
{
    const uint8_t *rows = arrangement->row_classes, *columns = arrangement->column_classes;
    const znl_reduction *reduction = &arrangement->reduction;
    unsigned bits = 0;
    size_t value_count = 0;
    for (unsigned highest = table_count - 1; highest; highest /= 2) bits++;
    put_front(arrangement, out);
    size_t bit = 8 * (4 + 8 * arrangement->part_count);
    for (size_t p = 0; p < arrangement->part_count; p++) {
        const znl_part *part = &arrangement->parts[p];
        store_u32le(out + 4 + 8 * p, part->rows);
        store_u32le(out + 8 + 8 * p, part->row_values + (part->has_columns ? 1u << 31 : 0));
        for (size_t i = 0; i < part->rows; i++) bit = put_class(out, bit, *rows++, bits);
        value_count += (size_t)part->rows * part->row_values;
    }
    for (size_t p = 0; p < arrangement->part_count; p++)
        for (size_t j = 0; j < arrangement->parts[p].row_values; j++)
            if (arrangement->parts[p].has_columns) bit = put_class(out, bit, *columns++, 4);
    for (size_t first = 0; first < value_count / 64 * 64 && reduction->shift; first += 512)
        bit = put_class(out, bit, reduction->marked[first / 512], 1);
    const size_t nbytes = (bit + 31) / 32 * 4;
    return nbytes + put_bounds(&arrangement->second, out + nbytes);
}

#endif
