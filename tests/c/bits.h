/* SPDX-License-Identifier: Apache-2.0 */
/* Bits one by one, lowest first: what the tests hold against code that moves whole words. */
#ifndef ZNL_TEST_BITS_H
#define ZNL_TEST_BITS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *out;
    size_t bit; /* the next one */
} bit_sink;

static inline void put_low_bits(bit_sink *to, unsigned value, unsigned bits)
{
    for (unsigned i = 0; i < bits; i++, to->bit++) {
        uint8_t *byte = &to->out[to->bit / 8];
        *byte = (uint8_t)((*byte & ~(1u << to->bit % 8)) | (value >> i & 1u) << to->bit % 8);
    }
}

#endif
