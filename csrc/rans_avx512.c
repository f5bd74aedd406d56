/* SPDX-License-Identifier: Apache-2.0 */
/* The coder with AVX-512 (F, BW, VL, VBMI2): 32 lanes in two registers of 16-bit halves. Tables have 32
 * entries, one register each, so a lookup is one vpermw and nothing is gathered to decode. */
#include "errors.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_AVX512
#include <immintrin.h>

#ifdef __AVX512F__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#define TARGET ZNL_TARGET_AVX512
#define HALF_LANES 32

/* Half of a chunk's lanes: the upper and lower 16 bits of 32 states. */
typedef struct {
    __m512i high, low;
} half;

TARGET static inline half load_half(const uint32_t *states)
{
    const __m512i a = _mm512_loadu_si512(states), b = _mm512_loadu_si512(states + 16);
    const __m512i even =
        _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30, 28, 26,
                         24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_or_si512(even, _mm512_set1_epi16(1));
    const half loaded = {_mm512_permutex2var_epi16(a, odd, b),
                         _mm512_permutex2var_epi16(a, even, b)};
    return loaded;
}

TARGET static inline void store_half(half from, uint32_t *states)
{
    const __m256i high0 = _mm512_castsi512_si256(from.high),
                  low0 = _mm512_castsi512_si256(from.low);
    const __m256i high1 = _mm512_extracti64x4_epi64(from.high, 1),
                  low1 = _mm512_extracti64x4_epi64(from.low, 1);
    _mm512_storeu_si512(states, _mm512_or_si512(_mm512_slli_epi32(_mm512_cvtepu16_epi32(high0), 16),
                                                _mm512_cvtepu16_epi32(low0)));
    _mm512_storeu_si512(states + 16,
                        _mm512_or_si512(_mm512_slli_epi32(_mm512_cvtepu16_epi32(high1), 16),
                                        _mm512_cvtepu16_epi32(low1)));
}

/* Decode one value of each of 32 lanes; returns their symbol values. With F = frequency << 4,
 * x' = f * (x >> 12) + index becomes low = F * high + carry and high' = its upper half, where
 * carry = (F * (low & 0xf000) >> 16) + index never overflows 16 bits. */
TARGET static inline __m512i decode_step(half *lanes, const uint8_t **words,
                                         const znl_decode_model *model)
{
    const __m512i ones = _mm512_set1_epi16(-1), low = lanes->low;
    const __m512i bucket = _mm512_srli_epi16(low, 7);
    const __m512i bound = _mm512_permutexvar_epi16(bucket, _mm512_loadu_si512(model->bound));
    /* place << 9 | 511 >= threshold << 9 | alias: the slot is lent to the alias. */
    const __mmask32 lent = _mm512_cmpge_epu16_mask(_mm512_shldi_epi16(low, ones, 9), bound);
    const __m512i symbol = _mm512_mask_mov_epi16(bucket, lent, bound);
    /* Both frequencies are looked up before the comparison is known: its latency is hidden. */
    const __m512i frequency = _mm512_mask_mov_epi16(
        _mm512_permutexvar_epi16(bucket, _mm512_loadu_si512(model->own)), lent,
        _mm512_permutexvar_epi16(bucket, _mm512_loadu_si512(model->lent)));
    const __m512i shift = _mm512_permutexvar_epi16(bucket, _mm512_loadu_si512(model->shift));
    const __m512i place = _mm512_and_si512(low, _mm512_set1_epi16(127));
    const __m512i index = _mm512_mask_add_epi16(place, lent, place, shift);
    const __m512i carry = _mm512_add_epi16(
        _mm512_mulhi_epu16(frequency, _mm512_and_si512(low, _mm512_set1_epi16((short)0xf000))),
        index);
    const __m512i next_low = _mm512_add_epi16(_mm512_mullo_epi16(frequency, lanes->high), carry);
    __m512i next_high = _mm512_mulhi_epu16(frequency, lanes->high);
    next_high =
        _mm512_mask_sub_epi16(next_high, _mm512_cmplt_epu16_mask(next_low, carry), next_high, ones);
    const __mmask32 takes = _mm512_testn_epi16_mask(next_high, next_high);
    lanes->high = _mm512_mask_mov_epi16(next_high, takes, next_low);
    lanes->low = _mm512_mask_expand_epi16(next_low, takes, _mm512_loadu_si512(*words));
    *words += 2 * _mm_popcnt_u32(takes);
    return _mm512_permutexvar_epi16(symbol, _mm512_loadu_si512(model->value_of));
}

