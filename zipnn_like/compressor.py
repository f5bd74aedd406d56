# SPDX-License-Identifier: Apache-2.0
"""The way in: source -> layout -> batches of chunks -> codec on several threads -> stream."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard

from . import format, rows, segments
from .batch_codec import encode_smallest
from .buffers import BufferPool, Window
from .chunk_codec import BODY_SLACK_NBYTES, Run, bodies_nbytes
from .contents import Cutter, LoadedBatch
from .dtypes import BYTES
from .format import Header
from .inputs import Input
from .levels import Level
from .outputs import Output
from .parallel import map_in_order
from .report import Progress, Report
from .segments import (
    BATCH_CHUNKS,
    BATCH_NBYTES,
    Batch,
    Segment,
    cut_short,
    endless_bytes,
    plan_batches,
    segment_of,
)
from .sources import read_layout
from .sources.layout import Layout
from .stream_writer import RecentChunks, StreamWriter

if TYPE_CHECKING:
    import hashlib


# Shared by all calls: pages that a call just warmed up would cost the next one a tenth of its time.
_bodies = BufferPool(BATCH_NBYTES + BATCH_CHUNKS * BODY_SLACK_NBYTES, most_free=2)


def stream_header(source_kind: int, has_sha256: bool = False) -> Header:
    """The header this build writes."""
    major, minor, patch = zstandard.ZSTD_VERSION
    number = major * 10000 + minor * 100 + patch
    return Header(format.VERSION, number, source_kind, has_sha256)


@dataclass(frozen=True)
class EncodedBatch:
    """A batch ready to be written; its bodies lie in a buffer of the body pool."""

    loaded: LoadedBatch
    run: Run
    bodies: bytearray


class BatchEncoder:
    """Encodes batches on threads with recycled buffers; the writer releases them in order."""

    def __init__(self, level: Level) -> None:
        self._level = level
        self._cutter = Cutter()
        self.sources = BufferPool(BATCH_NBYTES)
        # Views of these bytes stay in use for the comparison of repeats.
        self._window = Window(format.MAX_DISTANCE, self.sources)
        self._done_nbytes = 0

    def cut(self, loaded: Iterable[LoadedBatch]) -> Iterator[LoadedBatch]:
        """Cut batches further where their contents ask for it; parts of one share its buffer."""
        return self._cutter.cut(loaded) if self._level.by_rows else iter(loaded)

    def encode(self, loaded: LoadedBatch) -> EncodedBatch:
        """Encode one batch; called on any thread."""
        bodies = _bodies.take(bodies_nbytes(loaded.batch))
        run = encode_smallest(loaded.batch, loaded.source, self._level, memoryview(bodies))
        return EncodedBatch(loaded, run, bodies)

    def release(self, encoded: EncodedBatch) -> None:
        """The batch was written."""
        self._done_nbytes += encoded.loaded.batch.nbytes
        _bodies.give(encoded.bodies)
        if encoded.loaded.buffer is not None:
            self._window.push(self._done_nbytes, encoded.loaded.buffer)


def plan(planned: Iterable[Segment], level: Level) -> Iterator[Batch]:
    """Batches for these segments."""
    plan_chunks = rows.plan_chunks if level.by_rows else segments.plan_chunks
    return plan_batches(plan_chunks(planned))


def segments_of(layout: Layout) -> Iterator[Segment]:
    """The parts of a source with this layout: the source itself decides where it ends."""
    yield Segment(BYTES, layout.header_nbytes)
    for tensor in layout.tensors:
        yield segment_of(tensor.dtype, tensor.nbytes, tensor.shape)


def _load(
    source: Input,
    start: bytes,
    batches: Iterable[Batch],
    pool: BufferPool,
    digest: hashlib._Hash | None,
) -> Iterator[LoadedBatch]:
    """Read the source batch by batch; `start` holds the bytes already taken from it."""
    pending = memoryview(start)
    for batch in batches:
        buffer = None
        lent = source.lend(batch.nbytes) if not pending else None
        if lent is None:
            buffer = pool.take(batch.nbytes)
            view = memoryview(buffer)[: batch.nbytes]
            held = min(len(pending), len(view))
            view[:held] = pending[:held]
            pending = pending[held:]
            filled = held + source.readinto(view[held:])
        else:
            view, filled = lent, len(lent)
        if digest is not None:
            digest.update(view[:filled])
        if filled == batch.nbytes:
            yield LoadedBatch(batch, view, buffer)
            continue
        offset = 0
        for rest in cut_short(batch, filled):
            last = pool.take(rest.nbytes)
            target = memoryview(last)[: rest.nbytes]
            target[:] = view[offset : offset + rest.nbytes]
            offset += rest.nbytes
            yield LoadedBatch(rest, target, last)
        return


def compress_stream(
    source: Input,
    output: Output,
    *,
    level: Level,
    threads: int,
    progress: Progress | None,
    sha256: bool,
    given: Callable[[], tuple[Layout, bytes, Iterable[Segment]]] | None = None,
) -> Report:
    """Compress everything `source` yields into one stream; does not commit the output.

    given  the layout, bytes already read and segments, when the caller knows them; default: parse
           the source's own header
    """
    begun = time.perf_counter()
    if given is None:
        layout, start = read_layout(source.read)
        planned: Iterable[Segment] = segments_of(layout)
    else:
        layout, start, planned = given()
    digest = None
    if sha256:
        import hashlib  # starts OpenSSL

        digest = hashlib.sha256()
    encoder = BatchEncoder(level)
    writer = StreamWriter(output, stream_header(layout.kind, sha256))
    recent = RecentChunks()
    done_nbytes = 0
    batches = itertools.chain(plan(planned, level), endless_bytes())
    loaded = _load(source, start, batches, encoder.sources, digest)
    for encoded in map_in_order(encoder.encode, encoder.cut(loaded), threads):
        recent.match(encoded.run, encoded.loaded.source)
        writer.append(encoded.run)
        done_nbytes += encoded.run.source_nbytes
        encoder.release(encoded)
        if progress is not None:
            progress(done_nbytes, source.nbytes)
    source.check_unchanged()
    stored_nbytes = writer.finish(digest.digest() if digest else None)
    return Report(
        done_nbytes,
        stored_nbytes,
        time.perf_counter() - begun,
        writer.totals(),
        output.path,
        digest.hexdigest() if digest else None,
    )
