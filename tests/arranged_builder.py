# SPDX-License-Identifier: Apache-2.0
"""An encoder of arranged chunks for tests, from docs/format.md, section 5, alone.

It chooses nothing: parts, classes, tables, known bits and second symbols are the caller's. Every
field of the body that it makes may be replaced before it is packed, so a test can break one rule
and leave the rest right.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from builders import NAMED, StreamBuilder, hash64, table_head

U64 = npt.NDArray[np.uint64]

ARRANGED = 4
COLUMNS = 1 << 31  # flag of a part's `row_values`
BLOCK = 64
SUPERBLOCK = 8 * BLOCK
# Section 5.10: what `second` may be, and "S = 5" of the numbers.
LOW_BITS, TRAILING_ZEROS = 1, 2
NUMBER_BITS = 5
# Section 6.2, two of the universal shapes, a wide one and a narrow one.
SHAPES = {
    7: tuple(
        map(
            int,
            [
                "1",
                "1",
                "1",
                "1",
                "2",
                "2",
                "3",
                "3",
                "7",
                "7",
                "13",
                "13",
                "26",
                "26",
                "52",
                "51",
                "101",
                "98",
                "189",
                "179",
                "331",
                "298",
                "510",
                "413",
                "605",
                "398",
                "433",
                "187",
                "115",
                "21",
                "5",
                "4",
            ],
        )
    ),
    12: (*(1,) * 22, 14, 226, 3586, 226, 14, 1, 1, 1, 1, 4),
}
# Section 5.4: byte 2 j of a block belongs to value j, byte 2 j + 1 to value 32 + j.
PAIR_ORDER = [value for j in range(32) for value in (j, 32 + j)]


@dataclass(frozen=True)
class Layout:
    """A row of section 4.1."""

    code: int
    width: int
    transform: str
    symbol_bits: int
    low_bits: int


LAYOUTS = {
    "F64": Layout(1, 8, "rotate", 12, 4),
    "F32": Layout(2, 4, "rotate", 9, 7),
    "F16": Layout(3, 2, "rotate", 6, 2),
    "BF16": Layout(4, 2, "rotate", 9, 7),
    "C64": Layout(5, 4, "rotate", 9, 7),
    "F8_E5M2": Layout(6, 1, "rotate", 6, 2),
    "F8_E4M3": Layout(7, 1, "rotate", 5, 3),
    "F8_E5M2FNUZ": Layout(8, 1, "rotate", 6, 2),
    "F8_E4M3FNUZ": Layout(9, 1, "rotate", 5, 3),
    "F8_E8M0": Layout(10, 1, "plain", 8, 0),
    "I8": Layout(14, 1, "offset", 5, 3),
    "U8": Layout(15, 1, "plain", 5, 3),
}


@dataclass(frozen=True)
class Part:
    """A part with its classes as they are stored: of rows r, of columns q + 7 or none."""

    rows: tuple[int, ...]
    row_values: int
    columns: tuple[int, ...] | None = None

    @property
    def value_count(self) -> int:
        return len(self.rows) * self.row_values


@dataclass(frozen=True)
class Known:
    """Section 5.9: what is known of the values of marked superblocks.

    shift  k, how many of the lowest bits are zero
    marks  of each superblock of arranged order, whether it is marked
    sign   the sign bit of all their values, whose bit 0 may then be anything; None: signs vary
    """

    shift: int
    marks: tuple[int, ...]
    sign: int | None = None


@dataclass(frozen=True)
class Frequencies:
    """A table; shape: the number of the universal one that it is."""

    values: tuple[int, ...]
    base: int
    zero: bool = False
    shape: int | None = None

    @property
    def head(self) -> bytes:
        """Of the TABLE record."""
        return table_head(self.values, self.base | self.zero << 15)

    @property
    def reference(self) -> int:
        if self.shape is not None:
            return self.shape << 12 | self.base
        return hash64(self.head) | NAMED

    def symbol(self, symbol_value: int, symbol_bits: int) -> int | None:
        """The symbol that stands for it, if there is one."""
        s = (symbol_value - self.base) % (1 << symbol_bits)
        if s < 31 or (s == 31 and not self.zero):
            return s
        return 31 if self.zero and symbol_value == 0 else None


@dataclass(frozen=True)
class Second:
    """Section 5.10: second symbols.

    kind    the field `second`
    bounds  of the contexts, one less than these
    tables  of the contexts; empty: to be fitted (`fit_second`)
    """

    kind: int
    bounds: tuple[int, ...]
    tables: tuple[Frequencies, ...] = ()


@dataclass(frozen=True)
class Body:
    """The fields of a body, in their order; the class bits, marks included, as (number, bits)
    pairs. The fields `one_sign` to `other_bits` share the first u32 with `part_count`.

    more_contexts  M - 1
    """

    word_count: int
    patch_count: int
    part_count: int
    parts: tuple[tuple[int, int], ...]  # rows, row_values with its flag
    class_bits: tuple[tuple[int, int], ...]
    states: tuple[int, ...]
    patches: tuple[int, ...]
    words: tuple[int, ...]
    raw: bytes
    tail: bytes
    gap: bytes = b"\0\0"
    padding: int = 0  # what stands behind the class bits
    one_sign: int = 0
    sign: int = 0
    shift: int = 0
    second: int = 0
    more_contexts: int = 0
    other_bits: int = 0  # of the first u32, from bit 30 on
    bounds: tuple[int, ...] = ()
    bounds_padding: bytes = b"\0\0"

    def pack(self) -> bytes:
        packed = position = 0
        for number, bits in self.class_bits:
            packed |= number << position
            position += bits
        packed |= self.padding << position
        counts = "<II" if len(self.states) == 64 else "<HH"
        out = struct.pack(counts, self.word_count, self.patch_count)
        first = self.part_count | self.one_sign << 16 | self.sign << 17
        first |= self.shift << 18 | self.second << 24 | self.more_contexts << 26
        out += struct.pack("<I", first | self.other_bits << 30)
        out += b"".join(struct.pack("<II", *part) for part in self.parts)
        out += packed.to_bytes(-(-position // 32) * 4, "little")
        out += struct.pack(f"<{len(self.bounds)}H", *self.bounds)
        out += self.bounds_padding if len(self.bounds) % 2 else b""
        out += struct.pack(f"<{len(self.states)}I", *self.states)
        out += struct.pack(f"<{len(self.patches)}I", *self.patches)
        out += self.gap if len(self.words) % 2 else b""
        out += struct.pack(f"<{len(self.words)}H", *self.words)
        return out + self.raw + self.tail


# --- order and classes (section 5.8) --------------------------------------------------------------


def arranged_order(parts: Sequence[Part], table_count: int) -> tuple[list[int], list[int]]:
    """For each value in arranged order, its number in source order, and its class."""
    order: list[int] = []
    classes: list[int] = []
    first = 0
    for part in parts:
        columns = range(part.row_values)
        cells = [(row, column) for row in range(len(part.rows)) for column in columns]
        if part.columns is not None:
            q = part.columns
            cells.sort(key=lambda cell: (part.rows[cell[0]], q[cell[1]]))
        elif part.row_values % 64:
            cells.sort(key=lambda cell: part.rows[cell[0]])
        for row, column in cells:
            shift = 0 if part.columns is None else part.columns[column] - 7
            order.append(first + row * part.row_values + column)
            classes.append(min(max(part.rows[row] + shift, 0), table_count - 1))
        first += part.value_count
    return order, classes


def classes_of_blocks(classes: Sequence[int]) -> list[int]:
    """Of every whole block, the class of its 33rd value."""
    return [classes[block + 32] for block in range(0, len(classes) // BLOCK * BLOCK, BLOCK)]


# --- values (sections 5.1 and 5.4) ----------------------------------------------------------------


def take_apart(values: U64, layout: Layout) -> tuple[U64, list[U64], U64]:
    """Symbol values, byte planes and low bits."""
    total = 8 * layout.width
    width = min(total, 16)
    top = values >> np.uint64(total - width)
    if layout.transform == "rotate":
        mask = np.uint64((1 << width) - 1)
        top = (top << np.uint64(1) | top >> np.uint64(width - 1)) & mask
    elif layout.transform == "offset":
        top = top ^ np.uint64(1 << width - 1)
    planes = [values >> np.uint64(8 * n) & np.uint64(255) for n in range(layout.width - 2)]
    rest = width - layout.symbol_bits
    low = top
    if rest >= 8:
        planes.append(top & np.uint64(255))
        low = top >> np.uint64(8)
    low = low & np.uint64((1 << layout.low_bits) - 1)
    return top >> np.uint64(rest), planes, low


def bit_plane(low: U64, low_bits: int) -> bytes:
    """The low bits of whole blocks, in pair order already, packed."""
    if low_bits == 0:
        return b""
    blocks = low.astype(np.uint8).reshape(-1, BLOCK)
    m = 8 // low_bits
    out = b""
    for first in range(0, len(blocks), 8):
        fields = blocks[first : first + 8]
        packed = np.zeros((low_bits, BLOCK), np.uint8)
        for f, field in enumerate(fields):
            if f < m * low_bits:
                packed[f // m] |= field << low_bits * (f % m)
            else:
                for k in range(low_bits):
                    packed[k] |= (field >> k & 1) << f
        stored = -(-len(fields) // m) if len(fields) <= m * low_bits else low_bits
        out += packed[: min(stored, low_bits)].tobytes()
    return out


# --- known bits (section 5.9) ---------------------------------------------------------------------


def marked_values(known: Known | None, count: int) -> npt.NDArray[np.bool_]:
    """Of `count` values in arranged order, those in marked superblocks; the tail is in none."""
    marked = np.zeros(count, bool)
    for number, mark in enumerate(known.marks if known is not None else ()):
        marked[number * SUPERBLOCK : (number + 1) * SUPERBLOCK] = mark
    marked[count // BLOCK * BLOCK :] = False
    return marked


def make_known(
    data: bytes, dtype: str, parts: Sequence[Part], table_count: int, known: Known
) -> bytes:
    """The chunk, both in source order, with its marked values changed to what is said of them."""
    width = LAYOUTS[dtype].width
    order, _ = arranged_order(parts, table_count)
    values = [int.from_bytes(data[at * width : (at + 1) * width], "little") for at in order]
    for i in map(int, np.flatnonzero(marked_values(known, len(values)))):
        bit_0 = values[i] & 1
        values[i] = values[i] >> known.shift << known.shift
        if known.sign is not None:
            magnitude = values[i] % (1 << 8 * width - 1)
            values[i] = magnitude | bit_0 | known.sign << 8 * width - 1
    out = dict(zip(order, values, strict=True))
    return b"".join(out[at].to_bytes(width, "little") for at in range(len(out)))


def exchange_signs(values: U64, known: Known | None, width: int) -> U64:
    """v' of every v: "v with its sign bit replaced by its bit 0, and with bit 0 cleared"."""
    if known is None or known.sign is None:
        return values
    sign_bit = 8 * width - 1
    below_sign = (values >> np.uint64(1) << np.uint64(1)) & np.uint64((1 << sign_bit) - 1)
    exchanged = (values & np.uint64(1)) << np.uint64(sign_bit) | below_sign
    return np.where(marked_values(known, len(values)), exchanged, values)


