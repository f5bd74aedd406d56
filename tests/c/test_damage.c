/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged chunks and wrong calls: each gives a documented code, or the right values; the same at
 * every level. */
#include <limits.h>

#include "chunks.h"

static unsigned code_seen[16], unnoticed;

/* --- damage ------------------------------------------------------------------------------------- */

/* Decode damaged bytes: an error, or (rarely) the right values. At one level, `at` says which, or at
 * all of them, which must agree. */
static void decode_damaged(const znl_chunk *chunk, const uint8_t *body, size_t body_nbytes,
                           const znl_table *tables, const char *damage, size_t at, int everywhere)
{
    int64_t first = 0;
    const int start = (int)((at ^ at >> 3) % (unsigned)level_count);
    for (int i = 0; i < (everywhere ? level_count : 1); i++) {
        int is_same;
        use_level((start + i) % level_count);
        const int64_t status =
            decode_exactly(chunk, body, body_nbytes, tables, chunk->source, &is_same);
        CHECK(status != 0 || is_same, "%s: %s %zu: wrong values", where, damage, at);
        if (i == 0) first = status;
        CHECK(status == first, "%s: %s %zu: %lld, not %lld", where, damage, at, (long long)status,
              (long long)first);
    }
    if (is_documented(first)) code_seen[-first]++;
    unnoticed += first == 0;
    use_level(ZNL_ISA_SCALAR);
}

/* The next bit to flip: all of the sections in front and some of the words; of the raw section and the
 * tail, whose bits only the checksum looks at, few. */
static size_t next_bit(const body_map *map, size_t bit)
{
    if (bit / 8 < map->words) return bit + 1;
    return bit + (bit / 8 < map->raw ? 2 : 17);
}

static void damage_case(unsigned dtype, enum pattern pattern, size_t count, int is_joined,
                        uint64_t seed)
{
    test_case made = new_case(dtype, pattern, count, 0, is_joined, seed);
    znl_table wire, found[ZNL_MAX_TABLES];
    const int64_t table_count = encode(&made.chunk, 1, &wire, 0);
    const znl_chunk *chunk = &made.chunk;
    CHECK(chunk->method == ZNL_METHOD_STATIC, "%s: nothing to damage", where);
    if (chunk->method == ZNL_METHOD_STATIC) {
        const body_map map = map_body(chunk);
        find_tables(chunk, &wire, table_count, found);
        guarded body = guarded_new(chunk->body_nbytes + 9u, 0, 0);
        memcpy(body.bytes, body_of(chunk), chunk->body_nbytes);
        for (size_t nbytes = 0; nbytes <= chunk->body_nbytes + 9u; nbytes++)
            if (nbytes != chunk->body_nbytes)
                decode_damaged(chunk, body.bytes, nbytes, found, "length", nbytes, 0);
        for (size_t bit = 0; bit < 8 * (size_t)chunk->body_nbytes; bit = next_bit(&map, bit)) {
            body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            decode_damaged(chunk, body.bytes, chunk->body_nbytes, found, "bit", bit,
                           count >= ZNL_WIDE_LANES_MIN_VALUES && bit % 16 < 3);
            body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        CHECK(guarded_free(&body), "%s", where);
    }
    free_case(&made);
}

static void check_damage(void)
{
    static const uint8_t codes[] = {-ZNL_E_TRUNCATED, -ZNL_E_BAD_VALUE, -ZNL_E_BAD_SIZE,
                                    -ZNL_E_BAD_STATE, -ZNL_E_BAD_PATCH, -ZNL_E_BAD_PADDING,
                                    -ZNL_E_CHECKSUM};
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const unsigned dtype = MODELLED_DTYPES[d];
        damage_case(dtype, GAUSSIAN, 640 + 5, 0, 1);
        damage_case(dtype, SPARSE, 576, 0, 2);
        damage_case(dtype, WIDE, 512 + 9, 0, 3);
        damage_case(dtype, RUNS, 960, 1, 4);
    }
    damage_case(4, GAUSSIAN, 2048 + 33, 0, 5);
    damage_case(1, WIDE, 2048 + 64, 0, 6);
    damage_case(7, RUNS, 4096 + 5, 1, 7);
    damage_case(10, GAUSSIAN, 3000, 0, 8);
    for (size_t i = 0; i < sizeof codes; i++)
        CHECK(code_seen[codes[i]], "no damage gave -%u", codes[i]);
}

