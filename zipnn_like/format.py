# SPDX-License-Identifier: Apache-2.0
"""The stream on the wire (docs/format.md, sections 2 to 4, 6.3, 7): limits, pack and parse.

Every parse function takes untrusted bytes and checks all that can be checked without context.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from . import dtypes
from .errors import (
    ChecksumError,
    CorruptStreamError,
    TruncatedStreamError,
    UnsupportedFormatError,
    Where,
)
from .native import xxh3_64

MAGIC = b"\x89ZNL\r\n\x1a\n"
END_MAGIC = b"ZNLEND\r\n"
VERSION = 1
HEADER_NBYTES = 32
PREFIX_NBYTES = 16
FOOTER_NBYTES = 32

CHUNK, TABLE, SAME_AS, PAGE, ROOT = 0x01, 0x02, 0x03, 0x04, 0x05
RECORD_NAMES = {CHUNK: "CHUNK", TABLE: "TABLE", SAME_AS: "SAME_AS", PAGE: "PAGE", ROOT: "ROOT"}
MUST_UNDERSTAND = 0x01

RAW, CONSTANT, ZSTD, STATIC, ARRANGED, COMPOSED = 0, 1, 2, 3, 4, 5
METHOD_NAMES = {
    RAW: "raw",
    CONSTANT: "constant",
    ZSTD: "zstd",
    STATIC: "static",
    ARRANGED: "arranged",
    COMPOSED: "composed",
}
REPEAT_NAME = "repeat"  # of SAME_AS records, where they are told beside methods

MAX_CHUNK_NBYTES = 16 << 20
MAX_ZSTD_NBYTES = 8 << 20
MAX_COMPOSED_NBYTES = 8 << 20
MAX_HEAD_NBYTES = 4096
MAX_BODY_NBYTES = (16 << 20) + (64 << 10)
TABLES = {STATIC: (1, 8), ARRANGED: (1, 32), COMPOSED: (0, 32)}  # of a chunk; others take none
MAX_TABLES_OF_CHUNK = max(most for _, most in TABLES.values())
MAX_DISTANCE = 16 << 20
MIN_REPEAT_NBYTES = 256
BODY_CHECK_OFFSET = 24  # in the head of every record with a body, CHUNK excepted
PAGE_CHUNKS = 512
MAX_PAGES = 1 << 19
TABLE_NAME_BIT = 1 << 63

_HEADER = struct.Struct("<8sHHIBB6s")
_HAS_SHA256 = 1
_PREFIX = struct.Struct("<BBHI")
_CHUNK_HEAD = struct.Struct("<BBBBIQ")
_SAME_AS_HEAD = struct.Struct("<B3sIQII")
SAME_AS_HEAD_NBYTES = _SAME_AS_HEAD.size
_U64 = struct.Struct("<Q")
_FOOTER = struct.Struct("<QQQ8s")


class Header(NamedTuple):
    """The stream header: libzstd of the writer as a number, the source kind, a SHA-256 to come."""

    version: int
    zstd_version: int
    source_kind: int
    has_sha256: bool = False


def pack_header(header: Header) -> bytes:
    """32 bytes."""
    body = _HEADER.pack(
        MAGIC,
        header.version,
        VERSION,
        header.zstd_version,
        header.source_kind,
        _HAS_SHA256 if header.has_sha256 else 0,
        bytes(6),
    )
    return body + _U64.pack(xxh3_64(body))


def parse_header(head: bytes, where: Where) -> Header:
    """Parse the stream header (docs/format.md, section 2.1).

    Raises TruncatedStreamError, UnsupportedFormatError, CorruptStreamError.
    """
    if not MAGIC.startswith(head[: len(MAGIC)]):
        found = bytes(head[: len(MAGIC)])
        raise UnsupportedFormatError(
            where.at(0, f"magic {MAGIC!r}", repr(found), "this is not a znl stream")
        )
    if len(head) < HEADER_NBYTES:
        raise TruncatedStreamError(
            where.at(0, f"a header of {HEADER_NBYTES} bytes", f"{len(head)} bytes")
        )
    _, version, needed, zstd_version, kind, flags, zero = _HEADER.unpack_from(head)
    if _U64.unpack_from(head, 24)[0] != xxh3_64(head[:24]):
        raise ChecksumError(where.at(24, "the checksum of the stream header", "another"))
    if needed > VERSION:
        raise UnsupportedFormatError(
            where.at(10, f"a stream for readers up to version {VERSION}", needed, "update")
        )
    if flags & ~_HAS_SHA256:
        raise UnsupportedFormatError(where.at(17, "flags 0 or 1", flags, "update zipnn_like"))
    if zero != bytes(6):
        raise CorruptStreamError(where.at(18, "6 zero bytes", zero.hex()))
    return Header(version, zstd_version, kind, bool(flags))


class Record(NamedTuple):
    """A record as it lies in the stream; `check` is its prefix's check field."""

    type: int
    head: bytes
    body: bytes | memoryview
    check: int
    offset: int
    nbytes: int


