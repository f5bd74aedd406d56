/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the body of a static chunk. Words grow downwards to the raw section that stands at the end of the room, and
 * the sections before them are laid in front when their sizes are known, so nothing large is copied. */
#include "static_body.h"

#include <string.h>

#include "bytes.h"
#include "errors.h"

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

/* Code all blocks, the last one first, each run of blocks with one table in one call. */
static int encode_symbols(const znl_kernels *kernels, const znl_chunk *chunk,
                          const znl_static_encode_scratch *scratch, size_t block_count,
                          znl_encode_lanes *lanes)
{
    const size_t unit_blocks =
        chunk->unit_shift == ZNL_UNIT_SHIFT_SMALL ? 1 : (size_t)ZNL_SUPERBLOCK_BLOCKS;
    int status = ZNL_OK;
    for (size_t unit = (block_count + unit_blocks - 1) / unit_blocks;
         unit-- > 0 && status == ZNL_OK;) {
        const size_t first = unit * unit_blocks, left = block_count - first;
        const unsigned class = chunk->table_count > 1 ? scratch->classes[unit] : 0;
        status = kernels->rans_encode(
            lanes, scratch->models + class, scratch->symbols + first * ZNL_BLOCK_VALUES,
            first * ZNL_BLOCK_VALUES, left < unit_blocks ? left : unit_blocks);
    }
    return status;
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

/* Lay the sections in front of the words: counts, class map, states, patches, gap. */
static void write_front(const znl_static_shape *shape, const znl_chunk *chunk,
                        const znl_static_encode_scratch *scratch, const uint32_t *states,
                        const uint32_t *patches, size_t patch_count, size_t word_count,
                        uint8_t *out)
{
    if (shape->counts_nbytes == 8) {
        store_u32le(out, (uint32_t)word_count);
        store_u32le(out + 4, (uint32_t)patch_count);
    } else {
        store_u16le(out, (uint16_t)word_count);
        store_u16le(out + 2, (uint16_t)patch_count);
    }
    out += shape->counts_nbytes;
    if (shape->map_nbytes)
        write_class_map(scratch->classes, znl_unit_count(shape->coded_count, chunk->unit_shift),
                        chunk->table_count, out, shape->map_nbytes);
    out += shape->map_nbytes;
    for (unsigned lane = 0; lane < shape->lane_count; lane++, out += 4)
        store_u32le(out, states[lane]);
    for (size_t p = 0; p < patch_count; p++, out += 4) store_u32le(out, patches[p]);
    if (word_count % 2) store_u16le(out, 0);
}

int znl_static_encode(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_freq_table *tables, znl_chunk *chunk,
                      znl_static_encode_scratch *scratch)
{
    const size_t value_count = chunk->source_nbytes / layout->width;
    const znl_static_shape shape =
        znl_static_shape_of(layout, value_count, chunk->table_count, chunk->unit_shift);
    uint8_t *raw = chunk->body + raw_offset(chunk, &shape);
    const uint8_t *in_states = raw + shape.raw_nbytes - shape.state_nbytes;
    const size_t behind_words = shape.raw_nbytes - shape.state_nbytes + shape.tail_nbytes;
    const size_t before_words = shape.counts_nbytes + shape.map_nbytes + 4 * shape.lane_count + 2;
    if (before_words + behind_words >= chunk->source_nbytes) return ZNL_E_NO_ROOM;
    /* The coder stops when less than a block of room is left, so it gets a block of the slack; a body
     * that is too large is refused below. */
    const size_t words_room =
        (chunk->source_nbytes - before_words - behind_words) / 2 + ZNL_BLOCK_VALUES;

    for (unsigned t = 0; t < chunk->table_count; t++)
        znl_encode_model_build(&tables[t], layout->symbol_bits, &scratch->models[t]);
    znl_encode_lanes lanes;
    lanes.lane_count = shape.lane_count;
    for (unsigned lane = 0; lane < shape.lane_count; lane++)
        lanes.states[lane] =
            ZNL_STATE_MIN + (shape.state_nbytes ? load_u16le(in_states + 2 * lane) : 0u);
    lanes.words = raw;
    lanes.words_room = words_room;
    lanes.patches_room = sizeof scratch->patches / sizeof *scratch->patches;
    uint32_t *const patches_end = lanes.patches = scratch->patches + lanes.patches_room;
    if (encode_symbols(kernels, chunk, scratch, shape.block_count, &lanes) != ZNL_OK)
        return ZNL_E_NO_ROOM;

    const size_t patch_count = (size_t)(patches_end - lanes.patches);
    const size_t word_count = words_room - lanes.words_room, gap = word_count % 2 ? 2 : 0;
    const size_t front = before_words - 2 + 4 * patch_count + gap;
    const size_t body_nbytes = front + 2 * word_count + behind_words;
    if (body_nbytes >= chunk->source_nbytes) return ZNL_E_NO_ROOM;
    uint8_t *body = raw - 2 * word_count - front;
    write_front(&shape, chunk, scratch, lanes.states, lanes.patches, patch_count, word_count, body);
    memcpy(raw + shape.raw_nbytes - shape.state_nbytes,
           chunk->source + shape.coded_count * layout->width, shape.tail_nbytes);
    chunk->body_offset = (uint32_t)(body - chunk->body);
    chunk->body_nbytes = (uint32_t)body_nbytes;
    return ZNL_OK;
}
