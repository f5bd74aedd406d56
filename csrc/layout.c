/* SPDX-License-Identifier: Apache-2.0 */
/* The table of layouts: a new dtype is a new row. */
#include "layout.h"

static const znl_layout LAYOUTS[] = {
    [1] = {8, ZNL_ROTATE, 12, 6, 4}, /* F64 */
    [2] = {4, ZNL_ROTATE, 9, 2, 7},  /* F32 */
    [3] = {2, ZNL_ROTATE, 6, 1, 2},  /* F16 */
    [4] = {2, ZNL_ROTATE, 9, 0, 7},  /* BF16 */
    [5] = {4, ZNL_ROTATE, 9, 2, 7},  /* C64: pairs of F32 */
    [6] = {1, ZNL_ROTATE, 6, 0, 2},  /* F8_E5M2 */
    [7] = {1, ZNL_ROTATE, 5, 0, 3},  /* F8_E4M3 */
    [8] = {1, ZNL_ROTATE, 6, 0, 2},  /* F8_E5M2FNUZ */
    [9] = {1, ZNL_ROTATE, 5, 0, 3},  /* F8_E4M3FNUZ */
    [10] = {1, ZNL_PLAIN, 8, 0, 0},  /* F8_E8M0 */
    [14] = {1, ZNL_OFFSET, 5, 0, 3}, /* I8 */
    [15] = {1, ZNL_PLAIN, 5, 0, 3},  /* U8 */
};

const znl_layout *znl_layout_of(unsigned dtype)
{
    if (dtype >= sizeof LAYOUTS / sizeof LAYOUTS[0] || LAYOUTS[dtype].width == 0) return NULL;
    return &LAYOUTS[dtype];
}

size_t znl_bit_plane_nbytes(size_t block_count, unsigned low_bits)
{
    if (low_bits == 0) return 0;
    const size_t whole = block_count / ZNL_SUPERBLOCK_BLOCKS, rest = block_count % ZNL_SUPERBLOCK_BLOCKS;
    const size_t fields_in_a_byte = 8 / low_bits;
    /* A short superblock stores only the vectors that hold something. */
    const size_t short_vectors = rest <= fields_in_a_byte * low_bits
                                     ? (rest + fields_in_a_byte - 1) / fields_in_a_byte
                                     : low_bits;
    return ZNL_BLOCK_VALUES * (whole * low_bits + short_vectors);
}
