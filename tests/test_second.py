# SPDX-License-Identifier: Apache-2.0
"""Second symbols (docs/format.md, 5.10): what the test encoder writes comes back.

By the reference decoder and by the C core.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from arranged_builder import (
    LAYOUTS,
    LOW_BITS,
    TRAILING_ZEROS,
    Frequencies,
    Part,
    Second,
    add_chunk,
    arrange,
    arranged_stream,
    context_of,
    fields_above_the_lowest_one,
    fit_second,
    fit_tables,
    make_body,
    second_numbers,
    second_order,
    take_apart,
    universal,
)
from arranged_samples import SHAPES, TABLE_COUNTS, tables_for, value_count, with_classes
from arranged_streams import Arranged, body_of, scaled, with_noise, with_zero_bits
from builders import CHUNK, TABLE, Record, StreamBuilder, records_of, safetensors_bytes
from decoders import DECODERS, Decode, decoders
from hypothesis import given
from hypothesis import strategies as st
from second_streams import (
    BLOCK_33,
    DEAR,
    E5M2,
    GAP,
    GOOD_SECOND,
    LOW,
    ONE_CLASS,
    PADDED,
    SECOND_GOLDEN,
    SECOND_HOSTILE,
    ZEROS,
)
from strategies import KINDS, Values, make, part_shapes

import zipnn_like as znl
from zipnn_like import errors
from zipnn_like.dtypes import BY_NAME
from zipnn_like.reference import arranged as reference_arranged
from zipnn_like.reference import second as reference_second
from zipnn_like.reference import static as reference_static
from zipnn_like.reference.chunk import DTYPES

GOLDEN = Path(__file__).parent / "golden"
WHERE = errors.Where("fields")
KIND_OF = {
    "F8_E5M2": LOW_BITS,
    "F8_E4M3": LOW_BITS,
    "F8_E5M2FNUZ": LOW_BITS,
    "F8_E4M3FNUZ": LOW_BITS,
    "I8": LOW_BITS,
    "U8": LOW_BITS,
    "F32": TRAILING_ZEROS,
    "C64": TRAILING_ZEROS,
}
CONTEXT_COUNTS = (1, 2, 5, 16)
FLAT = (128,) * 32
# Symbol 31 alone stands for 0, and every number has a symbol.
ZERO_LAST = Frequencies(FLAT, 1, True)
PLANE_NBYTES = 4 * 448 - 128  # of 32 blocks of F32, less what travels in the states


def rounded(data: bytes, dtype: str, seed: int) -> bytes:
    """Values of 4 bytes with some of their lowest bits cleared; others as they are."""
    if KIND_OF[dtype] == LOW_BITS:
        return data
    rng = np.random.default_rng(seed)
    values = np.frombuffer(data, "<u4")
    cleared = rng.integers(0, 18, len(values)).astype(np.uint32)
    return (values >> cleared << cleared).astype("<u4").tobytes()


def symbol_value_of(value: int, dtype: str) -> int:
    e, _, _ = take_apart(np.array([value], np.uint64), LAYOUTS[dtype])
    return int(e[0])


def bounds_for(
    data: bytes, dtype: str, parts: Sequence[Part], table_count: int, count: int, seed: int
) -> tuple[int, ...]:
    """Bounds at random, most of them symbol values that there are; of class 0, or of any."""
    rng = np.random.default_rng(seed)
    layout = LAYOUTS[dtype]
    class_count = table_count if seed % 3 else 1
    values, _ = arrange(data, dtype, parts, 1)
    e, _, _ = take_apart(values, layout)
    there = rng.permutation(np.unique(e)).tolist()[: -(-count * 3 // 4)]
    classes = rng.integers(0, class_count, len(there)).tolist()
    classed = [r << layout.symbol_bits | int(e) for r, e in zip(classes, there, strict=True)]
    others = rng.permutation(np.arange(1, class_count << layout.symbol_bits)).tolist()
    chosen = [bound for bound in dict.fromkeys([*classed, *others]) if bound > 0]
    return tuple(sorted(chosen[:count]))


def second_for(
    how: str,
    data: bytes,
    dtype: str,
    parts: Sequence[Part],
    table_count: int,
    context_count: int,
    seed: int,
) -> Second:
    """With tables that are fitted; or of every form, some the same."""
    bounds = bounds_for(data, dtype, parts, table_count, context_count - 1, seed)
    second = Second(KIND_OF[dtype], bounds)
    fitted = fit_second(data, dtype, parts, table_count, second)
    if how == "fitted":
        return fitted
    # Of each universal one, the number that has no symbol is 17 or more.
    forms = (Frequencies(FLAT, 31), ZERO_LAST, universal(7, 18), universal(12, 31))
    some = [(fitted.tables[c], *forms)[(c + seed) % 5] for c in range(context_count)]
    return replace(fitted, tables=tuple(some))


@functools.cache
def sample(
    shapes: tuple[tuple[int, int, bool], ...],
    dtype: str,
    table_count: int,
    context_count: int,
    seed: int,
) -> tuple[bytes, bytes]:
    """Values, and their stream with fitted tables."""
    parts = with_classes(shapes, table_count, seed)
    if KIND_OF[dtype] == LOW_BITS:
        source = scaled(parts, table_count, 1, 40, 5, 7, seed)
    else:
        scale = (4, 0x3C00_0000, 0x0080_0000, 0x0060_0001)
        source = with_zero_bits(with_noise(scaled(parts, table_count, *scale, seed), 4, seed), seed)
    tables = fit_tables(source, dtype, parts, table_count)
    second = second_for("fitted", source, dtype, parts, table_count, context_count, seed)
    return source, arranged_stream(source, dtype, parts, tables, second=second)


# --- what comes back ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", KIND_OF)
@decoders
@given(data=st.data())
def test_any_chunk_is_restored(decode: Decode, dtype: str, data: st.DataObject) -> None:
    context_count = data.draw(st.sampled_from(CONTEXT_COUNTS), "M")
    table_count = min(data.draw(st.sampled_from(TABLE_COUNTS), "K"), 32 - context_count)
    shapes = data.draw(part_shapes(), "shapes")
    seed = data.draw(st.integers(0, 2**32), "seed")
    parts = with_classes(shapes, table_count, seed)
    kind = data.draw(st.sampled_from(KINDS), "kind")
    values = make(BY_NAME[dtype], kind, (value_count(parts),), seed).data
    values = values[: value_count(parts) * LAYOUTS[dtype].width]  # C64 has halves for values
    source = rounded(values, dtype, seed)
    how = data.draw(st.sampled_from(["fitted", "universal", "mixed"]), "tables")
    tables = tables_for(how, source, dtype, parts, table_count)
    how = data.draw(st.sampled_from(["fitted", "mixed"]), "tables of contexts")
    second = second_for(how, source, dtype, parts, table_count, context_count, seed)
    assert decode(arranged_stream(source, dtype, parts, tables, second=second)) == source


@pytest.mark.parametrize("context_count", range(1, 17))
@pytest.mark.parametrize("dtype", KIND_OF)
@decoders
def test_any_number_of_contexts(decode: Decode, dtype: str, context_count: int) -> None:
    shapes = ((33, 40, True), (11, 70, False))
    for table_count in (1, 3, 32 - context_count):
        source, stream = sample(shapes, dtype, table_count, context_count, context_count)
        assert decode(stream) == source
        assert len(records_of(stream)[-3].references) == table_count + context_count


@pytest.mark.parametrize("tail", range(64))
@decoders
def test_any_tail(decode: Decode, tail: int) -> None:
    shapes = ((16, 64, False), (1, 4, True), (60, 17, True), (1, tail + 64, False))
    for dtype in ("F8_E4M3", "F8_E5M2", "F32"):
        source, stream = sample(shapes, dtype, 3, 2, tail)
        assert len(source) // LAYOUTS[dtype].width % 64 == tail
        assert decode(stream) == source


@pytest.mark.parametrize("blocks", range(32, 41))
@pytest.mark.parametrize("dtype", KIND_OF)
@decoders
def test_a_short_last_superblock(decode: Decode, dtype: str, blocks: int) -> None:
    for tail, context_count in ((0, 5), (1, 2), (63, 1)):
        shapes = ((1, 64 * blocks + tail, True),)
        source, stream = sample(shapes, dtype, 2, context_count, blocks)
        assert decode(stream) == source


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@decoders
def test_parts_of_every_shape(decode: Decode, shapes: Sequence[tuple[int, int, bool]]) -> None:
    for dtype, table_count in itertools.product(("I8", "C64"), (1, 2, 27)):
        source, stream = sample(tuple(shapes), dtype, table_count, 5, 5)
        assert decode(stream) == source


@decoders
def test_classes_and_contexts_share_tables(decode: Decode) -> None:
    chunk = GOOD_SECOND["low_bits"]
    source = chunk.source()
    first, other, _ = fit_tables(source, chunk.dtype, chunk.parts, 3)
    assert not first.zero  # it has a symbol for every number
    second = Second(LOW_BITS, (11, 13), (first, ZERO_LAST, first))
    tables = (first, other, first)
    stream = arranged_stream(source, chunk.dtype, chunk.parts, tables, second=second)
    assert [record.kind for record in records_of(stream)].count(TABLE) == 3
    assert decode(stream) == source


@decoders
def test_chunks_with_second_symbols_and_without_follow_one_another(decode: Decode) -> None:
    builder = StreamBuilder()
    for name in ("low_bits", "trailing_zeros", "one_context"):
        chunk = GOOD_SECOND[name]
        for each in (chunk, replace(chunk, second=None)):
            source = chunk.source()
            second, tables = each.second_of(source), each.all_tables_of(source)
            class_tables = each.tables_of(source)
            body = make_body(source, chunk.dtype, chunk.parts, class_tables, None, second)
            add_chunk(builder, source, chunk.dtype, tables, body)
    expected = bytes(builder.source)
    assert decode(builder.finish()) == expected


# --- contexts and tables --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", KIND_OF)
@decoders
def test_contexts_are_those_of_patched_values(decode: Decode, dtype: str) -> None:
    # Large values have no symbol: symbol 31 stands for 0, which is below the bound.
    layout = LAYOUTS[dtype]
    small, large = 0x08 << 8 * layout.width - 8, 0x28 << 8 * layout.width - 8
    values = [(large if n * n % 7 < 3 else small) | n % 2 for n in range(2048)]
    source = b"".join(value.to_bytes(layout.width, "little") for value in values)
    parts = (Part((0,), 2048),)
    bound = symbol_value_of(large, dtype)
    tables = (Frequencies(FLAT, (bound - 31) % (1 << layout.symbol_bits), True),)
    second = Second(KIND_OF[dtype], (bound,), (Frequencies(FLAT, 0), Frequencies(FLAT, 5)))
    body = make_body(source, dtype, parts, tables, None, second)
    assert body.patch_count >= sum(value >= large for value in values)
    assert decode(arranged_stream(source, dtype, parts, tables, second=second)) == source


@pytest.mark.parametrize("in_context_0", [32, 33, 96, 97, 1023, 1024, 1055, 1056, 1057])
@pytest.mark.parametrize("dtype", ["U8", "F32"])
@decoders
def test_the_33rd_value_in_second_order_decides_for_its_block(
    decode: Decode, dtype: str, in_context_0: int
) -> None:
    # Context 0 lies behind context 1 in arranged order; no symbol is the same number in both.
    width = LAYOUTS[dtype].width
    small, large = {"U8": (0x20, 0x80), "F32": (0x2000_0000, 0x4000_0000)}[dtype]
    values = [large | n % 5 for n in range(2048 - in_context_0)]
    values += [small | n % 5 for n in range(in_context_0)]
    source = b"".join(value.to_bytes(width, "little") for value in values)
    parts = (Part((0,), 2048),)
    bound = symbol_value_of(large, dtype)
    flat = (Frequencies(FLAT, 0), Frequencies(FLAT, 16))
    second = Second(KIND_OF[dtype], (bound,), flat)
    tables = fit_tables(source, dtype, parts, 1)
    stream = arranged_stream(source, dtype, parts, tables, second=second)
    assert decode(stream) == source


@decoders
def test_a_value_at_a_bound_is_above_it(decode: Decode) -> None:
    source = bytes(n * 13 % 256 for n in range(2048))
    for bounds in (tuple(range(1, 31, 2)), tuple(range(2, 32, 2)), (31,), (1,)):
        flat = tuple(Frequencies(FLAT, 2 * c % 32) for c in range(len(bounds) + 1))
        parts = (Part((0,), 2048),)
        tables = (Frequencies(FLAT, 0),)
        second = Second(LOW_BITS, bounds, flat)
        assert decode(arranged_stream(source, "U8", parts, tables, second=second)) == source


@decoders
def test_symbol_31_may_stand_for_0(decode: Decode) -> None:
    for chunk in (LOW, E5M2, ZEROS):
        assert chunk.second is not None
        tables = (ZERO_LAST,) * (len(chunk.second.bounds) + 1)
        changed = replace(chunk, second=replace(chunk.second, tables=tables))
        source = chunk.source()
        assert decode(changed.encode(source)) == source


@pytest.mark.parametrize("dtype", KIND_OF)
@decoders
def test_there_may_be_more_words_than_values(decode: Decode, dtype: str) -> None:
    # Every symbol costs 12 bits, being another than 31.
    layout = LAYOUTS[dtype]
    top = 0x08 << 8 * layout.width - 8
    source = b"".join((top | 1 << n % 2).to_bytes(layout.width, "little") for n in range(2048))
    parts = (Part((0,), 2048),)
    e = symbol_value_of(top, dtype)
    tables = (Frequencies(DEAR.values, e),)
    second = Second(KIND_OF[dtype], (e,), (DEAR, DEAR))
    body = make_body(source, dtype, parts, tables, None, second)
    assert (body.word_count, body.patch_count) == (2 * 2048 * 12 // 16, 0)
    assert decode(arranged_stream(source, dtype, parts, tables, second=second)) == source


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [name for name, kind in KIND_OF.items() if kind == LOW_BITS])
@decoders
def test_every_value_of_one_byte(decode: Decode, dtype: str) -> None:
    source = bytes(n * 37 % 256 for n in range(2309))
    parts = [Part((0, 1, 1, 0), 100, (7,) * 100), Part((1,), 1909)]
    for how in ("fitted", "universal"):
        tables = tables_for(how, source, dtype, parts, 2)
        for context_count in CONTEXT_COUNTS:
            second = second_for("mixed", source, dtype, parts, 2, context_count, 4)
            assert decode(arranged_stream(source, dtype, parts, tables, second=second)) == source


LOWER_HALVES: dict[str, tuple[Sequence[int], int]] = {
    "zeros": ((0,), 0),
    "one bit": ((0x8000,), 0),
    "zeros and one bit": ((0, 0x8000), 0),
    "two bits": ((0x4000, 0xC000, 0, 0x8000), 128),
    "odd": ((1, 0xFFFF, 0x8001, 0x5555), 3840),
    "every number of zeros": ([1 << z & 0xFFFF for z in range(17)], 1816),
    "every number of zeros, and ones": ([0xFFFF << z & 0xFFFF for z in range(17)], 1816),
    "one field of a bit": ((0x4000, *[0] * 2047), 8),
    "64 fields of a bit": ((*[0xC000] * 64, *[0] * 1984), 8),
    "65 fields of a bit": ((*[0xC000] * 65, *[0x8000] * 1983), 16),
}


@pytest.mark.parametrize(("halves", "nbytes"), LOWER_HALVES.values(), ids=LOWER_HALVES)
@pytest.mark.parametrize("dtype", ["F32", "C64"])
@decoders
def test_lower_halves_of_every_form(
    decode: Decode, dtype: str, halves: Sequence[int], nbytes: int
) -> None:
    tops = (0, 0x8000, 0x3F80, 0x7F80, 0xFF80, 0x7FFF, 0xFFFF, 1, 0x4000, 0xBF81)
    values = [tops[n // 3 % 10] << 16 | halves[n % len(halves)] for n in range(2048)]
    source = b"".join(value.to_bytes(4, "little") for value in [*values, *values[:5]])
    parts = (Part((0,), 2053),)
    tables = (universal(7, 240),)
    for context_count in (1, 5):
        second = second_for("fitted", source, dtype, parts, 1, context_count, 1)
        body = make_body(source, dtype, parts, tables, None, second)
        assert len(body.raw) - PLANE_NBYTES == nbytes
        assert decode(arranged_stream(source, dtype, parts, tables, second=second)) == source


@functools.cache
def most_values(dtype: str) -> tuple[bytes, bytes]:
    """262,144 values, and the stream of them."""
    rng = np.random.default_rng(7)
    if KIND_OF[dtype] == LOW_BITS:
        source = rng.normal(60, 12, 262_144).astype(np.int64).astype("u1").tobytes()
    else:
        source = rounded(rng.normal(size=262_144).astype("<f4").tobytes(), dtype, 8)
    parts = [Part((1, 0), 131_072, tuple(rng.integers(0, 15, 131_072).tolist()))]
    tables = fit_tables(source, dtype, parts, 2)
    second = second_for("fitted", source, dtype, parts, 2, 5, 9)
    return source, arranged_stream(source, dtype, parts, tables, second=second)


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F32"])
@decoders
def test_the_most_values(decode: Decode, dtype: str) -> None:
    source, stream = most_values(dtype)
    assert decode(stream) == source


# --- by hand --------------------------------------------------------------------------------------


def test_second_order_is_by_context_and_stable() -> None:
    contexts = [2, 0, 1, 0, 2, 1, 0]
    expected = [1, 3, 6, 2, 5, 0, 4]
    assert second_order(contexts) == expected
    assert reference_second.second_order(np.array(contexts)).tolist() == expected


# Of S = 3: class 0 has contexts 0 to 2, classes 1 and 2 have 3 and 4, those from 3 on have 4 and 5.
BOUNDS = (3, 5, 8, 14, 25)
CONTEXTS = {
    0: [0, 0, 0, 1, 1, 2, 2, 2],
    1: [3, 3, 3, 3, 3, 3, 4, 4],
    2: [3, 3, 3, 3, 3, 3, 4, 4],
    3: [4, 5, 5, 5, 5, 5, 5, 5],
    7: [4, 5, 5, 5, 5, 5, 5, 5],
}


def test_a_context_is_told_by_class_and_symbol_value() -> None:
    for r, expected in CONTEXTS.items():
        assert [context_of(r, e, BOUNDS, 3) for e in range(8)] == expected
        found = reference_second.contexts_of(
            np.arange(8, dtype=np.uint64), np.full(8, r, np.uint8), BOUNDS, 3
        )
        assert found.tolist() == expected
    assert context_of(2, 7, (), 3) == 0
    assert [context_of(r, 0, (9,), 3) for r in range(3)] == [0, 0, 0]


def test_numbers_of_zeros() -> None:
    values = np.array([0x1234_0000, 0x8000, 1, 0xFFFF_0004, 0xFFFF, 0x10_0000], np.uint64)
    assert second_numbers(TRAILING_ZEROS, values, values) == [16, 15, 0, 2, 0, 16]


def test_fields_are_the_bits_above_the_lowest_one() -> None:
    # Of 0x8000 and of 0 nothing, of 0x6000 two bits, of 0xA001 fifteen.
    values = np.array([0x8000, 0, 0x6000, 0xA001], np.uint64)
    zeros = [15, 16, 13, 0]
    fields = (1 | 0xA001 >> 1 << 2).to_bytes(8, "little")
    assert fields == bytes([0x01, 0x40, 0x01, 0, 0, 0, 0, 0])
    assert fields_above_the_lowest_one(values, zeros) == fields
    stored = np.frombuffer(fields, np.uint8)
    lower, upper = reference_second.lower_planes(np.array(zeros, np.uint64), stored, WHERE, 0)
    assert lower.tolist() == [0, 0, 0, 1]
    assert upper.tolist() == [0x80, 0, 0x60, 0xA0]


# --- what the encoder chooses ---------------------------------------------------------------------


def two_scales(dtype: str) -> Values:
    """A matrix of 8-bit values, half of whose rows are narrow."""
    rng = np.random.default_rng(3)
    scales = np.where(np.arange(1024) % 2, 3.0, 30.0)[:, None]
    numbers = np.clip(np.rint(rng.laplace(size=(1024, 512)) * scales), -128, 127).astype(np.int64)
    middle = 128 if dtype == "U8" else 0
    return Values(dtype, numbers.shape, (numbers + middle).astype(np.uint8).tobytes())


def arrangement_of(record: Record) -> reference_arranged.Arrangement:
    """Of an arranged chunk."""
    layout, (nbytes,) = DTYPES[record.head[0]], struct.unpack_from("<I", record.head, 4)
    assert layout is not None
    counts = reference_static.read_counts(record.body, nbytes, layout, 2048, WHERE, 0)
    references = len(record.references)
    return reference_arranged.read_arrangement(record.body, counts, layout, references, WHERE, 0)


@pytest.mark.parametrize("dtype", ["I8", "U8"])
def test_contexts_of_narrow_values_follow_their_classes(dtype: str) -> None:
    source = safetensors_bytes({"w": two_scales(dtype)})
    stream = znl.compress(source, level="default")
    assert all(decode(stream) == source for decode in DECODERS.values())
    chunks = [each for each in records_of(stream) if each.kind == CHUNK and each.references]
    found = [arrangement_of(chunk) for chunk in chunks]
    assert len(found) > 1
    assert all(arrangement.second.kind == LOW_BITS for arrangement in found)
    assert all(max(arrangement.bounds) >> 5 > 0 for arrangement in found)
    # The chunks are alike: tables of contexts are written for one of them.
    count = found[0].second.context_count
    assert len({chunk.references[-count:] for chunk in chunks}) == 1


# --- golden files and broken rules ----------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD_SECOND)
@decoders
def test_golden_files_are_restored(decode: Decode, name: str) -> None:
    stream = (GOLDEN / "good" / f"v1_second_{name}.znl").read_bytes()
    assert decode(stream) == GOOD_SECOND[name].source()


def test_golden_files_hold_what_they_are_named_for() -> None:
    bodies = {name: body_of(chunk) for name, chunk in GOOD_SECOND.items()}
    for name, body in bodies.items():
        stream = (GOLDEN / "good" / f"v1_second_{name}.znl").read_bytes()
        assert [rec.body for rec in records_of(stream) if rec.kind == CHUNK] == [body.pack()]
    assert bodies["one_context"].more_contexts == 0
    assert bodies["one_context"].patch_count > 0
    assert bodies["16_contexts"].more_contexts == 15
    assert bodies["16_contexts"].patch_count > 0
    assert bodies["more_words_than_values"].word_count > 2048
    source = GOOD_SECOND["trailing_zeros"].source()
    lower = {int.from_bytes(source[at : at + 2], "little") for at in range(0, len(source), 4)}
    assert lower > {0, 0x8000}


GOOD_BASES = {
    "LOW": LOW,
    "ZEROS": ZEROS,
    "ONE_CLASS": ONE_CLASS,
    "E5M2": E5M2,
    "BLOCK_33": BLOCK_33,
    "GAP": GAP,
    "PADDED": PADDED,
}


@pytest.mark.parametrize("chunk", GOOD_BASES.values(), ids=GOOD_BASES)
@decoders
def test_what_the_bad_ones_are_made_of_is_good(decode: Decode, chunk: Arranged) -> None:
    source = chunk.source()
    assert decode(chunk.encode(source)) == source


@pytest.mark.parametrize("name", SECOND_HOSTILE)
@decoders
def test_a_broken_rule_is_an_error_of_its_class(decode: Decode, name: str) -> None:
    error, stream = SECOND_HOSTILE[name]
    with pytest.raises(error) as caught:
        decode(stream)
    assert type(caught.value) is error
    assert ": expected " in str(caught.value)


@pytest.mark.parametrize("name", SECOND_GOLDEN)
@decoders
def test_a_bad_golden_file_raises_the_class_it_is_named_for(decode: Decode, name: str) -> None:
    stream = (GOLDEN / "bad" / f"{name}.znl").read_bytes()
    assert stream == SECOND_HOSTILE[name][1]
    with pytest.raises(getattr(errors, name.split("__")[0])):
        decode(stream)


@pytest.mark.parametrize("chunk", [LOW, ZEROS], ids=["LOW", "ZEROS"])
def test_no_bit_flip_of_an_arrangement_passes_unnoticed(chunk: Arranged) -> None:
    source = chunk.source()
    stream = chunk.encode(source)
    record = next(record for record in records_of(stream) if record.kind == CHUNK)
    start = record.start + 16 + len(record.head)
    for bit in range(8 * start, 8 * (start + 80)):
        damaged = bytearray(stream)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        for decode in DECODERS.values():
            with contextlib.suppress(znl.CorruptStreamError, znl.UnsupportedFormatError):
                assert decode(bytes(damaged)) == source, f"bit {bit}"
