/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding and decoding, at every level, run on a 64 KiB stack, and the stack that they really use is
 * printed.
 *
 * Where the system starts no thread on so little (AArch64 wants 128 KiB) it gets more, unused.
 * The thread's stack is filled with a pattern first; how far down the pattern is gone afterwards is
 * what the calls used, with the thread's own start and its thread-local storage (printed, too), and ASan's red zones.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>

#include "levels.h"
#include "static_body.h"
#include "values.h"

enum {
    PAGE_NBYTES = 65536, /* a multiple of the page size everywhere */
    STACK_NBYTES = 65536,
    PATTERN_BYTE = 0xa7,
    VALUE_COUNT = 3000, /* joined: classes and several tables; wide lanes and a tail */
};

typedef struct {
    unsigned dtype; /* 0: do nothing, to see what a thread takes itself */
    guarded source, body, out[2], encode_scratch, decode_scratch;
    int64_t encoded, decoded;
    znl_chunk chunks[2]; /* the same one twice: two are decoded side by side where that is faster */
} task;

static void *run_task(void *argument)
{
    task *todo = argument;
    if (todo->dtype == 0) return NULL;
    const znl_kernels *kernels = &level_kernels[level];
    static znl_table made[ZNL_NEW_TABLES];
    znl_chunk *chunk = &todo->chunks[0];
    todo->encoded = znl_encode_chunks(kernels, chunk, 1, made, todo->encode_scratch.bytes,
                                      todo->encode_scratch.nbytes);
    if (chunk->method == ZNL_METHOD_RAW) {
        chunk->body = todo->source.bytes;
        chunk->body_nbytes = chunk->source_nbytes;
    }
    chunk->body += chunk->body_offset;
    todo->chunks[1] = *chunk;
    for (unsigned i = 0; i < 2; i++) todo->chunks[i].source = todo->out[i].bytes;
    znl_table tables[2 * ZNL_MAX_TABLES] = {0};
    for (unsigned t = 0; t < 2u * chunk->table_count; t++)
        for (int64_t m = 0; m < todo->encoded; m++)
            if (made[m].name == chunk->tables[t % chunk->table_count]) tables[t] = made[m];
    todo->decoded = znl_decode_chunks(kernels, todo->chunks, 2, tables, 2 * ZNL_MAX_TABLES,
                                      todo->decode_scratch.bytes, todo->decode_scratch.nbytes);
    return NULL;
}

static znl_arrangement arrangement;
static znl_static_encode_scratch encoder;
static znl_arranged_encode_scratch arranger;

/* The same with the arranged method, and as many tables as can be. */
static void *run_arranged_task(void *argument)
{
    task *todo = argument;
    const znl_kernels *kernels = &level_kernels[level];
    znl_chunk *chunk = &todo->chunks[0];
    znl_freq_table tables[ZNL_MAX_TABLES];
    static uint32_t counts[ZNL_MAX_SYMBOL_VALUES];
    static uint32_t second_counts[ZNL_SYMBOL_COUNT];
    const unsigned first_context = ZNL_MAX_TABLES - arrangement.second.context_count;
    znl_table wire[2 * ZNL_MAX_TABLES];
    const znl_layout *layout = znl_layout_of(todo->dtype);
    kernels->histogram(layout, chunk->source, chunk->source_nbytes / layout->width, 1, counts);
    for (unsigned t = 0; t < ZNL_MAX_TABLES; t++) {
        counts[t]++; /* another table each time */
        second_counts[t] = (65536u >> t / 2) + t;
        if (t < first_context)
            znl_table_fit(counts, layout->symbol_bits, &tables[t]);
        else
            znl_table_fit(second_counts, ZNL_SECOND_BITS, &tables[t]);
        wire[t].nbytes = (uint32_t)znl_table_write(&tables[t], wire[t].bytes);
        CHECK(znl_table_check(wire[t].bytes, wire[t].nbytes, &wire[t].name) == 0, "table %u", t);
        chunk->tables[t] = wire[t].name;
        wire[ZNL_MAX_TABLES + t] = wire[t];
    }
    chunk->method = ZNL_METHOD_ARRANGED;
    chunk->table_count = ZNL_MAX_TABLES;
    chunk->checksum = znl_xxh3_64_scalar(chunk->source, chunk->source_nbytes);
    todo->encoded =
        znl_arranged_encode(kernels, layout, tables, chunk, &arrangement, &encoder, &arranger);
    chunk->body += chunk->body_offset;
    todo->chunks[1] = *chunk;
    for (unsigned i = 0; i < 2; i++) todo->chunks[i].source = todo->out[i].bytes;
    if (todo->encoded == 0)
        todo->decoded = znl_decode_chunks(kernels, todo->chunks, 2, wire, 2 * ZNL_MAX_TABLES,
                                          todo->decode_scratch.bytes, todo->decode_scratch.nbytes);
    return NULL;
}

