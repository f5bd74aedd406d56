/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a stream and what both of its ends keep while they pass (docs/format.md, sections 3, 4, 6, 7.1).
 * Only the records that come with every chunk are known here; pages, root and footer are Python's. */
#ifndef ZNL_STREAM_H
#define ZNL_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "kernels.h"

#define ZNL_RECORD_CHUNK 0x01
#define ZNL_RECORD_TABLE 0x02
#define ZNL_RECORD_SAME_AS 0x03
#define ZNL_MUST_UNDERSTAND 0x01

#define ZNL_PREFIX_NBYTES 16u
#define ZNL_CHECK_OFFSET 8u
#define ZNL_CHUNK_HEAD_NBYTES 16u
#define ZNL_SAME_AS_HEAD_NBYTES 24u
#define ZNL_MAX_CHUNK_HEAD_NBYTES (ZNL_CHUNK_HEAD_NBYTES + 8u * ZNL_MAX_TABLES)
#define ZNL_MAX_BODY_NBYTES ((16u << 20) + (64u << 10))
#define ZNL_MAX_DISTANCE (16u << 20)
#define ZNL_MIN_REPEAT_NBYTES 256u
#define ZNL_CONTEXT_ITEM_NBYTES 4u

static inline size_t znl_padding_nbytes(size_t nbytes)
{
    return (0 - nbytes) & 3;
}

/* The check of a record: XXH3-64 of the first 8 bytes of its prefix, then the head, which has at most
 * ZNL_MAX_CHUNK_HEAD_NBYTES bytes. */
uint64_t znl_record_check(const znl_kernels *kernels, const uint8_t *prefix, const uint8_t *head,
                          size_t head_nbytes);

/* The table kept under a name among the last `depth` ones, or NULL. */
const znl_table *znl_stream_find_table(const znl_stream *stream, uint64_t name, unsigned depth);

/* Keep a table; the oldest one makes room. */
void znl_stream_keep_table(znl_stream *stream, const znl_table *table);

/* Count a record that is no chunk. */
void znl_stream_pass_by(znl_stream *stream, size_t record_nbytes);

/* Enter a chunk or repeat in the page: its entry, and the tables it is the first to refer to, which
 * znl_stream_find_table must know. Returns ZNL_OK, ZNL_E_TABLE_NAME when the page has another table
 * under one of the names, or ZNL_E_BAD_CALL when the page is full, the chunk can't be or more than
 * UINT32_MAX bytes lie before it: then nothing was entered. */
int znl_stream_enter(znl_stream *stream, const znl_chunk *chunk, size_t record_nbytes);

#endif
