# SPDX-License-Identifier: Apache-2.0
"""The static method (docs/format.md, section 5): rANS, classes, planes, patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zipnn_like.errors import Where
from zipnn_like.reference.records import check
from zipnn_like.reference.tables import TABLE_BITS, TABLE_SIZE, Table, slot_owners

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

# Section 5: "32-bit states, 16-bit words".
STATE_LOW = 65_536
# Section 5.2: "at least 64 and at most 262,144"; "L = 64 lanes when N >= 2048, otherwise L = 8".
BLOCK_VALUES = 64
MAX_VALUES = 262_144
MANY_LANES, FEW_LANES, MANY_LANES_VALUES = 64, 8, 2048
# Section 5.4: "Blocks are grouped into superblocks of 8".
SUPERBLOCK = 8


@dataclass(frozen=True)
class Layout:
    """A row of the table of section 4.1: how a value is taken apart."""

    width: int
    transform: str  # "rotate", "offset" or "plain"
    symbol_bits: int  # S
    byte_planes: int  # P
    low_bits: int  # b


@dataclass
class Lanes:
    """Section 5.6: the states of all lanes, and the words, of which they have taken some.

    start  offset of the states in the stream, for messages
    """

    x: U32
    words: U16
    where: Where
    start: int
    taken: int = 0  # w

    def decode(self, tables: Sequence[Table], classes: U8) -> U8:
        """Symbols in their order, one step of all lanes at a time.

        classes  for each step, the table that its values use; a step lies in one unit
        """
        owners = [slot_owners(table.frequencies) for table in tables]
        frequencies = [
            np.array(table.frequencies, np.uint32)[symbols]
            for table, (symbols, _) in zip(tables, owners, strict=True)
        ]
        steps = np.empty((len(classes), len(self.x)), np.uint8)
        for step, table in enumerate(classes.tolist()):
            slot = self.x & np.uint32(TABLE_SIZE - 1)
            steps[step] = owners[table][0][slot]
            above = self.x >> np.uint32(TABLE_BITS)
            x = frequencies[table][slot] * above + owners[table][1][slot]
            # "if x[lane] < 65536: x[lane] = x[lane] * 65536 + words[w];  w = w + 1", lane by lane
            low = np.flatnonzero(x < STATE_LOW)
            enough = len(low) <= len(self.words) - self.taken
            expected = f"a word for step {step}"
            check(enough, self.where, self.start, expected, f"{len(self.words)} words in all")
            x[low] = x[low] << np.uint32(16) | self.words[self.taken : self.taken + len(low)]
            self.taken += len(low)
            self.x = x
        return steps.reshape(-1)

    def end(self, in_states: int) -> bytes:
        """The checks "at the end", and "the missing D bytes of the raw section"."""
        all_taken = self.taken == len(self.words)
        check(all_taken, self.where, self.start, f"{self.taken} words", len(self.words))
        good = bool(np.all(self.x >> np.uint32(16) == 1))
        check(good, self.where, self.start, "final states with upper half 1", "another")
        # "the low 16 bits of x[0], x[1], ... are the missing D bytes of the raw section"
        hidden = (self.x & np.uint32(0xFFFF)).astype("<u2").tobytes()
        # "when D = 0 every x[lane] must be exactly 65536"
        empty = in_states > 0 or not any(hidden)
        check(empty, self.where, self.start, "final states of 65536", "others")
        return hidden[:in_states]


def read_classes(packed: bytes, unit_count: int, table_count: int, where: Where, start: int) -> U8:
    """Section 5.3: the class of each unit, "lowest bit first"."""
    bits = class_bits(table_count)
    flat = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
    check(not flat[unit_count * bits :].any(), where, start, "zero padding of the class map", "1")
    fields = flat[: unit_count * bits].reshape(unit_count, bits)
    weights = np.uint8(1) << np.arange(bits, dtype=np.uint8)
    classes: U8 = (fields * weights).sum(axis=1, dtype=np.uint8)
    expected = f"classes below {table_count}"
    check(int(classes.max()) < table_count, where, start, expected, int(classes.max()))
    return classes


def class_bits(table_count: int) -> int:
    """ "c = 1 for K = 2, 2 for K = 3 or 4, 3 for K = 5 to 8"."""
    return (table_count - 1).bit_length()


def bit_plane_nbytes(block_count: int, low_bits: int) -> int:
    """Section 5.4: "64 b bytes" a superblock, less in the last when its blocks fit in fewer V."""
    if low_bits == 0:
        return 0
    whole, rest = divmod(block_count, SUPERBLOCK)
    per_byte = 8 // low_bits  # m
    rest_planes = -(-rest // per_byte) if rest <= per_byte * low_bits else low_bits
    return BLOCK_VALUES * (whole * low_bits + rest_planes)


def unpack_bit_plane(plane: U8, block_count: int, low_bits: int, where: Where, start: int) -> U8:
    """Section 5.4: the low bits of every block, shape (block_count, 64), in pair order."""
    superblocks = -(-block_count // SUPERBLOCK)
    packed = np.zeros(superblocks * low_bits * BLOCK_VALUES, np.uint8)
    packed[: len(plane)] = plane
    v = packed.reshape(superblocks, low_bits, BLOCK_VALUES)
    fields = np.zeros((superblocks, SUPERBLOCK, BLOCK_VALUES), np.uint8)
    m = 8 // low_bits
    for f in range(SUPERBLOCK):
        if f < m * low_bits:
            fields[:, f] = v[:, f // m] >> low_bits * (f % m) & (1 << low_bits) - 1
        else:
            for k in range(low_bits):
                fields[:, f] |= (v[:, k] >> f & 1) << k
    blocks = fields.reshape(superblocks * SUPERBLOCK, BLOCK_VALUES)
    absent = blocks[block_count:]
    check(not absent.any(), where, start, "zero bits for absent blocks", "other bits")
    return blocks[:block_count]


def from_pair_order(plane: U8) -> U64:
    """Section 5.4: "byte 2 j belongs to value j and byte 2 j + 1 to value 32 + j"."""
    return plane.reshape(-1, 32, 2).transpose(0, 2, 1).reshape(-1).astype(np.uint64)


def apply_patches(symbol_values: U64, patches: U32, bits: int, where: Where, start: int) -> None:
    """Section 5.7: "u32 = i * 4096 + e"."""
    if len(patches) == 0:
        return
    numbers, values = patches >> np.uint32(12), patches & np.uint32(4095)
    rising = bool(np.all(numbers[1:] > numbers[:-1]))
    check(rising, where, start, "patches in rising order", "others")
    last, count = int(numbers[-1]), len(symbol_values)
    check(last < count, where, start, f"patches of values below {count}", last)
    most = int(values.max())
    check(most < 1 << bits, where, start, f"patch values below {1 << bits}", most)
    symbol_values[numbers] = values


def join_values(symbol_values: U64, planes: Sequence[U64], low_bits: U64, layout: Layout) -> bytes:
    """Section 5.1 backwards: symbol values, byte planes and low bits to source bytes."""
    total_bits = 8 * layout.width
    top_bits = min(total_bits, 16)
    rest_bits = top_bits - layout.symbol_bits
    below_top = max(layout.width - 2, 0)
    top = symbol_values << np.uint64(rest_bits)
    if rest_bits >= 8:
        top |= low_bits << np.uint64(8) | planes[below_top]
    else:
        top |= low_bits
    if layout.transform == "rotate":
        top = top >> np.uint64(1) | (top & np.uint64(1)) << np.uint64(top_bits - 1)
    elif layout.transform == "offset":
        top ^= np.uint64(1 << top_bits - 1)
    value = top << np.uint64(total_bits - top_bits)
    for number in range(below_top):
        value |= planes[number] << np.uint64(8 * number)
    return value.astype(f"<u{layout.width}").tobytes()


@dataclass(frozen=True)
class Counts:
    """Section 5.2: what `source_nbytes` and the counts of a body say."""

    value_count: int  # N
    coded: int  # C
    lanes: int  # L
    word_count: int
    patch_count: int
    nbytes: int  # of the counts themselves

    @property
    def blocks(self) -> int:
        """B, "blocks of 64 values"."""
        return self.coded // BLOCK_VALUES

    def check_words(self, symbol_count: int, where: Where, start: int) -> None:
        """Section 5.2: "`word_count` must be at most C (2 C with second symbols, 5.10)"."""
        fits = self.word_count <= symbol_count
        check(fits, where, start, f"at most {symbol_count} words", self.word_count)


def read_counts(
    body: bytes, source_nbytes: int, layout: Layout, least: int, where: Where, start: int
) -> Counts:
    """Section 5.2, the counts. `least`: the fewest values; `start`: the body's offset."""
    value_count, rest = divmod(source_nbytes, layout.width)
    fits = rest == 0 and least <= value_count <= MAX_VALUES
    expected = f"{least} to {MAX_VALUES} values of {layout.width} bytes"
    check(fits, where, start, expected, f"{source_nbytes} bytes")
    coded = value_count - value_count % BLOCK_VALUES
    lanes = MANY_LANES if value_count >= MANY_LANES_VALUES else FEW_LANES

    field = 4 if lanes == MANY_LANES else 2
    check(len(body) >= 2 * field, where, start, f"{2 * field} bytes of counts", len(body))
    word_count = int.from_bytes(body[:field], "little")
    patch_count = int.from_bytes(body[field : 2 * field], "little")
    check(patch_count <= coded, where, start + field, f"at most {coded} patches", patch_count)
    return Counts(value_count, coded, lanes, word_count, patch_count, 2 * field)