def fields_of_plane(plane: npt.NDArray[np.uint8], p: int, known: Known | None) -> bytes:
    """What is stored of byte plane p, whose bytes are in pair order already."""
    flat = plane.reshape(-1)
    if known is None or known.shift <= 8 * p:
        return flat.tobytes()
    r = min(8, known.shift - 8 * p)
    out = b""
    for number, first in enumerate(range(0, len(flat), SUPERBLOCK)):
        piece = flat[first : first + SUPERBLOCK].tobytes()
        if number < len(known.marks) and known.marks[number]:
            packed = 0
            for n, byte in enumerate(piece):
                packed |= byte >> r << n * (8 - r)
            piece = packed.to_bytes(len(piece) * (8 - r) // 8, "little")
        out += piece
    return out


# --- second symbols (section 5.10) ----------------------------------------------------------------


def second_numbers(kind: int, values: U64, low: U64) -> list[int]:
    """The number that is the second symbol of each value."""
    if kind == LOW_BITS:
        return list(map(int, low))
    lower = [int(value) & 0xFFFF for value in values]
    return [(q & -q).bit_length() - 1 if q else 16 for q in lower]


def context_of(r: int, e: int, bounds: Sequence[int], symbol_bits: int) -> int:
    """The context of a value of class r and symbol value e."""
    # "Let q be the highest class of a bound that is not above r, or 0 when there is none"
    classes = [bound >> symbol_bits for bound in bounds]
    q = max([q for q in classes if q <= r], default=0)
    # "the number of bounds that are not above q * 2^S + e"
    return sum(bound <= q * 2**symbol_bits + e for bound in bounds)


def contexts_of(
    e: U64, blocks: Sequence[int], bounds: Sequence[int], symbol_bits: int
) -> list[int]:
    """The contexts of all coded values. blocks: the class of each block."""
    classes = (r for r in blocks for _ in range(BLOCK))
    return [context_of(r, int(of), bounds, symbol_bits) for r, of in zip(classes, e, strict=True)]


def second_order(contexts: Sequence[int]) -> list[int]:
    """Numbers of the coded values, "sorted by context, equal ones as they were"."""
    return sorted(range(len(contexts)), key=contexts.__getitem__)


def fields_above_the_lowest_one(values: U64, zeros: Sequence[int]) -> bytes:
    """ "For each coded value in arranged order the 15 - z bits of q above its lowest one bit"."""
    bits = bytearray()
    for value, z in zip(map(int, values), zeros, strict=True):
        bits += bytes(value >> n & 1 for n in range(z + 1, 16))
    bits += bytes(-len(bits) % 64)
    return np.packbits(np.frombuffer(bits, np.uint8), bitorder="little").tobytes()


# --- symbols (sections 5.5 and 5.6) ---------------------------------------------------------------


def slots_of(frequencies: Sequence[int]) -> npt.NDArray[np.uint32]:
    """The slot of symbol s with index n, at [s, n]."""
    rem, alias, thr = list(frequencies), list(range(32)), [128] * 32
    small = [s for s in range(32) if rem[s] < 128]
    large = [s for s in range(32) if rem[s] >= 128]
    while small and large:
        b, owner = small.pop(), large[-1]
        thr[b], alias[b] = rem[b], owner
        rem[owner] -= 128 - rem[b]
        if rem[owner] < 128:
            small.append(large.pop())
    slots: list[list[int]] = [[128 * s + r for r in range(thr[s])] for s in range(32)]
    for b in range(32):
        slots[alias[b]] += [128 * b + r for r in range(thr[b], 128)]
    out = np.zeros((32, 4096), np.uint32)
    for s in range(32):
        assert len(slots[s]) == frequencies[s]
        out[s, : len(slots[s])] = slots[s]
    return out


def encode_symbols(
    symbols: npt.NDArray[np.uint8],
    blocks: Sequence[int],
    tables: Sequence[Frequencies],
    final: Sequence[int],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """States and words. blocks: the table of each; final: the states a decoder ends with."""
    slots = {number: slots_of(tables[number].values) for number in set(blocks)}
    frequencies = np.array([table.values for table in tables], np.uint64)
    x = np.array(final, np.uint64)
    lanes = len(x)
    steps: list[list[int]] = []
    for step in reversed(range(len(symbols) // lanes)):
        of_lanes = symbols[lanes * step : lanes * (step + 1)]
        block = blocks[lanes * step // BLOCK]
        f = frequencies[block, of_lanes]
        full = x >= f << np.uint64(20)
        # The last lane is coded first, so that a decoder takes the words of lane 0 first.
        steps.append([int(state) & 0xFFFF for state in x[full]])
        x[full] >>= np.uint64(16)
        x = x // f * np.uint64(4096) + slots[block][of_lanes, x % f]
    return tuple(map(int, x)), tuple(word for step in reversed(steps) for word in step)


# --- the whole ------------------------------------------------------------------------------------


def arrange(
    data: bytes, dtype: str, parts: Sequence[Part], table_count: int
) -> tuple[U64, list[int]]:
    """Values in arranged order, and the class of each block."""
    order, classes = arranged_order(parts, table_count)
    values = np.frombuffer(data, f"<u{LAYOUTS[dtype].width}").astype(np.uint64)
    assert len(values) == len(order)
    return values[order], classes_of_blocks(classes)


def make_body(
    data: bytes,
    dtype: str,
    parts: Sequence[Part],
    tables: Sequence[Frequencies],
    known: Known | None = None,
    second: Second | None = None,
    *,
    lanes: int = 64,
    spoil_raw: Callable[[bytes], bytes] = bytes,
    spoil_numbers: Callable[[list[int]], Sequence[int]] = list,
    spoil_final: Callable[[list[int]], Sequence[int]] = list,
) -> Body:
    """The body of a chunk; `data` in source order.

    tables         of the classes
    known          what the marked superblocks lack; bits that are not as it says are lost
    second         second symbols, with tables of their contexts
    spoil_raw      changes the raw section, before its end goes into the states
    spoil_numbers  changes the numbers that are second symbols, given in arranged order
    spoil_final    changes the states that a decoder ends with
    """
    layout = LAYOUTS[dtype]
    values, blocks = arrange(data, dtype, parts, len(tables))
    coded = BLOCK * len(blocks)
    if known is not None:
        assert known.shift > 0
        assert len(known.marks) == -(-coded // SUPERBLOCK)
    changed = exchange_signs(values, known, layout.width)[:coded]
    e, planes, low = take_apart(changed, layout)
    symbols = np.empty(coded, np.uint8)
    patches = []
    for i, symbol_value in enumerate(map(int, e)):
        symbol = tables[blocks[i // BLOCK]].symbol(symbol_value, layout.symbol_bits)
        if symbol is None:
            patches.append(i << 12 | symbol_value)
        symbols[i] = 31 if symbol is None else symbol

    paired = [plane.reshape(-1, BLOCK)[:, PAIR_ORDER].astype(np.uint8) for plane in (*planes, low)]
    of_planes = [fields_of_plane(plane, p, known) for p, plane in enumerate(paired[:-1])]
    plane = bit_plane(paired[-1].astype(np.uint64), layout.low_bits)
    all_tables = list(tables)
    if second is not None:
        numbers = second_numbers(second.kind, values[:coded], low)
        if second.kind == LOW_BITS:
            plane = b""
        else:
            of_planes[:2] = [fields_above_the_lowest_one(values[:coded], numbers)]
        contexts = contexts_of(e, blocks, second.bounds, layout.symbol_bits)
        in_order = second_order(contexts)
        of_blocks = classes_of_blocks([contexts[i] for i in in_order])
        blocks = blocks + [len(tables) + context for context in of_blocks]
        all_tables += second.tables
        numbers = list(spoil_numbers(numbers))
        symbols = np.concatenate([symbols, np.empty(coded, np.uint8)])
        for j, i in enumerate(in_order):
            symbol = all_tables[blocks[(coded + j) // BLOCK]].symbol(numbers[i], NUMBER_BITS)
            assert symbol is not None, f"no symbol for {numbers[i]}"  # "there are no patches"
            symbols[coded + j] = symbol
    raw = spoil_raw(b"".join(of_planes) + plane)
    final = [65536] * lanes
    if len(raw) >= 2 * lanes:
        hidden = struct.unpack(f"<{lanes}H", raw[-2 * lanes :])
        final = [65536 + bits for bits in hidden]
        raw = raw[: -2 * lanes]
    states, words = encode_symbols(symbols, blocks, all_tables, spoil_final(final))

    row_bits = (len(tables) - 1).bit_length()
    class_bits = [(r, row_bits) for part in parts for r in part.rows]
    class_bits += [(q, 4) for part in parts for q in part.columns or ()]
    class_bits += [(mark, 1) for mark in known.marks] if known is not None else []
    tail = values[coded:].astype(f"<u{layout.width}").tobytes()
    return Body(
        len(words),
        len(patches),
        len(parts),
        tuple(
            (len(part.rows), part.row_values | (0 if part.columns is None else COLUMNS))
            for part in parts
        ),
        tuple(class_bits),
        states,
        tuple(patches),
        words,
        raw,
        tail,
        one_sign=int(known is not None and known.sign is not None),
        sign=known.sign or 0 if known is not None else 0,
        shift=known.shift if known is not None else 0,
        second=second.kind if second is not None else 0,
        more_contexts=len(second.bounds) if second is not None else 0,
        bounds=second.bounds if second is not None else (),
    )


def universal(shape: int, base: int) -> Frequencies:
    """A universal table (section 6.2)."""
    return Frequencies(SHAPES[shape], base, True, shape)


def fit(counts: Sequence[int], *, zero: bool = False) -> Frequencies:
    """A table for symbol values that are so frequent: the best 32 in a row, the others patched."""
    size = len(counts)
    window = 31 if zero else 32
    base = max(range(size), key=lambda b: sum(counts[(b + s) % size] for s in range(window)))
    kept = [counts[(base + s) % size] for s in range(32)]
    total = sum(counts)
    if zero:
        kept[31] = 0
    kept[31] += total - sum(kept)  # patched values and, with the flag, zeros
    values = [1 + (4096 - 32) * count // max(total, 1) for count in kept]
    values[values.index(max(values))] += 4096 - sum(values)
    return Frequencies(tuple(values), base, zero)


def fit_tables(
    data: bytes, dtype: str, parts: Sequence[Part], table_count: int
) -> tuple[Frequencies, ...]:
    """A table for the blocks of each class; every second one has the zero flag."""
    layout = LAYOUTS[dtype]
    values, blocks = arrange(data, dtype, parts, table_count)
    e, _, _ = take_apart(values[: BLOCK * len(blocks)], layout)
    of_values = np.repeat(np.array(blocks), BLOCK)
    return tuple(
        fit(
            np.bincount(
                e[of_values == k].astype(np.int64), minlength=1 << layout.symbol_bits
            ).tolist(),
            zero=k % 2 == 1,
        )
        for k in range(table_count)
    )


def fit_second(
    data: bytes, dtype: str, parts: Sequence[Part], table_count: int, second: Second
) -> Second:
    """With a table for each context, unless it has tables; every second one has the zero flag.

    table_count  of the classes
    """
    if second.tables:
        return second
    layout = LAYOUTS[dtype]
    values, blocks = arrange(data, dtype, parts, table_count)
    coded = values[: BLOCK * len(blocks)]
    e, _, low = take_apart(coded, layout)
    numbers = second_numbers(second.kind, coded, low)
    contexts = contexts_of(e, blocks, second.bounds, layout.symbol_bits)
    in_order = second_order(contexts)
    of_blocks = classes_of_blocks([contexts[i] for i in in_order])
    counts = [[0] * (1 << NUMBER_BITS) for _ in range(len(second.bounds) + 1)]
    for j, i in enumerate(in_order):
        counts[of_blocks[j // BLOCK]][numbers[i]] += 1
    tables = tuple(fit(of_context, zero=c % 2 == 1) for c, of_context in enumerate(counts))
    return replace(second, tables=tables)


def add_chunk(
    builder: StreamBuilder,
    data: bytes,
    dtype: str,
    tables: Sequence[Frequencies],
    body: Body | bytes,
    /,
    **fields: object,
) -> StreamBuilder:
    """Append the chunk and, before it, the tables that the page does not list yet.

    tables  of the classes, and then of the contexts
    fields  of the head, other than they should be
    """
    for table in tables:
        if table.shape is None and table.reference not in builder.tables:
            builder.table(table.head)
    if isinstance(body, Body):
        body = body.pack()
    fields.setdefault("dtype", LAYOUTS[dtype].code)
    fields.setdefault("references", [table.reference for table in tables])
    return builder.chunk(ARRANGED, data, body, **fields)  # type: ignore[arg-type]


def arranged_stream(
    data: bytes,
    dtype: str,
    parts: Sequence[Part],
    tables: Sequence[Frequencies],
    known: Known | None = None,
    second: Second | None = None,
) -> bytes:
    """A stream of one chunk. `second`: without tables, they are fitted."""
    if second is not None:
        second = fit_second(data, dtype, parts, len(tables), second)
    body = make_body(data, dtype, parts, tables, known, second)
    of_contexts = second.tables if second is not None else ()
    return add_chunk(StreamBuilder(), data, dtype, (*tables, *of_contexts), body).finish()
