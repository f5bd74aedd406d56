/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-64: the checksum of headers, records and decoded chunks (docs/format.md). */
#ifndef ZNL_CHECKSUM_H
#define ZNL_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Checksum bytes with XXH3-64, seed 0 and the default secret.
 *
 * in[0..in_nbytes)  bytes to check, any alignment; may be NULL when in_nbytes is 0
 * returns           the checksum, the same on every host; any input has one, so there is no error
 * source            XXH3 algorithm in doc/xxhash_spec.md of the xxHash project, version 0.2.0
 */
typedef uint64_t znl_xxh3_64_fn(const uint8_t *in, size_t in_nbytes);

/* The inner loop, which vector versions replace: mix block_count blocks of 1024 bytes into the eight
 * accumulators, each block followed by its scramble. secret: the 192 bytes of the specification. */
typedef void znl_xxh3_blocks_fn(uint64_t *acc, const uint8_t *in, size_t block_count,
                                const uint8_t *secret);

/* The checksum with the inner loop given. */
uint64_t znl_xxh3_64_by(const uint8_t *in, size_t in_nbytes, znl_xxh3_blocks_fn *blocks);

/* A checksum taken while its input comes into being: what is new is mixed while it is still near. */
typedef struct {
    uint64_t acc[8];
    size_t block_count; /* blocks of 1024 bytes mixed so far */
} znl_xxh3_state;

void znl_xxh3_begin(znl_xxh3_state *state);

/* in[0..done_nbytes) of the in_nbytes of the whole input are there. */
void znl_xxh3_grow(znl_xxh3_state *state, const uint8_t *in, size_t done_nbytes, size_t in_nbytes,
                   znl_xxh3_blocks_fn *blocks);

/* All of them are there: the checksum. */
uint64_t znl_xxh3_end(znl_xxh3_state *state, const uint8_t *in, size_t in_nbytes,
                      znl_xxh3_blocks_fn *blocks);

znl_xxh3_64_fn znl_xxh3_64_scalar, znl_xxh3_64_sse4, znl_xxh3_64_avx2, znl_xxh3_64_avx512,
    znl_xxh3_64_neon;
znl_xxh3_blocks_fn znl_xxh3_blocks_scalar, znl_xxh3_blocks_sse4, znl_xxh3_blocks_avx2,
    znl_xxh3_blocks_avx512, znl_xxh3_blocks_neon;

#endif
