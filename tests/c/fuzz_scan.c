/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target for the records of chunks: znl_scan_chunks, then znl_decode_chunks on what it took,
 * then znl_frame_chunks.
 *
 * The first byte picks how the wire is made: of the input's bytes as they are; of those bytes with checks
 * that hold and references to tables that are there; of records of the input's choice; or of those with
 * damage. It also picks the instruction set.
 *
 * What is taken must be what docs/format.md allows (wire.h says it again), whole or in pieces, by any
 * limits; what is taken and framed again is taken again; and nothing outside the wire is read, which lies
 * in a buffer of its size.
 */
#include "bytes.h"
#include "errors.h"
#include "stream.h"
#include "table.h"
#include "tape.h"
#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_nbytes);

enum { MAX_TAKEN = 600, MAX_RECORDS = 48, MAX_DECODED_NBYTES = 1 << 16 };

/* --- the wire ------------------------------------------------------------------------------------- */

/* The names of the tables of a wire, in order. */
typedef struct {
    uint64_t names[4096];
    size_t count;
} name_list;

static void add_name(name_list *to, const uint8_t *record)
{
    REQUIRE(to->count < sizeof to->names / sizeof *to->names);
    to->names[to->count++] =
        znl_xxh3_64_scalar(record + 16, load_u16le(record + 2)) | ZNL_TABLE_NAME_BIT;
}

/* Let the references of a chunk that are names be those of tables before it. */
static void mend_references(uint8_t *record, const name_list *names)
{
    const size_t head_nbytes = load_u16le(record + 2);
    if (record[0] != ZNL_RECORD_CHUNK || names->count == 0) return;
    for (size_t at = 16 + 16; at + 8 <= 16 + head_nbytes; at += 8) {
        const uint64_t reference = load_u64le(record + at);
        if (reference >> 63) store_u64le(record + at, names->names[reference % names->count]);
    }
}

/* Make the check of every record hold; their sizes say where the next one is. */
static void mend_checks(wire *records)
{
    static name_list names;
    names.count = 0;
    for (size_t at = 0; has_head(records->bytes + at, records->nbytes - at);) {
        uint8_t *record = records->bytes + at;
        mend_references(record, &names);
        set_check(record, records->nbytes - at);
        if (record[0] == ZNL_RECORD_TABLE && names.count < 4096) add_name(&names, record);
        if (record_nbytes(record) > records->nbytes - at) return;
        at += record_nbytes(record);
    }
}

/* A table fitted to counts of the input's choice. */
static void put_table(tape *from, wire *to)
{
    static uint32_t counts[ZNL_MAX_SYMBOL_VALUES];
    znl_freq_table table;
    uint8_t head[ZNL_MAX_TABLE_NBYTES];
    memset(counts, 0, sizeof counts);
    const unsigned first = next_u8(from), count = next_u8(from) % 33;
    for (unsigned i = 0; i < count; i++) counts[(first + i) % 256] = next_u8(from);
    znl_table_fit(counts, 8, &table);
    put_record(to, ZNL_RECORD_TABLE, 1, head, znl_table_write(&table, head), NULL, 0);
}

static void put_chunk(tape *from, wire *to)
{
    uint8_t head[ZNL_MAX_CHUNK_HEAD_NBYTES] = {0}, body[256];
    const uint8_t method = next_u8(from), size = next_u8(from);
    size_t nbytes = method & 16 ? size : 1u << size % 4;
    head[0] = next_u8(from) % ZNL_DTYPE_COUNT;
    head[1] = method % ZNL_METHOD_COUNT;
    if (head[1] == ZNL_METHOD_STATIC || head[1] == ZNL_METHOD_ARRANGED) {
        const int is_static = head[1] == ZNL_METHOD_STATIC;
        head[0] = method & 32 ? 10 : 4;
        head[2] = (uint8_t)(1 + (method >> 6 ? size % (is_static ? 8 : 32) : 0));
        if (head[2] > 1 && is_static) head[3] = method & 64 ? 6 : 9;
        nbytes = size;
    }
    store_u32le(head + 4, head[1] == ZNL_METHOD_RAW ? (uint32_t)nbytes : 64u * (1 + size % 16));
    for (unsigned i = 0; i < nbytes; i++) body[i] = next_u8(from);
    if (head[1] == ZNL_METHOD_RAW) store_u64le(head + 8, znl_xxh3_64_scalar(body, nbytes));
    for (unsigned t = 0; t < head[2]; t++) {
        const uint32_t reference = next_u32(from);
        store_u64le(head + 16 + 8 * t,
                    reference & 1 ? ZNL_TABLE_NAME_BIT | reference >> 1 : reference >> 1 & 0xf0ff);
    }
    put_record(to, ZNL_RECORD_CHUNK, 1, head, 16u + 8 * head[2], body, nbytes);
}