/* --- what a decoder must notice by itself --------------------------------------------------------- */

/* An encoded chunk, with a body to change. */
typedef struct {
    test_case made;
    znl_table found[ZNL_MAX_TABLES];
    body_map map;
    guarded body;
} subject;

/* Returns 0 when the values do not give a static chunk. */
static int new_subject(unsigned dtype, enum pattern pattern, size_t count, uint64_t seed,
                       subject *s)
{
    znl_table wire;
    s->made = new_case(dtype, pattern, count, 0, pattern == RUNS, seed);
    const int64_t table_count = encode(&s->made.chunk, 1, &wire, 0);
    if (s->made.chunk.method != ZNL_METHOD_STATIC) {
        free_case(&s->made);
        return 0;
    }
    find_tables(&s->made.chunk, &wire, table_count, s->found);
    s->map = map_body(&s->made.chunk);
    s->body = guarded_copy(body_of(&s->made.chunk), s->made.chunk.body_nbytes, 0);
    return 1;
}

static void free_subject(subject *s)
{
    CHECK(guarded_free(&s->body), "%s", where);
    free_case(&s->made);
}

static void expect_code(const subject *s, int64_t expected, const char *what, size_t number)
{
    int is_same;
    const znl_chunk *chunk = &s->made.chunk;
    const int64_t status =
        decode_exactly(chunk, s->body.bytes, s->body.nbytes, s->found, chunk->source, &is_same);
    CHECK(status == expected, "%s: %s %zu: %lld, not %lld", where, what, number, (long long)status,
          (long long)expected);
}

/* Put a u32 in place of another, decode, and put it back. */
static void expect_u32(subject *s, size_t offset, uint32_t value, int64_t expected,
                       const char *what)
{
    const uint32_t saved = load_u32le(s->body.bytes + offset);
    store_u32le(s->body.bytes + offset, value);
    expect_code(s, expected, what, value);
    store_u32le(s->body.bytes + offset, saved);
}

static void expect_flip(subject *s, size_t offset, size_t bit, int64_t expected, const char *what)
{
    s->body.bytes[offset + bit / 8] ^= (uint8_t)(1 << bit % 8);
    expect_code(s, expected, what, bit);
    s->body.bytes[offset + bit / 8] ^= (uint8_t)(1 << bit % 8);
}

/* Counts out of range or that do not add up; a word more or less in a body whose sizes do. */
static void check_counts(subject *s, uint32_t coded)
{
    const uint32_t word_count = (uint32_t)s->map.word_count;
    expect_u32(s, 0, coded + 1, ZNL_E_BAD_VALUE, "words");
    expect_u32(s, 4, coded + 1, ZNL_E_BAD_VALUE, "patches");
    expect_u32(s, 0, UINT32_MAX, ZNL_E_BAD_VALUE, "words");
    expect_u32(s, 4, UINT32_MAX, ZNL_E_BAD_VALUE, "patches");
    expect_u32(s, 0, word_count + 2, ZNL_E_BAD_SIZE, "words");
    expect_u32(s, 4, (uint32_t)s->map.patch_count + 1, ZNL_E_BAD_SIZE, "patches");
    const size_t behind = s->body.nbytes - s->map.raw;
    subject changed = *s;
    for (unsigned more = 0; more < 2; more++) { /* two words: the gap stays as it is */
        changed.body = guarded_new(more ? s->body.nbytes + 4 : s->body.nbytes - 4, 0, 0);
        memcpy(changed.body.bytes, s->body.bytes, more ? s->map.raw : s->map.raw - 4);
        memcpy(changed.body.bytes + changed.body.nbytes - behind, s->body.bytes + s->map.raw,
               behind);
        store_u32le(changed.body.bytes, more ? word_count + 2 : word_count - 2);
        expect_code(&changed, ZNL_E_BAD_STATE, more ? "words left" : "words missing", 2);
        CHECK(guarded_free(&changed.body), "%s", where);
    }
}

