# SPDX-License-Identifier: Apache-2.0
"""Assertions that several test files share."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import zipnn_like as znl
from zipnn_like import reference
from zipnn_like.errors import ZnlError

# What damage may raise; UsageError, SourceError or a bare ZnlError would blame someone else.
DAMAGE = (znl.CorruptStreamError, znl.UnsupportedFormatError, znl.LimitExceededError)
REFUSED = None
MESSAGE = re.compile(r"^.+: (offset \d+|SHA-256 of the source): expected .+, found .+", re.DOTALL)


def check_message(error: ZnlError, file: str) -> None:
    """The message names file, offset, expected and found."""
    text = str(error)
    assert text.startswith(f"{file}: "), text
    assert MESSAGE.match(text), text


def check_restores(stream: bytes, source: bytes, *, by_reference: bool = True) -> None:
    """Every way through the stream gives the source, to the last bit."""
    assert znl.decompress(stream) == source
    assert znl.verify_file(io.BytesIO(stream)).source_bytes == len(source)
    if by_reference:
        assert reference.decode(stream) == source


def raw_bytes(array: Any) -> bytes:
    """The bytes of an array, ml_dtypes' included."""
    return bytes(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def single_bit_flips(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Every version of `data` with one bit flipped, with the bit's number."""
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        yield bit, bytes(damaged)


def names_in(folder: Path) -> set[str]:
    """What lies in a folder, hidden and temporary files included."""
    return {path.name for path in folder.iterdir()}


def outcome(decode: object, stream: bytes) -> bytes | None:
    """What it decodes, REFUSED for an error of the documented kinds."""
    try:
        return bytes(decode(stream))
    except DAMAGE:
        return REFUSED


def sequentially(stream: bytes) -> bytes:
    """From the first byte to the last, the SHA-256 of the source too."""
    out = io.BytesIO()
    znl.verify_file(io.BytesIO(stream), threads=1)
    znl.decompress_file(io.BytesIO(stream), out, threads=1)
    return out.getvalue()


def read_at_random(path: Path) -> bytes:
    """The whole source through the directory."""
    with znl.open(path) as archive:
        return bytes(archive.read(0, archive.source_bytes))


class Dribble(io.RawIOBase):
    """A file object that gives at most `most` bytes at a time, as sockets do.

    by_read  without readinto
    """

    def __init__(self, data: bytes, *, by_read: bool, most: int = 1000) -> None:
        self._rest = memoryview(data)
        self._most = most
        if by_read:
            self.readinto = None  # type: ignore[assignment]

    def readable(self) -> bool:
        return True

    def _take(self, nbytes: int) -> memoryview:
        taken = self._rest[: min(nbytes, 1 + len(self._rest) % self._most)]
        self._rest = self._rest[len(taken) :]
        return taken

    def readinto(self, view: memoryview) -> int:
        taken = self._take(len(view))
        view[: len(taken)] = taken
        return len(taken)

    def read(self, nbytes: int = -1) -> bytes:
        return bytes(self._take(nbytes))
