/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes static and arranged chunks. */
#include "static_body.h"

#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "static_sections.h"
#include "target.h"

int znl_decode_blocks(const znl_kernels *kernels, znl_decode_lanes *lanes,
                      const znl_decode_model *const *models, const uint8_t *classes,
                      size_t block_count, uint16_t *symbols)
{
    int status = ZNL_OK;
    for (size_t b = 0, end; b < block_count && status == ZNL_OK; b = end) {
        for (end = b + 1; end < block_count && classes[end] == classes[b];) end++;
        status = kernels->rans_decode(lanes, models[classes[b]], symbols + b * ZNL_BLOCK_VALUES,
                                      end - b);
    }
    return status;
}

/* A chunk on its way: what is left to decode. */
typedef struct {
    const znl_chunk *chunk;
    const znl_layout *layout;
    znl_static_shape shape;
    znl_sections found;
    znl_decode_lanes lanes;
    const znl_decode_model *models[ZNL_MAX_TABLES];
    znl_static_decode_chunk_scratch *scratch;
    const znl_arrangement *arrangement; /* NULL: values come in source order */
    const znl_reduction *reduction;     /* NULL: every bit is stored */
    const znl_second *second;           /* NULL: there are no second symbols */
    znl_second_decode_scratch *second_scratch;
    const uint8_t *bit_plane;
    uint8_t *out;  /* the chunk's place, or where its values wait to be restored */
    uint8_t *room; /* of the scratch */
    size_t block;  /* the next one */
    size_t
        streamed_blocks; /* blocks whose low bits are in the wire whole; the states hold the rest */
    size_t patch;        /* the next one */
    size_t patch_position; /* patches must lie at or behind it */
    znl_xxh3_state sum;
} static_decoder;

static void begin_lanes(static_decoder *it)
{
    it->lanes.lane_count = it->shape.lane_count;
    for (unsigned lane = 0; lane < it->shape.lane_count; lane++)
        it->lanes.states[lane] = load_u32le(it->found.states + 4 * lane);
    it->lanes.words = it->found.words;
    it->lanes.words_end = it->found.words + 2 * it->found.word_count;
    it->lanes.readable_end = it->chunk->body + it->chunk->body_nbytes;
}

/* Find the sections of a static chunk, and the class of each block. */
static int begin_static(static_decoder *it)
{
    const znl_chunk *chunk = it->chunk;
    const int status = znl_find_sections(&it->shape, chunk->body, chunk->body_nbytes, &it->found);
    if (status != ZNL_OK) return status;
    if (chunk->table_count > 1)
        return znl_read_class_map(&it->shape, it->found.map, chunk->table_count, chunk->unit_shift,
                                  it->scratch->classes);
    memset(it->scratch->classes, 0, it->shape.block_count);
    return ZNL_OK;
}

/* Room for byte planes. The chunk's place and the room for values in arranged order are of the same size, and values
 * come into only one of them: the planes get the other. */
static uint8_t *free_room(const static_decoder *it)
{
    return it->arrangement ? it->chunk->source : it->room;
}

/* Make the byte planes of a reduced chunk whole. */
static void expand_planes(static_decoder *it, uint8_t *planes)
{
    it->bit_plane =
        znl_expand_planes(it->layout, it->reduction, it->shape.coded_count, it->found.raw, planes);
    it->found.raw = planes;
}

