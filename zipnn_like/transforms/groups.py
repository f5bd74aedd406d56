# SPDX-License-Identifier: Apache-2.0
"""Several small numbers in a byte, as digits of one: masks and indices of short palettes."""

from __future__ import annotations

import numpy as np

from .costs import byte_bits, counts_of, zstd_share
from .parts import MODE_AT, PARTS_AT, U8, check_field

CODED = 32  # symbols that the static coder has
MOST = 8  # digits of a byte
_BYTE = 256


def group_sizes(base: int) -> list[int]:
    """How many numbers below `base` may share a byte: as many as the coder takes, or fit in."""
    limits = (CODED // 2, CODED, _BYTE)
    return sorted({most_in_a_byte(base, limit) for limit in limits})


def most_in_a_byte(base: int, limit: int = _BYTE) -> int:
    """How many numbers below `base` make less than `limit` together; 1 where not even one does."""
    return max((size for size in range(1, MOST + 1) if base**size <= limit), default=1)


def check_group(size: int, base: int) -> None:
    """Raise UnfitError unless that many numbers below `base` fit a byte."""
    most = most_in_a_byte(base)
    check_field(1 <= size <= most, MODE_AT, f"1 to {most} numbers a byte", size)


def packed_nbytes(count: int, size: int) -> int:
    """Bytes of `count` numbers."""
    return -(-count // size)


def pack(numbers: U8, base: int, size: int) -> U8:
    """Numbers below `base`, the first of each byte as its lowest digit; zeros fill the last one."""
    if size == 1:
        return numbers
    if base == 2 and size == MOST:
        return np.packbits(numbers, bitorder="little")
    whole = packed_nbytes(len(numbers), size)
    digits = np.zeros(whole * size, np.uint8)
    digits[: len(numbers)] = numbers
    packed = np.zeros(whole, np.uint8)
    for place in range(size):
        packed += digits[place::size] * np.uint8(base**place)
    return packed


def unpack(packed: U8, base: int, size: int, count: int) -> U8:
    """The numbers again. Raises UnfitError for bytes that hold no such numbers."""
    if size == 1:
        most = int(packed.max())
        check_field(most < base, PARTS_AT, f"numbers below {base}", most)
        return packed
    if base == 2 and size == MOST:
        digits = np.unpackbits(packed, bitorder="little")
    else:
        most = int(packed.max())
        check_field(most < base**size, PARTS_AT, f"bytes below {base**size}", most)
        digits = np.take(_digits(base, size), packed, axis=0).reshape(-1)
    check_field(not digits[count:].any(), PARTS_AT, "zeros behind the last number", "others")
    return digits[:count]


def _digits(base: int, size: int) -> U8:
    """The digits of every byte in use."""
    numbers = np.arange(base**size)[:, None]
    digits: U8 = (numbers // base ** np.arange(size) % base).astype(np.uint8)
    return digits


def best_group(rows: U8, base: int, *, try_zstd: bool = False) -> tuple[float, int]:
    """Bits a number and how many numbers to a byte, from rows of numbers below `base`.

    try_zstd  the rows are long enough to tell what zstd finds in them
    """
    costs = []
    for size in group_sizes(base):
        usable = rows[:, : rows.shape[1] // size * size]
        if not usable.size:
            continue
        packed = pack(usable.reshape(-1), base, size)
        bits = byte_bits(counts_of(packed)) if size == 1 or base**size <= CODED else 8.0
        if try_zstd and size == most_in_a_byte(base):
            bits = min(bits, 8 * zstd_share(packed))
        costs.append((bits / size, size))
    return min(costs, default=(8.0, 1))
