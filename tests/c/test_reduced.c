/* SPDX-License-Identifier: Apache-2.0 */
/* Bits that are not stored, against the text of docs/format.md, section 5.9, written again bit by bit: what is found, what the
 * raw section holds, that chunks come back at every level, and that damage is told. */
#include "arrangements.h"
#include "bits.h"
#include "chunks.h"
#include "planes.h"
#include "reduced.h"
#include "static_body.h"

static uint64_t seed;

/* --- fields --------------------------------------------------------------------------------------- */

static void check_fields_of(unsigned r, size_t count)
{
    const size_t packed_nbytes = count * (8 - r) / 8;
    guarded in = guarded_new(count, 0, r), expected = guarded_new(packed_nbytes, 0xff, 0);
    guarded packed = guarded_new(packed_nbytes, 0x77, 7 - r),
            expanded = guarded_new(count, 0x77, r);
    bit_sink sink = {expected.bytes, 0};
    for (size_t i = 0; i < count; i++) {
        in.bytes[i] = (uint8_t)random_u64(&seed);
        put_low_bits(&sink, (unsigned)in.bytes[i] >> r, 8 - r);
    }
    znl_pack_fields(in.bytes, count, r, packed.bytes);
    CHECK(memcmp(packed.bytes, expected.bytes, packed_nbytes) == 0, "r %u, %zu bytes", r, count);
    znl_expand_fields(packed.bytes, count, r, expanded.bytes);
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) wrong += expanded.bytes[i] != (in.bytes[i] >> r) << r;
    CHECK(wrong == 0, "r %u, %zu bytes: %zu differ", r, count, wrong);
    CHECK(guarded_free(&in) && guarded_free(&expected) && guarded_free(&packed) &&
              guarded_free(&expanded),
          "r %u, %zu bytes: around them", r, count);
}

static void check_fields_alone(void)
{
    for (unsigned r = 1; r < 8; r++)
        for (size_t count = 8; count <= 640; count += 8) check_fields_of(r, count);
}

/* --- chunks --------------------------------------------------------------------------------------- */

enum { MIXED_SIGNS, ALL_POSITIVE, ALL_NEGATIVE };

/* What is known of the values of a chunk. */
typedef struct {
    unsigned dtype, shift; /* the shift that must be found, at least 1 */
    int signs;
    unsigned unmarked; /* one superblock in so many, by chance; 0: none */
} known_bits;

static znl_static_encode_scratch encoder;
static znl_arranged_encode_scratch arranger;
static znl_arrangement arrangement;
static znl_reduction expected;
static arranged_order order;
static test_case made;
static znl_table wire[ZNL_MAX_TABLES];
static znl_freq_table tables[ZNL_MAX_TABLES];

static uint64_t load_value(const uint8_t *in, size_t width)
{
    return width == 2 ? load_u16le(in) : width == 4 ? load_u32le(in) : load_u64le(in);
}

static void store_value(uint8_t *out, size_t width, uint64_t value)
{
    if (width == 4)
        store_u32le(out, (uint32_t)value);
    else
        store_u64le(out, value);
}

/* Make known bits of gaussian values, those of a superblock alike: known_bits and `expected`. */
static void make_known(const known_bits *known, uint8_t *values)
{
    const size_t width = dtype_width(known->dtype);
    const uint64_t sign = UINT64_C(1) << (8 * width - 1);
    memset(&expected, 0, sizeof expected);
    expected.one_sign = known->signs != MIXED_SIGNS;
    expected.sign = known->signs == ALL_NEGATIVE;
    expected.shift = known->shift;
    for (size_t i = 0; i < order.count; i++) {
        uint8_t *at = values + order.source[i] * width;
        const size_t s = i / 512;
        if (i % 512 == 0)
            expected.marked[s] = !known->unmarked || random_below(&seed, known->unmarked) > 0;
        uint64_t value = load_value(at, width) ^ (random_u64(&seed) & 0xffffff);
        if (i % 512 < 2) value = i % 2 ? value | sign : value & ~sign;
        if (i % 64 == 0) value |= UINT64_C(1) << known->shift | 1;
        if (expected.marked[s] && i < order.count / 64 * 64) {
            const uint64_t low = (UINT64_C(1) << known->shift) - 1;
            value &= known->signs == MIXED_SIGNS ? ~low : ~low | 1;
            if (known->signs == ALL_POSITIVE) value &= ~sign;
            if (known->signs == ALL_NEGATIVE) value |= sign;
        }
        store_value(at, width, value);
    }
}

