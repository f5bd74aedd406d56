/* SPDX-License-Identifier: Apache-2.0 */
/* The coder and the planes in one kernel, for two chunks side by side: their chains of dependent steps
 * overlap, and so do these with the merging and its memory traffic. */
#ifndef ZNL_FUSED_H
#define ZNL_FUSED_H

#include <stddef.h>
#include <stdint.h>

#include "layout.h"
#include "rans.h"

/* One chunk of a pair, from its next superblock on. */
typedef struct {
    znl_decode_lanes *lanes; /* in and out: 64 lanes; words are untrusted */
    znl_block_models models; /* with classes in both streams of a pair, or in none */
    const uint8_t *planes;   /* the byte planes, which lie plane_nbytes apart */
    size_t plane_nbytes;
    const uint8_t *bit_plane;
    uint8_t *out;
} znl_decode_stream;

/* Decode superblock_count whole superblocks of each of two chunks of one layout. Values that are patched
 * come out wrong, their raw bits right. The caller made sure, by znl_safe_blocks with 64 bytes, that words
 * can be read without a look at their end.
 *
 * returns    ZNL_OK, or ZNL_E_BAD_STATE when words run out
 */
typedef int znl_decode_pair_fn(const znl_layout *layout, const znl_decode_stream streams[2],
                               size_t superblock_count);

znl_decode_pair_fn znl_decode_pair_avx2, znl_decode_pair_avx512;

#endif
