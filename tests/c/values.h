/* SPDX-License-Identifier: Apache-2.0 */
/* Values of every dtype that has a layout, in patterns that reach every branch of the coder. */
#ifndef ZNL_TEST_VALUES_H
#define ZNL_TEST_VALUES_H

#include "bytes.h"
#include "check.h"

static const uint8_t MODELLED_DTYPES[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15};
enum { MODELLED_DTYPE_COUNT = sizeof MODELLED_DTYPES };

/* docs/format.md section 4.1, written again so that a slip in csrc/layout.c shows. */
static inline unsigned dtype_width(unsigned dtype)
{
    static const uint8_t widths[16] = {1, 8, 4, 2, 2, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    return widths[dtype];
}

static inline unsigned dtype_symbol_bits(unsigned dtype)
{
    static const uint8_t symbol_bits[16] = {0, 12, 9, 6, 9, 9, 6, 5, 6, 5, 8, 0, 0, 0, 5, 5};
    return symbol_bits[dtype];
}

enum pattern {
    GAUSSIAN, /* as trained weights */
    ALL_BUT_ONE /* equal, but for one value */,
    RANDOM_BITS,
    SPARSE,   /* 90 % zeros, the others gaussian */
    TWO,      /* two values, at random */
    EXTREMES, /* infinities, NaNs with payloads, negative zero, subnormals, the largest values */
    WIDE,     /* gaussian, but every 40th value of random bits: patches */
    RUNS,     /* gaussian in runs of 64 to 320 values, each of its own scale: several tables */
    PATTERN_COUNT
};

static const char *const PATTERN_NAMES[PATTERN_COUNT] = {
    "gaussian", "all but one", "random bits", "sparse", "two", "extremes", "wide", "runs"};

/* About normal with deviation 1: the sum of twelve uniform numbers. */
static inline double random_gaussian(uint64_t *seed)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < 6; i++) {
        const uint64_t bits = random_u64(seed);
        sum += (int64_t)(bits >> 32) + (int64_t)(bits & 0xffffffffu);
    }
    return (double)(sum - (INT64_C(6) << 32)) / 4294967296.0;
}

/* A float of `exponent_bits` and `fraction_bits`, cut from an F32: no rounding, no subnormals. */
static inline uint64_t narrow_float(double value, unsigned exponent_bits, unsigned fraction_bits)
{
    const float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    const int highest = (1 << exponent_bits) - 2;
    int exponent = (int)(bits >> 23 & 255) - 127 + (1 << (exponent_bits - 1)) - 1;
    uint32_t fraction = (bits & 0x7fffffu) >> (23 - fraction_bits);
    if (exponent > highest) exponent = highest;
    if (exponent < 1) exponent = 0, fraction = 0;
    return (uint64_t)(bits >> 31) << (exponent_bits + fraction_bits) |
           (uint64_t)exponent << fraction_bits | fraction;
}

/* The bits of a number as a value of a dtype. */
static inline uint64_t number_bits(unsigned dtype, double number)
{
    uint64_t bits = 0;
    switch (dtype) {
    case 1: memcpy(&bits, &number, sizeof bits); return bits;
    case 3: return narrow_float(number, 5, 10);
    case 4: return narrow_float(number, 8, 7);
    case 6:
    case 8: return narrow_float(200 * number, 5, 2); /* F8 weights are scaled to fill the range */
    case 7:
    case 9: return narrow_float(200 * number, 4, 3);
    case 10: return narrow_float(number < 0 ? -number : number, 8, 0);
    case 14: return (uint64_t)(int64_t)(number * 400) & 255;
    case 15: return (uint64_t)(int64_t)(number * 400 + 128) & 255;
    default: return narrow_float(number, 8, 23);
    }
}

static inline uint64_t extreme_bits(unsigned bits, uint64_t *seed)
{
    const uint64_t ones = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1,
                   sign = ones ^ ones >> 1;
    const uint64_t noise = random_u64(seed) & ones;
    switch (random_below(seed, 8)) {
    case 0: return 0;
    case 1: return sign;
    case 2: return ones;
    case 3: return ones >> 1;
    case 4: return ones ^ (noise & ones >> (bits / 2));               /* NaN with a payload */
    case 5: return noise & ones >> (bits / 2);                        /* subnormal */
    case 6: return (ones >> 1 & ~(ones >> (bits / 4))) | (noise & 1); /* about the infinity */
    default: return (sign | 1) ^ (noise & 1);
    }
}

/* Write `count` values of a dtype, the same ones for the same arguments. */
static inline void make_values(unsigned dtype, enum pattern pattern, uint64_t seed, uint8_t *out,
                               size_t count)
{
    const unsigned width = dtype_width(dtype);
    const size_t odd_one = count ? random_below(&seed, (uint32_t)count) : 0;
    const uint64_t first = number_bits(dtype, 0.02 * random_gaussian(&seed));
    const uint64_t second = number_bits(dtype, 3 * random_gaussian(&seed)) ^ 1;
    double scale = 0.02;
    size_t run_end = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0;
        if (pattern == RUNS && i >= run_end) {
            run_end = i + 64 * (1 + random_below(&seed, 5));
            scale = 0.3;
            for (unsigned halvings = 3 * random_below(&seed, 4); halvings > 0; halvings--)
                scale /= 2;
        }
        switch (pattern) {
        case ALL_BUT_ONE: value = i == odd_one ? second : first; break;
        case RANDOM_BITS: value = random_u64(&seed); break;
        case TWO: value = random_below(&seed, 2) ? first : second; break;
        case EXTREMES: value = extreme_bits(8 * width, &seed); break;
        case SPARSE:
            if (random_below(&seed, 10) == 0)
                value = number_bits(dtype, scale * random_gaussian(&seed));
            break;
        case WIDE:
            value = random_below(&seed, 40) ? number_bits(dtype, scale * random_gaussian(&seed))
                                            : random_u64(&seed);
            break;
        default: value = number_bits(dtype, scale * random_gaussian(&seed)); break;
        }
        for (unsigned byte = 0; byte < width; byte++)
            out[i * width + byte] = (uint8_t)(value >> (8 * byte));
    }
}

#endif
