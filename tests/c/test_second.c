/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of second symbols against the text of docs/format.md, section 5.10, written again value by value and bit by bit:
 * contexts, second order, numbers, low bits, fields. */
#include "arrangements.h"
#include "bits.h"
#include "errors.h"
#include "kernels.h"
#include "layout.h"
#include "levels.h"
#include "seconds.h"

static uint64_t seed;
static char where[96];

/* --- contexts and order --------------------------------------------------------------------------- */

static void check_contexts_of(unsigned symbol_bits, unsigned context_count, unsigned class_count)
{
    znl_second second;
    random_second(1, context_count, class_count << symbol_bits, &seed, &second);
    znl_contexts found;
    memset(&found, 0xee, sizeof found);
    znl_contexts_make(&second, symbol_bits, &found);
    size_t wrong = 0;
    for (unsigned r = 0; r < ZNL_MAX_TABLES; r++) {
        const unsigned g = found.group_of[r];
        CHECK(g < ZNL_MAX_CONTEXTS, "S %u, M %u: group %u", symbol_bits, context_count, g);
        const znl_context_group *group = &found.groups[g % ZNL_MAX_CONTEXTS];
        CHECK(group->first < group->end && group->end <= context_count, "S %u, M %u: group %u",
              symbol_bits, context_count, g);
        for (unsigned e = 0; e < 1u << symbol_bits; e++) {
            const unsigned c = context_of(&second, symbol_bits, r, e);
            wrong += group->of[e] != c || c < group->first || c >= group->end;
            wrong += c > group->first && found.begins[c] > e;
            wrong += c + 1 < group->end && found.begins[c + 1] <= e;
        }
    }
    CHECK(wrong == 0, "S %u, M %u, K %u: %zu values", symbol_bits, context_count, class_count,
          wrong);
}

static void check_contexts(void)
{
    for (unsigned symbol_bits = 5; symbol_bits <= 9; symbol_bits++)
        for (unsigned context_count = 1; context_count <= 16; context_count++)
            for (unsigned class_count = 1; class_count <= 31; class_count += 1 + class_count / 2)
                check_contexts_of(symbol_bits, context_count, class_count);
    /* The lowest and the highest bounds that can be. */
    znl_second second = {1, 16, {0}};
    znl_contexts found;
    for (unsigned i = 0; i < 15; i++)
        second.bounds[i] = (uint16_t)(i < 8 ? 1 + i : 31 * 32 + 17 + i);
    znl_contexts_make(&second, 5, &found);
    for (unsigned r = 0; r < ZNL_MAX_TABLES; r++)
        for (unsigned e = 0; e < 32; e++) {
            const unsigned c = found.groups[found.group_of[r]].of[e];
            CHECK(c == context_of(&second, 5, r, e), "class %u, value %u: %u", r, e, c);
        }
}

/* Symbol values that leave some contexts empty: all of them, the outer or inner ones, all but one. */
enum { ALL_CONTEXTS, EVEN_CONTEXTS, ONE_CONTEXT, LAST_AND_FIRST, CONTEXT_USES };

/* Such a symbol value, unless its class has none, maybe. */
static unsigned symbol_in_use(unsigned use, unsigned symbol_bits, const znl_second *second,
                              unsigned class)
{
    unsigned e = 0;
    for (unsigned tries = 0; tries < 200; tries++) {
        e = random_below(&seed, 1u << symbol_bits);
        const unsigned c = context_of(second, symbol_bits, class, e);
        const unsigned last = second->context_count - 1;
        if (use == ALL_CONTEXTS || (use == EVEN_CONTEXTS && c % 2 == 0) ||
            (use == ONE_CONTEXT && c == last / 2) ||
            (use == LAST_AND_FIRST && (c == 0 || c == last)))
            break;
    }
    return e;
}

/* Values of random contexts, and where second order puts them. */
typedef struct {
    znl_second second;
    guarded classes, symbols, contexts, in, order;
    size_t count;
} unordered;

