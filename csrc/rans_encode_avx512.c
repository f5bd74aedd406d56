/* SPDX-License-Identifier: Apache-2.0 */
/* The encoder with AVX-512 (F, BW, VL, DQ, VBMI2). */
#include "errors.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_AVX512
#include <immintrin.h>

#ifdef __AVX512F__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#include "rans_avx512_lanes.h"

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

/* Steps are written out for several halves at a time: the chain from one state to the next is about a
 * hundred cycles long, and a CPU sees ahead only as far as a few steps of all chains side by side. */
#define MAX_HALVES 4
#define FOR_HALVES UNROLLED for (unsigned h = 0; h < count; h++)

/* Half of a chunk that is encoded beside others. */
typedef struct {
    const znl_encode_model *model;
    const uint16_t *values;
    size_t first; /* number of the first value in its chunk */
    emitted *out;
} half_work;

/* All bits of the 16-bit numbers that are below others, both below 2^15. Two cycles, where a comparison
 * takes six. */
TARGET ZNL_INLINE __m512i is_less(__m512i a, __m512i b)
{
    return _mm512_srai_epi16(_mm512_sub_epi16(a, b), 15);
}

TARGET ZNL_INLINE __m512i look_up(__m512i at, const uint16_t *table)
{
    return _mm512_permutexvar_epi16(at, _mm512_loadu_si512(table));
}

/* The symbols of 32 values; those that have none get the last one and are noted as patches. */
TARGET ZNL_INLINE __m512i find_symbols(const half_work *work)
{
    const znl_encode_model *model = work->model;
    const __m512i value = _mm512_loadu_si512(work->values), last = _mm512_set1_epi16(31);
    const __m512i offset = _mm512_sub_epi16(value, _mm512_set1_epi16((short)model->base));
    __m512i symbol =
        _mm512_min_epu16(_mm512_and_si512(offset, _mm512_set1_epi16((short)model->mask)), last);
    /* A window that wraps around may hold the value of the last symbol, which wins. */
    if (((model->value_of[31] - model->base) & model->mask) < 31)
        symbol = _mm512_mask_mov_epi16(
            symbol, _mm512_cmpeq_epi16_mask(value, _mm512_set1_epi16((short)model->value_of[31])),
            last);
    const __mmask32 missing = _mm512_mask_cmpneq_epi16_mask(
        _mm512_cmpeq_epi16_mask(symbol, last), value,
        _mm512_set1_epi16((short)model->value_of[ZNL_SYMBOL_COUNT - 1]));
    if (missing) patch_lanes(missing, work->values, work->first, work->out);
    return symbol;
}

/* Emit the low words of the states that are too large for the next value, and shift these. */
TARGET ZNL_INLINE void renormalise(half *lanes, __m512i frequency, emitted *out)
{
    const __mmask32 full = _mm512_cmpge_epu16_mask(lanes->high, _mm512_slli_epi16(frequency, 4));
    const unsigned count = (unsigned)_mm_popcnt_u32(full);
    out->words -= 2 * count;
    _mm512_mask_storeu_epi16(out->words, _bzhi_u32(~0u, count),
                             _mm512_maskz_compress_epi16(full, lanes->low));
    /* The same comparison by halves of both sides, which fit 15 bits; the right one is even. */
    const __m512i fits =
        is_less(_mm512_srli_epi16(lanes->high, 1), _mm512_slli_epi16(frequency, 3));
    lanes->low = _mm512_ternarylogic_epi64(fits, lanes->low, lanes->high, 0xca); /* select */
    lanes->high = _mm512_and_si512(fits, lanes->high);
}

/* 32 numbers of 32 bits: those of the even and of the odd lanes. */
typedef struct {
    __m512i even, odd;
} wide;

TARGET ZNL_INLINE wide widen(half from)
{
    const wide states = {
        _mm512_mask_blend_epi16(0xaaaaaaaau, from.low, _mm512_slli_epi32(from.high, 16)),
        _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(from.low, 16), from.high)};
    return states;
}

