/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes chunks: finds tables that groups of chunks share, and takes the cheapest method for each. */
#include <string.h>

#include "arranged_chunks.h"
#include "bytes.h"
#include "checksum.h"
#include "classes.h"
#include "errors.h"
#include "static_body.h"

#define SAMPLES_LOG2 13 /* a histogram looks at about 8192 values: 8 in every 128 of a full chunk */
#define MAX_SAMPLE_STEP                                                                            \
    16 /* costs 0.0016 bit a value against the exact one, saves half of the time */
#define SMALL_VALUES 8192u /* below this a fitted table may cost more than it saves */
#define NO_GROUP UINT32_MAX
#define ARRANGED (UINT32_MAX - 1) /* coded already */

/* Chunks that share a table. */
typedef struct {
    znl_freq_table table;
    uint64_t saved_nbytes; /* by coding its chunks instead of storing them raw */
} chunk_group;

typedef struct {
    znl_static_encode_scratch body;
    znl_choose_scratch choose;
    uint32_t counts[ZNL_MAX_SYMBOL_VALUES];
    uint32_t group_counts[ZNL_MAX_SYMBOL_VALUES];
    uint32_t merged_counts[ZNL_MAX_SYMBOL_VALUES];
    znl_arranging_scratch arranging;
    znl_arranged_choice choices[ZNL_MOST_ARRANGED];
    chunk_group groups[]; /* chunk_count of them, then as many u32: the group of each chunk */
} encode_scratch;

size_t znl_encode_scratch_nbytes(size_t chunk_count)
{
    return sizeof(encode_scratch) + chunk_count * (sizeof(chunk_group) + sizeof(uint32_t)) + 64;
}

int znl_is_constant(const uint8_t *in, size_t in_nbytes, size_t width)
{
    if (width == 0 || in_nbytes < width || in_nbytes % width) return 0;
    return memcmp(in, in + width, in_nbytes - width) == 0;
}

/* Methods that need no table: sets constant or raw and returns 1, or leaves the chunk to the coder. */
static int encode_trivially(const znl_layout *layout, znl_chunk *chunk)
{
    chunk->body_offset = chunk->body_nbytes = 0;
    chunk->table_count = chunk->unit_shift = 0;
    if (znl_is_constant(chunk->source, chunk->source_nbytes, layout->width)) {
        memcpy(chunk->body, chunk->source, layout->width);
        chunk->method = ZNL_METHOD_CONSTANT;
        chunk->body_nbytes = layout->width;
        return 1;
    }
    chunk->method = ZNL_METHOD_RAW;
    const size_t value_count = chunk->source_nbytes / layout->width;
    return chunk->source_nbytes % layout->width || value_count < ZNL_MIN_STATIC_VALUES ||
           value_count > ZNL_MAX_STATIC_VALUES;
}

static int wants_classes(const znl_layout *layout, const znl_chunk *chunk)
{
    const size_t value_count = chunk->source_nbytes / layout->width;
    return (chunk->is_joined || value_count < SMALL_VALUES) &&
           value_count / ZNL_BLOCK_VALUES <= ZNL_CHOOSE_MAX_UNITS;
}

/* Sampled counts of a chunk, scaled up to its size. */
static void count_chunk(const znl_kernels *kernels, const znl_layout *layout,
                        const znl_chunk *chunk, uint32_t *counts)
{
    const size_t value_count = chunk->source_nbytes / layout->width;
    size_t step = value_count >> SAMPLES_LOG2;
    step = step < 1 ? 1 : step > MAX_SAMPLE_STEP ? MAX_SAMPLE_STEP : step;
    kernels->histogram(layout, chunk->source, value_count, step, counts);
    for (unsigned v = 0; v < 1u << layout->symbol_bits; v++) counts[v] *= (uint32_t)step;
}

/* The groups of a batch so far. */
typedef struct {
    uint32_t count;
    uint64_t cost; /* of the last one */
    int is_in_use; /* chunks were coded with the last one's table: it stays as it is */
} chunk_groups;

