/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target for all that reads wire: znl_table_check and znl_decode_chunks.
 *
 * The first byte picks how a body is made: of the input's bytes as they are; of those bytes with
 * counts that add up, or behind an arrangement; by the public encoder, rarely for a chunk that is large enough to be
 * arranged; or by an inner encoder with tables, classes and unit size, or tables, arrangement and second
 * symbols, of the input's choice. Encoded bodies must come back equal, then they are damaged and read
 * again. Nothing may crash, touch memory outside the buffers, or return an undocumented code.
 *
 * The first byte also picks the instruction set: what it encodes must be what the portable code
 * encodes, and every body is decoded by both, with the same status and the same bytes; then twice in
 * one call, as two chunks may be decoded side by side.
 *
 * The checksum comes last and hides nothing: a body that fails at it only is decoded once more with
 * the checksum it has, from other scratch, and must give the same bytes.
 */
#include "bytes.h"
#include "errors.h"
#include "static_body.h"
#include "table.h"
#include "tape.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_nbytes);

enum { MAX_VALUES = 4096, MAX_DAMAGES = 4 };

/* Scratch of the size asked for; kept, as a call may find anything in it. */
static uint8_t *scratch_for_decoding(void)
{
    static uint8_t *scratch;
    if (!scratch) scratch = exactly(znl_decode_scratch_nbytes());
    return scratch;
}

/* --- chunks ------------------------------------------------------------------------------------- */

typedef struct {
    znl_chunk chunk;
    znl_table tables[ZNL_MAX_TABLES];
    znl_freq_table frequencies[ZNL_MAX_TABLES]; /* the same tables; not set when one is damaged */
} fuzz_case;

static uint8_t pick_dtype(tape *from)
{
    static const uint8_t modelled[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 4, 4, 3, 7};
    return modelled[next_u8(from) & 15];
}

/* A valid table fitted to counts of the input's choice, any table bytes, or a universal one. */
static void pick_table(tape *from, unsigned symbol_bits, fuzz_case *made, unsigned t)
{
    static uint32_t counts[ZNL_MAX_SYMBOL_VALUES];
    const uint8_t kind = next_u8(from);
    znl_table *wire = &made->tables[t];
    memset(wire, 0, sizeof *wire);
    if (kind < 96) {
        const uint32_t reference = next_u32(from) & (0xf000u | ((1u << symbol_bits) - 1));
        made->chunk.tables[t] = reference;
        znl_table_universal(reference >> 12, reference & 0xfff, &made->frequencies[t]);
        return;
    }
    memset(counts, 0, sizeof counts);
    const uint32_t first = next_u32(from), step = 1 + kind % 3;
    for (uint32_t i = 0; i < 32; i++)
        counts[(first + i * step) & ((1u << symbol_bits) - 1)] += (uint32_t)next_u8(from)
                                                                  << kind % 16;
    if (kind & 4) counts[0] += next_u32(from);
    znl_table_fit(counts, symbol_bits, &made->frequencies[t]);
    wire->nbytes = (uint32_t)znl_table_write(&made->frequencies[t], wire->bytes);
    REQUIRE(wire->nbytes <= sizeof wire->bytes);
    int64_t status = znl_table_check(wire->bytes, wire->nbytes, &wire->name);
    REQUIRE(status == ZNL_OK);
    made->chunk.tables[t] = wire->name;
}

/* Make some field or table of a chunk wrong. */
static void damage_fields(tape *from, fuzz_case *made)
{
    znl_table *table = &made->tables[next_u8(from) % ZNL_MAX_TABLES];
    switch (next_u8(from) % 10) {
    case 0: made->chunk.dtype = next_u8(from); break;
    case 1: /* zstd and composed are the caller's: fuzz_scan.c */
        made->chunk.method = next_u8(from) % 7;
        if (znl_is_left(&made->chunk)) made->chunk.method = ZNL_METHOD_STATIC;
        break;
    case 2: made->chunk.table_count = next_u8(from) % 34; break;
    case 3: made->chunk.unit_shift = next_u8(from) % 16; break;
    case 4: made->chunk.source_nbytes += next_u8(from) % 65; break;
    case 5: made->chunk.source_nbytes = next_u32(from) % (8 * MAX_VALUES); break;
    case 6: made->chunk.tables[next_u8(from) % ZNL_MAX_TABLES] = next_u32(from) % 131072; break;
    case 7:
        made->chunk.tables[next_u8(from) % ZNL_MAX_TABLES] = ZNL_TABLE_NAME_BIT | next_u32(from);
        break;
    case 8: table->bytes[next_u8(from) % 48] ^= (uint8_t)(1 << next_u8(from) % 8); break;
    default: table->nbytes = next_u8(from) % 56; break;
    }
}