/* Run the task in a thread with that stack; returns the bytes of stack that were written to. */
static size_t run_on_small_stack(task *todo, void *(*run)(void *))
{
    const size_t least = (size_t)PTHREAD_STACK_MIN;
    const size_t stack_nbytes = least > STACK_NBYTES ? least : STACK_NBYTES;
    uint8_t *mapping = mmap(NULL, PAGE_NBYTES + stack_nbytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED || mprotect(mapping, PAGE_NBYTES, PROT_NONE)) {
        printf("no memory for a stack\n");
        exit(1);
    }
    uint8_t *stack = mapping + PAGE_NBYTES; /* what is below it may not be touched */
    memset(stack, PATTERN_BYTE, stack_nbytes);
    pthread_attr_t attributes;
    pthread_t thread;
    int status = pthread_attr_init(&attributes);
    if (!status) status = pthread_attr_setstack(&attributes, stack, stack_nbytes);
    if (!status) status = pthread_create(&thread, &attributes, run, todo);
    if (!status) status = pthread_join(thread, NULL);
    CHECK(status == 0, "thread: %s", strerror(status));
    pthread_attr_destroy(&attributes);
    size_t untouched = 0;
    ASAN_UNPOISON_MEMORY_REGION(stack, stack_nbytes);
    while (untouched < stack_nbytes && stack[untouched] == PATTERN_BYTE) untouched++;
    munmap(mapping, PAGE_NBYTES + stack_nbytes);
    const size_t used = stack_nbytes - untouched;
    CHECK(used <= STACK_NBYTES, "%zu bytes of stack", used);
    return used;
}

/* How a chunk is coded: by an arrangement, with second symbols as well, or as is chosen where its rows are stated. */
enum way { ONE_TABLE, JOINED, ARRANGED, WITH_SECOND, CHOSEN, WAYS };

/* Trailing zeros that depend on the exponent. */
static void round_values(uint8_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t value = load_u32le(values + 4 * i);
        store_u32le(values + 4 * i, value >> (value >> 23 & 15) << (value >> 23 & 15));
    }
}

/* Second symbols of a dtype, or none; the classes of rows use the other tables. */
static void set_second(unsigned dtype, enum way way)
{
    znl_second *second = &arrangement.second;
    const unsigned symbol_bits = dtype_symbol_bits(dtype);
    const size_t classes = ZNL_MAX_TABLES - (way == WITH_SECOND ? ZNL_MAX_CONTEXTS : 0);
    for (size_t i = 0; i < 128; i++) arrangement.row_classes[i] = (uint8_t)(i * 7 % classes);
    memset(second, 0, sizeof *second);
    if (way != WITH_SECOND) return;
    second->kind = znl_second_kind(znl_layout_of(dtype));
    second->context_count = ZNL_MAX_CONTEXTS;
    for (unsigned i = 0; i + 1 < ZNL_MAX_CONTEXTS; i++)
        second->bounds[i] = (uint16_t)((i + 1) << (symbol_bits - 4));
}

