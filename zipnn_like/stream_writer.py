# SPDX-License-Identifier: Apache-2.0
"""Writes a stream front to back: tables before first use, repeats, pages, root, footer."""

from __future__ import annotations

import struct
from collections import deque
from typing import Any

from . import directory, format, native
from .chunk_codec import Run, stored_nbytes
from .directory import DirectoryBuilder
from .errors import ZnlError
from .format import CONSTANT, Header
from .native import ffi, lib
from .outputs import Output
from .report import Totals
from .segments import BATCH_CHUNKS

_ORIGINAL = struct.Struct("=QII")  # znl_original
_FRAME_NBYTES = int(lib.ZNL_FRAME_NBYTES)


class RecentChunks:
    """Finds chunks with the same bytes among those of the last 16 MiB of source."""

    def __init__(self) -> None:
        # (checksum, size) -> start in the source, bytes of its run, start in these
        self._seen: dict[tuple[int, int], tuple[int, memoryview, int]] = {}
        self._order: deque[tuple[int, tuple[int, int]]] = deque()
        self._start = 0
        self._originals = ffi.new("znl_original[]", BATCH_CHUNKS)  # grows for longer runs

    def match(self, run: Run, source: memoryview) -> None:
        """Take the next run of the source: set the distance of each chunk that repeats another.

        Equal means compared byte by byte. A chunk without a match is remembered, with its part of
        `source`.
        """
        if run.count > len(self._originals):
            self._originals = ffi.new("znl_original[]", run.count)
        count = lib.znl_list_originals(run.chunks, run.count, self._originals)
        listed = ffi.buffer(self._originals, count * _ORIGINAL.size)
        for checksum, offset, nbytes in _ORIGINAL.iter_unpack(listed):
            start, key = self._start + offset, (checksum, nbytes)
            self._forget_before(start - format.MAX_DISTANCE)
            seen = self._seen.get(key)
            if seen is not None and _is_same(seen, source, offset, nbytes):
                chunk = _chunk_at(run, offset)
                chunk.distance = start - seen[0] if _repeat_saves(chunk) else 0
                continue
            self._seen[key] = (start, source, offset)
            self._order.append((start, key))
        self._start += run.source_nbytes

    def _forget_before(self, oldest: int) -> None:
        while self._order and self._order[0][0] < oldest:
            start, key = self._order.popleft()
            if self._seen[key][0] == start:
                del self._seen[key]


def _is_same(
    seen: tuple[int, memoryview, int], source: memoryview, offset: int, nbytes: int
) -> bool:
    _, held, at = seen
    return held[at : at + nbytes] == source[offset : offset + nbytes]


def _chunk_at(run: Run, offset: int) -> Any:
    """The chunk of a run that begins at a source offset."""
    for chunk in run.chunks[0 : run.count]:
        if offset == 0:
            return chunk
        offset -= chunk.source_nbytes
    raise ZnlError(f"expected a chunk at offset {offset} of its run, found none")


def _repeat_saves(chunk: Any) -> bool:
    """A SAME_AS record is smaller than the chunk."""
    return chunk.method != CONSTANT and 16 + stored_nbytes(chunk) > format.SAME_AS_HEAD_NBYTES


class StreamWriter:
    """Writes records to an Output; the order of append() is the order of the source."""

    def __init__(self, output: Output, header: Header) -> None:
        self._output = output
        self._directory = DirectoryBuilder()
        self._framed = ffi.new("size_t *")
        self.nbytes = 0
        self._write(format.pack_header(header))

    def append(self, run: Run) -> None:
        """Write the chunks of a run, new tables before them, pages where they are due."""
        done = 0
        while done < run.count:
            room = self._output.reserve(run.source_nbytes + _FRAME_NBYTES * run.count)
            taken = lib.znl_frame_chunks(
                self._directory.state,
                native.kernels(),
                run.chunks + done,
                run.count - done,
                run.tables,
                run.table_count,
                native.address(room, writable=True),
                len(room),
                self._framed,
            )
            if taken < 0:
                what = native.error_text(taken)
                raise ZnlError(f"{self._output.name}: records can't be written: {what}")
            room.release()
            self._output.advance(int(taken))
            self.nbytes += taken
            done += self._framed[0]
            if self._directory.is_full:
                self._write_page()

    def totals(self) -> dict[str, dict[str, Totals]]:
        """Bytes by dtype and method so far."""
        return self._directory.totals()

    def finish(self, sha256: bytes | None) -> int:
        """Write the last page, the root and the footer; returns the size of the stream."""
        if self._directory.state.chunk_count:
            self._write_page()
        head, body = directory.pack_root(self._directory.pages, sha256)
        start = format.pack_record_start(format.ROOT, head, len(body))
        root_nbytes = self._write_record(start, body)
        stream_nbytes = self.nbytes + format.FOOTER_NBYTES
        self._write(format.pack_footer(root_nbytes, stream_nbytes, start[: format.PREFIX_NBYTES]))
        return self.nbytes

    def _write_page(self) -> None:
        head, body = self._directory.pack_page()
        start = format.pack_record_start(format.PAGE, head, len(body))
        nbytes = self._write_record(start, body)
        self._directory.end_page(nbytes, int.from_bytes(start[8:16], "little"))

    def _write_record(self, start: bytes, body: bytes) -> int:
        record = start + body + bytes(format.padding_nbytes(len(body)))
        self._write(record)
        return len(record)

    def _write(self, data: bytes) -> None:
        self._output.write(data)
        self.nbytes += len(data)
