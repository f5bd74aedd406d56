/* SPDX-License-Identifier: Apache-2.0 */
/* Frequency tables of 32 symbols: fit to a histogram, cost, wire form, alias slots. */
#ifndef ZNL_TABLE_H
#define ZNL_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"

typedef struct {
    uint16_t base;                        /* symbol s stands for (base + s) mod 2^S ... */
    uint16_t has_zero;                    /* ... but symbol 31 for 0 when this is 1 */
    uint16_t frequency[ZNL_SYMBOL_COUNT]; /* each at least 1, sum ZNL_TABLE_SIZE */
} znl_freq_table;

/* Bucket b owns slots 128 b ..: r < threshold belongs to symbol b with index r, the others to symbol alias
 * with index r + shift. */
typedef struct {
    uint8_t threshold[ZNL_SYMBOL_COUNT];
    uint8_t alias[ZNL_SYMBOL_COUNT];
    int16_t shift[ZNL_SYMBOL_COUNT];
} znl_alias;

/* Fit a table to counts of symbol values, counts[0 .. 1 << symbol_bits). */
void znl_table_fit(const uint32_t *counts, unsigned symbol_bits, znl_freq_table *table);

/* The universal table of a shape (below 16) and a base. */
void znl_table_universal(unsigned shape, unsigned base, znl_freq_table *table);

/* Cost of coding `counts` with a table, in 1/256 bit: code lengths, and 32 bits for every patch. */
uint64_t znl_table_cost(const znl_freq_table *table, const uint32_t *counts, unsigned symbol_bits);

static inline unsigned znl_floor_log2(uint64_t x)
{
#if defined(__GNUC__)
    return 63u - (unsigned)__builtin_clzll(x);
#else
    unsigned whole = 0;
    for (unsigned step = 32; step > 0; step >>= 1)
        if (whole + step < 64 && x >> (whole + step)) whole += step;
    return whole;
#endif
}

/* What a table of its own and a reference in a chunk cost, in 1/256 bit. */
#define ZNL_TABLE_COST ((uint64_t)(8 * ZNL_TABLE_STREAM_NBYTES) << 8)
#define ZNL_REFERENCE_COST ((uint64_t)64 << 8)

/* log2 of 1, 1 + 1/32 ... 2 in 1/65536. */
extern const uint32_t znl_log2_points[33];

/* log2 of a number that is not 0, 16 bits of fraction: a line between 33 points, less than 2^-12 off. Integers only:
 * what picks tables must come out the same on every machine. */
static inline uint32_t znl_log2_q16(uint64_t x)
{
    const unsigned whole = znl_floor_log2(x);
    const uint32_t fraction =
        (uint32_t)(whole > 16 ? x >> (whole - 16) : x << (16 - whole)) & 0xffff; /* of 2^16 */
    const uint32_t from = znl_log2_points[fraction >> 11];
    const uint32_t to = znl_log2_points[(fraction >> 11) + 1];
    return (whole << 16) + from + (((to - from) * (fraction & 0x7ff)) >> 11);
}

/* n * log2(n) in 1/65536 bit. */
static inline uint64_t znl_n_log2_n_q16(uint64_t n)
{
    return n < 2 ? 0 : n * znl_log2_q16(n);
}

/* Code length of a symbol of this frequency (1 to 4095), in 1/256 bit, rounded up. */
unsigned znl_code_length(unsigned frequency);

/* The symbol that stands for a symbol value, or ZNL_SYMBOL_COUNT when none does. */
static inline unsigned znl_table_symbol(const znl_freq_table *table, unsigned value,
                                        unsigned symbol_bits)
{
    const unsigned symbol = (value - table->base) & ((1u << symbol_bits) - 1);
    if (table->has_zero) {
        if (value == 0) return ZNL_SYMBOL_COUNT - 1;
        return symbol < ZNL_SYMBOL_COUNT - 1 ? symbol : ZNL_SYMBOL_COUNT;
    }
    return symbol < ZNL_SYMBOL_COUNT ? symbol : ZNL_SYMBOL_COUNT;
}

/* The symbol value that a symbol stands for. */
static inline unsigned znl_table_value(const znl_freq_table *table, unsigned symbol,
                                       unsigned symbol_bits)
{
    if (table->has_zero && symbol == ZNL_SYMBOL_COUNT - 1) return 0;
    return (table->base + symbol) & ((1u << symbol_bits) - 1);
}

/* Write the head of a TABLE record and return its size; all ZNL_MAX_TABLE_NBYTES bytes are written. */
size_t znl_table_write(const znl_freq_table *table, uint8_t *out);

/* A table as it travels, with its name. */
void znl_table_name(const znl_freq_table *table, znl_table *wire);

/* Read and validate one. Returns ZNL_OK, ZNL_E_TRUNCATED, _BAD_VALUE, _BAD_TABLE, _BAD_SIZE, _BAD_PADDING. */
int znl_table_read(const uint8_t *in, size_t in_nbytes, znl_freq_table *table);

/* Assign slots by the alias method (docs/format.md, section 5.5; Walker 1977). */
void znl_alias_build(const znl_freq_table *table, znl_alias *alias);

#endif
