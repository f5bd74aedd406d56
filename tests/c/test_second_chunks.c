/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks with second symbols against the text of docs/format.md, sections 5.8 and 5.10: every section of a body, and both its
 * runs of symbols; chunks come back at every level, alone and beside others; damage is told. */
#include "arrangements.h"
#include "bits.h"
#include "chunks.h"
#include "planes.h"
#include "seconds.h"
#include "static_body.h"

enum { MOST_VALUES = ZNL_MAX_STATIC_VALUES, MOST_BLOCKS = MOST_VALUES / 64 };

static uint64_t seed;
static znl_static_encode_scratch encoder;
static znl_arranged_encode_scratch arranger;
static znl_arrangement arrangement;
static arranged_order order;

/* --- chunks --------------------------------------------------------------------------------------- */

/* Numbers of second symbols: some that the symbol value tells, mostly; all the same; any. */
enum { TOLD, LOWEST, HIGHEST, FIFTEEN, ANY_NUMBER, NUMBER_KINDS };

/* A chunk, and its values by the text. */
typedef struct {
    test_case made;
    int status;
    unsigned class_count;
    znl_second second;
    size_t value_count, coded;
    znl_table wire[ZNL_MAX_TABLES];
    znl_freq_table tables[ZNL_MAX_TABLES];
    uint16_t symbol_values[MOST_VALUES]; /* of coded values, in arranged order */
    uint8_t numbers[MOST_VALUES], contexts[MOST_VALUES];
    uint32_t in_second_order[MOST_VALUES];
    uint8_t table_of[2 * MOST_BLOCKS]; /* for both symbols */
} second_chunk;

static second_chunk one;

static unsigned pick_number(unsigned dtype, unsigned kind, unsigned symbol_value)
{
    const unsigned limit = number_limit(dtype);
    if (kind == LOWEST) return 0;
    if (kind == HIGHEST) return limit - 1;
    if (kind == FIFTEEN) return 15 % limit;
    if (kind == ANY_NUMBER || random_below(&seed, 50) == 0) return random_below(&seed, limit);
    return limit == 17 ? 6 + (5 * symbol_value + random_below(&seed, 3)) % 11
                       : (5 * symbol_value + random_below(&seed, 2)) % limit;
}

/* A value of a symbol value and a number, the other bits at random: the inverse of section 5.1. */
static unsigned compose(unsigned dtype, unsigned symbol_value, unsigned number)
{
    if (kind_of_second(dtype) == 1) {
        const unsigned x = symbol_value << low_bits_of(dtype) | number;
        return dtype == 14 ? x ^ 0x80 : dtype == 15 ? x : (x >> 1 | x << 7) & 255;
    }
    const unsigned top = symbol_value << 7 | random_below(&seed, 128);
    const unsigned q = (random_below(&seed, 65536) << 1 | 1) << number & 0xffff;
    return (top >> 1 | (top & 1) << 15) << 16 | q;
}

/* Values whose symbol values lie where their class says, with patches now and then. */
static void make_second_values(unsigned dtype, unsigned numbers, uint8_t *values)
{
    const unsigned count = 1u << dtype_symbol_bits(dtype), width = dtype_width(dtype);
    for (size_t i = 0; i < order.count; i++) {
        const unsigned noise = random_below(&seed, 3) + random_below(&seed, 3);
        unsigned e = (count / 2 + 3u * order.classes[i] + noise) % count;
        if (random_below(&seed, 60) == 0) e = random_below(&seed, count);
        const unsigned v = compose(dtype, e, pick_number(dtype, numbers, e));
        for (unsigned b = 0; b < width; b++)
            values[order.source[i] * width + b] = (uint8_t)(v >> 8 * b);
    }
}

/* What the text says of the values of a chunk. */
static void describe(second_chunk *to)
{
    const znl_chunk *chunk = &to->made.chunk;
    to->value_count = order.count;
    to->coded = order.count / 64 * 64;
    for (size_t i = 0; i < to->coded; i++) {
        const unsigned v = value_at(chunk->dtype, chunk->source, order.source[i]);
        to->symbol_values[i] = (uint16_t)symbol_value_of(chunk->dtype, v);
        to->numbers[i] = (uint8_t)number_of(chunk->dtype, v);
    }
    for (size_t i = 0; i < to->coded; i++)
        to->contexts[i] = (uint8_t)context_of(&to->second, dtype_symbol_bits(chunk->dtype),
                                              block_class(&order, i / 64), to->symbol_values[i]);
    order_second(&to->second, to->contexts, to->coded, to->in_second_order);
    for (size_t b = 0; b < to->coded / 64; b++) {
        const unsigned context = to->contexts[to->in_second_order[64 * b + 32]];
        to->table_of[b] = (uint8_t)block_class(&order, b);
        to->table_of[to->coded / 64 + b] = (uint8_t)(to->class_count + context);
    }
}

static void name_table(second_chunk *to, unsigned t)
{
    memset(&to->wire[t], 0, sizeof to->wire[t]);
    to->wire[t].nbytes = (uint32_t)znl_table_write(&to->tables[t], to->wire[t].bytes);
    CHECK(znl_table_check(to->wire[t].bytes, to->wire[t].nbytes, &to->wire[t].name) == 0, "%s",
          where);
    to->made.chunk.tables[t] = to->wire[t].name;
}

