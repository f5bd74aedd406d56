/* SPDX-License-Identifier: Apache-2.0 */
/* The C core: codes whole chunks of values, several per call. It knows nothing of files, threads or
 * Python, allocates nothing and holds no mutable global. The text between the two markers is also the
 * cffi declaration, so each prototype is written once. */
#ifndef ZIPNN_LIKE_H
#define ZIPNN_LIKE_H

#include <stddef.h>
#include <stdint.h>

/* cdef begin */
#define ZNL_MAX_CHUNK_NBYTES 16777216
#define ZNL_MAX_STATIC_VALUES 262144
#define ZNL_MIN_STATIC_VALUES 64
#define ZNL_MAX_TABLES 8
#define ZNL_MAX_CHUNKS 1024 /* of one call of the encoder, whose 32-bit counts they share */
#define ZNL_MAX_TABLE_NBYTES 48
#define ZNL_BODY_SLACK_NBYTES 320

#define ZNL_METHOD_RAW 0
#define ZNL_METHOD_CONSTANT 1
#define ZNL_METHOD_ZSTD 2
#define ZNL_METHOD_STATIC 3

#define ZNL_ISA_SCALAR 0
#define ZNL_ISA_SSE4 1
#define ZNL_ISA_AVX2 2
#define ZNL_ISA_AVX512 3

#define ZNL_STATUS_CHECKSUM                                                                        \
    -10 /* ZNL_E_CHECKSUM of csrc/errors.h: Python tells it from the others */

/* A frequency table as it travels: its name and the head of its TABLE record. */
typedef struct {
    uint64_t name;
    uint32_t nbytes;
    uint8_t bytes[48];
} znl_table;

/* One chunk, on both ways. The encoder reads source, source_nbytes, dtype, is_joined and body
 * (body_room bytes to write to) and fills in the rest; the decoder reads all but is_joined,
 * body_room and body_offset, and writes source_nbytes bytes to source. `tables` holds references (docs/format.md 6.2). */
typedef struct {
    uint8_t *source;
    uint8_t *body;
    uint32_t source_nbytes;
    uint32_t body_room;
    uint32_t body_offset; /* encoder: the body is body[body_offset .. + body_nbytes) */
    uint32_t body_nbytes;
    uint64_t checksum;
    uint64_t tables[8];
    uint8_t dtype;
    uint8_t method;
    uint8_t table_count;
    uint8_t unit_shift;
    uint8_t is_joined; /* several small tensors lie in it: look for a class per unit */
    int32_t status;    /* 0, or the error code of this chunk */
} znl_chunk;

/* The functions of one instruction set; the caller keeps it, and several may be in use at once. */
typedef struct znl_kernels znl_kernels;
size_t znl_kernels_nbytes(void);

/* Fill a znl_kernels for ZNL_ISA_*: ZNL_OK, or ZNL_E_NO_ISA; never a silent step down. */
int znl_kernels_init(znl_kernels *kernels, int isa);

/* Scratch bytes that one call of znl_encode_chunks or znl_decode_chunks needs. */
size_t znl_encode_scratch_nbytes(size_t chunk_count);
size_t znl_decode_scratch_nbytes(void);

/* Encode `chunk_count` chunks of one dtype that a layout exists for, by the cheapest of raw, constant and static.
 *
 * kernels      made by znl_kernels_init
 * chunks       in and out; body_room at least source_nbytes + ZNL_BODY_SLACK_NBYTES.
 *              For raw, body_offset and body_nbytes are 0: the source is the body.
 * tables       out, chunk_count entries: every table that a chunk refers to by name is among them,
 *              and maybe others
 * returns      number of tables, or a negative error code
 * source       docs/format.md section 5
 */
int64_t znl_encode_chunks(const znl_kernels *kernels, znl_chunk *chunks, size_t chunk_count,
                          znl_table *tables, uint8_t *scratch, size_t scratch_nbytes);

/* Decode `chunk_count` chunks of method raw, constant or static and check their checksums.
 *
 * chunks       in; bodies are wire, untrusted; status is written
 * tables       table_count tables of all chunks: those of chunk 0 first, one entry for every
 *              reference, in order (the entry of a universal reference is not read; names are the
 *              caller's business and not compared)
 * returns      0, or the status of the first chunk that failed; the status of later ones is not
 *              touched, but the source of the next one may be: two may be decoded side by side
 */
int64_t znl_decode_chunks(const znl_kernels *kernels, znl_chunk *chunks, size_t chunk_count,
                          const znl_table *tables, size_t table_count, uint8_t *scratch,
                          size_t scratch_nbytes);

/* 1 when in[0..in_nbytes) is one value of `width` bytes again and again. */
int znl_is_constant(const uint8_t *in, size_t in_nbytes, size_t width);

/* 0 when in[0..in_nbytes) is the head of a TABLE record, else an error code; writes its name. */
int64_t znl_table_check(const uint8_t *in, size_t in_nbytes, uint64_t *name);

/* XXH3-64, seed 0, of in[0..in_nbytes). */
uint64_t znl_xxh3_64(const znl_kernels *kernels, const uint8_t *in, size_t in_nbytes);

/* The best instruction set here, and the sentence of an error code. */
int znl_cpu_isa(void);
const char *znl_error_text(int64_t code);
/* cdef end */

#endif
