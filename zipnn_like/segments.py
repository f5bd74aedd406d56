# SPDX-License-Identifier: Apache-2.0
"""From the layout of a source to batches of chunks: arithmetic only, no I/O.

The plan depends on the container's header alone, never on how long the source turns out to be, so
that files and pipes give the same stream.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from .dtypes import BYTES, DType

CHUNK_VALUES = 1 << 17
CHUNK_VALUES_OF_BYTES = 1 << 18
OPAQUE_CHUNK_NBYTES = 3 << 20  # a multiple of 3, as packed 6-bit values need
SMALL_VALUES = 1 << 13  # tensors below this are joined ...
JOINED_VALUES = 1 << 16  # ... into chunks of at most this many values
BATCH_NBYTES = 4 << 20
BATCH_CHUNKS = 64
LONG_KERNEL = 64  # values


@dataclass(frozen=True)
class Segment:
    """A run of source bytes of one dtype: a tensor, or bytes between tensors.

    row_values    values of a row, 0 when it has no rows
    stack_values  values of a matrix of a stack of them, 0 when it is not a stack
    """

    dtype: DType
    nbytes: int
    row_values: int = 0
    stack_values: int = 0


class Part(NamedTuple):
    """Rows of values that a chunk holds; is_matrix: the columns mean something as well."""

    rows: int
    row_values: int
    is_matrix: bool


class Chunk(NamedTuple):
    """The part of the source that is coded as one.

    is_joined  it holds several small segments
    parts      all its values, when the encoder is to look for scales of rows and columns
    members    the small segments in it, where its contents may part them again (contents.py)
    recurs     it is equal to another chunk, and stays as it is to be found
    """

    dtype: DType
    nbytes: int
    is_joined: bool = False
    parts: tuple[Part, ...] = ()
    members: tuple[Segment, ...] = ()
    recurs: bool = False


@dataclass(frozen=True)
class Batch:
    """Adjacent chunks of one dtype, read and coded together."""

    dtype: DType
    chunks: tuple[Chunk, ...]

    @cached_property
    def nbytes(self) -> int:
        """Source bytes of the batch."""
        return sum(chunk.nbytes for chunk in self.chunks)


def chunk_nbytes(dtype: DType) -> int:
    """Source bytes of a full chunk."""
    if not dtype.modelled:
        return OPAQUE_CHUNK_NBYTES
    return dtype.width * (CHUNK_VALUES_OF_BYTES if dtype.width == 1 else CHUNK_VALUES)


def row_values(shape: Sequence[int], dtype: DType) -> int:
    """Values of a row of a tensor as chunks count them, 0 when it has only one dimension.

    A row is all dimensions but the first. A long kernel of a convolution is a row of its own.
    """
    if len(shape) < 2:
        return 0
    kernel = math.prod(shape[2:]) if len(shape) > 2 else 0
    row = kernel if kernel >= LONG_KERNEL else math.prod(shape[1:])
    return row * dtype.bits // (8 * dtype.width)  # C64: two values an element


def segment_of(dtype: DType, nbytes: int, shape: Sequence[int]) -> Segment:
    """The segment of a tensor."""
    stack = nbytes // dtype.width // shape[0] if len(shape) == 3 and shape[0] else 0
    return Segment(dtype, nbytes, row_values(shape, dtype), stack)


def plan_chunks(segments: Iterable[Segment]) -> Iterator[Chunk]:
    """Cut segments into chunks, joining adjacent small ones of one dtype."""
    joined: Chunk | None = None
    for segment in segments:
        if segment.nbytes == 0:
            continue
        dtype = segment.dtype
        is_small = dtype is not BYTES and segment.nbytes < SMALL_VALUES * dtype.width
        room = JOINED_VALUES * dtype.width - (joined.nbytes if joined else 0)
        if joined and not (is_small and joined.dtype is dtype and segment.nbytes <= room):
            yield joined
            joined = None
        if is_small:
            joined = (
                Chunk(dtype, joined.nbytes + segment.nbytes, is_joined=True)
                if joined
                else Chunk(dtype, segment.nbytes)
            )
            continue
        full = chunk_nbytes(dtype)
        yield from itertools.repeat(Chunk(dtype, full), segment.nbytes // full)
        if segment.nbytes % full:
            yield Chunk(dtype, segment.nbytes % full)
    if joined:
        yield joined


def plan_batches(chunks: Iterable[Chunk]) -> Iterator[Batch]:
    """Group adjacent chunks of one dtype up to BATCH_NBYTES."""
    held: list[Chunk] = []
    held_nbytes = 0
    for chunk in chunks:
        fits = held_nbytes + chunk.nbytes <= BATCH_NBYTES and len(held) < BATCH_CHUNKS
        if held and not (fits and held[0].dtype is chunk.dtype):
            yield Batch(held[0].dtype, tuple(held))
            held, held_nbytes = [], 0
        held.append(chunk)
        held_nbytes += chunk.nbytes
    if held:
        yield Batch(held[0].dtype, tuple(held))


def cut_short(batch: Batch, nbytes: int) -> list[Batch]:
    """What is left of a batch when the source ends inside it: whole chunks, then plain bytes."""
    whole: list[Chunk] = []
    for chunk in batch.chunks:
        if chunk.nbytes > nbytes:
            break
        whole.append(chunk)
        nbytes -= chunk.nbytes
    batches = [Batch(batch.dtype, tuple(whole))] if whole else []
    return batches + ([Batch(BYTES, (Chunk(BYTES, nbytes),))] if nbytes else [])


def endless_bytes() -> Iterator[Batch]:
    """The plan for a source without a layout, and for what follows the last tensor."""
    while True:
        yield Batch(BYTES, (Chunk(BYTES, OPAQUE_CHUNK_NBYTES),))
