/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the records of chunks off a stream. Whatever it does not take is left to the caller, who reads
 * one record at a time and can say what is wrong with it. */
#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "stream.h"
#include "table.h"

/* One record, its size and check known to be right. */
typedef struct {
    const uint8_t *head, *body;
    uint32_t head_nbytes, body_nbytes;
    uint64_t nbytes;
    uint8_t type;
} record;

static int has_limits(const uint8_t *prefix)
{
    const unsigned type = prefix[0], head_nbytes = load_u16le(prefix + 2);
    if (type < ZNL_RECORD_CHUNK || type > ZNL_RECORD_SAME_AS) return 0;
    if (prefix[1] != ZNL_MUST_UNDERSTAND) return 0;
    if (head_nbytes % 4 || head_nbytes > ZNL_MAX_CHUNK_HEAD_NBYTES) return 0;
    const uint32_t body_nbytes = load_u32le(prefix + 4);
    return type == ZNL_RECORD_CHUNK ? body_nbytes <= ZNL_MAX_BODY_NBYTES : body_nbytes == 0;
}

/* Find the record at the front of `in`. Returns 1, or 0 with run->stop set. */
static int find_record(const znl_kernels *kernels, const uint8_t *in, size_t in_nbytes,
                       znl_run *run, record *found)
{
    run->stop = ZNL_STOP_MORE;
    run->wanted_nbytes = ZNL_PREFIX_NBYTES;
    if (in_nbytes < run->wanted_nbytes) return 0;
    if (!has_limits(in)) {
        run->stop = ZNL_STOP_OTHER;
        return 0;
    }
    found->type = in[0];
    found->head_nbytes = load_u16le(in + 2);
    found->body_nbytes = load_u32le(in + 4);
    found->head = in + ZNL_PREFIX_NBYTES;
    found->body = found->head + found->head_nbytes;
    run->wanted_nbytes = ZNL_PREFIX_NBYTES + found->head_nbytes;
    if (in_nbytes < run->wanted_nbytes) return 0;
    const uint64_t check = znl_record_check(kernels, in, found->head, found->head_nbytes);
    if (check != load_u64le(in + ZNL_CHECK_OFFSET)) {
        run->stop = ZNL_STOP_OTHER;
        return 0;
    }
    const size_t padding = znl_padding_nbytes(found->body_nbytes);
    found->nbytes = run->wanted_nbytes + found->body_nbytes + padding;
    run->wanted_nbytes = found->nbytes;
    if (in_nbytes < found->nbytes) return 0;
    run->stop = ZNL_STOP_OTHER;
    for (size_t i = 0; i < padding; i++)
        if (found->body[found->body_nbytes + i]) return 0;
    return 1;
}

static int read_repeat(const record *from, znl_chunk *chunk)
{
    const uint8_t *head = from->head;
    if (from->head_nbytes != ZNL_SAME_AS_HEAD_NBYTES || head[1] || head[2] || head[3]) return 0;
    chunk->dtype = head[0];
    chunk->source_nbytes = load_u32le(head + 4);
    chunk->checksum = load_u64le(head + 8);
    chunk->distance = load_u32le(head + 16);
    return load_u32le(head + 20) == 0 && chunk->source_nbytes >= ZNL_MIN_REPEAT_NBYTES &&
           chunk->source_nbytes <= chunk->distance && chunk->distance <= ZNL_MAX_DISTANCE;
}

/* The fields of a CHUNK head; its tables are looked up by resolve_tables. */
static int read_chunk(const record *from, znl_chunk *chunk)
{
    const uint8_t *head = from->head;
    if (from->head_nbytes < ZNL_CHUNK_HEAD_NBYTES) return 0;
    chunk->dtype = head[0];
    chunk->method = head[1];
    const unsigned count = chunk->table_count = head[2];
    chunk->unit_shift = head[3];
    chunk->source_nbytes = load_u32le(head + 4);
    chunk->checksum = load_u64le(head + 8);
    if (from->head_nbytes != ZNL_CHUNK_HEAD_NBYTES + 8 * count) return 0;
    if (!znl_chunk_has_tables(chunk)) return 0;
    for (unsigned t = 0; t < count; t++)
        chunk->tables[t] = load_u64le(head + ZNL_CHUNK_HEAD_NBYTES + 8 * t);
    chunk->body = (uint8_t *)from->body; /* the decoder only reads it */
    chunk->body_nbytes = from->body_nbytes;
    return chunk->source_nbytes > 0 && chunk->source_nbytes <= ZNL_MAX_CHUNK_NBYTES;
}

