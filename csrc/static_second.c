/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes second symbols. */
#include "errors.h"
#include "static_body.h"

/* Whether all second symbols are below `limit`. */
static int are_below(const uint16_t *symbols, size_t count, unsigned limit)
{
    unsigned bad = 0;
    for (size_t i = 0; i < count; i += ZNL_BLOCK_VALUES) {
        uint16_t any = 0;
        for (unsigned j = 0; j < ZNL_BLOCK_VALUES; j++)
            any = (uint16_t)(any | (uint16_t)(limit - 1 - symbols[i + j]));
        bad |= any;
    }
    return bad >> 15 == 0;
}

int znl_decode_second(const znl_kernels *kernels, const znl_layout *layout,
                      const znl_second *second, const uint8_t *classes,
                      const znl_decode_model *const *models, znl_decode_lanes *lanes,
                      size_t coded_count, znl_second_decode_scratch *scratch)
{
    znl_context_counts counts;
    const size_t block_count = coded_count / ZNL_BLOCK_VALUES;
    znl_contexts_make(second, layout->symbol_bits, &scratch->contexts);
    kernels->count_contexts(&scratch->contexts, classes, scratch->symbols, coded_count, &counts);
    znl_context_blocks(&counts, block_count, scratch->blocks);
    const int status =
        znl_decode_blocks(kernels, lanes, models, scratch->blocks, block_count, scratch->sorted);
    if (status != ZNL_OK) return status;
    if (!are_below(scratch->sorted, coded_count, znl_second_limit(layout))) return ZNL_E_BAD_VALUE;
    const znl_context_counts begins = znl_context_begins(&counts);
    kernels->spread_second(&scratch->contexts, classes, scratch->symbols, &begins, scratch->sorted,
                           coded_count, scratch->second);
    return ZNL_OK;
}
