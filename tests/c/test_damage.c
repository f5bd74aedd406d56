/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged chunks and wrong calls: each gives a documented code, or the right values. */
#include "chunks.h"

static unsigned code_seen[16], unnoticed;

/* --- damage ------------------------------------------------------------------------------------- */

/* Decode damaged bytes: an error, or (rarely) the right values. */
static void decode_damaged(const znl_chunk *chunk, const uint8_t *body, size_t body_nbytes,
                           const znl_table *tables, const char *damage, size_t at)
{
    int is_same;
    const int64_t status =
        decode_exactly(chunk, body, body_nbytes, tables, chunk->source, &is_same);
    CHECK(status != 0 || is_same, "%s: %s %zu: wrong values", where, damage, at);
    if (is_documented(status)) code_seen[-status]++;
    unnoticed += status == 0;
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
        find_tables(chunk, &wire, table_count, found);
        guarded body = guarded_new(chunk->body_nbytes + 9u, 0, 0);
        memcpy(body.bytes, body_of(chunk), chunk->body_nbytes);
        for (size_t nbytes = 0; nbytes <= chunk->body_nbytes + 9u; nbytes++)
            if (nbytes != chunk->body_nbytes)
                decode_damaged(chunk, body.bytes, nbytes, found, "length", nbytes);
        for (size_t bit = 0; bit < 8 * (size_t)chunk->body_nbytes; bit++) {
            body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            decode_damaged(chunk, body.bytes, chunk->body_nbytes, found, "bit", bit);
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
    for (size_t i = 0; i < sizeof codes; i++)
        CHECK(code_seen[codes[i]], "no damage gave -%u", codes[i]);
}

/* One field is changed and the checksum still fits: the decoder itself has to notice. */
static void expect_code(const test_case *made, const znl_table *found, const uint8_t *body,
                        int64_t expected, const char *what)
{
    int is_same;
    const int64_t status = decode_exactly(&made->chunk, body, made->chunk.body_nbytes, found,
                                          made->chunk.source, &is_same);
    CHECK(status == expected, "%s: %s: %lld, not %lld", where, what, (long long)status,
          (long long)expected);
}

/* A word more or less than the values take, in a body whose sizes add up. */
static void expect_word_counts(const test_case *made, const znl_table *found, const body_map *map)
{
    for (int change = -2; change <= 2; change += 4) { /* two words: the gap stays as it is */
        const size_t nbytes = (size_t)((int64_t)made->chunk.body_nbytes + 2 * change);
        const size_t kept = change < 0 ? map->raw - 4 : map->raw;
        const uint8_t *good = body_of(&made->chunk);
        guarded body = guarded_new(nbytes, 0, 0);
        memcpy(body.bytes, good, kept);
        memcpy(body.bytes + nbytes - (made->chunk.body_nbytes - map->raw), good + map->raw,
               made->chunk.body_nbytes - map->raw);
        store_u32le(body.bytes, (uint32_t)((int64_t)map->word_count + change));
        test_case changed = *made;
        changed.chunk.body_nbytes = (uint32_t)nbytes;
        expect_code(&changed, found, body.bytes, ZNL_E_BAD_STATE, change < 0 ? "less" : "more");
        CHECK(guarded_free(&body), "%s", where);
    }
}

static void check_musts(void)
{
    znl_table wire, found[ZNL_MAX_TABLES];
    uint8_t saved[8], *at;
#define EXPECT(place, nbytes, change, code)                                                        \
    do {                                                                                           \
        at = body.bytes + (place);                                                                 \
        memcpy(saved, at, nbytes);                                                                 \
        change;                                                                                    \
        expect_code(&made, found, body.bytes, code, #change);                                      \
        memcpy(at, saved, nbytes);                                                                 \
    } while (0)
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const unsigned dtype = MODELLED_DTYPES[d];
        int done_patches = 0, done_gap = 0, done_map = 0;
        for (uint64_t seed = 0; seed < 200 && !(done_patches && done_gap && done_map); seed++) {
            /* 33 units, so that every class map ends in padding. */
            const enum pattern pattern = seed % 2 ? WIDE : RUNS;
            test_case made = new_case(dtype, pattern, 33 * 64 + 5, 0, pattern == RUNS, seed);
            const int64_t table_count = encode(&made.chunk, 1, &wire, 0);
            if (made.chunk.method != ZNL_METHOD_STATIC) {
                free_case(&made);
                continue;
            }
            find_tables(&made.chunk, &wire, table_count, found);
            const body_map map = map_body(&made.chunk);
            guarded body = guarded_copy(body_of(&made.chunk), made.chunk.body_nbytes, 0);
            const uint32_t coded = made.chunk.source_nbytes / dtype_width(dtype) / 64 * 64;
            const unsigned symbol_bits = dtype_symbol_bits(dtype);
            EXPECT(0, 4, store_u32le(at, coded + 1), ZNL_E_BAD_VALUE);
            EXPECT(4, 4, store_u32le(at, coded + 1), ZNL_E_BAD_VALUE);
            EXPECT(0, 4, store_u32le(at, UINT32_MAX), ZNL_E_BAD_VALUE);
            EXPECT(0, 4, store_u32le(at, (uint32_t)map.word_count + 2), ZNL_E_BAD_SIZE);
            expect_word_counts(&made, found, &map);
            if (map.patch_count >= 2) {
                const uint32_t patch = load_u32le(body.bytes + map.patches);
                EXPECT(map.patches, 8, memcpy(at + 4, at, 4), ZNL_E_BAD_PATCH);
                EXPECT(map.patches, 8, (memcpy(at, at + 4, 4), store_u32le(at + 4, patch)),
                       ZNL_E_BAD_PATCH);
                EXPECT(map.patches, 4, store_u32le(at, patch | UINT32_C(0xfffff000)),
                       ZNL_E_BAD_PATCH);
                EXPECT(map.patches + 4 * (map.patch_count - 1), 4,
                       store_u32le(at, coded << 12 | (patch & 4095)), ZNL_E_BAD_PATCH);
                if (symbol_bits < 12)
                    EXPECT(map.patches, 4, store_u32le(at, patch | 1u << symbol_bits),
                           ZNL_E_BAD_PATCH);
                done_patches = 1;
            }
            if (map.word_count % 2) {
                EXPECT(map.words - 2, 2, at[0] ^= 1, ZNL_E_BAD_PADDING);
                EXPECT(map.words - 2, 2, at[1] ^= 0x80, ZNL_E_BAD_PADDING);
                done_gap = 1;
            }
            if (made.chunk.table_count >= 2) {
                const size_t unit_bits = coded / 64 *
                                         (made.chunk.table_count == 2   ? 1u
                                          : made.chunk.table_count <= 4 ? 2u
                                                                        : 3u);
                for (size_t bit = unit_bits; bit % 32; bit++)
                    EXPECT(map.map + bit / 8, 1, at[0] ^= (uint8_t)(1 << bit % 8),
                           ZNL_E_BAD_PADDING);
                if (made.chunk.table_count == 3) EXPECT(map.map, 1, at[0] |= 3, ZNL_E_BAD_VALUE);
                if (made.chunk.table_count > 4 && made.chunk.table_count < 8)
                    EXPECT(map.map, 1, at[0] |= 7, ZNL_E_BAD_VALUE);
                done_map = 1;
            }
            if (dtype == 10) /* no raw section: every state ends at exactly 65536 */
                EXPECT(map.states + 4, 4, store_u32le(at, load_u32le(at) ^ 1u << 31),
                       ZNL_E_BAD_STATE);
            CHECK(guarded_free(&body), "%s", where);
            free_case(&made);
        }
        CHECK(done_patches && done_gap && done_map, "%s: %d %d %d", where, done_patches, done_gap,
              done_map);
    }
}

/* Bits of absent blocks, one by one, in every shape of a last superblock. */
static void check_absent_blocks(void)
{
    static const uint8_t low_bits[16] = {0, 4, 7, 2, 7, 7, 2, 3, 2, 3, 0, 0, 0, 0, 3, 3};
    znl_table wire, found[ZNL_MAX_TABLES];
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const unsigned dtype = MODELLED_DTYPES[d], b = low_bits[dtype];
        for (unsigned blocks = 17; b && blocks < 24; blocks++) {
            test_case made = new_case(dtype, TWO, blocks * 64, 0, 0, blocks);
            const int64_t table_count = encode(&made.chunk, 1, &wire, 0);
            CHECK(made.chunk.method == ZNL_METHOD_STATIC, "%s", where);
            if (made.chunk.method != ZNL_METHOD_STATIC) break;
            find_tables(&made.chunk, &wire, table_count, found);
            guarded body = guarded_copy(body_of(&made.chunk), made.chunk.body_nbytes, 0);
            const unsigned n = blocks % 8, m = 8 / b;
            const unsigned vectors = n <= m * b ? (n + m - 1) / m : b;
            for (unsigned v = 0; v < vectors; v++)
                for (unsigned bit = 0; bit < 8; bit++) {
                    /* The block whose field holds this bit; bits m * b and up: block `bit` itself. */
                    const unsigned block = bit < m * b ? v * m + bit / b : bit;
                    if (block < n) continue;
                    /* The last 16 bytes travel in the states. */
                    uint8_t *at =
                        body.bytes + made.chunk.body_nbytes + 16 - 64 * vectors + 64 * v + 5;
                    *at ^= (uint8_t)(1 << bit);
                    char what[64];
                    snprintf(what, sizeof what, "%u blocks, vector %u, bit %u", blocks, v, bit);
                    expect_code(&made, found, body.bytes, ZNL_E_BAD_PADDING, what);
                    *at ^= (uint8_t)(1 << bit);
                }
            expect_code(&made, found, body.bytes, ZNL_OK, "undamaged");
            CHECK(guarded_free(&body), "%s", where);
            free_case(&made);
        }
    }
}

