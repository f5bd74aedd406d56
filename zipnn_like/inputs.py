# SPDX-License-Identifier: Apache-2.0
"""Where bytes come from: a path, a file object or pipe, or memory, read front to back."""

from __future__ import annotations

import io
import os
import stat
from typing import IO, TYPE_CHECKING, Any

from .errors import SourceError, UsageError

if TYPE_CHECKING:
    from typing_extensions import Buffer

PathLike = str | os.PathLike[str]


class Input:
    """Bytes read in order.

    name   for messages
    nbytes size when it is known beforehand, else None
    """

    def __init__(self, name: str, nbytes: int | None) -> None:
        self.name = name
        self.nbytes = nbytes

    def readinto(self, view: memoryview) -> int:
        """Fill `view` and return the bytes read: fewer only at the end of the input."""
        done = 0
        while done < len(view):
            count = self._read_some(view[done:])
            if count == 0:
                break
            done += count
        return done

    def take(self, nbytes: int) -> memoryview:
        """The next `nbytes` bytes: fewer only at the end of the input."""
        buffer = bytearray(nbytes)
        view = memoryview(buffer)
        return view[: self.readinto(view)]

    def lend(self, nbytes: int) -> memoryview | None:
        """As take, without a copy; None where the bytes could change while they are used."""
        return None

    def read(self, nbytes: int) -> bytes:
        """As take, as bytes."""
        return bytes(self.take(nbytes))

    def check_unchanged(self) -> None:
        """Raise SourceError when the file is not what it was when it was opened."""

    def close(self) -> None:
        """Close what this object opened."""

    def _read_some(self, view: memoryview) -> int:
        raise UsageError(f"{self.name}: an input that can't be read")

    def __enter__(self) -> Input:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class MemoryInput(Input):
    """A buffer; take() copies nothing."""

    def __init__(self, data: Buffer, name: str = "<memory>") -> None:
        self.view = as_bytes_view(data)
        super().__init__(name, len(self.view))
        self._offset = 0

    def take(self, nbytes: int) -> memoryview:
        taken = self.view[self._offset : self._offset + nbytes]
        self._offset += len(taken)
        return taken

    def lend(self, nbytes: int) -> memoryview | None:
        return self.take(nbytes) if type(self.view.obj) is bytes else None

    def _read_some(self, view: memoryview) -> int:
        taken = self.take(len(view))
        view[: len(taken)] = taken
        return len(taken)


class FileInput(Input):
    """A file read, not mapped: a mapping kills the process when someone truncates the file."""

    def __init__(self, path: PathLike) -> None:
        name = os.fspath(path)
        try:
            self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed in close()
            self.status = os.fstat(self._file.fileno())
        except OSError as error:
            raise SourceError(f"{name}: {error.strerror or error}") from error
        except ValueError as error:  # a NUL in the name
            raise UsageError(f"{name!r}: {error}") from error
        self._is_regular = stat.S_ISREG(self.status.st_mode)
        super().__init__(name, self.status.st_size if self._is_regular else None)
        self._read_nbytes = 0

    def _read_some(self, view: memoryview) -> int:
        try:
            count = self._file.readinto(view)
        except OSError as error:
            raise SourceError(f"{self.name}: {error.strerror or error}") from error
        if count is None:
            raise SourceError(f"{self.name}: expected a blocking file, found a non-blocking one")
        self._read_nbytes += count
        return count

    def check_unchanged(self) -> None:
        if not self._is_regular:
            return
        now = os.fstat(self._file.fileno())
        same = now.st_size == self.status.st_size and now.st_mtime_ns == self.status.st_mtime_ns
        if not same or self._read_nbytes != self.status.st_size:
            raise SourceError(
                f"{self.name}: expected {self.status.st_size} bytes that stay as they are, found a "
                f"file of {now.st_size} bytes that changed while it was read; nothing was written"
            )

    def close(self) -> None:
        self._file.close()


class StreamInput(Input):
    """A binary file object that the caller owns."""

    def __init__(self, file: IO[bytes]) -> None:
        name = getattr(file, "name", None)
        super().__init__(name if isinstance(name, str) else "<stream>", None)
        self._file: Any = file
        # readinto of a buffered reader loops in C, where a Ctrl-C waits for a pipe that stalls.
        self._readinto = getattr(file, "readinto1", getattr(file, "readinto", None))

    def _read_some(self, view: memoryview) -> int:
        try:
            if self._readinto is not None:
                count: int | None = self._readinto(view)
            else:
                piece = self._file.read(len(view))
                count = None if piece is None else len(piece)
                view[: count or 0] = piece or b""
        except ValueError as error:  # closed, or more bytes than were asked for
            raise SourceError(f"{self.name}: can't be read: {error}") from error
        except OSError as error:
            raise SourceError(f"{self.name}: {error.strerror or error}") from error
        if count is None:
            # "No data yet" must not pass for the end: the archive would hold a part and look whole.
            raise SourceError(f"{self.name}: expected a blocking file, found a non-blocking one")
        if not 0 <= count <= len(view):
            raise SourceError(f"{self.name}: expected 0 to {len(view)} bytes read, found {count}")
        return count


def as_bytes_view(data: Buffer) -> memoryview:
    """Any C-contiguous buffer as a flat view of bytes; UsageError for others."""
    if isinstance(data, (str, os.PathLike)):
        raise UsageError("expected a buffer, found a path: files are for compress_file and its kin")
    try:
        view = memoryview(data)
        if view.format == "B" and view.ndim == 1 and view.c_contiguous:
            return view
        if view.nbytes == 0:  # which cast() refuses
            return memoryview(b"" if view.readonly else bytearray())
        return view.cast("B")
    except (TypeError, ValueError) as error:
        # Of torch, which is not imported for this.
        hint = (
            "; a tensor goes in as t.numpy(), in bfloat16 as t.view(torch.uint16).numpy() with "
            'dtype="BF16"'
            if hasattr(data, "detach")
            else ""
        )
        raise UsageError(f"expected a C-contiguous buffer of bytes: {error}{hint}") from error


def open_input(source: PathLike | IO[bytes]) -> Input:
    """Open a path, or wrap a binary file object. Raises SourceError, UsageError."""
    if isinstance(source, (str, os.PathLike)):
        if os.path.isdir(source):
            raise SourceError(f"{os.fspath(source)}: expected a file, found a folder")
        return FileInput(source)
    if isinstance(source, io.TextIOBase):
        raise UsageError("expected a binary file object, found one of text")
    if hasattr(source, "read"):
        return StreamInput(source)
    raise UsageError(f"expected a path or a binary file object, found {type(source).__name__}")
