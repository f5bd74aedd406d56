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
#define ZNL_NEW_TABLES 49       /* that the encoder makes for a chunk, at most */
#define ZNL_MAX_TABLES 32       /* of an arranged chunk */
#define ZNL_MAX_STATIC_TABLES 8 /* of a static one */
#define ZNL_MAX_CHUNKS 1024     /* of one call of the encoder, whose 32-bit counts they share */
#define ZNL_MAX_TABLE_NBYTES 48
#define ZNL_BODY_SLACK_NBYTES 320

#define ZNL_DTYPE_COUNT 23 /* codes on the wire are below it */
#define ZNL_PAGE_CHUNKS 512
#define ZNL_ENTRY_NBYTES 24
#define ZNL_MAX_TABLES_KEPT 1024
#define ZNL_TABLE_STREAM_NBYTES                                                                    \
    92                        /* of a table: its record, 16 + 36 bytes, and 4 + 36 in the page */
#define ZNL_FRAME_NBYTES 2432 /* of a chunk's records without its body, at most */

#define ZNL_METHOD_RAW 0
#define ZNL_METHOD_CONSTANT 1
#define ZNL_METHOD_ZSTD 2
#define ZNL_METHOD_STATIC 3
#define ZNL_METHOD_ARRANGED 4
#define ZNL_METHOD_COMPOSED 5
#define ZNL_METHOD_COUNT 6

#define ZNL_ISA_SCALAR 0
#define ZNL_ISA_SSE4 1
#define ZNL_ISA_AVX2 2
#define ZNL_ISA_AVX512 3
#define ZNL_ISA_NEON 4
#define ZNL_ISA_COUNT 5

#define ZNL_STATUS_LEFT 1 /* zstd, composed and repeats: the caller restores these */
#define ZNL_STATUS_CHECKSUM                                                                        \
    -10 /* ZNL_E_CHECKSUM of csrc/errors.h: Python tells it from the others */

/* A frequency table as it travels: its name and the head of its TABLE record. */
typedef struct {
    uint64_t name;
    uint32_t nbytes;
    uint8_t bytes[48];
} znl_table;

/* Consecutive values of a chunk as the rows of a matrix. */
typedef struct {
    uint32_t rows, row_values;
    int32_t has_columns; /* its columns mean something, too */
} znl_part;

/* One chunk, on both ways. The encoder reads source, source_nbytes, dtype, is_joined, parts and body
 * (body_room bytes to write to) and fills in the rest but offset, distance and is_part; the decoder reads all but is_joined,
 * body_room and body_offset, and writes source_nbytes bytes to source. `tables` holds references (docs/format.md 6.2). */
typedef struct {
    uint8_t *source;
    uint8_t *body;
    uint64_t offset; /* of its record in the stream, for messages; set by znl_scan_chunks */
    uint32_t source_nbytes;
    uint32_t body_room;
    uint32_t body_offset; /* encoder: the body is body[body_offset .. + body_nbytes) */
    uint32_t body_nbytes;
    uint32_t distance; /* not 0: a repeat of the chunk this many source bytes back */
    uint64_t checksum;
    uint64_t tables[32];
    uint8_t dtype;
    uint8_t method;
    uint8_t table_count;
    uint8_t unit_shift;
    uint8_t is_joined;     /* several small tensors lie in it: look for a class per unit */
    uint8_t is_part;       /* of a composed chunk: it has no checksum of its own */
    const znl_part *parts; /* part_count that make up the chunk, or none: do not arrange it */
    uint32_t part_count;
    int32_t status; /* 0, ZNL_STATUS_LEFT, or the error code of this chunk */
} znl_chunk;

/* What both ends of a stream keep while its records pass: the tables that chunks may refer to, the page
 * under construction, totals. Made by znl_stream_begin. */
typedef struct {
    uint64_t lead_nbytes;    /* of records since the last chunk */
    uint64_t records_nbytes; /* since the last page; this and the next four are of the page */
    uint64_t source_nbytes;
    uint32_t chunk_count;
    uint32_t table_count;
    uint32_t context_nbytes;
    uint32_t dtype_count;
    uint32_t kept_count;
    uint32_t kept_next; /* where the next table goes: `kept` is a ring */
    /* Of each dtype, by method; repeats come last. */
    uint64_t source_by_method[23][7];
    uint64_t stored_by_method[23][7];
    uint8_t dtypes[23];        /* dtype_count codes in order of first appearance */
    uint16_t kept_heads[1024]; /* by the low bits of a name: the newest table with those */
    uint16_t name_heads[4096]; /* the same among the tables of the page */
    uint16_t kept_links[1024]; /* the next older table of the same low bits */
    uint16_t name_links[512 * 32];
    uint32_t item_offsets[512 * 32]; /* of the tables of the page in `context` */
    uint64_t table_names[512 * 32];
    znl_table kept[1024];
    uint8_t entries[512 * 24];
    uint8_t context[512 * 32 * 52];
} znl_stream;

