/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the body of a static or arranged chunk. Words grow downwards to the raw section that stands at the end of the room, and
 * the sections before them are laid in front when their sizes are known, so nothing large is copied. */
#include "static_body.h"

#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "static_encoder.h"
#include "target.h"

/* Where the raw section begins in the body's room. The raw section is written whole, its last state_nbytes bytes
 * then move into the states and the tail takes their place. */
static size_t raw_offset(const znl_chunk *chunk, const znl_static_shape *shape)
{
    return chunk->source_nbytes + ZNL_BODY_SLACK_NBYTES - shape->raw_nbytes - shape->tail_nbytes;
}

void znl_static_split(const znl_kernels *kernels, const znl_layout *layout, const znl_chunk *chunk,
                      znl_static_encode_scratch *scratch)
{
    const znl_static_shape shape =
        znl_static_shape_of(layout, chunk->source_nbytes / layout->width, 1, 0);
    uint8_t *planes = chunk->body + raw_offset(chunk, &shape);
    uint8_t *bit_plane = planes + layout->byte_planes * shape.coded_count;
    for (size_t block = 0; block < shape.block_count; block += ZNL_SUPERBLOCK_BLOCKS) {
        const size_t left = shape.block_count - block, first = block * ZNL_BLOCK_VALUES;
        const size_t count = left < ZNL_SUPERBLOCK_BLOCKS ? left : ZNL_SUPERBLOCK_BLOCKS;
        kernels->split(layout, chunk->source + first * layout->width, count,
                       scratch->symbols + first, layout->byte_planes ? planes + first : planes,
                       shape.coded_count, bit_plane);
        bit_plane += ZNL_BLOCK_VALUES * layout->low_bits;
    }
}

static void write_class_map(const uint8_t *classes, size_t unit_count, unsigned table_count,
                            uint8_t *out, size_t out_nbytes)
{
    const unsigned bits = znl_class_bits(table_count);
    memset(out, 0, out_nbytes);
    for (size_t u = 0; u < unit_count; u++)
        for (unsigned i = 0; i < bits; i++) {
            const size_t bit = u * bits + i;
            out[bit >> 3] = (uint8_t)(out[bit >> 3] | (classes[u] >> i & 1) << (bit & 7));
        }
}

/* Lay the sections in front of the words: counts, class map or arrangement, states, patches, gap. */
static void write_front(const znl_static_encoder *it, size_t patch_count, size_t word_count,
                        uint8_t *out)
{
    const znl_static_shape *shape = &it->shape;
    const znl_chunk *chunk = it->chunk;
    if (shape->counts_nbytes == 8) {
        store_u32le(out, (uint32_t)word_count);
        store_u32le(out + 4, (uint32_t)patch_count);
    } else {
        store_u16le(out, (uint16_t)word_count);
        store_u16le(out + 2, (uint16_t)patch_count);
    }
    out += shape->counts_nbytes;
    if (it->arrangement)
        znl_arrangement_write(it->arrangement, chunk->table_count - it->context_count, out);
    else if (shape->map_nbytes)
        write_class_map(it->classes, znl_unit_count(shape->coded_count, chunk->unit_shift),
                        chunk->table_count, out, shape->map_nbytes);
    out += shape->map_nbytes;
    for (unsigned lane = 0; lane < shape->lane_count; lane++, out += 4)
        store_u32le(out, it->lanes.states[lane]);
    for (size_t p = 0; p < patch_count; p++, out += 4) store_u32le(out, it->lanes.patches[p]);
    if (word_count % 2) store_u16le(out, 0);
}

static int is_entry(const znl_encode_cache *cache, size_t i, const znl_freq_table *table,
                    unsigned symbol_bits)
{
    return cache->symbol_bits[i] == symbol_bits &&
           memcmp(&cache->tables[i], table, sizeof *table) == 0;
}

