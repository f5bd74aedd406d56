/* SPDX-License-Identifier: Apache-2.0 */
/* The look at a chunk that decides whether it may be composed: no for weights, yes for what it is made for, and
 * nothing read around the values, wherever they lie. */
#include "layout.h"
#include "values.h"

enum { VALUES = 50000, REPEATS = 40 };

/* stored: bytes of the body; 0: the chunk is raw. */
static int stored_seems_composable(unsigned dtype, const uint8_t *source, size_t nbytes,
                                   unsigned shift, size_t stored)
{
    guarded room = guarded_new(nbytes + shift, 0, 0);
    memcpy(room.bytes + shift, source, nbytes);
    znl_chunk chunk;
    memset(&chunk, 0, sizeof chunk);
    chunk.dtype = (uint8_t)dtype;
    chunk.source = room.bytes + shift;
    chunk.source_nbytes = (uint32_t)nbytes;
    chunk.method = stored ? ZNL_METHOD_STATIC : ZNL_METHOD_RAW;
    chunk.body_nbytes = (uint32_t)stored;
    uint32_t number = 77;
    const size_t count = znl_list_composable(&chunk, 1, &number);
    CHECK(count <= 1 && number == (count ? 0 : 77), "dtype %u: %zu, %u", dtype, count, number);
    CHECK(guarded_free(&room), "dtype %u", dtype);
    return count == 1;
}

static int seems_composable(unsigned dtype, const uint8_t *source, size_t nbytes, unsigned shift)
{
    return stored_seems_composable(dtype, source, nbytes, shift, nbytes / 2);
}

/* Floats of 9 symbol bits and more that are stored badly: a yes for exponents, a no for noise. */
static void check_wide(unsigned dtype, int has_exponents)
{
    static uint8_t source[VALUES * 8];
    const size_t width = dtype_width(dtype), nbytes = VALUES * width;
    for (unsigned i = 0; i < REPEATS; i++) {
        make_values(dtype, GAUSSIAN, i + 1, source, VALUES);
        const int wide =
            stored_seems_composable(dtype, source, nbytes, i % 8, nbytes - nbytes / 99);
        CHECK(wide == has_exponents, "dtype %u: %d", dtype, wide);
        CHECK(stored_seems_composable(dtype, source, nbytes, i % 8, 0) == has_exponents,
              "dtype %u, raw", dtype);
        make_values(dtype, RANDOM_BITS, i + 1, source, VALUES);
        CHECK(!stored_seems_composable(dtype, source, nbytes, i % 8, 0), "dtype %u, noise", dtype);
    }
}

static void check_pattern(unsigned dtype, enum pattern pattern, int expected)
{
    static uint8_t source[VALUES * 8];
    const size_t nbytes = (size_t)VALUES * dtype_width(dtype);
    for (unsigned i = 0; i < REPEATS; i++) {
        make_values(dtype, pattern, 100 * dtype + i, source, VALUES);
        const int answer = seems_composable(dtype, source, nbytes, i % 8);
        CHECK(answer == expected, "dtype %u, %s: %d", dtype, PATTERN_NAMES[pattern], answer);
    }
}

/* Two numbers of 4 bits to a byte, each nearly normal, as 4-bit weights are; or bytes that are. */
static void check_nibbles(unsigned dtype, int expected)
{
    static uint8_t source[VALUES];
    uint64_t seed = dtype;
    for (size_t i = 0; i < VALUES; i++) {
        const unsigned low = (unsigned)(8.5 + 2 * random_gaussian(&seed)) & 15;
        const unsigned high = (unsigned)(8.5 + 2 * random_gaussian(&seed)) & 15;
        source[i] = (uint8_t)(low | high << 4);
    }
    const int answer = seems_composable(dtype, source, VALUES, 0);
    CHECK(answer == expected, "nibbles of dtype %u: %d", dtype, answer);
}

static void check_sizes(void)
{
    static const uint8_t zeros[4096];
    for (unsigned nbytes = 0; nbytes < 4096; nbytes += 7) {
        const int is_enough = nbytes >= 512 && nbytes % 2 == 0;
        const int answer = seems_composable(4, zeros, nbytes, nbytes % 3);
        CHECK(answer == is_enough, "%u bytes: %d", nbytes, answer);
    }
    CHECK(!seems_composable(16, zeros, 4096, 0), "a dtype without a layout");
}

int main(void)
{
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const unsigned dtype = MODELLED_DTYPES[d];
        check_pattern(dtype, TWO, 1);
        check_pattern(dtype, SPARSE, 1);
        check_pattern(dtype, RANDOM_BITS, 0);
        /* The others are integers: where they are small, it depends. */
        if (dtype < 10) check_pattern(dtype, GAUSSIAN, 0);
    }
    for (unsigned dtype = 1; dtype < 10; dtype++) check_wide(dtype, dtype < 6 && dtype != 3);
    check_nibbles(14, 1);
    check_nibbles(15, 1);
    check_nibbles(7, 0); /* no floats of 8 bits hold others */
    check_sizes();
    return check_result();
}
