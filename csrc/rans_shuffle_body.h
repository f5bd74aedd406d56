/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder with byte shuffles, written once for 128- and 256-bit registers: each rans_*.c that
 * includes this text defines the vector operations before it. A table of 32 bytes is two shuffles. Not a
 * header for others. */

#include "rans_lanes_body.h"

/* Two vectors of a table: entries 0 to 15 and 16 to 31. */
typedef struct {
    V low, high;
} byte_table;

TARGET ZNL_INLINE byte_table load_table(const uint8_t *bytes)
{
    const byte_table table = {LOAD_TABLE(bytes), LOAD_TABLE(bytes + 16)};
    return table;
}

/* Indices for both halves. A shuffle gives 0 for an index with bit 7 and looks at bits 0 to 3 of others,
 * so numbers of 5 bits with sign address the lower half and the same with bit 7 turned the upper. */
typedef struct {
    V low, high;
} byte_index;

TARGET ZNL_INLINE byte_index index_of(V signed_bytes)
{
    const byte_index index = {signed_bytes, XOR(signed_bytes, SET8(0x80))};
    return index;
}

TARGET ZNL_INLINE V look_up(byte_table table, byte_index at)
{
    return OR(SHUFFLE8(table.low, at.low), SHUFFLE8(table.high, at.high));
}

/* Numbers of 5 bits without sign as the same with. */
TARGET ZNL_INLINE V with_sign(V bytes)
{
    return SUB8(XOR(bytes, SET8(16)), SET8(16));
}

/* What the slots of a pair say: symbol values, frequency << 4, index. */
typedef struct {
    V values[2], frequency[2], index[2];
} slot_pair;

TARGET ZNL_INLINE slot_pair find_slots(const lane_pair *lanes, const znl_decode_model *model,
                                       byte_table turns, int has_high_values)
{
    const V place_mask = SET16(ZNL_BUCKET_SIZE - 1);
    const V place[2] = {AND(lanes->low[0], place_mask), AND(lanes->low[1], place_mask)};
    const V places = PACK_UNSIGNED16(place[0], place[1]);
    const byte_index bucket =
        index_of(PACK_SIGNED16(SHIFT_RIGHT_SIGNED16(SHIFT_LEFT16(lanes->low[0], 4), 11),
                               SHIFT_RIGHT_SIGNED16(SHIFT_LEFT16(lanes->low[1], 4), 11)));
    const V threshold = look_up(load_table(model->bytes[ZNL_BYTES_THRESHOLD]), bucket);
    const V own = GREATER8(threshold, places);
    const V turn = AND_NOT(own, look_up(turns, bucket));
    const byte_index symbol = {XOR(bucket.low, turn), XOR(bucket.high, turn)};
    const V f_low = look_up(load_table(model->bytes[ZNL_BYTES_FREQUENCY_LOW]), symbol);
    const V f_high = look_up(load_table(model->bytes[ZNL_BYTES_FREQUENCY_HIGH]), symbol);
    const V s_low = AND_NOT(own, look_up(load_table(model->bytes[ZNL_BYTES_SHIFT_LOW]), bucket));
    const V s_high = AND_NOT(own, look_up(load_table(model->bytes[ZNL_BYTES_SHIFT_HIGH]), bucket));
    const V v_low = look_up(load_table(model->bytes[ZNL_BYTES_VALUE_LOW]), symbol);
    const V v_high =
        has_high_values ? look_up(load_table(model->bytes[ZNL_BYTES_VALUE_HIGH]), symbol) : ZERO();
    const slot_pair found = {{UNPACK_LOW8(v_low, v_high), UNPACK_HIGH8(v_low, v_high)},
                             {UNPACK_LOW8(f_low, f_high), UNPACK_HIGH8(f_low, f_high)},
                             {ADD16(place[0], UNPACK_LOW8(s_low, s_high)),
                              ADD16(place[1], UNPACK_HIGH8(s_low, s_high))}};
    return found;
}

/* The states after a step, and the lanes that are too low then. */
typedef struct {
    V high[2], low[2], takes[2];
} next_pair;

TARGET ZNL_INLINE next_pair advance(const lane_pair *lanes, const slot_pair *slots)
{
    next_pair next;
    for (int i = 0; i < 2; i++) {
        const V frequency = slots->frequency[i], high = lanes->high[i];
        const V carry =
            ADD16(slots->index[i], MUL_HIGH16(frequency, AND(lanes->low[i], SET16(0xf000))));
        next.low[i] = ADD16(MUL_LOW16(frequency, high), carry);
        /* One more where the lower half wrapped: carry > low, as there is no unsigned compare. */
        next.high[i] = ADD16(MUL_HIGH16(frequency, high),
                             MIN16(SUB_SATURATED16(carry, next.low[i]), SET16(1)));
        next.takes[i] = EQUAL16(next.high[i], ZERO());
    }
    return next;
}

