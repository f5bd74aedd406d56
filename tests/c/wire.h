/* SPDX-License-Identifier: Apache-2.0 */
/* Records by hand, and what docs/format.md (sections 3, 4, 6) allows in those that come with chunks,
 * written again so that a slip in csrc/ shows. */
#ifndef ZNL_TEST_WIRE_H
#define ZNL_TEST_WIRE_H

#include "bytes.h"
#include "check.h"
#include "checksum.h"
#include "stream.h"

/* Bytes that grow. */
typedef struct {
    uint8_t *bytes;
    size_t nbytes, room;
} wire;

static inline void wire_put(wire *to, const uint8_t *bytes, size_t nbytes)
{
    if (to->room - to->nbytes < nbytes) {
        to->room = 2 * (to->nbytes + nbytes);
        to->bytes = realloc(to->bytes, to->room);
        if (to->bytes == NULL) {
            printf("no memory for %zu bytes\n", to->room);
            exit(1);
        }
    }
    if (nbytes) memcpy(to->bytes + to->nbytes, bytes, nbytes);
    to->nbytes += nbytes;
}

static inline size_t padding_of(size_t body_nbytes)
{
    return (4 - body_nbytes % 4) % 4;
}

/* Prefix, head, body and padding of a record. */
static inline size_t record_nbytes(const uint8_t *record)
{
    const size_t body_nbytes = load_u32le(record + 4);
    return 16u + load_u16le(record + 2) + body_nbytes + padding_of(body_nbytes);
}

/* The check that a record must have. */
static inline uint64_t check_of(const uint8_t *record)
{
    uint8_t joined[8 + 65535];
    const size_t head_nbytes = load_u16le(record + 2);
    memcpy(joined, record, 8);
    memcpy(joined + 8, record + 16, head_nbytes);
    return znl_xxh3_64_scalar(joined, 8 + head_nbytes);
}

/* Whether prefix and head of a record are in in[0..in_nbytes). */
static inline int has_head(const uint8_t *in, size_t in_nbytes)
{
    return in_nbytes >= 16 && in_nbytes - 16 >= load_u16le(in + 2);
}

static inline int has_check(const uint8_t *in, size_t in_nbytes)
{
    return has_head(in, in_nbytes) && load_u64le(in + 8) == check_of(in);
}

/* Give a record the check that it must have; one whose head is not there keeps its own. */
static inline void set_check(uint8_t *in, size_t in_nbytes)
{
    if (has_head(in, in_nbytes)) store_u64le(in + 8, check_of(in));
}

static inline void put_record(wire *to, unsigned type, unsigned flags, const uint8_t *head,
                              size_t head_nbytes, const uint8_t *body, size_t body_nbytes)
{
    static const uint8_t zeros[4];
    uint8_t prefix[16] = {(uint8_t)type, (uint8_t)flags};
    const size_t start = to->nbytes;
    store_u16le(prefix + 2, (uint16_t)head_nbytes);
    store_u32le(prefix + 4, (uint32_t)body_nbytes);
    wire_put(to, prefix, sizeof prefix);
    wire_put(to, head, head_nbytes);
    wire_put(to, body, body_nbytes);
    wire_put(to, zeros, padding_of(body_nbytes));
    set_check(to->bytes + start, to->nbytes - start);
}

/* Let a stream begin again. What is in its arrays stays: its counts say how much of it counts. */
static inline void forget_all(znl_stream *stream)
{
    znl_stream_next_page(stream);
    stream->dtype_count = stream->kept_count = stream->kept_next = 0;
    memset(stream->source_by_method, 0, sizeof stream->source_by_method);
    memset(stream->stored_by_method, 0, sizeof stream->stored_by_method);
}