/* The chunk whose counts stand in scratch->counts joins the last group when that costs less than a table of its own. */
static int join_group(const znl_layout *layout, uint64_t own_cost, encode_scratch *scratch,
                      chunk_groups *groups)
{
    const unsigned bits = layout->symbol_bits;
    if (groups->count == 0) return 0;
    chunk_group *last = &scratch->groups[groups->count - 1];
    if (groups->is_in_use)
        return znl_table_cost(&last->table, scratch->counts, bits) <= own_cost + ZNL_TABLE_COST;
    znl_freq_table merged;
    for (unsigned v = 0; v < 1u << bits; v++)
        scratch->merged_counts[v] = scratch->group_counts[v] + scratch->counts[v];
    znl_table_fit(scratch->merged_counts, bits, &merged);
    const uint64_t merged_cost = znl_table_cost(&merged, scratch->merged_counts, bits);
    if (merged_cost > groups->cost + own_cost + ZNL_TABLE_COST) return 0;
    memcpy(scratch->group_counts, scratch->merged_counts, sizeof *scratch->counts << bits);
    last->table = merged;
    groups->cost = merged_cost;
    return 1;
}

/* Take the checksums of chunks but for those that were planned, and cut them into groups with one table each. */
static void group_chunks(const znl_kernels *kernels, const znl_layout *layout, znl_chunk *chunks,
                         size_t chunk_count, const uint8_t *planned, encode_scratch *scratch,
                         chunk_groups *groups, uint32_t *group_of)
{
    const unsigned bits = layout->symbol_bits;
    for (size_t i = 0; i < chunk_count; i++) {
        /* Here, so that the histogram finds the chunk in a near cache. */
        if (!planned || !planned[i])
            chunks[i].checksum = kernels->xxh3_64(chunks[i].source, chunks[i].source_nbytes);
        if (group_of[i] >= ARRANGED) continue;
        znl_freq_table own;
        count_chunk(kernels, layout, &chunks[i], scratch->counts);
        znl_table_fit(scratch->counts, bits, &own);
        const uint64_t own_cost = znl_table_cost(&own, scratch->counts, bits);
        if (!join_group(layout, own_cost, scratch, groups)) {
            memcpy(scratch->group_counts, scratch->counts, sizeof *scratch->counts << bits);
            scratch->groups[groups->count].table = own;
            scratch->groups[groups->count].saved_nbytes = 0;
            groups->cost = own_cost;
            groups->is_in_use = 0;
            groups->count++;
        }
        group_of[i] = groups->count - 1;
    }
}

/* Encode a small or joined chunk: universal tables by unit, or one table fitted to it, whichever is cheaper.
 * Returns 1 when it uses a new table, which it writes to `wire`. */
static int encode_by_classes(const znl_kernels *kernels, const znl_layout *layout, znl_chunk *chunk,
                             encode_scratch *scratch, znl_table *wire)
{
    const unsigned bits = layout->symbol_bits;
    const size_t coded_count = znl_coded_count(layout, chunk);
    znl_freq_table tables[ZNL_MAX_STATIC_TABLES];
    znl_class_choice choice;
    znl_static_split(kernels, layout, chunk, &scratch->body);
    znl_choose_classes(scratch->body.symbols, coded_count, bits, &scratch->choose,
                       scratch->body.classes, &choice);
    memset(scratch->counts, 0, sizeof *scratch->counts << bits);
    for (size_t i = 0; i < coded_count; i++) scratch->counts[scratch->body.symbols[i]]++;
    znl_table_fit(scratch->counts, bits, &tables[0]);
    const int fitted =
        znl_table_cost(&tables[0], scratch->counts, bits) + ZNL_TABLE_COST + ZNL_REFERENCE_COST <
        choice.cost;
    if (fitted) {
        znl_table_name(&tables[0], wire);
        chunk->table_count = 1;
        chunk->tables[0] = wire->name;
    } else {
        chunk->table_count = (uint8_t)choice.table_count;
        chunk->unit_shift = choice.table_count > 1 ? ZNL_UNIT_SHIFT_SMALL : 0;
        for (unsigned t = 0; t < choice.table_count; t++) {
            const unsigned reference = choice.references[t];
            chunk->tables[t] = reference;
            znl_table_universal(reference >> ZNL_UNIVERSAL_BASE_BITS,
                                reference & ((1u << ZNL_UNIVERSAL_BASE_BITS) - 1), &tables[t]);
        }
    }
    if (znl_static_encode(kernels, layout, tables, chunk, &scratch->body) != ZNL_OK) return 0;
    if (znl_saved_by_coding(chunk) > (fitted ? ZNL_TABLE_STREAM_NBYTES : 0))
        chunk->method = ZNL_METHOD_STATIC;
    return fitted;
}

