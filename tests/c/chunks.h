/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks for the tests of the public calls: made, encoded, and decoded from buffers of exact size. */
#ifndef ZNL_TEST_CHUNKS_H
#define ZNL_TEST_CHUNKS_H

#include "check.h"
#include "errors.h"
#include "format.h"
#include "levels.h"
#include "values.h"

enum { MAX_CHUNKS = 12 };

/* Scratch of exactly the size asked for, used by all calls: a call may not depend on what is in it. */
static guarded encode_scratch, decode_scratch;

/* The arguments of one case, for messages. */
static char where[128];

static inline znl_chunk new_chunk(unsigned dtype, const guarded *source, const guarded *body,
                                  int is_joined)
{
    znl_chunk chunk;
    memset(&chunk, 0x77, sizeof chunk); /* the encoder must fill in all that it returns */
    chunk.source = source->bytes;
    chunk.source_nbytes = (uint32_t)source->nbytes;
    chunk.body = body->bytes;
    chunk.body_room = (uint32_t)body->nbytes;
    chunk.dtype = (uint8_t)dtype;
    chunk.is_joined = (uint8_t)is_joined;
    chunk.is_part = 0;
    chunk.distance = 0; /* the caller's: no repeat */
    chunk.parts = NULL;
    chunk.part_count = 0;
    return chunk;
}

static inline int is_documented(int64_t status)
{
    return status <= 0 && status >= ZNL_E_BAD_CALL;
}

/* Put the tables that a chunk names in the order of its references. */
static inline void find_tables(const znl_chunk *chunk, const znl_table *tables, int64_t table_count,
                               znl_table *found)
{
    memset(found, 0xee, ZNL_MAX_TABLES * sizeof *found);
    for (unsigned t = 0; t < chunk->table_count; t++) {
        if (!(chunk->tables[t] & ZNL_TABLE_NAME_BIT)) {
            CHECK(chunk->tables[t] < 65536, "%s: reference %u", where, t);
            continue;
        }
        int64_t at = 0;
        while (at < table_count && tables[at].name != chunk->tables[t]) at++;
        CHECK(at < table_count, "%s: reference %u names no table", where, t);
        if (at < table_count) found[t] = tables[at];
    }
}

/* Decode body[0..body_nbytes), at the level in use, from a buffer of that size into one of
 * source_nbytes bytes; returns the status, and whether `source` came out. */
static inline int64_t decode_exactly(const znl_chunk *encoded, const uint8_t *body,
                                     size_t body_nbytes, const znl_table *tables,
                                     const uint8_t *source, int *is_same)
{
    guarded in = guarded_copy(body, body_nbytes, (unsigned)(body_nbytes % 7));
    guarded out = guarded_new(encoded->source_nbytes, 0x5a, (unsigned)(body_nbytes % 5));
    guarded wire = guarded_copy((const uint8_t *)tables, encoded->table_count * sizeof *tables, 0);
    znl_chunk chunk = *encoded;
    chunk.source = out.bytes;
    chunk.body = in.bytes;
    chunk.body_nbytes = (uint32_t)body_nbytes;
    chunk.body_offset = chunk.body_room = UINT32_MAX;
    chunk.status = 99;
    const int64_t status =
        znl_decode_chunks(&level_kernels[level], &chunk, 1, (const znl_table *)(void *)wire.bytes,
                          encoded->table_count, decode_scratch.bytes, decode_scratch.nbytes);
    CHECK(chunk.status == status, "%s: %lld, but status %d", where, (long long)status,
          chunk.status);
    CHECK(is_documented(status) && status != ZNL_E_BAD_CALL, "%s: %lld", where, (long long)status);
    *is_same = memcmp(out.bytes, source, encoded->source_nbytes) == 0;
    CHECK(memcmp(in.bytes, body, body_nbytes) == 0, "%s: the body was written to", where);
    CHECK(guarded_free(&wire), "%s: around the tables", where);
    CHECK(guarded_free(&out), "%s: around the output", where);
    CHECK(guarded_free(&in), "%s: around the body", where);
    return status;
}

static inline const uint8_t *body_of(const znl_chunk *chunk)
{
    return chunk->method == ZNL_METHOD_RAW ? chunk->source : chunk->body + chunk->body_offset;
}

static inline size_t body_nbytes_of(const znl_chunk *chunk)
{
    return chunk->method == ZNL_METHOD_RAW ? chunk->source_nbytes : chunk->body_nbytes;
}

/* Where the sections of a static body begin, by docs/format.md section 5.2. */
typedef struct {
    size_t word_count, patch_count, map, states, patches, words, raw, tail;
} body_map;

static inline body_map map_body(const znl_chunk *chunk)
{
    const uint8_t *body = body_of(chunk);
    const size_t values = chunk->source_nbytes / dtype_width(chunk->dtype);
    const int is_wide = values >= 2048;
    const unsigned bits = chunk->table_count < 2   ? 0
                          : chunk->table_count < 3 ? 1
                          : chunk->table_count < 5 ? 2
                                                   : 3;
    const size_t units =
        chunk->table_count < 2
            ? 0
            : (values / 64 * 64 + (1u << chunk->unit_shift) - 1) >> chunk->unit_shift;
    body_map map;
    map.word_count = is_wide ? load_u32le(body) : load_u16le(body);
    map.patch_count = is_wide ? load_u32le(body + 4) : load_u16le(body + 2);
    map.map = is_wide ? 8 : 4;
    map.states = map.map + (units * bits + 31) / 32 * 4;
    map.patches = map.states + (is_wide ? 256 : 32);
    map.words = map.patches + 4 * map.patch_count + map.word_count % 2 * 2;
    map.raw = map.words + 2 * map.word_count;
    map.tail = chunk->body_nbytes - values % 64 * dtype_width(chunk->dtype);
    return map;
}