TARGET int znl_rans_decode_avx512(znl_decode_lanes *lanes, const znl_decode_model *model,
                                  uint16_t *symbols, size_t block_count)
{
    size_t done = 0;
    if (lanes->lane_count == ZNL_WIDE_LANES) {
        size_t safe;
        while (done < block_count && (safe = znl_safe_blocks(lanes, block_count - done, 64)) > 0) {
            half first = load_half(lanes->states), second = load_half(lanes->states + HALF_LANES);
            const uint8_t *words = lanes->words;
            for (size_t b = 0; b < safe; b++, done++) {
                uint16_t *out = symbols + done * ZNL_BLOCK_VALUES;
                _mm512_storeu_si512(out, decode_step(&first, &words, model));
                _mm512_storeu_si512(out + HALF_LANES, decode_step(&second, &words, model));
            }
            store_half(first, lanes->states);
            store_half(second, lanes->states + HALF_LANES);
            lanes->words = words;
            if (words > lanes->words_end) return ZNL_E_BAD_STATE;
        }
    }
    if (done == block_count) return ZNL_OK;
    return znl_rans_decode_careful(lanes, model, symbols + done * ZNL_BLOCK_VALUES,
                                   block_count - done);
}

TARGET int znl_rans_decode_pair_avx512(znl_decode_lanes *lanes[2],
                                       const znl_decode_model *const models[2],
                                       uint16_t *symbols[2], size_t block_count)
{
    if (znl_safe_blocks(lanes[0], block_count, 64) < block_count ||
        znl_safe_blocks(lanes[1], block_count, 64) < block_count) {
        const int status = znl_rans_decode_avx512(lanes[0], models[0], symbols[0], block_count);
        if (status != ZNL_OK) return status;
        return znl_rans_decode_avx512(lanes[1], models[1], symbols[1], block_count);
    }
    half a0 = load_half(lanes[0]->states), a1 = load_half(lanes[0]->states + HALF_LANES);
    half b0 = load_half(lanes[1]->states), b1 = load_half(lanes[1]->states + HALF_LANES);
    const uint8_t *a_words = lanes[0]->words, *b_words = lanes[1]->words;
    for (size_t i = 0; i < block_count * ZNL_BLOCK_VALUES; i += ZNL_BLOCK_VALUES) {
        uint16_t *a_out = symbols[0] + i, *b_out = symbols[1] + i;
        _mm512_storeu_si512(a_out, decode_step(&a0, &a_words, models[0]));
        _mm512_storeu_si512(b_out, decode_step(&b0, &b_words, models[1]));
        _mm512_storeu_si512(a_out + HALF_LANES, decode_step(&a1, &a_words, models[0]));
        _mm512_storeu_si512(b_out + HALF_LANES, decode_step(&b1, &b_words, models[1]));
    }
    store_half(a0, lanes[0]->states);
    store_half(a1, lanes[0]->states + HALF_LANES);
    store_half(b0, lanes[1]->states);
    store_half(b1, lanes[1]->states + HALF_LANES);
    lanes[0]->words = a_words;
    lanes[1]->words = b_words;
    const int ran_out = a_words > lanes[0]->words_end || b_words > lanes[1]->words_end;
    return ran_out ? ZNL_E_BAD_STATE : ZNL_OK;
}

/* A chunk's words and patches while a block is encoded. */
typedef struct {
    uint8_t *words;
    uint32_t *patches;
} emitted;

/* Note the values of 32 lanes that have no symbol, the last one first. */
static void patch_lanes(__mmask32 missing, const uint16_t *symbols, size_t first, emitted *out)
{
    for (unsigned lane = HALF_LANES; lane-- > 0;)
        if (missing >> lane & 1)
            *--out->patches =
                (uint32_t)((first + lane) << ZNL_PATCH_POSITION_SHIFT) | symbols[lane];
}

/* The 32-bit quotients of 16 states, exact or 1 short, from their value and 1 / frequency in float. */
TARGET static inline __m512i divide(__m512i states, __m512i symbols, const float *inverse)
{
    const __m512 inverses =
        _mm512_permutex2var_ps(_mm512_loadu_ps(inverse), symbols, _mm512_loadu_ps(inverse + 16));
    return _mm512_cvttps_epu32(_mm512_mul_ps(_mm512_cvtepu32_ps(states), inverses));
}