TARGET ZNL_INLINE half narrow(wide from)
{
    const half numbers = {
        _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(from.even, 16), from.odd),
        _mm512_mask_blend_epi16(0xaaaaaaaau, from.even, _mm512_slli_epi32(from.odd, 16))};
    return numbers;
}

/* Quotients, exact or 1 short, from 1 / frequency in float. */
TARGET ZNL_INLINE wide divide(wide states, __m512i symbol, const float *inverse)
{
    const __m512 low = _mm512_loadu_ps(inverse), high = _mm512_loadu_ps(inverse + 16);
    const __m512 even = _mm512_permutex2var_ps(low, symbol, high);
    const __m512 odd = _mm512_permutex2var_ps(low, _mm512_srli_epi32(symbol, 16), high);
    const wide quotients = {
        _mm512_cvttps_epu32(_mm512_mul_ps(_mm512_cvtepu32_ps(states.even), even)),
        _mm512_cvttps_epu32(_mm512_mul_ps(_mm512_cvtepu32_ps(states.odd), odd))};
    return quotients;
}

/* Add 1 to quotients that are 1 short. */
TARGET ZNL_INLINE half add_missing(half quotients, __mmask32 is_short)
{
    const __m512i ones = _mm512_set1_epi16(-1);
    quotients.low = _mm512_mask_sub_epi16(quotients.low, is_short, quotients.low, ones);
    const __mmask32 carries = _mm512_mask_testn_epi16_mask(is_short, quotients.low, quotients.low);
    quotients.high = _mm512_mask_sub_epi16(quotients.high, carries, quotients.high, ones);
    return quotients;
}

/* The slots of symbols and indices, see znl_piece_model. */
TARGET ZNL_INLINE void find_slots(const half_work *works, unsigned count, const __m512i *symbol,
                                  const __m512i *index, __m512i *slot)
{
    __m512i c[MAX_HALVES], piece[MAX_HALVES], shift[MAX_HALVES];
    unsigned steps = 0;
    FOR_HALVES steps = steps > works[h].model->pieces.steps ? steps : works[h].model->pieces.steps;
    FOR_HALVES c[h] = _mm512_add_epi16(index[h], look_up(symbol[h], works[h].model->first));
    FOR_HALVES
    {
        const uint16_t *table = works[h].model->pieces.piece_of;
        piece[h] = _mm512_permutex2var_epi16(_mm512_loadu_si512(table), _mm512_srli_epi16(c[h], 6),
                                             _mm512_loadu_si512(table + 32));
    }
    for (unsigned step = 0; step < steps; step++) FOR_HALVES
        {
            const __m512i is_behind =
                is_less(look_up(piece[h], works[h].model->pieces.last_of), c[h]);
            piece[h] = _mm512_sub_epi16(piece[h], is_behind);
        }
    FOR_HALVES
    {
        const znl_piece_model *pieces = &works[h].model->pieces;
        const __m512i is_own = is_less(index[h], look_up(symbol[h], pieces->threshold));
        shift[h] = _mm512_ternarylogic_epi64(is_own, look_up(symbol[h], pieces->own_shift),
                                             look_up(piece[h], pieces->lent_shift), 0xca);
    }
    FOR_HALVES slot[h] = _mm512_add_epi16(c[h], shift[h]);
}

/* Encode one value of each lane of `count` halves, a constant. */
TARGET ZNL_INLINE void encode_step(half *lanes, const half_work *works, const unsigned count)
{
    __m512i symbol[MAX_HALVES], frequency[MAX_HALVES], index[MAX_HALVES], slot[MAX_HALVES];
    wide states[MAX_HALVES];
    half quotient[MAX_HALVES];
    FOR_HALVES symbol[h] = find_symbols(&works[h]);
    FOR_HALVES frequency[h] = look_up(symbol[h], works[h].model->frequency);
    FOR_HALVES renormalise(&lanes[h], frequency[h], works[h].out);
    FOR_HALVES states[h] = widen(lanes[h]);
    FOR_HALVES states[h] = divide(states[h], symbol[h], works[h].model->inverse);
    FOR_HALVES quotient[h] = narrow(states[h]);
    FOR_HALVES
    {
        const __m512i rest =
            _mm512_sub_epi16(lanes[h].low, _mm512_mullo_epi16(quotient[h].low, frequency[h]));
        /* A rest of `frequency` or more: the quotient is 1 short. Else the difference wraps. */
        index[h] = _mm512_min_epu16(rest, _mm512_sub_epi16(rest, frequency[h]));
        quotient[h] = add_missing(quotient[h], _mm512_cmpge_epu16_mask(rest, frequency[h]));
    }
    find_slots(works, count, symbol, index, slot);
    FOR_HALVES
    {
        lanes[h].high = _mm512_shrdi_epi16(quotient[h].low, quotient[h].high, 4);
        lanes[h].low = _mm512_or_si512(_mm512_slli_epi16(quotient[h].low, 12), slot[h]);
    }
}