static void put_repeat(tape *from, wire *to)
{
    uint8_t head[24] = {0};
    const uint8_t size = next_u8(from);
    head[0] = size % ZNL_DTYPE_COUNT;
    store_u32le(head + 4, 256u + 64 * (size % 8));
    store_u32le(head + 16, 256u + 64 * (size % 8) + 64u * next_u8(from));
    put_record(to, ZNL_RECORD_SAME_AS, 1, head, sizeof head, NULL, 0);
}

/* Records of the input's choice, most of them good; many of the smallest fill pages. */
static void put_records(tape *from, wire *to)
{
    static const uint8_t BODY[1] = {5};
    static const uint8_t HEAD[16] = {0, ZNL_METHOD_CONSTANT, 0, 0, 1};
    for (unsigned i = next_u8(from) % MAX_RECORDS; i > 0; i--) {
        const uint8_t kind = next_u8(from);
        if (kind < 64)
            put_table(from, to);
        else if (kind < 200)
            put_chunk(from, to);
        else if (kind < 240)
            put_repeat(from, to);
        else if (kind < 248)
            put_record(to, kind % 8, next_u8(from), HEAD, kind % 4 * 4, NULL, 0);
        else
            for (unsigned more = next_u8(from); more > 0; more--)
                put_record(to, ZNL_RECORD_CHUNK, 1, HEAD, sizeof HEAD, BODY, sizeof BODY);
    }
}

static void damage(tape *from, wire *records)
{
    for (unsigned count = next_u8(from) % 4; count > 0 && records->nbytes; count--) {
        const uint32_t how = next_u32(from);
        uint8_t *byte = records->bytes + (how >> 8) % records->nbytes;
        *byte = how & 1 ? (uint8_t)(*byte ^ 1 << (how >> 1 & 7)) : next_u8(from);
    }
}

static wire new_wire(void)
{
    const wire made = {exactly(64), 0, 64};
    return made;
}

static wire make_wire(tape *from, unsigned way)
{
    wire made = new_wire();
    if (way < 2) {
        wire_put(&made, from->in, from->left);
    } else {
        put_records(from, &made);
        mend_checks(&made);
        if (way == 3) damage(from, &made);
    }
    if (way == 1 || (way == 3 && next_u8(from) & 1)) mend_checks(&made);
    if (way == 3 && next_u8(from) < 64) made.nbytes -= made.nbytes ? made.nbytes / 7 : 0;
    return made;
}

/* --- scans ---------------------------------------------------------------------------------------- */

/* A scan of a wire from its first byte: the chunks that were taken, and their tables. */
typedef struct {
    znl_stream stream;
    znl_run run;
    znl_chunk room[64], taken[MAX_TAKEN];
    znl_table table_room[64 * ZNL_MAX_TABLES], tables[MAX_TAKEN * ZNL_MAX_TABLES];
    size_t count, table_count, offset;
} scanner;

