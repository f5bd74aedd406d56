/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the dispatch table. */
#include "kernels.h"

#include "checksum.h"
#include "errors.h"
#include "target.h"

static void init_scalar(znl_kernels *kernels)
{
    kernels->histogram = znl_histogram_scalar;
    kernels->split = znl_split_scalar;
    kernels->merge = znl_merge_scalar;
    kernels->rans_encode = znl_rans_encode_scalar;
    kernels->rans_encode_pair = NULL;
    kernels->rans_decode = znl_rans_decode_scalar;
    kernels->decode_pair = NULL;
    kernels->wants_slots = 1;
    kernels->arrange_row = NULL;
    kernels->restore_row = NULL;
    kernels->count_contexts = znl_count_contexts_scalar;
    kernels->sort_second = znl_sort_second_scalar;
    kernels->spread_second = znl_spread_second_scalar;
    kernels->read_fields = znl_read_fields_scalar;
    kernels->score_row = znl_score_row_scalar;
    kernels->find_places = znl_find_places_scalar;
    kernels->xxh3_64 = znl_xxh3_64_scalar;
    kernels->xxh3_blocks = znl_xxh3_blocks_scalar;
}

#if ZNL_HAS_SSE4
static void init_sse4(znl_kernels *kernels)
{
    kernels->split = znl_split_sse4;
    kernels->merge = znl_merge_sse4;
    kernels->rans_encode = znl_rans_encode_sse4;
    kernels->rans_decode = znl_rans_decode_sse4;
    kernels->wants_slots = 0;
    kernels->score_row = znl_score_row_sse4;
    kernels->find_places = znl_find_places_sse4;
    kernels->xxh3_64 = znl_xxh3_64_sse4;
    kernels->xxh3_blocks = znl_xxh3_blocks_sse4;
}
#endif

#if ZNL_HAS_AVX2
static void init_avx2(znl_kernels *kernels)
{
    kernels->split = znl_split_avx2;
    kernels->merge = znl_merge_avx2;
    kernels->rans_encode = znl_rans_encode_avx2;
    kernels->rans_decode = znl_rans_decode_avx2;
    kernels->decode_pair = znl_decode_pair_avx2;
    kernels->read_fields = znl_read_fields_avx2;
    kernels->score_row = znl_score_row_avx2;
    kernels->find_places = znl_find_places_avx2;
    kernels->xxh3_64 = znl_xxh3_64_avx2;
    kernels->xxh3_blocks = znl_xxh3_blocks_avx2;
}
#endif

#if ZNL_HAS_AVX512
static void init_avx512(znl_kernels *kernels)
{
    kernels->split = znl_split_avx512;
    kernels->merge = znl_merge_avx512;
    kernels->rans_encode = znl_rans_encode_avx512;
    kernels->rans_encode_pair = znl_rans_encode_pair_avx512;
    kernels->rans_decode = znl_rans_decode_avx512;
    kernels->decode_pair = znl_decode_pair_avx512;
    kernels->arrange_row = znl_arrange_row_avx512;
    kernels->restore_row = znl_restore_row_avx512;
    kernels->count_contexts = znl_count_contexts_avx512;
    kernels->sort_second = znl_sort_second_avx512;
    kernels->spread_second = znl_spread_second_avx512;
    kernels->score_row = znl_score_row_avx512;
    kernels->xxh3_64 = znl_xxh3_64_avx512;
    kernels->xxh3_blocks = znl_xxh3_blocks_avx512;
}
#endif

#if ZNL_HAS_NEON
static void init_neon(znl_kernels *kernels)
{
    kernels->split = znl_split_neon;
    kernels->merge = znl_merge_neon;
    kernels->rans_encode = znl_rans_encode_neon;
    kernels->rans_decode = znl_rans_decode_neon;
    kernels->wants_slots = 0;
    kernels->xxh3_64 = znl_xxh3_64_neon;
    kernels->xxh3_blocks = znl_xxh3_blocks_neon;
}
#endif

int znl_kernels_init(znl_kernels *kernels, int isa)
{
    if (!znl_cpu_has(isa)) return ZNL_E_NO_ISA;
    init_scalar(kernels); /* from here every entry is set; each level overwrites what it has */
#if ZNL_HAS_SSE4
    if (isa >= ZNL_ISA_SSE4) init_sse4(kernels);
#endif
#if ZNL_HAS_AVX2
    if (isa >= ZNL_ISA_AVX2) init_avx2(kernels);
#endif
#if ZNL_HAS_AVX512
    if (isa >= ZNL_ISA_AVX512) init_avx512(kernels);
#endif
#if ZNL_HAS_NEON
    if (isa == ZNL_ISA_NEON) init_neon(kernels);
#endif
    return ZNL_OK;
}

size_t znl_kernels_nbytes(void)
{
    return sizeof(znl_kernels);
}

uint64_t znl_xxh3_64(const znl_kernels *kernels, const uint8_t *in, size_t in_nbytes)
{
    return kernels->xxh3_64(in, in_nbytes);
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