static const znl_encode_model *find_model(const znl_freq_table *table, unsigned symbol_bits,
                                          znl_encode_cache *cache)
{
    size_t i = cache->next;
    if (i >= cache->count || !is_entry(cache, i, table, symbol_bits))
        for (i = 0; i < cache->count; i++)
            if (is_entry(cache, i, table, symbol_bits)) break;
    if (i == cache->count) {
        cache->symbol_bits[i] = symbol_bits;
        cache->tables[i] = *table;
        znl_encode_model_build(table, symbol_bits, &cache->models[i]);
        cache->count++;
    }
    cache->next = i + 1;
    return &cache->models[i];
}

/* Make room for the models of `wanted` tables: those found from now on stay. */
void znl_encoder_reserve(znl_encode_cache *cache, size_t wanted)
{
    if (cache->count == 0 || cache->count + wanted > ZNL_CACHED_MODELS)
        cache->count = cache->next = 0;
}

/* What is to be encoded: a static chunk. */
void znl_encoder_describe(const znl_layout *layout, znl_chunk *chunk, const uint8_t *classes,
                          znl_static_encoder *it)
{
    it->chunk = chunk;
    it->layout = layout;
    it->source = chunk->source;
    it->classes = classes;
    it->arrangement = NULL;
    it->planes = NULL;
    it->context_count = 0;
    it->shape = znl_static_shape_of(layout, chunk->source_nbytes / layout->width,
                                    classes ? chunk->table_count : 1, chunk->unit_shift);
}

/* All but the states, which need the end of the raw section. */
int znl_encoder_begin(const znl_freq_table *tables, znl_encode_cache *cache,
                      znl_encode_chunk_scratch *scratch, znl_static_encoder *it)
{
    const size_t patches_room = sizeof scratch->patches / sizeof *scratch->patches;
    const znl_static_shape *shape = &it->shape;
    znl_chunk *chunk = it->chunk;
    it->block = shape->block_count;
    it->raw = chunk->body + raw_offset(chunk, shape);
    it->behind_words = shape->raw_nbytes - shape->state_nbytes + shape->tail_nbytes;
    it->before_words = shape->counts_nbytes + shape->map_nbytes + 4 * shape->lane_count;
    if (it->before_words + 2 + it->behind_words >= chunk->source_nbytes) return ZNL_E_NO_ROOM;
    /* The coder stops when less than a block of room is left, so it gets a block of the slack; a body
     * that is too large is refused in the end. */
    it->words_room =
        (chunk->source_nbytes - it->before_words - 2 - it->behind_words) / 2 + ZNL_BLOCK_VALUES;
    it->lanes.lane_count = shape->lane_count;
    /* Behind the window lies what is read next, at the end of a batch as well when it is all in memory. */
    it->lanes.ahead =
        (uintptr_t)chunk->source + ZNL_WINDOW_CHUNKS * (uintptr_t)chunk->source_nbytes;
    it->lanes.ahead_nbytes = ZNL_BLOCK_VALUES * it->layout->width;
    it->lanes.words = it->raw;
    it->lanes.words_room = it->words_room;
    it->lanes.patches_room = patches_room;
    it->lanes.patches = it->patches_end = scratch->patches + patches_room;
    const unsigned table_count = it->classes ? chunk->table_count : 1u;
    for (unsigned t = 0; t < table_count; t++) {
        const int is_second = t >= table_count - it->context_count;
        const unsigned symbol_bits = is_second ? ZNL_SECOND_BITS : it->layout->symbol_bits;
        it->models[t] = find_model(&tables[t], symbol_bits, cache);
    }
    return ZNL_OK;
}

/* The end of the raw section is there: it moves into the states. */
void znl_encoder_begin_lanes(znl_static_encoder *it)
{
    const znl_static_shape *shape = &it->shape;
    const uint8_t *in_states = it->raw + shape->raw_nbytes - shape->state_nbytes;
    for (unsigned lane = 0; lane < shape->lane_count; lane++)
        it->lanes.states[lane] =
            ZNL_STATE_MIN + (shape->state_nbytes ? load_u16le(in_states + 2 * lane) : 0u);
}

