# SPDX-License-Identifier: Apache-2.0
"""Random access: footer, ROOT, the pages that a range needs, and only their chunks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from zipnn_like.errors import UsageError, Where
from zipnn_like.reference.chunk import decode_chunk, parse_chunk_head, parse_same_as_head
from zipnn_like.reference.records import (
    CHUNK,
    FOOTER_NBYTES,
    PAGE,
    ROOT,
    STREAM_HEADER_NBYTES,
    Entry,
    PageSummary,
    Record,
    check,
    check_stream_header,
    parse_page,
    parse_root,
    read_footer,
    read_record,
)
from zipnn_like.reference.tables import Table, parse_table


def decode_range(stream: bytes, start: int, stop: int, name: str = "stream") -> bytes:
    """Source bytes `start` to `stop`, through the directory. `name`: for error messages."""
    return _Reader(stream, Where(name)).read(start, stop)


@dataclass(frozen=True)
class _Place:
    """A chunk: where its source bytes and its record start, and what its page says of it."""

    source_start: int
    record_start: int
    entry: Entry
    tables: Mapping[int, Table]


class _Reader:
    def __init__(self, stream: bytes, where: Where) -> None:
        has_sha256 = check_stream_header(stream, where)
        root_nbytes = read_footer(stream, where)
        self.stream, self.where = stream, where
        self.root_start = len(stream) - FOOTER_NBYTES - root_nbytes
        record = self._record(self.root_start, ROOT, root_nbytes)
        root = parse_root(record, has_sha256)
        self.source_nbytes = root.source_nbytes
        self.pages = root.pages

        # Section 7.2: "u64 stream bytes before the page record (its head's offset 16)".
        self.spans: list[int] = []  # where each page's first record starts
        offset = STREAM_HEADER_NBYTES
        for number, page in enumerate(root.pages):
            self.spans.append(offset)
            offset += page.before_nbytes + page.record_nbytes
            at = len(record.head) + PageSummary.LAYOUT.size * number + 8
            fits = offset <= self.root_start
            record.check(fits, at, f"a page that ends by {self.root_start}", offset)
        # "It must also check that the pages end where the ROOT begins."
        record.check(offset == self.root_start, 0, f"pages that end at {self.root_start}", offset)
        # Source offsets of the pages; one more than there are pages.
        self.page_starts = [0, *accumulate(page.source_nbytes for page in root.pages)]
        self.load_page = lru_cache(maxsize=4)(self._load_page)

    def read(self, start: int, stop: int) -> bytes:
        if not 0 <= start <= stop <= self.source_nbytes:
            limit = f"0 <= start <= stop <= {self.source_nbytes}"
            raise UsageError(f"{self.where.file}: range: expected {limit}, found {start}:{stop}")
        pieces = []
        offset = start
        while offset < stop:
            place = self._find(offset)
            source = self._decode(place)
            piece = source[offset - place.source_start : stop - place.source_start]
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    def _record(self, start: int, kind: int, nbytes: int) -> Record:
        """The record of this type that must lie there and take this many bytes."""
        record = read_record(self.stream, start, self.where)
        check(record.kind == kind, record.where, start, f"type {kind:#04x}", f"{record.kind:#04x}")
        check(record.nbytes == nbytes, record.where, start, f"{nbytes} bytes", record.nbytes)
        return record

    def _find(self, source_offset: int) -> _Place:
        """The chunk that holds a source offset, which lies in the source."""
        places = self.load_page(bisect_right(self.page_starts, source_offset) - 1)
        starts = [place.source_start for place in places]
        return places[bisect_right(starts, source_offset) - 1]

    def _load_page(self, number: int) -> list[_Place]:
        """Section 7.1: the chunks of a page."""
        summary, record_start = self.pages[number], self.spans[number]
        page_record_start = record_start + summary.before_nbytes
        record = self._record(page_record_start, PAGE, summary.record_nbytes)
        page = parse_page(record)
        record.check(page.summary == summary, 0, f"what the ROOT says, {summary}", page.summary)
        tables = {}
        for head in page.table_heads:
            table = parse_table(head, record.where, record.body_start)
            # "Every table must be valid and named once."
            once = table.name not in tables
            record.check(once, len(record.head), "every table named once", f"{table.name:#x} twice")
            tables[table.name] = table
        places = []
        source_start = self.page_starts[number]
        for entry in page.entries:
            record_start += entry.gap_nbytes
            places.append(_Place(source_start, record_start, entry, tables))
            record_start += entry.record_nbytes
            source_start += entry.source_nbytes
        return places

    def _decode(self, place: _Place) -> bytes:
        """Section 7.2: "a random reader must compare a record's head with its entry"."""
        entry = place.entry
        record = self._record(place.record_start, entry.kind, entry.record_nbytes)
        stated = (entry.source_nbytes, entry.dtype, entry.method, entry.checksum)
        if entry.kind == CHUNK:
            head = parse_chunk_head(record)
            found = (head.source_nbytes, head.dtype, head.method, head.checksum)
            record.check(found == stated, 0, f"what the page says, {stated}", found)
            return decode_chunk(record, head, place.tables)

        same = parse_same_as_head(record)
        found = (same.source_nbytes, same.dtype, 0, same.checksum)
        record.check(found == stated, 0, f"what the page says, {stated}", found)
        # Section 6.3: "A CHUNK record (not a SAME_AS) must start exactly that far back"
        earlier_start = place.source_start - same.distance
        record.check(earlier_start >= 0, 16, f"at most {place.source_start}", same.distance)
        earlier = self._find(earlier_start)
        wanted = (earlier_start, CHUNK, same.source_nbytes, same.checksum)
        target = earlier.entry
        is_at = (earlier.source_start, target.kind, target.source_nbytes, target.checksum)
        record.check(is_at == wanted, 16, f"start, type, size, XXH3-64 {wanted}", is_at)
        return self._decode(earlier)
