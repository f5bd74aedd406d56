/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts by dtype code, and the sizes that follow from them. */
#include "layout.h"

static const znl_layout LAYOUTS[] = {
#define ROW(code, ...) [code] = {__VA_ARGS__},
    ZNL_FOR_EACH_LAYOUT(ROW)
#undef ROW
};

const znl_layout *znl_layout_of(unsigned dtype)
{
    if (dtype >= sizeof LAYOUTS / sizeof LAYOUTS[0] || LAYOUTS[dtype].width == 0) return NULL;
    return &LAYOUTS[dtype];
}

size_t znl_bit_plane_nbytes(size_t block_count, unsigned low_bits)
{
    if (low_bits == 0) return 0;
    const size_t whole = block_count / ZNL_SUPERBLOCK_BLOCKS,
                 rest = block_count % ZNL_SUPERBLOCK_BLOCKS;
    const size_t fields_in_a_byte = 8 / low_bits;
    /* A short superblock stores only the vectors that hold something. */
    const size_t short_vectors = rest <= fields_in_a_byte * low_bits
                                     ? (rest + fields_in_a_byte - 1) / fields_in_a_byte
                                     : low_bits;
    return ZNL_BLOCK_VALUES * (whole * low_bits + short_vectors);
}
