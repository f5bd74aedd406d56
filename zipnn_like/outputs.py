# SPDX-License-Identifier: Apache-2.0
"""Where bytes go: a file that gets its name only when it is complete, a file object, or nowhere."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from typing import IO, Any

from .buffers import LARGE_NBYTES
from .errors import UsageError, ZnlError
from .inputs import Input, PathLike
from .native import advise_large_pages

PERMISSIONS = 0o777  # the bits of a mode that are copied: never set-user-id, set-group-id, sticky
_BY_DESCRIPTOR = {os.chmod, os.utime} <= os.supports_fd


def _numbers(*names: str) -> frozenset[int]:
    """The errno values of these names; not every system has all."""
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


# How a file system says that it has no hard links, or none for this user, this file or this folder.
_NO_LINKS = _numbers("EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV", "EACCES")
if os.name == "nt":
    _NO_LINKS |= _numbers("EINVAL")  # FAT
# How a file system says that a folder can't be synchronised.
_NO_FOLDER_SYNC = _numbers("EINVAL", "ENOTSUP", "EOPNOTSUPP", "EACCES")


class Output:
    """Bytes written in order; the base writes nowhere (verify)."""

    name = "<nowhere>"
    path: str | None = None
    _room = bytearray()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of `data`."""

    def reserve(self, nbytes: int) -> memoryview:
        """Room for at most `nbytes` bytes to come, of which advance() then writes the first."""
        if len(self._room) < nbytes:
            self._room = bytearray(nbytes)
        return memoryview(self._room)[:nbytes]

    def advance(self, nbytes: int) -> None:
        """Write the first bytes of the room that reserve() gave; the caller keeps no view of it."""
        self.write(memoryview(self._room)[:nbytes])

    def commit(self) -> None:
        """Everything was written and checked: make it visible."""

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *exception: object) -> None:
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
            try:
                count = self._file.write(view)
            except BrokenPipeError:
                raise  # its reader has seen enough, which is no fault of the output
            except OSError as error:
                raise _failure(self.name, error) from error
            except ValueError as error:  # a file object that was closed
                raise UsageError(f"{self.name}: can't be written: {error}") from error
            if count is None:
                raise ZnlError(f"{self.name}: expected a blocking file, found a non-blocking one")
            if not 0 < count <= len(view):
                raise ZnlError(
                    f"{self.name}: expected 1 to {len(view)} bytes written, found {count}"
                )
            view = view[count:]

    def commit(self) -> None:
        if not hasattr(self._file, "flush"):
            return
        try:
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _failure(self.name, error) from error


