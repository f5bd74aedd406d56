/* SPDX-License-Identifier: Apache-2.0 */
/* Planes of every level against docs/format.md sections 5.1 and 5.4 word for word, for every number
 * of blocks. */
#include "levels.h"
#include "values.h"

enum { MAX_BLOCKS = 33, MAX_RAW_NBYTES = MAX_BLOCKS * 64 * 8 };

/* Table 4.1: width, transform (0 plain, 1 rotate, 2 offset), S, P, b. */
static const struct {
    unsigned width, transform, symbol_bits, byte_planes, low_bits;
} ROWS[16] = {
    [1] = {8, 1, 12, 6, 4}, [2] = {4, 1, 9, 2, 7},  [3] = {2, 1, 6, 1, 2},  [4] = {2, 1, 9, 0, 7},
    [5] = {4, 1, 9, 2, 7},  [6] = {1, 1, 6, 0, 2},  [7] = {1, 1, 5, 0, 3},  [8] = {1, 1, 6, 0, 2},
    [9] = {1, 1, 5, 0, 3},  [10] = {1, 0, 8, 0, 0}, [14] = {1, 2, 5, 0, 3}, [15] = {1, 0, 5, 0, 3},
};

/* Values taken apart: symbol values, byte planes in pair order, low bits of byte i of each block. */
typedef struct {
    uint16_t symbols[MAX_BLOCKS * 64];
    uint8_t planes[7][MAX_BLOCKS * 64];
    uint8_t low[MAX_BLOCKS][64];
} parts;

static void take_apart(unsigned dtype, const uint8_t *in, size_t blocks, parts *out)
{
    const unsigned width = ROWS[dtype].width, S = ROWS[dtype].symbol_bits, b = ROWS[dtype].low_bits;
    const unsigned T = width == 1 ? 8 : 16;
    for (size_t i = 0; i < 64 * blocks; i++) {
        uint64_t v = 0;
        for (unsigned byte = 0; byte < width; byte++)
            v |= (uint64_t)in[i * width + byte] << (8 * byte);
        uint32_t t = (uint32_t)(v >> (8 * width - T));
        if (ROWS[dtype].transform == 1) t = (t << 1 | t >> (T - 1)) & ((1u << T) - 1);
        if (ROWS[dtype].transform == 2) t ^= 1u << (T - 1);
        out->symbols[i] = (uint16_t)(t >> (T - S));
        const size_t block = i / 64, j = i % 64, at = j < 32 ? 2 * j : 2 * (j - 32) + 1;
        unsigned plane = 0;
        for (unsigned byte = 0; byte + 2 < width; byte++)
            out->planes[plane++][64 * block + at] = (uint8_t)(v >> (8 * byte));
        if (T - S >= 8) out->planes[plane++][64 * block + at] = (uint8_t)t;
        CHECK(plane == ROWS[dtype].byte_planes, "dtype %u: %u planes", dtype, plane);
        out->low[block][at] = (uint8_t)((T - S >= 8 ? t >> 8 : t) & ((1u << b) - 1));
    }
}

/* Lay the raw section out; returns its size. */
static size_t lay_out(unsigned dtype, const parts *in, size_t blocks, uint8_t *raw)
{
    const unsigned b = ROWS[dtype].low_bits, m = b ? 8 / b : 0;
    size_t at = 0;
    for (unsigned plane = 0; plane < ROWS[dtype].byte_planes; plane++, at += 64 * blocks)
        memcpy(raw + at, in->planes[plane], 64 * blocks);
    for (size_t first = 0; b && first < blocks; first += 8) {
        const unsigned n = blocks - first < 8 ? (unsigned)(blocks - first) : 8;
        const unsigned stored = n < 8 && n <= m * b ? (n + m - 1) / m : b;
        uint8_t V[8][64] = {{0}};
        for (unsigned f = 0; f < n; f++)
            for (unsigned i = 0; i < 64; i++) {
                const unsigned F = in->low[first + f][i];
                if (f < m * b) V[f / m][i] |= (uint8_t)(F << (b * (f % m)));
                for (unsigned k = 0; f >= m * b && k < b; k++)
                    V[k][i] |= (uint8_t)((F >> k & 1) << f);
            }
        memcpy(raw + at, V, 64 * stored);
        at += 64 * stored;
    }
    return at;
}