@dataclass(frozen=True)
class Sections:
    """Section 5.2: the body cut up. `starts`: where in the stream each section begins."""

    contents: dict[str, bytes]
    starts: dict[str, int]
    in_states: int  # D


def raw_section_nbytes(counts: Counts, layout: Layout) -> int:
    """Section 5.4: R, of "P byte planes of C bytes each, then the *bit plane*"."""
    return layout.byte_planes * counts.coded + bit_plane_nbytes(counts.blocks, layout.low_bits)


def section_sizes(
    counts: Counts, layout: Layout, map_nbytes: int, raw_nbytes: int
) -> dict[str, int]:
    """Section 5.2, the sizes of all sections in their order.

    map_nbytes  size of the class map, or of what an arranged chunk has in its place
    raw_nbytes  R
    """
    return {
        "counts": counts.nbytes,
        "class map": map_nbytes,
        "states": 4 * counts.lanes,
        "patches": 4 * counts.patch_count,
        "gap": 2 * (counts.word_count % 2),
        "words": 2 * counts.word_count,
        "raw section": raw_nbytes - in_states_nbytes(counts, raw_nbytes),
        "tail": counts.value_count % BLOCK_VALUES * layout.width,
    }


def in_states_nbytes(counts: Counts, raw_nbytes: int) -> int:
    """Section 5.4: D. "When R >= 2 L, the last D = 2 L bytes of the raw section are not stored"."""
    return 2 * counts.lanes if raw_nbytes >= 2 * counts.lanes else 0


