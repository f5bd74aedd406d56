# SPDX-License-Identifier: Apache-2.0
"""Buffers that are used again: fresh memory takes writes at a quarter of warm memory's speed."""

from __future__ import annotations

from collections import deque

from .native import advise_large_pages

LARGE_NBYTES = 4 << 20  # from here on page faults cost more than asking for large pages


def fresh_bytearray(nbytes: int) -> bytearray:
    """A bytearray of any contents, in large pages where the system has them.

    bytearray(n) would write zeros first, which takes as long as decoding over them.
    """
    if nbytes < LARGE_NBYTES:
        return bytearray(nbytes)
    try:
        import ctypes

        prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_char_p, ctypes.c_ssize_t)
        new = prototype(("PyByteArray_FromStringAndSize", ctypes.pythonapi))
    except (ImportError, AttributeError):  # built without libffi; not CPython
        return bytearray(nbytes)
    room: bytearray = new(None, nbytes)
    advise_large_pages(room)
    return room


class BufferPool:
    """Recycles bytearrays of one size; threads may share it (list operations are atomic).

    most_free  buffers that may lie idle, about; default: all
    """

    def __init__(self, nbytes: int, most_free: int | None = None) -> None:
        self.nbytes = nbytes
        self._most_free = most_free
        self._free: list[bytearray] = []

    def take(self, nbytes: int | None = None) -> bytearray:
        """A buffer of at least `nbytes`, with any contents.

        Only what fills half of a recycled buffer gets one: a Window holds thousands of small ones.
        """
        if nbytes is not None and not self.nbytes // 2 <= nbytes <= self.nbytes:
            return bytearray(nbytes)
        try:
            return self._free.pop()
        except IndexError:
            return bytearray(self.nbytes)

    def give(self, buffer: bytearray) -> None:
        """Hand a buffer back; the caller keeps no view of it."""
        if len(buffer) == self.nbytes and (
            self._most_free is None or len(self._free) < self._most_free
        ):
            self._free.append(buffer)


class Lease:
    """A buffer of a pool with several users: it goes back when the last of them lets go.

    For one thread: the one that reads the stream and takes back what was decoded.
    """

    def __init__(self, pool: BufferPool, buffer: bytearray) -> None:
        self._pool = pool
        self.buffer = buffer
        self._users = 1

    def share(self) -> Lease:
        """One user more."""
        self._users += 1
        return self

    def release(self) -> None:
        """One user less."""
        self._users -= 1
        if self._users == 0:
            self._pool.give(self.buffer)


class Window:
    """Keeps the buffers of the last `nbytes` of a source; older ones go back to their pool."""

    def __init__(self, nbytes: int, pool: BufferPool) -> None:
        self._nbytes = nbytes
        self._pool = pool
        self._held: deque[tuple[int, bytearray]] = deque()

    def push(self, stop: int, buffer: bytearray) -> None:
        """Hold a buffer whose last byte in use lies before source offset `stop`.

        The same buffer as before goes on where it ended.
        """
        if self._held and self._held[-1][1] is buffer:
            self._held.pop()
        self._held.append((stop, buffer))
        while self._held and self._held[0][0] <= stop - self._nbytes:
            self._pool.give(self._held.popleft()[1])
