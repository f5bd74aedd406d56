/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3-64 (seed 0, default secret) in portable C, written from the published specification. */
#include "checksum.h"

#include "bytes.h"

#define PRIME32_1 UINT64_C(0x9E3779B1)
#define PRIME32_2 UINT64_C(0x85EBCA77)
#define PRIME32_3 UINT64_C(0xC2B2AE3D)
#define PRIME64_1 UINT64_C(0x9E3779B185EBCA87)
#define PRIME64_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRIME64_3 UINT64_C(0x165667B19E3779F9)
#define PRIME64_4 UINT64_C(0x85EBCA77C2B2AE63)
#define PRIME64_5 UINT64_C(0x27D4EB2F165667C5)
#define PRIME_MX1 UINT64_C(0x165667919E3779F9)
#define PRIME_MX2 UINT64_C(0x9FB21C651E98DF25)

enum {
    SECRET_NBYTES = 192,
    STRIPE_NBYTES = 64,
    ACC_COUNT = STRIPE_NBYTES / 8,
    SECRET_STEP_NBYTES = 8, /* the secret slides this far from one stripe to the next */
    STRIPES_PER_BLOCK = (SECRET_NBYTES - STRIPE_NBYTES) / SECRET_STEP_NBYTES,
    BLOCK_NBYTES = STRIPES_PER_BLOCK * STRIPE_NBYTES,

    /* Where the specification reads the secret at a place of its own. */
    SCRAMBLE_SECRET_OFFSET = SECRET_NBYTES - STRIPE_NBYTES,
    LAST_STRIPE_SECRET_OFFSET = SECRET_NBYTES - 71,
    MERGE_SECRET_OFFSET = 11,
    SECOND_PASS_SECRET_OFFSET = 3,
    LAST_MIX_SECRET_OFFSET = 119,
};

static const uint8_t SECRET[SECRET_NBYTES] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* Xor of the high and the low half of the 128-bit product a * b. */
static uint64_t multiply_and_fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 uint128;
    const uint128 product = (uint128)a * b;
    return (uint64_t)(product >> 64) ^ (uint64_t)product;
#else
    const uint64_t a_low = a & 0xffffffffu, a_high = a >> 32;
    const uint64_t b_low = b & 0xffffffffu, b_high = b >> 32;
    const uint64_t low_low = a_low * b_low;
    /* Neither sum can wrap: (2^32 - 1)^2 + 2 * (2^32 - 1) is 2^64 - 1. */
    const uint64_t middle = a_high * b_low + (low_low >> 32);
    const uint64_t carry = a_low * b_high + (middle & 0xffffffffu);
    const uint64_t high = a_high * b_high + (middle >> 32) + (carry >> 32);
    return high ^ (carry << 32 | (low_low & 0xffffffffu));
#endif
}

static uint64_t avalanche(uint64_t value)
{
    value ^= value >> 37;
    value *= PRIME_MX1;
    return value ^ value >> 32;
}

/* The final mix of XXH64, which XXH3 keeps for its shortest inputs. */
static uint64_t avalanche_xxh64(uint64_t value)
{
    value ^= value >> 33;
    value *= PRIME64_2;
    value ^= value >> 29;
    value *= PRIME64_3;
    return value ^ value >> 32;
}

/* Two neighbouring words of the secret, combined as the short inputs use them. */
static uint64_t secret_pair(size_t secret_offset)
{
    return load_u64le(SECRET + secret_offset) ^ load_u64le(SECRET + secret_offset + 8);
}

static uint64_t hash_0(void)
{
    return avalanche_xxh64(secret_pair(56));
}

static uint64_t hash_1_to_3(const uint8_t *in, size_t in_nbytes)
{
    const uint32_t combined = in[in_nbytes - 1] | (uint32_t)in_nbytes << 8 | (uint32_t)in[0] << 16 |
                              (uint32_t)in[in_nbytes / 2] << 24;
    return avalanche_xxh64(load_u32le(SECRET) ^ load_u32le(SECRET + 4) ^ combined);
}

