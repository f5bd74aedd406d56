/* SPDX-License-Identifier: Apache-2.0 */
/* The coder of every level against docs/format.md section 5.6 in its plainest form: words, patches
 * and states are the same, from any start state, and a decoder accepts and rejects the same inputs. */
#include "bytes.h"
#include "levels.h"

enum { VALUES = 1024, ROUNDS = 300, MAX_LANES = ZNL_WIDE_LANES, SYMBOL_BITS = 9 };

static znl_freq_table tables[ZNL_MAX_STATIC_TABLES];
static znl_encode_model encode_models[ZNL_MAX_STATIC_TABLES];
static znl_decode_model decode_models[ZNL_MAX_STATIC_TABLES];

/* One run of the coder: all that goes in and all that may come out. */
typedef struct {
    unsigned lane_count, table_count, unit_shift;
    size_t value_count, word_count, patch_count;
    uint16_t values[VALUES];
    uint8_t classes[VALUES / 64];
    uint32_t states[MAX_LANES];
    uint8_t words[2 * VALUES]; /* in the order a decoder takes them */
    uint32_t patches[VALUES];
} run;

static unsigned class_of(const run *r, size_t value)
{
    return r->table_count > 1 ? r->classes[value >> r->unit_shift] : 0;
}

/* The slot of a symbol's index, looked up in the decoder's table. */
static uint32_t slot_of(unsigned table, unsigned symbol, uint32_t index)
{
    for (uint32_t slot = 0; slot < ZNL_TABLE_SIZE; slot++) {
        const uint32_t entry = decode_models[table].slots[slot];
        if ((entry & 255) == symbol && (entry >> 8 & 4095) == index) return slot;
    }
    return UINT32_MAX;
}

static void encode_plainly(const run *in, run *out)
{
    static uint16_t words[VALUES];
    size_t words_emitted = 0, patches_emitted = 0;
    *out = *in;
    for (size_t i = in->value_count; i-- > 0;) {
        const unsigned table = class_of(in, i);
        unsigned symbol = znl_table_symbol(&tables[table], in->values[i], SYMBOL_BITS);
        if (symbol == ZNL_SYMBOL_COUNT) {
            symbol = 31;
            out->patches[VALUES - ++patches_emitted] = (uint32_t)i * 4096 + in->values[i];
        }
        const uint64_t f = tables[table].frequency[symbol];
        uint64_t x = out->states[i % in->lane_count];
        if (x >= f << 20) {
            words[words_emitted++] = (uint16_t)x;
            x >>= 16;
        }
        x = x / f * 4096 + slot_of(table, symbol, (uint32_t)(x % f));
        CHECK(x >> 32 == 0, "state above 32 bits");
        out->states[i % in->lane_count] = (uint32_t)x;
    }
    memmove(out->patches, out->patches + VALUES - patches_emitted, 4 * patches_emitted);
    for (size_t w = 0; w < words_emitted; w++)
        store_u16le(out->words + 2 * w, words[words_emitted - 1 - w]);
    out->word_count = words_emitted;
    out->patch_count = patches_emitted;
}

static int decode_plainly(run *r)
{
    size_t w = 0;
    for (size_t i = 0; i < r->value_count; i++) {
        const znl_decode_model *model = &decode_models[class_of(r, i)];
        uint32_t *x = &r->states[i % r->lane_count];
        const uint32_t entry = model->slots[*x % 4096];
        r->values[i] = model->value_of[entry & 255];
        *x = (entry >> 20) * (*x >> 12) + (entry >> 8 & 4095);
        if (*x < 65536) {
            if (w == r->word_count) return ZNL_E_BAD_STATE;
            *x = *x * 65536 + load_u16le(r->words + 2 * w++);
        }
    }
    for (unsigned lane = 0; lane < r->lane_count; lane++)
        if (r->states[lane] >> 16 != 1) return ZNL_E_BAD_STATE;
    return w == r->word_count ? ZNL_OK : ZNL_E_BAD_STATE;
}

/* Blocks that a kernel gets at a time: a unit, or a superblock where there is but one table. */
static size_t blocks_at_once(const run *r)
{
    return r->table_count > 1 && r->unit_shift == ZNL_UNIT_SHIFT_SMALL ? 1 : ZNL_SUPERBLOCK_BLOCKS;
}

