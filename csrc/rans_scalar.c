/* SPDX-License-Identifier: Apache-2.0 */
/* The coder in portable C: the definition that every instruction set is held to. */
#include "bytes.h"
#include "errors.h"
#include "rans.h"

#define SLOT_MASK (ZNL_TABLE_SIZE - 1)

/* `low ? taken : x`, kept free of a branch: which lanes take a word is random, and a mispredicted
 * branch for every few values costs half the speed. */
static inline uint32_t select_u32(uint32_t low, uint32_t taken, uint32_t x)
{
    return x ^ ((x ^ taken) & (0u - low));
}

int znl_rans_encode_scalar(znl_encode_lanes *lanes, const znl_encode_model *model,
                           const uint16_t *symbols, size_t first, size_t block_count)
{
    for (size_t block = block_count; block-- > 0;) {
        /* A block emits at most one word and one patch a value. */
        if (lanes->words_room < ZNL_BLOCK_VALUES || lanes->patches_room < ZNL_BLOCK_VALUES)
            return ZNL_E_NO_ROOM;
        uint8_t *word = lanes->words;
        uint32_t *patch = lanes->patches;
        for (unsigned j = ZNL_BLOCK_VALUES; j-- > 0;) {
            const size_t i = block * ZNL_BLOCK_VALUES + j;
            uint32_t *state = lanes->states + (j & (lanes->lane_count - 1));
            const unsigned entry = model->symbol_of[symbols[i]];
            if (entry & ZNL_PATCHED)
                *--patch = (uint32_t)((first + i) << ZNL_PATCH_POSITION_SHIFT) | symbols[i];
            const unsigned symbol = entry & (ZNL_SYMBOL_COUNT - 1);
            const uint32_t frequency = model->frequency[symbol];
            uint32_t x = *state;
            const uint32_t full = x >= frequency << 20;
            store_u16le(word - 2, (uint16_t)x); /* kept only when the pointer moves */
            word -= 2 * full;
            x = select_u32(full, x >> 16, x);
            const uint32_t quotient =
                (uint32_t)((x * model->reciprocal[symbol]) >> ZNL_RECIPROCAL_SHIFT);
            const uint32_t index = x - quotient * frequency;
            *state = quotient << ZNL_TABLE_BITS | model->slots[model->first[symbol] + index];
        }
        lanes->words_room -= (size_t)(lanes->words - word) / 2;
        lanes->patches_room -= (size_t)(lanes->patches - patch);
        lanes->words = word;
        lanes->patches = patch;
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

/* One block when 64 words can be read. Constant lane counts let the compiler unroll. */
static inline const uint8_t *decode_block(uint32_t *states, unsigned lane_count,
                                          const uint8_t *words, const znl_decode_model *model,
                                          uint16_t *symbols)
{
    for (unsigned j = 0; j < ZNL_BLOCK_VALUES; j++) {
        uint32_t *state = states + (j & (lane_count - 1));
        const uint32_t entry = model->slots[*state & SLOT_MASK];
        const uint32_t x = (entry >> 20) * (*state >> ZNL_TABLE_BITS) + (entry >> 8 & SLOT_MASK);
        const uint32_t low = x < ZNL_STATE_MIN;
        symbols[j] = model->value_of[entry & (ZNL_SYMBOL_COUNT - 1)];
        *state = select_u32(low, x << 16 | load_u16le(words), x);
        words += 2 * low;
    }
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
