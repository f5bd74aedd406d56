/* SPDX-License-Identifier: Apache-2.0 */
/* Finds bits that are known, leaves them out of the byte planes, and puts them back. */
#include "reduced.h"

#include <string.h>

#include "bytes.h"

#define LEAST_SAVED 1024u /* 1 / so many of the values */
#define LEAST_SAVED_ALONE 400u
#define SAMPLED_SUPERBLOCKS 15u /* one in so many; odd, as what repeats does so in even numbers */
#define MAX_SHIFT 48u           /* F64 */

int znl_reduction_is_allowed(const znl_layout *layout, const znl_reduction *reduction)
{
    return reduction->shift <= znl_most_shift(layout);
}

/* Values of superblock s. */
static size_t superblock_values(size_t coded_count, size_t s)
{
    const size_t left = coded_count - s * ZNL_SUPERBLOCK_VALUES;
    return left < ZNL_SUPERBLOCK_VALUES ? left : ZNL_SUPERBLOCK_VALUES;
}

/* --- finding -------------------------------------------------------------------------------------- */

/* Bits that are 1 in any of some values, and in all of them. */
typedef struct {
    uint64_t any, all;
} bit_use;

/* The bits of `count` values, a multiple of 64. */
static bit_use bits_of(size_t width, const uint8_t *values, size_t count)
{
    bit_use use = {0, UINT64_MAX};
    for (size_t at = 0; at < count * width; at += 8) {
        const uint64_t bits = load_u64le(values + at);
        use.any |= bits;
        use.all &= bits;
    }
    if (width == 8) return use;
    use.any = (use.any | use.any >> 32) & UINT32_MAX;
    use.all = use.all & use.all >> 32;
    return use;
}

/* How many of the lowest bits are 0, `most` at most. */
static unsigned low_zeros(uint64_t bits, unsigned most)
{
    unsigned zeros = 0;
    while (zeros < most && !(bits >> zeros & 1)) zeros++;
    return zeros;
}

/* Values in superblocks whose lowest bits, so many and no more, are zero. */
typedef struct {
    size_t values[MAX_SHIFT + 1];
} shift_counts;

/* The shift that saves most, and how many bits. */
typedef struct {
    unsigned shift;
    size_t saved;
} best_shift;

static best_shift choose_shift(const shift_counts *counts)
{
    best_shift best = {0, 0};
    size_t values = 0;
    for (unsigned shift = MAX_SHIFT; shift >= 1; shift--) {
        values += counts->values[shift];
        if (values * shift > best.saved) {
            best.shift = shift;
            best.saved = values * shift;
        }
    }
    return best;
}

/* The ways to reduce: with the signs as they are, or by one that is known. */
enum { ANY_SIGN, POSITIVE, NEGATIVE, WAYS };

/* What was seen of some superblocks. */
typedef struct {
    uint8_t zeros[WAYS][ZNL_MAX_SUPERBLOCKS]; /* low bits that need not be stored */
    best_shift best[WAYS];
    size_t value_count;
} survey;

/* Look at one superblock of each `step`. */
static void survey_values(const znl_layout *layout, const uint8_t *values, size_t coded_count,
                          size_t step, survey *seen)
{
    const unsigned most = znl_most_shift(layout), sign_bit = 8u * layout->width - 1;
    shift_counts counts[WAYS] = {{{0}}};
    seen->value_count = 0;
    for (size_t s = 0; s < znl_superblock_count(coded_count); s += step) {
        const size_t count = superblock_values(coded_count, s);
        const bit_use use =
            bits_of(layout->width, values + s * ZNL_SUPERBLOCK_VALUES * layout->width, count);
        const unsigned without_bit0 = low_zeros(use.any & ~UINT64_C(1), most);
        const unsigned zeros[WAYS] = {low_zeros(use.any, most),
                                      use.any >> sign_bit & 1 ? 0 : without_bit0,
                                      use.all >> sign_bit & 1 ? without_bit0 : 0};
        for (unsigned way = 0; way < WAYS; way++) {
            seen->zeros[way][s] = (uint8_t)zeros[way];
            counts[way].values[zeros[way]] += count;
        }
        seen->value_count += count;
    }
    for (unsigned way = 0; way < WAYS; way++) seen->best[way] = choose_shift(&counts[way]);
}

/* The way that saves most; another than the first needs more time and must save `more` bits. */
static unsigned best_way(const survey *seen, size_t more)
{
    const unsigned known =
        seen->best[NEGATIVE].saved > seen->best[POSITIVE].saved ? NEGATIVE : POSITIVE;
    return seen->best[known].saved > seen->best[ANY_SIGN].saved + more ? known : ANY_SIGN;
}