/* The same of an arranged one; where its values must move, they are decoded into scratch. */
static int begin_arranged(static_decoder *it, znl_arrangement *arrangement)
{
    const znl_chunk *chunk = it->chunk;
    const size_t counts_nbytes = it->shape.counts_nbytes;
    if (chunk->body_nbytes < counts_nbytes) return ZNL_E_TRUNCATED;
    const int64_t nbytes = znl_arrangement_read(
        chunk->body + counts_nbytes, chunk->body_nbytes - counts_nbytes,
        chunk->source_nbytes / it->layout->width, chunk->table_count, arrangement);
    if (nbytes < 0) return (int)nbytes;
    it->shape.map_nbytes = (size_t)nbytes;
    const unsigned class_count = znl_class_count(arrangement, chunk->table_count);
    znl_arrangement_block_classes(arrangement, class_count, it->shape.block_count,
                                  it->scratch->classes);
    if (!znl_arrangement_is_source_order(arrangement)) {
        it->arrangement = arrangement;
        it->out = it->room;
    }
    const znl_reduction *reduction = &arrangement->reduction;
    const znl_second *second = &arrangement->second;
    if (!znl_reduction_is_allowed(it->layout, reduction) ||
        !znl_second_is_allowed(it->layout, class_count, second))
        return ZNL_E_BAD_VALUE;
    if (reduction->shift) it->reduction = reduction;
    if (second->kind != ZNL_NO_SECOND) {
        it->second = second;
        znl_static_shape_with_second(it->layout, second, &it->shape);
    }
    it->shape.raw_nbytes -= znl_reduction_saved_nbytes(reduction, it->shape.coded_count);
    const int status = znl_find_sections(&it->shape, chunk->body, chunk->body_nbytes, &it->found);
    if (status == ZNL_OK && it->reduction) expand_planes(it, free_room(it));
    return status;
}

/* The models of all tables: those of contexts come last. */
static int find_models(const znl_kernels *kernels, static_decoder *it, const znl_table *wire,
                       znl_model_cache *cache)
{
    const znl_chunk *chunk = it->chunk;
    const unsigned contexts = it->second ? it->second->context_count : 0;
    const unsigned classes = chunk->table_count - contexts;
    const int status = znl_model_cache_find(kernels, chunk->tables, wire, classes,
                                            it->layout->symbol_bits, cache, it->models);
    if (status != ZNL_OK || contexts == 0) return status;
    return znl_model_cache_find(kernels, chunk->tables + classes, wire + classes, contexts,
                                ZNL_SECOND_BITS, cache, it->models + classes);
}

/* How many blocks have all their low bits in the wire. */
static size_t streamed_blocks_of(const znl_static_shape *shape, unsigned low_bits)
{
    if (shape->state_nbytes == 0) return shape->block_count;
    const size_t stored = znl_bit_plane_nbytes(shape->block_count, low_bits) - shape->state_nbytes;
    return stored / (ZNL_BLOCK_VALUES * low_bits) * ZNL_SUPERBLOCK_BLOCKS;
}

/* Begin chunk number `number` of a call. */
static int begin(const znl_kernels *kernels, const znl_layout *layout, const znl_table *wire,
                 const znl_chunk *chunk, unsigned number, znl_static_decode_scratch *scratch,
                 static_decoder *it)
{
    const int is_arranged = chunk->method == ZNL_METHOD_ARRANGED;
    it->chunk = chunk;
    it->layout = layout;
    it->scratch = &scratch->chunks[number];
    it->shape = znl_static_shape_of(layout, chunk->source_nbytes / layout->width,
                                    is_arranged ? 1 : chunk->table_count, chunk->unit_shift);
    it->arrangement = NULL;
    it->reduction = NULL;
    it->second = NULL;
    it->second_scratch = &scratch->second;
    it->bit_plane = NULL;
    it->out = chunk->source;
    it->room = scratch->rooms[number];
    it->block = it->patch = it->patch_position = 0;
    znl_xxh3_begin(&it->sum);
    int status =
        is_arranged ? begin_arranged(it, &scratch->arrangements[number]) : begin_static(it);
    if (status == ZNL_OK) status = find_models(kernels, it, wire, &scratch->cache);
    if (status != ZNL_OK) return status;
    begin_lanes(it);
    /* Of what has none stored, the end of the raw section will do; fields end where second symbols say. */
    if (!it->bit_plane && !it->shape.has_fields)
        it->bit_plane = it->found.raw + layout->byte_planes * it->shape.coded_count;
    it->streamed_blocks = streamed_blocks_of(&it->shape, layout->low_bits);
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
    const size_t width = it->layout->width, first = it->block * ZNL_BLOCK_VALUES;
    size_t position;
    unsigned symbol_value;
    int status;
    it->block += block_count;
    while ((status = next_patch(it, it->block * ZNL_BLOCK_VALUES, &position, &symbol_value)) > 0)
        znl_patch_value(it->layout, symbol_value, it->out + position * width);
    if (it->reduction && it->reduction->one_sign)
        znl_restore_signs(it->reduction, width, first / ZNL_SUPERBLOCK_VALUES,
                          it->out + first * width, block_count * ZNL_BLOCK_VALUES);
    if (!it->arrangement)
        znl_xxh3_grow(&it->sum, it->out, it->block * ZNL_BLOCK_VALUES * width,
                      it->chunk->source_nbytes, kernels->xxh3_blocks);
    return status;
}

