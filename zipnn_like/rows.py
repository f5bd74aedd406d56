# SPDX-License-Identifier: Apache-2.0
"""Chunks for an encoder that looks for the scales of rows and columns: cut between rows.

Rows of a matrix differ in scale, and so do its columns (docs/models.md): a chunk that begins and
ends with a row lets both be told apart. Tensors that are too small to pay for tables are joined.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from . import segments
from .dtypes import DType
from .segments import SMALL_VALUES, Chunk, Part, Segment

MOST_VALUES = 1 << 18  # of a chunk
JOINED_BELOW = 1 << 16  # smaller tensors share a chunk, unless their contents part them
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
        is_stack = _is_stack(segment)
        is_alone = is_stack or count >= JOINED_BELOW
        if joined and (is_alone or not joined.fits(segment.dtype, count)):
            yield joined.chunk()
            joined = None
        if is_stack:
            yield from _plan_by_rows(_matrices(segment))
        elif is_alone:
            yield from _cut(segment, count)
        else:
            joined = joined or _Joined(segment.dtype)
            joined.add(segment, count)
    if joined:
        yield joined.chunk()


def join(members: Sequence[Segment]) -> Chunk:
    """One chunk of neighbouring small tensors of one dtype."""
    joined = _Joined(members[0].dtype)
    for segment in members:
        joined.add(segment, segment.nbytes // segment.dtype.width)
    return joined.chunk()


def cut_rows(chunk: Chunk, first: int, last: int) -> list[Chunk]:
    """Cut a chunk of one large tensor so that all whole rows of its values [first, last) are one.

    Returns the chunk itself, alone, when there are none.
    """
    part = chunk.parts[0]
    count = chunk.nbytes // chunk.dtype.width
    begin = -(-first // part.row_values) * part.row_values
    end = count if last == count else last // part.row_values * part.row_values
    if begin >= end or (begin, end) == (0, count):
        return [chunk]
    sizes = (size for size in (begin, end - begin, count - end) if size)
    return [_rows_of(chunk.dtype, size, part) for size in sizes]


def _rows_of(dtype: DType, count: int, like: Part) -> Chunk:
    rows = Part(count // like.row_values, like.row_values, True)
    parts = (rows,) if like.is_matrix else flat_parts(count)
    return Chunk(dtype, count * dtype.width, parts=parts)


def _has_matrix(segment: Segment, count: int) -> bool:
    row = segment.row_values
    return ROW_MIN <= row <= ROW_MAX and count % row == 0 and count // row >= MATRIX_ROWS


def _is_stack(segment: Segment) -> bool:
    """Its matrices are segments of their own: experts that are copies are seen to be equal."""
    matrix = segment.stack_values
    is_matrix = matrix >= SMALL_VALUES and matrix > segment.row_values
    nbytes = matrix * segment.dtype.width
    is_many = segment.nbytes > nbytes and segment.nbytes % max(1, nbytes) == 0
    return is_matrix and is_many and not segment.dtype.mixed


def _matrices(stack: Segment) -> Iterator[Segment]:
    nbytes = stack.stack_values * stack.dtype.width
    matrix = Segment(stack.dtype, nbytes, stack.row_values)
    return itertools.repeat(matrix, stack.nbytes // nbytes)


def _cut(segment: Segment, count: int) -> Iterator[Chunk]:
    """Cut a large tensor into chunks of about equal size."""
    is_matrix = _has_matrix(segment, count)
    row = segment.row_values if is_matrix else FLAT_ROW
    aim = MOST_VALUES if segment.dtype.mixed else AIM_VALUES  # zstd gains by size
    pieces = max(1, round(count / aim))
    rows = -(-(count // row) // pieces)
    rows = max(1, min(rows, MOST_VALUES // row - (not is_matrix)))
    width = segment.dtype.width
    chunk: Chunk | None = None
    while count:
        values = min(rows * row, count)
        if count - values < row:  # no whole row is left
            values = count
        if chunk is None or chunk.nbytes != values * width:
            parts = (Part(values // row, row, True),) if is_matrix else flat_parts(values)
            chunk = Chunk(segment.dtype, values * width, parts=parts)
        yield chunk
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
        self._members: list[Segment] = []

    def fits(self, dtype: DType, count: int) -> bool:
        """Another tensor of `count` values may join."""
        has_room = self._values + count <= MOST_VALUES and len(self._parts) < MOST_PARTS
        return dtype is self._dtype and has_room

    def add(self, segment: Segment, count: int) -> None:
        self._members.append(segment)
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
        is_joined = len(self._members) > 1
        return Chunk(self._dtype, nbytes, is_joined, tuple(self._parts), tuple(self._members))
