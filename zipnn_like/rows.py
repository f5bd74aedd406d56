# SPDX-License-Identifier: Apache-2.0
"""Chunks for an encoder that looks for the scales of rows and columns: cut between rows.

Rows of a matrix differ in scale, and so do its columns (docs/models.md): a chunk that begins and
ends with a row lets both be told apart. Tensors that are too small to pay for tables are joined.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from . import segments
from .dtypes import DType
from .segments import Chunk, Part, Segment

MOST_VALUES = 1 << 18  # of a chunk
JOINED_BELOW = 1 << 16  # smaller tensors share a chunk, and are not seen to be equal or constant
AIM_VALUES = 3 << 16  # a large tensor is cut into chunks of about this size
FLAT_ROW = 64  # values of a row where there are none: the coder changes tables only so often
ROW_MIN, ROW_MAX = 32, 1 << 15  # values; the classes of shorter rows cost more than they save
MATRIX_ROWS = 8  # fewer say little about columns
MOST_PARTS = 1000  # of a chunk, but for the last few


def plan_chunks(planned: Iterable[Segment]) -> Iterator[Chunk]:
    """As segments.plan_chunks, but cut between rows, and with the parts of each chunk."""
    return itertools.chain.from_iterable(
        _plan_by_rows(run) if has_values else segments.plan_chunks(run)
        for has_values, run in itertools.groupby(planned, _has_values)
    )


def _has_values(segment: Segment) -> bool:
    return segment.dtype.modelled and segment.nbytes % segment.dtype.width == 0


def _plan_by_rows(planned: Iterable[Segment]) -> Iterator[Chunk]:
    joined: _Joined | None = None
    for segment in planned:
        if segment.nbytes == 0:
            continue
        count = segment.nbytes // segment.dtype.width
        if joined and not joined.fits(segment.dtype, count):
            yield joined.chunk()
            joined = None
        if count >= JOINED_BELOW:
            if joined:
                yield joined.chunk()
                joined = None
            yield from _cut(segment, count)
        else:
            joined = joined or _Joined(segment.dtype)
            joined.add(segment, count)
    if joined:
        yield joined.chunk()


def _has_matrix(segment: Segment, count: int) -> bool:
    row = segment.row_values
    return ROW_MIN <= row <= ROW_MAX and count % row == 0 and count // row >= MATRIX_ROWS


def _cut(segment: Segment, count: int) -> Iterator[Chunk]:
    """Cut a large tensor into chunks of about equal size."""
    is_matrix = _has_matrix(segment, count)
    row = segment.row_values if is_matrix else FLAT_ROW
    aim = MOST_VALUES if segment.dtype.mixed else AIM_VALUES  # zstd gains by size
    pieces = max(1, round(count / aim))
    rows = -(-(count // row) // pieces)
    rows = max(1, min(rows, MOST_VALUES // row - (not is_matrix)))
    width = segment.dtype.width
    while count:
        values = min(rows * row, count)
        if count - values < row:  # no whole row is left
            values = count
        parts = (Part(values // row, row, True),) if is_matrix else flat_parts(values)
        yield Chunk(segment.dtype, values * width, parts=parts)
        count -= values


def flat_parts(count: int) -> tuple[Part, ...]:
    """Rows of 64 values; the last one may have up to 127."""
    if count < 2 * FLAT_ROW:
        return (Part(1, count, False),)
    whole = Part(count // FLAT_ROW - 1, FLAT_ROW, False)
    return (whole, Part(1, FLAT_ROW + count % FLAT_ROW, False))


class _Joined:
    """Neighbouring small tensors on their way into one chunk."""

    def __init__(self, dtype: DType) -> None:
        self._dtype = dtype
        self._parts: list[Part] = []
        self._values = 0
        self._flat = 0  # values since the last matrix
        self._tensors = 0

    def fits(self, dtype: DType, count: int) -> bool:
        """Another tensor of `count` values may join."""
        has_room = self._values + count <= MOST_VALUES and len(self._parts) < MOST_PARTS
        return dtype is self._dtype and has_room

    def add(self, segment: Segment, count: int) -> None:
        self._tensors += 1
        self._values += count
        if not _has_matrix(segment, count):
            self._flat += count
            return
        self._end_flat()
        self._parts.append(Part(count // segment.row_values, segment.row_values, True))

    def _end_flat(self) -> None:
        if self._flat:
            self._parts += flat_parts(self._flat)
            self._flat = 0

    def chunk(self) -> Chunk:
        self._end_flat()
        nbytes = self._values * self._dtype.width
        return Chunk(self._dtype, nbytes, self._tensors > 1, tuple(self._parts))