void znl_reduction_find(const znl_layout *layout, const uint8_t *values, size_t coded_count,
                        znl_reduction *found)
{
    survey seen;
    const size_t superblock_count = znl_superblock_count(coded_count);
    const size_t least = coded_count * layout->width * 8 / LEAST_SAVED;
    memset(found, 0, sizeof *found);
    if (znl_most_shift(layout) == 0) return;
    survey_values(layout, values, coded_count, 1, &seen);
    const unsigned way = best_way(&seen, least);
    /* Besides, the map, padded. */
    if (seen.best[way].saved <= least + superblock_count + 32) return;
    found->shift = seen.best[way].shift;
    found->one_sign = way != ANY_SIGN;
    found->sign = way == NEGATIVE;
    for (size_t s = 0; s < superblock_count; s++)
        found->marked[s] = seen.zeros[way][s] >= found->shift;
}

int znl_reduction_seems_to_pay(const znl_layout *layout, const uint8_t *values, size_t coded_count)
{
    survey seen;
    if (znl_most_shift(layout) == 0) return 0;
    survey_values(layout, values, coded_count, SAMPLED_SUPERBLOCKS, &seen);
    return seen.best[best_way(&seen, 0)].saved >
           seen.value_count * layout->width * 8 / LEAST_SAVED_ALONE;
}

/* Values in marked superblocks among the first `value_count`. */
static size_t marked_values(const znl_reduction *reduction, size_t value_count)
{
    const size_t whole = value_count / ZNL_SUPERBLOCK_VALUES,
                 rest = value_count % ZNL_SUPERBLOCK_VALUES;
    size_t marks = 0;
    for (size_t s = 0; s < whole; s++) marks += reduction->marked[s];
    return marks * ZNL_SUPERBLOCK_VALUES + (rest && reduction->marked[whole] ? rest : 0);
}

size_t znl_reduction_saved_nbytes(const znl_reduction *reduction, size_t coded_count)
{
    if (reduction->shift == 0) return 0;
    return marked_values(reduction, coded_count) / 8 * reduction->shift;
}

/* --- signs ---------------------------------------------------------------------------------------- */

