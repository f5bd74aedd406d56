/* SPDX-License-Identifier: Apache-2.0 */
/* Arrangements on the wire and in memory against the text of docs/format.md, section 5.8; arranged chunks come back
 * as they were at every level, alone and beside others; damage is told. */
#include "arrangements.h"
#include "chunks.h"
#include "planes.h"
#include "static_body.h"

static znl_arrangement arrangement;
static arranged_order order;
static uint64_t seed;

enum { MAX_WIRE_NBYTES = 4 + 8 * 1024 + 65536 * 5 / 8 + ZNL_MAX_STATIC_VALUES / 2 + 36 };

/* --- the arrangement alone ------------------------------------------------------------------------ */

static size_t new_arrangement(unsigned kind, unsigned table_count, size_t value_count,
                              size_t part_count)
{
    const size_t count =
        random_arrangement(kind, table_count, value_count, part_count, &seed, &arrangement);
    snprintf(where, sizeof where, "kind %u, %u tables, %zu values, %zu parts", kind, table_count,
             count, arrangement.part_count);
    order_values(&arrangement, table_count, &order);
    CHECK(order.count == count, "%s: %zu", where, order.count);
    return count;
}

static void check_same_arrangement(const znl_arrangement *found)
{
    size_t rows = 0, columns = 0;
    int same = found->part_count == arrangement.part_count;
    for (size_t p = 0; p < arrangement.part_count && same; p++) {
        const znl_part *a = &arrangement.parts[p], *b = &found->parts[p];
        same = a->rows == b->rows && a->row_values == b->row_values &&
               !a->has_columns == !b->has_columns;
        rows += a->rows;
        columns += a->has_columns ? a->row_values : 0;
    }
    CHECK(same && memcmp(found->row_classes, arrangement.row_classes, rows) == 0 &&
              memcmp(found->column_classes, arrangement.column_classes, columns) == 0,
          "%s: read back as another", where);
    const znl_second *a = &arrangement.second, *b = &found->second;
    CHECK(a->kind == b->kind && a->context_count == b->context_count &&
              memcmp(a->bounds, b->bounds, a->kind ? 2 * (a->context_count - 1) : 0) == 0,
          "%s: other second symbols", where);
}

static void check_wire(unsigned table_count, size_t value_count)
{
    static znl_arrangement found;
    static uint8_t expected[MAX_WIRE_NBYTES];
    memset(expected, 0, sizeof expected);
    const size_t nbytes = wire_of_arrangement(&arrangement, table_count, expected);
    CHECK(znl_arrangement_nbytes(&arrangement, table_count) == nbytes, "%s: size", where);
    guarded out = guarded_new(nbytes, 0xee, (unsigned)nbytes % 4);
    znl_arrangement_write(&arrangement, table_count, out.bytes);
    CHECK(memcmp(out.bytes, expected, nbytes) == 0, "%s: written", where);
    memset(&found, 0x5a, sizeof found);
    const unsigned all = table_count + arrangement.second.context_count;
    const int64_t status = znl_arrangement_read(out.bytes, nbytes, value_count, all, &found);
    CHECK(status == (int64_t)nbytes, "%s: %lld", where, (long long)status);
    check_same_arrangement(&found);
    for (int off = -1; off <= 1; off += 2) {
        const size_t wrong = value_count + (size_t)off;
        CHECK(znl_arrangement_read(out.bytes, nbytes, wrong, all, &found) == ZNL_E_BAD_VALUE,
              "%s: %zu values", where, wrong);
    }
    CHECK(guarded_free(&out), "%s: around the wire", where);
}