/* Scratch with `fill` in most that a small chunk uses: filling it whole would be most of the time. */
static uint8_t *filled_scratch(uint8_t fill)
{
    uint8_t *bytes = scratch_for_decoding();
    znl_static_decode_scratch *scratch =
        (znl_static_decode_scratch *)(((uintptr_t)bytes + 63) & ~(uintptr_t)63);
    memset(scratch->chunks, fill, sizeof scratch->chunks);
    memset(&scratch->cache, fill, sizeof scratch->cache / 16);
    memset(scratch->second.symbols, fill, 2 * MAX_VALUES);
    memset(scratch->second.sorted, fill, 2 * MAX_VALUES);
    memset(scratch->second.second, fill, MAX_VALUES);
    memset(&scratch->second.contexts, fill, sizeof scratch->second.contexts);
    memset(scratch->second.blocks, fill, MAX_VALUES / ZNL_BLOCK_VALUES);
    for (int i = 0; i < 2; i++) {
        memset(scratch->arrangements[i].parts, fill, 1024);
        memset(scratch->arrangements[i].row_classes, fill, MAX_VALUES / 4);
        memset(scratch->arrangements[i].column_classes, fill, MAX_VALUES);
        memset(scratch->rooms[i], fill, 8 * MAX_VALUES);
    }
    return bytes;
}

static int64_t decode_into(const znl_kernels *kernels, znl_chunk *chunk, uint8_t *out,
                           const znl_table *tables, uint8_t fill)
{
    chunk->source = out;
    chunk->status = 1;
    const int64_t status = znl_decode_chunks(kernels, chunk, 1, tables, chunk->table_count,
                                             filled_scratch(fill), znl_decode_scratch_nbytes());
    REQUIRE(status <= 0 && status >= ZNL_E_BAD_CALL && status == chunk->status);
    REQUIRE(strcmp(znl_error_text(status), znl_error_text(1)) != 0);
    return status;
}

/* A chunk whose buffers are as large as stated, and what decoding it gives. */
typedef struct {
    znl_chunk chunk;
    uint8_t *body, *out;
    znl_table *tables;
    int64_t status;
} exact_chunk;

static exact_chunk exact_chunk_of(const fuzz_case *made, const uint8_t *body, size_t body_nbytes)
{
    exact_chunk exact;
    const size_t table_count = made->chunk.table_count;
    exact.chunk = made->chunk;
    exact.body = exactly(body_nbytes);
    exact.out = exactly(made->chunk.source_nbytes);
    exact.tables = (znl_table *)(void *)exactly(table_count * sizeof *exact.tables);
    if (body_nbytes) memcpy(exact.body, body, body_nbytes);
    memset(exact.tables, 0, table_count * sizeof *exact.tables);
    memcpy(exact.tables, made->tables,
           (table_count < ZNL_MAX_TABLES ? table_count : ZNL_MAX_TABLES) * sizeof *exact.tables);
    exact.chunk.body = exact.body;
    exact.chunk.body_nbytes = (uint32_t)body_nbytes;
    return exact;
}

static void free_exact_chunk(exact_chunk *exact)
{
    free(exact->tables);
    free(exact->out);
    free(exact->body);
}

/* Decode a chunk by the chosen kernels: what the portable ones said and wrote. A chunk that fails at its
 * checksum only gets the one that it has. */
static void decode_by_both(exact_chunk *exact)
{
    const size_t nbytes = exact->chunk.source_nbytes;
    uint8_t *second = exactly(nbytes);
    exact->status = decode_into(&portable, &exact->chunk, exact->out, exact->tables, 0x00);
    REQUIRE(decode_into(&chosen, &exact->chunk, second, exact->tables, 0x55) == exact->status);
    if (exact->status == ZNL_OK || exact->status == ZNL_E_CHECKSUM) {
        REQUIRE(memcmp(exact->out, second, nbytes) == 0);
        REQUIRE(znl_xxh3_64(&chosen, second, nbytes) == znl_xxh3_64(&portable, second, nbytes));
    }
    if (exact->status == ZNL_E_CHECKSUM) {
        exact->chunk.checksum = znl_xxh3_64(&portable, exact->out, nbytes);
        memset(second, 0, nbytes);
        REQUIRE(decode_into(&chosen, &exact->chunk, second, exact->tables, 0xff) == ZNL_OK);
        REQUIRE(memcmp(exact->out, second, nbytes) == 0);
    }
    free(second);
}