/* A table for each class: fitted to its blocks. */
static void fit_tables(const znl_layout *layout, znl_chunk *chunk)
{
    static uint32_t counts[ZNL_MAX_TABLES][ZNL_MAX_SYMBOL_VALUES];
    const size_t width = layout->width;
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < order.count / 64 * 64; i++) {
        const uint64_t value = load_value(chunk->source + order.source[i] * width, width);
        const unsigned top = (unsigned)(value >> (8 * width - 16));
        const unsigned rotated = (top << 1 | top >> 15) & 0xffff;
        counts[block_class(&order, i / 64)][rotated >> (16 - layout->symbol_bits)]++;
    }
    for (unsigned t = 0; t < chunk->table_count; t++) {
        memset(&wire[t], 0, sizeof wire[t]);
        znl_table_fit(counts[t], layout->symbol_bits, &tables[t]);
        wire[t].nbytes = (uint32_t)znl_table_write(&tables[t], wire[t].bytes);
        CHECK(znl_table_check(wire[t].bytes, wire[t].nbytes, &wire[t].name) == 0, "%s", where);
        chunk->tables[t] = wire[t].name;
    }
}

static void encode_at(int wanted, znl_chunk *chunk)
{
    const znl_kernels *kernels = use_level(wanted);
    memset(&encoder, 0x40 + wanted, sizeof encoder);
    memset(&arranger, 0x50 + wanted, sizeof arranger);
    memset(&arrangement.reduction, 0x60 + wanted, sizeof arrangement.reduction);
    encoder.cache.count = 0;
    const int status = znl_arranged_encode(kernels, znl_layout_of(chunk->dtype), tables, chunk,
                                           &arrangement, &encoder, &arranger);
    CHECK(status == ZNL_OK, "%s: %d", where, status);
}

/* Encode values with known bits by `arrangement`, which has its order, at every level: the same bytes. */
static void new_reduced(const known_bits *known, unsigned table_count)
{
    made = new_case(known->dtype, GAUSSIAN, order.count, 0, 0, seed++);
    snprintf(where, sizeof where,
             "dtype %u, %zu values, %u tables, shift %u, signs %d, unmarked %u", known->dtype,
             order.count, table_count, known->shift, known->signs, known->unmarked);
    make_known(known, made.source.bytes);
    znl_chunk *chunk = &made.chunk;
    chunk->method = ZNL_METHOD_ARRANGED;
    chunk->table_count = (uint8_t)table_count;
    chunk->unit_shift = 0;
    chunk->status = 0;
    chunk->checksum = znl_xxh3_64_scalar(chunk->source, chunk->source_nbytes);
    guarded before = guarded_copy(chunk->source, chunk->source_nbytes, 0);
    fit_tables(znl_layout_of(known->dtype), chunk);
    encode_at(0, chunk);
    for (int i = 1; i < level_count; i++) {
        guarded body = guarded_new(chunk->body_room, 0x44, (unsigned)i);
        znl_chunk other = *chunk;
        other.body = body.bytes;
        encode_at(i, &other);
        CHECK(other.body_nbytes == chunk->body_nbytes &&
                  memcmp(body_of(&other), body_of(chunk), chunk->body_nbytes) == 0,
              "%s: other bytes", where);
        CHECK(guarded_free(&body), "%s: around the body", where);
    }
    use_level(0);
    CHECK(memcmp(before.bytes, chunk->source, chunk->source_nbytes) == 0,
          "%s: the source was written to", where);
    CHECK(guarded_free(&before), "%s", where);
}

