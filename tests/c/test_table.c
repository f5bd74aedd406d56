/* SPDX-License-Identifier: Apache-2.0 */
/* Frequency tables: what is fitted is valid, what is written reads back, what is damaged is
 * rejected, every slot has one owner, and the encoder divides exactly. */
#include <stddef.h>

#include "check.h"
#include "checksum.h"
#include "errors.h"
#include "rans.h"
#include "table.h"

enum { RANDOM_TABLES = 3000, MAX_VALUES = ZNL_MAX_SYMBOL_VALUES };

static const unsigned SYMBOL_BITS[] = {5, 6, 8, 9, 12};
enum { SYMBOL_BITS_COUNT = sizeof SYMBOL_BITS / sizeof SYMBOL_BITS[0] };

static unsigned frequency_sum(const znl_freq_table *table)
{
    unsigned sum = 0;
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) sum += table->frequency[s];
    return sum;
}

static int same_table(const znl_freq_table *a, const znl_freq_table *b)
{
    return a->base == b->base && a->has_zero == b->has_zero &&
           memcmp(a->frequency, b->frequency, sizeof a->frequency) == 0;
}

/* --- valid, and equal after write and read ------------------------------------------------------ */

static void check_round_trip(const znl_freq_table *table, const char *what)
{
    guarded wire = guarded_new(ZNL_MAX_TABLE_NBYTES, 0xaa, 0);
    const size_t nbytes = znl_table_write(table, wire.bytes);
    CHECK(nbytes >= 4 && nbytes <= ZNL_MAX_TABLE_NBYTES && nbytes % 4 == 0, "%s: %zu", what,
          nbytes);
    guarded exact = guarded_copy(wire.bytes, nbytes, 1);
    znl_freq_table found;
    memset(&found, 0xff, sizeof found);
    const int status = znl_table_read(exact.bytes, nbytes, &found);
    CHECK(status == ZNL_OK, "%s: %d", what, status);
    CHECK(same_table(table, &found), "%s", what);
    uint64_t name = 0;
    CHECK(znl_table_check(exact.bytes, nbytes, &name) == ZNL_OK, "%s", what);
    CHECK(name == (znl_xxh3_64_scalar(exact.bytes, nbytes) | ZNL_TABLE_NAME_BIT), "%s", what);
    CHECK(guarded_free(&exact), "%s", what);
    CHECK(guarded_free(&wire), "%s", what);
}

static void check_valid(const znl_freq_table *table, unsigned symbol_bits, const char *what)
{
    CHECK(frequency_sum(table) == ZNL_TABLE_SIZE, "%s: sum %u", what, frequency_sum(table));
    CHECK(table->base < 1u << symbol_bits, "%s: base %u", what, table->base);
    CHECK(table->has_zero <= 1, "%s: has_zero %u", what, table->has_zero);
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++)
        CHECK(table->frequency[s] >= 1, "%s: symbol %u", what, s);
    /* A value that has a symbol comes back as itself. */
    for (unsigned value = 0; value < 1u << symbol_bits; value++) {
        const unsigned symbol = znl_table_symbol(table, value, symbol_bits);
        if (symbol == ZNL_SYMBOL_COUNT) continue;
        CHECK(symbol < ZNL_SYMBOL_COUNT, "%s: value %u: %u", what, value, symbol);
        CHECK(znl_table_value(table, symbol, symbol_bits) == value, "%s: value %u", what, value);
    }
    check_round_trip(table, what);
}

