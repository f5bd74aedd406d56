# SPDX-License-Identifier: Apache-2.0
"""Where bytes go: a file that gets its name only when it is complete, a file object, or nowhere."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from types import TracebackType
from typing import IO, Any

from .errors import UsageError, ZnlError
from .inputs import Input, PathLike

BUFFER_NBYTES = 1 << 20


class Output:
    """Bytes written in order; the base writes nowhere (verify)."""

    name = "<nowhere>"
    path: str | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data`."""

    def commit(self) -> None:
        """Everything was written and checked: make it visible."""

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop what was not committed."""


class CompareOutput(Output):
    """Compares what is written with another input instead of storing it."""

    def __init__(self, other: Input) -> None:
        self.name = other.name
        self._other = other
        self._offset = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        expected = self._other.take(len(data))
        if expected != data:
            raise ZnlError(
                f"{self.name}: offset {self._offset}: expected the bytes that the stream decodes "
                f"to, found others in the next {len(data)} bytes"
            )
        self._offset += len(data)

    def commit(self) -> None:
        if self._other.take(1):
            raise ZnlError(
                f"{self.name}: offset {self._offset}: expected its end, found more bytes"
            )


class StreamOutput(Output):
    """A binary file object that the caller owns; what is written can't be taken back."""

    def __init__(self, file: IO[bytes]) -> None:
        name = getattr(file, "name", None)
        self.name = name if isinstance(name, str) else "<stream>"
        self._file: Any = file

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        while len(view):
            count = self._file.write(view)
            if count is None:
                raise ZnlError(f"{self.name}: expected a blocking file, found a non-blocking one")
            view = view[count:]

    def commit(self) -> None:
        if hasattr(self._file, "flush"):
            self._file.flush()


class FileOutput(Output):
    """A temporary file beside the target that takes the target's name in commit().

    Raises ZnlError when the target exists and overwrite is False, and for every failure to write.
    """

    def __init__(self, path: PathLike, *, overwrite: bool, like: Input | None = None) -> None:
        self.path = os.fspath(path)
        self.name = self.path
        self._overwrite = overwrite
        self._like: os.stat_result | None = getattr(like, "status", None)
        self._copies_mode = self._like is not None and stat.S_ISREG(self._like.st_mode)
        folder = os.path.dirname(self.path) or "."
        self._check_target()
        if not overwrite and os.path.lexists(self.path):
            raise ZnlError(f"{self.path}: exists already; force (-f, overwrite=True) to replace it")
        self._temporary = os.path.join(folder, f".znl-{secrets.token_hex(8)}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            # What copies a private file is private from its first byte on.
            descriptor = os.open(self._temporary, flags, 0o600 if self._copies_mode else 0o666)
        except OSError as error:
            raise self._failure(error) from error
        self._file = os.fdopen(descriptor, "wb", buffering=BUFFER_NBYTES)

    def _check_target(self) -> None:
        """What stands under the target's name must be a file that may be replaced, or nothing."""
        try:
            found = os.stat(self.name)
        except OSError:
            return
        if stat.S_ISDIR(found.st_mode):
            raise ZnlError(f"{self.name}: expected a file name, found a folder")
        if not stat.S_ISREG(found.st_mode):
            # Renaming over a device or pipe would destroy it.
            raise UsageError(f"{self.name}: found a device or pipe: pass it as an open file object")
        if self._like and os.path.samestat(found, self._like):
            raise UsageError(f"{self.name}: input and output are the same file")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failure(error) from error

    def commit(self) -> None:
        try:
            self._file.flush()
            self._copy_attributes()
            os.fsync(self._file.fileno())
            self._file.close()
            self._take_name()
        except OSError as error:
            raise self._failure(error) from error

    def _copy_attributes(self) -> None:
        """Give the output the mode and times of the file it was made from."""
        if self._like and self._copies_mode:
            os.chmod(self._temporary, stat.S_IMODE(self._like.st_mode))
            os.utime(self._temporary, ns=(self._like.st_atime_ns, self._like.st_mtime_ns))

    def _take_name(self) -> None:
        if not self._overwrite and hasattr(os, "link"):
            try:
                os.link(self._temporary, self.name)  # unlike rename, fails when the name is taken
                os.unlink(self._temporary)
                return
            except FileExistsError:
                raise ZnlError(f"{self.path}: appeared while it was being written") from None
            except OSError:
                pass  # a file system without hard links
        os.replace(self._temporary, self.name)

    def _failure(self, error: OSError) -> ZnlError:
        return ZnlError(f"{self.path}: can't be written: {error.strerror or error}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Closing flushes, which fails again on a full disk: the first error is the one to tell.
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)


def open_output(
    target: PathLike | IO[bytes], *, overwrite: bool, like: Input | None = None
) -> Output:
    """An Output for a path or a file object; `like`: whose mode and times a file takes."""
    if isinstance(target, (str, os.PathLike)):
        return FileOutput(target, overwrite=overwrite, like=like)
    if hasattr(target, "write"):
        return StreamOutput(target)
    raise UsageError(f"expected a path or a binary file object, found {type(target).__name__}")
