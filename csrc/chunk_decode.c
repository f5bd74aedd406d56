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

/* Resolve a chunk's references; the caller matched each named one with its entry in `wire`. */
static int resolve_tables(const znl_chunk *chunk, const znl_table *wire, znl_freq_table *tables)
{
    for (unsigned t = 0; t < chunk->table_count; t++) {
        const uint64_t reference = chunk->tables[t];
        if (reference & ZNL_TABLE_NAME_BIT) {
            if (wire[t].nbytes > sizeof wire[t].bytes) return ZNL_E_BAD_CALL;
            const int status = znl_table_read(wire[t].bytes, wire[t].nbytes, &tables[t]);
            if (status != ZNL_OK) return status;
        } else {
            if (reference >> 16) return ZNL_E_BAD_TABLE;
            znl_table_universal((unsigned)(reference >> ZNL_UNIVERSAL_BASE_BITS),
                                (unsigned)(reference & ((1u << ZNL_UNIVERSAL_BASE_BITS) - 1)),
                                &tables[t]);
        }
    }
    return ZNL_OK;
}

/* Check what a static chunk's head says, and resolve its tables. */
static int prepare_static(const znl_chunk *chunk, const znl_table *wire, znl_freq_table *tables)
{
    const znl_layout *layout = znl_layout_of(chunk->dtype);
    if (!layout || chunk->source_nbytes % layout->width) return ZNL_E_BAD_VALUE;
    const size_t value_count = chunk->source_nbytes / layout->width;
    if (value_count < ZNL_MIN_STATIC_VALUES || value_count > ZNL_MAX_STATIC_VALUES)
        return ZNL_E_BAD_VALUE;
    if (chunk->table_count < 1) return ZNL_E_BAD_VALUE;
    const int shift_fits = chunk->table_count == 1 ? chunk->unit_shift == 0
                                                   : chunk->unit_shift == ZNL_UNIT_SHIFT_SMALL ||
                                                         chunk->unit_shift == ZNL_UNIT_SHIFT_LARGE;
    if (!shift_fits) return ZNL_E_BAD_VALUE;
    return resolve_tables(chunk, wire, tables);
}

static int check_sum(const znl_chunk *chunk, uint64_t found)
{
    return found == chunk->checksum ? ZNL_OK : ZNL_E_CHECKSUM;
}

/* Decode a chunk that needs no table. */
static int decode_trivially(const znl_kernels *kernels, const znl_chunk *chunk)
{
    if (chunk->table_count || chunk->unit_shift) return ZNL_E_BAD_VALUE;
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

/* Decode one static chunk, or two of one dtype side by side. */
static int decode_static(const znl_kernels *kernels, const znl_chunk *chunks, unsigned count,
                         const znl_table *wire, znl_static_decode_scratch *scratch)
{
    znl_freq_table tables[2][ZNL_MAX_TABLES];
    uint64_t checksums[2];
    int status = ZNL_OK;
    for (unsigned c = 0; c < count && status == ZNL_OK; c++) {
        status = prepare_static(&chunks[c], wire, tables[c]);
        wire += chunks[c].table_count;
    }
    if (status == ZNL_OK)
        status = znl_static_decode(kernels, znl_layout_of(chunks[0].dtype), tables, chunks, count,
                                   checksums, scratch);
    for (unsigned c = 0; c < count && status == ZNL_OK; c++)
        status = check_sum(&chunks[c], checksums[c]);
    return status;
}

static int decode_chunk(const znl_kernels *kernels, const znl_chunk *chunk, const znl_table *wire,
                        znl_static_decode_scratch *scratch)
{
    if (chunk->source_nbytes == 0 || chunk->source_nbytes > ZNL_MAX_CHUNK_NBYTES)
        return ZNL_E_BAD_VALUE;
    return chunk->method == ZNL_METHOD_STATIC ? decode_static(kernels, chunk, 1, wire, scratch)
                                              : decode_trivially(kernels, chunk);
}

/* Whether two neighbours can be decoded side by side; table_count tables are there. */
static int is_pair(const znl_kernels *kernels, const znl_chunk *chunks, size_t table_count)
{
    return kernels->decode_pair && !chunks[0].distance && !chunks[1].distance &&
           chunks[0].method == ZNL_METHOD_STATIC && chunks[1].method == ZNL_METHOD_STATIC &&
           chunks[0].dtype == chunks[1].dtype && chunks[0].table_count <= ZNL_MAX_TABLES &&
           chunks[1].table_count <= ZNL_MAX_TABLES &&
           (size_t)chunks[0].table_count + chunks[1].table_count <= table_count;
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

int64_t znl_decode_chunks(const znl_kernels *kernels, znl_chunk *chunks, size_t chunk_count,
                          const znl_table *tables, size_t table_count, uint8_t *scratch_bytes,
                          size_t scratch_nbytes)
{
    if (scratch_nbytes < znl_decode_scratch_nbytes()) return ZNL_E_NO_ROOM;
    znl_static_decode_scratch *scratch =
        (znl_static_decode_scratch *)(((uintptr_t)scratch_bytes + 63) & ~(uintptr_t)63);
    scratch->cache.count = 0;
    for (size_t i = 0; i < chunk_count;) {
        znl_chunk *chunk = &chunks[i];
        unsigned size = chunk_count - i >= 2 && is_pair(kernels, chunk, table_count) ? 2 : 1;
        /* A pair that fails is decoded again one by one, which finds out whose fault it is. */
        if (size == 1 || decode_static(kernels, chunk, size, tables, scratch) != ZNL_OK) {
            size = 1;
            if (chunk->table_count > ZNL_MAX_TABLES) return chunk->status = ZNL_E_BAD_VALUE;
            if (chunk->table_count > table_count) return ZNL_E_BAD_CALL;
            chunk->status = znl_is_left(chunk) ? ZNL_STATUS_LEFT
                                               : decode_chunk(kernels, chunk, tables, scratch);
            if (chunk->status < 0) return chunk->status;
        }
        for (unsigned c = 0; c < size; c++, i++) {
            if (size == 2) chunks[i].status = ZNL_OK;
            tables += chunks[i].table_count;
            table_count -= chunks[i].table_count;
        }
    }
    return ZNL_OK;
}