static unordered new_unordered(unsigned symbol_bits, unsigned context_count, unsigned class_count,
                               size_t count, unsigned use)
{
    unordered made;
    made.count = count;
    made.classes = guarded_new(count / 64, 0, 0);
    made.symbols = guarded_new(2 * count, 0, 0);
    made.contexts = guarded_new(count, 0, 0);
    made.in = guarded_new(count, 0, 1);
    made.order = guarded_new(4 * count, 0, 0);
    random_second(1, context_count, class_count << symbol_bits, &seed, &made.second);
    uint16_t *values = (uint16_t *)(void *)made.symbols.bytes;
    for (size_t b = 0; b < count / 64; b++)
        made.classes.bytes[b] = (uint8_t)random_below(&seed, class_count);
    for (size_t i = 0; i < count; i++) {
        const unsigned class = made.classes.bytes[i / 64];
        values[i] = (uint16_t)symbol_in_use(use, symbol_bits, &made.second, class);
        made.contexts.bytes[i] = (uint8_t)context_of(&made.second, symbol_bits, class, values[i]);
        made.in.bytes[i] = (uint8_t)random_below(&seed, 32);
    }
    order_second(&made.second, made.contexts.bytes, count, (uint32_t *)(void *)made.order.bytes);
    return made;
}

static znl_context_counts check_counts(const znl_kernels *kernels, const unordered *made,
                                       const znl_contexts *contexts)
{
    const uint16_t *values = (const uint16_t *)(const void *)made->symbols.bytes;
    const size_t quarter = made->count / ZNL_QUARTERS;
    znl_context_counts counts;
    memset(&counts, 0xee, sizeof counts);
    kernels->count_contexts(contexts, made->classes.bytes, values, made->count, &counts);
    for (unsigned q = 0; q < ZNL_QUARTERS; q++)
        for (unsigned c = 0; c < ZNL_MAX_CONTEXTS; c++) {
            uint32_t expected = 0;
            for (size_t i = q * quarter; i < (q + 1) * quarter; i++)
                expected += made->contexts.bytes[i] == c;
            CHECK(counts.of[q][c] == expected, "%s: context %u: %u, not %u", where, c,
                  counts.of[q][c], expected);
        }
    return counts;
}

static void check_order_at(const znl_kernels *kernels, const unordered *made,
                           const znl_contexts *contexts)
{
    const uint16_t *values = (const uint16_t *)(const void *)made->symbols.bytes;
    const uint32_t *numbers = (const uint32_t *)(const void *)made->order.bytes;
    const uint8_t *classes = made->classes.bytes;
    const size_t count = made->count;
    guarded sorted = guarded_new(2 * count, 0xee, 0), spread = guarded_new(count, 0xee, 3),
            blocks = guarded_new(count / 64, 0xee, 5);
    const uint16_t *in_order = (const uint16_t *)(const void *)sorted.bytes;
    const znl_context_counts counts = check_counts(kernels, made, contexts);
    const znl_context_counts begins = znl_context_begins(&counts);
    size_t wrong = 0;
    znl_context_blocks(&counts, count / 64, blocks.bytes);
    for (size_t b = 0; b < count / 64; b++)
        wrong += blocks.bytes[b] != made->contexts.bytes[numbers[64 * b + 32]];
    CHECK(wrong == 0, "%s: %zu blocks", where, wrong);
    kernels->sort_second(contexts, classes, values, &begins, made->in.bytes, count,
                         (uint16_t *)(void *)sorted.bytes);
    for (size_t i = 0; i < count; i++) wrong += in_order[i] != made->in.bytes[numbers[i]];
    CHECK(wrong == 0, "%s: %zu sorted", where, wrong);
    kernels->spread_second(contexts, classes, values, &begins, in_order, count, spread.bytes);
    CHECK(memcmp(spread.bytes, made->in.bytes, count) == 0, "%s: spread", where);
    CHECK(guarded_free(&sorted) && guarded_free(&spread) && guarded_free(&blocks), "%s: around",
          where);
}

static void check_order_of(unsigned symbol_bits, unsigned context_count, unsigned class_count,
                           size_t count, unsigned use)
{
    unordered made = new_unordered(symbol_bits, context_count, class_count, count, use);
    znl_contexts contexts;
    znl_contexts_make(&made.second, symbol_bits, &contexts);
    for (int l = 0; l < level_count; l++) {
        const znl_kernels *kernels = use_level(l);
        snprintf(where, sizeof where, "level %d, M %u, K %u, %zu values, use %u", l, context_count,
                 class_count, count, use);
        check_order_at(kernels, &made, &contexts);
    }
    CHECK(guarded_free(&made.classes) && guarded_free(&made.symbols) &&
              guarded_free(&made.contexts) && guarded_free(&made.in) && guarded_free(&made.order),
          "%s: around", where);
}

static void check_orders(void)
{
    for (unsigned context_count = 1; context_count <= 16; context_count++)
        for (unsigned use = 0; use < CONTEXT_USES; use++)
            for (size_t blocks = 1; blocks <= 300; blocks = 3 * blocks + 1) {
                const unsigned class_count = (context_count + use) % 3 ? 1 + (use + 3) * 2 : 1;
                check_order_of(context_count % 2 ? 9 : 5 + use % 2, context_count, class_count,
                               64 * blocks, use);
            }
}

