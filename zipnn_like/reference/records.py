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
# Section 3: "A record that has a body, of any type but CHUNK, holds the XXH3-64 of its body at
# bytes 24 to 31 of its head".
BODY_CHECK_OFFSET, BODY_CHECK_END = 24, 32
CHUNK, TABLE, SAME_AS, PAGE, ROOT = 0x01, 0x02, 0x03, 0x04, 0x05
NAMES = {CHUNK: "CHUNK", TABLE: "TABLE", SAME_AS: "SAME_AS", PAGE: "PAGE", ROOT: "ROOT"}
# Section 4: "A method above 5 or a dtype that is not in 4.1 is *unsupported*, here and wherever
# they appear".
DTYPE_COUNT, METHOD_COUNT = 23, 6
# Section 7.1: "There are 1 to 512 of them; every page but the last covers 512."
PAGE_CHUNKS = 512
# Section 7.1: "`context_nbytes`: at most 1664 * `chunk_count`".
CONTEXT_NBYTES_PER_CHUNK = 1664
# Section 7.2: "page_count: at most 524,288".
MAX_PAGES = 524_288
# Section 7.2: each page "must state at least 36 stream bytes before the page record and 24 bytes of
# page for each of its chunks, and 48 bytes of page besides".
LEAST_CHUNK_NBYTES, LEAST_PAGE_NBYTES = 36, 48


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


def check_stream_header(stream: bytes, where: Where) -> bool:
    """Section 2.1: "reject, in this order: another magic, a wrong check, a needed version above
    its own, unknown flags, non-zero bytes at 18". True when the ROOT must hold a SHA-256.
    """
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
    flags = stream[17]
    check(flags < 2, where, 17, "no flag but bit 0", f"{flags:#x}", UnsupportedFormatError)
    check(not any(stream[18:24]), where, 18, "zero bytes", stream[18:24].hex())
    return flags == 1


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

    def check_dtype(self, head_offset: int, dtype: int) -> None:
        expected = f"a dtype code below {DTYPE_COUNT}"
        self.check(dtype < DTYPE_COUNT, head_offset, expected, dtype, UnsupportedFormatError)

    def check_method(self, head_offset: int, method: int) -> None:
        expected = f"a method below {METHOD_COUNT}"
        self.check(method < METHOD_COUNT, head_offset, expected, method, UnsupportedFormatError)

    def check_body(self) -> None:
        """Section 3: the XXH3-64 of the body, "it must hold for skipped records too"."""
        if self.kind == CHUNK or not self.body:
            return
        found = len(self.head)
        expected = f"a head of at least {BODY_CHECK_END} bytes before a body"
        self.check(found >= BODY_CHECK_END, 0, expected, found)
        stated = int.from_bytes(self.head[BODY_CHECK_OFFSET:BODY_CHECK_END], "little")
        computed = xxh3_64(self.body)
        expected = f"a body with XXH3-64 {stated:#x}"
        found_sum = f"{computed:#x}"
        self.check(stated == computed, BODY_CHECK_OFFSET, expected, found_sum, ChecksumError)

    @property
    def body_start(self) -> int:
        return self.start + PREFIX_NBYTES + len(self.head)


def _take(stream: bytes, offset: int, nbytes: int, where: Where, what: str) -> bytes:
    available = max(len(stream) - offset, 0)
    expected = f"{nbytes} bytes of {what}"
    check(nbytes <= available, where, offset, expected, available, TruncatedStreamError)
    return stream[offset : offset + nbytes]


def read_record(stream: bytes, start: int, where: Where) -> Record:
    """Section 3: "The limits and the check must hold, padding must be zero"."""
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
    record = Record(where, start, kind, stated, head, body, nbytes)
    record.check_body()
    return record


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
    """Section 7.1: the directory of up to 512 chunks and, as context, the tables they need."""

    summary: PageSummary
    entries: Sequence[Entry]
    table_heads: Sequence[bytes]


def pack_page(
    entries: Sequence[Entry], table_heads: Sequence[bytes], before_nbytes: int
) -> tuple[bytes, bytes]:
    """Head and body that the PAGE of these chunks must have."""
    # "bits 0 to 23 of the u32 are the size of the head, bits 24 to 31 the type of the record"
    items = (struct.pack("<I", TABLE << 24 | len(head)) + head for head in table_heads)
    context = b"".join(items)
    body = b"".join(entry.pack() for entry in entries) + context
    source_nbytes = sum(entry.source_nbytes for entry in entries)
    counts = (len(entries), len(context), source_nbytes, before_nbytes)
    return struct.pack("<IIQQQ", *counts, xxh3_64(body)), body