/* Another table with the same frequencies of numbers 0 to 31: it begins elsewhere. */
static void turn_table(unsigned base, znl_freq_table *table)
{
    uint16_t of_number[32];
    for (unsigned s = 0; s < 32; s++) of_number[meaning_of(table, s, 5)] = table->frequency[s];
    table->base = (uint16_t)base;
    table->has_zero = 0;
    for (unsigned s = 0; s < 32; s++) table->frequency[s] = of_number[(base + s) % 32];
}

/* A table for each class and each context: fitted to its blocks, or one of the other forms that can hold all numbers. */
static void fit_tables(second_chunk *to)
{
    static uint32_t counts[ZNL_MAX_TABLES][ZNL_MAX_SYMBOL_VALUES];
    znl_chunk *chunk = &to->made.chunk;
    const unsigned symbol_bits = dtype_symbol_bits(chunk->dtype);
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < to->coded; i++) {
        counts[to->table_of[i / 64]][to->symbol_values[i]]++;
        counts[to->table_of[(to->coded + i) / 64]][to->numbers[to->in_second_order[i]]]++;
    }
    for (unsigned t = 0; t < chunk->table_count; t++) {
        const int is_second = t >= to->class_count;
        znl_table_fit(counts[t], is_second ? 5 : symbol_bits, &to->tables[t]);
        const unsigned form = is_second ? random_below(&seed, 6) : 0;
        if (form == 1) turn_table(random_below(&seed, 32), &to->tables[t]);
        name_table(to, t);
        if (form == 2) { /* a universal one lacks the number below its base */
            const unsigned base =
                (kind_of_second(chunk->dtype) == 1 ? 10 : 18) + random_below(&seed, 4);
            chunk->tables[t] = 15u << 12 | base;
            znl_table_universal(15, base, &to->tables[t]);
        }
    }
}

static void encode_at(int wanted, znl_chunk *chunk, second_chunk *to)
{
    const znl_kernels *kernels = use_level(wanted);
    memset(&encoder, 0x40 + wanted, sizeof encoder);
    memset(&arranger, 0x50 + wanted, sizeof arranger);
    memset(&arrangement.reduction, 0x60 + wanted, sizeof arrangement.reduction);
    encoder.cache.count = 0;
    to->status = znl_arranged_encode(kernels, znl_layout_of(chunk->dtype), to->tables, chunk,
                                     &arrangement, &encoder, &arranger);
    if (to->status == ZNL_OK && arrangement.second.kind)
        CHECK(arrangement.reduction.shift == 0, "%s: shift", where);
}

/* Encode at the other levels: the same bytes. */
static void encode_elsewhere(second_chunk *to)
{
    const znl_chunk *chunk = &to->made.chunk;
    const int status = to->status;
    for (int i = 1; i < level_count; i++) {
        guarded body = guarded_new(chunk->body_room, 0x44, (unsigned)i);
        znl_chunk other = *chunk;
        other.body = body.bytes;
        encode_at(i, &other, to);
        CHECK(to->status == status, "%s: %d, not %d", where, to->status, status);
        if (status == ZNL_OK)
            CHECK(other.body_nbytes == chunk->body_nbytes &&
                      memcmp(body_of(&other), body_of(chunk), chunk->body_nbytes) == 0,
                  "%s: other bytes", where);
        CHECK(guarded_free(&body), "%s: around the body", where);
    }
    use_level(0);
}

/* Encode values by `arrangement`, which has its order, and bounds of contexts at random, at every level. */
static void new_second(unsigned dtype, unsigned class_count, unsigned context_count,
                       unsigned numbers, second_chunk *to)
{
    to->made = new_case(dtype, RANDOM_BITS, order.count, 0, 0, seed++);
    snprintf(where, sizeof where, "dtype %u, %zu values, %u classes, %u contexts, numbers %u",
             dtype, order.count, class_count, context_count, numbers);
    const unsigned classes = random_below(&seed, 2) ? class_count : 1; /* that bounds are of */
    random_second(kind_of_second(dtype), context_count, classes << dtype_symbol_bits(dtype), &seed,
                  &arrangement.second);
    znl_chunk *chunk = &to->made.chunk;
    make_second_values(dtype, numbers, to->made.source.bytes);
    chunk->method = ZNL_METHOD_ARRANGED;
    chunk->table_count = (uint8_t)(class_count + context_count);
    chunk->unit_shift = 0;
    chunk->status = 0;
    chunk->checksum = znl_xxh3_64_scalar(chunk->source, chunk->source_nbytes);
    to->class_count = class_count;
    to->second = arrangement.second;
    guarded before = guarded_copy(chunk->source, chunk->source_nbytes, 0);
    describe(to);
    fit_tables(to);
    encode_at(0, chunk, to);
    CHECK(to->status == ZNL_OK || to->status == ZNL_E_NO_ROOM, "%s: %d", where, to->status);
    encode_elsewhere(to);
    CHECK(memcmp(before.bytes, chunk->source, chunk->source_nbytes) == 0,
          "%s: the source was written to", where);
    CHECK(guarded_free(&before), "%s", where);
}

/* One part that moves nothing, of rows that are short enough. */
static void order_as_source(size_t value_count)
{
    memset(&arrangement, 0, sizeof arrangement);
    arrangement.part_count = 1;
    arrangement.parts[0].rows = value_count > ZNL_MAX_ROW_VALUES ? 2 : 1;
    arrangement.parts[0].row_values = (uint32_t)value_count / arrangement.parts[0].rows;
    order_values(&arrangement, 1, &order);
}