/* Returns the bytes of stack that encoding and decoding one chunk of a dtype took. */
static size_t check_dtype(task *todo, unsigned dtype, enum way way)
{
    static const znl_part part = {128, 1024, 1};
    const int is_joined = way == JOINED, is_given = way == ARRANGED || way == WITH_SECOND;
    const size_t count = is_joined ? VALUE_COUNT : 131072, nbytes = count * dtype_width(dtype);
    todo->source = guarded_new(nbytes, 0, 0);
    todo->body = guarded_new(nbytes + ZNL_BODY_SLACK_NBYTES, 0, 0);
    for (unsigned i = 0; i < 2; i++) todo->out[i] = guarded_new(nbytes, 0, 0);
    make_values(dtype,
                is_joined                   ? RUNS
                : is_given || way == CHOSEN ? GAUSSIAN
                                            : WIDE,
                dtype, todo->source.bytes, count);
    if (way == CHOSEN && dtype_width(dtype) == 4) round_values(todo->source.bytes, count);
    set_second(dtype, way);
    todo->dtype = dtype;
    memset(todo->chunks, 0, sizeof todo->chunks);
    todo->chunks[0].source = todo->source.bytes;
    todo->chunks[0].source_nbytes = (uint32_t)nbytes;
    todo->chunks[0].body = todo->body.bytes;
    todo->chunks[0].body_room = (uint32_t)todo->body.nbytes;
    todo->chunks[0].dtype = (uint8_t)dtype;
    todo->chunks[0].is_joined = (uint8_t)is_joined;
    todo->chunks[0].parts = way == CHOSEN ? &part : NULL;
    todo->chunks[0].part_count = way == CHOSEN;
    const size_t used = run_on_small_stack(todo, is_given ? run_arranged_task : run_task);
    CHECK(todo->encoded >= 0 && todo->decoded == 0, "dtype %u: %lld %lld", dtype,
          (long long)todo->encoded, (long long)todo->decoded);
    const int is_arranged = todo->chunks[0].method == ZNL_METHOD_ARRANGED;
    CHECK(is_arranged ? is_given || way == CHOSEN : todo->chunks[0].method == ZNL_METHOD_STATIC,
          "dtype %u: method %u", dtype, todo->chunks[0].method);
    CHECK(is_arranged || way == CHOSEN || !is_given, "dtype %u: way %d", dtype, (int)way);
    if (way == CHOSEN && dtype_width(dtype) == 4)
        CHECK(is_arranged && load_u32le(todo->chunks[0].body + 8) >> 24 != 0,
              "dtype %u: no second symbols", dtype);
    for (unsigned i = 0; i < 2; i++)
        CHECK(memcmp(todo->source.bytes, todo->out[i].bytes, nbytes) == 0, "dtype %u", dtype);
    CHECK(guarded_free(&todo->source) && guarded_free(&todo->body) && guarded_free(&todo->out[0]) &&
              guarded_free(&todo->out[1]),
          "dtype %u", dtype);
    return used;
}

int main(void)
{
    task todo;
    memset(&todo, 0, sizeof todo);
    new_levels();
    const size_t empty = run_on_small_stack(&todo, run_task);
    arrangement.part_count = 1;
    arrangement.parts[0] = (znl_part){128, 1024, 1};
    for (size_t i = 0; i < 1024; i++) arrangement.column_classes[i] = (uint8_t)(i * 5 % 9);
    todo.encode_scratch = guarded_new(znl_encode_scratch_nbytes(1), 0, 0);
    todo.decode_scratch = guarded_new(znl_decode_scratch_nbytes(), 0, 0);
    for (int i = 0; i < level_count; i++) {
        size_t most = 0;
        use_level(i);
        for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++)
            for (enum way way = 0; way < WAYS; way++) {
                if (way == WITH_SECOND && !znl_second_kind(znl_layout_of(MODELLED_DTYPES[d])))
                    continue;
                const size_t used = check_dtype(&todo, MODELLED_DTYPES[d], way);
                if (used > most) most = used;
            }
        printf("%s: stack: %zu of %d bytes, %zu of them by a thread that does nothing\n",
               check_context, most, (int)STACK_NBYTES, empty);
    }
    CHECK(guarded_free(&todo.encode_scratch) && guarded_free(&todo.decode_scratch), "scratch");
    return check_result();
}
