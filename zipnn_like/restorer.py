# SPDX-License-Identifier: Apache-2.0
"""The way back: stream -> chunks -> codec on several threads -> source bytes, in order."""

from __future__ import annotations

import bisect
import functools
import operator
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import format
from .buffers import BufferPool, Window
from .chunk_codec import Run
from .composed import decode_run
from .errors import ChecksumError, CorruptStreamError, LimitExceededError, UsageError, Where
from .inputs import Input
from .native import ffi, lib
from .outputs import Output
from .parallel import Follower, map_in_order
from .report import Progress, Report
from .segments import BATCH_NBYTES
from .stream_reader import StoredRun, StreamReader

_SMALL_NBYTES = 64 << 10


class Target:
    """Where restored bytes go: place() hands out room in order, deliver() takes it back filled.

    room_nbytes  source bytes that fit, None without a limit
    """

    room_nbytes: int | None = None

    def place(self, nbytes: int) -> memoryview:
        """Room for the next `nbytes` source bytes."""
        raise UsageError("a target without room")

    def deliver(self, view: memoryview) -> None:
        """The room handed out first that was not delivered yet is filled."""

    def finish(self) -> None:
        """All was delivered: see to it that it arrived."""


class OutputTarget(Target):
    """Writes to an Output; keeps the last 16 MiB in memory, which repeats refer to.

    follower  writes behind the decoding, None to write at once
    """

    def __init__(self, output: Output, follower: Follower | None) -> None:
        self._output = output
        self._follower = follower
        self._pool = BufferPool(BATCH_NBYTES)
        self._window = Window(format.MAX_DISTANCE, self._pool)
        self._placed: deque[bytearray] = deque()
        self._delivered_nbytes = 0
        self._shared: bytearray | None = None
        self._shared_nbytes = 0  # of it in use

    def place(self, nbytes: int) -> memoryview:
        """Small runs share a buffer as long as they follow one another."""
        if nbytes >= _SMALL_NBYTES:
            self._shared = None
            buffer, start = self._pool.take(nbytes), 0
        else:
            if self._shared is None or self._shared_nbytes + nbytes > len(self._shared):
                self._shared, self._shared_nbytes = self._pool.take(), 0
            buffer, start = self._shared, self._shared_nbytes
            self._shared_nbytes += nbytes
        self._placed.append(buffer)
        return memoryview(buffer)[start : start + nbytes]

    def deliver(self, view: memoryview) -> None:
        buffer = self._placed.popleft()
        self._delivered_nbytes += len(view)
        write = functools.partial(self._write, view, buffer, self._delivered_nbytes)
        if self._follower:
            self._follower.call(write)
        else:
            write()

    def finish(self) -> None:
        if self._follower:
            self._follower.finish()

    def _write(self, view: memoryview, buffer: bytearray, stop: int) -> None:
        self._output.write(view)
        self._window.push(stop, buffer)  # only now: what the window lets go of is written over


