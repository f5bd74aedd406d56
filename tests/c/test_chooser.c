/* SPDX-License-Identifier: Apache-2.0 */
/* Batches whose chunks state their rows: what the encoder chooses must come back, be the same at every level
 * and not depend on what is in its scratch memory or in its output before. */
#include "arrangement.h"
#include "chunks.h"
#include "kernels.h"
#include "planes.h"
#include "seconds.h"

enum { MAX_BATCH = 5, MOST_PARTS = 40, MOST_VALUES = 70000, BATCHES = 24 };

/* Kinds of values: as they are, with low bits that are zero in some rows, of one sign, of any symbol; with second symbols that the
 * first ones tell, where rows and columns differ and where they don't; and with such that rows tell as well. */
enum { PLAIN, ROUNDED, ONE_SIGN, ANY_SYMBOL, PLAIN_TOO, RANDOM_KINDS };
enum { TOLD = RANDOM_KINDS, TOLD_IN_ORDER, TOLD_BY_ROWS, KINDS };

typedef struct {
    znl_part parts[MAX_BATCH][MOST_PARTS];
    znl_chunk chunks[MAX_BATCH];
    guarded source, bodies, tables;
    size_t count;
    int64_t table_count;
} batch;

/* Parts of any shape; returns the number of their values. */
static size_t new_parts(uint64_t *seed, znl_part *parts, uint32_t *part_count)
{
    static const uint32_t lengths[] = {1, 9, 16, 33, 64, 100, 128, 384, 1000, 4096, 30000};
    const uint32_t wanted = 1 + random_below(seed, random_below(seed, 3) ? 3 : MOST_PARTS);
    size_t count = 0;
    for (*part_count = 0; *part_count < wanted; ++*part_count) {
        znl_part *part = &parts[*part_count];
        part->row_values = lengths[random_below(seed, sizeof lengths / sizeof *lengths)];
        const size_t most = (MOST_VALUES - count) / part->row_values;
        if (most == 0) break;
        part->rows = 1 + random_below(seed, (uint32_t)(most < 900 ? most : 900));
        part->has_columns = (int32_t)random_below(seed, 2);
        count += (size_t)part->rows * part->row_values;
    }
    return count;
}

/* Give a value the second symbol that its symbol value tells, moved by what its row tells, or the next one. */
static void tell_second(uint64_t *seed, const znl_layout *layout, unsigned symbol, unsigned moved,
                        uint8_t *value)
{
    const uint8_t told = (uint8_t)(5 * symbol + moved + random_below(seed, 2));
    if (layout->width == 4) {
        const uint32_t zeros = told % 16;
        store_u32le(value, (load_u32le(value) | 1) >> zeros << zeros);
    } else {
        const uint16_t symbols[1] = {(uint16_t)symbol};
        const uint8_t low_bits[1] = {(uint8_t)(told % (1u << layout->low_bits))};
        znl_join_low_bits(layout, symbols, low_bits, 1, value);
    }
}

/* Values whose symbols lie around a middle that rows and columns move; some 0, some far away. */
static void fill_values(uint64_t *seed, unsigned dtype, unsigned kind, const znl_part *parts,
                        size_t part_count, uint8_t *out)
{
    const znl_layout *layout = znl_layout_of(dtype);
    const unsigned width = layout->width, values = 1u << layout->symbol_bits;
    const unsigned reach = kind < TOLD             ? 1 + random_below(seed, values)
                           : kind == TOLD_IN_ORDER ? 1
                                                   : 16;
    for (size_t p = 0; p < part_count; p++)
        for (size_t r = 0; r < parts[p].rows; r++) {
            const unsigned row = random_below(seed, reach);
            const unsigned moved = kind == TOLD_BY_ROWS && row >= 8 ? 2 : 0;
            const int is_rounded = kind == ROUNDED && random_below(seed, 3) > 0;
            for (size_t c = 0; c < parts[p].row_values; c++, out += width) {
                const unsigned column = kind == TOLD_IN_ORDER ? 0 : (unsigned)(c * 7 % 13);
                const unsigned noise = random_below(seed, 6);
                for (unsigned b = 0; b < width; b++)
                    out[b] = is_rounded && b == 0 ? 0 : (uint8_t)random_u64(seed);
                if (kind == ONE_SIGN) out[width - 1] &= 0x7f;
                unsigned symbol = (values / 4 + row + column + noise * noise / 4) % values;
                if (random_below(seed, 40) == 0) symbol = random_below(seed, 2) * (values - 1);
                if (kind != ANY_SYMBOL) znl_patch_value(layout, symbol, out);
                if (kind >= TOLD) tell_second(seed, layout, symbol, moved, out);
            }
        }
}