/* --- numbers -------------------------------------------------------------------------------------- */

/* What a dtype can have, and of each value what its number is. */
static void check_kinds(void)
{
    for (unsigned dtype = 0; dtype < 256; dtype++) {
        const znl_layout *layout = znl_layout_of(dtype);
        if (!layout) continue;
        znl_second second = {0, 0, {0}};
        CHECK(znl_second_kind(layout) == kind_of_second(dtype), "dtype %u", dtype);
        CHECK(znl_second_is_allowed(layout, 1, &second), "dtype %u: none", dtype);
        second.context_count = 3;
        second.bounds[0] = 1;
        for (second.kind = 1; second.kind <= 3; second.kind++)
            for (unsigned classes = 1; classes <= 31; classes += 15) {
                const int expected = second.kind == kind_of_second(dtype);
                second.bounds[1] = (uint16_t)((classes << dtype_symbol_bits(dtype)) - 1);
                CHECK(!znl_second_is_allowed(layout, classes, &second) == !expected,
                      "dtype %u, kind %u", dtype, second.kind);
                if (classes << dtype_symbol_bits(dtype) > UINT16_MAX) continue;
                second.bounds[1]++;
                CHECK(!znl_second_is_allowed(layout, classes, &second), "dtype %u: K * 2^S", dtype);
                second.bounds[1] = UINT16_MAX;
                CHECK(!znl_second_is_allowed(layout, classes, &second), "dtype %u: 65535", dtype);
            }
        if (kind_of_second(dtype))
            CHECK(znl_second_limit(layout) == number_limit(dtype), "dtype %u: limit", dtype);
    }
}

static void check_numbers_of(unsigned dtype, const uint8_t *values, size_t count)
{
    guarded in = guarded_copy(values, count * dtype_width(dtype), (unsigned)count % 7);
    guarded found = guarded_new(count, 0xee, (unsigned)count % 5);
    znl_find_second(znl_layout_of(dtype), in.bytes, count, found.bytes);
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong += found.bytes[i] != number_of(dtype, value_at(dtype, values, i));
    CHECK(wrong == 0, "dtype %u: %zu of %zu numbers", dtype, wrong, count);
    CHECK(guarded_free(&in) && guarded_free(&found), "dtype %u: around the numbers", dtype);
}

/* Every byte; every lower half below upper halves that differ. */
static void check_numbers(void)
{
    static uint8_t values[65536 * 4];
    for (unsigned d = 0; d < SECOND_DTYPE_COUNT; d++) {
        const unsigned dtype = SECOND_DTYPES[d], width = dtype_width(dtype);
        const size_t count = width == 1 ? 256 : 65536;
        for (unsigned i = 0; i < count; i++)
            if (width == 1)
                values[i] = (uint8_t)i;
            else
                store_u32le(values + 4 * i, (uint32_t)random_u64(&seed) << 16 | i);
        check_numbers_of(dtype, values, count);
        check_numbers_of(dtype, values, 64);
    }
}

/* Every byte comes back from its symbol value and its low bits. */
static void check_joining(void)
{
    for (unsigned d = 0; d < SECOND_DTYPE_COUNT; d++) {
        const unsigned dtype = SECOND_DTYPES[d];
        if (kind_of_second(dtype) != 1) continue;
        uint16_t symbols[256];
        uint8_t second[256];
        for (unsigned v = 0; v < 256; v++) {
            symbols[v] = (uint16_t)symbol_value_of(dtype, v);
            second[v] = (uint8_t)number_of(dtype, v);
        }
        guarded out = guarded_new(256, 0xee, d);
        znl_join_low_bits(znl_layout_of(dtype), symbols, second, 256, out.bytes);
        for (unsigned v = 0; v < 256; v++)
            CHECK(out.bytes[v] == v, "dtype %u: %u for %u", dtype, out.bytes[v], v);
        CHECK(guarded_free(&out), "dtype %u: around the values", dtype);
    }
}

/* --- fields --------------------------------------------------------------------------------------- */

/* Where value j of a block is: "byte 2 j belongs to value j and byte 2 j + 1 to value 32 + j". */
static size_t in_pair_order(size_t i)
{
    const size_t j = i % 64;
    return i - j + (j < 32 ? 2 * j : 2 * (j - 32) + 1);
}

