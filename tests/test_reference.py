# SPDX-License-Identifier: Apache-2.0
"""The reference decoder on streams made here by hand, field by field, from docs/format.md."""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import random
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import xxhash
import zstandard
from builders import COLLIDING, table_head

from zipnn_like.errors import (
    CorruptStreamError,
    LimitExceededError,
    TruncatedStreamError,
    UnsupportedFormatError,
    UsageError,
)
from zipnn_like.reference import decode, decode_range, main
from zipnn_like.reference.tables import SHAPES, slot_owners
from zipnn_like.reference.xxh3 import xxh3_64

CHUNK, TABLE, SAME_AS, PAGE, ROOT = 1, 2, 3, 4, 5
BYTES, F8_E8M0, U8 = 0, 10, 15
RAW, CONSTANT, ZSTD, STATIC = 0, 1, 2, 3

hash64: Callable[[bytes], int] = xxhash.xxh3_64_intdigest


def stream_header(
    *, magic: bytes = b"\x89ZNL\r\n\x1a\n", needed: int = 1, zeros: bytes = bytes(7), check: int = 0
) -> bytes:
    """`check` is xored with the right one."""
    fields = magic + struct.pack("<HHIB7s", 1, needed, 10507, 0, zeros)
    return fields + struct.pack("<Q", hash64(fields) ^ check)


class Maker:
    """A stream under construction; every field as the specification has it.

    `context`, `flags` and what is done to `entries` and `rows` are ways to break one of them.
    """

    def __init__(self, *, page_chunks: int = 512) -> None:
        self.stream = stream_header()
        self.source = b""
        self.page_chunks = page_chunks  # a page is written behind that many
        self.entries: list[bytes] = []
        self.tables: dict[int, bytes] = {}  # every one written
        self.page_tables: dict[int, bytes] = {}
        self.rows: list[bytes] = []
        self.covered = self.chunk_count = 0
        self.page_start = self.last_end = 32

    def record(self, kind: int, head: bytes, body: bytes = b"", flags: int = 1) -> tuple[int, int]:
        """Append a record; returns its size and its check field."""
        fields = struct.pack("<BBHI", kind, flags, len(head), len(body))
        check = hash64(fields + head)
        record = fields + struct.pack("<Q", check) + head + body + bytes(-len(body) % 4)
        self.stream += record
        return len(record), check

    def skipped(self, body: bytes = b"", behind: bytes = b"") -> Maker:
        """A record that need not be understood; `behind`: the head behind the body's check."""
        self.record(0x7F, bytes(24) + struct.pack("<Q", hash64(body)) + behind, body, flags=0)
        return self

    def chunk(
        self,
        method: int,
        source: bytes,
        body: bytes,
        dtype: int = BYTES,
        references: Sequence[int] = (),
        unit_shift: int = 0,
    ) -> Maker:
        fields = (dtype, method, len(references), unit_shift, len(source), hash64(source))
        head = struct.pack("<BBBBIQ", *fields) + struct.pack(f"<{len(references)}Q", *references)
        for name in references:
            if name in self.tables:
                self.page_tables.setdefault(name, self.tables[name])
        return self._entry(CHUNK, head, body, source, dtype, method)

    def raw(self, source: bytes) -> Maker:
        return self.chunk(RAW, source, source)

    def same_as(self, nbytes: int, distance: int, dtype: int = BYTES) -> Maker:
        start = len(self.source) - distance
        source = self.source[start : start + nbytes]
        head = struct.pack("<B3xIQII", dtype, nbytes, hash64(source), distance, 0)
        return self._entry(SAME_AS, head, b"", source, dtype, 0)

    def table(self, head: bytes) -> int:
        """Append a TABLE record; returns the table's name."""
        self.record(TABLE, head)
        name = hash64(head) | 1 << 63
        self.tables[name] = head
        return name

    def _entry(
        self, kind: int, head: bytes, body: bytes, source: bytes, dtype: int, method: int
    ) -> Maker:
        gap = len(self.stream) - self.last_end
        size, _ = self.record(kind, head, body)
        fields = (len(source), size, gap, kind, dtype, method, 0, hash64(source))
        self.entries.append(struct.pack("<IIIBBBBQ", *fields))
        self.last_end = len(self.stream)
        self.source += source
        self.covered += len(source)
        self.chunk_count += 1
        if len(self.entries) == self.page_chunks:
            self.page()
        return self

    def entry_field(self, offset: int, value: int) -> Maker:
        """Put another byte into the last entry."""
        entry = bytearray(self.entries[-1])
        entry[offset] = value
        self.entries[-1] = bytes(entry)
        return self

    def page(self, context: bytes | None = None) -> Maker:
        if context is None:
            context = b"".join(item(head) for head in self.page_tables.values())
        body = b"".join(self.entries) + context
        before = len(self.stream) - self.page_start
        fields = (len(self.entries), len(context), self.covered, before, hash64(body))
        size, check = self.record(PAGE, struct.pack("<IIQQQ", *fields), body)
        summary = (self.covered, before, size, len(self.entries), check)
        self.rows.append(struct.pack("<QQIIQ", *summary))
        self.entries, self.page_tables, self.covered = [], {}, 0
        self.page_start = self.last_end = len(self.stream)
        return self

    def row_fields(self, before: int, page: int) -> Maker:
        """Add to the stream bytes before the last page and to its size, in the ROOT."""
        fields = list(struct.unpack("<QQIIQ", self.rows[-1]))
        fields[1] += before
        fields[2] += page
        self.rows[-1] = struct.pack("<QQIIQ", *fields)
        return self

    def finish(self, *, sha256: bytes | None = None, flags: int = 0) -> bytes:
        if self.entries:
            self.page()
        body = b"".join(self.rows)
        totals = (len(self.source), self.chunk_count, hash64(body))
        flags |= sha256 is not None
        if sha256 is not None and self.stream[17] == 0:
            announced = self.stream[:17] + b"\x01" + self.stream[18:24]
            self.stream = announced + struct.pack("<Q", hash64(announced)) + self.stream[32:]
        head = struct.pack("<IIQQQ", len(self.rows), flags, *totals)
        start = len(self.stream)
        size, _ = self.record(ROOT, head + (sha256 or b""), body)
        sizes = struct.pack("<QQ", size, len(self.stream) + 32)
        check = hash64(self.stream[start : start + 16] + sizes)
        return self.stream + sizes + struct.pack("<Q", check) + b"ZNLEND\r\n"