/* Scan what a piece of the wire holds: in[offset..in_nbytes), in a buffer of its own. */
static int scan_piece(scanner *by, const uint8_t *in, size_t in_nbytes)
{
    const size_t nbytes = in_nbytes - by->offset;
    uint8_t *piece = exactly(nbytes);
    if (nbytes) memcpy(piece, in + by->offset, nbytes);
    znl_run *run = &by->run;
    run->chunks = by->room;
    run->tables = by->table_room;
    run->offset = by->offset;
    REQUIRE(znl_scan_chunks(&by->stream, &chosen, piece, nbytes, run) == ZNL_OK);
    REQUIRE(run->chunk_count <= run->chunk_room && run->taken_nbytes <= nbytes);
    REQUIRE(run->source_nbytes <= run->source_room);
    REQUIRE(run->chunk_count < 2 || run->source_nbytes <= run->batch_nbytes);
    REQUIRE(by->count + run->chunk_count <= MAX_TAKEN);
    for (size_t i = 0; i < run->chunk_count; i++) {
        znl_chunk *chunk = &by->taken[by->count++];
        *chunk = run->chunks[i];
        if (chunk->body) chunk->body = (uint8_t *)in + by->offset + (chunk->body - piece);
    }
    for (size_t t = 0; t < run->table_count; t++) by->tables[by->table_count++] = run->tables[t];
    by->offset += (size_t)run->taken_nbytes;
    free(piece);
    return run->stop;
}

static void begin_scan(scanner *by, uint64_t chunk_room, uint64_t batch_nbytes)
{
    forget_all(&by->stream);
    by->count = by->table_count = by->offset = 0;
    by->run.chunk_room = chunk_room;
    by->run.batch_nbytes = batch_nbytes;
    by->run.source_room = UINT64_MAX;
}

/* Scan a wire from a piece that may be cut short on: FULL is no reason to stop. */
static int scan_on(scanner *by, const uint8_t *in, size_t in_nbytes)
{
    for (;;) {
        const size_t count = by->count;
        const int stop = scan_piece(by, in, in_nbytes);
        REQUIRE(stop != ZNL_STOP_ROOM && (stop != ZNL_STOP_FULL || by->count > count));
        if (stop != ZNL_STOP_FULL) return stop;
    }
}

static void require_same(const scanner *a, const scanner *b)
{
    REQUIRE(a->offset == b->offset && a->count == b->count && a->table_count == b->table_count);
    REQUIRE(memcmp(a->taken, b->taken, a->count * sizeof *a->taken) == 0);
    const znl_table *table = a->tables, *other = b->tables;
    for (size_t i = 0; i < a->count; i++)
        for (unsigned t = 0; t < a->taken[i].table_count; t++, table++, other++) {
            const uint64_t reference = a->taken[i].tables[t];
            if (!(reference >> 63)) continue; /* the entry of a universal one is not written */
            REQUIRE(table->name == reference && other->name == reference);
            REQUIRE(table->nbytes == other->nbytes);
            REQUIRE(memcmp(table->bytes, other->bytes, table->nbytes) == 0);
        }
    REQUIRE(a->stream.chunk_count == b->stream.chunk_count);
    REQUIRE(a->stream.kept_next == b->stream.kept_next);
    REQUIRE(a->stream.context_nbytes == b->stream.context_nbytes);
    REQUIRE(a->stream.lead_nbytes == b->stream.lead_nbytes);
    REQUIRE(a->stream.records_nbytes == b->stream.records_nbytes);
    REQUIRE(memcmp(a->stream.entries, b->stream.entries,
                   (size_t)a->stream.chunk_count * ZNL_ENTRY_NBYTES) == 0);
    REQUIRE(memcmp(a->stream.context, b->stream.context, a->stream.context_nbytes) == 0);
}

/* With less room for source bytes, the chunks that fit are taken, and no more. */
static void scan_for_room(const scanner *whole, scanner *by, const wire *records, uint64_t room)
{
    uint64_t source_nbytes = 0;
    size_t fitting = 0;
    while (fitting < whole->count && whole->taken[fitting].source_nbytes <= room - source_nbytes)
        source_nbytes += whole->taken[fitting++].source_nbytes;
    if (fitting > 64) return;
    begin_scan(by, 64, UINT64_MAX);
    by->run.source_room = room;
    const int stop = scan_piece(by, records->bytes, records->nbytes);
    REQUIRE(by->count == fitting && by->run.source_nbytes == source_nbytes);
    if (fitting < 64) REQUIRE((stop == ZNL_STOP_ROOM) == (fitting < whole->count));
    REQUIRE(memcmp(by->taken, whole->taken, fitting * sizeof *by->taken) == 0);
}

