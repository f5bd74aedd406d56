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

static int decode_static(const znl_kernels *kernels, const znl_chunk *chunk, const znl_table *wire,
                         znl_static_decode_scratch *scratch)
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
    znl_freq_table tables[ZNL_MAX_TABLES];
    const int status = resolve_tables(chunk, wire, tables);
    if (status != ZNL_OK) return status;
    return znl_static_decode(kernels, layout, tables, chunk, scratch);
}

static int decode_chunk(const znl_kernels *kernels, const znl_chunk *chunk, const znl_table *wire,
                        znl_static_decode_scratch *scratch)
{
    if (chunk->source_nbytes == 0 || chunk->source_nbytes > ZNL_MAX_CHUNK_NBYTES)
        return ZNL_E_BAD_VALUE;
    if (chunk->method != ZNL_METHOD_STATIC && (chunk->table_count || chunk->unit_shift))
        return ZNL_E_BAD_VALUE;
    int status = ZNL_OK;
    switch (chunk->method) {
    case ZNL_METHOD_RAW:
        if (chunk->body_nbytes != chunk->source_nbytes) return ZNL_E_BAD_SIZE;
        memcpy(chunk->source, chunk->body, chunk->source_nbytes);
        break;
    case ZNL_METHOD_CONSTANT: {
        const uint32_t nbytes = chunk->body_nbytes;
        if (nbytes != 1 && nbytes != 2 && nbytes != 4 && nbytes != 8) return ZNL_E_BAD_SIZE;
        if (chunk->source_nbytes % nbytes) return ZNL_E_BAD_SIZE;
        fill_constant(chunk->body, nbytes, chunk->source, chunk->source_nbytes);
        break;
    }
    case ZNL_METHOD_STATIC: status = decode_static(kernels, chunk, wire, scratch); break;
    default: return ZNL_E_BAD_VALUE;
    }
    if (status != ZNL_OK) return status;
    return kernels->xxh3_64(chunk->source, chunk->source_nbytes) == chunk->checksum
               ? ZNL_OK
               : ZNL_E_CHECKSUM;
}

int64_t znl_decode_chunks(int isa, znl_chunk *chunks, size_t chunk_count, const znl_table *tables,
                          size_t table_count, uint8_t *scratch_bytes, size_t scratch_nbytes)
{
    znl_kernels kernels;
    const int init = znl_kernels_init(&kernels, isa);
    if (init != ZNL_OK) return init;
    if (scratch_nbytes < znl_decode_scratch_nbytes()) return ZNL_E_NO_ROOM;
    znl_static_decode_scratch *scratch =
        (znl_static_decode_scratch *)(((uintptr_t)scratch_bytes + 63) & ~(uintptr_t)63);
    for (size_t i = 0; i < chunk_count; i++) {
        znl_chunk *chunk = &chunks[i];
        if (chunk->table_count > ZNL_MAX_TABLES) {
            chunk->status = ZNL_E_BAD_VALUE;
            return chunk->status;
        }
        if (chunk->table_count > table_count) return ZNL_E_BAD_CALL;
        chunk->status = decode_chunk(&kernels, chunk, tables, scratch);
        if (chunk->status != ZNL_OK) return chunk->status;
        tables += chunk->table_count;
        table_count -= chunk->table_count;
    }
    return ZNL_OK;
}
