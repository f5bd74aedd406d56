# SPDX-License-Identifier: Apache-2.0
"""Writes a stream front to back: tables before first use, repeats, pages, root, footer."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

from . import directory, format
from .chunk_codec import EncodedChunk
from .directory import Entry, PageBuilder, PageRef
from .errors import ZnlError
from .format import Header, SameAsHead
from .outputs import Output


@dataclass(frozen=True)
class _Seen:
    """A chunk written earlier: where it starts in the source, and its bytes."""

    start: int
    source: memoryview


class RecentChunks:
    """Finds a chunk with the same bytes among those of the last 16 MiB of source."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], _Seen] = {}
        self._order: deque[tuple[int, tuple[int, int]]] = deque()
        self._start = 0

    def match(self, chunk: EncodedChunk) -> int | None:
        """Take the next chunk of the source: the distance to an equal one, or None.

        Equal means compared byte by byte. A chunk without a match is remembered.
        """
        start = self._start
        self._start += chunk.head.source_nbytes
        while self._order and start - self._order[0][0] > format.MAX_DISTANCE:
            old_start, old_key = self._order.popleft()
            if self._seen[old_key].start == old_start:
                del self._seen[old_key]
        key = (chunk.head.checksum, chunk.head.source_nbytes)
        seen = self._seen.get(key)
        too_small = chunk.head.source_nbytes < format.MIN_REPEAT_NBYTES
        if too_small or chunk.head.method == format.CONSTANT or not _repeat_saves(chunk):
            return None
        if seen is not None and seen.source == chunk.source:
            return start - seen.start
        self._seen[key] = _Seen(start, chunk.source)
        self._order.append((start, key))
        return None


def _repeat_saves(chunk: EncodedChunk) -> bool:
    """A SAME_AS record is smaller than the chunk."""
    return 16 + 8 * len(chunk.head.tables) + len(chunk.body) > format.SAME_AS_HEAD_NBYTES


class StreamWriter:
    """Writes records to an Output; the order of append() is the order of the source."""

    def __init__(self, output: Output, header: Header) -> None:
        self._output = output
        self._page = PageBuilder()
        self._pages: list[PageRef] = []
        self._tables: OrderedDict[int, bytes] = OrderedDict()
        self._lead_nbytes = 0  # since the last chunk record
        self._records_nbytes = 0  # since the last page
        self.nbytes = 0
        self._write(format.pack_header(header))

    def append(self, chunk: EncodedChunk, distance: int | None) -> int:
        """Write a chunk, its new tables before it; returns the stream bytes it took.

        distance  source bytes back to an equal chunk that RecentChunks found, or None
        """
        before = self.nbytes
        head = chunk.head
        if distance is not None:
            same = SameAsHead(head.dtype, head.source_nbytes, head.checksum, distance)
            packed = format.pack_same_as_head(same)
            self._write_chunk_record(format.SAME_AS, packed, b"", chunk, tables=False)
        else:
            for name, table in chunk.tables.items():
                self._write_table(name, table)
            packed = format.pack_chunk_head(head)
            self._write_chunk_record(format.CHUNK, packed, chunk.body, chunk, tables=True)
        taken = self.nbytes - before
        if self._page.is_full:
            self._write_page()
        return taken

    def finish(self, sha256: bytes | None) -> int:
        """Write the last page, the root and the footer; returns the size of the stream."""
        if self._page.entries:
            self._write_page()
        head, body = directory.pack_root(self._pages, sha256)
        start = format.pack_record_start(format.ROOT, head, len(body))
        root_nbytes = self._write_record(start, body)
        stream_nbytes = self.nbytes + format.FOOTER_NBYTES
        self._write(format.pack_footer(root_nbytes, stream_nbytes, start[: format.PREFIX_NBYTES]))
        return self.nbytes

    def _write_table(self, name: int, head: bytes) -> None:
        """Write a table unless the last 1024 TABLE records hold it."""
        known = self._tables.get(name)
        if known == head:
            return
        if known is not None:  # a reader would decode one of them with the other's frequencies
            raise ZnlError(f"{self._output.name}: two tables with the same name {name:#x}")
        self._tables[name] = head
        if len(self._tables) > format.MAX_TABLES_KEPT - format.MAX_TABLES_OF_CHUNK:
            self._tables.popitem(last=False)
        self._lead_nbytes += self._write_record(
            format.pack_record_start(format.TABLE, head, 0), b""
        )

    def _write_chunk_record(
        self,
        type_: int,
        head: bytes,
        body: memoryview | bytes,
        chunk: EncodedChunk,
        *,
        tables: bool,
    ) -> None:
        nbytes = self._write_record(format.pack_record_start(type_, head, len(body)), body)
        method = chunk.head.method if tables else 0
        self._page.add(
            Entry(
                chunk.head.source_nbytes,
                nbytes,
                self._lead_nbytes,
                type_,
                chunk.head.dtype,
                method,
                chunk.head.checksum,
            ),
            chunk.tables if tables else {},
        )
        self._lead_nbytes = 0

    def _write_page(self) -> None:
        head, body, source_nbytes = self._page.pack(self._records_nbytes)
        start = format.pack_record_start(format.PAGE, head, len(body))
        records_nbytes = self._records_nbytes
        nbytes = self._write_record(start, body)
        check = int.from_bytes(start[8:16], "little")
        count = len(self._page.entries)
        self._pages.append(PageRef(source_nbytes, records_nbytes, nbytes, count, check))
        self._page = PageBuilder()
        self._records_nbytes = 0

    def _write_record(self, start: bytes, body: memoryview | bytes) -> int:
        padding = bytes(format.padding_nbytes(len(body)))
        self._write(start)
        if len(body):
            self._write(body)
        if padding:
            self._write(padding)
        nbytes = len(start) + len(body) + len(padding)
        self._records_nbytes += nbytes
        return nbytes

    def _write(self, data: memoryview | bytes) -> None:
        self._output.write(data)
        self.nbytes += len(data)