class MemoryOutput(Output):
    """Collects a stream in memory; records are framed where they stay.

    expected_nbytes  how many bytes may come: more are taken, at the cost of a copy
    """

    name = "<stream>"

    def __init__(self, expected_nbytes: int) -> None:
        # Untouched zero pages of the system, cut off in finish(): nothing is copied on the way.
        self._file = io.BytesIO(bytes(expected_nbytes))
        self._nbytes = 0
        if expected_nbytes >= LARGE_NBYTES:
            with self._file.getbuffer() as room:
                advise_large_pages(room)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._file.seek(self._nbytes)
        self._nbytes += self._file.write(data)

    def reserve(self, nbytes: int) -> memoryview:
        missing = self._nbytes + nbytes - self._file.seek(0, os.SEEK_END)
        if missing > 0:
            self._file.write(bytes(missing + self._nbytes // 2))
        return self._file.getbuffer()[self._nbytes : self._nbytes + nbytes]

    def advance(self, nbytes: int) -> None:
        self._nbytes += nbytes

    def finish(self) -> bytes:
        """All that was written; the end of this output."""
        self._file.truncate(self._nbytes)
        return self._file.getvalue()


class FileOutput(Output):
    """A temporary file beside the target that takes the target's name in commit().

    Raises ZnlError when the target exists and overwrite is False, and for every failure to write.
    """

    def __init__(self, path: PathLike, *, overwrite: bool, like: Input | None = None) -> None:
        self.path = os.fspath(path)
        # A link is written through, as any program that opens its output would.
        self.name = os.path.realpath(self.path) if os.path.islink(self.path) else self.path
        self._overwrite = overwrite
        self._like: os.stat_result | None = getattr(like, "status", None)
        self._copies_mode = self._like is not None and stat.S_ISREG(self._like.st_mode)
        self._folder = os.path.dirname(self.name) or "."
        self._check_target()
        if not overwrite and os.path.lexists(self.path):
            raise ZnlError(f"{self.path}: exists already; force (-f, overwrite=True) to replace it")
        self._temporary = os.path.join(self._folder, f".znl-{os.urandom(8).hex()}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            # What copies a private file is private from its first byte on.
            descriptor = os.open(self._temporary, flags, 0o600 if self._copies_mode else 0o666)
        except OSError as error:
            raise _failure(self.name, error) from error
        self._file = os.fdopen(descriptor, "wb", buffering=0)

    def _check_target(self) -> None:
        """What stands under the target's name must be a file that may be replaced, or nothing."""
        try:
            found = os.stat(self.name)
        except OSError:
            return
        except ValueError as error:  # a NUL in the name
            raise UsageError(f"{self.path!r}: {error}") from error
        if stat.S_ISDIR(found.st_mode):
            raise ZnlError(f"{self.name}: expected a file name, found a folder")
        if not stat.S_ISREG(found.st_mode):
            # Renaming over a device or pipe would destroy it.
            raise UsageError(f"{self.name}: found a device or pipe: pass it as an open file object")
        if self._like and os.path.samestat(found, self._like):
            raise UsageError(f"{self.name}: input and output are the same file")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        try:
            while len(view):
                view = view[self._file.write(view) :]
        except OSError as error:
            raise _failure(self.name, error) from error

    def commit(self) -> None:
        try:
            self._copy_attributes()
            os.fsync(self._file.fileno())
            self._file.close()
            self._take_name()
        except OSError as error:
            raise _failure(self.name, error) from error
        try:
            _sync_folder(self._folder)
        except OSError as error:
            raise ZnlError(
                f"{self.name}: is complete, but its name may not outlive a crash: "
                f"{error.strerror or error}"
            ) from error

    def _copy_attributes(self) -> None:
        """Give the output the permissions and times of the file it was made from."""
        if self._like and self._copies_mode:
            file = self._file.fileno() if _BY_DESCRIPTOR else self._temporary
            copy_attributes(file, self._like)

    def _take_name(self) -> None:
        """Rename the temporary file; unless `overwrite`, only where the name is still free."""
        if self._overwrite:
            os.replace(self._temporary, self.name)
            return
        try:
            # Unlike a rename, both ways fail when the name is taken.
            if not self._link():
                self._reserve_and_replace()
        except FileExistsError:
            raise ZnlError(f"{self.path}: appeared while it was being written") from None

    def _link(self) -> bool:
        """Give the file its name beside the temporary one; False where there are no hard links."""
        try:
            os.link(self._temporary, self.name)
        except OSError as error:
            if error.errno in _NO_LINKS:
                return False
            raise
        with contextlib.suppress(OSError):  # the file has its name, so this is no failure to write
            os.unlink(self._temporary)
        return True

    def _reserve_and_replace(self) -> None:
        """Put an empty file under the name first: what is replaced is then ours."""
        os.close(os.open(self.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            os.replace(self._temporary, self.name)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(self.name)
            raise

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):  # mostly there is none: it has its name
            os.unlink(self._temporary)


def copy_attributes(file: int | str, like: os.stat_result) -> None:
    """Give a file or folder the permissions and times of `like`, as far as the system allows.

    file  a path, or a descriptor where the system takes one
    """
    with contextlib.suppress(OSError):
        special = stat.S_IMODE(os.stat(file).st_mode) & ~PERMISSIONS  # as a folder inherits them
        os.chmod(file, special | like.st_mode & PERMISSIONS)
    with contextlib.suppress(OSError):
        os.utime(file, ns=(like.st_atime_ns, like.st_mtime_ns))


def _sync_folder(folder: str) -> None:
    """Make the names in a folder outlive a crash, where the system can."""
    if os.name == "nt":  # opens no folders
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def _failure(name: str, error: OSError) -> ZnlError:
    return ZnlError(f"{name}: can't be written: {error.strerror or error}")


def open_output(
    target: PathLike | IO[bytes], *, overwrite: bool, like: Input | None = None
) -> Output:
    """An Output for a path or a file object; `like`: whose mode and times a file takes."""
    if isinstance(target, (str, os.PathLike)):
        return FileOutput(target, overwrite=overwrite, like=like)
    if isinstance(target, io.TextIOBase):
        raise UsageError("expected a binary file object, found one of text")
    if hasattr(target, "write"):
        return StreamOutput(target)
    raise UsageError(f"expected a path or a binary file object, found {type(target).__name__}")
