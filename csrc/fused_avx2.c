/* SPDX-License-Identifier: Apache-2.0 */
/* Two chunks side by side with AVX2: the registers are too few to merge in the coder's loop, so symbols
 * pass through a buffer that stays in the first-level cache. */
#include "fused.h"

#include "errors.h"
#include "planes.h"
#include "target.h"

#if ZNL_HAS_AVX2

enum { VALUES = ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES };

/* Ask for what the superblock four further on will read and write. A few lines at a time: asking for
 * four superblocks at once costs a sixth of the speed in memory. */
static void prefetch_ahead(const znl_layout *layout, const znl_decode_stream *stream, size_t first)
{
    enum { LINE = 64, WORDS_AHEAD = 1536, VALUES_AHEAD = 4 * VALUES };
    const size_t value = first + VALUES_AHEAD;
    const uintptr_t words = (uintptr_t)stream->lanes->words + WORDS_AHEAD;
    const uintptr_t plane = (uintptr_t)stream->bit_plane + value * layout->low_bits / 8;
    const uintptr_t out = (uintptr_t)stream->out + value * layout->width;
    for (size_t at = 0; at < VALUES / 8u * layout->low_bits; at += LINE) {
        ZNL_PREFETCH_READ(words + at);
        ZNL_PREFETCH_READ(plane + at);
    }
    for (unsigned p = 0; p < layout->byte_planes; p++)
        for (size_t at = 0; at < VALUES; at += LINE)
            ZNL_PREFETCH_READ((uintptr_t)stream->planes + p * stream->plane_nbytes + value + at);
    for (size_t at = 0; at < VALUES * (size_t)layout->width; at += LINE)
        ZNL_PREFETCH_WRITE(out + at);
}

int znl_decode_pair_avx2(const znl_layout *layout, const znl_decode_stream streams[2],
                         size_t superblock_count)
{
    uint16_t symbols[2][VALUES];
    uint16_t *const both[2] = {symbols[0], symbols[1]};
    znl_decode_lanes *const lanes[2] = {streams[0].lanes, streams[1].lanes};
    znl_block_models models[2] = {streams[0].models, streams[1].models};
    for (size_t first = 0; first < superblock_count * VALUES; first += VALUES) {
        prefetch_ahead(layout, &streams[0], first);
        prefetch_ahead(layout, &streams[1], first);
        int status = znl_rans_decode_pair_avx2(lanes, models, both, ZNL_SUPERBLOCK_BLOCKS);
        for (int i = 0; i < 2 && models[i].classes; i++) models[i].classes += ZNL_SUPERBLOCK_BLOCKS;
        for (int i = 0; i < 2 && status == ZNL_OK; i++)
            status = znl_merge_avx2(layout, symbols[i], streams[i].planes + first,
                                    streams[i].plane_nbytes, ZNL_SUPERBLOCK_BLOCKS,
                                    streams[i].bit_plane + first / 8 * layout->low_bits,
                                    streams[i].out + first * layout->width);
        if (status != ZNL_OK) return status;
    }
    return ZNL_OK;
}

#endif
