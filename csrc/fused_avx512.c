/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding and merging two chunks in one loop with AVX-512. More than two were slower: the states of
 * four fill half of the registers, and their outputs compete for the same sets of the caches. */
#include "errors.h"
#include "fused.h"
#include "target.h"

#if ZNL_HAS_AVX512
#include <immintrin.h>

#ifdef __AVX512F__
#error "build for the baseline: this file must not decide what other code may use"
#endif

#include "planes_avx512_block.h"
#include "rans_avx512_lanes.h"
#include "rans_avx512_step.h"

/* How far ahead lines are asked for: the streams of a pair are too many for the hardware alone. */
#define WORDS_AHEAD 1536
#define BLOCKS_AHEAD 16

INLINE void prefetch_block(const znl_layout *layout, const uint8_t *words, const uint8_t *planes,
                           size_t plane_nbytes, const uint8_t *bit_plane, const uint8_t *out)
{
    ZNL_PREFETCH_READ((uintptr_t)words + WORDS_AHEAD);
    if (layout->low_bits)
        ZNL_PREFETCH_READ((uintptr_t)bit_plane + BLOCKS_AHEAD * BLOCK / 8 * layout->low_bits);
    for (unsigned p = 0; p < layout->byte_planes; p++)
        ZNL_PREFETCH_READ((uintptr_t)planes + p * plane_nbytes + BLOCKS_AHEAD * BLOCK);
    for (unsigned line = 0; line < layout->width; line++)
        ZNL_PREFETCH_WRITE((uintptr_t)out + (BLOCKS_AHEAD * layout->width + line) * BLOCK);
}

INLINE int decode_pair(const znl_layout *layout, const znl_decode_stream streams[2],
                       size_t superblock_count, int has_classes)
{
    const znl_decode_model *models[2] = {streams[0].models.of_class[0],
                                         streams[1].models.of_class[0]};
    half lower[2], upper[2];
    const uint8_t *words[2];
    int status = ZNL_OK;
    for (unsigned c = 0; c < 2; c++) {
        lower[c] = load_half(streams[c].lanes->states);
        upper[c] = load_half(streams[c].lanes->states + HALF_LANES);
        words[c] = streams[c].lanes->words;
    }
    for (size_t i = 0; i < superblock_count * ZNL_SUPERBLOCK_BLOCKS; i++) {
        const unsigned block = (unsigned)i % ZNL_SUPERBLOCK_BLOCKS;
        const size_t superblock = i / ZNL_SUPERBLOCK_BLOCKS;
        halves symbols[2];
        for (unsigned c = 0; c < 2 && has_classes; c++)
            models[c] = streams[c].models.of_class[streams[c].models.classes[i]];
        for (unsigned c = 0; c < 2; c++)
            symbols[c].lower = decode_step(&lower[c], &words[c], models[c]);
        for (unsigned c = 0; c < 2; c++)
            symbols[c].upper = decode_step(&upper[c], &words[c], models[c]);
        for (unsigned c = 0; c < 2; c++) {
            const uint8_t *planes = streams[c].planes + i * BLOCK;
            const uint8_t *bit_plane = streams[c].bit_plane + superblock * BLOCK * layout->low_bits;
            uint8_t *out = streams[c].out + i * BLOCK * layout->width;
            merge_block(layout, block, symbols[c], planes, streams[c].plane_nbytes, bit_plane, out);
            prefetch_block(layout, words[c], planes, streams[c].plane_nbytes,
                           bit_plane + block * (BLOCK / 8) * layout->low_bits, out);
        }
    }
    for (unsigned c = 0; c < 2; c++) {
        store_half(lower[c], streams[c].lanes->states);
        store_half(upper[c], streams[c].lanes->states + HALF_LANES);
        streams[c].lanes->words = words[c];
        if (words[c] > streams[c].lanes->words_end) status = ZNL_E_BAD_STATE;
    }
    return status;
}

TARGET int znl_decode_pair_avx512(const znl_layout *layout, const znl_decode_stream streams[2],
                                  size_t superblock_count)
{
    const int has_classes = streams[0].models.classes != NULL;
#define CALL(fixed)                                                                                \
    return has_classes ? decode_pair(fixed, streams, superblock_count, 1)                          \
                       : decode_pair(fixed, streams, superblock_count, 0)
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
    return ZNL_E_BAD_CALL;
#undef CALL
}

#endif
