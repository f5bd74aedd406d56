/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder with AVX2: 16 lanes a register, two registers a step. */
#include "errors.h"
#include "expand.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_AVX2
#include <immintrin.h>

#ifdef __AVX2__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#define TARGET ZNL_TARGET_AVX2
#define LANES 16
#define STEP_LANES (2 * LANES)

typedef __m256i V;

/* Two vectors of lanes as upper and lower halves of their states. */
typedef struct {
    V high[2], low[2];
} lane_pair;

/* Where words and patches of a block go, downwards. */
typedef struct {
    uint8_t *words;
    uint32_t *patches;
} emitted;

/* Entries of a table of 32 bytes for 32 symbols. */
TARGET static inline V look_up(const uint8_t *table, V symbols)
{
    const V low = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
    const V high = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(table + 16)));
    const V in_low = _mm256_add_epi8(symbols, _mm256_set1_epi8(0x70));
    const V in_high = _mm256_add_epi8(symbols, _mm256_set1_epi8((char)0xf0));
    return _mm256_or_si256(_mm256_shuffle_epi8(low, in_low), _mm256_shuffle_epi8(high, in_high));
}

/* 16-bit entries of a table kept as low and high bytes, for both vectors of a step. */
TARGET static inline void look_up_words(const uint8_t bytes[2][ZNL_SYMBOL_COUNT], V symbols,
                                        V entries[2])
{
    const V low = look_up(bytes[0], symbols), high = look_up(bytes[1], symbols);
    entries[0] = _mm256_unpacklo_epi8(low, high);
    entries[1] = _mm256_unpackhi_epi8(low, high);
}

/* Symbols of 32 values as bytes, and which values have none (bit 2 * lane of missing[vector]). */
TARGET static inline V find_symbols(const znl_encode_model *model, const V values[2],
                                    unsigned missing[2])
{
    const V base = _mm256_set1_epi16((short)model->base), last = _mm256_set1_epi16(31);
    const V mask = _mm256_set1_epi16((short)model->mask);
    const V last_value = _mm256_set1_epi16((short)model->value_of[31]);
    V symbols[2], stands[2];
    for (int i = 0; i < 2; i++) {
        const V offset = _mm256_and_si256(_mm256_sub_epi16(values[i], base), mask);
        /* A window that wraps around may hold the value of the last symbol, which wins. */
        const V is_last = _mm256_and_si256(_mm256_cmpeq_epi16(values[i], last_value), last);
        symbols[i] = _mm256_or_si256(_mm256_min_epu16(offset, last), is_last);
    }
    const V packed = _mm256_packus_epi16(symbols[0], symbols[1]);
    look_up_words(model->value_bytes, packed, stands);
    for (int i = 0; i < 2; i++)
        missing[i] = ~(unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi16(values[i], stands[i]));
    return packed;
}

static void patch_lanes(const unsigned missing[2], const uint16_t *symbols, size_t first,
                        emitted *out)
{
    for (unsigned lane = STEP_LANES; lane-- > 0;)
        if (missing[lane / LANES] >> (2 * (lane % LANES)) & 1)
            *--out->patches =
                (uint32_t)((first + lane) << ZNL_PATCH_POSITION_SHIFT) | symbols[lane];
}

/* Emit the words of the marked lanes of 8, the last lane first. */
TARGET static inline void emit(__m128i words, unsigned lanes, emitted *out)
{
    const __m128i order = _mm_loadu_si128((const __m128i *)znl_collect_words[lanes]);
    _mm_storeu_si128((__m128i *)(out->words - 16), _mm_shuffle_epi8(words, order));
    out->words -= 2 * _mm_popcnt_u32(lanes);
}

/* Quotients of 8 states, exact or 1 short. Both halves of a state and the frequency are exact in
 * float; the factor below 1 makes up for three roundings in any rounding mode of the process. */
TARGET static inline V divide(V high, V low, V frequency)
{
    const float below_1 = 1.0f - 8.0f / 16777216.0f;
    const __m256 upper =
        _mm256_mul_ps(_mm256_cvtepi32_ps(high), _mm256_set1_ps(65536.0f * below_1));
    const __m256 state = _mm256_fmadd_ps(_mm256_cvtepi32_ps(low), _mm256_set1_ps(below_1), upper);
    return _mm256_cvttps_epi32(_mm256_div_ps(state, _mm256_cvtepi32_ps(frequency)));
}

