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

/* A static chunk on its way: what is left to decode, superblock by superblock. */
struct znl_static_decoder {
    const znl_chunk *chunk;
    const znl_layout *layout;
    znl_static_shape shape;
    sections found;
    znl_decode_lanes lanes;
    znl_static_decode_scratch *scratch;
    size_t block; /* the next one */
    size_t
        streamed_blocks; /* blocks whose low bits are in the wire whole; the states hold the rest */
    size_t patch;        /* the next one */
    size_t patch_position; /* patches must lie at or behind it */
};

static int begin(const znl_layout *layout, const znl_freq_table *tables, const znl_kernels *kernels,
                 const znl_chunk *chunk, znl_static_decode_scratch *scratch, znl_static_decoder *it)
{
    const size_t value_count = chunk->source_nbytes / layout->width;
    it->chunk = chunk;
    it->layout = layout;
    it->scratch = scratch;
    it->shape = znl_static_shape_of(layout, value_count, chunk->table_count, chunk->unit_shift);
    it->block = it->patch = it->patch_position = 0;
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
        znl_decode_model_build(&tables[t], layout->symbol_bits, kernels->wants_slots,
                               &scratch->models[t]);
    }
    it->lanes.lane_count = shape->lane_count;
    for (unsigned lane = 0; lane < shape->lane_count; lane++)
        it->lanes.states[lane] = load_u32le(it->found.states + 4 * lane);
    it->lanes.words = it->found.words;
    it->lanes.words_end = it->found.raw;
    it->lanes.readable_end = chunk->body + chunk->body_nbytes;
    it->streamed_blocks = shape->block_count;
    if (shape->state_nbytes) {
        const size_t stored =
            znl_bit_plane_nbytes(shape->block_count, layout->low_bits) - shape->state_nbytes;
        it->streamed_blocks =
            stored / (ZNL_BLOCK_VALUES * layout->low_bits) * ZNL_SUPERBLOCK_BLOCKS;
    }
    return ZNL_OK;
}

/* Put symbol values in place that had no symbol: those of values first .. first + count. */
static int apply_patches(znl_static_decoder *it, size_t first, size_t count, uint16_t *symbols)
{
    while (it->patch < it->found.patch_count) {
        const uint32_t patch = load_u32le(it->found.patches + 4 * it->patch);
        const uint32_t position = patch >> ZNL_PATCH_POSITION_SHIFT;
        const uint32_t value = patch & ((1u << ZNL_PATCH_POSITION_SHIFT) - 1);
        if (position < it->patch_position || value >> it->layout->symbol_bits)
            return ZNL_E_BAD_PATCH;
        if (position - first >= count) return ZNL_OK;
        symbols[position - first] = (uint16_t)value;
        it->patch_position = (size_t)position + 1;
        it->patch++;
    }
    return ZNL_OK;
}

static const znl_decode_model *model_at(const znl_static_decoder *it, size_t block)
{
    if (it->chunk->table_count == 1) return it->scratch->models;
    const size_t unit = block * ZNL_BLOCK_VALUES >> it->chunk->unit_shift;
    return it->scratch->models + it->scratch->classes[unit];
}

/* Decode the symbols of block_count blocks of one superblock. */
static int decode_symbols(const znl_kernels *kernels, znl_static_decoder *it, size_t block_count,
                          uint16_t *symbols)
{
    if (it->chunk->unit_shift != ZNL_UNIT_SHIFT_SMALL)
        return kernels->rans_decode(&it->lanes, model_at(it, it->block), symbols, block_count);
    int status = ZNL_OK;
    for (size_t b = 0; b < block_count && status == ZNL_OK; b++)
        status = kernels->rans_decode(&it->lanes, model_at(it, it->block + b),
                                      symbols + b * ZNL_BLOCK_VALUES, 1);
    return status;
}

