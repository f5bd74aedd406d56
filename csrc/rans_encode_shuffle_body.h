/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder with byte shuffles, written once for 128- and 256-bit vectors: rans_encode_sse4.c and
 * rans_encode_avx2.c include this text after their own `divide`. Not a header for others.
 *
 * A block is encoded in three phases, each for all its lanes: the chain of dependent steps from a state
 * to the next is long, and the processor sees only so many instructions at a time. */

#include "rans_lanes_body.h"

/* Room for the words of a block and 8 more: a store of 16 bytes may reach below the words it keeps. */
#define WORDS_NEEDED (ZNL_BLOCK_VALUES + 8)

/* What a pair carries from phase to phase. */
typedef struct {
    V frequency[2];
    V at[2]; /* where the slots of its symbols begin, then where the slot of each lane is */
} slot_pair;

/* --- first phase: symbols, words, patches ------------------------------------------------------- */

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

/* Patch the values of a pair that have no symbol, the last one first. */
static void patch_lanes(const znl_encode_model *model, const uint16_t *values, size_t first,
                        uint32_t **patches)
{
    for (unsigned lane = PAIR_LANES; lane-- > 0;)
        if (model->symbol_of[values[lane]] & ZNL_PATCHED)
            *--*patches = (uint32_t)((first + lane) << ZNL_PATCH_POSITION_SHIFT) | values[lane];
}

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

/* Find the symbols of a pair's values, and bring its states below their limits. */
TARGET ZNL_INLINE slot_pair renormalise(lane_pair *lanes, const value_window *window,
                                        const znl_encode_model *model, const uint16_t *values,
                                        size_t first, uint8_t **words, uint32_t **patches)
{
    slot_pair slots;
    V full[2];
    V missing;
    const V symbols = find_symbols(window, values, &missing);
    if (!IS_ZERO(missing)) patch_lanes(model, values, first, patches);
    look_up_words(model->frequency_bytes, symbols, slots.frequency);
    look_up_words(model->first_bytes, symbols, slots.at);
    for (int i = 0; i < 2; i++)
        full[i] =
            EQUAL16(MAX16(lanes->high[i], SHIFT_LEFT16(slots.frequency[i], 4)), lanes->high[i]);
    *words = emit_words(lanes, full, *words);
    for (int i = 0; i < 2; i++) {
        lanes->low[i] = SELECT8(full[i], lanes->high[i], lanes->low[i]);
        lanes->high[i] = AND_NOT(full[i], lanes->high[i]);
    }
    return slots;
}

/* --- second phase: quotients -------------------------------------------------------------------- */

/* Take a pair to the next states, but for their slots; at[] becomes the place of these. */
TARGET ZNL_INLINE void divide_states(lane_pair *lanes, slot_pair *slots)
{
    for (int i = 0; i < 2; i++) {
        const V even = SET32(0xffff), high = lanes->high[i], low = lanes->low[i];
        const V frequency = slots->frequency[i];
        const V even_quotient = divide(AND(high, even), AND(low, even), AND(frequency, even));
        const V odd_quotient =
            divide(SHIFT_RIGHT32(high, 16), SHIFT_RIGHT32(low, 16), SHIFT_RIGHT32(frequency, 16));
        const V quotient = EVEN_AND_ODD16(even_quotient, SHIFT_LEFT32(odd_quotient, 16));
        const V next_high =
            EVEN_AND_ODD16(SHIFT_RIGHT32(even_quotient, 4), SHIFT_LEFT32(odd_quotient, 12));
        /* Where a quotient is 1 short, the rest is the frequency or more; else the difference wraps. */
        const V rest = SUB16(low, MUL_LOW16(quotient, frequency)), less = SUB16(rest, frequency);
        const V index = MIN16(rest, less), is_short = EQUAL16(index, less);
        slots->at[i] = ADD16(slots->at[i], index);
        /* The carry out of the lower 4 bits of a quotient goes to the upper half. */
        lanes->low[i] = SHIFT_LEFT16(SUB16(quotient, is_short), 12);
        lanes->high[i] = SUB16(next_high, AND(is_short, EQUAL16(lanes->low[i], ZERO())));
    }
}

