/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy coder: interleaved rANS with slots by the alias method (docs/format.md, sections 5.5 and
 * 5.6). Kernels code runs of blocks with one table; the chunk codec walks superblocks, so that symbols
 * stay in the first-level cache between the coder and the planes.
 * Sources: Duda, arXiv:1311.2540; Giesen, arXiv:1402.3392; Walker 1977. */
#ifndef ZNL_RANS_H
#define ZNL_RANS_H

#include <stddef.h>
#include <stdint.h>

#include "table.h"
#include "target.h"

#define ZNL_CELL_COUNT 64u

/* The slots of an encoder's table without the table, for kernels with vectors of 32 entries. With
 * c = first[s] + index, the slot is c + own_shift[s] while index < threshold[s]. The rest of all c falls
 * into the pieces that buckets lend, at most 31, for one bucket lends nothing: sorted by where they begin,
 * c lies in the last one that begins at or before it, and the slot is c + its lent_shift. It is found
 * from the cell of 64 that c lies in: from the piece that the cell begins in, go on to the next while that
 * one begins at or before c, which takes `steps` steps at most. */
typedef struct {
    uint16_t threshold[ZNL_SYMBOL_COUNT];
    uint16_t own_shift[ZNL_SYMBOL_COUNT];
    uint16_t lent_shift[ZNL_SYMBOL_COUNT];
    uint16_t last_of[ZNL_SYMBOL_COUNT]; /* in front of piece i + 1; INT16_MAX when there is none */
    uint16_t piece_of[ZNL_CELL_COUNT];
    unsigned steps;
} znl_piece_model;

/* What the encoder needs of one table. */
typedef struct {
    uint8_t
        symbol_of[ZNL_MAX_SYMBOL_VALUES]; /* of a symbol value; ZNL_PATCHED | 31 if it has none */
    uint16_t first[ZNL_SYMBOL_COUNT];
    uint16_t begin[ZNL_SYMBOL_COUNT]; /* 2 * first */
    uint16_t frequency[ZNL_SYMBOL_COUNT];
    uint16_t value_of[ZNL_SYMBOL_COUNT];
    uint8_t frequency_bytes[2][ZNL_SYMBOL_COUNT]; /* low and high bytes, for byte shuffles */
    uint8_t begin_bytes[2][ZNL_SYMBOL_COUNT];     /* of 2 * first */
    uint8_t value_bytes[2][ZNL_SYMBOL_COUNT];
    uint16_t base;
    uint16_t mask;     /* (1 << symbol_bits) - 1 */
    int may_pass_2_31; /* a frequency is above half of the table: its states below the limit may be */
    uint64_t
        reciprocal[ZNL_SYMBOL_COUNT]; /* ceil(2^44 / frequency): exact for x < frequency << 20 */
    float
        inverse[ZNL_SYMBOL_COUNT]; /* below 1 / frequency, so that a quotient is exact or 1 short */
    znl_piece_model pieces;
    /* What is added to quotient << 12: slots[begin[s] + rest] is the slot of the index `rest`, or where the
     * quotient is 1 short, which makes the rest the frequency or more, ZNL_TABLE_SIZE above the slot of
     * the index rest - frequency. One entry more, for loads of two. */
    uint16_t slots[2 * ZNL_TABLE_SIZE + 1]; /* last: it is not a multiple of a vector */
} znl_encode_model;

#define ZNL_PATCHED 0x80u
#define ZNL_RECIPROCAL_SHIFT 44

/* What the decoder needs of one table: per bucket (its threshold, lent symbol and index shift, the
 * frequencies of both its symbols), and per symbol its value. Each array is one vector register. */
typedef struct {
    uint16_t bound[ZNL_SYMBOL_COUNT]; /* threshold << 9 | alias */
    uint16_t own[ZNL_SYMBOL_COUNT];   /* frequency of the bucket's own symbol << 4 */
    uint16_t lent[ZNL_SYMBOL_COUNT];  /* frequency of its alias << 4 */
    uint16_t shift[ZNL_SYMBOL_COUNT]; /* index of a lent slot = its place in the bucket + shift */
    uint16_t value_of[ZNL_SYMBOL_COUNT]; /* symbol value of a symbol */
    uint8_t bytes[8][ZNL_SYMBOL_COUNT];  /* the same for byte shuffles, ZNL_BYTES_* */
    uint32_t
        slots[ZNL_TABLE_SIZE]; /* scalar only: frequency << 20 | index << 8 | symbol of each slot */
} znl_decode_model;

enum {
    ZNL_BYTES_THRESHOLD,
    ZNL_BYTES_TURN,          /* alias ^ bucket */
    ZNL_BYTES_FREQUENCY_LOW, /* of frequency << 4 */
    ZNL_BYTES_FREQUENCY_HIGH,
    ZNL_BYTES_SHIFT_LOW,
    ZNL_BYTES_SHIFT_HIGH,
    ZNL_BYTES_VALUE_LOW,
    ZNL_BYTES_VALUE_HIGH,
};

