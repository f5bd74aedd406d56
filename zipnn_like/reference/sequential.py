# SPDX-License-Identifier: Apache-2.0
"""Sequential decoding: every record from the header to the footer, everything checked."""

from __future__ import annotations

import hashlib
from collections import deque

from zipnn_like.errors import (
    ChecksumError,
    CorruptStreamError,
    TruncatedStreamError,
    Where,
)
from zipnn_like.reference.chunk import decode_chunk, parse_chunk_head, parse_same_as_head
from zipnn_like.reference.records import (
    CHUNK,
    FOOTER_NBYTES,
    PAGE,
    PAGE_CHUNKS,
    ROOT,
    SAME_AS,
    STREAM_HEADER_NBYTES,
    TABLE,
    Entry,
    PageSummary,
    Record,
    check,
    check_stream_header,
    pack_page,
    parse_page,
    parse_root,
    read_footer,
    read_record,
)
from zipnn_like.reference.tables import NAMED, Table, parse_table

# Section 6.2: "a decoder keeps the last 1024 TABLE records", the one just read included.
KEPT_TABLES = 1024


def decode(stream: bytes, name: str = "stream") -> bytes:
    """The source bytes of a whole stream. `name` is what error messages call it."""
    where = Where(name)
    has_sha256 = check_stream_header(stream, where)
    decoder = _Decoder()
    offset = STREAM_HEADER_NBYTES
    while True:
        record = read_record(stream, offset, where)
        offset += record.nbytes
        if record.kind == ROOT:
            break
        decoder.take(record)
    decoder.finish(record, has_sha256)

    # Section 2: "Nothing may follow the footer."
    left, footer = len(stream) - offset, where.within("footer")
    check(left >= FOOTER_NBYTES, footer, offset, "32 bytes", left, TruncatedStreamError)
    check(left == FOOTER_NBYTES, footer, offset + FOOTER_NBYTES, "the end", f"{left - 32} bytes")
    root_nbytes = read_footer(stream, where, CorruptStreamError)
    expected = f"a ROOT record of {record.nbytes} bytes"
    check(root_nbytes == record.nbytes, footer, offset, expected, root_nbytes)
    return bytes(decoder.source)


class _Decoder:
    """What a sequential decoder knows between two records.

    The specification lets it keep 16 MiB of source; this one keeps all, which it returns.
    """

    def __init__(self) -> None:
        self.source = bytearray()
        self.chunk_count = 0
        self.chunk_starts: dict[int, Entry] = {}  # of CHUNK records, by source offset
        self.kept_tables: deque[tuple[int, Table]] = deque(maxlen=KEPT_TABLES)
        self.pages: list[PageSummary] = []
        # of the page that is being filled:
        self.page_start = self.page_end = (
            STREAM_HEADER_NBYTES  # its first byte; past its last chunk
        )
        self.entries: list[Entry] = []
        self.page_tables: dict[int, bytes] = {}

    def take(self, record: Record) -> None:
        if record.kind == TABLE:
            record.check(not record.body, 0, "no body", len(record.body))
            table = parse_table(record.head, record.where, record.start + 16)
            self.kept_tables.append((table.name, table))
            # "two different heads with one name among those kept are corrupt"
            heads = {kept.head for name, kept in self.kept_tables if name == table.name}
            record.check(len(heads) == 1, 0, "one head of this name", f"two named {table.name:#x}")
        elif record.kind == CHUNK:
            self._take_chunk(record)
        elif record.kind == SAME_AS:
            self._take_same_as(record)
        elif record.kind == PAGE:
            self._take_page(record)
        # read_record lets no other type pass but those that a decoder may skip

    def _take_chunk(self, record: Record) -> None:
        head = parse_chunk_head(record)
        named = dict(self.kept_tables)
        source = decode_chunk(record, head, named)
        for reference in head.references:
            if reference & NAMED:
                # Section 7.1: "Every table must be valid and named once."
                table_head = named[reference].head
                once = self.page_tables.setdefault(reference, table_head) == table_head
                expected = "one table of a name in a page"
                record.check(once, 16, expected, f"two named {reference:#x}")
        self._append(record, source, head.dtype, head.method, head.checksum)
        self.chunk_starts[len(self.source) - len(source)] = self.entries[-1]

    def _take_same_as(self, record: Record) -> None:
        """Section 6.3: "A CHUNK record (not a SAME_AS) must start exactly that far back"."""
        head = parse_same_as_head(record)
        start = len(self.source) - head.distance
        earlier = self.chunk_starts.get(start)
        expected = (head.source_nbytes, head.checksum)
        found = earlier and (earlier.source_nbytes, earlier.checksum)
        record.check(found == expected, 16, f"a chunk of size, XXH3-64 {expected}", found)
        source = bytes(self.source[start : start + head.source_nbytes])
        self._append(record, source, head.dtype, 0, head.checksum)

    def _append(
        self, record: Record, source: bytes, dtype: int, method: int, checksum: int
    ) -> None:
        # Section 2: "a PAGE record between the 512th chunk and the next"; 7.1: "every page but the
        # last covers 512". Records that are no chunks may stand before the page.
        due = len(self.entries) == PAGE_CHUNKS
        record.check(not due, 0, f"a PAGE record behind {PAGE_CHUNKS} chunks", record.where.part)
        last_is_whole = not self.pages or self.pages[-1].chunk_count == PAGE_CHUNKS
        record.check(last_is_whole, 0, "a last page before the ROOT", record.where.part)
        gap = record.start - self.page_end
        record.check(gap < 1 << 32, 0, "a gap below 4 GiB", gap)
        numbers = (len(source), record.nbytes, gap, record.kind)
        self.entries.append(Entry(*numbers, dtype, method, checksum))
        self.source += source
        self.chunk_count += 1
        self.page_end = record.start + record.nbytes

    def _take_page(self, record: Record) -> None:
        """Section 7.2: "must compare every PAGE and the ROOT with what it read"."""
        page = parse_page(record)
        before_nbytes = record.start - self.page_start
        tables = list(self.page_tables.values())
        head, body = pack_page(self.entries, tables, before_nbytes)
        _check_equal(record, head + body)
        self.pages.append(page.summary)
        self.page_start = self.page_end = record.start + record.nbytes
        self.entries, self.page_tables = [], {}

    def finish(self, record: Record, has_sha256: bool) -> None:
        """Compare the ROOT with all that came before it."""
        root = parse_root(record, has_sha256)
        left = len(self.entries)
        record.check(left == 0, 0, "a PAGE record before the ROOT", f"{left} chunks without one")
        # Section 7.2: "The ROOT directly follows the last PAGE, or the stream header".
        stray = record.start - self.page_start
        record.check(stray == 0, 0, "the ROOT right behind the last PAGE", f"{stray} bytes between")
        record.check(list(root.pages) == self.pages, len(record.head), "the pages read", "others")
        nbytes = len(self.source)
        record.check(root.source_nbytes == nbytes, 8, f"{nbytes} source bytes", root.source_nbytes)
        count = self.chunk_count
        record.check(root.chunk_count == count, 16, f"{count} chunks", root.chunk_count)
        if root.sha256 is not None:
            computed = hashlib.sha256(self.source).digest()
            expected = f"a source with SHA-256 {root.sha256.hex()}"
            record.check(computed == root.sha256, 32, expected, computed.hex(), ChecksumError)


def _check_equal(record: Record, expected: bytes) -> None:
    found = record.head + record.body
    if found != expected:
        pairs = zip(found, expected, strict=False)
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(found), len(expected)))
        record.check(False, at, "what was read", f"{found[at : at + 8].hex()}")
