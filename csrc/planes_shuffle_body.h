/* SPDX-License-Identifier: Apache-2.0 */
/* Splitting and merging whole superblocks with intrinsics, written once for 128- and 256-bit vectors:
 * planes_sse4.c and planes_avx2.c include this text. Short superblocks go to the portable loops. Not a
 * header for others.
 *
 * A part is a vector of pairs: in pair order its even bytes belong to values j, its odd bytes to values
 * 32 + j, so that masks and shifts of 16-bit numbers take the two apart. */

#define BLOCK ZNL_BLOCK_VALUES
#define PAIRS (ZNL_BLOCK_VALUES / 2)
#define PARTS (PAIRS / LANES)

ZNL_INLINE unsigned raw_top_bits(const znl_layout *layout)
{
    return (layout->width == 1 ? 8u : 16u) - layout->symbol_bits;
}

/* 16-bit words of a value below its top; each is two byte planes. */
ZNL_INLINE unsigned words_below_top(const znl_layout *layout)
{
    return layout->width > 2 ? layout->width / 2 - 1u : 0;
}

/* --- bit plane ---------------------------------------------------------------------------------- */

/* Fields that lie whole in one byte of the bit plane; the bits of the others are spread over all. */
ZNL_INLINE unsigned whole_fields(unsigned low_bits)
{
    return 8 / low_bits * low_bits;
}

/* The low bits of a part of block f, in[] being that part of the superblock's first vector. */
TARGET ZNL_INLINE V load_whole_field(unsigned low_bits, const uint8_t *in, unsigned f)
{
    const unsigned in_a_byte = 8 / low_bits;
    const V bytes = LOAD(in + f / in_a_byte * BLOCK);
    return AND(SHIFT_RIGHT16(bytes, (int)(f % in_a_byte * low_bits)), SET8((1 << low_bits) - 1));
}

TARGET ZNL_INLINE V load_spread_field(unsigned low_bits, const uint8_t *in, unsigned f)
{
    V field = ZERO();
    for (unsigned k = 0; k < low_bits; k++)
        field = OR(field, AND(SHIFT_RIGHT16(LOAD(in + k * BLOCK), (int)(f - k)), SET8(1 << k)));
    return field;
}

/* Pack a part of eight fields into the same part of the superblock's vectors. */
TARGET ZNL_INLINE void store_fields(unsigned low_bits, const V fields[8], uint8_t *out)
{
    const unsigned in_a_byte = 8 / low_bits;
    for (unsigned v = 0; v < low_bits; v++) {
        V packed = fields[v * in_a_byte];
        for (unsigned k = 1; k < in_a_byte; k++)
            packed = OR(packed, SHIFT_LEFT16(fields[v * in_a_byte + k], (int)(k * low_bits)));
        for (unsigned f = whole_fields(low_bits); f < 8; f++)
            packed = OR(packed, AND(SHIFT_LEFT16(fields[f], (int)(f - v)), SET8(1 << f)));
        STORE(out + v * BLOCK, packed);
    }
}

/* --- split -------------------------------------------------------------------------------------- */

/* Bytes as numbers j, j + 32 of a part: even bytes of the lower halves, odd bytes of the upper. */
TARGET ZNL_INLINE V join_pairs(V low, V high)
{
    return OR(AND(low, SET16(255)), SHIFT_LEFT16(high, 8));
}

/* Transformed bytes of one-byte values. */
TARGET ZNL_INLINE V transform_bytes(const znl_layout *layout, V bytes)
{
    if (layout->transform == ZNL_OFFSET) return XOR(bytes, SET8(0x80));
    if (layout->transform == ZNL_PLAIN) return bytes;
    return OR(ADD8(bytes, bytes), AND(SHIFT_RIGHT16(bytes, 7), SET8(1)));
}

TARGET ZNL_INLINE V transform_tops(const znl_layout *layout, V tops)
{
    if (layout->transform != ZNL_ROTATE) return tops;
    return OR(ADD16(tops, tops), SHIFT_RIGHT16(tops, 15));
}

