/* SPDX-License-Identifier: Apache-2.0 */
/* The records of chunks: what is framed is scanned back, from pieces of any size, and both ends then
 * know the same; a record that docs/format.md does not allow is not taken. */
#include "chunks.h"
#include "stream.h"
#include "table.h"
#include "wire.h"

enum {
    SMALL_ROOM = 40,
    MANY_CHUNKS = 1100, /* two full pages and more; more tables than a writer counts on */
    FEW_VALUES = 420,
};

/* --- what streams are made of --------------------------------------------------------------------- */

/* Encoded chunks in source order, and the tables that they refer to. */
typedef struct {
    test_case *cases; /* the buffers of chunks that are no repeats */
    znl_chunk *chunks;
    znl_table *tables;
    size_t room, case_count, count, table_count;
} material;

static void *allocated(size_t count, size_t nbytes)
{
    void *memory = calloc(count ? count : 1, nbytes);
    if (memory == NULL) {
        printf("no memory for %zu times %zu bytes\n", count, nbytes);
        exit(1);
    }
    return memory;
}

static material material_new(size_t room)
{
    material made = {allocated(room, sizeof(test_case)),
                     allocated(room, sizeof(znl_chunk)),
                     allocated(room, sizeof(znl_table)),
                     room,
                     0,
                     0,
                     0};
    return made;
}

static void material_free(material *made)
{
    for (size_t i = 0; i < made->case_count; i++) free_case(&made->cases[i]);
    free(made->cases);
    free(made->chunks);
    free(made->tables);
}

/* Add chunks of the cases that the encoder is given in one call. */
static void add_encoded(material *to, const test_case *cases, size_t count)
{
    znl_chunk chunks[MAX_CHUNKS];
    for (size_t i = 0; i < count; i++) chunks[i] = cases[i].chunk;
    to->table_count += (size_t)encode(chunks, count, to->tables + to->table_count, 0x44);
    for (size_t i = 0; i < count; i++) {
        to->cases[to->case_count++] = cases[i];
        to->chunks[to->count++] = chunks[i];
    }
}

static void add_values(material *to, unsigned dtype, enum pattern pattern, size_t values,
                       size_t count, int is_joined)
{
    test_case cases[MAX_CHUNKS];
    for (size_t i = 0; i < count; i++)
        cases[i] = new_case(dtype, pattern, values, 0, is_joined, i + 1);
    add_encoded(to, cases, count);
}

/* Add a chunk that another encoder made, of a dtype that C has no layout for. */
static void add_bytes(material *to, unsigned dtype, unsigned method, size_t source_nbytes,
                      size_t body_nbytes)
{
    uint64_t seed = source_nbytes;
    test_case made = new_case(14, RANDOM_BITS, source_nbytes, 0, 0, seed);
    if (method == ZNL_METHOD_CONSTANT)
        for (size_t i = body_nbytes; i < source_nbytes; i++)
            made.source.bytes[i] = made.source.bytes[i - body_nbytes];
    znl_chunk *chunk = &to->chunks[to->count++];
    *chunk = made.chunk;
    chunk->dtype = (uint8_t)dtype;
    chunk->method = (uint8_t)method;
    chunk->checksum = znl_xxh3_64_scalar(chunk->source, source_nbytes);
    chunk->distance = chunk->table_count = chunk->unit_shift = 0;
    chunk->body_offset = method == ZNL_METHOD_RAW ? 77 : 2; /* not looked at when raw */
    chunk->body_nbytes = method == ZNL_METHOD_RAW ? 88 : (uint32_t)body_nbytes;
    if (body_nbytes) memcpy(made.body.bytes + 2, made.source.bytes, body_nbytes);
    to->cases[to->case_count++] = made;
}

/* Add an earlier chunk once more, as it is. */
static void add_again(material *to, size_t original)
{
    to->chunks[to->count++] = to->chunks[original];
}

/* Add a repeat of an earlier chunk. */
static void add_repeat(material *to, size_t original, unsigned dtype)
{
    znl_chunk *chunk = &to->chunks[to->count];
    *chunk = to->chunks[original];
    chunk->dtype = (uint8_t)dtype;
    chunk->distance = 0;
    for (size_t i = original; i < to->count; i++) chunk->distance += to->chunks[i].source_nbytes;
    to->count++;
}

/* A flat table with a base of its own. */
static znl_table flat_table(unsigned base)
{
    znl_freq_table flat = {0};
    znl_table made = {0};
    flat.base = (uint16_t)base;
    for (unsigned s = 0; s < ZNL_SYMBOL_COUNT; s++) flat.frequency[s] = ZNL_BUCKET_SIZE;
    made.nbytes = (uint32_t)znl_table_write(&flat, made.bytes);
    CHECK(znl_table_check(made.bytes, made.nbytes, &made.name) == 0, "base %u", base);
    return made;
}

/* A static chunk of 64 values that refers to tables; its body is nonsense. */
static znl_chunk naming_chunk(const znl_table *tables, unsigned count, const guarded *body)
{
    znl_chunk chunk;
    memset(&chunk, 0, sizeof chunk);
    chunk.dtype = 10;
    chunk.method = count > ZNL_MAX_STATIC_TABLES ? ZNL_METHOD_ARRANGED : ZNL_METHOD_STATIC;
    chunk.source_nbytes = 64;
    chunk.table_count = (uint8_t)count;
    if (count > 1 && count <= ZNL_MAX_STATIC_TABLES) chunk.unit_shift = ZNL_UNIT_SHIFT_LARGE;
    chunk.body = body->bytes;
    chunk.body_nbytes = (uint32_t)body->nbytes;
    for (unsigned t = 0; t < count; t++) chunk.tables[t] = tables[t].name;
    return chunk;
}

/* Every method, every kind of reference, bodies of every padding; about 5 KB. */
static material new_mixture(void)
{
    material made = material_new(SMALL_ROOM);
    add_values(&made, 10, GAUSSIAN, 8192, 2, 0); /* one table for both */
    add_values(&made, 10, TWO, 600, 1, 0);       /* a table of its own */
    add_values(&made, 4, GAUSSIAN, 131, 3, 0);   /* universal ones */
    add_values(&made, 10, RUNS, 640, 1, 1);      /* several, a class for every unit */
    add_bytes(&made, 16, ZNL_METHOD_RAW, 257, 0);
    add_values(&made, 3, RANDOM_BITS, 65, 1, 0);
    add_values(&made, 1, TWO, 1, 1, 0); /* one value is a constant */
    add_bytes(&made, 22, ZNL_METHOD_CONSTANT, 300, 1);
    add_bytes(&made, 0, ZNL_METHOD_ZSTD, 1000, 31);
    add_bytes(&made, 20, ZNL_METHOD_COMPOSED, 800, 60);
    add_repeat(&made, 7, 16);
    add_repeat(&made, 0, 15);                    /* as values of another dtype */
    add_bytes(&made, 2, ZNL_METHOD_RAW, 255, 0); /* too short to be repeated */
    add_repeat(&made, 1, 10);
    add_again(&made, 2); /* its table is known, and in the page behind another */
    return made;
}

static void check_mixture(const material *made)
{
    unsigned methods[ZNL_METHOD_COUNT] = {0}, named = 0, universal = 0, many = 0, paddings[4] = {0};
    for (size_t i = 0; i < made->count; i++) {
        const znl_chunk *chunk = &made->chunks[i];
        if (chunk->distance) continue;
        methods[chunk->method]++;
        paddings[body_nbytes_of(chunk) % 4]++;
        many += chunk->table_count > 1;
        for (unsigned t = 0; t < chunk->table_count; t++)
            *(chunk->tables[t] & ZNL_TABLE_NAME_BIT ? &named : &universal) += 1;
    }
    for (unsigned m = 0; m < ZNL_METHOD_COUNT; m++)
        CHECK(methods[m] || m == ZNL_METHOD_ARRANGED, "method %u", m);
    for (unsigned p = 0; p < 4; p++) CHECK(paddings[p], "padding %u", p);
    CHECK(named >= 3 && universal && many, "%u %u %u", named, universal, many);
    CHECK(made->chunks[0].tables[0] == made->chunks[1].tables[0], "no table is shared");
    CHECK(made->chunks[2].tables[0] >> 63, "no table of its own");
}

