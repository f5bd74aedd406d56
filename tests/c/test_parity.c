/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel by kernel, every level gives what the portable one gives: outputs, states, pointers, rooms and
 * status, on random and on extreme inputs, in buffers that end where the contract says.
 *
 * Whole chunks are compared in test_static.c and test_damage.c, the specification in test_rans.c,
 * test_planes.c and test_checksum.c.
 */
#include "bytes.h"
#include "levels.h"
#include "values.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#define HAS_ROUNDING_MODES 1
#else
#define HAS_ROUNDING_MODES 0
#endif

enum { MAX_BLOCKS = 24, MAX_VALUES = 64 * MAX_BLOCKS };

static const unsigned SYMBOL_BITS[] = {5, 6, 8, 9, 12};

/* The arguments of one case, for messages. */
static char where[128];

/* --- tables ------------------------------------------------------------------------------------- */

static znl_freq_table tables[ZNL_MAX_STATIC_TABLES];
static znl_encode_model encode_models[ZNL_MAX_STATIC_TABLES];
static znl_decode_model decode_models[2]
                                     [ZNL_MAX_STATIC_TABLES]; /* without, with the table of slots */

/* Frequencies of a kind: 0 to 31 all but 31 to that symbol, then equal ones, universal, random. */
static void make_frequencies(unsigned kind, uint64_t *seed, znl_freq_table *table)
{
    unsigned left = ZNL_TABLE_SIZE - ZNL_SYMBOL_COUNT;
    znl_table_universal(random_below(seed, ZNL_UNIVERSAL_SHAPES), 0, table);
    if (kind == 33) return;
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) {
        unsigned more = 0;
        if (kind < 32) more = s == kind ? left : 0;
        if (kind == 32) more = ZNL_BUCKET_SIZE - 1;
        if (kind > 33) more = s == 31 ? left : random_below(seed, left / (kind % 9 + 1) + 1);
        if (kind > 33) left -= more;
        table->frequency[s] = (uint16_t)(1 + more);
    }
}

/* Bases where the window wraps around are favoured: 0 then is in it, and may be symbol 31, too. */
static void make_tables(unsigned symbol_bits, unsigned kind, uint64_t *seed)
{
    const unsigned value_count = 1u << symbol_bits;
    memset(encode_models, 0xa5, sizeof encode_models);
    memset(decode_models, 0xa5, sizeof decode_models);
    for (unsigned t = 0; t < ZNL_MAX_STATIC_TABLES; t++) {
        make_frequencies((kind + t * 7) % 48, seed, &tables[t]);
        tables[t].base = (uint16_t)(random_below(seed, 2) ? value_count - 1 - random_below(seed, 32)
                                                          : random_below(seed, value_count));
        tables[t].has_zero = (uint16_t)(random_below(seed, 3) > 0);
        znl_encode_model_build(&tables[t], symbol_bits, &encode_models[t]);
        for (int with = 0; with < 2; with++)
            znl_decode_model_build(&tables[t], symbol_bits, with, &decode_models[with][t]);
    }
}

/* --- the encoder -------------------------------------------------------------------------------- */

/* Values to code, and the table of each block. */
typedef struct {
    unsigned symbol_bits, lane_count;
    size_t block_count;
    uint8_t class_of[MAX_BLOCKS];
    uint16_t values[MAX_VALUES];
    uint32_t states[ZNL_WIDE_LANES];
} plain;

typedef struct {
    int status;
    znl_encode_lanes lanes;
    uint8_t words[2 * MAX_VALUES + 256]; /* those emitted come last */
    uint32_t patches[MAX_VALUES + 64];
    size_t word_count, patch_count;
} coded;

/* Blocks from `first` on that have one table: at most `most`. */
static size_t run_length(const uint8_t *class_of, size_t first, size_t end, size_t most)
{
    size_t count = 1;
    while (first + count < end && count < most && class_of[first + count] == class_of[first])
        count++;
    return count;
}

/* An encoder's buffers, with rooms of exactly these sizes. */
typedef struct {
    guarded words, patches, values;
} encode_buffers;

static encode_buffers begin_encoding(const plain *in, size_t words_room, size_t patches_room,
                                     coded *out)
{
    encode_buffers buffers;
    buffers.words = guarded_new(2 * words_room, 0xee, (unsigned)(words_room % 3));
    buffers.patches = guarded_new(4 * patches_room, 0xee, 0);
    buffers.values = guarded_copy((const uint8_t *)in->values, 128 * in->block_count,
                                  2 * (unsigned)(words_room % 7));
    memset(out, 0, sizeof *out);
    memcpy(out->lanes.states, in->states, sizeof in->states);
    out->lanes.lane_count = in->lane_count;
    out->lanes.ahead = (uintptr_t)in; /* nothing may depend on it */
    out->lanes.ahead_nbytes = 64 * (in->lane_count % 5);
    out->lanes.words = buffers.words.bytes + buffers.words.nbytes;
    out->lanes.words_room = words_room;
    out->lanes.patches = (uint32_t *)(void *)(buffers.patches.bytes + buffers.patches.nbytes);
    out->lanes.patches_room = patches_room;
    return buffers;
}

