/* SPDX-License-Identifier: Apache-2.0 */
/* An arrangement on the wire, and the classes of its blocks. */
#include "arrangement.h"

#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "format.h"
#include "moves.h"

#define COUNT_NBYTES 4u
#define PART_NBYTES 8u
#define COLUMN_BITS 4u
#define HAS_COLUMNS (UINT32_C(1) << 31)
#define ROW_VALUES_MASK ((UINT32_C(1) << 18) - 1)
/* Beside the number of parts. */
#define PART_COUNT_MASK UINT32_C(0xffff)
#define ONE_SIGN (UINT32_C(1) << 16)
#define SIGN (UINT32_C(1) << 17)
#define SHIFT_BIT 18
#define SHIFT_MASK (UINT32_C(63) << SHIFT_BIT)
#define SECOND_BIT 24
#define SECOND_MASK (UINT32_C(3) << SECOND_BIT)
#define CONTEXTS_BIT 26
#define CONTEXTS_MASK (UINT32_C(15) << CONTEXTS_BIT)

/* Bits of the classes of a part. */
static size_t part_bits(const znl_part *part, unsigned class_count)
{
    const size_t columns = part->has_columns ? part->row_values : 0;
    return (size_t)part->rows * znl_class_bits(class_count) + columns * COLUMN_BITS;
}

static size_t padded_nbytes(size_t bits)
{
    return (bits + 31) / 32 * 4;
}

/* Superblocks that have a bit each. */
static size_t count_marks(const znl_arrangement *arrangement)
{
    size_t value_count = 0;
    if (arrangement->reduction.shift == 0) return 0;
    for (size_t p = 0; p < arrangement->part_count; p++)
        value_count += (size_t)arrangement->parts[p].rows * arrangement->parts[p].row_values;
    return znl_superblock_count(value_count / ZNL_BLOCK_VALUES * ZNL_BLOCK_VALUES);
}

/* Bytes of the bounds of contexts. */
static size_t bounds_nbytes(const znl_second *second)
{
    return second->kind == ZNL_NO_SECOND ? 0 : second->context_count / 2 * 4;
}

size_t znl_arrangement_nbytes(const znl_arrangement *arrangement, unsigned class_count)
{
    size_t bits = count_marks(arrangement);
    for (size_t p = 0; p < arrangement->part_count; p++)
        bits += part_bits(&arrangement->parts[p], class_count);
    return COUNT_NBYTES + PART_NBYTES * arrangement->part_count + padded_nbytes(bits) +
           bounds_nbytes(&arrangement->second);
}

/* --- class bits ----------------------------------------------------------------------------------- */

/* Numbers of a few bits each, lowest bit first, in words of 32 bits. */
typedef struct {
    uint64_t bits; /* the next ones; those above `count` are zero */
    unsigned count;
    const uint8_t *in;
} bit_reader;

static unsigned take_bits(bit_reader *from, unsigned bits)
{
    if (from->count < bits) {
        from->bits |= (uint64_t)load_u32le(from->in) << from->count;
        from->in += 4;
        from->count += 32;
    }
    const unsigned taken = (unsigned)from->bits & ((1u << bits) - 1);
    from->bits >>= bits;
    from->count -= bits;
    return taken;
}

/* Read classes that must be below `limit`; returns whether they are. */
static int read_classes(bit_reader *from, size_t count, unsigned bits, unsigned limit,
                        uint8_t *classes)
{
    unsigned highest = 0;
    for (size_t i = 0; i < count; i++) {
        const unsigned class = take_bits(from, bits);
        highest = class > highest ? class : highest;
        classes[i] = (uint8_t) class;
    }
    return highest < limit;
}

typedef struct {
    uint64_t bits;
    unsigned count;
    uint8_t *out;
} bit_writer;

static void put_bits(bit_writer *to, const uint8_t *classes, size_t count, unsigned bits)
{
    for (size_t i = 0; i < count; i++) {
        to->bits |= (uint64_t)classes[i] << to->count;
        to->count += bits;
        if (to->count < 32) continue;
        store_u32le(to->out, (uint32_t)to->bits);
        to->out += 4;
        to->bits >>= 32;
        to->count -= 32;
    }
}