/* Section 6.1. */
static inline int is_table_head(const uint8_t *head, size_t nbytes)
{
    size_t bit = 16;
    unsigned sum = 0;
    if (nbytes < 4 || load_u16le(head) >> 12 & 7) return 0;
    for (unsigned s = 0; s < 32; s++) {
        unsigned c = 0, d = 0;
        for (unsigned i = 0; i < 4; i++, bit++) {
            if (bit >= 8 * nbytes) return 0;
            c |= (unsigned)(head[bit / 8] >> bit % 8 & 1) << i;
        }
        if (c > 11) return 0;
        for (unsigned i = 0; i < c; i++, bit++) {
            if (bit >= 8 * nbytes) return 0;
            d |= (unsigned)(head[bit / 8] >> bit % 8 & 1) << i;
        }
        sum += (1u << c) + d;
    }
    if (sum != 4096 || nbytes != (bit + 31) / 32 * 4) return 0;
    for (; bit < 8 * nbytes; bit++)
        if (head[bit / 8] >> bit % 8 & 1) return 0;
    return 1;
}

/* Section 6.3, what can be said of a SAME_AS alone. */
static inline int is_same_as_head(const uint8_t *head, size_t nbytes)
{
    if (nbytes != 24 || head[0] > 22) return 0;
    for (unsigned i = 0; i < 3; i++)
        if (head[1 + i]) return 0;
    for (unsigned i = 0; i < 4; i++)
        if (head[20 + i]) return 0;
    const uint32_t source_nbytes = load_u32le(head + 4), distance = load_u32le(head + 16);
    return source_nbytes >= 256 && source_nbytes <= 16777216 && distance >= 1 &&
           distance <= 16777216 && distance >= source_nbytes;
}

/* Section 4, without the rules for bodies; `names` are those of the tables before it. */
static inline int is_chunk_head(const uint8_t *head, size_t nbytes, const uint64_t *names,
                                size_t name_count)
{
    if (nbytes < 16) return 0;
    const unsigned dtype = head[0], method = head[1], count = head[2], shift = head[3];
    const uint32_t source_nbytes = load_u32le(head + 4);
    const unsigned most = method == 3 ? 8 : method == 4 || method == 5 ? 32 : 0;
    const unsigned least = method == 3 || method == 4;
    if (dtype > 22 || method > 5) return 0;
    if (count > most || count < least) return 0;
    if (method != 3 || count < 2 ? shift != 0 : shift != 6 && shift != 9) return 0;
    if (source_nbytes < 1 || source_nbytes > 16777216) return 0;
    if (nbytes != 16 + 8 * count) return 0;
    for (unsigned t = 0; t < count; t++) {
        const uint64_t reference = load_u64le(head + 16 + 8 * t);
        int is_known = 0;
        for (size_t i = 0; i < name_count; i++) is_known |= names[i] == reference;
        if (reference >> 63 ? !is_known : reference >= 65536) return 0;
    }
    return 1;
}

/* Whether the record at the front of in[0..in_nbytes), whose check holds, is one that comes with chunks and
 * keeps the rules of its section. */
static inline int may_be_taken(const uint8_t *in, size_t in_nbytes, const uint64_t *names,
                               size_t name_count)
{
    const size_t head_nbytes = load_u16le(in + 2), body_nbytes = load_u32le(in + 4);
    if (in[0] < 1 || in[0] > 3 || in[1] != 1) return 0;
    if (head_nbytes % 4 || head_nbytes > 4096 || body_nbytes > 16777216 + 65536) return 0;
    if (record_nbytes(in) > in_nbytes) return 0;
    for (size_t i = 0; i < padding_of(body_nbytes); i++)
        if (in[16 + head_nbytes + body_nbytes + i]) return 0;
    if (in[0] != 1 && body_nbytes) return 0;
    if (in[0] == 2) return is_table_head(in + 16, head_nbytes);
    if (in[0] == 3) return is_same_as_head(in + 16, head_nbytes);
    return is_chunk_head(in + 16, head_nbytes, names, name_count);
}

#endif