static void check_moves_at(const znl_kernels *kernels, size_t value_count, size_t width)
{
    static znl_move_scratch scratch;
    const unsigned misalign = random_below(&seed, 9);
    guarded source = guarded_new(value_count * width, 0, misalign);
    guarded arranged = guarded_new(value_count * width, 0x11, 8 - misalign);
    guarded restored = guarded_new(value_count * width, 0x22, misalign);
    for (size_t i = 0; i < source.nbytes; i++) source.bytes[i] = (uint8_t)random_u64(&seed);
    memset(&scratch, 0xcc, sizeof scratch);
    znl_arrange_values(kernels, &arrangement, width, source.bytes, arranged.bytes, &scratch);
    size_t wrong = 0;
    for (size_t i = 0; i < value_count; i++)
        wrong +=
            memcmp(arranged.bytes + i * width, source.bytes + order.source[i] * width, width) != 0;
    CHECK(wrong == 0, "%s: width %zu: %zu values in other places", where, width, wrong);
    memset(&scratch, 0x33, sizeof scratch);
    znl_restore_values(kernels, &arrangement, width, arranged.bytes, restored.bytes, &scratch);
    CHECK(memcmp(restored.bytes, source.bytes, source.nbytes) == 0, "%s: width %zu: restored",
          where, width);
    CHECK(guarded_free(&source) && guarded_free(&arranged) && guarded_free(&restored), "%s", where);
}

static void check_moves(size_t value_count)
{
    int moves = 0;
    for (size_t i = 0; i < value_count; i++) moves |= order.source[i] != i;
    CHECK(znl_arrangement_is_source_order(&arrangement) <= !moves, "%s: it moves", where);
    for (size_t width = 1; width <= 8; width *= 2)
        for (int l = 0; l < level_count; l++) check_moves_at(use_level(l), value_count, width);
    use_level(0);
}

/* The classes of runs of values in source order. */
static void check_value_classes(unsigned table_count, size_t value_count)
{
    static uint8_t in_source[ZNL_MAX_STATIC_VALUES];
    size_t wrong = 0;
    for (size_t i = 0; i < value_count; i++) in_source[order.source[i]] = order.classes[i];
    for (size_t first = 0, count; first < value_count; first += count) {
        const size_t left = value_count - first;
        count = 1 + random_below(&seed, 3000);
        if (count > left) count = left;
        guarded found = guarded_new(count, 0xee, 0);
        znl_arrangement_value_classes(&arrangement, table_count, first, count, found.bytes);
        wrong += memcmp(found.bytes, in_source + first, count) != 0;
        CHECK(guarded_free(&found), "%s: around %zu classes", where, count);
    }
    CHECK(wrong == 0, "%s: %zu runs of classes", where, wrong);
}

static void check_classes(unsigned table_count, size_t value_count)
{
    const size_t block_count = value_count / 64;
    guarded classes = guarded_new(block_count, 0xee, 0);
    znl_arrangement_block_classes(&arrangement, table_count, block_count, classes.bytes);
    size_t wrong = 0;
    for (size_t b = 0; b < block_count; b++) wrong += classes.bytes[b] != block_class(&order, b);
    CHECK(wrong == 0, "%s: classes of %zu blocks", where, wrong);
    CHECK(guarded_free(&classes), "%s: around the classes", where);
    check_value_classes(table_count, value_count);
}

static void check_arrangement(unsigned kind, unsigned table_count, size_t value_count,
                              size_t part_count)
{
    const size_t count = new_arrangement(kind, table_count, value_count, part_count);
    const unsigned most = table_count < 16 ? 16 : 32 - table_count;
    if (most && random_below(&seed, 2))
        random_second(1 + random_below(&seed, 2), 1 + random_below(&seed, most), 65536, &seed,
                      &arrangement.second);
    check_wire(table_count, count);
    check_moves(count);
    check_classes(table_count, count);
}

