# SPDX-License-Identifier: Apache-2.0
"""znl.open: the tensors of a stored file, read one by one through the directory."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import dtypes
from .errors import LimitExceededError, SourceError, UsageError, Where
from .files import verify_file
from .inputs import PathLike, as_bytes_view
from .parallel import thread_count
from .random_reader import RandomReader, file_pread
from .report import Report, Totals, sum_methods
from .sources import read_layout
from .sources.layout import KIND_SAFETENSORS, OPAQUE, Layout, Tensor

if TYPE_CHECKING:
    from .random_reader import Located

PARALLEL_NBYTES = 1 << 20  # below this one thread is as fast


@dataclass(frozen=True)
class TensorInfo:
    """A tensor as `info` shows it.

    stored_bytes  its share of the chunks it lies in
    methods       the same by method, as in Report.by_method, with the source bytes each one stores
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    source_bytes: int
    stored_bytes: int
    methods: Mapping[str, Totals]

    @property
    def ratio(self) -> float:
        """stored_bytes / source_bytes; 1.0 for an empty tensor."""
        return self.stored_bytes / self.source_bytes if self.source_bytes else 1.0


class Archive:
    """Reads the tensors of one `.znl` file; a context manager, safe to share between threads."""

    def __init__(self, path: PathLike) -> None:
        self.path = os.fspath(path)
        try:
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed in close()
        except OSError as error:
            raise SourceError(f"{self.path}: {error.strerror or error}") from error
        except ValueError as error:  # a NUL in the name
            raise UsageError(f"{self.path!r}: {error}") from error
        try:
            nbytes = os.fstat(self._file.fileno()).st_size
            self._reader = RandomReader(file_pread(self._file), nbytes, self.path)
            self._layout = self._read_layout()
        except BaseException:
            self._file.close()
            raise
        self._tensors = {tensor.name: tensor for tensor in self._layout.tensors}

    def _read_layout(self) -> Layout:
        if self._reader.header.source_kind != KIND_SAFETENSORS:
            return OPAQUE
        layout, _ = read_layout(_SourceStart(self._reader).read)
        return layout

    @property
    def source_bytes(self) -> int:
        """Size of the restored file."""
        return self._reader.source_nbytes

    @property
    def stored_bytes(self) -> int:
        """Size of the stream."""
        return self._reader.stored_nbytes

    @property
    def chunk_count(self) -> int:
        """Number of chunks."""
        return self._reader.root.chunk_count

    @property
    def sha256(self) -> str | None:
        """SHA-256 of the source in hex, when it was recorded."""
        digest = self._reader.root.sha256
        return digest.hex() if digest else None

    @property
    def source_kind(self) -> str:
        """ "safetensors", or "bytes" for everything else."""
        return "safetensors" if self._layout.kind == KIND_SAFETENSORS else "bytes"

    @property
    def format_version(self) -> int:
        """Version of the stream format."""
        return self._reader.header.version

    @property
    def zstd_version(self) -> str:
        """libzstd of the writer."""
        number = self._reader.header.zstd_version
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"

    def keys(self) -> list[str]:
        """Tensor names in file order; none for a source that is not a container of tensors."""
        return list(self._tensors)

    def metadata(self) -> dict[str, str]:
        """The container's free text (safetensors: __metadata__)."""
        return dict(self._layout.metadata)

    def info(self, name: str) -> TensorInfo:
        """Dtype, shape, sizes and methods of a tensor. Raises UsageError for an unknown name."""
        tensor = self._find(name)
        methods = _methods(self._reader.chunks(tensor.start, tensor.stop), tensor)
        stored = sum(totals.stored_bytes for totals in methods.values())
        return TensorInfo(name, tensor.dtype.name, tensor.shape, tensor.nbytes, stored, methods)

    def by_dtype(self) -> dict[str, Totals]:
        """Totals of the chunks by dtype; BYTES is all that has no dtype."""
        return sum_methods(self.by_method())

    def by_method(self) -> dict[str, dict[str, Totals]]:
        """Totals of the chunks by dtype and method, as in Report.by_method."""
        sums: dict[str, dict[str, Totals]] = {}
        for chunk in self._reader.chunks():
            entry = chunk.entry
            methods = sums.setdefault(entry.dtype.name, {})
            known = methods.get(entry.method_name, Totals(0, 0))
            methods[entry.method_name] = known + Totals(entry.source_nbytes, entry.stored_nbytes)
        return sums

    def get_tensor(self, name: str, out: Any = None) -> Any:
        """One tensor as a numpy array, writable and aligned.

        BF16 and FP8 come as ml_dtypes; F4 and F6, which numpy cannot hold packed, as flat uint8.
        out  a C-contiguous array of the same dtype (or uint8) and size in bytes, or a buffer, to
             decode into; it is returned. On an error it may hold anything.
        Raises UsageError, CorruptStreamError and its kinds.
        """
        tensor = self._find(name)
        array = self._allocate(tensor) if out is None else out
        view = self._bytes_of(array, tensor)
        self._reader.read_into(tensor.start, view, self._threads(tensor.nbytes))
        return array

    def get_tensors(self, names: Iterable[str]) -> dict[str, Any]:
        """Several tensors by name."""
        if isinstance(names, str):
            raise UsageError(f"expected a list of tensor names, found the one name {names!r}")
        return {name: self.get_tensor(name) for name in names}

    def get_slice(self, name: str) -> TensorSlice:
        """A tensor to be indexed: only the chunks under the rows asked for are decoded."""
        tensor = self._find(name)
        if tensor.dtype.bits % 8:
            raise UsageError(
                f"{name}: {tensor.dtype.name} values are not whole bytes: read the tensor"
            )
        return TensorSlice(tensor, self._read_rows)

    def read(self, start: int, stop: int) -> bytearray:
        """Source bytes start .. stop."""
        self._check_open()
        if not 0 <= start <= stop <= self.source_bytes:
            raise UsageError(
                f"expected a range inside {self.source_bytes} bytes: {start} .. {stop}"
            )
        room = bytearray(stop - start)
        self._reader.read_into(start, memoryview(room), self._threads(len(room)))
        return room

    def verify(self, *, threads: int | None = None) -> Report:
        """Decode and check everything, as verify_file does."""
        return verify_file(self.path, threads=threads)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<zipnn_like.Archive {self.path!r}: {len(self._tensors)} tensors>"

    def _check_open(self) -> None:
        if self._file.closed:  # a chunk kept in memory would still be read, others would not
            raise UsageError(f"{self.path}: the archive is closed")

    def _find(self, name: str) -> Tensor:
        self._check_open()
        if name in self._tensors:
            return self._tensors[name]
        if not self._tensors:
            raise UsageError(f"{self.path}: holds no tensors: its source is not a safetensors file")
        near = difflib.get_close_matches(str(name), self._tensors, 1)
        advice = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"{self.path}: expected the name of a tensor, found {name!r}{advice}")

    def _threads(self, nbytes: int) -> int:
        return thread_count(None) if nbytes >= PARALLEL_NBYTES else 1

    def _check_inside(self, tensor: Tensor) -> None:
        if tensor.stop > self.source_bytes:
            where = Where(self.path, f"tensor {tensor.name!r}")
            raise SourceError(
                where.at(
                    self.source_bytes,
                    f"values up to {tensor.stop} as the header says",
                    "the end of the source",
                    "the file was cut short before it was compressed",
                )
            )

    def _allocate(self, tensor: Tensor) -> Any:
        self._check_inside(tensor)
        element = dtypes.numpy_dtype(tensor.dtype)
        shape = tensor.shape if tensor.dtype.bits % 8 == 0 else (tensor.nbytes,)
        return _empty(shape, element, tensor.name)

    def _bytes_of(self, array: Any, tensor: Tensor) -> memoryview:
        import numpy as np

        self._check_inside(tensor)
        if isinstance(array, np.ndarray):
            if not array.flags.c_contiguous or array.nbytes != tensor.nbytes:
                raise UsageError(f"out: expected a C-contiguous array of {tensor.nbytes} bytes")
            element = dtypes.numpy_dtype(tensor.dtype)
            if array.dtype not in (element, np.dtype(np.uint8)):
                raise UsageError(
                    f"out: expected an array of {element} or uint8, found {array.dtype}"
                )
            array = array.reshape(-1).view(np.uint8)
        view = as_bytes_view(array)
        if view.readonly or len(view) != tensor.nbytes:
            raise UsageError(f"out: expected a writable buffer of {tensor.nbytes} bytes")
        return view

    def _read_rows(self, tensor: Tensor, first: int, last: int) -> Any:
        """Rows first .. last of the leading dimension."""
        import numpy as np

        self._check_open()
        self._check_inside(tensor)
        rows = tensor.shape[0]
        row_nbytes = tensor.nbytes // rows if rows else 0
        element = dtypes.numpy_dtype(tensor.dtype)
        array = _empty((last - first, *tensor.shape[1:]), element, tensor.name)
        view = array.reshape(-1).view(np.uint8).data
        self._reader.read_into(tensor.start + first * row_nbytes, view, self._threads(len(view)))
        return array