/* Chunks with a table each, more than a reader keeps; then the first of them once more. */
static material new_multitude(void)
{
    material made = material_new(MANY_CHUNKS + 1);
    uint64_t seed = 11;
    for (size_t i = 0; i < MANY_CHUNKS; i++) {
        test_case one = new_case(10, GAUSSIAN, FEW_VALUES, 0, 0, i);
        const uint32_t base = random_below(&seed, 200), odds = 1 + random_below(&seed, 200);
        for (size_t v = 0; v < FEW_VALUES; v++)
            one.source.bytes[v] = (uint8_t)(base + 8 * random_below(&seed, 4) +
                                            (random_below(&seed, 256) < odds ? 5 : 0));
        const int64_t tables =
            znl_encode_chunks(&level_kernels[level], &one.chunk, 1, made.tables + made.table_count,
                              encode_scratch.bytes, encode_scratch.nbytes);
        CHECK(tables == 1, "%s: %lld tables", where, (long long)tables);
        made.table_count += (size_t)tables;
        made.cases[made.case_count++] = one;
        made.chunks[made.count++] = one.chunk;
    }
    add_again(&made, 0);
    return made;
}

/* --- both ends ------------------------------------------------------------------------------------ */

/* A stream as it was written, and what its writer knew before each page and at the end. */
typedef struct {
    wire records;
    znl_stream *pages[4];
    size_t page_count;
} written;

static size_t out_room_of(const znl_chunk *chunk)
{
    return ZNL_FRAME_NBYTES + (chunk->distance ? 0 : body_nbytes_of(chunk));
}

/* Frame all chunks, `step` of them a call, into buffers of the size asked for. */
static written frame_all(const material *from, size_t step)
{
    written made = {{0}, {NULL}, 0};
    znl_stream *stream = made.pages[0] = allocated(1, sizeof *stream);
    for (size_t done = 0; done < from->count;) {
        size_t count = from->count - done, framed = 999, out_nbytes = 0;
        if (count > step) count = step;
        for (size_t i = 0; i < count; i++) out_nbytes += out_room_of(&from->chunks[done + i]);
        guarded out = guarded_new(out_nbytes, 0xbb, (unsigned)(done % 16));
        const int64_t nbytes =
            znl_frame_chunks(stream, &level_kernels[level], from->chunks + done, count,
                             from->tables, from->table_count, out.bytes, out.nbytes, &framed);
        CHECK(nbytes > 0 && (size_t)nbytes <= out_nbytes && framed > 0 && framed <= count,
              "%lld bytes, %zu of %zu chunks", (long long)nbytes, framed, count);
        wire_put(&made.records, out.bytes, nbytes > 0 ? (size_t)nbytes : 0);
        for (size_t i = nbytes > 0 ? (size_t)nbytes : 0; i < out_nbytes; i++)
            if (out.bytes[i] != 0xbb) {
                CHECK(0, "byte %zu behind the records was written to", i);
                break;
            }
        CHECK(guarded_free(&out), "around the records");
        if (nbytes <= 0) break;
        CHECK(framed == count || stream->chunk_count == ZNL_PAGE_CHUNKS, "%zu", framed);
        done += framed;
        if (stream->chunk_count < ZNL_PAGE_CHUNKS) continue;
        znl_stream *next = allocated(1, sizeof *next);
        *next = *stream;
        znl_stream_next_page(next);
        stream = made.pages[++made.page_count] = next;
        put_record(&made.records, 0x04, 1, NULL, 0, NULL,
                   0); /* which a scan leaves to the caller */
    }
    return made;
}

static void written_free(written *made)
{
    for (size_t i = 0; i <= made->page_count; i++) free(made->pages[i]);
    free(made->records.bytes);
}

/* A reader with room for runs of a size, and all chunks that it took. */
typedef struct {
    znl_stream stream;
    znl_run run;
    guarded chunks, tables;
    size_t offset; /* of the next record */
    znl_chunk *taken;
    znl_table *found; /* ZNL_MAX_TABLES for each chunk taken */
    size_t taken_count, taken_room;
} reader;

static reader *reader_new(size_t chunk_room, size_t taken_room)
{
    reader *made = allocated(1, sizeof *made);
    made->chunks = guarded_new(chunk_room * sizeof(znl_chunk), 0x77, 0);
    made->tables = guarded_new(chunk_room * ZNL_MAX_TABLES * sizeof(znl_table), 0x77, 0);
    made->run.chunks = (znl_chunk *)(void *)made->chunks.bytes;
    made->run.tables = (znl_table *)(void *)made->tables.bytes;
    made->run.chunk_room = chunk_room;
    made->run.batch_nbytes = made->run.source_room = UINT64_MAX;
    made->taken = allocated(taken_room, sizeof *made->taken);
    made->found = allocated(taken_room * ZNL_MAX_TABLES, sizeof *made->found);
    made->taken_room = taken_room;
    return made;
}

static void reader_free(reader *made)
{
    CHECK(guarded_free(&made->chunks) && guarded_free(&made->tables), "around the run");
    free(made->taken);
    free(made->found);
    free(made);
}

static void reader_reset(reader *made)
{
    forget_all(&made->stream);
    made->offset = made->taken_count = 0;
}

/* What a scan says about its chunks must be true. */
static void check_run(const reader *by)
{
    const znl_run *run = &by->run;
    uint64_t tables = 0, left = 0, originals = 0, nbytes = 0;
    for (uint64_t i = 0; i < run->chunk_count; i++) {
        const znl_chunk *chunk = &run->chunks[i];
        tables += chunk->table_count;
        left += chunk->distance || chunk->method == ZNL_METHOD_ZSTD ||
                chunk->method == ZNL_METHOD_COMPOSED;
        originals += !chunk->distance && chunk->source_nbytes >= 256;
        nbytes += chunk->source_nbytes;
    }
    CHECK(run->chunk_count <= run->chunk_room && tables == run->table_count &&
              left == run->left_count && originals == run->original_count &&
              nbytes == run->source_nbytes,
          "%s: %llu chunks", where, (unsigned long long)run->chunk_count);
    CHECK(nbytes <= run->source_room, "%s: %llu bytes", where, (unsigned long long)nbytes);
    CHECK(nbytes <= run->batch_nbytes || run->chunk_count == 1, "%s", where);
}

/* Scan in[offset .. in_nbytes) from a buffer of its own; returns why the scan stopped. */
static int scan(reader *by, const uint8_t *in, size_t in_nbytes)
{
    guarded piece =
        guarded_copy(in + by->offset, in_nbytes - by->offset, (unsigned)(by->offset % 16));
    memset(by->run.chunks, 0x77, by->run.chunk_room * sizeof *by->run.chunks);
    by->run.offset = 1000 + by->offset;
    const int64_t status =
        znl_scan_chunks(&by->stream, &level_kernels[level], piece.bytes, piece.nbytes, &by->run);
    CHECK(status == 0 && by->run.taken_nbytes <= piece.nbytes, "%s: %lld", where,
          (long long)status);
    check_run(by);
    const znl_table *tables = by->run.tables;
    for (uint64_t i = 0; i < by->run.chunk_count; i++) {
        znl_chunk chunk = by->run.chunks[i];
        if (chunk.body) chunk.body = (uint8_t *)in + by->offset + (chunk.body - piece.bytes);
        CHECK(by->taken_count < by->taken_room, "%s: more chunks than were framed", where);
        for (unsigned t = 0; t < chunk.table_count; t++)
            by->found[by->taken_count * ZNL_MAX_TABLES + t] = *tables++;
        by->taken[by->taken_count++] = chunk;
    }
    CHECK(memcmp(piece.bytes, in + by->offset, piece.nbytes) == 0, "%s: wire changed", where);
    by->offset += (size_t)by->run.taken_nbytes;
    CHECK(guarded_free(&piece), "%s", where);
    return by->run.stop;
}

