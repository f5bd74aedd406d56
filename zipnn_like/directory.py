# SPDX-License-Identifier: Apache-2.0
"""The two-level directory (docs/format.md, section 7): pages of chunk entries under a root.

Writer and sequential reader build the same pages from the records that pass, and the reader
compares; the random reader trusts a page only as far as the chunk records agree with it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from . import dtypes, format, native
from .errors import CorruptStreamError, UnsupportedFormatError, Where
from .format import PAGE_CHUNKS, Record
from .native import ffi, lib, table_name, xxh3_64
from .report import Totals

_ENTRY = struct.Struct("<IIIBBBBQ")
_PAGE_HEAD = struct.Struct("<IIQQQ")
_ROOT_HEAD = struct.Struct("<IIQQQ")
_ROOT_ENTRY = struct.Struct("<QQIIQ")
_U32 = struct.Struct("<I")
_TOTALS_NAMES = (*format.METHOD_NAMES.values(), format.REPEAT_NAME)  # as znl_stream has them
SHA256_NBYTES = 32
HAS_SHA256 = 1
MIN_RECORD_NBYTES = 36  # a constant chunk of one byte: prefix 16, head 16, body 1, padding 3
MAX_CONTEXT_NBYTES = format.MAX_TABLES_OF_CHUNK * (4 + 48)  # of one chunk: all that it may name


class Entry(NamedTuple):
    """One chunk: sizes in the source and the stream, and what its record says."""

    source_nbytes: int
    record_nbytes: int
    lead_nbytes: int
    record_type: int
    dtype: dtypes.DType
    method: int
    checksum: int

    @property
    def method_name(self) -> str:
        """The name of the method, or of repeats."""
        if self.record_type == format.SAME_AS:
            return format.REPEAT_NAME
        return format.METHOD_NAMES[self.method]

    @property
    def stored_nbytes(self) -> int:
        """Bytes of the record and of those before it that belong to it."""
        return self.lead_nbytes + self.record_nbytes


class PageRef(NamedTuple):
    """One row of the root: what a page covers and where its record lies."""

    source_nbytes: int
    records_nbytes: int
    page_nbytes: int
    chunk_count: int
    check: int


@dataclass(frozen=True)
class Page:
    """A page read back: its entries and the tables its chunks need."""

    entries: tuple[Entry, ...]
    tables: Mapping[int, bytes]
    source_nbytes: int
    records_nbytes: int


@dataclass(frozen=True)
class Root:
    """The root read back."""

    pages: tuple[PageRef, ...]
    source_nbytes: int
    chunk_count: int
    sha256: bytes | None


class DirectoryBuilder:
    """Collects what the directory of a stream must say while its records pass, on both ends.

    state  the znl_stream that the C core fills
    pages  the rows of the root so far
    """

    def __init__(self) -> None:
        # Large, and mostly filled only when there are very many tables: not worth clearing.
        self.state = native.new_uncleared("znl_stream *")
        lib.znl_stream_begin(self.state)
        self.pages: list[PageRef] = []

    @property
    def is_full(self) -> bool:
        """A PAGE record is due."""
        return int(self.state.chunk_count) == PAGE_CHUNKS

    def pack_page(self) -> tuple[bytes, bytes]:
        """(head, body) of the PAGE record over the chunks since the last one."""
        state = self.state
        count, context_nbytes = int(state.chunk_count), int(state.context_nbytes)
        entries = ffi.buffer(state.entries, count * _ENTRY.size)
        body = bytes(entries) + bytes(ffi.buffer(state.context, context_nbytes))
        head = _PAGE_HEAD.pack(
            count, context_nbytes, state.source_nbytes, state.records_nbytes, xxh3_64(body)
        )
        return head, body

    def end_page(self, nbytes: int, check: int) -> None:
        """The PAGE record, of `nbytes` bytes and with this check, was written or read."""
        state = self.state
        self.pages.append(
            PageRef(
                int(state.source_nbytes),
                int(state.records_nbytes),
                nbytes,
                int(state.chunk_count),
                check,
            )
        )
        lib.znl_stream_next_page(state)

    def totals(self) -> dict[str, dict[str, Totals]]:
        """Bytes by dtype, in order of first appearance, and method."""
        state = self.state
        return {
            dtypes.BY_CODE[code].name: {
                name: Totals(source_nbytes, stored_nbytes)
                for name, source_nbytes, stored_nbytes in zip(
                    _TOTALS_NAMES,
                    state.source_by_method[code],
                    state.stored_by_method[code],
                    strict=True,
                )
                if source_nbytes
            }
            for code in bytes(ffi.buffer(state.dtypes, state.dtype_count))
        }


def pack_root(pages: list[PageRef], sha256: bytes | None) -> tuple[bytes, bytes]:
    """(head, body) of the ROOT record."""
    body = b"".join(
        _ROOT_ENTRY.pack(p.source_nbytes, p.records_nbytes, p.page_nbytes, p.chunk_count, p.check)
        for p in pages
    )
    head = _ROOT_HEAD.pack(
        len(pages),
        HAS_SHA256 if sha256 else 0,
        sum(p.source_nbytes for p in pages),
        sum(p.chunk_count for p in pages),
        xxh3_64(body),
    )
    return head + (sha256 or b""), body


def parse_page(record: Record, where: Where) -> Page:
    """Read a PAGE record that a random reader fetched. Raises CorruptStreamError."""
    head, body, at = record.head, bytes(record.body), record.offset + format.PREFIX_NBYTES
    if len(head) != _PAGE_HEAD.size:
        raise CorruptStreamError(where.at(at, f"a head of {_PAGE_HEAD.size} bytes", len(head)))
    count, context_nbytes, source_nbytes, records_nbytes, _ = _PAGE_HEAD.unpack(head)
    if not 0 < count <= PAGE_CHUNKS or len(body) != _ENTRY.size * count + context_nbytes:
        raise CorruptStreamError(where.at(at, "entries and context that fill the page", count))
    if context_nbytes > MAX_CONTEXT_NBYTES * count:
        limit = f"at most {MAX_CONTEXT_NBYTES} bytes of context a chunk"
        raise CorruptStreamError(where.at(at + 4, limit, context_nbytes))
    entries = tuple(_parse_entry(body, i * _ENTRY.size, where, at) for i in range(count))
    if sum(e.source_nbytes for e in entries) != source_nbytes:
        raise CorruptStreamError(where.at(at + 8, "the sum of the entries", source_nbytes))
    if sum(e.stored_nbytes for e in entries) > records_nbytes:
        raise CorruptStreamError(
            where.at(at + 16, "records that fit before the page", records_nbytes)
        )
    tables = _parse_tables(body[_ENTRY.size * count :], where, at)
    return Page(entries, tables, source_nbytes, records_nbytes)


def _parse_entry(body: bytes, offset: int, where: Where, at: int) -> Entry:
    source_nbytes, record_nbytes, lead, type_, code, method, zero, checksum = _ENTRY.unpack_from(
        body, offset
    )
    if type_ not in (format.CHUNK, format.SAME_AS):
        raise UnsupportedFormatError(where.at(at, "entries of known types", f"{type_:#04x}"))
    if (
        zero
        or (type_ == format.SAME_AS and method)
        or not 0 < source_nbytes <= format.MAX_CHUNK_NBYTES
    ):
        raise CorruptStreamError(
            where.at(at, "a well-formed page entry", f"byte {offset} of the body")
        )
    format.check_method(method, where, at)
    dtype = format.parse_dtype(code, where, at)
    return Entry(source_nbytes, record_nbytes, lead, type_, dtype, method, checksum)


def _parse_tables(packed: bytes, where: Where, at: int) -> dict[int, bytes]:
    tables: dict[int, bytes] = {}
    offset = 0
    while offset < len(packed):
        if len(packed) - offset < 4:
            raise CorruptStreamError(where.at(at, "whole items in the page", f"byte {offset}"))
        item = _U32.unpack_from(packed, offset)[0]
        type_, nbytes = item >> 24, item & 0xFFFFFF
        if type_ != format.TABLE:
            raise UnsupportedFormatError(
                where.at(at, "context of a known type", f"{type_:#04x}", "update zipnn_like")
            )
        head = packed[offset + 4 : offset + 4 + nbytes]
        name = table_name(head) if 4 <= nbytes == len(head) else None
        if name is None or name in tables:
            raise CorruptStreamError(
                where.at(at, "well-formed tables in the page, each once", f"byte {offset}")
            )
        tables[name] = head
        offset += 4 + nbytes
    return tables


def parse_root(record: Record, where: Where) -> Root:
    """Read the ROOT record. Raises CorruptStreamError."""
    head, body, at = record.head, bytes(record.body), record.offset + format.PREFIX_NBYTES
    if len(head) < _ROOT_HEAD.size:
        raise CorruptStreamError(where.at(at, f"a head of {_ROOT_HEAD.size} bytes", len(head)))
    count, flags, source_nbytes, chunk_count, _ = _ROOT_HEAD.unpack_from(head)
    if flags & ~HAS_SHA256:
        raise UnsupportedFormatError(where.at(at + 4, "flags 0 or 1", flags, "update"))
    if len(head) != _ROOT_HEAD.size + (SHA256_NBYTES if flags else 0):
        raise CorruptStreamError(where.at(at, "a head as long as its flags say", len(head)))
    if count > format.MAX_PAGES or len(body) != _ROOT_ENTRY.size * count:
        raise CorruptStreamError(where.at(at, "pages that fill the root", count))
    pages = tuple(PageRef(*row) for row in _ROOT_ENTRY.iter_unpack(body))
    for number, page in enumerate(pages):
        # No row buys more than its records and page can hold: sizes are allocated by them.
        least = 1 if number == len(pages) - 1 else PAGE_CHUNKS
        if (
            not least <= page.chunk_count <= PAGE_CHUNKS
            or page.source_nbytes > page.chunk_count * format.MAX_CHUNK_NBYTES
            or page.records_nbytes < MIN_RECORD_NBYTES * page.chunk_count
            or page.page_nbytes < 48 + _ENTRY.size * page.chunk_count
        ):
            raise CorruptStreamError(where.at(at, "a row that fits its page", f"row {number}"))
    if sum(p.source_nbytes for p in pages) != source_nbytes:
        raise CorruptStreamError(where.at(at + 8, "the sum of the pages", source_nbytes))
    if sum(p.chunk_count for p in pages) != chunk_count:
        raise CorruptStreamError(where.at(at + 16, "the sum of the pages", chunk_count))
    return Root(pages, source_nbytes, chunk_count, head[_ROOT_HEAD.size :] if flags else None)