static void check_arrangements(void)
{
    for (unsigned table_count = 1; table_count <= 32; table_count++)
        for (unsigned kind = 0; kind < PART_KINDS; kind++)
            for (size_t parts = 1; parts <= 27; parts = parts * 3)
                check_arrangement(kind, table_count, 2048 + random_below(&seed, 9000), parts);
    check_arrangement(ANY_PARTS, 32, 70000, 1024);
    check_arrangement(NO_COLUMNS, 5, 4096, 1024);
    /* The longest and the shortest rows, as many as can be, and one column class for all of them. */
    for (unsigned i = 0; i < 6; i++) {
        memset(&arrangement, 0, sizeof arrangement);
        arrangement.part_count = 1;
        arrangement.parts[0].row_values = i % 3 == 0 ? 131072 : i % 3 == 1 ? 1 : 64;
        arrangement.parts[0].rows = 262144 / arrangement.parts[0].row_values;
        arrangement.parts[0].has_columns = i >= 3;
        for (size_t r = 0; r < 65536; r++)
            arrangement.row_classes[r] = (uint8_t)random_below(&seed, 32);
        for (size_t c = 0; c < 131072; c++)
            arrangement.column_classes[c] = i == 5 ? 14 : (uint8_t)(random_below(&seed, 15));
        snprintf(where, sizeof where, "extreme %u", i);
        order_values(&arrangement, 32, &order);
        check_wire(32, 262144);
        check_moves(262144);
        check_classes(32, 262144);
    }
}

static void check_source_order(void)
{
    memset(&arrangement, 0, sizeof arrangement);
    arrangement.part_count = 3;
    for (unsigned p = 0; p < 3; p++) {
        arrangement.parts[p].rows = 3;
        arrangement.parts[p].row_values = p == 1 ? 65 : 640;
        for (unsigned r = 0; r < 3; r++)
            arrangement.row_classes[3 * p + r] = (uint8_t)(p == 1 ? r / 2 : 2 - r);
    }
    CHECK(znl_arrangement_is_source_order(&arrangement) == 1, "rising, or of whole blocks");
    arrangement.row_classes[5] = 0;
    arrangement.row_classes[4] = 1;
    CHECK(znl_arrangement_is_source_order(&arrangement) == 0, "falling");
    arrangement.parts[1].row_values = 128;
    CHECK(znl_arrangement_is_source_order(&arrangement) == 1, "falling, of whole blocks");
    arrangement.parts[2].has_columns = 1;
    CHECK(znl_arrangement_is_source_order(&arrangement) == 0, "columns");
}

/* --- chunks --------------------------------------------------------------------------------------- */

static znl_static_encode_scratch encoder;
static znl_arranged_encode_scratch arranger;

/* A chunk, its tables, and its buffers. */
typedef struct {
    test_case made;
    znl_table wire[ZNL_MAX_TABLES];
    znl_freq_table tables[ZNL_MAX_TABLES];
    int status;
} arranged_chunk;

/* A table for each class: fitted to its blocks, now and then a universal one. */
static void fit_tables(const znl_layout *layout, arranged_chunk *to)
{
    static uint32_t counts[ZNL_MAX_TABLES][ZNL_MAX_SYMBOL_VALUES];
    static uint8_t planes[7 * ZNL_BLOCK_VALUES], values[8 * ZNL_BLOCK_VALUES];
    uint16_t symbols[ZNL_BLOCK_VALUES];
    znl_chunk *chunk = &to->made.chunk;
    const size_t width = layout->width;
    memset(counts, 0, sizeof counts);
    for (size_t b = 0; b < order.count / 64; b++) {
        for (size_t i = 0; i < 64; i++)
            memcpy(values + i * width, chunk->source + order.source[64 * b + i] * width, width);
        znl_split_scalar(layout, values, 1, symbols, planes, 64, planes + 6 * 64);
        for (size_t i = 0; i < 64; i++) counts[block_class(&order, b)][symbols[i]]++;
    }
    for (unsigned t = 0; t < chunk->table_count; t++) {
        memset(&to->wire[t], 0, sizeof to->wire[t]);
        znl_table_fit(counts[t], layout->symbol_bits, &to->tables[t]);
        if (random_below(&seed, 9) == 0) {
            const unsigned base = to->tables[t].base;
            chunk->tables[t] = 7u << 12 | base;
            znl_table_universal(7, base, &to->tables[t]);
            continue;
        }
        to->wire[t].nbytes = (uint32_t)znl_table_write(&to->tables[t], to->wire[t].bytes);
        CHECK(znl_table_check(to->wire[t].bytes, to->wire[t].nbytes, &to->wire[t].name) == 0, "%s",
              where);
        chunk->tables[t] = to->wire[t].name;
    }
}