/* --- comparisons ---------------------------------------------------------------------------------- */

static void check_same_table(const znl_table *a, const znl_table *b, size_t number)
{
    CHECK(a->name == b->name && a->nbytes == b->nbytes &&
              memcmp(a->bytes, b->bytes, a->nbytes) == 0,
          "%s: table %zu", where, number);
}

/* Both ends know the same. */
static void check_same_stream(const znl_stream *a, const znl_stream *b)
{
    CHECK(a->lead_nbytes == b->lead_nbytes && a->records_nbytes == b->records_nbytes &&
              a->source_nbytes == b->source_nbytes,
          "%s: sizes", where);
    CHECK(a->chunk_count == b->chunk_count && a->table_count == b->table_count &&
              a->context_nbytes == b->context_nbytes && a->dtype_count == b->dtype_count &&
              a->kept_count == b->kept_count && a->kept_next == b->kept_next,
          "%s: counts", where);
    CHECK(memcmp(a->source_by_method, b->source_by_method, sizeof a->source_by_method) == 0 &&
              memcmp(a->stored_by_method, b->stored_by_method, sizeof a->stored_by_method) == 0 &&
              memcmp(a->dtypes, b->dtypes, a->dtype_count) == 0,
          "%s: dtypes", where);
    CHECK(memcmp(a->entries, b->entries, (size_t)a->chunk_count * ZNL_ENTRY_NBYTES) == 0 &&
              memcmp(a->context, b->context, a->context_nbytes) == 0 &&
              memcmp(a->table_names, b->table_names, a->table_count * sizeof *a->table_names) == 0,
          "%s: page", where);
    for (size_t t = 0; t < a->kept_count; t++) check_same_table(&a->kept[t], &b->kept[t], t);
}

/* A chunk as scanned is the one that was framed. */
static void check_same_chunk(const znl_chunk *taken, const znl_chunk *framed, size_t number)
{
    CHECK(taken->source_nbytes == framed->source_nbytes && taken->distance == framed->distance &&
              taken->checksum == framed->checksum && taken->dtype == framed->dtype,
          "%s: chunk %zu", where, number);
    CHECK(taken->source == NULL && taken->body_offset == 0 && taken->body_room == 0 &&
              taken->is_joined == 0 && taken->status == 0,
          "%s: chunk %zu", where, number);
    if (framed->distance) {
        CHECK(taken->method == 0 && taken->table_count == 0 && taken->unit_shift == 0 &&
                  taken->body_nbytes == 0,
              "%s: repeat %zu", where, number);
        return;
    }
    CHECK(taken->method == framed->method && taken->table_count == framed->table_count &&
              taken->unit_shift == framed->unit_shift,
          "%s: chunk %zu", where, number);
    CHECK(memcmp(taken->tables, framed->tables, framed->table_count * sizeof *framed->tables) == 0,
          "%s: chunk %zu", where, number);
    const size_t nbytes = body_nbytes_of(framed);
    CHECK(taken->body_nbytes == nbytes && memcmp(taken->body, body_of(framed), nbytes) == 0,
          "%s: body of chunk %zu", where, number);
}

/* The chunks of a reader lie where the entries of the pages say, and all are counted. */
static void check_places(const reader *by, const written *from)
{
    uint64_t at = 1000, source_by_method[ZNL_DTYPE_COUNT][ZNL_METHOD_COUNT + 1] = {{0}},
             stored_by_method[ZNL_DTYPE_COUNT][ZNL_METHOD_COUNT + 1] = {{0}};
    const znl_stream *end = &by->stream;
    size_t number = 0;
    for (size_t page = 0; page <= from->page_count; page++) {
        const znl_stream *stream = from->pages[page];
        uint64_t source_nbytes = 0, records_nbytes = stream->lead_nbytes;
        for (size_t e = 0; e < stream->chunk_count && number < by->taken_count; e++, number++) {
            const uint8_t *entry = stream->entries + e * ZNL_ENTRY_NBYTES;
            const znl_chunk *chunk = &by->taken[number];
            at += load_u32le(entry + 8);
            CHECK(chunk->offset == at, "%s: chunk %zu at %llu", where, number,
                  (unsigned long long)chunk->offset);
            at += load_u32le(entry + 4);
            CHECK(load_u32le(entry) == chunk->source_nbytes &&
                      entry[12] == (chunk->distance ? 3 : 1) && entry[13] == chunk->dtype &&
                      entry[14] == chunk->method && entry[15] == 0 &&
                      load_u64le(entry + 16) == chunk->checksum,
                  "%s: entry %zu", where, number);
            const uint32_t stored_nbytes = load_u32le(entry + 4) + load_u32le(entry + 8);
            source_nbytes += chunk->source_nbytes;
            records_nbytes += stored_nbytes;
            const size_t method = entry[12] == 3 ? ZNL_METHOD_COUNT : entry[14];
            source_by_method[entry[13]][method] += chunk->source_nbytes;
            stored_by_method[entry[13]][method] += stored_nbytes;
        }
        CHECK(stream->source_nbytes == source_nbytes && stream->records_nbytes == records_nbytes,
              "%s: page %zu", where, page);
        at += 16; /* the PAGE */
    }
    CHECK(number == by->taken_count, "%s: %zu chunks", where, number);
    CHECK(memcmp(source_by_method, end->source_by_method, sizeof source_by_method) == 0 &&
              memcmp(stored_by_method, end->stored_by_method, sizeof stored_by_method) == 0,
          "%s: bytes by method", where);
    number = 0; /* of the dtype that appears next */
    for (size_t i = 0; i < by->taken_count; i++) {
        size_t d = 0;
        while (d < number && end->dtypes[d] != by->taken[i].dtype) d++;
        if (d == number)
            CHECK(end->dtypes[number++] == by->taken[i].dtype, "%s: dtype of chunk %zu", where, i);
    }
    CHECK(number == end->dtype_count, "%s: %zu dtypes", where, number);
}

/* Decode the chunks that a reader took, some in a call; compare those that C decodes. */
static void check_decodes(const reader *by, const material *from, size_t step)
{
    for (size_t first = 0; first < by->taken_count; first += step) {
        znl_chunk chunks[MAX_CHUNKS];
        znl_table tables[MAX_CHUNKS * ZNL_MAX_TABLES];
        size_t count = by->taken_count - first, table_count = 0, nbytes = 0;
        if (count > step) count = step;
        for (size_t i = 0; i < count; i++) {
            chunks[i] = by->taken[first + i];
            nbytes += chunks[i].source_nbytes;
            for (unsigned t = 0; t < chunks[i].table_count; t++)
                tables[table_count++] = by->found[(first + i) * ZNL_MAX_TABLES + t];
        }
        guarded out = guarded_new(nbytes, 0x5a, 0);
        CHECK(znl_place_chunks(chunks, count, out.bytes, nbytes) == 0, "%s", where);
        const int64_t status =
            znl_decode_chunks(&level_kernels[level], chunks, count, tables, table_count,
                              decode_scratch.bytes, decode_scratch.nbytes);
        CHECK(status == 0, "%s: chunks from %zu on: %lld", where, first, (long long)status);
        for (size_t i = 0; i < count; i++) {
            const znl_chunk *framed = &from->chunks[first + i];
            const int is_left = framed->distance || framed->method == ZNL_METHOD_ZSTD ||
                                framed->method == ZNL_METHOD_COMPOSED;
            CHECK(chunks[i].status == (is_left ? ZNL_STATUS_LEFT : 0), "%s: chunk %zu", where,
                  first + i);
            CHECK(is_left || memcmp(chunks[i].source, framed->source, framed->source_nbytes) == 0,
                  "%s: chunk %zu", where, first + i);
        }
        CHECK(guarded_free(&out), "%s", where);
    }
}

