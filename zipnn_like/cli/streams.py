# SPDX-License-Identifier: Apache-2.0
"""What `-` and devices stand for: file objects in the place of paths, and never a terminal."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ..errors import UsageError, ZnlError

STREAM = "-"  # standard input or output, in the place of a path


def input_of(path: str) -> str | BinaryIO:
    """What the API reads for `path`."""
    return standard_input() if path == STREAM else path


@contextmanager
def output_to(path: str) -> Iterator[str | BinaryIO]:
    """What the API writes for `path`; UsageError for a terminal."""
    if path == STREAM:
        yield standard_output()
    elif is_device_or_pipe(path):
        # As a path, a file would take the place of the device (`-f -o /dev/null`).
        with open(path, "wb") as out:
            _refuse_terminal(out, path)
            yield out
    else:
        yield path


def standard_input() -> BinaryIO:
    """The bytes of standard input."""
    if sys.stdin is None:
        raise ZnlError("standard input is closed")
    # Unbuffered: a buffered reader loops in C, where a Ctrl-C waits for a pipe that stalls.
    raw: BinaryIO = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
    return raw


def standard_output() -> BinaryIO:
    """Standard output for bytes; UsageError if a terminal would show them."""
    if sys.stdout is None:
        raise ZnlError("standard output is closed")
    _refuse_terminal(sys.stdout.buffer, "standard output")
    return sys.stdout.buffer


def is_device_or_pipe(path: str) -> bool:
    """Something that exists and is neither a regular file nor a folder."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _refuse_terminal(out: BinaryIO, name: str) -> None:
    if out.isatty():
        raise UsageError(f"{name}: is a terminal, which binary data would garble; redirect it")
