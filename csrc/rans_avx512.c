/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder with AVX-512: one chunk at a time. */
#include "errors.h"
#include "rans.h"
#include "target.h"

#if ZNL_HAS_AVX512
#include <immintrin.h>

#ifdef __AVX512F__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#include "rans_avx512_lanes.h"
#include "rans_avx512_step.h"

TARGET int znl_rans_decode_avx512(znl_decode_lanes *lanes, const znl_decode_model *model,
                                  uint16_t *symbols, size_t block_count)
{
    size_t done = 0, safe;
    while (done < block_count && lanes->lane_count == ZNL_WIDE_LANES &&
           (safe = znl_safe_blocks(lanes, block_count - done, 64)) > 0) {
        half lower = load_half(lanes->states), upper = load_half(lanes->states + HALF_LANES);
        const uint8_t *words = lanes->words;
        for (size_t b = 0; b < safe; b++, done++) {
            uint16_t *out = symbols + done * ZNL_BLOCK_VALUES;
            _mm512_storeu_si512(out, decode_step(&lower, &words, model));
            _mm512_storeu_si512(out + HALF_LANES, decode_step(&upper, &words, model));
        }
        store_half(lower, lanes->states);
        store_half(upper, lanes->states + HALF_LANES);
        lanes->words = words;
        if (words > lanes->words_end) return ZNL_E_BAD_STATE;
    }
    if (done == block_count) return ZNL_OK;
    return znl_rans_decode_careful(lanes, model, symbols + done * ZNL_BLOCK_VALUES,
                                   block_count - done);
}

#endif
