/* SPDX-License-Identifier: Apache-2.0 */
/* Tables for chunks too small, or too mixed, for one fitted table: a universal table for each unit of 64 values. */
#ifndef ZNL_CLASSES_H
#define ZNL_CLASSES_H

#include <stddef.h>
#include <stdint.h>

#include "table.h"

#define ZNL_CHOOSE_MAX_UNITS ZNL_MAX_UNITS
#define ZNL_CHOOSE_CANDIDATES 24u

typedef struct {
    unsigned table_count;
    uint16_t references[ZNL_MAX_STATIC_TABLES]; /* universal: shape << 12 | base */
    uint64_t cost; /* code lengths, references and class map, in 1/256 bit */
} znl_class_choice;

typedef struct {
    uint32_t cost[ZNL_CHOOSE_MAX_UNITS][ZNL_CHOOSE_CANDIDATES];
    uint32_t best[ZNL_CHOOSE_MAX_UNITS];
    uint8_t at[ZNL_MAX_SYMBOL_VALUES];
} znl_choose_scratch;

/* Choose up to 8 universal tables and a class for each unit of 64 symbol values.
 *
 * symbols   value_count symbol values, a multiple of 64, at most 64 * ZNL_CHOOSE_MAX_UNITS
 * classes   out, value_count / 64 entries below choice->table_count
 */
void znl_choose_classes(const uint16_t *symbols, size_t value_count, unsigned symbol_bits,
                        znl_choose_scratch *scratch, uint8_t *classes, znl_class_choice *choice);

#endif