def padding_nbytes(nbytes: int) -> int:
    """Zero bytes up to a multiple of 4."""
    return -nbytes % 4


def pack_record_start(type_: int, head: bytes, body_nbytes: int) -> bytes:
    """Prefix and head of a record; the body and its padding follow."""
    start = _PREFIX.pack(type_, MUST_UNDERSTAND, len(head), body_nbytes)
    return start + _U64.pack(xxh3_64(start + head)) + head


class Prefix(NamedTuple):
    """The first 16 bytes of a record, limits checked, the check not yet."""

    type: int
    flags: int
    head_nbytes: int
    body_nbytes: int
    check: int


def parse_prefix(prefix: bytes, where: Where, offset: int) -> Prefix:
    """Split a record's prefix and check its limits. Raises CorruptStreamError."""
    type_, flags, head_nbytes, body_nbytes = _PREFIX.unpack_from(prefix)
    if head_nbytes > MAX_HEAD_NBYTES or head_nbytes % 4:
        raise CorruptStreamError(
            where.at(offset + 2, f"a head of 4 n <= {MAX_HEAD_NBYTES} bytes", head_nbytes)
        )
    if body_nbytes > MAX_BODY_NBYTES:
        raise CorruptStreamError(
            where.at(offset + 4, f"a body of at most {MAX_BODY_NBYTES} bytes", body_nbytes)
        )
    return Prefix(type_, flags, head_nbytes, body_nbytes, _U64.unpack_from(prefix, 8)[0])


def check_record(prefix: Prefix, start: bytes, head: bytes, where: Where, offset: int) -> bool:
    """Check prefix and head against the record's checksum; True when the type is known.

    start: the 16 bytes of the prefix.
    Raises ChecksumError, CorruptStreamError, UnsupportedFormatError.
    """
    if xxh3_64(start[:8] + head) != prefix.check:
        raise ChecksumError(where.at(offset, "a record with the checksum it states", "another"))
    if prefix.flags & ~MUST_UNDERSTAND:
        raise CorruptStreamError(where.at(offset + 1, "flags 0 or 1", prefix.flags))
    known = prefix.type in RECORD_NAMES
    if known and not prefix.flags:
        raise CorruptStreamError(where.at(offset + 1, "the must-understand flag", "none"))
    if not known and prefix.flags:
        raise UnsupportedFormatError(
            where.at(offset, "a known record type", f"type {prefix.type:#04x}", "update zipnn_like")
        )
    return known


def check_body(record: Record, where: Where) -> None:
    """Check the body of a record, skipped ones included, against the XXH3-64 in its head.

    Raises ChecksumError, CorruptStreamError. A CHUNK's body has no check: its decoded bytes have.
    """
    if record.type == CHUNK or not len(record.body):
        return
    if len(record.head) < BODY_CHECK_OFFSET + 8:
        raise CorruptStreamError(
            where.at(record.offset, "a head with the checksum of the body", len(record.head))
        )
    if _U64.unpack_from(record.head, BODY_CHECK_OFFSET)[0] != xxh3_64(record.body):
        raise ChecksumError(
            where.at(record.offset, "a body with the checksum it states", "another")
        )


class ChunkHead(NamedTuple):
    """The head of a CHUNK record (docs/format.md, section 4)."""

    dtype: dtypes.DType
    method: int
    unit_shift: int
    source_nbytes: int
    checksum: int
    tables: tuple[int, ...]


def parse_dtype(code: int, where: Where, offset: int) -> dtypes.DType:
    """The dtype of a code. Raises UnsupportedFormatError."""
    if code not in dtypes.BY_CODE:
        raise UnsupportedFormatError(where.at(offset, "a known dtype code", code, "update"))
    return dtypes.BY_CODE[code]


def check_method(method: int, where: Where, offset: int) -> None:
    """Raise UnsupportedFormatError for a method this reader does not know."""
    if method not in METHOD_NAMES:
        raise UnsupportedFormatError(where.at(offset, "a known method", method, "update"))


