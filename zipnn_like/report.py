# SPDX-License-Identifier: Apache-2.0
"""What a run did: sizes, time, totals by dtype and method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Progress = Callable[[int, "int | None"], None]
"""progress(done, total): source bytes; total is None where it is not known."""


@dataclass(frozen=True)
class Totals:
    """Bytes in the source and of their records in the stream (directory not counted)."""

    source_bytes: int
    stored_bytes: int

    def __add__(self, other: Totals) -> Totals:
        """Bytes of both."""
        return Totals(
            self.source_bytes + other.source_bytes, self.stored_bytes + other.stored_bytes
        )


ByMethod = Mapping[str, Mapping[str, Totals]]
"""Totals by dtype, then by method."""


def sum_methods(by_method: ByMethod) -> dict[str, Totals]:
    """Totals by dtype."""
    return {dtype: sum(each.values(), Totals(0, 0)) for dtype, each in by_method.items()}


@dataclass(frozen=True)
class Report:
    """The result of compress_file, decompress_file and verify_file.

    source_bytes, stored_bytes  sizes of the source and of the whole stream
    seconds                     wall-clock time
    by_method                   totals by safetensors dtype name, BYTES for all that has no dtype,
                                then by what stores them: raw, constant, zstd, static, arranged,
                                composed (docs/format.md, section 4), or repeat
    path                        the file that was written, None for file objects and verify
    sha256                      SHA-256 of the source in hex, where the stream records it
    """

    source_bytes: int
    stored_bytes: int
    seconds: float
    by_method: ByMethod
    path: str | None = None
    sha256: str | None = None

    @property
    def by_dtype(self) -> Mapping[str, Totals]:
        """Totals by dtype, those of its methods together."""
        return sum_methods(self.by_method)

    @property
    def ratio(self) -> float:
        """stored_bytes / source_bytes; 1.0 for an empty source."""
        return self.stored_bytes / self.source_bytes if self.source_bytes else 1.0