static void end_encoding(const plain *in, encode_buffers *buffers, coded *out)
{
    const guarded *words = &buffers->words, *patches = &buffers->patches;
    out->word_count = words->nbytes / 2 - out->lanes.words_room;
    out->patch_count = patches->nbytes / 4 - out->lanes.patches_room;
    CHECK(out->lanes.words == words->bytes + 2 * out->lanes.words_room, "%s: words", where);
    CHECK((uint8_t *)out->lanes.patches == patches->bytes + 4 * out->lanes.patches_room,
          "%s: patches", where);
    memcpy(out->words + sizeof out->words - 2 * out->word_count, out->lanes.words,
           2 * out->word_count);
    memcpy(out->patches, out->lanes.patches, 4 * out->patch_count);
    CHECK(memcmp(buffers->values.bytes, in->values, buffers->values.nbytes) == 0,
          "%s: wrote to the values", where);
    CHECK(guarded_free(&buffers->words), "%s: around the words", where);
    CHECK(guarded_free(&buffers->patches), "%s: around the patches", where);
    CHECK(guarded_free(&buffers->values), "%s: around the values", where);
}

/* Encode `most` blocks a call, back to front as a chunk is. */
static void encode_at(int isa, const plain *in, size_t words_room, size_t patches_room, size_t most,
                      coded *out)
{
    size_t starts[MAX_BLOCKS + 1], runs = 0;
    const znl_kernels *kernels = use_level(isa);
    encode_buffers buffers = begin_encoding(in, words_room, patches_room, out);
    for (size_t first = 0; first < in->block_count; runs++) {
        starts[runs] = first;
        first += run_length(in->class_of, first, in->block_count, most);
    }
    starts[runs] = in->block_count;
    while (runs-- > 0 && out->status == ZNL_OK)
        out->status =
            kernels->rans_encode(&out->lanes, &encode_models[in->class_of[starts[runs]]],
                                 (uint16_t *)(void *)buffers.values.bytes + 64 * starts[runs],
                                 64 * starts[runs], starts[runs + 1] - starts[runs]);
    end_encoding(in, &buffers, out);
}

static void check_same_code(const coded *found, const coded *expected)
{
    CHECK(found->status == expected->status, "%s: %d, not %d", where, found->status,
          expected->status);
    CHECK(found->word_count == expected->word_count && found->patch_count == expected->patch_count,
          "%s: %zu words, %zu patches, not %zu, %zu", where, found->word_count, found->patch_count,
          expected->word_count, expected->patch_count);
    CHECK(memcmp(found->words, expected->words, sizeof found->words) == 0, "%s: words", where);
    CHECK(memcmp(found->patches, expected->patches, sizeof found->patches) == 0, "%s: patches",
          where);
    CHECK(memcmp(found->lanes.states, expected->lanes.states, sizeof found->lanes.states) == 0,
          "%s: states", where);
}

/* Encode at every level; *expected is what the portable kernel made. */
static void check_encoders(const plain *in, size_t words_room, size_t patches_room, size_t most,
                           coded *expected)
{
    static coded found;
    encode_at(ZNL_ISA_SCALAR, in, words_room, patches_room, most, expected);
    for (int i = 1; i < level_count; i++) {
        encode_at(i, in, words_room, patches_room, most, &found);
        check_same_code(&found, expected);
    }
    use_level(ZNL_ISA_SCALAR);
}

/* Values that have a symbol, any values, or only values that have none where there are such. */
static void make_plain(unsigned kind, uint64_t *seed, plain *out)
{
    const unsigned patched = random_below(seed, 3) == 0 ? 30 : 0;
    memset(out, 0, sizeof *out);
    out->symbol_bits = SYMBOL_BITS[random_below(seed, 5)];
    out->lane_count = random_below(seed, 5) ? ZNL_WIDE_LANES : ZNL_NARROW_LANES;
    out->block_count = 1 + random_below(seed, MAX_BLOCKS);
    make_tables(out->symbol_bits, kind, seed);
    /* Each block another table, each superblock another one, or one in all. */
    const unsigned change = random_below(seed, 3);
    for (size_t b = 0; b < MAX_BLOCKS; b++)
        out->class_of[b] = (uint8_t)(change == 0 ? b % 8 : change == 1 ? b / 8 * 3 : 5);
    const unsigned one_symbol = random_below(seed, 8) ? 32 : random_below(seed, 32);
    const int none_fit = random_below(seed, 8) == 0;
    for (size_t i = 0; i < 64 * out->block_count; i++) {
        const znl_freq_table *table = &tables[out->class_of[i / 64]];
        const unsigned any = random_below(seed, 1u << out->symbol_bits);
        const unsigned symbol = one_symbol < 32 ? one_symbol : random_below(seed, 32);
        unsigned value = znl_table_value(table, symbol, out->symbol_bits);
        if (patched && random_below(seed, 100) < patched) value = any;
        if (patched && random_below(seed, 100) < patched) value = 0;
        for (unsigned tries = 0; none_fit && tries < 20; tries++)
            if (znl_table_symbol(table, value, out->symbol_bits) < 32)
                value = random_below(seed, 1u << out->symbol_bits);
        out->values[i] = (uint16_t)value;
    }
    /* Any 32 bits are a state to the encoder; a chunk starts between 65536 and 131071. */
    const unsigned start = random_below(seed, 4);
    for (unsigned lane = 0; lane < ZNL_WIDE_LANES; lane++) {
        const size_t i = 64 * out->block_count - 64 + lane;
        const unsigned entry = encode_models[out->class_of[i / 64]].symbol_of[out->values[i]];
        const uint32_t full = (uint32_t)tables[out->class_of[i / 64]].frequency[entry & 31] << 20;
        const uint32_t edges[] = {full, full - 1, 65536, UINT32_MAX, 0, 65535, full - 65536, 1};
        out->states[lane] = start == 0   ? edges[random_below(seed, 8)]
                            : start == 1 ? edges[lane % 2 ? 0 : 1]
                            : start == 2 ? (uint32_t)random_u64(seed)
                                         : 65536 + random_below(seed, 65536);
    }
}

