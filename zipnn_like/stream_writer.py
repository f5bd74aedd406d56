# SPDX-License-Identifier: Apache-2.0
"""Writes a stream front to back: tables before first use, repeats, pages, root, footer."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from . import directory, format, native
from .chunk_codec import Run, stored_nbytes
from .directory import DirectoryBuilder
from .errors import ZnlError
from .format import Header
from .native import ffi, lib
from .outputs import Output
from .report import Totals

_FRAME_NBYTES = int(lib.ZNL_FRAME_NBYTES)


@dataclass(frozen=True)
class _Seen:
    """A chunk written earlier: where it starts in the source, and its bytes."""

    start: int
    source: memoryview


class RecentChunks:
    """Finds chunks with the same bytes among those of the last 16 MiB of source."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], _Seen] = {}
        self._order: deque[tuple[int, tuple[int, int]]] = deque()
        self._start = 0

    def match(self, run: Run, source: memoryview) -> None:
        """Take the next run of the source: set the distance of each chunk that repeats another.

        Equal means compared byte by byte. A chunk without a match is remembered, with its part of
        `source`.
        """
        offset = 0
        for i in range(run.count):
            chunk, start = run.chunks[i], offset
            offset += chunk.source_nbytes
            nbytes = offset - start
            if nbytes >= format.MIN_REPEAT_NBYTES and _repeat_saves(chunk):
                part = source[start:offset]
                chunk.distance = self._take(chunk.checksum, nbytes, self._start + start, part)
        self._start += offset

    def _take(self, checksum: int, nbytes: int, start: int, source: memoryview) -> int:
        while self._order and start - self._order[0][0] > format.MAX_DISTANCE:
            old_start, old_key = self._order.popleft()
            if self._seen[old_key].start == old_start:
                del self._seen[old_key]
        key = (checksum, nbytes)
        seen = self._seen.get(key)
        if seen is not None and seen.source == source:
            return start - seen.start
        self._seen[key] = _Seen(start, source)
        self._order.append((start, key))
        return 0


def _repeat_saves(chunk: object) -> bool:
    """A SAME_AS record is smaller than the chunk."""
    is_constant = chunk.method == format.CONSTANT  # type: ignore[attr-defined]
    return not is_constant and 16 + stored_nbytes(chunk) > format.SAME_AS_HEAD_NBYTES


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

    def totals(self) -> dict[str, Totals]:
        """Bytes by dtype so far."""
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
