/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes arranged chunks: brings values into their order, leaves out bits that are known, adds second symbols. */
#include <string.h>

#include "errors.h"
#include "static_encoder.h"

/* Bring the values of a chunk into the order in which they are coded. */
static void arrange(const znl_kernels *kernels, znl_static_encoder *it,
                    znl_arranged_encode_scratch *arranged)
{
    if (znl_arrangement_is_source_order(it->arrangement)) return;
    znl_arrange_values(kernels, it->arrangement, it->layout->width, it->source, arranged->values,
                       &arranged->moves);
    it->source = arranged->values;
}

/* Find bits that need not be stored, and bring the values into the form in which they are coded. */
static void reduce(znl_static_encoder *it, znl_reduction *reduction,
                   znl_arranged_encode_scratch *arranged)
{
    const size_t width = it->layout->width, coded_count = it->shape.coded_count;
    znl_reduction_find(it->layout, it->source, coded_count, reduction);
    if (reduction->one_sign) {
        /* The tail is stored as it is. */
        znl_free_low_bits(reduction, width, it->source, coded_count, arranged->values);
        if (it->source != arranged->values)
            memcpy(arranged->values + coded_count * width, it->source + coded_count * width,
                   it->shape.tail_nbytes);
        it->source = arranged->values;
    }
    if (reduction->shift) it->planes = arranged->planes;
    it->shape.raw_nbytes -= znl_reduction_saved_nbytes(reduction, coded_count);
}

/* The same where second symbols hold some of the bits. */
static void find_second(znl_static_encoder *it, znl_arranged_encode_scratch *arranged)
{
    const znl_second *second = &it->arrangement->second;
    const size_t coded_count = it->shape.coded_count;
    znl_find_second(it->layout, it->source, coded_count, arranged->second);
    znl_static_shape_with_second(it->layout, second, &it->shape);
    if (it->shape.has_fields)
        it->shape.raw_nbytes += znl_fields_nbytes(arranged->second, coded_count);
    it->context_count = second->context_count;
}

/* Encode blocks with the models of their classes, those of one class in one go. */
static int encode_blocks(const znl_kernels *kernels, znl_encode_lanes *lanes,
                         const znl_encode_model *const *models, const uint8_t *classes,
                         size_t first_block, const uint16_t *symbols, size_t count)
{
    int status = ZNL_OK;
    for (size_t end = count, first; end > 0 && status == ZNL_OK; end = first) {
        for (first = end - 1; first > 0 && classes[first - 1] == classes[end - 1];) first--;
        status =
            kernels->rans_encode(lanes, models[classes[first]], symbols + first * ZNL_BLOCK_VALUES,
                                 (first_block + first) * ZNL_BLOCK_VALUES, end - first);
    }
    return status;
}

/* Encode a chunk run by run. */
static int encode_runs(const znl_kernels *kernels, znl_static_encoder *it, uint16_t *symbols)
{
    int status = ZNL_OK;
    while (status == ZNL_OK && it->block > 0) {
        const size_t begin_block = znl_encoder_run_begin(it->block);
        const size_t count = it->block - begin_block;
        znl_encoder_begin_run(kernels, it, begin_block, symbols);
        status = encode_blocks(kernels, &it->lanes, it->models, it->classes + begin_block,
                               begin_block, symbols, count);
    }
    return status;
}

/* Split a whole chunk: its symbol values and, where it is stored, its bit plane. */
static void split_chunk(const znl_kernels *kernels, const znl_static_encoder *it,
                        uint8_t *bit_plane, znl_arranged_encode_scratch *arranged,
                        uint16_t *symbols)
{
    uint8_t unused[ZNL_SUPERBLOCK_VALUES];
    const znl_layout *layout = it->layout;
    const size_t block_count = it->shape.block_count;
    for (size_t block = 0; block < block_count; block += ZNL_SUPERBLOCK_BLOCKS) {
        const size_t left = block_count - block, first = block * ZNL_BLOCK_VALUES;
        const size_t count = left < ZNL_SUPERBLOCK_BLOCKS ? left : ZNL_SUPERBLOCK_BLOCKS;
        kernels->split(layout, it->source + first * layout->width, count, symbols + first,
                       arranged->planes, ZNL_SUPERBLOCK_VALUES,
                       bit_plane ? bit_plane + first / 8 * layout->low_bits : unused);
    }
}

/* Encode the second symbols of a chunk, and then the first ones, which a decoder needs first. */
static int encode_both(const znl_kernels *kernels, znl_static_encoder *it,
                       znl_arranged_encode_scratch *arranged, uint16_t *symbols)
{
    znl_context_counts counts;
    const znl_second *second = &it->arrangement->second;
    const size_t coded_count = it->shape.coded_count, block_count = it->shape.block_count;
    const unsigned class_count = it->chunk->table_count - it->context_count;
    uint8_t *bit_plane = NULL;
    if (it->shape.has_fields) {
        bit_plane = it->raw + it->shape.raw_nbytes -
                    znl_bit_plane_nbytes(block_count, it->layout->low_bits);
        /* First, as it goes a little into the bit plane. */
        znl_write_fields(it->source, arranged->second, coded_count, it->raw);
    }
    split_chunk(kernels, it, bit_plane, arranged, symbols);
    znl_contexts_make(second, it->layout->symbol_bits, &arranged->contexts);
    kernels->count_contexts(&arranged->contexts, it->classes, symbols, coded_count, &counts);
    znl_context_blocks(&counts, block_count, arranged->blocks);
    const znl_context_counts begins = znl_context_begins(&counts);
    kernels->sort_second(&arranged->contexts, it->classes, symbols, &begins, arranged->second,
                         coded_count, arranged->sorted);
    znl_encoder_begin_lanes(it);
    it->block = 0;
    const int status = encode_blocks(kernels, &it->lanes, it->models + class_count,
                                     arranged->blocks, 0, arranged->sorted, block_count);
    if (status != ZNL_OK) return status;
    if (it->lanes.patches != it->patches_end) return ZNL_E_BAD_CALL;
    return encode_blocks(kernels, &it->lanes, it->models, it->classes, 0, symbols, block_count);
}

int znl_arranged_encode(const znl_kernels *kernels, const znl_layout *layout,
                        const znl_freq_table *tables, znl_chunk *chunk,
                        znl_arrangement *arrangement, znl_static_encode_scratch *scratch,
                        znl_arranged_encode_scratch *arranged)
{
    znl_static_encoder it;
    const int has_second = arrangement->second.kind != ZNL_NO_SECOND;
    const unsigned class_count = znl_class_count(arrangement, chunk->table_count);
    znl_encoder_reserve(&scratch->cache, chunk->table_count);
    znl_encoder_describe(layout, chunk, NULL, &it);
    it.classes = arranged->classes;
    it.arrangement = arrangement;
    memset(&arrangement->reduction, 0, sizeof arrangement->reduction);
    arrange(kernels, &it, arranged);
    if (has_second)
        find_second(&it, arranged);
    else
        reduce(&it, &arrangement->reduction, arranged);
    it.shape.map_nbytes = znl_arrangement_nbytes(arrangement, class_count);
    int status = znl_encoder_begin(tables, &scratch->cache, &scratch->chunks[0], &it);
    if (status != ZNL_OK) return status;
    znl_arrangement_block_classes(arrangement, class_count, it.shape.block_count,
                                  arranged->classes);
    status = has_second ? encode_both(kernels, &it, arranged, scratch->symbols)
                        : encode_runs(kernels, &it, scratch->chunks[0].symbols);
    return status == ZNL_OK ? znl_encoder_finish(&it) : status;
}
