/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder with NEON: 8 lanes a register, 32 lanes a step. */
#include "errors.h"
#include "expand.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_NEON
#include <arm_neon.h>

#include "rans_neon.h" /* behind arm_neon.h */

/* Where words and patches of a block go, downwards. */
typedef struct {
    uint8_t *words;
    uint32_t *patches;
} emitted;

/* Of each symbol, the lower and then the upper bytes of 2^32 / frequency rounded down; 2^32 - 1 for
 * 1. */
typedef struct {
    uint8_t bytes[4][ZNL_SYMBOL_COUNT];
} reciprocal_bytes;

/* Made for each call, which is for 512 values as a rule: some 50 instructions. */
ZNL_INLINE void make_reciprocals(const znl_encode_model *model, reciprocal_bytes *out)
{
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s += 16) {
        uint32_t reciprocals[16];
        /* The shift saturates, and what the model rounded up is too little to reach the next
         * number. */
        for (unsigned i = 0; i < 16; i += 2)
            vst1_u32(reciprocals + i,
                     vqshrn_n_u64(vld1q_u64(model->reciprocal + s + i), ZNL_RECIPROCAL_SHIFT - 32));
        const uint8x16x4_t planes = vld4q_u8((const uint8_t *)reciprocals);
        for (unsigned p = 0; p < 4; p++) vst1q_u8(out->bytes[p] + s, planes.val[p]);
    }
}

/* Symbols of 8 values; all bits of *missing are set where a value has none. */
ZNL_INLINE uint16x8_t find_symbols(const znl_encode_model *model, uint16x8_t values,
                                   uint16x8_t *missing)
{
    const uint16x8_t last = vdupq_n_u16(ZNL_SYMBOL_COUNT - 1);
    const uint16x8_t offset =
        vandq_u16(vsubq_u16(values, vdupq_n_u16(model->base)), vdupq_n_u16(model->mask));
    /* A window that wraps around may hold the value of the last symbol, which wins. */
    const uint16x8_t is_last = vceqq_u16(values, vdupq_n_u16(model->value_of[31]));
    *missing = vbicq_u16(vcgeq_u16(offset, last), is_last);
    return vminq_u16(vorrq_u16(offset, is_last), last);
}

/* Note the values of a group that have no symbol, the last one first. */
static void patch_lanes(const znl_encode_model *model, const uint16_t *symbols, size_t first,
                        emitted *out)
{
    for (unsigned lane = GROUP_LANES; lane-- > 0;)
        if (model->symbol_of[symbols[lane]] & ZNL_PATCHED)
            *--out->patches =
                (uint32_t)((first + lane) << ZNL_PATCH_POSITION_SHIFT) | symbols[lane];
}

ZNL_INLINE group_bytes find_group_symbols(const znl_encode_model *model, const uint16_t *symbols,
                                          size_t first, emitted *out)
{
    group_words missing;
    const uint16x8_t a = find_symbols(model, vld1q_u16(symbols), &missing.a);
    const uint16x8_t b = find_symbols(model, vld1q_u16(symbols + LANES), &missing.b);
    const uint16x8_t c = find_symbols(model, vld1q_u16(symbols + 2 * LANES), &missing.c);
    const uint16x8_t d = find_symbols(model, vld1q_u16(symbols + 3 * LANES), &missing.d);
    const uint16x8_t any =
        vorrq_u16(vorrq_u16(missing.a, missing.b), vorrq_u16(missing.c, missing.d));
    if (vmaxvq_u16(any)) patch_lanes(model, symbols, first, out);
    const group_bytes found = {low_bytes(a, b), low_bytes(c, d)};
    return found;
}

/* Emit the words of the marked lanes of one vector, where `behind` words of its group lie above
 * them. */