/* Decode two chunks in one call of the chosen kernels: each as it was alone, up to the first bad one at least. */
static void decode_two(const exact_chunk *first, const exact_chunk *second)
{
    const exact_chunk *const alone[2] = {first, second};
    znl_chunk chunks[2];
    uint8_t *out[2];
    const size_t counts[2] = {first->chunk.table_count, second->chunk.table_count};
    znl_table *tables = (znl_table *)(void *)exactly((counts[0] + counts[1]) * sizeof *tables);
    memcpy(tables, first->tables, counts[0] * sizeof *tables);
    memcpy(tables + counts[0], second->tables, counts[1] * sizeof *tables);
    int64_t expected = ZNL_OK;
    for (int i = 0; i < 2; i++) {
        chunks[i] = alone[i]->chunk;
        chunks[i].source = out[i] = exactly(chunks[i].source_nbytes);
        chunks[i].status = 1;
        if (expected == ZNL_OK && alone[i]->status != ZNL_E_CHECKSUM) expected = alone[i]->status;
    }
    const int64_t status = znl_decode_chunks(&chosen, chunks, 2, tables, counts[0] + counts[1],
                                             filled_scratch(0xaa), znl_decode_scratch_nbytes());
    REQUIRE(status == expected);
    for (int i = 0; i < 2; i++)
        if (chunks[i].status == ZNL_OK)
            REQUIRE(memcmp(out[i], alone[i]->out, chunks[i].source_nbytes) == 0);
    /* Not touched, or decoded while the first one waited for a partner. */
    REQUIRE(chunks[0].status == ZNL_OK || chunks[1].status == 1 || chunks[1].status == ZNL_OK);
    REQUIRE(chunks[0].status != ZNL_OK || chunks[1].status == status);
    for (int i = 0; i < 2; i++) free(out[i]);
    free(tables);
}

/* Decode body[0..body_nbytes) with every buffer as large as stated; returns the status. When `out`
 * is not NULL the decoded bytes go there. */
static int64_t decode(const fuzz_case *made, const uint8_t *body, size_t body_nbytes, uint8_t *out)
{
    if (made->chunk.source_nbytes > 8 * MAX_VALUES + 64) return ZNL_E_BAD_VALUE;
    exact_chunk exact = exact_chunk_of(made, body, body_nbytes);
    decode_by_both(&exact);
    if (out) memcpy(out, exact.out, made->chunk.source_nbytes);
    const int64_t status = exact.status;
    free_exact_chunk(&exact);
    return status;
}

/* Change bytes of a good body, or its length, and decode what is left of it, alone and beside the good
 * one. */
static void decode_damaged(tape *from, const fuzz_case *made, uint8_t *body, size_t body_nbytes)
{
    exact_chunk good = exact_chunk_of(made, body, body_nbytes);
    decode_by_both(&good);
    REQUIRE(good.status == ZNL_OK);
    for (unsigned damages = next_u8(from) % (MAX_DAMAGES + 1); damages > 0 && body_nbytes;
         damages--) {
        const uint32_t how = next_u32(from);
        /* Half of them in the front, where the counts, the class map and the patches are. */
        const size_t at = (how & 1 ? how >> 8 : how >> 8 & 127) % body_nbytes;
        if (how & 2)
            body[at] ^= (uint8_t)(1 << (how >> 2 & 7));
        else
            body[at] = (uint8_t)(how >> 24);
    }
    const uint8_t last = next_u8(from);
    if (last < 32) body_nbytes -= body_nbytes < last ? body_nbytes : last;
    fuzz_case damaged = *made;
    if (last > 224) damage_fields(from, &damaged);
    if (damaged.chunk.source_nbytes > 8 * MAX_VALUES + 64) damaged.chunk.source_nbytes = 1;
    exact_chunk bad = exact_chunk_of(&damaged, body, body_nbytes);
    decode_by_both(&bad);
    decode_two(&good, &bad);
    decode_two(&bad, &good);
    decode_two(&bad, &bad);
    free_exact_chunk(&bad);
    free_exact_chunk(&good);
}

/* --- ways to a body ----------------------------------------------------------------------------- */

/* A static chunk of some values, with tables; the body is still to come. */
static const znl_layout *begin_static(tape *from, fuzz_case *made)
{
    znl_chunk *chunk = &made->chunk;
    chunk->method = ZNL_METHOD_STATIC;
    chunk->dtype = pick_dtype(from);
    const znl_layout *layout = znl_layout_of(chunk->dtype);
    REQUIRE(layout);
    const uint8_t size = next_u8(from);
    uint32_t count = ZNL_MIN_STATIC_VALUES + next_u8(from);
    if (size < 64)
        count = ZNL_MIN_STATIC_VALUES + next_u32(from) % (MAX_VALUES - ZNL_MIN_STATIC_VALUES);
    if (size >= 240) count = ZNL_WIDE_LANES_MIN_VALUES + next_u8(from);
    chunk->source_nbytes = count * layout->width;
    const uint8_t tables = next_u8(from);
    chunk->table_count = (uint8_t)(tables & 1 ? 1 : 1 + (tables >> 1) % ZNL_MAX_STATIC_TABLES);
    if (chunk->table_count > 1)
        chunk->unit_shift = tables & 128 ? ZNL_UNIT_SHIFT_LARGE : ZNL_UNIT_SHIFT_SMALL;
    for (unsigned t = 0; t < chunk->table_count; t++)
        pick_table(from, layout->symbol_bits, made, t);
    return layout;
}

