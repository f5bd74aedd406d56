/* SPDX-License-Identifier: Apache-2.0 */
/* What the NEON decoder and encoder share: table lookups and marks of lanes, for a group of 32
 * lanes at a time. Vectors of a group are members with names, not elements of arrays: clang leaves
 * loops over the latter rolled and the vectors in memory. For rans_neon.c and rans_encode_neon.c
 * only. */
#ifndef ZNL_RANS_NEON_H
#define ZNL_RANS_NEON_H

#include "rans.h"
#include "target.h"

enum { LANES = 8, GROUP_LANES = 32 };

/* A byte and 16 bits for each lane of a group, in the order of the lanes. */
typedef struct {
    uint8x16_t a, b;
} group_bytes;

typedef struct {
    uint16x8_t a, b, c, d;
} group_words;

/* The upper and the lower halves of the states of 32 lanes. A group is large enough to share each
 * loaded table and each trip to a general register; the work on the other group fills the waits for
 * both. */
typedef struct {
    group_words high, low;
} lane_group;

/* Entries of a table of 32 bytes; 0 for an index above 31. */
ZNL_INLINE group_bytes look_up(const uint8_t *table, group_bytes at)
{
    const uint8x16x2_t loaded = vld1q_u8_x2(table);
    const group_bytes entries = {vqtbl2q_u8(loaded, at.a), vqtbl2q_u8(loaded, at.b)};
    return entries;
}

/* 16-bit entries of a table kept as low and high bytes. */
ZNL_INLINE group_words look_up_words(const uint8_t *low, const uint8_t *high, group_bytes at)
{
    const group_bytes lows = look_up(low, at), highs = look_up(high, at);
    const group_words entries = {
        vreinterpretq_u16_u8(vzip1q_u8(lows.a, highs.a)),
        vreinterpretq_u16_u8(vzip2q_u8(lows.a, highs.a)),
        vreinterpretq_u16_u8(vzip1q_u8(lows.b, highs.b)),
        vreinterpretq_u16_u8(vzip2q_u8(lows.b, highs.b)),
    };
    return entries;
}

/* The low bytes of two vectors of 16-bit lanes. */
ZNL_INLINE uint8x16_t low_bytes(uint16x8_t first, uint16x8_t second)
{
    return vuzp1q_u8(vreinterpretq_u8_u16(first), vreinterpretq_u8_u16(second));
}

/* Which lanes of a group are marked, in general registers: byte v is of vector v. */
typedef struct {
    uint32_t lanes; /* lane 0 is the lowest bit */
    uint32_t ends;  /* how many are marked in vectors 0 to v */
} lane_marks;

/* marks: all bits of a marked lane are set, of the others none. */
ZNL_INLINE lane_marks mark_lanes(group_words marks)
{
    const uint8x16_t bits = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201)));
    const uint8x16_t quarters = vpaddq_u8(vandq_u8(low_bytes(marks.a, marks.b), bits),
                                          vandq_u8(low_bytes(marks.c, marks.d), bits));
    const uint8x16_t halves = vpaddq_u8(quarters, quarters);
    const uint8x8_t bytes = vget_low_u8(vpaddq_u8(halves, halves));
    /* The product adds up counts, at most 32 in all, from the lowest byte on. */
    const lane_marks found = {
        vget_lane_u32(vreinterpret_u32_u8(bytes), 0),
        vget_lane_u32(vreinterpret_u32_u8(vcnt_u8(bytes)), 0) * 0x01010101u,
    };
    return found;
}

ZNL_INLINE unsigned byte_of(uint32_t bytes, int vector)
{
    return bytes >> (8 * vector) & 255;
}

/* 8 states as their upper and lower halves, and back. */
ZNL_INLINE void load_halves(const uint32_t *states, uint16x8_t *high, uint16x8_t *low)
{
    const uint16x8_t first = vreinterpretq_u16_u32(vld1q_u32(states));
    const uint16x8_t second = vreinterpretq_u16_u32(vld1q_u32(states + 4));
    *low = vuzp1q_u16(first, second);
    *high = vuzp2q_u16(first, second);
}

ZNL_INLINE void store_halves(uint16x8_t high, uint16x8_t low, uint32_t *states)
{
    vst1q_u32(states, vreinterpretq_u32_u16(vzip1q_u16(low, high)));
    vst1q_u32(states + 4, vreinterpretq_u32_u16(vzip2q_u16(low, high)));
}

ZNL_INLINE lane_group load_group(const uint32_t *states)
{
    lane_group group;
    load_halves(states, &group.high.a, &group.low.a);
    load_halves(states + LANES, &group.high.b, &group.low.b);
    load_halves(states + 2 * LANES, &group.high.c, &group.low.c);
    load_halves(states + 3 * LANES, &group.high.d, &group.low.d);
    return group;
}

ZNL_INLINE void store_group(const lane_group *group, uint32_t *states)
{
    store_halves(group->high.a, group->low.a, states);
    store_halves(group->high.b, group->low.b, states + LANES);
    store_halves(group->high.c, group->low.c, states + 2 * LANES);
    store_halves(group->high.d, group->low.d, states + 3 * LANES);
}

#endif
