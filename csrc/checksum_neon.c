/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-64 with NEON: the eight accumulators in four registers. */
#include "checksum.h"
#include "target.h"

#if ZNL_HAS_NEON
#include <arm_neon.h>

enum { STRIPES = 16, STRIPE_NBYTES = 64, VECTOR_NBYTES = 16, SCRAMBLE_SECRET_OFFSET = 128 };

/* The accumulators, and the sums of the words that go to their neighbours: these wait for the end
 * of a block, so that there is one swap for 16 stripes. */
typedef struct {
    uint64x2_t sums[4], words[4];
} accumulators;

ZNL_INLINE uint32x4_t load(const uint8_t *in)
{
    return vreinterpretq_u32_u8(vld1q_u8(in));
}

/* Add 32 bytes to accumulators v and v + 1. */
ZNL_INLINE void add_words(accumulators *acc, int v, const uint8_t *in, const uint8_t *secret)
{
    const uint32x4_t first = load(in), second = load(in + VECTOR_NBYTES);
    const uint32x4_t first_keyed = veorq_u32(first, load(secret));
    const uint32x4_t second_keyed = veorq_u32(second, load(secret + VECTOR_NBYTES));
    const uint32x4_t low = vuzp1q_u32(first_keyed, second_keyed);
    const uint32x4_t high = vuzp2q_u32(first_keyed, second_keyed);
    acc->sums[v] = vmlal_u32(acc->sums[v], vget_low_u32(low), vget_low_u32(high));
    acc->sums[v + 1] = vmlal_high_u32(acc->sums[v + 1], low, high);
    acc->words[v] = vaddq_u64(acc->words[v], vreinterpretq_u64_u32(first));
    acc->words[v + 1] = vaddq_u64(acc->words[v + 1], vreinterpretq_u64_u32(second));
}

/* End a block: accumulator * PRIME32_1 modulo 2^64 out of two 32-bit products. */
ZNL_INLINE void scramble(accumulators *acc, int v, const uint8_t *secret)
{
    const uint32x2_t prime = vdup_n_u32(0x9e3779b1u);
    const uint64x2_t sum = vaddq_u64(acc->sums[v], vextq_u64(acc->words[v], acc->words[v], 1));
    const uint64x2_t folded = veorq_u64(sum, vshrq_n_u64(sum, 47));
    const uint64x2_t mixed = veorq_u64(folded, vreinterpretq_u64_u32(load(secret)));
    const uint32x2_t high = vmul_u32(vshrn_n_u64(mixed, 32), prime);
    acc->sums[v] = vmlal_u32(vshll_n_u32(high, 32), vmovn_u64(mixed), prime);
    acc->words[v] = vdupq_n_u64(0);
}

void znl_xxh3_blocks_neon(uint64_t *acc, const uint8_t *in, size_t block_count,
                          const uint8_t *secret)
{
    accumulators a = {{vld1q_u64(acc), vld1q_u64(acc + 2), vld1q_u64(acc + 4), vld1q_u64(acc + 6)},
                      {vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0), vdupq_n_u64(0)}};
    for (size_t block = 0; block < block_count; block++) {
        for (int stripe = 0; stripe < STRIPES; stripe++, in += STRIPE_NBYTES) {
            add_words(&a, 0, in, secret + 8 * stripe);
            add_words(&a, 2, in + 2 * VECTOR_NBYTES, secret + 8 * stripe + 2 * VECTOR_NBYTES);
        }
        const uint8_t *last = secret + SCRAMBLE_SECRET_OFFSET;
        scramble(&a, 0, last);
        scramble(&a, 1, last + VECTOR_NBYTES);
        scramble(&a, 2, last + 2 * VECTOR_NBYTES);
        scramble(&a, 3, last + 3 * VECTOR_NBYTES);
    }
    for (int v = 0; v < 4; v++) vst1q_u64(acc + 2 * v, a.sums[v]);
}

uint64_t znl_xxh3_64_neon(const uint8_t *in, size_t in_nbytes)
{
    return znl_xxh3_64_by(in, in_nbytes, znl_xxh3_blocks_neon);
}

#endif
