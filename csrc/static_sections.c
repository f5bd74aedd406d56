/* SPDX-License-Identifier: Apache-2.0 */
/* Every size of a static or arranged body is checked before the section it names is touched. */
#include "static_sections.h"

#include "bytes.h"
#include "errors.h"

int znl_find_sections(const znl_static_shape *shape, const uint8_t *in, size_t in_nbytes,
                      znl_sections *found)
{
    const size_t fixed = shape->counts_nbytes + shape->map_nbytes + 4 * shape->lane_count +
                         (shape->raw_nbytes - shape->state_nbytes) + shape->tail_nbytes;
    if (in_nbytes < fixed) return ZNL_E_TRUNCATED;
    const int wide = shape->counts_nbytes == 8;
    found->word_count = wide ? load_u32le(in) : load_u16le(in);
    found->patch_count = wide ? load_u32le(in + 4) : load_u16le(in + 2);
    if (found->word_count > shape->most_words || found->patch_count > shape->coded_count)
        return ZNL_E_BAD_VALUE;
    const size_t gap = found->word_count % 2 ? 2 : 0;
    const size_t counted = 4 * found->patch_count + gap + 2 * found->word_count;
    if (in_nbytes - fixed < counted) return ZNL_E_BAD_SIZE;
    found->fields_nbytes = in_nbytes - fixed - counted;
    if (found->fields_nbytes && !shape->has_fields) return ZNL_E_BAD_SIZE;
    found->map = in + shape->counts_nbytes;
    found->states = found->map + shape->map_nbytes;
    found->patches = found->states + 4 * shape->lane_count;
    found->words = found->patches + 4 * found->patch_count + gap;
    found->raw = found->words + 2 * found->word_count;
    found->tail = found->raw + found->fields_nbytes + (shape->raw_nbytes - shape->state_nbytes);
    if (gap && load_u16le(found->words - gap)) return ZNL_E_BAD_PADDING;
    return ZNL_OK;
}

int znl_read_class_map(const znl_static_shape *shape, const uint8_t *in, unsigned table_count,
                       unsigned unit_shift, uint8_t *classes)
{
    const size_t unit_count = znl_unit_count(shape->coded_count, unit_shift);
    const size_t unit_blocks = ((size_t)1 << unit_shift) / ZNL_BLOCK_VALUES;
    const unsigned bits = znl_class_bits(table_count);
    size_t block = 0;
    for (size_t u = 0; u < unit_count; u++) {
        unsigned class = 0;
        for (unsigned i = 0; i < bits; i++) {
            const size_t bit = u * bits + i;
            class |= (unsigned)(in[bit >> 3] >> (bit & 7) & 1) << i;
        }
        if (class >= table_count) return ZNL_E_BAD_VALUE;
        for (size_t b = 0; b < unit_blocks && block < shape->block_count; b++)
            classes[block++] = (uint8_t) class;
    }
    for (size_t bit = unit_count * bits; bit < 8 * shape->map_nbytes; bit++)
        if (in[bit >> 3] >> (bit & 7) & 1) return ZNL_E_BAD_PADDING;
    return ZNL_OK;
}
