/* SPDX-License-Identifier: Apache-2.0 */
/* Bits of an arranged chunk that are known and so not stored: zero bits at the low end, a sign that values share
 * (docs/format.md, section 5.9). */
#ifndef ZNL_REDUCED_H
#define ZNL_REDUCED_H

#include <stddef.h>
#include <stdint.h>

#include "layout.h"

#define ZNL_SUPERBLOCK_VALUES (ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES)
#define ZNL_MAX_SUPERBLOCKS (ZNL_MAX_STATIC_VALUES / ZNL_SUPERBLOCK_VALUES)

/* All zero: every bit is stored. */
typedef struct {
    unsigned shift; /* k; 0: the rest is not used */
    int one_sign;   /* in marked superblocks bit 0 of a value travels in its sign bit ... */
    unsigned sign;  /* ... because that is this one in all their values */
    uint8_t marked[ZNL_MAX_SUPERBLOCKS]; /* 1: the lowest k bits of its values are 0 then */
} znl_reduction;

static inline size_t znl_superblock_count(size_t coded_count)
{
    return (coded_count + ZNL_SUPERBLOCK_VALUES - 1) / ZNL_SUPERBLOCK_VALUES;
}

/* The widest shift of a layout: 0 for one whose chunks are never reduced. */
static inline unsigned znl_most_shift(const znl_layout *layout)
{
    return layout->width >= 4 ? 8u * layout->byte_planes : 0;
}

/* Whether a reduction, which came from the wire, is one that values of this layout can have. */
int znl_reduction_is_allowed(const znl_layout *layout, const znl_reduction *reduction);

/* Find the reduction that saves most.
 *
 * values     coded_count values, a multiple of 64 and at most ZNL_MAX_STATIC_VALUES, in arranged order
 * found      out; all zero when no reduction saves 1 / 1024 of the values: it would not be worth the time of a decoder
 */
void znl_reduction_find(const znl_layout *layout, const uint8_t *values, size_t coded_count,
                        znl_reduction *found);

/* Whether a reduction saves 1 / 400 of the values, by looking at one superblock in 15. */
int znl_reduction_seems_to_pay(const znl_layout *layout, const uint8_t *values, size_t coded_count);

/* Bytes of the byte planes that are not stored, of all superblocks. */
size_t znl_reduction_saved_nbytes(const znl_reduction *reduction, size_t coded_count);

/* With one sign: let the bit 0 of values in marked superblocks travel in their sign bits, and put both back.
 *
 * width      bytes of a value: 4 or 8
 * in         the coded values of a chunk
 * out        may be `in`
 * values     `count` values from superblock `first` on
 */
void znl_free_low_bits(const znl_reduction *reduction, size_t width, const uint8_t *in,
                       size_t coded_count, uint8_t *out);
void znl_restore_signs(const znl_reduction *reduction, size_t width, size_t first, uint8_t *values,
                       size_t count);

/* Fields of 8 - r bits (r 1 to 7), directly after one another, lowest bit first, and the bytes of which they are the
 * upper bits; those below come back as zero.
 *
 * count      of bytes, a multiple of 8: count * (8 - r) / 8 bytes of fields are written or read, none more
 */
void znl_pack_fields(const uint8_t *restrict in, size_t count, unsigned r, uint8_t *restrict out);
void znl_expand_fields(const uint8_t *restrict in, size_t count, unsigned r, uint8_t *restrict out);

/* Put the byte planes of some superblocks where they are stored.
 *
 * planes         whole, from superblock `first` on, plane_nbytes apart
 * count          of their values; those of the last superblock of the chunk may be fewer than ZNL_SUPERBLOCK_VALUES
 * raw            out, the raw section of a chunk of coded_count values
 */
void znl_pack_planes(const znl_layout *layout, const znl_reduction *reduction, size_t coded_count,
                     const uint8_t *planes, size_t plane_nbytes, size_t first, size_t count,
                     uint8_t *raw);

/* Make whole byte planes, coded_count bytes apart, of all that is stored; returns what lies behind that in `raw`, the
 * bit plane. */
const uint8_t *znl_expand_planes(const znl_layout *layout, const znl_reduction *reduction,
                                 size_t coded_count, const uint8_t *raw, uint8_t *planes);

#endif
