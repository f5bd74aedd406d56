/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes in AVX-512 registers, for rans_*avx512.c, which include this text after immintrin.h. Not a header
 * for others. */

#undef TARGET
#define TARGET ZNL_TARGET_AVX512
#define HALF_LANES 32

/* In front of loops over arrays that must stay in registers: left to itself, GCC unrolls them too late. */
#if defined(__GNUC__) && !defined(__clang__)
#define UNROLLED _Pragma("GCC unroll 4")
#else
#define UNROLLED
#endif

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
