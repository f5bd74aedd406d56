/* SPDX-License-Identifier: Apache-2.0 */
/* The coder in portable C: the definition that every instruction set is held to. */
#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "rans.h"

#define MAX_LANES ZNL_WIDE_LANES

/* `low ? taken : x`, kept free of a branch: which lanes take a word is random, and a mispredicted branch for every
 * few values costs half the speed. */
static inline uint32_t select_u32(uint32_t low, uint32_t taken, uint32_t x)
{
    return x ^ ((x ^ taken) & (0u - low));
}

static const znl_encode_model *unit_model(const znl_encode_model *models, const uint8_t *classes,
                                          unsigned unit_shift, size_t value)
{
    return classes ? models + classes[value >> unit_shift] : models;
}

int64_t znl_rans_encode_scalar(const uint16_t *symbols, size_t value_count, unsigned lane_count,
                               const uint8_t *classes, unsigned unit_shift,
                               const znl_encode_model *models, uint32_t *states, uint8_t *words_end,
                               size_t words_room, uint32_t *patches_end, size_t patches_room,
                               size_t *patch_count)
{
    uint8_t *word = words_end;
    uint32_t *patch = patches_end;
    size_t words_left = words_room, patches_left = patches_room;
    for (size_t block = value_count; block > 0; block -= ZNL_BLOCK_VALUES) {
        /* A block emits at most one word and one patch a value; units are whole blocks. */
        if (words_left < ZNL_BLOCK_VALUES || patches_left < ZNL_BLOCK_VALUES) return ZNL_E_NO_ROOM;
        const znl_encode_model *model = unit_model(models, classes, unit_shift, block - 1);
        const uint8_t *word_before = word;
        const uint32_t *patch_before = patch;
        for (size_t i = block; i-- > block - ZNL_BLOCK_VALUES;) {
            uint32_t *state = states + (i & (lane_count - 1));
            const unsigned entry = model->symbol_of[symbols[i]];
            if (entry & ZNL_PATCHED)
                *--patch = (uint32_t)(i << ZNL_PATCH_POSITION_SHIFT) | symbols[i];
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
        words_left -= (size_t)(word_before - word) / 2;
        patches_left -= (size_t)(patch_before - patch);
    }
    *patch_count = patches_room - patches_left;
    return (int64_t)(words_room - words_left);
}

/* Decode one block; `careful` checks every word, otherwise 64 words are known to be there. */
static inline int decode_block(uint32_t *states, unsigned lane_count, const uint8_t **words,
                               const uint8_t *words_end, int careful, const znl_decode_model *model,
                               uint16_t *symbols)
{
    const uint8_t *word = *words;
    for (unsigned j = 0; j < ZNL_BLOCK_VALUES; j++) {
        uint32_t *state = states + (j & (lane_count - 1));
        const uint32_t entry = model->slots[*state & (ZNL_TABLE_SIZE - 1)];
        const uint32_t x =
            (entry >> 20) * (*state >> ZNL_TABLE_BITS) + (entry >> 8 & (ZNL_TABLE_SIZE - 1));
        const uint32_t low = x < ZNL_STATE_MIN;
        symbols[j] = model->value_of[entry & (ZNL_SYMBOL_COUNT - 1)];
        if (careful && word == words_end) {
            if (low) return ZNL_E_BAD_STATE;
            *state = x;
            continue;
        }
        *state = select_u32(low, x << 16 | load_u16le(word), x);
        word += 2 * low;
    }
    *words = word;
    return ZNL_OK;
}

int znl_rans_decode_scalar(uint32_t *states, unsigned lane_count, const uint8_t *words,
                           size_t word_count, const uint8_t *classes, unsigned unit_shift,
                           const znl_decode_model *models, uint16_t *symbols, size_t value_count)
{
    const uint8_t *const words_end = words + 2 * word_count;
    uint32_t local[MAX_LANES];
    memcpy(local, states, lane_count * sizeof *states);
    for (size_t first = 0; first < value_count; first += ZNL_BLOCK_VALUES) {
        const znl_decode_model *model = classes ? models + classes[first >> unit_shift] : models;
        const int careful = (size_t)(words_end - words) < 2 * ZNL_BLOCK_VALUES;
        const int status =
            careful ? decode_block(local, lane_count, &words, words_end, 1, model, symbols + first)
            : lane_count == ZNL_WIDE_LANES
                ? decode_block(local, ZNL_WIDE_LANES, &words, words_end, 0, model, symbols + first)
                : decode_block(local, lane_count, &words, words_end, 0, model, symbols + first);
        if (status != ZNL_OK) return status;
    }
    for (unsigned lane = 0; lane < lane_count; lane++)
        if (local[lane] >> 16 != 1) return ZNL_E_BAD_STATE;
    if (words != words_end) return ZNL_E_BAD_STATE;
    memcpy(states, local, lane_count * sizeof *states);
    return ZNL_OK;
}