/* The same run by the kernel, with exactly the room it needs. */
static void check_encoder(const run *in, const run *expected, unsigned round)
{
    const size_t step = blocks_at_once(in), blocks = in->value_count / 64;
    /* It may stop when less than a block of room is left. */
    guarded words = guarded_new(2 * (expected->word_count + 64), 0xee, round % 2);
    guarded patches = guarded_new(4 * (expected->patch_count + 64), 0xee, 0);
    guarded values = guarded_copy((const uint8_t *)in->values, 2 * in->value_count, 0);
    znl_encode_lanes lanes;
    memcpy(lanes.states, in->states, sizeof lanes.states);
    lanes.lane_count = in->lane_count;
    lanes.ahead = 0;
    lanes.ahead_nbytes = 0;
    lanes.words = words.bytes + words.nbytes;
    lanes.words_room = expected->word_count + 64;
    lanes.patches = (uint32_t *)(void *)(patches.bytes + patches.nbytes);
    lanes.patches_room = expected->patch_count + 64;
    for (size_t first = (blocks + step - 1) / step * step; first > 0;) {
        first -= step;
        const int status = level_kernels[level].rans_encode(
            &lanes, &encode_models[class_of(in, 64 * first)],
            (const uint16_t *)(void *)values.bytes + 64 * first, 64 * first,
            blocks - first < step ? blocks - first : step);
        CHECK(status == ZNL_OK, "round %u: %d", round, status);
    }
    CHECK(lanes.words_room == 64 && lanes.patches_room == 64, "round %u: room for %zu and %zu",
          round, lanes.words_room, lanes.patches_room);
    CHECK(lanes.words == words.bytes + 128 && (uint8_t *)lanes.patches == patches.bytes + 256,
          "round %u: pointers", round);
    CHECK(memcmp(words.bytes + 128, expected->words, 2 * expected->word_count) == 0, "round %u",
          round);
    CHECK(memcmp(patches.bytes + 256, expected->patches, 4 * expected->patch_count) == 0,
          "round %u", round);
    CHECK(memcmp(lanes.states, expected->states, 4 * in->lane_count) == 0, "round %u: states",
          round);
    CHECK(guarded_free(&words), "round %u: around the words", round);
    CHECK(guarded_free(&patches), "round %u: around the patches", round);
    CHECK(guarded_free(&values), "round %u: around the values", round);
}

/* Decode with `behind` readable bytes after the words: what a kernel may load, but not take. */
static void check_decoder_with(const run *in, const run *expected, int expected_status,
                               size_t behind, unsigned round)
{
    const size_t step = blocks_at_once(in), blocks = in->value_count / 64;
    guarded words = guarded_new(2 * in->word_count + behind, 0x5b, round % 2);
    guarded symbols = guarded_new(2 * in->value_count, 0xee, 0);
    memcpy(words.bytes, in->words, 2 * in->word_count);
    znl_decode_lanes lanes;
    memcpy(lanes.states, in->states, sizeof lanes.states);
    lanes.lane_count = in->lane_count;
    lanes.words = words.bytes;
    lanes.words_end = words.bytes + 2 * in->word_count;
    lanes.readable_end = words.bytes + words.nbytes;
    int status = ZNL_OK;
    for (size_t first = 0; first < blocks && status == ZNL_OK; first += step)
        status = level_kernels[level].rans_decode(&lanes, &decode_models[class_of(in, 64 * first)],
                                                  (uint16_t *)(void *)symbols.bytes + 64 * first,
                                                  blocks - first < step ? blocks - first : step);
    if (status == ZNL_OK) status = znl_lanes_check_end(&lanes);
    CHECK(status == expected_status, "round %u, %zu behind: %d, not %d", round, behind, status,
          expected_status);
    if (status == ZNL_OK) {
        CHECK(memcmp(symbols.bytes, expected->values, symbols.nbytes) == 0,
              "round %u, %zu behind: values", round, behind);
        CHECK(memcmp(lanes.states, expected->states, 4 * in->lane_count) == 0,
              "round %u, %zu behind: states", round, behind);
    }
    CHECK(guarded_free(&words), "round %u, %zu behind: around the words", round, behind);
    CHECK(guarded_free(&symbols), "round %u, %zu behind: around the symbols", round, behind);
}

static int check_decoder(const run *in, unsigned round)
{
    static const uint16_t lengths[] = {0, 62, 63, 64, 190, 191, 192, 193, 1000, 2500};
    run expected = *in;
    const int status = decode_plainly(&expected);
    check_decoder_with(in, &expected, status, 0, round);
    check_decoder_with(in, &expected, status, lengths[round % 10], round);
    check_decoder_with(in, &expected, status, 2 * VALUES + 64, round); /* never careful */
    return status;
}