/* Put the body together. */
int znl_encoder_finish(znl_static_encoder *it)
{
    const znl_static_shape *shape = &it->shape;
    znl_chunk *chunk = it->chunk;
    const size_t patch_count = (size_t)(it->patches_end - it->lanes.patches);
    const size_t word_count = it->words_room - it->lanes.words_room;
    const size_t front = it->before_words + 4 * patch_count + (word_count % 2 ? 2 : 0);
    const size_t body_nbytes = front + 2 * word_count + it->behind_words;
    if (body_nbytes >= chunk->source_nbytes) return ZNL_E_NO_ROOM;
    uint8_t *body = it->raw - 2 * word_count - front;
    write_front(it, patch_count, word_count, body);
    memcpy(it->raw + shape->raw_nbytes - shape->state_nbytes,
           it->source + shape->coded_count * it->layout->width, shape->tail_nbytes);
    chunk->body_offset = (uint32_t)(body - chunk->body);
    chunk->body_nbytes = (uint32_t)body_nbytes;
    return ZNL_OK;
}

int znl_static_encode(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_freq_table *tables, znl_chunk *chunk,
                      znl_static_encode_scratch *scratch)
{
    znl_static_encoder it;
    znl_encoder_reserve(&scratch->cache, chunk->table_count);
    znl_encoder_describe(layout, chunk, chunk->table_count > 1 ? scratch->classes : NULL, &it);
    int status = znl_encoder_begin(tables, &scratch->cache, &scratch->chunks[0], &it);
    if (status != ZNL_OK) return status;
    znl_encoder_begin_lanes(&it);
    const size_t unit_blocks =
        chunk->unit_shift == ZNL_UNIT_SHIFT_SMALL ? 1 : (size_t)ZNL_SUPERBLOCK_BLOCKS;
    while (it.block > 0 && status == ZNL_OK) {
        const size_t unit = (it.block - 1) / unit_blocks, first = unit * unit_blocks;
        const unsigned class = it.classes ? it.classes[unit] : 0;
        status = kernels->rans_encode(&it.lanes, it.models[class],
                                      scratch->symbols + first * ZNL_BLOCK_VALUES,
                                      first * ZNL_BLOCK_VALUES, it.block - first);
        it.block = first;
    }
    return status == ZNL_OK ? znl_encoder_finish(&it) : status;
}

/* The first block of the last run before `end`. Runs begin at multiples of their length; the first one
 * takes what is over besides, and so holds all that goes into the states. */
size_t znl_encoder_run_begin(size_t end)
{
    const size_t run = ZNL_ENCODE_RUN_SUPERBLOCKS * ZNL_SUPERBLOCK_BLOCKS;
    return end <= run ? 0 : (end / run - 1) * run;
}

static void split_run(const znl_kernels *kernels, const znl_static_encoder *it, size_t first_block,
                      uint16_t *symbols)
{
    const znl_layout *layout = it->layout;
    const size_t first = first_block * ZNL_BLOCK_VALUES;
    kernels->split(layout, it->source + first * layout->width, it->block - first_block, symbols,
                   layout->byte_planes ? it->raw + first : it->raw, it->shape.coded_count,
                   it->raw + layout->byte_planes * it->shape.coded_count +
                       first / 8 * layout->low_bits);
}

/* The same when the byte planes are not stored whole. */
static void split_and_pack_run(const znl_kernels *kernels, const znl_static_encoder *it,
                               size_t first_block, uint16_t *symbols)
{
    const znl_layout *layout = it->layout;
    const znl_reduction *reduction = &it->arrangement->reduction;
    const size_t first = first_block * ZNL_BLOCK_VALUES, coded_count = it->shape.coded_count;
    const size_t count = (it->block - first_block) * ZNL_BLOCK_VALUES;
    uint8_t *bit_plane = it->raw + it->shape.raw_nbytes -
                         znl_bit_plane_nbytes(it->shape.block_count, layout->low_bits);
    kernels->split(layout, it->source + first * layout->width, it->block - first_block, symbols,
                   it->planes, count, bit_plane + first / 8 * layout->low_bits);
    znl_pack_planes(layout, reduction, coded_count, it->planes, count,
                    first / ZNL_SUPERBLOCK_VALUES, count, it->raw);
}