static void encode_at(int wanted, znl_chunk *chunk, arranged_chunk *to)
{
    const znl_kernels *kernels = use_level(wanted);
    memset(&encoder, 0x40 + wanted, sizeof encoder);
    memset(&arranger, 0x50 + wanted, sizeof arranger);
    encoder.cache.count = 0;
    to->status = znl_arranged_encode(kernels, znl_layout_of(chunk->dtype), to->tables, chunk,
                                     &arrangement, &encoder, &arranger);
}

/* Encode values by `arrangement` at every level: the same bytes. */
static arranged_chunk new_arranged(unsigned dtype, enum pattern pattern, unsigned table_count)
{
    arranged_chunk to;
    char named[sizeof where];
    memcpy(named, where, sizeof where);
    to.made = new_case(dtype, pattern, order.count, 0, 0, seed++);
    memcpy(where, named, sizeof where);
    znl_chunk *chunk = &to.made.chunk;
    chunk->method = ZNL_METHOD_ARRANGED;
    chunk->table_count = (uint8_t)table_count;
    chunk->unit_shift = 0;
    chunk->status = 0;
    chunk->checksum = znl_xxh3_64_scalar(chunk->source, chunk->source_nbytes);
    guarded source_before = guarded_copy(chunk->source, chunk->source_nbytes, 0);
    fit_tables(znl_layout_of(dtype), &to);
    encode_at(0, chunk, &to);
    const int status = to.status;
    CHECK(status == ZNL_OK || status == ZNL_E_NO_ROOM, "%s: %d", where, status);
    for (int i = 1; i < level_count; i++) {
        guarded body = guarded_new(chunk->body_room, 0x44, (unsigned)i);
        znl_chunk other = *chunk;
        other.body = body.bytes;
        other.body_nbytes = other.body_offset = 77;
        encode_at(i, &other, &to);
        CHECK(to.status == status, "%s: dtype %u: %d, not %d", where, dtype, to.status, status);
        if (status == ZNL_OK)
            CHECK(other.body_nbytes == chunk->body_nbytes &&
                      memcmp(body_of(&other), body_of(chunk), chunk->body_nbytes) == 0,
                  "%s: dtype %u: other bytes", where, dtype);
        CHECK(guarded_free(&body), "%s: around the body", where);
    }
    use_level(0);
    if (status == ZNL_OK)
        CHECK(chunk->body_nbytes < chunk->source_nbytes, "%s: dtype %u: %u bytes", where, dtype,
              chunk->body_nbytes);
    CHECK(memcmp(source_before.bytes, chunk->source, chunk->source_nbytes) == 0,
          "%s: the source was written to", where);
    CHECK(guarded_free(&source_before), "%s", where);
    return to;
}

static unsigned coded_count;

/* The arrangement is where the class map of a static body would be. */
static void check_section(const znl_chunk *chunk)
{
    static uint8_t expected[MAX_WIRE_NBYTES];
    memset(expected, 0, sizeof expected);
    const size_t nbytes = wire_of_arrangement(&arrangement, chunk->table_count, expected);
    CHECK(memcmp(body_of(chunk) + 8, expected, nbytes) == 0, "%s: section", where);
}