static void check_found(void)
{
    const znl_reduction *found = &arrangement.reduction;
    CHECK(found->shift == expected.shift && found->one_sign == expected.one_sign &&
              found->sign == expected.sign,
          "%s: found shift %u, one sign %d, sign %u", where, found->shift, found->one_sign,
          found->sign);
    CHECK(memcmp(found->marked, expected.marked, (order.count / 64 + 7) / 8) == 0, "%s: marks",
          where);
}

/* The whole raw section, by the text; returns its size. */
static size_t expected_raw(const znl_chunk *chunk, uint8_t *raw)
{
    static uint8_t values[65536 * 8], planes[6][65536], bit_plane[65536];
    static uint16_t symbols[65536];
    const znl_layout *layout = znl_layout_of(chunk->dtype);
    const size_t width = layout->width, coded = order.count / 64 * 64, sign_bit = 8 * width - 1;
    uint8_t whole[6 * 512];
    bit_sink sink = {raw, 0};
    size_t bit_plane_nbytes = 0;
    for (size_t i = 0; i < coded; i++) {
        uint64_t v = load_value(chunk->source + order.source[i] * width, width);
        if (expected.one_sign && expected.marked[i / 512])
            v = (v & ~(UINT64_C(1) << sign_bit) & ~UINT64_C(1)) | (v & 1) << sign_bit;
        store_value(values + i * width, width, v);
    }
    for (size_t first = 0; first < coded; first += 512) {
        const size_t count = coded - first < 512 ? coded - first : 512;
        znl_split_scalar(layout, values + first * width, count / 64, symbols, whole, 512,
                         bit_plane + bit_plane_nbytes);
        bit_plane_nbytes += znl_bit_plane_nbytes(count / 64, layout->low_bits);
        for (unsigned p = 0; p < layout->byte_planes; p++)
            memcpy(planes[p] + first, whole + 512 * p, count);
    }
    for (unsigned p = 0; p < layout->byte_planes; p++)
        for (size_t i = 0; i < coded; i++) {
            const unsigned k = expected.marked[i / 512] ? expected.shift : 0;
            const unsigned r = k < 8 * p ? 0 : k - 8 * p > 8 ? 8 : k - 8 * p;
            put_low_bits(&sink, (unsigned)planes[p][i] >> r, 8 - r);
        }
    CHECK(sink.bit % 8 == 0, "%s: %zu bits", where, sink.bit);
    memcpy(raw + sink.bit / 8, bit_plane, bit_plane_nbytes);
    return sink.bit / 8 + bit_plane_nbytes;
}

/* The sections whose contents are known: the arrangement, and the raw section but for what is in the states. */
static void check_body(const znl_chunk *chunk)
{
    static uint8_t section[ZNL_MAX_STATIC_VALUES], raw[65536 * 8];
    memset(section, 0, sizeof section);
    const size_t section_nbytes = wire_of_arrangement(&arrangement, chunk->table_count, section);
    const uint8_t *body = body_of(chunk);
    CHECK(memcmp(body + 8, section, section_nbytes) == 0, "%s: arrangement", where);
    const size_t stored = expected_raw(chunk, raw) - 128;
    const size_t tail_nbytes = order.count % 64 * dtype_width(chunk->dtype);
    const size_t words = load_u32le(body), patches = load_u32le(body + 4);
    const size_t offset = 8 + section_nbytes + 256 + 4 * patches + words % 2 * 2 + 2 * words;
    CHECK(offset + stored + tail_nbytes == chunk->body_nbytes, "%s: %zu bytes, not %u", where,
          offset + stored + tail_nbytes, chunk->body_nbytes);
    if (offset + stored + tail_nbytes != chunk->body_nbytes) return;
    CHECK(memcmp(body + offset, raw, stored) == 0, "%s: raw section", where);
    size_t wrong = 0;
    for (size_t i = 0; i < tail_nbytes; i++)
        wrong += body[offset + stored + i] !=
                 chunk->source[order.source[order.count / 64 * 64 + i / dtype_width(chunk->dtype)] *
                                   dtype_width(chunk->dtype) +
                               i % dtype_width(chunk->dtype)];
    CHECK(wrong == 0, "%s: tail", where);
}

