# SPDX-License-Identifier: Apache-2.0
"""Reads any range of the source of a stored stream through its directory."""

from __future__ import annotations

import bisect
import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from . import directory, format
from .chunk_codec import run_of_one
from .composed import decode_run
from .directory import Entry, Page, Root
from .errors import (
    ChecksumError,
    CorruptStreamError,
    SourceError,
    TruncatedStreamError,
    UsageError,
    Where,
)
from .format import Record
from .parallel import map_in_order
from .stream_reader import resolve_tables

PAGES_KEPT = 8

Pread = Callable[[int, int], memoryview]
"""pread(offset, nbytes): at most nbytes bytes of the stream from offset on."""


@dataclass(frozen=True)
class Located:
    """A chunk found through the directory; offset is that of its record in the stream."""

    start: int
    offset: int
    entry: Entry
    page: Page

    @property
    def stop(self) -> int:
        """Source offset behind the chunk."""
        return self.start + self.entry.source_nbytes


class RandomReader:
    """Decodes source ranges; safe to share between threads."""

    def __init__(self, pread: Pread, stream_nbytes: int, name: str) -> None:
        self._pread = pread
        self._where = Where(name)
        self.stored_nbytes = stream_nbytes
        head = bytes(self._pread(0, format.HEADER_NBYTES))
        self.header = format.parse_header(head, self._where)
        self.root = self._read_root()
        self._source_starts = [0]
        self._stream_starts = [format.HEADER_NBYTES]
        for page in self.root.pages:
            self._source_starts.append(self._source_starts[-1] + page.source_nbytes)
            self._stream_starts.append(
                self._stream_starts[-1] + page.records_nbytes + page.page_nbytes
            )
        if self._stream_starts[-1] != self._root_offset:
            raise CorruptStreamError(
                self._where.at(
                    self._root_offset, "pages that end at the ROOT", self._stream_starts[-1]
                )
            )
        self._pages: OrderedDict[int, Page] = OrderedDict()
        self._last: tuple[int, memoryview] | None = None
        self._lock = threading.Lock()

    @property
    def source_nbytes(self) -> int:
        """Size of the source."""
        return self.root.source_nbytes

    def _read_root(self) -> Root:
        end = self.stored_nbytes - format.FOOTER_NBYTES
        tail = bytes(self._pread(max(end, 0), format.FOOTER_NBYTES))
        footer = format.parse_footer(tail, self._where, max(end, 0))
        room = end - format.HEADER_NBYTES
        if footer.stream_nbytes != self.stored_nbytes or footer.root_nbytes > room:
            raise CorruptStreamError(
                self._where.at(
                    end, f"a footer for {self.stored_nbytes} bytes", footer.stream_nbytes
                )
            )
        self._root_offset = end - footer.root_nbytes
        record = self._read_record(self._root_offset, footer.root_nbytes, format.ROOT)
        prefix = format.pack_record_start(format.ROOT, record.head, len(record.body))[:16]
        if format.pack_footer(footer.root_nbytes, footer.stream_nbytes, prefix) != tail:
            raise ChecksumError(self._where.at(end + 16, "a footer over this ROOT", "another"))
        root = directory.parse_root(record, self._where)
        if (root.sha256 is not None) != self.header.has_sha256:
            raise CorruptStreamError(
                self._where.at(record.offset, "a SHA-256 as the stream header says", "another")
            )
        return root

    def _read_record(self, offset: int, nbytes: int, type_: int) -> Record:
        """A record whose place and size the directory states."""
        limit = format.PREFIX_NBYTES + format.MAX_HEAD_NBYTES + format.MAX_BODY_NBYTES + 3
        if not format.PREFIX_NBYTES <= nbytes <= limit:
            raise CorruptStreamError(
                self._where.at(offset, f"a record of 16 to {limit} bytes", nbytes)
            )
        wire = self._pread(offset, nbytes)
        if len(wire) < nbytes:
            raise TruncatedStreamError(self._where.at(offset, f"{nbytes} bytes", f"{len(wire)}"))
        start = bytes(wire[: format.PREFIX_NBYTES])
        prefix = format.parse_prefix(start, self._where, offset)
        body_start = format.PREFIX_NBYTES + prefix.head_nbytes
        body_stop = body_start + prefix.body_nbytes
        if body_stop + format.padding_nbytes(prefix.body_nbytes) != nbytes:
            raise CorruptStreamError(
                self._where.at(offset, f"a record of {nbytes} bytes", f"{body_stop} and padding")
            )
        head = bytes(wire[format.PREFIX_NBYTES : body_start])
        format.check_record(prefix, start, head, self._where, offset)
        if prefix.type != type_:
            expected = format.RECORD_NAMES[type_]
            raise CorruptStreamError(self._where.at(offset, f"a {expected} record", prefix.type))
        if any(wire[body_stop:]):
            raise CorruptStreamError(
                self._where.at(offset + body_stop, "zero padding", "other bytes")
            )
        record = Record(type_, head, wire[body_start:body_stop], prefix.check, offset, nbytes)
        format.check_body(record, self._where)
        return record

    def page(self, index: int) -> Page:
        """Page `index` of the directory, from a small cache."""
        with self._lock:
            if index in self._pages:
                self._pages.move_to_end(index)
                return self._pages[index]
        ref = self.root.pages[index]
        offset = self._stream_starts[index] + ref.records_nbytes
        record = self._read_record(offset, ref.page_nbytes, format.PAGE)
        if record.check != ref.check:
            raise ChecksumError(self._where.at(offset, "the PAGE that the ROOT lists", "another"))
        page = directory.parse_page(record, self._where)
        stated = (page.source_nbytes, page.records_nbytes, len(page.entries))
        if stated != (ref.source_nbytes, ref.records_nbytes, ref.chunk_count):
            raise CorruptStreamError(self._where.at(offset, "a PAGE as the ROOT says", stated))
        with self._lock:
            self._pages[index] = page
            if len(self._pages) > PAGES_KEPT:
                self._pages.popitem(last=False)
        return page

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[Located]:
        """The chunks that overlap source bytes start .. stop."""
        stop = self.source_nbytes if stop is None else stop
        if start >= stop:
            return
        first = bisect.bisect_right(self._source_starts, start) - 1
        for index in range(first, len(self.root.pages)):
            if self._source_starts[index] >= stop:
                return
            page = self.page(index)
            source, stream = self._source_starts[index], self._stream_starts[index]
            for entry in page.entries:
                stream += entry.lead_nbytes
                if source >= stop:
                    return
                if source + entry.source_nbytes > start:
                    yield Located(source, stream, entry, page)
                source += entry.source_nbytes
                stream += entry.record_nbytes

    def read_into(self, start: int, target: memoryview, threads: int = 1) -> None:
        """Fill `target` with the source bytes from `start` on.

        Raises CorruptStreamError, UnsupportedFormatError.
        """
        located = self.chunks(start, start + len(target))
        done = map_in_order(lambda chunk: self._decode_part(chunk, start, target), located, threads)
        for _ in done:
            pass

    def _decode_part(self, chunk: Located, start: int, target: memoryview) -> None:
        first, last = max(chunk.start, start), min(chunk.stop, start + len(target))
        part = target[first - start : last - start]
        if len(part) == chunk.entry.source_nbytes:
            self.decode(chunk, part)
            return
        part[:] = self._decode_whole(chunk)[first - chunk.start : last - chunk.start]

    def _decode_whole(self, chunk: Located) -> memoryview:
        """A chunk of which a part is wanted; the last is kept, for the next small tensor in it."""
        with self._lock:
            if self._last is not None and self._last[0] == chunk.start:
                return self._last[1]
        whole = memoryview(bytearray(chunk.entry.source_nbytes))
        self.decode(chunk, whole)
        with self._lock:
            self._last = (chunk.start, whole)
        return whole

    def decode(self, chunk: Located, target: memoryview) -> None:
        """Decode one chunk into a view of exactly its source bytes."""
        entry, offset = chunk.entry, chunk.offset
        record = self._read_record(offset, entry.record_nbytes, entry.record_type)
        if entry.record_type == format.SAME_AS:
            repeat = format.parse_same_as_head(record, self._where)
            stated = (repeat.dtype, repeat.source_nbytes, repeat.checksum)
            self._agree(chunk, stated == (entry.dtype, entry.source_nbytes, entry.checksum))
            self.decode(self._original(chunk, repeat.distance), target)
            return
        head = format.parse_chunk_head(record, self._where)
        stated_chunk = (head.dtype, head.method, head.source_nbytes, head.checksum)
        expected = (entry.dtype, entry.method, entry.source_nbytes, entry.checksum)
        self._agree(chunk, stated_chunk == expected)
        tables = resolve_tables(head, chunk.page.tables, self._where, offset)
        body = memoryview(record.body)
        decode_run(run_of_one(head, body, tables, self._where, offset), target)

    def _agree(self, chunk: Located, agrees: bool) -> None:
        if not agrees:
            raise CorruptStreamError(
                self._where.at(chunk.offset, "a record as its page lists it", "another")
            )

    def _original(self, repeat: Located, distance: int) -> Located:
        """The chunk that a SAME_AS record repeats."""
        start = repeat.start - distance
        found = (
            next(itertools.islice(self.chunks(start, start + 1), 1), None) if start >= 0 else None
        )
        entry = repeat.entry
        if (
            found is None
            or found.start != start
            or found.entry.record_type != format.CHUNK
            or found.entry.source_nbytes != entry.source_nbytes
            or found.entry.checksum != entry.checksum
        ):
            raise CorruptStreamError(
                self._where.at(repeat.offset, f"an equal chunk {distance} bytes back", "none")
            )
        return found


def file_pread(file: IO[bytes]) -> Pread:
    """pread for an open file; safe between threads where the system has pread."""
    descriptor = file.fileno()
    if hasattr(os, "preadv"):

        def pread(offset: int, nbytes: int) -> memoryview:
            if file.closed:  # the number may be another file's by now
                raise UsageError(f"{file.name}: expected an open file, found it closed")
            view = memoryview(bytearray(nbytes))
            done = 0
            while done < nbytes:
                try:
                    count = os.preadv(descriptor, [view[done:]], offset + done)
                except OSError as error:
                    raise SourceError(f"{file.name}: {error.strerror or error}") from error
                if count == 0:
                    break
                done += count
            return view[:done]

        return pread
    lock = threading.Lock()

    def seek_and_read(offset: int, nbytes: int) -> memoryview:
        pieces = bytearray()
        with lock:
            file.seek(offset)
            while piece := file.read(nbytes - len(pieces)):
                pieces += piece
        return memoryview(pieces)

    return seek_and_read