ZNL_INLINE void emit(uint16x8_t low, unsigned lanes, uint8_t *words, unsigned behind)
{
    const uint8x16_t order = vld1q_u8(znl_collect_words[lanes]);
    vst1q_u8(words - 2 * behind - 16, vqtbl1q_u8(vreinterpretq_u8_u16(low), order));
}

/* Emit the words of a group, the last lane first: each store leaves its words at the upper end of
 * 16 bytes, and the next one overwrites what is below them. The last store of a block has at most
 * 56 words above it, so that all stay within the room of 64. */
ZNL_INLINE uint8_t *emit_group(group_words low, lane_marks full, uint8_t *words)
{
    const unsigned count = byte_of(full.ends, 3);
    emit(low.d, byte_of(full.lanes, 3), words, 0);
    emit(low.c, byte_of(full.lanes, 2), words, count - byte_of(full.ends, 2));
    emit(low.b, byte_of(full.lanes, 1), words, count - byte_of(full.ends, 1));
    emit(low.a, byte_of(full.lanes, 0), words, count - byte_of(full.ends, 0));
    return words - 2 * count;
}

/* Four slots by their 16-bit numbers, through general registers, where there is more room than for
 * lane loads. */
ZNL_INLINE uint16x4_t load_slots(const uint16_t *slots, uint64_t at)
{
    const uint64_t low = slots[at & 0xffff] | (uint32_t)slots[at >> 16 & 0xffff] << 16;
    const uint64_t high = slots[at >> 32 & 0xffff] | (uint32_t)slots[at >> 48] << 16;
    return vcreate_u16(low | high << 32);
}

/* Quotients of 4 states, exact or 1 short: a reciprocal is less than 1 too small, and a state below
 * 2^32. */
ZNL_INLINE uint32x4_t divide(uint32x4_t states, uint32x4_t reciprocals)
{
    return vuzp2q_u32(
        vreinterpretq_u32_u64(vmull_u32(vget_low_u32(states), vget_low_u32(reciprocals))),
        vreinterpretq_u32_u64(vmull_high_u32(states, reciprocals)));
}

/* What the symbols of 8 lanes look up. */
typedef struct {
    uint16x8_t frequency, begin, reciprocal_low, reciprocal_high;
} symbol_facts;

/* Take 8 states, already below their limits, to quotient << 12 | slot. */
ZNL_INLINE void advance(const uint16_t *slots, uint16x8_t *high, uint16x8_t *low,
                        symbol_facts facts)
{
    const uint32x4_t first_quotient =
        divide(vreinterpretq_u32_u16(vzip1q_u16(*low, *high)),
               vreinterpretq_u32_u16(vzip1q_u16(facts.reciprocal_low, facts.reciprocal_high)));
    const uint32x4_t second_quotient =
        divide(vreinterpretq_u32_u16(vzip2q_u16(*low, *high)),
               vreinterpretq_u32_u16(vzip2q_u16(facts.reciprocal_low, facts.reciprocal_high)));
    const uint16x8_t quotient_low =
        vuzp1q_u16(vreinterpretq_u16_u32(first_quotient), vreinterpretq_u16_u32(second_quotient));
    const uint64x2_t at = vreinterpretq_u64_u16(
        vmlsq_u16(vaddq_u16(*low, facts.begin), quotient_low, facts.frequency));
    /* A quotient that is short gets its 1 from the table, in bit 12. */
    const uint16x8_t below = vcombine_u16(load_slots(slots, vgetq_lane_u64(at, 0)),
                                          load_slots(slots, vgetq_lane_u64(at, 1)));
    const uint16x8_t first = vreinterpretq_u16_u32(
        vaddw_u16(vshlq_n_u32(first_quotient, ZNL_TABLE_BITS), vget_low_u16(below)));
    const uint16x8_t second =
        vreinterpretq_u16_u32(vaddw_high_u16(vshlq_n_u32(second_quotient, ZNL_TABLE_BITS), below));
    *low = vuzp1q_u16(first, second);
    *high = vuzp2q_u16(first, second);
}

