# SPDX-License-Identifier: Apache-2.0
"""Stream header, footer, records and the directory (docs/format.md, sections 2, 3 and 7)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from zipnn_like.errors import (
    ChecksumError,
    CorruptStreamError,
    TruncatedStreamError,
    UnsupportedFormatError,
    Where,
    ZnlError,
)
from zipnn_like.reference.xxh3 import xxh3_64

# Section 2.1: "magic 89 5A 4E 4C 0D 0A 1A 0A"; "lowest version a reader needs: 1".
MAGIC = bytes.fromhex("895A4E4C0D0A1A0A")
VERSION = 1
STREAM_HEADER_NBYTES = 32
# Section 2.2: "end magic 5A 4E 4C 45 4E 44 0D 0A".
END_MAGIC = bytes.fromhex("5A4E4C454E440D0A")
FOOTER_NBYTES = 32
# Section 3: "head_nbytes: a multiple of 4, at most 4096"; "body_nbytes: at most 16,777,216 +
# 65,536".
PREFIX_NBYTES = 16
MAX_HEAD_NBYTES = 4096
MAX_BODY_NBYTES = 16_777_216 + 65_536
CHUNK, TABLE, SAME_AS, PAGE, ROOT = 0x01, 0x02, 0x03, 0x04, 0x05
NAMES = {CHUNK: "CHUNK", TABLE: "TABLE", SAME_AS: "SAME_AS", PAGE: "PAGE", ROOT: "ROOT"}
# Section 7.1: "There are 1 to 512 of them; every page but the last covers 512."
PAGE_CHUNKS = 512
# Section 7.2: "page_count: at most 524,288".
MAX_PAGES = 524_288


def check(
    holds: bool,
    where: Where,
    offset: int,
    expected: object,
    found: object,
    error: type[ZnlError] = CorruptStreamError,
) -> None:
    """One *must* of the specification: raise `error` unless it holds."""
    if not holds:
        raise error(where.at(offset, expected, found))


def check_stream_header(stream: bytes, where: Where) -> None:
    """Section 2.1: reject another magic, a wrong check, bytes at 17, a needed version above 1."""
    where = where.within("stream header")
    magic = stream[:8]
    check(MAGIC.startswith(magic), where, 0, f"magic {MAGIC!r}", magic, UnsupportedFormatError)
    available = len(stream)
    check(available >= STREAM_HEADER_NBYTES, where, 0, "32 bytes", available, TruncatedStreamError)
    stated = int.from_bytes(stream[24:32], "little")
    computed = xxh3_64(stream[:24])
    check(stated == computed, where, 24, f"check {computed:#x}", f"{stated:#x}", ChecksumError)
    needed = int.from_bytes(stream[10:12], "little")
    supported = f"a needed version of at most {VERSION}"
    check(needed <= VERSION, where, 10, supported, needed, UnsupportedFormatError)
    check(not any(stream[17:24]), where, 17, "zero bytes", stream[17:24].hex())


def read_footer(
    stream: bytes, where: Where, no_magic: type[ZnlError] = TruncatedStreamError
) -> int:
    """Section 2.2: check the last 32 bytes of the stream; returns the size of the ROOT record."""
    where = where.within("footer")
    start = len(stream) - FOOTER_NBYTES
    least = STREAM_HEADER_NBYTES + PREFIX_NBYTES + FOOTER_NBYTES
    found = stream[-8:]
    check(found == END_MAGIC, where, start + 24, f"end magic {END_MAGIC!r}", found, no_magic)
    check(len(stream) >= least, where, 0, f"at least {least} bytes", len(stream))
    root_nbytes, stream_nbytes, stated = struct.unpack_from("<QQQ", stream, start)
    most = start - STREAM_HEADER_NBYTES
    fits = PREFIX_NBYTES <= root_nbytes <= most
    check(fits, where, start, f"a ROOT record of at most {most} bytes", root_nbytes)
    check(stream_nbytes == len(stream), where, start + 8, f"{len(stream)} bytes", stream_nbytes)
    root_start = start - root_nbytes
    computed = xxh3_64(stream[root_start : root_start + 16] + stream[start : start + 16])
    check(stated == computed, where, start + 16, f"{computed:#x}", f"{stated:#x}", ChecksumError)
    return int(root_nbytes)


@dataclass(frozen=True)
class Record:
    """A record whose limits, check and padding hold."""

    where: Where
    start: int  # offset of its prefix in the stream
    kind: int
    checksum: int
    head: bytes
    body: bytes
    nbytes: int  # prefix, head, body and padding

    def check(
        self,
        holds: bool,
        head_offset: int,
        expected: object,
        found: object,
        error: type[ZnlError] = CorruptStreamError,
    ) -> None:
        """`check` for a field `head_offset` bytes into the head."""
        check(holds, self.where, self.start + PREFIX_NBYTES + head_offset, expected, found, error)

    @property
    def body_start(self) -> int:
        return self.start + PREFIX_NBYTES + len(self.head)


def _take(stream: bytes, offset: int, nbytes: int, where: Where, what: str) -> bytes:
    available = max(len(stream) - offset, 0)
    expected = f"{nbytes} bytes of {what}"
    check(nbytes <= available, where, offset, expected, available, TruncatedStreamError)
    return stream[offset : offset + nbytes]


def read_record(stream: bytes, start: int, where: Where) -> Record:
    """Section 3: "The limits and the check must hold, and padding must be zero"."""
    prefix = _take(stream, start, PREFIX_NBYTES, where.within("record"), "record prefix")
    kind, flags, head_nbytes, body_nbytes, stated = struct.unpack("<BBHIQ", prefix)
    where = where.within(f"{NAMES.get(kind, f'{kind:#04x}')} record")
    fits = head_nbytes % 4 == 0 and head_nbytes <= MAX_HEAD_NBYTES
    check(fits, where, start + 2, f"a multiple of 4 up to {MAX_HEAD_NBYTES}", head_nbytes)
    fits = body_nbytes <= MAX_BODY_NBYTES
    check(fits, where, start + 4, f"at most {MAX_BODY_NBYTES} bytes", body_nbytes)
    head = _take(stream, start + PREFIX_NBYTES, head_nbytes, where, "head")
    computed = xxh3_64(prefix[:8] + head)
    check(stated == computed, where, start + 8, f"{computed:#x}", f"{stated:#x}", ChecksumError)

    # "bits 1 to 7 must be zero"; bit 0 "must be set on the types below"; "a record of any other
    # type, the reserved ones included, makes the stream unsupported when its bit 0 is set".
    known = kind in NAMES
    check(flags >> 1 == 0, where, start + 1, "flag bits 1 to 7 zero", f"{flags:#x}")
    unsupported = not known and flags & 1
    check(not unsupported, where, start, "a known type", f"{kind:#04x}", UnsupportedFormatError)
    check(not known or flags & 1 == 1, where, start + 1, "flag bit 0 set", flags)

    body_start = start + PREFIX_NBYTES + head_nbytes
    body = _take(stream, body_start, body_nbytes, where, "body")
    padding = _take(stream, body_start + body_nbytes, -body_nbytes % 4, where, "padding")
    check(not any(padding), where, body_start + body_nbytes, "zero padding", padding.hex())
    nbytes = PREFIX_NBYTES + head_nbytes + body_nbytes + len(padding)
    return Record(where, start, kind, stated, head, body, nbytes)


@dataclass(frozen=True)
class Entry:
    """Section 7.1, an entry of a page, in the order of its fields."""

    source_nbytes: int
    record_nbytes: int
    gap_nbytes: int
    kind: int
    dtype: int
    method: int
    checksum: int

    LAYOUT = struct.Struct("<IIIBBBBQ")

    def pack(self) -> bytes:
        numbers = (self.source_nbytes, self.record_nbytes, self.gap_nbytes)
        return self.LAYOUT.pack(*numbers, self.kind, self.dtype, self.method, 0, self.checksum)


@dataclass(frozen=True)
class PageSummary:
    """Section 7.2, what the ROOT says of a page, in the order of its fields."""

    source_nbytes: int
    before_nbytes: int
    record_nbytes: int
    chunk_count: int
    checksum: int

    LAYOUT = struct.Struct("<QQIIQ")


@dataclass(frozen=True)
class Page:
    """Section 7.1: the directory of up to 512 chunks and the tables that they need."""

    summary: PageSummary
    entries: Sequence[Entry]
    table_heads: Sequence[bytes]


def pack_page(
    entries: Sequence[Entry], table_heads: Sequence[bytes], before_nbytes: int
) -> tuple[bytes, bytes]:
    """Head and body that the PAGE of these chunks must have."""
    tables = b"".join(struct.pack("<I", len(head)) + head for head in table_heads)
    body = b"".join(entry.pack() for entry in entries) + tables
    source_nbytes = sum(entry.source_nbytes for entry in entries)
    counts = (len(entries), len(tables), source_nbytes, before_nbytes)
    return struct.pack("<IIQQQ", *counts, xxh3_64(body)), body


def parse_page(record: Record) -> Page:
    """Section 7.1, all that can be checked on a PAGE by itself."""
    record.check(len(record.head) == 32, 0, "a head of 32 bytes", len(record.head))
    fields = struct.unpack("<IIQQQ", record.head)
    chunk_count, tables_nbytes, source_nbytes, before_nbytes, stated = fields
    fits = 1 <= chunk_count <= PAGE_CHUNKS
    record.check(fits, 0, f"1 to {PAGE_CHUNKS} chunks", chunk_count)
    tables_start = Entry.LAYOUT.size * chunk_count
    expected = f"a body of {tables_start} + {tables_nbytes} bytes"
    found = len(record.body)
    record.check(found == tables_start + tables_nbytes, 4, expected, found)
    computed = xxh3_64(record.body)
    record.check(stated == computed, 24, f"{computed:#x}", f"{stated:#x}", ChecksumError)

    entries = []
    for offset in range(0, tables_start, Entry.LAYOUT.size):
        *numbers, zero, checksum = Entry.LAYOUT.unpack_from(record.body, offset)
        chunk_nbytes, record_nbytes, gap_nbytes, kind, dtype, method = numbers
        entry = Entry(chunk_nbytes, record_nbytes, gap_nbytes, kind, dtype, method, checksum)
        at = len(record.head) + offset
        record.check(zero == 0, at + 15, "a zero byte", zero)
        record.check(entry.kind in (CHUNK, SAME_AS), at + 12, "type 0x01 or 0x03", entry.kind)
        entries.append(entry)
    covered = sum(entry.source_nbytes for entry in entries)
    record.check(source_nbytes == covered, 8, f"{covered} source bytes", source_nbytes)
    spanned = sum(entry.gap_nbytes + entry.record_nbytes for entry in entries)
    fits = spanned <= before_nbytes
    record.check(fits, 16, f"at least {spanned} bytes before the page", before_nbytes)

    summary = PageSummary(source_nbytes, before_nbytes, record.nbytes, chunk_count, record.checksum)
    return Page(summary, entries, _parse_page_tables(record, tables_start))


def _parse_page_tables(record: Record, offset: int) -> list[bytes]:
    """ "u32 size (4 to 48, a multiple of 4), then the TABLE record's head", to the body's end."""
    heads = []
    while offset < len(record.body):
        size = int.from_bytes(record.body[offset : offset + 4], "little")
        at = len(record.head) + offset
        room = len(record.body) - offset - 4
        fits = size % 4 == 0 and 4 <= size <= min(48, room)
        record.check(fits, at, f"a multiple of 4 from 4 to {min(48, room)}", size)
        heads.append(record.body[offset + 4 : offset + 4 + size])
        offset += 4 + size
    # "each once"
    distinct = len(set(heads)) == len(heads)
    record.check(distinct, len(record.head), "each table once", "one twice")
    return heads