/* --- the decoder -------------------------------------------------------------------------------- */

/* What a decoder gets, and the readable bytes behind the words. */
typedef struct {
    unsigned lane_count;
    size_t block_count, word_count, behind_nbytes;
    uint8_t class_of[MAX_BLOCKS];
    uint32_t states[ZNL_WIDE_LANES];
    uint8_t words[2 * MAX_VALUES + 4096]; /* and behind them whatever is there */
} wire;

typedef struct {
    int status;
    znl_decode_lanes lanes;
    size_t taken_nbytes;
    uint16_t symbols[MAX_VALUES];
} decoded;

/* A decoder's buffers. */
typedef struct {
    guarded words, symbols;
} decode_buffers;

static decode_buffers begin_decoding(const wire *in, decoded *out)
{
    decode_buffers buffers;
    buffers.words = guarded_copy(in->words, 2 * in->word_count + in->behind_nbytes,
                                 (unsigned)(in->behind_nbytes % 2));
    buffers.symbols = guarded_new(128 * in->block_count, 0xee, 2 * (in->word_count % 8));
    memset(out, 0, sizeof *out);
    memcpy(out->lanes.states, in->states, sizeof in->states);
    out->lanes.lane_count = in->lane_count;
    out->lanes.words = buffers.words.bytes;
    out->lanes.words_end = buffers.words.bytes + 2 * in->word_count;
    out->lanes.readable_end = buffers.words.bytes + buffers.words.nbytes;
    return buffers;
}

static void end_decoding(const wire *in, decode_buffers *buffers, decoded *out)
{
    out->taken_nbytes = (size_t)(out->lanes.words - buffers->words.bytes);
    CHECK(out->taken_nbytes <= buffers->words.nbytes, "%s: took %zu bytes", where,
          out->taken_nbytes);
    memcpy(out->symbols, buffers->symbols.bytes, 128 * in->block_count);
    CHECK(guarded_free(&buffers->words), "%s: around the words", where);
    CHECK(guarded_free(&buffers->symbols), "%s: around the symbols", where);
}

static const znl_decode_model *model_at(const wire *in, size_t block, int with_slots)
{
    return &decode_models[with_slots][in->class_of[block]];
}

static void decode_at(int isa, const wire *in, size_t most, decoded *out)
{
    const znl_kernels *kernels = use_level(isa);
    decode_buffers buffers = begin_decoding(in, out);
    for (size_t first = 0; first < in->block_count && out->status == ZNL_OK;) {
        const size_t count = run_length(in->class_of, first, in->block_count, most);
        out->status =
            kernels->rans_decode(&out->lanes, model_at(in, first, kernels->wants_slots),
                                 (uint16_t *)(void *)buffers.symbols.bytes + 64 * first, count);
        first += count;
    }
    end_decoding(in, &buffers, out);
}

static void check_same(const wire *in, const decoded *found, const decoded *expected)
{
    CHECK(found->status == expected->status, "%s: %d, not %d", where, found->status,
          expected->status);
    if (expected->status != ZNL_OK) return;
    CHECK(memcmp(found->symbols, expected->symbols, 128 * in->block_count) == 0, "%s: symbols",
          where);
    CHECK(memcmp(found->lanes.states, expected->lanes.states, sizeof in->states) == 0, "%s: states",
          where);
    CHECK(found->taken_nbytes == expected->taken_nbytes, "%s: took %zu bytes, not %zu", where,
          found->taken_nbytes, expected->taken_nbytes);
    CHECK(znl_lanes_check_end(&found->lanes) == znl_lanes_check_end(&expected->lanes), "%s: end",
          where);
}

static void check_decoders(const wire *in, size_t most, decoded *expected)
{
    static decoded found;
    decode_at(ZNL_ISA_SCALAR, in, most, expected);
    for (int i = 1; i < level_count; i++) {
        decode_at(i, in, most, &found);
        check_same(in, &found, expected);
    }
    use_level(ZNL_ISA_SCALAR);
}

/* What the encoder made, as wire; returns 0 where it found no room. */
static int wire_of(const plain *in, size_t most, size_t behind_nbytes, wire *out)
{
    static coded made;
    memset(out, 0, sizeof *out);
    check_encoders(in, 64 * in->block_count + 64, 64 * in->block_count + 64, most, &made);
    CHECK(made.status == ZNL_OK, "%s: %d", where, made.status);
    out->lane_count = in->lane_count;
    out->block_count = in->block_count;
    out->word_count = made.word_count;
    out->behind_nbytes = behind_nbytes;
    memcpy(out->class_of, in->class_of, sizeof out->class_of);
    memcpy(out->states, made.lanes.states, sizeof out->states);
    uint64_t seed = made.word_count;
    for (size_t i = 0; i < sizeof out->words; i++) out->words[i] = (uint8_t)random_u64(&seed);
    memcpy(out->words, made.words + sizeof made.words - 2 * made.word_count, 2 * made.word_count);
    return made.status == ZNL_OK;
}