/* A full lane keeps its upper half as the lower one. */
ZNL_INLINE void shift_full(uint16x8_t *high, uint16x8_t *low, uint16x8_t full)
{
    *low = vbslq_u16(full, *high, *low);
    *high = vbicq_u16(*high, full);
}

/* Encode one value of each lane of a group. */
ZNL_INLINE void encode_step(lane_group *group, const znl_encode_model *model,
                            const reciprocal_bytes *reciprocals, const uint16_t *symbols,
                            size_t first, emitted *out)
{
    const group_bytes found = find_group_symbols(model, symbols, first, out);
    const group_words frequency =
        look_up_words(model->frequency_bytes[0], model->frequency_bytes[1], found);
    const group_words full = {vcgeq_u16(group->high.a, vshlq_n_u16(frequency.a, 4)),
                              vcgeq_u16(group->high.b, vshlq_n_u16(frequency.b, 4)),
                              vcgeq_u16(group->high.c, vshlq_n_u16(frequency.c, 4)),
                              vcgeq_u16(group->high.d, vshlq_n_u16(frequency.d, 4))};
    out->words = emit_group(group->low, mark_lanes(full), out->words);
    shift_full(&group->high.a, &group->low.a, full.a);
    shift_full(&group->high.b, &group->low.b, full.b);
    shift_full(&group->high.c, &group->low.c, full.c);
    shift_full(&group->high.d, &group->low.d, full.d);
    const group_words begin = look_up_words(model->begin_bytes[0], model->begin_bytes[1], found);
    const group_words low = look_up_words(reciprocals->bytes[0], reciprocals->bytes[1], found);
    const group_words high = look_up_words(reciprocals->bytes[2], reciprocals->bytes[3], found);
    const symbol_facts a = {frequency.a, begin.a, low.a, high.a};
    const symbol_facts b = {frequency.b, begin.b, low.b, high.b};
    const symbol_facts c = {frequency.c, begin.c, low.c, high.c};
    const symbol_facts d = {frequency.d, begin.d, low.d, high.d};
    advance(model->slots, &group->high.a, &group->low.a, a);
    advance(model->slots, &group->high.b, &group->low.b, b);
    advance(model->slots, &group->high.c, &group->low.c, c);
    advance(model->slots, &group->high.d, &group->low.d, d);
}

int znl_rans_encode_neon(znl_encode_lanes *lanes, const znl_encode_model *model,
                         const uint16_t *symbols, size_t first, size_t block_count)
{
    if (lanes->lane_count != ZNL_WIDE_LANES)
        return znl_rans_encode_scalar(lanes, model, symbols, first, block_count);
    reciprocal_bytes reciprocals;
    make_reciprocals(model, &reciprocals);
    lane_group lower = load_group(lanes->states), upper = load_group(lanes->states + GROUP_LANES);
    size_t block = block_count;
    for (; block > 0 && lanes->words_room >= ZNL_BLOCK_VALUES &&
           lanes->patches_room >= ZNL_BLOCK_VALUES;
         block--) {
        const size_t i = (block - 1) * ZNL_BLOCK_VALUES, middle = i + GROUP_LANES;
        emitted out = {lanes->words, lanes->patches};
        znl_fetch_ahead(lanes, first / ZNL_BLOCK_VALUES + block - 1);
        encode_step(&upper, model, &reciprocals, symbols + middle, first + middle, &out);
        encode_step(&lower, model, &reciprocals, symbols + i, first + i, &out);
        lanes->words_room -= (size_t)(lanes->words - out.words) / 2;
        lanes->patches_room -= (size_t)(lanes->patches - out.patches);
        lanes->words = out.words;
        lanes->patches = out.patches;
    }
    store_group(&lower, lanes->states);
    store_group(&upper, lanes->states + GROUP_LANES);
    return block ? ZNL_E_NO_ROOM : ZNL_OK;
}

#endif