static void check_decoded(const znl_chunk *chunk)
{
    for (int i = 0; i < level_count; i++) {
        int is_same;
        use_level(i);
        const int64_t status = decode_exactly(chunk, body_of(chunk), chunk->body_nbytes, wire,
                                              chunk->source, &is_same);
        CHECK(status == 0 && is_same, "%s: %lld, same %d", where, (long long)status, is_same);
    }
    use_level(0);
}

static void check_round_trip(const known_bits *known, unsigned table_count)
{
    new_reduced(known, table_count);
    check_found();
    check_body(&made.chunk);
    check_decoded(&made.chunk);
    free_case(&made);
}

/* One table, and parts that move nothing. */
static void order_as_source(size_t value_count)
{
    memset(&arrangement, 0, sizeof arrangement);
    arrangement.part_count = 1;
    arrangement.parts[0].rows = 1;
    arrangement.parts[0].row_values = (uint32_t)value_count;
    order_values(&arrangement, 1, &order);
}

static void check_round_trips(void)
{
    static const size_t sizes[] = {2048, 2111, 2500, 6149, 9000, 20000};
    static const unsigned dtypes[] = {2, 5, 1};
    for (unsigned d = 0; d < 3; d++)
        for (unsigned shift = 1; shift <= (dtypes[d] == 1 ? 48u : 16u); shift++)
            for (int signs = MIXED_SIGNS; signs <= ALL_NEGATIVE; signs++)
                for (unsigned unmarked = 0; unmarked <= 4; unmarked += 2) {
                    const known_bits known = {dtypes[d], shift, signs, unmarked};
                    const unsigned table_count = 1 + (shift + d + unmarked) % 7;
                    const size_t size = sizes[(shift + (unsigned)signs) % 6];
                    /* With few superblocks the luck of marks could leave too little to save. */
                    if (unmarked && size < 6000) continue;
                    if (table_count == 1) {
                        order_as_source(size);
                    } else {
                        random_arrangement((shift + (unsigned)signs) % PART_KINDS, table_count,
                                           size, 1 + shift % 3, &seed, &arrangement);
                        order_values(&arrangement, table_count, &order);
                    }
                    check_round_trip(&known, table_count);
                }
}

/* Chunks beside others: pairs of reduced ones and those that are not, in the fused kernels as well. */
static void check_neighbours(unsigned dtype)
{
    enum { COUNT = 4 };
    test_case cases[COUNT];
    znl_chunk decoded[COUNT];
    znl_table found[COUNT * ZNL_MAX_TABLES];
    guarded out[COUNT];
    size_t table_count = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        const known_bits known = {dtype, 3 + 4 * i, (int)i % 3, i == 1 ? 2 : 0};
        const unsigned tables_wanted = i % 2 ? 5 : 1;
        if (i % 2) {
            random_arrangement(i % PART_KINDS, 5, 30000, 2, &seed, &arrangement);
            order_values(&arrangement, 5, &order);
        } else {
            order_as_source(40000 + 100 * i);
        }
        new_reduced(&known, tables_wanted);
        cases[i] = made;
        decoded[i] = made.chunk;
        decoded[i].body = (uint8_t *)body_of(&made.chunk);
        out[i] = guarded_new(made.chunk.source_nbytes, 0, i);
        decoded[i].source = out[i].bytes;
        memcpy(found + table_count, wire, tables_wanted * sizeof *wire);
        table_count += tables_wanted;
    }
    for (int l = 0; l < level_count; l++) {
        const znl_kernels *kernels = use_level(l);
        for (unsigned i = 0; i < COUNT; i++) memset(out[i].bytes, 0xdd, out[i].nbytes);
        const int64_t status = znl_decode_chunks(kernels, decoded, COUNT, found, table_count,
                                                 decode_scratch.bytes, decode_scratch.nbytes);
        CHECK(status == 0, "dtype %u: %lld", dtype, (long long)status);
        for (unsigned i = 0; i < COUNT; i++)
            CHECK(memcmp(out[i].bytes, cases[i].source.bytes, out[i].nbytes) == 0,
                  "dtype %u: chunk %u", dtype, i);
    }
    use_level(0);
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(guarded_free(&out[i]), "dtype %u: around chunk %u", dtype, i);
        free_case(&cases[i]);
    }
}

