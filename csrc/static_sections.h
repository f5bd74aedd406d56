/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of a static or arranged body, checked and found. */
#ifndef ZNL_STATIC_SECTIONS_H
#define ZNL_STATIC_SECTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "static_body.h"

typedef struct {
    const uint8_t *map, *states, *patches, *words, *raw, *tail;
    size_t word_count, patch_count;
    size_t fields_nbytes; /* at the front of the raw section */
} znl_sections;

/* Find the sections of a body. Returns ZNL_OK, ZNL_E_TRUNCATED, _BAD_VALUE, _BAD_SIZE or _BAD_PADDING. */
int znl_find_sections(const znl_static_shape *shape, const uint8_t *in, size_t in_nbytes,
                      znl_sections *found);

/* Read the class map of a chunk with more than one table: the class of each block to
 * classes[0..shape->block_count). Returns ZNL_OK, ZNL_E_BAD_VALUE or _BAD_PADDING. */
int znl_read_class_map(const znl_static_shape *shape, const uint8_t *in, unsigned table_count,
                       unsigned unit_shift, uint8_t *classes);

#endif
