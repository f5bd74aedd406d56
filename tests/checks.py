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