/* States that no encoder makes: on all lanes the same extreme, or one here and one there. */
static void make_states_hostile(uint64_t *seed, uint32_t *states)
{
    static const uint32_t extremes[] = {0,        1,        4095,           65535,
                                        65536,    4096,     UINT32_MAX,     UINT32_MAX - 4095,
                                        1u << 31, 1u << 28, (1u << 28) - 1, 0x000fffff};
    const unsigned kind = random_below(seed, 5), one = random_below(seed, 12),
                   other = random_below(seed, 12);
    for (unsigned lane = 0; lane < ZNL_WIDE_LANES; lane++) {
        if (kind == 0) states[lane] = extremes[one];
        if (kind == 1) states[lane] = extremes[lane % 2 ? one : other];
        if (kind == 2) states[lane] = random_below(seed, 4096); /* each takes a word */
        if (kind == 3)
            states[lane] = UINT32_MAX - random_below(seed, 1u << 20); /* hardly any does */
        if (kind == 4) states[lane] = (uint32_t)random_u64(seed) >> random_below(seed, 32);
    }
    if (kind < 2) states[random_below(seed, ZNL_WIDE_LANES)] = extremes[random_below(seed, 12)];
}

static const size_t BEHIND[] = {0,  1,  15,  16,  31,  32,  62,  63,
                                64, 65, 126, 128, 190, 192, 500, 4000};

static void check_coders(void)
{
    static plain in;
    static wire sent;
    static decoded expected;
    uint64_t seed = 1;
    for (unsigned round = 0; round < 2000; round++) {
        snprintf(where, sizeof where, "coder, round %u", round);
        make_plain(round, &seed, &in);
        const size_t most = 1 + random_below(&seed, 8);
        if (!wire_of(&in, most, BEHIND[round % 16], &sent)) continue;
        check_decoders(&sent, most, &expected);
        int starts_well = 1;
        for (unsigned lane = 0; lane < in.lane_count; lane++)
            starts_well &= in.states[lane] > 65535;
        CHECK(!starts_well || expected.status == ZNL_OK, "%s: %d", where, expected.status);
        make_states_hostile(&seed, sent.states);
        check_decoders(&sent, most, &expected);
        sent.word_count = random_below(&seed, MAX_VALUES);
        check_decoders(&sent, most, &expected);
        sent.word_count = 0;
        sent.behind_nbytes = BEHIND[round / 16 % 16];
        check_decoders(&sent, most, &expected);
    }
}

/* Words that end at every place, with little and with much to read behind them. */
static void check_running_out(void)
{
    static plain in;
    static wire sent;
    static decoded expected;
    uint64_t seed = 2;
    for (unsigned round = 0; round < 6; round++) {
        do make_plain(33 + round, &seed, &in);
        while (in.lane_count != ZNL_WIDE_LANES || in.block_count < 3 || in.block_count > 8);
        for (unsigned lane = 0; lane < ZNL_WIDE_LANES; lane++) in.states[lane] = 65536 + lane;
        snprintf(where, sizeof where, "running out, round %u", round);
        if (!wire_of(&in, 8, 0, &sent)) continue;
        const size_t needed = sent.word_count;
        for (size_t words = 0; words <= needed + 3; words++)
            for (unsigned i = 0; i < 4; i++) {
                static const size_t behind[4] = {0, 64, 192, 3000};
                snprintf(where, sizeof where, "running out, round %u: %zu of %zu words, %zu behind",
                         round, words, needed, behind[i]);
                sent.word_count = words;
                sent.behind_nbytes = behind[i];
                check_decoders(&sent, 8, &expected);
                CHECK((expected.status == ZNL_OK) == (words >= needed), "%s: %d", where,
                      expected.status);
            }
    }
}

/* Rooms that end at every place: where the portable encoder stops, all do. */
static void check_rooms(void)
{
    static plain in;
    static coded made;
    uint64_t seed = 3;
    for (unsigned round = 0; round < 4; round++) {
        do make_plain(33 + round, &seed, &in);
        while (in.lane_count != ZNL_WIDE_LANES || in.block_count < 2 || in.block_count > 5);
        for (size_t i = 0; i < MAX_VALUES; i += 5) in.values[i] = (uint16_t)(in.values[i] ^ 16);
        snprintf(where, sizeof where, "rooms, round %u", round);
        check_encoders(&in, MAX_VALUES + 64, MAX_VALUES + 64, 8, &made);
        const size_t words = made.word_count, patches = made.patch_count;
        for (size_t room = 0; room < words + 80; room++) {
            snprintf(where, sizeof where, "rooms, round %u: %zu for %zu words", round, room, words);
            check_encoders(&in, room, patches + 64, 8, &made);
        }
        for (size_t room = 0; room < patches + 80; room++) {
            snprintf(where, sizeof where, "rooms, round %u: %zu for %zu patches", round, room,
                     patches);
            check_encoders(&in, words + 64 + room % 12, room, 8, &made);
        }
    }
}

