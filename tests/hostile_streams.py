# SPDX-License-Identifier: Apache-2.0
"""Streams that break one rule of docs/format.md each, under valid checksums, by name.

`HOSTILE` maps a name to the class that decoding must raise and the stream. test_corruption.py sends
them through every reader, and the small ones became the golden files that must not decode.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

import zstandard
from arranged_streams import ARRANGED_HOSTILE, c_reads_arranged
from builders import CHUNK, CONSTANT, NAMED, PAGE, RAW, ROOT, SAME_AS, STATIC, TABLE, ZSTD, hash64
from builders import StreamBuilder as Builder
from composed_streams import COMPOSED_HOSTILE
from second_streams import SECOND_HOSTILE

from zipnn_like.errors import (
    ChecksumError,
    CorruptStreamError,
    TruncatedStreamError,
    UnsupportedFormatError,
    ZnlError,
)

MIB = 1 << 20
A, B = bytes(range(256)), b"b" * 256  # the shortest that may be repeated
SHA256_OF_ABC = hashlib.sha256(b"abc").digest()
BF16, E8M0, U8 = 4, 10, 15
TEXT = b"the same words again and again, " * 9


def flat_table(base: int = 0) -> bytes:
    """Head of a TABLE whose 32 frequencies are all 2^7, without the zero flag."""
    bits = base
    for symbol in range(32):
        bits |= 7 << 16 + 11 * symbol
    return bits.to_bytes(48, "little")


def frame(source: bytes = TEXT, **parameters: bool) -> bytes:
    """A zstd frame as an encoder writes it."""
    return zstandard.ZstdCompressor(**parameters).compress(source)


def frame_by_hand(
    source: bytes, *, content_nbytes: int, window: int | None = None, dictionary: int = 0
) -> bytes:
    """A zstd frame of one raw block (RFC 8878, section 3.1.1).

    content_nbytes  the size it claims
    window          window descriptor byte; None: a single segment
    """
    descriptor = 2 << 6 | (window is None) << 5 | bool(dictionary)
    head = struct.pack("<IB", 0xFD2FB528, descriptor)
    head += b"" if window is None else bytes([window])
    head += bytes([dictionary]) if dictionary else b""
    block = struct.pack("<I", len(source) << 3 | 1)[:3] + source
    return head + struct.pack("<I", content_nbytes) + block


def frame_of_one_byte_runs(content_nbytes: int, run_nbytes: int, runs: int) -> bytes:
    """A zstd frame of RLE blocks: a bomb when the runs are longer than the size it claims."""
    head = struct.pack("<IBI", 0xFD2FB528, 2 << 6 | 1 << 5, content_nbytes)
    blocks = b"".join(
        struct.pack("<I", run_nbytes << 3 | 1 << 1 | (run == runs - 1))[:3] + b"\0"
        for run in range(runs)
    )
    return head + blocks


def zstd(body: bytes, source: bytes = TEXT) -> bytes:
    """A stream of one zstd chunk."""
    return Builder().chunk(ZSTD, source, body).finish()


def static_u8(body: bytes = b"", nbytes: int = 64, **fields: object) -> bytes:
    """A stream of one static chunk of U8 with the flat universal table, or as `fields` say."""
    fields.setdefault("references", [0])
    return Builder().chunk(STATIC, bytes(nbytes), body, dtype=U8, **fields).finish()  # type: ignore[arg-type]


def made(make: Callable[[Builder], object], **root: object) -> bytes:
    """The stream of a builder after `make`; `root`: false fields of ROOT and footer."""
    builder = Builder()
    make(builder)
    return builder.finish(**root)  # type: ignore[arg-type]


def two_chunks(change: Callable[[Builder], object]) -> bytes:
    """Two raw chunks and a table between; `change` alters the directory before it is written."""
    builder = Builder().raw(b"first")
    builder.record(TABLE, flat_table())
    builder.raw(b"second")
    change(builder)
    return builder.finish()


def entry(number: int, field: int, value: int) -> Callable[[Builder], object]:
    """Change a field of a page entry."""

    def change(builder: Builder) -> None:
        builder.entries[number][field] = value

    return change


def row(field: int, value: int) -> bytes:
    """A stream with a false field in the first row of its ROOT."""

    def change(builder: Builder) -> None:
        builder.raw(b"abc").page()
        builder.pages[0][field] = value

    return made(change)


def page_record(**changes: int) -> bytes:
    """A stream of one chunk whose PAGE head is false in one field."""
    builder = Builder().raw(b"abcd")
    body = struct.pack("<IIIBBBBQ", *builder.entries[0])
    fields = {"count": 1, "tables": 0, "covered": 4, "before": 36, "check": hash64(body)}
    fields |= changes
    size, check = builder.record(PAGE, struct.pack("<IIQQQ", *fields.values()), body)
    builder.pages.append([4, 36, size, 1, check])
    builder.entries = []
    return builder.finish()


def full_page(builder: Builder, count: int = 512) -> Builder:
    """`count` constant chunks of one byte."""
    for _ in range(count):
        builder.chunk(CONSTANT, b"\0", b"\0")
    return builder


def with_context_of_type(kind: int) -> Callable[[Builder], object]:
    """The page lists a table, as an item of another type."""

    def change(builder: Builder) -> None:
        builder.tables[1] = flat_table()
        builder.context_type = kind

    return change


STATES = struct.pack("<8I", *[1 << 16] * 8)
CORRUPT: dict[str, bytes] = {
    # header and footer
    "header_not_zero": Builder(zero=b"\0\0\0\1\0\0").finish(),
    "footer_stream_size": made(lambda m: m.raw(b"abc"), stream_nbytes=1 << 40),
    "footer_root_size": made(lambda m: m.raw(b"abc"), root_nbytes=1 << 40),
    "footer_root_size_0": made(lambda m: m.raw(b"abc"), root_nbytes=0),
    "trailing_byte": Builder().raw(b"abc").finish() + b"\0",
    "stream_twice": Builder().raw(b"abc").finish() * 2,
    # records
    "body_of_4_gib": made(lambda m: m.record(CHUNK, b"", b"", body_nbytes=0xFFFFFFFF)),
    "body_above_limit": made(lambda m: m.raw(b"abcd", body_nbytes=16 * MIB + 65540)),
    "head_of_6": made(lambda m: m.record(0x7F, b"abcdef", flags=0)),
    "head_of_4100": made(lambda m: m.record(0x7F, bytes(4100), flags=0)),
    "flag_bit_7": made(lambda m: m.record(0x7F, flags=0x80)),
    "chunk_without_must_understand": made(lambda m: m.raw(b"abc", flags=0)),
    "table_without_must_understand": made(lambda m: m.record(TABLE, flat_table(), flags=0)),
    "padding": made(lambda m: m.record(CHUNK, b"", b"a", padding=b"\0\0\1")),
    "skipped_body_without_check": made(lambda m: m.record(0x7F, bytes(28), b"abcd", flags=0)),
    # heads of chunks
    "chunk_of_0_bytes": Builder().raw(b"").finish(),
    "chunk_above_16_mib": Builder().chunk(CONSTANT, bytes(16 * MIB + 1), b"\0").finish(),
    "chunk_of_4_gib": Builder()
    .chunk(CONSTANT, b"", b"\0", source_nbytes=0xFFFFFFFF, checksum=0)
    .finish(),
    "chunk_head_short": made(lambda m: m.record(CHUNK, bytes(12))),
    "chunk_head_long": made(lambda m: m.record(CHUNK, struct.pack("<IIQI", 0, 1, 0, 0), b"a")),
    "raw_with_table": Builder().raw(b"abc", references=[0]).finish(),  # type: ignore[arg-type]
    "raw_with_unit_shift": Builder().raw(b"abc", unit_shift=6).finish(),
    "raw_short": Builder().chunk(RAW, b"abcd", b"abc").finish(),
    "raw_long": Builder().chunk(RAW, b"abcd", b"abcde").finish(),
    "constant_of_3": Builder().chunk(CONSTANT, b"abcabc", b"abc").finish(),
    "constant_of_nothing": Builder().chunk(CONSTANT, b"abcabc", b"").finish(),
    "constant_not_whole": Builder().chunk(CONSTANT, b"ababa", b"ab").finish(),
    # zstd
    "zstd_empty": zstd(b""),
    "zstd_no_frame": zstd(b"\0" * 20),
    "zstd_cut": zstd(frame()[:-1]),
    "zstd_trailing_byte": zstd(frame() + b"\0"),
    "zstd_two_frames": zstd(frame(TEXT[:100]) + frame(TEXT[100:])),
    "zstd_no_content_size": zstd(frame(write_content_size=False)),
    "zstd_content_size_high": zstd(frame_by_hand(TEXT, content_nbytes=len(TEXT) + 1)),
    "zstd_content_size_low": zstd(frame_by_hand(TEXT, content_nbytes=len(TEXT) - 1)),
    "zstd_content_size_4_gib": zstd(frame_by_hand(TEXT, content_nbytes=0xFFFFFFFF)),
    "zstd_more_than_it_claims": zstd(frame_by_hand(TEXT + b"x", content_nbytes=len(TEXT))),
    "zstd_less_than_it_claims": zstd(frame_by_hand(TEXT[1:], content_nbytes=len(TEXT))),
    "zstd_bomb": zstd(frame_of_one_byte_runs(len(TEXT), 128 << 10, 1000)),
    "zstd_window_16_mib": zstd(frame_by_hand(TEXT, content_nbytes=len(TEXT), window=14 << 3)),
    "zstd_window_2_tib": zstd(frame_by_hand(TEXT, content_nbytes=len(TEXT), window=31 << 3)),
    "zstd_dictionary": zstd(frame_by_hand(TEXT, content_nbytes=len(TEXT), dictionary=7)),
    "zstd_skippable": zstd(struct.pack("<II", 0x184D2A50, len(TEXT)) + TEXT),
    "zstd_above_8_mib": zstd(frame(bytes(8 * MIB + 1)), bytes(8 * MIB + 1)),
    # static
    "static_of_bytes": Builder().chunk(STATIC, bytes(64), b"", references=[0]).finish(),
    "static_of_i16": Builder().chunk(STATIC, bytes(128), b"", dtype=16, references=[0]).finish(),
    "static_9_tables": static_u8(references=[0] * 9, unit_shift=6),
    "static_255_tables": static_u8(references=[0] * 8, table_count=255, unit_shift=6),
    "static_no_table": static_u8(references=[]),
    "static_unit_shift_7": static_u8(references=[0, 0], unit_shift=7),
    "static_unit_shift_255": static_u8(references=[0, 0], unit_shift=255),
    "static_unit_shift_of_one_table": static_u8(unit_shift=6),
    "static_unit_shift_missing": static_u8(references=[0, 0]),
    "static_unknown_name": static_u8(references=[NAMED | 5]),
    "static_universal_65536": static_u8(references=[65536]),
    "static_base_32": static_u8(struct.pack("<HH", 0, 0) + STATES + bytes(48), references=[32]),
    "static_63_values": static_u8(nbytes=63),
    "static_too_many_values": static_u8(nbytes=262_145),
    "static_odd_bf16": Builder()
    .chunk(STATIC, bytes(129), b"", dtype=BF16, references=[0])
    .finish(),
    "static_no_body": static_u8(),
    "static_no_counts": static_u8(b"\0\0\0"),
    "static_words_65": static_u8(struct.pack("<HH", 65, 0) + STATES + bytes(2 + 130 + 48)),
    "static_patches_65": static_u8(struct.pack("<HH", 0, 65) + STATES + bytes(260 + 48)),
    "static_words_65535": static_u8(struct.pack("<HH", 0xFFFF, 0xFFFF) + STATES + bytes(48)),
    "static_counts_4_gib": static_u8(struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF), nbytes=2048),
    "static_words_run_out": static_u8(struct.pack("<HH", 0, 0) + STATES + bytes(48)),
    "static_gap": static_u8(struct.pack("<HH", 1, 0) + STATES + b"\1" + bytes(3 + 48)),
    # tables
    "table_empty": made(lambda m: m.table(b"", listed=False)),
    "table_sum_4097": made(lambda m: m.table(flat_table(1 << 20), listed=False)),
    "table_reserved_bit": made(lambda m: m.table(flat_table(1 << 12), listed=False)),
    "table_c_12": made(lambda m: m.table(b"\0\0\x0c\0" + bytes(44), listed=False)),
    "table_padding": made(lambda m: m.table(flat_table()[:-1] + b"\x80", listed=False)),
    "table_long": made(lambda m: m.table(flat_table() + bytes(4), listed=False)),
    "table_of_4096": made(lambda m: m.table(bytes(4096), listed=False)),
    "table_with_body": made(lambda m: m.record(TABLE, flat_table(), b"1234")),
    # repeats
    "same_as_before_start": made(lambda m: m.raw(A).same_as(256, 257, source=A)),
    "same_as_first_of_all": made(lambda m: m.same_as(256, 256, source=A)),
    "same_as_itself": made(lambda m: m.raw(A).same_as(256, 0, source=A)),
    "same_as_overlap": made(lambda m: m.raw(A).same_as(256, 255, source=A)),
    "same_as_same_as": made(lambda m: m.raw(A).same_as(256, 256).raw(b"b").same_as(256, 257)),
    "same_as_mid_chunk": made(lambda m: m.raw(A + A).same_as(256, 257)),
    "same_as_mid_equal_chunk": made(lambda m: m.raw(A).raw(b"between").same_as(256, 260, source=A)),
    "same_as_part": made(lambda m: m.raw(A + A).same_as(256, 512)),
    "same_as_other_bytes": made(lambda m: m.raw(A).same_as(256, 256, source=B)),
    "same_as_too_far": made(lambda m: m.raw(A).same_as(256, 16 * MIB + 1, source=A)),
    "same_as_4_gib_back": made(lambda m: m.raw(A).same_as(256, 0xFFFFFFFF, source=A)),
    "same_as_of_0_bytes": made(lambda m: m.raw(A).same_as(0, 256)),
    "same_as_of_255_bytes": made(lambda m: m.raw(A[:255]).same_as(255, 255)),
    "same_as_not_zero": made(lambda m: m.raw(A).same_as(256, 256, zero=1)),
    "same_as_head_short": made(lambda m: m.raw(A).record(SAME_AS, bytes(20))),
    "same_as_with_body": made(lambda m: m.raw(A).record(SAME_AS, bytes(24), b"a")),
    # pages
    "page_source_sum": page_record(covered=5),
    "page_stream_sum": page_record(before=40),
    "page_count_0": page_record(count=0),
    "page_count_2": page_record(count=2),
    "page_count_4_gi": page_record(count=0xFFFFFFFF),
    "page_tables_size": page_record(tables=4),
    "page_tables_4_gib": page_record(tables=0xFFFFFFFF),
    "page_head_short": made(lambda m: m.record(PAGE, bytes(28))),
    "page_empty": made(lambda m: m.page()),
    "page_early": made(lambda m: m.raw(b"a").page().raw(b"b")),
    "page_missing": made(lambda m: full_page(m, 513)),
    "page_entry_source_size": two_chunks(entry(0, 0, 6)),
    "page_entry_record_size": two_chunks(entry(0, 1, 44)),
    "page_entry_gap": two_chunks(entry(1, 2, 0)),
    "page_entry_type": two_chunks(entry(0, 3, SAME_AS)),
    "page_entry_dtype": two_chunks(entry(0, 4, BF16)),
    "page_entry_method": two_chunks(entry(0, 5, CONSTANT)),
    "page_entry_method_of_same_as": made(
        lambda m: (m.raw(A).same_as(256, 256), entry(1, 5, CONSTANT)(m))
    ),
    "page_entry_not_zero": two_chunks(entry(0, 6, 1)),
    "page_entry_checksum": two_chunks(entry(0, 7, 5)),
    "page_entries_swapped": two_chunks(lambda m: m.entries.reverse()),
    "page_entry_missing": two_chunks(lambda m: m.entries.pop()),
    "page_entry_too_many": two_chunks(lambda m: m.entries.append(m.entries[0])),
    "page_table_of_nobody": two_chunks(lambda m: m.tables.update({1: flat_table()})),
    "page_table_malformed": two_chunks(lambda m: m.tables.update({1: bytes(48)})),
    "page_table_of_44": two_chunks(lambda m: m.tables.update({1: flat_table()[:44]})),
    "page_table_twice": two_chunks(lambda m: m.tables.update({1: flat_table(), 2: flat_table()})),
    # root
    "root_source_size": made(lambda m: m.raw(b"abc"), source_nbytes=4),
    "root_source_size_4_eib": made(lambda m: m.raw(b"abc"), source_nbytes=1 << 62),
    "root_chunk_count": made(lambda m: m.raw(b"abc"), chunk_count=2),
    "root_page_count": made(lambda m: m.raw(b"abc"), page_count=2),
    "root_page_count_4_gi": made(lambda m: m.raw(b"abc"), page_count=0xFFFFFFFF),
    "root_sha256_missing": Builder(flags=1).raw(b"abc").finish(flags=1),
    "root_sha256_short": Builder(flags=1).raw(b"abc").finish(sha256=bytes(28)),
    "root_sha256_not_announced": made(lambda m: m.raw(b"abc"), sha256=SHA256_OF_ABC),
    "root_sha256_announced_only": Builder(flags=1).raw(b"abc").finish(),
    "root_row_source_size": row(0, 4),
    "root_row_source_size_4_eib": row(0, 1 << 62),
    "root_row_stream_size": row(1, 40),
    "root_row_stream_size_4_eib": row(1, 1 << 62),
    "root_row_page_size": row(2, 60),
    "root_row_page_size_76": row(2, 76),
    "root_row_chunk_count": row(3, 2),
    "root_row_chunk_count_0": row(3, 0),
    "root_row_chunk_count_513": row(3, 513),
    "root_row_check": row(4, 5),
    "root_head_short": made(lambda m: m.raw(b"abc").page().record(ROOT, bytes(28))),
    "root_after_a_gap": made(lambda m: m.raw(b"abc").page().record(0x7F, flags=0)),
    "root_after_a_table": made(lambda m: m.raw(b"abc").page().record(TABLE, flat_table())),
    "root_before_the_page": made(lambda m: (m.raw(b"abc"), m.entries.clear())),
}

UNSUPPORTED: dict[str, bytes] = {
    "magic": b"PK\3\4" + Builder().finish()[4:],
    "magic_of_another_version": b"\x89ZNX" + Builder().finish()[4:],
    "needed_version_2": Builder(needed_version=2).finish(),
    "unknown_type": made(lambda m: m.record(0x7F)),
    "reserved_type": made(lambda m: m.record(0x10, struct.pack("<I", 0))),
    "type_0": made(lambda m: m.record(0)),
    "dtype_23": Builder().raw(b"abc", dtype=23).finish(),
    "dtype_255": Builder().raw(b"abc", dtype=255).finish(),
    "same_as_dtype_23": Builder().raw(A).same_as(256, 256, dtype=23).finish(),
    "method_6": Builder().chunk(6, b"abc", b"abc").finish(),
    "header_flags": Builder(flags=2).finish(),
    "header_flags_before_zeros": Builder(flags=0x80, zero=b"abcdef").finish(),
    "root_flags": made(lambda m: m.raw(b"abc"), flags=2),
}

# A sequential reader compares a PAGE with what it read, so to it these are corrupt as well.
UNSUPPORTED_OR_CORRUPT: dict[str, bytes] = {
    "page_context_of_type_0": two_chunks(with_context_of_type(0)),
    "page_context_of_type_0x10": two_chunks(with_context_of_type(0x10)),
    "page_entry_dtype_200": two_chunks(entry(0, 4, 200)),
    "page_entry_method_9": two_chunks(entry(0, 5, 9)),
    "page_entry_type_2": two_chunks(entry(0, 3, TABLE)),
}

CHECKSUM: dict[str, bytes] = {
    "raw_checksum": Builder().raw(b"abc", checksum=5).finish(),
    "constant_checksum": Builder().chunk(CONSTANT, bytes(64), b"\0", checksum=5).finish(),
    "zstd_checksum": Builder().chunk(ZSTD, TEXT, frame(), checksum=5).finish(),
    "page_check": page_record(check=5),
    "root_check": made(lambda m: m.raw(b"abc"), check=5),
    "skipped_check": made(lambda m: m.skipped(0x7F, b"abcd", check=5)),
    "sha256": Builder(flags=1).raw(b"abc").finish(sha256=bytes(32)),
    "header_check": Builder().finish()[:24] + bytes(8) + Builder().finish()[32:],
}

TRUNCATED: dict[str, bytes] = {
    "nothing": b"",
    "half_a_header": Builder().finish()[:20],
    "header_alone": Builder().finish()[:32],
    "no_footer": Builder().raw(b"abc").finish()[:-32],
    "body_not_there": made(lambda m: m.raw(b"abcd", body_nbytes=16 * MIB)),
}

Expected = type[ZnlError] | tuple[type[ZnlError], ...]
HOSTILE: dict[str, tuple[Expected, bytes]] = {
    f"{error.__name__}__{name}": (error, stream)
    for error, streams in (
        (CorruptStreamError, CORRUPT),
        (UnsupportedFormatError, UNSUPPORTED),
        (ChecksumError, CHECKSUM),
        (TruncatedStreamError, TRUNCATED),
    )
    for name, stream in streams.items()
}
HOSTILE |= {
    name: ((UnsupportedFormatError, CorruptStreamError), stream)
    for name, stream in UNSUPPORTED_OR_CORRUPT.items()
}
# Readers that do not know the method yet call them unsupported: test_arranged.py tries the others.
if c_reads_arranged():
    HOSTILE |= ARRANGED_HOSTILE | SECOND_HOSTILE
HOSTILE |= COMPOSED_HOSTILE
