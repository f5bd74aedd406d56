# SPDX-License-Identifier: Apache-2.0
"""The arranged method (docs/format.md, section 5.8): values of one scale lie together.

Bits that it need not store (section 5.9) are in known_bits.py, second symbols (5.10) in second.py.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zipnn_like.errors import Where
from zipnn_like.reference.known_bits import Announced, KnownBits, read_announced
from zipnn_like.reference.records import check
from zipnn_like.reference.second import (
    NONE,
    SecondSymbols,
    check_context_tables,
    decode_numbers,
    planes_and_low_bits,
    raw_nbytes,
    read_bounds,
    read_second,
)
from zipnn_like.reference.static import (
    BLOCK_VALUES,
    U8,
    Counts,
    Layout,
    class_bits,
    cut_body,
    decode_symbol_values,
    join_values,
    lanes_of,
    raw_section_nbytes,
    read_counts,
    split_raw_section,
    whole_raw_section,
)
from zipnn_like.reference.tables import Table

I64 = npt.NDArray[np.int64]

# Section 5.8: "N must be at least 2048, so L = 64."
MIN_VALUES = 2048
# Section 5.8: "u32: bits 0 to 15 `part_count`, 1 to 1024".
PART_COUNT_MASK, MAX_PARTS = (1 << 16) - 1, 1024
FIRST_NBYTES = 4
# Section 5.8: "bits 0 to 17 the values of a row, 1 to 131,072; bit 31: the part has column classes;
# other bits zero".
ROW_VALUES_MASK, MIN_ROW_VALUES, MAX_ROW_VALUES = (1 << 18) - 1, 1, 131_072
COLUMNS_FLAG = 1 << 31
PART = struct.Struct("<II")
# Section 5.8: "A column's 4 bits must be 0 to 14; q is 7 less, -7 to 7."
COLUMN_BITS, MAX_COLUMN, COLUMN_MIDDLE = 4, 14, 7
# Section 5.8: "the block's value 32 (the 33rd)".
DECIDING_VALUE = 32


@dataclass(frozen=True)
class Part:
    """Section 5.8: a matrix of the chunk, its values `rows` times `row_values`."""

    rows: int
    row_values: int
    has_columns: bool


@dataclass(frozen=True)
class ClassedPart:
    """A part and its classes: of every row, and q of every column (zeros without columns)."""

    part: Part
    rows: I64
    columns: I64

    def order(self) -> I64:
        """The arranged order: numbers of the part's values in source order, as they are coded."""
        part = self.part
        numbers = np.arange(part.rows * part.row_values, dtype=np.int64)
        matrix = numbers.reshape(part.rows, part.row_values)
        if not part.has_columns:
            # "when `row_values` is a multiple of 64: source order"
            if part.row_values % BLOCK_VALUES == 0:
                return numbers
            # "whole rows, by their class, equal ones in source order"
            return matrix[np.argsort(self.rows, kind="stable")].reshape(-1)
        # "for each row class from 0 to K - 1, for each column class from -7 to 7: all rows of that
        # class in source order, and of each the values in columns of that class in source order"
        boxes = [
            matrix[self.rows == r][:, self.columns == q].reshape(-1)
            for r in np.unique(self.rows)
            for q in np.unique(self.columns)
        ]
        return np.concatenate(boxes)

    def classes(self, table_count: int) -> I64:
        """Of every value in source order: "r + q of its row and column, but at least 0 and at
        most K - 1".
        """
        sums = self.rows[:, None] + self.columns[None, :]
        classes: I64 = np.clip(sums, 0, table_count - 1).reshape(-1)
        return classes


def read_first_field(
    body: bytes, offset: int, layout: Layout, reference_count: int, where: Where, start: int
) -> tuple[int, Announced, SecondSymbols]:
    """Section 5.8, the first field of the arrangement: `part_count` and what sections 5.9 and 5.10
    are about.

    offset  of the arrangement in the body
    start   of the body in the stream, for messages
    """
    room = len(body) - offset
    check(room >= FIRST_NBYTES, where, start + offset, "4 bytes of part_count", f"{room} bytes")
    (field,) = struct.unpack_from("<I", body, offset)
    announced = read_announced(field, layout, where, start + offset)
    second = read_second(field, layout, announced.shift, reference_count, where, start + offset)
    return field & PART_COUNT_MASK, announced, second