static void fit_and_check(const uint32_t *counts, unsigned symbol_bits, const char *kind)
{
    char what[64];
    snprintf(what, sizeof what, "S = %u, %s", symbol_bits, kind);
    /* Exactly as many counts as the contract promises, so that ASan sees a read past them. */
    const size_t nbytes = sizeof *counts << symbol_bits;
    guarded exact = guarded_copy((const uint8_t *)counts, nbytes, 0);
    const uint32_t *exact_counts = (const uint32_t *)(const void *)exact.bytes;
    znl_freq_table table;
    memset(&table, 0xff, sizeof table);
    znl_table_fit(exact_counts, symbol_bits, &table);
    check_valid(&table, symbol_bits, what);
    uint64_t total = 0;
    for (unsigned value = 0; value < 1u << symbol_bits; value++) total += counts[value];
    const uint64_t cost = znl_table_cost(&table, exact_counts, symbol_bits);
    CHECK(cost <= total * ((ZNL_TABLE_BITS + 32) << 8), "%s: cost of %llu values is %llu", what,
          (unsigned long long)total, (unsigned long long)cost);
    /* No window of 31 values without the value 0 holds more. */
    for (unsigned base = 1; symbol_bits < 12 && base + 31 <= 1u << symbol_bits; base++) {
        uint64_t held = 0, other = 0;
        for (unsigned s = 0; s < 31; s++) {
            held += counts[table.base + s];
            other += counts[base + s];
        }
        CHECK(held >= other, "%s: base %u, not %u", what, base, table.base);
    }
    CHECK(guarded_free(&exact), "%s", what);
}

static void check_fit(void)
{
    static uint32_t counts[MAX_VALUES];
    uint64_t seed = 1;
    for (unsigned k = 0; k < SYMBOL_BITS_COUNT; k++) {
        const unsigned bits = SYMBOL_BITS[k], values = 1u << bits;
        const uint32_t hugest = UINT32_C(1) << 31;
        memset(counts, 0, sizeof counts);
        fit_and_check(counts, bits, "no counts");
        for (unsigned value = 0; value < values; value++) {
            static const uint32_t bin_counts[] = {1, 64, UINT32_C(1) << 31, UINT32_MAX};
            for (unsigned i = 0; i < 4; i++) {
                if (bits == 12 && i != value % 4) continue;
                counts[value] = bin_counts[i];
                fit_and_check(counts, bits, "one bin");
            }
            counts[value] = 0;
        }
        counts[0] = counts[values - 1] = hugest;
        fit_and_check(counts, bits, "both ends");
        counts[1] = 1;
        fit_and_check(counts, bits, "both ends and 1");
        memset(counts, 0, sizeof counts);
        for (unsigned value = values - 31; value < values; value++) counts[value] = hugest;
        fit_and_check(counts, bits, "the last 31");
        for (unsigned value = 0; value < values; value++) counts[value] = hugest;
        fit_and_check(counts, bits, "all huge");
        for (unsigned value = 0; value < values; value++) counts[value] = 1;
        fit_and_check(counts, bits, "uniform");
        counts[values / 2] = hugest;
        fit_and_check(counts, bits, "uniform and one huge");
        for (unsigned round = 0; round < 300; round++) {
            /* Random counts of random magnitudes, a random share of them zero. */
            const uint32_t share = 1 + random_below(&seed, 64);
            for (unsigned value = 0; value < values; value++)
                counts[value] =
                    random_below(&seed, 64) < share
                        ? (uint32_t)(random_u64(&seed) >> (33 + random_below(&seed, 31)))
                        : 0;
            fit_and_check(counts, bits, "random");
        }
    }
    for (unsigned shape = 0; shape < ZNL_UNIVERSAL_SHAPES; shape++) {
        znl_freq_table table;
        znl_table_universal(shape, 100 * shape, &table);
        CHECK(table.has_zero == 1, "shape %u", shape);
        check_valid(&table, 12, "universal");
    }
}

/* --- slots -------------------------------------------------------------------------------------- */

/* A random table; small frequencies and ones on the border of a bucket are favoured. */
static void random_table(uint64_t *seed, znl_freq_table *table)
{
    unsigned left = ZNL_TABLE_SIZE - ZNL_SYMBOL_COUNT;
    const unsigned kind = random_below(seed, 6);
    table->base = (uint16_t)random_below(seed, MAX_VALUES);
    table->has_zero = (uint16_t)random_below(seed, 2);
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) table->frequency[s] = 1;
    if (kind == 0) { /* all of one bucket, then moved by one here and there */
        for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) table->frequency[s] = ZNL_BUCKET_SIZE;
        for (unsigned moves = random_below(seed, 8); moves > 0; moves--) {
            table->frequency[random_below(seed, 16)]++;
            table->frequency[16 + random_below(seed, 16)]--;
        }
        return;
    }
    while (left) {
        const unsigned s = random_below(seed, ZNL_SYMBOL_COUNT) & (kind == 1 ? 1u : 31u);
        const unsigned limit = kind == 2 ? left : kind == 3 ? ZNL_BUCKET_SIZE - 1 : 1 + left / 4;
        unsigned given = random_below(seed, limit) + 1;
        if (kind == 4 && left >= ZNL_BUCKET_SIZE) given = ZNL_BUCKET_SIZE;
        if (given > left) given = left;
        table->frequency[s] = (uint16_t)(table->frequency[s] + given);
        left -= given;
    }
}