/* A reader has taken all of a stream's chunks, and knows what its writer knew. */
static void check_all_taken(const reader *by, const material *from, const written *stream)
{
    CHECK(by->taken_count == from->count && by->offset == stream->records.nbytes,
          "%s: %zu of %zu chunks, %zu of %zu bytes", where, by->taken_count, from->count,
          by->offset, stream->records.nbytes);
    if (by->taken_count != from->count) return;
    for (size_t i = 0; i < from->count; i++) check_same_chunk(&by->taken[i], &from->chunks[i], i);
    check_same_stream(&by->stream, stream->pages[stream->page_count]);
    check_places(by, stream);
}

/* Step over the PAGE at which a scan stopped. */
static void pass_page(reader *by, const written *stream, size_t page)
{
    CHECK(by->run.stop == ZNL_STOP_OTHER && page < stream->page_count &&
              stream->records.bytes[by->offset] == 0x04,
          "%s: stopped by %d at %zu", where, by->run.stop, by->offset);
    if (page >= stream->page_count) return;
    check_same_stream(&by->stream, stream->pages[page]);
    znl_stream_next_page(&by->stream);
    by->offset += 16;
}

/* --- whole streams -------------------------------------------------------------------------------- */

/* Scan a whole stream with limits on a run; every stop must be due. */
static void scan_with_limits(const material *from, const written *stream, size_t chunk_room,
                             uint64_t batch_nbytes, size_t step)
{
    snprintf(where, sizeof where, "%zu chunks, runs of %zu and %llu bytes", from->count, chunk_room,
             (unsigned long long)batch_nbytes);
    reader *by = reader_new(chunk_room, from->count);
    by->run.batch_nbytes = batch_nbytes;
    size_t page = 0;
    for (int stop = ZNL_STOP_FULL; stop != ZNL_STOP_MORE && check_failures == 0;) {
        stop = scan(by, stream->records.bytes, stream->records.nbytes);
        if (stop == ZNL_STOP_OTHER) pass_page(by, stream, page++);
        if (stop != ZNL_STOP_FULL) continue;
        const size_t next = by->taken_count;
        CHECK(next < from->count && by->run.chunk_count > 0, "%s: full at %zu", where, next);
        if (next == from->count) break;
        CHECK(by->run.chunk_count == chunk_room ||
                  by->run.source_nbytes + from->chunks[next].source_nbytes > batch_nbytes,
              "%s: full at %zu", where, next);
    }
    CHECK(by->run.wanted_nbytes == 16, "%s: %llu", where,
          (unsigned long long)by->run.wanted_nbytes);
    CHECK(page == stream->page_count, "%s: %zu pages", where, page);
    check_all_taken(by, from, stream);
    check_decodes(by, from, step);
    reader_free(by);
}

static void check_mixed_streams(const material *mixture)
{
    for (int i = 0; i < level_count; i++) {
        use_level(i);
        written first = frame_all(mixture, mixture->count);
        for (size_t step = 1; step < 6; step += 2) {
            written again = frame_all(mixture, step);
            CHECK(again.records.nbytes == first.records.nbytes &&
                      memcmp(again.records.bytes, first.records.bytes, first.records.nbytes) == 0,
                  "%zu chunks a call", step);
            written_free(&again);
        }
        scan_with_limits(mixture, &first, 64, UINT64_MAX, MAX_CHUNKS);
        scan_with_limits(mixture, &first, 1, UINT64_MAX, 1);
        scan_with_limits(mixture, &first, 3, UINT64_MAX, 5);
        scan_with_limits(mixture, &first, 64, 0, 2); /* a chunk beyond the batch comes alone */
        scan_with_limits(mixture, &first, 64, 8191, 7);
        scan_with_limits(mixture, &first, 64, 16384, MAX_CHUNKS);
        written_free(&first);
    }
    use_level(ZNL_ISA_SCALAR);
}

static unsigned count_records(const wire *records, unsigned type)
{
    unsigned count = 0;
    for (size_t at = 0; at < records->nbytes; at += record_nbytes(records->bytes + at))
        count += records->bytes[at] == type;
    return count;
}

static void check_long_streams(void)
{
    use_level(level_count - 1);
    material multitude = new_multitude();
    written stream = frame_all(&multitude, 37);
    CHECK(stream.page_count == 2, "%zu pages", stream.page_count);
    CHECK(stream.pages[2]->kept_count == ZNL_MAX_TABLES_KEPT, "%u tables kept",
          stream.pages[2]->kept_count);
    /* The table of the chunk that comes again is written again. */
    const uint64_t name = multitude.chunks[0].tables[0];
    const znl_table *last = znl_stream_find_table(stream.pages[2], name, 1);
    CHECK(last && last->name == name, "the first table was not written again");
    CHECK(count_records(&stream.records, 2) > ZNL_MAX_TABLES_KEPT, "%u tables",
          count_records(&stream.records, 2));
    scan_with_limits(&multitude, &stream, 64, 4 << 20, MAX_CHUNKS);
    scan_with_limits(&multitude, &stream, 2000, 4 << 20, 11);
    scan_with_limits(&multitude, &stream, 50, 4000, 10);

    /* Without its PAGE the 513th chunk is refused. */
    snprintf(where, sizeof where, "a page of 513 chunks");
    reader *by = reader_new(2000, multitude.count);
    CHECK(scan(by, stream.records.bytes, stream.records.nbytes) == ZNL_STOP_OTHER, "%s", where);
    by->offset += 16;
    CHECK(scan(by, stream.records.bytes, stream.records.nbytes) == ZNL_STOP_OTHER, "%s", where);
    CHECK(by->taken_count == ZNL_PAGE_CHUNKS && by->stream.chunk_count == ZNL_PAGE_CHUNKS,
          "%s: %zu", where, by->taken_count);
    CHECK(stream.records.bytes[by->offset] == ZNL_RECORD_CHUNK, "%s", where);
    reader_free(by);
    written_free(&stream);
    material_free(&multitude);
    use_level(ZNL_ISA_SCALAR);
}

/* --- pieces --------------------------------------------------------------------------------------- */

/* Give a reader the bytes that it wants, and no others, until the next record was taken. */
static void feed_one_record(reader *by, const wire *records, size_t cut)
{
    const size_t start = by->offset, nbytes = record_nbytes(records->bytes + start);
    size_t given = cut;
    for (unsigned round = 0; by->offset == start && round < 4; round++) {
        const size_t wanted = (size_t)by->run.wanted_nbytes;
        CHECK(by->run.stop == ZNL_STOP_MORE, "cut at %zu: stop %d", cut, by->run.stop);
        CHECK(start + wanted > given && wanted <= nbytes, "cut at %zu: wants %zu of %zu", cut,
              wanted, nbytes);
        if (start + wanted <= given || wanted > nbytes) return;
        if (start + wanted - 1 > given) {
            scan(by, records->bytes, start + wanted - 1);
            CHECK(by->run.stop == ZNL_STOP_MORE && by->run.wanted_nbytes == wanted &&
                      by->offset == start,
                  "cut at %zu: a byte less than wanted will do", cut);
        }
        given = start + wanted;
        scan(by, records->bytes, given);
    }
    CHECK(by->offset == start + nbytes, "cut at %zu: the record of %zu bytes at %zu is not taken",
          cut, nbytes, start);
}