/* The input's bytes are the body; with `fix_counts`, word and patch count fit the size. */
static void decode_input(tape *from, fuzz_case *made, int fix_counts)
{
    const znl_layout *layout = begin_static(from, made);
    if (next_u8(from) > 240) damage_fields(from, made);
    const znl_static_shape shape = znl_static_shape_of(
        layout, made->chunk.source_nbytes / layout->width, made->chunk.table_count,
        made->chunk.table_count < 2 ? 0 : made->chunk.unit_shift % 16);
    const size_t fixed = shape.counts_nbytes + shape.map_nbytes + 4 * shape.lane_count +
                         shape.raw_nbytes - shape.state_nbytes + shape.tail_nbytes;
    const uint32_t patch_count = next_u8(from) & 1 ? 0 : next_u8(from) % 16;
    const uint32_t word_count = next_u32(from) % (uint32_t)(shape.coded_count + 1);
    const size_t body_nbytes = fixed + 4 * patch_count + word_count % 2 * 2 + 2 * word_count;
    const size_t patches = shape.counts_nbytes + shape.map_nbytes + 4 * shape.lane_count;
    uint8_t *body = exactly(body_nbytes);
    for (size_t i = 0; i < body_nbytes; i++) body[i] = next_u8(from);
    if (fix_counts) {
        if (shape.counts_nbytes == 8) {
            store_u32le(body, word_count);
            store_u32le(body + 4, patch_count);
        } else {
            store_u16le(body, (uint16_t)word_count);
            store_u16le(body + 2, (uint16_t)patch_count);
        }
        if (word_count % 2) store_u16le(body + patches + 4 * patch_count, 0);
        if (next_u8(from) & 1) memset(body + shape.counts_nbytes, 0, shape.map_nbytes);
    }
    decode(made, body, body_nbytes, NULL);
    free(body);
}

/* Values of the input's bytes; most of them from a few bases, so that there is something to code. */
static void fill_values(tape *from, uint8_t *out, size_t nbytes, size_t width)
{
    const uint8_t kind = next_u8(from);
    const uint32_t noise = kind & 16 ? next_u32(from) : 0;
    uint64_t bases[4];
    for (unsigned b = 0; b < 4; b++) bases[b] = (uint64_t)next_u32(from) << 32 | next_u32(from);
    for (size_t i = 0; i < nbytes; i++) {
        const uint8_t byte = next_u8(from);
        const size_t value = i / width;
        const uint64_t base = bases[(value ^ value >> 6) * 0x9e37u >> 7 & kind & 3];
        out[i] = byte;
        if (kind & 4) out[i] = (uint8_t)(base >> 8 * (i % width + 8 - width));
        if (kind & 4 && (byte & (kind >> 5)) == 0) out[i] ^= (uint8_t)(byte & noise);
    }
}

/* Encoded by two sets of kernels, a chunk is the same. */
static void require_same(const znl_chunk *a, const znl_chunk *b)
{
    REQUIRE(a->method == b->method && a->checksum == b->checksum && a->status == b->status);
    REQUIRE(a->table_count == b->table_count && a->unit_shift == b->unit_shift);
    REQUIRE(a->body_nbytes == b->body_nbytes && a->body_offset == b->body_offset);
    REQUIRE(memcmp(a->body + a->body_offset, b->body + b->body_offset, a->body_nbytes) == 0);
}

/* Scratch of the public encoder for one chunk; kept, as a call may find anything in it. */
static uint8_t *scratch_for_encoding(void)
{
    static uint8_t *scratch;
    if (!scratch) scratch = exactly(znl_encode_scratch_nbytes(1));
    return scratch;
}

