/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian loads and stores: any alignment, any host byte order. */
#ifndef ZNL_BYTES_H
#define ZNL_BYTES_H

#include <stdint.h>
#include <string.h>

/* 1 when the host keeps the most significant byte first. The last form serves compilers that do
 * not define __BYTE_ORDER__ (MSVC): it looks at a known value in memory and folds to a constant. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ZNL_HOST_IS_BIG_ENDIAN 0
#elif defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define ZNL_HOST_IS_BIG_ENDIAN 1
#elif defined(__BYTE_ORDER__)
#error "bytes.h knows little-endian and big-endian hosts only"
#else
#define ZNL_HOST_IS_BIG_ENDIAN (*(const uint8_t *)&(const uint16_t){1} == 0)
#endif

/* Reverse the bytes of a value. */
static inline uint16_t swap_u16(uint16_t value)
{
    return (uint16_t)(value << 8 | value >> 8);
}

static inline uint32_t swap_u32(uint32_t value)
{
    return value << 24 | (value << 8 & 0x00ff0000u) | (value >> 8 & 0x0000ff00u) | value >> 24;
}

static inline uint64_t swap_u64(uint64_t value)
{
    return (uint64_t)swap_u32((uint32_t)value) << 32 | swap_u32((uint32_t)(value >> 32));
}

/* Read 2, 4 or 8 bytes at `in`, least significant byte first; `in` need not be aligned. */
static inline uint16_t load_u16le(const uint8_t *in)
{
    uint16_t value;
    memcpy(&value, in, sizeof value);
    return ZNL_HOST_IS_BIG_ENDIAN ? swap_u16(value) : value;
}

static inline uint32_t load_u32le(const uint8_t *in)
{
    uint32_t value;
    memcpy(&value, in, sizeof value);
    return ZNL_HOST_IS_BIG_ENDIAN ? swap_u32(value) : value;
}

static inline uint64_t load_u64le(const uint8_t *in)
{
    uint64_t value;
    memcpy(&value, in, sizeof value);
    return ZNL_HOST_IS_BIG_ENDIAN ? swap_u64(value) : value;
}

/* Write 2, 4 or 8 bytes at `out`, least significant byte first; `out` need not be aligned. */
static inline void store_u16le(uint8_t *out, uint16_t value)
{
    if (ZNL_HOST_IS_BIG_ENDIAN) value = swap_u16(value);
    memcpy(out, &value, sizeof value);
}

static inline void store_u32le(uint8_t *out, uint32_t value)
{
    if (ZNL_HOST_IS_BIG_ENDIAN) value = swap_u32(value);
    memcpy(out, &value, sizeof value);
}

static inline void store_u64le(uint8_t *out, uint64_t value)
{
    if (ZNL_HOST_IS_BIG_ENDIAN) value = swap_u64(value);
    memcpy(out, &value, sizeof value);
}

#endif