/* Encode one chunk, or two of the same size, with their groups' tables, or leave them raw. */
static void encode_by_groups(const znl_kernels *kernels, const znl_layout *layout,
                             chunk_group *const *groups, znl_chunk *chunks, unsigned count,
                             encode_scratch *scratch)
{
    const znl_freq_table *const tables[2] = {&groups[0]->table, &groups[count - 1]->table};
    const int status =
        znl_static_split_encode(kernels, layout, tables, chunks, count, &scratch->body);
    if (status != ZNL_OK) { /* alone the other one may still fit */
        for (unsigned c = 0; c < count && count > 1; c++)
            encode_by_groups(kernels, layout, groups + c, chunks + c, 1, scratch);
        return;
    }
    for (unsigned c = 0; c < count; c++) {
        const uint32_t saved = znl_saved_by_coding(&chunks[c]);
        if (saved) chunks[c].method = ZNL_METHOD_STATIC;
        groups[c]->saved_nbytes += saved;
    }
}

/* Encode a chunk with its group's table and without the bits that need not be stored. */
static void encode_reduced(const znl_kernels *kernels, const znl_layout *layout, chunk_group *group,
                           znl_chunk *chunk, const znl_arranged_choice *choice,
                           encode_scratch *scratch)
{
    znl_encode_in_order(kernels, layout, &group->table, chunk, choice, &scratch->body,
                        &scratch->arranging);
    if (chunk->method == ZNL_METHOD_ARRANGED) {
        group->saved_nbytes += znl_saved_by_coding(chunk);
        return;
    }
    chunk->table_count = 1; /* what was promised did not come: plainly, then */
    encode_by_groups(kernels, layout, &group, chunk, 1, scratch);
}

/* Whether chunk i of a call is coded with the table of its group and less bits than others. */
static int is_reduced(const encode_scratch *scratch, size_t i)
{
    return i < ZNL_MOST_ARRANGED && scratch->choices[i].kind == ZNL_IN_ORDER;
}

/* Encode the chunks of groups from number `begin` of the call on, two at a time where they are alike. */
static void encode_groups(const znl_kernels *kernels, const znl_layout *layout, znl_chunk *chunks,
                          size_t begin, size_t end, const uint32_t *group_of,
                          const znl_table *tables, encode_scratch *scratch)
{
    for (size_t i = begin; i < end;) {
        if (group_of[i] >= ARRANGED) {
            i++;
            continue;
        }
        const int is_pair = kernels->rans_encode_pair && i + 1 < end &&
                            group_of[i + 1] < ARRANGED && !is_reduced(scratch, i) &&
                            !is_reduced(scratch, i + 1) &&
                            chunks[i + 1].source_nbytes == chunks[i].source_nbytes &&
                            chunks[i].source_nbytes / layout->width >= ZNL_WIDE_LANES_MIN_VALUES;
        const unsigned count = is_pair ? 2 : 1;
        chunk_group *groups[2];
        for (unsigned c = 0; c < count; c++) {
            groups[c] = &scratch->groups[group_of[i + c]];
            chunks[i + c].table_count = 1;
            chunks[i + c].tables[0] = tables[group_of[i + c]].name;
        }
        if (is_reduced(scratch, i))
            encode_reduced(kernels, layout, groups[0], &chunks[i], &scratch->choices[i], scratch);
        else
            encode_by_groups(kernels, layout, groups, &chunks[i], count, scratch);
        i += count;
    }
}

/* Encode the chunks of groups, a window of them at a time: their second reading finds them in a near cache, and the
 * first one of the next window what was fetched meanwhile. Returns the number of tables. */
static uint32_t encode_in_windows(const znl_kernels *kernels, const znl_layout *layout,
                                  znl_chunk *chunks, size_t chunk_count, uint32_t *group_of,
                                  znl_table *tables, encode_scratch *scratch)
{
    chunk_groups groups = {0, 0, 0};
    for (size_t begin = 0; begin < chunk_count; begin += ZNL_WINDOW_CHUNKS) {
        const size_t left = chunk_count - begin;
        const size_t count = left < ZNL_WINDOW_CHUNKS ? left : ZNL_WINDOW_CHUNKS;
        const uint32_t known = groups.count;
        group_chunks(kernels, layout, chunks + begin, count,
                     begin < ZNL_MOST_ARRANGED ? scratch->arranging.wanted + begin : NULL, scratch,
                     &groups, group_of + begin);
        for (uint32_t g = known; g < groups.count; g++)
            znl_table_name(&scratch->groups[g].table, &tables[g]);
        encode_groups(kernels, layout, chunks, begin, begin + count, group_of, tables, scratch);
        groups.is_in_use = 1;
    }
    return groups.count;
}

