# SPDX-License-Identifier: Apache-2.0
"""The static method (docs/format.md, section 5): rANS, classes, planes, patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def decode_symbols(
    states: U32,
    words: U16,
    tables: Sequence[Table],
    classes: U8,
    where: Where,
    start: int,
) -> tuple[U8, U32]:
    """Section 5.6, one step of all lanes at a time.

    states   one u32 per lane
    classes  for each step, the table that its values use; a step lies in one unit
    start    offset of the body in the stream, for messages
    returns  symbols in value order, and the final states
    """
    owners = [slot_owners(table.frequencies) for table in tables]
    frequencies = [
        np.array(table.frequencies, np.uint32)[symbols]
        for table, (symbols, _) in zip(tables, owners, strict=True)
    ]
    x = states.astype(np.uint32)
    steps = np.empty((len(classes), len(states)), np.uint8)
    taken = 0
    for step, table in enumerate(classes.tolist()):
        slot = x & np.uint32(TABLE_SIZE - 1)
        steps[step] = owners[table][0][slot]
        x = frequencies[table][slot] * (x >> np.uint32(TABLE_BITS)) + owners[table][1][slot]
        # "if x[lane] < 65536: x[lane] = x[lane] * 65536 + words[w];  w = w + 1", lane by lane
        low = np.flatnonzero(x < STATE_LOW)
        enough = len(low) <= len(words) - taken
        check(enough, where, start, f"a word for step {step}", f"{len(words)} words in all")
        x[low] = x[low] << np.uint32(16) | words[taken : taken + len(low)]
        taken += len(low)
    check(taken == len(words), where, start, f"{taken} words", len(words))
    good = bool(np.all(x >> np.uint32(16) == 1))
    check(good, where, start, "final states with upper half 1", "another")
    return steps.reshape(-1), x


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
    check(word_count <= coded, where, start, f"at most {coded} words", word_count)
    check(patch_count <= coded, where, start + field, f"at most {coded} patches", patch_count)
    return Counts(value_count, coded, lanes, word_count, patch_count, 2 * field)


@dataclass(frozen=True)
class Sections:
    """Section 5.2: the body cut up. `starts`: where in the stream each section begins."""

    contents: dict[str, bytes]
    starts: dict[str, int]
    in_states: int  # D


def cut_body(
    body: bytes,
    counts: Counts,
    layout: Layout,
    map_nbytes: int,
    where: Where,
    start: int,
    *,
    missing_nbytes: int = 0,
) -> Sections:
    """Section 5.2: "the sizes must add up to `body_nbytes`; the gap must be zero".

    map_nbytes      size of the class map, or of what an arranged chunk has in its place
    missing_nbytes  of the byte planes, in an arranged chunk that does not store them whole
    """
    coded, lanes = counts.coded, counts.lanes
    blocks = coded // BLOCK_VALUES
    raw_nbytes = layout.byte_planes * coded + bit_plane_nbytes(blocks, layout.low_bits)
    raw_nbytes -= missing_nbytes  # R
    in_states = 2 * lanes if raw_nbytes >= 2 * lanes else 0  # D
    sizes = {
        "counts": counts.nbytes,
        "class map": map_nbytes,
        "states": 4 * lanes,
        "patches": 4 * counts.patch_count,
        "gap": 2 * (counts.word_count % 2),
        "words": 2 * counts.word_count,
        "raw section": raw_nbytes - in_states,
        "tail": counts.value_count % BLOCK_VALUES * layout.width,
    }
    total = sum(sizes.values())
    check(len(body) == total, where, start, f"a body of {total} bytes", len(body))
    contents, starts, offset = {}, {}, 0
    for name, nbytes in sizes.items():
        contents[name], starts[name] = body[offset : offset + nbytes], start + offset
        offset += nbytes
    gap = contents["gap"]
    check(not any(gap), where, starts["gap"], "zero bytes", gap.hex())
    return Sections(contents, starts, in_states)


def decode_values(
    counts: Counts,
    sections: Sections,
    layout: Layout,
    tables: Sequence[Table],
    classes: U8,
    where: Where,
    with_whole_planes: Callable[[U8], U8] | None = None,
) -> bytes:
    """Sections 5.4 to 5.7: the values and the tail.

    classes            each coded value's table
    with_whole_planes  makes the raw section of section 5.4 from another one, where that is stored
    """
    coded, lanes, at = counts.coded, counts.lanes, sections.starts
    states = np.frombuffer(sections.contents["states"], "<u4")
    words = np.frombuffer(sections.contents["words"], "<u2")
    symbols, states = decode_symbols(states, words, tables, classes[::lanes], where, at["states"])
    by_class = np.array([table.symbol_values(layout.symbol_bits) for table in tables])
    symbol_values = by_class[classes, symbols]
    patches = np.frombuffer(sections.contents["patches"], "<u4")
    apply_patches(symbol_values, patches, layout.symbol_bits, where, at["patches"])

    # "the low 16 bits of x[0], x[1], ... are the missing D bytes of the raw section"
    hidden = (states & np.uint32(0xFFFF)).astype("<u2").tobytes()
    empty = sections.in_states > 0 or not any(hidden)
    check(empty, where, at["states"], "final states of 65536", "others")
    stored = sections.contents["raw section"]
    raw = np.frombuffer(stored + hidden[: sections.in_states], np.uint8)
    if with_whole_planes is not None:
        raw = with_whole_planes(raw)
    planes = [from_pair_order(raw[n * coded : (n + 1) * coded]) for n in range(layout.byte_planes)]
    low_bits = np.zeros(coded, np.uint64)
    if layout.low_bits:
        plane = raw[layout.byte_planes * coded :]
        blocks = coded // BLOCK_VALUES
        at_plane = at["tail"] + sections.in_states - len(plane)
        paired = unpack_bit_plane(plane, blocks, layout.low_bits, where, at_plane)
        low_bits = from_pair_order(paired)
    values = join_values(symbol_values, planes, low_bits, layout)
    return values + sections.contents["tail"]


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
    unit_count = -(-counts.coded >> unit_shift) if len(tables) > 1 else 0
    map_nbytes = -(-unit_count * class_bits(len(tables)) // 32) * 4
    sections = cut_body(body, counts, layout, map_nbytes, where, start)

    classes = np.zeros(counts.coded, np.uint8)
    if unit_count:
        packed, at = sections.contents["class map"], sections.starts["class map"]
        of_units = read_classes(packed, unit_count, len(tables), where, at)
        classes = np.repeat(of_units, 1 << unit_shift)[: counts.coded]
    return decode_values(counts, sections, layout, tables, classes, where)
