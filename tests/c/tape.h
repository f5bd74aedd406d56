/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share: the input as a tape, the kernels it chose, buffers of exact size. */
#ifndef ZNL_TEST_TAPE_H
#define ZNL_TEST_TAPE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "kernels.h"

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) abort();                                                                 \
    } while (0)

/* The input as a tape; past its end it goes on with a generator, so a short input fills any buffer. */
typedef struct {
    const uint8_t *in;
    size_t left;
    uint32_t state;
} tape;

static inline uint8_t next_u8(tape *from)
{
    if (from->left) {
        from->left--;
        from->state = from->state * 16777619u ^ *from->in;
        return *from->in++;
    }
    from->state = from->state * 1664525u + 1013904223u;
    return (uint8_t)(from->state >> 24);
}

static inline uint32_t next_u32(tape *from)
{
    uint32_t value = next_u8(from);
    for (unsigned i = 1; i < 4; i++) value |= (uint32_t)next_u8(from) << (8 * i);
    return value;
}

static inline uint8_t *exactly(size_t nbytes)
{
    uint8_t *bytes = malloc(nbytes ? nbytes : 1);
    REQUIRE(bytes);
    return bytes;
}

/* The kernels that the input chose, and the portable ones. */
static znl_kernels chosen, portable;

static inline void choose_kernels(uint8_t byte)
{
    REQUIRE(znl_kernels_init(&portable, ZNL_ISA_SCALAR) == ZNL_OK);
    /* A campaign on one level names its number. */
    const char *forced = getenv("ZNL_FUZZ_ISA");
    if (forced) {
        REQUIRE(znl_kernels_init(&chosen, atoi(forced)) == ZNL_OK);
        return;
    }
    /* The best ones most often: they have the most code of their own. */
    const int best = znl_cpu_isa(), below = byte % 8 < 4 ? 0 : byte % 4;
    int isa = best > below ? best - below : ZNL_ISA_SCALAR;
    while (!znl_cpu_has(isa)) isa--; /* a number of another architecture */
    REQUIRE(znl_kernels_init(&chosen, isa) == ZNL_OK);
}

#endif