/* What was taken of a wire is what the specification allows, up to the first record that it does not. */
static void require_allowed(const scanner *by, const wire *records, int stop)
{
    static name_list names;
    size_t chunks = 0, at = 0;
    names.count = 0;
    while (at < by->offset) {
        const uint8_t *record = records->bytes + at;
        REQUIRE(has_check(record, records->nbytes - at));
        REQUIRE(may_be_taken(record, records->nbytes - at, names.names, names.count));
        if (record[0] == ZNL_RECORD_TABLE)
            add_name(&names, record);
        else
            REQUIRE(by->taken[chunks++].offset == at);
        at += record_nbytes(record);
    }
    REQUIRE(at == by->offset && chunks == by->count);
    const uint8_t *record = records->bytes + at;
    const size_t left = records->nbytes - at;
    const int is_page_full = by->stream.chunk_count == ZNL_PAGE_CHUNKS;
    if (stop == ZNL_STOP_MORE) {
        REQUIRE(by->run.wanted_nbytes > left);
        REQUIRE(left < 16 || by->run.wanted_nbytes <= record_nbytes(record));
    } else if (has_head(record, left) && has_check(record, left)) {
        REQUIRE(!may_be_taken(record, left, names.names, names.count) ||
                (is_page_full && record[0] != ZNL_RECORD_TABLE));
    }
}

/* --- what was taken --------------------------------------------------------------------------------- */

static uint8_t *decode_scratch(void)
{
    static uint8_t *scratch;
    if (!scratch) scratch = exactly(znl_decode_scratch_nbytes());
    return scratch;
}

/* Decode `count` chunks into a buffer of their size; returns the status. */
static int64_t decode(znl_chunk *chunks, size_t count, const znl_table *tables, size_t table_count)
{
    size_t nbytes = 0;
    for (size_t i = 0; i < count; i++) nbytes += chunks[i].source_nbytes;
    uint8_t *out = exactly(nbytes);
    znl_table *exact = (znl_table *)(void *)exactly(table_count * sizeof *exact);
    if (table_count) memcpy(exact, tables, table_count * sizeof *exact);
    REQUIRE(znl_place_chunks(chunks, count, out, nbytes) == ZNL_OK);
    REQUIRE(nbytes == 0 || znl_place_chunks(chunks, count, out, nbytes - 1) == ZNL_E_BAD_CALL);
    const int64_t status = znl_decode_chunks(&chosen, chunks, count, exact, table_count,
                                             decode_scratch(), znl_decode_scratch_nbytes());
    REQUIRE(status <= 0 && status > ZNL_E_BAD_CALL);
    for (size_t i = 0; i < count && chunks[i].status >= 0; i++)
        if (chunks[i].status == ZNL_OK)
            REQUIRE(znl_xxh3_64(&portable, chunks[i].source, chunks[i].source_nbytes) ==
                    chunks[i].checksum);
    free(exact);
    free(out);
    return status;
}

/* Decode each chunk alone, then all that lie before the first one that is too large: the first to fail alone
 * is the first to fail among them. */
static void decode_taken(const scanner *by)
{
    static znl_chunk chunks[MAX_TAKEN];
    size_t count = 0, table_count = 0, nbytes = 0;
    int64_t expected = ZNL_OK;
    for (; count < by->count; count++) {
        znl_chunk chunk = by->taken[count];
        nbytes += chunk.source_nbytes;
        if (nbytes > MAX_DECODED_NBYTES) break;
        const int is_left = chunk.distance || chunk.method == ZNL_METHOD_ZSTD ||
                            chunk.method == ZNL_METHOD_COMPOSED;
        chunk.status = 77;
        const int64_t status =
            decode(&chunk, 1, by->tables + table_count, by->taken[count].table_count);
        REQUIRE(chunk.status == (is_left ? ZNL_STATUS_LEFT : status));
        if (expected == ZNL_OK) expected = status;
        chunks[count] = by->taken[count];
        table_count += chunk.table_count;
    }
    REQUIRE(decode(chunks, count, by->tables, table_count) == expected);
}