static void order_at_random(unsigned kind, unsigned class_count, size_t value_count, size_t parts)
{
    random_arrangement(kind, class_count, value_count, parts, &seed, &arrangement);
    order_values(&arrangement, class_count, &order);
}

/* --- a body by the text --------------------------------------------------------------------------- */

/* The raw section, whole: fields and bit plane, or nothing. Returns its size, and that of the fields. */
static size_t expected_raw(const second_chunk *of, uint8_t *raw, size_t *fields_nbytes)
{
    static uint8_t planes[2 * 512], in_order[512 * 4];
    static uint16_t symbols[512];
    const znl_chunk *chunk = &of->made.chunk;
    *fields_nbytes = 0;
    if (kind_of_second(chunk->dtype) == 1) return 0;
    bit_sink sink = {raw, 0};
    for (size_t i = 0; i < of->coded; i++) {
        const unsigned q = value_at(chunk->dtype, chunk->source, order.source[i]) & 0xffff;
        if (of->numbers[i] < 15)
            put_low_bits(&sink, q >> (of->numbers[i] + 1), 15 - of->numbers[i]);
    }
    while (sink.bit % 64) put_low_bits(&sink, 0, 1);
    size_t nbytes = *fields_nbytes = sink.bit / 8;
    for (size_t first = 0; first < of->coded; first += 512) {
        const size_t count = of->coded - first < 512 ? of->coded - first : 512;
        for (size_t i = 0; i < count; i++)
            memcpy(in_order + 4 * i, chunk->source + 4 * order.source[first + i], 4);
        znl_split_scalar(znl_layout_of(chunk->dtype), in_order, count / 64, symbols, planes, 512,
                         raw + nbytes);
        nbytes += znl_bit_plane_nbytes(count / 64, 7);
    }
    return nbytes;
}

/* Where the sections of a body are. */
typedef struct {
    size_t word_count, patch_count, bounds, states, patches, words, raw, tail;
    size_t fields_nbytes;
} second_map;

static second_map map_second(const second_chunk *of, size_t section_nbytes, size_t stored)
{
    const uint8_t *body = body_of(&of->made.chunk);
    second_map map;
    map.word_count = load_u32le(body);
    map.patch_count = load_u32le(body + 4);
    map.states = 8 + section_nbytes;
    map.bounds = map.states - 4 * (of->second.context_count / 2);
    map.patches = map.states + 256;
    map.words = map.patches + 4 * map.patch_count + map.word_count % 2 * 2;
    map.raw = map.words + 2 * map.word_count;
    map.tail = map.raw + stored;
    return map;
}

/* The symbols of both runs, one by one, and the patches under the first. */
static void check_symbols(const second_chunk *of, const second_map *map, const uint8_t *in_states)
{
    static slot_owners owners[ZNL_MAX_TABLES];
    const uint8_t *body = body_of(&of->made.chunk);
    const unsigned symbol_bits = dtype_symbol_bits(of->made.chunk.dtype);
    text_lanes lanes = {{0}, body + map->words, 0, map->word_count, 0};
    size_t patches = 0, wrong = 0;
    for (unsigned t = 0; t < of->made.chunk.table_count; t++)
        own_slots(of->tables[t].frequency, &owners[t]);
    for (unsigned lane = 0; lane < 64; lane++)
        lanes.x[lane] = load_u32le(body + map->states + 4 * lane);
    for (size_t i = 0; i < 2 * of->coded; i++) {
        const unsigned t = of->table_of[i / 64];
        const unsigned symbol = next_symbol(&lanes, &of->tables[t], &owners[t]);
        if (i >= of->coded) {
            const uint32_t value = of->in_second_order[i - of->coded];
            wrong += meaning_of(&of->tables[t], symbol, 5) != of->numbers[value];
        } else if (meaning_of(&of->tables[t], symbol, symbol_bits) != of->symbol_values[i]) {
            const uint32_t patch = (uint32_t)i << 12 | of->symbol_values[i];
            wrong += symbol != 31 || patches == map->patch_count ||
                     load_u32le(body + map->patches + 4 * patches) != patch;
            patches++;
        }
    }
    CHECK(wrong == 0 && patches == map->patch_count, "%s: %zu symbols, %zu patches, not %zu", where,
          wrong, patches, map->patch_count);
    CHECK(lanes.w == map->word_count, "%s: %zu words, not %zu", where, lanes.w, map->word_count);
    for (unsigned lane = 0; lane < 64; lane++) {
        const uint32_t low = in_states ? load_u16le(in_states + 2 * lane) : 0;
        CHECK(lanes.x[lane] == (65536 | low), "%s: lane %u ends at %#x", where, lane,
              lanes.x[lane]);
    }
}