/* LANES values of 8 bytes as vectors of their first, second, third and last words. */
TARGET ZNL_INLINE void load_words(const uint8_t *in, V words[4])
{
    V half[2][2];
    for (unsigned h = 0; h < 2; h++, in += 32) { /* two values to a load, or four in two places */
        const V first = LOAD_HALVES(in, in + 64), second = LOAD_HALVES(in + 16, in + 80);
        const V even = UNPACK_LOW16(first, second), odd = UNPACK_HIGH16(first, second);
        half[h][0] = UNPACK_LOW16(even, odd);
        half[h][1] = UNPACK_HIGH16(even, odd);
    }
    for (unsigned w = 0; w < 2; w++) {
        words[2 * w] = UNPACK_LOW64(half[0][w], half[1][w]);
        words[2 * w + 1] = UNPACK_HIGH64(half[0][w], half[1][w]);
    }
}

/* LANES values: their transformed tops, and the words below these. */
TARGET ZNL_INLINE V load_tops(const znl_layout *layout, const uint8_t *in, V below[4])
{
    if (layout->width == 2) return transform_tops(layout, LOAD(in));
    if (layout->width == 8) {
        load_words(in, below);
        return transform_tops(layout, below[3]);
    }
    const V first = LOAD(in), second = LOAD(in + sizeof(V)), low = SET32(0xffff);
    below[0] = NARROW32(AND(first, low), AND(second, low));
    return transform_tops(layout, NARROW32(SHIFT_RIGHT32(first, 16), SHIFT_RIGHT32(second, 16)));
}

/* A part of a block of values with tops of 16 bits; returns its low bits. */
TARGET ZNL_INLINE V split_tops(const znl_layout *layout, const uint8_t *in, uint16_t *symbols,
                               uint8_t *planes, size_t plane_nbytes)
{
    const unsigned raw_bits = raw_top_bits(layout), low_shift = raw_bits - layout->low_bits;
    V below_low[4], below_high[4];
    const V low = load_tops(layout, in, below_low);
    const V high = load_tops(layout, in + PAIRS * layout->width, below_high);
    STORE(symbols, SHIFT_RIGHT16(low, (int)raw_bits));
    STORE(symbols + PAIRS, SHIFT_RIGHT16(high, (int)raw_bits));
    for (unsigned w = 0; w < words_below_top(layout); w++, planes += 2 * plane_nbytes) {
        STORE(planes, join_pairs(below_low[w], below_high[w]));
        STORE(planes + plane_nbytes,
              OR(SHIFT_RIGHT16(below_low[w], 8), AND(below_high[w], SET16(0xff00))));
    }
    if (low_shift) STORE(planes, join_pairs(low, high));
    return AND(join_pairs(SHIFT_RIGHT16(low, (int)low_shift), SHIFT_RIGHT16(high, (int)low_shift)),
               SET8((1 << layout->low_bits) - 1));
}

/* Two parts of a block of one-byte values. */
TARGET ZNL_INLINE void split_bytes(const znl_layout *layout, const uint8_t *in, uint16_t *symbols,
                                   V *fields)
{
    const int raw_bits = (int)raw_top_bits(layout);
    V pairs[2];
    INTERLEAVE8(LOAD(in), LOAD(in + PAIRS), pairs[0], pairs[1]);
    for (unsigned p = 0; p < 2; p++, symbols += LANES) {
        const V bytes = transform_bytes(layout, pairs[p]);
        STORE(symbols, AND(SHIFT_RIGHT16(bytes, raw_bits), SET16((1 << layout->symbol_bits) - 1)));
        STORE(symbols + PAIRS, SHIFT_RIGHT16(bytes, raw_bits + 8));
        fields[p * 8] = AND(bytes, SET8((1 << layout->low_bits) - 1));
    }
}

TARGET ZNL_INLINE void split(const znl_layout *layout, const uint8_t *in, uint16_t *symbols,
                             uint8_t *planes, size_t plane_nbytes, uint8_t *bit_plane)
{
    V fields[PARTS][8];
    for (unsigned f = 0; f < 8; f++, in += BLOCK * layout->width, symbols += BLOCK) {
        if (layout->width == 1)
            for (unsigned p = 0; p < PARTS; p += 2)
                split_bytes(layout, in + LANES * p, symbols + LANES * p, &fields[p][f]);
        else
            for (unsigned p = 0; p < PARTS; p++)
                fields[p][f] =
                    split_tops(layout, in + LANES * p * layout->width, symbols + LANES * p,
                               planes + BLOCK * f + 2 * LANES * p, plane_nbytes);
    }
    if (layout->low_bits == 0) return;
    for (unsigned p = 0; p < PARTS; p++)
        store_fields(layout->low_bits, fields[p], bit_plane + 2 * LANES * p);
}

