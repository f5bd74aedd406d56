# SPDX-License-Identifier: Apache-2.0
"""Chunks (docs/format.md, sections 4, 6.2 and 6.3): heads, and the six methods."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import zstandard

from zipnn_like.errors import ChecksumError, CorruptStreamError
from zipnn_like.reference.arranged import decode_arranged
from zipnn_like.reference.composed import parse_composed
from zipnn_like.reference.records import CHUNK, PREFIX_NBYTES, Record
from zipnn_like.reference.static import Layout, decode_static
from zipnn_like.reference.tables import NAMED, UNIVERSAL, Table, universal_table
from zipnn_like.reference.xxh3 import xxh3_64

# Section 4: "method: 0 raw, 1 constant, 2 zstd, 3 static, 4 arranged, 5 composed".
RAW, CONSTANT, ZSTD, STATIC, ARRANGED, COMPOSED = 0, 1, 2, 3, 4, 5
# Section 4: "`table_count` K: 1 to 8 for static, 1 to 32 for arranged, 0 to 32 for composed, 0
# otherwise".
TABLES = {STATIC: (1, 8), ARRANGED: (1, 32), COMPOSED: (0, 32)}
# Section 4: "source_nbytes: 1 to 16,777,216".
MAX_CHUNK_NBYTES = 16_777_216
# Section 4: "`source_nbytes` and the frame's window must be at most 8 MiB".
MAX_ZSTD_NBYTES = 8 << 20
# Section 6.3: "`source_nbytes`: 256 to 16,777,216"; "distance ... 1 to 16,777,216".
MIN_REPEAT_NBYTES = 256
MAX_DISTANCE = 16_777_216

# Section 4.1, by code: "a static or arranged chunk of a dtype without a layout must be rejected".
DTYPES: tuple[Layout | None, ...] = (
    None,  # BYTES
    Layout(8, "rotate", 12, 6, 4),  # F64
    Layout(4, "rotate", 9, 2, 7),  # F32
    Layout(2, "rotate", 6, 1, 2),  # F16
    Layout(2, "rotate", 9, 0, 7),  # BF16
    Layout(4, "rotate", 9, 2, 7),  # C64
    Layout(1, "rotate", 6, 0, 2),  # F8_E5M2
    Layout(1, "rotate", 5, 0, 3),  # F8_E4M3
    Layout(1, "rotate", 6, 0, 2),  # F8_E5M2FNUZ
    Layout(1, "rotate", 5, 0, 3),  # F8_E4M3FNUZ
    Layout(1, "plain", 8, 0, 0),  # F8_E8M0
    None,  # F6_E2M3
    None,  # F6_E3M2
    None,  # F4
    Layout(1, "offset", 5, 0, 3),  # I8
    Layout(1, "plain", 5, 0, 3),  # U8
    None,  # I16
    None,  # U16
    None,  # I32
    None,  # U32
    None,  # I64
    None,  # U64
    None,  # BOOL
)


@dataclass(frozen=True)
class ChunkHead:
    """Section 4, the head of a CHUNK."""

    dtype: int
    method: int
    unit_shift: int
    source_nbytes: int
    checksum: int
    references: tuple[int, ...]


@dataclass(frozen=True)
class SameAsHead:
    """Section 6.3, the head of a SAME_AS."""

    dtype: int
    source_nbytes: int
    checksum: int
    distance: int


def parse_chunk_head(record: Record) -> ChunkHead:
    """Section 4: "`head_nbytes` must be 16 + 8 K, every field must lie in its range"."""
    head = record.head
    record.check(len(head) >= 16, 0, "a head of at least 16 bytes", len(head))
    dtype, method, table_count, unit_shift, source_nbytes, checksum = struct.unpack_from(
        "<BBBBIQ", head
    )
    record.check_dtype(0, dtype)
    record.check_method(1, method)
    _check_ranges(record, method, table_count, unit_shift, source_nbytes)
    expected = 16 + 8 * table_count
    record.check(len(head) == expected, 2, f"a head of {expected} bytes", len(head))
    references = struct.unpack_from(f"<{table_count}Q", head, 16)
    return ChunkHead(dtype, method, unit_shift, source_nbytes, checksum, references)


def _check_ranges(
    record: Record, method: int, table_count: int, unit_shift: int, source_nbytes: int
) -> None:
    """Section 4: "every field must lie in its range", for a CHUNK and for a sub-chunk."""
    least, most = TABLES.get(method, (0, 0))
    record.check(least <= table_count <= most, 2, f"{least} to {most} tables", table_count)
    # "`unit_shift`: 6 or 9 for static with K > 1, 0 otherwise"
    shifts = (6, 9) if method == STATIC and table_count > 1 else (0,)
    record.check(unit_shift in shifts, 3, f"unit_shift one of {shifts}", unit_shift)
    fits = 1 <= source_nbytes <= MAX_CHUNK_NBYTES
    record.check(fits, 4, f"1 to {MAX_CHUNK_NBYTES} source bytes", source_nbytes)


def parse_same_as_head(record: Record) -> SameAsHead:
    """Section 6.3, all that can be checked on a SAME_AS by itself."""
    head = record.head
    record.check(len(head) == 24, 0, "a head of 24 bytes", len(head))
    record.check(not record.body, 24, "no body", len(record.body))
    dtype, zero, source_nbytes, checksum, distance, last = struct.unpack("<B3sIQI4s", head)
    record.check_dtype(0, dtype)
    record.check(not any(zero), 1, "zero bytes", zero.hex())
    fits = MIN_REPEAT_NBYTES <= source_nbytes <= MAX_CHUNK_NBYTES
    expected = f"{MIN_REPEAT_NBYTES} to {MAX_CHUNK_NBYTES} source bytes"
    record.check(fits, 4, expected, source_nbytes)
    fits = source_nbytes <= distance <= MAX_DISTANCE
    record.check(fits, 16, f"a distance of {source_nbytes} to {MAX_DISTANCE}", distance)
    record.check(not any(last), 20, "zero bytes", last.hex())
    return SameAsHead(dtype, source_nbytes, checksum, distance)


def decode_chunk(record: Record, head: ChunkHead, named: Mapping[int, Table]) -> bytes:
    """The source bytes of a CHUNK; `named` holds the tables it may refer to by name."""
    source = _decode_body(record, head, named)
    computed = xxh3_64(source)
    # "the decoded bytes must number `source_nbytes` and have the stated XXH3-64"
    expected = f"decoded bytes with XXH3-64 {head.checksum:#x}"
    record.check(computed == head.checksum, 8, expected, f"{computed:#x}", ChecksumError)
    return source


def _decode_body(record: Record, head: ChunkHead, named: Mapping[int, Table]) -> bytes:
    """What a body restores, by its method."""
    if head.method == RAW:
        source = _decode_raw(record, head)
    elif head.method == CONSTANT:
        source = _decode_constant(record, head)
    elif head.method == ZSTD:
        source = _decode_zstd(record, head)
    elif head.method == COMPOSED:
        source = _decode_composed(record, head, named)
    else:
        source = _decode_coded(record, head, named)
    found = len(source)
    record.check(found == head.source_nbytes, 4, f"{head.source_nbytes} decoded bytes", found)
    return source


def _decode_composed(record: Record, head: ChunkHead, named: Mapping[int, Table]) -> bytes:
    """Section 5.11: the sub-chunks are decoded as chunks are, the rest is in composed.py."""
    where, start = record.where, record.body_start
    body = parse_composed(record.body, head.source_nbytes, where, start)
    references = iter(head.references)
    restored = []
    for sub in body.sub_chunks:
        # A record whose head begins with the fields of the sub-chunk and ends where its body does.
        between = record.body[sub.start : sub.body_start]
        at = start + sub.start - PREFIX_NBYTES
        part = Record(where.within("sub-chunk"), at, CHUNK, 0, between, sub.body, 0)
        # "its method must not be composed"
        part.check(sub.method != COMPOSED, 1, "another method than composed", sub.method)
        # "dtype must be 0 for raw, constant and zstd"
        says_nothing = sub.method in (RAW, CONSTANT, ZSTD)
        part.check(not says_nothing or sub.dtype == 0, 0, "dtype 0", sub.dtype)
        _check_ranges(part, sub.method, sub.table_count, sub.unit_shift, sub.source_nbytes)
        # "Its references are the next `table_count` ones of the chunk's"
        own = tuple(islice(references, sub.table_count))
        part.check(len(own) == sub.table_count, 2, f"{len(own)} tables", sub.table_count)
        fields = ChunkHead(sub.dtype, sub.method, sub.unit_shift, sub.source_nbytes, 0, own)
        restored.append(_decode_body(part, fields, named))
    # "all of which must be used"
    left = sum(1 for _ in references)
    record.check(left == 0, 2, "references of sub-chunks only", f"{left} more")
    return body.join(b"".join(restored))


def _decode_raw(record: Record, head: ChunkHead) -> bytes:
    """Raw: "`body_nbytes` must equal `source_nbytes`"."""
    body_nbytes = len(record.body)
    equal = body_nbytes == head.source_nbytes
    record.check(equal, 4, f"a body of {head.source_nbytes} bytes", body_nbytes)
    return record.body


def _decode_constant(record: Record, head: ChunkHead) -> bytes:
    """Constant: "1, 2, 4 or 8 bytes that are repeated"."""
    body_nbytes = len(record.body)
    record.check(body_nbytes in (1, 2, 4, 8), 4, "a body of 1, 2, 4 or 8 bytes", body_nbytes)
    count, rest = divmod(head.source_nbytes, body_nbytes)
    record.check(rest == 0, 4, f"a multiple of {body_nbytes} source bytes", head.source_nbytes)
    return record.body * count


def _decode_zstd(record: Record, head: ChunkHead) -> bytes:
    """Zstd: "one zstd frame, nothing after it. Its content size must be present"."""
    fits = head.source_nbytes <= MAX_ZSTD_NBYTES
    record.check(fits, 4, f"at most {MAX_ZSTD_NBYTES} bytes in zstd", head.source_nbytes)
    # A skippable frame is no frame of data: RFC 8878, section 3.1.1, "Magic_Number: 0xFD2FB528".
    magic = record.body[:4]
    is_frame = magic == bytes.fromhex("28B52FFD")
    record.check(is_frame, len(record.head), "a zstd frame", magic.hex())
    try:
        frame = zstandard.get_frame_parameters(record.body)
        equal = frame.content_size == head.source_nbytes
        record.check(equal, 4, f"content size {head.source_nbytes}", frame.content_size)
        small = frame.window_size <= MAX_ZSTD_NBYTES
        record.check(small, 4, f"a window of at most {MAX_ZSTD_NBYTES} bytes", frame.window_size)
        record.check(frame.dict_id == 0, 4, "no dictionary", frame.dict_id)
        decompressor = zstandard.ZstdDecompressor()
        return decompressor.decompress(record.body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        where, at = record.where, record.body_start
        raise CorruptStreamError(where.at(at, "one whole zstd frame", error)) from error


def _decode_coded(record: Record, head: ChunkHead, named: Mapping[int, Table]) -> bytes:
    """Static and arranged."""
    layout = DTYPES[head.dtype]
    if layout is None:
        expected = "a dtype with a layout"
        raise CorruptStreamError(record.where.at(record.start + 16, expected, head.dtype))
    tables = []
    for number, reference in enumerate(head.references):
        at = 16 + 8 * number
        if reference & NAMED:
            # Section 6.2: "A reference that names no table must be rejected."
            known = reference in named
            record.check(known, at, "the name of a table", f"{reference:#x}")
            table = named[reference]
        else:
            below = reference < UNIVERSAL
            record.check(below, at, f"a reference below {UNIVERSAL}", reference)
            table = universal_table(reference)
        # Section 5.5: "`base` must be below 2^S."
        most = 1 << layout.symbol_bits
        record.check(table.base < most, at, f"a table with base below {most}", table.base)
        tables.append(table)
    body, nbytes, where, start = record.body, head.source_nbytes, record.where, record.body_start
    if head.method == ARRANGED:
        return decode_arranged(body, nbytes, layout, tables, where, start)
    return decode_static(body, nbytes, layout, tables, head.unit_shift, where, start)