static void list_originals(const scanner *by)
{
    static znl_original originals[MAX_TAKEN];
    const size_t count = znl_list_originals(by->taken, by->count, originals);
    uint32_t start = 0;
    for (size_t i = 0; i < by->count; i++) {
        const znl_original *found = znl_find_original(originals, count, start);
        REQUIRE(!found || found->start == start);
        REQUIRE(!found == (by->taken[i].distance || by->taken[i].source_nbytes < 256));
        start += by->taken[i].source_nbytes;
    }
}

/* Frame what was taken and scan it again. */
static void frame_taken(const scanner *by, scanner *again)
{
    static znl_stream stream;
    wire records = new_wire();
    size_t tables = 0;
    forget_all(&stream);
    for (size_t i = 0; i < by->count; i++) {
        znl_chunk chunk = by->taken[i];
        chunk.source = chunk.body; /* of a raw chunk */
        if (chunk.method == ZNL_METHOD_RAW && chunk.body_nbytes != chunk.source_nbytes &&
            !chunk.distance)
            break;
        const size_t room = ZNL_FRAME_NBYTES + chunk.body_nbytes;
        uint8_t *out = exactly(room);
        size_t framed = 0;
        const int64_t nbytes = znl_frame_chunks(&stream, &chosen, &chunk, 1, by->tables + tables,
                                                chunk.table_count, out, room, &framed);
        REQUIRE(nbytes > 0 && framed == 1);
        wire_put(&records, out, (size_t)nbytes);
        tables += chunk.table_count;
        free(out);
    }
    begin_scan(again, 64, UINT64_MAX);
    REQUIRE(scan_on(again, records.bytes, records.nbytes) == ZNL_STOP_MORE);
    REQUIRE(again->offset == records.nbytes && again->count == stream.chunk_count);
    for (size_t i = 0; i < again->count; i++) {
        const znl_chunk *a = &by->taken[i], *b = &again->taken[i];
        REQUIRE(a->source_nbytes == b->source_nbytes && a->checksum == b->checksum);
        REQUIRE(a->distance == b->distance && a->dtype == b->dtype && a->method == b->method);
        REQUIRE(a->unit_shift == b->unit_shift && a->table_count == b->table_count);
        REQUIRE(memcmp(a->tables, b->tables, sizeof a->tables) == 0);
        REQUIRE(a->body_nbytes == b->body_nbytes);
        REQUIRE(a->body_nbytes == 0 || memcmp(a->body, b->body, a->body_nbytes) == 0);
    }
    free(records.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t in_nbytes)
{
    static scanner whole, other;
    if (in_nbytes < 3 || in_nbytes > 1 << 16) return 0;
    tape from = {in, in_nbytes, 1};
    const uint8_t first = next_u8(&from), limits = next_u8(&from), cuts = next_u8(&from);
    choose_kernels(first >> 2);
    wire records = make_wire(&from, first % 4);

    begin_scan(&whole, 64, UINT64_MAX);
    const int stop = scan_on(&whole, records.bytes, records.nbytes);
    require_allowed(&whole, &records, stop);
    decode_taken(&whole);
    list_originals(&whole);

    begin_scan(&other, 1u + limits % 64, (uint64_t)(limits & 7) << 10);
    size_t cut = 0;
    for (unsigned i = cuts % 8; i > 0; i--) {
        cut += (size_t)(cuts >> 3) * 5 + next_u8(&from);
        if (cut > records.nbytes) break;
        if (scan_on(&other, records.bytes, cut) == ZNL_STOP_OTHER) break; /* and so it remains */
    }
    REQUIRE(scan_on(&other, records.bytes, records.nbytes) == stop);
    require_same(&whole, &other);

    scan_for_room(&whole, &other, &records, (uint64_t)limits * cuts);
    frame_taken(&whole, &other);
    free(records.bytes);
    return 0;
}
