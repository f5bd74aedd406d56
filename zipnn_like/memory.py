# SPDX-License-Identifier: Apache-2.0
"""compress and decompress: buffers in memory."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import dtypes, levels
from .buffers import fresh_bytearray
from .compressor import compress_stream
from .dtypes import BYTES, DType
from .errors import LimitExceededError, UsageError
from .inputs import Input, MemoryInput, as_bytes_view
from .outputs import MemoryOutput
from .parallel import thread_count
from .random_reader import RandomReader
from .restorer import MemoryTarget, restore_stream
from .segments import Segment, row_values
from .sources.layout import OPAQUE, Layout

if TYPE_CHECKING:
    from typing_extensions import Buffer

BIG_NBYTES = 256 << 20
BIG_FACTOR = 1000


def compress(
    data: Buffer | Any,
    *,
    dtype: object = None,
    shape: Sequence[int] | None = None,
    level: str = "default",
    threads: int | None = None,
) -> bytes:
    """Compress a buffer into a complete stream.

    data   any buffer of bytes or values; arrays are taken in C order
    dtype  what the values are: a safetensors name or a numpy / ml_dtypes dtype. Default: that of
           the array; plain bytes are parsed as a file is, a safetensors file tensor by tensor
    shape  of the values, checked against the size of data
    Raises UsageError.
    """
    view, found = as_values(data)
    chosen = dtypes.find(dtype) if dtype is not None else found
    check_size(len(view), chosen, shape)
    source = MemoryInput(view)
    output = _memory_output(len(view))

    def given() -> tuple[Layout, bytes, list[Segment]]:
        own_shape = getattr(data, "shape", ()) if found else ()
        planned = chosen or BYTES
        row = row_values(shape if shape is not None else own_shape, planned)
        return OPAQUE, b"", [Segment(planned, len(view), row)]

    compress_stream(
        source,
        output,
        level=levels.find(level),
        threads=thread_count(threads),
        progress=None,
        sha256=False,
        given=given if chosen else None,
    )
    return output.finish()


def _memory_output(source_nbytes: int) -> MemoryOutput:
    """Room for a stream that does not shrink, its pages included, where memory has so much."""
    try:
        return MemoryOutput(source_nbytes + source_nbytes // 128 + (64 << 10))
    except MemoryError:
        return MemoryOutput(0)


def decompress(
    data: Buffer,
    *,
    out: Buffer | Any = None,
    threads: int | None = None,
    max_size: int | None = None,
) -> bytearray | memoryview:
    """Restore the exact source bytes of a complete stream.

    out       a writable C-contiguous buffer to decode into; a view of what was filled is returned
    max_size  give up with LimitExceededError when the source is larger than this many bytes
    A source of more than 256 MiB and 1000 times the stream needs max_size (or out): a small stream
    from a stranger would otherwise take all memory.
    Raises UsageError (out too small or read-only), CorruptStreamError and its kinds,
    UnsupportedFormatError, LimitExceededError. On an error `out` may hold anything.
    """
    count = thread_count(threads)
    source = MemoryInput(data, "<stream>")
    nbytes = _announced_nbytes(source)
    if max_size is not None and nbytes > max_size:
        raise LimitExceededError(f"<stream>: expected at most {max_size} bytes, found {nbytes}")
    if out is None and max_size is None and nbytes > max(BIG_NBYTES, BIG_FACTOR * len(source.view)):
        raise LimitExceededError(
            f"<stream>: expected a source of at most {BIG_FACTOR} times the stream, found {nbytes} "
            "bytes; state max_size, or decompress to a file"
        )
    room = _room(out, nbytes)
    view = memoryview(room)
    restore_stream(source, MemoryTarget(view[:nbytes]), threads=count, max_nbytes=max_size)
    return view[:nbytes] if out is not None else room


def _room(out: Any, nbytes: int) -> bytearray | memoryview:
    if out is None:
        try:
            return fresh_bytearray(nbytes)
        except (MemoryError, OverflowError):
            raise LimitExceededError(
                f"<stream>: expected a source that fits in memory, found {nbytes} bytes"
            ) from None
    room = as_bytes_view(_byte_array(out))
    if room.readonly:
        raise UsageError("out: expected a writable buffer, found a read-only one")
    if len(room) < nbytes:
        raise UsageError(f"out: expected room for {nbytes} bytes, found {len(room)}")
    return room


def _announced_nbytes(source: Input) -> int:
    """Size of the source by the stream's directory, which has a checksum of its own."""
    assert isinstance(source, MemoryInput)
    view = source.view
    reader = RandomReader(lambda at, nbytes: view[at : at + nbytes], len(view), source.name)
    return reader.source_nbytes


def _byte_array(data: Any) -> Any:
    """An ml_dtypes array exports no buffer: look at its bytes; everything else passes."""
    if hasattr(data, "__array_interface__") and hasattr(data, "view"):
        import numpy as np

        if isinstance(data, np.ndarray) and data.flags.c_contiguous:
            return data.reshape(-1).view(np.uint8)
    return data


def as_values(data: Any) -> tuple[memoryview, DType | None]:
    """The bytes of `data`, and its dtype when it is an array of values."""
    if hasattr(data, "__array_interface__") and hasattr(data, "dtype"):
        import numpy as np

        array = np.ascontiguousarray(data)
        found = None if array.dtype == np.uint8 else dtypes.find(array.dtype)
        return as_bytes_view(_byte_array(array)), found
    return as_bytes_view(data), None


def check_size(nbytes: int, dtype: DType | None, shape: Sequence[int] | None) -> None:
    """Raise UsageError when data can't be values of this dtype and shape."""
    bits = dtype.bits if dtype else 8
    if 8 * nbytes % bits:
        name = dtype.name if dtype else "bytes"
        raise UsageError(f"data: expected whole {name} values, found {nbytes} bytes")
    if shape is None:
        return
    count = 1
    try:
        sizes = [operator.index(size) for size in shape]
    except TypeError as error:
        raise UsageError(f"shape: expected whole numbers, found {shape!r}") from error
    for size in sizes:
        if size < 0:
            raise UsageError(f"shape: expected sizes of 0 or more, found {tuple(shape)}")
        count *= size
    if count * bits != 8 * nbytes:
        raise UsageError(
            f"shape {tuple(shape)}: expected {count * bits / 8:g} bytes, found {nbytes}"
        )
