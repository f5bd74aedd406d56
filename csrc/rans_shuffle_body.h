/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder with byte shuffles, written once for 128- and 256-bit registers: each rans_*.c that
 * includes this text defines the vector operations before it. A table of 32 bytes is two shuffles. Not a
 * header for others. */

/* Two vectors of a table: entries 0 to 15 and 16 to 31. */
typedef struct {
    V low, high;
} byte_table;

TARGET static inline byte_table load_table(const uint8_t *bytes)
{
    const byte_table table = {LOAD_TABLE(bytes), LOAD_TABLE(bytes + 16)};
    return table;
}

/* Indices for both halves: a shuffle gives 0 for an index with bit 7, so each half answers its own. */
typedef struct {
    V low, high;
} byte_index;

TARGET static inline byte_index index_of(V bytes)
{
    const byte_index index = {ADD8(bytes, SET8(0x70)), ADD8(bytes, SET8((char)0xf0))};
    return index;
}

TARGET static inline V look_up(byte_table table, byte_index at)
{
    return OR(SHUFFLE(table.low, at.low), SHUFFLE(table.high, at.high));
}

/* The states of two vectors of lanes, coded together so that their bytes fill one lookup. */
typedef struct {
    V high[2], low[2];
} lane_pair;

/* Decode one value of each lane of a pair; the symbol values go to values[0] and values[1]. */
TARGET static inline void decode_step(lane_pair *lanes, const uint8_t **words,
                                      const znl_decode_model *model, V values[2])
{
    const V place_mask = SET16(127), top_mask = SET16((short)0xf000), zero = ZERO();
    const V place[2] = {AND(lanes->low[0], place_mask), AND(lanes->low[1], place_mask)};
    const V bucket_mask = SET16(31);
    const V bucket = PACK(AND(SHIFT_RIGHT(lanes->low[0], 7), bucket_mask),
                          AND(SHIFT_RIGHT(lanes->low[1], 7), bucket_mask));
    const byte_index at = index_of(bucket);
    const V places = PACK(place[0], place[1]);
    const V threshold = look_up(load_table(model->bytes[ZNL_BYTES_THRESHOLD]), at);
    const V lent = EQUAL8(MAX8(places, threshold), places);
    const V turn = look_up(load_table(model->bytes[ZNL_BYTES_TURN]), at);
    const byte_index symbol = index_of(XOR(bucket, AND(lent, turn)));
    const V f_low = look_up(load_table(model->bytes[ZNL_BYTES_FREQUENCY_LOW]), symbol);
    const V f_high = look_up(load_table(model->bytes[ZNL_BYTES_FREQUENCY_HIGH]), symbol);
    const V s_low = AND(lent, look_up(load_table(model->bytes[ZNL_BYTES_SHIFT_LOW]), at));
    const V s_high = AND(lent, look_up(load_table(model->bytes[ZNL_BYTES_SHIFT_HIGH]), at));
    const V v_low = look_up(load_table(model->bytes[ZNL_BYTES_VALUE_LOW]), symbol);
    const V v_high = look_up(load_table(model->bytes[ZNL_BYTES_VALUE_HIGH]), symbol);
    values[0] = UNPACK_LOW(v_low, v_high);
    values[1] = UNPACK_HIGH(v_low, v_high);
    const V frequency[2] = {UNPACK_LOW(f_low, f_high), UNPACK_HIGH(f_low, f_high)};
    const V shift[2] = {UNPACK_LOW(s_low, s_high), UNPACK_HIGH(s_low, s_high)};
    V low[2], high[2], takes[2];
    for (int i = 0; i < 2; i++) {
        const V carry =
            ADD16(ADD16(place[i], shift[i]), MUL_HIGH(frequency[i], AND(lanes->low[i], top_mask)));
        low[i] = ADD16(MUL_LOW(frequency[i], lanes->high[i]), carry);
        /* One more where the lower half wrapped: carry > low, as there is no unsigned compare. */
        high[i] = ADD16(MUL_HIGH(frequency[i], lanes->high[i]),
                        MIN16(SUB_SATURATED(carry, low[i]), SET16(1)));
        takes[i] = EQUAL16(high[i], zero);
    }
    V taken[2];
    take_words(words, takes, taken);
    for (int i = 0; i < 2; i++) {
        lanes->high[i] = OR(high[i], AND(takes[i], low[i]));
        lanes->low[i] = OR(AND_NOT(takes[i], low[i]), taken[i]);
    }
}

/* Lanes 0 to 63 in order, as vectors of their upper and of their lower halves. */
TARGET static void load_states(const uint32_t *states, lane_pair *pairs)
{
    uint16_t high[ZNL_WIDE_LANES], low[ZNL_WIDE_LANES];
    for (unsigned lane = 0; lane < ZNL_WIDE_LANES; lane++) {
        high[lane] = (uint16_t)(states[lane] >> 16);
        low[lane] = (uint16_t)states[lane];
    }
    for (unsigned i = 0; i < VECTORS; i++) {
        pairs[i / 2].high[i % 2] = LOAD(high + LANES * i);
        pairs[i / 2].low[i % 2] = LOAD(low + LANES * i);
    }
}

TARGET static void store_states(const lane_pair *pairs, uint32_t *states)
{
    uint16_t high[ZNL_WIDE_LANES], low[ZNL_WIDE_LANES];
    for (unsigned i = 0; i < VECTORS; i++) {
        STORE(high + LANES * i, pairs[i / 2].high[i % 2]);
        STORE(low + LANES * i, pairs[i / 2].low[i % 2]);
    }
    for (unsigned lane = 0; lane < ZNL_WIDE_LANES; lane++)
        states[lane] = (uint32_t)high[lane] << 16 | low[lane];
}

TARGET int DECODE(znl_decode_lanes *lanes, const znl_decode_model *model, uint16_t *symbols,
                  size_t block_count)
{
    size_t done = 0;
    if (lanes->lane_count == ZNL_WIDE_LANES) {
        size_t safe;
        while (done < block_count &&
               (safe = znl_safe_blocks(lanes, block_count - done, sizeof(V))) > 0) {
            lane_pair pairs[VECTORS / 2];
            load_states(lanes->states, pairs);
            const uint8_t *words = lanes->words;
            for (size_t b = 0; b < safe; b++, done++) {
                uint16_t *out = symbols + done * ZNL_BLOCK_VALUES;
                for (unsigned i = 0; i < VECTORS / 2; i++) {
                    V values[2];
                    decode_step(&pairs[i], &words, model, values);
                    STORE(out + LANES * 2 * i, values[0]);
                    STORE(out + LANES * (2 * i + 1), values[1]);
                }
            }
            store_states(pairs, lanes->states);
            lanes->words = words;
            if (words > lanes->words_end) return ZNL_E_BAD_STATE;
        }
    }
    if (done == block_count) return ZNL_OK;
    return znl_rans_decode_careful(lanes, model, symbols + done * ZNL_BLOCK_VALUES,
                                   block_count - done);
}
