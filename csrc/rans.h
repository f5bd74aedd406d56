/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy coder: interleaved rANS with slots by the alias method (docs/format.md, sections 5.5 and 5.6).
 * Sources: Duda, arXiv:1311.2540; Giesen, arXiv:1402.3392; Walker 1977. */
#ifndef ZNL_RANS_H
#define ZNL_RANS_H

#include <stddef.h>
#include <stdint.h>

#include "table.h"

/* What the encoder needs of one table. */
typedef struct {
    uint8_t symbol_of
        [ZNL_MAX_SYMBOL_VALUES]; /* symbol of a symbol value; ZNL_PATCHED | 31 when it has none */
    uint16_t slots[ZNL_TABLE_SIZE]; /* slots[first[s] + index] */
    uint16_t first[ZNL_SYMBOL_COUNT];
    uint16_t frequency[ZNL_SYMBOL_COUNT];
    uint64_t reciprocal
        [ZNL_SYMBOL_COUNT]; /* ceil(2^44 / frequency): exact for every x < frequency << 20 */
} znl_encode_model;

#define ZNL_PATCHED 0x80u
#define ZNL_RECIPROCAL_SHIFT 44

/* What the decoder needs of one table: for each slot its symbol's frequency << 20 | index << 8 | symbol. */
typedef struct {
    uint32_t slots[ZNL_TABLE_SIZE];
    uint16_t value_of[ZNL_SYMBOL_COUNT];
} znl_decode_model;

void znl_encode_model_build(const znl_freq_table *table, unsigned symbol_bits,
                            znl_encode_model *model);
void znl_decode_model_build(const znl_freq_table *table, unsigned symbol_bits,
                            znl_decode_model *model);

/* Encode symbol values, the last one first; words and patches grow downwards.
 *
 * symbols      value_count symbol values, a multiple of the lane count
 * classes      the model of each unit of 1 << unit_shift values (NULL: model 0 for all)
 * states       in: start states; out: final states, lane_count of them
 * words_end    one past the last word; words_room u16 may be written below it
 * patches_end  one past the last patch; patches_room u32 (native order) may be written below it
 * patch_count  out
 * returns      number of words, or ZNL_E_NO_ROOM when room for less than 64 words or patches is left: not worth coding
 */
typedef int64_t znl_rans_encode_fn(const uint16_t *symbols, size_t value_count, unsigned lane_count,
                                   const uint8_t *classes, unsigned unit_shift,
                                   const znl_encode_model *models, uint32_t *states,
                                   uint8_t *words_end, size_t words_room, uint32_t *patches_end,
                                   size_t patches_room, size_t *patch_count);

/* Decode symbol values.
 *
 * states       in and out, lane_count of them
 * words        word_count u16, untrusted; none is read past the last
 * symbols      out, value_count symbol values, a multiple of 64
 * returns      ZNL_OK; ZNL_E_BAD_STATE when words run out, are left over, or a lane does not end at H == 1
 */
typedef int znl_rans_decode_fn(uint32_t *states, unsigned lane_count, const uint8_t *words,
                               size_t word_count, const uint8_t *classes, unsigned unit_shift,
                               const znl_decode_model *models, uint16_t *symbols,
                               size_t value_count);

znl_rans_encode_fn znl_rans_encode_scalar;
znl_rans_decode_fn znl_rans_decode_scalar;

#endif
