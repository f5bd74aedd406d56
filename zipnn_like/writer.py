# SPDX-License-Identifier: Apache-2.0
"""znl.Writer: builds a stored safetensors file tensor by tensor.

The names and shapes stand at the front of a safetensors file and are known only at the end, so
encoded chunks wait in a temporary file beside the target until close() puts them behind the header.
"""

from __future__ import annotations

import io
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import IO, Any

from . import dtypes, format, levels
from .chunk_codec import EncodedChunk
from .compressor import BatchEncoder, LoadedBatch, stream_header
from .dtypes import BYTES, DType
from .errors import UsageError, ZnlError
from .inputs import PathLike
from .memory import as_values, check_size
from .outputs import FileOutput
from .parallel import map_in_order, thread_count
from .report import Report, Tally
from .segments import Batch, Segment, plan_batches, plan_chunks
from .sources.layout import KIND_SAFETENSORS
from .sources.safetensors import build_header
from .stream_writer import RecentChunks, StreamWriter

_SPOOLED = struct.Struct("<BBBIQIIB")
_TABLE = struct.Struct("<QB")


class Writer:
    """Writes a `.znl` whose source is a safetensors file, tensor by tensor; a context manager.

    path       of the `.znl`
    level      "fast", "default" or "max"
    metadata   str to str, becomes __metadata__
    overwrite  replace an existing file
    The file appears under its name in close(), and only when every tensor was written.
    """

    def __init__(
        self,
        path: PathLike,
        level: str = "default",
        metadata: Mapping[str, str] | None = None,
        *,
        threads: int | None = None,
        overwrite: bool = False,
    ) -> None:
        self._level = levels.find(level)
        self._threads = thread_count(threads)
        self._metadata = dict(metadata or {})
        build_header([], self._metadata)  # refuse bad metadata now, not after hours of work
        self._output = FileOutput(path, overwrite=overwrite)
        folder = os.path.dirname(os.fspath(path)) or "."
        self._spool = _Spool(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - closed with the Writer
        self._encoder = BatchEncoder(self._level)
        self._recent = RecentChunks()
        self._tensors: dict[str, tuple[DType, tuple[int, ...]]] = {}
        self._pending: list[tuple[Segment, memoryview]] = []
        self._is_open = True

    def add(
        self, name: str, array: Any, *, dtype: object = None, shape: Sequence[int] | None = None
    ) -> None:
        """Add a tensor; its bytes are encoded before this returns.

        array  a numpy or ml_dtypes array, or a buffer with `dtype` and `shape` stated
        Raises UsageError (a name twice, a dtype or shape that does not fit), ZnlError (a file that
        can't be written).
        """
        if not self._is_open:
            raise UsageError("the Writer is closed")
        if not isinstance(name, str) or name == "__metadata__" or name in self._tensors:
            raise UsageError(f"{name!r}: expected a new tensor name")
        view, found = as_values(array)
        chosen = dtypes.find(dtype) if dtype is not None else found or dtypes.BY_NAME["U8"]
        if chosen is BYTES:
            raise UsageError("dtype: a tensor of a safetensors file has a dtype other than BYTES")
        stated = tuple(
            int(n) for n in (shape if shape is not None else getattr(array, "shape", ()))
        )
        if shape is None and not hasattr(array, "shape"):
            stated = (8 * len(view) // chosen.bits,)
        check_size(len(view), chosen, stated)
        self._tensors[name] = (chosen, stated)
        self._encode(Segment(chosen, len(view)), view)

    def close(self) -> Report:
        """Finish the file and give it its name. Returns its Report."""
        if not self._is_open:
            raise UsageError("the Writer is closed")
        self._is_open = False
        with self._output, self._spool:
            header = build_header(
                ((name, dtype, shape) for name, (dtype, shape) in self._tensors.items()),
                self._metadata,
            )
            stream = StreamWriter(self._output, stream_header(KIND_SAFETENSORS))
            tally = Tally()
            for chunk, distance in self._all_chunks(header):
                stored = stream.append(chunk, distance)
                tally.add(chunk.head.dtype.name, chunk.head.source_nbytes, stored)
            nbytes = stream.finish(None)
            self._output.commit()
        return Report(tally.source_bytes, nbytes, 0.0, tally.totals(), self._output.path)

    def abort(self) -> None:
        """Drop everything: no file appears."""
        if self._is_open:
            self._is_open = False
            self._spool.__exit__(None, None, None)
            self._output.__exit__(None, None, None)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.abort()
        elif self._is_open:
            self.close()

    def _all_chunks(self, header: bytes) -> Iterator[tuple[EncodedChunk, int | None]]:
        batches = plan_batches(plan_chunks([Segment(BYTES, len(header))]))
        encoder = BatchEncoder(self._level)
        for loaded in _slices(batches, memoryview(header), encoder):
            for chunk in encoder.encode(loaded).chunks:
                yield chunk, None
        yield from self._spool.chunks()

    def _encode(self, segment: Segment, view: memoryview) -> None:
        """Encode a tensor. Small ones are not joined: each add() is complete when it returns."""
        batches = plan_batches(plan_chunks([segment]))
        loaded = _slices(batches, view, self._encoder)
        for encoded in map_in_order(self._encoder.encode, loaded, self._threads):
            for chunk in encoded.chunks:
                self._spool.put(chunk, self._recent.match(chunk))
            self._encoder.release(encoded)


def _slices(
    batches: Iterable[Batch], view: memoryview, encoder: BatchEncoder
) -> Iterator[LoadedBatch]:
    """Copy each batch: the caller may change the array while repeats are still compared with it."""
    offset = 0
    for batch in batches:
        buffer = encoder.sources.take(batch.nbytes)
        source = memoryview(buffer)[: batch.nbytes]
        source[:] = view[offset : offset + batch.nbytes]
        offset += batch.nbytes
        yield LoadedBatch(batch, source, buffer)


class _Spool:
    """Encoded chunks in a temporary file, in order."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def put(self, chunk: EncodedChunk, distance: int | None) -> None:
        head = chunk.head
        try:
            self._file.write(
                _SPOOLED.pack(
                    head.dtype.code,
                    head.method,
                    head.unit_shift,
                    head.source_nbytes,
                    head.checksum,
                    distance or 0,
                    len(chunk.body),
                    len(head.tables),
                )
            )
            for name in head.tables:
                table = chunk.tables.get(name, b"")
                self._file.write(_TABLE.pack(name, len(table)) + table)
            self._file.write(chunk.body)
        except OSError as error:
            raise ZnlError(
                f"a temporary file can't be written: {error.strerror or error}"
            ) from error

    def chunks(self) -> Iterator[tuple[EncodedChunk, int | None]]:
        self._file.seek(0)
        reader = io.BufferedReader(self._file.raw) if hasattr(self._file, "raw") else self._file
        while fixed := reader.read(_SPOOLED.size):
            code, method, shift, nbytes, checksum, distance, body_nbytes, count = _SPOOLED.unpack(
                fixed
            )
            names: list[int] = []
            tables: dict[int, bytes] = {}
            for _ in range(count):
                name, table_nbytes = _TABLE.unpack(reader.read(_TABLE.size))
                names.append(name)
                if table_nbytes:
                    tables[name] = reader.read(table_nbytes)
            body = reader.read(body_nbytes)
            head = format.ChunkHead(
                dtypes.BY_CODE[code], method, shift, nbytes, checksum, tuple(names)
            )
            yield EncodedChunk(head, body, memoryview(b""), tables), distance or None

    def __enter__(self) -> _Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