static int check_patches(subject *s, uint32_t coded, unsigned symbol_bits)
{
    const size_t first = s->map.patches, last = first + 4 * (s->map.patch_count - 1);
    if (s->map.patch_count < 2) return 0;
    const uint32_t one = load_u32le(s->body.bytes + first),
                   two = load_u32le(s->body.bytes + first + 4);
    expect_u32(s, first + 4, one, ZNL_E_BAD_PATCH, "the same patch again");
    expect_u32(s, first, two + 4096, ZNL_E_BAD_PATCH, "patches in the wrong order");
    expect_u32(s, first, one | UINT32_C(0xfffff000), ZNL_E_BAD_PATCH, "a patch at");
    expect_u32(s, last, coded << 12 | (one & 4095), ZNL_E_BAD_PATCH, "a patch at");
    if (symbol_bits < 12)
        expect_u32(s, first, one | 1u << symbol_bits, ZNL_E_BAD_PATCH, "a patched value");
    return 1;
}

/* Returns 1 when the map could hold a class that is too high, and 2 when it has padding. */
static int check_map(subject *s, uint32_t coded)
{
    const unsigned tables = s->made.chunk.table_count;
    const unsigned class_bits = tables <= 2 ? tables - 1 : tables <= 4 ? 2 : 3;
    const uint32_t front = load_u32le(s->body.bytes + s->map.map), mask = (1u << class_bits) - 1;
    if (tables < 2) return 0;
    for (uint32_t class = tables; class <= mask; class ++)
        expect_u32(s, s->map.map, (front & ~mask) | class, ZNL_E_BAD_VALUE, "class");
    for (size_t bit = coded / 64 * class_bits; bit % 32; bit++)
        expect_flip(s, s->map.map, bit, ZNL_E_BAD_PADDING, "map bit");
    return (tables <= mask) | (coded / 64 * class_bits % 32 ? 2 : 0);
}

static void check_musts(void)
{
    int classes_done = 0;
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const unsigned dtype = MODELLED_DTYPES[d];
        int patches_done = 0, gap_done = 0, map_done = 0;
        for (uint64_t seed = 0; seed < 40 || !(patches_done && gap_done && map_done); seed++) {
            subject s;
            /* 33 units, so that every class map ends in padding. */
            CHECK(seed < 400, "dtype %u: %d %d %d", dtype, patches_done, gap_done, map_done);
            if (seed == 400) break;
            if (!new_subject(dtype, seed % 2 ? WIDE : RUNS, 33 * 64 + 5, seed, &s)) continue;
            const uint32_t coded = 33 * 64;
            check_counts(&s, coded);
            patches_done |= check_patches(&s, coded, dtype_symbol_bits(dtype));
            const int map = check_map(&s, coded);
            map_done |= map & 2;
            classes_done |= map & 1;
            if (s.map.word_count % 2) {
                for (size_t bit = 0; bit < 16; bit++)
                    expect_flip(&s, s.map.words - 2, bit, ZNL_E_BAD_PADDING, "gap bit");
                gap_done = 1;
            }
            free_subject(&s);
        }
    }
    CHECK(classes_done, "no case had 3, 5, 6 or 7 tables");
}