/* A chunk that a repeat may refer to; start: source bytes before it in its run. */
typedef struct {
    uint64_t checksum;
    uint32_t start;
    uint32_t source_nbytes;
} znl_original;

/* Why znl_scan_chunks stopped. */
#define ZNL_STOP_MORE 0  /* the next record is not all there: wanted_nbytes of it are needed */
#define ZNL_STOP_FULL 1  /* the next chunk does not fit the batch */
#define ZNL_STOP_ROOM 2  /* the next chunk does not fit source_room */
#define ZNL_STOP_OTHER 3 /* another record, or one that breaks a rule: for the caller to judge */

/* Consecutive chunks of a stream, and what a scan found out about them. */
typedef struct {
    znl_chunk *chunks; /* chunk_room of them */
    znl_table
        *tables; /* chunk_room * ZNL_MAX_TABLES, as znl_decode_chunks takes them: not all written */
    uint64_t chunk_room;
    uint64_t batch_nbytes; /* stop before a chunk that leads past it, except the first */
    uint64_t source_room;  /* stop before a chunk that leads past it */
    uint64_t offset;       /* of the first record in the stream */
    uint64_t chunk_count;  /* from here on set by the scan */
    uint64_t table_count;
    uint64_t left_count;     /* chunks that znl_decode_chunks leaves to the caller */
    uint64_t original_count; /* chunks that a repeat may refer to */
    uint64_t source_nbytes;
    uint64_t taken_nbytes;
    uint64_t wanted_nbytes;
    int32_t stop;
} znl_run;

/* The functions of one instruction set; the caller keeps it, and several may be in use at once. */
typedef struct znl_kernels znl_kernels;
size_t znl_kernels_nbytes(void);

/* Fill a znl_kernels for ZNL_ISA_*: ZNL_OK, or ZNL_E_NO_ISA; never a silent step down. */
int znl_kernels_init(znl_kernels *kernels, int isa);

/* 1 when this CPU and this build have ZNL_ISA_*: on x86 the best one and those of lower numbers, on
 * AArch64 scalar and NEON. */
int znl_cpu_has(int isa);

/* Scratch bytes that one call of znl_encode_chunks or znl_decode_chunks needs. */
size_t znl_encode_scratch_nbytes(size_t chunk_count);
size_t znl_decode_scratch_nbytes(void);

/* Encode `chunk_count` chunks of one dtype that a layout exists for, by the cheapest of raw, constant, static and arranged.
 *
 * kernels      made by znl_kernels_init
 * chunks       in and out; body_room at least source_nbytes + ZNL_BODY_SLACK_NBYTES.
 *              For raw, body_offset and body_nbytes are 0: the source is the body.
 * tables       out, ZNL_NEW_TABLES entries for each chunk: every table that a chunk refers to by name is among them,
 *              and maybe others
 * returns      number of tables, or a negative error code
 * source       docs/format.md section 5
 */
int64_t znl_encode_chunks(const znl_kernels *kernels, znl_chunk *chunks, size_t chunk_count,
                          znl_table *tables, uint8_t *scratch, size_t scratch_nbytes);

/* Give consecutive chunks room for their bodies in bodies[0..bodies_nbytes), one behind the other: the size
 * of their source and ZNL_BODY_SLACK_NBYTES each. Returns 0, or ZNL_E_NO_ROOM. */
int64_t znl_place_bodies(znl_chunk *chunks, size_t chunk_count, uint8_t *bodies,
                         size_t bodies_nbytes);

/* Decode `chunk_count` chunks and check their checksums.
 *
 * chunks       in; bodies are wire, untrusted; status is written; repeats and those of method zstd or composed
 *              are left to the caller (ZNL_STATUS_LEFT)
 * tables       table_count tables of all chunks: those of chunk 0 first, one entry for every
 *              reference, in order (the entry of a universal reference is not read; names are the
 *              caller's business and not compared)
 * returns      0, ZNL_E_NO_ROOM or ZNL_E_BAD_CALL for the call as a whole, or the status of the first
 *              chunk that failed; those before it are decoded, the status of later ones is not touched
 *              or 0: a large chunk waits for another to be decoded beside it
 */
int64_t znl_decode_chunks(const znl_kernels *kernels, znl_chunk *chunks, size_t chunk_count,
                          const znl_table *tables, size_t table_count, uint8_t *scratch,
                          size_t scratch_nbytes);

/* Let the values of consecutive chunks lie in values[0..nbytes), one behind the other: what the encoder reads,
 * what the decoder writes. Returns 0, or ZNL_E_BAD_CALL when their sizes do not add up to nbytes. */
int64_t znl_place_chunks(znl_chunk *chunks, size_t chunk_count, uint8_t *values, size_t nbytes);