/* One part that is long enough to be looked at, and whose rows can pay for tables. */
static size_t new_long_part(uint64_t *seed, znl_part *part, uint32_t *part_count)
{
    const znl_part made = {100 + random_below(seed, 40), 300 + random_below(seed, 200),
                           (int32_t)random_below(seed, 2)};
    *part = made;
    *part_count = 1;
    return (size_t)part->rows * part->row_values;
}

static void new_batch(uint64_t *seed, unsigned dtype, unsigned kind, batch *made)
{
    const size_t width = dtype_width(dtype);
    size_t counts[MAX_BATCH], total = 0;
    made->count = 1 + random_below(seed, MAX_BATCH);
    for (size_t i = 0; i < made->count; i++) {
        znl_chunk *chunk = &made->chunks[i];
        memset(chunk, 0, sizeof *chunk);
        counts[i] =
            (kind < TOLD ? new_parts : new_long_part)(seed, made->parts[i], &chunk->part_count);
        chunk->parts = made->parts[i];
        chunk->dtype = (uint8_t)dtype;
        chunk->is_joined = chunk->part_count > 1;
        chunk->source_nbytes = (uint32_t)(counts[i] * width);
        total += chunk->source_nbytes;
    }
    made->source = guarded_new(total, 0, 0);
    size_t at = 0;
    for (size_t i = 0; i < made->count; i++) {
        const znl_chunk *chunk = &made->chunks[i];
        fill_values(seed, dtype, kind, chunk->parts, chunk->part_count, made->source.bytes + at);
        at += chunk->source_nbytes;
    }
    snprintf(where, sizeof where, "dtype %u, kind %u, %zu chunks, seed %llu", dtype, kind,
             made->count, (unsigned long long)*seed);
}

/* Encode at the level in use; `fill` is everywhere before. */
static void encode_batch(batch *made, uint8_t fill)
{
    const size_t count = made->count;
    made->bodies = guarded_new(made->source.nbytes + count * ZNL_BODY_SLACK_NBYTES, fill, 0);
    made->tables = guarded_new(count * ZNL_NEW_TABLES * sizeof(znl_table), fill, 0);
    CHECK(znl_place_chunks(made->chunks, count, made->source.bytes, made->source.nbytes) == 0, "%s",
          where);
    CHECK(znl_place_bodies(made->chunks, count, made->bodies.bytes, made->bodies.nbytes) == 0, "%s",
          where);
    guarded scratch = guarded_new(znl_encode_scratch_nbytes(count), fill, 3);
    made->table_count =
        znl_encode_chunks(&level_kernels[level], made->chunks, count,
                          (znl_table *)(void *)made->tables.bytes, scratch.bytes, scratch.nbytes);
    CHECK(made->table_count >= 0, "%s: %lld", where, (long long)made->table_count);
    CHECK(guarded_free(&scratch), "%s: around the scratch", where);
}

static void check_same(const batch *a, const batch *b)
{
    CHECK(a->table_count == b->table_count, "%s: tables", where);
    for (size_t i = 0; i < a->count; i++) {
        const znl_chunk *x = &a->chunks[i], *y = &b->chunks[i];
        CHECK(x->method == y->method && x->table_count == y->table_count &&
                  x->checksum == y->checksum && body_nbytes_of(x) == body_nbytes_of(y),
              "%s: chunk %zu", where, i);
        if (body_nbytes_of(x) != body_nbytes_of(y)) continue;
        CHECK(memcmp(body_of(x), body_of(y), body_nbytes_of(x)) == 0, "%s: chunk %zu", where, i);
        CHECK(memcmp(x->tables, y->tables, 8 * x->table_count) == 0, "%s: chunk %zu", where, i);
    }
}

/* Chunks that took a way of the arranged method. */
typedef struct {
    size_t arranged, with_second[2]; /* of one class, and of more */
    size_t by_class;                 /* whose contexts differ by class */
    size_t again;                    /* whose tables of contexts are those of the chunk before */
} ways;

