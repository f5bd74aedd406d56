/* SPDX-License-Identifier: Apache-2.0 */
/* Runs each kernel of one instruction set by itself, for benchmarks/kernels.py and instructions.py.
 *
 *   kernel_bench FILE DTYPE ISA CHUNK_VALUES ROUNDS [KERNEL]
 *
 * FILE holds values of the dtype (its wire code), cut into chunks of CHUNK_VALUES. Prints a line for each
 * kernel: its name, the source bytes it works through, the median nanoseconds of ROUNDS runs, in
 * which all kernels take turns. With KERNEL only that one runs, ROUNDS times inside measured(), the
 * function that an instruction counter watches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels.h"
#include "static_body.h"
#include "table.h"

enum { MAX_ROUNDS = 1001, SUPERBLOCK_VALUES = 512 };

typedef struct {
    znl_kernels kernels;
    znl_layout layout;
    uint8_t *source, *copy; /* chunk_count * chunk_nbytes bytes */
    uint16_t *symbols;      /* of one superblock, or of all values */
    uint8_t *planes, *bit_plane;
    znl_chunk *chunks;
    znl_table *tables, *wire; /* as made, and one for each reference */
    uint8_t *bodies, *encode_scratch, *decode_scratch;
    size_t encode_scratch_nbytes, table_count, chunk_count, chunk_values, chunk_nbytes;
    znl_encode_model *encode_model;
    znl_decode_model *decode_model;
    uint8_t *words; /* room for the words of a chunk; the words lie at its end */
    znl_decode_lanes begin;
    uint32_t *patches;
} bench;

typedef void kernel_fn(bench *b);

static void *room(size_t nbytes)
{
    void *made = calloc(1, nbytes + 64);
    if (!made) exit(3);
    return made;
}

static void run_memcpy(bench *b)
{
    memcpy(b->copy, b->source, b->chunk_count * b->chunk_nbytes);
}

static void run_xxh3(bench *b)
{
    for (size_t c = 0; c < b->chunk_count; c++)
        b->chunks[c].checksum =
            b->kernels.xxh3_64(b->source + c * b->chunk_nbytes, b->chunk_nbytes);
}

static void run_histogram(bench *b)
{
    static uint32_t counts[ZNL_MAX_SYMBOL_VALUES];
    for (size_t c = 0; c < b->chunk_count; c++)
        b->kernels.histogram(&b->layout, b->source + c * b->chunk_nbytes, b->chunk_values, 16,
                             counts);
}

static void run_split(bench *b)
{
    for (size_t c = 0; c < b->chunk_count; c++)
        for (size_t v = 0; v < b->chunk_values; v += SUPERBLOCK_VALUES)
            b->kernels.split(&b->layout, b->source + c * b->chunk_nbytes + v * b->layout.width, 8,
                             b->symbols + v, b->planes + v, b->chunk_values,
                             b->bit_plane + v / 8 * b->layout.low_bits);
}

static void run_merge(bench *b)
{
    for (size_t c = 0; c < b->chunk_count; c++)
        for (size_t v = 0; v < b->chunk_values; v += SUPERBLOCK_VALUES)
            (void)b->kernels.merge(&b->layout, b->symbols + v, b->planes + v, b->chunk_values, 8,
                                   b->bit_plane + v / 8 * b->layout.low_bits,
                                   b->copy + c * b->chunk_nbytes + v * b->layout.width);
}

/* Every chunk is coded as the symbols of the last one that run_split saw. */
static void run_rans_encode(bench *b)
{
    for (size_t c = 0; c < b->chunk_count; c++) {
        znl_encode_lanes lanes = {.lane_count = ZNL_WIDE_LANES};
        for (unsigned i = 0; i < ZNL_WIDE_LANES; i++) lanes.states[i] = ZNL_STATE_MIN;
        lanes.words = b->words + 2 * b->chunk_values;
        lanes.words_room = b->chunk_values;
        lanes.patches_room = b->chunk_values;
        lanes.patches = b->patches + b->chunk_values;
        if (b->kernels.rans_encode(&lanes, b->encode_model, b->symbols, 0,
                                   b->chunk_values / ZNL_BLOCK_VALUES) != 0)
            exit(4);
        b->begin.lane_count = ZNL_WIDE_LANES;
        memcpy(b->begin.states, lanes.states, sizeof lanes.states);
        b->begin.words = lanes.words;
        b->begin.words_end = b->words + 2 * b->chunk_values;
        b->begin.readable_end = b->begin.words_end + 64;
    }
}