/* --- merge -------------------------------------------------------------------------------------- */

TARGET ZNL_INLINE V restore_bytes(const znl_layout *layout, V bytes)
{
    if (layout->transform == ZNL_OFFSET) return XOR(bytes, SET8(0x80));
    if (layout->transform == ZNL_PLAIN) return bytes;
    return OR(AND(SHIFT_RIGHT16(bytes, 1), SET8(0x7f)), AND(SHIFT_LEFT16(bytes, 7), SET8(0x80)));
}

TARGET ZNL_INLINE V restore_tops(const znl_layout *layout, V tops)
{
    if (layout->transform != ZNL_ROTATE) return tops;
    return OR(SHIFT_RIGHT16(tops, 1), SHIFT_LEFT16(tops, 15));
}

/* The inverse of load_tops. */
TARGET ZNL_INLINE void store_tops(const znl_layout *layout, V tops, const V below[3], uint8_t *out)
{
    tops = restore_tops(layout, tops);
    if (layout->width == 2) STORE(out, tops);
    if (layout->width == 4) STORE_INTERLEAVED16(out, below[0], tops);
    if (layout->width == 8) {
        const V first[2] = {UNPACK_LOW16(below[0], below[1]), UNPACK_HIGH16(below[0], below[1])};
        const V second[2] = {UNPACK_LOW16(below[2], tops), UNPACK_HIGH16(below[2], tops)};
        for (unsigned h = 0; h < 2; h++, out += 32) {
            STORE_HALVES(out, out + 64, UNPACK_LOW32(first[h], second[h]));
            STORE_HALVES(out + 16, out + 80, UNPACK_HIGH32(first[h], second[h]));
        }
    }
}

/* A part of a block of values with tops of 16 bits. */
TARGET ZNL_INLINE void merge_tops(const znl_layout *layout, const uint16_t *symbols,
                                  const uint8_t *planes, size_t plane_nbytes, V field, uint8_t *out)
{
    const unsigned raw_bits = raw_top_bits(layout), low_shift = raw_bits - layout->low_bits;
    const V even = SET16(255), odd = SET16(0xff00);
    V below_low[3], below_high[3];
    for (unsigned w = 0; w < words_below_top(layout); w++, planes += 2 * plane_nbytes) {
        const V first = LOAD(planes), second = LOAD(planes + plane_nbytes);
        below_low[w] = OR(AND(first, even), SHIFT_LEFT16(second, 8));
        below_high[w] = OR(SHIFT_RIGHT16(first, 8), AND(second, odd));
    }
    V low = OR(SHIFT_LEFT16(LOAD(symbols), (int)raw_bits),
               SHIFT_LEFT16(AND(field, even), (int)low_shift));
    V high = OR(SHIFT_LEFT16(LOAD(symbols + PAIRS), (int)raw_bits),
                SHIFT_LEFT16(SHIFT_RIGHT16(field, 8), (int)low_shift));
    if (low_shift) {
        const V bytes = LOAD(planes);
        low = OR(low, AND(bytes, even));
        high = OR(high, SHIFT_RIGHT16(bytes, 8));
    }
    store_tops(layout, low, below_low, out);
    store_tops(layout, high, below_high, out + PAIRS * layout->width);
}

/* A part of a block of one-byte values, in pair order. */
TARGET ZNL_INLINE V merge_bytes(const znl_layout *layout, const uint16_t *symbols, V field)
{
    const V pairs = OR(LOAD(symbols), SHIFT_LEFT16(LOAD(symbols + PAIRS), 8));
    return restore_bytes(layout, OR(SHIFT_LEFT16(pairs, (int)raw_top_bits(layout)), field));
}

TARGET ZNL_INLINE void merge_block(const znl_layout *layout, const uint16_t *symbols,
                                   const uint8_t *planes, size_t plane_nbytes,
                                   const V fields[PARTS], uint8_t *out)
{
    if (layout->width != 1) {
        for (unsigned p = 0; p < PARTS; p++)
            merge_tops(layout, symbols + LANES * p, planes + 2 * LANES * p, plane_nbytes, fields[p],
                       out + LANES * p * layout->width);
        return;
    }
    for (unsigned p = 0; p < PARTS; p += 2, out += 2 * LANES) {
        const V first = merge_bytes(layout, symbols + LANES * p, fields[p]);
        const V second = merge_bytes(layout, symbols + LANES * (p + 1), fields[p + 1]);
        STORE(out, NARROW16(AND(first, SET16(255)), AND(second, SET16(255))));
        STORE(out + PAIRS, NARROW16(SHIFT_RIGHT16(first, 8), SHIFT_RIGHT16(second, 8)));
    }
}

