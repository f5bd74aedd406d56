/* SPDX-License-Identifier: Apache-2.0 */
/* The C core as a process, for test_cross.py: built for another architecture and emulated, it reads
 * calls from stdin and answers on stdout what they returned. All numbers are little-endian.
 *
 * 'I'  -> u8 count, u8 numbers of the instruction sets here
 * 'E'  u8 isa, u8 dtype, u8 is_joined, u32 chunk_count, u32 source_nbytes of each, all sources
 *      -> i64 tables made, {u64 name, u32 nbytes, 48 bytes} of each,
 *         of each chunk: u8 method, u8 unit_shift, u8 table_count, u64 checksum, u64 references,
 *         u32 body_nbytes, body (none of a raw chunk)
 * 'D'  u8 isa, u8 dtype, u8 method, u8 unit_shift, u8 table_count, u64 checksum,
 *      {u64 name, u32 nbytes, 48 bytes} of each reference, u32 source_nbytes, u32 body_nbytes, body
 *      -> i64 status, source_nbytes bytes
 */
#include <stdio.h>
#include <stdlib.h>

#include "bytes.h"
#include "errors.h"
#include "kernels.h"

static void *take_memory(size_t nbytes)
{
    void *bytes = calloc(1, nbytes ? nbytes : 1);
    if (bytes) return bytes;
    fprintf(stderr, "no memory for %zu bytes\n", nbytes);
    exit(1);
}

static void read_bytes(void *out, size_t nbytes)
{
    if (nbytes == 0 || fread(out, nbytes, 1, stdin) == 1) return;
    fprintf(stderr, "a request ends early\n");
    exit(1);
}

/* A number of `nbytes` bytes. */
static uint64_t read_number(unsigned nbytes)
{
    uint8_t bytes[8] = {0};
    read_bytes(bytes, nbytes);
    return load_u64le(bytes);
}

static void write_number(uint64_t value, unsigned nbytes)
{
    uint8_t bytes[8];
    store_u64le(bytes, value);
    fwrite(bytes, nbytes, 1, stdout);
}

static znl_kernels read_isa(void)
{
    znl_kernels kernels;
    if (znl_kernels_init(&kernels, (int)read_number(1)) == ZNL_OK) return kernels;
    fprintf(stderr, "an instruction set that is not here\n");
    exit(1);
}

static void write_isas(void)
{
    unsigned count = 0;
    for (int isa = 0; isa < ZNL_ISA_COUNT; isa++) count += znl_cpu_has(isa) != 0;
    write_number(count, 1);
    for (int isa = 0; isa < ZNL_ISA_COUNT; isa++)
        if (znl_cpu_has(isa)) write_number((uint64_t)isa, 1);
}

static void write_chunk(const znl_chunk *chunk)
{
    write_number(chunk->method, 1);
    write_number(chunk->unit_shift, 1);
    write_number(chunk->table_count, 1);
    write_number(chunk->checksum, 8);
    for (unsigned t = 0; t < chunk->table_count; t++) write_number(chunk->tables[t], 8);
    write_number(chunk->body_nbytes, 4);
    fwrite(chunk->body + chunk->body_offset, 1, chunk->body_nbytes, stdout);
}

static void encode(void)
{
    const znl_kernels kernels = read_isa();
    const unsigned dtype = (unsigned)read_number(1), is_joined = (unsigned)read_number(1);
    const size_t count = (size_t)read_number(4), scratch_nbytes = znl_encode_scratch_nbytes(count);
    znl_chunk *chunks = take_memory(count * sizeof *chunks);
    znl_table *tables = take_memory(count * sizeof *tables);
    uint8_t *scratch = take_memory(scratch_nbytes);
    for (size_t c = 0; c < count; c++) chunks[c].source_nbytes = (uint32_t)read_number(4);
    for (size_t c = 0; c < count; c++) {
        chunks[c].dtype = (uint8_t)dtype;
        chunks[c].is_joined = (uint8_t)is_joined;
        chunks[c].body_room = chunks[c].source_nbytes + ZNL_BODY_SLACK_NBYTES;
        chunks[c].source = take_memory(chunks[c].source_nbytes);
        chunks[c].body = take_memory(chunks[c].body_room);
        read_bytes(chunks[c].source, chunks[c].source_nbytes);
    }
    const int64_t made =
        znl_encode_chunks(&kernels, chunks, count, tables, scratch, scratch_nbytes);
    write_number((uint64_t)made, 8);
    for (int64_t t = 0; t < made; t++) {
        write_number(tables[t].name, 8);
        write_number(tables[t].nbytes, 4);
        fwrite(tables[t].bytes, sizeof tables[t].bytes, 1, stdout);
    }
    for (size_t c = 0; c < count; c++) {
        if (made >= 0) write_chunk(&chunks[c]);
        free(chunks[c].source);
        free(chunks[c].body);
    }
    free(chunks);
    free(tables);
    free(scratch);
}

static void decode(void)
{
    const znl_kernels kernels = read_isa();
    const size_t scratch_nbytes = znl_decode_scratch_nbytes();
    znl_table tables[ZNL_MAX_TABLES];
    znl_chunk chunk;
    memset(&chunk, 0, sizeof chunk);
    chunk.dtype = (uint8_t)read_number(1);
    chunk.method = (uint8_t)read_number(1);
    chunk.unit_shift = (uint8_t)read_number(1);
    chunk.table_count = (uint8_t)read_number(1);
    chunk.checksum = read_number(8);
    if (chunk.table_count > ZNL_MAX_TABLES) exit(1);
    for (unsigned t = 0; t < chunk.table_count; t++) {
        chunk.tables[t] = tables[t].name = read_number(8);
        tables[t].nbytes = (uint32_t)read_number(4);
        read_bytes(tables[t].bytes, sizeof tables[t].bytes);
    }
    chunk.source_nbytes = (uint32_t)read_number(4);
    chunk.body_nbytes = (uint32_t)read_number(4);
    chunk.source = take_memory(chunk.source_nbytes);
    chunk.body = take_memory(chunk.body_nbytes);
    uint8_t *scratch = take_memory(scratch_nbytes);
    read_bytes(chunk.body, chunk.body_nbytes);
    const int64_t status =
        znl_decode_chunks(&kernels, &chunk, 1, tables, chunk.table_count, scratch, scratch_nbytes);
    write_number((uint64_t)status, 8);
    fwrite(chunk.source, 1, chunk.source_nbytes, stdout);
    free(chunk.source);
    free(chunk.body);
    free(scratch);
}

int main(void)
{
    for (int request; (request = getchar()) != EOF; fflush(stdout)) {
        if (request == 'I') write_isas();
        if (request == 'E') encode();
        if (request == 'D') decode();
    }
    return 0;
}