/* All sections; returns where they are. */
static second_map check_body(const second_chunk *of)
{
    static uint8_t section[MOST_VALUES], raw[MOST_VALUES * 4];
    const znl_chunk *chunk = &of->made.chunk;
    const size_t width = dtype_width(chunk->dtype), tail_nbytes = order.count % 64 * width;
    const uint8_t *body = body_of(chunk);
    size_t fields_nbytes, wrong = 0;
    memset(section, 0, sizeof section);
    const size_t section_nbytes = wire_of_arrangement(&arrangement, of->class_count, section);
    CHECK(memcmp(body + 8, section, section_nbytes) == 0, "%s: arrangement", where);
    const size_t raw_nbytes = expected_raw(of, raw, &fields_nbytes);
    const size_t stored = raw_nbytes >= 128 ? raw_nbytes - 128 : raw_nbytes;
    second_map map = map_second(of, section_nbytes, stored);
    map.fields_nbytes = fields_nbytes;
    CHECK(map.tail + tail_nbytes == chunk->body_nbytes, "%s: %zu bytes, not %u", where,
          map.tail + tail_nbytes, chunk->body_nbytes);
    if (map.tail + tail_nbytes != chunk->body_nbytes) return map;
    CHECK(memcmp(body + map.raw, raw, stored) == 0, "%s: raw section", where);
    for (size_t i = 0; i < tail_nbytes; i++)
        wrong += body[map.tail + i] !=
                 chunk->source[order.source[of->coded + i / width] * width + i % width];
    CHECK(wrong == 0, "%s: tail", where);
    CHECK(map.word_count % 2 == 0 || load_u16le(body + map.words - 2) == 0, "%s: gap", where);
    check_symbols(of, &map, raw_nbytes >= 128 ? raw + stored : NULL);
    return map;
}

static void check_decoded(const second_chunk *of)
{
    const znl_chunk *chunk = &of->made.chunk;
    for (int i = 0; i < level_count; i++) {
        int is_same;
        use_level(i);
        int64_t status = decode_exactly(chunk, body_of(chunk), chunk->body_nbytes, of->wire,
                                        chunk->source, &is_same);
        CHECK(status == 0 && is_same, "%s: %lld, same %d", where, (long long)status, is_same);
        znl_chunk wrong = *chunk;
        wrong.checksum ^= 1;
        status = decode_exactly(&wrong, body_of(chunk), chunk->body_nbytes, of->wire, chunk->source,
                                &is_same);
        CHECK(status == ZNL_E_CHECKSUM, "%s: %lld", where, (long long)status);
    }
    use_level(0);
}

/* Returns whether the chunk was coded. */
static unsigned check_round_trip(unsigned dtype, unsigned class_count, unsigned context_count,
                                 unsigned numbers)
{
    new_second(dtype, class_count, context_count, numbers, &one);
    const int is_coded = one.status == ZNL_OK;
    if (is_coded) {
        CHECK(one.made.chunk.body_nbytes < one.made.chunk.source_nbytes, "%s: %u bytes", where,
              one.made.chunk.body_nbytes);
        check_body(&one);
        check_decoded(&one);
    }
    free_case(&one.made);
    return (unsigned)is_coded;
}

static void check_round_trips(void)
{
    static const size_t sizes[] = {2048, 2111, 2500, 6149, 9000, 20000};
    unsigned coded = 0;
    for (unsigned d = 0; d < SECOND_DTYPE_COUNT; d++)
        for (unsigned m = 1; m <= 16; m++) {
            const unsigned classes = m % 4 == 0   ? 1
                                     : m % 4 == 1 ? 32 - m
                                                  : 1 + random_below(&seed, 32 - m);
            const size_t size = sizes[(m + d) % 6];
            if (classes == 1 && m % 8)
                order_as_source(size);
            else
                order_at_random((m + d) % PART_KINDS, classes, size, 1 + m % 3);
            coded += check_round_trip(SECOND_DTYPES[d], classes, m, TOLD);
        }
    CHECK(coded > 100, "only %u of 128 were coded", coded);
}

/* Numbers that are all the same, and any; of the sizes at the edges. */
static void check_extremes(void)
{
    unsigned coded = 0;
    for (unsigned d = 0; d < SECOND_DTYPE_COUNT; d++)
        for (unsigned numbers = LOWEST; numbers < NUMBER_KINDS; numbers++) {
            order_as_source(numbers == ANY_NUMBER ? 12000 : 2048 + 63 * (d % 2));
            coded += check_round_trip(SECOND_DTYPES[d], 1, 1 + d % 3, numbers);
        }
    CHECK(coded >= 28, "only %u of 32 were coded", coded);
    for (unsigned d = 0; d < SECOND_DTYPE_COUNT; d += 5) {
        const size_t most = dtype_width(SECOND_DTYPES[d]) == 1 ? MOST_VALUES : MOST_VALUES - 1;
        order_as_source(most / 2 * 2);
        CHECK(check_round_trip(SECOND_DTYPES[d], 1, 16, TOLD), "%s: not coded", where);
        order_at_random(NO_COLUMNS, 16, most, 2);
        CHECK(check_round_trip(SECOND_DTYPES[d], 16, 16, TOLD), "%s: not coded", where);
    }
}

/* Encode F32 values with given tables for a class and a context: 20 symbol values from the base of the one, and numbers from
 * `least` on. */
static void new_given(const char *what, const znl_freq_table tables[2], unsigned least)
{
    order_as_source(20000);
    one.made = new_case(2, RANDOM_BITS, order.count, 0, 0, seed++);
    snprintf(where, sizeof where, "%s", what);
    znl_chunk *chunk = &one.made.chunk;
    for (size_t i = 0; i < order.count; i++) {
        const unsigned e = tables[0].base + random_below(&seed, 20);
        store_u32le(one.made.source.bytes + 4 * i,
                    compose(2, e, least + random_below(&seed, 17 - least)));
    }
    chunk->method = ZNL_METHOD_ARRANGED;
    chunk->table_count = 2;
    chunk->unit_shift = 0;
    chunk->status = 0;
    chunk->checksum = znl_xxh3_64_scalar(chunk->source, chunk->source_nbytes);
    one.class_count = 1;
    random_second(ZNL_SECOND_TRAILING_ZEROS, 1, 512, &seed, &arrangement.second);
    one.second = arrangement.second;
    describe(&one);
    for (unsigned t = 0; t < 2; t++) {
        one.tables[t] = tables[t];
        name_table(&one, t);
    }
    encode_at(0, chunk, &one);
    encode_elsewhere(&one);
}

