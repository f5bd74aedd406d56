# SPDX-License-Identifier: Apache-2.0
"""Second symbols (docs/format.md, section 5.10): low bits, or numbers of trailing zero bits."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zipnn_like.errors import Where
from zipnn_like.reference.records import check
from zipnn_like.reference.static import (
    BLOCK_VALUES,
    U8,
    U64,
    Counts,
    Lanes,
    Layout,
    Sections,
    bit_plane_nbytes,
    low_bits_of_plane,
    section_sizes,
    whole_raw_section,
)
from zipnn_like.reference.tables import Table

I64 = npt.NDArray[np.int64]

# Section 5.8: "bits 24 and 25 `second`, bits 26 to 29 M - 1 (5.10), both zero without second
# symbols; other bits zero".
SECOND_BIT, CONTEXTS_BIT, END_BIT = 24, 26, 30
# Section 5.10: 1, "the low bits of the value"; 2, "how many trailing zero bits its lower 16 bits
# have".
NONE, LOW_BITS, TRAILING_ZEROS = 0, 1, 2
# Section 5.10: "by 5.5 with S = 5".
NUMBER_BITS = 5
# Section 5.10: "All of a block of 64 use one table: [...] of the block's value 32 in second order."
DECIDING_VALUE = 32
# Section 5.10: "Let q be the lower 16 bits of the value v."
Q_BITS = 16


@dataclass(frozen=True)
class SecondSymbols:
    """Section 5.10: what the first field of the arrangement says of second symbols."""

    kind: int  # `second`
    context_count: int  # M, 0 without second symbols

    def bounds_nbytes(self) -> int:
        """Section 5.8: "4 * ceil((M - 1) / 2)", "otherwise nothing"."""
        return -(-max(self.context_count - 1, 0) // 2) * 4


def read_second(
    field: int, layout: Layout, shift: int, reference_count: int, where: Where, start: int
) -> SecondSymbols:
    """Section 5.8, the last bits of the first field.

    shift  k of the same field
    start  the field's offset in the stream, for messages
    """
    shown = f"{field:#010x}"
    check(field >> END_BIT == 0, where, start, f"bits {END_BIT} and 31 zero", shown)
    kind = field >> SECOND_BIT & (1 << CONTEXTS_BIT - SECOND_BIT) - 1
    above = field >> CONTEXTS_BIT & (1 << END_BIT - CONTEXTS_BIT) - 1  # M - 1
    if kind == NONE:
        check(above == 0, where, start, "bits 26 to 29 zero without second symbols", shown)
        return SecondSymbols(NONE, 0)
    # "F8_E5M2, F8_E4M3, F8_E5M2FNUZ, F8_E4M3FNUZ, I8, U8": those of one byte that have low bits
    with_low_bits = layout.width == 1 and layout.low_bits > 0
    # "F32, C64": those of four bytes
    with_zeros = layout.width == 4
    allowed = {LOW_BITS: with_low_bits, TRAILING_ZEROS: with_zeros}.get(kind, False)
    check(allowed, where, start, "second symbols that this dtype may have", kind)
    check(shift == 0, where, start, "no shift with second symbols", shift)
    # "M must be less than their number"
    context_count = above + 1
    fits = context_count < reference_count
    expected = f"fewer contexts than the {reference_count} references"
    check(fits, where, start, expected, context_count)
    return SecondSymbols(kind, context_count)


def read_bounds(
    packed: bytes,
    second: SecondSymbols,
    layout: Layout,
    class_count: int,
    where: Where,
    start: int,
) -> list[int]:
    """Section 5.10, the *bounds*. class_count: K. `start`: their offset in the stream."""
    fields = list(struct.unpack(f"<{len(packed) // 2}H", packed))
    bounds = fields[: max(second.context_count - 1, 0)]
    # "zero bytes pad them to a multiple of 4"
    padding = fields[len(bounds) :]
    check(not any(padding), where, start, "zero padding of the bounds", padding)
    before, limit = 0, class_count << layout.symbol_bits
    for number, bound in enumerate(bounds):
        # "must be at least 1 and below K * 2^S, each above the one before"
        fits = before < bound < limit
        check(fits, where, start + 2 * number, f"a bound from {before + 1} to {limit - 1}", bound)
        before = bound
    return bounds


def check_context_tables(tables: Sequence[Table], where: Where, start: int) -> None:
    """Section 5.10: "`base` of a context's table must be below 32". `start`: the body's offset."""
    most = max(table.base for table in tables)
    limit = 1 << NUMBER_BITS
    check(most < limit, where, start, f"tables of contexts with base below {limit}", most)


def raw_nbytes(
    body: bytes,
    second: SecondSymbols,
    counts: Counts,
    layout: Layout,
    map_nbytes: int,
    where: Where,
    start: int,
) -> int:
    """Section 5.10: R. `start`: the body's offset in the stream."""
    if second.kind == LOW_BITS:
        # "The bit plane is not stored: R is 0."
        return 0
    # "R is the size of both", of the fields and of the bit plane. "The size of the fields [...] is
    # what `body_nbytes` leaves for them"; the D bytes that travel "are all of the bit plane".
    plane_nbytes = bit_plane_nbytes(counts.blocks, layout.low_bits)
    least = sum(section_sizes(counts, layout, map_nbytes, plane_nbytes).values())
    enough = len(body) >= least
    check(enough, where, start, f"a body of at least {least} bytes", len(body))
    return len(body) - least + plane_nbytes