class TensorSlice:
    """What get_slice returns: index it as a numpy array."""

    def __init__(self, tensor: Tensor, read_rows: Callable[[Tensor, int, int], Any]) -> None:
        self._tensor = tensor
        self._read_rows = read_rows

    def get_shape(self) -> list[int]:
        """The tensor's shape, as safetensors' slices give it."""
        return list(self._tensor.shape)

    def get_dtype(self) -> str:
        """The safetensors name of the dtype."""
        return self._tensor.dtype.name

    def __getitem__(self, index: Any) -> Any:
        """The part that `index` names, as in numpy's basic indexing."""
        import numpy as np

        shape = self._tensor.shape
        # numpy refuses a bad index here, on an array without memory, before anything is read.
        np.broadcast_to(np.empty((), np.uint8), shape)[index]
        parts = index if isinstance(index, tuple) else (index,)
        leading = parts[0] if parts else slice(None)
        is_row = isinstance(leading, (int, np.integer)) and not isinstance(leading, bool)
        if not shape or not (is_row or isinstance(leading, slice)):
            whole = self._read_rows(self._tensor, 0, shape[0]) if shape else self._scalar()
            return whole[index]
        if isinstance(leading, slice):
            rows = range(*leading.indices(shape[0]))
            if not rows:
                return self._read_rows(self._tensor, 0, 0)[(slice(None), *parts[1:])]
            first, last = min(rows), max(rows)
            block = self._read_rows(self._tensor, first, last + 1)
            begin = rows[0] - first
            stop = rows[-1] - first + (1 if rows.step > 0 else -1)
            step = slice(begin, stop if stop >= 0 else None, rows.step)
            return block[(step, *parts[1:])]
        row = int(leading)
        if not -shape[0] <= row < shape[0]:
            raise IndexError(f"{self._tensor.name}: row {row} of {shape[0]}")
        row %= shape[0]
        return self._read_rows(self._tensor, row, row + 1)[(0, *parts[1:])]

    def _scalar(self) -> Any:
        flat = Tensor(
            self._tensor.name, self._tensor.dtype, (1,), self._tensor.start, self._tensor.stop
        )
        return self._read_rows(flat, 0, 1).reshape(())


