/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder with byte shuffles, written once for 128- and 256-bit vectors: rans_encode_sse4.c and
 * rans_encode_avx2.c include this text after their own divisions. Not a header for others.
 *
 * The chain of dependent steps from a state to the next is long, and the processor sees only so many
 * instructions at a time. So a block is encoded in two phases, each for all its lanes, and while the
 * divisions of the first one are under way, the second one looks up the values of the next block, which
 * depends on no state. */

#include <string.h>

#include "rans_lanes_body.h"

/* Room for the words of a block and 8 more: a store of 16 bytes may reach below the words it keeps. */
#define WORDS_NEEDED (ZNL_BLOCK_VALUES + 8)

/* What the symbols of a pair look up. */
typedef struct {
    V frequency[2];
    V begin[2]; /* of the slots */
} symbol_pair;

/* --- symbols ------------------------------------------------------------------------------------ */

TARGET ZNL_INLINE V look_up(const uint8_t *table, V in_low, V in_high)
{
    return OR(SHUFFLE8(LOAD_TABLE(table), in_low), SHUFFLE8(LOAD_TABLE(table + 16), in_high));
}

/* 16-bit entries of a table kept as low and high bytes, for both vectors of a pair. */
TARGET ZNL_INLINE void look_up_words(const uint8_t bytes[2][ZNL_SYMBOL_COUNT], V symbols,
                                     V entries[2])
{
    /* A shuffle gives 0 for an index with bit 7, so each half of a table answers its own. */
    const V in_low = ADD8(symbols, SET8(0x70)), in_high = ADD8(symbols, SET8(0xf0));
    const V low = look_up(bytes[0], in_low, in_high), high = look_up(bytes[1], in_low, in_high);
    entries[0] = UNPACK_LOW8(low, high);
    entries[1] = UNPACK_HIGH8(low, high);
}

/* The values that have symbols, spread once: the stores of words might change a model, as far as the
 * compiler knows. */
typedef struct {
    V base, mask, last_value;
} value_window;

TARGET ZNL_INLINE value_window spread_window(const znl_encode_model *model)
{
    const value_window window = {SET16(model->base), SET16(model->mask),
                                 SET16(model->value_of[ZNL_SYMBOL_COUNT - 1])};
    return window;
}

/* Symbols of a pair's values as bytes, and which values have none of their own. */
TARGET ZNL_INLINE V find_symbols(const value_window *window, const uint16_t *values, V *missing)
{
    const V value[2] = {LOAD(values), LOAD(values + LANES)};
    V offset[2], is_last[2];
    for (int i = 0; i < 2; i++) {
        offset[i] = AND(SUB16(value[i], window->base), window->mask);
        is_last[i] = EQUAL16(value[i], window->last_value);
    }
    /* A window that wraps around may hold the value of the last symbol, which wins. */
    const V last = PACK_SIGNED16(is_last[0], is_last[1]);
    const V all = PACK_UNSIGNED16(offset[0], offset[1]); /* mask is below 2^12: none wraps */
    *missing = AND_NOT(last, SUB_SATURATED8(all, SET8(ZNL_SYMBOL_COUNT - 2)));
    return MIN8(OR(all, last), SET8(ZNL_SYMBOL_COUNT - 1));
}

/* Look up a pair's values; returns which of them have no symbol of their own. */
TARGET ZNL_INLINE V look_up_values(const value_window *window, const znl_encode_model *model,
                                   const uint16_t *values, symbol_pair *found)
{
    V missing;
    const V symbols = find_symbols(window, values, &missing);
    look_up_words(model->frequency_bytes, symbols, found->frequency);
    look_up_words(model->begin_bytes, symbols, found->begin);
    return missing;
}

/* Patch the values of a block that have no symbol, the last one first. */
static void patch_values(const znl_encode_model *model, const uint16_t *values, size_t first,
                         uint32_t **patches)
{
    for (unsigned lane = ZNL_BLOCK_VALUES; lane-- > 0;)
        if (model->symbol_of[values[lane]] & ZNL_PATCHED)
            *--*patches = (uint32_t)((first + lane) << ZNL_PATCH_POSITION_SHIFT) | values[lane];
}

/* --- first phase: words and quotients ----------------------------------------------------------- */

/* Emit the words of 8 marked lanes downwards, the last lane first; order: 16 times a mask of lanes. */
TARGET ZNL_INLINE uint8_t *emit(__m128i low, size_t order, uint8_t *words)
{
    const uint8_t *orders = znl_collect_words[0];
    const __m128i at = _mm_loadu_si128((const __m128i *)(const void *)(orders + order));
    _mm_storeu_si128((__m128i *)(void *)(words - 16), _mm_shuffle_epi8(low, at));
    return words - 2 * (size_t)_mm_popcnt_u64(order);
}