static void round_trip_public(tape *from, fuzz_case *made)
{
    uint8_t *scratch = scratch_for_encoding();
    znl_chunk *chunk = &made->chunk;
    znl_table wire;
    chunk->dtype = pick_dtype(from);
    const size_t width = znl_layout_of(chunk->dtype)->width;
    chunk->is_joined = next_u8(from) & 1;
    chunk->source_nbytes = 1 + next_u32(from) % (uint32_t)(MAX_VALUES * width);
    if (chunk->source_nbytes > width && next_u8(from) < 240)
        chunk->source_nbytes -= (uint32_t)(chunk->source_nbytes % width);
    chunk->body_room = chunk->source_nbytes + ZNL_BODY_SLACK_NBYTES;
    uint8_t *source = exactly(chunk->source_nbytes), *room = exactly(chunk->body_room);
    fill_values(from, source, chunk->source_nbytes, width);
    chunk->source = source;
    chunk->body = room;
    znl_chunk expected = *chunk;
    znl_table expected_wire;
    expected.body = exactly(chunk->body_room);
    const int64_t tables =
        znl_encode_chunks(&chosen, chunk, 1, &wire, scratch, znl_encode_scratch_nbytes(1));
    REQUIRE(tables == 0 || tables == 1);
    REQUIRE(znl_encode_chunks(&portable, &expected, 1, &expected_wire, scratch,
                              znl_encode_scratch_nbytes(1)) == tables);
    REQUIRE(tables == 0 ||
            (wire.nbytes == expected_wire.nbytes && wire.name == expected_wire.name));
    require_same(chunk, &expected);
    free(expected.body);
    for (unsigned t = 0; t < chunk->table_count; t++) {
        if (!(chunk->tables[t] & ZNL_TABLE_NAME_BIT)) continue;
        REQUIRE(tables == 1 && chunk->tables[t] == wire.name);
        made->tables[t] = wire;
    }
    const int is_raw = chunk->method == ZNL_METHOD_RAW;
    uint8_t *body = is_raw ? source : room + chunk->body_offset,
            *out = exactly(chunk->source_nbytes);
    const size_t body_nbytes = is_raw ? chunk->source_nbytes : chunk->body_nbytes;
    REQUIRE(body_nbytes <= chunk->source_nbytes);
    REQUIRE(decode(made, body, body_nbytes, out) == ZNL_OK);
    REQUIRE(memcmp(out, source, chunk->source_nbytes) == 0);
    decode_damaged(from, made, body, body_nbytes);
    free(out);
    free(room);
    free(source);
}

static void round_trip_inner(tape *from, fuzz_case *made)
{
    static znl_static_encode_scratch *scratch;
    if (!scratch) scratch = (znl_static_encode_scratch *)(void *)exactly(sizeof *scratch);
    const znl_layout *layout = begin_static(from, made);
    znl_chunk *chunk = &made->chunk;
    chunk->body_room = chunk->source_nbytes + ZNL_BODY_SLACK_NBYTES;
    uint8_t *source = exactly(chunk->source_nbytes), *room = exactly(chunk->body_room);
    const size_t units =
        znl_unit_count(chunk->source_nbytes / layout->width / ZNL_BLOCK_VALUES * ZNL_BLOCK_VALUES,
                       chunk->unit_shift);
    if (chunk->table_count > 1)
        for (size_t u = 0; u < units; u++) scratch->classes[u] = next_u8(from) % chunk->table_count;
    fill_values(from, source, chunk->source_nbytes, layout->width);
    chunk->source = source;
    chunk->body = room;
    chunk->checksum = znl_xxh3_64(&chosen, source, chunk->source_nbytes);
    znl_chunk expected = *chunk;
    expected.body = exactly(chunk->body_room);
    znl_static_split(&portable, layout, &expected, scratch);
    const int status = znl_static_encode(&portable, layout, made->frequencies, &expected, scratch);
    znl_static_split(&chosen, layout, chunk, scratch);
    REQUIRE(znl_static_encode(&chosen, layout, made->frequencies, chunk, scratch) == status);
    if (status == ZNL_OK) require_same(chunk, &expected);
    free(expected.body);
    if (status == ZNL_OK) {
        uint8_t *out = exactly(chunk->source_nbytes);
        REQUIRE(chunk->body_nbytes < chunk->source_nbytes);
        REQUIRE(decode(made, room + chunk->body_offset, chunk->body_nbytes, out) == ZNL_OK);
        REQUIRE(memcmp(out, source, chunk->source_nbytes) == 0);
        decode_damaged(from, made, room + chunk->body_offset, chunk->body_nbytes);
        free(out);
    }
    free(room);
    free(source);
}

/* Second symbols for a chunk with so many tables, or none. */
static void pick_second(tape *from, const znl_layout *layout, unsigned table_count,
                        znl_second *second)
{
    const uint8_t how = next_u8(from);
    const unsigned most = table_count - 1 < ZNL_MAX_CONTEXTS ? table_count - 1 : ZNL_MAX_CONTEXTS;
    unsigned bound = 0;
    memset(second, 0, sizeof *second);
    if (how < 64 || most == 0 || znl_second_kind(layout) == ZNL_NO_SECOND) return;
    second->kind = znl_second_kind(layout);
    for (second->context_count = 1; second->context_count < 1 + how % most;) {
        const uint8_t step = next_u8(from);
        bound += step & 3 ? 1u + (step >> 2) % (layout->symbol_bits > 6 ? 64 : 4)
                          : (1u + step / 64) << layout->symbol_bits;
        if (bound >> layout->symbol_bits >= table_count - (second->context_count + 1)) break;
        second->bounds[second->context_count++ - 1] = (uint16_t)bound;
    }
}

