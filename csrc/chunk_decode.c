/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes chunks of every method that C knows, and checks what came out. */
#include <string.h>

#include "errors.h"
#include "static_body.h"

_Static_assert(ZNL_STATUS_CHECKSUM == ZNL_E_CHECKSUM, "one code, two lists");

size_t znl_decode_scratch_nbytes(void)
{
    return sizeof(znl_static_decode_scratch) + 64;
}

/* Fill out[0..out_nbytes) with copies of a pattern whose size divides it, doubling what is there. */
static void fill_constant(const uint8_t *pattern, size_t pattern_nbytes, uint8_t *out,
                          size_t out_nbytes)
{
    memcpy(out, pattern, pattern_nbytes);
    for (size_t done = pattern_nbytes; done < out_nbytes;) {
        const size_t step = done < out_nbytes - done ? done : out_nbytes - done;
        memcpy(out + done, out, step);
        done += step;
    }
}

/* Check what the head of a static or arranged chunk says. */
static int check_head(const znl_chunk *chunk)
{
    const znl_layout *layout = znl_layout_of(chunk->dtype);
    const size_t least =
        chunk->method == ZNL_METHOD_ARRANGED ? ZNL_WIDE_LANES_MIN_VALUES : ZNL_MIN_STATIC_VALUES;
    if (!layout || chunk->source_nbytes % layout->width) return ZNL_E_BAD_VALUE;
    const size_t value_count = chunk->source_nbytes / layout->width;
    if (value_count < least || value_count > ZNL_MAX_STATIC_VALUES) return ZNL_E_BAD_VALUE;
    return znl_chunk_has_tables(chunk) ? ZNL_OK : ZNL_E_BAD_VALUE;
}

static int check_sum(const znl_chunk *chunk, uint64_t found)
{
    return chunk->is_part || found == chunk->checksum ? ZNL_OK : ZNL_E_CHECKSUM;
}

/* Decode a chunk that needs no table. */
static int decode_trivially(const znl_kernels *kernels, const znl_chunk *chunk)
{
    if (!znl_chunk_has_tables(chunk)) return ZNL_E_BAD_VALUE;
    if (chunk->method == ZNL_METHOD_RAW) {
        if (chunk->body_nbytes != chunk->source_nbytes) return ZNL_E_BAD_SIZE;
        memcpy(chunk->source, chunk->body, chunk->source_nbytes);
    } else if (chunk->method == ZNL_METHOD_CONSTANT) {
        const uint32_t nbytes = chunk->body_nbytes;
        if (nbytes != 1 && nbytes != 2 && nbytes != 4 && nbytes != 8) return ZNL_E_BAD_SIZE;
        if (chunk->source_nbytes % nbytes) return ZNL_E_BAD_SIZE;
        fill_constant(chunk->body, nbytes, chunk->source, chunk->source_nbytes);
    } else {
        return ZNL_E_BAD_VALUE;
    }
    return check_sum(chunk, kernels->xxh3_64(chunk->source, chunk->source_nbytes));
}

/* Whether a chunk's body is for znl_static_decode. */
static int is_coded(const znl_chunk *chunk)
{
    return chunk->method == ZNL_METHOD_STATIC || chunk->method == ZNL_METHOD_ARRANGED;
}

/* A chunk and the entries of its references. */
typedef struct {
    znl_chunk *chunk;
    const znl_table *wire;
} chunk_with_tables;

/* Decode one static or arranged chunk, or two of one dtype side by side. */
static int decode_coded(const znl_kernels *kernels, const chunk_with_tables *given, unsigned count,
                        znl_static_decode_scratch *scratch)
{
    znl_chunk chunks[2];
    const znl_table *wire[2];
    uint64_t checksums[2];
    int status = ZNL_OK;
    for (unsigned c = 0; c < count && status == ZNL_OK; c++) {
        chunks[c] = *given[c].chunk;
        wire[c] = given[c].wire;
        status = check_head(&chunks[c]);
    }
    if (status == ZNL_OK)
        status = znl_static_decode(kernels, znl_layout_of(given[0].chunk->dtype), wire, chunks,
                                   count, checksums, scratch);
    for (unsigned c = 0; c < count && status == ZNL_OK; c++)
        status = check_sum(&chunks[c], checksums[c]);
    return status;
}

