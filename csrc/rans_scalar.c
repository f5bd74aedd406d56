/* SPDX-License-Identifier: Apache-2.0 */
/* The coder in portable C: the definition that every instruction set is held to. */
#include "bytes.h"
#include "errors.h"
#include "rans.h"
#include "target.h"

#define SLOT_MASK (ZNL_TABLE_SIZE - 1)

/* Values taken by the inner loops, which compilers unroll: the lanes are independent, and the more of them
 * the processor sees at once, the better. */
#define UNROLLED 4

/* All ones when a < b, else 0. Which lanes take or emit a word is random, and a mispredicted branch for
 * every few values costs half the speed: masks leave a compiler no choice to branch on. */
static inline uint32_t below(uint32_t a, uint32_t b)
{
    return 0u - (a < b);
}

/* Encode a value by its symbol; returns the word emitted last. */
ZNL_INLINE uint8_t *encode_value(uint32_t *state, const znl_encode_model *model, unsigned symbol,
                                 uint8_t *word)
{
    const uint32_t frequency = model->frequency[symbol];
    uint32_t x = *state;
    const uint32_t fits = below(x, frequency << 20);
    store_u16le(word - 2, (uint16_t)x); /* kept only when the pointer moves */
    x = x >> 16 ^ ((x >> 16 ^ x) & fits);
    const uint32_t quotient = (uint32_t)((x * model->reciprocal[symbol]) >> ZNL_RECIPROCAL_SHIFT);
    const uint32_t at = model->begin[symbol] + x - quotient * frequency;
    *state = quotient << ZNL_TABLE_BITS | model->slots[at];
    return word - 2 + (fits & 2);
}

ZNL_INLINE void encode_block(znl_encode_lanes *lanes, unsigned lane_count,
                             const znl_encode_model *model, const uint16_t *symbols, size_t first)
{
    uint8_t *word = lanes->words;
    uint32_t *patch = lanes->patches;
    for (size_t j = ZNL_BLOCK_VALUES; j > 0;) {
        j -= UNROLLED;
        const uint16_t *values = symbols + j;
        uint32_t *states = lanes->states + (j & (lane_count - 1));
        unsigned entries[UNROLLED], all = 0;
        for (size_t k = 0; k < UNROLLED; k++) all |= entries[k] = model->symbol_of[values[k]];
        if (all & ZNL_PATCHED)
            for (size_t k = UNROLLED; k-- > 0;)
                if (entries[k] & ZNL_PATCHED)
                    *--patch = (uint32_t)((first + j + k) << ZNL_PATCH_POSITION_SHIFT) | values[k];
        for (size_t k = UNROLLED; k-- > 0;)
            word = encode_value(states + k, model, entries[k] & (ZNL_SYMBOL_COUNT - 1), word);
    }
    lanes->words_room -= (size_t)(lanes->words - word) / 2;
    lanes->patches_room -= (size_t)(lanes->patches - patch);
    lanes->words = word;
    lanes->patches = patch;
}

int znl_rans_encode_scalar(znl_encode_lanes *lanes, const znl_encode_model *model,
                           const uint16_t *symbols, size_t first, size_t block_count)
{
    for (size_t block = block_count; block-- > 0;) {
        const size_t i = block * ZNL_BLOCK_VALUES;
        /* A block emits at most one word and one patch a value. */
        if (lanes->words_room < ZNL_BLOCK_VALUES || lanes->patches_room < ZNL_BLOCK_VALUES)
            return ZNL_E_NO_ROOM;
        znl_fetch_ahead(lanes, first / ZNL_BLOCK_VALUES + block);
        if (lanes->lane_count == ZNL_WIDE_LANES)
            encode_block(lanes, ZNL_WIDE_LANES, model, symbols + i, first + i);
        else
            encode_block(lanes, ZNL_NARROW_LANES, model, symbols + i, first + i);
    }
    return ZNL_OK;
}