@dataclass(frozen=True)
class Root:
    """Section 7.2: the totals and every page."""

    source_nbytes: int
    chunk_count: int
    sha256: bytes | None
    pages: Sequence[PageSummary]


def parse_root(record: Record) -> Root:
    """Section 7.2, all that can be checked on the ROOT by itself."""
    record.check(len(record.head) >= 32, 0, "a head of at least 32 bytes", len(record.head))
    page_count, flags, source_nbytes, chunk_count, stated = struct.unpack_from(
        "<IIQQQ", record.head
    )
    record.check(page_count <= MAX_PAGES, 0, f"at most {MAX_PAGES} pages", page_count)
    record.check(flags >> 1 == 0, 4, "flag bits 1 to 31 zero", f"{flags:#x}")
    expected = 64 if flags & 1 else 32
    record.check(len(record.head) == expected, 4, f"a head of {expected} bytes", len(record.head))
    expected = PageSummary.LAYOUT.size * page_count
    record.check(len(record.body) == expected, 0, f"a body of {expected} bytes", len(record.body))
    computed = xxh3_64(record.body)
    record.check(stated == computed, 24, f"{computed:#x}", f"{stated:#x}", ChecksumError)

    pages = [PageSummary(*fields) for fields in PageSummary.LAYOUT.iter_unpack(record.body)]
    for number, page in enumerate(pages):
        least = 1 if number == page_count - 1 else PAGE_CHUNKS
        fits = least <= page.chunk_count <= PAGE_CHUNKS
        at = len(record.head) + PageSummary.LAYOUT.size * number + 20
        record.check(fits, at, f"{least} to {PAGE_CHUNKS} chunks", page.chunk_count)
    total = sum(page.source_nbytes for page in pages)
    record.check(source_nbytes == total, 8, f"{total} source bytes", source_nbytes)
    total = sum(page.chunk_count for page in pages)
    record.check(chunk_count == total, 16, f"{total} chunks", chunk_count)
    return Root(source_nbytes, chunk_count, record.head[32:] or None, pages)
