# SPDX-License-Identifier: Apache-2.0
"""What a run did: sizes, time, totals by dtype."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Progress = Callable[[int, "int | None"], None]
"""progress(done, total): source bytes; total is None where it is not known."""


@dataclass(frozen=True)
class Totals:
    """Bytes of one dtype in the source and of its records in the stream (directory not counted)."""

    source_bytes: int
    stored_bytes: int


@dataclass(frozen=True)
class Report:
    """The result of compress_file, decompress_file and verify_file.

    source_bytes, stored_bytes  sizes of the source and of the whole stream
    seconds                     wall-clock time
    by_dtype                    totals by safetensors dtype name; BYTES for all that has no dtype
    path                        the file that was written, None for file objects and verify
    sha256                      SHA-256 of the source in hex, where the stream records it
    """

    source_bytes: int
    stored_bytes: int
    seconds: float
    by_dtype: Mapping[str, Totals]
    path: str | None = None
    sha256: str | None = None

    @property
    def ratio(self) -> float:
        """stored_bytes / source_bytes; 1.0 for an empty source."""
        return self.stored_bytes / self.source_bytes if self.source_bytes else 1.0
