/* SPDX-License-Identifier: Apache-2.0 */
/* F32 values that are narrow ones times a scale: finds the scales, takes them out and multiplies them in again.
 *
 * With significands as integers, M of a value (24 bits), S of the scale (24 bits) and g of the narrow value (11 bits),
 * M is S * g, rounded, but for a power of two. For one value there are 1024 g, hence 1024 possible S; of another value each makes a
 * whole g by chance once in 2048 times, so a few values leave the true S and, where all g have few bits, its fractions. */
#include "bytes.h"
#include "errors.h"
#include "zipnn_like.h"

#define GRID 1024u          /* g is from here on and below twice that */
#define ONE (1u << 23)      /* significands as well */
#define MOST_WITNESSES 10u  /* values that a scale is found by */
#define LEAST_WITNESSES 3u  /* so that what fits is no chance */
#define LOOKED_AT 512u      /* values among which witnesses are looked for */
#define REFINED_BY 32u      /* values that the last bits of a scale are found by, before all are */
#define MOST_CANDIDATES 16u /* that are tried out */
#define MOST_STEPS 8u       /* from the middle of what the last bits may be */
/* Half a unit of both significands makes 2^-12 of g, in units of 2^-32. */
#define TOLERANCE ((1u << 20) + (1u << 12))
#define HALF_LOW_BITS 13 /* of F32 that F16 has not */
#define SPAN_OF_I8 7     /* bits above the lowest one: -128 has as many */
#define TOP_EXPONENT 15  /* of the largest narrow value of a scale */

/* Some values of one scale. */
typedef struct {
    const uint8_t *at;
    size_t stride, count;
} series;

/* Significands of some of them, all different, and what g of the first one may be. */
typedef struct {
    uint32_t significands[MOST_WITNESSES];
    unsigned count;
    uint16_t candidates[GRID];
    uint16_t bits[GRID]; /* of all g together */
    unsigned candidate_count;
} search;

static uint32_t value_of(const series *values, size_t i)
{
    return load_u32le(values->at + 4 * values->stride * i);
}

static unsigned exponent_of(uint32_t value)
{
    return value >> 23 & 255;
}

static uint32_t significand_of(uint32_t value)
{
    return (value & (ONE - 1)) | ONE;
}

static int is_normal(uint32_t value)
{
    return exponent_of(value) != 0 && exponent_of(value) != 255;
}

/* S, and what makes g of significands below it and of others. */
typedef struct {
    uint32_t scale;
    double factors[2];
} divisor;

static divisor divisor_of(uint32_t scale)
{
    const double factor = (double)GRID / (double)scale;
    const divisor by = {scale, {2 * factor, factor}};
    return by;
}

/* g of a significand, 1024 to 2048. How the last bit of a product in double is rounded does not matter: what is not nearly
 * a whole number is not S * g, and that is compared in integers. */
static uint32_t nearest(uint32_t significand, const divisor *by)
{
    return (uint32_t)((double)(int32_t)significand * by->factors[significand >= by->scale] + 0.5);
}

/* S, but for its last bits, when a candidate is g of a significand. */
static uint32_t scale_about(uint32_t significand, uint32_t g)
{
    const uint32_t twice = (uint32_t)(((uint64_t)significand << 11) / g);
    return twice >> (twice >= 2 * ONE);
}

/* Keep the candidates that make another significand a whole number as well. */
static void test_candidates(search *found, uint32_t significand)
{
    const uint32_t first = found->significands[0];
    const uint64_t ratio = ((uint64_t)significand << 32) / first; /* below 2^33 */
    unsigned kept = 0;
    for (unsigned c = 0; c < found->candidate_count; c++) {
        const uint32_t g = found->candidates[c];
        const uint64_t other = ratio * g; /* g of the other value, with 32 bits of fraction */
        const uint64_t step = other >> 32 < GRID       ? ratio << 1
                              : other >> 32 < 2 * GRID ? ratio
                                                       : ratio >> 1;
        if ((uint32_t)step * g + TOLERANCE > 2 * TOLERANCE) continue;
        const divisor by = divisor_of(scale_about(first, g));
        found->bits[kept] = (uint16_t)(found->bits[c] | nearest(significand, &by));
        found->candidates[kept++] = (uint16_t)g;
    }
    found->candidate_count = kept;
}