/* Without a raw section the states start, and so end, at exactly 65536. */
static void check_bare_states(void)
{
    enum { COUNT = 33 * 64, SHAPE = 8, BASE = 100 };
    static znl_encode_model model;
    static uint16_t symbols[COUNT];
    znl_freq_table table;
    znl_table unused;
    test_case made = new_case(10, GAUSSIAN, COUNT, 0, 0, 1);
    znl_chunk *chunk = &made.chunk;
    memset(&unused, 0, sizeof unused);
    for (size_t i = 0; i < COUNT; i++) {
        chunk->source[i] = (uint8_t)(BASE + 20 + chunk->source[i] % 8);
        symbols[i] = chunk->source[i];
    }
    znl_table_universal(SHAPE, BASE, &table);
    znl_encode_model_build(&table, 8, &model);
    chunk->method = ZNL_METHOD_STATIC;
    chunk->table_count = 1;
    chunk->unit_shift = 0;
    chunk->tables[0] = SHAPE << 12 | BASE;
    chunk->checksum = znl_xxh3_64_scalar(chunk->source, COUNT);
    for (uint32_t extra = 0; extra < 2; extra++) {
        uint32_t no_patches[64];
        uint8_t words[2 * COUNT + 128], body[8 + 256 + 2 + 2 * COUNT] = {0};
        int is_same;
        znl_encode_lanes lanes;
        lanes.lane_count = 64;
        for (unsigned lane = 0; lane < 64; lane++)
            lanes.states[lane] = 65536 + (lane == 63 ? extra : 0);
        lanes.ahead = 0;
        lanes.ahead_nbytes = 0;
        lanes.words = words + sizeof words;
        lanes.words_room = sizeof words / 2;
        lanes.patches = no_patches + 64;
        lanes.patches_room = 64;
        const int coded = level_kernels[level].rans_encode(&lanes, &model, symbols, 0, COUNT / 64);
        CHECK(coded == ZNL_OK && lanes.patches_room == 64, "%d, room for %zu patches", coded,
              lanes.patches_room);
        const uint32_t *states = lanes.states;
        const size_t word_count = sizeof words / 2 - lanes.words_room;
        const size_t front = 8 + 256 + word_count % 2 * 2;
        store_u32le(body, (uint32_t)word_count);
        for (unsigned lane = 0; lane < 64; lane++) store_u32le(body + 8 + 4 * lane, states[lane]);
        memcpy(body + front, words + sizeof words - 2 * word_count, 2 * word_count);
        const int64_t status =
            decode_exactly(chunk, body, front + 2 * word_count, &unused, chunk->source, &is_same);
        CHECK(extra ? status == ZNL_E_BAD_STATE : status == ZNL_OK && is_same, "%u: %lld", extra,
              (long long)status);
    }
    free_case(&made);
}

/* A body of nothing but states and tail, all sections right: too few values for the method. */
static void check_too_few(void)
{
    uint8_t body[4 + 32 + 63] = {0};
    znl_table unused;
    int is_same;
    test_case made = new_case(15, GAUSSIAN, 63, 0, 0, 1);
    znl_chunk *chunk = &made.chunk;
    memset(&unused, 0, sizeof unused);
    chunk->method = ZNL_METHOD_STATIC;
    chunk->table_count = 1;
    chunk->unit_shift = 0;
    chunk->tables[0] = 0;
    chunk->checksum = znl_xxh3_64_scalar(chunk->source, 63);
    for (unsigned lane = 0; lane < 8; lane++) store_u32le(body + 4 + 4 * lane, 65536);
    memcpy(body + 36, chunk->source, 63);
    const int64_t status =
        decode_exactly(chunk, body, sizeof body, &unused, chunk->source, &is_same);
    CHECK(status == ZNL_E_BAD_VALUE, "%lld", (long long)status);
    free_case(&made);
}