/* Every cut of a stream: all whole records are taken, and those behind them with what is wanted. */
static void check_cuts(const material *mixture)
{
    written stream = frame_all(mixture, mixture->count);
    const wire *records = &stream.records;
    reader *by = reader_new(SMALL_ROOM, mixture->count);
    size_t whole = 0;
    for (size_t cut = 0; cut <= records->nbytes; cut++) {
        if (cut < records->nbytes && cut == whole + record_nbytes(records->bytes + whole))
            whole = cut;
        reader_reset(by);
        const int stop = scan(by, records->bytes, cut);
        CHECK(stop == ZNL_STOP_MORE, "cut at %zu: stop %d", cut, stop);
        if (cut == records->nbytes) break;
        CHECK(by->offset == whole, "cut at %zu: %zu bytes taken", cut, by->offset);
        feed_one_record(by, records, cut);
        if (cut % 5 && cut - whole > 100) continue;
        snprintf(where, sizeof where, "cut at %zu", cut);
        scan(by, records->bytes, records->nbytes);
        check_all_taken(by, mixture, &stream);
    }

    snprintf(where, sizeof where, "byte by byte");
    reader_reset(by);
    for (size_t nbytes = 0; nbytes <= records->nbytes; nbytes++) scan(by, records->bytes, nbytes);
    check_all_taken(by, mixture, &stream);
    reader_free(by);
    written_free(&stream);
}

/* --- limits --------------------------------------------------------------------------------------- */

/* A chunk that leads past source_room is not taken, and nothing of it is entered. */
static void check_source_room(const material *mixture)
{
    written stream = frame_all(mixture, mixture->count);
    reader *by = reader_new(SMALL_ROOM, mixture->count);
    uint64_t room = 0;
    for (size_t i = 0; i <= mixture->count; i++) {
        for (unsigned less = 0; less < 2 && room >= less; less++) {
            const size_t expected = i - less;
            snprintf(where, sizeof where, "room for %zu chunks, less %u", i, less);
            reader_reset(by);
            by->run.source_room = room - less;
            const int stop = scan(by, stream.records.bytes, stream.records.nbytes);
            CHECK(by->taken_count == expected && by->stream.chunk_count == expected, "%s: %zu",
                  where, by->taken_count);
            CHECK(stop == (expected < mixture->count ? ZNL_STOP_ROOM : ZNL_STOP_MORE), "%s: %d",
                  where, stop);
            /* What does not fit the batch is not judged by its room yet. */
            reader_reset(by);
            by->run.batch_nbytes = room - less;
            if (expected && expected < mixture->count)
                CHECK(scan(by, stream.records.bytes, stream.records.nbytes) == ZNL_STOP_FULL, "%s",
                      where);
            by->run.batch_nbytes = by->run.source_room = UINT64_MAX;
            scan(by, stream.records.bytes, stream.records.nbytes);
            if (expected && expected < mixture->count) check_all_taken(by, mixture, &stream);
        }
        if (i < mixture->count) room += mixture->chunks[i].source_nbytes;
    }
    reader_free(by);
    written_free(&stream);
}

/* Each chunk is framed in exactly the documented room, and in no less. */
static void check_out_room(const material *mixture)
{
    znl_stream *stream = allocated(1, sizeof *stream), *before = allocated(1, sizeof *before);
    for (size_t i = 0; i < mixture->count; i++) {
        const znl_chunk *chunk = &mixture->chunks[i];
        const size_t room = out_room_of(chunk);
        *before = *stream;
        snprintf(where, sizeof where, "chunk %zu in %zu bytes", i, room);
        for (size_t less = 1; less <= room; less = less * 3 + 1) {
            guarded out = guarded_new(room - less, 0, 0);
            size_t framed = 0;
            const int64_t status =
                znl_frame_chunks(stream, &level_kernels[0], chunk, 1, mixture->tables,
                                 mixture->table_count, out.bytes, out.nbytes, &framed);
            CHECK(status == ZNL_E_NO_ROOM, "%s, less %zu: %lld", where, less, (long long)status);
            check_same_stream(stream, before);
            CHECK(guarded_free(&out), "%s", where);
        }
        guarded out = guarded_new(room, 0, 0);
        size_t framed = 0;
        const int64_t nbytes =
            znl_frame_chunks(stream, &level_kernels[0], chunk, 1, mixture->tables,
                             mixture->table_count, out.bytes, room, &framed);
        CHECK(nbytes > 0 && framed == 1, "%s: %lld", where, (long long)nbytes);
        CHECK(guarded_free(&out), "%s", where);
    }
    free(stream);
    free(before);
}

/* The largest records that a chunk can come with. */
static void check_longest_lead(void)
{
    static const uint8_t SMALLEST_BODY[1] = {7};
    guarded body = guarded_copy(SMALLEST_BODY, 1, 0);
    guarded out = guarded_new(ZNL_FRAME_NBYTES + 1, 0, 0);
    znl_stream *stream = allocated(1, sizeof *stream);
    znl_table tables[ZNL_MAX_TABLES];
    size_t framed = 0;
    for (unsigned t = 0; t < ZNL_MAX_TABLES; t++) tables[t] = flat_table(t);
    const znl_chunk chunk = naming_chunk(tables, ZNL_MAX_TABLES, &body);
    const int64_t nbytes = znl_frame_chunks(stream, &level_kernels[0], &chunk, 1, tables,
                                            ZNL_MAX_TABLES, out.bytes, out.nbytes, &framed);
    CHECK(nbytes == 32 * (16 + 48) + 16 + 16 + 8 * 32 + 1 + 3 && framed == 1, "%lld bytes",
          (long long)nbytes);
    CHECK(guarded_free(&out) && guarded_free(&body), "longest lead");
    free(stream);
}

/* --- tables that come again ----------------------------------------------------------------------- */

/* Frame a chunk that names one table; returns the number of its records. */
static unsigned frame_naming(znl_stream *stream, const znl_table *table, const guarded *body,
                             wire *to)
{
    uint8_t out[ZNL_FRAME_NBYTES + 8];
    size_t framed = 0;
    const znl_chunk chunk = naming_chunk(table, 1, body);
    if (stream->chunk_count == ZNL_PAGE_CHUNKS) znl_stream_next_page(stream);
    const int64_t nbytes =
        znl_frame_chunks(stream, &level_kernels[0], &chunk, 1, table, 1, out, sizeof out, &framed);
    CHECK(nbytes > 0 && framed == 1, "%s: %lld", where, (long long)nbytes);
    const wire records = {out, nbytes > 0 ? (size_t)nbytes : 0, 0};
    if (to) wire_put(to, records.bytes, records.nbytes);
    return count_records(&records, 1) + count_records(&records, 2);
}

/* A writer counts on the last 992 tables, so that the 32 of a chunk are all among a reader's 1024. */
static void check_tables_written_again(void)
{
    guarded body = guarded_new(8, 3, 0);
    const znl_table first = flat_table(4095);
    for (unsigned between = 991; between <= 992; between++) {
        znl_stream *stream = allocated(1, sizeof *stream);
        snprintf(where, sizeof where, "%u tables between", between);
        CHECK(frame_naming(stream, &first, &body, NULL) == 2, "%s", where);
        CHECK(frame_naming(stream, &first, &body, NULL) == 1, "%s", where);
        for (unsigned t = 0; t < between; t++) {
            const znl_table other = flat_table(t);
            CHECK(frame_naming(stream, &other, &body, NULL) == 2, "%s: %u", where, t);
        }
        CHECK(frame_naming(stream, &first, &body, NULL) == (between < 992 ? 1 : 2), "%s", where);
        free(stream);
    }

    /* Of a chunk's 32 tables the first is known, but no more once the others are written. */
    znl_stream *stream = allocated(1, sizeof *stream);
    znl_table tables[ZNL_MAX_TABLES];
    uint8_t out[ZNL_FRAME_NBYTES + 8];
    size_t framed = 0;
    for (unsigned t = 0; t < ZNL_MAX_TABLES; t++) tables[t] = flat_table(t ? 3000 + t : 4095);
    for (unsigned t = 0; t < 992; t++) {
        const znl_table other = t ? flat_table(t) : first;
        frame_naming(stream, &other, &body, NULL);
    }
    znl_stream_next_page(stream);
    const znl_chunk chunk = naming_chunk(tables, ZNL_MAX_TABLES, &body);
    const int64_t nbytes = znl_frame_chunks(stream, &level_kernels[0], &chunk, 1, tables,
                                            ZNL_MAX_TABLES, out, sizeof out, &framed);
    const wire records = {out, nbytes > 0 ? (size_t)nbytes : 0, 0};
    CHECK(count_records(&records, 2) == 31 && stream->table_count == 32, "%lld: %u tables",
          (long long)nbytes, count_records(&records, 2));
    free(stream);
    CHECK(guarded_free(&body), "tables written again");
}