/* What must hold of a chunk that was encoded, whatever is in it. */
static inline void check_fields(const znl_chunk *chunk)
{
    CHECK(chunk->status == 0, "%s: status %d", where, chunk->status);
    CHECK(chunk->method == ZNL_METHOD_RAW || chunk->method == ZNL_METHOD_CONSTANT ||
              chunk->method == ZNL_METHOD_STATIC,
          "%s: method %u", where, chunk->method);
    CHECK(body_nbytes_of(chunk) <= chunk->source_nbytes, "%s: %zu bytes", where,
          body_nbytes_of(chunk));
    CHECK(chunk->checksum == znl_xxh3_64_scalar(chunk->source, chunk->source_nbytes), "%s", where);
    if (chunk->method == ZNL_METHOD_STATIC) {
        CHECK(chunk->body_nbytes < chunk->source_nbytes, "%s: %u bytes", where, chunk->body_nbytes);
        CHECK(chunk->body_offset <= chunk->body_room &&
                  chunk->body_nbytes <= chunk->body_room - chunk->body_offset,
              "%s: %u bytes at %u", where, chunk->body_nbytes, chunk->body_offset);
        CHECK(chunk->table_count >= 1 && chunk->table_count <= 8, "%s: %u", where,
              chunk->table_count);
        CHECK(chunk->table_count < 2 ? chunk->unit_shift == 0
                                     : chunk->unit_shift == 6 || chunk->unit_shift == 9,
              "%s: unit_shift %u", where, chunk->unit_shift);
    } else {
        CHECK(chunk->table_count == 0 && chunk->unit_shift == 0, "%s: %u %u", where,
              chunk->table_count, chunk->unit_shift);
    }
    if (chunk->method == ZNL_METHOD_RAW)
        CHECK(chunk->body_offset == 0 && chunk->body_nbytes == 0, "%s: raw", where);
}

/* Encode chunks of one dtype at the level in use; returns the number of tables. */
static inline int64_t encode(znl_chunk *chunks, size_t chunk_count, znl_table *tables, uint8_t fill)
{
    /* The part of scratch that a call with this many chunks may use, and nothing behind it. */
    const size_t nbytes = znl_encode_scratch_nbytes(chunk_count);
    memset(encode_scratch.bytes, fill, nbytes);
    memset(tables, fill, chunk_count * sizeof *tables);
    if (encode_scratch.nbytes > nbytes)
        ASAN_POISON_MEMORY_REGION(encode_scratch.bytes + nbytes, encode_scratch.nbytes - nbytes);
    const int64_t table_count = znl_encode_chunks(&level_kernels[level], chunks, chunk_count,
                                                  tables, encode_scratch.bytes, nbytes);
    ASAN_UNPOISON_MEMORY_REGION(encode_scratch.bytes, encode_scratch.nbytes);
    CHECK(table_count >= 0 && table_count <= (int64_t)chunk_count, "%s: %lld tables", where,
          (long long)table_count);
    for (int64_t t = 0; t < table_count; t++) {
        uint64_t name = 0;
        const int64_t status = znl_table_check(tables[t].bytes, tables[t].nbytes, &name);
        CHECK(status == 0 && name == tables[t].name, "%s: table %lld: %lld", where, (long long)t,
              (long long)status);
    }
    return table_count;
}

static inline void name_case(unsigned dtype, enum pattern pattern, size_t nbytes, int is_joined,
                             uint64_t seed)
{
    snprintf(where, sizeof where, "dtype %u, %s, %zu bytes, joined %d, seed %llu", dtype,
             PATTERN_NAMES[pattern], nbytes, is_joined, (unsigned long long)seed);
}

/* A chunk's buffers. */
typedef struct {
    guarded source, body;
    znl_chunk chunk;
} test_case;

/* Make the values of one case; `extra_nbytes` more bytes make it end inside a value. */
static inline test_case new_case(unsigned dtype, enum pattern pattern, size_t count,
                                 size_t extra_nbytes, int is_joined, uint64_t seed)
{
    test_case made;
    const size_t nbytes = count * dtype_width(dtype) + extra_nbytes;
    name_case(dtype, pattern, nbytes, is_joined, seed);
    made.source = guarded_new(nbytes, 0x33, (unsigned)(seed % 8));
    make_values(dtype, pattern, seed, made.source.bytes, count);
    made.body = guarded_new(nbytes + ZNL_BODY_SLACK_NBYTES, 0x11, (unsigned)(seed % 3));
    made.chunk = new_chunk(dtype, &made.source, &made.body, is_joined);
    return made;
}

static inline void free_case(test_case *made)
{
    CHECK(guarded_free(&made->source), "%s: around the source", where);
    CHECK(guarded_free(&made->body), "%s: around the encoder's body", where);
}

static inline void new_scratch(void)
{
    encode_scratch = guarded_new(znl_encode_scratch_nbytes(MAX_CHUNKS), 0x99, 5);
    decode_scratch = guarded_new(znl_decode_scratch_nbytes(), 0x99, 3);
}

static inline void free_scratch(void)
{
    CHECK(guarded_free(&encode_scratch), "around the encoder's scratch");
    CHECK(guarded_free(&decode_scratch), "around the decoder's scratch");
}

#endif
