/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder with NEON: 8 lanes a register, 32 lanes a step. */
#include "errors.h"
#include "expand.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_NEON
#include <arm_neon.h>

#include "rans_neon.h" /* behind arm_neon.h */

/* What the slots that the states stand on say. */
typedef struct {
    group_bytes symbols;
    group_words indices; /* of each slot among those of its symbol */
} slot_owners;

ZNL_INLINE slot_owners find_owners(group_words low, const znl_decode_model *model)
{
    const uint8x16_t place_mask = vdupq_n_u8(127), bucket_mask = vdupq_n_u8(31);
    const group_bytes places = {vandq_u8(low_bytes(low.a, low.b), place_mask),
                                vandq_u8(low_bytes(low.c, low.d), place_mask)};
    const group_bytes buckets = {
        vandq_u8(vshrn_high_n_u16(vshrn_n_u16(low.a, 7), low.b, 7), bucket_mask),
        vandq_u8(vshrn_high_n_u16(vshrn_n_u16(low.c, 7), low.d, 7), bucket_mask),
    };
    const group_bytes thresholds = look_up(model->bytes[ZNL_BYTES_THRESHOLD], buckets);
    /* The bucket where the slot is lent; an index that finds 0 where it is not. */
    const group_bytes lent = {vornq_u8(buckets.a, vcgeq_u8(places.a, thresholds.a)),
                              vornq_u8(buckets.b, vcgeq_u8(places.b, thresholds.b))};
    const group_bytes turns = look_up(model->bytes[ZNL_BYTES_TURN], lent);
    const group_words shifts =
        look_up_words(model->bytes[ZNL_BYTES_SHIFT_LOW], model->bytes[ZNL_BYTES_SHIFT_HIGH], lent);
    const slot_owners owners = {
        {veorq_u8(buckets.a, turns.a), veorq_u8(buckets.b, turns.b)},
        {vaddw_u8(shifts.a, vget_low_u8(places.a)), vaddw_high_u8(shifts.b, places.a),
         vaddw_u8(shifts.c, vget_low_u8(places.b)), vaddw_high_u8(shifts.d, places.b)},
    };
    return owners;
}

/* Take 8 states to frequency * (state >> 12) + index; the frequency comes times 16. Returns the
 * lanes that fell below 2^16: their upper half is the new lower one, and their lower one a word
 * that they must take. */
ZNL_INLINE uint16x8_t advance(uint16x8_t *high, uint16x8_t *low, uint16x8_t frequency,
                              uint16x8_t index)
{
    /* The share of bits 12 to 15 and the index fit 16 bits together: 4095 * 15 + 4095. */
    const uint16x8_t share = vmlaq_u16(index, vshrq_n_u16(frequency, 4), vshrq_n_u16(*low, 12));
    const uint32x4_t first =
        vaddw_u16(vmull_u16(vget_low_u16(frequency), vget_low_u16(*high)), vget_low_u16(share));
    const uint32x4_t second = vaddw_high_u16(vmull_high_u16(frequency, *high), share);
    const uint16x8_t above =
        vuzp2q_u16(vreinterpretq_u16_u32(first), vreinterpretq_u16_u32(second));
    const uint16x8_t takes = vceqzq_u16(above);
    *low = vuzp1q_u16(vreinterpretq_u16_u32(first), vreinterpretq_u16_u32(second));
    *high = vbslq_u16(takes, *low, above);
    return takes;
}

/* Vector `vector` of a group: its marked lanes get the words behind those of the vectors before
 * it. */
ZNL_INLINE uint16x8_t take_words(uint16x8_t low, const uint8_t *words, lane_marks takes, int vector)
{
    const unsigned before = vector ? byte_of(takes.ends, vector - 1) : 0;
    const uint8x16_t order = vld1q_u8(znl_expand_words[byte_of(takes.lanes, vector)]);
    /* The other lanes have an index of 128, which leaves them as they are. */
    return vreinterpretq_u16_u8(
        vqtbx1q_u8(vreinterpretq_u8_u16(low), vld1q_u8(words + 2 * before), order));
}

/* Decode one value of each lane of a group. Returns where the words go on. */
ZNL_INLINE const uint8_t *decode_step(lane_group *group, const uint8_t *words,
                                      const znl_decode_model *model, uint16_t *out)
{
    const slot_owners owners = find_owners(group->low, model);
    const group_words frequencies =
        look_up_words(model->bytes[ZNL_BYTES_FREQUENCY_LOW], model->bytes[ZNL_BYTES_FREQUENCY_HIGH],
                      owners.symbols);
    const group_words takes = {
        advance(&group->high.a, &group->low.a, frequencies.a, owners.indices.a),
        advance(&group->high.b, &group->low.b, frequencies.b, owners.indices.b),
        advance(&group->high.c, &group->low.c, frequencies.c, owners.indices.c),
        advance(&group->high.d, &group->low.d, frequencies.d, owners.indices.d),
    };
    const lane_marks marks = mark_lanes(takes);
    const group_words values = look_up_words(model->bytes[ZNL_BYTES_VALUE_LOW],
                                             model->bytes[ZNL_BYTES_VALUE_HIGH], owners.symbols);
    vst1q_u16(out, values.a);
    vst1q_u16(out + LANES, values.b);
    vst1q_u16(out + 2 * LANES, values.c);
    vst1q_u16(out + 3 * LANES, values.d);
    group->low.a = take_words(group->low.a, words, marks, 0);
    group->low.b = take_words(group->low.b, words, marks, 1);
    group->low.c = take_words(group->low.c, words, marks, 2);
    group->low.d = take_words(group->low.d, words, marks, 3);
    return words + 2 * byte_of(marks.ends, 3);
}

int znl_rans_decode_neon(znl_decode_lanes *lanes, const znl_decode_model *model, uint16_t *symbols,
                         size_t block_count)
{
    size_t done = 0;
    if (lanes->lane_count == ZNL_WIDE_LANES) {
        size_t safe;
        /* No more is loaded for a vector than the 8 words that its lanes may take. */
        while (done < block_count && (safe = znl_safe_blocks(lanes, block_count - done, 0)) > 0) {
            lane_group first = load_group(lanes->states);
            lane_group second = load_group(lanes->states + GROUP_LANES);
            const uint8_t *words = lanes->words;
            for (size_t b = 0; b < safe; b++, done++) {
                uint16_t *out = symbols + done * ZNL_BLOCK_VALUES;
                words = decode_step(&first, words, model, out);
                words = decode_step(&second, words, model, out + GROUP_LANES);
            }
            store_group(&first, lanes->states);
            store_group(&second, lanes->states + GROUP_LANES);
            lanes->words = words;
            if (words > lanes->words_end) return ZNL_E_BAD_STATE;
        }
    }
    if (done == block_count) return ZNL_OK;
    return znl_rans_decode_careful(lanes, model, symbols + done * ZNL_BLOCK_VALUES,
                                   block_count - done);
}

#endif