def item(head: bytes, kind: int = TABLE) -> bytes:
    """Section 7.1: an item of a page's context."""
    return struct.pack("<I", kind << 24 | len(head)) + head


# Static chunks of one-byte dtypes, scalar, one value at a time (sections 5.4 to 5.7).


def encode_symbols(
    symbols: Sequence[int], frequencies: Sequence[Sequence[int]], lanes: int, hidden: bytes
) -> tuple[bytes, list[int]]:
    """States and words; `frequencies` gives each value's table."""
    slots: dict[tuple[int, ...], dict[tuple[int, int], int]] = {}
    for table in {tuple(table) for table in frequencies}:
        owners = zip(*slot_owners(table), strict=True)
        slots[table] = {(int(s), int(i)): slot for slot, (s, i) in enumerate(owners)}
        assert set(slots[table]) == {(s, i) for s in range(32) for i in range(table[s])}
    x = [65536 + int.from_bytes(hidden[2 * n : 2 * n + 2], "little") for n in range(lanes)]
    words = []
    for i in reversed(range(len(symbols))):
        table, symbol, lane = tuple(frequencies[i]), symbols[i], i % lanes
        f = table[symbol]
        if x[lane] >= f << 20:
            words.append(x[lane] & 0xFFFF)
            x[lane] >>= 16
        x[lane] = x[lane] // f * 4096 + slots[table][symbol, x[lane] % f]
    return struct.pack(f"<{lanes}I", *x), words[::-1]


FLAT = (128,) * 32


def flat_table(base: int) -> bytes:
    return table_head(FLAT, base)