class MemoryTarget(Target):
    """Decodes straight into the caller's buffer."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.room_nbytes = len(view)
        self._placed_nbytes = 0

    def place(self, nbytes: int) -> memoryview:
        start = self._placed_nbytes
        self._placed_nbytes += nbytes
        return self._view[start : start + nbytes]


@dataclass(frozen=True)
class _Batch:
    """A run and the room for its source bytes, decoded by one call."""

    stored: StoredRun
    view: memoryview


class _Kept(NamedTuple):
    """The part of the source that one run restored."""

    start: int
    stop: int
    originals: Any  # znl_original[]
    view: memoryview


class _Originals:
    """The chunks of the last 16 MiB of source, for repeats."""

    def __init__(self) -> None:
        self._kept: deque[_Kept] = deque()
        self._offset = 0

    def take(self, batch: _Batch) -> None:
        """The next batch in source order: fill its repeats in, remember its chunks."""
        stored, run, start = batch.stored, batch.stored.run, self._offset
        self._offset += run.source_nbytes
        if stored.original_count:
            originals = ffi.new("znl_original[]", stored.original_count)
            lib.znl_list_originals(run.chunks, run.count, originals)
            self._kept.append(_Kept(start, self._offset, originals, batch.view))
        if stored.left_count:
            self._fill(run, start, batch.view)
        while self._kept and self._kept[0].stop <= self._offset - format.MAX_DISTANCE:
            self._kept.popleft()

    def _fill(self, run: Run, start: int, view: memoryview) -> None:
        """Fill in the repeats of a run that begins at a source offset."""
        done = 0
        for i in range(run.count):
            chunk, nbytes = run.chunks[i], int(run.chunks[i].source_nbytes)
            if chunk.distance:
                found = self._find(chunk, start + done - int(chunk.distance))
                if found is None:
                    expected = f"an equal chunk {chunk.distance} bytes back in the source"
                    raise CorruptStreamError(run.where.at(int(chunk.offset), expected, "none"))
                view[done : done + nbytes] = found
            done += nbytes

    def _find(self, repeat: Any, offset: int) -> memoryview | None:
        """The bytes of the chunk at a source offset if it is what `repeat` says."""
        # By bisection: a hostile stream cuts 16 MiB into 65536 runs.
        after = bisect.bisect_right(self._kept, offset, key=operator.attrgetter("start"))
        if after == 0 or offset >= self._kept[after - 1].stop:
            return None
        kept = self._kept[after - 1]
        at = offset - kept.start
        found = lib.znl_find_original(kept.originals, len(kept.originals), at)
        if not found or found.checksum != repeat.checksum:
            return None
        same_size = found.source_nbytes == repeat.source_nbytes
        return kept.view[at : at + found.source_nbytes] if same_size else None


def _place(reader: StreamReader, target: Target, max_nbytes: int | None) -> Iterator[_Batch]:
    """Give each run that the reader yields its room."""

    def refuse(where: Where, offset: int) -> Exception:
        if room == max_nbytes:
            return LimitExceededError(where.at(offset, f"a source of at most {room} bytes", "more"))
        expected = f"a source of {room} bytes, as the ROOT says"
        return CorruptStreamError(where.at(offset, expected, "more"))

    limits = [limit for limit in (max_nbytes, target.room_nbytes) if limit is not None]
    room = min(limits, default=None)
    for stored in reader.runs(room, refuse):
        yield _Batch(stored, target.place(stored.run.source_nbytes))


def _decode(batch: _Batch) -> _Batch:
    stored = batch.stored
    decode_run(stored.run, batch.view, has_left=stored.left_count > 0)
    return batch


def restore_stream(
    source: Input,
    target: Target,
    *,
    threads: int,
    progress: Progress | None = None,
    max_nbytes: int | None = None,
    total_nbytes: int | None = None,
) -> Report:
    """Decode a stream into a target, checking all that can be checked; does not commit anything.

    total_nbytes  size of the source, if known, for progress only
    Raises CorruptStreamError, UnsupportedFormatError, LimitExceededError.
    """
    begun = time.perf_counter()
    reader = StreamReader(source)
    digest = None
    if reader.header.has_sha256:
        import hashlib  # starts OpenSSL

        digest = hashlib.sha256()
    originals = _Originals()
    done_nbytes = 0
    for batch in map_in_order(_decode, _place(reader, target, max_nbytes), threads):
        if batch.stored.lease is not None:
            batch.stored.lease.release()
        originals.take(batch)
        if digest is not None:
            digest.update(batch.view)
        target.deliver(batch.view)
        done_nbytes += len(batch.view)
        if progress is not None:
            progress(done_nbytes, total_nbytes)
    target.finish()
    ending = reader.ending
    if ending is None:
        raise CorruptStreamError(f"{source.name}: the stream did not end")
    if digest is not None and digest.digest() != ending.sha256:
        expected = ending.sha256.hex() if ending.sha256 else "none"
        raise ChecksumError(
            f"{source.name}: SHA-256 of the source: expected {expected}, found {digest.hexdigest()}"
        )
    return Report(
        done_nbytes,
        ending.stored_nbytes,
        time.perf_counter() - begun,
        reader.totals(),
        None,
        ending.sha256.hex() if ending.sha256 else None,
    )