static void run_rans_decode(bench *b)
{
    uint16_t decoded[SUPERBLOCK_VALUES];
    for (size_t c = 0; c < b->chunk_count; c++) {
        znl_decode_lanes lanes = b->begin;
        for (size_t v = 0; v < b->chunk_values; v += SUPERBLOCK_VALUES)
            if (b->kernels.rans_decode(&lanes, b->decode_model, decoded, 8) != 0) exit(5);
    }
}

static void run_encode_chunks(bench *b)
{
    for (size_t c = 0; c < b->chunk_count; c++) {
        b->chunks[c].source = b->source + c * b->chunk_nbytes;
        b->chunks[c].body = b->bodies + c * (b->chunk_nbytes + ZNL_BODY_SLACK_NBYTES);
    }
    const int64_t made = znl_encode_chunks(&b->kernels, b->chunks, b->chunk_count, b->tables,
                                           b->encode_scratch, b->encode_scratch_nbytes);
    if (made < 0) exit(6);
    b->table_count = 0;
    for (size_t c = 0; c < b->chunk_count; c++) {
        const znl_chunk *chunk = &b->chunks[c];
        if (chunk->method != ZNL_METHOD_STATIC) exit(7); /* only coded chunks are worth a figure */
        for (unsigned t = 0; t < chunk->table_count; t++, b->table_count++)
            for (int64_t m = 0; m < made; m++)
                if (b->tables[m].name == chunk->tables[t]) b->wire[b->table_count] = b->tables[m];
    }
}

static void run_decode_chunks(bench *b)
{
    for (size_t c = 0; c < b->chunk_count; c++) {
        b->chunks[c].source = b->copy + c * b->chunk_nbytes;
        b->chunks[c].body =
            b->bodies + c * (b->chunk_nbytes + ZNL_BODY_SLACK_NBYTES) + b->chunks[c].body_offset;
    }
    if (znl_decode_chunks(&b->kernels, b->chunks, b->chunk_count, b->wire, b->table_count,
                          b->decode_scratch, znl_decode_scratch_nbytes()) != 0)
        exit(8);
}

/* In an order in which each finds what those before it made. */
static const struct {
    const char *name;
    kernel_fn *run;
} KERNELS[] = {
    {"memcpy", run_memcpy},
    {"xxh3", run_xxh3},
    {"histogram", run_histogram},
    {"split", run_split},
    {"rans_encode", run_rans_encode},
    {"rans_decode", run_rans_decode},
    {"merge", run_merge},
    {"encode", run_encode_chunks},
    {"decode", run_decode_chunks},
};
enum { KERNEL_COUNT = sizeof KERNELS / sizeof *KERNELS };