/* Encode one value of each of 32 lanes. */
TARGET static inline void encode_step(half *lanes, const znl_encode_model *model,
                                      const uint16_t *symbols, size_t first, emitted *out)
{
    const __mmask32 odd = 0xaaaaaaaau;
    const __m512i ones = _mm512_set1_epi16(-1), zero = _mm512_setzero_si512();
    const __m512i value = _mm512_loadu_si512(symbols);
    const __m512i offset = _mm512_sub_epi16(value, _mm512_set1_epi16((short)model->base));
    __m512i symbol = _mm512_min_epu16(
        _mm512_and_si512(offset, _mm512_set1_epi16((short)model->mask)), _mm512_set1_epi16(31));
    /* A window that wraps around may hold the value of the last symbol, which wins. */
    const __mmask32 is_last =
        _mm512_cmpeq_epi16_mask(value, _mm512_set1_epi16((short)model->value_of[31]));
    symbol = _mm512_mask_mov_epi16(symbol, is_last, _mm512_set1_epi16(31));
    const __mmask32 missing = _mm512_cmpneq_epi16_mask(
        value, _mm512_permutexvar_epi16(symbol, _mm512_loadu_si512(model->value_of)));
    if (missing) patch_lanes(missing, symbols, first, out);
    const __m512i frequency =
        _mm512_permutexvar_epi16(symbol, _mm512_loadu_si512(model->frequency));
    __m512i high = lanes->high, low = lanes->low;
    const __mmask32 full = _mm512_cmpge_epu16_mask(high, _mm512_slli_epi16(frequency, 4));
    const unsigned count = (unsigned)_mm_popcnt_u32(full);
    out->words -= 2 * count;
    _mm512_mask_storeu_epi16(out->words, _bzhi_u32(~0u, count),
                             _mm512_maskz_compress_epi16(full, low));
    low = _mm512_mask_mov_epi16(low, full, high);
    high = _mm512_mask_mov_epi16(high, full, zero);
    /* Even and odd lanes as 32-bit states. */
    const __m512i even_states = _mm512_mask_blend_epi16(odd, low, _mm512_slli_epi32(high, 16));
    const __m512i odd_states = _mm512_mask_blend_epi16(odd, _mm512_srli_epi32(low, 16), high);
    const __m512i even_quotient = divide(even_states, symbol, model->inverse);
    const __m512i odd_quotient = divide(odd_states, _mm512_srli_epi32(symbol, 16), model->inverse);
    __m512i quotient_low =
        _mm512_mask_blend_epi16(odd, even_quotient, _mm512_slli_epi32(odd_quotient, 16));
    __m512i quotient_high =
        _mm512_mask_blend_epi16(odd, _mm512_srli_epi32(even_quotient, 16), odd_quotient);
    __m512i index = _mm512_sub_epi16(low, _mm512_mullo_epi16(quotient_low, frequency));
    const __mmask32 is_short = _mm512_cmpge_epu16_mask(index, frequency);
    index = _mm512_mask_sub_epi16(index, is_short, index, frequency);
    quotient_low = _mm512_mask_sub_epi16(quotient_low, is_short, quotient_low, ones);
    quotient_high = _mm512_mask_sub_epi16(
        quotient_high, _mm512_mask_testn_epi16_mask(is_short, quotient_low, quotient_low),
        quotient_high, ones);
    const __m512i at =
        _mm512_add_epi16(index, _mm512_permutexvar_epi16(symbol, _mm512_loadu_si512(model->first)));
    const __m512i even_slot =
        _mm512_i32gather_epi32(_mm512_and_si512(at, _mm512_set1_epi32(0xffff)), model->slots, 2);
    const __m512i odd_slot = _mm512_i32gather_epi32(_mm512_srli_epi32(at, 16), model->slots, 2);
    const __m512i slot = _mm512_mask_blend_epi16(odd, even_slot, _mm512_slli_epi32(odd_slot, 16));
    lanes->high = _mm512_shrdi_epi16(quotient_low, quotient_high, 4);
    lanes->low = _mm512_or_si512(_mm512_slli_epi16(quotient_low, 12), slot);
}

TARGET int znl_rans_encode_avx512(znl_encode_lanes *lanes, const znl_encode_model *model,
                                  const uint16_t *symbols, size_t first, size_t block_count)
{
    if (lanes->lane_count != ZNL_WIDE_LANES)
        return znl_rans_encode_scalar(lanes, model, symbols, first, block_count);
    half lower = load_half(lanes->states), upper = load_half(lanes->states + HALF_LANES);
    size_t block = block_count;
    for (; block > 0 && lanes->words_room >= ZNL_BLOCK_VALUES &&
           lanes->patches_room >= ZNL_BLOCK_VALUES;
         block--) {
        const size_t i = (block - 1) * ZNL_BLOCK_VALUES;
        emitted out = {lanes->words, lanes->patches};
        encode_step(&upper, model, symbols + i + HALF_LANES, first + i + HALF_LANES, &out);
        encode_step(&lower, model, symbols + i, first + i, &out);
        lanes->words_room -= (size_t)(lanes->words - out.words) / 2;
        lanes->patches_room -= (size_t)(lanes->patches - out.patches);
        lanes->words = out.words;
        lanes->patches = out.patches;
    }
    store_half(lower, lanes->states);
    store_half(upper, lanes->states + HALF_LANES);
    return block ? ZNL_E_NO_ROOM : ZNL_OK;
}

#endif