/* A reader knows a table for 1023 TABLE records more. */
static void check_tables_kept(void)
{
    guarded body = guarded_new(8, 3, 0);
    const znl_table first = flat_table(4095);
    for (unsigned between = 1023; between <= 1024; between++) {
        wire records = {0};
        znl_stream *writer = allocated(1, sizeof *writer);
        reader *by = reader_new(SMALL_ROOM, 4);
        snprintf(where, sizeof where, "%u tables between", between);
        put_record(&records, 2, 1, first.bytes, first.nbytes, NULL, 0);
        for (unsigned t = 0; t < between; t++) {
            /* Equal ones count as well. */
            const znl_table other = flat_table(t % 1000);
            put_record(&records, 2, 1, other.bytes, other.nbytes, NULL, 0);
        }
        const size_t lead = records.nbytes;
        znl_stream_keep_table(writer, &first);
        CHECK(frame_naming(writer, &first, &body, &records) == 1, "%s", where);
        CHECK(scan(by, records.bytes, records.nbytes) ==
                  (between < 1024 ? ZNL_STOP_MORE : ZNL_STOP_OTHER),
              "%s: %d", where, by->run.stop);
        CHECK(by->offset == (between < 1024 ? records.nbytes : lead), "%s: %zu", where, by->offset);
        CHECK(load_u32le(by->stream.entries + 8) == (between < 1024 ? lead : 0), "%s", where);
        reader_free(by);
        free(writer);
        free(records.bytes);
    }
    CHECK(guarded_free(&body), "tables kept");
}

/* Two tables of one name, which a hash without a secret does not rule out: stand-ins for them are made by
 * changing what an end remembers. */
static void check_tables_of_one_name(void)
{
    guarded body = guarded_new(4, 1, 0);
    const znl_table table = flat_table(9), other = flat_table(10);
    znl_table tables[2] = {table, other};
    znl_stream *stream = allocated(1, sizeof *stream);
    uint8_t out[ZNL_FRAME_NBYTES + 8];
    size_t framed = 0;
    znl_chunk chunk = naming_chunk(tables, 1, &body);
    wire records = {0};
    frame_naming(stream, &table, &body, &records);
    for (unsigned change = 0; change < 2; change++) {
        znl_table changed = table;
        if (change) changed.nbytes -= 4;
        changed.bytes[20] ^= change ? 0 : 1;
        const int64_t status = znl_frame_chunks(stream, &level_kernels[0], &chunk, 1, &changed, 1,
                                                out, sizeof out, &framed);
        CHECK(status == ZNL_E_TABLE_NAME, "written: %lld", (long long)status);

        reader *by = reader_new(SMALL_ROOM, 4);
        snprintf(where, sizeof where, "one name, change %u", change);
        CHECK(scan(by, records.bytes, records.nbytes) == ZNL_STOP_MORE, "%s", where);
        by->stream.kept[0] = changed;
        by->offset = 0; /* the record of the table comes again */
        CHECK(scan(by, records.bytes, records.nbytes) == ZNL_STOP_OTHER && by->offset == 0, "%s",
              where);
        /* The tables kept agree, but the page has the other one. */
        by->offset = record_nbytes(records.bytes);
        CHECK(scan(by, records.bytes, records.nbytes) == ZNL_STOP_OTHER &&
                  by->stream.chunk_count == 1,
              "%s", where);
        reader_free(by);
    }

    /* The writer's page: its table was let go of, and the other one is written. */
    stream->kept_count = 0;
    tables[0].bytes[20] ^= 1;
    int64_t status =
        znl_frame_chunks(stream, &level_kernels[0], &chunk, 1, tables, 1, out, sizeof out, &framed);
    CHECK(status == ZNL_E_TABLE_NAME && stream->chunk_count == 1, "page: %lld", (long long)status);

    /* Two tables of one name in one call: which of them a chunk was coded with can't be told. */
    znl_stream_next_page(stream);
    stream->kept_count = 0;
    znl_table twins[2] = {table, table};
    twins[1].bytes[20] ^= 1;
    status =
        znl_frame_chunks(stream, &level_kernels[0], &chunk, 1, twins, 2, out, sizeof out, &framed);
    CHECK(status == ZNL_E_TABLE_NAME && stream->chunk_count == 0, "twins: %lld", (long long)status);

    /* One table named twice by a chunk is in the page once. */
    znl_stream_next_page(stream);
    stream->kept_count = 0;
    tables[0] = table;
    chunk = naming_chunk(tables, 2, &body);
    chunk.tables[1] = table.name;
    status =
        znl_frame_chunks(stream, &level_kernels[0], &chunk, 1, tables, 2, out, sizeof out, &framed);
    CHECK(status > 0 && stream->table_count == 1, "%lld: %u", (long long)status,
          stream->table_count);
    free(stream);
    free(records.bytes);
    CHECK(guarded_free(&body), "one name");
}

/* --- damage --------------------------------------------------------------------------------------- */

/* One record of each kind, most of them short. */
static material new_sample(void)
{
    material made = material_new(SMALL_ROOM);
    add_values(&made, 10, TWO, 600, 1, 0);
    add_values(&made, 10, RUNS, 320, 1, 1);
    add_bytes(&made, 16, ZNL_METHOD_RAW, 256, 0);
    add_bytes(&made, 22, ZNL_METHOD_CONSTANT, 13, 1);
    add_bytes(&made, 0, ZNL_METHOD_ZSTD, 100, 21);
    add_bytes(&made, 20, ZNL_METHOD_COMPOSED, 80, 30);
    add_repeat(&made, 2, 17);
    add_bytes(&made, 5, ZNL_METHOD_RAW, 3, 0);
    return made;
}

/* What a scan took of a damaged stream is decoded, when that takes little memory: a documented code, and
 * nothing outside the buffers. */
static void decode_run_of(reader *by)
{
    znl_run *run = &by->run;
    if (run->source_nbytes > 65536) return;
    guarded out = guarded_new((size_t)run->source_nbytes, 0, 0);
    guarded tables = guarded_copy((const uint8_t *)run->tables,
                                  (size_t)run->table_count * sizeof *run->tables, 0);
    for (uint64_t i = 0; i < run->chunk_count; i++) run->chunks[i] = by->taken[i];
    CHECK(znl_place_chunks(run->chunks, run->chunk_count, out.bytes, out.nbytes) == 0, "%s", where);
    const int64_t status =
        znl_decode_chunks(&level_kernels[level], run->chunks, run->chunk_count,
                          (const znl_table *)(void *)tables.bytes, run->table_count,
                          decode_scratch.bytes, decode_scratch.nbytes);
    CHECK(is_documented(status) && status != ZNL_E_BAD_CALL, "%s: %lld", where, (long long)status);
    CHECK(guarded_free(&out) && guarded_free(&tables), "%s", where);
}

/* The fields of a chunk are those of its record. */
static void check_record_of(const znl_chunk *chunk, const uint8_t *record)
{
    const uint8_t *head = record + 16;
    const int is_repeat = record[0] == ZNL_RECORD_SAME_AS;
    CHECK(chunk->dtype == head[0] && chunk->method == (is_repeat ? 0 : head[1]) &&
              chunk->table_count == (is_repeat ? 0 : head[2]) &&
              chunk->unit_shift == (is_repeat ? 0 : head[3]) &&
              chunk->source_nbytes == load_u32le(head + 4) &&
              chunk->checksum == load_u64le(head + 8) &&
              chunk->distance == (is_repeat ? load_u32le(head + 16) : 0),
          "%s", where);
}