static void prepare(bench *b, const char *path, unsigned dtype, int isa)
{
    if (znl_kernels_init(&b->kernels, isa) != 0) exit(9);
    const znl_layout *layout = znl_layout_of(dtype);
    if (!layout || b->chunk_values % SUPERBLOCK_VALUES || !b->chunk_values) exit(10);
    b->layout = *layout;
    b->chunk_nbytes = b->chunk_values * layout->width;
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) exit(11);
    b->chunk_count = (size_t)ftell(file) / b->chunk_nbytes;
    const size_t nbytes = b->chunk_count * b->chunk_nbytes;
    rewind(file);
    b->source = room(nbytes);
    if (fread(b->source, 1, nbytes, file) != nbytes || b->chunk_count == 0) exit(12);
    fclose(file);
    b->copy = room(nbytes);
    b->symbols = room(2 * b->chunk_values);
    b->planes = room((layout->byte_planes + 1u) * b->chunk_values);
    b->bit_plane = room(b->chunk_values);
    b->words = room(2 * b->chunk_values + 64);
    b->patches = room(4 * b->chunk_values);
    b->chunks = room(b->chunk_count * sizeof *b->chunks);
    b->tables = room(b->chunk_count * sizeof *b->tables);
    b->wire = room(b->chunk_count * ZNL_MAX_TABLES * sizeof *b->wire);
    b->bodies = room(b->chunk_count * (b->chunk_nbytes + ZNL_BODY_SLACK_NBYTES));
    b->encode_scratch_nbytes = znl_encode_scratch_nbytes(b->chunk_count);
    b->encode_scratch = room(b->encode_scratch_nbytes);
    b->decode_scratch = room(znl_decode_scratch_nbytes());
    b->encode_model = room(sizeof *b->encode_model);
    b->decode_model = room(sizeof *b->decode_model);
    for (size_t c = 0; c < b->chunk_count; c++) {
        b->chunks[c].source_nbytes = (uint32_t)b->chunk_nbytes;
        b->chunks[c].body_room = (uint32_t)b->chunk_nbytes + ZNL_BODY_SLACK_NBYTES;
        b->chunks[c].dtype = (uint8_t)dtype;
    }
}

/* The table that the coder alone is run with: fitted to the last chunk. */
static void fit_models(bench *b)
{
    static uint32_t counts[ZNL_MAX_SYMBOL_VALUES];
    znl_freq_table table;
    run_split(b);
    for (size_t v = 0; v < b->chunk_values; v++) counts[b->symbols[v]]++;
    znl_table_fit(counts, b->layout.symbol_bits, &table);
    znl_encode_model_build(&table, b->layout.symbol_bits, b->encode_model);
    znl_decode_model_build(&table, b->layout.symbol_bits, 1, b->decode_model);
}

static double now_ns(void)
{
    struct timespec time;
    timespec_get(&time, TIME_UTC);
    return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#if defined(__GNUC__)
__attribute__((noinline))
#endif
void measured(bench *b, kernel_fn *run, long rounds);

void measured(bench *b, kernel_fn *run, long rounds)
{
    for (long r = 0; r < rounds; r++) run(b);
}

int main(int count, char **arguments)
{
    if (count < 6) return 2;
    static bench b;
    static double taken[KERNEL_COUNT][MAX_ROUNDS];
    const long rounds = atol(arguments[5]);
    b.chunk_values = (size_t)atol(arguments[4]);
    if (rounds < 1 || rounds > MAX_ROUNDS) return 2;
    prepare(&b, arguments[1], (unsigned)atoi(arguments[2]), atoi(arguments[3]));
    fit_models(&b);
    for (size_t k = 0; k < KERNEL_COUNT; k++) KERNELS[k].run(&b); /* warm, and fills every buffer */
    if (memcmp(b.copy, b.source, b.chunk_count * b.chunk_nbytes) != 0) return 1;
    for (size_t k = 0; k < KERNEL_COUNT && count > 6; k++)
        if (strcmp(KERNELS[k].name, arguments[6]) == 0) measured(&b, KERNELS[k].run, rounds);
    if (count > 6) return 0;
    for (long r = 0; r < rounds; r++)
        for (size_t k = 0; k < KERNEL_COUNT; k++) {
            const double begun = now_ns();
            measured(&b, KERNELS[k].run, 1);
            taken[k][r] = now_ns() - begun;
        }
    for (size_t k = 0; k < KERNEL_COUNT; k++) {
        qsort(taken[k], (size_t)rounds, sizeof taken[k][0], compare);
        printf("%s %zu %.0f\n", KERNELS[k].name, b.chunk_count * b.chunk_nbytes,
               taken[k][rounds / 2]);
    }
    return 0;
}