/* docs/format.md section 5.5, word for word. */
static void owners_of_slots(const uint16_t *f, uint8_t *owner, uint16_t *index_of)
{
    int rem[32], thr[32], alias[32], next[32], off[32], small[32], large[32];
    int small_count = 0, large_count = 0;
    for (int s = 0; s < 32; s++) {
        rem[s] = f[s], alias[s] = s, thr[s] = 128, off[s] = 0;
        if (rem[s] < 128)
            small[small_count++] = s;
        else
            large[large_count++] = s;
    }
    while (small_count && large_count) {
        const int b = small[--small_count], l = large[large_count - 1];
        thr[b] = rem[b], alias[b] = l, rem[l] = rem[l] - (128 - rem[b]);
        if (rem[l] < 128) large_count--, small[small_count++] = l;
    }
    for (int s = 0; s < 32; s++) next[s] = thr[s];
    for (int b = 0; b < 32; b++)
        if (thr[b] < 128) off[b] = next[alias[b]] - thr[b], next[alias[b]] += 128 - thr[b];
    for (int b = 0; b < 32; b++)
        for (int r = 0; r < 128; r++) {
            owner[128 * b + r] = (uint8_t)(r < thr[b] ? b : alias[b]);
            index_of[128 * b + r] = (uint16_t)(r < thr[b] ? r : r + off[b]);
        }
}

/* Slot by slot, what the vector kernels look up says the same as the table of slots; without that
 * table it is the same again. */
static void check_buckets(const znl_freq_table *table, const znl_decode_model *with_slots,
                          unsigned round)
{
    static znl_decode_model model;
    memset(&model, 0x3c, sizeof model);
    znl_decode_model_build(table, 12, 0, &model);
    CHECK(memcmp(&model, with_slots, offsetof(znl_decode_model, slots)) == 0, "table %u", round);
    for (unsigned slot = 0; slot < ZNL_TABLE_SIZE; slot++) {
        const unsigned b = slot / 128, place = slot % 128, entry = with_slots->slots[slot];
        const int is_lent = (place << 9 | 511) >= model.bound[b];
        const unsigned symbol = is_lent ? model.bound[b] & 31u : b;
        const unsigned index = (place + (is_lent ? model.shift[b] : 0u)) & 65535;
        CHECK((unsigned)(is_lent ? model.lent : model.own)[b] << 16 == (entry >> 20) << 20 &&
                  index == (entry >> 8 & 4095) && symbol == (entry & 255),
              "table %u: slot %u", round, slot);
    }
    for (unsigned b = 0; b < ZNL_SYMBOL_COUNT; b++) {
        const uint8_t(*bytes)[ZNL_SYMBOL_COUNT] = model.bytes;
        CHECK(bytes[ZNL_BYTES_THRESHOLD][b] == model.bound[b] >> 9 &&
                  (bytes[ZNL_BYTES_TURN][b] ^ b) == (model.bound[b] & 31u) &&
                  (bytes[ZNL_BYTES_FREQUENCY_LOW][b] | bytes[ZNL_BYTES_FREQUENCY_HIGH][b] << 8) ==
                      model.own[b] &&
                  (bytes[ZNL_BYTES_SHIFT_LOW][b] | bytes[ZNL_BYTES_SHIFT_HIGH][b] << 8) ==
                      model.shift[b] &&
                  (bytes[ZNL_BYTES_VALUE_LOW][b] | bytes[ZNL_BYTES_VALUE_HIGH][b] << 8) ==
                      model.value_of[b],
              "table %u: bytes of %u", round, b);
        CHECK(model.value_of[b] == znl_table_value(table, b, 12), "table %u: value of %u", round,
              b);
    }
}