int64_t znl_place_bodies(znl_chunk *chunks, size_t chunk_count, uint8_t *bodies,
                         size_t bodies_nbytes)
{
    for (size_t i = 0, placed = 0; i < chunk_count; i++) {
        const uint32_t slack = ZNL_BODY_SLACK_NBYTES;
        if (chunks[i].source_nbytes > ZNL_MAX_CHUNK_NBYTES) return ZNL_E_NO_ROOM;
        if (bodies_nbytes - placed < chunks[i].source_nbytes + slack) return ZNL_E_NO_ROOM;
        chunks[i].body = bodies + placed;
        chunks[i].body_room = chunks[i].source_nbytes + slack;
        placed += chunks[i].body_room;
    }
    return ZNL_OK;
}

int64_t znl_encode_chunks(const znl_kernels *kernels, znl_chunk *chunks, size_t chunk_count,
                          znl_table *tables, uint8_t *scratch_bytes, size_t scratch_nbytes)
{
    if (chunk_count > ZNL_MAX_CHUNKS) return ZNL_E_BAD_CALL;
    if (scratch_nbytes < znl_encode_scratch_nbytes(chunk_count)) return ZNL_E_NO_ROOM;
    encode_scratch *scratch = (encode_scratch *)(((uintptr_t)scratch_bytes + 63) & ~(uintptr_t)63);
    uint32_t *group_of = (uint32_t *)(scratch->groups + chunk_count);
    scratch->body.cache.count = 0;
    for (size_t i = 0; i < chunk_count; i++) {
        znl_chunk *chunk = &chunks[i];
        const znl_layout *layout = znl_layout_of(chunk->dtype);
        if (!layout || chunk->dtype != chunks[0].dtype) return ZNL_E_BAD_CALL;
        if (chunk->source_nbytes == 0 || chunk->source_nbytes > ZNL_MAX_CHUNK_NBYTES)
            return ZNL_E_BAD_CALL;
        if (chunk->body_room < chunk->source_nbytes ||
            chunk->body_room - chunk->source_nbytes < ZNL_BODY_SLACK_NBYTES)
            return ZNL_E_NO_ROOM;
        chunk->status = ZNL_OK;
        group_of[i] =
            encode_trivially(layout, chunk) || wants_classes(layout, chunk) ? NO_GROUP : 0;
    }
    if (chunk_count == 0) return 0;
    const znl_layout *layout = znl_layout_of(chunks[0].dtype);
    const size_t most_arranged = chunk_count < ZNL_MOST_ARRANGED ? chunk_count : ZNL_MOST_ARRANGED;
    for (size_t i = 0; i < most_arranged; i++) {
        const int is_trivial = group_of[i] == NO_GROUP && encode_trivially(layout, &chunks[i]);
        scratch->choices[i].kind = is_trivial ? ZNL_CODED : ZNL_NO_CHOICE;
    }
    int64_t table_count =
        znl_arrange_chunks(kernels, layout, chunks, most_arranged, scratch->choices, tables,
                           &scratch->body, &scratch->arranging);
    for (size_t i = 0; i < most_arranged; i++) {
        if (scratch->choices[i].kind == ZNL_IN_ORDER) group_of[i] = 0;
        if (chunks[i].method == ZNL_METHOD_ARRANGED) group_of[i] = ARRANGED;
    }
    table_count += encode_in_windows(kernels, layout, chunks, chunk_count, group_of,
                                     tables + table_count, scratch);
    for (size_t i = 0; i < chunk_count; i++)
        if (group_of[i] == NO_GROUP && !encode_trivially(layout, &chunks[i]))
            table_count +=
                encode_by_classes(kernels, layout, &chunks[i], scratch, &tables[table_count]);
    for (size_t i = 0; i < chunk_count; i++) {
        znl_chunk *chunk = &chunks[i];
        /* A group that does not earn its table is stored raw. */
        if (group_of[i] < ARRANGED &&
            scratch->groups[group_of[i]].saved_nbytes <= ZNL_TABLE_STREAM_NBYTES)
            chunk->method = ZNL_METHOD_RAW;
        if (chunk->method != ZNL_METHOD_RAW) continue;
        chunk->table_count = chunk->unit_shift = 0;
        chunk->body_offset = chunk->body_nbytes = 0;
    }
    return table_count;
}