static void check_planes(unsigned dtype, size_t blocks, enum pattern pattern)
{
    static parts expected;
    static uint8_t expected_raw[MAX_RAW_NBYTES];
    const znl_layout *layout = znl_layout_of(dtype);
    const size_t nbytes = blocks * 64 * ROWS[dtype].width;
    guarded in = guarded_new(nbytes, 0, blocks % 2), out = guarded_new(nbytes, 0, 1);
    make_values(dtype, pattern, blocks, in.bytes, blocks * 64);
    take_apart(dtype, in.bytes, blocks, &expected);
    const size_t raw_nbytes = lay_out(dtype, &expected, blocks, expected_raw);
    CHECK(znl_raw_nbytes(layout, blocks) == raw_nbytes, "dtype %u, %zu blocks: %zu, not %zu", dtype,
          blocks, znl_raw_nbytes(layout, blocks), raw_nbytes);
    guarded raw = guarded_new(raw_nbytes, 0xee, 3), symbols = guarded_new(2 * 64 * blocks, 0xee, 0);
    uint16_t *values = (uint16_t *)(void *)symbols.bytes;
    const size_t plane_nbytes = 64 * blocks, width = ROWS[dtype].width;
    uint8_t *bits = raw.bytes + ROWS[dtype].byte_planes * plane_nbytes;
    for (size_t first = 0; first < blocks; first += 8)
        level_kernels[level].split(layout, in.bytes + 64 * first * width,
                                   blocks - first < 8 ? blocks - first : 8, values + 64 * first,
                                   raw.bytes + 64 * first, plane_nbytes,
                                   bits + 8 * first * ROWS[dtype].low_bits);
    CHECK(memcmp(values, expected.symbols, 128 * blocks) == 0, "dtype %u, %zu blocks", dtype,
          blocks);
    CHECK(memcmp(raw.bytes, expected_raw, raw_nbytes) == 0, "dtype %u, %zu blocks", dtype, blocks);
    /* The last superblock first: each is merged by itself. */
    memset(out.bytes, 0x77, nbytes);
    for (size_t first = (blocks + 7) / 8 * 8; first > 0;) {
        first -= 8;
        const int status = level_kernels[level].merge(
            layout, values + 64 * first, raw.bytes + 64 * first, plane_nbytes,
            blocks - first < 8 ? blocks - first : 8, bits + 8 * first * ROWS[dtype].low_bits,
            out.bytes + 64 * first * width);
        CHECK(status == ZNL_OK, "dtype %u, %zu blocks, from %zu: %d", dtype, blocks, first, status);
        CHECK(memcmp(in.bytes + 64 * first * width, out.bytes + 64 * first * width,
                     nbytes - 64 * first * width) == 0,
              "dtype %u, %zu blocks, from %zu", dtype, blocks, first);
    }
    CHECK(guarded_free(&in) && guarded_free(&out) && guarded_free(&raw) && guarded_free(&symbols),
          "dtype %u, %zu blocks: around a buffer", dtype, blocks);
}

/* Every count, and counts of 8 in every 8 * step values. */
static void check_histogram(unsigned dtype, size_t count, size_t step)
{
    static parts expected;
    static uint32_t counts[1 << 12];
    const znl_layout *layout = znl_layout_of(dtype);
    const size_t symbol_count = (size_t)1 << ROWS[dtype].symbol_bits;
    guarded in = guarded_new(count * ROWS[dtype].width, 0, 1);
    guarded found = guarded_new(4 * symbol_count, 0xee, 0);
    uint8_t padded[MAX_RAW_NBYTES] = {0};
    make_values(dtype, EXTREMES, count, in.bytes, count);
    memcpy(padded, in.bytes, in.nbytes);
    take_apart(dtype, padded, (count + 63) / 64, &expected);
    memset(counts, 0, sizeof counts);
    size_t counted = 0;
    for (size_t i = 0; i < count; i++)
        if (i % (8 * step) < 8) {
            counts[expected.symbols[i]]++;
            counted++;
        }
    const size_t found_count = level_kernels[level].histogram(layout, in.bytes, count, step,
                                                              (uint32_t *)(void *)found.bytes);
    CHECK(found_count == counted && memcmp(found.bytes, counts, found.nbytes) == 0,
          "dtype %u, %zu values, step %zu", dtype, count, step);
    CHECK(guarded_free(&in) && guarded_free(&found), "dtype %u: around a buffer", dtype);
}

static void check_level(void)
{
    for (unsigned d = 0; d < MODELLED_DTYPE_COUNT; d++) {
        const unsigned dtype = MODELLED_DTYPES[d];
        for (size_t blocks = 1; blocks <= MAX_BLOCKS; blocks++) {
            check_planes(dtype, blocks, RANDOM_BITS);
            check_planes(dtype, blocks, EXTREMES);
        }
        for (size_t count = 1; count <= MAX_BLOCKS * 64; count += count < 70 ? 1 : 97)
            for (size_t step = 1; step <= 16; step += 5) check_histogram(dtype, count, step);
    }
}

int main(void)
{
    new_levels();
    for (int i = 0; i < level_count; i++) {
        use_level(i);
        check_level();
    }
    return check_result();
}
