/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the body of a static chunk: every size is checked before the section it names is touched. */
#include "static_body.h"

#include <string.h>

#include "bytes.h"
#include "errors.h"

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

/* Put symbol values in place that had no symbol. */
static int apply_patches(const uint8_t *in, size_t patch_count, size_t value_count,
                         unsigned symbol_bits, uint16_t *symbols)
{
    size_t next = 0;
    for (size_t p = 0; p < patch_count; p++, in += 4) {
        const uint32_t patch = load_u32le(in);
        const uint32_t position = patch >> ZNL_PATCH_POSITION_SHIFT;
        const uint32_t value = patch & ((1u << ZNL_PATCH_POSITION_SHIFT) - 1);
        if (position < next || position >= value_count || value >> symbol_bits)
            return ZNL_E_BAD_PATCH;
        symbols[position] = (uint16_t)value;
        next = (size_t)position + 1;
    }
    return ZNL_OK;
}

/* Merge all blocks: those whose low bits stand in the wire, then the superblocks that the states complete. */
static int merge_blocks(const znl_kernels *kernels, const znl_layout *layout,
                        const znl_static_shape *shape, const uint8_t *raw, const uint32_t *states,
                        uint8_t *out, znl_static_decode_scratch *scratch)
{
    const size_t plane_nbytes = shape->coded_count, superblock_nbytes = 64u * layout->low_bits;
    const uint8_t *bit_plane = raw + layout->byte_planes * plane_nbytes;
    const size_t stored =
        znl_bit_plane_nbytes(shape->block_count, layout->low_bits) - shape->state_nbytes;
    size_t whole = shape->block_count;
    if (shape->state_nbytes) whole = stored / superblock_nbytes * ZNL_SUPERBLOCK_BLOCKS;
    int status =
        kernels->merge(layout, scratch->symbols, raw, plane_nbytes, 0, whole, bit_plane, out);
    if (status != ZNL_OK || whole == shape->block_count) return status;
    const size_t begun = stored % superblock_nbytes;
    memcpy(scratch->plane_tail, bit_plane + stored - begun, begun);
    for (unsigned lane = 0; lane < shape->lane_count; lane++)
        store_u16le(scratch->plane_tail + begun + 2 * lane, (uint16_t)states[lane]);
    return kernels->merge(layout, scratch->symbols + whole * ZNL_BLOCK_VALUES, raw, plane_nbytes,
                          whole, shape->block_count - whole, scratch->plane_tail,
                          out + whole * ZNL_BLOCK_VALUES * layout->width);
}

int znl_static_decode(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_freq_table *tables, const znl_chunk *chunk,
                      znl_static_decode_scratch *scratch)
{
    const size_t value_count = chunk->source_nbytes / layout->width;
    const znl_static_shape shape =
        znl_static_shape_of(layout, value_count, chunk->table_count, chunk->unit_shift);
    sections found;
    int status = find_sections(&shape, chunk->body, chunk->body_nbytes, &found);
    if (status != ZNL_OK) return status;
    if (chunk->table_count > 1) {
        status = read_class_map(found.map, shape.map_nbytes,
                                znl_unit_count(shape.coded_count, chunk->unit_shift),
                                chunk->table_count, scratch->classes);
        if (status != ZNL_OK) return status;
    }
    for (unsigned t = 0; t < chunk->table_count; t++) {
        if (tables[t].base >> layout->symbol_bits) return ZNL_E_BAD_TABLE;
        znl_decode_model_build(&tables[t], layout->symbol_bits, &scratch->models[t]);
    }
    uint32_t states[ZNL_WIDE_LANES];
    for (unsigned lane = 0; lane < shape.lane_count; lane++)
        states[lane] = load_u32le(found.states + 4 * lane);
    status =
        kernels->rans_decode(states, shape.lane_count, found.words, found.word_count,
                             chunk->table_count > 1 ? scratch->classes : NULL, chunk->unit_shift,
                             scratch->models, scratch->symbols, shape.coded_count);
    if (status != ZNL_OK) return status;
    for (unsigned lane = 0; lane < shape.lane_count; lane++)
        if (shape.state_nbytes == 0 && states[lane] != ZNL_STATE_MIN) return ZNL_E_BAD_STATE;
    status = apply_patches(found.patches, found.patch_count, shape.coded_count, layout->symbol_bits,
                           scratch->symbols);
    if (status != ZNL_OK) return status;
    status = merge_blocks(kernels, layout, &shape, found.raw, states, chunk->source, scratch);
    if (status != ZNL_OK) return status;
    memcpy(chunk->source + shape.coded_count * layout->width, found.tail, shape.tail_nbytes);
    return ZNL_OK;
}
