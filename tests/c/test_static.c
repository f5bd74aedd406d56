/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of every dtype, size and pattern come back as they were, alone and together, at every level;
 * what is written depends on nothing but the values. Prints the parameters of what fails. */
#include "chunks.h"
#include "static_body.h"

/* What the encoder did over all cases, to see that the cases reach what they should. */
enum reach {
    RAW,
    CONSTANT,
    ONE_TABLE,
    TWO_TABLES,
    MORE_TABLES,
    NAMED,
    UNIVERSAL,
    PATCHES,
    GAP,
    TAIL,
    WIDE_LANES,
    NARROW_LANES,
    REACH_COUNT
};
static unsigned reached[16][REACH_COUNT];

static unsigned inner_count;

static void note_reached(const znl_chunk *chunk)
{
    unsigned *count = reached[chunk->dtype];
    count[RAW] += chunk->method == ZNL_METHOD_RAW;
    count[CONSTANT] += chunk->method == ZNL_METHOD_CONSTANT;
    if (chunk->method != ZNL_METHOD_STATIC) return;
    const body_map map = map_body(chunk);
    const size_t values = chunk->source_nbytes / dtype_width(chunk->dtype);
    count[chunk->table_count == 1   ? ONE_TABLE
          : chunk->table_count == 2 ? TWO_TABLES
                                    : MORE_TABLES]++;
    count[chunk->tables[0] & ZNL_TABLE_NAME_BIT ? NAMED : UNIVERSAL]++;
    count[PATCHES] += map.patch_count > 0;
    count[GAP] += map.word_count % 2;
    count[TAIL] += values % 64 != 0;
    count[values >= 2048 ? WIDE_LANES : NARROW_LANES]++;
}

static void check_decodes(const znl_chunk *chunk, const znl_table *tables, int64_t table_count)
{
    znl_table found[ZNL_MAX_TABLES];
    int is_same;
    check_fields(chunk);
    note_reached(chunk);
    find_tables(chunk, tables, table_count, found);
    const uint8_t *body = body_of(chunk);
    const size_t body_nbytes = body_nbytes_of(chunk);
    const int64_t status = decode_exactly(chunk, body, body_nbytes, found, chunk->source, &is_same);
    CHECK(status == 0 && is_same, "%s: %lld, same %d", where, (long long)status, is_same);
    znl_chunk wrong = *chunk;
    wrong.checksum ^= UINT64_C(1) << (chunk->source_nbytes % 64);
    CHECK(decode_exactly(&wrong, body, body_nbytes, found, chunk->source, &is_same) ==
              ZNL_E_CHECKSUM,
          "%s", where);
}

/* What was encoded, and where; without what is in memory beside it. */
static int same_chunk(const znl_chunk *a, const znl_chunk *b)
{
    if (a->method != b->method || a->table_count != b->table_count ||
        a->unit_shift != b->unit_shift || a->body_nbytes != b->body_nbytes ||
        a->body_offset != b->body_offset || a->checksum != b->checksum)
        return 0;
    for (unsigned t = 0; t < a->table_count; t++)
        if (a->tables[t] != b->tables[t]) return 0;
    return memcmp(a->body + a->body_offset, b->body + b->body_offset, a->body_nbytes) == 0;
}

/* The chunk encoded at another level: the same fields, body and tables. */
static void check_encodes_same(const znl_chunk *expected, const znl_table *expected_tables,
                               int64_t expected_count, uint8_t fill)
{
    guarded body = guarded_new(expected->body_room, fill, fill % 16);
    guarded tables = guarded_new(sizeof(znl_table), 0, 0);
    znl_table *wire = (znl_table *)(void *)tables.bytes;
    znl_chunk chunk = *expected;
    chunk.body = body.bytes;
    chunk.method = chunk.table_count = chunk.unit_shift = 99;
    const int64_t count = encode(&chunk, 1, wire, (uint8_t)~fill);
    CHECK(same_chunk(expected, &chunk), "%s: other bytes", where);
    CHECK(count == expected_count, "%s: %lld tables", where, (long long)count);
    if (count == 1)
        CHECK(wire->name == expected_tables->name && wire->nbytes == expected_tables->nbytes &&
                  memcmp(wire->bytes, expected_tables->bytes, wire->nbytes) == 0,
              "%s: another table", where);
    CHECK(guarded_free(&body), "%s: around the encoder's body", where);
    CHECK(guarded_free(&tables), "%s: around the encoder's tables", where);
}