/* Write the chunks that a repeat may refer to, in order; room for all of them. Returns their number. */
size_t znl_list_originals(const znl_chunk *chunks, size_t chunk_count, znl_original *originals);

/* The original that begins at `start`, or NULL. */
const znl_original *znl_find_original(const znl_original *originals, size_t original_count,
                                      uint32_t start);

/* Take the CHUNK, SAME_AS and TABLE records at the front of in[0..in_nbytes), which is wire, untrusted:
 * only whole records that keep every rule of docs/format.md, sections 3, 4 and 6, are taken, but for
 * those that need the body of a chunk or the source before it. Chunks point into `in`.
 *
 * stream   in and out: tables kept, and what the page of these chunks must say
 * run      in and out; chunk_room at least 1
 * returns  0, or ZNL_E_BAD_CALL
 */
int64_t znl_scan_chunks(znl_stream *stream, const znl_kernels *kernels, const uint8_t *in,
                        size_t in_nbytes, znl_run *run);

/* Write the records of chunks, tables before their first use, until the page is full.
 *
 * stream   in and out
 * chunks   as znl_encode_chunks leaves them; distance makes a repeat, and then the body is not read
 * tables   holds every table that a chunk refers to by name
 * out      out_room at least the sum of the bodies and ZNL_FRAME_NBYTES for each chunk
 * framed   out: number of chunks written
 * returns  bytes written, or a negative error code, after which the stream is of no further use
 */
int64_t znl_frame_chunks(znl_stream *stream, const znl_kernels *kernels, const znl_chunk *chunks,
                         size_t chunk_count, const znl_table *tables, size_t table_count,
                         uint8_t *out, size_t out_room, size_t *framed);

/* Before the first record: clears all that is not written before it is read, which is little of the whole. */
void znl_stream_begin(znl_stream *stream);

/* The page was written: begin the next one. */
void znl_stream_next_page(znl_stream *stream);

/* Write the numbers of the encoded chunks, of dtypes with a layout, whose values may be few, often the same or packed
 * in halves of a byte. Looks at up to 256 values of each: it says no to nearly all weights, and yes is no promise
 * (docs/models.md). Returns how many there are. */
size_t znl_list_composable(const znl_chunk *chunks, size_t chunk_count, uint32_t *numbers);

/* What symbols that occur this often take together at their entropy, in 1/65536 bit, the same on every machine. */
uint64_t znl_entropy_q16(const uint32_t *counts, size_t count);
/* 1 when F32 values, rows of row_values or 0, seem to be worth it to take scales out of them, by a few values at three places. */
int znl_looks_scaled(const uint8_t *values, size_t value_count, size_t row_values);

/* 1 when F32 values, `stride` values apart, seem to be narrow ones times one scale: three of them or more are
 * needed to tell. Plain weights say yes once in a million times, and no after one microsecond. */
int znl_seem_scaled(const uint8_t *values, size_t stride, size_t count);

/* Take the scales out of F32 values: number i has scale i / run modulo scale_count.
 *
 * run          value_count / scale_count, or 1
 * scales       out, scale_count F32
 * halves       out, value_count F16, which times their scales are the values; the largest of a scale are 2^15 and more
 * spans        out, scale_count: bits from the highest to the lowest that is set in all F16 of a scale, less 1; where
 *              that is more than 7, some number that is
 * returns      1, or 0 when there are no such scales
 * source       docs/format.md section 5.11
 */
int znl_split_scaled(const uint8_t *source, size_t value_count, size_t run, size_t scale_count,
                     uint8_t *scales, uint8_t *halves, uint8_t *spans);

/* Multiply scales in again. Scales and narrow values are wire, untrusted; run and scale_count are at least 1.
 *
 * are_bytes    narrow values are I8, else F16
 * returns      0, or ZNL_E_BAD_VALUE for a scale, a narrow value or a product that can't be
 */
int64_t znl_join_scaled(const uint8_t *scales, const uint8_t *narrow_values, int are_bytes,
                        size_t value_count, size_t run, size_t scale_count, uint8_t *out);

/* 1 when in[0..in_nbytes) is one value of `width` bytes again and again. */
int znl_is_constant(const uint8_t *in, size_t in_nbytes, size_t width);

/* 0 when in[0..in_nbytes) is the head of a TABLE record, else an error code; writes its name. */
int64_t znl_table_check(const uint8_t *in, size_t in_nbytes, uint64_t *name);

/* XXH3-64, seed 0, of in[0..in_nbytes). */
uint64_t znl_xxh3_64(const znl_kernels *kernels, const uint8_t *in, size_t in_nbytes);

/* Ask for large pages under a buffer that was just allocated: filling it then costs fewer page faults.
 * A hint to the system; the contents stay as they are. */
void znl_advise_large_pages(uint8_t *room, size_t nbytes);

/* The best instruction set here, and the sentence of an error code. */
int znl_cpu_isa(void);
const char *znl_error_text(int64_t code);
/* cdef end */

#endif