static uint64_t hash_4_to_8(const uint8_t *in, size_t in_nbytes)
{
    const uint64_t first = load_u32le(in);
    const uint64_t last = load_u32le(in + in_nbytes - 4);
    uint64_t value = secret_pair(8) ^ (last | first << 32);
    value ^= rotate_left(value, 49) ^ rotate_left(value, 24);
    value *= PRIME_MX2;
    value ^= (value >> 35) + in_nbytes;
    value *= PRIME_MX2;
    return value ^ value >> 28;
}

static uint64_t hash_9_to_16(const uint8_t *in, size_t in_nbytes)
{
    const uint64_t low = secret_pair(24) ^ load_u64le(in);
    const uint64_t high = secret_pair(40) ^ load_u64le(in + in_nbytes - 8);
    return avalanche(in_nbytes + swap_u64(low) + high + multiply_and_fold(low, high));
}

/* Mix the 16 bytes at `in` with the 16 bytes of the secret at `secret_offset`. */
static uint64_t mix_16(const uint8_t *in, size_t secret_offset)
{
    return multiply_and_fold(load_u64le(in) ^ load_u64le(SECRET + secret_offset),
                             load_u64le(in + 8) ^ load_u64le(SECRET + secret_offset + 8));
}

static uint64_t hash_17_to_128(const uint8_t *in, size_t in_nbytes)
{
    const size_t pair_count = (in_nbytes - 1) / 32 + 1;
    uint64_t acc = in_nbytes * PRIME64_1;
    /* From both ends towards the middle, where the two halves may overlap. */
    for (size_t i = 0; i < pair_count; i++) {
        acc += mix_16(in + 16 * i, 32 * i);
        acc += mix_16(in + in_nbytes - 16 * (i + 1), 32 * i + 16);
    }
    return avalanche(acc);
}

static uint64_t hash_129_to_240(const uint8_t *in, size_t in_nbytes)
{
    uint64_t acc = in_nbytes * PRIME64_1;
    for (size_t i = 0; i < 8; i++) acc += mix_16(in + 16 * i, 16 * i);
    acc = avalanche(acc);
    for (size_t i = 8; i < in_nbytes / 16; i++)
        acc += mix_16(in + 16 * i, 16 * (i - 8) + SECOND_PASS_SECRET_OFFSET);
    acc += mix_16(in + in_nbytes - 16, LAST_MIX_SECRET_OFFSET);
    return avalanche(acc);
}

/* Add `stripe_count` stripes to the accumulators.
 *
 * acc     in and out, ACC_COUNT entries
 * in      STRIPE_NBYTES * stripe_count bytes
 * secret  read for STRIPE_NBYTES + SECRET_STEP_NBYTES * (stripe_count - 1) bytes
 */
static void accumulate(uint64_t *restrict acc, const uint8_t *restrict in, size_t stripe_count,
                       const uint8_t *restrict secret)
{
    /* The specification adds word i to accumulator i ^ 1. Additions commute, so the words are
     * summed in their own order and swapped once at the end: no shuffle per stripe. */
    uint64_t products[ACC_COUNT] = {0};
    uint64_t words[ACC_COUNT] = {0};
    for (size_t stripe = 0; stripe < stripe_count; stripe++) {
        for (size_t i = 0; i < ACC_COUNT; i++) {
            const uint64_t word = load_u64le(in + 8 * i);
            const uint64_t keyed = word ^ load_u64le(secret + 8 * i);
            words[i] += word;
            products[i] += (keyed & 0xffffffffu) * (keyed >> 32);
        }
        in += STRIPE_NBYTES;
        secret += SECRET_STEP_NBYTES;
    }
    for (size_t i = 0; i < ACC_COUNT; i++) acc[i] += products[i] + words[i ^ 1];
}

