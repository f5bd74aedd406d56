/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the body of a static chunk: every size is checked before the section it names is touched. */
#include "static_body.h"

#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "target.h"

typedef struct {
    const uint8_t *map, *states, *patches, *words, *raw, *tail;
    size_t word_count, patch_count;
} sections;

static int find_sections(const znl_static_shape *shape, const uint8_t *in, size_t in_nbytes,
                         sections *found)
{
    const size_t fixed = shape->counts_nbytes + shape->map_nbytes + 4 * shape->lane_count +
                         (shape->raw_nbytes - shape->state_nbytes) + shape->tail_nbytes;
    if (in_nbytes < fixed) return ZNL_E_TRUNCATED;
    const int wide = shape->counts_nbytes == 8;
    found->word_count = wide ? load_u32le(in) : load_u16le(in);
    found->patch_count = wide ? load_u32le(in + 4) : load_u16le(in + 2);
    if (found->word_count > shape->coded_count || found->patch_count > shape->coded_count)
        return ZNL_E_BAD_VALUE;
    const size_t gap = found->word_count % 2 ? 2 : 0;
    if (in_nbytes - fixed != 4 * found->patch_count + gap + 2 * found->word_count)
        return ZNL_E_BAD_SIZE;
    found->map = in + shape->counts_nbytes;
    found->states = found->map + shape->map_nbytes;
    found->patches = found->states + 4 * shape->lane_count;
    found->words = found->patches + 4 * found->patch_count + gap;
    found->raw = found->words + 2 * found->word_count;
    found->tail = found->raw + (shape->raw_nbytes - shape->state_nbytes);
    if (gap && load_u16le(found->words - gap)) return ZNL_E_BAD_PADDING;
    return ZNL_OK;
}

static int read_class_map(const uint8_t *in, size_t in_nbytes, size_t unit_count,
                          unsigned table_count, uint8_t *classes)
{
    const unsigned bits = znl_class_bits(table_count);
    for (size_t u = 0; u < unit_count; u++) {
        unsigned class = 0;
        for (unsigned i = 0; i < bits; i++) {
            const size_t bit = u * bits + i;
            class |= (unsigned)(in[bit >> 3] >> (bit & 7) & 1) << i;
        }
        if (class >= table_count) return ZNL_E_BAD_VALUE;
        classes[u] = (uint8_t) class;
    }
    for (size_t bit = unit_count * bits; bit < 8 * in_nbytes; bit++)
        if (in[bit >> 3] >> (bit & 7) & 1) return ZNL_E_BAD_PADDING;
    return ZNL_OK;
}

/* A static chunk on its way: what is left to decode. */
typedef struct {
    const znl_chunk *chunk;
    const znl_layout *layout;
    znl_static_shape shape;
    sections found;
    znl_decode_lanes lanes;
    const znl_decode_model *models[ZNL_MAX_TABLES];
    znl_static_decode_chunk_scratch *scratch;
    size_t block; /* the next one */
    size_t
        streamed_blocks; /* blocks whose low bits are in the wire whole; the states hold the rest */
    size_t patch;        /* the next one */
    size_t patch_position; /* patches must lie at or behind it */
    znl_xxh3_state sum;
} static_decoder;

static const znl_decode_model *find_model(const znl_kernels *kernels, const znl_freq_table *table,
                                          unsigned symbol_bits, znl_model_cache *cache)
{
    for (size_t i = cache->count; i-- > 0;)
        if (cache->symbol_bits[i] == symbol_bits &&
            memcmp(&cache->tables[i], table, sizeof *table) == 0)
            return &cache->models[i];
    const size_t i = cache->count++;
    cache->symbol_bits[i] = symbol_bits;
    cache->tables[i] = *table;
    znl_decode_model_build(table, symbol_bits, kernels->wants_slots, &cache->models[i]);
    return &cache->models[i];
}

static void begin_lanes(static_decoder *it)
{
    it->lanes.lane_count = it->shape.lane_count;
    for (unsigned lane = 0; lane < it->shape.lane_count; lane++)
        it->lanes.states[lane] = load_u32le(it->found.states + 4 * lane);
    it->lanes.words = it->found.words;
    it->lanes.words_end = it->found.raw;
    it->lanes.readable_end = it->chunk->body + it->chunk->body_nbytes;
}