static void count_ways(const znl_chunk *chunk, const znl_chunk *before, ways *to)
{
    static znl_arrangement found;
    if (chunk->method != ZNL_METHOD_ARRANGED) return;
    const size_t value_count = chunk->source_nbytes / dtype_width(chunk->dtype);
    const int64_t nbytes = znl_arrangement_read(body_of(chunk) + 8, body_nbytes_of(chunk) - 8,
                                                value_count, chunk->table_count, &found);
    CHECK(nbytes > 0, "%s: %lld", where, (long long)nbytes);
    to->arranged++;
    if (found.second.kind == 0) return;
    const unsigned contexts = found.second.context_count, classes = chunk->table_count - contexts;
    CHECK(found.second.kind == kind_of_second(chunk->dtype), "%s: kind %u", where,
          found.second.kind);
    to->with_second[classes > 1]++;
    if (contexts > 1)
        to->by_class += found.second.bounds[contexts - 2] >> dtype_symbol_bits(chunk->dtype) > 0;
    if (before && before->table_count >= contexts)
        to->again += memcmp(chunk->tables + classes,
                            before->tables + before->table_count - contexts, 8 * contexts) == 0;
}

static void check_decodes(const batch *made, ways *to)
{
    for (size_t i = 0; i < made->count; i++) {
        const znl_chunk *chunk = &made->chunks[i];
        znl_table found[ZNL_MAX_TABLES];
        int is_same;
        find_tables(chunk, (const znl_table *)(const void *)made->tables.bytes, made->table_count,
                    found);
        const int64_t status = decode_exactly(chunk, body_of(chunk), body_nbytes_of(chunk), found,
                                              chunk->source, &is_same);
        CHECK(status == 0 && is_same, "%s: chunk %zu, method %u: %lld", where, i, chunk->method,
              (long long)status);
        count_ways(chunk, i ? chunk - 1 : NULL, to);
    }
}

static void free_encoded(batch *made)
{
    CHECK(guarded_free(&made->bodies), "%s: around the bodies", where);
    CHECK(guarded_free(&made->tables), "%s: around the tables", where);
}

/* Encode and decode a batch at every level. */
static void check_batch(uint64_t *seed, unsigned dtype, unsigned kind, ways *to)
{
    static batch first, other;
    new_batch(seed, dtype, kind, &first);
    use_level(0);
    encode_batch(&first, 0);
    for (int i = 0; i < level_count; i++) {
        use_level(i);
        other = first;
        encode_batch(&other, (uint8_t)(0x55 + 0x33 * i));
        check_same(&first, &other);
        check_decodes(&other, to);
        free_encoded(&other);
    }
    free_encoded(&first);
    CHECK(guarded_free(&first.source), "%s: around the source", where);
}

int main(void)
{
    uint64_t seed = 20;
    ways any = {0}, again = {0};
    new_levels();
    new_scratch();
    for (unsigned round = 0; round < BATCHES; round++) {
        const unsigned dtype = MODELLED_DTYPES[random_below(&seed, MODELLED_DTYPE_COUNT)];
        check_batch(&seed, dtype, random_below(&seed, RANDOM_KINDS), &any);
    }
    CHECK(any.arranged > BATCHES / 2, "only %zu chunks were arranged", any.arranged);
    for (unsigned d = 0; d < SECOND_DTYPE_COUNT; d++) {
        ways told = {0};
        for (unsigned kind = TOLD; kind < KINDS; kind++)
            check_batch(&seed, SECOND_DTYPES[d], kind, &told);
        const int is_integer = SECOND_DTYPES[d] >= 14;
        CHECK((told.by_class > 0) == is_integer, "dtype %u: contexts of classes in %zu chunks",
              SECOND_DTYPES[d], told.by_class);
        again.again += told.again;
        CHECK(told.with_second[0] > 0 && told.with_second[1] > 0,
              "dtype %u: second symbols in %zu chunks of one class, %zu of more", SECOND_DTYPES[d],
              told.with_second[0], told.with_second[1]);
    }
    CHECK(again.again > 0, "no chunk has the tables of contexts of the one before");
    free_scratch();
    return check_result();
}