def check_tables(method: int, count: int, unit_shift: int, where: Where, offset: int) -> None:
    """Check the number of tables and the unit shift behind it, for a known method.

    offset  of the number; the unit shift is the next byte
    Raises CorruptStreamError.
    """
    least, most = TABLES.get(method, (0, 0))
    if not least <= count <= most:
        limit = f"{least} to {most} tables" if most else "no tables"
        raise CorruptStreamError(
            where.at(offset, f"{limit} for the {METHOD_NAMES[method]} method", count)
        )
    if unit_shift not in ((6, 9) if method == STATIC and count > 1 else (0,)):
        raise CorruptStreamError(
            where.at(
                offset + 1, "a unit shift of 6 or 9, or 0 where there are no units", unit_shift
            )
        )


def parse_chunk_head(record: Record, where: Where) -> ChunkHead:
    """Raises CorruptStreamError, UnsupportedFormatError."""
    head, at = record.head, record.offset + PREFIX_NBYTES
    if len(head) < _CHUNK_HEAD.size:
        raise CorruptStreamError(where.at(at, "a head of 16 bytes or more", len(head)))
    code, method, count, shift, source_nbytes, checksum = _CHUNK_HEAD.unpack_from(head)
    # What a later version may have written is told before fields that it may lay out anew.
    dtype = parse_dtype(code, where, at)
    check_method(method, where, at + 1)
    if len(head) != _CHUNK_HEAD.size + 8 * count:
        raise CorruptStreamError(where.at(at + 2, "tables that fill the head", count))
    check_tables(method, count, shift, where, at + 2)
    if not 0 < source_nbytes <= MAX_CHUNK_NBYTES:
        raise CorruptStreamError(where.at(at + 4, f"1 to {MAX_CHUNK_NBYTES} bytes", source_nbytes))
    tables = struct.unpack_from(f"<{count}Q", head, 16)
    return ChunkHead(dtype, method, shift, source_nbytes, checksum, tables)


class SameAsHead(NamedTuple):
    """The head of a SAME_AS record (docs/format.md, section 6.3); distance in source bytes."""

    dtype: dtypes.DType
    source_nbytes: int
    checksum: int
    distance: int


def parse_same_as_head(record: Record, where: Where) -> SameAsHead:
    """Raises CorruptStreamError, UnsupportedFormatError."""
    head, at = record.head, record.offset + PREFIX_NBYTES
    if len(head) != _SAME_AS_HEAD.size or len(record.body):
        raise CorruptStreamError(where.at(at, "a head of 24 bytes and no body", len(head)))
    code, zero, source_nbytes, checksum, distance, zero_too = _SAME_AS_HEAD.unpack(head)
    dtype = parse_dtype(code, where, at)
    if zero != bytes(3) or zero_too:
        raise CorruptStreamError(where.at(at + 1, "zero bytes", "others"))
    if not MIN_REPEAT_NBYTES <= source_nbytes <= MAX_CHUNK_NBYTES:
        limits = f"{MIN_REPEAT_NBYTES} to {MAX_CHUNK_NBYTES} bytes"
        raise CorruptStreamError(where.at(at + 4, limits, source_nbytes))
    if not source_nbytes <= distance <= MAX_DISTANCE:
        raise CorruptStreamError(
            where.at(at + 16, f"a distance of {source_nbytes} to {MAX_DISTANCE}", distance)
        )
    return SameAsHead(dtype, source_nbytes, checksum, distance)


def pack_footer(root_nbytes: int, stream_nbytes: int, root_prefix: bytes) -> bytes:
    """32 bytes; root_prefix: the first 16 bytes of the ROOT record."""
    sizes = struct.pack("<QQ", root_nbytes, stream_nbytes)
    return sizes + _U64.pack(xxh3_64(root_prefix + sizes)) + END_MAGIC


class Footer(NamedTuple):
    """The last 32 bytes of a stream."""

    root_nbytes: int
    stream_nbytes: int


def parse_footer(footer: bytes, where: Where, offset: int) -> Footer:
    """Raises TruncatedStreamError when it does not end as a stream ends."""
    if len(footer) < FOOTER_NBYTES or footer[24:32] != END_MAGIC:
        raise TruncatedStreamError(
            where.at(
                offset,
                f"a footer that ends in {END_MAGIC!r}",
                f"{len(footer)} bytes" if len(footer) < FOOTER_NBYTES else repr(bytes(footer[24:])),
                "the file is cut short or something was added; fetch it again",
            )
        )
    root_nbytes, stream_nbytes, _, _ = _FOOTER.unpack(footer)
    return Footer(root_nbytes, stream_nbytes)
