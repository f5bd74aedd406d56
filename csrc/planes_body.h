/* SPDX-License-Identifier: Apache-2.0 */
/* The planes kernels, written once: each planes_*.c includes this text under the instruction set that it
 * is named for, and the compiler makes vectors of the loops over the 32 pairs of a block. Not a header
 * for others. */

#define BLOCK ZNL_BLOCK_VALUES
#define PAIRS (ZNL_BLOCK_VALUES / 2)

ZNL_INLINE unsigned top_bits(const znl_layout *layout)
{
    return layout->width == 1 ? 8 : 16;
}

ZNL_INLINE unsigned raw_top_bits(const znl_layout *layout)
{
    return top_bits(layout) - layout->symbol_bits;
}

/* Bytes of a value below its top, each a plane of its own. */
ZNL_INLINE unsigned bytes_below_top(const znl_layout *layout)
{
    return layout->width > 2 ? layout->width - 2u : 0;
}

ZNL_INLINE uint16_t transform_top(const znl_layout *layout, unsigned top)
{
    const unsigned bits = top_bits(layout);
    if (layout->transform == ZNL_ROTATE)
        return (uint16_t)((top << 1 | top >> (bits - 1)) & ((1u << bits) - 1));
    if (layout->transform == ZNL_OFFSET) return (uint16_t)(top ^ 1u << (bits - 1));
    return (uint16_t)top;
}

/* The transformed tops of a block's values. */
ZNL_INLINE void load_tops(const znl_layout *layout, const uint8_t *in, uint16_t tops[BLOCK])
{
    const unsigned width = layout->width;
    for (unsigned j = 0; j < BLOCK; j++) {
        const unsigned top = width == 1   ? in[j]
                             : width == 2 ? load_u16le(in + 2 * j)
                             : width == 4 ? load_u32le(in + 4 * j) >> 16
                                          : (unsigned)(load_u64le(in + 8 * j) >> 48);
        tops[j] = transform_top(layout, top);
    }
}

/* Pack the low bits of up to 8 blocks, in pair order, into the vectors of a superblock. */
ZNL_INLINE void pack_superblock(unsigned low_bits, uint8_t fields[8][BLOCK], uint8_t *out,
                                unsigned vectors)
{
    const unsigned in_a_byte = 8 / low_bits, direct = in_a_byte * low_bits;
    for (unsigned v = 0; v < vectors; v++) {
        uint8_t packed[BLOCK] = {0};
        for (unsigned f = 0; f < in_a_byte; f++)
            for (unsigned i = 0; i < BLOCK; i++)
                packed[i] = (uint8_t)(packed[i] | fields[v * in_a_byte + f][i] << (f * low_bits));
        for (unsigned f = direct; f < 8; f++)
            for (unsigned i = 0; i < BLOCK; i++)
                packed[i] = (uint8_t)(packed[i] | (fields[f][i] >> v & 1) << f);
        memcpy(out + v * BLOCK, packed, BLOCK);
    }
}

/* Split one block; fields: its low bits in pair order. */
ZNL_INLINE void split_block(const znl_layout *layout, const uint8_t *in, uint16_t *symbols,
                            uint8_t *planes, size_t plane_nbytes, uint8_t fields[BLOCK])
{
    const unsigned width = layout->width, below = bytes_below_top(layout);
    const unsigned raw_bits = raw_top_bits(layout), low_shift = raw_bits - layout->low_bits;
    const unsigned mask = (1u << layout->low_bits) - 1;
    uint16_t tops[BLOCK];
    load_tops(layout, in, tops);
    for (unsigned j = 0; j < BLOCK; j++) symbols[j] = (uint16_t)(tops[j] >> raw_bits);
    for (unsigned j = 0; j < PAIRS; j++) {
        const unsigned low = (unsigned)tops[j] >> low_shift & mask,
                       high = (unsigned)tops[PAIRS + j] >> low_shift & mask;
        store_u16le(fields + 2 * j, (uint16_t)(low | high << 8));
    }
    if (low_shift)
        for (unsigned j = 0; j < PAIRS; j++)
            store_u16le(planes + below * plane_nbytes + 2 * j,
                        (uint16_t)((tops[j] & 255) | tops[PAIRS + j] << 8));
    for (unsigned p = 0; p < below; p++)
        for (unsigned j = 0; j < PAIRS; j++)
            store_u16le(planes + p * plane_nbytes + 2 * j,
                        (uint16_t)(in[j * width + p] | in[(PAIRS + j) * width + p] << 8));
}