/* Patch and merge the superblock at it->block into the chunk's values, and step over it. */
static int finish_superblock(const znl_kernels *kernels, znl_static_decoder *it, size_t block_count,
                             const uint8_t *bit_plane, uint16_t *symbols)
{
    const znl_layout *layout = it->layout;
    const size_t first = it->block * ZNL_BLOCK_VALUES;
    const int status = apply_patches(it, first, block_count * ZNL_BLOCK_VALUES, symbols);
    if (status != ZNL_OK) return status;
    it->block += block_count;
    return kernels->merge(layout, symbols, it->found.raw + first, it->shape.coded_count,
                          block_count, bit_plane, it->chunk->source + first * layout->width);
}

static const uint8_t *bit_plane_of(const znl_static_decoder *it)
{
    return it->found.raw + it->layout->byte_planes * it->shape.coded_count;
}

/* Ask for what the superblocks to come will read and write: the lines are far enough apart in each of
 * up to nine streams that the hardware alone fetches them late. */
static void prefetch_ahead(const znl_static_decoder *it)
{
    enum { LINE = 64, WORDS_AHEAD = 1536, VALUES_AHEAD = 2048 };
    const size_t width = it->layout->width, low_bits = it->layout->low_bits;
    const size_t block_values = ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES;
    const size_t value = it->block * ZNL_BLOCK_VALUES + VALUES_AHEAD;
    const uintptr_t words = (uintptr_t)it->lanes.words + WORDS_AHEAD;
    const uintptr_t plane = (uintptr_t)bit_plane_of(it) + value * low_bits / 8;
    const uintptr_t out = (uintptr_t)it->chunk->source + value * width;
    for (size_t at = 0; at < block_values * low_bits / 8; at += LINE) {
        ZNL_PREFETCH_READ(words + at);
        ZNL_PREFETCH_READ(plane + at);
    }
    for (size_t at = 0; at < block_values * width; at += LINE) ZNL_PREFETCH_WRITE(out + at);
}

/* Decode the next whole superblock, whose low bits are in the wire. */
static int stream_superblock(const znl_kernels *kernels, znl_static_decoder *it, uint16_t *symbols)
{
    const size_t left = it->streamed_blocks - it->block;
    const size_t count = left < ZNL_SUPERBLOCK_BLOCKS ? left : ZNL_SUPERBLOCK_BLOCKS;
    prefetch_ahead(it);
    const int status = decode_symbols(kernels, it, count, symbols);
    if (status != ZNL_OK) return status;
    const size_t offset =
        it->block / ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES * it->layout->low_bits;
    return finish_superblock(kernels, it, count, bit_plane_of(it) + offset, symbols);
}

/* Decode the superblocks that the states complete, and the tail; check the end. */
static int finish(const znl_kernels *kernels, znl_static_decoder *it)
{
    znl_static_decode_scratch *scratch = it->scratch;
    const znl_static_shape *shape = &it->shape;
    const znl_layout *layout = it->layout;
    const size_t rest = shape->block_count - it->block;
    int status = ZNL_OK;
    for (size_t b = 0; b < rest && status == ZNL_OK; b++)
        status = kernels->rans_decode(&it->lanes, model_at(it, it->block + b),
                                      scratch->tail_symbols + b * ZNL_BLOCK_VALUES, 1);
    if (status == ZNL_OK) status = znl_lanes_check_end(&it->lanes);
    if (status != ZNL_OK) return status;
    for (unsigned lane = 0; lane < shape->lane_count; lane++)
        if (shape->state_nbytes == 0 && it->lanes.states[lane] != ZNL_STATE_MIN)
            return ZNL_E_BAD_STATE;
    if (rest) {
        const size_t superblock_nbytes = ZNL_BLOCK_VALUES * layout->low_bits;
        const size_t begun = it->block / ZNL_SUPERBLOCK_BLOCKS * superblock_nbytes;
        const size_t stored =
            znl_bit_plane_nbytes(shape->block_count, layout->low_bits) - shape->state_nbytes;
        memcpy(scratch->plane_tail, bit_plane_of(it) + begun, stored - begun);
        for (unsigned lane = 0; lane < shape->lane_count; lane++)
            store_u16le(scratch->plane_tail + (stored - begun) + 2 * lane,
                        (uint16_t)it->lanes.states[lane]);
        const uint8_t *bit_plane = scratch->plane_tail;
        for (uint16_t *symbols = scratch->tail_symbols; it->block < shape->block_count;) {
            const size_t left = shape->block_count - it->block;
            const size_t count = left < ZNL_SUPERBLOCK_BLOCKS ? left : ZNL_SUPERBLOCK_BLOCKS;
            status = finish_superblock(kernels, it, count, bit_plane, symbols);
            if (status != ZNL_OK) return status;
            bit_plane += superblock_nbytes;
            symbols += count * ZNL_BLOCK_VALUES;
        }
    }
    if (it->patch != it->found.patch_count) return ZNL_E_BAD_PATCH;
    memcpy(it->chunk->source + shape->coded_count * layout->width, it->found.tail,
           shape->tail_nbytes);
    return ZNL_OK;
}