/* Floats that divide may not depend on how the process rounds. */
static void check_rounding_modes(void)
{
#if HAS_ROUNDING_MODES
    static const unsigned modes[] = {_MM_ROUND_DOWN, _MM_ROUND_UP, _MM_ROUND_TOWARD_ZERO};
    static plain in;
    static coded made;
    const unsigned saved = _MM_GET_ROUNDING_MODE();
    for (unsigned m = 0; m < 3; m++)
        for (unsigned round = 0; round < 300; round++) {
            uint64_t seed = 4 + round;
            snprintf(where, sizeof where, "rounding mode %x, round %u", modes[m], round);
            _MM_SET_ROUNDING_MODE(modes[m]);
            make_plain(34 + round % 14, &seed, &in);
            in.lane_count = ZNL_WIDE_LANES;
            /* Quotients just below a whole number, for all but the first values of the lanes. */
            for (unsigned lane = 0; lane < ZNL_WIDE_LANES; lane++) {
                const size_t i = 64 * in.block_count - 64 + lane;
                const unsigned class = in.class_of[i / 64];
                const unsigned entry = encode_models[class].symbol_of[in.values[i]];
                const uint32_t f = tables[class].frequency[entry & 31];
                in.states[lane] =
                    f * ((65536u << random_below(&seed, 4)) + 1 + random_below(&seed, 2000)) - 1;
            }
            check_encoders(&in, MAX_VALUES + 64, MAX_VALUES + 64, 8, &made);
            _MM_SET_ROUNDING_MODE(saved);
        }
#endif
}

/* --- planes ------------------------------------------------------------------------------------- */

/* Buffers of some blocks; byte planes lie plane_nbytes apart, the last one ends the buffer. */
typedef struct {
    guarded values, symbols, planes, bit_plane;
} superblock;

static superblock new_superblock(const znl_layout *layout, size_t blocks, size_t plane_nbytes,
                                 unsigned misalign)
{
    superblock made;
    const size_t planes_nbytes =
        layout->byte_planes ? (layout->byte_planes - 1u) * plane_nbytes + 64 * blocks : 0;
    made.values = guarded_new(64 * blocks * layout->width, 0xee, misalign);
    made.symbols = guarded_new(128 * blocks, 0xee, 2 * (misalign % 8));
    made.planes = guarded_new(planes_nbytes, 0xee, 15 - misalign);
    made.bit_plane =
        guarded_new(znl_bit_plane_nbytes(blocks, layout->low_bits), 0xee, misalign / 2);
    return made;
}

static void free_superblock(superblock *made)
{
    CHECK(guarded_free(&made->values), "%s: around the values", where);
    CHECK(guarded_free(&made->symbols), "%s: around the symbols", where);
    CHECK(guarded_free(&made->planes), "%s: around the planes", where);
    CHECK(guarded_free(&made->bit_plane), "%s: around the bit plane", where);
}

static int same_bytes(const guarded *a, const guarded *b)
{
    return memcmp(a->bytes, b->bytes, a->nbytes) == 0;
}

static void fill_random(guarded *out, uint64_t *seed)
{
    for (size_t i = 0; i < out->nbytes; i++) out->bytes[i] = (uint8_t)random_u64(seed);
}

/* Values of a kind: zeros, ones, random bits, extremes, gaussian. */
static void fill_values(unsigned dtype, unsigned kind, size_t count, uint64_t seed, guarded *out)
{
    if (kind < 2)
        memset(out->bytes, kind ? 0xff : 0, out->nbytes);
    else
        make_values(dtype,
                    kind == 2   ? RANDOM_BITS
                    : kind == 3 ? EXTREMES
                                : GAUSSIAN,
                    seed, out->bytes, count);
}

static void check_split(unsigned dtype, size_t blocks, unsigned kind, size_t gap)
{
    const znl_layout *layout = znl_layout_of(dtype);
    const size_t plane_nbytes = 64 * blocks + gap;
    superblock made[MAX_LEVELS];
    for (int i = 0; i < level_count; i++) {
        const znl_kernels *kernels = use_level(i);
        made[i] = new_superblock(layout, blocks, plane_nbytes, (unsigned)(gap + blocks) % 16);
        fill_values(dtype, kind, 64 * blocks, blocks, &made[i].values);
        kernels->split(layout, made[i].values.bytes, blocks,
                       (uint16_t *)(void *)made[i].symbols.bytes, made[i].planes.bytes,
                       plane_nbytes, made[i].bit_plane.bytes);
        CHECK(same_bytes(&made[i].symbols, &made[0].symbols), "%s: symbols", where);
        CHECK(same_bytes(&made[i].planes, &made[0].planes), "%s: planes", where);
        CHECK(same_bytes(&made[i].bit_plane, &made[0].bit_plane), "%s: bit plane", where);
    }
    for (int i = 0; i < level_count; i++) free_superblock(&made[i]);
}