int znl_rans_decode_careful(znl_decode_lanes *lanes, const znl_decode_model *model,
                            uint16_t *symbols, size_t block_count)
{
    for (size_t i = 0; i < block_count * ZNL_BLOCK_VALUES; i++) {
        uint32_t *state = lanes->states + (i & (lanes->lane_count - 1));
        const unsigned slot = *state & SLOT_MASK;
        const unsigned bucket = slot / ZNL_BUCKET_SIZE, place = slot % ZNL_BUCKET_SIZE;
        const int is_lent = place >= (unsigned)model->bound[bucket] >> 9;
        const unsigned symbol = is_lent ? model->bound[bucket] & (ZNL_SYMBOL_COUNT - 1) : bucket;
        const unsigned frequency = (is_lent ? model->lent : model->own)[bucket] >> 4;
        const unsigned index = (place + (is_lent ? model->shift[bucket] : 0u)) & SLOT_MASK;
        uint32_t x = frequency * (*state >> ZNL_TABLE_BITS) + index;
        if (x < ZNL_STATE_MIN) {
            if (lanes->words >= lanes->words_end) return ZNL_E_BAD_STATE;
            x = x << 16 | load_u16le(lanes->words);
            lanes->words += 2;
        }
        *state = x;
        symbols[i] = model->value_of[symbol];
    }
    return ZNL_OK;
}

/* Decode the value of one lane when a word can be read; returns the next word. */
ZNL_INLINE const uint8_t *decode_value(uint32_t *state, const uint8_t *words,
                                       const znl_decode_model *model, uint16_t *symbol)
{
    const uint32_t entry = model->slots[*state & SLOT_MASK];
    const uint32_t x = (entry >> 20) * (*state >> ZNL_TABLE_BITS) + (entry >> 8 & SLOT_MASK);
    const uint32_t takes = below(x, ZNL_STATE_MIN);
    *symbol = model->value_of[entry & (ZNL_SYMBOL_COUNT - 1)];
    *state = x << (takes & 16) | (load_u16le(words) & takes);
    return words + (takes & 2);
}

/* One block when 64 words can be read. */
ZNL_INLINE const uint8_t *decode_block(uint32_t *states, unsigned lane_count, const uint8_t *words,
                                       const znl_decode_model *model, uint16_t *symbols)
{
    for (unsigned j = 0; j < ZNL_BLOCK_VALUES; j += UNROLLED)
        for (unsigned k = 0; k < UNROLLED; k++)
            words =
                decode_value(states + (j & (lane_count - 1)) + k, words, model, symbols + j + k);
    return words;
}

int znl_rans_decode_scalar(znl_decode_lanes *lanes, const znl_decode_model *model,
                           uint16_t *symbols, size_t block_count)
{
    for (size_t block = 0; block < block_count; block++, symbols += ZNL_BLOCK_VALUES) {
        if (lanes->readable_end - lanes->words < 2 * (ptrdiff_t)ZNL_BLOCK_VALUES) {
            const int status = znl_rans_decode_careful(lanes, model, symbols, 1);
            if (status != ZNL_OK) return status;
            continue;
        }
        lanes->words =
            lanes->lane_count == ZNL_WIDE_LANES
                ? decode_block(lanes->states, ZNL_WIDE_LANES, lanes->words, model, symbols)
                : decode_block(lanes->states, ZNL_NARROW_LANES, lanes->words, model, symbols);
        if (lanes->words > lanes->words_end) return ZNL_E_BAD_STATE;
    }
    return ZNL_OK;
}

int znl_lanes_check_end(const znl_decode_lanes *lanes)
{
    for (unsigned lane = 0; lane < lanes->lane_count; lane++)
        if (lanes->states[lane] >> 16 != 1) return ZNL_E_BAD_STATE;
    return lanes->words == lanes->words_end ? ZNL_OK : ZNL_E_BAD_STATE;
}