/* Decode the symbols of the next block_count blocks. */
static int decode_symbols(const znl_kernels *kernels, static_decoder *it, size_t block_count,
                          uint16_t *symbols)
{
    return znl_decode_blocks(kernels, &it->lanes, it->models, it->scratch->classes + it->block,
                             block_count, symbols);
}

/* Put the symbol values of all patches in place. */
static int patch_symbols(static_decoder *it, uint16_t *symbols)
{
    size_t position;
    unsigned symbol_value;
    int status;
    while ((status = next_patch(it, it->shape.coded_count, &position, &symbol_value)) > 0)
        symbols[position] = (uint16_t)symbol_value;
    return status;
}

/* Decode both symbols of all values: they are in scratch, then, and what zeros say about the byte planes is in
 * `planes`. */
static int decode_both(const znl_kernels *kernels, static_decoder *it, uint8_t *planes)
{
    znl_second_decode_scratch *scratch = it->second_scratch;
    const size_t coded_count = it->shape.coded_count;
    const unsigned class_count = it->chunk->table_count - it->second->context_count;
    int status = decode_symbols(kernels, it, it->shape.block_count, scratch->symbols);
    if (status == ZNL_OK) status = patch_symbols(it, scratch->symbols);
    if (status == ZNL_OK)
        status = znl_decode_second(kernels, it->layout, it->second, it->scratch->classes,
                                   it->models + class_count, &it->lanes, coded_count, scratch);
    if (status != ZNL_OK || !it->shape.has_fields) return status;
    const uint8_t *fields = it->found.raw;
    const size_t nbytes = it->found.fields_nbytes;
    if (znl_fields_nbytes(scratch->second, coded_count) != nbytes) return ZNL_E_BAD_SIZE;
    /* The bit plane behind the fields is longer than what may be read there. */
    const size_t bits = kernels->read_fields(fields, scratch->second, coded_count, planes);
    it->bit_plane = fields + nbytes;
    it->found.raw = planes;
    return znl_fields_end(fields, nbytes, bits);
}

/* The symbols of the next blocks: decoded before, or into `room`, which can fail. */
static const uint16_t *next_symbols(const znl_kernels *kernels, static_decoder *it,
                                    size_t block_count, uint16_t *room, int *status)
{
    if (it->second) {
        *status = ZNL_OK;
        return it->second_scratch->symbols + it->block * ZNL_BLOCK_VALUES;
    }
    *status = decode_symbols(kernels, it, block_count, room);
    return room;
}

/* Merge the next blocks out of their symbols, and finish them. */
static int merge_blocks(const znl_kernels *kernels, static_decoder *it, size_t block_count,
                        const uint8_t *bit_plane, const uint16_t *symbols)
{
    const size_t first = it->block * ZNL_BLOCK_VALUES;
    uint8_t *out = it->out + first * it->layout->width;
    int status = ZNL_OK;
    if (it->second && it->second->kind == ZNL_SECOND_LOW_BITS)
        znl_join_low_bits(it->layout, symbols, it->second_scratch->second + first,
                          block_count * ZNL_BLOCK_VALUES, out);
    else
        status = kernels->merge(it->layout, symbols, it->found.raw + first, it->shape.coded_count,
                                block_count, bit_plane, out);
    return status == ZNL_OK ? finish_blocks(kernels, it, block_count) : status;
}

