# SPDX-License-Identifier: Apache-2.0
"""Bits that are not stored (docs/format.md, section 5.9): those of marked superblocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zipnn_like.errors import Where
from zipnn_like.reference.records import check
from zipnn_like.reference.static import BLOCK_VALUES, SUPERBLOCK, U8, Layout

# Section 5.8: "bit 16 `one_sign`; bit 17 `sign`, 0 unless `one_sign` is set; bits 18 to 23
# `shift` k, not 0 when `one_sign` is set (5.9)".
ONE_SIGN_BIT, SIGN_BIT, SHIFT_BIT, END_BIT = 16, 17, 18, 24
# Section 5.9: "values of 4 or 8 bytes (F32, C64, F64)".
MIN_WIDTH = 4
SUPERBLOCK_VALUES = SUPERBLOCK * BLOCK_VALUES


@dataclass(frozen=True)
class Announced:
    """Section 5.8, bits 16 to 23 of the arrangement's first field."""

    shift: int  # k
    one_sign: bool
    sign: int

    def mark_count(self, coded: int) -> int:
        """Section 5.9: "When k > 0, each of the ceil(B / 8) superblocks has a bit"."""
        return -(-coded // SUPERBLOCK_VALUES) if self.shift else 0


def read_announced(field: int, layout: Layout, where: Where, start: int) -> Announced:
    """Section 5.8, the bits after `part_count`. `start`: the field's offset in the stream."""
    shown, field = f"{field:#010x}", field & (1 << END_BIT) - 1
    one_sign, sign = field >> ONE_SIGN_BIT & 1, field >> SIGN_BIT & 1
    shift = field >> SHIFT_BIT & (1 << END_BIT - SHIFT_BIT) - 1
    # "otherwise the bits 16 to 23 of the first field must be zero"
    allowed = layout.width >= MIN_WIDTH or field >> ONE_SIGN_BIT == 0
    check(allowed, where, start, "bits 16 to 23 zero for this dtype", shown)
    check(one_sign >= sign, where, start, "no `sign` without `one_sign`", shown)
    check(shift > 0 or not one_sign, where, start, "no `one_sign` without a shift", shown)
    # "k is 0 to 8 P"
    most = 8 * layout.byte_planes
    check(shift <= most, where, start, f"a shift of at most {most}", shift)
    return Announced(shift, one_sign == 1, sign)


@dataclass(frozen=True)
class KnownBits:
    """Section 5.9: what is known of which values.

    marked  a bit for each superblock, or none without a shift
    coded   C
    """

    announced: Announced
    marked: U8
    coded: int

    def missing_bits(self, layout: Layout) -> list[int]:
        """Of each byte plane p, which lacks "its lowest r = min(8, max(0, k - 8 p)) bits"."""
        return [min(8, max(0, self.announced.shift - 8 * p)) for p in range(layout.byte_planes)]

    def missing_nbytes(self, layout: Layout) -> int:
        """By how much R is smaller than in section 5.4: "8 * (8 - r) bytes for each" block."""
        return int(self.marked_values().sum()) * sum(self.missing_bits(layout)) // 8

    def marked_values(self) -> npt.NDArray[np.bool_]:
        """Whether each coded value lies in a marked superblock."""
        if self.announced.shift == 0:
            return np.zeros(self.coded, np.bool_)
        return np.repeat(self.marked == 1, SUPERBLOCK_VALUES)[: self.coded]

    def with_whole_planes(self, stored: U8, layout: Layout) -> U8:
        """The raw section of section 5.4, with nothing missing, from the stored one."""
        pieces, position = [], 0
        of_superblocks = self.marked_values()[::SUPERBLOCK_VALUES].tolist()
        # "The byte planes are stored one after the other, and in each the superblocks in order"
        for missing in self.missing_bits(layout):
            for number, is_marked in enumerate(of_superblocks):
                count = min(SUPERBLOCK_VALUES, self.coded - number * SUPERBLOCK_VALUES)
                r = missing if is_marked else 0
                nbytes = count * (8 - r) // 8
                # "those bytes shifted right by r, as fields of 8 - r bits directly after one
                # another, lowest bit first (nothing when r is 8)"
                flat = np.unpackbits(stored[position : position + nbytes], bitorder="little")
                # "which a decoder takes to be zero"
                bits = np.zeros((count, 8), np.uint8)
                bits[:, r:] = flat.reshape(count, 8 - r)
                pieces.append(np.packbits(bits, axis=1, bitorder="little").reshape(-1))
                position += nbytes
        # "The bit plane follows as in 5.4"
        return np.concatenate([*pieces, stored[position:]])

    def with_signs(self, values: bytes, layout: Layout) -> bytes:
        """Each v in place of its v'. `values`: in arranged order, with the tail."""
        if not self.announced.one_sign:
            return values
        v = np.frombuffer(values, f"<u{layout.width}").astype(np.uint64)
        # "The values of other superblocks and of the tail are coded as they are."
        chosen = np.flatnonzero(self.marked_values())
        one, sign_bit = np.uint64(1), np.uint64(8 * layout.width - 1)
        # "A decoder gives v the sign bit `sign` and the bit 0 that is the sign bit of v'."
        others = v[chosen] & ~(one << sign_bit | one)
        v[chosen] = others | np.uint64(self.announced.sign) << sign_bit | v[chosen] >> sign_bit
        return v.astype(f"<u{layout.width}").tobytes()
