# SPDX-License-Identifier: Apache-2.0
"""The arranged method (docs/format.md, 5.8 and 5.9): what the test encoder writes comes back.

By the reference decoder, and by the C core where it knows the method.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from arranged_builder import (
    LAYOUTS,
    Frequencies,
    Known,
    Part,
    add_chunk,
    arranged_order,
    arranged_stream,
    fit_tables,
    make_body,
    make_known,
    universal,
)
from arranged_samples import SHAPES, TABLE_COUNTS, tables_for, value_count, with_classes
from arranged_streams import (
    ARRANGED_HOSTILE,
    BF16,
    E8M0,
    F32,
    GAP,
    GOOD_ARRANGED,
    MARKS,
    SHIFTED,
    SIGNED,
    Arranged,
    of_many,
    part,
    scaled,
    with_noise,
)
from builders import CHUNK, TABLE, StreamBuilder, records_of
from decoders import DECODERS, Decode, decoders
from hypothesis import given
from hypothesis import strategies as st
from strategies import KINDS, make, part_shapes

import zipnn_like as znl
from zipnn_like import errors
from zipnn_like.dtypes import BY_NAME
from zipnn_like.reference import arranged as reference_arranged
from zipnn_like.reference.known_bits import Announced, KnownBits
from zipnn_like.reference.static import Layout

GOLDEN = Path(__file__).parent / "golden"


# --- what comes back ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", LAYOUTS)
@decoders
@given(data=st.data())
def test_any_chunk_is_restored(decode: Decode, dtype: str, data: st.DataObject) -> None:
    table_count = data.draw(st.sampled_from(TABLE_COUNTS), "K")
    shapes = data.draw(part_shapes(), "shapes")
    seed = data.draw(st.integers(0, 2**32), "seed")
    parts = with_classes(shapes, table_count, seed)
    kind = data.draw(st.sampled_from(KINDS), "kind")
    source = make(BY_NAME[dtype], kind, (value_count(parts),), seed).data
    if dtype == "C64":  # whose values here are the halves
        source = source[: value_count(parts) * 4]
    how = data.draw(st.sampled_from(["fitted", "universal", "mixed"]), "tables")
    tables = tables_for(how, source, dtype, parts, table_count)
    assert decode(arranged_stream(source, dtype, parts, tables)) == source


@pytest.mark.parametrize("table_count", range(1, 33))
@decoders
def test_any_number_of_tables(decode: Decode, table_count: int) -> None:
    parts = with_classes([(33, 40, True), (11, 70, False)], table_count, table_count)
    source = scaled(parts, table_count, 1, 40, 3, 6)
    tables = fit_tables(source, "F8_E5M2", parts, table_count)
    stream = arranged_stream(source, "F8_E5M2", parts, tables)
    assert decode(stream) == source
    assert len(records_of(stream)[-3].references) == table_count


@pytest.mark.parametrize("tail", range(64))
@decoders
def test_any_tail(decode: Decode, tail: int) -> None:
    shapes = [(16, 64, False), (1, 4 + tail, True), (60, 17, True)]
    parts = with_classes(shapes, 3, tail)
    parts.append(Part((0,), -(value_count(parts) - tail) % 64 + 64, None))
    assert value_count(parts) % 64 == tail
    source = scaled(parts, 3, 2, 0x3C00, 0x80, 90)
    tables = fit_tables(source, "BF16", parts, 3)
    assert decode(arranged_stream(source, "BF16", parts, tables)) == source


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("table_count", [1, 2, 32])
@decoders
def test_parts_of_every_shape(
    decode: Decode, shapes: Sequence[tuple[int, int, bool]], table_count: int
) -> None:
    parts = with_classes(shapes, table_count, 5)
    source = scaled(parts, table_count, 2, 0x3000, 0x100, 300)
    for how in ("fitted", "mixed"):
        tables = tables_for(how, source, "F16", parts, table_count)
        assert decode(arranged_stream(source, "F16", parts, tables)) == source


@decoders
def test_the_longest_rows_and_the_most_values(decode: Decode) -> None:
    stream = of_many([Part((0, 0), 131_072)])
    assert decode(stream) == b"\x64" * 262_144


@decoders
def test_symbols_without_a_value_and_values_without_a_symbol(decode: Decode) -> None:
    # All patched: base 100 and values up to 31.
    parts = (part(1, 60, 40, 2, columns=True),)
    source = bytes(i * i % 31 for i in range(value_count(parts)))
    tables = (Frequencies((128,) * 32, 100), Frequencies((128,) * 32, 130, True))
    body = make_body(source, "F8_E8M0", parts, tables)
    assert 1500 < body.patch_count < 2368
    assert decode(arranged_stream(source, "F8_E8M0", parts, tables)) == source


@decoders
def test_chunks_share_tables_with_one_another_and_with_static_ones(decode: Decode) -> None:
    builder = StreamBuilder()
    shared = GOOD_ARRANGED["rows"].tables_of(GOOD_ARRANGED["rows"].source())
    for seed in (1, 2):
        parts = (part(seed, 31, 71, 4, columns=seed == 2),)
        source = scaled(parts, 4, 2, 0x3C00, 0x80, 90, seed)
        add_chunk(builder, source, "BF16", shared, make_body(source, "BF16", parts, shared))
    builder.raw(b"between")
    source = GOOD_ARRANGED["patches"].source()
    chunk = GOOD_ARRANGED["patches"]
    tables = chunk.tables_of(source)
    add_chunk(builder, source, "U8", tables, make_body(source, "U8", chunk.parts, tables))
    expected = bytes(builder.source)
    stream = builder.finish()
    assert [record.kind for record in records_of(stream)].count(TABLE) == 4
    assert decode(stream) == expected


# --- bits that are not stored (section 5.9) -------------------------------------------------------

MOST_SHIFT = {"F32": 16, "C64": 16, "F64": 48}


def superblocks(parts: Sequence[Part]) -> int:
    return -(-(value_count(parts) // 64) // 8)


def nbytes_saved(known: Known, count: int) -> int:
    """By how much the raw section of `count` values is shorter."""
    coded = count - count % 64
    sizes = [min(512, coded - first) for first in range(0, coded, 512)]
    return sum(
        size * known.shift // 8 for size, mark in zip(sizes, known.marks, strict=True) if mark
    )


@functools.cache
def noisy(
    shapes: tuple[tuple[int, int, bool], ...], table_count: int, dtype: str, known: Known, seed: int
) -> tuple[bytes, bytes]:
    """Values of either sign and with noise below the top but for what is known, and their stream.

    Their raw section is shorter by what is known.
    """
    parts = with_classes(shapes, table_count, seed)
    width = LAYOUTS[dtype].width
    step = 1 << 8 * width - 9
    values = scaled(parts, table_count, width, 0x3C << 8 * width - 8, step, step // 2 + 1, seed)
    source = make_known(with_noise(values, width, seed), dtype, parts, table_count, known)
    tables = fit_tables(source, dtype, parts, table_count)
    body = make_body(source, dtype, parts, tables, known)
    saved = len(make_body(source, dtype, parts, tables).raw) - len(body.raw)
    assert saved == nbytes_saved(known, value_count(parts))
    return source, add_chunk(StreamBuilder(), source, dtype, tables, body).finish()


@pytest.mark.parametrize("dtype", MOST_SHIFT)
@decoders
@given(data=st.data())
def test_any_known_bits_are_restored(decode: Decode, dtype: str, data: st.DataObject) -> None:
    table_count = data.draw(st.sampled_from(TABLE_COUNTS), "K")
    shapes = data.draw(part_shapes(), "shapes")
    seed = data.draw(st.integers(0, 2**32), "seed")
    parts = with_classes(shapes, table_count, seed)
    share = data.draw(st.sampled_from([0.0, 0.3, 0.8, 1.0]), "share of the marks")
    marks = np.random.default_rng(seed).random(superblocks(parts)) < share
    known = Known(
        data.draw(st.integers(1, MOST_SHIFT[dtype]), "shift"),
        tuple(map(int, marks)),
        data.draw(st.sampled_from([None, 0, 1]), "sign"),
    )
    kind = data.draw(st.sampled_from(KINDS), "kind")
    values = make(BY_NAME[dtype], kind, (value_count(parts),), seed).data
    values = values[: value_count(parts) * LAYOUTS[dtype].width]  # C64 has halves for values
    source = make_known(values, dtype, parts, table_count, known)
    how = data.draw(st.sampled_from(["fitted", "universal", "mixed"]), "tables")
    tables = tables_for(how, source, dtype, parts, table_count)
    assert decode(arranged_stream(source, dtype, parts, tables, known)) == source


@pytest.mark.parametrize(
    ("dtype", "shift"), [(d, k) for d, most in MOST_SHIFT.items() for k in range(1, most + 1)]
)
@decoders
def test_any_shift(decode: Decode, dtype: str, shift: int) -> None:
    # Reordered, with columns and without, superblocks of either kind, the last one short, a tail.
    for sign in (None, 0, 1):
        known = Known(shift, (1, 0, 1, 1, 0, 1), sign)
        source, stream = noisy(((20, 33, False), (40, 50, True)), 3, dtype, known, shift)
        assert decode(stream) == source


@pytest.mark.parametrize("dtype", MOST_SHIFT)
@pytest.mark.parametrize("blocks", range(32, 41))
@decoders
def test_a_short_last_superblock(decode: Decode, blocks: int, dtype: str) -> None:
    tails = ((0, 1, 1), (1, 7, None), (63, 9, 0), (32, MOST_SHIFT[dtype], 1))
    for last, (tail, shift, sign) in itertools.product((0, 1), tails):
        known = Known(shift, (*(0, 1, 1, 0)[: -(-blocks // 8) - 1], last), sign)
        source, stream = noisy(((1, 64 * blocks + tail, True),), 2, dtype, known, blocks)
        assert decode(stream) == source


@pytest.mark.parametrize("dtype", MOST_SHIFT)
@decoders
def test_any_superblocks_may_be_marked(decode: Decode, dtype: str) -> None:
    for number in range(2**5):
        known = Known(12, tuple(number >> bit & 1 for bit in range(5)), number % 2)
        source, stream = noisy(((47, 45, False), (5, 64, False)), 2, dtype, known, number)
        assert decode(stream) == source


@decoders
def test_marks_follow_the_classes_at_any_bit(decode: Decode) -> None:
    # One class bit for each row, so the marks begin at any bit of a word.
    for row_count in range(30, 64):
        known = Known(6, (1, 0, 1, 1, 0), 0)
        shapes = ((row_count, 33, False), (1, 2560 - 33 * row_count, False))
        source, stream = noisy(shapes, 2, "F32", known, row_count)
        assert decode(stream) == source


@pytest.mark.parametrize("dtype", MOST_SHIFT)
@decoders
def test_special_values_of_one_sign(decode: Decode, dtype: str) -> None:
    width = LAYOUTS[dtype].width
    ones = (1 << 8 * width) - 1
    exponent = {4: 0xFF << 23, 8: 0x7FF << 52}[width]
    special = [0, 1, 1 << 8 * width - 1, ones, ones - 1, exponent, exponent | 1, ones >> 1, 2, 3]
    parts = [Part((0,), 2112)]
    numbers = b"".join(special[n % 10].to_bytes(width, "little") for n in range(2112))
    for sign, shift in itertools.product((0, 1), (1, 2, MOST_SHIFT[dtype])):
        known = Known(shift, (1, 1, 0, 1, 1), sign)
        source = make_known(numbers, dtype, parts, 1, known)
        for how in ("fitted", "universal"):
            tables = tables_for(how, source, dtype, parts, 1)
            assert decode(arranged_stream(source, dtype, parts, tables, known)) == source


@functools.cache
def most_superblocks() -> tuple[bytes, bytes]:
    """262,144 values, and the stream of them."""
    parts = [Part((1, 0), 131_072)]
    marks = np.random.default_rng(5).integers(0, 2, 512)
    values = np.random.default_rng(6).normal(size=262_144).astype("<f4").tobytes()
    known = Known(11, tuple(marks.tolist()), 1)
    source = make_known(values, "F32", parts, 2, known)
    return source, arranged_stream(source, "F32", parts, [universal(7, 228)] * 2, known)


@decoders
def test_the_most_superblocks(decode: Decode) -> None:
    source, stream = most_superblocks()
    assert decode(stream) == source


# --- bits that are not stored, by hand ------------------------------------------------------------

F32_LAYOUT = Layout(4, "rotate", 9, 2, 7)


def test_a_marked_plane_is_fields_of_the_bits_that_are_left() -> None:
    # One block, k = 3: byte plane 0 has fields of 5 bits, byte plane 1 is whole.
    known = KnownBits(Announced(3, False, 0), np.array([1], np.uint8), 64)
    fields = [1, 2, 3, 31, *[0] * 59, 17]
    packed = sum(field << 5 * n for n, field in enumerate(fields)).to_bytes(40, "little")
    assert packed[:3] == bytes([0b010_00001, 0b1_00011_00, 0b0000_1111])
    rest = bytes(range(64)) + bytes(448)
    stored = np.frombuffer(packed + rest, np.uint8)
    whole = known.with_whole_planes(stored, F32_LAYOUT).tobytes()
    assert whole == bytes([8, 16, 24, 248, *[0] * 59, 136]) + rest
    assert known.missing_nbytes(F32_LAYOUT) == 24


def test_every_plane_lacks_what_the_shift_leaves_for_it() -> None:
    expected = {1: [1, 0], 7: [7, 0], 8: [8, 0], 9: [8, 1], 15: [8, 7], 16: [8, 8]}
    for shift, missing in expected.items():
        known = KnownBits(Announced(shift, False, 0), np.array([1], np.uint8), 64)
        assert known.missing_bits(F32_LAYOUT) == missing


def test_bit_0_travels_in_the_sign_bit() -> None:
    known = KnownBits(Announced(1, True, 1), np.array([1], np.uint8), 64)
    stored = np.array([0, 0x8000_0000, 0x7F80_0002, 0xFF80_0002, *[0] * 60, 0x8000_0001], "<u4")
    values = np.frombuffer(known.with_signs(stored.tobytes(), F32_LAYOUT), "<u4")
    assert values[:4].tolist() == [0x8000_0000, 0x8000_0001, 0xFF80_0002, 0xFF80_0003]
    assert values[64] == 0x8000_0001  # in the tail


# --- the order, by hand ---------------------------------------------------------------------------


def order_of(rows: tuple[int, ...], row_values: int, columns: tuple[int, ...] | None) -> list[int]:
    """By the builder and by the reference, which must agree."""
    by_builder, _ = arranged_order([Part(rows, row_values, columns)], 32)
    shape = reference_arranged.Part(len(rows), row_values, columns is not None)
    q = np.array(columns) - 7 if columns is not None else np.zeros(row_values, np.int64)
    by_reference = reference_arranged.ClassedPart(shape, np.array(rows), q).order().tolist()
    assert by_builder == by_reference
    return by_builder


def test_rows_go_by_their_class() -> None:
    rows = (2, 0, 2, 1)
    assert order_of(rows, 4, None) == [4, 5, 6, 7, 12, 13, 14, 15, 0, 1, 2, 3, 8, 9, 10, 11]


def test_rows_of_64_values_stay() -> None:
    assert order_of((2, 0, 1), 64, None) == list(range(192))


def test_columns_go_by_the_class_of_the_row_first() -> None:
    columns = (8, 7, 8, 0)
    rows_0 = [7, 15, 5, 13, 4, 6, 12, 14]  # rows 1 and 3: column 3, then 1, then 0 and 2
    rows_2 = [3, 11, 1, 9, 0, 2, 8, 10]
    assert order_of((2, 0, 2, 0), 4, columns) == rows_0 + rows_2


def test_classes_are_kept_within_the_tables() -> None:
    shape = reference_arranged.Part(3, 4, True)
    classed = reference_arranged.ClassedPart(shape, np.array([0, 1, 2]), np.array([-7, -1, 0, 7]))
    assert classed.classes(3).tolist() == [0, 0, 0, 2, 0, 0, 1, 2, 0, 1, 2, 2]
    parts = [Part((0, 1, 2), 4, (0, 6, 7, 14))]
    order, classes = arranged_order(parts, 3)
    assert [classes[order.index(n)] for n in range(12)] == classed.classes(3).tolist()


def test_the_33rd_value_decides_for_its_block() -> None:
    # Rows of 64 from value 32 on: the first half of every block belongs to the row before.
    parts = [Part((1,), 32), Part((0,) * 16 + (2,) * 16, 64)]
    source = bytes(32) + bytes([100] * 1024 + [200] * 1024)
    # A decoder that takes another value than the 33rd finds other tables from block 16 on.
    tables = [universal(12, 100 - 24), universal(12, 0), universal(12, 200 - 24)]
    body = make_body(source, "F8_E8M0", parts, tables)
    assert body.patch_count == 32  # of block 16, whose first half is 100
    stream = arranged_stream(source, "F8_E8M0", parts, tables)
    for decode in DECODERS.values():
        assert decode(stream) == source


# --- golden files and broken rules ----------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD_ARRANGED)
@decoders
def test_golden_files_are_restored(decode: Decode, name: str) -> None:
    chunk = GOOD_ARRANGED[name]
    stream = (GOLDEN / "good" / f"v1_arranged_{name}.znl").read_bytes()
    assert decode(stream) == chunk.source()


@pytest.mark.parametrize("name", GOOD_ARRANGED)
def test_golden_files_say_which_bits_are_known(name: str) -> None:
    known = GOOD_ARRANGED[name].known
    stream = (GOLDEN / "good" / f"v1_arranged_{name}.znl").read_bytes()
    (body,) = (record.body for record in records_of(stream) if record.kind == CHUNK)
    expected = 0 if known is None else known.shift << 2 | (known.sign or 0) << 1
    expected |= known is not None and known.sign is not None
    assert int.from_bytes(body[10:12], "little") == expected
    assert ("shift" in name or "sign" in name) == (expected > 0)


GOOD_BASES = {
    "E8M0": E8M0,
    "GAP": GAP,
    "BF16": BF16,
    "F32": F32,
    "SHIFTED": SHIFTED,
    "SIGNED": SIGNED,
    "MARKS": MARKS,
}


@pytest.mark.parametrize("chunk", GOOD_BASES.values(), ids=GOOD_BASES)
@decoders
def test_what_the_bad_ones_are_made_of_is_good(decode: Decode, chunk: Arranged) -> None:
    source = chunk.source()
    assert decode(chunk.encode(source)) == source


@pytest.mark.parametrize("name", ARRANGED_HOSTILE)
@decoders
def test_a_broken_rule_is_an_error_of_its_class(decode: Decode, name: str) -> None:
    error, stream = ARRANGED_HOSTILE[name]
    with pytest.raises(error) as caught:
        decode(stream)
    assert type(caught.value) is error
    assert ": expected " in str(caught.value)


@pytest.mark.parametrize("path", sorted((GOLDEN / "bad").glob("*arranged*")), ids=lambda p: p.stem)
@decoders
def test_a_bad_golden_file_raises_the_class_it_is_named_for(decode: Decode, path: Path) -> None:
    with pytest.raises(getattr(errors, path.stem.split("__")[0])):
        decode(path.read_bytes())


@pytest.mark.parametrize(("chunk", "most"), [(E8M0, 1 << 16), (MARKS, 120)], ids=["E8M0", "MARKS"])
def test_no_bit_flip_of_a_body_passes_unnoticed(chunk: Arranged, most: int) -> None:
    """`most`: how many bytes of head and body are tried."""
    source = chunk.source()
    stream = chunk.encode(source)
    record = next(record for record in records_of(stream) if record.kind == CHUNK)
    start = record.start + 16
    for bit in range(8 * start, 8 * (start + min(most, len(record.head) + len(record.body)))):
        damaged = bytearray(stream)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        for decode in DECODERS.values():
            with contextlib.suppress(znl.CorruptStreamError, znl.UnsupportedFormatError):
                assert decode(bytes(damaged)) == source, f"bit {bit}"