/* Bits of absent blocks, one by one, in every shape of a last superblock. */
static void check_absent_blocks(void)
{
    static const uint8_t low_bits[16] = {0, 4, 7, 2, 7, 7, 2, 3, 2, 3, 0, 0, 0, 0, 3, 3};
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const unsigned dtype = MODELLED_DTYPES[d], b = low_bits[dtype];
        for (unsigned blocks = 17; b && blocks < 24; blocks++) {
            subject s;
            const int is_coded = new_subject(dtype, TWO, blocks * 64, blocks, &s);
            CHECK(is_coded, "%s: raw", where);
            if (!is_coded) continue;
            const unsigned n = blocks % 8, m = 8 / b;
            const unsigned vectors = n <= m * b ? (n + m - 1) / m : b;
            const size_t last_superblock =
                s.body.nbytes + 16 - 64 * vectors; /* 16: in the states */
            for (unsigned v = 0; v < vectors; v++)
                for (unsigned bit = 0; bit < 8; bit++) {
                    /* The block whose field holds this bit; bits m * b and up: block `bit` itself. */
                    const unsigned block = bit < m * b ? v * m + bit / b : bit;
                    if (block >= n)
                        expect_flip(&s, last_superblock + 64 * v + 5, bit, ZNL_E_BAD_PADDING,
                                    "bit");
                }
            expect_code(&s, ZNL_OK, "undamaged", 0);
            free_subject(&s);
        }
    }
}

/* --- two chunks of one call ------------------------------------------------------------------- */

/* Decode two chunks in one call; returns the status. */
static int64_t decode_two(const subject *const subjects[2], int64_t status[2], int is_same[2])
{
    guarded bodies[2], out[2];
    znl_chunk chunks[2];
    znl_table tables[2 * ZNL_MAX_TABLES];
    size_t table_count = 0;
    for (unsigned i = 0; i < 2; i++) {
        const subject *s = subjects[i];
        chunks[i] = s->made.chunk;
        bodies[i] = guarded_copy(s->body.bytes, s->body.nbytes, i);
        out[i] = guarded_new(chunks[i].source_nbytes, 0x5a, 0);
        chunks[i].body = bodies[i].bytes;
        chunks[i].body_nbytes = (uint32_t)bodies[i].nbytes;
        chunks[i].source = out[i].bytes;
        chunks[i].status = 77;
        memcpy(tables + table_count, s->found, chunks[i].table_count * sizeof *tables);
        table_count += chunks[i].table_count;
    }
    const int64_t result = znl_decode_chunks(&level_kernels[level], chunks, 2, tables, table_count,
                                             decode_scratch.bytes, decode_scratch.nbytes);
    for (unsigned i = 0; i < 2; i++) {
        const znl_chunk *chunk = &subjects[i]->made.chunk;
        status[i] = chunks[i].status;
        is_same[i] = memcmp(out[i].bytes, chunk->source, chunk->source_nbytes) == 0;
        CHECK(guarded_free(&out[i]), "%s: around output %u", where, i);
        CHECK(guarded_free(&bodies[i]), "%s: around body %u", where, i);
    }
    return result;
}