static void check_round_trip(unsigned dtype, enum pattern pattern, unsigned table_count)
{
    arranged_chunk to = new_arranged(dtype, pattern, table_count);
    znl_chunk *chunk = &to.made.chunk;
    if (to.status == ZNL_OK) {
        coded_count++;
        check_section(chunk);
        for (int i = 0; i < level_count; i++) {
            int is_same;
            use_level(i);
            const int64_t status = decode_exactly(chunk, body_of(chunk), chunk->body_nbytes,
                                                  to.wire, chunk->source, &is_same);
            CHECK(status == 0 && is_same, "%s: dtype %u: %lld, same %d", where, dtype,
                  (long long)status, is_same);
            znl_chunk wrong = *chunk;
            wrong.checksum ^= 1;
            CHECK(decode_exactly(&wrong, body_of(chunk), chunk->body_nbytes, to.wire, chunk->source,
                                 &is_same) == ZNL_E_CHECKSUM,
                  "%s", where);
        }
        use_level(0);
    }
    free_case(&to.made);
}

static void check_round_trips(void)
{
    for (unsigned table_count = 1; table_count <= 32; table_count++)
        for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
            static const size_t sizes[] = {2048, 2111, 2500, 6149, 9000};
            const unsigned kind = (table_count + d) % PART_KINDS;
            new_arrangement(kind, table_count, sizes[(table_count + 3 * d) % 5],
                            1 + table_count % 3);
            check_round_trip(MODELLED_DTYPES[d], (enum pattern)((table_count + d) % PATTERN_COUNT),
                             table_count);
        }
    CHECK(coded_count > 250, "only %u of 384 were coded", coded_count);
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        new_arrangement(d % PART_KINDS, 17, dtype_width(MODELLED_DTYPES[d]) == 1 ? 262144 : 131072,
                        1 + d % 2);
        check_round_trip(MODELLED_DTYPES[d], WIDE, 17);
    }
}

/* Pairs: arranged chunks beside arranged and static ones, of other sizes and with other tables. */
static void check_neighbours(unsigned dtype)
{
    enum { COUNT = 5 };
    static const unsigned table_counts[COUNT] = {16, 32, 1, 5, 2};
    arranged_chunk chunks[COUNT];
    znl_chunk decoded[COUNT];
    znl_table tables[COUNT * ZNL_MAX_TABLES];
    guarded out[COUNT];
    size_t table_count = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        new_arrangement(i == 0 ? WHOLE_BLOCKS : i % PART_KINDS, table_counts[i], 9000 + 777 * i,
                        1 + i);
        chunks[i] = new_arranged(dtype, RUNS, table_counts[i]);
        znl_chunk *chunk = &chunks[i].made.chunk;
        if (i == 2 ||
            i == 4) { /* a static one with one table, and one with a class for every unit */
            chunk->method = ZNL_METHOD_STATIC;
            chunk->unit_shift = i == 4 ? ZNL_UNIT_SHIFT_SMALL : 0;
            for (size_t b = 0; b < order.count / 64; b++)
                encoder.classes[b] = (uint8_t)(b / 3 % table_counts[i]);
            encoder.cache.count = 0;
            znl_static_split(&level_kernels[0], znl_layout_of(dtype), chunk, &encoder);
            chunks[i].status = znl_static_encode(&level_kernels[0], znl_layout_of(dtype),
                                                 chunks[i].tables, chunk, &encoder);
        }
        if (chunks[i].status != ZNL_OK) { /* stored raw */
            chunk->method = ZNL_METHOD_RAW;
            chunk->table_count = chunk->unit_shift = 0;
        }
        coded_count += chunks[i].status == ZNL_OK;
        decoded[i] = *chunk;
        decoded[i].body = (uint8_t *)body_of(chunk);
        decoded[i].body_nbytes = (uint32_t)body_nbytes_of(chunk);
        out[i] = guarded_new(chunk->source_nbytes, 0, i);
        decoded[i].source = out[i].bytes;
        memcpy(tables + table_count, chunks[i].wire, chunk->table_count * sizeof *tables);
        table_count += chunk->table_count;
    }
    for (int l = 0; l < level_count; l++) {
        const znl_kernels *kernels = use_level(l);
        for (unsigned i = 0; i < COUNT; i++) memset(out[i].bytes, 0xdd, out[i].nbytes);
        const int64_t status = znl_decode_chunks(kernels, decoded, COUNT, tables, table_count,
                                                 decode_scratch.bytes, decode_scratch.nbytes);
        CHECK(status == 0, "dtype %u: %lld", dtype, (long long)status);
        for (unsigned i = 0; i < COUNT; i++)
            CHECK(memcmp(out[i].bytes, chunks[i].made.source.bytes, out[i].nbytes) == 0,
                  "dtype %u: chunk %u", dtype, i);
    }
    use_level(0);
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(guarded_free(&out[i]), "dtype %u: around chunk %u", dtype, i);
        free_case(&chunks[i].made);
    }
}