/* The symbol of every value by arithmetic, as vectors find it, and by the table. */
static void check_symbols(const znl_freq_table *table, const znl_encode_model *model,
                          unsigned round)
{
    for (unsigned value = 0; value < MAX_VALUES; value++) {
        const unsigned expected = znl_table_symbol(table, value, 12);
        const unsigned offset = (value - model->base) & model->mask;
        const unsigned symbol = value == model->value_of[31] || offset > 31 ? 31 : offset;
        const int is_patched = model->value_of[symbol] != value;
        CHECK(model->symbol_of[value] ==
                  (expected < ZNL_SYMBOL_COUNT ? expected : (ZNL_PATCHED | 31)),
              "table %u: value %u", round, value);
        CHECK(is_patched == (expected == ZNL_SYMBOL_COUNT) && (is_patched || symbol == expected),
              "table %u: value %u: %u", round, value, symbol);
    }
}

/* The slot of a symbol's index as vectors find it: in the symbol's own bucket or a lent piece. */
static unsigned slot_by_pieces(const znl_encode_model *model, unsigned symbol, unsigned index)
{
    const znl_piece_model *pieces = &model->pieces;
    const unsigned c = model->first[symbol] + index;
    if (index < pieces->threshold[symbol]) return (uint16_t)(c + pieces->own_shift[symbol]);
    unsigned piece = pieces->piece_of[c / (ZNL_TABLE_SIZE / ZNL_CELL_COUNT)];
    for (unsigned step = 0; step < pieces->steps; step++) piece += c > pieces->last_of[piece];
    return (uint16_t)(c + pieces->lent_shift[piece]);
}

static void check_slots(const znl_freq_table *table, unsigned round)
{
    static znl_encode_model encoder;
    static znl_decode_model decoder;
    static uint8_t owner[ZNL_TABLE_SIZE];
    static uint16_t index_of[ZNL_TABLE_SIZE];
    static uint8_t seen[ZNL_SYMBOL_COUNT][ZNL_TABLE_SIZE];
    memset(&encoder, 0xff, sizeof encoder);
    memset(seen, 0, sizeof seen);
    znl_encode_model_build(table, 12, &encoder);
    memset(&decoder, 0xff, sizeof decoder);
    znl_decode_model_build(table, 12, 1, &decoder);
    owners_of_slots(table->frequency, owner, index_of);
    for (unsigned slot = 0; slot < ZNL_TABLE_SIZE; slot++) {
        const uint32_t entry = decoder.slots[slot];
        const unsigned symbol = entry & 255, index = entry >> 8 & 4095, frequency = entry >> 20;
        CHECK(symbol == owner[slot] && index == index_of[slot],
              "table %u: slot %u: %u %u, not %u %u", round, slot, symbol, index, owner[slot],
              index_of[slot]);
        if (symbol >= ZNL_SYMBOL_COUNT) continue;
        CHECK(frequency == table->frequency[symbol] && index < frequency, "table %u: slot %u",
              round, slot);
        CHECK(!seen[symbol][index], "table %u: slot %u: %u %u again", round, slot, symbol, index);
        seen[symbol][index] = 1;
        const uint16_t *slots = encoder.slots + encoder.begin[symbol];
        CHECK(slots[index] == slot && slots[frequency + index] == slot + ZNL_TABLE_SIZE,
              "table %u: slot %u: %u, %u", round, slot, slots[index], slots[frequency + index]);
        CHECK(slot_by_pieces(&encoder, symbol, index) == slot, "table %u: slot %u", round, slot);
    }
    check_buckets(table, &decoder, round);
    if (round % 8 == 0) check_symbols(table, &encoder, round);
    /* 4096 different pairs, all with index < f[s], and the f[s] sum to 4096: each pair once. */
}