/* Append the g from `begin` to `end` that come near a whole number when multiplied with a fraction of 32 bits. */
static void list_run(search *found, uint32_t begin, uint32_t end, uint32_t fraction)
{
    uint32_t product = fraction * begin + TOLERANCE; /* the whole part is lost, and not missed */
    for (uint32_t g = begin; g < end; g++, product += fraction)
        if (product <= 2 * TOLERANCE) found->candidates[found->candidate_count++] = (uint16_t)g;
}

/* List the candidates that make the second significand a whole number: 2000 cycles, whatever comes. */
static void list_candidates(search *found, uint32_t significand)
{
    const uint32_t first = found->significands[0];
    const uint64_t ratio = ((uint64_t)significand << 32) / first;
    const int is_less = significand < first;
    /* Up to here g * ratio is below 1024 (and counts twice) or 2048; from there on it is as g itself, or counts half. */
    const uint64_t turn = ((uint64_t)(is_less ? GRID : 2 * GRID) << 32) / ratio + 1;
    const uint32_t end = turn < 2 * GRID ? (uint32_t)turn : 2 * GRID;
    list_run(found, GRID, end, (uint32_t)(is_less ? ratio << 1 : ratio));
    list_run(found, end, 2 * GRID, (uint32_t)(is_less ? ratio : ratio >> 1));
    for (unsigned c = 0; c < found->candidate_count; c++) found->bits[c] = found->candidates[c];
    test_candidates(found, significand); /* for the bits */
}

/* Add a witness, unless it is one already; returns whether anything can still fit. */
static int add_witness(search *found, uint32_t significand)
{
    for (unsigned w = 0; w < found->count; w++)
        if (found->significands[w] == significand) return 1;
    if (found->count == 1) list_candidates(found, significand);
    if (found->count > 1) test_candidates(found, significand);
    found->significands[found->count++] = significand;
    return found->count < 2 || found->candidate_count > 0;
}

/* Look for witnesses. Returns 0 when no scale fits them, or one is no number that can be scaled. */
static int find_witnesses(const series *values, search *found)
{
    const size_t count = values->count < LOOKED_AT ? values->count : LOOKED_AT;
    found->count = found->candidate_count = 0;
    for (size_t i = 0; i < count && found->count < MOST_WITNESSES; i++) {
        const uint32_t value = value_of(values, i);
        if (value << 1 == 0) continue;
        if (!is_normal(value) || !add_witness(found, significand_of(value))) return 0;
    }
    return 1;
}

int znl_seem_scaled(const uint8_t *values, size_t stride, size_t count)
{
    const series all = {values, stride, count};
    search found;
    if (!find_witnesses(&all, &found) || found.count < LEAST_WITNESSES) return 0;
    uint32_t together = 0;
    for (unsigned w = 0; w < found.count; w++) together |= found.significands[w];
    return (together & ((1u << HALF_LOW_BITS) - 1)) != 0;
}

/* Values next to one another, and of one column, that are asked. */
#define NEIGHBOURS 32u
#define PLACES 3u
#define LEAST_VALUES 1024u

static int place_looks_scaled(const uint8_t *values, size_t value_count, size_t row, unsigned place)
{
    const size_t unit = row ? row : NEIGHBOURS, units = value_count / unit;
    const uint8_t *const run = values + 4 * unit * (units * place / (PLACES + 1));
    if (znl_seem_scaled(run, 1, unit < NEIGHBOURS ? unit : NEIGHBOURS)) return 1;
    return row && znl_seem_scaled(values + 4 * (row * place / (PLACES + 1)), row,
                                  units < NEIGHBOURS ? units : NEIGHBOURS);
}