/* --- calls that must fail ----------------------------------------------------------------------- */

static void check_bad_calls(void)
{
    test_case made = new_case(4, GAUSSIAN, 1000, 0, 0, 1);
    znl_table wire, found[ZNL_MAX_TABLES];
    znl_chunk chunk = made.chunk;
    const size_t encode_nbytes = znl_encode_scratch_nbytes(1);
#define ENCODE(isa, nbytes) znl_encode_chunks(isa, &chunk, 1, &wire, encode_scratch.bytes, nbytes)
#define EXPECT_ENCODE(change, isa, nbytes, code)                                                   \
    do {                                                                                           \
        chunk = made.chunk;                                                                        \
        change;                                                                                    \
        const int64_t result = ENCODE(isa, nbytes);                                                \
        CHECK(result == (code), "%s: %lld", #change, (long long)result);                           \
    } while (0)
    EXPECT_ENCODE((void)0, -1, encode_nbytes, ZNL_E_NO_ISA);
    EXPECT_ENCODE((void)0, znl_cpu_isa() + 1, encode_nbytes, ZNL_E_NO_ISA);
    EXPECT_ENCODE((void)0, 1000, encode_nbytes, ZNL_E_NO_ISA);
    EXPECT_ENCODE((void)0, ZNL_ISA_SCALAR, encode_nbytes - 1, ZNL_E_NO_ROOM);
    EXPECT_ENCODE((void)0, ZNL_ISA_SCALAR, 0, ZNL_E_NO_ROOM);
    EXPECT_ENCODE(chunk.body_room--, ZNL_ISA_SCALAR, encode_nbytes, ZNL_E_NO_ROOM);
    EXPECT_ENCODE(chunk.body_room = 0, ZNL_ISA_SCALAR, encode_nbytes, ZNL_E_NO_ROOM);
    EXPECT_ENCODE(chunk.source_nbytes = 0, ZNL_ISA_SCALAR, encode_nbytes, ZNL_E_BAD_CALL);
    for (unsigned dtype = 0; dtype < 256; dtype++) {
        int is_modelled = 0;
        for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++)
            is_modelled |= MODELLED_DTYPES[d] == dtype;
        if (!is_modelled)
            EXPECT_ENCODE(chunk.dtype = (uint8_t)dtype, ZNL_ISA_SCALAR, encode_nbytes,
                          ZNL_E_BAD_CALL);
    }
    CHECK(znl_encode_chunks(ZNL_ISA_SCALAR, NULL, 0, NULL, encode_scratch.bytes,
                            znl_encode_scratch_nbytes(0)) == 0,
          "no chunks");
    znl_chunk two[2] = {made.chunk, made.chunk};
    znl_table two_tables[2];
    two[1].dtype = 3;
    CHECK(znl_encode_chunks(ZNL_ISA_SCALAR, two, 2, two_tables, encode_scratch.bytes,
                            znl_encode_scratch_nbytes(2)) == ZNL_E_BAD_CALL,
          "two dtypes");

    chunk = made.chunk;
    const int64_t table_count = ENCODE(ZNL_ISA_SCALAR, encode_nbytes);
    CHECK(chunk.method == ZNL_METHOD_STATIC && chunk.table_count == 1, "%u", chunk.method);
    find_tables(&chunk, &wire, table_count, found);
    guarded out = guarded_new(chunk.source_nbytes, 0, 0);
    znl_chunk good = chunk;
    good.source = out.bytes;
    good.body += chunk.body_offset;
    znl_table tables[ZNL_MAX_TABLES];
    const size_t decode_nbytes = znl_decode_scratch_nbytes();
#define EXPECT_DECODE_WITH(change, isa, count, nbytes, code)                                       \
    do {                                                                                           \
        chunk = good;                                                                              \
        memcpy(tables, found, sizeof tables);                                                      \
        change;                                                                                    \
        const int64_t result =                                                                     \
            znl_decode_chunks(isa, &chunk, 1, tables, count, decode_scratch.bytes, nbytes);        \
        CHECK(result == (code), "%s: %lld", #change, (long long)result);                           \
    } while (0)
#define EXPECT_DECODE(change, code)                                                                \
    EXPECT_DECODE_WITH(change, ZNL_ISA_SCALAR, ZNL_MAX_TABLES, decode_nbytes, code)
    EXPECT_DECODE((void)0, ZNL_OK);
    EXPECT_DECODE_WITH((void)0, -1, 1, decode_nbytes, ZNL_E_NO_ISA);
    EXPECT_DECODE_WITH((void)0, znl_cpu_isa() + 1, 1, decode_nbytes, ZNL_E_NO_ISA);
    EXPECT_DECODE_WITH((void)0, ZNL_ISA_SCALAR, 1, decode_nbytes - 1, ZNL_E_NO_ROOM);
    CHECK(znl_decode_chunks(ZNL_ISA_SCALAR, &good, 1, found, 0, decode_scratch.bytes,
                            decode_nbytes) < 0,
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
        if (method != ZNL_METHOD_STATIC)
            EXPECT_DECODE(chunk.method = (uint8_t)method, ZNL_E_BAD_VALUE);
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
    new_scratch();
    check_bad_calls();
    check_musts();
    check_absent_blocks();
    check_damage();
    free_scratch();
    printf("%u damages gave the same values\n", unnoticed);
    return check_result();
}