static int begin(const znl_layout *layout, const znl_freq_table *tables, const znl_kernels *kernels,
                 const znl_chunk *chunk, znl_model_cache *cache,
                 znl_static_decode_chunk_scratch *scratch, static_decoder *it)
{
    const size_t value_count = chunk->source_nbytes / layout->width;
    it->chunk = chunk;
    it->layout = layout;
    it->scratch = scratch;
    it->shape = znl_static_shape_of(layout, value_count, chunk->table_count, chunk->unit_shift);
    it->block = it->patch = it->patch_position = 0;
    znl_xxh3_begin(&it->sum);
    const znl_static_shape *shape = &it->shape;
    int status = find_sections(shape, chunk->body, chunk->body_nbytes, &it->found);
    if (status != ZNL_OK) return status;
    if (chunk->table_count > 1) {
        status = read_class_map(it->found.map, shape->map_nbytes,
                                znl_unit_count(shape->coded_count, chunk->unit_shift),
                                chunk->table_count, scratch->classes);
        if (status != ZNL_OK) return status;
    }
    for (unsigned t = 0; t < chunk->table_count; t++) {
        if (tables[t].base >> layout->symbol_bits) return ZNL_E_BAD_TABLE;
        it->models[t] = find_model(kernels, &tables[t], layout->symbol_bits, cache);
    }
    begin_lanes(it);
    it->streamed_blocks = shape->block_count;
    if (shape->state_nbytes) {
        const size_t stored =
            znl_bit_plane_nbytes(shape->block_count, layout->low_bits) - shape->state_nbytes;
        it->streamed_blocks =
            stored / (ZNL_BLOCK_VALUES * layout->low_bits) * ZNL_SUPERBLOCK_BLOCKS;
    }
    return ZNL_OK;
}

/* The next patch, when it is of one of the values before `end`: sets its position and symbol value and
 * returns 1; 0 when there is none, or an error code. */
static int next_patch(static_decoder *it, size_t end, size_t *position, unsigned *symbol_value)
{
    if (it->patch == it->found.patch_count) return 0;
    const uint32_t patch = load_u32le(it->found.patches + 4 * it->patch);
    *position = patch >> ZNL_PATCH_POSITION_SHIFT;
    *symbol_value = patch & ((1u << ZNL_PATCH_POSITION_SHIFT) - 1);
    if (*position < it->patch_position || *symbol_value >> it->layout->symbol_bits)
        return ZNL_E_BAD_PATCH;
    if (*position >= end) return 0;
    it->patch_position = *position + 1;
    it->patch++;
    return 1;
}

/* Patch the next block_count blocks, whose values are merged, and step over them. */
static int finish_blocks(const znl_kernels *kernels, static_decoder *it, size_t block_count)
{
    const size_t width = it->layout->width;
    size_t position;
    unsigned symbol_value;
    int status;
    it->block += block_count;
    while ((status = next_patch(it, it->block * ZNL_BLOCK_VALUES, &position, &symbol_value)) > 0)
        znl_patch_value(it->layout, symbol_value, it->chunk->source + position * width);
    znl_xxh3_grow(&it->sum, it->chunk->source, it->block * ZNL_BLOCK_VALUES * width,
                  it->chunk->source_nbytes, kernels->xxh3_blocks);
    return status;
}

static const znl_decode_model *model_at(const static_decoder *it, size_t block)
{
    if (it->chunk->table_count == 1) return it->models[0];
    const size_t unit = block * ZNL_BLOCK_VALUES >> it->chunk->unit_shift;
    return it->models[it->scratch->classes[unit]];
}

static int has_small_units(const static_decoder *it)
{
    return it->chunk->table_count > 1 && it->chunk->unit_shift == ZNL_UNIT_SHIFT_SMALL;
}

/* Decode the symbols of block_count blocks with one table, or with small units. */
static int decode_symbols(const znl_kernels *kernels, static_decoder *it, size_t block_count,
                          uint16_t *symbols)
{
    if (!has_small_units(it))
        return kernels->rans_decode(&it->lanes, model_at(it, it->block), symbols, block_count);
    int status = ZNL_OK;
    for (size_t b = 0; b < block_count && status == ZNL_OK; b++)
        status = kernels->rans_decode(&it->lanes, model_at(it, it->block + b),
                                      symbols + b * ZNL_BLOCK_VALUES, 1);
    return status;
}