def read_parts(
    body: bytes, offset: int, part_count: int, value_count: int, where: Where, start: int
) -> list[Part]:
    """Section 5.8, the parts: the second field of the arrangement.

    offset  of the arrangement in the body
    start   of the body in the stream, for messages
    """
    room = len(body) - offset - FIRST_NBYTES
    fits = 1 <= part_count <= MAX_PARTS
    check(fits, where, start + offset, f"1 to {MAX_PARTS} parts", part_count)
    enough = PART.size * part_count <= room
    check(enough, where, start + offset, f"{part_count} parts", f"{room} bytes")
    parts, rest = [], value_count
    for number in range(part_count):
        at = offset + FIRST_NBYTES + PART.size * number
        rows, field = PART.unpack_from(body, at)
        row_values, has_columns = field & ROW_VALUES_MASK, field & COLUMNS_FLAG != 0
        other = field & ~(ROW_VALUES_MASK | COLUMNS_FLAG)
        check(other == 0, where, start + at + 4, "bits 18 to 30 zero", f"{field:#010x}")
        fits = MIN_ROW_VALUES <= row_values <= MAX_ROW_VALUES
        expected = f"{MIN_ROW_VALUES} to {MAX_ROW_VALUES} values of a row"
        check(fits, where, start + at + 4, expected, row_values)
        # "The products `rows` * `row_values` must add up to N"
        fits = 1 <= rows <= rest // row_values
        expected = f"1 or more rows of {row_values} in the {rest} values left"
        check(fits, where, start + at, expected, rows)
        parts.append(Part(rows, row_values, has_columns))
        rest -= rows * row_values
    check(rest == 0, where, start + offset, f"parts of {value_count} values", value_count - rest)
    return parts