static void round_trip(unsigned dtype, enum pattern pattern, size_t count, size_t extra_nbytes,
                       int is_joined, uint64_t seed)
{
    test_case made = new_case(dtype, pattern, count, extra_nbytes, is_joined, seed);
    guarded source_before = guarded_copy(made.source.bytes, made.source.nbytes, 0);
    guarded tables = guarded_new(sizeof(znl_table), 0, 0);
    znl_table *wire = (znl_table *)(void *)tables.bytes;
    const int64_t table_count = encode(&made.chunk, 1, wire, (uint8_t)seed);
    check_decodes(&made.chunk, wire, table_count);
    for (int i = 1; i < level_count; i++) {
        /* Small ones are coded by the portable loops: one level each, in turn, will do. */
        if (count < 640 && (size_t)i != 1 + count % (size_t)(level_count - 1)) continue;
        use_level(i);
        check_encodes_same(&made.chunk, wire, table_count, (uint8_t)seed);
        check_decodes(&made.chunk, wire, table_count);
    }
    use_level(ZNL_ISA_SCALAR);
    CHECK(memcmp(source_before.bytes, made.source.bytes, made.source.nbytes) == 0,
          "%s: the encoder wrote to the source", where);
    CHECK(guarded_free(&tables), "%s: around the encoder's tables", where);
    CHECK(guarded_free(&source_before), "%s", where);
    free_case(&made);
}

/* --- round trips -------------------------------------------------------------------------------- */

static void check_round_trips(void)
{
    static const uint32_t large[] = {2047, 2048, 2049, 8191, 8192, 65599, 65600};
    static const uint32_t largest[] = {131071, 131072, 131073};
    uint64_t seed = 0;
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const unsigned dtype = MODELLED_DTYPES[d];
        for (size_t count = 1; count <= 700; count++)
            round_trip(dtype, (enum pattern)((count + count / 64) % PATTERN_COUNT), count, 0,
                       count % 2, seed++);
        for (unsigned p = 0; p < PATTERN_COUNT; p++) {
            const enum pattern pattern = (enum pattern)p;
            for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
                round_trip(dtype, pattern, large[i], 0, (int)(i + p) % 2, seed++);
            round_trip(dtype, pattern, largest[p % 3], 0, 0, seed++);
            round_trip(dtype, pattern, 300, dtype_width(dtype) - 1, 0, seed++);
        }
        for (size_t i = 0; i < 3; i++) round_trip(dtype, GAUSSIAN, largest[i], 0, 0, seed++);
        /* The largest static chunk, and one value more, which no method but raw takes. */
        for (unsigned p = 0; p < PATTERN_COUNT; p++)
            if (dtype_width(dtype) == 1) round_trip(dtype, (enum pattern)p, 262144, 0, 0, seed++);
        round_trip(dtype, WIDE, 262144, 0, 0, seed++);
        round_trip(dtype, GAUSSIAN, 262145, 0, 0, seed++);
    }
}

static void check_reached(void)
{
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++)
        for (unsigned i = 0; i < REACH_COUNT; i++)
            CHECK(reached[MODELLED_DTYPES[d]][i], "dtype %u: no case reached %u",
                  MODELLED_DTYPES[d], i);
}

/* --- several chunks, several tables ------------------------------------------------------------- */

/* All in one decoding call, the tables of all chunks one after another; decoded into the sources of
 * `targets`. */
static void check_one_call(const znl_chunk *chunks, const znl_table *tables, int64_t table_count,
                           const test_case *targets)
{
    const znl_kernels *kernels = &level_kernels[level];
    znl_table found[MAX_CHUNKS * ZNL_MAX_TABLES];
    znl_chunk decoded[MAX_CHUNKS];
    size_t found_count = 0;
    for (unsigned i = 0; i < MAX_CHUNKS; i++) {
        znl_table own[ZNL_MAX_TABLES];
        find_tables(&chunks[i], tables, table_count, own);
        memcpy(found + found_count, own, chunks[i].table_count * sizeof *own);
        found_count += chunks[i].table_count;
        decoded[i] = chunks[i];
        decoded[i].source = targets[i].source.bytes;
        decoded[i].body = chunks[i].method == ZNL_METHOD_RAW
                              ? chunks[i].source
                              : chunks[i].body + chunks[i].body_offset;
        decoded[i].body_nbytes = (uint32_t)body_nbytes_of(&chunks[i]);
        decoded[i].status = 77;
        memset(decoded[i].source, 0xdd, decoded[i].source_nbytes);
    }
    int64_t status = znl_decode_chunks(kernels, decoded, MAX_CHUNKS, found, found_count,
                                       decode_scratch.bytes, decode_scratch.nbytes);
    CHECK(status == 0, "%s: %lld", where, (long long)status);
    for (unsigned i = 0; i < MAX_CHUNKS; i++)
        CHECK(decoded[i].status == 0 &&
                  memcmp(decoded[i].source, chunks[i].source, decoded[i].source_nbytes) == 0,
              "%s: chunk %u", where, i);
    /* The first failure stops the call, whichever of a pair it is. */
    for (unsigned bad = 2; bad < 4; bad++) {
        decoded[bad].checksum ^= 1;
        for (unsigned i = 0; i < MAX_CHUNKS; i++) decoded[i].status = 77;
        memset(decoded[bad + 2].source, 0xdd, decoded[bad + 2].source_nbytes);
        status = znl_decode_chunks(kernels, decoded, MAX_CHUNKS, found, found_count,
                                   decode_scratch.bytes, decode_scratch.nbytes);
        CHECK(status == ZNL_E_CHECKSUM && decoded[bad - 1].status == 0 &&
                  decoded[bad].status == ZNL_E_CHECKSUM && decoded[bad + 1].status == 77,
              "%s: %lld", where, (long long)status);
        CHECK(decoded[bad + 2].status == 77 && decoded[bad + 2].source[0] == 0xdd, "%s: went on",
              where);
        decoded[bad].checksum ^= 1;
    }
}

