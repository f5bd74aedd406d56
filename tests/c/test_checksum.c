/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of every level equals XXH3-64 on known vectors, at every alignment, with nothing read
 * around them; bytes.h reads what it writes. */
#include <inttypes.h>

#include "bytes.h"
#include "levels.h"

/* xxh3_64_intdigest of python-xxhash 4.1.0 (xxHash 0.8.4) over the bytes (131 * i + 7) & 255.
 * Most lengths lie beside a boundary between two branches of the algorithm. */
static const struct {
    size_t nbytes;
    uint64_t checksum;
} VECTORS[] = {
    {0, UINT64_C(0x2d06800538d394c2)},     {1, UINT64_C(0x4c5cca45d0f4811f)},
    {3, UINT64_C(0x6e3e2670e61106ac)},     {4, UINT64_C(0x5c4c63133443d03f)},
    {8, UINT64_C(0xf9fd4dd0b04d78f5)},     {9, UINT64_C(0x7c20df9712c26edf)},
    {16, UINT64_C(0x86abf6baccea0858)},    {17, UINT64_C(0xb58bf5dc5022d071)},
    {128, UINT64_C(0x10d17f72c0ccba41)},   {129, UINT64_C(0x1648bdc3db49d1a2)},
    {240, UINT64_C(0xb6cfaf343fab81e6)},   {241, UINT64_C(0x956cae592c67279e)},
    {512, UINT64_C(0xa0e9790eb93990d7)},   {1024, UINT64_C(0x70bd377d9574f4bb)},
    {1025, UINT64_C(0x66c4487c41e127a7)},  {4097, UINT64_C(0x34eecaecd32195a4)},
    {65536, UINT64_C(0x04404b28125b4786)},
};

static void check_vector(size_t nbytes, uint64_t expected, unsigned start)
{
    guarded in = guarded_new(nbytes, 0, start);
    for (size_t i = 0; i < nbytes; i++) in.bytes[i] = (uint8_t)(131 * i + 7);
    const uint64_t found = znl_xxh3_64(&level_kernels[level], in.bytes, nbytes);
    CHECK(found == expected, "%zu bytes from offset %u: expected %016" PRIx64 ", found %016" PRIx64,
          nbytes, start, expected, found);
    CHECK(guarded_free(&in), "%zu bytes: around the input", nbytes);
}

static void check_bytes(size_t start)
{
    static const uint8_t expected[14] = {0x02, 0x01, 0x06, 0x05, 0x04, 0x03, 0x0e,
                                         0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08, 0x07};
    uint8_t buffer[8 + sizeof expected] = {0};
    uint8_t *out = buffer + start;
    store_u16le(out, 0x0102);
    store_u32le(out + 2, 0x03040506);
    store_u64le(out + 6, UINT64_C(0x0708090a0b0c0d0e));
    CHECK(memcmp(out, expected, sizeof expected) == 0, "stores at offset %zu", start);
    CHECK(load_u16le(out) == 0x0102 && load_u32le(out + 2) == 0x03040506 &&
              load_u64le(out + 6) == UINT64_C(0x0708090a0b0c0d0e),
          "loads at offset %zu", start);
}

int main(void)
{
    new_levels();
    for (size_t start = 0; start < 8; start++) check_bytes(start);
    for (int i = 0; i < level_count; i++) {
        use_level(i);
        for (unsigned start = 0; start < 16; start++)
            for (size_t v = 0; v < sizeof VECTORS / sizeof VECTORS[0]; v++)
                check_vector(VECTORS[v].nbytes, VECTORS[v].checksum, start);
        CHECK(znl_xxh3_64(&level_kernels[level], NULL, 0) == VECTORS[0].checksum,
              "NULL with 0 bytes: not the checksum of the empty input");
    }
    return check_result();
}