/* A damaged chunk beside a good one, in both orders: the damaged one is blamed, with its own code. */
static void check_pairs(void)
{
    static const struct {
        unsigned dtype;
        enum pattern pattern;
        size_t count;
    } kinds[][2] = {
        {{4, GAUSSIAN, 4096 + 7}, {4, WIDE, 2048}},      {{7, GAUSSIAN, 8191}, {7, RUNS, 3000}},
        {{10, SPARSE, 4096}, {10, GAUSSIAN, 2048 + 64}}, {{3, WIDE, 5000}, {3, WIDE, 5000}},
        {{1, GAUSSIAN, 2100}, {1, GAUSSIAN, 700}},
    };
    uint64_t seed = 11;
    for (unsigned k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        subject s[2];
        int is_coded = 1;
        for (unsigned i = 0; i < 2; i++)
            is_coded &= new_subject(kinds[k][i].dtype, kinds[k][i].pattern, kinds[k][i].count,
                                    3 * k + i, &s[i]);
        CHECK(is_coded, "%s: raw", where);
        if (!is_coded) return;
        for (unsigned round = 0; round < 150; round++) {
            const unsigned bad = round % 2; /* which of the two is damaged */
            const size_t at =
                random_below(&seed, (uint32_t)(round % 4 ? s[bad].map.raw : s[bad].body.nbytes));
            const uint8_t flip = (uint8_t)(round ? 1 << random_below(&seed, 8) : 0);
            const znl_chunk *chunk = &s[bad].made.chunk;
            int same_alone, is_same[2];
            int64_t status[2];
            s[bad].body.bytes[at] ^= flip;
            const int64_t alone = decode_exactly(chunk, s[bad].body.bytes, s[bad].body.nbytes,
                                                 s[bad].found, chunk->source, &same_alone);
            for (unsigned first = 0; first < 2; first++) {
                const subject *const order[2] = {&s[first], &s[!first]};
                const unsigned place = first == bad ? 0 : 1;
                const int64_t result = decode_two(order, status, is_same);
                CHECK(result == alone && status[place] == alone, "%s: byte %zu: %lld %lld", where,
                      at, (long long)result, (long long)alone);
                if (place == 1 || alone == ZNL_OK)
                    CHECK(status[!place] == ZNL_OK && is_same[!place], "%s: the good one", where);
                else /* not touched, or decoded while the large one waited for a partner */
                    CHECK(status[1] == 77 || (status[1] == ZNL_OK && is_same[1]),
                          "%s: went on: %lld", where, (long long)status[1]);
                if (alone == ZNL_OK) CHECK(is_same[place], "%s: byte %zu: wrong", where, at);
            }
            s[bad].body.bytes[at] ^= flip;
        }
        for (unsigned i = 0; i < 2; i++) free_subject(&s[i]);
    }
}

/* --- calls that must fail ----------------------------------------------------------------------- */

static void check_no_isa(void)
{
    static const int wrong[] = {-1, INT_MIN, 1000, INT_MAX};
    guarded room = guarded_new(znl_kernels_nbytes(), 0xd1, 8);
    znl_kernels *kernels = (znl_kernels *)(void *)room.bytes;
    CHECK(room.nbytes == sizeof(znl_kernels), "%zu bytes", room.nbytes);
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK(znl_kernels_init(kernels, wrong[i]) == ZNL_E_NO_ISA, "%d", wrong[i]);
    for (int isa = ZNL_ISA_SCALAR; isa <= ZNL_ISA_COUNT; isa++) {
        int is_here = 0;
        for (int i = 0; i < level_count; i++) is_here |= level_isas[i] == isa;
        CHECK(znl_cpu_has(isa) == is_here, "%d", isa);
        CHECK(znl_kernels_init(kernels, isa) == (is_here ? ZNL_OK : ZNL_E_NO_ISA), "%d", isa);
    }
    CHECK(guarded_free(&room), "around the kernels");
}

