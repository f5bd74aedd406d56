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

/* The table of layouts: a new dtype is a new row. dtype code, then the fields of znl_layout. */
/* clang-format off */
#define ZNL_FOR_EACH_LAYOUT(X)                             \
    X(1, 8, ZNL_ROTATE, 12, 6, 4)  /* F64 */               \
    X(2, 4, ZNL_ROTATE, 9, 2, 7)   /* F32 */               \
    X(3, 2, ZNL_ROTATE, 6, 1, 2)   /* F16 */               \
    X(4, 2, ZNL_ROTATE, 9, 0, 7)   /* BF16 */              \
    X(5, 4, ZNL_ROTATE, 9, 2, 7)   /* C64: pairs of F32 */ \
    X(6, 1, ZNL_ROTATE, 6, 0, 2)   /* F8_E5M2 */           \
    X(7, 1, ZNL_ROTATE, 5, 0, 3)   /* F8_E4M3 */           \
    X(8, 1, ZNL_ROTATE, 6, 0, 2)   /* F8_E5M2FNUZ */       \
    X(9, 1, ZNL_ROTATE, 5, 0, 3)   /* F8_E4M3FNUZ */       \
    X(10, 1, ZNL_PLAIN, 8, 0, 0)   /* F8_E8M0 */           \
    X(14, 1, ZNL_OFFSET, 5, 0, 3)  /* I8 */                \
    X(15, 1, ZNL_PLAIN, 5, 0, 3)   /* U8 */
/* clang-format on */

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
