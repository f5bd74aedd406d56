/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-64 with AVX2: the eight accumulators in two registers. */
#include "checksum.h"
#include "target.h"

#if ZNL_HAS_AVX2
#include <immintrin.h>

#ifdef __AVX2__
#error "build for the baseline: this file must not decide what other code may use"
#endif

enum {
    STRIPES = 16,
    STRIPE_NBYTES = 64,
    VECTORS = 2,
    VECTOR_NBYTES = 32,
    SCRAMBLE_SECRET_OFFSET = 128
};

ZNL_TARGET_AVX2 static inline __m256i load(const uint8_t *in)
{
    return _mm256_loadu_si256((const __m256i *)(in));
}

/* acc * PRIME32_1 modulo 2^64 out of two 32-bit products. */
ZNL_TARGET_AVX2 static inline __m256i scramble(__m256i acc, const uint8_t *secret)
{
    const __m256i prime = _mm256_set1_epi64x((int)0x9e3779b1u);
    const __m256i mixed =
        _mm256_xor_si256(_mm256_xor_si256(acc, _mm256_srli_epi64(acc, 47)), load(secret));
    const __m256i low = _mm256_mul_epu32(mixed, prime);
    const __m256i high = _mm256_mul_epu32(_mm256_srli_epi64(mixed, 32), prime);
    return _mm256_add_epi64(low, _mm256_slli_epi64(high, 32));
}

ZNL_TARGET_AVX2 static void mix_blocks(uint64_t *acc, const uint8_t *in, size_t block_count,
                                       const uint8_t *secret)
{
    __m256i sums[VECTORS];
    for (int v = 0; v < VECTORS; v++) sums[v] = load((const uint8_t *)(acc + 4 * v));
    for (size_t block = 0; block < block_count; block++) {
        for (int stripe = 0; stripe < STRIPES; stripe++, in += STRIPE_NBYTES)
            for (int v = 0; v < VECTORS; v++) {
                const __m256i data = load(in + VECTOR_NBYTES * v);
                const __m256i keyed =
                    _mm256_xor_si256(data, load(secret + 8 * stripe + VECTOR_NBYTES * v));
                const __m256i product = _mm256_mul_epu32(keyed, _mm256_srli_epi64(keyed, 32));
                const __m256i swapped = _mm256_shuffle_epi32(data, 0x4e);
                sums[v] = _mm256_add_epi64(sums[v], _mm256_add_epi64(product, swapped));
            }
        for (int v = 0; v < VECTORS; v++)
            sums[v] = scramble(sums[v], secret + SCRAMBLE_SECRET_OFFSET + VECTOR_NBYTES * v);
    }
    for (int v = 0; v < VECTORS; v++) _mm256_storeu_si256((__m256i *)(acc + 4 * v), sums[v]);
}

uint64_t znl_xxh3_64_avx2(const uint8_t *in, size_t in_nbytes)
{
    return znl_xxh3_64_by(in, in_nbytes, mix_blocks);
}

#endif