int znl_looks_scaled(const uint8_t *values, size_t value_count, size_t row_values)
{
    if (value_count < LEAST_VALUES || row_values > value_count) return 0;
    for (unsigned place = 1; place <= PLACES; place++)
        if (!place_looks_scaled(values, value_count, row_values, place)) return 0;
    return 1;
}

/* --- taking scales out ---------------------------------------------------------------------------- */

/* What a significand is for g: S * g rounded to 24 bits, ties to even. `carry`: S * g is that much longer. */
static uint32_t product_of(uint32_t scale, uint32_t g, unsigned *carry)
{
    const uint64_t product = (uint64_t)scale * g;
    const unsigned shift = 10 + (unsigned)(product >> 34);
    const uint64_t half = (uint64_t)1 << (shift - 1), is_odd = product >> shift & 1;
    const uint32_t kept = (uint32_t)((product + half - 1 + is_odd) >> shift);
    *carry = shift - 10 + (kept >> 24);
    return kept >> (kept >> 24);
}

/* The integers that S may be, so that the first `count` values come out right: narrows low .. high. */
static int narrow(const series *values, size_t count, uint32_t scale, uint32_t *low, uint32_t *high)
{
    const divisor by = divisor_of(scale);
    for (size_t i = 0; i < count; i++) {
        const uint32_t value = value_of(values, i);
        if (value << 1 == 0) continue;
        if (!is_normal(value)) return 0;
        const uint32_t significand = significand_of(value), g = nearest(significand, &by);
        if (g < GRID || g > 2 * GRID) return 0;
        /* S * g is significand * 2^10 or 2^11, whichever is nearer, give or take half a unit. */
        const unsigned shift = (uint64_t)scale * g >= (uint64_t)significand * 1536 ? 11 : 10;
        const uint64_t unit = (uint64_t)1 << shift, middle = (uint64_t)significand << shift;
        const uint64_t least = (middle - unit / 2 + g - 1) / g, most = (middle + unit / 2) / g;
        if (least > *low) *low = (uint32_t)least;
        if (most < *high) *high = (uint32_t)most;
        if (*low > *high) return 0;
    }
    return 1;
}

/* One scale of a series and what it leaves. */
typedef struct {
    uint32_t scale; /* S */
    int top,
        lowest; /* biased exponents of F32: of the largest value, of the lowest bit of all g, or
                        * of one that is too low for I8 already */
} fitted;

/* Whether all values are g * S; finds the exponents. */
static int fits(const series *values, uint32_t scale, fitted *fit)
{
    const divisor by = divisor_of(scale);
    fit->scale = scale;
    fit->top = -1;
    fit->lowest = 512;
    for (size_t i = 0; i < values->count; i++) {
        const uint32_t value = value_of(values, i);
        if (value << 1 == 0) continue;
        if (!is_normal(value)) return 0;
        const uint32_t significand = significand_of(value);
        uint32_t g = nearest(significand, &by);
        if (g == 2 * GRID) g = GRID;
        unsigned carry;
        if (product_of(scale, g, &carry) != significand) return 0;
        const int exponent = (int)exponent_of(value) - (int)carry;
        if (exponent > fit->top) fit->top = exponent;
        if (fit->top - fit->lowest > SPAN_OF_I8) continue;
        int lowest = exponent - 10;
        for (; !(g & 1); g >>= 1) lowest++;
        if (lowest < fit->lowest) fit->lowest = lowest;
    }
    return 1;
}