static void random_run(uint64_t *seed, run *r)
{
    memset(r, 0, sizeof *r);
    r->lane_count = random_below(seed, 2) ? ZNL_WIDE_LANES : ZNL_NARROW_LANES;
    r->table_count = random_below(seed, 2) ? 1 : 2 + random_below(seed, ZNL_MAX_STATIC_TABLES - 1);
    r->unit_shift = r->table_count > 1 ? 6 + 3 * random_below(seed, 2) : 0;
    r->value_count = 64 * (1 + random_below(seed, VALUES / 64));
    for (unsigned t = 0; t < r->table_count; t++) {
        const unsigned kind = random_below(seed, 4);
        unsigned left = ZNL_TABLE_SIZE - ZNL_SYMBOL_COUNT;
        znl_table_universal(random_below(seed, 16), random_below(seed, 1 << SYMBOL_BITS),
                            &tables[t]);
        for (unsigned s = 0; kind && s < ZNL_SYMBOL_COUNT; s++) {
            const unsigned more =
                s == 31 ? left : random_below(seed, left / (kind == 1 ? 1 : 8) + 1);
            tables[t].frequency[s] = (uint16_t)(1 + more);
            left -= more;
        }
        tables[t].has_zero = (uint16_t)random_below(seed, 2);
        znl_encode_model_build(&tables[t], SYMBOL_BITS, &encode_models[t]);
        znl_decode_model_build(&tables[t], SYMBOL_BITS, 1, &decode_models[t]);
    }
    for (size_t u = 0; u < VALUES / 64; u++)
        r->classes[u] = (uint8_t)random_below(seed, r->table_count);
    const uint32_t patched = random_below(seed, 3) * random_below(seed, 40);
    for (size_t i = 0; i < r->value_count; i++) {
        const znl_freq_table *table = &tables[class_of(r, i)];
        r->values[i] = (uint16_t)znl_table_value(table, random_below(seed, 32), SYMBOL_BITS);
        if (random_below(seed, 100) < patched)
            r->values[i] = (uint16_t)random_below(seed, 1 << SYMBOL_BITS);
    }
    for (unsigned lane = 0; lane < r->lane_count; lane++)
        r->states[lane] = 65536 + random_below(seed, 65536);
}

/* Start where the first value on each lane just does, or just does not, emit a word. */
static void start_on_the_edge(uint64_t *seed, run *r)
{
    for (unsigned lane = 0; lane < r->lane_count; lane++) {
        const size_t i = r->value_count - r->lane_count + lane;
        const znl_freq_table *table = &tables[class_of(r, i)];
        const unsigned symbol = znl_table_symbol(table, r->values[i], SYMBOL_BITS);
        const uint32_t f = table->frequency[symbol < 32 ? symbol : 31];
        const uint32_t edges[4] = {f << 20, (f << 20) - 1, UINT32_MAX, 65536};
        r->states[lane] = edges[random_below(seed, 4)];
    }
}

static void check_level(void)
{
    static run in, expected;
    uint64_t seed = 7;
    for (unsigned round = 0; round < ROUNDS; round++) {
        random_run(&seed, &in);
        encode_plainly(&in, &expected);
        check_encoder(&in, &expected, round);
        CHECK(check_decoder(&expected, round) == ZNL_OK, "round %u", round);
        run damaged = expected; /* the decoders agree on what is not right, too */
        if (round % 4 == 0 && damaged.word_count) damaged.word_count--;
        if (round % 4 == 1 && damaged.word_count < VALUES) damaged.word_count++;
        if (round % 4 == 2)
            damaged.states[random_below(&seed, in.lane_count)] ^= 1u << random_below(&seed, 32);
        if (round % 4 == 3) damaged.words[random_below(&seed, 2 * VALUES)] ^= 0x10;
        check_decoder(&damaged, round);
        for (unsigned lane = 0; lane < in.lane_count; lane++)
            damaged.states[lane] = (uint32_t)random_u64(&seed) >> random_below(&seed, 32);
        check_decoder(&damaged, round);
        damaged.value_count = 64; /* no words, and states too high to need one */
        damaged.word_count = 0;
        for (unsigned lane = 0; lane < in.lane_count; lane++)
            damaged.states[lane] = UINT32_MAX - (uint32_t)random_below(&seed, 4096);
        check_decoder(&damaged, round);
        start_on_the_edge(&seed, &in);
        encode_plainly(&in, &expected);
        check_encoder(&in, &expected, round);
    }
}

int main(void)
{
    new_levels();
    for (int i = 0; i < level_count; i++) {
        use_level(i);
        check_level();
    }
    return check_result();
}
