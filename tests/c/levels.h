/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of every instruction set that this machine has; ZNL_ISA_SCALAR is the definition. */
#ifndef ZNL_TEST_LEVELS_H
#define ZNL_TEST_LEVELS_H

#include "check.h"
#include "errors.h"
#include "kernels.h"

enum { MAX_LEVELS = ZNL_ISA_AVX512 + 1 };

static const char *const LEVEL_NAMES[MAX_LEVELS] = {"scalar", "sse4", "avx2", "avx512"};

static znl_kernels level_kernels[MAX_LEVELS];
static int level_count; /* levels are 0 to level_count - 1 */
static int level;       /* the one in use */

/* Use a level; messages of checks name it. */
static inline const znl_kernels *use_level(int wanted)
{
    level = wanted;
    check_context = LEVEL_NAMES[wanted];
    return &level_kernels[wanted];
}

/* Fill level_kernels; every entry that may not be NULL is set. */
static inline void new_levels(void)
{
    level_count = znl_cpu_isa() + 1;
    CHECK(level_count >= 1 && level_count <= MAX_LEVELS, "%d levels", level_count);
    for (int i = 0; i < level_count; i++) {
        const znl_kernels *made = use_level(i);
        memset(&level_kernels[i], 0, sizeof level_kernels[i]);
        CHECK(znl_kernels_init(&level_kernels[i], i) == ZNL_OK, "no kernels");
        CHECK(made->histogram && made->split && made->merge && made->rans_encode &&
                  made->rans_decode && made->xxh3_64,
              "an entry is missing");
    }
    use_level(ZNL_ISA_SCALAR);
}

#endif
