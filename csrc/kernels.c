/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the dispatch table. */
#include "kernels.h"

#include "checksum.h"
#include "errors.h"

static void init_scalar(znl_kernels *kernels)
{
    kernels->histogram = znl_histogram_scalar;
    kernels->split = znl_split_scalar;
    kernels->merge = znl_merge_scalar;
    kernels->rans_encode = znl_rans_encode_scalar;
    kernels->rans_decode = znl_rans_decode_scalar;
    kernels->xxh3_64 = znl_xxh3_64_scalar;
}

int znl_cpu_isa(void)
{
    return ZNL_ISA_SCALAR;
}

int znl_kernels_init(znl_kernels *kernels, int isa)
{
    if (isa < ZNL_ISA_SCALAR || isa > znl_cpu_isa()) return ZNL_E_NO_ISA;
    init_scalar(kernels); /* from here every entry is set */
    return ZNL_OK;
}

uint64_t znl_xxh3_64(const uint8_t *in, size_t in_nbytes)
{
    return znl_xxh3_64_scalar(in, in_nbytes);
}

const char *znl_error_text(int64_t code)
{
    switch (code) {
    case ZNL_OK: return "no error";
#define ZNL_ERROR_TEXT(name, number, text)                                                         \
    case (number): return text;
        ZNL_ERRORS(ZNL_ERROR_TEXT)
#undef ZNL_ERROR_TEXT
    default: return "an unknown error code";
    }
}