/* Scan a stream whose record at `start`, the `chunks_before`th one of a chunk, was changed. */
static int scan_damaged(reader *by, const wire *records, size_t start, size_t chunks_before,
                        int is_allowed)
{
    reader_reset(by);
    const int stop = scan(by, records->bytes, records->nbytes);
    const int is_taken = by->offset > start;
    CHECK(by->offset >= start && by->taken_count >= chunks_before, "%s: %zu bytes taken", where,
          by->offset);
    CHECK(is_taken == is_allowed, "%s: %s", where, is_taken ? "taken" : "refused");
    if (!is_taken)
        CHECK(stop == ZNL_STOP_OTHER || stop == ZNL_STOP_MORE, "%s: stop %d", where, stop);
    if (is_taken && records->bytes[start] != ZNL_RECORD_TABLE && by->taken_count > chunks_before)
        check_record_of(&by->taken[chunks_before], records->bytes + start);
    decode_run_of(by);
    return is_taken;
}

/* Change a byte of a record to every other value, as it is and with a check that holds. */
static void damage_byte(reader *by, wire *records, size_t start, size_t at, size_t chunks_before,
                        const uint64_t *names, size_t name_count, unsigned counts[2])
{
    uint8_t *record = records->bytes + start, saved_check[8];
    const size_t left = records->nbytes - start;
    memcpy(saved_check, record + 8, 8);
    for (unsigned change = 1; change < 256; change++) {
        record[at] ^= (uint8_t)change;
        snprintf(where, sizeof where, "record at %zu, type %u: byte %zu is %u", start, record[0],
                 at, record[at]);
        if (change % 16 == 1) scan_damaged(by, records, start, chunks_before, 0);
        if (at < 8 || at >= 16) {
            set_check(record, left);
            const int is_allowed = may_be_taken(record, left, names, name_count);
            counts[scan_damaged(by, records, start, chunks_before, is_allowed)]++;
            memcpy(record + 8, saved_check, 8);
        }
        record[at] ^= (uint8_t)change;
    }
}

static void check_damage(void)
{
    use_level(level_count - 1);
    material sample = new_sample();
    written stream = frame_all(&sample, sample.count);
    wire *records = &stream.records;
    reader *by = reader_new(SMALL_ROOM, sample.count);
    uint64_t names[SMALL_ROOM];
    size_t name_count = 0, chunks_before = 0;
    unsigned counts[2] = {0};
    for (size_t start = 0; start < records->nbytes;) {
        const uint8_t *record = records->bytes + start;
        const size_t head_nbytes = load_u16le(record + 2), nbytes = record_nbytes(record),
                     padding = (4 - load_u32le(record + 4) % 4) % 4;
        CHECK(may_be_taken(record, nbytes, names, name_count), "record at %zu", start);
        for (size_t at = 0; at < 16 + head_nbytes; at++)
            damage_byte(by, records, start, at, chunks_before, names, name_count, counts);
        for (size_t at = nbytes - padding; at < nbytes; at++)
            damage_byte(by, records, start, at, chunks_before, names, name_count, counts);
        for (size_t at = 16 + head_nbytes; at < nbytes - padding; at++) {
            records->bytes[start + at] ^= (uint8_t)(1 << at % 8);
            snprintf(where, sizeof where, "record at %zu: byte %zu of the body", start, at);
            scan_damaged(by, records, start, chunks_before, 1); /* which the scan does not read */
            records->bytes[start + at] ^= (uint8_t)(1 << at % 8);
        }
        chunks_before += record[0] != ZNL_RECORD_TABLE;
        if (record[0] == ZNL_RECORD_TABLE)
            names[name_count++] = znl_xxh3_64_scalar(record + 16, head_nbytes) | ZNL_TABLE_NAME_BIT;
        start += nbytes;
    }
    printf("damage with a check that holds: %u refused, %u allowed\n", counts[0], counts[1]);
    CHECK(counts[0] > 10000 && counts[1] > 10000, "%u %u", counts[0], counts[1]);
    reader_free(by);
    written_free(&stream);
    material_free(&sample);
    use_level(ZNL_ISA_SCALAR);
}