TARGET ZNL_INLINE uint8_t *emit_words(const lane_pair *lanes, const V full[2], uint8_t *words)
{
    const size_t marked = MASK8(PACK_SIGNED16(full[0], full[1]));
#if LANES == 16
    /* A pack works within 128-bit halves: bytes 0 and 2 of the mask are vector 0, 1 and 3 vector 1. */
    words = emit(UPPER(lanes->low[1]), marked >> 20 & 0xff0, words);
    words = emit(LOWER(lanes->low[1]), marked >> 4 & 0xff0, words);
    words = emit(UPPER(lanes->low[0]), marked >> 12 & 0xff0, words);
    return emit(LOWER(lanes->low[0]), marked << 4 & 0xff0, words);
#else
    words = emit(lanes->low[1], marked >> 4 & 0xff0, words);
    return emit(lanes->low[0], marked << 4 & 0xff0, words);
#endif
}

/* Bring the states of a pair below their limits. */
TARGET ZNL_INLINE uint8_t *renormalise(lane_pair *lanes, const V frequency[2], uint8_t *words)
{
    V full[2];
    for (int i = 0; i < 2; i++)
        full[i] = EQUAL16(MAX16(lanes->high[i], SHIFT_LEFT16(frequency[i], 4)), lanes->high[i]);
    words = emit_words(lanes, full, words);
    for (int i = 0; i < 2; i++) {
        lanes->low[i] = SELECT8(full[i], lanes->high[i], lanes->low[i]);
        lanes->high[i] = AND_NOT(full[i], lanes->high[i]);
    }
    return words;
}

TARGET ZNL_INLINE F float_of(int may_pass_2_31, V low, V high, V states)
{
    return may_pass_2_31 ? float_of_halves(high, low) : float_of_states(states);
}

/* Take a pair to quotient << 12; at[]: where it finds what is to be added. */
TARGET ZNL_INLINE void divide_states(int may_pass_2_31, lane_pair *lanes, const symbol_pair *found,
                                     V at[2])
{
    for (int i = 0; i < 2; i++) {
        const V high = lanes->high[i], low = lanes->low[i], frequency = found->frequency[i];
        const V zero = ZERO(), top = SET16(0x4b00); /* of the float 2^23 */
        const F first = float_of(may_pass_2_31, UNPACK_LOW16(low, zero), UNPACK_LOW16(high, zero),
                                 UNPACK_LOW16(low, high));
        const F second = float_of(may_pass_2_31, UNPACK_HIGH16(low, zero),
                                  UNPACK_HIGH16(high, zero), UNPACK_HIGH16(low, high));
        const V first_quotient = divide(first, UNPACK_LOW16(frequency, top));
        const V second_quotient = divide(second, UNPACK_HIGH16(frequency, top));
        const V quotient = PACK_UNSIGNED32(EVEN_AND_ODD16(first_quotient, zero),
                                           EVEN_AND_ODD16(second_quotient, zero));
        at[i] = SUB16(ADD16(low, found->begin[i]), MUL_LOW16(quotient, frequency));
        lanes->low[i] = SHIFT_LEFT16(quotient, 12);
        lanes->high[i] =
            PACK_UNSIGNED32(SHIFT_RIGHT32(first_quotient, 4), SHIFT_RIGHT32(second_quotient, 4));
    }
}

/* --- second phase: slots ------------------------------------------------------------------------ */

/* The slot at `at` and its neighbour. */
TARGET ZNL_INLINE __m128i load_two(const uint16_t *slots, unsigned at)
{
    int two;
    memcpy(&two, slots + at, sizeof two);
    return _mm_cvtsi32_si128(two);
}

/* 8 slots. One load each: gathers of 8 are slow on many processors, and a detour through memory for the
 * places costs more than the shifts here. Two chains of 4 end sooner than one of 8. */