/* --- third phase: slots ------------------------------------------------------------------------- */

/* 8 slots. One load each: gathers of 8 are slow on many processors, and a detour through memory for the
 * places costs more than the shifts here. Two chains of 4 insertions end sooner than one of 8. */
TARGET ZNL_INLINE __m128i load_slots(const uint16_t *slots, __m128i at)
{
    const uint64_t low = (uint64_t)_mm_cvtsi128_si64(at);
    const uint64_t high = (uint64_t)_mm_extract_epi64(at, 1);
    __m128i first = _mm_cvtsi32_si128(slots[low & 0xffff]);
    __m128i second = _mm_cvtsi32_si128(slots[high & 0xffff]);
    first = _mm_insert_epi16(first, slots[low >> 16 & 0xffff], 1);
    second = _mm_insert_epi16(second, slots[high >> 16 & 0xffff], 1);
    first = _mm_insert_epi16(first, slots[low >> 32 & 0xffff], 2);
    second = _mm_insert_epi16(second, slots[high >> 32 & 0xffff], 2);
    first = _mm_insert_epi16(first, slots[low >> 48], 3);
    second = _mm_insert_epi16(second, slots[high >> 48], 3);
    return _mm_unpacklo_epi64(first, second);
}

TARGET ZNL_INLINE void add_slots(lane_pair *lanes, const znl_encode_model *model,
                                 const slot_pair *slots)
{
    for (int i = 0; i < 2; i++) {
#if LANES == 16
        const V found = JOIN(load_slots(model->slots, LOWER(slots->at[i])),
                             load_slots(model->slots, UPPER(slots->at[i])));
#else
        const V found = load_slots(model->slots, slots->at[i]);
#endif
        lanes->low[i] = OR(lanes->low[i], found);
    }
}

/* --- blocks ------------------------------------------------------------------------------------- */

TARGET int ENCODE(znl_encode_lanes *lanes, const znl_encode_model *model, const uint16_t *symbols,
                  size_t first, size_t block_count)
{
    lane_pair pairs[PAIR_COUNT];
    if (lanes->lane_count != ZNL_WIDE_LANES)
        return znl_rans_encode_scalar(lanes, model, symbols, first, block_count);
    load_states(lanes->states, pairs);
    const value_window window = spread_window(model);
    for (; block_count > 0 && lanes->words_room >= WORDS_NEEDED &&
           lanes->patches_room >= ZNL_BLOCK_VALUES;
         block_count--) {
        const size_t i = (block_count - 1) * ZNL_BLOCK_VALUES;
        uint8_t *words = lanes->words;
        uint32_t *patches = lanes->patches;
        znl_fetch_ahead(lanes, first / ZNL_BLOCK_VALUES + block_count - 1);
        slot_pair slots[PAIR_COUNT];
#define RENORMALISE(p)                                                                             \
    slots[p] = renormalise(&pairs[p], &window, model, symbols + i + PAIR_LANES * (p),              \
                           first + i + PAIR_LANES * (p), &words, &patches);
#define DIVIDE(p) divide_states(&pairs[p], &slots[p]);
#define ADD_SLOTS(p) add_slots(&pairs[p], model, &slots[p]);
        FOR_EACH_PAIR_BACKWARDS(RENORMALISE)
        FOR_EACH_PAIR_BACKWARDS(DIVIDE)
        FOR_EACH_PAIR_BACKWARDS(ADD_SLOTS)
#undef RENORMALISE
#undef DIVIDE
#undef ADD_SLOTS
        lanes->words_room -= (size_t)(lanes->words - words) / 2;
        lanes->patches_room -= (size_t)(lanes->patches - patches);
        lanes->words = words;
        lanes->patches = patches;
    }
    store_states(pairs, lanes->states);
    return block_count ? znl_rans_encode_scalar(lanes, model, symbols, first, block_count) : ZNL_OK;
}