/* More words than values: all symbols in use are the rarest that can be. */
static void check_many_words(void)
{
    znl_freq_table tables[2] = {{100, 0, {0}}, {0, 0, {0}}};
    for (unsigned t = 0; t < 2; t++) {
        for (unsigned s = 0; s < 31; s++) tables[t].frequency[s] = 1;
        tables[t].frequency[31] = 4096 - 31;
    }
    new_given("many words", tables, 16);
    CHECK(one.status == ZNL_OK, "%s: %d", where, one.status);
    const second_map map = check_body(&one);
    CHECK(map.word_count > one.coded * 5 / 4, "%s: %zu", where, map.word_count);
    check_decoded(&one);
    free_case(&one.made);
}

/* One table, by one name, for a class and for a context: its symbols mean other values there. */
static void check_table_of_both(void)
{
    znl_freq_table tables[2] = {{18, 0, {0}}, {18, 0, {0}}};
    for (unsigned t = 0; t < 2; t++)
        for (unsigned s = 0; s < 32; s++) tables[t].frequency[s] = 128;
    new_given("a table of both", tables, 6);
    CHECK(one.status == ZNL_OK, "%s: %d", where, one.status);
    CHECK(one.made.chunk.tables[0] == one.made.chunk.tables[1], "%s: two names", where);
    check_body(&one);
    check_decoded(&one);
    free_case(&one.made);
}

/* A table without a symbol for a number that there is: second symbols have no patches. */
static void check_number_without_symbol(void)
{
    znl_freq_table tables[2] = {{18, 0, {0}}, {11, 1, {0}}};
    for (unsigned t = 0; t < 2; t++)
        for (unsigned s = 0; s < 32; s++) tables[t].frequency[s] = 128;
    new_given("no symbol for 10", tables, 10);
    CHECK(one.status == ZNL_E_BAD_CALL, "%s: %d", where, one.status);
    free_case(&one.made);
    new_given("no need for 10", tables, 11);
    CHECK(one.status == ZNL_OK, "%s: %d", where, one.status);
    check_body(&one);
    check_decoded(&one);
    free_case(&one.made);
}

/* --- chunks beside others ------------------------------------------------------------------------- */

enum { NEIGHBOURS = 5 };

static second_chunk beside[NEIGHBOURS];

/* Encode a chunk without second symbols: an arranged or a static one of one class. */
static void new_plain(unsigned dtype, int is_static, second_chunk *to)
{
    new_second(dtype, 1, 1, TOLD, to);
    znl_chunk *chunk = &to->made.chunk;
    const znl_layout *layout = znl_layout_of(dtype);
    const znl_freq_table *tables = to->tables;
    chunk->table_count = 1;
    if (is_static) {
        chunk->method = ZNL_METHOD_STATIC;
        encoder.cache.count = 0;
        to->status =
            znl_static_split_encode(&level_kernels[0], layout, &tables, chunk, 1, &encoder);
    } else {
        memset(&arrangement.second, 0, sizeof arrangement.second);
        encode_at(0, chunk, to);
    }
}

/* Decode the chunks of `beside` in one call, with body `bad` damaged, or none. */
static void decode_beside(size_t bad)
{
    znl_chunk chunks[NEIGHBOURS];
    znl_table tables[NEIGHBOURS * ZNL_MAX_TABLES];
    guarded bodies[NEIGHBOURS], out[NEIGHBOURS];
    size_t table_count = 0;
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        chunks[i] = beside[i].made.chunk;
        bodies[i] = guarded_copy(body_of(&chunks[i]), chunks[i].body_nbytes, 0);
        out[i] = guarded_new(chunks[i].source_nbytes, 0xdd, (unsigned)i);
        chunks[i].body = bodies[i].bytes;
        chunks[i].source = out[i].bytes;
        chunks[i].status = 1;
        memcpy(tables + table_count, beside[i].wire, chunks[i].table_count * sizeof *tables);
        table_count += chunks[i].table_count;
        if (i == bad) bodies[i].bytes[bodies[i].nbytes / 2] ^= 1;
    }
    const int64_t status =
        znl_decode_chunks(&level_kernels[level], chunks, NEIGHBOURS, tables, table_count,
                          decode_scratch.bytes, decode_scratch.nbytes);
    CHECK(bad < NEIGHBOURS ? status < 0 && status != ZNL_E_BAD_CALL : status == 0,
          "dtype %u, bad %zu: %lld", chunks[0].dtype, bad, (long long)status);
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        if (i < bad)
            CHECK(chunks[i].status == 0 &&
                      memcmp(out[i].bytes, beside[i].made.source.bytes, out[i].nbytes) == 0,
                  "dtype %u, bad %zu: chunk %zu: %d", chunks[0].dtype, bad, i, chunks[i].status);
        if (i == bad)
            CHECK(chunks[i].status == status, "dtype %u, bad %zu: %d", chunks[0].dtype, bad,
                  chunks[i].status);
        CHECK(guarded_free(&bodies[i]) && guarded_free(&out[i]), "dtype %u: around chunk %zu",
              chunks[0].dtype, i);
    }
}

