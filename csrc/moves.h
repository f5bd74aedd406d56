/* SPDX-License-Identifier: Apache-2.0 */
/* Values of a row <-> the same by the classes of their columns: kernels for arrangement_moves.c. */
#ifndef ZNL_MOVES_H
#define ZNL_MOVES_H

#include <stddef.h>
#include <stdint.h>

#define ZNL_COLUMN_CLASSES 15u   /* as stored: 0 to 14 for -7 to 7 */
#define ZNL_COLUMN_CLASS_ZERO 7u /* as stored: changes no class */

/* A class that columns have, and where the values of a row in those columns lie. */
typedef struct {
    uint8_t class;
    size_t offset; /* bytes from the first value in arranged order */
} znl_column_group;

/* Move one row.
 *
 * width      bytes of a value, 1 or 2: wider ones gain nothing
 * classes    of the row_values columns
 * groups     group_count of them, one for each class that occurs
 * row        row_values values
 * arranged   all values in arranged order
 */
typedef void znl_arrange_row_fn(size_t width, const uint8_t *classes, size_t row_values,
                                const znl_column_group *groups, size_t group_count,
                                const uint8_t *row, uint8_t *arranged);
typedef void znl_restore_row_fn(size_t width, const uint8_t *classes, size_t row_values,
                                const znl_column_group *groups, size_t group_count,
                                const uint8_t *arranged, uint8_t *row);

znl_arrange_row_fn znl_arrange_row_avx512;
znl_restore_row_fn znl_restore_row_avx512;

#endif