void znl_encode_model_build(const znl_freq_table *table, unsigned symbol_bits,
                            znl_encode_model *model);

/* with_slots: fill the scalar table, which costs more than all the rest. */
void znl_decode_model_build(const znl_freq_table *table, unsigned symbol_bits, int with_slots,
                            znl_decode_model *model);

/* The lanes of a chunk being decoded. */
typedef struct {
    uint32_t states[ZNL_WIDE_LANES];
    unsigned lane_count;
    const uint8_t *words;        /* the next word */
    const uint8_t *words_end;    /* past the last one */
    const uint8_t *readable_end; /* bytes up to here may be read, though not taken as words */
} znl_decode_lanes;

/* Decode block_count blocks of 64 symbol values with one table.
 *
 * lanes      in and out; words are untrusted
 * symbols    out, 64 * block_count
 * returns    ZNL_OK, or ZNL_E_BAD_STATE when words run out
 */
typedef int znl_rans_decode_fn(znl_decode_lanes *lanes, const znl_decode_model *model,
                               uint16_t *symbols, size_t block_count);

/* The models of the blocks to come. */
typedef struct {
    const znl_decode_model *const *of_class;
    const uint8_t *classes; /* of each block; NULL: all are of class 0 */
} znl_block_models;

/* The same for two chunks at once, whose chains of dependent steps then overlap, and with a table for each
 * block. Either both chunks have classes or none. */
typedef int znl_rans_decode_pair_fn(znl_decode_lanes *const lanes[2],
                                    const znl_block_models models[2], uint16_t *const symbols[2],
                                    size_t block_count);

/* The lanes of a chunk being encoded; words and patches grow downwards. What the caller will read next is
 * fetched from memory on the way, so many lines a block: all at once they would keep the loads of the
 * coder waiting. */
typedef struct {
    uint32_t states[ZNL_WIDE_LANES];
    unsigned lane_count;
    uint8_t *words; /* the word emitted last */
    size_t words_room;
    uint32_t *patches; /* the patch made last, in native byte order */
    size_t patches_room;
    uintptr_t ahead; /* what is fetched beside the first block of a chunk; any address will do */
    unsigned ahead_nbytes; /* a block */
} znl_encode_lanes;

enum { ZNL_CACHE_LINE = 64 };

/* Fetch the lines for block `block` of those that a call encodes, the last one first. */
ZNL_INLINE void znl_fetch_ahead(const znl_encode_lanes *lanes, size_t block)
{
    const uintptr_t lines = lanes->ahead + block * lanes->ahead_nbytes;
    /* Two without a question: values of 2 bytes are most. */
    ZNL_PREFETCH_READ(lines);
    ZNL_PREFETCH_READ(lines + ZNL_CACHE_LINE);
    for (unsigned at = 2 * ZNL_CACHE_LINE; at < lanes->ahead_nbytes; at += ZNL_CACHE_LINE)
        ZNL_PREFETCH_READ(lines + at);
}

/* Encode block_count blocks with one table, the last value first.
 *
 * first      number of the first value in its chunk, for patches
 * returns    ZNL_OK, or ZNL_E_NO_ROOM when room for less than 64 words or patches is left before a
 *            block: not worth coding
 */
typedef int znl_rans_encode_fn(znl_encode_lanes *lanes, const znl_encode_model *model,
                               const uint16_t *symbols, size_t first, size_t block_count);

/* The same for two chunks of 64 lanes at once, whose chains of dependent steps then overlap. */
typedef int znl_rans_encode_pair_fn(znl_encode_lanes *const lanes[2],
                                    const znl_encode_model *const models[2],
                                    const uint16_t *const symbols[2], size_t first,
                                    size_t block_count);

/* Blocks that can be decoded before a load of `load_nbytes` could reach past what is readable. */
static inline size_t znl_safe_blocks(const znl_decode_lanes *lanes, size_t block_count,
                                     size_t load_nbytes)
{
    const size_t left = (size_t)(lanes->readable_end - lanes->words);
    const size_t safe = left < load_nbytes ? 0 : (left - load_nbytes) / (2 * ZNL_BLOCK_VALUES);
    return safe < block_count ? safe : block_count;
}

/* ZNL_OK when all words were taken and every lane ended where an encoder starts. */
int znl_lanes_check_end(const znl_decode_lanes *lanes);

znl_rans_encode_fn znl_rans_encode_scalar, znl_rans_encode_sse4, znl_rans_encode_avx2,
    znl_rans_encode_avx512, znl_rans_encode_neon;
znl_rans_encode_pair_fn znl_rans_encode_pair_avx512;
znl_rans_decode_fn znl_rans_decode_scalar, znl_rans_decode_sse4, znl_rans_decode_avx2,
    znl_rans_decode_avx512, znl_rans_decode_neon;
znl_rans_decode_pair_fn znl_rans_decode_pair_avx2;

/* Any lane count, any end of the words, no table of slots: the tail of every vector kernel. */
znl_rans_decode_fn znl_rans_decode_careful;

#endif
