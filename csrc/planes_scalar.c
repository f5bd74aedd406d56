/* SPDX-License-Identifier: Apache-2.0 */
/* Planes in portable C: the loops of planes_body.h as the compiler vectorises them. */
#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "planes.h"
#include "target.h"

#define SPLIT znl_split_scalar
#define MERGE znl_merge_scalar
#include "planes_body.h"

/* Count values first .. end into tables by turns: neighbours are often equal, and a count that was just
 * stored can't be loaded at once. */
ZNL_INLINE void count_values(const znl_layout *layout, const uint8_t *in, size_t first, size_t end,
                             uint32_t *const tables[4])
{
    const unsigned raw_bits = raw_top_bits(layout), width = layout->width;
    for (size_t i = first; i < end; i++) {
        const uint8_t *value = in + i * width;
        const unsigned top = width == 1 ? value[0] : load_u16le(value + width - 2);
        tables[i % 4][transform_top(layout, top) >> raw_bits]++;
    }
}

/* Symbol values that more tables of counts are worth their stack for. */
enum { MOST_TURNS = 512 };

/* Counts can't be vectorised: one version serves all. */
ZNL_INLINE size_t histogram(const znl_layout *layout, const uint8_t *in, size_t value_count,
                            size_t step, uint32_t *counts, uint32_t more[3][MOST_TURNS])
{
    const size_t entries = (size_t)1 << layout->symbol_bits;
    const int takes_turns = entries <= MOST_TURNS;
    uint32_t *tables[4] = {counts, counts, counts, counts};
    size_t counted = 0;
    for (unsigned t = 1; t < 4 && takes_turns; t++) tables[t] = more[t - 1];
    for (unsigned t = 0; t < 4; t++) memset(tables[t], 0, entries * sizeof *counts);
    for (size_t first = 0; first < value_count; first += 8 * step) {
        const size_t end = value_count - first < 8 ? value_count : first + 8;
        if (end - first == 8)
            count_values(layout, in, first, first + 8, tables);
        else
            count_values(layout, in, first, end, tables);
        counted += end - first;
    }
    for (unsigned t = 1; t < 4 && takes_turns; t++)
        for (size_t v = 0; v < entries; v++) counts[v] += tables[t][v];
    return counted;
}

size_t znl_histogram_scalar(const znl_layout *layout, const uint8_t *in, size_t value_count,
                            size_t step, uint32_t *counts)
{
    uint32_t more[3][MOST_TURNS];
#define CALL(fixed) return histogram(fixed, in, value_count, step, counts, more)
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
    return 0;
}

void znl_patch_value(const znl_layout *layout, unsigned symbol_value, uint8_t *value)
{
    const unsigned raw_bits = raw_top_bits(layout);
    uint8_t *top = value + (layout->width == 1 ? 0 : layout->width - 2);
    const unsigned old = layout->width == 1 ? top[0] : load_u16le(top);
    const unsigned raw = transform_top(layout, old) & ((1u << raw_bits) - 1);
    const uint16_t restored = restore_top(layout, symbol_value << raw_bits | raw);
    if (layout->width == 1)
        top[0] = (uint8_t)restored;
    else
        store_u16le(top, restored);
}