/* Fields at their limits, which one changed byte does not reach. */
static void check_limits_of_fields(void)
{
    static const struct {
        const char *what;
        uint32_t source_nbytes, distance;
        int is_allowed;
    } cases[] = {
        {"chunk of 0", 0, 0, 0},
        {"chunk of 16 MiB", 16 << 20, 0, 1},
        {"chunk above 16 MiB", (16 << 20) + 1, 0, 0},
        {"repeat of 255", 255, 512, 0},
        {"repeat of 256 with itself", 256, 255, 0},
        {"repeat of 256", 256, 256, 1},
        {"repeat of 16 MiB", 16 << 20, 16 << 20, 1},
        {"repeat above 16 MiB", (16 << 20) + 1, (16 << 20) + 1, 0},
        {"repeat from too far", 256, (16 << 20) + 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t head[24] = {22, 0};
        wire records = {0};
        reader *by = reader_new(SMALL_ROOM, 4);
        snprintf(where, sizeof where, "%s", cases[i].what);
        store_u32le(head + 4, cases[i].source_nbytes);
        store_u32le(head + 16, cases[i].distance);
        if (cases[i].distance == 0) head[1] = ZNL_METHOD_CONSTANT;
        put_record(&records, cases[i].distance ? 3 : 1, 1, head, cases[i].distance ? 24 : 16,
                   (const uint8_t *)"x", cases[i].distance ? 0 : 1);
        scan_damaged(by, &records, 0, 0, cases[i].is_allowed);
        CHECK(may_be_taken(records.bytes, records.nbytes, NULL, 0) == cases[i].is_allowed, "%s",
              where);
        reader_free(by);
        free(records.bytes);
    }

    /* The head of a chunk is one under its own type only. */
    const uint8_t head[24] = {10, ZNL_METHOD_STATIC, 1, 0, 64};
    reader *by = reader_new(SMALL_ROOM, 4);
    for (unsigned type = 0; type < 256; type++) {
        wire records = {0};
        snprintf(where, sizeof where, "a chunk of type %u", type);
        put_record(&records, type, 1, head, sizeof head, NULL, 0);
        scan_damaged(by, &records, 0, 0, type == 1);
        free(records.bytes);
    }

    /* A body at its limit is wanted, one above it is not. */
    uint8_t prefix[16 + 16] = {1, 1, 16, 0};
    reader_reset(by);
    for (uint32_t above = 0; above < 2; above++) {
        store_u32le(prefix + 4, (16u << 20) + 65536 + above);
        set_check(prefix, sizeof prefix);
        CHECK(scan(by, prefix, sizeof prefix) == (above ? ZNL_STOP_OTHER : ZNL_STOP_MORE), "%u",
              above);
        CHECK(above || by->run.wanted_nbytes == 32 + (16u << 20) + 65536, "%llu",
              (unsigned long long)by->run.wanted_nbytes);
    }
    reader_free(by);
}

/* The records before a chunk have a size that a page entry holds. */
static void check_longest_gap(void)
{
    const uint8_t head[16] = {0, 0, 0, 0, 1}; /* BYTES, raw, 1 byte */
    const uint8_t body[1] = {7};
    wire records = {0};
    const znl_table table = flat_table(0);
    put_record(&records, 2, 1, table.bytes, table.nbytes, NULL, 0);
    const size_t table_nbytes = records.nbytes;
    put_record(&records, 1, 1, head, sizeof head, body, sizeof body);
    for (unsigned more = 0; more < 2; more++) {
        reader *by = reader_new(SMALL_ROOM, 4);
        znl_stream_pass_by(&by->stream, UINT32_MAX - table_nbytes + more);
        snprintf(where, sizeof where, "a gap of 2^32 - 1, and %u", more);
        CHECK(scan(by, records.bytes, records.nbytes) == (more ? ZNL_STOP_OTHER : ZNL_STOP_MORE),
              "%s", where);
        CHECK(by->stream.chunk_count == !more && by->stream.kept_count == 1, "%s", where);
        CHECK(by->stream.lead_nbytes == (more ? (uint64_t)UINT32_MAX + 1 : 0), "%s", where);
        reader_free(by);
    }
    free(records.bytes);
}

/* --- wrong calls, and what Python asks about runs -------------------------------------------------- */

/* Frame one chunk; the stream must not have entered it. */
static void expect_refusal(const znl_chunk *chunk, const znl_table *table, int64_t expected,
                           const char *what)
{
    uint8_t out[ZNL_FRAME_NBYTES + 64];
    znl_stream *stream = allocated(1, sizeof *stream);
    size_t framed = 0;
    const int64_t status =
        znl_frame_chunks(stream, &level_kernels[0], chunk, 1, table, 1, out, sizeof out, &framed);
    CHECK(status == expected, "%s: %lld", what, (long long)status);
    CHECK(stream->chunk_count == 0 && framed == 0, "%s: entered", what);
    free(stream);
}

static void check_wrong_calls(void)
{
    guarded body = guarded_new(8, 0, 0);
    const znl_table table = flat_table(1), other = flat_table(2);
    znl_table long_one = table;
    long_one.nbytes = 49;
    const znl_chunk good = naming_chunk(&table, 1, &body);
    expect_refusal(&good, &other, ZNL_E_BAD_CALL, "a table that is not there");
    expect_refusal(&good, &long_one, ZNL_E_BAD_CALL, "a table of 49 bytes");
    znl_chunk bad = good;
    bad.table_count = 9;
    expect_refusal(&bad, &table, ZNL_E_BAD_CALL, "9 tables");
    bad = good;
    bad.dtype = ZNL_DTYPE_COUNT;
    expect_refusal(&bad, &table, ZNL_E_BAD_CALL, "dtype 23");
    bad = good;
    bad.method = ZNL_METHOD_COUNT;
    expect_refusal(&bad, &table, ZNL_E_BAD_CALL, "method 6");

    /* A full page takes nothing until the next one is begun. */
    znl_stream *stream = allocated(1, sizeof *stream);
    uint8_t out[ZNL_FRAME_NBYTES + 8];
    size_t framed = 9;
    for (unsigned i = 0; i < ZNL_PAGE_CHUNKS; i++) frame_naming(stream, &table, &body, NULL);
    CHECK(znl_frame_chunks(stream, &level_kernels[0], &good, 1, &table, 1, out, sizeof out,
                           &framed) == 0 &&
              framed == 0,
          "a full page took a chunk");
    CHECK(znl_stream_enter(stream, &good, 40) == ZNL_E_BAD_CALL, "a full page took an entry");
    free(stream);

    /* An entry for a table that nobody wrote. */
    stream = allocated(1, sizeof *stream);
    CHECK(znl_stream_enter(stream, &good, 40) == ZNL_E_BAD_CALL, "a table that is not kept");
    znl_chunk nothing = good;
    nothing.source_nbytes = 0;
    CHECK(znl_stream_enter(stream, &nothing, 40) == ZNL_E_BAD_CALL, "a chunk of 0 bytes");
    free(stream);
    CHECK(guarded_free(&body), "wrong calls");
}

static void check_placing(const material *mixture)
{
    znl_chunk chunks[SMALL_ROOM];
    size_t nbytes = 0;
    memcpy(chunks, mixture->chunks, mixture->count * sizeof *chunks);
    for (size_t i = 0; i < mixture->count; i++) nbytes += chunks[i].source_nbytes;
    guarded out = guarded_new(nbytes + 1, 0, 0);
    CHECK(znl_place_chunks(chunks, mixture->count, out.bytes, nbytes) == 0, "placed");
    const uint8_t *expected = out.bytes;
    for (size_t i = 0; i < mixture->count; expected += chunks[i++].source_nbytes)
        CHECK(chunks[i].source == expected, "chunk %zu", i);
    for (size_t other = 0; other <= nbytes + 1; other += other < nbytes - 1 ? 1000 : 1) {
        if (other > nbytes - 1 && other < nbytes) other = nbytes - 1;
        CHECK((znl_place_chunks(chunks, mixture->count, out.bytes, other) == 0) ==
                  (other == nbytes),
              "%zu of %zu bytes", other, nbytes);
    }
    CHECK(znl_place_chunks(chunks, mixture->count, out.bytes, nbytes - 1) == ZNL_E_BAD_CALL,
          "a byte less");
    CHECK(znl_place_chunks(chunks, 0, out.bytes, 0) == 0, "nothing");
    CHECK(guarded_free(&out), "placed");
}

static void check_placing_bodies(const material *mixture)
{
    znl_chunk chunks[SMALL_ROOM];
    size_t nbytes = 0;
    memcpy(chunks, mixture->chunks, mixture->count * sizeof *chunks);
    for (size_t i = 0; i < mixture->count; i++)
        nbytes += chunks[i].source_nbytes + ZNL_BODY_SLACK_NBYTES;
    guarded bodies = guarded_new(nbytes, 0, 0);
    CHECK(znl_place_bodies(chunks, mixture->count, bodies.bytes, nbytes) == 0, "placed");
    uint8_t *expected = bodies.bytes;
    for (size_t i = 0; i < mixture->count; expected += chunks[i++].body_room)
        CHECK(chunks[i].body == expected &&
                  chunks[i].body_room == chunks[i].source_nbytes + ZNL_BODY_SLACK_NBYTES,
              "chunk %zu", i);
    for (size_t less = 1; less <= nbytes; less += 1000)
        CHECK(znl_place_bodies(chunks, mixture->count, bodies.bytes, nbytes - less) ==
                  ZNL_E_NO_ROOM,
              "%zu less", less);
    chunks[0].source_nbytes = UINT32_MAX;
    CHECK(znl_place_bodies(chunks, 1, bodies.bytes, nbytes) == ZNL_E_NO_ROOM, "too large");
    CHECK(guarded_free(&bodies), "placed");
}

static void check_originals(const material *mixture)
{
    znl_original originals[SMALL_ROOM];
    const size_t count = znl_list_originals(mixture->chunks, mixture->count, originals);
    size_t listed = 0;
    uint32_t start = 0;
    for (size_t i = 0; i < mixture->count; i++) {
        const znl_chunk *chunk = &mixture->chunks[i];
        const znl_original *found = znl_find_original(originals, count, start);
        const int is_original = !chunk->distance && chunk->source_nbytes >= 256;
        CHECK(is_original == (found != NULL), "chunk %zu", i);
        if (found)
            CHECK(found == &originals[listed++] && found->checksum == chunk->checksum &&
                      found->source_nbytes == chunk->source_nbytes && found->start == start,
                  "chunk %zu", i);
        CHECK(znl_find_original(originals, count, start + 1) == NULL, "chunk %zu", i);
        start += chunk->source_nbytes;
    }
    CHECK(listed == count && count < mixture->count, "%zu of %zu", listed, count);
    CHECK(znl_find_original(originals, 0, 0) == NULL, "one of none");
}

int main(void)
{
    new_levels();
    new_scratch();
    material mixture = new_mixture();
    check_mixture(&mixture);
    check_mixed_streams(&mixture);
    check_cuts(&mixture);
    check_source_room(&mixture);
    check_out_room(&mixture);
    check_placing_bodies(&mixture);
    check_placing(&mixture);
    check_originals(&mixture);
    material_free(&mixture);
    check_longest_lead();
    check_tables_written_again();
    check_tables_kept();
    check_tables_of_one_name();
    check_long_streams();
    check_damage();
    check_limits_of_fields();
    check_longest_gap();
    check_wrong_calls();
    free_scratch();
    return check_result();
}
