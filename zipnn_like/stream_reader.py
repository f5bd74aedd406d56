# SPDX-License-Identifier: Apache-2.0
"""Reads a stream front to back, pipes included, and checks the directory against what it saw.

The C core takes runs of chunk records off the stream. Every other record, and every record that it
refuses, is read here one at a time: only here is told what is wrong with one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import directory, format, native
from .buffers import BufferPool, Lease
from .chunk_codec import Run
from .directory import DirectoryBuilder
from .errors import ChecksumError, CorruptStreamError, TruncatedStreamError, Where, ZnlError
from .format import ChunkHead, Record
from .inputs import Input, MemoryInput
from .native import ffi, lib, table_name
from .report import Totals
from .segments import BATCH_CHUNKS, BATCH_NBYTES

MAX_LEAD_NBYTES = (1 << 32) - 1  # a field of a page entry
WIRE_NBYTES = 4 << 20  # read at a time
_UNLIMITED = (1 << 64) - 1
_MAX_TABLES = int(lib.ZNL_MAX_TABLES)


@dataclass(frozen=True)
class Ending:
    """What is known once the whole stream was read."""

    source_nbytes: int
    stored_nbytes: int
    sha256: bytes | None


@dataclass(frozen=True)
class StoredRun:
    """A run as read.

    left_count      zstd frames, composed chunks and repeats in it
    original_count  chunks in it that a repeat may refer to
    lease           of the buffer that its bodies lie in: release it when they are decoded
    """

    run: Run
    left_count: int
    original_count: int
    lease: Lease | None


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


class _Wire:
    """The bytes of a stream in order, as many of them together as asked for.

    view    what is there now; take() and skip() cut its front off
    offset  of its first byte in the stream
    """

    def __init__(self, source: Input) -> None:
        self._source = source
        self._pool = BufferPool(WIRE_NBYTES)
        self._lease: Lease | None = None
        self._is_whole = isinstance(source, MemoryInput)
        self.view = source.view if isinstance(source, MemoryInput) else memoryview(b"")
        self.offset = 0

    def share(self) -> Lease | None:
        """A lease of the buffer under `view`; None for memory of the caller."""
        return self._lease.share() if self._lease else None

    def skip(self, nbytes: int) -> None:
        """Step over bytes that are there."""
        self.view = self.view[nbytes:]
        self.offset += nbytes

    def fill(self, nbytes: int) -> int:
        """Have at least `nbytes` bytes there, or all that are left; returns how many there are."""
        if len(self.view) >= nbytes or self._is_whole:
            return len(self.view)
        held = len(self.view)
        lease = Lease(self._pool, self._pool.take(max(nbytes, WIRE_NBYTES)))
        view = memoryview(lease.buffer)
        view[:held] = self.view
        if self._lease:
            self._lease.release()
        self._lease = lease
        filled = held + self._source.readinto(view[held:])
        self._is_whole = filled < len(view)
        self.view = view[:filled]
        return filled

    def take(self, nbytes: int) -> memoryview:
        """The next `nbytes` bytes; fewer only at the end. Valid until the second fill from now."""
        self.fill(nbytes)
        taken = self.view[:nbytes]
        self.skip(len(taken))
        return taken


class StreamReader:
    """Iterates over the chunks of a stream; `ending` is set once the last one was taken."""

    def __init__(self, source: Input) -> None:
        self._wire = _Wire(source)
        self._where = Where(source.name)
        self._directory = DirectoryBuilder()
        self._run = ffi.new("znl_run *")
        self._room = (
            ffi.new("znl_chunk[]", BATCH_CHUNKS),
            native.new_uncleared("znl_table[]", BATCH_CHUNKS * _MAX_TABLES),
        )
        self._run.chunks, self._run.tables = self._room
        self._run.chunk_room, self._run.batch_nbytes = BATCH_CHUNKS, BATCH_NBYTES
        self.source_nbytes = 0
        self.ending: Ending | None = None
        head = self._wire.take(format.HEADER_NBYTES)
        self.header = format.parse_header(bytes(head), self._where)

    def runs(
        self, room_nbytes: int | None, refuse: Callable[[Where, int], Exception]
    ) -> Iterator[StoredRun]:
        """Runs of at most a batch each, in source order.

        room_nbytes  source bytes that may come, None for any number
        refuse       makes the error to raise for a chunk beyond them, from its place
        Raises CorruptStreamError, UnsupportedFormatError.
        """
        while self.ending is None:
            room = _UNLIMITED
            if room_nbytes is not None:
                room = min(_UNLIMITED, room_nbytes - self.source_nbytes)
            scan, run = self._scan(room)
            if run is not None:
                self.source_nbytes += run.source_nbytes
                yield StoredRun(
                    run, int(scan.left_count), int(scan.original_count), self._wire.share()
                )
            if scan.stop == lib.ZNL_STOP_MORE and self._wire.fill(scan.wanted_nbytes) < int(
                scan.wanted_nbytes
            ):
                self._read_record()  # says what is missing
            elif scan.stop == lib.ZNL_STOP_ROOM:
                if run is None:
                    raise refuse(self._where, self._wire.offset)
            elif scan.stop == lib.ZNL_STOP_OTHER:
                self._take_record()

    def totals(self) -> dict[str, dict[str, Totals]]:
        """Bytes by dtype and method so far."""
        return self._directory.totals()

    def _scan(self, room: int) -> tuple[Any, Run | None]:
        """Let the C core take what it can: the znl_run, and its chunks if there are any."""
        scan, view = self._run, self._wire.view
        scan.source_room, scan.offset = room, self._wire.offset
        status = lib.znl_scan_chunks(
            self._directory.state, native.kernels(), native.address(view), len(view), scan
        )
        if status != 0:
            raise ZnlError(f"the scan of records: {native.error_text(status)}")
        self._wire.skip(int(scan.taken_nbytes))
        count, table_count = int(scan.chunk_count), int(scan.table_count)
        if count == 0:
            return scan, None
        chunks = native.copied("znl_chunk[]", scan.chunks, count)
        tables = native.copied("znl_table[]", scan.tables, table_count)
        nbytes = int(scan.source_nbytes)
        return scan, Run(chunks, count, tables, table_count, nbytes, [view], self._where)

    def _take_record(self) -> None:
        """Take a record that the C core left: a page, the root, one to skip, or a broken one."""
        record = self._read_record()
        if record is None:
            return
        if record.type == format.PAGE:
            self._check_page(record)
        elif record.type == format.ROOT:
            self._finish(record)
        else:
            raise self._refusal(record)

    def _refusal(self, record: Record) -> Exception:
        """What is wrong with a chunk or table that the C core did not take."""
        where, at = self._where, record.offset
        if record.type == format.TABLE:
            is_table = len(record.body) == 0 and table_name(record.head) is not None
            expected = "one table under one name" if is_table else "a well-formed frequency table"
            return CorruptStreamError(where.at(at, expected, "another"))
        if self._directory.state.lead_nbytes > MAX_LEAD_NBYTES:
            limit = f"at most {MAX_LEAD_NBYTES} bytes before a chunk"
            return CorruptStreamError(where.at(at, limit, "more"))
        if self._directory.is_full:
            return CorruptStreamError(where.at(at, "a PAGE record after 512 chunks", "a chunk"))
        if record.type == format.SAME_AS:
            format.parse_same_as_head(record, where)
        else:
            head = format.parse_chunk_head(record, where)
            resolve_tables(head, self._tables_kept(), where, at)
        return CorruptStreamError(where.at(at, "a chunk that keeps every rule", "another"))

    def _tables_kept(self) -> dict[int, bytes]:
        state = self._directory.state
        kept = (state.kept[i] for i in range(state.kept_count))
        return {int(t.name): bytes(ffi.buffer(t.bytes, t.nbytes)) for t in kept}

    def _check_page(self, record: Record) -> None:
        builder = self._directory
        count = int(builder.state.chunk_count)
        short_before = bool(builder.pages) and builder.pages[-1].chunk_count < format.PAGE_CHUNKS
        if count == 0 or short_before or builder.pack_page() != (record.head, record.body):
            raise CorruptStreamError(
                self._where.at(record.offset, "a PAGE that lists the chunks before it", "another")
            )
        builder.end_page(record.nbytes, record.check)

    def _finish(self, record: Record) -> None:
        if self._directory.state.records_nbytes:
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
        head, body = directory.pack_root(self._directory.pages, root.sha256)
        if head != record.head or body != record.body:
            raise CorruptStreamError(
                self._where.at(record.offset, "a ROOT that lists the pages before it", "another")
            )
        prefix = format.pack_record_start(format.ROOT, record.head, len(record.body))[:16]
        self._check_footer(record, prefix)
        self.ending = Ending(root.source_nbytes, self._wire.offset, root.sha256)

    def _check_footer(self, root: Record, prefix: bytes) -> None:
        at = self._wire.offset
        footer = bytes(self._take_exactly(format.FOOTER_NBYTES))
        if format.pack_footer(root.nbytes, at + format.FOOTER_NBYTES, prefix) != footer:
            raise ChecksumError(self._where.at(at, "the footer of this stream", "another"))
        if self._wire.fill(1):
            raise CorruptStreamError(
                self._where.at(self._wire.offset, "the end of the stream", "more bytes")
            )

    def _read_record(self) -> Record | None:
        """The next record, None when its type may be skipped."""
        offset = self._wire.offset
        start = bytes(self._take_exactly(format.PREFIX_NBYTES))
        prefix = format.parse_prefix(start, self._where, offset)
        head = bytes(self._take_exactly(prefix.head_nbytes))
        known = format.check_record(prefix, start, head, self._where, offset)
        body = self._take_exactly(prefix.body_nbytes)
        padding = self._take_exactly(format.padding_nbytes(prefix.body_nbytes))
        if any(padding):
            at = self._wire.offset - len(padding)
            raise CorruptStreamError(self._where.at(at, "zero padding", bytes(padding).hex()))
        nbytes = self._wire.offset - offset
        record = Record(prefix.type, head, body, prefix.check, offset, nbytes)
        format.check_body(record, self._where)
        if not known:
            self._pass_by(record)
            return None
        return record

    def _pass_by(self, record: Record) -> None:
        """Count a record that is skipped."""
        state = self._directory.state
        state.lead_nbytes += record.nbytes
        state.records_nbytes += record.nbytes

    def _take_exactly(self, nbytes: int) -> memoryview:
        at = self._wire.offset
        taken = self._wire.take(nbytes)
        if len(taken) < nbytes:
            raise TruncatedStreamError(
                self._where.at(
                    at,
                    f"{nbytes} more bytes",
                    f"the end after {len(taken)}",
                    "the stream is cut short: fetch it again",
                )
            )
        return taken
