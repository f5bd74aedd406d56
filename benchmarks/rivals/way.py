# SPDX-License-Identifier: Apache-2.0
"""What a rival offers: whole files in, bytes out from which alone the file comes back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

UNFINISHED = "did not finish"
"""The failure that stands for a way until it has a result."""


@dataclass(frozen=True)
class Way:
    """One setting of a rival.

    compress     bytes of a file -> wire; the rival's size is len(wire)
    decompress   wire -> bytes of the file, from the wire alone
    """

    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes], bytes]


def by_path(
    compress: Callable[[Path, Path], object], decompress: Callable[[Path, Path], object]
) -> Way:
    """A Way of two functions (from, to) that work on paths: `to` is a file that they make."""
    return Way(
        lambda source: _through_files(compress, source, "in.safetensors", "out.wire"),
        lambda wire: _through_files(decompress, wire, "in.wire", "out.safetensors"),
    )


def _through_files(
    convert: Callable[[Path, Path], object], content: bytes, source_name: str, target_name: str
) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, source_name), Path(folder, target_name)
        source.write_bytes(content)
        convert(source, target)
        return target.read_bytes()
