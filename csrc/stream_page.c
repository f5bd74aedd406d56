/* SPDX-License-Identifier: Apache-2.0 */
/* The tables kept and the page under construction. */
#include <stddef.h>
#include <string.h>

#include "bytes.h"
#include "errors.h"
#include "stream.h"

#define TABLE_ITEM ((uint32_t)ZNL_RECORD_TABLE << 24) /* the type of a context item */

_Static_assert(sizeof((znl_stream *)0)->entries == ZNL_PAGE_CHUNKS * ZNL_ENTRY_NBYTES, "entries");
_Static_assert(sizeof((znl_stream *)0)->context ==
                   ZNL_PAGE_CHUNKS * ZNL_MAX_TABLES *
                       (ZNL_CONTEXT_ITEM_NBYTES + ZNL_MAX_TABLE_NBYTES),
               "context");
_Static_assert(sizeof((znl_stream *)0)->table_names == ZNL_PAGE_CHUNKS * ZNL_MAX_TABLES * 8,
               "table_names");
_Static_assert(sizeof((znl_stream *)0)->kept == ZNL_MAX_TABLES_KEPT * sizeof(znl_table), "kept");
_Static_assert(sizeof((znl_stream *)0)->source_by_method ==
                   ZNL_DTYPE_COUNT * (ZNL_METHOD_COUNT + 1) * 8,
               "source_by_method");

uint64_t znl_record_check(const znl_kernels *kernels, const uint8_t *prefix, const uint8_t *head,
                          size_t head_nbytes)
{
    uint8_t joined[ZNL_CHECK_OFFSET + ZNL_MAX_CHUNK_HEAD_NBYTES];
    memcpy(joined, prefix, ZNL_CHECK_OFFSET);
    memcpy(joined + ZNL_CHECK_OFFSET, head, head_nbytes);
    return kernels->xxh3_64(joined, ZNL_CHECK_OFFSET + head_nbytes);
}

void znl_stream_begin(znl_stream *stream)
{
    memset(stream, 0, offsetof(znl_stream, kept_links));
}

/* Tables are found by the low bits of their names: from the newest of those bits on, each links to the next
 * older one. Nothing is taken out: where a head or link is of a table that gave way to another, all older
 * ones of the same bits have gone as well, so whatever it leads to is compared in vain, and the walk ends
 * because it only ever leads to older tables. */
static uint16_t *kept_head(znl_stream *stream, uint64_t name)
{
    return &stream->kept_heads[name % ZNL_MAX_TABLES_KEPT];
}

/* How many tables were kept after the one at `at`. */
static unsigned age_of(const znl_stream *stream, unsigned at)
{
    return (stream->kept_next - 1 - at) % ZNL_MAX_TABLES_KEPT;
}

const znl_table *znl_stream_find_table(const znl_stream *stream, uint64_t name, unsigned depth)
{
    const unsigned count = depth < stream->kept_count ? depth : stream->kept_count;
    unsigned at = stream->kept_heads[name % ZNL_MAX_TABLES_KEPT], least = 0;
    for (unsigned age; (age = age_of(stream, at)) < count && age >= least; least = age + 1) {
        if (stream->kept[at].name == name) return &stream->kept[at];
        at = stream->kept_links[at];
    }
    return NULL;
}

void znl_stream_keep_table(znl_stream *stream, const znl_table *table)
{
    uint16_t *head = kept_head(stream, table->name);
    stream->kept[stream->kept_next] = *table;
    stream->kept_links[stream->kept_next] = *head;
    *head = (uint16_t)stream->kept_next;
    stream->kept_next = (stream->kept_next + 1) % ZNL_MAX_TABLES_KEPT;
    if (stream->kept_count < ZNL_MAX_TABLES_KEPT) stream->kept_count++;
}

void znl_stream_pass_by(znl_stream *stream, size_t record_nbytes)
{
    stream->lead_nbytes += record_nbytes;
    stream->records_nbytes += record_nbytes;
}

static uint16_t *name_head(znl_stream *stream, uint64_t name)
{
    return &stream->name_heads[name % (sizeof stream->name_heads / sizeof *stream->name_heads)];
}

/* The item of a table in the page's context, or NULL. */
static const uint8_t *find_item(znl_stream *stream, uint64_t name)
{
    unsigned at = *name_head(stream, name);
    for (unsigned end = stream->table_count; at < end; at = stream->name_links[at]) {
        if (stream->table_names[at] == name) return stream->context + stream->item_offsets[at];
        end = at; /* links lead to older ones; another one is of an earlier page */
    }
    return NULL;
}