TARGET ZNL_INLINE __m128i load_slots(const uint16_t *slots, __m128i at)
{
    const uint64_t low = (uint64_t)_mm_cvtsi128_si64(at);
    const uint64_t high = (uint64_t)_mm_extract_epi64(at, 1);
    const uint32_t places[4] = {(uint32_t)low, (uint32_t)(low >> 32), (uint32_t)high,
                                (uint32_t)(high >> 32)};
    __m128i first = load_two(slots, places[0] & 0xffff);
    __m128i second = load_two(slots, places[2] & 0xffff);
    first = _mm_insert_epi16(first, slots[places[0] >> 16], 1);
    second = _mm_insert_epi16(second, slots[places[2] >> 16], 1);
    first = _mm_insert_epi16(first, slots[places[1] & 0xffff], 2);
    second = _mm_insert_epi16(second, slots[places[3] & 0xffff], 2);
    first = _mm_insert_epi16(first, slots[places[1] >> 16], 3);
    second = _mm_insert_epi16(second, slots[places[3] >> 16], 3);
    return _mm_unpacklo_epi64(first, second);
}

TARGET ZNL_INLINE void add_slots(lane_pair *lanes, const uint16_t *slots, const V at[2])
{
    for (int i = 0; i < 2; i++) {
#if LANES == 16
        const V found = JOIN(load_slots(slots, LOWER(at[i])), load_slots(slots, UPPER(at[i])));
#else
        const V found = load_slots(slots, at[i]);
#endif
        /* Where a quotient was 1 short, it gets its 1 here, which may carry into the upper half. */
        const V low = ADD16(lanes->low[i], found), no_carry = EQUAL16(MAX16(low, found), low);
        lanes->high[i] = ADD16(ADD16(lanes->high[i], SET16(1)), no_carry);
        lanes->low[i] = low;
    }
}

/* --- blocks ------------------------------------------------------------------------------------- */

/* Encode blocks while there is room; returns the number of those that are left. */
TARGET ZNL_INLINE size_t encode_blocks(int may_pass_2_31, znl_encode_lanes *lanes,
                                       const znl_encode_model *model, const uint16_t *symbols,
                                       size_t first, size_t block_count)
{
    lane_pair pairs[PAIR_COUNT];
    symbol_pair next[PAIR_COUNT];
    V missing = ZERO();
    load_states(lanes->states, pairs);
    const value_window window = spread_window(model);
#define LOOK_UP(p)                                                                                 \
    missing = OR(missing, look_up_values(&window, model, values + PAIR_LANES * (p), &next[p]));
#define DIVIDE(p)                                                                                  \
    words = renormalise(&pairs[p], found[p].frequency, words);                                     \
    divide_states(may_pass_2_31, &pairs[p], &found[p], at[p]);
#define ADD_SLOTS(p) add_slots(&pairs[p], model->slots, at[p]);
#define FINISH(p) LOOK_UP(p) ADD_SLOTS(p)
    const uint16_t *values = symbols + (block_count - 1) * ZNL_BLOCK_VALUES;
    FOR_EACH_PAIR_BACKWARDS(LOOK_UP)
    for (; block_count > 0 && lanes->words_room >= WORDS_NEEDED &&
           lanes->patches_room >= ZNL_BLOCK_VALUES;
         block_count--) {
        const size_t i = (block_count - 1) * ZNL_BLOCK_VALUES;
        uint8_t *words = lanes->words;
        uint32_t *patches = lanes->patches;
        symbol_pair found[PAIR_COUNT];
        V at[PAIR_COUNT][2];
        znl_fetch_ahead(lanes, first / ZNL_BLOCK_VALUES + block_count - 1);
        if (!IS_ZERO(missing)) patch_values(model, values, first + i, &patches);
        missing = ZERO();
        memcpy(found, next, sizeof found);
        /* The first block is looked up once more for nothing. */
        values = symbols + (i ? i - ZNL_BLOCK_VALUES : 0);
        FOR_EACH_PAIR_BACKWARDS(DIVIDE)
        FOR_EACH_PAIR_BACKWARDS(FINISH)
        lanes->words_room -= (size_t)(lanes->words - words) / 2;
        lanes->patches_room -= (size_t)(lanes->patches - patches);
        lanes->words = words;
        lanes->patches = patches;
    }
#undef LOOK_UP
#undef DIVIDE
#undef ADD_SLOTS
#undef FINISH
    store_states(pairs, lanes->states);
    return block_count;
}

TARGET int ENCODE(znl_encode_lanes *lanes, const znl_encode_model *model, const uint16_t *symbols,
                  size_t first, size_t block_count)
{
    if (lanes->lane_count == ZNL_WIDE_LANES && block_count > 0)
        block_count = model->may_pass_2_31
                          ? encode_blocks(1, lanes, model, symbols, first, block_count)
                          : encode_blocks(0, lanes, model, symbols, first, block_count);
    return block_count ? znl_rans_encode_scalar(lanes, model, symbols, first, block_count) : ZNL_OK;
}