def static_u8(
    maker: Maker,
    *,
    patch: bool = False,
    universal: bool = False,
    shape: Sequence[int] = FLAT,
    base: int = 0,
    written: bool = True,
    unused: int = 0,
) -> Maker:
    """70 values of U8 in one block, coded with one table; a patch; a tail of 6 values.

    The table is `shape` and `base`, its TABLE record `written` here or before; with `unused`, that
    many more are referred to by name.
    """
    source = bytes(i * 37 % 256 for i in range(70))
    table = table_head(shape, base)
    references = [maker.table(table) if written else hash64(table) | 1 << 63]
    references += [maker.table(flat_table(n + 1)) for n in range(unused)]
    frequencies = [shape]
    if universal:  # a second table, used by the only unit
        references.append(12 << 12 | 5)  # shape 12, base 5, zero flag
        frequencies.append(SHAPES[12])
    class_map = struct.pack("<I", universal) if len(references) > 1 else b""

    symbols, patches = [], []
    for i, value in enumerate(source[:64]):
        e = value >> 3
        symbol = (e - base) % 32
        if universal:
            symbol = 31 if e == 0 else (e - 5) % 32
            if symbol == 31 and e != 0:
                patches.append(i << 12 | e)
        if patch and i % 9 == 0:
            symbol = 31
            patches.append(i << 12 | e)
        symbols.append(symbol)

    # One block: m = floor(8 / 3) = 2, so only V0 is stored, with F0 in bits 0 to 2.
    plane = bytes(source[p // 2 + 32 * (p % 2)] & 7 for p in range(64))
    states, words = encode_symbols(symbols, [frequencies[-1]] * 64, 8, plane[-16:])
    body = struct.pack("<HH", len(words), len(patches)) + class_map + states
    body += struct.pack(f"<{len(patches)}I", *patches) + bytes(2 * (len(words) % 2))
    body += struct.pack(f"<{len(words)}H", *words) + plane[:-16] + source[64:]
    return maker.chunk(STATIC, source, body, U8, references, 6 if class_map else 0)


def static_e8m0(maker: Maker) -> Maker:
    """2,053 values of F8_E8M0: 64 lanes, no raw section, so nothing hides in the states."""
    source = bytes(100 + i * i % 31 for i in range(2053))
    table = SHAPES[7]
    symbols = [value - 100 for value in source[:2048]]
    states, words = encode_symbols(symbols, [table] * 2048, 64, b"")
    body = struct.pack("<II", len(words), 0) + states + bytes(2 * (len(words) % 2))
    body += struct.pack(f"<{len(words)}H", *words) + source[2048:]
    return maker.chunk(STATIC, source, body, F8_E8M0, [7 << 12 | 100])


def every_feature() -> tuple[bytes, bytes]:
    maker = Maker().raw(b"first").chunk(CONSTANT, b"ab" * 150, b"ab").same_as(300, 300)
    maker.skipped(b"skip")
    text = b"hello " * 50
    maker.chunk(ZSTD, text, zstandard.ZstdCompressor().compress(text)).same_as(300, 300)
    static_u8(maker, patch=True)
    maker.record(0x06, b"", b"", flags=0)
    return maker.finish(sha256=hashlib.sha256(maker.source).digest()), maker.source


GOOD = {
    "empty": Maker(),
    "raw": Maker().raw(b"\x00\xff!"),
    "two_raw": Maker().raw(b"ab").raw(b"cdefg"),
    "constant_1": Maker().chunk(CONSTANT, b"\x00" * 77, b"\x00"),
    "constant_8": Maker().chunk(CONSTANT, b"12345678" * 3, b"12345678", dtype=1),
    "every_dtype": functools.reduce(
        lambda maker, dtype: maker.chunk(RAW, bytes(8), bytes(8), dtype), range(23), Maker()
    ),
    "same_as": Maker().raw(b"abc" * 99).raw(b"d" * 256).same_as(297, 553).same_as(256, 553),
    "skipped": Maker().skipped().raw(b"a").skipped(b"skip").skipped(b"skip!", bytes(4064)),
    "static_u8": static_u8(Maker()),
    "static_u8_patches": static_u8(Maker(), patch=True),
    "static_u8_two_tables": static_u8(Maker(), universal=True),
    "static_e8m0": static_e8m0(Maker()),
    "context_of_416": static_u8(Maker(), unused=7),
}


@pytest.mark.parametrize("nbytes", [*range(301), 1023, 1024, 1025, 2048, 2049, 70_001, 1 << 21])
def test_xxh3_matches_xxhash(nbytes: int) -> None:
    data = random.Random(nbytes).randbytes(nbytes)
    assert xxh3_64(data) == hash64(data)


@pytest.mark.parametrize("name", GOOD)
def test_good_streams_are_restored_in_whole_and_in_part(name: str) -> None:
    maker = GOOD[name]
    stream, source = maker.finish(), maker.source
    assert decode(stream) == source
    size = len(source)
    for start in range(0, size + 1, max(size // 7, 1)):
        for stop in range(start, size + 1, max(size // 5, 1)):
            assert decode_range(stream, start, stop) == source[start:stop]


def test_every_feature_at_once_is_restored() -> None:
    stream, source = every_feature()
    assert decode(stream) == source == decode_range(stream, 0, len(source))


def test_pages_of_512_chunks_are_restored() -> None:
    maker = Maker()
    for number in range(1025):
        if number % 300 == 299:
            maker.skipped()
        if number % 5 == 4:
            maker.same_as(256, 512)
        else:
            maker.raw(bytes([number % 256, number // 256]) * 128)
    stream, source = maker.finish(), maker.source
    assert len(maker.rows) == 3
    assert decode(stream) == source == decode_range(stream, 0, len(source))
    span = slice(511 * 256 - 9, 514 * 256 + 9)
    assert decode_range(stream, span.start, span.stop) == source[span]


def test_records_that_are_no_chunks_may_stand_before_a_page_that_is_due() -> None:
    maker = Maker(page_chunks=0)
    for number in range(512):
        maker.raw(bytes([number % 256]))
    maker.table(flat_table(0))
    maker.skipped(b"skip").page()
    static_u8(maker, written=False)  # in the context of the page that refers to it
    stream, source = maker.finish(), maker.source
    assert decode(stream) == source == decode_range(stream, 0, len(source))


def test_a_repeat_of_16_mib_is_restored() -> None:
    nbytes = 16 << 20
    maker = Maker().chunk(CONSTANT, bytes(nbytes), b"\0").same_as(nbytes, nbytes)
    stream = maker.finish()
    assert decode(stream) == maker.source
    assert decode_range(stream, nbytes, nbytes + 3) == bytes(3)


def test_a_table_is_kept_for_1023_more_tables() -> None:
    for between, kept in [(1023, True), (1024, False)]:
        maker = Maker()
        maker.table(flat_table(0))
        for base in range(between):
            maker.table(flat_table(base + 1))
        stream = static_u8(maker, written=False).finish()
        # To a random reader, the page gives every table.
        assert decode_range(stream, 0, len(maker.source)) == maker.source
        if kept:
            assert decode(stream) == maker.source
        else:
            with pytest.raises(CorruptStreamError, match="expected the name of a table"):
                decode(stream)


def test_two_heads_of_one_name_are_corrupt_while_both_are_kept() -> None:
    first, second = table_head(COLLIDING, 0), table_head(COLLIDING, 1)
    assert hash64(first) == hash64(second)
    for between, kept in [(0, True), (1022, True), (1023, False)]:
        maker = Maker()
        maker.table(first)
        for base in range(between):
            maker.table(flat_table(base))
        static_u8(maker, shape=COLLIDING, base=1)
        stream = maker.finish()
        assert decode_range(stream, 0, len(maker.source)) == maker.source
        if kept:
            with pytest.raises(CorruptStreamError, match="expected one head of this name"):
                decode(stream)
        else:
            assert decode(stream) == maker.source


def test_one_head_may_be_written_again() -> None:
    maker = static_u8(static_u8(Maker()))
    assert decode(maker.finish()) == maker.source


def test_two_heads_of_one_name_are_corrupt_in_a_page() -> None:
    maker = static_u8(Maker(), shape=COLLIDING, base=0)
    for base in range(1024):
        maker.table(flat_table(base))
    static_u8(maker, shape=COLLIDING, base=1)
    heads = [table_head(COLLIDING, base) for base in (0, 1)]
    stream = maker.page(b"".join(map(item, heads))).finish()
    with pytest.raises(CorruptStreamError, match="expected one table of a name in a page"):
        decode(stream)
    with pytest.raises(CorruptStreamError, match="expected every table named once"):
        decode_range(stream, 0, 1)


def test_every_prefix_is_truncated() -> None:
    stream, source = every_feature()
    for nbytes in range(len(stream)):
        with pytest.raises(TruncatedStreamError):
            decode(stream[:nbytes])
        with pytest.raises(TruncatedStreamError):
            decode_range(stream[:nbytes], 0, len(source))


def test_no_bit_flip_passes_unnoticed() -> None:
    stream, source = every_feature()
    for bit in range(8 * len(stream)):
        damaged = bytearray(stream)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        for restore in (decode, lambda s: decode_range(s, 0, len(source))):
            with contextlib.suppress(
                CorruptStreamError, UnsupportedFormatError, LimitExceededError
            ):
                assert restore(bytes(damaged)) == source, f"bit {bit}"


def test_a_stream_without_patches_has_no_idle_bit() -> None:
    # The symbol under a patch does not matter, so some flips in a state there change nothing.
    maker = static_u8(Maker().chunk(CONSTANT, bytes(256), b"\0").same_as(256, 256).skipped(b"skip"))
    stream = maker.finish(sha256=hashlib.sha256(maker.source).digest())
    for bit in range(8 * len(stream)):
        damaged = bytearray(stream)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises((CorruptStreamError, UnsupportedFormatError)):
            decode(bytes(damaged))


def bad(make: Callable[[Maker], object]) -> bytes:
    maker = Maker()
    make(maker)
    return maker.finish()


def flipped(stream: bytes, offset: int) -> bytes:
    return stream[:offset] + bytes([stream[offset] ^ 1]) + stream[offset + 1 :]


def zstd(source: bytes, body: bytes) -> bytes:
    return Maker().chunk(ZSTD, source, body).finish()


def u8_body(body: bytes, *, nbytes: int = 64) -> bytes:
    return Maker().chunk(STATIC, bytes(nbytes), body, U8, [0]).finish()


def frame(source: bytes, *, content_size: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=content_size).compress(source)


TEXT = b"abcabcabc" * 9
STATES = struct.pack("<8I", *[1 << 16] * 8)
BAD: dict[str, bytes] = {
    "stray_byte": Maker().finish() + b"\0",
    "flag_bit_1": bad(lambda m: m.record(0x7F, b"", b"", flags=2)),
    "must_understand_unset": bad(lambda m: m.record(TABLE, flat_table(0), b"", flags=0)),
    "head_of_2": bad(lambda m: m.record(0x7F, b"ab", b"", flags=0)),
    "head_of_4100": bad(lambda m: m.record(0x7F, bytes(4100), b"", flags=0)),
    "body_without_check": bad(lambda m: m.record(0x7F, b"", b"skip", flags=0)),
    "body_with_head_of_28": bad(lambda m: m.record(0x7F, bytes(28), b"skip", flags=0)),
    "body_with_wrong_check": bad(lambda m: m.record(0x7F, bytes(32), b"skip", flags=0)),
    "header_check": stream_header(check=1) + Maker().finish()[32:],
    "header_zeros": stream_header(zeros=b"\0\1\0\0\0\0\0") + Maker().finish()[32:],
    "header_check_before_version": stream_header(needed=2, check=1) + Maker().finish()[32:],
    "raw_short": Maker().chunk(RAW, b"abc", b"ab").finish(),
    "raw_long": Maker().chunk(RAW, b"abc", b"abcd").finish(),
    "constant_of_3": Maker().chunk(CONSTANT, b"abcabc", b"abc").finish(),
    "constant_no_multiple": Maker().chunk(CONSTANT, b"ababa", b"ab").finish(),
    "raw_with_table": Maker().chunk(RAW, b"abc", b"abc", BYTES, [0]).finish(),
    "raw_with_unit_shift": Maker().chunk(RAW, b"abc", b"abc", unit_shift=6).finish(),
    "chunk_of_0": Maker().chunk(RAW, b"", b"").finish(),
    "zstd_two_frames": zstd(TEXT * 2, frame(TEXT) * 2),
    "zstd_trailing_byte": zstd(TEXT, frame(TEXT) + b"\0"),
    "zstd_cut": zstd(TEXT, frame(TEXT)[:-1]),
    "zstd_empty": zstd(TEXT, b""),
    "zstd_no_content_size": zstd(TEXT, frame(TEXT, content_size=False)),
    "zstd_wrong_content_size": zstd(TEXT, frame(TEXT[1:])),
    "zstd_skippable": zstd(TEXT, struct.pack("<II", 0x184D2A50, len(TEXT)) + TEXT),
    "static_bytes": Maker().chunk(STATIC, bytes(64), b"", BYTES, [0]).finish(),
    "static_63_values": u8_body(b"", nbytes=63),
    "static_no_table": Maker().chunk(STATIC, bytes(64), b"", U8).finish(),
    "static_nine_tables": Maker().chunk(STATIC, bytes(64), b"", U8, [0] * 9, 6).finish(),
    "static_unit_shift_7": Maker().chunk(STATIC, bytes(64), b"", U8, [0] * 2, 7).finish(),
    "static_one_table_unit_shift": Maker().chunk(STATIC, bytes(64), b"", U8, [0], 6).finish(),
    "static_unknown_table": Maker().chunk(STATIC, bytes(64), b"", U8, [1 << 63]).finish(),
    "static_reference_65536": Maker().chunk(STATIC, bytes(64), b"", U8, [1 << 16]).finish(),
    "static_base_32": Maker().chunk(STATIC, bytes(64), b"", U8, [32]).finish(),
    "static_no_counts": u8_body(b"\0\0"),
    "static_65_words": u8_body(struct.pack("<HH", 65, 0) + STATES + bytes(2 + 130 + 48)),
    "static_65_patches": u8_body(struct.pack("<HH", 0, 65) + STATES + bytes(260 + 48)),
    "static_cut": u8_body(struct.pack("<HH", 0, 0) + STATES + bytes(47)),
    "static_no_words": u8_body(struct.pack("<HH", 0, 0) + STATES + bytes(48)),
    "static_gap": u8_body(struct.pack("<HH", 1, 0) + STATES + b"\1" + bytes(3 + 48)),
    "table_sum": bad(lambda m: m.table(flat_table(1 << 20))),  # one frequency of 129
    "table_reserved_bit": bad(lambda m: m.table(flat_table(1 << 12))),
    "table_c_12": bad(lambda m: m.table(b"\0\0\x0c\0" + bytes(44))),
    "table_padding": bad(lambda m: m.table(flat_table(0)[:-1] + b"\x80")),
    "table_long": bad(lambda m: m.table(flat_table(0) + bytes(4))),
    "table_empty": bad(lambda m: m.table(b"")),
    "table_with_body": bad(lambda m: m.record(TABLE, flat_table(0), b"1234")),
    "same_as_of_255": bad(lambda m: m.raw(b"a" * 255).same_as(255, 255)),
    "same_as_before_start": bad(lambda m: m.raw(b"a" * 256).same_as(256, 257)),
    "same_as_overlap": bad(lambda m: m.raw(b"a" * 512).same_as(512, 511)),
    "same_as_same_as": bad(
        lambda m: m.raw(b"a" * 256).same_as(256, 256).raw(b"b").same_as(256, 257)
    ),
    "same_as_mid_chunk": bad(lambda m: m.raw(b"a" * 512).same_as(256, 511)),
    "sha256_wrong": Maker().raw(b"abc").finish(sha256=bytes(32)),
    "page_empty": bad(lambda m: m.page()),
    "page_early": bad(lambda m: m.raw(b"a").page().raw(b"b")),
    "page_with_unused_table": bad(
        lambda m: (m.table(flat_table(0)), m.raw(b"a").page(item(flat_table(0))))
    ),
    "page_without_its_table": static_u8(Maker()).page(b"").finish(),
}


@pytest.mark.parametrize("name", BAD)
def test_a_broken_must_is_corrupt(name: str) -> None:
    with pytest.raises(CorruptStreamError, match=r"offset \d+: expected .*, found "):
        decode(BAD[name])


# The same to both ways through; with the sentence's middle, as other checks would fail, too.
BAD_DIRECTORY: dict[str, tuple[bytes, str]] = {
    "page_body": (flipped(Maker().raw(b"a").finish(), 32 + 36 + 48), "a body with XXH3-64"),
    "root_body": (flipped(Maker().raw(b"a").finish(), 32 + 36 + 72 + 48), "a body with XXH3-64"),
    "entry_same_as_method_1": (
        Maker().raw(bytes(256)).same_as(256, 256).entry_field(14, 1).finish(),
        "method 0 for SAME_AS",
    ),
    "context_of_1668": (
        Maker()
        .raw(b"a")
        .page(b"".join(item(flat_table(n)) for n in range(32)) + bytes(4))
        .finish(),
        "at most 1664 bytes of context, found 1668",
    ),
    "context_of_2_bytes": (Maker().raw(b"a").page(b"\0\0").finish(), "an item of at least 4 bytes"),
    "context_head_of_46": (
        Maker().raw(b"a").page(item(bytes(46)) + bytes(2)).finish(),
        "a multiple of 4 up to 48, found 46",
    ),
    "context_head_cut": (
        Maker().raw(b"a").page(item(bytes(48))[:-4]).finish(),
        "a multiple of 4 up to 44, found 48",
    ),
    "row_of_35_bytes_before": (
        Maker().raw(b"a").page().row_fields(-1, 1).finish(),
        "at least 36 bytes before the page, found 35",
    ),
    "row_of_a_page_of_71": (
        Maker().raw(b"a").page().row_fields(1, -1).finish(),
        "a page of at least 72 bytes, found 71",
    ),
}


@pytest.mark.parametrize("name", BAD_DIRECTORY)
def test_a_directory_that_breaks_a_must_is_corrupt(name: str) -> None:
    stream, expected = BAD_DIRECTORY[name]
    for restore in (decode, lambda s: decode_range(s, 0, 1)):
        with pytest.raises(CorruptStreamError, match=f"expected {expected}"):
            restore(stream)


def test_the_tables_of_a_page_are_valid_and_named_once() -> None:
    maker = static_u8(Maker(), shape=COLLIDING)
    for heads in (
        [table_head(COLLIDING)] * 2,
        [table_head(COLLIDING), table_head(COLLIDING, 1)],
        [table_head(COLLIDING), flat_table(1 << 12)],
        [table_head(COLLIDING), b""],
    ):
        stream = copy.deepcopy(maker).page(b"".join(map(item, heads))).finish()
        for restore in (decode, lambda s: decode_range(s, 0, 1)):
            with pytest.raises(CorruptStreamError):
                restore(stream)


def test_the_513th_chunk_may_not_stand_before_the_page() -> None:
    maker = Maker(page_chunks=0)
    for number in range(513):
        maker.raw(bytes([number % 256]))
    stream = maker.finish()
    with pytest.raises(CorruptStreamError, match="expected a PAGE record behind 512 chunks"):
        decode(stream)
    with pytest.raises(CorruptStreamError, match="expected 1 to 512 chunks, found 513"):
        decode_range(stream, 0, 1)


# Not so to a random reader, which does not come by.
UNSUPPORTED = {
    "unknown_type": bad(lambda m: m.record(0x7F, b"", b"")),
    "reserved_type": bad(lambda m: m.record(0x10, struct.pack("<I", 0), b"")),
}
UNSUPPORTED_BOTH_WAYS = {
    "magic": b"PK\3\4" + Maker().finish()[4:],
    "magic_before_check": stream_header(magic=b"\x89ZNL\r\n\x1a\r", check=1),
    "needed_version_2": stream_header(needed=2) + Maker().finish()[32:],
    "needed_version_before_zeros": stream_header(needed=2, zeros=b"\1" * 7),
    "dtype_23": Maker().chunk(RAW, b"abc", b"abc", dtype=23).finish(),
    "same_as_dtype_23": Maker().raw(bytes(256)).same_as(256, 256, dtype=23).finish(),
    "entry_type_0": Maker().raw(b"abc").entry_field(12, 0).finish(),
    "entry_dtype_23": Maker().raw(b"abc").entry_field(13, 23).finish(),
    "method_6": Maker().chunk(6, b"abc", b"abc").finish(),
    # Method 6 alone: what a head means beside it is not version 1's to say.
    "method_6_with_table": Maker().chunk(6, b"abc", b"abc", U8, [0], 5).finish(),
    "entry_method_6": Maker().raw(b"abc").entry_field(14, 6).finish(),
    "entry_same_as_method_6": Maker().raw(bytes(256)).same_as(256, 256).entry_field(14, 6).finish(),
    "context_type_0": Maker().raw(b"abc").page(item(flat_table(0), 0)).finish(),
    "context_type_0x10": Maker().raw(b"abc").page(item(b"", 0x10)).finish(),
    "root_flag_1": Maker().raw(b"abc").finish(flags=2),
    "root_flag_31": Maker().raw(b"abc").finish(flags=1 << 31),
}


@pytest.mark.parametrize("name", [*UNSUPPORTED, *UNSUPPORTED_BOTH_WAYS])
def test_what_a_newer_reader_may_know_is_unsupported(name: str) -> None:
    stream = (UNSUPPORTED | UNSUPPORTED_BOTH_WAYS)[name]
    with pytest.raises(UnsupportedFormatError, match=r"offset \d+: expected .*, found "):
        decode(stream)
    if name in UNSUPPORTED_BOTH_WAYS:
        with pytest.raises(UnsupportedFormatError, match=r"offset \d+: expected .*, found "):
            decode_range(stream, 0, 1)


def test_a_head_with_an_unknown_method_or_dtype_is_unsupported_behind_an_honest_entry() -> None:
    # Through the directory: the entry says raw BYTES, so that the head is what is looked at.
    for chunk in (
        Maker().chunk(6, b"abc", b"abc").entry_field(14, RAW),
        Maker().chunk(RAW, b"abc", b"abc", dtype=23).entry_field(13, BYTES),
        Maker().raw(bytes(256)).same_as(256, 256, dtype=23).entry_field(13, BYTES),
    ):
        with pytest.raises(UnsupportedFormatError):
            decode_range(chunk.finish(), 0, len(chunk.source))


@pytest.mark.parametrize("span", [(-1, 2), (0, 4), (2, 1)])
def test_a_range_outside_the_source_is_a_usage_error(span: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="expected 0 <= start <= stop <= 3"):
        decode_range(Maker().raw(b"abc").finish(), *span)


def test_universal_shapes_sum_to_the_table_size() -> None:
    assert len(SHAPES) == 16
    for shape in SHAPES:
        assert (len(shape), sum(shape), min(shape)) == (32, 4096, 1)


def test_main_writes_the_source_and_reports_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream, source = every_feature()
    (tmp_path / "good.znl").write_bytes(stream)
    (tmp_path / "bad.znl").write_bytes(stream[:-1])
    assert main([str(tmp_path / "good.znl"), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_bytes() == source
    assert main([str(tmp_path / "bad.znl")]) == 1
    assert "bad.znl: footer: offset" in capsys.readouterr().err