/* The bit plane of the superblock that begins with the next block; none where second symbols hold the low bits. */
static const uint8_t *next_bit_plane(const static_decoder *it)
{
    if (it->second && it->second->kind == ZNL_SECOND_LOW_BITS) return NULL;
    return it->bit_plane +
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
    const uintptr_t plane = (uintptr_t)it->bit_plane + value * low_bits / 8;
    const uintptr_t out = (uintptr_t)it->out + value * width;
    for (size_t at = 0; at < block_values * low_bits / 8; at += LINE) {
        ZNL_PREFETCH_READ(words + at);
        ZNL_PREFETCH_READ(plane + at);
    }
    for (unsigned p = 0; p < it->layout->byte_planes; p++)
        for (size_t at = 0; at < block_values; at += LINE)
            ZNL_PREFETCH_READ((uintptr_t)it->found.raw + p * it->shape.coded_count + value + at);
    for (size_t at = 0; at < block_values * width; at += LINE) ZNL_PREFETCH_WRITE(out + at);
}

/* How many blocks the next run has, of superblock_count superblocks at most. */
static size_t run_length(const static_decoder *it, size_t superblock_count)
{
    const size_t most = superblock_count * ZNL_SUPERBLOCK_BLOCKS;
    const size_t left = it->streamed_blocks - it->block;
    return left < most ? left : most;
}

/* Decode the next run, whose low bits are in the wire. */
static int stream_alone(const znl_kernels *kernels, static_decoder *it)
{
    const size_t count = run_length(it, 1);
    int status;
    prefetch_ahead(it, count);
    const uint16_t *symbols = next_symbols(kernels, it, count, it->scratch->symbols, &status);
    if (status != ZNL_OK) return status;
    return merge_blocks(kernels, it, count, next_bit_plane(it), symbols);
}

/* How many superblocks both chunks of a pair can decode before a look at their words. */
static size_t pair_run_length(const static_decoder its[2])
{
    size_t superblocks = ZNL_PAIR_RUN_SUPERBLOCKS;
    for (int i = 0; i < 2; i++) {
        const size_t blocks = run_length(&its[i], ZNL_PAIR_RUN_SUPERBLOCKS);
        const size_t safe = znl_safe_blocks(&its[i].lanes, blocks, 64) / ZNL_SUPERBLOCK_BLOCKS;
        if (its[i].lanes.lane_count != ZNL_WIDE_LANES || its[i].second) return 0;
        if (safe < superblocks) superblocks = safe;
    }
    return superblocks;
}

/* The next runs of two chunks side by side. */
static int stream_pair(const znl_kernels *kernels, static_decoder its[2], size_t superblock_count)
{
    const int has_classes = its[0].chunk->table_count > 1 || its[1].chunk->table_count > 1;
    znl_decode_stream streams[2];
    for (int i = 0; i < 2; i++) {
        static_decoder *it = &its[i];
        const size_t first = it->block * ZNL_BLOCK_VALUES;
        streams[i].lanes = &it->lanes;
        streams[i].models.of_class = it->models;
        streams[i].models.classes = has_classes ? it->scratch->classes + it->block : NULL;
        streams[i].planes = it->found.raw + first;
        streams[i].plane_nbytes = it->shape.coded_count;
        streams[i].bit_plane = next_bit_plane(it);
        streams[i].out = it->out + first * it->layout->width;
    }
    int status = kernels->decode_pair(its[0].layout, streams, superblock_count);
    for (int i = 0; i < 2 && status == ZNL_OK; i++)
        status = finish_blocks(kernels, &its[i], superblock_count * ZNL_SUPERBLOCK_BLOCKS);
    return status;
}

