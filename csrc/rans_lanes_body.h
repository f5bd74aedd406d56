/* SPDX-License-Identifier: Apache-2.0 */
/* The lanes of a chunk in vectors, for the texts of the decoder and the encoder with byte shuffles. Not a
 * header for others. */

#define PAIR_LANES (2 * LANES)
#define PAIR_COUNT (ZNL_WIDE_LANES / PAIR_LANES)

/* The states of two vectors of lanes as upper and lower halves, coded together so that their bytes fill
 * one lookup. */
typedef struct {
    V high[2], low[2];
} lane_pair;

TARGET ZNL_INLINE void load_states(const uint32_t *states, lane_pair pairs[PAIR_COUNT])
{
    const V lower = SET32(0xffff);
    for (unsigned i = 0; i < 2 * PAIR_COUNT; i++, states += LANES) {
        const V first = LOAD(states), second = LOAD(states + LANES / 2);
        pairs[i / 2].high[i % 2] = NARROW32(SHIFT_RIGHT32(first, 16), SHIFT_RIGHT32(second, 16));
        pairs[i / 2].low[i % 2] = NARROW32(AND(first, lower), AND(second, lower));
    }
}

TARGET ZNL_INLINE void store_states(const lane_pair pairs[PAIR_COUNT], uint32_t *states)
{
    for (unsigned i = 0; i < 2 * PAIR_COUNT; i++, states += LANES)
        STORE_INTERLEAVED16((uint8_t *)states, pairs[i / 2].low[i % 2], pairs[i / 2].high[i % 2]);
}
