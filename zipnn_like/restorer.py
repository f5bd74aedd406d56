# SPDX-License-Identifier: Apache-2.0
"""The way back: stream -> chunks -> codec on several threads -> source bytes, in order."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import format
from .buffers import BufferPool, Window
from .chunk_codec import StoredChunk, decode_chunks
from .errors import ChecksumError, CorruptStreamError, LimitExceededError, UsageError
from .inputs import Input
from .outputs import Output
from .parallel import map_in_order
from .report import Progress, Report, Tally
from .segments import BATCH_CHUNKS, BATCH_NBYTES
from .stream_reader import StoredRepeat, StreamReader


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


class OutputTarget(Target):
    """Writes to an Output; keeps the last 16 MiB in memory, which repeats refer to."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._pool = BufferPool(BATCH_NBYTES)
        self._window = Window(format.MAX_DISTANCE, self._pool)
        self._placed: deque[bytearray] = deque()
        self._delivered_nbytes = 0

    def place(self, nbytes: int) -> memoryview:
        buffer = self._pool.take(nbytes)
        self._placed.append(buffer)
        return memoryview(buffer)[:nbytes]

    def deliver(self, view: memoryview) -> None:
        self._output.write(view)
        self._delivered_nbytes += len(view)
        self._window.push(self._delivered_nbytes, self._placed.popleft())


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


@dataclass
class _Batch:
    """Chunks decoded by one call: each with its room, repeats to be filled in later."""

    view: memoryview
    items: list[tuple[StoredChunk | StoredRepeat, memoryview]] = field(default_factory=list)


class _Originals:
    """The chunks of the last 16 MiB of source, for repeats."""

    def __init__(self) -> None:
        self._chunks: dict[int, tuple[int, memoryview]] = {}  # by start: checksum and bytes
        self._starts: deque[int] = deque()
        self._offset = 0

    def take(self, item: StoredChunk | StoredRepeat, view: memoryview) -> None:
        """The next item in source order: fill a repeat's view, remember a chunk's."""
        if isinstance(item, StoredRepeat):
            self._fill(item, view)
        elif item.head.source_nbytes >= format.MIN_REPEAT_NBYTES:
            self._chunks[self._offset] = (item.head.checksum, view)
            self._starts.append(self._offset)
        self._offset += item.head.source_nbytes
        while self._starts and self._starts[0] < self._offset - format.MAX_DISTANCE:
            del self._chunks[self._starts.popleft()]

    def _fill(self, repeat: StoredRepeat, view: memoryview) -> None:
        head = repeat.head
        found = self._chunks.get(self._offset - head.distance)
        if found is None or (found[0], len(found[1])) != (head.checksum, head.source_nbytes):
            raise CorruptStreamError(
                repeat.where.at(
                    repeat.offset,
                    f"an equal chunk {head.distance} bytes back in the source",
                    "none",
                )
            )
        view[:] = found[1]


def _gather(reader: StreamReader, target: Target, max_nbytes: int | None) -> Iterator[_Batch]:
    """Group what the reader yields into batches that one call decodes."""
    held: list[StoredChunk | StoredRepeat] = []
    held_nbytes = held_wire_nbytes = total = 0
    for item in reader:
        nbytes = item.head.source_nbytes
        total += nbytes
        if max_nbytes is not None and total > max_nbytes:
            raise LimitExceededError(
                item.where.at(item.offset, f"a source of at most {max_nbytes} bytes", "more")
            )
        if target.room_nbytes is not None and total > target.room_nbytes:
            expected = f"a source of {target.room_nbytes} bytes, as the ROOT says"
            raise CorruptStreamError(item.where.at(item.offset, expected, "more"))
        # Bodies count too: hostile ones are larger than what they claim to decode to.
        most = max(held_nbytes + nbytes, held_wire_nbytes + item.record_nbytes)
        if held and (most > BATCH_NBYTES or len(held) == BATCH_CHUNKS):
            yield _place(held, held_nbytes, target)
            held, held_nbytes, held_wire_nbytes = [], 0, 0
        held.append(item)
        held_nbytes += nbytes
        held_wire_nbytes += item.record_nbytes
    if held:
        yield _place(held, held_nbytes, target)


def _place(items: list[StoredChunk | StoredRepeat], nbytes: int, target: Target) -> _Batch:
    batch = _Batch(target.place(nbytes))
    offset = 0
    for item in items:
        batch.items.append((item, batch.view[offset : offset + item.head.source_nbytes]))
        offset += item.head.source_nbytes
    return batch


def _decode(batch: _Batch) -> _Batch:
    chunks = [(item, view) for item, view in batch.items if isinstance(item, StoredChunk)]
    decode_chunks([item for item, _ in chunks], [view for _, view in chunks])
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
    digest = hashlib.sha256() if reader.header.has_sha256 else None
    originals = _Originals()
    tally = Tally()
    for batch in map_in_order(_decode, _gather(reader, target, max_nbytes), threads):
        for item, view in batch.items:
            originals.take(item, view)
            nbytes = item.head.source_nbytes
            tally.add(item.head.dtype.name, nbytes, item.record_nbytes)
        if digest is not None:
            digest.update(batch.view)
        target.deliver(batch.view)
        if progress is not None:
            progress(tally.source_bytes, total_nbytes)
    ending = reader.ending
    if ending is None:
        raise CorruptStreamError(f"{source.name}: the stream did not end")
    if digest is not None and digest.digest() != ending.sha256:
        expected = ending.sha256.hex() if ending.sha256 else "none"
        raise ChecksumError(
            f"{source.name}: SHA-256 of the source: expected {expected}, found {digest.hexdigest()}"
        )
    return Report(
        tally.source_bytes,
        ending.stored_nbytes,
        time.perf_counter() - begun,
        tally.totals(),
        None,
        ending.sha256.hex() if ending.sha256 else None,
    )
