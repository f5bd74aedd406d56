/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a static or arranged chunk: where its sections lie (docs/format.md, sections 5.2 and 5.8), and
 * how it is written and read. */
#ifndef ZNL_STATIC_BODY_H
#define ZNL_STATIC_BODY_H

#include <stddef.h>
#include <stdint.h>

#include "arrangement.h"
#include "kernels.h"
#include "layout.h"

typedef struct {
    size_t coded_count; /* C: values coded, whole blocks */
    size_t block_count;
    unsigned lane_count;
    size_t counts_nbytes;
    size_t map_nbytes;   /* of the class map or the arrangement */
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

/* Models built so far, for neighbouring chunks mostly share tables, and name them in the same order. Cleared
 * when what is wanted next might not fit, so that models in use stay. */
enum { ZNL_CACHED_MODELS = 2 * ZNL_MAX_TABLES };

typedef struct {
    znl_encode_model models[ZNL_CACHED_MODELS];
    znl_freq_table tables[ZNL_CACHED_MODELS];
    unsigned symbol_bits[ZNL_CACHED_MODELS];
    size_t count;
    size_t next; /* behind the one found last */
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

/* Working memory of the encoder for static chunks. */
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

/* Working memory of the encoder for arranged chunks, besides. */
typedef struct {
    uint8_t classes[ZNL_MAX_UNITS];
    znl_move_scratch moves;
    uint8_t values[ZNL_MAX_STATIC_VALUES * 8]; /* in arranged order */
    uint8_t
        planes[6 * 2 * ZNL_ENCODE_RUN_SUPERBLOCKS * ZNL_SUPERBLOCK_VALUES]; /* of a run, whole */
} znl_arranged_encode_scratch;

/* Arrange and code one chunk, without the bits that need not be stored.
 *
 * tables       chunk->table_count of them (1 to 32), table c for the values of class c
 * chunk        as for znl_static_split; of at least 2048 values, which are those of the arrangement's parts.
 *              Sets body_offset and body_nbytes; method, unit_shift, table_count, tables and checksum are the
 *              caller's
 * arrangement  its reduction is set, whatever it was
 * scratch      cache.count must be 0 at first
 * returns      ZNL_OK, or ZNL_E_NO_ROOM when the body would not be smaller than the source
 */
int znl_arranged_encode(const znl_kernels *kernels, const znl_layout *layout,
                        const znl_freq_table *tables, znl_chunk *chunk,
                        znl_arrangement *arrangement, znl_static_encode_scratch *scratch,
                        znl_arranged_encode_scratch *arranged);

/* Models of the decoder built so far. */
typedef struct {
    znl_decode_model models[ZNL_CACHED_MODELS];
    znl_table tables[ZNL_CACHED_MODELS]; /* name: the reference, of universal tables as well */
    uint8_t symbol_bits[ZNL_CACHED_MODELS];
    size_t count;
    size_t next; /* behind the one found last */
} znl_model_cache;

/* Make room for the models of `wanted` tables, at most ZNL_CACHED_MODELS: those found from now on stay. */
static inline void znl_model_cache_reserve(znl_model_cache *cache, size_t wanted)
{
    if (cache->count + wanted > ZNL_CACHED_MODELS) cache->count = 0;
}

/* Find or build the models of a chunk's tables.
 *
 * wire       untrusted; entry t is for reference t, and not read when that is universal
 * models     out, chunk->table_count entries
 * returns    ZNL_OK, ZNL_E_BAD_CALL, or what is wrong with a table
 */
int znl_model_cache_find(const znl_kernels *kernels, const znl_chunk *chunk, unsigned symbol_bits,
                         const znl_table *wire, znl_model_cache *cache,
                         const znl_decode_model **models);

/* Superblocks of a pair decoded in one go: the checksum finds their values in the second-level cache. */
#define ZNL_PAIR_RUN_SUPERBLOCKS 64u

/* Working memory of the decoder for one chunk. */
typedef struct {
    uint8_t classes[ZNL_MAX_UNITS]; /* of each block */
    uint16_t symbols[ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES];
    /* The superblocks that the states complete: two of low bits, up to seven blocks more of values. */
    uint16_t tail_symbols[4 * ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES];
    uint8_t plane_tail[4 * ZNL_BLOCK_VALUES * 8];
} znl_static_decode_chunk_scratch;

/* The same for one arranged chunk. */
typedef struct {
    znl_arrangement arrangement;
    uint8_t values[ZNL_MAX_STATIC_VALUES * 8]; /* in arranged order; or whole byte planes */
} znl_arranged_decode_scratch;

typedef struct {
    znl_static_decode_chunk_scratch chunks[2];
    znl_model_cache cache; /* cache.count must be 0 at first */
    znl_move_scratch moves;
    znl_arranged_decode_scratch arranged[2];
} znl_static_decode_scratch;

/* Decode `count` static or arranged chunks of one layout, 1 or 2, side by side where that gains. The caller
 * checked their heads.
 *
 * wire        of each chunk, as for znl_model_cache_find
 * checksums   out, XXH3-64 of each chunk's values
 * returns     ZNL_OK, or the error code of one of them
 */
int znl_static_decode(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_table *const *wire, const znl_chunk *chunks, unsigned count,
                      uint64_t *checksums, znl_static_decode_scratch *scratch);

#endif
