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

/* Counts can't be vectorised: one version serves all. */
ZNL_INLINE size_t histogram(const znl_layout *layout, const uint8_t *in, size_t value_count,
                            size_t step, uint32_t *counts)
{
    const unsigned raw_bits = raw_top_bits(layout), width = layout->width;
    size_t counted = 0;
    memset(counts, 0, sizeof *counts << layout->symbol_bits);
    for (size_t first = 0; first < value_count; first += 8 * step) {
        const size_t end = value_count - first < 8 ? value_count : first + 8;
        for (size_t i = first; i < end; i++) {
            const uint8_t *value = in + i * width;
            const unsigned top = width == 1 ? value[0] : load_u16le(value + width - 2);
            counts[transform_top(layout, top) >> raw_bits]++;
        }
        counted += end - first;
    }
    return counted;
}

size_t znl_histogram_scalar(const znl_layout *layout, const uint8_t *in, size_t value_count,
                            size_t step, uint32_t *counts)
{
#define CALL(fixed) return histogram(fixed, in, value_count, step, counts)
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
    return 0;
}