class _SourceStart:
    """Reads the source from its beginning, for a parser."""

    def __init__(self, reader: RandomReader) -> None:
        self._reader = reader
        self._offset = 0

    def read(self, nbytes: int) -> bytes:
        room = bytearray(min(nbytes, self._reader.source_nbytes - self._offset))
        self._reader.read_into(self._offset, memoryview(room))
        self._offset += len(room)
        return bytes(room)


def _empty(shape: tuple[int, ...], element: Any, name: str) -> Any:
    """An array for a tensor, or an error that names it where numpy or memory can't hold it."""
    import numpy as np

    try:
        return np.empty(shape, element)
    except ValueError as error:
        raise UsageError(f"{name}: numpy can't hold an array of shape {shape}: {error}") from error
    except MemoryError as error:
        raise LimitExceededError(
            f"{name}: an array of shape {shape} does not fit memory"
        ) from error


def _methods(chunks: Iterable[Located], tensor: Tensor) -> dict[str, Totals]:
    """What falls to a tensor of the chunks it lies in, by its part of their source bytes."""
    source: dict[str, int] = {}
    stored: dict[str, float] = {}
    for chunk in chunks:
        entry, method = chunk.entry, chunk.entry.method_name
        overlap = min(chunk.stop, tensor.stop) - max(chunk.start, tensor.start)
        source[method] = source.get(method, 0) + overlap
        share = entry.stored_nbytes * overlap / entry.source_nbytes
        stored[method] = stored.get(method, 0.0) + share
    return {method: Totals(source[method], round(stored[method])) for method in source}


def open_archive(path: PathLike) -> Archive:
    """Open a `.znl` file for reading tensors.

    Raises SourceError, CorruptStreamError and its kinds, UnsupportedFormatError.
    """
    return Archive(path)