/* Copy the tables of a chunk to where its decoder looks for them. */
static int resolve_tables(const znl_stream *stream, const znl_chunk *chunk, znl_table *tables)
{
    for (unsigned t = 0; t < chunk->table_count; t++) {
        const uint64_t reference = chunk->tables[t];
        if (!(reference & ZNL_TABLE_NAME_BIT)) {
            if (reference >> 16) return 0;
            continue;
        }
        const znl_table *table = znl_stream_find_table(stream, reference, ZNL_MAX_TABLES_KEPT);
        if (!table) return 0;
        tables[t] = *table;
    }
    return 1;
}

static int take_table(znl_stream *stream, const record *from)
{
    znl_table table = {0};
    if (znl_table_check(from->head, from->head_nbytes, &table.name) != ZNL_OK) return 0;
    table.nbytes =
        from->head_nbytes; /* at most sizeof table.bytes, or it would not be well formed */
    memcpy(table.bytes, from->head, from->head_nbytes);
    /* This one is the last of those kept, so the oldest of the others has gone. */
    const znl_table *known = znl_stream_find_table(stream, table.name, ZNL_MAX_TABLES_KEPT - 1);
    if (known &&
        (known->nbytes != table.nbytes || memcmp(known->bytes, table.bytes, table.nbytes) != 0))
        return 0;
    znl_stream_keep_table(stream, &table);
    znl_stream_pass_by(stream, (size_t)from->nbytes);
    return 1;
}

static int is_original(const znl_chunk *chunk)
{
    return chunk->distance == 0 && chunk->source_nbytes >= ZNL_MIN_REPEAT_NBYTES;
}

/* Take a chunk or repeat. Returns 1, or 0 with run->stop set and nothing taken. */
static int take_chunk(znl_stream *stream, const record *from, znl_run *run)
{
    znl_chunk *chunk = &run->chunks[run->chunk_count];
    znl_table *tables = &run->tables[run->table_count];
    memset(chunk, 0, sizeof *chunk);
    run->stop = ZNL_STOP_OTHER;
    if (stream->chunk_count >= ZNL_PAGE_CHUNKS) return 0;
    if (from->type == ZNL_RECORD_SAME_AS ? !read_repeat(from, chunk) : !read_chunk(from, chunk))
        return 0;
    if (chunk->dtype >= ZNL_DTYPE_COUNT || !resolve_tables(stream, chunk, tables)) return 0;
    const uint64_t source_nbytes = run->source_nbytes + chunk->source_nbytes;
    if (run->chunk_count && source_nbytes > run->batch_nbytes) {
        run->stop = ZNL_STOP_FULL;
        return 0;
    }
    if (source_nbytes > run->source_room) {
        run->stop = ZNL_STOP_ROOM;
        return 0;
    }
    if (znl_stream_enter(stream, chunk, (size_t)from->nbytes) != ZNL_OK) return 0;
    chunk->offset = run->offset + run->taken_nbytes;
    run->chunk_count++;
    run->table_count += chunk->table_count;
    run->left_count += (uint64_t)znl_is_left(chunk);
    run->original_count += (uint64_t)is_original(chunk);
    run->source_nbytes = source_nbytes;
    return 1;
}

int64_t znl_scan_chunks(znl_stream *stream, const znl_kernels *kernels, const uint8_t *in,
                        size_t in_nbytes, znl_run *run)
{
    if (run->chunk_room == 0) return ZNL_E_BAD_CALL;
    run->chunk_count = run->table_count = run->left_count = run->original_count = 0;
    run->source_nbytes = run->taken_nbytes = 0;
    record next;
    while (find_record(kernels, in + run->taken_nbytes, in_nbytes - (size_t)run->taken_nbytes, run,
                       &next)) {
        if (next.type == ZNL_RECORD_TABLE) {
            if (!take_table(stream, &next)) return ZNL_OK;
        } else {
            if (run->chunk_count == run->chunk_room) {
                run->stop = ZNL_STOP_FULL;
                return ZNL_OK;
            }
            if (!take_chunk(stream, &next, run)) return ZNL_OK;
        }
        run->taken_nbytes += next.nbytes;
    }
    return ZNL_OK;
}

size_t znl_list_originals(const znl_chunk *chunks, size_t chunk_count, znl_original *originals)
{
    uint32_t start = 0;
    size_t count = 0;
    for (size_t i = 0; i < chunk_count; i++) {
        if (is_original(&chunks[i])) {
            const znl_original found = {chunks[i].checksum, start, chunks[i].source_nbytes};
            originals[count++] = found;
        }
        start += chunks[i].source_nbytes;
    }
    return count;
}

const znl_original *znl_find_original(const znl_original *originals, size_t original_count,
                                      uint32_t start)
{
    for (size_t i = 0; i < original_count; i++)
        if (originals[i].start == start) return &originals[i];
    return NULL;
}
