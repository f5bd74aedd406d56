/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the records of chunks: each one's prefix and head, its body, padding. */
#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "stream.h"

/* A table is written again once this many others came behind it: a reader may have let go of it after
 * ZNL_MAX_TABLES_KEPT, and the tables of one chunk must all be there. */
#define WRITER_KEEPS (ZNL_MAX_TABLES_KEPT - ZNL_MAX_TABLES)

_Static_assert(ZNL_FRAME_NBYTES >= ZNL_MAX_TABLES * (ZNL_PREFIX_NBYTES + ZNL_MAX_TABLE_NBYTES) +
                                       ZNL_PREFIX_NBYTES + ZNL_MAX_CHUNK_HEAD_NBYTES + 3,
               "frame");

/* Write a record whose head stands at out + ZNL_PREFIX_NBYTES already. Returns its size. */
static size_t write_record(const znl_kernels *kernels, unsigned type, size_t head_nbytes,
                           const uint8_t *body, size_t body_nbytes, uint8_t *out)
{
    uint8_t *head = out + ZNL_PREFIX_NBYTES, *end = head + head_nbytes;
    out[0] = (uint8_t)type;
    out[1] = ZNL_MUST_UNDERSTAND;
    store_u16le(out + 2, (uint16_t)head_nbytes);
    store_u32le(out + 4, (uint32_t)body_nbytes);
    store_u64le(out + ZNL_CHECK_OFFSET, znl_record_check(kernels, out, head, head_nbytes));
    const size_t padding = znl_padding_nbytes(body_nbytes);
    if (body_nbytes) memcpy(end, body, body_nbytes);
    memset(end + body_nbytes, 0, padding);
    return ZNL_PREFIX_NBYTES + head_nbytes + body_nbytes + padding;
}

static int same_table(const znl_table *a, const znl_table *b)
{
    return a->nbytes == b->nbytes && memcmp(a->bytes, b->bytes, a->nbytes) == 0;
}

/* Find the table of a name among those made. Returns ZNL_OK, ZNL_E_BAD_CALL when there is none, or
 * ZNL_E_TABLE_NAME when there are two: a chunk does not say with which of them it was coded. */
static int find_made(const znl_table *tables, size_t table_count, uint64_t name,
                     const znl_table **found)
{
    *found = NULL;
    for (size_t t = 0; t < table_count; t++) {
        if (tables[t].name != name) continue;
        if (tables[t].nbytes > sizeof tables[t].bytes) return ZNL_E_BAD_CALL;
        if (*found && !same_table(*found, &tables[t])) return ZNL_E_TABLE_NAME;
        *found = &tables[t];
    }
    return *found ? ZNL_OK : ZNL_E_BAD_CALL;
}

/* Write the tables of a chunk that a reader does not have. Returns their size or an error code. */
static int64_t write_tables(znl_stream *stream, const znl_kernels *kernels, const znl_chunk *chunk,
                            const znl_table *tables, size_t table_count, uint8_t *out)
{
    size_t done = 0;
    for (unsigned t = 0; t < chunk->table_count; t++) {
        if (!(chunk->tables[t] & ZNL_TABLE_NAME_BIT)) continue;
        const znl_table *table;
        const int status = find_made(tables, table_count, chunk->tables[t], &table);
        if (status != ZNL_OK) return status;
        const znl_table *known = znl_stream_find_table(stream, table->name, WRITER_KEEPS);
        /* A reader would decode one of two tables of one name with the other's frequencies. */
        if (known && !same_table(known, table)) return ZNL_E_TABLE_NAME;
        if (known) continue;
        memcpy(out + done + ZNL_PREFIX_NBYTES, table->bytes, table->nbytes);
        const size_t nbytes =
            write_record(kernels, ZNL_RECORD_TABLE, table->nbytes, NULL, 0, out + done);
        znl_stream_keep_table(stream, table);
        znl_stream_pass_by(stream, nbytes);
        done += nbytes;
    }
    return (int64_t)done;
}

static size_t write_repeat(const znl_kernels *kernels, const znl_chunk *chunk, uint8_t *out)
{
    uint8_t *head = out + ZNL_PREFIX_NBYTES;
    store_u32le(head, chunk->dtype);
    store_u32le(head + 4, chunk->source_nbytes);
    store_u64le(head + 8, chunk->checksum);
    store_u32le(head + 16, chunk->distance);
    store_u32le(head + 20, 0);
    return write_record(kernels, ZNL_RECORD_SAME_AS, ZNL_SAME_AS_HEAD_NBYTES, NULL, 0, out);
}

/* The body of an encoded chunk. */
static const uint8_t *body_of(const znl_chunk *chunk, size_t *nbytes)
{
    const int is_raw = chunk->method == ZNL_METHOD_RAW;
    *nbytes = is_raw ? chunk->source_nbytes : chunk->body_nbytes;
    return is_raw ? chunk->source : chunk->body + chunk->body_offset;
}

static size_t write_chunk(const znl_kernels *kernels, const znl_chunk *chunk, uint8_t *out)
{
    uint8_t *head = out + ZNL_PREFIX_NBYTES;
    head[0] = chunk->dtype;
    head[1] = chunk->method;
    head[2] = chunk->table_count;
    head[3] = chunk->unit_shift;
    store_u32le(head + 4, chunk->source_nbytes);
    store_u64le(head + 8, chunk->checksum);
    for (unsigned t = 0; t < chunk->table_count; t++)
        store_u64le(head + ZNL_CHUNK_HEAD_NBYTES + 8 * t, chunk->tables[t]);
    size_t body_nbytes;
    const uint8_t *body = body_of(chunk, &body_nbytes);
    return write_record(kernels, ZNL_RECORD_CHUNK, ZNL_CHUNK_HEAD_NBYTES + 8u * chunk->table_count,
                        body, body_nbytes, out);
}

int64_t znl_frame_chunks(znl_stream *stream, const znl_kernels *kernels, const znl_chunk *chunks,
                         size_t chunk_count, const znl_table *tables, size_t table_count,
                         uint8_t *out, size_t out_room, size_t *framed)
{
    size_t done = 0, i = 0;
    for (; i < chunk_count && stream->chunk_count < ZNL_PAGE_CHUNKS; i++) {
        const znl_chunk *chunk = &chunks[i];
        size_t body_nbytes = 0;
        if (!chunk->distance && !znl_chunk_has_tables(chunk)) return ZNL_E_BAD_CALL;
        if (!chunk->distance) body_of(chunk, &body_nbytes);
        if (out_room - done < ZNL_FRAME_NBYTES || out_room - done - ZNL_FRAME_NBYTES < body_nbytes)
            return ZNL_E_NO_ROOM;
        size_t record_nbytes;
        if (chunk->distance) {
            record_nbytes = write_repeat(kernels, chunk, out + done);
        } else {
            const int64_t lead =
                write_tables(stream, kernels, chunk, tables, table_count, out + done);
            if (lead < 0) return lead;
            done += (size_t)lead;
            record_nbytes = write_chunk(kernels, chunk, out + done);
        }
        const int status = znl_stream_enter(stream, chunk, record_nbytes);
        if (status != ZNL_OK) return status;
        done += record_nbytes;
    }
    *framed = i;
    return (int64_t)done;
}
