/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of every instruction set that this machine has; ZNL_ISA_SCALAR is the definition. */
#ifndef ZNL_TEST_LEVELS_H
#define ZNL_TEST_LEVELS_H

#include "check.h"
#include "errors.h"
#include "kernels.h"

enum { MAX_LEVELS = ZNL_ISA_COUNT };

static const char *const ISA_NAMES[ZNL_ISA_COUNT] = {"scalar", "sse4", "avx2", "avx512", "neon"};

static znl_kernels level_kernels[MAX_LEVELS];
static int level_isas[MAX_LEVELS];
static int level_count; /* levels are 0 to level_count - 1; 0 is ZNL_ISA_SCALAR */
static int level;       /* the one in use */

/* Use a level; messages of checks name it. */
static inline const znl_kernels *use_level(int wanted)
{
    level = wanted;
    check_context = ISA_NAMES[level_isas[wanted]];
    return &level_kernels[wanted];
}

/* Fill level_kernels; every entry that may not be NULL is set. */
static inline void new_levels(void)
{
    for (int isa = ZNL_ISA_SCALAR; isa < ZNL_ISA_COUNT; isa++)
        if (znl_cpu_has(isa)) level_isas[level_count++] = isa;
    CHECK(level_count >= 1 && level_isas[0] == ZNL_ISA_SCALAR, "%d levels", level_count);
    CHECK(level_isas[level_count - 1] == znl_cpu_isa(), "the best is not the last");
    for (int i = 0; i < level_count; i++) {
        const znl_kernels *made = use_level(i);
        memset(&level_kernels[i], 0, sizeof level_kernels[i]);
        CHECK(znl_kernels_init(&level_kernels[i], level_isas[i]) == ZNL_OK, "no kernels");
        CHECK(made->histogram && made->split && made->merge && made->rans_encode &&
                  made->rans_decode && made->xxh3_64,
              "an entry is missing");
    }
    use_level(ZNL_ISA_SCALAR);
}

#endif