TARGET ZNL_INLINE void refill(lane_pair *lanes, const next_pair *next, const uint8_t **words)
{
    V taken[2];
    take_words(words, next->takes, taken);
    for (int i = 0; i < 2; i++) {
        lanes->high[i] = OR(next->high[i], AND(next->takes[i], next->low[i]));
        lanes->low[i] = OR(AND_NOT(next->takes[i], next->low[i]), taken[i]);
    }
}

TARGET ZNL_INLINE byte_table load_turns(const znl_decode_model *model)
{
    const byte_table bytes = load_table(model->bytes[ZNL_BYTES_TURN]);
    const byte_table turns = {with_sign(bytes.low), with_sign(bytes.high)};
    return turns;
}

/* Whether a symbol value is above 255; where none is, a table less is looked up. */
TARGET ZNL_INLINE int has_high_values(const znl_decode_model *model)
{
    const byte_table values = load_table(model->bytes[ZNL_BYTES_VALUE_HIGH]);
    return !IS_ZERO(OR(values.low, values.high));
}

/* A chunk on its way through some blocks. */
typedef struct {
    lane_pair pairs[PAIR_COUNT];
    const uint8_t *words;
    const znl_decode_model *model;
    byte_table turns;
    uint16_t *symbols;
} chunk_state;

TARGET ZNL_INLINE chunk_state begin_blocks(const znl_decode_lanes *lanes,
                                           const znl_decode_model *model, uint16_t *symbols)
{
    chunk_state chunk;
    load_states(lanes->states, chunk.pairs);
    chunk.words = lanes->words;
    chunk.model = model;
    chunk.turns = load_turns(model);
    chunk.symbols = symbols;
    return chunk;
}

TARGET ZNL_INLINE void end_blocks(const chunk_state *chunk, znl_decode_lanes *lanes)
{
    store_states(chunk->pairs, lanes->states);
    lanes->words = chunk->words;
}

/* Find the slots of pair p, and store its symbol values. */
TARGET ZNL_INLINE slot_pair begin_step(const chunk_state *chunk, unsigned p, int has_high_values)
{
    const slot_pair slots =
        find_slots(&chunk->pairs[p], chunk->model, chunk->turns, has_high_values);
    STORE(chunk->symbols + PAIR_LANES * p, slots.values[0]);
    STORE(chunk->symbols + PAIR_LANES * p + LANES, slots.values[1]);
    return slots;
}

/* Decode one value of each lane of pair p of one chunk and of pair q of the same or another. In phases:
 * the window in which a processor looks for work is too small to find the second chain of dependent
 * instructions behind the whole of the first. */
TARGET ZNL_INLINE void decode_two_steps(chunk_state *a, unsigned p, chunk_state *b, unsigned q,
                                        int has_high_values)
{
    const slot_pair slots_a = begin_step(a, p, has_high_values);
    const slot_pair slots_b = begin_step(b, q, has_high_values);
    const next_pair next_a = advance(&a->pairs[p], &slots_a);
    const next_pair next_b = advance(&b->pairs[q], &slots_b);
    refill(&a->pairs[p], &next_a, &a->words);
    refill(&b->pairs[q], &next_b, &b->words);
}

/* Decode one value of each lane of a chunk. */
TARGET ZNL_INLINE void decode_block(chunk_state *chunk, int has_high_values)
{
#if LANES == 16
    for (unsigned p = 0; p < 2; p++) { /* phases gain nothing here */
        const slot_pair slots = begin_step(chunk, p, has_high_values);
        const next_pair next = advance(&chunk->pairs[p], &slots);
        refill(&chunk->pairs[p], &next, &chunk->words);
    }
#else
    decode_two_steps(chunk, 0, chunk, 1, has_high_values);
    decode_two_steps(chunk, 2, chunk, 3, has_high_values);
#endif
    chunk->symbols += ZNL_BLOCK_VALUES;
}

/* Decode blocks while no load can reach past what is readable. */
TARGET ZNL_INLINE void decode_blocks(znl_decode_lanes *lanes, const znl_decode_model *model,
                                     uint16_t *symbols, size_t block_count, int has_high_values)
{
    chunk_state chunk = begin_blocks(lanes, model, symbols);
    for (size_t i = 0; i < block_count; i++) decode_block(&chunk, has_high_values);
    end_blocks(&chunk, lanes);
}