static int same_table(const uint8_t *item, const znl_table *table)
{
    return load_u32le(item) == (TABLE_ITEM | table->nbytes) &&
           memcmp(item + ZNL_CONTEXT_ITEM_NBYTES, table->bytes, table->nbytes) == 0;
}

static void add_item(znl_stream *stream, const znl_table *table)
{
    uint8_t *item = stream->context + stream->context_nbytes;
    store_u32le(item, TABLE_ITEM | table->nbytes);
    memcpy(item + ZNL_CONTEXT_ITEM_NBYTES, table->bytes, table->nbytes);
    uint16_t *head = name_head(stream, table->name);
    stream->item_offsets[stream->table_count] = stream->context_nbytes;
    stream->context_nbytes += ZNL_CONTEXT_ITEM_NBYTES + table->nbytes;
    stream->name_links[stream->table_count] = *head;
    *head = (uint16_t)stream->table_count;
    stream->table_names[stream->table_count++] = table->name;
}

/* Enter the tables of a chunk in the context. */
static int enter_tables(znl_stream *stream, const znl_chunk *chunk)
{
    const znl_table *added[ZNL_MAX_TABLES];
    unsigned count = 0;
    for (unsigned t = 0; t < chunk->table_count; t++) {
        if (!(chunk->tables[t] & ZNL_TABLE_NAME_BIT)) continue;
        const znl_table *table =
            znl_stream_find_table(stream, chunk->tables[t], ZNL_MAX_TABLES_KEPT);
        if (!table) return ZNL_E_BAD_CALL;
        const uint8_t *item = find_item(stream, table->name);
        if (item && !same_table(item, table)) return ZNL_E_TABLE_NAME;
        if (!item) added[count++] = table;
    }
    for (unsigned i = 0; i < count; i++) {
        int is_first = 1;
        for (unsigned j = 0; j < i; j++) is_first &= added[j]->name != added[i]->name;
        if (is_first) add_item(stream, added[i]);
    }
    return ZNL_OK;
}

static void count_bytes(znl_stream *stream, const znl_chunk *chunk, uint64_t stored_nbytes)
{
    const unsigned dtype = chunk->dtype;
    const unsigned method = chunk->distance ? ZNL_METHOD_COUNT : chunk->method;
    if (!memchr(stream->dtypes, (int)dtype, stream->dtype_count))
        stream->dtypes[stream->dtype_count++] = (uint8_t)dtype;
    stream->source_by_method[dtype][method] += chunk->source_nbytes;
    stream->stored_by_method[dtype][method] += stored_nbytes;
}

int znl_stream_enter(znl_stream *stream, const znl_chunk *chunk, size_t record_nbytes)
{
    const int is_repeat = chunk->distance != 0;
    if (chunk->dtype >= ZNL_DTYPE_COUNT || stream->chunk_count >= ZNL_PAGE_CHUNKS ||
        (!is_repeat && chunk->method >= ZNL_METHOD_COUNT) || chunk->source_nbytes == 0 ||
        stream->lead_nbytes > UINT32_MAX)
        return ZNL_E_BAD_CALL;
    const int status = is_repeat ? ZNL_OK : enter_tables(stream, chunk);
    if (status != ZNL_OK) return status;
    uint8_t *entry = stream->entries + (size_t)stream->chunk_count * ZNL_ENTRY_NBYTES;
    store_u32le(entry, chunk->source_nbytes);
    store_u32le(entry + 4, (uint32_t)record_nbytes);
    store_u32le(entry + 8, (uint32_t)stream->lead_nbytes);
    entry[12] = is_repeat ? ZNL_RECORD_SAME_AS : ZNL_RECORD_CHUNK;
    entry[13] = chunk->dtype;
    entry[14] = is_repeat ? 0 : chunk->method;
    entry[15] = 0;
    store_u64le(entry + 16, chunk->checksum);
    count_bytes(stream, chunk, stream->lead_nbytes + record_nbytes);
    stream->chunk_count++;
    stream->source_nbytes += chunk->source_nbytes;
    stream->records_nbytes += record_nbytes;
    stream->lead_nbytes = 0;
    return ZNL_OK;
}

void znl_stream_next_page(znl_stream *stream)
{
    stream->lead_nbytes = stream->records_nbytes = stream->source_nbytes = 0;
    stream->chunk_count = stream->table_count = stream->context_nbytes = 0;
}
