/* SPDX-License-Identifier: Apache-2.0 */
/* The dispatch table: one function type per kernel family, one struct of pointers. The portable C version of each
 * is its definition; an instruction set overwrites the entries that it has. */
#ifndef ZNL_KERNELS_H
#define ZNL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include "planes.h"
#include "rans.h"

typedef struct znl_kernels {
    znl_histogram_fn *histogram;
    znl_split_fn *split;
    znl_merge_fn *merge;
    znl_rans_encode_fn *rans_encode;
    znl_rans_decode_fn *rans_decode;
    uint64_t (*xxh3_64)(const uint8_t *in, size_t in_nbytes);
} znl_kernels;

/* Fill the table for an instruction set. Returns ZNL_OK or ZNL_E_NO_ISA: never a silent step down. */
int znl_kernels_init(znl_kernels *kernels, int isa);

#endif