TARGET int DECODE(znl_decode_lanes *lanes, const znl_decode_model *model, uint16_t *symbols,
                  size_t block_count)
{
    const int has_high = has_high_values(model);
    while (block_count > 0 && lanes->lane_count == ZNL_WIDE_LANES) {
        const size_t safe = znl_safe_blocks(lanes, block_count, sizeof(V));
        if (safe == 0) break;
        if (has_high)
            decode_blocks(lanes, model, symbols, safe, 1);
        else
            decode_blocks(lanes, model, symbols, safe, 0);
        if (lanes->words > lanes->words_end) return ZNL_E_BAD_STATE;
        symbols += safe * ZNL_BLOCK_VALUES;
        block_count -= safe;
    }
    return znl_rans_decode_careful(lanes, model, symbols, block_count);
}

#ifdef DECODE_PAIR

TARGET ZNL_INLINE const znl_decode_model *model_of(const znl_block_models *models, size_t block)
{
    return models->of_class[models->classes ? models->classes[block] : 0];
}

/* Whether one of the blocks has a symbol value above 255. */
TARGET ZNL_INLINE int any_high_values(const znl_block_models *models, size_t block_count)
{
    int found = 0;
    for (size_t i = 0; i < (models->classes ? block_count : 1); i++)
        found |= has_high_values(model_of(models, i));
    return found;
}

TARGET ZNL_INLINE void decode_blocks_of_two(znl_decode_lanes *const *lanes,
                                            const znl_block_models *models,
                                            uint16_t *const *symbols, size_t block_count,
                                            int has_classes, int has_high_values)
{
    chunk_state a = begin_blocks(lanes[0], model_of(&models[0], 0), symbols[0]);
    chunk_state b = begin_blocks(lanes[1], model_of(&models[1], 0), symbols[1]);
    for (size_t i = 0; i < block_count; i++) {
        if (has_classes) {
            a.model = model_of(&models[0], i);
            b.model = model_of(&models[1], i);
            a.turns = load_turns(a.model);
            b.turns = load_turns(b.model);
        }
        for (unsigned p = 0; p < PAIR_COUNT; p++) decode_two_steps(&a, p, &b, p, has_high_values);
        a.symbols += ZNL_BLOCK_VALUES;
        b.symbols += ZNL_BLOCK_VALUES;
    }
    end_blocks(&a, lanes[0]);
    end_blocks(&b, lanes[1]);
}

/* The blocks from `done` on, one at a time. */
TARGET ZNL_INLINE int decode_rest(znl_decode_lanes *lanes, const znl_block_models *models,
                                  uint16_t *symbols, size_t done, size_t block_count)
{
    int status = ZNL_OK;
    for (size_t i = done; i < block_count && status == ZNL_OK; i++)
        status = DECODE(lanes, model_of(models, i), symbols + i * ZNL_BLOCK_VALUES, 1);
    return status;
}

TARGET int DECODE_PAIR(znl_decode_lanes *const lanes[2], const znl_block_models models[2],
                       uint16_t *const symbols[2], size_t block_count)
{
    const int has_high =
        any_high_values(&models[0], block_count) || any_high_values(&models[1], block_count);
    size_t done = 0;
    while (done < block_count && lanes[0]->lane_count == ZNL_WIDE_LANES &&
           lanes[1]->lane_count == ZNL_WIDE_LANES) {
        uint16_t *const out[2] = {symbols[0] + done * ZNL_BLOCK_VALUES,
                                  symbols[1] + done * ZNL_BLOCK_VALUES};
        znl_block_models left[2] = {models[0], models[1]};
        const int has_classes = left[0].classes != NULL;
        for (int c = 0; c < 2 && has_classes; c++) left[c].classes += done;
        size_t safe = znl_safe_blocks(lanes[0], block_count - done, sizeof(V));
        safe = znl_safe_blocks(lanes[1], safe, sizeof(V));
        if (safe == 0) break;
        if (has_high)
            has_classes ? decode_blocks_of_two(lanes, left, out, safe, 1, 1)
                        : decode_blocks_of_two(lanes, left, out, safe, 0, 1);
        else
            has_classes ? decode_blocks_of_two(lanes, left, out, safe, 1, 0)
                        : decode_blocks_of_two(lanes, left, out, safe, 0, 0);
        for (int c = 0; c < 2; c++)
            if (lanes[c]->words > lanes[c]->words_end) return ZNL_E_BAD_STATE;
        done += safe;
    }
    const int status = decode_rest(lanes[0], &models[0], symbols[0], done, block_count);
    if (status != ZNL_OK) return status;
    return decode_rest(lanes[1], &models[1], symbols[1], done, block_count);
}

#endif