/* One of the chunks; returns whether it was coded, which short rows with classes can prevent. */
static int new_neighbour(unsigned dtype, unsigned i, unsigned without)
{
    const unsigned classes = i % 2 ? 5 : 1;
    if (i % 2 && i != without)
        order_at_random(i % PART_KINDS, classes, 9000 + 300 * i, 2);
    else
        order_as_source(12000 + 777 * i);
    if (i == without)
        new_plain(dtype, without % 2, &beside[i]);
    else
        new_second(dtype, classes, 1 + 4 * i % 13, TOLD, &beside[i]);
    if (beside[i].status == ZNL_OK) return 1;
    CHECK(classes > 1, "%s: not coded", where);
    free_case(&beside[i].made);
    return 0;
}

static void check_neighbours(unsigned dtype, unsigned without)
{
    for (unsigned i = 0; i < NEIGHBOURS; i++)
        while (!new_neighbour(dtype, i, without)) continue;
    for (int l = 0; l < level_count; l++) {
        use_level(l);
        for (size_t bad = 0; bad <= NEIGHBOURS; bad++) decode_beside(bad);
    }
    use_level(0);
    for (unsigned i = 0; i < NEIGHBOURS; i++) free_case(&beside[i].made);
}

/* --- damage --------------------------------------------------------------------------------------- */

static second_map good; /* of `one` */

/* Decode a body instead of that of `one`; `expected` 0: any error will do. */
static void expect_body(const guarded *body, const znl_chunk *chunk, const znl_table *tables,
                        int64_t expected, const char *what, unsigned value)
{
    static const uint8_t nothing[MOST_VALUES * 8];
    for (int l = 0; l < level_count; l++) {
        int is_same;
        use_level(l);
        const int64_t status =
            decode_exactly(chunk, body->bytes, body->nbytes, tables, nothing, &is_same);
        CHECK(expected ? status == expected : status != 0, "%s: %s %u: %lld", where, what, value,
              (long long)status);
    }
    use_level(0);
}

static void expect_u16(size_t offset, unsigned value, int64_t expected, const char *what)
{
    const znl_chunk *chunk = &one.made.chunk;
    guarded body = guarded_copy(body_of(chunk), chunk->body_nbytes, 0);
    store_u16le(body.bytes + offset, (uint16_t)value);
    expect_body(&body, chunk, one.wire, expected, what, value);
    CHECK(guarded_free(&body), "%s", where);
}

static void expect_u32(size_t offset, unsigned value, int64_t expected, const char *what)
{
    const znl_chunk *chunk = &one.made.chunk;
    guarded body = guarded_copy(body_of(chunk), chunk->body_nbytes, 0);
    store_u32le(body.bytes + offset, value);
    expect_body(&body, chunk, one.wire, expected, what, value);
    CHECK(guarded_free(&body), "%s", where);
}

/* M is 4 with 3 classes. */
static void check_bounds_damaged(void)
{
    const unsigned symbol_bits = dtype_symbol_bits(one.made.chunk.dtype);
    const uint16_t *bounds = one.second.bounds;
    expect_u16(good.bounds, 0, ZNL_E_BAD_VALUE, "bound");
    expect_u16(good.bounds, bounds[1], ZNL_E_BAD_VALUE, "equal bounds");
    expect_u16(good.bounds, bounds[1] + 1u, ZNL_E_BAD_VALUE, "falling bounds");
    expect_u16(good.bounds + 2, bounds[0], ZNL_E_BAD_VALUE, "equal bounds");
    expect_u16(good.bounds + 4, bounds[1], ZNL_E_BAD_VALUE, "equal bounds");
    expect_u16(good.bounds + 4, bounds[1] - 1u, ZNL_E_BAD_VALUE, "falling bounds");
    expect_u16(good.bounds + 4, 3u << symbol_bits, ZNL_E_BAD_VALUE, "bound");
    expect_u16(good.bounds + 4, 65535, ZNL_E_BAD_VALUE, "bound");
    expect_u16(good.bounds + 4, 0, ZNL_E_BAD_VALUE, "bound");
    for (unsigned bit = 0; bit < 16; bit++)
        expect_u16(good.bounds + 6, 1u << bit, ZNL_E_BAD_PADDING, "padding of bounds");
}

static void check_front_damaged(void)
{
    const znl_chunk *chunk = &one.made.chunk;
    const unsigned kind = one.second.kind, parts = (unsigned)arrangement.part_count;
    const unsigned front = parts | kind << 24 | 3u << 26;
    CHECK(load_u32le(body_of(chunk) + 8) == front, "%s: front %#x", where,
          load_u32le(body_of(chunk) + 8));
    for (unsigned m = 1; m <= 16; m++) {
        /* Another M of fewer than 7 is another K, whose class bits may be wrong first. */
        const int64_t expected = m == 4 || m >= 7 ? ZNL_E_BAD_VALUE : 0;
        expect_u32(8, parts | 3u << 24 | (m - 1) << 26, expected, "kind 3");
        expect_u32(8, parts | (3 - kind) << 24 | (m - 1) << 26, expected, "other kind");
        if (m != 4) expect_u32(8, parts | kind << 24 | (m - 1) << 26, expected, "another M");
        if (m > 1) expect_u32(8, parts | (m - 1) << 26, ZNL_E_BAD_VALUE, "contexts for nothing");
    }
    for (unsigned bits = 1; bits < 256; bits++)
        expect_u32(8, front | bits << 16, ZNL_E_BAD_VALUE, "shift and signs beside second symbols");
    for (unsigned bit = 30; bit < 32; bit++)
        expect_u32(8, front | 1u << bit, ZNL_E_BAD_PADDING, "bit");
}