/* Merge the superblocks that the states complete. */
static int finish_rest(const znl_kernels *kernels, static_decoder *it, size_t rest,
                       const uint16_t *symbols)
{
    znl_static_decode_chunk_scratch *scratch = it->scratch;
    const znl_static_shape *shape = &it->shape;
    const uint8_t *begun = next_bit_plane(it);
    const size_t begun_nbytes = (size_t)(begun - it->bit_plane);
    const size_t stored =
        znl_bit_plane_nbytes(shape->block_count, it->layout->low_bits) - shape->state_nbytes;
    memcpy(scratch->plane_tail, begun, stored - begun_nbytes);
    for (unsigned lane = 0; lane < shape->lane_count; lane++)
        store_u16le(scratch->plane_tail + (stored - begun_nbytes) + 2 * lane,
                    (uint16_t)it->lanes.states[lane]);
    return merge_blocks(kernels, it, rest, scratch->plane_tail, symbols);
}

/* All values are there: restore their order, if they have another one, and take their checksum. */
static uint64_t finish_values(const znl_kernels *kernels, static_decoder *it,
                              znl_move_scratch *moves)
{
    const znl_chunk *chunk = it->chunk;
    if (!it->arrangement)
        return znl_xxh3_end(&it->sum, it->out, chunk->source_nbytes, kernels->xxh3_blocks);
    znl_restore_values(kernels, it->arrangement, it->layout->width, it->out, chunk->source, moves);
    return kernels->xxh3_64(chunk->source, chunk->source_nbytes);
}

/* Decode what the states complete, and the tail; check the end. */
static int finish(const znl_kernels *kernels, static_decoder *it, znl_move_scratch *moves,
                  uint64_t *checksum)
{
    const znl_static_shape *shape = &it->shape;
    const size_t rest = shape->block_count - it->block;
    int status;
    const uint16_t *symbols = next_symbols(kernels, it, rest, it->scratch->tail_symbols, &status);
    if (status == ZNL_OK) status = znl_lanes_check_end(&it->lanes);
    if (status != ZNL_OK) return status;
    for (unsigned lane = 0; lane < shape->lane_count; lane++)
        if (shape->state_nbytes == 0 && it->lanes.states[lane] != ZNL_STATE_MIN)
            return ZNL_E_BAD_STATE;
    if (rest) status = finish_rest(kernels, it, rest, symbols);
    if (status != ZNL_OK) return status;
    if (it->patch != it->found.patch_count) return ZNL_E_BAD_PATCH;
    memcpy(it->out + shape->coded_count * it->layout->width, it->found.tail, shape->tail_nbytes);
    *checksum = finish_values(kernels, it, moves);
    return ZNL_OK;
}

int znl_static_decode(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_table *const *wire, const znl_chunk *chunks, unsigned count,
                      uint64_t *checksums, znl_static_decode_scratch *scratch)
{
    static_decoder its[2];
    size_t wanted = 0, superblocks;
    for (unsigned c = 0; c < count; c++) wanted += chunks[c].table_count;
    znl_model_cache_reserve(&scratch->cache, wanted);
    for (unsigned c = 0; c < count; c++) {
        const int status = begin(kernels, layout, wire[c], &chunks[c], c, scratch, &its[c]);
        if (status != ZNL_OK) return status;
    }
    while (count == 2 && kernels->decode_pair && (superblocks = pair_run_length(its)) > 0) {
        const int status = stream_pair(kernels, its, superblocks);
        if (status != ZNL_OK) return status;
    }
    for (unsigned c = 0; c < count; c++) {
        static_decoder *it = &its[c];
        int status = it->second ? decode_both(kernels, it, free_room(it)) : ZNL_OK;
        while (status == ZNL_OK && it->block < it->streamed_blocks)
            status = stream_alone(kernels, it);
        if (status == ZNL_OK) status = finish(kernels, it, &scratch->moves, &checksums[c]);
        if (status != ZNL_OK) return status;
    }
    return ZNL_OK;
}