/* A chunk of some values, tables, the rows and columns of some parts, and maybe second symbols. */
static const znl_layout *begin_arranged(tape *from, fuzz_case *made, znl_arrangement *arrangement)
{
    znl_chunk *chunk = &made->chunk;
    size_t rows = 0, columns = 0, count = 0;
    chunk->method = ZNL_METHOD_ARRANGED;
    chunk->dtype = pick_dtype(from);
    const znl_layout *layout = znl_layout_of(chunk->dtype);
    chunk->table_count = (uint8_t)(1 + next_u8(from) % ZNL_MAX_TABLES);
    memset(&arrangement->reduction, 0, sizeof arrangement->reduction);
    pick_second(from, layout, chunk->table_count, &arrangement->second);
    const unsigned class_count = znl_class_count(arrangement, chunk->table_count);
    for (unsigned t = 0; t < chunk->table_count; t++)
        pick_table(from, t < class_count ? layout->symbol_bits : ZNL_SECOND_BITS, made, t);
    const size_t wanted = ZNL_WIDE_LANES_MIN_VALUES + next_u8(from) * (size_t)(next_u8(from) % 8);
    for (arrangement->part_count = 0; count < wanted;) {
        znl_part *part = &arrangement->parts[arrangement->part_count++];
        const uint8_t shape = next_u8(from);
        part->has_columns = shape & 1;
        part->row_values = 4 + (shape & 2 ? next_u8(from) : next_u32(from) % 1024);
        if (shape & 4) part->row_values = (part->row_values + 63) / 64 * 64;
        part->rows =
            1 + (shape & 8 ? next_u8(from) % 8 : (uint32_t)(wanted - count) / part->row_values);
        for (uint32_t i = 0; i < part->rows; i++)
            arrangement->row_classes[rows++] = (uint8_t)(next_u8(from) % class_count);
        for (uint32_t i = 0; i < part->row_values && part->has_columns; i++)
            arrangement->column_classes[columns++] = next_u8(from) % 9;
        count += (size_t)part->rows * part->row_values;
    }
    chunk->source_nbytes = (uint32_t)(count * layout->width);
    return layout;
}

/* The input's bytes are the body, but for an arrangement and for counts that fit the size. */
static void decode_arranged_input(tape *from, fuzz_case *made)
{
    static znl_arrangement arrangement;
    const znl_layout *layout = begin_arranged(from, made, &arrangement);
    znl_chunk *chunk = &made->chunk;
    if (chunk->source_nbytes > 8 * MAX_VALUES) return;
    const unsigned class_count = znl_class_count(&arrangement, chunk->table_count);
    znl_static_shape shape =
        znl_static_shape_of(layout, chunk->source_nbytes / layout->width, 1, 0);
    if (arrangement.second.kind != ZNL_NO_SECOND)
        znl_static_shape_with_second(layout, &arrangement.second, &shape);
    shape.map_nbytes = znl_arrangement_nbytes(&arrangement, class_count);
    const uint32_t patch_count = next_u8(from) & 1 ? 0 : next_u8(from) % 16;
    const uint32_t word_count = next_u32(from) % (uint32_t)(shape.most_words + 1);
    const uint32_t fields_nbytes = shape.has_fields ? next_u32(from) % 4096 * 8 : 0;
    const size_t patches = shape.counts_nbytes + shape.map_nbytes + 4 * shape.lane_count;
    const size_t raw = patches + 4 * patch_count + word_count % 2 * 2 + 2 * word_count;
    const size_t body_nbytes =
        raw + fields_nbytes + shape.raw_nbytes - shape.state_nbytes + shape.tail_nbytes;
    uint8_t *body = exactly(body_nbytes);
    for (size_t i = 0; i < body_nbytes; i++) body[i] = next_u8(from);
    store_u32le(body, word_count);
    store_u32le(body + 4, patch_count);
    znl_arrangement_write(&arrangement, class_count, body + shape.counts_nbytes);
    if (word_count % 2) store_u16le(body + patches + 4 * patch_count, 0);
    decode(made, body, body_nbytes, NULL);
    free(body);
}

