/* SPDX-License-Identifier: Apache-2.0 */
/* How the static method takes a value of each dtype apart (docs/format.md, sections 4.1, 5.1, 5.4). */
#ifndef ZNL_LAYOUT_H
#define ZNL_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"

enum { ZNL_PLAIN, ZNL_ROTATE, ZNL_OFFSET };

typedef struct {
    uint8_t width;       /* bytes of a value; 0: the dtype has no layout */
    uint8_t transform;   /* of the top 8 or 16 bits */
    uint8_t symbol_bits; /* S: the symbol value is the upper S bits of the transformed top */
    uint8_t byte_planes; /* P: bytes below the top, then the low byte of the top if it is raw */
    uint8_t low_bits;    /* b: bits of the bit plane */
} znl_layout;

/* The layout of a dtype code, or NULL. */
const znl_layout *znl_layout_of(unsigned dtype);

/* Bytes of the bit plane of `block_count` blocks with `low_bits` bits a value. */
size_t znl_bit_plane_nbytes(size_t block_count, unsigned low_bits);

static inline size_t znl_raw_nbytes(const znl_layout *layout, size_t block_count)
{
    return layout->byte_planes * block_count * ZNL_BLOCK_VALUES +
           znl_bit_plane_nbytes(block_count, layout->low_bits);
}

/* Raw bytes that travel in the states instead: 2 for every lane when the section is that long. */
static inline size_t znl_state_nbytes(size_t raw_nbytes, unsigned lane_count)
{
    return raw_nbytes >= 2u * lane_count ? 2u * lane_count : 0;
}

#endif