/* Merge the next blocks out of their symbols, and finish them. */
static int merge_blocks(const znl_kernels *kernels, static_decoder *it, size_t block_count,
                        const uint8_t *bit_plane, const uint16_t *symbols)
{
    const size_t first = it->block * ZNL_BLOCK_VALUES;
    const int status =
        kernels->merge(it->layout, symbols, it->found.raw + first, it->shape.coded_count,
                       block_count, bit_plane, it->chunk->source + first * it->layout->width);
    return status == ZNL_OK ? finish_blocks(kernels, it, block_count) : status;
}

static const uint8_t *bit_plane_of(const static_decoder *it)
{
    return it->found.raw + it->layout->byte_planes * it->shape.coded_count;
}

/* The bit plane of the superblock that begins with the next block. */
static const uint8_t *next_bit_plane(const static_decoder *it)
{
    return bit_plane_of(it) +
           it->block / ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES * it->layout->low_bits;
}

/* Ask for what the superblocks to come will read and write: the lines are far enough apart in each of
 * up to nine streams that the hardware alone fetches them late. */
static void prefetch_ahead(const static_decoder *it, size_t block_count)
{
    enum { LINE = 64, WORDS_AHEAD = 1536, VALUES_AHEAD = 2048 };
    const size_t width = it->layout->width, low_bits = it->layout->low_bits;
    const size_t block_values = block_count * ZNL_BLOCK_VALUES;
    const size_t value = it->block * ZNL_BLOCK_VALUES + VALUES_AHEAD;
    const uintptr_t words = (uintptr_t)it->lanes.words + WORDS_AHEAD;
    const uintptr_t plane = (uintptr_t)bit_plane_of(it) + value * low_bits / 8;
    const uintptr_t out = (uintptr_t)it->chunk->source + value * width;
    for (size_t at = 0; at < block_values * low_bits / 8; at += LINE) {
        ZNL_PREFETCH_READ(words + at);
        ZNL_PREFETCH_READ(plane + at);
    }
    for (unsigned p = 0; p < it->layout->byte_planes; p++)
        for (size_t at = 0; at < block_values; at += LINE)
            ZNL_PREFETCH_READ((uintptr_t)it->found.raw + p * it->shape.coded_count + value + at);
    for (size_t at = 0; at < block_values * width; at += LINE) ZNL_PREFETCH_WRITE(out + at);
}

/* How many blocks the next run has, of superblock_count superblocks at most: all with one table, or with
 * small units. */
static size_t run_length(const static_decoder *it, size_t superblock_count)
{
    const int has_large_units = it->chunk->table_count > 1 && !has_small_units(it);
    const size_t most = (has_large_units ? 1 : superblock_count) * ZNL_SUPERBLOCK_BLOCKS;
    const size_t left = it->streamed_blocks - it->block;
    return left < most ? left : most;
}

/* Decode the next run, whose low bits are in the wire. */
static int stream_alone(const znl_kernels *kernels, static_decoder *it)
{
    const size_t count = run_length(it, 1);
    uint16_t *symbols = it->scratch->symbols;
    prefetch_ahead(it, count);
    const int status = decode_symbols(kernels, it, count, symbols);
    if (status != ZNL_OK) return status;
    return merge_blocks(kernels, it, count, next_bit_plane(it), symbols);
}

/* How many superblocks both chunks of a pair can decode before a look at their words or tables. */
static size_t pair_run_length(const static_decoder its[2])
{
    size_t superblocks = ZNL_PAIR_RUN_SUPERBLOCKS;
    for (int i = 0; i < 2; i++) {
        const size_t blocks = run_length(&its[i], ZNL_PAIR_RUN_SUPERBLOCKS);
        const size_t safe = znl_safe_blocks(&its[i].lanes, blocks, 64) / ZNL_SUPERBLOCK_BLOCKS;
        if (its[i].lanes.lane_count != ZNL_WIDE_LANES || has_small_units(&its[i])) return 0;
        if (safe < superblocks) superblocks = safe;
    }
    return superblocks;
}