/* Any symbol values and planes, with bits of absent blocks set now and then. */
static void check_merge(unsigned dtype, size_t blocks, size_t gap, uint64_t seed)
{
    const znl_layout *layout = znl_layout_of(dtype);
    const size_t plane_nbytes = 64 * blocks + gap;
    superblock made[MAX_LEVELS];
    int status[MAX_LEVELS];
    for (int i = 0; i < level_count; i++) {
        const znl_kernels *kernels = use_level(i);
        uint64_t noise = seed;
        made[i] = new_superblock(layout, blocks, plane_nbytes, (unsigned)(gap + blocks) % 16);
        uint16_t *symbols = (uint16_t *)(void *)made[i].symbols.bytes;
        for (size_t s = 0; s < 64 * blocks; s++)
            symbols[s] = (uint16_t)random_below(&noise, 1u << layout->symbol_bits);
        fill_random(&made[i].planes, &noise);
        if (seed % 3) memset(made[i].bit_plane.bytes, 0, made[i].bit_plane.nbytes);
        if (seed % 3 == 0) fill_random(&made[i].bit_plane, &noise);
        if (seed % 3 == 1 && made[i].bit_plane.nbytes) /* a single bit */
            made[i].bit_plane.bytes[random_below(&noise, (uint32_t)made[i].bit_plane.nbytes)] =
                (uint8_t)(1 << random_below(&noise, 8));
        status[i] = kernels->merge(layout, symbols, made[i].planes.bytes, plane_nbytes, blocks,
                                   made[i].bit_plane.bytes, made[i].values.bytes);
        CHECK(status[i] == status[0], "%s: %d, not %d", where, status[i], status[0]);
        CHECK(same_bytes(&made[i].values, &made[0].values), "%s: values", where);
        CHECK(same_bytes(&made[i].planes, &made[0].planes), "%s: wrote to the planes", where);
    }
    for (int i = 0; i < level_count; i++) free_superblock(&made[i]);
}

static void check_histograms(unsigned dtype, size_t count, size_t step)
{
    const znl_layout *layout = znl_layout_of(dtype);
    guarded counts[MAX_LEVELS];
    size_t counted[MAX_LEVELS];
    for (int i = 0; i < level_count; i++) {
        const znl_kernels *kernels = use_level(i);
        guarded in = guarded_new(count * layout->width, 0, count % 16);
        counts[i] = guarded_new((size_t)4 << layout->symbol_bits, 0xee, 0);
        fill_values(dtype, (unsigned)(4 - count % 3), count, step, &in);
        counted[i] =
            kernels->histogram(layout, in.bytes, count, step, (uint32_t *)(void *)counts[i].bytes);
        CHECK(counted[i] == counted[0] && same_bytes(&counts[i], &counts[0]),
              "dtype %u: %zu values, step %zu", dtype, count, step);
        CHECK(guarded_free(&in), "dtype %u: around the values", dtype);
    }
    for (int i = 0; i < level_count; i++)
        CHECK(guarded_free(&counts[i]), "dtype %u: around the counts", dtype);
}

static void check_planes(void)
{
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const unsigned dtype = MODELLED_DTYPES[d];
        for (size_t blocks = 1; blocks <= 19; blocks++)
            for (size_t gap = 0; gap < 70; gap += 23) {
                snprintf(where, sizeof where, "dtype %u, %zu blocks, gap %zu", dtype, blocks, gap);
                for (unsigned kind = 0; kind < 5; kind++) check_split(dtype, blocks, kind, gap);
                for (uint64_t seed = 0; seed < 9; seed++) check_merge(dtype, blocks, gap, seed);
            }
        for (size_t count = 0; count < 300; count += 1 + count / 9)
            for (size_t step = 1; step <= 16; step *= 2) check_histograms(dtype, count, step);
    }
    use_level(ZNL_ISA_SCALAR);
}

/* --- two chunks at once ------------------------------------------------------------------------- */

/* One chunk of a pair: what the coder gets, what it merges with, and what comes out. */
typedef struct {
    decoded coder;
    decode_buffers buffers;
    superblock planes;
} merged;

/* Byte planes and bit plane of random bits, the same for the same seed. */
static void begin_merging(const wire *in, const znl_layout *layout, uint64_t seed, merged *out)
{
    out->buffers = begin_decoding(in, &out->coder);
    out->planes = new_superblock(layout, in->block_count, 64 * in->block_count + seed % 70,
                                 (unsigned)seed % 16);
    fill_random(&out->planes.planes, &seed);
    fill_random(&out->planes.bit_plane, &seed);
}

static void end_merging(const wire *in, merged *out)
{
    end_decoding(in, &out->buffers, &out->coder);
    free_superblock(&out->planes);
}

/* Both chunks by the portable kernels, one after the other; `count` blocks have one table, 0: each its own. */
static int merge_one_by_one(const znl_layout *layout, const wire *const in[2], size_t count,
                            uint64_t seed, merged out[2])
{
    const znl_kernels *kernels = use_level(ZNL_ISA_SCALAR);
    const size_t step = count ? count : 1;
    int status = ZNL_OK;
    for (int i = 0; i < 2; i++) {
        begin_merging(in[i], layout, seed + (unsigned)i, &out[i]);
        uint16_t *symbols = (uint16_t *)(void *)out[i].buffers.symbols.bytes;
        superblock *planes = &out[i].planes;
        for (size_t b = 0; b < in[i]->block_count && status == ZNL_OK; b += step)
            status = kernels->rans_decode(&out[i].coder.lanes, model_at(in[i], b, 1),
                                          symbols + 64 * b, step);
        const size_t plane_nbytes = 64 * in[i]->block_count + (seed + (unsigned)i) % 70;
        if (status == ZNL_OK)
            kernels->merge(layout, symbols, planes->planes.bytes, plane_nbytes, in[i]->block_count,
                           planes->bit_plane.bytes, planes->values.bytes);
    }
    return status;
}