def class_bits_nbytes(parts: Sequence[Part], table_count: int, mark_count: int) -> int:
    """Section 5.8: "4 * ceil(bits / 32)". mark_count: how many superblocks have a bit."""
    bits = sum(part.rows for part in parts) * class_bits(table_count)
    bits += sum(part.row_values for part in parts if part.has_columns) * COLUMN_BITS
    bits += mark_count
    return -(-bits // 32) * 4


def read_class_bits(
    packed: bytes,
    parts: Sequence[Part],
    table_count: int,
    mark_count: int,
    where: Where,
    start: int,
) -> tuple[list[ClassedPart], U8]:
    """Section 5.8: the *class bits*, rows of all parts first, "lowest bit first".

    returns  the parts, and the marks of `mark_count` superblocks
    """
    flat = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    position = 0

    def take(count: int, bits: int) -> I64:
        nonlocal position
        fields = flat[position : position + count * bits].reshape(count, bits).astype(np.int64)
        position += count * bits
        numbers: I64 = (fields << np.arange(bits)).sum(axis=1)
        return numbers

    # "c bits for each of its rows, c the number of bits of K - 1"
    rows = [take(part.rows, class_bits(table_count)) for part in parts]
    columns = [take(part.row_values if part.has_columns else 0, COLUMN_BITS) for part in parts]
    # "then, when k > 0, one bit for each superblock"
    marked = flat[position : position + mark_count]
    position += mark_count
    check(not flat[position:].any(), where, start, "zero padding of the class bits", "1")
    # "A row's class r must be below K."
    most = max(int(of_part.max()) for of_part in rows)
    check(most < table_count, where, start, f"row classes below {table_count}", most)
    most = max(int(of_part.max(initial=0)) for of_part in columns)
    check(most <= MAX_COLUMN, where, start, f"column classes up to {MAX_COLUMN}", most)
    classed = [
        ClassedPart(
            part,
            rows[number],
            # "without column classes q is 0"
            columns[number] - COLUMN_MIDDLE
            if part.has_columns
            else np.zeros(part.row_values, np.int64),
        )
        for number, part in enumerate(parts)
    ]
    return classed, marked


@dataclass(frozen=True)
class Arrangement:
    """Section 5.8: what stands "in place of the class map".

    bounds  of contexts, none without second symbols
    nbytes  size of it all
    """

    parts: list[ClassedPart]
    known: KnownBits
    second: SecondSymbols
    bounds: list[int]
    nbytes: int

    def order(self) -> I64:
        """ "Part after part": the i-th value that is coded is number order[i] in source order."""
        sizes = [of_part.part.rows * of_part.part.row_values for of_part in self.parts]
        firsts = np.cumsum([0, *sizes])
        return np.concatenate([part.order() + firsts[n] for n, part in enumerate(self.parts)])

    def classes(self, table_count: int) -> I64:
        """Of every value in source order."""
        return np.concatenate([part.classes(table_count) for part in self.parts])


def read_arrangement(
    body: bytes, counts: Counts, layout: Layout, reference_count: int, where: Where, start: int
) -> Arrangement:
    """Section 5.8, the arrangement. `start`: the body's offset."""
    at, coded = counts.nbytes, counts.coded
    first = read_first_field(body, at, layout, reference_count, where, start)
    part_count, announced, second = first
    # "K is the number of classes: that of the chunk's references, less M when there are second
    # symbols."
    table_count = reference_count - second.context_count
    parts = read_parts(body, at, part_count, counts.value_count, where, start)
    mark_count = announced.mark_count(coded)
    at += FIRST_NBYTES + PART.size * len(parts)
    nbytes = class_bits_nbytes(parts, table_count, mark_count)
    packed = body[at : at + nbytes]
    check(len(packed) == nbytes, where, start + at, f"{nbytes} bytes of class bits", len(packed))
    classed, marked = read_class_bits(packed, parts, table_count, mark_count, where, start + at)
    at += nbytes
    nbytes = second.bounds_nbytes()
    packed = body[at : at + nbytes]
    check(len(packed) == nbytes, where, start + at, f"{nbytes} bytes of bounds", len(packed))
    bounds = read_bounds(packed, second, layout, table_count, where, start + at)
    known = KnownBits(announced, marked, coded)
    return Arrangement(classed, known, second, bounds, at + nbytes - counts.nbytes)


def decode_arranged(
    body: bytes,
    source_nbytes: int,
    layout: Layout,
    references: Sequence[Table],
    where: Where,
    start: int,
) -> bytes:
    """Section 5.8: the source bytes of an arranged chunk. `start`: the body's offset."""
    counts = read_counts(body, source_nbytes, layout, MIN_VALUES, where, start)
    # "Sections are those of 5.2 with the *arrangement* in place of the class map"
    arrangement = read_arrangement(body, counts, layout, len(references), where, start)
    known, second = arrangement.known, arrangement.second
    # "The chunk's references are those of the K classes, then one for each context"
    table_count = len(references) - second.context_count
    tables, context_tables = references[:table_count], references[table_count:]
    if second.kind == NONE:
        counts.check_words(counts.coded, where, start)
        nbytes = raw_section_nbytes(counts, layout) - known.missing_nbytes(layout)
    else:
        # "`word_count` may be up to 2 C"
        counts.check_words(2 * counts.coded, where, start)
        check_context_tables(context_tables, where, start)
        nbytes = raw_nbytes(body, second, counts, layout, arrangement.nbytes, where, start)
    sections = cut_body(body, counts, layout, arrangement.nbytes, nbytes, where, start)

    order = arrangement.order()
    of_values = arrangement.classes(table_count)[order]
    # "All values of a block use one table: the class that the block's value 32 (the 33rd) has is
    # its number among the chunk's references."
    of_blocks = of_values[: counts.coded].reshape(-1, BLOCK_VALUES)[:, DECIDING_VALUE]
    classes: U8 = np.repeat(of_blocks, BLOCK_VALUES).astype(np.uint8)

    lanes = lanes_of(sections, where)
    symbol_values = decode_symbol_values(lanes, sections, layout, tables, classes, where)
    if second.kind == NONE:
        raw = known.with_whole_planes(whole_raw_section(lanes, sections), layout)
        planes, low_bits = split_raw_section(raw, counts, sections, layout, where)
    else:
        # "the same lanes go on with C second symbols"
        bounds = arrangement.bounds
        numbers = decode_numbers(lanes, symbol_values, classes, bounds, context_tables, layout)
        planes, low_bits = planes_and_low_bits(
            second, numbers, lanes, counts, sections, layout, where
        )
    arranged = join_values(symbol_values, planes, low_bits, layout) + sections.contents["tail"]
    restored = known.with_signs(arranged, layout)
    values = np.frombuffer(restored, np.uint8).reshape(counts.value_count, layout.width)
    source = np.empty_like(values)
    source[order] = values
    return source.tobytes()
