/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum equals XXH3-64 on known vectors, at every alignment; bytes.h reads what it writes.
 *
 * cc -std=c11 -g -fsanitize=address,undefined -Icsrc tests/c/test_checksum.c csrc/checksum_scalar.c
 * returns 0 when all is well, 1 otherwise, after printing what failed
 */
#include "checksum.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "bytes.h"

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

static int check_vector(size_t nbytes, uint64_t expected, size_t start)
{
    /* The allocation ends where the input does, so ASan sees a read past it. */
    uint8_t *allocation = malloc(start + nbytes);
    if (allocation == NULL) {
        if (start + nbytes == 0) return 0; /* malloc(0) may give NULL; main() checks that case */
        printf("no memory for %zu bytes\n", start + nbytes);
        return 1;
    }
    for (size_t i = 0; i < nbytes; i++) allocation[start + i] = (uint8_t)(131 * i + 7);
    const uint64_t found = znl_xxh3_64_scalar(allocation + start, nbytes);
    free(allocation);
    if (found == expected) return 0;
    printf("%zu bytes from offset %zu: expected %016" PRIx64 ", found %016" PRIx64 "\n", nbytes,
           start, expected, found);
    return 1;
}

static int check_bytes(size_t start)
{
    static const uint8_t expected[14] = {0x02, 0x01, 0x06, 0x05, 0x04, 0x03, 0x0e,
                                         0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08, 0x07};
    uint8_t buffer[8 + sizeof expected] = {0};
    uint8_t *out = buffer + start;
    store_u16le(out, 0x0102);
    store_u32le(out + 2, 0x03040506);
    store_u64le(out + 6, UINT64_C(0x0708090a0b0c0d0e));
    if (memcmp(out, expected, sizeof expected) == 0 && load_u16le(out) == 0x0102 &&
        load_u32le(out + 2) == 0x03040506 && load_u64le(out + 6) == UINT64_C(0x0708090a0b0c0d0e))
        return 0;
    printf("little-endian loads and stores disagree at offset %zu\n", start);
    return 1;
}

int main(void)
{
    int failure_count = 0;
    for (size_t start = 0; start < 8; start++) {
        for (size_t i = 0; i < sizeof VECTORS / sizeof VECTORS[0]; i++)
            failure_count += check_vector(VECTORS[i].nbytes, VECTORS[i].checksum, start);
        failure_count += check_bytes(start);
    }
    if (znl_xxh3_64_scalar(NULL, 0) != VECTORS[0].checksum) {
        printf("NULL with 0 bytes: not the checksum of the empty input\n");
        failure_count++;
    }
    if (failure_count > 0) printf("%d checks failed\n", failure_count);
    return failure_count > 0;
}
