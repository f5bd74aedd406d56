/* SPDX-License-Identifier: Apache-2.0 */
/* Second symbols: their contexts and order, and what they leave to be stored. */
#include "second.h"

#include <string.h>

#include "bytes.h"
#include "errors.h"

unsigned znl_second_kind(const znl_layout *layout)
{
    if (layout->width == 1 && layout->low_bits) return ZNL_SECOND_LOW_BITS;
    return layout->width == 4 ? ZNL_SECOND_TRAILING_ZEROS : ZNL_NO_SECOND;
}

int znl_second_is_allowed(const znl_layout *layout, unsigned class_count, const znl_second *second)
{
    if (second->kind == ZNL_NO_SECOND) return 1;
    if (second->kind != znl_second_kind(layout)) return 0;
    return second->context_count == 1 ||
           second->bounds[second->context_count - 2] >> layout->symbol_bits < (int)class_count;
}

unsigned znl_second_limit(const znl_layout *layout)
{
    return layout->width == 1 ? 1u << layout->low_bits : ZNL_TRAILING_BITS + 1;
}

/* --- contexts ------------------------------------------------------------------------------------- */

/* The contexts of one group, `first` to `end` - 1, by symbol value. */
static void fill_group(const znl_contexts *contexts, unsigned symbol_bits, znl_context_group *group)
{
    unsigned context = group->first;
    for (unsigned value = 0; value < 1u << symbol_bits; value++) {
        while (context + 1u < group->end && contexts->begins[context + 1] <= value) context++;
        group->of[value] = (uint8_t)context;
    }
}

void znl_contexts_make(const znl_second *second, unsigned symbol_bits, znl_contexts *contexts)
{
    const unsigned count = second->context_count;
    uint16_t begin_classes[ZNL_MAX_CONTEXTS] = {0};
    contexts->begins[0] = 0;
    for (unsigned c = 1; c < count; c++) {
        begin_classes[c] = (uint16_t)(second->bounds[c - 1] >> symbol_bits);
        contexts->begins[c] = (uint16_t)(second->bounds[c - 1] & ((1u << symbol_bits) - 1));
    }
    for (unsigned g = 0, class = 0, end = 0; end < count; g++) {
        znl_context_group *group = &contexts->groups[g];
        const unsigned begin_class = begin_classes[end];
        /* Below the first bound, a group has the last context of the one before. */
        group->first = (uint8_t)(contexts->begins[end] ? end - 1 : end);
        while (end < count && begin_classes[end] == begin_class) end++;
        group->end = (uint8_t)end;
        fill_group(contexts, symbol_bits, group);
        const unsigned end_class = end < count ? begin_classes[end] : ZNL_MAX_TABLES;
        for (; class < end_class; class ++) contexts->group_of[class] = (uint8_t)g;
    }
}

/* Values of each quarter that are of one class: a quarter begins at a multiple of so many. */
enum { STEP = ZNL_BLOCK_VALUES / ZNL_QUARTERS };

/* The contexts, by symbol value, of values `first` to first + STEP - 1 of each quarter. */
static void find_contexts(const znl_contexts *contexts, const uint8_t *classes, size_t quarter,
                          size_t first, const uint8_t *of[ZNL_QUARTERS])
{
    for (unsigned q = 0; q < ZNL_QUARTERS; q++) {
        const unsigned class = classes[(q * quarter + first) / ZNL_BLOCK_VALUES];
        of[q] = contexts->groups[contexts->group_of[class]].of;
    }
}

void znl_count_contexts_scalar(const znl_contexts *contexts, const uint8_t *classes,
                               const uint16_t *symbols, size_t count, znl_context_counts *counts)
{
    const size_t quarter = count / ZNL_QUARTERS;
    memset(counts, 0, sizeof *counts);
    for (size_t first = 0; first < quarter; first += STEP) {
        const uint8_t *of[ZNL_QUARTERS];
        find_contexts(contexts, classes, quarter, first, of);
        for (size_t i = first; i < first + STEP; i++)
            for (unsigned q = 0; q < ZNL_QUARTERS; q++)
                counts->of[q][of[q][symbols[q * quarter + i]]]++;
    }
}

