/* SPDX-License-Identifier: Apache-2.0 */
/* Moves the values of a chunk between source order and arranged order (docs/format.md, section 5.8). */
#include <string.h>

#include "arrangement.h"
#include "kernels.h"
#include "moves.h"
#include "target.h"

/* The columns of one class: columns[first .. first + count) of the list of a part. */
typedef struct {
    uint32_t first, count;
    uint8_t class;
} column_group;

typedef struct {
    size_t group_count;
    column_group groups[ZNL_COLUMN_CLASSES]; /* those that have columns, by class */
} column_groups;

static column_groups count_columns(const uint8_t *classes, uint32_t row_values)
{
    uint32_t counts[ZNL_COLUMN_CLASSES] = {0}, first = 0;
    column_groups found;
    found.group_count = 0;
    for (uint32_t i = 0; i < row_values; i++) counts[classes[i]]++;
    for (unsigned q = 0; q < ZNL_COLUMN_CLASSES; q++) {
        const column_group group = {first, counts[q], (uint8_t)q};
        if (counts[q]) found.groups[found.group_count++] = group;
        first += counts[q];
    }
    return found;
}

/* List the columns of a part by their classes. */
static column_groups list_columns(const uint8_t *classes, uint32_t row_values, uint32_t *columns)
{
    const column_groups found = count_columns(classes, row_values);
    uint32_t next[ZNL_COLUMN_CLASSES] = {0};
    for (size_t g = 0; g < found.group_count; g++)
        next[found.groups[g].class] = found.groups[g].first;
    for (uint32_t i = 0; i < row_values; i++) columns[next[classes[i]]++] = i;
    return found;
}

/* Rows of a part by class: where the values of each class begin in arranged order, and how many rows of it
 * came so far. */
typedef struct {
    size_t begin[ZNL_MAX_TABLES], rows[ZNL_MAX_TABLES], passed[ZNL_MAX_TABLES];
} row_groups;

static void list_rows(const uint8_t *classes, const znl_part *part, row_groups *groups)
{
    size_t begin = 0;
    memset(groups, 0, sizeof *groups);
    for (size_t row = 0; row < part->rows; row++) groups->rows[classes[row]]++;
    for (unsigned class = 0; class < ZNL_MAX_TABLES; class ++) {
        groups->begin[class] = begin;
        begin += groups->rows[class] * part->row_values;
    }
}

/* Rows that move side by side: a column's number is loaded once for all of them. */
enum { ROWS_AT_ONCE = 4 };

/* Rows of a part, and where their values of one group of columns lie in arranged order. */
typedef struct {
    size_t row[ROWS_AT_ONCE], arranged[ROWS_AT_ONCE]; /* offsets in bytes */
} row_places;

/* Move the values of `row_count` rows, 1 or ROWS_AT_ONCE, a constant, that lie in the listed columns. */
ZNL_INLINE void move_group(const uint8_t *restrict in, uint8_t *restrict out, row_places at,
                           unsigned row_count, const uint32_t *restrict columns, size_t count,
                           size_t width, int is_back)
{
    for (size_t i = 0; i < count; i++) {
        const size_t column = columns[i] * width;
        for (unsigned r = 0; r < row_count; r++) {
            const size_t here = at.row[r] + column, there = at.arranged[r] + i * width;
            if (is_back)
                memcpy(out + here, in + there, width);
            else
                memcpy(out + there, in + here, width);
        }
    }
}

typedef void move_group_fn(const uint8_t *restrict in, uint8_t *restrict out, const row_places *at,
                           unsigned row_count, const uint32_t *restrict columns, size_t count);

#define DEFINE_MOVE(name, width, is_back)                                                          \
    static void name##_##width(const uint8_t *restrict in, uint8_t *restrict out,                  \
                               const row_places *at, unsigned row_count,                           \
                               const uint32_t *restrict columns, size_t count)                     \
    {                                                                                              \
        if (row_count == ROWS_AT_ONCE)                                                             \
            move_group(in, out, *at, ROWS_AT_ONCE, columns, count, width, is_back);                \
        else                                                                                       \
            move_group(in, out, *at, 1, columns, count, width, is_back);                           \
    }

DEFINE_MOVE(arrange, 1, 0)
DEFINE_MOVE(arrange, 2, 0)
DEFINE_MOVE(arrange, 4, 0)
DEFINE_MOVE(arrange, 8, 0)
DEFINE_MOVE(restore, 1, 1)
DEFINE_MOVE(restore, 2, 1)
DEFINE_MOVE(restore, 4, 1)
DEFINE_MOVE(restore, 8, 1)

static move_group_fn *find_move(size_t width, int is_back)
{
    static move_group_fn *const MOVES[2][4] = {{arrange_1, arrange_2, arrange_4, arrange_8},
                                               {restore_1, restore_2, restore_4, restore_8}};
    return MOVES[is_back][width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3];
}