/* Try a scale that is known but for its last bits. */
static int refine(const series *values, uint32_t about, fitted *fit)
{
    const size_t some = values->count < REFINED_BY ? values->count : REFINED_BY;
    uint32_t low = ONE, high = 2 * ONE - 1;
    for (size_t count = some;; count = values->count) {
        if (!narrow(values, count, about, &low, &high)) return 0;
        const uint32_t middle = low + (high - low) / 2;
        for (uint32_t step = 0; step < MOST_STEPS; step++) {
            const uint32_t scale = step & 1 ? middle - (step + 1) / 2 : middle + step / 2;
            if (scale >= low && scale <= high && fits(values, scale, fit)) return 1;
        }
        if (count == values->count) return 0;
    }
}

static unsigned zeros_of(unsigned bits)
{
    unsigned zeros = 0;
    while (zeros < 11 && !(bits >> zeros & 1)) zeros++;
    return zeros;
}

/* The scale with which the narrow values have the fewest bits. */
static int find_scale(const series *values, fitted *fit)
{
    search found;
    if (!find_witnesses(values, &found)) return 0;
    if (found.count == 0) { /* all of the first ones are zero */
        fit->scale = ONE;
        fit->top = TOP_EXPONENT + 127;
        fit->lowest = fit->top;
        for (size_t i = 0; i < values->count; i++)
            if (value_of(values, i) << 1 != 0) return 0;
        return 1;
    }
    if (found.count == 1) return refine(values, found.significands[0], fit);
    unsigned tried = 0;
    for (unsigned zeros = 12; zeros-- > 0;)
        for (unsigned c = 0; c < found.candidate_count; c++) {
            if (zeros_of(found.bits[c]) != zeros) continue;
            if (tried++ == MOST_CANDIDATES) return 0;
            if (refine(values, scale_about(found.significands[0], found.candidates[c]), fit))
                return 1;
        }
    return 0;
}

/* Write the narrow values of a series as F16; returns 0 when one is too small for that. */
static int write_halves(const series *values, const fitted *fit, uint8_t *halves)
{
    const divisor by = divisor_of(fit->scale);
    for (size_t i = 0; i < values->count; i++) {
        const uint32_t value = value_of(values, i);
        uint32_t half = value >> 16 & 0x8000;
        if (value << 1 != 0) {
            uint32_t g = nearest(significand_of(value), &by);
            unsigned carry;
            if (g == 2 * GRID) g = GRID;
            product_of(fit->scale, g, &carry);
            const int below = fit->top - ((int)exponent_of(value) - (int)carry);
            const int biased = TOP_EXPONENT + 15 - below;
            if (biased < 1) {
                const int shift = 1 - biased;
                if (shift > 10 || g & ((1u << shift) - 1)) return 0;
                half |= g >> shift;
            } else {
                half |= (uint32_t)biased << 10 | (g - GRID);
            }
        }
        store_u16le(halves + 2 * values->stride * i, (uint16_t)half);
    }
    return 1;
}

int znl_split_scaled(const uint8_t *source, size_t value_count, size_t run, size_t scale_count,
                     uint8_t *scales, uint8_t *halves, uint8_t *spans)
{
    const int are_columns = run == 1 && scale_count > 1;
    for (size_t s = 0; s < scale_count; s++) {
        const size_t first = are_columns ? s : s * run;
        const series values = {source + 4 * first, are_columns ? scale_count : 1,
                               value_count / scale_count};
        fitted fit;
        if (!find_scale(&values, &fit)) return 0;
        const int exponent = fit.top - TOP_EXPONENT;
        if (exponent < 1 || !write_halves(&values, &fit, halves + 2 * first)) return 0;
        store_u32le(scales + 4 * s, (uint32_t)exponent << 23 | (fit.scale & (ONE - 1)));
        spans[s] = (uint8_t)(fit.top - fit.lowest);
    }
    return 1;
}

/* --- and in again --------------------------------------------------------------------------------- */

/* A narrow value: `significand` times 2^exponent. */
typedef struct {
    uint32_t sign, significand;
    int exponent;
} narrow_value;