static void scramble(uint64_t *acc)
{
    for (size_t i = 0; i < ACC_COUNT; i++) {
        const uint64_t mixed = acc[i] ^ acc[i] >> 47;
        acc[i] = (mixed ^ load_u64le(SECRET + SCRAMBLE_SECRET_OFFSET + 8 * i)) * PRIME32_1;
    }
}

void znl_xxh3_blocks_scalar(uint64_t *acc, const uint8_t *in, size_t block_count,
                            const uint8_t *secret)
{
    for (size_t i = 0; i < block_count; i++, in += BLOCK_NBYTES) {
        accumulate(acc, in, STRIPES_PER_BLOCK, secret);
        scramble(acc);
    }
}

/* Fold the accumulators into one value that starts as `value`. */
static uint64_t merge(const uint64_t *acc, uint64_t value)
{
    const uint8_t *secret = SECRET + MERGE_SECRET_OFFSET;
    for (size_t i = 0; i < ACC_COUNT; i += 2)
        value += multiply_and_fold(acc[i] ^ load_u64le(secret + 8 * i),
                                   acc[i + 1] ^ load_u64le(secret + 8 * i + 8));
    return avalanche(value);
}

void znl_xxh3_begin(znl_xxh3_state *state)
{
    static const uint64_t start[ACC_COUNT] = {PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3,
                                              PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1};
    memcpy(state->acc, start, sizeof start);
    state->block_count = 0;
}

void znl_xxh3_grow(znl_xxh3_state *state, const uint8_t *in, size_t done_nbytes, size_t in_nbytes,
                   znl_xxh3_blocks_fn *blocks)
{
    /* The last block is not scrambled, even a full one, so it keeps 1 to BLOCK_NBYTES bytes. */
    const size_t done = done_nbytes < in_nbytes ? done_nbytes : in_nbytes ? in_nbytes - 1 : 0;
    const size_t block_count = done / BLOCK_NBYTES;
    if (block_count <= state->block_count) return;
    blocks(state->acc, in + BLOCK_NBYTES * state->block_count, block_count - state->block_count,
           SECRET);
    state->block_count = block_count;
}

static uint64_t hash_short(const uint8_t *in, size_t in_nbytes)
{
    if (in_nbytes > 128) return hash_129_to_240(in, in_nbytes);
    if (in_nbytes > 16) return hash_17_to_128(in, in_nbytes);
    if (in_nbytes > 8) return hash_9_to_16(in, in_nbytes);
    if (in_nbytes > 3) return hash_4_to_8(in, in_nbytes);
    if (in_nbytes > 0) return hash_1_to_3(in, in_nbytes);
    return hash_0();
}

uint64_t znl_xxh3_end(znl_xxh3_state *state, const uint8_t *in, size_t in_nbytes,
                      znl_xxh3_blocks_fn *blocks)
{
    if (in_nbytes <= 240) return hash_short(in, in_nbytes);
    znl_xxh3_grow(state, in, in_nbytes, in_nbytes, blocks);
    /* The last stripe ends where the input does and may overlap the stripe before it. */
    const size_t mixed_nbytes = BLOCK_NBYTES * state->block_count;
    const size_t stripe_count = (in_nbytes - mixed_nbytes - 1) / STRIPE_NBYTES;
    accumulate(state->acc, in + mixed_nbytes, stripe_count, SECRET);
    accumulate(state->acc, in + in_nbytes - STRIPE_NBYTES, 1, SECRET + LAST_STRIPE_SECRET_OFFSET);
    return merge(state->acc, in_nbytes * PRIME64_1);
}

uint64_t znl_xxh3_64_by(const uint8_t *in, size_t in_nbytes, znl_xxh3_blocks_fn *blocks)
{
    znl_xxh3_state state;
    znl_xxh3_begin(&state);
    return znl_xxh3_end(&state, in, in_nbytes, blocks);
}

uint64_t znl_xxh3_64_scalar(const uint8_t *in, size_t in_nbytes)
{
    return znl_xxh3_64_by(in, in_nbytes, znl_xxh3_blocks_scalar);
}
