# SPDX-License-Identifier: Apache-2.0
"""znl.Writer: builds a stored safetensors file tensor by tensor.

The names and shapes stand at the front of a safetensors file and are known only at the end, so
encoded chunks wait in a temporary file beside the target until close() puts them behind the header.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import time
import traceback
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import IO, Any

from . import dtypes, levels, native
from .chunk_codec import Run, body_nbytes
from .compressor import BatchEncoder, plan, stream_header
from .contents import LoadedBatch
from .dtypes import BYTES
from .errors import UsageError, ZnlError
from .format import RAW
from .inputs import PathLike
from .memory import as_values, check_size
from .native import ffi
from .outputs import FileOutput
from .parallel import map_in_order, thread_count
from .report import ByMethod, Report, sum_methods
from .segments import BATCH_NBYTES, Batch, Segment, segment_of
from .sources.layout import KIND_SAFETENSORS
from .sources.safetensors import HeaderBuilder
from .stream_writer import RecentChunks, StreamWriter

_RUN = struct.Struct("=IIQQ")  # chunks, tables, source bytes, bytes of bodies
_CHUNK_NBYTES = int(ffi.sizeof("znl_chunk"))
_TABLE_NBYTES = int(ffi.sizeof("znl_table"))


class Writer:
    """Writes a `.znl` whose source is a safetensors file, tensor by tensor; a context manager.

    path       of the `.znl`
    level      "fast", "default" or "max"
    metadata   str to str, becomes __metadata__
    overwrite  replace an existing file
    The file appears under its name in close(), and only when every tensor was written. A Writer
    that is dropped without close() leaves nothing. It is for one thread at a time; it encodes on
    several by itself.
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
        self._header = HeaderBuilder(metadata or {})
        self._encoder = BatchEncoder(self._level)
        self._recent = RecentChunks()
        self._output = FileOutput(path, overwrite=overwrite)
        try:
            self._spool = _Spool(os.path.dirname(os.fspath(path)) or ".")
        except BaseException:
            self._output.__exit__(None, None, None)
            raise
        self._seconds = 0.0  # in add() and close()
        self._is_open = True
        self._failure: BaseException | None = None  # what ended add() or close() halfway
        self._drop = weakref.finalize(
            self, _remove_temporaries, self._output, self._spool, os.getpid()
        )

    def add(
        self, name: str, array: Any, *, dtype: object = None, shape: Sequence[int] | None = None
    ) -> None:
        """Add a tensor; its bytes are encoded before this returns.

        array  a numpy or ml_dtypes array, or a buffer with `dtype` and `shape` stated
        Raises UsageError (a name twice, a dtype or shape that does not fit, more names than a
        header holds), ZnlError (a file that can't be written). After UsageError the Writer goes on;
        any other error aborts it, as part of the tensor may have been taken.
        """
        self._check_open()
        begun = time.perf_counter()
        view, found = as_values(array)
        chosen = dtypes.find(dtype) if dtype is not None else found or dtypes.BY_NAME["U8"]
        check_size(len(view), chosen, None)
        if shape is None:
            shape = getattr(array, "shape", (8 * len(view) // chosen.bits,))
        # All that could make the header invalid is refused here: close() has no tensor to blame.
        self._header.add(name, chosen, shape, nbytes=len(view))
        try:
            self._encode(segment_of(chosen, len(view), shape), view)
        except BaseException as error:
            del view
            self._fail(error)
            raise
        self._seconds += time.perf_counter() - begun

    def close(self) -> Report:
        """Finish the file and give it its name.

        Returns its Report, whose seconds are those spent in add() and close(). Raises ZnlError,
        also for a Writer that an earlier error aborted.
        """
        self._check_open()
        begun = time.perf_counter()
        try:
            source_nbytes, stored_nbytes, by_method = self._write_stream()
            self._output.commit()
        except BaseException as error:
            self._fail(error)
            raise
        self._end()
        self._seconds += time.perf_counter() - begun
        return Report(source_nbytes, stored_nbytes, self._seconds, by_method, self._output.path)

    def abort(self) -> None:
        """Drop everything: no file appears."""
        self._end()
        self._failure = None  # the caller knows

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
        elif self._is_open or self._failure is not None:
            self.close()

    def _check_open(self) -> None:
        if self._failure is not None:
            raise ZnlError(f"{self._output.name}: aborted by an earlier error") from self._failure
        if not self._is_open:
            raise UsageError("the Writer is closed")

    def _fail(self, error: BaseException) -> None:
        """Abort, and remember why: close() must not pass for a success."""
        # A kept exception keeps its frames: let go of the views in them that pin the array.
        traceback.clear_frames(error.__traceback__)
        self._end()
        self._failure = error

    def _end(self) -> None:
        self._is_open = False
        self._drop()

    def _write_stream(self) -> tuple[int, int, ByMethod]:
        """Write all to the output. Returns the sizes of source and stream, and the totals."""
        header = self._header.pack()
        stream = StreamWriter(self._output, stream_header(KIND_SAFETENSORS))
        for run in self._all_runs(header):
            stream.append(run)
        by_method = stream.totals()
        expected = len(header) + self._header.body_nbytes
        found = sum(totals.source_bytes for totals in sum_methods(by_method).values())
        if found != expected:
            raise ZnlError(
                f"{self._output.name}: expected {expected} bytes of header and tensors, "
                f"found {found}"
            )
        return found, stream.finish(None), by_method

    def _all_runs(self, header: bytes) -> Iterator[Run]:
        batches = plan([Segment(BYTES, len(header))], self._level)
        encoder = BatchEncoder(self._level)
        for loaded in _slices(batches, memoryview(header), encoder):
            yield encoder.encode(loaded).run
        yield from self._spool.runs()

    def _encode(self, segment: Segment, view: memoryview) -> None:
        """Encode a tensor. Small ones are not joined: each add() is complete when it returns."""
        batches = plan([segment], self._level)
        loaded = self._encoder.cut(_slices(batches, view, self._encoder))
        threads = self._threads if segment.nbytes > BATCH_NBYTES else 1  # one batch: no pool
        for encoded in map_in_order(self._encoder.encode, loaded, threads):
            self._recent.match(encoded.run, encoded.loaded.source)
            self._spool.put(encoded.run)
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


def _remove_temporaries(output: FileOutput, spool: _Spool, process: int) -> None:
    """What is left to do for a Writer that has ended or was dropped."""
    if os.getpid() == process:  # a forked child leaves those of its parent alone
        spool.__exit__(None, None, None)
        output.__exit__(None, None, None)


def _temporary_file_error(error: OSError, verb: str = "written") -> ZnlError:
    return ZnlError(f"a temporary file can't be {verb}: {error.strerror or error}")


def _read_exactly(reader: IO[bytes], nbytes: int) -> bytes:
    """The next bytes of a temporary file; ZnlError when it can't be read or has fewer."""
    try:
        data = reader.read(nbytes)
    except OSError as error:
        raise _temporary_file_error(error, "read") from error
    if len(data) != nbytes:
        raise ZnlError(f"a temporary file: expected {nbytes} bytes more, found {len(data)}")
    return data


class _Spool:
    """Encoded runs in a temporary file of a folder, in order."""

    def __init__(self, folder: str) -> None:
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - see __exit__
        except OSError as error:
            raise _temporary_file_error(error) from error
        self._count = 0

    def put(self, run: Run) -> None:
        """Add a run; its chunks may be repeats already."""
        sizes = [body_nbytes(run.chunks[i]) for i in range(run.count)]
        try:
            self._file.write(_RUN.pack(run.count, run.table_count, run.source_nbytes, sum(sizes)))
            self._file.write(ffi.buffer(run.chunks, run.count * _CHUNK_NBYTES))
            self._file.write(ffi.buffer(run.tables, run.table_count * _TABLE_NBYTES))
            for i, nbytes in enumerate(sizes):
                chunk = run.chunks[i]
                start = chunk.source if chunk.method == RAW else chunk.body + chunk.body_offset
                self._file.write(ffi.buffer(start, nbytes))
        except OSError as error:
            raise _temporary_file_error(error) from error
        self._count += 1

    def runs(self) -> Iterator[Run]:
        """What was put, from the first on."""
        try:
            self._file.seek(0)  # writes what is still buffered
        except OSError as error:
            raise _temporary_file_error(error) from error
        for _ in range(self._count):
            count, table_count, source_nbytes, nbytes = _RUN.unpack(
                _read_exactly(self._file, _RUN.size)
            )
            chunks = ffi.new("znl_chunk[]", count)
            tables = ffi.new("znl_table[]", table_count)
            ffi.buffer(chunks)[:] = _read_exactly(self._file, count * _CHUNK_NBYTES)
            ffi.buffer(tables)[:] = _read_exactly(self._file, table_count * _TABLE_NBYTES)
            bodies = _read_exactly(self._file, nbytes)
            body = native.address(bodies)
            for chunk in chunks:
                chunk.body = chunk.source = body  # of a raw chunk the source is the body
                chunk.body_offset = 0
                body += body_nbytes(chunk)
            yield Run(chunks, count, tables, table_count, source_nbytes, [bodies])

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, *exception: object) -> None:
        # Closing flushes, which fails again on a full disk: the first error is the one to tell.
        with contextlib.suppress(OSError):
            self._file.close()