static void check_heads_damaged(void)
{
    const znl_chunk *chunk = &one.made.chunk;
    znl_table tables[256] = {0};
    guarded body = guarded_copy(body_of(chunk), chunk->body_nbytes, 0);
    memcpy(tables, one.wire, sizeof one.wire);
    for (unsigned count = 1; count <= 32; count++) {
        znl_chunk wrong = *chunk;
        wrong.table_count = (uint8_t)count;
        if (count != chunk->table_count)
            expect_body(&body, &wrong, tables, count <= 4 ? ZNL_E_BAD_VALUE : 0, "tables", count);
    }
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        znl_chunk wrong = *chunk;
        wrong.dtype = MODELLED_DTYPES[d];
        wrong.source_nbytes = (uint32_t)one.value_count * dtype_width(wrong.dtype);
        if (kind_of_second(wrong.dtype) != one.second.kind)
            expect_body(&body, &wrong, tables, ZNL_E_BAD_VALUE, "dtype", wrong.dtype);
    }
    CHECK(guarded_free(&body), "%s", where);
}

static void check_counts_damaged(void)
{
    const unsigned coded = (unsigned)one.coded, words = (unsigned)good.word_count;
    static const unsigned most[] = {1u << 30, (1u << 31) - 1, UINT32_MAX - 1, UINT32_MAX};
    expect_u32(0, 2 * coded + 1, ZNL_E_BAD_VALUE, "words");
    for (unsigned i = 0; i < 4; i++) expect_u32(0, most[i], ZNL_E_BAD_VALUE, "words");
    expect_u32(0, 2 * coded, ZNL_E_BAD_SIZE, "words");
    for (unsigned less = 1; less <= 8; less++) {
        expect_u32(0, words - less, 0, "words");
        expect_u32(0, words + less, 0, "words");
    }
    expect_u32(0, 0, 0, "words");
    expect_u32(4, coded + 1, ZNL_E_BAD_VALUE, "patches");
    expect_u32(4, (unsigned)good.patch_count + 1, 0, "patches");
}

/* The body with `count` bytes more or less at the end of the fields, or where they would be. */
static void check_sizes_damaged(void)
{
    const znl_chunk *chunk = &one.made.chunk;
    const uint8_t *body = body_of(chunk);
    const size_t at = good.raw + good.fields_nbytes, behind = chunk->body_nbytes - at;
    for (unsigned count = 1; count <= 64; count += count < 17 ? 1 : 47) {
        guarded more = guarded_new(chunk->body_nbytes + count, 0, 0);
        memcpy(more.bytes, body, at);
        memcpy(more.bytes + at + count, body + at, behind);
        expect_body(&more, chunk, one.wire, ZNL_E_BAD_SIZE, "bytes more", count);
        CHECK(guarded_free(&more), "%s", where);
        if (good.fields_nbytes < count) continue;
        guarded less = guarded_new(chunk->body_nbytes - count, 0, 0);
        memcpy(less.bytes, body, at - count);
        memcpy(less.bytes + at - count, body + at, behind);
        expect_body(&less, chunk, one.wire, ZNL_E_BAD_SIZE, "bytes less", count);
        CHECK(guarded_free(&less), "%s", where);
    }
}