static void check_random_tables(void)
{
    uint64_t seed = 2;
    znl_freq_table table;
    for (unsigned round = 0; round < RANDOM_TABLES; round++) {
        random_table(&seed, &table);
        check_round_trip(&table, "random table");
        check_slots(&table, round);
    }
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) { /* the most that one symbol can have */
        for (unsigned t = 0; t < ZNL_SYMBOL_COUNT; t++)
            table.frequency[t] = (uint16_t)(t == s ? ZNL_TABLE_SIZE - 31 : 1);
        check_round_trip(&table, "one large");
        check_slots(&table, RANDOM_TABLES + s);
    }
    for (unsigned shape = 0; shape < ZNL_UNIVERSAL_SHAPES; shape++) {
        znl_table_universal(shape, 0, &table);
        check_slots(&table, RANDOM_TABLES + ZNL_SYMBOL_COUNT + shape);
    }
}

/* --- what a reader must reject ------------------------------------------------------------------ */

static int read_exact(const uint8_t *in, size_t nbytes)
{
    znl_freq_table table;
    guarded exact = guarded_copy(in, nbytes, 3);
    const int status = znl_table_read(exact.bytes, nbytes, &table);
    CHECK(status <= ZNL_OK && status >= ZNL_E_BAD_CALL, "%d", status);
    if (status == ZNL_OK) {
        CHECK(frequency_sum(&table) == ZNL_TABLE_SIZE, "sum %u", frequency_sum(&table));
        CHECK(table.base < MAX_VALUES && table.has_zero <= 1, "%u %u", table.base, table.has_zero);
    }
    CHECK(guarded_free(&exact), "%zu bytes", nbytes);
    return status;
}

static void set_bits(uint8_t *out, size_t first, unsigned count, unsigned value)
{
    for (unsigned i = 0; i < count; i++) {
        const size_t bit = first + i;
        out[bit / 8] = (uint8_t)((out[bit / 8] & ~(1u << bit % 8)) | (value >> i & 1u) << bit % 8);
    }
}

static void check_rejections(void)
{
    /* 31 frequencies of 1 (4 bits each), then 4065 = 2^11 + 2017: 16 + 124 + 15 = 155 bits. */
    znl_freq_table table = {.base = 4095, .has_zero = 1};
    uint8_t good[64] = {0}, bad[64];
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++)
        table.frequency[s] = (uint16_t)(s == 31 ? 4065 : 1);
    const size_t nbytes = znl_table_write(&table, good);
    CHECK(nbytes == 20, "%zu", nbytes);
    CHECK(read_exact(good, nbytes) == ZNL_OK, "good");
#define CHECK_BAD(expected, size)                                                                  \
    do {                                                                                           \
        const int found = read_exact(bad, size);                                                   \
        CHECK(found == (expected), "%d", found);                                                   \
        memcpy(bad, good, sizeof bad);                                                             \
    } while (0)
    memcpy(bad, good, sizeof bad);
    for (int change = -1; change <= 1; change += 2) {
        set_bits(bad, 144, 11, (unsigned)(2017 + change)); /* sum 4095 or 4097 */
        CHECK_BAD(ZNL_E_BAD_TABLE, nbytes);
    }
    for (unsigned c = 12; c < 16; c++) {
        set_bits(bad, 140, 4, c);
        CHECK_BAD(ZNL_E_BAD_TABLE, nbytes);
        set_bits(bad, 16, 4, c);
        CHECK_BAD(ZNL_E_BAD_TABLE, nbytes);
    }
    for (unsigned bit = 12; bit < 15; bit++) {
        set_bits(bad, bit, 1, 1);
        CHECK_BAD(ZNL_E_BAD_VALUE, nbytes);
    }
    for (unsigned bit = 155; bit < 160; bit++) {
        set_bits(bad, bit, 1, 1);
        CHECK_BAD(ZNL_E_BAD_PADDING, nbytes);
    }
    for (size_t size = 0; size <= sizeof good; size++) { /* cut short, or with zeros added */
        if (size == nbytes) continue;
        const int cut = size >= 4 && size < nbytes && size % 4 == 0;
        const int longer = size > nbytes && size <= ZNL_MAX_TABLE_NBYTES && size % 4 == 0;
        CHECK_BAD(cut ? ZNL_E_TRUNCATED : longer ? ZNL_E_BAD_SIZE : ZNL_E_BAD_VALUE, size);
    }