def second_order(contexts: I64) -> I64:
    """Section 5.10: numbers of the coded values "sorted by context, equal ones as they were"."""
    return np.argsort(contexts, kind="stable").astype(np.int64)


def contexts_of(symbol_values: U64, classes: U8, bounds: Sequence[int], symbol_bits: int) -> I64:
    """Section 5.10: the context of each coded value. symbol_bits: S."""
    levels = np.array(bounds, np.uint64)
    # "A bound q * 2^S + s says where a context begins: at symbol value s of class q."
    begun = sorted({0, *(bound >> symbol_bits for bound in bounds)})
    # "Let q be the highest class of a bound that is not above r, or 0 when there is none"
    places = np.searchsorted(np.array(begun), classes, side="right") - 1
    highest = np.array(begun, np.uint64)[places]
    # "the number of bounds that are not above q * 2^S + e"
    reached = (highest << np.uint64(symbol_bits)) + symbol_values
    return np.searchsorted(levels, reached, side="right").astype(np.int64)


def decode_numbers(
    lanes: Lanes,
    symbol_values: U64,
    classes: U8,
    bounds: Sequence[int],
    tables: Sequence[Table],
    layout: Layout,
) -> U64:
    """Section 5.10: the number that is each coded value's second symbol, in arranged order.

    lanes    as the first symbols left them
    classes  of the coded values: "the class r of its block"
    tables   one for each context
    """
    contexts = contexts_of(symbol_values, classes, bounds, layout.symbol_bits)
    order = second_order(contexts)
    # "All of a block of 64 use one table: that of reference K + c, c the context of the block's
    # value 32 in second order." There are 64 lanes, so a block is a step.
    of_blocks = contexts[order].reshape(-1, BLOCK_VALUES)[:, DECIDING_VALUE].astype(np.uint8)
    symbols = lanes.decode(tables, of_blocks)
    # "The number that a second symbol means is its symbol value by 5.5 with S = 5"
    by_context = np.array([table.symbol_values(NUMBER_BITS) for table in tables])
    numbers = np.empty_like(symbol_values)
    # "symbol C + j is that of value j in second order"
    numbers[order] = by_context[np.repeat(of_blocks, BLOCK_VALUES), symbols]
    return numbers


def lower_planes(zeros: U64, fields: U8, where: Where, start: int) -> list[U64]:
    """Section 5.10: q of all coded values, as its lower and its upper bytes.

    zeros   z of each
    fields  with their padding
    start   offset of the fields in the stream
    """
    # "it must be at most 16"
    most = int(zeros.max())
    check(most <= Q_BITS, where, start, f"at most {Q_BITS} trailing zero bits", most)
    # "the 15 - z bits of q above its lowest one bit (nothing when z is 15 or 16), lowest bit first,
    # directly after one another, then zero bits (which must be zero) up to a multiple of 8 bytes"
    numbers, z = np.arange(Q_BITS)[None, :], zeros.astype(np.int64)[:, None]
    above = numbers > z
    count = int(above.sum())
    expected = -(-count // 64) * 8
    check(len(fields) == expected, where, start, f"{expected} bytes of fields", len(fields))
    flat = np.unpackbits(fields, bitorder="little")
    check(not flat[count:].any(), where, start, "zero padding of the fields", "1")
    # "The number z is that of the zero bits of q below its lowest one bit, and 16 when q is 0"
    bits = (numbers == z).astype(np.uint8)
    bits[above] = flat[:count]
    planes = np.packbits(bits, axis=1, bitorder="little").astype(np.uint64)
    return [planes[:, 0], planes[:, 1]]


def planes_and_low_bits(
    second: SecondSymbols,
    numbers: U64,
    lanes: Lanes,
    counts: Counts,
    sections: Sections,
    layout: Layout,
    where: Where,
) -> tuple[list[U64], U64]:
    """Section 5.10: what section 5.4 stores of all coded values, from the second symbols.

    numbers  what `decode_numbers` gave
    lanes    at their end
    """
    raw, at = whole_raw_section(lanes, sections), sections.starts
    if second.kind == LOW_BITS:
        # "The number is the low bits of the value (5.1), and must be below 2^b."
        most, limit = int(numbers.max()), 1 << layout.low_bits
        check(most < limit, where, at["words"], f"low bits below {limit}", most)
        return [], numbers
    fields_nbytes = len(raw) - bit_plane_nbytes(counts.blocks, layout.low_bits)
    planes = lower_planes(numbers, raw[:fields_nbytes], where, at["raw section"])
    # "The bit plane follows as in 5.4."
    return planes, low_bits_of_plane(raw[fields_nbytes:], counts, sections, layout, where)
