# SPDX-License-Identifier: Apache-2.0
"""Tables (docs/format.md, sections 5.5, 6.1 and 6.2): frequencies, slots, universal shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zipnn_like.errors import Where
from zipnn_like.reference.records import check
from zipnn_like.reference.xxh3 import xxh3_64

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

# Section 5: "32 symbols, 12-bit frequencies".
SYMBOLS = 32
TABLE_BITS = 12
TABLE_SIZE = 1 << TABLE_BITS
BUCKET_SLOTS = TABLE_SIZE // SYMBOLS
# Section 6.2: "With bit 63 set it is the name of a table".
NAMED = 1 << 63
# Section 6.2: "Otherwise it must be below 65,536 and is a universal table".
UNIVERSAL = 65_536
# Section 6.2: "Shapes 0 to 3 are a normal distribution ...".
SHAPES = tuple(
    tuple(map(int, row.split()))
    for row in """
1 1 1 1 2 2 3 3 6 6 13 13 26 26 51 51 102 101 202 199 389 371 670 556 746 361 175 11 1 1 1 4
1 1 1 1 1 1 3 3 5 5 11 11 21 21 43 43 86 85 170 169 331 321 597 523 788 469 331 45 3 1 1 4
1 1 1 1 1 1 2 2 5 5 9 9 18 18 36 36 72 72 143 143 282 275 523 476 776 538 505 120 19 1 1 4
1 1 1 1 1 1 2 2 4 4 8 8 15 15 30 30 61 61 121 120 238 235 453 424 730 565 654 234 70 1 1 4
1 1 1 1 3 3 6 6 11 11 22 22 44 44 86 84 162 155 290 266 466 390 599 422 504 249 183 45 13 1 1 4
1 1 1 1 2 2 5 5 9 9 19 19 37 37 73 71 139 134 253 235 420 362 579 431 559 308 264 80 32 3 1 4
1 1 1 1 2 2 4 4 8 8 16 16 31 31 62 61 118 115 219 206 375 331 549 428 589 359 350 129 65 9 1 4
1 1 1 1 2 2 3 3 7 7 13 13 26 26 52 51 101 98 189 179 331 298 510 413 605 398 433 187 115 21 5 4
1 1 1 1 3 3 6 6 12 12 23 23 46 46 92 92 182 179 346 325 574 465 641 370 347 137 97 31 20 6 4 4
1 1 1 1 2 2 5 5 10 10 19 19 39 39 78 77 154 152 297 284 518 442 660 422 436 187 140 46 30 9 6 4
1 1 1 1 2 2 4 4 8 8 16 16 33 33 65 65 130 129 253 245 459 408 652 457 521 246 196 68 45 14 9 4
1 1 1 1 2 2 3 3 7 7 14 14 28 28 55 55 110 109 215 210 401 368 619 471 592 310 266 98 67 21 13 4
1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 14 226 3586 226 14 1 1 1 1 4
1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 2 10 38 153 614 2438 614 153 38 10 2 1 4
1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 3 5 11 21 43 86 171 343 686 1358 686 343 171 86 43 21 4
1 1 1 2 2 3 4 5 6 8 11 15 20 27 36 48 63 85 113 150 200 267 356 475 632 475 356 267 200 150 113 4
""".strip().splitlines()
)


@dataclass(frozen=True)
class Table:
    """Section 5.5: frequencies of 32 symbols, and the symbol values they stand for."""

    frequencies: tuple[int, ...]
    base: int
    zero: bool
    head: bytes = b""  # of the TABLE record; empty for a universal table

    @property
    def name(self) -> int:
        """Section 6.1: "XXH3-64 of the head with bit 63 set"."""
        return xxh3_64(self.head) | NAMED

    def symbol_values(self, symbol_bits: int) -> U64:
        """ "(base + s) mod 2^S, except symbol 31 when `zero` is set: it stands for 0"."""
        values = (self.base + np.arange(SYMBOLS, dtype=np.uint64)) % np.uint64(1 << symbol_bits)
        if self.zero:
            values[31] = 0
        return values


def parse_table(head: bytes, where: Where, start: int) -> Table:
    """Section 6.1. `start` is the head's offset in the stream, for messages."""
    bits = int.from_bytes(head, "little")
    first, position = bits & 0xFFFF, 16
    check(first >> 12 & 7 == 0, where, start, "bits 12 to 14 zero", f"{first:#06x}")
    frequencies = []
    for symbol in range(SYMBOLS):
        # "4 bits c, then c bits d; f[s] = 2^c + d; c must be at most 11"
        c = bits >> position & 15
        check(c <= 11, where, start + position // 8, f"c of symbol {symbol} up to 11", c)
        frequencies.append((1 << c) + (bits >> position + 4 & (1 << c) - 1))
        position += 4 + c
    # "the size must be exactly what the fields take", "padding must be zero"
    expected = (position + 31) // 32 * 4
    check(len(head) == expected, where, start, f"a head of {expected} bytes", len(head))
    check(bits >> position == 0, where, start + position // 8, "zero padding", "other bits")
    total = sum(frequencies)
    check(total == TABLE_SIZE, where, start, f"frequencies with sum {TABLE_SIZE}", total)
    return Table(tuple(frequencies), first & 0xFFF, bool(first >> 15), head)


def slot_owners(frequencies: Sequence[int]) -> tuple[U8, U32]:
    """Section 5.5: the symbol that owns each of the 4096 slots, and its index there."""
    rem = list(frequencies)
    alias = list(range(SYMBOLS))
    thr = [BUCKET_SLOTS] * SYMBOLS
    small = [s for s in range(SYMBOLS) if rem[s] < BUCKET_SLOTS]
    large = [s for s in range(SYMBOLS) if rem[s] >= BUCKET_SLOTS]
    while small and large:
        b = small.pop()
        top = large[-1]
        thr[b] = rem[b]
        alias[b] = top
        rem[top] -= BUCKET_SLOTS - rem[b]
        if rem[top] < BUCKET_SLOTS:
            small.append(large.pop())

    symbols = np.empty(TABLE_SIZE, np.uint8)
    indices = np.empty(TABLE_SIZE, np.uint32)
    next_index = list(thr)
    for b in range(SYMBOLS):
        start, split, end = BUCKET_SLOTS * b, BUCKET_SLOTS * b + thr[b], BUCKET_SLOTS * (b + 1)
        symbols[start:split] = b
        indices[start:split] = np.arange(thr[b])
        # "index r + off[b]" with off[b] = next[alias[b]] - thr[b], for r = thr[b] to 127
        count = end - split
        symbols[split:end] = alias[b]
        indices[split:end] = next_index[alias[b]] + np.arange(count)
        next_index[alias[b]] += count
    return symbols, indices


def universal_table(reference: int) -> Table:
    """Section 6.2: "bits 0 to 11 are `base`, bits 12 to 15 the shape", "the `zero` flag is set"."""
    return Table(SHAPES[reference >> 12], reference & 0xFFF, True)