static int merge_pair(const znl_kernels *kernels, const znl_layout *layout, const wire *const in[2],
                      size_t count, uint64_t seed, merged out[2])
{
    const size_t step = count ? count : in[0]->block_count;
    int status = ZNL_OK;
    for (int i = 0; i < 2; i++) begin_merging(in[i], layout, seed + (unsigned)i, &out[i]);
    for (size_t b = 0; b < in[0]->block_count && status == ZNL_OK; b += step) {
        const znl_decode_model *models[2][ZNL_MAX_STATIC_TABLES];
        znl_decode_stream streams[2];
        for (int i = 0; i < 2; i++) {
            superblock *planes = &out[i].planes;
            streams[i].lanes = &out[i].coder.lanes;
            for (unsigned t = 0; t < ZNL_MAX_STATIC_TABLES; t++)
                models[i][t] = count ? model_at(in[i], b, 0) : &decode_models[0][t];
            streams[i].models.of_class = models[i];
            streams[i].models.classes = count ? NULL : in[i]->class_of;
            streams[i].planes = planes->planes.bytes + 64 * b;
            streams[i].plane_nbytes = 64 * in[i]->block_count + (seed + (unsigned)i) % 70;
            streams[i].bit_plane = planes->bit_plane.bytes + 8 * b * layout->low_bits;
            streams[i].out = planes->values.bytes + 64 * b * layout->width;
        }
        status = kernels->decode_pair(layout, streams, step / 8);
    }
    return status;
}

/* Both chunks of a pair: valid ones, ones with hostile states, ones whose words run out. No more than the
 * contract says may be readable behind the words. */
static void check_pair(const znl_kernels *kernels, const znl_layout *layout, wire chunks[2],
                       size_t count, uint64_t seed)
{
    static merged expected[2], found[2];
    for (int swap = 0; swap < 2; swap++) {
        const wire *const in[2] = {&chunks[swap], &chunks[!swap]};
        for (int i = 0; i < 2; i++) {
            const size_t readable = 128 * chunks[i].block_count + 64;
            const size_t words_nbytes = 2 * chunks[i].word_count;
            chunks[i].behind_nbytes = words_nbytes < readable ? readable - words_nbytes : 0;
        }
        const int expected_status = merge_one_by_one(layout, in, count, seed, expected);
        const int status = merge_pair(kernels, layout, in, count, seed, found);
        CHECK(status == expected_status, "%s, swapped %d: %d, not %d", where, swap, status,
              expected_status);
        for (int i = 0; i < 2; i++) {
            if (status == ZNL_OK) {
                CHECK(same_bytes(&found[i].planes.values, &expected[i].planes.values), "%s: values",
                      where);
                memcpy(found[i].buffers.symbols.bytes, expected[i].buffers.symbols.bytes,
                       128 * in[i]->block_count);
            }
            end_merging(in[i], &found[i]);
            end_merging(in[i], &expected[i]);
            if (status == ZNL_OK) check_same(in[i], &found[i].coder, &expected[i].coder);
        }
    }
}

/* A pair of chunks with `count` blocks to a table, 0: with any table for each block; returns 0 where an
 * encoder found no room. */
static int make_pair(unsigned round, size_t count, uint64_t *seed, unsigned *symbol_bits,
                     wire chunks[2])
{
    static plain in;
    const size_t step = count ? count : 8;
    make_plain(round, seed, &in);
    *symbol_bits = in.symbol_bits;
    in.lane_count = ZNL_WIDE_LANES;
    in.block_count = step * (1 + random_below(seed, (uint32_t)(MAX_BLOCKS / step)));
    for (size_t b = 0; b < MAX_BLOCKS; b++)
        in.class_of[b] = (uint8_t)(count ? b / count % 8 : random_below(seed, 8));
    if (!wire_of(&in, step, 0, &chunks[0])) return 0;
    for (size_t i = 0; i < MAX_VALUES; i++)
        in.values[i] = (uint16_t)(in.values[i] ^ (random_u64(seed) & 3));
    for (size_t b = 0; b < MAX_BLOCKS; b++) in.class_of[b] ^= round % 8;
    return wire_of(&in, step, 0, &chunks[1]);
}

static void check_pairs(const znl_kernels *kernels)
{
    static wire chunks[2];
    uint64_t seed = 5;
    for (unsigned round = 0; round < 600; round++) {
        const size_t count = 8 * (size_t)random_below(&seed, 4);
        const znl_layout *layout = znl_layout_of(MODELLED_DTYPES[round % MODELLED_DTYPE_COUNT]);
        unsigned symbol_bits;
        snprintf(where, sizeof where, "pair, round %u", round);
        do {
            if (!make_pair(round, count, &seed, &symbol_bits, chunks)) symbol_bits = 0;
        } while (symbol_bits != layout->symbol_bits);
        check_pair(kernels, layout, chunks, count, seed);
        const size_t needed = chunks[1].word_count;
        for (unsigned i = 0; i < 6; i++) { /* one runs out, early, in the middle, at the very end */
            chunks[1].word_count = i < 2   ? needed - (i < needed ? i : needed)
                                   : i < 4 ? random_below(&seed, (uint32_t)needed + 1)
                                           : i - 4;
            check_pair(kernels, layout, chunks, count, seed);
        }
        make_states_hostile(&seed, chunks[1].states);
        chunks[1].word_count = needed;
        check_pair(kernels, layout, chunks, count, seed);
        make_states_hostile(&seed, chunks[0].states);
        check_pair(kernels, layout, chunks, count, seed);
    }
}

