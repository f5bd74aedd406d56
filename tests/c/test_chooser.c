/* SPDX-License-Identifier: Apache-2.0 */
/* Batches whose chunks state their rows: what the encoder chooses must come back, be the same at every level
 * and not depend on what is in its scratch memory or in its output before. */
#include "chunks.h"
#include "kernels.h"
#include "planes.h"

enum { MAX_BATCH = 5, MOST_PARTS = 40, MOST_VALUES = 70000, BATCHES = 24 };

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

/* Values whose symbols lie around a middle that rows and columns move; some 0, some far away, some with low bits
 * that are zero or with one sign. */
static void fill_values(uint64_t *seed, unsigned dtype, const znl_part *parts, size_t part_count,
                        uint8_t *out)
{
    const znl_layout *layout = znl_layout_of(dtype);
    const unsigned width = layout->width, values = 1u << layout->symbol_bits;
    const unsigned reach = 1 + random_below(seed, values), kind = random_below(seed, 5);
    for (size_t p = 0; p < part_count; p++)
        for (size_t r = 0; r < parts[p].rows; r++) {
            const unsigned row = random_below(seed, reach);
            const int is_rounded = kind == 1 && random_below(seed, 3) > 0;
            for (size_t c = 0; c < parts[p].row_values; c++, out += width) {
                const unsigned column = (unsigned)(c * 7 % 13), noise = random_below(seed, 6);
                for (unsigned b = 0; b < width; b++)
                    out[b] = is_rounded && b == 0 ? 0 : (uint8_t)random_u64(seed);
                if (kind == 2) out[width - 1] &= 0x7f;
                unsigned symbol = (values / 4 + row + column + noise * noise / 4) % values;
                if (random_below(seed, 40) == 0) symbol = random_below(seed, 2) * (values - 1);
                if (kind != 3) znl_patch_value(layout, symbol, out);
            }
        }
}

static void new_batch(uint64_t *seed, batch *made)
{
    const unsigned dtype = MODELLED_DTYPES[random_below(seed, MODELLED_DTYPE_COUNT)];
    const size_t width = dtype_width(dtype);
    size_t counts[MAX_BATCH], total = 0;
    made->count = 1 + random_below(seed, MAX_BATCH);
    for (size_t i = 0; i < made->count; i++) {
        znl_chunk *chunk = &made->chunks[i];
        memset(chunk, 0, sizeof *chunk);
        counts[i] = new_parts(seed, made->parts[i], &chunk->part_count);
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
        fill_values(seed, dtype, chunk->parts, chunk->part_count, made->source.bytes + at);
        at += chunk->source_nbytes;
    }
    snprintf(where, sizeof where, "dtype %u, %zu chunks, seed %llu", dtype, made->count,
             (unsigned long long)*seed);
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

static size_t check_decodes(const batch *made)
{
    size_t arranged = 0;
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
        arranged += chunk->method == ZNL_METHOD_ARRANGED;
    }
    return arranged;
}

static void free_encoded(batch *made)
{
    CHECK(guarded_free(&made->bodies), "%s: around the bodies", where);
    CHECK(guarded_free(&made->tables), "%s: around the tables", where);
}

int main(void)
{
    static batch first, other;
    uint64_t seed = 20;
    size_t arranged = 0;
    new_levels();
    new_scratch();
    for (unsigned round = 0; round < BATCHES; round++) {
        new_batch(&seed, &first);
        use_level(0);
        encode_batch(&first, 0);
        for (int i = 0; i < level_count; i++) {
            use_level(i);
            other = first;
            encode_batch(&other, (uint8_t)(0x55 + 0x33 * i));
            check_same(&first, &other);
            arranged += check_decodes(&other);
            free_encoded(&other);
        }
        free_encoded(&first);
        CHECK(guarded_free(&first.source), "%s: around the source", where);
    }
    CHECK(arranged > BATCHES / 2, "only %zu chunks were arranged", arranged);
    free_scratch();
    return check_result();
}