/* --- wire ----------------------------------------------------------------------------------------- */

/* Both kinds of classes of all parts. */
typedef struct {
    size_t rows, columns;
} class_counts;

static class_counts count_classes(const znl_arrangement *arrangement)
{
    class_counts counts = {0, 0};
    for (size_t p = 0; p < arrangement->part_count; p++) {
        const znl_part *part = &arrangement->parts[p];
        counts.rows += part->rows;
        counts.columns += part->has_columns ? part->row_values : 0;
    }
    return counts;
}

static void write_bounds(const znl_second *second, uint8_t *out)
{
    const unsigned count = second->context_count - 1;
    for (unsigned i = 0; i < count; i++) store_u16le(out + 2 * i, second->bounds[i]);
    if (count % 2) store_u16le(out + 2 * count, 0);
}

void znl_arrangement_write(const znl_arrangement *arrangement, unsigned class_count, uint8_t *out)
{
    const znl_reduction *reduction = &arrangement->reduction;
    const znl_second *second = &arrangement->second;
    uint32_t front = (uint32_t)arrangement->part_count | (reduction->one_sign ? ONE_SIGN : 0) |
                     (reduction->sign ? SIGN : 0) | reduction->shift << SHIFT_BIT;
    if (second->kind != ZNL_NO_SECOND)
        front |= second->kind << SECOND_BIT | (second->context_count - 1) << CONTEXTS_BIT;
    store_u32le(out, front);
    out += COUNT_NBYTES;
    for (size_t p = 0; p < arrangement->part_count; p++, out += PART_NBYTES) {
        const znl_part *part = &arrangement->parts[p];
        store_u32le(out, part->rows);
        store_u32le(out + 4, part->row_values | (part->has_columns ? HAS_COLUMNS : 0));
    }
    const class_counts counts = count_classes(arrangement);
    bit_writer to = {0, 0, out};
    put_bits(&to, arrangement->row_classes, counts.rows, znl_class_bits(class_count));
    put_bits(&to, arrangement->column_classes, counts.columns, COLUMN_BITS);
    put_bits(&to, reduction->marked, count_marks(arrangement), 1);
    if (to.count) {
        store_u32le(to.out, (uint32_t)to.bits);
        to.out += 4;
    }
    if (second->kind != ZNL_NO_SECOND) write_bounds(second, to.out);
}

/* Read one part; `left` values are not in a part yet. */
static int read_part(const uint8_t *in, size_t left, znl_part *part)
{
    const uint32_t shape = load_u32le(in + 4);
    part->rows = load_u32le(in);
    part->row_values = shape & ROW_VALUES_MASK;
    part->has_columns = (shape & HAS_COLUMNS) != 0;
    if (shape & ~(HAS_COLUMNS | ROW_VALUES_MASK)) return ZNL_E_BAD_PADDING;
    if (part->row_values < ZNL_MIN_ROW_VALUES || part->row_values > ZNL_MAX_ROW_VALUES)
        return ZNL_E_BAD_VALUE;
    /* Divided, not multiplied: a product of two numbers of the wire can wrap. */
    if (part->rows < 1 || part->rows > left / part->row_values) return ZNL_E_BAD_VALUE;
    return ZNL_OK;
}

/* The classes of parts that were read: their numbers are limited by that of the values. Returns the bytes
 * consumed, or an error code. */
static int64_t read_class_bits(const uint8_t *in, size_t in_nbytes, unsigned class_count,
                               znl_arrangement *arrangement)
{
    const unsigned bits = znl_class_bits(class_count);
    const class_counts counts = count_classes(arrangement);
    const size_t marks = count_marks(arrangement);
    const size_t nbytes = padded_nbytes(counts.rows * bits + counts.columns * COLUMN_BITS + marks);
    if (in_nbytes < nbytes) return ZNL_E_TRUNCATED;
    bit_reader from = {0, 0, in};
    if (!read_classes(&from, counts.rows, bits, class_count, arrangement->row_classes) ||
        !read_classes(&from, counts.columns, COLUMN_BITS, ZNL_COLUMN_CLASSES,
                      arrangement->column_classes))
        return ZNL_E_BAD_VALUE;
    read_classes(&from, marks, 1, 2, arrangement->reduction.marked);
    return from.bits == 0 ? (int64_t)nbytes : ZNL_E_BAD_PADDING;
}