static size_t count_context(const znl_context_counts *counts, unsigned context)
{
    size_t count = 0;
    for (unsigned q = 0; q < ZNL_QUARTERS; q++) count += counts->of[q][context];
    return count;
}

void znl_context_blocks(const znl_context_counts *counts, size_t block_count, uint8_t *blocks)
{
    size_t end = count_context(counts, 0);
    unsigned context = 0;
    for (size_t block = 0; block < block_count; block++) {
        while (block * ZNL_BLOCK_VALUES + ZNL_BLOCK_VALUES / 2 >= end)
            end += count_context(counts, ++context);
        blocks[block] = (uint8_t)context;
    }
}

znl_context_counts znl_context_begins(const znl_context_counts *counts)
{
    znl_context_counts begins;
    uint32_t begin = 0;
    for (unsigned c = 0; c < ZNL_MAX_CONTEXTS; c++)
        for (unsigned q = 0; q < ZNL_QUARTERS; q++) {
            begins.of[q][c] = begin;
            begin += counts->of[q][c];
        }
    return begins;
}

void znl_sort_second_scalar(const znl_contexts *contexts, const uint8_t *classes,
                            const uint16_t *symbols, const znl_context_counts *begins,
                            const uint8_t *in, size_t count, uint16_t *out)
{
    const size_t quarter = count / ZNL_QUARTERS;
    znl_context_counts next = *begins;
    for (size_t first = 0; first < quarter; first += STEP) {
        const uint8_t *of[ZNL_QUARTERS];
        find_contexts(contexts, classes, quarter, first, of);
        for (size_t i = first; i < first + STEP; i++)
            for (unsigned q = 0; q < ZNL_QUARTERS; q++) {
                const size_t at = q * quarter + i;
                out[next.of[q][of[q][symbols[at]]]++] = in[at];
            }
    }
}

void znl_spread_second_scalar(const znl_contexts *contexts, const uint8_t *classes,
                              const uint16_t *symbols, const znl_context_counts *begins,
                              const uint16_t *in, size_t count, uint8_t *out)
{
    const size_t quarter = count / ZNL_QUARTERS;
    znl_context_counts next = *begins;
    for (size_t first = 0; first < quarter; first += STEP) {
        const uint8_t *of[ZNL_QUARTERS];
        find_contexts(contexts, classes, quarter, first, of);
        for (size_t i = first; i < first + STEP; i++)
            for (unsigned q = 0; q < ZNL_QUARTERS; q++) {
                const size_t at = q * quarter + i;
                out[at] = (uint8_t)in[next.of[q][of[q][symbols[at]]]++];
            }
    }
}

/* --- low bits ------------------------------------------------------------------------------------- */

static void find_low_bits(const znl_layout *layout, const uint8_t *values, size_t count,
                          uint8_t *second)
{
    /* Rotating brings the sign to the lowest place; what the other transform flips is above. */
    const unsigned turn = layout->transform == ZNL_ROTATE;
    const unsigned mask = (1u << layout->low_bits) - 1;
    for (size_t i = 0; i < count; i++)
        second[i] = (uint8_t)((((unsigned)values[i] << turn) | (values[i] >> 7 & turn)) & mask);
}

void znl_join_low_bits(const znl_layout *layout, const uint16_t *symbols, const uint8_t *second,
                       size_t count, uint8_t *out)
{
    const unsigned low_bits = layout->low_bits;
    const unsigned flip = layout->transform == ZNL_OFFSET ? 0x80 : 0;
    if (layout->transform == ZNL_ROTATE)
        for (size_t i = 0; i < count; i++) {
            const unsigned top = (unsigned)symbols[i] << low_bits | second[i];
            out[i] = (uint8_t)(top >> 1 | top << 7);
        }
    else
        for (size_t i = 0; i < count; i++)
            out[i] = (uint8_t)(((unsigned)symbols[i] << low_bits | second[i]) ^ flip);
}

/* --- trailing zeros ------------------------------------------------------------------------------- */