#undef CHECK_BAD
    uint64_t name;
    CHECK(znl_table_check(good, nbytes - 4, &name) == ZNL_E_TRUNCATED, "cut");
    /* Bit flips and random bytes: a code, or a table that is valid and written the same again. */
    uint64_t seed = 3;
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t wire[ZNL_MAX_TABLE_NBYTES], again[ZNL_MAX_TABLE_NBYTES];
        random_table(&seed, &table);
        size_t size = znl_table_write(&table, wire);
        if (round % 16 == 0) {
            size = random_below(&seed, ZNL_MAX_TABLE_NBYTES + 1);
            for (size_t i = 0; i < size; i++) wire[i] = (uint8_t)random_u64(&seed);
        }
        for (unsigned flips = random_below(&seed, 3); flips > 0 && size > 0; flips--)
            wire[random_below(&seed, (uint32_t)size)] ^= (uint8_t)(1 << random_below(&seed, 8));
        if (read_exact(wire, size) != ZNL_OK) continue;
        znl_table_read(wire, size, &table);
        const size_t again_nbytes = znl_table_write(&table, again);
        CHECK(again_nbytes == size && memcmp(wire, again, size) == 0, "round %u", round);
    }
}

/* --- division ----------------------------------------------------------------------------------- */

static void check_division(void)
{
    static znl_encode_model model;
    uint64_t seed = 4;
    for (uint32_t f = 1; f < ZNL_TABLE_SIZE; f++) {
        /* A whole table where one has this frequency, and the formula itself for the rest. */
        uint64_t reciprocal = ((UINT64_C(1) << ZNL_RECIPROCAL_SHIFT) + f - 1) / f;
        float inverse = 0; /* of no table */
        if (f <= ZNL_TABLE_SIZE - 31) {
            znl_freq_table table = {.base = 0, .has_zero = 0};
            for (unsigned s = 0; s < 32; s++) table.frequency[s] = 1;
            table.frequency[7] = (uint16_t)f;
            table.frequency[8] = (uint16_t)(ZNL_TABLE_SIZE - 30 - f);
            znl_encode_model_build(&table, 5, &model);
            CHECK(model.reciprocal[7] == reciprocal, "f = %u", f);
            reciprocal = model.reciprocal[7];
            inverse = model.inverse[7];
        }
        const uint32_t limit = f << 20; /* 4095 << 20 is below 2^32 */
        uint64_t wrong = 0;
        for (unsigned i = 0; i < 200; i++) {
            /* Quotients over the whole range, and the multiple of f on either side of each. */
            const uint32_t quotient = i < 16   ? i
                                      : i < 32 ? (UINT32_C(1) << 20) - (i - 15)
                                               : random_below(&seed, UINT32_C(1) << 20);
            for (uint32_t remainder = 0; remainder < 4; remainder++) {
                const uint32_t r = remainder == 0   ? 0
                                   : remainder == 1 ? f - 1
                                   : remainder == 2 ? f / 2
                                                    : 1;
                const uint64_t x = (uint64_t)quotient * f + r;
                if (x >= limit) continue;
                wrong += (x * reciprocal) >> ZNL_RECIPROCAL_SHIFT != x / f;
                /* As vectors divide: exact or 1 short. */
                const float product = (float)(uint32_t)x * inverse;
                wrong += inverse != 0 && (uint32_t)product != quotient &&
                         (uint32_t)product + 1 != quotient;
            }
        }
        wrong += ((uint64_t)(limit - 1) * reciprocal) >> ZNL_RECIPROCAL_SHIFT != (limit - 1) / f;
        CHECK(wrong == 0, "f = %u", f);
    }
}

/* --- code lengths ------------------------------------------------------------------------------- */

static void check_code_lengths(void)
{
    CHECK(znl_code_length(1) == 12 << 8, "%u", znl_code_length(1));
    CHECK(znl_code_length(2048) == 1 << 8, "%u", znl_code_length(2048));
    for (unsigned f = 1; f < 4095; f++)
        CHECK(znl_code_length(f) >= znl_code_length(f + 1), "f = %u", f);
}

int main(void)
{
    check_fit();
    check_random_tables();
    check_rejections();
    check_division();
    check_code_lengths();
    return check_result();
}
