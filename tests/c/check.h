/* SPDX-License-Identifier: Apache-2.0 */
/* What the C tests share: checks that print where and why, a seeded generator, guarded buffers. */
#ifndef ZNL_TEST_CHECK_H
#define ZNL_TEST_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define CHECK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECK_ASAN 1
#endif
#endif
#if defined(CHECK_ASAN)
#include <sanitizer/asan_interface.h>
#else
#define CHECK_ASAN 0
#define ASAN_POISON_MEMORY_REGION(address, nbytes) ((void)(address), (void)(nbytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, nbytes) ((void)(address), (void)(nbytes))
#endif

static int check_failures;

/* What all checks have in common at the moment; in front of every message. */
static const char *check_context = "";

/* Count a failure and print the printf arguments that follow; stop when a test fails all over. */
#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: %s: %s: ", __FILE__, __LINE__, #condition, check_context);              \
            printf(__VA_ARGS__);                                                                   \
            printf("\n");                                                                          \
            if (++check_failures == 20) {                                                          \
                printf("20 checks failed, stopped\n");                                             \
                exit(1);                                                                           \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* The next of a sequence of 64-bit numbers; `seed` is its state (Vigna's splitmix64). */
static inline uint64_t random_u64(uint64_t *seed)
{
    uint64_t value = *seed += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* A number below `limit`, which is at least 1. */
static inline uint32_t random_below(uint64_t *seed, uint32_t limit)
{
    return (uint32_t)((random_u64(seed) >> 32) * limit >> 32);
}

enum { GUARD_NBYTES = 64, GUARD_BYTE = 0xc5 };

/* `nbytes` bytes with GUARD_NBYTES known ones on both sides, which ASan forbids to touch. */
typedef struct {
    uint8_t *allocation, *bytes;
    size_t nbytes;
} guarded;

/* Allocate a guarded buffer, filled with `fill`, `misalign` (0 to 15) bytes off a 16-byte boundary. */
static inline guarded guarded_new(size_t nbytes, uint8_t fill, unsigned misalign)
{
    guarded buffer;
    buffer.nbytes = nbytes;
    buffer.allocation = malloc(nbytes + 2 * GUARD_NBYTES + 16);
    if (buffer.allocation == NULL) {
        printf("no memory for %zu bytes\n", nbytes);
        exit(1);
    }
    memset(buffer.allocation, GUARD_BYTE, nbytes + 2 * GUARD_NBYTES + 16);
    buffer.bytes = buffer.allocation + GUARD_NBYTES + misalign;
    memset(buffer.bytes, fill, nbytes);
    ASAN_POISON_MEMORY_REGION(buffer.allocation, GUARD_NBYTES);
    ASAN_POISON_MEMORY_REGION(buffer.bytes + nbytes, GUARD_NBYTES + 16u - misalign);
    return buffer;
}

/* A guarded copy of in[0..nbytes). */
static inline guarded guarded_copy(const uint8_t *in, size_t nbytes, unsigned misalign)
{
    guarded buffer = guarded_new(nbytes, 0, misalign);
    if (nbytes) memcpy(buffer.bytes, in, nbytes);
    return buffer;
}

/* Free it; returns 1 when no guard byte was written to. */
static inline int guarded_free(guarded *buffer)
{
    const size_t whole = buffer->nbytes + 2 * GUARD_NBYTES + 16;
    const size_t start = (size_t)(buffer->bytes - buffer->allocation);
    int intact = 1;
    ASAN_UNPOISON_MEMORY_REGION(buffer->allocation, whole);
    for (size_t i = 0; i < whole; i++) {
        if (i == start) i += buffer->nbytes;
        intact &= buffer->allocation[i] == GUARD_BYTE;
    }
    free(buffer->allocation);
    buffer->allocation = NULL;
    return intact;
}

/* The exit status of the test. */
static inline int check_result(void)
{
    if (check_failures) printf("%d checks failed\n", check_failures);
    return check_failures > 0;
}

#endif