static void check_many_chunks(void)
{
    static znl_table tables[2][MAX_CHUNKS];
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const unsigned dtype = MODELLED_DTYPES[d];
        /* kind 0: twelve alike; 1: two kinds of large ones, small ones, joined ones, raw, constant */
        for (int kind = 0; kind < 2; kind++) {
            test_case cases[2][MAX_CHUNKS];
            znl_chunk chunks[2][MAX_CHUNKS];
            int64_t table_count[2];
            for (unsigned run = 0; run < 2; run++) {
                for (unsigned i = 0; i < MAX_CHUNKS; i++) {
                    static const enum pattern mixed[MAX_CHUNKS] = {
                        GAUSSIAN, GAUSSIAN, SPARSE,      SPARSE, WIDE, RUNS,
                        RUNS,     GAUSSIAN, RANDOM_BITS, TWO,    RUNS, ALL_BUT_ONE};
                    static const uint32_t counts[MAX_CHUNKS] = {
                        9000, 9001, 8192, 20000, 10000, 3000, 9000, 500, 8500, 63, 64, 9000};
                    const enum pattern pattern = kind ? mixed[i] : GAUSSIAN;
                    const uint32_t count = kind ? counts[i] : 8192 + i;
                    cases[run][i] = new_case(dtype, pattern, count, i == 9, pattern == RUNS, i);
                    memset(cases[run][i].body.bytes, run ? 0xaa : 0x55, cases[run][i].body.nbytes);
                    chunks[run][i] = cases[run][i].chunk;
                }
                snprintf(where, sizeof where, "dtype %u, %d chunks, kind %d", dtype, MAX_CHUNKS,
                         kind);
                table_count[run] = encode(chunks[run], MAX_CHUNKS, tables[run], run ? 0xaa : 0x55);
            }
            CHECK(table_count[0] == table_count[1], "%s", where);
            if (kind == 0)
                CHECK(table_count[0] == 1, "%s: %lld tables", where, (long long)table_count[0]);
            if (kind == 1)
                CHECK(table_count[0] >= 2, "%s: %lld tables", where, (long long)table_count[0]);
            for (int64_t t = 0; t < table_count[0]; t++)
                CHECK(tables[0][t].name == tables[1][t].name &&
                          tables[0][t].nbytes == tables[1][t].nbytes &&
                          memcmp(tables[0][t].bytes, tables[1][t].bytes, tables[0][t].nbytes) == 0,
                      "%s: table %lld depends on what was in memory", where, (long long)t);
            for (unsigned i = 0; i < MAX_CHUNKS; i++) {
                CHECK(same_chunk(&chunks[0][i], &chunks[1][i]),
                      "%s: chunk %u depends on what was in memory", where, i);
                check_decodes(&chunks[0][i], tables[0], table_count[0]);
            }
            if (kind == 1 && dtype < 14) { /* the scale of integers does not move their window */
                CHECK(chunks[0][5].table_count > 1, "%s: one table for runs", where);
                CHECK(chunks[0][6].table_count > 1, "%s: one table for joined runs", where);
            }
            for (int i = 0; i < level_count; i++) {
                use_level(i);
                check_one_call(chunks[0], tables[0], table_count[0], cases[1]);
            }
            use_level(ZNL_ISA_SCALAR);
            for (unsigned run = 0; run < 2; run++)
                for (unsigned i = 0; i < MAX_CHUNKS; i++) free_case(&cases[run][i]);
        }
    }
}

/* --- what the decoder must read, but the encoder does not write yet ----------------------------- */