ZNL_INLINE void split(const znl_layout *layout, const uint8_t *in, size_t block_count,
                      uint16_t *symbols, uint8_t *planes, size_t plane_nbytes, uint8_t *bit_plane)
{
    uint8_t fields[8][BLOCK];
    const unsigned low_bits = layout->low_bits;
    for (size_t f = 0; f < block_count; f++)
        split_block(layout, in + f * BLOCK * layout->width, symbols + f * BLOCK, planes + f * BLOCK,
                    plane_nbytes, fields[f]);
    if (low_bits == 0) return;
    if (block_count == 8) {
        pack_superblock(low_bits, fields, bit_plane, low_bits);
        return;
    }
    memset(fields[block_count], 0, (8 - block_count) * BLOCK);
    pack_superblock(low_bits, fields, bit_plane,
                    (unsigned)(znl_bit_plane_nbytes(block_count, low_bits) / BLOCK));
}

/* Run CALL with a constant layout equal to *layout, so that the compiler sees every shift and width. */
#define SPECIALISE(code, w, t, s, p, b)                                                            \
    if (layout->width == (w) && layout->transform == (t) && layout->symbol_bits == (s)) {          \
        static const znl_layout fixed = {w, t, s, p, b};                                           \
        CALL(&fixed);                                                                              \
    }

ZNL_INLINE void split_all(const znl_layout *layout, const uint8_t *in, size_t block_count,
                          uint16_t *symbols, uint8_t *planes, size_t plane_nbytes,
                          uint8_t *bit_plane)
{
    for (size_t block = 0; block < block_count; block += ZNL_SUPERBLOCK_BLOCKS) {
        const size_t left = block_count - block, first = block * BLOCK;
        split(layout, in + first * layout->width,
              left < ZNL_SUPERBLOCK_BLOCKS ? left : ZNL_SUPERBLOCK_BLOCKS, symbols + first,
              planes + first, plane_nbytes, bit_plane + first / 8 * layout->low_bits);
    }
}

void SPLIT(const znl_layout *layout, const uint8_t *in, size_t block_count, uint16_t *symbols,
           uint8_t *planes, size_t plane_nbytes, uint8_t *bit_plane)
{
#define CALL(fixed)                                                                                \
    split_all(fixed, in, block_count, symbols, planes, plane_nbytes, bit_plane);                   \
    return
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
}

#ifdef MERGE

ZNL_INLINE uint16_t restore_top(const znl_layout *layout, unsigned turned)
{
    const unsigned bits = top_bits(layout);
    if (layout->transform == ZNL_ROTATE)
        return (uint16_t)((turned >> 1 | turned << (bits - 1)) & ((1u << bits) - 1));
    if (layout->transform == ZNL_OFFSET) return (uint16_t)(turned ^ 1u << (bits - 1));
    return (uint16_t)turned;
}

/* The 64 bytes of a block in pair order as 32 numbers: value j below, value 32 + j above. */
ZNL_INLINE void load_pairs(const uint8_t *in, uint16_t pairs[PAIRS])
{
    for (unsigned j = 0; j < PAIRS; j++) pairs[j] = load_u16le(in + 2 * j);
}

/* The inverse for a whole superblock. */
ZNL_INLINE void unpack_superblock(unsigned low_bits, const uint8_t *in, unsigned vectors,
                                  uint8_t fields[8][BLOCK])
{
    const unsigned in_a_byte = 8 / low_bits, direct = in_a_byte * low_bits;
    const uint8_t mask = (uint8_t)((1u << low_bits) - 1);
    for (unsigned f = vectors * in_a_byte; f < 8; f++) memset(fields[f], 0, BLOCK);
    for (unsigned v = 0; v < vectors; v++) {
        const uint8_t *packed = in + v * BLOCK;
        for (unsigned f = 0; f < in_a_byte; f++)
            for (unsigned i = 0; i < BLOCK; i++)
                fields[v * in_a_byte + f][i] = (uint8_t)(packed[i] >> (f * low_bits) & mask);
        for (unsigned f = direct; f < 8; f++)
            for (unsigned i = 0; i < BLOCK; i++)
                fields[f][i] = (uint8_t)(fields[f][i] | (packed[i] >> f & 1) << v);
    }
}