int znl_static_decode(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_freq_table *tables, const znl_chunk *chunk,
                      znl_static_decode_scratch *scratch)
{
    znl_static_decoder it;
    int status = begin(layout, tables, kernels, chunk, scratch, &it);
    while (status == ZNL_OK && it.block < it.streamed_blocks)
        status = stream_superblock(kernels, &it, scratch->symbols);
    return status == ZNL_OK ? finish(kernels, &it) : status;
}

/* The next superblocks of two chunks in one pass of the coder. */
static int stream_two(const znl_kernels *kernels, znl_static_decoder *it)
{
    znl_decode_lanes *lanes[2] = {&it[0].lanes, &it[1].lanes};
    const znl_decode_model *const models[2] = {model_at(&it[0], it[0].block),
                                               model_at(&it[1], it[1].block)};
    uint16_t *symbols[2] = {it[0].scratch->symbols, it[1].scratch->symbols};
    prefetch_ahead(&it[0]);
    prefetch_ahead(&it[1]);
    int status = kernels->rans_decode_pair(lanes, models, symbols, ZNL_SUPERBLOCK_BLOCKS);
    for (int i = 0; i < 2 && status == ZNL_OK; i++) {
        const size_t offset =
            it[i].block / ZNL_SUPERBLOCK_BLOCKS * ZNL_BLOCK_VALUES * it[i].layout->low_bits;
        status = finish_superblock(kernels, &it[i], ZNL_SUPERBLOCK_BLOCKS,
                                   bit_plane_of(&it[i]) + offset, symbols[i]);
    }
    return status;
}

static int fits_pair(const znl_static_decoder *it)
{
    return it->lanes.lane_count == ZNL_WIDE_LANES &&
           it->chunk->unit_shift != ZNL_UNIT_SHIFT_SMALL &&
           it->streamed_blocks - it->block >= ZNL_SUPERBLOCK_BLOCKS;
}

int znl_static_decode_two(const znl_kernels *kernels, const znl_layout *layout,
                          const znl_freq_table *const tables[2], const znl_chunk *chunks,
                          znl_static_decode_scratch *scratch)
{
    znl_static_decoder it[2];
    for (int i = 0; i < 2; i++) {
        const int status = begin(layout, tables[i], kernels, &chunks[i], &scratch[i], &it[i]);
        if (status != ZNL_OK) return status;
    }
    while (fits_pair(&it[0]) && fits_pair(&it[1])) {
        const int status = stream_two(kernels, it);
        if (status != ZNL_OK) return status;
    }
    for (int i = 0; i < 2; i++) {
        int status = ZNL_OK;
        while (status == ZNL_OK && it[i].block < it[i].streamed_blocks)
            status = stream_superblock(kernels, &it[i], scratch[i].symbols);
        if (status == ZNL_OK) status = finish(kernels, &it[i]);
        if (status != ZNL_OK) return status;
    }
    return ZNL_OK;
}