/* --- damage --------------------------------------------------------------------------------------- */

/* Decode a body with one 32-bit field of the arrangement changed. */
static void expect(const arranged_chunk *good, size_t offset, uint32_t value, int64_t expected)
{
    int is_same;
    const znl_chunk *chunk = &good->made.chunk;
    guarded body = guarded_copy(body_of(chunk), chunk->body_nbytes, 0);
    store_u32le(body.bytes + 8 + offset, value);
    for (int l = 0; l < level_count; l++) {
        use_level(l);
        const int64_t status =
            decode_exactly(chunk, body.bytes, body.nbytes, good->wire, chunk->source, &is_same);
        CHECK(status == expected, "field at %zu: %u: %lld", offset, value, (long long)status);
    }
    CHECK(guarded_free(&body), "damage");
}

static void check_fields_damaged(const arranged_chunk *good)
{
    const uint32_t rows = arrangement.parts[0].rows, shape = arrangement.parts[0].row_values;
    const uint32_t columns = UINT32_C(1) << 31;
    const uint8_t *section = body_of(&good->made.chunk) + 8;
    static const uint32_t counts[] = {0, 1, 1025, 65536, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        expect(good, 0, counts[i], ZNL_E_BAD_VALUE);
    expect(good, 0, 1024, ZNL_E_TRUNCATED); /* the parts alone are longer than the body */
    static const uint32_t row_counts[] = {0, 1u << 15, 1u << 18, 1u << 30, UINT32_MAX};
    for (size_t i = 0; i < sizeof row_counts / sizeof *row_counts; i++)
        expect(good, 4, row_counts[i], ZNL_E_BAD_VALUE);
    expect(good, 4, rows + 1, ZNL_E_BAD_VALUE);
    expect(good, 4, rows - 1, ZNL_E_BAD_VALUE);
    static const uint32_t lengths[] = {0, 131073, (1u << 18) - 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        expect(good, 8, lengths[i], ZNL_E_BAD_VALUE);
        expect(good, 8, lengths[i] | columns, ZNL_E_BAD_VALUE);
    }
    for (unsigned bit = 18; bit < 31; bit++)
        expect(good, 8, shape | columns | 1u << bit, ZNL_E_BAD_PADDING);
    /* Rows and columns: 5 tables take 3 bits, classes 5 to 7 are none; stored column classes end at 14. */
    const size_t bits = 4 + 8 * arrangement.part_count;
    const uint32_t first = load_u32le(section + bits);
    for (uint32_t class = 5; class < 8; class ++)
        expect(good, bits, (first & ~7u) | class, ZNL_E_BAD_VALUE);
    const size_t column_bit = 3 * (rows + arrangement.parts[1].rows),
                 at = bits + column_bit / 32 * 4;
    const uint32_t word = load_u32le(section + at), shift = column_bit % 32;
    for (uint32_t class = 15; class < 16; class ++)
        expect(good, at, (word & ~(15u << shift)) | class << shift, ZNL_E_BAD_VALUE);
    /* Padding: the last word of the section has bits to spare. */
    const size_t end = znl_arrangement_nbytes(&arrangement, 5) - 4;
    expect(good, end, load_u32le(section + end) | UINT32_C(1) << 31, ZNL_E_BAD_PADDING);
}

/* Bits of the front flipped, and bodies cut short: an error or the same values, and nothing beyond the buffers. */
static void check_flips(const arranged_chunk *good)
{
    const znl_chunk *chunk = &good->made.chunk;
    const size_t nbytes = 8 + znl_arrangement_nbytes(&arrangement, chunk->table_count);
    int is_same;
    guarded body = guarded_copy(body_of(chunk), chunk->body_nbytes, 0);
    for (size_t bit = 0; bit < 8 * nbytes; bit += bit < 8 * 28 ? 1 : 7) {
        body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        use_level((int)(bit % (size_t)level_count));
        const int64_t status =
            decode_exactly(chunk, body.bytes, body.nbytes, good->wire, chunk->source, &is_same);
        CHECK(status != 0 || is_same, "%s: bit %zu passed", where, bit);
        body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t length = 0; length < nbytes + 8; length++) {
        const int64_t status =
            decode_exactly(chunk, body.bytes, length, good->wire, chunk->source, &is_same);
        CHECK(status == ZNL_E_TRUNCATED, "%s: %zu bytes: %lld", where, length, (long long)status);
    }
    use_level(0);
    CHECK(guarded_free(&body), "%s", where);
}

static void check_heads(const arranged_chunk *good)
{
    const znl_chunk *chunk = &good->made.chunk;
    znl_table wire[256] = {0};
    int is_same;
    memcpy(wire, good->wire, sizeof good->wire);
#define EXPECT_HEAD(change)                                                                        \
    do {                                                                                           \
        znl_chunk wrong = *chunk;                                                                  \
        change;                                                                                    \
        CHECK(decode_exactly(&wrong, body_of(chunk), chunk->body_nbytes, wire, chunk->source,      \
                             &is_same) == ZNL_E_BAD_VALUE,                                         \
              "%s", #change);                                                                      \
    } while (0)
    EXPECT_HEAD(wrong.source_nbytes = 2047 * dtype_width(wrong.dtype));
    EXPECT_HEAD(wrong.table_count = 0);
    EXPECT_HEAD(wrong.table_count = 33);
    EXPECT_HEAD(wrong.table_count = 255);
    EXPECT_HEAD(wrong.unit_shift = 6);
    EXPECT_HEAD(wrong.unit_shift = 255);
    EXPECT_HEAD(wrong.method = ZNL_METHOD_COUNT);
    EXPECT_HEAD(wrong.dtype = 16);
    EXPECT_HEAD((wrong.method = ZNL_METHOD_STATIC, wrong.table_count = 9, wrong.unit_shift = 6));
#undef EXPECT_HEAD
}

static void check_damage(void)
{
    memset(&arrangement, 0, sizeof arrangement);
    arrangement.part_count = 2;
    arrangement.parts[0].rows = 33;
    arrangement.parts[0].row_values = 70;
    arrangement.parts[0].has_columns = 1;
    arrangement.parts[1].rows = 3;
    arrangement.parts[1].row_values = 101;
    for (size_t i = 0; i < 36; i++) arrangement.row_classes[i] = (uint8_t)random_below(&seed, 5);
    for (size_t i = 0; i < 70; i++)
        arrangement.column_classes[i] = (uint8_t)(3 + random_below(&seed, 3));
    snprintf(where, sizeof where, "damage");
    order_values(&arrangement, 5, &order);
    arranged_chunk good = new_arranged(4, GAUSSIAN, 5);
    CHECK(good.status == ZNL_OK, "%d", good.status);
    check_heads(&good);
    check_fields_damaged(&good);
    check_flips(&good);
    free_case(&good.made);
}

int main(void)
{
    new_levels();
    new_scratch();
    check_arrangements();
    check_source_order();
    check_round_trips();
    coded_count = 0;
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) check_neighbours(MODELLED_DTYPES[d]);
    CHECK(coded_count >= 50, "only %u of 60 neighbours were coded", coded_count);
    check_damage();
    free_scratch();
    return check_result();
}
