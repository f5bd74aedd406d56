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
    size_t most_words;
    size_t counts_nbytes;
    size_t map_nbytes;   /* of the class map or the arrangement */
    int has_fields;      /* the raw section begins with fields, whose size the others leave */
    size_t raw_nbytes;   /* R: the whole raw section, but for fields */
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
    shape.most_words = shape.coded_count;
    shape.has_fields = 0;
    shape.counts_nbytes = shape.lane_count == ZNL_WIDE_LANES ? 8 : 4;
    shape.map_nbytes = znl_class_map_nbytes(shape.coded_count, table_count, unit_shift);
    shape.raw_nbytes = znl_raw_nbytes(layout, shape.block_count);
    shape.state_nbytes = znl_state_nbytes(shape.raw_nbytes, shape.lane_count);
    shape.tail_nbytes = (value_count - shape.coded_count) * layout->width;
    return shape;
}

/* The shape of a chunk with second symbols: they take words, and the place of raw bits. */
static inline void znl_static_shape_with_second(const znl_layout *layout, const znl_second *second,
                                                znl_static_shape *shape)
{
    shape->most_words = 2 * shape->coded_count;
    shape->has_fields = second->kind == ZNL_SECOND_TRAILING_ZEROS;
    shape->raw_nbytes =
        shape->has_fields ? znl_bit_plane_nbytes(shape->block_count, layout->low_bits) : 0;
    shape->state_nbytes = znl_state_nbytes(shape->raw_nbytes, shape->lane_count);
}

/* Values of a chunk that are coded: whole blocks. */
static inline size_t znl_coded_count(const znl_layout *layout, const znl_chunk *chunk)
{
    return chunk->source_nbytes / layout->width / ZNL_BLOCK_VALUES * ZNL_BLOCK_VALUES;
}

/* Bytes that a coded body saves against the source, references counted. */
static inline uint32_t znl_saved_by_coding(const znl_chunk *chunk)
{
    const uint32_t coded = chunk->body_nbytes + 8u * chunk->table_count;
    return coded < chunk->source_nbytes ? chunk->source_nbytes - coded : 0;
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
    uint8_t second[ZNL_MAX_STATIC_VALUES];
    uint16_t sorted[ZNL_MAX_STATIC_VALUES]; /* in second order */
    znl_contexts contexts;
    uint8_t blocks[ZNL_MAX_UNITS]; /* the context of each block in second order */
} znl_arranged_encode_scratch;

/* Arrange and code one chunk, without the bits that need not be stored.
 *
 * tables       chunk->table_count of them (1 to 32), table c for the values of class c; the last ones for the contexts of
 *              second symbols, all of which must have a symbol there: they can't be patched
 * chunk        as for znl_static_split; of at least 2048 values, which are those of the arrangement's parts.
 *              Sets body_offset and body_nbytes; method, unit_shift, table_count, tables and checksum are the
 *              caller's
 * arrangement  its reduction is set, whatever it was: none beside second symbols
 * scratch      cache.count must be 0 at first
 * returns      ZNL_OK, ZNL_E_NO_ROOM when the body would not be smaller than the source, or ZNL_E_BAD_CALL for a second
 *              symbol without a symbol
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

/* Find or build the models of tables of a chunk.
 *
 * references   count of them
 * wire         untrusted; entry t is for reference t, and not read when that is universal
 * models       out, one for each reference
 * returns      ZNL_OK, ZNL_E_BAD_CALL, or what is wrong with a table
 */
int znl_model_cache_find(const znl_kernels *kernels, const uint64_t *references,
                         const znl_table *wire, unsigned count, unsigned symbol_bits,
                         znl_model_cache *cache, const znl_decode_model **models);

/* Decode the symbols of blocks, those of one class in one go.
 *
 * classes   of each block
 * symbols   out, 64 * block_count
 * returns   ZNL_OK, or ZNL_E_BAD_STATE
 */
int znl_decode_blocks(const znl_kernels *kernels, znl_decode_lanes *lanes,
                      const znl_decode_model *const *models, const uint8_t *classes,
                      size_t block_count, uint16_t *symbols);

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

/* The same for a chunk with second symbols: one at a time. */
typedef struct {
    uint16_t symbols[ZNL_MAX_STATIC_VALUES]; /* symbol values */
    uint16_t sorted[ZNL_MAX_STATIC_VALUES];  /* second symbols, in second order */
    uint8_t second[ZNL_MAX_STATIC_VALUES];
    znl_contexts contexts;
    uint8_t blocks[ZNL_MAX_UNITS]; /* the context of each block in second order */
} znl_second_decode_scratch;

/* Decode the second symbols of a chunk whose symbol values are in scratch->symbols: to scratch->second.
 *
 * classes   of each block
 * models    one for each context
 * returns   ZNL_OK, ZNL_E_BAD_STATE, or ZNL_E_BAD_VALUE for a number that a second symbol can't mean
 */
int znl_decode_second(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_second *second, const uint8_t *classes,
                      const znl_decode_model *const *models, znl_decode_lanes *lanes,
                      size_t coded_count, znl_second_decode_scratch *scratch);

typedef struct {
    /* Of each chunk its values in arranged order, or its byte planes made whole. They come first, for there
     * they are aligned, and vectors across two lines would take twice as long to store. */
    uint8_t rooms[2][ZNL_MAX_STATIC_VALUES * 8];
    znl_static_decode_chunk_scratch chunks[2];
    znl_arrangement arrangements[2];
    znl_model_cache cache; /* cache.count must be 0 at first */
    znl_second_decode_scratch second;
    znl_move_scratch moves;
} znl_static_decode_scratch;

/* Decode `count` static or arranged chunks of one layout, 1 or 2, side by side where that gains. The caller
 * checked their heads.
 *
 * wire        of each chunk, as for znl_model_cache_find
 * checksums   out, XXH3-64 of each chunk's values
 * scratch     aligned to 64 bytes
 * returns     ZNL_OK, or the error code of one of them
 */
int znl_static_decode(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_table *const *wire, const znl_chunk *chunks, unsigned count,
                      uint64_t *checksums, znl_static_decode_scratch *scratch);

#endif