/* Two chunks of `block_count` blocks by the pair kernel, `count` blocks a call with a table each. */
static int encode_pair_at(const znl_kernels *kernels, const plain in[2], const size_t rooms[2],
                          size_t count, coded out[2])
{
    encode_buffers buffers[2];
    znl_encode_lanes *const lanes[2] = {&out[0].lanes, &out[1].lanes};
    int status = ZNL_OK;
    for (int i = 0; i < 2; i++)
        buffers[i] = begin_encoding(&in[i], rooms[i], MAX_VALUES + 64 + rooms[i], &out[i]);
    for (size_t end = in[0].block_count; end > 0 && status == ZNL_OK;) {
        const size_t first = (end - 1) / count * count;
        const znl_encode_model *models[2];
        const uint16_t *values[2];
        for (int i = 0; i < 2; i++) {
            models[i] = &encode_models[in[i].class_of[first]];
            values[i] = (const uint16_t *)(void *)buffers[i].values.bytes + 64 * first;
        }
        status = kernels->rans_encode_pair(lanes, models, values, 64 * first, end - first);
        end = first;
    }
    for (int i = 0; i < 2; i++) {
        out[i].status = status;
        end_encoding(&in[i], &buffers[i], &out[i]);
    }
    return status;
}

/* Pairs give what their chunks give alone, or stop where one of them does. */
static void check_encode_pairs(const znl_kernels *kernels)
{
    static plain in[2];
    static coded expected[2], found[2];
    uint64_t seed = 6;
    for (unsigned round = 0; round < 600; round++) {
        const size_t count = 1 + random_below(&seed, 9);
        size_t rooms[2];
        int expected_status = ZNL_OK;
        snprintf(where, sizeof where, "encode pair, round %u", round);
        make_plain(round, &seed, &in[0]);
        in[0].lane_count = ZNL_WIDE_LANES;
        for (size_t b = 0; b < MAX_BLOCKS; b++) in[0].class_of[b] = (uint8_t)(b / count % 8);
        in[1] = in[0];
        for (size_t b = 0; b < MAX_BLOCKS; b++) in[1].class_of[b] ^= round % 8;
        for (size_t i = 0; i < MAX_VALUES; i++)
            in[1].values[i] = (uint16_t)(in[1].values[i] ^ (random_u64(&seed) & 3));
        for (unsigned lane = 0; lane < ZNL_WIDE_LANES; lane++)
            in[1].states[lane] = in[0].states[ZNL_WIDE_LANES - 1 - lane];
        for (int i = 0; i < 2; i++) {
            rooms[i] = random_below(&seed, 8) ? MAX_VALUES + 64 : random_below(&seed, MAX_VALUES);
            encode_at(ZNL_ISA_SCALAR, &in[i], rooms[i], MAX_VALUES + 64 + rooms[i], count,
                      &expected[i]);
            if (expected[i].status != ZNL_OK) expected_status = expected[i].status;
        }
        const int status = encode_pair_at(kernels, in, rooms, count, found);
        CHECK(status == expected_status, "%s: %d, not %d", where, status, expected_status);
        for (int i = 0; i < 2 && status == ZNL_OK; i++) check_same_code(&found[i], &expected[i]);
    }
}

/* --- checksum ----------------------------------------------------------------------------------- */

static void check_checksums_of(size_t nbytes, uint64_t seed)
{
    guarded in = guarded_new(nbytes, 0, (unsigned)(nbytes % 16));
    if (seed % 8)
        fill_random(&in, &seed);
    else
        memset(in.bytes, 0xff, nbytes);
    const uint64_t expected = znl_xxh3_64(use_level(ZNL_ISA_SCALAR), in.bytes, nbytes);
    for (int i = 1; i < level_count; i++)
        CHECK(znl_xxh3_64(use_level(i), in.bytes, nbytes) == expected, "XXH3 of %zu bytes", nbytes);
    for (int i = 0; i < level_count; i++) {
        const znl_kernels *kernels = use_level(i);
        znl_xxh3_state state;
        znl_xxh3_begin(&state);
        for (size_t done = 0; done < nbytes; done += 1 + random_below(&seed, 3000))
            znl_xxh3_grow(&state, in.bytes, done, nbytes, kernels->xxh3_blocks);
        CHECK(znl_xxh3_end(&state, in.bytes, nbytes, kernels->xxh3_blocks) == expected,
              "XXH3 of %zu bytes, piece by piece", nbytes);
    }
    CHECK(guarded_free(&in), "XXH3 of %zu bytes: around them", nbytes);
}

static void check_checksums(void)
{
    for (size_t nbytes = 0; nbytes <= 2100; nbytes++) check_checksums_of(nbytes, nbytes);
    for (size_t blocks = 3; blocks <= 40; blocks++)
        for (size_t nbytes = 1024 * blocks - 2; nbytes <= 1024 * blocks + 2; nbytes++)
            check_checksums_of(nbytes, nbytes);
    check_checksums_of(262144, 8);
    check_checksums_of(1000003, 1);
    use_level(ZNL_ISA_SCALAR);
}

int main(void)
{
    new_levels();
    check_coders();
    check_running_out();
    check_rooms();
    check_rounding_modes();
    for (int i = 0; i < level_count; i++) {
        use_level(i);
        if (level_kernels[i].decode_pair) check_pairs(&level_kernels[i]);
        if (level_kernels[i].rans_encode_pair) check_encode_pairs(&level_kernels[i]);
    }
    check_planes();
    check_checksums();
    return check_result();
}