/* Ask for what the runs to come will read and write: they go down, and the hardware alone fetches late. */
static void prefetch_ahead(const znl_static_encoder *it, size_t first_block)
{
    enum { LINE = 64, VALUES_AHEAD = 2048 };
    const size_t width = it->layout->width, low_bits = it->layout->low_bits;
    const size_t planes = it->layout->byte_planes, plane_nbytes = it->shape.coded_count;
    const size_t count = (it->block - first_block) * ZNL_BLOCK_VALUES;
    const size_t first = first_block * ZNL_BLOCK_VALUES;
    if (first < VALUES_AHEAD) return;
    const size_t ahead = first - VALUES_AHEAD;
    const uint8_t *in = it->source + ahead * width;
    const uint8_t *bit_plane = it->raw + planes * plane_nbytes + ahead / 8 * low_bits;
    const uintptr_t words = (uintptr_t)it->lanes.words - 2 * VALUES_AHEAD;
    for (size_t at = 0; at < count * width; at += LINE) ZNL_PREFETCH_READ(in + at);
    for (size_t at = 0; at < count / 8 * low_bits; at += LINE) ZNL_PREFETCH_WRITE(bit_plane + at);
    for (size_t p = 0; p < planes; p++)
        for (size_t at = 0; at < count; at += LINE)
            ZNL_PREFETCH_WRITE(it->raw + p * plane_nbytes + ahead + at);
    for (size_t at = 0; at < count; at += LINE) ZNL_PREFETCH_WRITE(words - at);
}

/* Split the next run, the one before those that were encoded. */
void znl_encoder_begin_run(const znl_kernels *kernels, znl_static_encoder *it, size_t begin_block,
                           uint16_t *symbols)
{
    if (it->planes) {
        split_and_pack_run(kernels, it, begin_block, symbols);
    } else {
        prefetch_ahead(it, begin_block);
        split_run(kernels, it, begin_block, symbols);
    }
    if (it->block == it->shape.block_count) znl_encoder_begin_lanes(it);
    it->block = begin_block;
}

int znl_static_split_encode(const znl_kernels *kernels, const znl_layout *layout,
                            const znl_freq_table *const *tables, znl_chunk *chunks, unsigned count,
                            znl_static_encode_scratch *scratch)
{
    znl_static_encoder its[2];
    znl_encode_lanes *const lanes[2] = {&its[0].lanes, &its[1].lanes};
    uint16_t *const symbols[2] = {scratch->chunks[0].symbols, scratch->chunks[1].symbols};
    const uint16_t *const split[2] = {symbols[0], symbols[1]};
    int status = ZNL_OK;
    znl_encoder_reserve(&scratch->cache, count);
    for (unsigned c = 0; c < count && status == ZNL_OK; c++) {
        znl_encoder_describe(layout, &chunks[c], NULL, &its[c]);
        status = znl_encoder_begin(tables[c], &scratch->cache, &scratch->chunks[c], &its[c]);
    }
    while (status == ZNL_OK && its[0].block > 0) {
        const size_t begin_block = znl_encoder_run_begin(its[0].block),
                     left = its[0].block - begin_block;
        const size_t first = begin_block * ZNL_BLOCK_VALUES;
        for (unsigned c = 0; c < count; c++)
            znl_encoder_begin_run(kernels, &its[c], begin_block, symbols[c]);
        if (count == 2) {
            const znl_encode_model *const models[2] = {its[0].models[0], its[1].models[0]};
            status = kernels->rans_encode_pair(lanes, models, split, first, left);
        } else {
            status = kernels->rans_encode(lanes[0], its[0].models[0], split[0], first, left);
        }
    }
    for (unsigned c = 0; c < count && status == ZNL_OK; c++) status = znl_encoder_finish(&its[c]);
    return status;
}