/* Nothing to gain: nothing is left out. */
static void check_nothing_found(void)
{
    static uint8_t values[9000 * 8];
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const znl_layout *layout = znl_layout_of(MODELLED_DTYPES[d]);
        znl_reduction found;
        memset(&found, 0x55, sizeof found);
        make_values(MODELLED_DTYPES[d], layout->width < 4 ? ALL_BUT_ONE : RANDOM_BITS, seed++,
                    values, 9000);
        znl_reduction_find(layout, values, 9000 / 64 * 64, &found);
        CHECK(found.shift == 0 && !found.one_sign && !found.sign, "dtype %u: shift %u",
              MODELLED_DTYPES[d], found.shift);
        CHECK(!znl_reduction_seems_to_pay(layout, values, 9000 / 64 * 64), "dtype %u",
              MODELLED_DTYPES[d]);
    }
}

/* --- the chooser ---------------------------------------------------------------------------------- */

/* Chunks of one scale that were widened from a narrower type: one table for all of them, and k is found. */
static void check_chosen(unsigned dtype, unsigned shift, int is_joined)
{
    enum { COUNT = 3, VALUES = 20000 };
    static znl_table made_tables[COUNT * ZNL_NEW_TABLES];
    const znl_part parts[2] = {{312, 64, 0}, {1, 32, 0}};
    const size_t width = dtype_width(dtype);
    test_case cases[COUNT];
    znl_chunk chunks[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        cases[i] = new_case(dtype, GAUSSIAN, VALUES, 0, is_joined, seed++);
        for (size_t v = 0; v < VALUES; v++) {
            uint8_t *at = cases[i].source.bytes + v * width;
            const uint64_t value = load_value(at, width) ^ (random_u64(&seed) & 0xffffff);
            store_value(at, width, value >> shift << shift);
        }
        chunks[i] = cases[i].chunk;
        chunks[i].parts = parts;
        chunks[i].part_count = 2;
    }
    snprintf(where, sizeof where, "chosen, dtype %u, shift %u, joined %d", dtype, shift, is_joined);
    for (int l = 0; l < level_count; l++) {
        use_level(l);
        const int64_t table_count = encode(chunks, COUNT, made_tables, 0x5c);
        for (unsigned i = 0; i < COUNT; i++) {
            znl_table found[ZNL_MAX_TABLES];
            int is_same;
            CHECK(chunks[i].method == ZNL_METHOD_ARRANGED && chunks[i].table_count == 1,
                  "%s: method %u", where, chunks[i].method);
            CHECK((load_u32le(body_of(&chunks[i]) + 8) >> 18) == shift, "%s: %#x", where,
                  load_u32le(body_of(&chunks[i]) + 8));
            CHECK(chunks[i].tables[0] == chunks[0].tables[0], "%s: another table", where);
            find_tables(&chunks[i], made_tables, table_count, found);
            const int64_t status =
                decode_exactly(&chunks[i], body_of(&chunks[i]), chunks[i].body_nbytes, found,
                               chunks[i].source, &is_same);
            CHECK(status == 0 && is_same, "%s: %lld", where, (long long)status);
        }
    }
    use_level(0);
    for (unsigned i = 0; i < COUNT; i++) free_case(&cases[i]);
}