/* Encode blocks of `count` chunks, 1 or 2, a constant, side by side. */
TARGET ZNL_INLINE int encode_side_by_side(znl_encode_lanes *const *lanes,
                                          const znl_encode_model *const *models,
                                          const uint16_t *const *symbols, const unsigned count,
                                          size_t first, size_t block_count)
{
    half halves[MAX_HALVES];
    half_work works[MAX_HALVES];
    emitted out[2], ends[2];
    int has_room = 1;
    UNROLLED for (unsigned c = 0; c < count; c++)
    {
        /* The upper halves first: words and patches are emitted in falling order. */
        halves[c] = load_half(lanes[c]->states + HALF_LANES);
        halves[count + c] = load_half(lanes[c]->states);
        works[c].model = works[count + c].model = models[c];
        works[c].out = works[count + c].out = &out[c];
        out[c].words = lanes[c]->words;
        out[c].patches = lanes[c]->patches;
        /* A block must fit above these ends. */
        ends[c].words = out[c].words - 2 * lanes[c]->words_room;
        ends[c].patches = out[c].patches - lanes[c]->patches_room;
    }
    for (size_t i = block_count * ZNL_BLOCK_VALUES; i > 0;) {
        UNROLLED for (unsigned c = 0; c < count; c++) has_room &=
            out[c].words - ends[c].words >= 2 * (ptrdiff_t)ZNL_BLOCK_VALUES &&
            out[c].patches - ends[c].patches >= (ptrdiff_t)ZNL_BLOCK_VALUES;
        if (!has_room) break;
        i -= ZNL_BLOCK_VALUES;
        UNROLLED for (unsigned c = 0; c < count; c++)
        {
            works[c].first = first + i + HALF_LANES;
            works[c].values = symbols[c] + i + HALF_LANES;
            works[count + c].first = first + i;
            works[count + c].values = symbols[c] + i;
        }
        UNROLLED for (unsigned c = 0; c < count; c++)
            znl_fetch_ahead(lanes[c], (first + i) / ZNL_BLOCK_VALUES);
        encode_step(halves, works, 2 * count);
    }
    UNROLLED for (unsigned c = 0; c < count; c++)
    {
        store_half(halves[c], lanes[c]->states + HALF_LANES);
        store_half(halves[count + c], lanes[c]->states);
        lanes[c]->words = out[c].words;
        lanes[c]->patches = out[c].patches;
        lanes[c]->words_room = (size_t)(out[c].words - ends[c].words) / 2;
        lanes[c]->patches_room = (size_t)(out[c].patches - ends[c].patches);
    }
    return has_room ? ZNL_OK : ZNL_E_NO_ROOM;
}

TARGET int znl_rans_encode_avx512(znl_encode_lanes *lanes, const znl_encode_model *model,
                                  const uint16_t *symbols, size_t first, size_t block_count)
{
    if (lanes->lane_count != ZNL_WIDE_LANES)
        return znl_rans_encode_scalar(lanes, model, symbols, first, block_count);
    return encode_side_by_side(&lanes, &model, &symbols, 1, first, block_count);
}

TARGET int znl_rans_encode_pair_avx512(znl_encode_lanes *const lanes[2],
                                       const znl_encode_model *const models[2],
                                       const uint16_t *const symbols[2], size_t first,
                                       size_t block_count)
{
    return encode_side_by_side(lanes, models, symbols, 2, first, block_count);
}

#endif