static void find_zeros(const uint8_t *values, size_t count, uint8_t *second)
{
    for (size_t i = 0; i < count; i++) {
        const unsigned low = load_u32le(values + 4 * i) & 0xffff;
        /* Ones in place of the zeros, which are counted in pairs, fours, eights. */
        unsigned ones = (low & (0u - low)) - 1;
        ones &= 0xffff;
        ones -= ones >> 1 & 0x5555;
        ones = (ones & 0x3333) + (ones >> 2 & 0x3333);
        ones = (ones + (ones >> 4)) & 0x0f0f;
        second[i] = (uint8_t)(ones + (ones >> 8)) & 31;
    }
}

void znl_find_second(const znl_layout *layout, const uint8_t *values, size_t count, uint8_t *second)
{
    if (layout->width == 1)
        find_low_bits(layout, values, count, second);
    else
        find_zeros(values, count, second);
}

/* Bits of a field by zeros: those above the lowest one bit. */
static const uint8_t field_bits[ZNL_TRAILING_BITS + 1] = {15, 14, 13, 12, 11, 10, 9, 8, 7,
                                                          6,  5,  4,  3,  2,  1,  0, 0};

size_t znl_fields_nbytes(const uint8_t *second, size_t count)
{
    const uint64_t lowest = 0x0101010101010101;
    size_t known = 0; /* bits that no field holds */
    for (size_t i = 0; i < count; i += 8) {
        const uint64_t zeros = load_u64le(second + i);
        /* 16 counts as 15, which has no field either; the product adds bytes, whose sum is below 256. */
        known += (zeros - (zeros >> 4 & lowest)) * lowest >> 56;
    }
    return (15 * count - known + 63) / 64 * 8;
}

void znl_write_fields(const uint8_t *values, const uint8_t *second, size_t count, uint8_t *out)
{
    uint64_t bits = 0;
    unsigned held = 0;
    uint8_t *const end = out + znl_fields_nbytes(second, count);
    for (size_t i = 0; i < count; i += 2) {
        for (size_t j = i; j < i + 2; j++) {
            const uint64_t low = load_u32le(values + 4 * j) & 0xffff;
            bits |= (low >> second[j] >> 1) << held;
            held += field_bits[second[j]];
        }
        store_u64le(out, bits);
        out += held / 8;
        bits >>= held / 8 * 8;
        held %= 8;
    }
    if (out < end) memset(out + 1, 0, (size_t)(end - out) - 1);
}

size_t znl_read_fields_scalar(const uint8_t *in, const uint8_t *second, size_t count,
                              uint8_t *planes)
{
    size_t bit = 0;
    for (size_t first = 0; first < count; first += ZNL_BLOCK_VALUES) {
        uint16_t low[ZNL_BLOCK_VALUES];
        for (size_t i = 0; i < ZNL_BLOCK_VALUES; i++) {
            const unsigned zeros = second[first + i], bits = field_bits[zeros];
            const unsigned field =
                (unsigned)(load_u64le(in + (bit >> 3)) >> (bit & 7)) & ((1u << bits) - 1);
            low[i] = (uint16_t)((field << 1 | 1) << zeros);
            bit += bits;
        }
        uint8_t *low_bytes = planes + first, *high_bytes = planes + count + first;
        for (size_t j = 0; j < ZNL_BLOCK_VALUES / 2; j++) { /* pair order */
            low_bytes[2 * j] = (uint8_t)low[j];
            low_bytes[2 * j + 1] = (uint8_t)low[ZNL_BLOCK_VALUES / 2 + j];
            high_bytes[2 * j] = (uint8_t)(low[j] >> 8);
            high_bytes[2 * j + 1] = (uint8_t)(low[ZNL_BLOCK_VALUES / 2 + j] >> 8);
        }
    }
    return bit;
}

int znl_fields_end(const uint8_t *in, size_t nbytes, size_t bits)
{
    for (; bits < 8 * nbytes; bits++)
        if (in[bits >> 3] >> (bits & 7) & 1) return ZNL_E_BAD_PADDING;
    return ZNL_OK;
}