/* Merge one block. */
ZNL_INLINE void merge_block(const znl_layout *layout, const uint16_t *symbols,
                            const uint8_t *planes, size_t plane_nbytes, const uint8_t fields[BLOCK],
                            uint8_t *out)
{
    const unsigned width = layout->width, below = bytes_below_top(layout);
    const unsigned raw_bits = raw_top_bits(layout), low_shift = raw_bits - layout->low_bits;
    uint16_t pairs[PAIRS], tops[BLOCK];
    for (unsigned j = 0; j < BLOCK; j++) tops[j] = (uint16_t)(symbols[j] << raw_bits);
    if (layout->low_bits) {
        load_pairs(fields, pairs);
        for (unsigned j = 0; j < PAIRS; j++) {
            tops[j] = (uint16_t)(tops[j] | (pairs[j] & 255) << low_shift);
            tops[PAIRS + j] = (uint16_t)(tops[PAIRS + j] | (pairs[j] >> 8) << low_shift);
        }
    }
    if (low_shift) {
        load_pairs(planes + below * plane_nbytes, pairs);
        for (unsigned j = 0; j < PAIRS; j++) {
            tops[j] = (uint16_t)(tops[j] | (pairs[j] & 255));
            tops[PAIRS + j] = (uint16_t)(tops[PAIRS + j] | pairs[j] >> 8);
        }
    }
    for (unsigned j = 0; j < BLOCK; j++) tops[j] = restore_top(layout, tops[j]);
    if (width == 1)
        for (unsigned j = 0; j < BLOCK; j++) out[j] = (uint8_t)tops[j];
    if (width == 2)
        for (unsigned j = 0; j < BLOCK; j++) store_u16le(out + 2 * j, tops[j]);
    if (width == 4) {
        uint16_t first[PAIRS], second[PAIRS];
        load_pairs(planes, first);
        load_pairs(planes + plane_nbytes, second);
        for (unsigned j = 0; j < PAIRS; j++) {
            const unsigned low = (first[j] & 255u) | (second[j] & 255u) << 8;
            const unsigned high = (unsigned)(first[j] >> 8) | (second[j] & 0xff00u);
            store_u32le(out + 4 * j, low | (uint32_t)tops[j] << 16);
            store_u32le(out + 4 * (PAIRS + j), high | (uint32_t)tops[PAIRS + j] << 16);
        }
    }
    if (width == 8)
        for (unsigned half = 0; half < 2; half++)
            for (unsigned j = 0; j < PAIRS; j++) {
                uint64_t value = (uint64_t)tops[half * PAIRS + j] << 48;
                for (unsigned p = 0; p < 6; p++)
                    value |= (uint64_t)planes[p * plane_nbytes + 2 * j + half] << (8 * p);
                store_u64le(out + 8 * (half * PAIRS + j), value);
            }
}

ZNL_INLINE int merge(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                     size_t plane_nbytes, size_t block_count, const uint8_t *bit_plane,
                     uint8_t *out)
{
    uint8_t fields[8][BLOCK];
    const unsigned low_bits = layout->low_bits;
    unsigned stray = 0;
    if (low_bits && block_count == 8) unpack_superblock(low_bits, bit_plane, low_bits, fields);
    if (low_bits && block_count < 8) {
        unpack_superblock(low_bits, bit_plane,
                          (unsigned)(znl_bit_plane_nbytes(block_count, low_bits) / BLOCK), fields);
        for (size_t f = block_count; f < 8; f++)
            for (unsigned i = 0; i < BLOCK; i++) stray |= fields[f][i];
    }
    for (size_t f = 0; f < block_count; f++)
        merge_block(layout, symbols + f * BLOCK, planes + f * BLOCK, plane_nbytes, fields[f],
                    out + f * BLOCK * layout->width);
    return stray ? ZNL_E_BAD_PADDING : ZNL_OK;
}

ZNL_INLINE int merge_all(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
                         size_t plane_nbytes, size_t block_count, const uint8_t *bit_plane,
                         uint8_t *out)
{
    int status = ZNL_OK;
    for (size_t block = 0; block < block_count; block += ZNL_SUPERBLOCK_BLOCKS) {
        const size_t left = block_count - block, first = block * BLOCK;
        const int found =
            merge(layout, symbols + first, planes + first, plane_nbytes,
                  left < ZNL_SUPERBLOCK_BLOCKS ? left : ZNL_SUPERBLOCK_BLOCKS,
                  bit_plane + first / 8 * layout->low_bits, out + first * layout->width);
        if (found != ZNL_OK) status = found;
    }
    return status;
}

int MERGE(const znl_layout *layout, const uint16_t *symbols, const uint8_t *planes,
          size_t plane_nbytes, size_t block_count, const uint8_t *bit_plane, uint8_t *out)
{
#define CALL(fixed)                                                                                \
    return merge_all(fixed, symbols, planes, plane_nbytes, block_count, bit_plane, out)
    ZNL_FOR_EACH_LAYOUT(SPECIALISE)
#undef CALL
    return ZNL_E_BAD_CALL;
}

#endif