/* Decode a chunk by itself, and write its status. */
static int decode_alone(const znl_kernels *kernels, chunk_with_tables one,
                        znl_static_decode_scratch *scratch)
{
    znl_chunk *chunk = one.chunk;
    if (znl_is_left(chunk)) {
        chunk->status = ZNL_STATUS_LEFT;
        return ZNL_OK;
    }
    if (chunk->source_nbytes == 0 || chunk->source_nbytes > ZNL_MAX_CHUNK_NBYTES ||
        chunk->table_count > ZNL_MAX_TABLES)
        chunk->status = ZNL_E_BAD_VALUE;
    else
        chunk->status = is_coded(chunk) ? decode_coded(kernels, &one, 1, scratch)
                                        : decode_trivially(kernels, chunk);
    return chunk->status;
}

/* Decode two chunks side by side. When that fails they are decoded again one by one, which finds out whose fault it
 * is. */
static int decode_two(const znl_kernels *kernels, const chunk_with_tables *two,
                      znl_static_decode_scratch *scratch)
{
    if (decode_coded(kernels, two, 2, scratch) == ZNL_OK) {
        two[0].chunk->status = two[1].chunk->status = ZNL_OK;
        return ZNL_OK;
    }
    const int status = decode_alone(kernels, two[0], scratch);
    return status == ZNL_OK ? decode_alone(kernels, two[1], scratch) : status;
}

/* Whether a chunk gains by another one beside it. */
static int wants_partner(const znl_kernels *kernels, const znl_chunk *chunk)
{
    const znl_layout *layout = znl_layout_of(chunk->dtype);
    return kernels->decode_pair && layout && !chunk->distance && is_coded(chunk) &&
           chunk->table_count <= ZNL_MAX_TABLES && chunk->source_nbytes <= ZNL_MAX_CHUNK_NBYTES &&
           chunk->source_nbytes / layout->width >= ZNL_WIDE_LANES_MIN_VALUES;
}

int64_t znl_place_chunks(znl_chunk *chunks, size_t chunk_count, uint8_t *values, size_t nbytes)
{
    size_t placed = 0;
    for (size_t i = 0; i < chunk_count; i++) {
        if (chunks[i].source_nbytes > nbytes - placed) return ZNL_E_BAD_CALL;
        chunks[i].source = values + placed;
        placed += chunks[i].source_nbytes;
    }
    return placed == nbytes ? ZNL_OK : ZNL_E_BAD_CALL;
}

/* Decode a chunk that does not wait. When it fails, the one that waits comes first and may be bad as well. */
static int decode_between(const znl_kernels *kernels, chunk_with_tables next,
                          chunk_with_tables *waiting, znl_static_decode_scratch *scratch)
{
    const int before = next.chunk->status;
    const int status = decode_alone(kernels, next, scratch);
    if (status == ZNL_OK || !waiting->chunk) return status;
    const int earlier = decode_alone(kernels, *waiting, scratch);
    if (earlier == ZNL_OK) return status;
    next.chunk->status = before;
    return earlier;
}

int64_t znl_decode_chunks(const znl_kernels *kernels, znl_chunk *chunks, size_t chunk_count,
                          const znl_table *tables, size_t table_count, uint8_t *scratch_bytes,
                          size_t scratch_nbytes)
{
    if (scratch_nbytes < znl_decode_scratch_nbytes()) return ZNL_E_NO_ROOM;
    znl_static_decode_scratch *scratch =
        (znl_static_decode_scratch *)(((uintptr_t)scratch_bytes + 63) & ~(uintptr_t)63);
    scratch->cache.count = scratch->cache.next = 0;
    /* The first of a pair waits for the second one: small chunks may lie between them. */
    chunk_with_tables pair[2] = {{NULL, NULL}, {NULL, NULL}};
    int status = ZNL_OK;
    for (size_t i = 0; i < chunk_count && status == ZNL_OK; i++) {
        const chunk_with_tables next = {&chunks[i], tables};
        const size_t wanted = chunks[i].table_count > ZNL_MAX_TABLES ? 0 : chunks[i].table_count;
        if (wanted > table_count) return ZNL_E_BAD_CALL;
        tables += wanted;
        table_count -= wanted;
        if (!wants_partner(kernels, &chunks[i])) {
            status = decode_between(kernels, next, &pair[0], scratch);
        } else if (pair[0].chunk && pair[0].chunk->dtype == chunks[i].dtype) {
            pair[1] = next;
            status = decode_two(kernels, pair, scratch);
            pair[0].chunk = NULL;
        } else {
            if (pair[0].chunk) status = decode_alone(kernels, pair[0], scratch);
            pair[0] = next;
        }
    }
    return status == ZNL_OK && pair[0].chunk ? decode_alone(kernels, pair[0], scratch) : status;
}