/* Columns differ in scale, but their order would mix rows with zero bits and others: rows stay whole. */
static void check_columns_regretted(void)
{
    enum { ROWS = 128, COLUMNS = 256, VALUES = ROWS * COLUMNS };
    static znl_table made_tables[ZNL_NEW_TABLES];
    const znl_part part = {ROWS, COLUMNS, 1};
    for (int has_zeros = 0; has_zeros <= 1; has_zeros++) {
        znl_table found[ZNL_MAX_TABLES];
        int is_same;
        made = new_case(2, GAUSSIAN, VALUES, 0, 0, seed++);
        for (size_t i = 0; i < VALUES; i++) {
            uint8_t *at = made.source.bytes + 4 * i;
            /* An exponent of its own for a column; rows in pairs are a superblock. */
            uint32_t value = load_u32le(at) + ((uint32_t)(i % COLUMNS * 7 % 5) << 23);
            value ^= (uint32_t)random_u64(&seed) & 0xffff;
            if (has_zeros && i / COLUMNS / 2 % 2) value &= 0xffff0000;
            store_u32le(at, value);
        }
        made.chunk.parts = &part;
        made.chunk.part_count = 1;
        snprintf(where, sizeof where, "columns, zeros %d", has_zeros);
        memset(encode_scratch.bytes, 0x66, encode_scratch.nbytes);
        const int64_t table_count =
            znl_encode_chunks(&level_kernels[0], &made.chunk, 1, made_tables, encode_scratch.bytes,
                              encode_scratch.nbytes);
        CHECK(table_count > 1 && made.chunk.method == ZNL_METHOD_ARRANGED, "%s: method %u", where,
              made.chunk.method);
        const uint8_t *section = body_of(&made.chunk) + 8;
        CHECK(load_u32le(section) == (has_zeros ? 1u | 16u << 18 : 1u), "%s: %#x", where,
              load_u32le(section));
        CHECK(load_u32le(section + 8) >> 31 == !has_zeros, "%s: has columns", where);
        find_tables(&made.chunk, made_tables, table_count, found);
        const int64_t status =
            decode_exactly(&made.chunk, body_of(&made.chunk), made.chunk.body_nbytes, found,
                           made.chunk.source, &is_same);
        CHECK(status == 0 && is_same, "%s: %lld", where, (long long)status);
        free_case(&made);
    }
}

/* --- damage --------------------------------------------------------------------------------------- */

/* Decode the body of `made` with its first field set. */
static void expect_field(uint32_t value, int64_t status_expected)
{
    const znl_chunk *chunk = &made.chunk;
    int is_same;
    guarded body = guarded_copy(body_of(chunk), chunk->body_nbytes, 0);
    store_u32le(body.bytes + 8, value);
    for (int l = 0; l < level_count; l++) {
        use_level(l);
        const int64_t status =
            decode_exactly(chunk, body.bytes, body.nbytes, wire, chunk->source, &is_same);
        CHECK(status_expected ? status == status_expected : status != 0, "%s: field %#x: %lld",
              where, value, (long long)status);
    }
    use_level(0);
    CHECK(guarded_free(&body), "%s", where);
}

/* Flags, shift and map bits, one by one; bodies cut short. */
static void check_flips(void)
{
    const znl_chunk *chunk = &made.chunk;
    const size_t section = 8 + znl_arrangement_nbytes(&arrangement, chunk->table_count);
    int is_same;
    guarded body = guarded_copy(body_of(chunk), chunk->body_nbytes, 0);
    for (size_t bit = 8 * 8; bit < 8 * section; bit++) {
        if (bit >= 8 * 12 && bit < 8 * 20) continue; /* the part */
        body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        use_level((int)(bit % (size_t)level_count));
        const int64_t status =
            decode_exactly(chunk, body.bytes, body.nbytes, wire, chunk->source, &is_same);
        CHECK(status != 0, "%s: bit %zu passed", where, bit);
        body.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t length = 0; length < section + 8; length++) {
        const int64_t status =
            decode_exactly(chunk, body.bytes, length, wire, chunk->source, &is_same);
        CHECK(status == ZNL_E_TRUNCATED, "%s: %zu bytes: %lld", where, length, (long long)status);
    }
    for (size_t length = chunk->body_nbytes - 600; length < chunk->body_nbytes; length += 13)
        CHECK(decode_exactly(chunk, body.bytes, length, wire, chunk->source, &is_same) != 0,
              "%s: %zu bytes passed", where, length);
    use_level(0);
    CHECK(guarded_free(&body), "%s", where);
}