/* The bounds of contexts. Returns the bytes consumed, or an error code. */
static int64_t read_bounds(const uint8_t *in, size_t in_nbytes, znl_second *second)
{
    const size_t nbytes = bounds_nbytes(second);
    if (in_nbytes < nbytes) return ZNL_E_TRUNCATED;
    unsigned least = 1;
    for (unsigned i = 0; i + 1 < second->context_count; i++) {
        second->bounds[i] = load_u16le(in + 2 * i);
        if (second->bounds[i] < least) return ZNL_E_BAD_VALUE;
        least = second->bounds[i] + 1u;
    }
    if (nbytes > 2 * (second->context_count - 1) && load_u16le(in + nbytes - 2))
        return ZNL_E_BAD_PADDING;
    return (int64_t)nbytes;
}

/* The first field. */
static int read_front(uint32_t front, unsigned table_count, znl_arrangement *arrangement)
{
    znl_reduction *reduction = &arrangement->reduction;
    znl_second *second = &arrangement->second;
    second->kind = (front & SECOND_MASK) >> SECOND_BIT;
    second->context_count = 0;
    arrangement->part_count = front & PART_COUNT_MASK;
    reduction->one_sign = (front & ONE_SIGN) != 0;
    reduction->sign = (front & SIGN) != 0;
    reduction->shift = (front & SHIFT_MASK) >> SHIFT_BIT;
    if (arrangement->part_count < 1 || arrangement->part_count > ZNL_MAX_PARTS)
        return ZNL_E_BAD_VALUE;
    if (front & ~(PART_COUNT_MASK | ONE_SIGN | SIGN | SHIFT_MASK | SECOND_MASK | CONTEXTS_MASK))
        return ZNL_E_BAD_PADDING;
    if (reduction->sign && !reduction->one_sign) return ZNL_E_BAD_VALUE;
    if (reduction->one_sign && reduction->shift == 0) return ZNL_E_BAD_VALUE;
    if (second->kind == ZNL_NO_SECOND) return front & CONTEXTS_MASK ? ZNL_E_BAD_VALUE : ZNL_OK;
    second->context_count = ((front & CONTEXTS_MASK) >> CONTEXTS_BIT) + 1;
    return second->context_count < table_count && reduction->shift == 0 ? ZNL_OK : ZNL_E_BAD_VALUE;
}

int64_t znl_arrangement_read(const uint8_t *in, size_t in_nbytes, size_t value_count,
                             unsigned table_count, znl_arrangement *arrangement)
{
    if (in_nbytes < COUNT_NBYTES) return ZNL_E_TRUNCATED;
    int status = read_front(load_u32le(in), table_count, arrangement);
    if (status != ZNL_OK) return status;
    const size_t part_count = arrangement->part_count;
    const size_t front = COUNT_NBYTES + PART_NBYTES * part_count;
    if (in_nbytes < front) return ZNL_E_TRUNCATED;
    size_t left = value_count;
    for (size_t p = 0; p < part_count; p++) {
        znl_part *part = &arrangement->parts[p];
        status = read_part(in + COUNT_NBYTES + PART_NBYTES * p, left, part);
        if (status != ZNL_OK) return status;
        left -= (size_t)part->rows * part->row_values;
    }
    if (left) return ZNL_E_BAD_VALUE;
    const int64_t bits = read_class_bits(in + front, in_nbytes - front,
                                         znl_class_count(arrangement, table_count), arrangement);
    if (bits < 0 || arrangement->second.kind == ZNL_NO_SECOND)
        return bits < 0 ? bits : (int64_t)front + bits;
    const size_t read = front + (size_t)bits;
    const int64_t bounds = read_bounds(in + read, in_nbytes - read, &arrangement->second);
    return bounds < 0 ? bounds : (int64_t)read + bounds;
}

/* --- order ---------------------------------------------------------------------------------------- */