def parse_page(record: Record) -> Page:
    """Section 7.1, all that can be checked on a PAGE by itself."""
    record.check(len(record.head) == 32, 0, "a head of 32 bytes", len(record.head))
    fields = struct.unpack("<IIQQQ", record.head)
    chunk_count, context_nbytes, source_nbytes, before_nbytes, _ = fields  # last: check_body
    fits = 1 <= chunk_count <= PAGE_CHUNKS
    record.check(fits, 0, f"1 to {PAGE_CHUNKS} chunks", chunk_count)
    most = CONTEXT_NBYTES_PER_CHUNK * chunk_count
    record.check(context_nbytes <= most, 4, f"at most {most} bytes of context", context_nbytes)
    context_start = Entry.LAYOUT.size * chunk_count
    expected = f"a body of {context_start} + {context_nbytes} bytes"
    found = len(record.body)
    record.check(found == context_start + context_nbytes, 4, expected, found)

    entries = []
    for offset in range(0, context_start, Entry.LAYOUT.size):
        *numbers, zero, checksum = Entry.LAYOUT.unpack_from(record.body, offset)
        chunk_nbytes, record_nbytes, gap_nbytes, kind, dtype, method = numbers
        entry = Entry(chunk_nbytes, record_nbytes, gap_nbytes, kind, dtype, method, checksum)
        at = len(record.head) + offset
        record.check(zero == 0, at + 15, "a zero byte", zero)
        known = entry.kind in (CHUNK, SAME_AS)
        record.check(known, at + 12, "type 0x01 or 0x03", entry.kind, UnsupportedFormatError)
        record.check_dtype(at + 13, dtype)
        record.check_method(at + 14, method)
        # "method (0 for SAME_AS)"
        record.check(kind == CHUNK or method == 0, at + 14, "method 0 for SAME_AS", method)
        entries.append(entry)
    covered = sum(entry.source_nbytes for entry in entries)
    record.check(source_nbytes == covered, 8, f"{covered} source bytes", source_nbytes)
    spanned = sum(entry.gap_nbytes + entry.record_nbytes for entry in entries)
    fits = spanned <= before_nbytes
    record.check(fits, 16, f"at least {spanned} bytes before the page", before_nbytes)

    summary = PageSummary(source_nbytes, before_nbytes, record.nbytes, chunk_count, record.checksum)
    return Page(summary, entries, _parse_context(record, context_start))


def _parse_context(record: Record, offset: int) -> list[bytes]:
    """Section 7.1: "Each item is a u32 and a head", from `offset` to the end of the body.

    Returns the heads of tables. That the tables are valid and named once is left to who reads them.
    """
    heads = []
    while offset < len(record.body):
        at = len(record.head) + offset
        room = len(record.body) - offset - 4
        record.check(room >= 0, at, "an item of at least 4 bytes", f"{room + 4} bytes")
        (number,) = struct.unpack_from("<I", record.body, offset)
        kind, size = number >> 24, number & 0xFFFFFF
        # "the type of the record it is the head of, 0x02 (TABLE). Another type is *unsupported*."
        expected = f"an item of type {TABLE:#04x}"
        record.check(kind == TABLE, at + 3, expected, f"{kind:#04x}", UnsupportedFormatError)
        fits = size % 4 == 0 and size <= room
        record.check(fits, at, f"a multiple of 4 up to {room}", size)
        heads.append(record.body[offset + 4 : offset + 4 + size])
        offset += 4 + size
    return heads


@dataclass(frozen=True)
class Root:
    """Section 7.2: the totals and every page."""

    source_nbytes: int
    chunk_count: int
    sha256: bytes | None
    pages: Sequence[PageSummary]


def parse_root(record: Record, has_sha256: bool) -> Root:
    """Section 7.2, all that can be checked on the ROOT by itself."""
    record.check(len(record.head) >= 32, 0, "a head of at least 32 bytes", len(record.head))
    page_count, flags, source_nbytes, chunk_count, stated = struct.unpack_from(
        "<IIQQQ", record.head
    )
    record.check(page_count <= MAX_PAGES, 0, f"at most {MAX_PAGES} pages", page_count)
    # Section 4: *unsupported*, "as is a ROOT flag that is not in 7.2"
    known = flags >> 1 == 0
    record.check(known, 4, "no flag but bit 0", f"{flags:#x}", UnsupportedFormatError)
    # "which must equal bit 0 of the stream header's flags"
    agrees = (flags & 1 == 1) == has_sha256
    record.check(agrees, 4, f"bit 0 as in the stream header, {int(has_sha256)}", flags)
    expected = 64 if flags & 1 else 32
    record.check(len(record.head) == expected, 4, f"a head of {expected} bytes", len(record.head))
    expected = PageSummary.LAYOUT.size * page_count
    record.check(len(record.body) == expected, 0, f"a body of {expected} bytes", len(record.body))
    # Of a body of 0 bytes, which check_body passes over, too.
    computed = xxh3_64(record.body)
    record.check(stated == computed, 24, f"{computed:#x}", f"{stated:#x}", ChecksumError)

    pages = [PageSummary(*fields) for fields in PageSummary.LAYOUT.iter_unpack(record.body)]
    for number, page in enumerate(pages):
        least = 1 if number == page_count - 1 else PAGE_CHUNKS
        fits = least <= page.chunk_count <= PAGE_CHUNKS
        at = len(record.head) + PageSummary.LAYOUT.size * number
        record.check(fits, at + 20, f"{least} to {PAGE_CHUNKS} chunks", page.chunk_count)
        least = LEAST_CHUNK_NBYTES * page.chunk_count
        fits = page.before_nbytes >= least
        record.check(fits, at + 8, f"at least {least} bytes before the page", page.before_nbytes)
        least = LEAST_PAGE_NBYTES + Entry.LAYOUT.size * page.chunk_count
        fits = page.record_nbytes >= least
        record.check(fits, at + 16, f"a page of at least {least} bytes", page.record_nbytes)
    total = sum(page.source_nbytes for page in pages)
    record.check(source_nbytes == total, 8, f"{total} source bytes", source_nbytes)
    total = sum(page.chunk_count for page in pages)
    record.check(chunk_count == total, 16, f"{total} chunks", chunk_count)
    return Root(source_nbytes, chunk_count, record.head[32:] or None, pages)
