# SPDX-License-Identifier: Apache-2.0
"""Reads a stream front to back, pipes included, and checks the directory against what it saw."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from . import directory, format
from .chunk_codec import StoredChunk
from .directory import Entry, PageBuilder, PageRef
from .errors import ChecksumError, CorruptStreamError, TruncatedStreamError, Where
from .format import ChunkHead, Record, SameAsHead
from .inputs import Input
from .native import table_name

MAX_LEAD_NBYTES = (1 << 32) - 1  # a field of a page entry


class StoredRepeat(NamedTuple):
    """A SAME_AS record as read."""

    head: SameAsHead
    where: Where
    offset: int
    record_nbytes: int


@dataclass(frozen=True)
class Ending:
    """What is known once the whole stream was read."""

    source_nbytes: int
    stored_nbytes: int
    sha256: bytes | None


def resolve_tables(
    head: ChunkHead, known: Mapping[int, bytes], where: Where, offset: int
) -> tuple[bytes | None, ...]:
    """The table of each reference, None for universal ones. Raises CorruptStreamError."""
    found: list[bytes | None] = []
    for reference in head.tables:
        if reference & format.TABLE_NAME_BIT:
            if reference not in known:
                raise CorruptStreamError(
                    where.at(offset, "a table that was defined before", f"{reference:#018x}")
                )
            found.append(known[reference])
        elif reference >> 16:
            raise CorruptStreamError(where.at(offset, "a universal table", f"{reference:#018x}"))
        else:
            found.append(None)
    return tuple(found)


class StreamReader:
    """Iterates over the chunks of a stream; `ending` is set once the last one was taken."""

    def __init__(self, source: Input) -> None:
        self._source = source
        self._offset = 0
        self._where = Where(source.name)
        self._tables: dict[int, bytes] = {}
        self._table_order: deque[int] = deque()
        self._page = PageBuilder()
        self._pages: list[PageRef] = []
        self._lead_nbytes = 0
        self._records_nbytes = 0
        self.ending: Ending | None = None
        head = self._source.take(format.HEADER_NBYTES)
        self.header = format.parse_header(bytes(head), self._where)
        self._offset = format.HEADER_NBYTES

    def __iter__(self) -> Iterator[StoredChunk | StoredRepeat]:
        """Chunks and repeats in source order. Raises CorruptStreamError, UnsupportedFormatError."""
        while self.ending is None:
            record = self._read_record()
            if record is None:
                continue
            if self._page.is_full and record.type in (format.CHUNK, format.SAME_AS):
                raise CorruptStreamError(
                    self._where.at(record.offset, "a PAGE record after 512 chunks", "a chunk")
                )
            if record.type == format.CHUNK:
                yield self._take_chunk(record)
            elif record.type == format.SAME_AS:
                head = format.parse_same_as_head(record, self._where)
                nbytes = self._add_entry(record, head, 0, {})
                yield StoredRepeat(head, self._where, record.offset, nbytes)
            elif record.type == format.TABLE:
                self._take_table(record)
            elif record.type == format.PAGE:
                self._check_page(record)
            else:
                self._finish(record)

    def _take_chunk(self, record: Record) -> StoredChunk:
        head = format.parse_chunk_head(record, self._where)
        tables = resolve_tables(head, self._tables, self._where, record.offset)
        named = {
            name: table
            for name, table in zip(head.tables, tables, strict=True)
            if table is not None
        }
        nbytes = self._add_entry(record, head, head.method, named)
        body = memoryview(record.body)
        return StoredChunk(head, body, tables, self._where, record.offset, nbytes)

    def _add_entry(
        self, record: Record, head: ChunkHead | SameAsHead, method: int, tables: dict[int, bytes]
    ) -> int:
        """Enter a chunk in the page being checked; returns its bytes with the records before it."""
        lead = self._lead_nbytes
        entry = Entry(
            head.source_nbytes, record.nbytes, lead, record.type, head.dtype, method, head.checksum
        )
        self._page.add(entry, tables)
        self._lead_nbytes = 0
        self._records_nbytes += record.nbytes
        return record.nbytes + lead

    def _take_table(self, record: Record) -> None:
        name = table_name(record.head) if len(record.head) and not len(record.body) else None
        if name is None:
            raise CorruptStreamError(
                self._where.at(record.offset, "a well-formed frequency table", "another")
            )
        if self._tables.get(name, record.head) != record.head:
            raise CorruptStreamError(
                self._where.at(record.offset, "one table under one name", f"two under {name:#x}")
            )
        self._table_order.append(name)
        self._tables[name] = record.head
        if len(self._table_order) > format.MAX_TABLES_KEPT:
            oldest = self._table_order.popleft()
            if oldest not in self._table_order:
                del self._tables[oldest]
        self._pass_by(record.offset, record.nbytes)

    def _pass_by(self, offset: int, nbytes: int) -> None:
        """Count a record that is no chunk."""
        self._lead_nbytes += nbytes
        self._records_nbytes += nbytes
        if self._lead_nbytes > MAX_LEAD_NBYTES:
            raise CorruptStreamError(
                self._where.at(offset, f"at most {MAX_LEAD_NBYTES} bytes between chunks", "more")
            )

    def _check_page(self, record: Record) -> None:
        head, body, source_nbytes = self._page.pack(self._records_nbytes)
        count = len(self._page.entries)
        short_before = bool(self._pages) and self._pages[-1].chunk_count < format.PAGE_CHUNKS
        if count == 0 or short_before or head != record.head or body != record.body:
            raise CorruptStreamError(
                self._where.at(record.offset, "a PAGE that lists the chunks before it", "another")
            )
        self._pages.append(
            PageRef(source_nbytes, self._records_nbytes, record.nbytes, count, record.check)
        )
        self._page = PageBuilder()
        self._records_nbytes = self._lead_nbytes = 0

    def _finish(self, record: Record) -> None:
        if self._records_nbytes:
            raise CorruptStreamError(
                self._where.at(
                    record.offset, "the ROOT right behind the last PAGE", "other records"
                )
            )
        root = directory.parse_root(record, self._where)
        if (root.sha256 is not None) != self.header.has_sha256:
            raise CorruptStreamError(
                self._where.at(record.offset, "a SHA-256 as the stream header says", "another")
            )
        head, body = directory.pack_root(self._pages, root.sha256)
        if head != record.head or body != record.body:
            raise CorruptStreamError(
                self._where.at(record.offset, "a ROOT that lists the pages before it", "another")
            )
        prefix = format.pack_record_start(format.ROOT, record.head, len(record.body))[:16]
        self._check_footer(record, prefix)
        self.ending = Ending(root.source_nbytes, self._offset, root.sha256)

    def _check_footer(self, root: Record, prefix: bytes) -> None:
        at = self._offset
        footer = bytes(self._take_exactly(format.FOOTER_NBYTES))
        if format.pack_footer(root.nbytes, at + format.FOOTER_NBYTES, prefix) != footer:
            raise ChecksumError(self._where.at(at, "the footer of this stream", "another"))
        if len(self._source.take(1)):
            raise CorruptStreamError(
                self._where.at(self._offset, "the end of the stream", "more bytes")
            )

    def _read_record(self) -> Record | None:
        """The next record, None when its type may be skipped."""
        offset = self._offset
        start = bytes(self._take_exactly(format.PREFIX_NBYTES))
        prefix = format.parse_prefix(start, self._where, offset)
        head = bytes(self._take_exactly(prefix.head_nbytes))
        known = format.check_record(prefix, start, head, self._where, offset)
        body = self._take_exactly(prefix.body_nbytes)
        padding = self._take_exactly(format.padding_nbytes(prefix.body_nbytes))
        if any(padding):
            raise CorruptStreamError(
                self._where.at(self._offset - len(padding), "zero padding", bytes(padding).hex())
            )
        nbytes = self._offset - offset
        record = Record(prefix.type, head, body, prefix.check, offset, nbytes)
        format.check_body(record, self._where)
        if not known:
            self._pass_by(offset, nbytes)
            return None
        return record

    def _take_exactly(self, nbytes: int) -> memoryview:
        taken = self._source.take(nbytes)
        if len(taken) < nbytes:
            raise TruncatedStreamError(
                self._where.at(
                    self._offset,
                    f"{nbytes} more bytes",
                    f"the end after {len(taken)}",
                    "the stream is cut short: fetch it again",
                )
            )
        self._offset += nbytes
        return taken