/* 1 when no class is followed by a lower one. */
static int is_rising(const uint8_t *classes, size_t count)
{
    unsigned falls = 0;
    for (size_t i = 1; i < count; i++) falls |= classes[i] < classes[i - 1];
    return !falls;
}

int znl_arrangement_is_source_order(const znl_arrangement *arrangement)
{
    const uint8_t *row_classes = arrangement->row_classes;
    for (size_t p = 0; p < arrangement->part_count; p++) {
        const znl_part *part = &arrangement->parts[p];
        if (part->has_columns) return 0;
        if (part->row_values % ZNL_BLOCK_VALUES && !is_rising(row_classes, part->rows)) return 0;
        row_classes += part->rows;
    }
    return 1;
}

/* Blocks that get their classes one run of values of one class after the other. */
typedef struct {
    uint8_t *classes;
    size_t block_count;
    size_t block; /* the next one */
    size_t end;   /* values so far */
} block_marker;

static void mark_run(block_marker *to, size_t value_count, unsigned class)
{
    to->end += value_count;
    while (to->block < to->block_count &&
           to->block * ZNL_BLOCK_VALUES + ZNL_BLOCK_VALUES / 2 < to->end)
        to->classes[to->block++] = (uint8_t) class;
}

/* The class of values whose row has class `row` and whose column has the stored class `column`. */
static unsigned joint_class(unsigned row, unsigned column, unsigned class_count)
{
    const unsigned sum = row + column;
    const unsigned class = sum < ZNL_COLUMN_CLASS_ZERO ? 0 : sum - ZNL_COLUMN_CLASS_ZERO;
    return class < class_count ? class : class_count - 1;
}

void znl_arrangement_block_classes(const znl_arrangement *arrangement, unsigned class_count,
                                   size_t block_count, uint8_t *classes)
{
    const uint8_t *row_classes = arrangement->row_classes;
    const uint8_t *column_classes = arrangement->column_classes;
    block_marker to = {classes, block_count, 0, 0};
    for (size_t p = 0; p < arrangement->part_count; p++) {
        const znl_part *part = &arrangement->parts[p];
        const size_t row_values = part->row_values;
        if (!part->has_columns && row_values % ZNL_BLOCK_VALUES == 0) {
            for (size_t row = 0; row < part->rows; row++)
                mark_run(&to, row_values, row_classes[row]);
        } else {
            size_t rows[ZNL_MAX_TABLES] = {0}, columns[ZNL_COLUMN_CLASSES] = {0};
            for (size_t row = 0; row < part->rows; row++) rows[row_classes[row]]++;
            columns[ZNL_COLUMN_CLASS_ZERO] = part->has_columns ? 0 : row_values;
            if (part->has_columns)
                for (size_t i = 0; i < row_values; i++) columns[*column_classes++]++;
            for (unsigned r = 0; r < class_count; r++)
                for (unsigned q = 0; q < ZNL_COLUMN_CLASSES && rows[r]; q++)
                    mark_run(&to, rows[r] * columns[q], joint_class(r, q, class_count));
        }
        row_classes += part->rows;
    }
}

/* The classes of `count` values of one row of a part. columns: those of its columns, NULL without. */
static void row_classes_of(unsigned row, const uint8_t *columns, unsigned class_count, size_t count,
                           uint8_t *classes)
{
    if (!columns) {
        memset(classes, (int)row, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        classes[i] = (uint8_t)joint_class(row, columns[i], class_count);
}

void znl_arrangement_value_classes(const znl_arrangement *arrangement, unsigned class_count,
                                   size_t first, size_t count, uint8_t *classes)
{
    const uint8_t *rows = arrangement->row_classes, *columns = arrangement->column_classes;
    for (const znl_part *part = arrangement->parts; count > 0; part++) {
        const size_t width = part->row_values, size = part->rows * width;
        while (count > 0 && first < size) {
            const size_t column = first % width, left = width - column;
            const size_t run = left < count ? left : count;
            row_classes_of(rows[first / width], part->has_columns ? columns + column : NULL,
                           class_count, run, classes);
            classes += run;
            first += run;
            count -= run;
        }
        first -= size;
        rows += part->rows;
        columns += part->has_columns ? width : 0;
    }
}
