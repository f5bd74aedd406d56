/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-64 with AVX-512: the eight accumulators in one register. */
#include "checksum.h"
#include "target.h"

#if ZNL_HAS_AVX512
#include <immintrin.h>

#ifdef __AVX512F__
#error "build for the baseline: this file must not decide what other code may use"
#endif

enum { STRIPES = 16, STRIPE_NBYTES = 64, SCRAMBLE_SECRET_OFFSET = 128 };

ZNL_TARGET_AVX512 static inline __m512i load(const uint8_t *in)
{
    return _mm512_loadu_si512(in);
}

/* acc * PRIME32_1 modulo 2^64 out of two 32-bit products. */
ZNL_TARGET_AVX512 static inline __m512i scramble(__m512i acc, const uint8_t *secret)
{
    const __m512i prime = _mm512_set1_epi64((int)0x9e3779b1u);
    const __m512i mixed =
        _mm512_xor_si512(_mm512_xor_si512(acc, _mm512_srli_epi64(acc, 47)), load(secret));
    const __m512i low = _mm512_mul_epu32(mixed, prime);
    const __m512i high = _mm512_mul_epu32(_mm512_srli_epi64(mixed, 32), prime);
    return _mm512_add_epi64(low, _mm512_slli_epi64(high, 32));
}

ZNL_TARGET_AVX512 void znl_xxh3_blocks_avx512(uint64_t *acc, const uint8_t *in, size_t block_count,
                                              const uint8_t *secret)
{
    __m512i sums = load((const uint8_t *)acc);
    for (size_t block = 0; block < block_count; block++) {
        /* Words are summed in their own order and swapped once. The sums of a block do not wait for
         * those of the last, so only one addition a block is in the chain through the scrambles. */
        __m512i products = _mm512_setzero_si512(), words = products;
        for (int stripe = 0; stripe < STRIPES; stripe++, in += STRIPE_NBYTES) {
            const __m512i data = load(in);
            const __m512i keyed = _mm512_xor_si512(data, load(secret + 8 * stripe));
            words = _mm512_add_epi64(words, data);
            products =
                _mm512_add_epi64(products, _mm512_mul_epu32(keyed, _mm512_srli_epi64(keyed, 32)));
        }
        sums = _mm512_add_epi64(
            sums, _mm512_add_epi64(products, _mm512_shuffle_epi32(words, (_MM_PERM_ENUM)0x4e)));
        sums = scramble(sums, secret + SCRAMBLE_SECRET_OFFSET);
    }
    _mm512_storeu_si512(acc, sums);
}

uint64_t znl_xxh3_64_avx512(const uint8_t *in, size_t in_nbytes)
{
    return znl_xxh3_64_by(in, in_nbytes, znl_xxh3_blocks_avx512);
}

#endif
