/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding one value of 32 lanes with AVX-512 (F, BW, VL, VBMI2), for *_avx512.c, which include this text
 * after rans_avx512_lanes.h: a table has 32 entries, one register, so a lookup is one vpermw and nothing
 * is gathered. Not a header for others. */

/* Tables are loaded again and again where registers are short, so they should not straddle lines. */
_Static_assert(sizeof(znl_decode_model) % 64 == 0, "an array of models keeps their alignment");

/* Decode one value of each of 32 lanes; returns their symbol values. With F = frequency << 4,
 * x' = f * (x >> 12) + index becomes low = F * high + carry and high' = its upper half, where
 * carry = (F * (low & 0xf000) >> 16) + index never overflows 16 bits.
 *
 * The latency of the chain from low to low is what counts, and a comparison takes twice as long as other
 * steps: so both symbols of a bucket are followed until it is known which one it is, and a lane is
 * known to take a word (high' is 0) before its carry is added. */
TARGET ZNL_INLINE __m512i decode_step(half *lanes, const uint8_t **words,
                                      const znl_decode_model *model)
{
    const __m512i ones = _mm512_set1_epi16(-1), low = lanes->low;
    const __m512i bucket = _mm512_srli_epi16(low, 7);
    const __m512i bound = _mm512_permutexvar_epi16(bucket, _mm512_loadu_si512(model->bound));
    /* place << 9 | 511 >= threshold << 9 | alias: the slot is lent to the alias. */
    const __mmask32 lent = _mm512_cmpge_epu16_mask(_mm512_shldi_epi16(low, ones, 9), bound);
    const __m512i symbol = _mm512_mask_mov_epi16(bucket, lent, bound);
    const __m512i own_f = _mm512_permutexvar_epi16(bucket, _mm512_loadu_si512(model->own));
    const __m512i lent_f = _mm512_permutexvar_epi16(bucket, _mm512_loadu_si512(model->lent));
    const __m512i shift = _mm512_permutexvar_epi16(bucket, _mm512_loadu_si512(model->shift));
    const __m512i place = _mm512_and_si512(low, _mm512_set1_epi16(127));
    const __m512i quotient = _mm512_and_si512(low, _mm512_set1_epi16((short)0xf000));
    const __m512i own_carry = _mm512_add_epi16(_mm512_mulhi_epu16(own_f, quotient), place);
    const __m512i lent_carry =
        _mm512_add_epi16(_mm512_mulhi_epu16(lent_f, quotient), _mm512_add_epi16(place, shift));
    const __m512i frequency = _mm512_mask_mov_epi16(own_f, lent, lent_f);
    const __m512i carry = _mm512_mask_mov_epi16(own_carry, lent, lent_carry);
    const __m512i next_low = _mm512_add_epi16(_mm512_mullo_epi16(frequency, lanes->high), carry);
    const __m512i next_high = _mm512_mulhi_epu16(frequency, lanes->high);
    const __mmask32 carries = _mm512_cmplt_epu16_mask(next_low, carry);
    const __mmask32 takes = _kandn_mask32(carries, _mm512_testn_epi16_mask(next_high, next_high));
    lanes->high = _mm512_mask_mov_epi16(_mm512_mask_sub_epi16(next_high, carries, next_high, ones),
                                        takes, next_low);
    lanes->low = _mm512_mask_expand_epi16(next_low, takes, _mm512_loadu_si512(*words));
    *words += 2 * (size_t)_mm_popcnt_u32(takes);
    return _mm512_permutexvar_epi16(symbol, _mm512_loadu_si512(model->value_of));
}