TARGET ZNL_INLINE void merge(const znl_layout *layout, const uint16_t *symbols,
                             const uint8_t *planes, size_t plane_nbytes, const uint8_t *bit_plane,
                             uint8_t *out)
{
    const unsigned low_bits = layout->low_bits;
    const unsigned whole = low_bits ? whole_fields(low_bits) : 8;
    for (unsigned f = 0; f < 8; f++) {
        V fields[PARTS];
        for (unsigned p = 0; p < PARTS; p++) {
            const uint8_t *in = bit_plane + 2 * LANES * p;
            fields[p] = low_bits == 0 ? ZERO()
                        : f < whole   ? load_whole_field(low_bits, in, f)
                                      : load_spread_field(low_bits, in, f);
        }
        merge_block(layout, symbols + BLOCK * f, planes + BLOCK * f, plane_nbytes, fields,
                    out + BLOCK * f * layout->width);
    }
}

#define VALUES (ZNL_SUPERBLOCK_BLOCKS * BLOCK)

/* --- kernels ------------------------------------------------------------------------------------ */

/* Run CALL with a constant layout equal to *layout, so that the compiler sees every shift and width. */
#define SPECIALISE(code, w, t, s, p, b)                                                            \
    if (layout->width == (w) && layout->transform == (t) && layout->symbol_bits == (s)) {          \
        static const znl_layout fixed = {w, t, s, p, b};                                           \
        CALL(&fixed);                                                                              \
    }

TARGET static void split_superblocks(const znl_layout *layout, const uint8_t *in, size_t count,
                                     uint16_t *symbols, uint8_t *planes, size_t plane_nbytes,
                                     uint8_t *bit_plane)
{
#define CALL(fixed)                                                                                \
    for (size_t s = 0; s < count; s++)                                                             \
        split(fixed, in + s * VALUES * (fixed)->width, symbols + s * VALUES, planes + s * VALUES,  \
              plane_nbytes, bit_plane + s * BLOCK * (fixed)->low_bits);                            \
    return
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
}

TARGET void SPLIT(const znl_layout *layout, const uint8_t *in, size_t block_count,
                  uint16_t *symbols, uint8_t *planes, size_t plane_nbytes, uint8_t *bit_plane)
{
    const size_t whole = block_count / ZNL_SUPERBLOCK_BLOCKS, first = whole * VALUES;
    split_superblocks(layout, in, whole, symbols, planes, plane_nbytes, bit_plane);
    if (block_count % ZNL_SUPERBLOCK_BLOCKS)
        znl_split_scalar(layout, in + first * layout->width, block_count % ZNL_SUPERBLOCK_BLOCKS,
                         symbols + first, planes + first, plane_nbytes,
                         bit_plane + whole * BLOCK * layout->low_bits);
}

TARGET static void merge_superblocks(const znl_layout *layout, const uint16_t *symbols,
                                     const uint8_t *planes, size_t plane_nbytes, size_t count,
                                     const uint8_t *bit_plane, uint8_t *out)
{
#define CALL(fixed)                                                                                \
    for (size_t s = 0; s < count; s++)                                                             \
        merge(fixed, symbols + s * VALUES, planes + s * VALUES, plane_nbytes,                      \
              bit_plane + s * BLOCK * (fixed)->low_bits, out + s * VALUES * (fixed)->width);       \
    return
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
}

TARGET int MERGE(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                 size_t plane_nbytes, size_t block_count, const uint8_t *bit_plane, uint8_t *out)
{
    const size_t whole = block_count / ZNL_SUPERBLOCK_BLOCKS, first = whole * VALUES;
    merge_superblocks(layout, symbols, planes, plane_nbytes, whole, bit_plane, out);
    if (block_count % ZNL_SUPERBLOCK_BLOCKS == 0) return ZNL_OK;
    return znl_merge_scalar(
        layout, symbols + first, planes + first, plane_nbytes, block_count % ZNL_SUPERBLOCK_BLOCKS,
        bit_plane + whole * BLOCK * layout->low_bits, out + first * layout->width);
}