static void check_bad_calls(void)
{
    const znl_kernels *kernels = &level_kernels[level];
    test_case made = new_case(4, GAUSSIAN, 1000, 0, 0, 1);
    znl_table wire, found[ZNL_MAX_TABLES];
    znl_chunk chunk = made.chunk;
    const size_t encode_nbytes = znl_encode_scratch_nbytes(1);
#define ENCODE(nbytes) znl_encode_chunks(kernels, &chunk, 1, &wire, encode_scratch.bytes, nbytes)
#define EXPECT_ENCODE(change, nbytes, code)                                                        \
    do {                                                                                           \
        chunk = made.chunk;                                                                        \
        change;                                                                                    \
        const int64_t result = ENCODE(nbytes);                                                     \
        CHECK(result == (code), "%s: %lld", #change, (long long)result);                           \
    } while (0)
    EXPECT_ENCODE((void)0, encode_nbytes - 1, ZNL_E_NO_ROOM);
    EXPECT_ENCODE((void)0, 0, ZNL_E_NO_ROOM);
    EXPECT_ENCODE(chunk.body_room--, encode_nbytes, ZNL_E_NO_ROOM);
    EXPECT_ENCODE(chunk.body_room = 0, encode_nbytes, ZNL_E_NO_ROOM);
    EXPECT_ENCODE(chunk.source_nbytes = 0, encode_nbytes, ZNL_E_BAD_CALL);
    for (unsigned dtype = 0; dtype < 256; dtype++) {
        int is_modelled = 0;
        for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++)
            is_modelled |= MODELLED_DTYPES[d] == dtype;
        if (!is_modelled)
            EXPECT_ENCODE(chunk.dtype = (uint8_t)dtype, encode_nbytes, ZNL_E_BAD_CALL);
    }
    CHECK(znl_encode_chunks(kernels, NULL, 0, NULL, encode_scratch.bytes,
                            znl_encode_scratch_nbytes(0)) == 0,
          "no chunks");
    znl_chunk two[2] = {made.chunk, made.chunk};
    znl_table two_tables[2];
    two[1].dtype = 3;
    CHECK(znl_encode_chunks(kernels, two, 2, two_tables, encode_scratch.bytes,
                            znl_encode_scratch_nbytes(2)) == ZNL_E_BAD_CALL,
          "two dtypes");

    chunk = made.chunk;
    const int64_t table_count = ENCODE(encode_nbytes);
    CHECK(chunk.method == ZNL_METHOD_STATIC && chunk.table_count == 1, "%u", chunk.method);
    find_tables(&chunk, &wire, table_count, found);
    guarded out = guarded_new(chunk.source_nbytes, 0, 0);
    znl_chunk good = chunk;
    good.source = out.bytes;
    good.body += chunk.body_offset;
    znl_table tables[ZNL_MAX_TABLES];
    const size_t decode_nbytes = znl_decode_scratch_nbytes();
#define EXPECT_DECODE_WITH(change, count, nbytes, code)                                            \
    do {                                                                                           \
        chunk = good;                                                                              \
        memcpy(tables, found, sizeof tables);                                                      \
        change;                                                                                    \
        const int64_t result =                                                                     \
            znl_decode_chunks(kernels, &chunk, 1, tables, count, decode_scratch.bytes, nbytes);    \
        CHECK(result == (code), "%s: %lld", #change, (long long)result);                           \
    } while (0)
#define EXPECT_DECODE(change, code) EXPECT_DECODE_WITH(change, ZNL_MAX_TABLES, decode_nbytes, code)
    EXPECT_DECODE((void)0, ZNL_OK);
    EXPECT_DECODE_WITH((void)0, 1, decode_nbytes - 1, ZNL_E_NO_ROOM);
    CHECK(znl_decode_chunks(kernels, &good, 1, found, 0, decode_scratch.bytes, decode_nbytes) < 0,
          "a table is missing");
    EXPECT_DECODE(chunk.source_nbytes = 0, ZNL_E_BAD_VALUE);
    EXPECT_DECODE(chunk.source_nbytes = ZNL_MAX_CHUNK_NBYTES + 1, ZNL_E_BAD_VALUE);
    EXPECT_DECODE(chunk.source_nbytes = UINT32_MAX, ZNL_E_BAD_VALUE);
    EXPECT_DECODE(chunk.source_nbytes -= 1, ZNL_E_BAD_VALUE);
    EXPECT_DECODE(chunk.source_nbytes = 63 * 2, ZNL_E_BAD_VALUE);
    EXPECT_DECODE(chunk.source_nbytes = 262145 * 2, ZNL_E_BAD_VALUE);
    EXPECT_DECODE(chunk.table_count = 0, ZNL_E_BAD_VALUE);
    EXPECT_DECODE(chunk.table_count = 9, ZNL_E_BAD_VALUE);
    EXPECT_DECODE(chunk.table_count = 255, ZNL_E_BAD_VALUE);
    for (unsigned shift = 1; shift < 256; shift++)
        EXPECT_DECODE(chunk.unit_shift = (uint8_t)shift, ZNL_E_BAD_VALUE);
    for (unsigned shift = 0; shift < 256; shift++)
        if (shift != 6 && shift != 9)
            EXPECT_DECODE((chunk.unit_shift = (uint8_t)shift, chunk.table_count = 2,
                           chunk.tables[0] = chunk.tables[1] = 0),
                          ZNL_E_BAD_VALUE);
    for (unsigned method = 0; method < 256; method++)
        if (method != ZNL_METHOD_STATIC && method != ZNL_METHOD_ZSTD &&
            method != ZNL_METHOD_COMPOSED)
            EXPECT_DECODE(chunk.method = (uint8_t)method, ZNL_E_BAD_VALUE);
    EXPECT_DECODE(chunk.method = ZNL_METHOD_ZSTD, ZNL_OK);
    CHECK(chunk.status == ZNL_STATUS_LEFT, "zstd: status %d", chunk.status);
    EXPECT_DECODE(chunk.method = ZNL_METHOD_COMPOSED, ZNL_OK);
    CHECK(chunk.status == ZNL_STATUS_LEFT, "composed: status %d", chunk.status);
    EXPECT_DECODE((chunk.checksum ^= 1, chunk.is_part = 1), ZNL_OK);
    EXPECT_DECODE(chunk.distance = 1, ZNL_OK);
    CHECK(chunk.status == ZNL_STATUS_LEFT, "repeat: status %d", chunk.status);
    for (unsigned dtype = 0; dtype < 256; dtype++)
        if (!(dtype >= 1 && dtype <= 10) && dtype != 14 && dtype != 15)
            EXPECT_DECODE(chunk.dtype = (uint8_t)dtype, ZNL_E_BAD_VALUE);
    EXPECT_DECODE(chunk.tables[0] = 65536, ZNL_E_BAD_TABLE);
    EXPECT_DECODE(chunk.tables[0] = ~ZNL_TABLE_NAME_BIT, ZNL_E_BAD_TABLE);
    EXPECT_DECODE(chunk.tables[0] = 512, ZNL_E_BAD_TABLE); /* BF16: bases are below 2^9 */
    EXPECT_DECODE((chunk.tables[0] = ZNL_TABLE_NAME_BIT, tables[0].nbytes = 49), ZNL_E_BAD_CALL);
    EXPECT_DECODE((chunk.tables[0] = ZNL_TABLE_NAME_BIT, tables[0].nbytes = 0), ZNL_E_BAD_VALUE);
    chunk = good;
    chunk.method = ZNL_METHOD_CONSTANT;
    chunk.table_count = 0;
    good = chunk;
    for (uint32_t nbytes = 0; nbytes < 20; nbytes++) {
        const int fits = nbytes == 1 || nbytes == 2 || nbytes == 4 || nbytes == 8;
        EXPECT_DECODE(chunk.body_nbytes = nbytes, fits ? ZNL_E_CHECKSUM : ZNL_E_BAD_SIZE);
        EXPECT_DECODE((chunk.body_nbytes = nbytes, chunk.source_nbytes = 17),
                      nbytes == 1 ? ZNL_E_CHECKSUM : ZNL_E_BAD_SIZE);
    }
    EXPECT_DECODE((chunk.method = ZNL_METHOD_RAW, chunk.body_nbytes = chunk.source_nbytes - 1),
                  ZNL_E_BAD_SIZE);
    EXPECT_DECODE((chunk.method = ZNL_METHOD_RAW, chunk.body_nbytes = chunk.source_nbytes + 1),
                  ZNL_E_BAD_SIZE);
    CHECK(guarded_free(&out), "around the output");
    free_case(&made);
}

int main(void)
{
    new_levels();
    new_scratch();
    check_no_isa();
    for (int i = 0; i < level_count; i++) {
        use_level(i);
        check_bad_calls();
        check_musts();
        check_bare_states();
        check_too_few();
        check_absent_blocks();
        check_pairs();
    }
    use_level(ZNL_ISA_SCALAR);
    check_damage();
    free_scratch();
    printf("%u damages gave the same values\n", unnoticed);
    return check_result();
}