def cut_body(
    body: bytes,
    counts: Counts,
    layout: Layout,
    map_nbytes: int,
    raw_nbytes: int,
    where: Where,
    start: int,
) -> Sections:
    """Section 5.2: "the sizes must add up to `body_nbytes`; the gap must be zero"."""
    sizes = section_sizes(counts, layout, map_nbytes, raw_nbytes)
    total = sum(sizes.values())
    check(len(body) == total, where, start, f"a body of {total} bytes", len(body))
    contents, starts, offset = {}, {}, 0
    for name, nbytes in sizes.items():
        contents[name], starts[name] = body[offset : offset + nbytes], start + offset
        offset += nbytes
    gap = contents["gap"]
    check(not any(gap), where, starts["gap"], "zero bytes", gap.hex())
    return Sections(contents, starts, in_states_nbytes(counts, raw_nbytes))


def lanes_of(sections: Sections, where: Where) -> Lanes:
    """Section 5.6: "x[lane] = states[lane];  w = 0"."""
    states = np.frombuffer(sections.contents["states"], "<u4").astype(np.uint32)
    words = np.frombuffer(sections.contents["words"], "<u2")
    return Lanes(states, words, where, sections.starts["states"])


def decode_symbol_values(
    lanes: Lanes,
    sections: Sections,
    layout: Layout,
    tables: Sequence[Table],
    classes: U8,
    where: Where,
) -> U64:
    """Sections 5.5 to 5.7: the symbol values after patches. `classes`: each coded value's table."""
    symbols = lanes.decode(tables, classes[:: len(lanes.x)])
    by_class = np.array([table.symbol_values(layout.symbol_bits) for table in tables])
    symbol_values: U64 = by_class[classes, symbols]
    patches = np.frombuffer(sections.contents["patches"], "<u4")
    apply_patches(symbol_values, patches, layout.symbol_bits, where, sections.starts["patches"])
    return symbol_values