/* Fit some of a chunk's tables to its values: few others make its body smaller than they are. */
static void fit_tables(tape *from, const znl_layout *layout, unsigned class_count, fuzz_case *made)
{
    static uint32_t counts[ZNL_MAX_SYMBOL_VALUES], second_counts[ZNL_SYMBOL_COUNT];
    static uint8_t second[8 * MAX_VALUES];
    const znl_chunk *chunk = &made->chunk;
    const size_t value_count = chunk->source_nbytes / layout->width;
    portable.histogram(layout, chunk->source, value_count, 1, counts);
    memset(second_counts, 0, sizeof second_counts);
    if (class_count < chunk->table_count) {
        znl_find_second(layout, chunk->source, value_count, second);
        for (size_t i = 0; i < value_count; i++) second_counts[second[i]]++;
    }
    for (unsigned t = 0; t < chunk->table_count; t++) {
        znl_table *wire = &made->tables[t];
        if (next_u8(from) < 16) continue;
        if (t < class_count)
            znl_table_fit(counts, layout->symbol_bits, &made->frequencies[t]);
        else
            znl_table_fit(second_counts, ZNL_SECOND_BITS, &made->frequencies[t]);
        znl_table_name(&made->frequencies[t], wire);
        made->chunk.tables[t] = wire->name;
    }
}

/* Clear low bits of values of 4 bytes, as many as their exponent and the input say. */
static void round_values(tape *from, uint8_t *values, size_t nbytes)
{
    const uint32_t turn = next_u8(from);
    for (size_t at = 0; at < nbytes; at += 4) {
        const uint32_t value = load_u32le(values + at), zeros = (value >> 23 ^ turn) & 15;
        store_u32le(values + at, value >> zeros << zeros);
    }
}

static void round_trip_arranged(tape *from, fuzz_case *made)
{
    static znl_static_encode_scratch *scratch;
    static znl_arranged_encode_scratch *arranged;
    static znl_arrangement arrangement;
    if (!scratch) scratch = (znl_static_encode_scratch *)(void *)exactly(sizeof *scratch);
    if (!arranged) arranged = (znl_arranged_encode_scratch *)(void *)exactly(sizeof *arranged);
    const znl_layout *layout = begin_arranged(from, made, &arrangement);
    znl_chunk *chunk = &made->chunk;
    if (chunk->source_nbytes > 8 * MAX_VALUES) return;
    chunk->body_room = chunk->source_nbytes + ZNL_BODY_SLACK_NBYTES;
    uint8_t *source = exactly(chunk->source_nbytes), *room = exactly(chunk->body_room);
    fill_values(from, source, chunk->source_nbytes, layout->width);
    if (layout->width == 4 && next_u8(from) & 1) round_values(from, source, chunk->source_nbytes);
    chunk->source = source;
    if (next_u8(from) < 224)
        fit_tables(from, layout, znl_class_count(&arrangement, chunk->table_count), made);
    chunk->body = room;
    chunk->checksum = znl_xxh3_64(&chosen, source, chunk->source_nbytes);
    znl_chunk expected = *chunk;
    expected.body = exactly(chunk->body_room);
    scratch->cache.count = 0;
    const int status = znl_arranged_encode(&portable, layout, made->frequencies, &expected,
                                           &arrangement, scratch, arranged);
    REQUIRE(znl_arranged_encode(&chosen, layout, made->frequencies, chunk, &arrangement, scratch,
                                arranged) == status);
    if (status == ZNL_OK) require_same(chunk, &expected);
    free(expected.body);
    if (status == ZNL_OK) {
        uint8_t *out = exactly(chunk->source_nbytes);
        REQUIRE(chunk->body_nbytes < chunk->source_nbytes);
        REQUIRE(decode(made, room + chunk->body_offset, chunk->body_nbytes, out) == ZNL_OK);
        REQUIRE(memcmp(out, source, chunk->source_nbytes) == 0);
        decode_damaged(from, made, room + chunk->body_offset, chunk->body_nbytes);
        free(out);
    }
    free(room);
    free(source);
}

/* Find the tables that a chunk of the public encoder names. */
static void find_tables(const znl_table *wire, int64_t table_count, fuzz_case *made)
{
    for (unsigned t = 0; t < made->chunk.table_count; t++) {
        int64_t at = 0;
        if (!(made->chunk.tables[t] & ZNL_TABLE_NAME_BIT)) continue;
        while (at < table_count && wire[at].name != made->chunk.tables[t]) at++;
        REQUIRE(at < table_count);
        made->tables[t] = wire[at];
    }
}

