/* SPDX-License-Identifier: Apache-2.0 */
/* Values <-> symbol values, byte planes and bit plane (docs/format.md, sections 5.1 and 5.4). Callers
 * hand over a few superblocks at a time, so that what the coder reads or wrote is still in the
 * first-level cache. */
#ifndef ZNL_PLANES_H
#define ZNL_PLANES_H

#include <stddef.h>
#include <stdint.h>

#include "layout.h"

/* Count symbol values of the first 8 of every 8 * step values.
 *
 * in        value_count values
 * counts    out, 1 << symbol_bits entries, set (not added to)
 * returns   the number of values counted
 */
typedef size_t znl_histogram_fn(const znl_layout *layout, const uint8_t *in, size_t value_count,
                                size_t step, uint32_t *counts);

/* Split blocks of 64 values: superblocks of 8, of which the last may have fewer.
 *
 * in            block_count * 64 values
 * symbols       out, block_count * 64 symbol values
 * planes        out, their part of the byte planes, which lie plane_nbytes apart
 * bit_plane     out, znl_bit_plane_nbytes(block_count, low_bits) bytes
 */
typedef void znl_split_fn(const znl_layout *layout, const uint8_t *in, size_t block_count,
                          uint16_t *symbols, uint8_t *planes, size_t plane_nbytes,
                          uint8_t *bit_plane);

/* The inverse.
 *
 * returns   ZNL_OK, or ZNL_E_BAD_PADDING when bits of absent blocks are set
 */
typedef int znl_merge_fn(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                         size_t plane_nbytes, size_t block_count, const uint8_t *bit_plane,
                         uint8_t *out);

/* Put the symbol value in place that a merged value should have had. */
void znl_patch_value(const znl_layout *layout, unsigned symbol_value, uint8_t *value);

znl_histogram_fn znl_histogram_scalar;
znl_split_fn znl_split_scalar, znl_split_sse4, znl_split_avx2, znl_split_avx512, znl_split_neon;
znl_merge_fn znl_merge_scalar, znl_merge_sse4, znl_merge_avx2, znl_merge_avx512, znl_merge_neon;

#endif