/* The next runs of two chunks side by side. */
static int stream_pair(const znl_kernels *kernels, static_decoder its[2], size_t superblock_count)
{
    znl_decode_stream streams[2];
    for (int i = 0; i < 2; i++) {
        static_decoder *it = &its[i];
        const size_t first = it->block * ZNL_BLOCK_VALUES;
        streams[i].lanes = &it->lanes;
        streams[i].model = model_at(it, it->block);
        streams[i].planes = it->found.raw + first;
        streams[i].plane_nbytes = it->shape.coded_count;
        streams[i].bit_plane = next_bit_plane(it);
        streams[i].out = it->chunk->source + first * it->layout->width;
    }
    int status = kernels->decode_pair(its[0].layout, streams, superblock_count);
    for (int i = 0; i < 2 && status == ZNL_OK; i++)
        status = finish_blocks(kernels, &its[i], superblock_count * ZNL_SUPERBLOCK_BLOCKS);
    return status;
}

/* Merge the superblocks that the states complete: their symbols are in scratch. */
static int finish_rest(const znl_kernels *kernels, static_decoder *it, size_t rest)
{
    znl_static_decode_chunk_scratch *scratch = it->scratch;
    const znl_static_shape *shape = &it->shape;
    const uint8_t *begun = next_bit_plane(it);
    const size_t begun_nbytes = (size_t)(begun - bit_plane_of(it));
    const size_t stored =
        znl_bit_plane_nbytes(shape->block_count, it->layout->low_bits) - shape->state_nbytes;
    memcpy(scratch->plane_tail, begun, stored - begun_nbytes);
    for (unsigned lane = 0; lane < shape->lane_count; lane++)
        store_u16le(scratch->plane_tail + (stored - begun_nbytes) + 2 * lane,
                    (uint16_t)it->lanes.states[lane]);
    return merge_blocks(kernels, it, rest, scratch->plane_tail, scratch->tail_symbols);
}

/* Decode what the states complete, and the tail; check the end. */
static int finish(const znl_kernels *kernels, static_decoder *it, uint64_t *checksum)
{
    const znl_static_shape *shape = &it->shape;
    const znl_chunk *chunk = it->chunk;
    const size_t rest = shape->block_count - it->block;
    int status = ZNL_OK;
    for (size_t b = 0; b < rest && status == ZNL_OK; b++)
        status = kernels->rans_decode(&it->lanes, model_at(it, it->block + b),
                                      it->scratch->tail_symbols + b * ZNL_BLOCK_VALUES, 1);
    if (status == ZNL_OK) status = znl_lanes_check_end(&it->lanes);
    if (status != ZNL_OK) return status;
    for (unsigned lane = 0; lane < shape->lane_count; lane++)
        if (shape->state_nbytes == 0 && it->lanes.states[lane] != ZNL_STATE_MIN)
            return ZNL_E_BAD_STATE;
    if (rest) status = finish_rest(kernels, it, rest);
    if (status != ZNL_OK) return status;
    if (it->patch != it->found.patch_count) return ZNL_E_BAD_PATCH;
    memcpy(chunk->source + shape->coded_count * it->layout->width, it->found.tail,
           shape->tail_nbytes);
    *checksum = znl_xxh3_end(&it->sum, chunk->source, chunk->source_nbytes, kernels->xxh3_blocks);
    return ZNL_OK;
}

int znl_static_decode(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_freq_table (*tables)[ZNL_MAX_TABLES], const znl_chunk *chunks,
                      unsigned count, uint64_t *checksums, znl_static_decode_scratch *scratch)
{
    static_decoder its[2];
    size_t wanted = 0, superblocks;
    for (unsigned c = 0; c < count; c++) wanted += chunks[c].table_count;
    if (scratch->cache.count + wanted > ZNL_CACHED_MODELS) scratch->cache.count = 0;
    for (unsigned c = 0; c < count; c++) {
        const int status = begin(layout, tables[c], kernels, &chunks[c], &scratch->cache,
                                 &scratch->chunks[c], &its[c]);
        if (status != ZNL_OK) return status;
    }
    while (count == 2 && kernels->decode_pair && (superblocks = pair_run_length(its)) > 0) {
        const int status = stream_pair(kernels, its, superblocks);
        if (status != ZNL_OK) return status;
    }
    for (unsigned c = 0; c < count; c++) {
        int status = ZNL_OK;
        while (status == ZNL_OK && its[c].block < its[c].streamed_blocks)
            status = stream_alone(kernels, &its[c]);
        if (status == ZNL_OK) status = finish(kernels, &its[c], &checksums[c]);
        if (status != ZNL_OK) return status;
    }
    return ZNL_OK;
}