/* A chunk that is large enough to be arranged, by the public encoder. Slow. */
static void round_trip_chosen(tape *from, fuzz_case *made)
{
    static znl_table wire[ZNL_NEW_TABLES], expected_wire[ZNL_NEW_TABLES];
    znl_part part = {1, 64 + next_u32(from) % 1024, 0};
    uint8_t *scratch = scratch_for_encoding();
    const size_t scratch_nbytes = znl_encode_scratch_nbytes(1);
    znl_chunk *chunk = &made->chunk;
    chunk->dtype = pick_dtype(from);
    const size_t width = znl_layout_of(chunk->dtype)->width;
    part.rows = 16384 / part.row_values + 1 + next_u8(from) % 2;
    part.has_columns = next_u8(from) & 1;
    chunk->parts = &part;
    chunk->part_count = 1;
    chunk->source_nbytes = (uint32_t)(part.rows * part.row_values * width);
    chunk->body_room = chunk->source_nbytes + ZNL_BODY_SLACK_NBYTES;
    uint8_t *source = exactly(chunk->source_nbytes), *room = exactly(chunk->body_room);
    fill_values(from, source, chunk->source_nbytes, width);
    if (width == 4 && next_u8(from) & 1) round_values(from, source, chunk->source_nbytes);
    chunk->source = source;
    chunk->body = room;
    znl_chunk expected = *chunk;
    expected.body = exactly(chunk->body_room);
    const int64_t tables = znl_encode_chunks(&chosen, chunk, 1, wire, scratch, scratch_nbytes);
    REQUIRE(tables >= 0 && tables <= ZNL_NEW_TABLES);
    REQUIRE(znl_encode_chunks(&portable, &expected, 1, expected_wire, scratch, scratch_nbytes) ==
            tables);
    require_same(chunk, &expected);
    find_tables(wire, tables, made);
    const int is_raw = chunk->method == ZNL_METHOD_RAW;
    exact_chunk exact = exact_chunk_of(made, is_raw ? source : room + chunk->body_offset,
                                       is_raw ? chunk->source_nbytes : chunk->body_nbytes);
    decode_by_both(&exact);
    REQUIRE(exact.status == ZNL_OK && memcmp(exact.out, source, chunk->source_nbytes) == 0);
    free_exact_chunk(&exact);
    free(expected.body);
    free(room);
    free(source);
}

/* Scales and narrow values from the input, and the scales that are found in what they make. */
static void join_scaled(tape *from)
{
    const size_t count = 1 + next_u32(from) % 600;
    const size_t scale_count = next_u8(from) & 1 ? 1 : 1 + next_u32(from) % count;
    const size_t most = scale_count > 1 ? (count - 1) / (scale_count - 1) : count;
    const size_t run = next_u8(from) & 1 ? 1 + next_u32(from) % most : most;
    const int are_bytes = next_u8(from) & 1;
    const size_t narrow_nbytes = count * (are_bytes ? 1 : 2);
    uint8_t *scales = exactly(4 * scale_count), *narrow = exactly(narrow_nbytes);
    uint8_t *out = exactly(4 * count), *again = exactly(4 * count);
    uint8_t *halves = exactly(2 * count), *spans = exactly(scale_count);
    for (size_t s = 0; s < scale_count; s++)
        store_u32le(scales + 4 * s, next_u32(from) & (next_u8(from) < 250 ? 0x4fffffff : ~0u));
    for (size_t i = 0; i < narrow_nbytes; i++) narrow[i] = next_u8(from);
    const int64_t status = znl_join_scaled(scales, narrow, are_bytes, count, run, scale_count, out);
    REQUIRE(status == ZNL_OK || status == ZNL_E_BAD_VALUE);
    if (status == ZNL_OK && (run == 1 || run * scale_count == count) && count % scale_count == 0 &&
        znl_split_scaled(out, count, run, scale_count, scales, halves, spans)) {
        REQUIRE(znl_join_scaled(scales, halves, 0, count, run, scale_count, again) == ZNL_OK);
        REQUIRE(memcmp(again, out, 4 * count) == 0);
    }
    free(spans);
    free(halves);
    free(again);
    free(out);
    free(narrow);
    free(scales);
}

static void check_table(const uint8_t *in, size_t in_nbytes)
{
    uint8_t *exact = exactly(in_nbytes);
    uint64_t name = 0;
    if (in_nbytes) memcpy(exact, in, in_nbytes);
    const int64_t status = znl_table_check(exact, in_nbytes, &name);
    REQUIRE(status <= 0 && status >= ZNL_E_BAD_CALL);
    REQUIRE((status == ZNL_OK) == (name >> 63 == 1));
    free(exact);
}

static void pick_inner_way(tape *from, fuzz_case *made)
{
    const uint8_t way = next_u8(from);
    if (way == 254)
        round_trip_chosen(from, made);
    else if (way >= 248)
        join_scaled(from);
    else if (way & 1)
        round_trip_arranged(from, made);
    else if (way & 2)
        decode_arranged_input(from, made);
    else
        round_trip_inner(from, made);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_nbytes)
{
    fuzz_case made;
    tape from = {in, in_nbytes, 1};
    check_table(in, in_nbytes);
    if (in_nbytes == 0) return 0;
    memset(&made, 0, sizeof made);
    const uint8_t first = next_u8(&from);
    choose_kernels(first >> 2);
    switch (first % 4) {
    case 0: decode_input(&from, &made, 0); break;
    case 1: decode_input(&from, &made, 1); break;
    case 2: round_trip_public(&from, &made); break;
    default: pick_inner_way(&from, &made); break;
    }
    return 0;
}