/* v to v' of docs/format.md, section 5.9. */
static void free_low_bits(size_t width, const uint8_t *in, size_t count, uint8_t *out)
{
    if (width == 4) {
        for (size_t i = 0; i < count; i++) {
            const uint32_t value = load_u32le(in + 4 * i);
            store_u32le(out + 4 * i, (value & 0x7ffffffe) | value << 31);
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t value = load_u64le(in + 8 * i);
        store_u64le(out + 8 * i, (value & 0x7ffffffffffffffe) | value << 63);
    }
}

void znl_free_low_bits(const znl_reduction *reduction, size_t width, const uint8_t *in,
                       size_t coded_count, uint8_t *out)
{
    for (size_t s = 0; s < znl_superblock_count(coded_count); s++) {
        const size_t count = superblock_values(coded_count, s);
        const size_t at = s * ZNL_SUPERBLOCK_VALUES * width;
        if (reduction->marked[s])
            free_low_bits(width, in + at, count, out + at);
        else if (in != out)
            memcpy(out + at, in + at, count * width);
    }
}

/* v' to v. */
static void restore_signs(size_t width, unsigned sign, uint8_t *values, size_t count)
{
    if (width == 4) {
        const uint32_t bit = (uint32_t)sign << 31;
        for (size_t i = 0; i < count; i++) {
            const uint32_t value = load_u32le(values + 4 * i);
            store_u32le(values + 4 * i, (value & 0x7ffffffe) | value >> 31 | bit);
        }
        return;
    }
    const uint64_t bit = (uint64_t)sign << 63;
    for (size_t i = 0; i < count; i++) {
        const uint64_t value = load_u64le(values + 8 * i);
        store_u64le(values + 8 * i, (value & 0x7ffffffffffffffe) | value >> 63 | bit);
    }
}

void znl_restore_signs(const znl_reduction *reduction, size_t width, size_t first, uint8_t *values,
                       size_t count)
{
    for (size_t s = 0; s < znl_superblock_count(count); s++)
        if (reduction->marked[first + s])
            restore_signs(width, reduction->sign, values + s * ZNL_SUPERBLOCK_VALUES * width,
                          superblock_values(count, s));
}

/* --- fields --------------------------------------------------------------------------------------- */

/* `bits` ones at the low end of every lane of 64 / lane_count bits. */
static uint64_t ones_of_lanes(unsigned bits, unsigned lane_count)
{
    const uint64_t lowest = lane_count == 1   ? 1
                            : lane_count == 2 ? 0x0000000100000001
                            : lane_count == 4 ? 0x0001000100010001
                                              : 0x0101010101010101;
    return lowest * ((UINT64_C(1) << bits) - 1);
}

/* Fields of a group of 8 bytes move together, in twos, fours and eights. */
void znl_pack_fields(const uint8_t *restrict in, size_t count, unsigned r, uint8_t *restrict out)
{
    const unsigned bits = 8 - r;
    const uint64_t fields = ones_of_lanes(bits, 8), pairs = ones_of_lanes(bits, 4),
                   fours = ones_of_lanes(2 * bits, 2), half = ones_of_lanes(4 * bits, 1);
    const uint8_t *const end = out + count / 8 * bits;
    for (; out < end; in += 8, out += bits) {
        uint64_t x = load_u64le(in) >> r & fields;
        x = (x & pairs) | (x >> r & pairs << bits);
        x = (x & fours) | (x >> 2 * r & fours << 2 * bits);
        x = (x & half) | (x >> 4 * r & half << 4 * bits);
        if (end - out >= 8)
            store_u64le(out, x);
        else
            for (unsigned b = 0; b < bits; b++) out[b] = (uint8_t)(x >> 8 * b);
    }
}

/* The same steps backwards. */
void znl_expand_fields(const uint8_t *restrict in, size_t count, unsigned r, uint8_t *restrict out)
{
    const unsigned bits = 8 - r;
    const uint64_t pairs = ones_of_lanes(bits, 4), fours = ones_of_lanes(2 * bits, 2),
                   half = ones_of_lanes(4 * bits, 1);
    const uint8_t *const end = in + count / 8 * bits;
    for (; in < end; in += bits, out += 8) {
        uint64_t x = 0;
        if (end - in >= 8)
            x = load_u64le(in);
        else
            for (unsigned b = 0; b < bits; b++) x |= (uint64_t)in[b] << 8 * b;
        x = (x & half) | (x >> 4 * bits & half) << 32;
        x = (x & fours) | (x & fours << 2 * bits) << 2 * r;
        x = (x & pairs) | (x & pairs << bits) << r;
        store_u64le(out, x << r);
    }
}

/* --- planes --------------------------------------------------------------------------------------- */

/* Bits that a byte plane lacks where superblocks are marked. */
static unsigned missing_bits(unsigned shift, unsigned plane)
{
    return shift <= 8 * plane ? 0 : shift - 8 * plane < 8 ? shift - 8 * plane : 8;
}

static void pack_bytes(const uint8_t *in, size_t count, unsigned r, uint8_t *out)
{
    if (r == 0)
        memcpy(out, in, count);
    else if (r < 8)
        znl_pack_fields(in, count, r, out);
}

static void expand_bytes(const uint8_t *in, size_t count, unsigned r, uint8_t *out)
{
    if (r == 0)
        memcpy(out, in, count);
    else if (r < 8)
        znl_expand_fields(in, count, r, out);
    else
        memset(out, 0, count);
}

/* Values of the run of superblocks from the one of value `first` on, up to value `end`, that are all marked or
 * all not. */
static size_t run_values(const znl_reduction *reduction, size_t first, size_t end)
{
    const uint8_t *marked = reduction->marked;
    const size_t s = first / ZNL_SUPERBLOCK_VALUES;
    size_t next = s + 1;
    while (next * ZNL_SUPERBLOCK_VALUES < end && !marked[next] == !marked[s]) next++;
    next *= ZNL_SUPERBLOCK_VALUES;
    return (next < end ? next : end) - first;
}

/* Bytes that `count` values of a byte plane take. */
static size_t stored_nbytes(size_t count, unsigned r)
{
    return count / 8 * (8 - r);
}

void znl_pack_planes(const znl_layout *layout, const znl_reduction *reduction, size_t coded_count,
                     const uint8_t *planes, size_t plane_nbytes, size_t first, size_t count,
                     uint8_t *raw)
{
    const size_t begin = first * ZNL_SUPERBLOCK_VALUES, end = begin + count;
    const size_t marked_before = marked_values(reduction, begin);
    const size_t marked = marked_values(reduction, coded_count);
    for (unsigned p = 0; p < layout->byte_planes; p++) {
        const unsigned missing = missing_bits(reduction->shift, p);
        uint8_t *out = raw + begin - marked_before / 8 * missing;
        for (size_t at = begin, run; at < end; at += run) {
            run = run_values(reduction, at, end);
            const unsigned r = reduction->marked[at / ZNL_SUPERBLOCK_VALUES] ? missing : 0;
            pack_bytes(planes + p * plane_nbytes + at - begin, run, r, out);
            out += stored_nbytes(run, r);
        }
        raw += coded_count - marked / 8 * missing;
    }
}

const uint8_t *znl_expand_planes(const znl_layout *layout, const znl_reduction *reduction,
                                 size_t coded_count, const uint8_t *raw, uint8_t *planes)
{
    for (unsigned p = 0; p < layout->byte_planes; p++) {
        const unsigned missing = missing_bits(reduction->shift, p);
        for (size_t at = 0, run; at < coded_count; at += run) {
            run = run_values(reduction, at, coded_count);
            const unsigned r = reduction->marked[at / ZNL_SUPERBLOCK_VALUES] ? missing : 0;
            expand_bytes(raw, run, r, planes + p * coded_count + at);
            raw += stored_nbytes(run, r);
        }
    }
    return raw;
}