static narrow_value of_half(const uint8_t *in)
{
    const uint32_t half = load_u16le(in), biased = half >> 10 & 31, fraction = half & (GRID - 1);
    const narrow_value value = {half >> 15, biased ? fraction | GRID : fraction,
                                (int)(biased ? biased : 1) - 25};
    return value;
}

static narrow_value of_byte(const uint8_t *in)
{
    const uint32_t sign = *in >> 7;
    const narrow_value value = {sign, sign ? 256u - *in : *in, 0};
    return value;
}

/* The F32 that is nearest to a product, or 1, which is none of them, when it lies outside the normal ones. */
static uint32_t multiply(uint32_t scale, narrow_value by)
{
    if (by.significand == 0) return by.sign << 31;
    const uint64_t product = (uint64_t)significand_of(scale) * by.significand;
    unsigned shift = by.significand >= GRID ? 10 : 0;
    while (product >> shift >> 24) shift++;
    const uint64_t below_half = shift ? ((uint64_t)1 << (shift - 1)) - 1 : 0;
    const uint64_t is_odd = shift ? product >> shift & 1 : 0;
    const uint64_t kept = (product + below_half + is_odd) >> shift;
    const int exponent = (int)exponent_of(scale) + by.exponent + (int)shift + (int)(kept >> 24);
    if (exponent < 1 || exponent > 254) return 1;
    return by.sign << 31 | (uint32_t)exponent << 23 |
           ((uint32_t)(kept >> (kept >> 24)) & (ONE - 1));
}

/* The products of F16 and a scale, or of none from the first that is outside the normal ones: returns 0 then. */
static int multiply_halves(uint32_t scale, const uint8_t *in, size_t count, uint8_t *out)
{
    const uint32_t significand = significand_of(scale), exponent = exponent_of(scale);
    for (size_t i = 0; i < count; i++) {
        const uint32_t half = load_u16le(in + 2 * i), magnitude = half & 0x7fff;
        uint32_t value;
        if (magnitude >= 0x7c00) return 0;
        if (magnitude < GRID) {
            value = multiply(scale, of_half(in + 2 * i));
            if (value == 1) return 0;
        } else {
            /* Below 1 the exponent wraps to what is too large. */
            unsigned carry;
            const uint32_t rounded =
                product_of(significand, (magnitude & (GRID - 1)) | GRID, &carry);
            const uint32_t biased = exponent + (magnitude >> 10) + carry - TOP_EXPONENT;
            if (biased - 1 >= 254) return 0;
            value = (half & 0x8000) << 16 | biased << 23 | (rounded & (ONE - 1));
        }
        store_u32le(out + 4 * i, value);
    }
    return 1;
}

static int multiply_bytes(uint32_t scale, const uint8_t *in, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t value = multiply(scale, of_byte(in + i));
        if (value == 1) return 0;
        store_u32le(out + 4 * i, value);
    }
    return 1;
}

int64_t znl_join_scaled(const uint8_t *scales, const uint8_t *narrow_values, int are_bytes,
                        size_t value_count, size_t run, size_t scale_count, uint8_t *out)
{
    for (size_t s = 0; s < scale_count; s++) {
        const uint32_t scale = load_u32le(scales + 4 * s);
        if (scale >> 31 || !is_normal(scale)) return ZNL_E_BAD_VALUE;
    }
    for (size_t i = 0, s = 0; i < value_count; s = s + 1 == scale_count ? 0 : s + 1) {
        const size_t count = value_count - i < run ? value_count - i : run;
        const uint32_t scale = load_u32le(scales + 4 * s);
        const int are_normal =
            are_bytes ? multiply_bytes(scale, narrow_values + i, count, out + 4 * i)
                      : multiply_halves(scale, narrow_values + 2 * i, count, out + 4 * i);
        if (!are_normal) return ZNL_E_BAD_VALUE;
        i += count;
    }
    return ZNL_OK;
}