/* The bits behind the last field. */
static void check_padding_damaged(void)
{
    const znl_chunk *chunk = &one.made.chunk;
    size_t bits = 0;
    for (size_t i = 0; i < one.coded; i++) bits += one.numbers[i] < 15 ? 15u - one.numbers[i] : 0;
    CHECK(bits % 64 != 0, "%s: no padding", where);
    for (size_t bit = bits; bit < 8 * good.fields_nbytes; bit++) {
        guarded body = guarded_copy(body_of(chunk), chunk->body_nbytes, 0);
        body.bytes[good.raw + bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect_body(&body, chunk, one.wire, ZNL_E_BAD_PADDING, "padding", (unsigned)bit);
        CHECK(guarded_free(&body), "%s", where);
    }
}

/* The highest number that the blocks of a table mean when it begins elsewhere; -1: they mean what they did. */
static int highest_meant(unsigned t, const znl_freq_table *other)
{
    int highest = 0, is_other = 0;
    for (size_t i = 0; i < one.coded; i++) {
        const unsigned number = one.numbers[one.in_second_order[i]];
        unsigned symbol = one.tables[t].has_zero && number == 0 ? 31 : 0;
        if (one.table_of[(one.coded + i) / 64] != t) continue;
        while (meaning_of(&one.tables[t], symbol, 5) != number) symbol++;
        const unsigned meant = meaning_of(other, symbol, 5);
        if ((int)meant > highest) highest = (int)meant;
        is_other |= meant != number;
    }
    return is_other ? highest : -1;
}

/* Tables with the same frequencies that begin elsewhere: the same states and words mean other numbers. */
static void check_numbers_damaged(void)
{
    const znl_chunk *chunk = &one.made.chunk;
    unsigned too_high = 0;
    guarded body = guarded_copy(body_of(chunk), chunk->body_nbytes, 0);
    for (unsigned t = one.class_count; t < chunk->table_count; t++)
        for (unsigned more = 1; more < 32; more++) {
            znl_table wrong[ZNL_MAX_TABLES];
            znl_freq_table table = one.tables[t];
            znl_chunk other = *chunk;
            memcpy(wrong, one.wire, sizeof wrong);
            table.base = (uint16_t)((table.base + more) % 32);
            znl_table_name(&table, &wrong[t]);
            other.tables[t] = wrong[t].name;
            const int highest = highest_meant(t, &table);
            const int is_too_high = highest >= (int)number_limit(chunk->dtype);
            too_high += (unsigned)is_too_high;
            if (highest >= 0)
                expect_body(&body, &other, wrong, is_too_high ? ZNL_E_BAD_VALUE : 0, "table from",
                            table.base);
        }
    CHECK(too_high > 20, "%s: only %u tables were too high", where, too_high);
    CHECK(guarded_free(&body), "%s", where);
}

/* A base must be below 2^S, and S is 5 for second symbols. */
static void check_bases_damaged(void)
{
    guarded body = guarded_copy(body_of(&one.made.chunk), one.made.chunk.body_nbytes, 0);
    for (unsigned t = one.class_count; t < one.made.chunk.table_count; t++) {
        znl_chunk wrong = one.made.chunk;
        znl_table tables[ZNL_MAX_TABLES];
        memcpy(tables, one.wire, sizeof tables);
        for (unsigned base = 32; base < 4096; base *= 2) {
            znl_freq_table table = one.tables[t];
            table.base = (uint16_t)base;
            znl_table_name(&table, &tables[t]);
            wrong.tables[t] = tables[t].name;
            expect_body(&body, &wrong, tables, ZNL_E_BAD_TABLE, "base", base);
        }
        wrong.tables[t] = 15u << 12 | 32;
        expect_body(&body, &wrong, tables, ZNL_E_BAD_TABLE, "universal", t);
    }
    CHECK(guarded_free(&body), "%s", where);
}

/* Bits flipped and bodies cut short, all over. */
static void check_flips(void)
{
    const znl_chunk *chunk = &one.made.chunk;
    int is_same;
    guarded body = guarded_copy(body_of(chunk), chunk->body_nbytes, 0);
    for (size_t bit = 0; bit < 8 * body.nbytes; bit += bit < 8 * good.patches ? 3 : 401) {
        body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        use_level((int)(bit % (size_t)level_count));
        const int64_t status =
            decode_exactly(chunk, body.bytes, body.nbytes, one.wire, chunk->source, &is_same);
        CHECK(status != 0 || is_same, "%s: bit %zu passed", where, bit);
        body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t length = 0; length < body.nbytes; length += length < good.patches ? 1 : 31) {
        use_level((int)(length % (size_t)level_count));
        const int64_t status =
            decode_exactly(chunk, body.bytes, length, one.wire, chunk->source, &is_same);
        CHECK(length < good.patches ? status == ZNL_E_TRUNCATED : status != 0,
              "%s: %zu bytes: %lld", where, length, (long long)status);
    }
    use_level(0);
    CHECK(guarded_free(&body), "%s", where);
}

/* Every byte of a body at random, but for what leads to second symbols. */
static void check_noise(void)
{
    const znl_chunk *chunk = &one.made.chunk;
    int is_same;
    guarded body = guarded_copy(body_of(chunk), chunk->body_nbytes, 0);
    for (unsigned round = 0; round < 40; round++) {
        const size_t from = round % 2 ? good.words : good.states;
        for (size_t i = from; i < body.nbytes; i++) body.bytes[i] = (uint8_t)random_u64(&seed);
        if (good.word_count % 2) store_u16le(body.bytes + good.words - 2, 0);
        use_level((int)round % level_count);
        CHECK(decode_exactly(chunk, body.bytes, body.nbytes, one.wire, chunk->source, &is_same) !=
                  0,
              "%s: noise passed", where);
    }
    use_level(0);
    CHECK(guarded_free(&body), "%s", where);
}

static void check_damage(unsigned dtype, unsigned kind)
{
    order_at_random(kind, 3, 9000, 1);
    do { /* bounds that leave room between and above them, and fields that end inside 8 bytes */
        new_second(dtype, 3, 4, TOLD, &one);
        CHECK(one.status == ZNL_OK, "%s: %d", where, one.status);
        good = check_body(&one);
        size_t bits = 0;
        for (size_t i = 0; i < one.coded; i++)
            bits += one.numbers[i] < 15 ? 15u - one.numbers[i] : 0;
        if (bits % 64 && one.second.bounds[1] + 1 < 1 << dtype_symbol_bits(dtype)) break;
        free_case(&one.made);
    } while (1);
    check_bounds_damaged();
    check_front_damaged();
    check_heads_damaged();
    check_counts_damaged();
    check_sizes_damaged();
    if (one.second.kind == ZNL_SECOND_TRAILING_ZEROS) check_padding_damaged();
    check_numbers_damaged();
    check_bases_damaged();
    check_flips();
    check_noise();
    free_case(&one.made);
}

int main(void)
{
    new_levels();
    new_scratch();
    check_round_trips();
    check_extremes();
    check_many_words();
    check_table_of_both();
    check_number_without_symbol();
    for (unsigned d = 0; d < SECOND_DTYPE_COUNT; d++)
        check_neighbours(SECOND_DTYPES[d], d % (NEIGHBOURS + 1));
    check_damage(2, NO_COLUMNS);
    check_damage(5, WHOLE_BLOCKS);
    check_damage(6, NO_COLUMNS);
    check_damage(14, ALL_COLUMNS);
    free_scratch();
    return check_result();
}
