/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a static chunk: where its sections lie (docs/format.md, section 5.2). */
#ifndef ZNL_STATIC_BODY_H
#define ZNL_STATIC_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "kernels.h"
#include "layout.h"

typedef struct {
    size_t coded_count; /* C: values coded, whole blocks */
    size_t block_count;
    unsigned lane_count;
    size_t counts_nbytes, map_nbytes;
    size_t raw_nbytes;   /* R: the whole raw section */
    size_t state_nbytes; /* D: the part of it that travels in the states */
    size_t tail_nbytes;
} znl_static_shape;

static inline znl_static_shape znl_static_shape_of(const znl_layout *layout, size_t value_count,
                                                   unsigned table_count, unsigned unit_shift)
{
    znl_static_shape shape;
    shape.lane_count = znl_lane_count(value_count);
    shape.block_count = value_count / ZNL_BLOCK_VALUES;
    shape.coded_count = shape.block_count * ZNL_BLOCK_VALUES;
    shape.counts_nbytes = shape.lane_count == ZNL_WIDE_LANES ? 8 : 4;
    shape.map_nbytes = znl_class_map_nbytes(shape.coded_count, table_count, unit_shift);
    shape.raw_nbytes = znl_raw_nbytes(layout, shape.block_count);
    shape.state_nbytes = znl_state_nbytes(shape.raw_nbytes, shape.lane_count);
    shape.tail_nbytes = (value_count - shape.coded_count) * layout->width;
    return shape;
}

/* Models of the encoder built so far: neighbouring chunks mostly share a table. */
typedef struct {
    znl_encode_model models[ZNL_MAX_TABLES];
    znl_freq_table tables[ZNL_MAX_TABLES];
    unsigned symbol_bits[ZNL_MAX_TABLES];
    size_t count;
} znl_encode_cache;

/* Superblocks that are split and then coded while their symbols are still near; the first run of a chunk,
 * its end, has up to twice as many. */
#define ZNL_ENCODE_RUN_SUPERBLOCKS 2u

typedef struct {
    uint16_t symbols[2 * ZNL_ENCODE_RUN_SUPERBLOCKS * ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES];
    uint32_t patches[ZNL_MAX_STATIC_VALUES / 8 + ZNL_BLOCK_VALUES]; /* more would not pay */
} znl_encode_chunk_scratch;

/* Chunks whose checksums and counts are taken before they are coded: two lie in the second-level cache. */
#define ZNL_WINDOW_CHUNKS 2u

/* Working memory of the encoder. */
typedef struct {
    znl_encode_cache cache; /* cache.count must be 0 at first */
    znl_encode_chunk_scratch chunks[2];
    uint16_t symbols[ZNL_MAX_STATIC_VALUES]; /* of znl_static_split */
    uint8_t classes[ZNL_MAX_UNITS];
} znl_static_encode_scratch;

/* Split the values of a chunk: symbol values to scratch, the raw section to the end of the body's room.
 * body_room must be at least source_nbytes + ZNL_BODY_SLACK_NBYTES. */
void znl_static_split(const znl_kernels *kernels, const znl_layout *layout, const znl_chunk *chunk,
                      znl_static_encode_scratch *scratch);

/* Code what znl_static_split left, with chunk->table_count tables and scratch->classes, and put the
 * body together. Sets body_offset and body_nbytes. Returns ZNL_OK, or ZNL_E_NO_ROOM when it would not be
 * smaller than the source. */
int znl_static_encode(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_freq_table *tables, znl_chunk *chunk,
                      znl_static_encode_scratch *scratch);

/* Split and code one chunk, or two of the same size side by side, with one table each. Returns ZNL_OK, or
 * ZNL_E_NO_ROOM when one of them would not be smaller than its source. */
int znl_static_split_encode(const znl_kernels *kernels, const znl_layout *layout,
                            const znl_freq_table *const *tables, znl_chunk *chunks, unsigned count,
                            znl_static_encode_scratch *scratch);

/* Models built so far, for neighbouring chunks mostly share a table. Cleared when what is wanted next
 * might not fit, so that models in use stay. */
enum { ZNL_CACHED_MODELS = 2 * ZNL_MAX_TABLES };
typedef struct {
    znl_decode_model models[ZNL_CACHED_MODELS];
    znl_freq_table tables[ZNL_CACHED_MODELS];
    unsigned symbol_bits[ZNL_CACHED_MODELS];
    size_t count;
} znl_model_cache;

/* Superblocks of a pair decoded in one go: the checksum finds their values in the second-level cache. */
#define ZNL_PAIR_RUN_SUPERBLOCKS 64u

/* Working memory of the decoder for one chunk. */
typedef struct {
    uint8_t classes[ZNL_MAX_UNITS];
    uint16_t symbols[ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES];
    /* The superblocks that the states complete: two of low bits, up to seven blocks more of values. */
    uint16_t tail_symbols[4 * ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES];
    uint8_t plane_tail[4 * ZNL_BLOCK_VALUES * 8];
} znl_static_decode_chunk_scratch;

typedef struct {
    znl_model_cache cache; /* cache.count must be 0 at first */
    znl_static_decode_chunk_scratch chunks[2];
} znl_static_decode_scratch;

/* Decode `count` chunks of one layout, 1 or 2, side by side where that gains.
 *
 * tables      of each chunk
 * checksums   out, XXH3-64 of each chunk's values
 * returns     ZNL_OK, or the error code of one of them
 */
int znl_static_decode(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_freq_table (*tables)[ZNL_MAX_TABLES], const znl_chunk *chunks,
                      unsigned count, uint64_t *checksums, znl_static_decode_scratch *scratch);

#endif