/* Take one vector of lanes, already below their limits, to the next states. */
TARGET ZNL_INLINE void advance(const znl_encode_model *model, V *high, V *low, V frequency, V first)
{
    const V even = _mm256_set1_epi32(0xffff), one = _mm256_set1_epi16(1),
            zero = _mm256_setzero_si256();
    const V even_quotient = divide(_mm256_and_si256(*high, even), _mm256_and_si256(*low, even),
                                   _mm256_and_si256(frequency, even));
    const V odd_quotient = divide(_mm256_srli_epi32(*high, 16), _mm256_srli_epi32(*low, 16),
                                  _mm256_srli_epi32(frequency, 16));
    V quotient_low = _mm256_blend_epi16(even_quotient, _mm256_slli_epi32(odd_quotient, 16), 0xaa);
    V quotient_high = _mm256_blend_epi16(_mm256_srli_epi32(even_quotient, 16), odd_quotient, 0xaa);
    V index = _mm256_sub_epi16(*low, _mm256_mullo_epi16(quotient_low, frequency));
    const V is_exact = _mm256_cmpgt_epi16(frequency, index);
    index = _mm256_sub_epi16(index, _mm256_andnot_si256(is_exact, frequency));
    quotient_low = _mm256_add_epi16(quotient_low, _mm256_andnot_si256(is_exact, one));
    quotient_high = _mm256_sub_epi16(
        quotient_high, _mm256_andnot_si256(is_exact, _mm256_cmpeq_epi16(quotient_low, zero)));
    const V at = _mm256_add_epi16(index, first);
    const int *slots = (const int *)(const void *)model->slots;
    const V even_slot = _mm256_i32gather_epi32(slots, _mm256_and_si256(at, even), 2);
    const V odd_slot = _mm256_i32gather_epi32(slots, _mm256_srli_epi32(at, 16), 2);
    const V slot = _mm256_blend_epi16(even_slot, _mm256_slli_epi32(odd_slot, 16), 0xaa);
    *high =
        _mm256_or_si256(_mm256_slli_epi16(quotient_high, 12), _mm256_srli_epi16(quotient_low, 4));
    *low = _mm256_or_si256(_mm256_slli_epi16(quotient_low, 12), slot);
}

/* Encode one value of each of 32 lanes. */
TARGET ZNL_INLINE void encode_step(lane_pair *lanes, const znl_encode_model *model,
                                   const uint16_t *symbols, size_t first, emitted *out)
{
    V values[2], frequency[2], start[2], full[2];
    unsigned missing[2];
    for (int i = 0; i < 2; i++) values[i] = _mm256_loadu_si256((const V *)(symbols + LANES * i));
    const V packed = find_symbols(model, values, missing);
    if (missing[0] | missing[1]) patch_lanes(missing, symbols, first, out);
    look_up_words(model->frequency_bytes, packed, frequency);
    look_up_words(model->first_bytes, packed, start);
    for (int i = 0; i < 2; i++) {
        const V limit = _mm256_slli_epi16(frequency[i], 4);
        full[i] = _mm256_cmpeq_epi16(_mm256_max_epu16(lanes->high[i], limit), lanes->high[i]);
    }
    const unsigned marked = (unsigned)_mm256_movemask_epi8(_mm256_packs_epi16(full[0], full[1]));
    emit(_mm256_extracti128_si256(lanes->low[1], 1), marked >> 24, out);
    emit(_mm256_castsi256_si128(lanes->low[1]), marked >> 8 & 255, out);
    emit(_mm256_extracti128_si256(lanes->low[0], 1), marked >> 16 & 255, out);
    emit(_mm256_castsi256_si128(lanes->low[0]), marked & 255, out);
    for (int i = 0; i < 2; i++) {
        lanes->low[i] = _mm256_blendv_epi8(lanes->low[i], lanes->high[i], full[i]);
        lanes->high[i] = _mm256_andnot_si256(full[i], lanes->high[i]);
        advance(model, &lanes->high[i], &lanes->low[i], frequency[i], start[i]);
    }
}

TARGET int znl_rans_encode_avx2(znl_encode_lanes *lanes, const znl_encode_model *model,
                                const uint16_t *symbols, size_t first, size_t block_count)
{
    uint16_t high[ZNL_WIDE_LANES], low[ZNL_WIDE_LANES];
    lane_pair pairs[2];
    /* 64 words of room and 8 more: a store of 16 bytes may reach below the words it keeps. */
    if (lanes->lane_count != ZNL_WIDE_LANES || lanes->words_room < ZNL_BLOCK_VALUES + 8)
        return znl_rans_encode_scalar(lanes, model, symbols, first, block_count);
    for (unsigned lane = 0; lane < ZNL_WIDE_LANES; lane++) {
        high[lane] = (uint16_t)(lanes->states[lane] >> 16);
        low[lane] = (uint16_t)lanes->states[lane];
    }
    for (unsigned i = 0; i < 4; i++) {
        pairs[i / 2].high[i % 2] = _mm256_loadu_si256((const V *)(high + LANES * i));
        pairs[i / 2].low[i % 2] = _mm256_loadu_si256((const V *)(low + LANES * i));
    }
    size_t block = block_count;
    for (; block > 0 && lanes->words_room >= ZNL_BLOCK_VALUES + 8 &&
           lanes->patches_room >= ZNL_BLOCK_VALUES;
         block--) {
        const size_t i = (block - 1) * ZNL_BLOCK_VALUES;
        emitted out = {lanes->words, lanes->patches};
        encode_step(&pairs[1], model, symbols + i + STEP_LANES, first + i + STEP_LANES, &out);
        encode_step(&pairs[0], model, symbols + i, first + i, &out);
        lanes->words_room -= (size_t)(lanes->words - out.words) / 2;
        lanes->patches_room -= (size_t)(lanes->patches - out.patches);
        lanes->words = out.words;
        lanes->patches = out.patches;
    }
    for (unsigned i = 0; i < 4; i++) {
        _mm256_storeu_si256((V *)(high + LANES * i), pairs[i / 2].high[i % 2]);
        _mm256_storeu_si256((V *)(low + LANES * i), pairs[i / 2].low[i % 2]);
    }
    for (unsigned lane = 0; lane < ZNL_WIDE_LANES; lane++)
        lanes->states[lane] = (uint32_t)high[lane] << 16 | low[lane];
    return block ? znl_rans_encode_scalar(lanes, model, symbols, first, block) : ZNL_OK;
}

#endif