/* Units of 512 values, fitted tables beside universal ones, every number of tables. */
static void check_inner_encoder(unsigned dtype, unsigned table_count, unsigned unit_shift,
                                size_t count)
{
    static znl_static_encode_scratch scratch;
    static uint32_t counts[ZNL_MAX_SYMBOL_VALUES];
    const znl_layout *layout = znl_layout_of(dtype);
    const znl_kernels *kernels = &level_kernels[level];
    znl_freq_table tables[ZNL_MAX_STATIC_TABLES];
    znl_table wire[ZNL_MAX_STATIC_TABLES];
    uint64_t seed = dtype + 16 * table_count + 256 * unit_shift + count;
    test_case made = new_case(dtype, WIDE, count, 0, 0, seed);
    znl_chunk *chunk = &made.chunk;
    chunk->method = ZNL_METHOD_STATIC;
    chunk->table_count = (uint8_t)table_count;
    chunk->unit_shift = (uint8_t)unit_shift;
    chunk->checksum = znl_xxh3_64_scalar(chunk->source, chunk->source_nbytes);
    chunk->status = ZNL_OK;
    kernels->histogram(layout, chunk->source, count, 1, counts);
    for (unsigned t = 0; t < table_count; t++) {
        memset(&wire[t], 0, sizeof wire[t]);
        /* Tables that differ a little, all good for the values. */
        znl_table_fit(counts, layout->symbol_bits, &tables[t]);
        const unsigned most = t % 3 ? tables[t].base : tables[t].base + t;
        if (t % 3 == 2) {
            chunk->tables[t] = 8u << 12 | (tables[t].base & ((1u << layout->symbol_bits) - 1));
            znl_table_universal(8, tables[t].base, &tables[t]);
            continue;
        }
        tables[t].base = (uint16_t)(most & ((1u << layout->symbol_bits) - 1));
        wire[t].nbytes = (uint32_t)znl_table_write(&tables[t], wire[t].bytes);
        CHECK(znl_table_check(wire[t].bytes, wire[t].nbytes, &wire[t].name) == ZNL_OK, "%s", where);
        chunk->tables[t] = wire[t].name;
    }
    const size_t units = table_count > 1 ? znl_unit_count(count / 64 * 64, unit_shift) : 0;
    for (size_t u = 0; u < units; u++)
        scratch.classes[u] = (uint8_t)random_below(&seed, table_count);
    znl_static_split(kernels, layout, chunk, &scratch);
    const int status = znl_static_encode(kernels, layout, tables, chunk, &scratch);
    CHECK(status == ZNL_OK || status == ZNL_E_NO_ROOM, "%s: %d", where, status);
    if (status == ZNL_OK) check_fields(chunk);
    inner_count += status == ZNL_OK;
    guarded other_body = guarded_new(made.body.nbytes, 0x44, 1);
    for (int i = 0; i < level_count; i++) {
        int is_same;
        znl_chunk other = *chunk;
        kernels = use_level(i);
        if (i != ZNL_ISA_SCALAR) {
            other.body = other_body.bytes;
            other.body_offset = other.body_nbytes = 0;
            memset(scratch.symbols, i, sizeof scratch.symbols / 16);
            memset(scratch.chunks, i, sizeof scratch.chunks);
            scratch.cache.count = 0;
            znl_static_split(kernels, layout, &other, &scratch);
            const int again = znl_static_encode(kernels, layout, tables, &other, &scratch);
            CHECK(again == status, "%s: %u tables, shift %u: %d, not %d", where, table_count,
                  unit_shift, again, status);
            if (again == ZNL_OK && status == ZNL_OK)
                CHECK(same_chunk(chunk, &other), "%s: %u tables, shift %u: other bytes", where,
                      table_count, unit_shift);
        }
        if (status != ZNL_OK) continue;
        const int64_t decoded = decode_exactly(chunk, body_of(chunk), chunk->body_nbytes, wire,
                                               chunk->source, &is_same);
        CHECK(decoded == 0 && is_same, "%s: %u tables, shift %u: %lld", where, table_count,
              unit_shift, (long long)decoded);
    }
    use_level(ZNL_ISA_SCALAR);
    CHECK(guarded_free(&other_body), "%s: around the other body", where);
    free_case(&made);
}

static void check_inner_encoders(void)
{
    static const uint32_t counts[] = {1000, 2047, 2048, 3000, 6149};
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++)
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
            for (unsigned tables = 1; tables <= ZNL_MAX_STATIC_TABLES; tables++)
                for (unsigned shift = 6; shift <= 9; shift += 3)
                    check_inner_encoder(MODELLED_DTYPES[d], tables, tables > 1 ? shift : 0,
                                        counts[i]);
    CHECK(inner_count > 700, "only %u of 960 were coded", inner_count);
}

int main(void)
{
    new_levels();
    new_scratch();
    check_round_trips();
    check_many_chunks();
    check_inner_encoders();
    check_reached();
    free_scratch();
    return check_result();
}