/* Values with so many zeros: `least` to `most`. */
static void make_zeros(unsigned least, unsigned most, size_t count, uint8_t *values)
{
    for (size_t i = 0; i < count; i++) {
        const unsigned z = least + random_below(&seed, most - least + 1);
        const unsigned upper = (unsigned)random_u64(&seed) << 16;
        const unsigned lower = ((unsigned)random_u64(&seed) << 1 | 1) << z & 0xffff;
        store_u32le(values + 4 * i, upper | (z < 16 ? lower : 0));
    }
}

/* Read fields with something behind them; returns the status, and the planes. */
static int read_fields(const guarded *fields, const uint8_t *second, size_t count, guarded *planes)
{
    guarded in = guarded_new(fields->nbytes + 16, 0xff, (unsigned)count % 8);
    if (fields->nbytes) memcpy(in.bytes, fields->bytes, fields->nbytes);
    *planes = guarded_new(2 * count, 0xee, (unsigned)count % 3);
    const size_t bits = level_kernels[level].read_fields(in.bytes, second, count, planes->bytes);
    const int status = znl_fields_end(in.bytes, fields->nbytes, bits);
    CHECK(guarded_free(&in), "%zu values: around the fields", count);
    return status;
}

static void check_planes(const uint8_t *values, size_t count, guarded *planes)
{
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        const unsigned v = load_u32le(values + 4 * i);
        wrong += planes->bytes[in_pair_order(i)] != (v & 255);
        wrong += planes->bytes[count + in_pair_order(i)] != (v >> 8 & 255);
    }
    CHECK(wrong == 0, "%zu values: %zu bytes of planes", count, wrong);
    CHECK(guarded_free(planes), "%zu values: around the planes", count);
}

/* The zero bits behind the last field, one by one. */
static void check_padding(const guarded *fields, size_t bits, const uint8_t *second, size_t count)
{
    for (size_t bit = bits; bit < 8 * fields->nbytes; bit++) {
        guarded planes;
        fields->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(read_fields(fields, second, count, &planes) == ZNL_E_BAD_PADDING,
              "%zu values: bit %zu", count, bit);
        CHECK(guarded_free(&planes), "%zu values: around the planes", count);
        fields->bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void check_fields_of(unsigned least, unsigned most, size_t count)
{
    guarded values = guarded_new(4 * count, 0, 1), second = guarded_new(count, 0, 3), planes;
    size_t bits = 0;
    make_zeros(least, most, count, values.bytes);
    for (size_t i = 0; i < count; i++) {
        const unsigned z = number_of(2, load_u32le(values.bytes + 4 * i));
        second.bytes[i] = (uint8_t)z;
        bits += z < 15 ? 15 - z : 0;
    }
    const size_t nbytes = (bits + 63) / 64 * 8;
    CHECK(znl_fields_nbytes(second.bytes, count) == nbytes, "%zu values: %zu bytes", count, nbytes);
    guarded expected = guarded_new(nbytes, 0, 0), found = guarded_new(nbytes + 8, 0xee, most % 8);
    bit_sink sink = {expected.bytes, 0};
    for (size_t i = 0; i < count; i++) {
        const unsigned z = second.bytes[i], q = load_u32le(values.bytes + 4 * i) & 0xffff;
        if (z < 15) put_low_bits(&sink, q >> (z + 1), 15 - z);
    }
    CHECK(sink.bit == bits, "%zu values: %zu bits", count, sink.bit);
    znl_write_fields(values.bytes, second.bytes, count, found.bytes);
    CHECK(memcmp(found.bytes, expected.bytes, nbytes) == 0, "zeros %u to %u, %zu values: written",
          least, most, count);
    for (int l = 0; l < level_count; l++) {
        use_level(l);
        CHECK(read_fields(&expected, second.bytes, count, &planes) == ZNL_OK,
              "zeros %u to %u, %zu values: read", least, most, count);
        check_planes(values.bytes, count, &planes);
        check_padding(&expected, bits, second.bytes, count);
    }
    use_level(0);
    CHECK(guarded_free(&values) && guarded_free(&second) && guarded_free(&expected) &&
              guarded_free(&found),
          "zeros %u to %u, %zu values: around", least, most, count);
}

static void check_fields(void)
{
    for (unsigned least = 0; least <= 16; least++)
        for (unsigned most = least; most <= 16; most++)
            for (size_t blocks = 1; blocks <= 8; blocks += 1 + least % 3)
                check_fields_of(least, most, 64 * blocks);
}

int main(void)
{
    new_levels();
    check_contexts();
    check_orders();
    check_kinds();
    check_numbers();
    check_joining();
    check_fields();
    return check_result();
}