/* One part, and the way its values go. */
typedef struct {
    const znl_part *part;
    const uint8_t *row_classes, *column_classes;
    size_t width;
    int is_back;
    const uint8_t *in;
    uint8_t *out;
} part_move;

/* Move a part whose rows stay whole. */
static void move_rows(const part_move *move)
{
    const size_t row_values = move->part->row_values, row_nbytes = row_values * move->width;
    row_groups groups;
    list_rows(move->row_classes, move->part, &groups);
    for (size_t row = 0; row < move->part->rows; row++) {
        size_t *arranged = &groups.begin[move->row_classes[row]];
        const size_t here = row * row_nbytes, there = *arranged * move->width;
        *arranged += row_values;
        if (move->is_back)
            memcpy(move->out + here, move->in + there, row_nbytes);
        else
            memcpy(move->out + there, move->in + here, row_nbytes);
    }
}

/* Where the values of a row in a group of columns lie in arranged order, in bytes. */
static size_t offset_of(const part_move *move, const row_groups *by_row, size_t row, size_t passed,
                        const column_group *group)
{
    const unsigned class = move->row_classes[row];
    return (by_row->begin[class] + by_row->rows[class] * group->first + passed * group->count) *
           move->width;
}

/* Move a part by its rows and columns. */
static void move_columns(const part_move *move, uint32_t *columns)
{
    const znl_part *part = move->part;
    const column_groups by_column = list_columns(move->column_classes, part->row_values, columns);
    move_group_fn *const move_group = find_move(move->width, move->is_back);
    row_groups by_row;
    list_rows(move->row_classes, part, &by_row);
    for (size_t row = 0, count; row < part->rows; row += count) {
        size_t passed[ROWS_AT_ONCE];
        row_places at;
        count = part->rows - row < ROWS_AT_ONCE ? 1 : ROWS_AT_ONCE;
        for (size_t r = 0; r < count; r++) {
            at.row[r] = (row + r) * part->row_values * move->width;
            passed[r] = by_row.passed[move->row_classes[row + r]]++;
        }
        for (size_t g = 0; g < by_column.group_count; g++) {
            const column_group *group = &by_column.groups[g];
            for (size_t r = 0; r < count; r++)
                at.arranged[r] = offset_of(move, &by_row, row + r, passed[r], group);
            move_group(move->in, move->out, &at, (unsigned)count, columns + group->first,
                       group->count);
        }
    }
}

/* The same by kernels that find the columns of a class themselves. */
static void move_by_kernels(const znl_kernels *kernels, const part_move *move)
{
    const znl_part *part = move->part;
    const column_groups by_column = count_columns(move->column_classes, part->row_values);
    znl_column_group groups[ZNL_COLUMN_CLASSES];
    row_groups by_row;
    list_rows(move->row_classes, part, &by_row);
    for (size_t row = 0; row < part->rows; row++) {
        const size_t passed = by_row.passed[move->row_classes[row]]++;
        const size_t here = row * part->row_values * move->width;
        for (size_t g = 0; g < by_column.group_count; g++) {
            groups[g].class = by_column.groups[g].class;
            groups[g].offset = offset_of(move, &by_row, row, passed, &by_column.groups[g]);
        }
        if (move->is_back)
            kernels->restore_row(move->width, move->column_classes, part->row_values, groups,
                                 by_column.group_count, move->in, move->out + here);
        else
            kernels->arrange_row(move->width, move->column_classes, part->row_values, groups,
                                 by_column.group_count, move->in + here, move->out);
    }
}

static void move_values(const znl_kernels *kernels, const znl_arrangement *arrangement,
                        size_t width, int is_back, const uint8_t *in, uint8_t *out,
                        znl_move_scratch *scratch)
{
    part_move move = {
        NULL, arrangement->row_classes, arrangement->column_classes, width, is_back, in, out};
    for (size_t p = 0; p < arrangement->part_count; p++) {
        const znl_part *part = move.part = &arrangement->parts[p];
        const size_t nbytes = (size_t)part->rows * part->row_values * width;
        if (part->has_columns && kernels->arrange_row && width <= 2)
            move_by_kernels(kernels, &move);
        else if (part->has_columns)
            move_columns(&move, scratch->columns);
        else if (part->row_values % ZNL_BLOCK_VALUES == 0)
            memcpy(move.out, move.in, nbytes);
        else
            move_rows(&move);
        move.row_classes += part->rows;
        move.column_classes += part->has_columns ? part->row_values : 0;
        move.in += nbytes;
        move.out += nbytes;
    }
}

void znl_arrange_values(const znl_kernels *kernels, const znl_arrangement *arrangement,
                        size_t width, const uint8_t *in, uint8_t *out, znl_move_scratch *scratch)
{
    move_values(kernels, arrangement, width, 0, in, out, scratch);
}

void znl_restore_values(const znl_kernels *kernels, const znl_arrangement *arrangement,
                        size_t width, const uint8_t *in, uint8_t *out, znl_move_scratch *scratch)
{
    move_values(kernels, arrangement, width, 1, in, out, scratch);
}