static void check_damage(unsigned dtype)
{
    const uint32_t one_sign = 1u << 16, sign = 1u << 17;
    const known_bits known = {dtype, 5, ALL_NEGATIVE, 2};
    order_as_source(9000);
    new_reduced(&known, 1);
    const unsigned most = dtype == 1 ? 48 : 16;
    for (unsigned shift = 0; shift < 64; shift++) {
        const uint32_t field = 1u | shift << 18;
        if (shift != 5) expect_field(field | one_sign | sign, shift > most ? ZNL_E_BAD_VALUE : 0);
        expect_field(field | sign, ZNL_E_BAD_VALUE);
        if (shift == 0 || shift > most) expect_field(field | one_sign, ZNL_E_BAD_VALUE);
    }
    expect_field(1u | one_sign | 5u << 18, ZNL_E_CHECKSUM);
    expect_field(1u | 5u << 18, ZNL_E_CHECKSUM);
    /* Second symbols: never beside a shift, nor with one reference; contexts: not without them. */
    for (unsigned second = 1; second < 64; second++) {
        expect_field(1u | one_sign | sign | 5u << 18 | second << 24, ZNL_E_BAD_VALUE);
        expect_field(1u | second << 24, ZNL_E_BAD_VALUE);
    }
    for (unsigned bit = 30; bit < 32; bit++)
        expect_field(1u | one_sign | sign | 5u << 18 | 1u << bit, ZNL_E_BAD_PADDING);
    check_flips();
    free_case(&made);
}

/* Values of one or two bytes have nothing of the kind. */
static void check_narrow(unsigned dtype)
{
    order_as_source(9000);
    made = new_case(dtype, GAUSSIAN, order.count, 0, 0, seed++);
    znl_chunk *chunk = &made.chunk;
    chunk->method = ZNL_METHOD_ARRANGED;
    chunk->table_count = 1;
    chunk->unit_shift = 0;
    chunk->status = 0;
    chunk->checksum = znl_xxh3_64_scalar(chunk->source, chunk->source_nbytes);
    fit_tables(znl_layout_of(dtype), chunk);
    encode_at(0, chunk);
    CHECK(arrangement.reduction.shift == 0, "%s", where);
    check_decoded(chunk);
    for (unsigned bit = 16; bit < 24; bit++) expect_field(1u | 1u << bit, 0);
    for (unsigned bit = 24; bit < 30; bit++) expect_field(1u | 1u << bit, ZNL_E_BAD_VALUE);
    for (unsigned bit = 30; bit < 32; bit++) expect_field(1u | 1u << bit, ZNL_E_BAD_PADDING);
    free_case(&made);
}

int main(void)
{
    new_levels();
    new_scratch();
    check_fields_alone();
    check_round_trips();
    for (unsigned dtype = 1; dtype <= 5; dtype += dtype == 2 ? 3 : 1) check_neighbours(dtype);
    check_nothing_found();
    for (int is_joined = 0; is_joined <= 1; is_joined++) {
        check_chosen(2, 13, is_joined); /* F16 in F32 */
        check_chosen(2, 16, is_joined); /* BF16 in F32 */
        check_chosen(5, 1, is_joined);
        check_chosen(1, 29, is_joined); /* F32 in F64 */
    }
    check_columns_regretted();
    for (unsigned dtype = 1; dtype <= 5; dtype += dtype == 2 ? 3 : 1) check_damage(dtype);
    check_narrow(4);
    free_scratch();
    return check_result();
}
