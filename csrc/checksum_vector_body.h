/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-64 with the eight accumulators in 128- or 256-bit vectors: checksum_sse4.c and checksum_avx2.c
 * include this text. Not a header for others. */

enum {
    STRIPES = 16,
    STRIPE_NBYTES = 64,
    VECTORS = STRIPE_NBYTES / sizeof(V),
    SCRAMBLE_SECRET_OFFSET = 128
};

/* acc * PRIME32_1 modulo 2^64 out of two 32-bit products. */
TARGET ZNL_INLINE V scramble(V acc, const uint8_t *secret)
{
    const V prime = SET64((int)0x9e3779b1u);
    const V mixed = XOR(XOR(acc, SHIFT_RIGHT64(acc, 47)), LOAD(secret));
    const V low = MUL32(mixed, prime), high = MUL32(SHIFT_RIGHT64(mixed, 32), prime);
    return ADD64(low, SHIFT_LEFT64(high, 32));
}

TARGET void MIX_BLOCKS(uint64_t *acc, const uint8_t *in, size_t block_count, const uint8_t *secret)
{
    V sums[VECTORS];
    for (unsigned v = 0; v < VECTORS; v++) sums[v] = LOAD((const uint8_t *)acc + sizeof(V) * v);
    for (size_t block = 0; block < block_count; block++) {
        for (unsigned stripe = 0; stripe < STRIPES; stripe++, in += STRIPE_NBYTES)
            for (unsigned v = 0; v < VECTORS; v++) {
                const V data = LOAD(in + sizeof(V) * v);
                const V keyed = XOR(data, LOAD(secret + 8 * stripe + sizeof(V) * v));
                const V product = MUL32(keyed, SHIFT_RIGHT64(keyed, 32));
                sums[v] = ADD64(sums[v], ADD64(product, SWAP_HALVES64(data)));
            }
        for (unsigned v = 0; v < VECTORS; v++)
            sums[v] = scramble(sums[v], secret + SCRAMBLE_SECRET_OFFSET + sizeof(V) * v);
    }
    for (unsigned v = 0; v < VECTORS; v++) STORE((uint8_t *)acc + sizeof(V) * v, sums[v]);
}

uint64_t CHECKSUM(const uint8_t *in, size_t in_nbytes)
{
    return znl_xxh3_64_by(in, in_nbytes, MIX_BLOCKS);
}