def whole_raw_section(lanes: Lanes, sections: Sections) -> U8:
    """Section 5.4: all R bytes of the raw section. The lanes are at their end."""
    hidden = lanes.end(sections.in_states)
    return np.frombuffer(sections.contents["raw section"] + hidden, np.uint8)


def low_bits_of_plane(
    plane: U8, counts: Counts, sections: Sections, layout: Layout, where: Where
) -> U64:
    """Section 5.4: the low bits of all coded values. `plane`: the end of the raw section."""
    if layout.low_bits == 0:
        return np.zeros(counts.coded, np.uint64)
    at = sections.starts["tail"] + sections.in_states - len(plane)
    return from_pair_order(unpack_bit_plane(plane, counts.blocks, layout.low_bits, where, at))


def split_raw_section(
    raw: U8, counts: Counts, sections: Sections, layout: Layout, where: Where
) -> tuple[list[U64], U64]:
    """Section 5.4: byte planes and low bits of all coded values."""
    coded, count = counts.coded, layout.byte_planes
    planes = [from_pair_order(raw[n * coded : (n + 1) * coded]) for n in range(count)]
    low_bits = low_bits_of_plane(raw[count * coded :], counts, sections, layout, where)
    return planes, low_bits


def decode_static(
    body: bytes,
    source_nbytes: int,
    layout: Layout,
    tables: Sequence[Table],
    unit_shift: int,
    where: Where,
    start: int,
) -> bytes:
    """Sections 5.2 to 5.7: the source bytes of a static chunk. `start`: the body's offset."""
    counts = read_counts(body, source_nbytes, layout, BLOCK_VALUES, where, start)
    counts.check_words(counts.coded, where, start)
    unit_count = -(-counts.coded >> unit_shift) if len(tables) > 1 else 0
    map_nbytes = -(-unit_count * class_bits(len(tables)) // 32) * 4
    raw_nbytes = raw_section_nbytes(counts, layout)
    sections = cut_body(body, counts, layout, map_nbytes, raw_nbytes, where, start)

    classes = np.zeros(counts.coded, np.uint8)
    if unit_count:
        packed, at = sections.contents["class map"], sections.starts["class map"]
        of_units = read_classes(packed, unit_count, len(tables), where, at)
        classes = np.repeat(of_units, 1 << unit_shift)[: counts.coded]

    lanes = lanes_of(sections, where)
    symbol_values = decode_symbol_values(lanes, sections, layout, tables, classes, where)
    raw = whole_raw_section(lanes, sections)
    planes, low_bits = split_raw_section(raw, counts, sections, layout, where)
    return join_values(symbol_values, planes, low_bits, layout) + sections.contents["tail"]
