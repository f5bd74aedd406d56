# SPDX-License-Identifier: Apache-2.0
"""Chunks of every method to wire and back: those of chunk_codec.py, and composed ones.

A composed chunk is taken apart into sub-chunks, which chunk_codec.py codes (composed_chunk.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from . import chunk_codec
from .chunk_codec import Run
from .dtypes import BYTES, DType
from .format import COMPOSED
from .levels import Level
from .native import ffi, lib
from .segments import Batch


def encode_batch(batch: Batch, source: memoryview, level: Level, bodies: memoryview) -> Run:
    """Encode adjacent chunks of one dtype, each by the method that makes it smallest.

    source, bodies  as for chunk_codec.encode_simply
    """
    run = chunk_codec.encode_simply(batch, source, level, bodies)
    if not level.composes or batch.dtype is BYTES:
        return run
    for number in _worth_a_look(run, batch.dtype):
        from . import composed_chunk  # imports numpy, which weights do not need

        start = sum(plan.nbytes for plan in batch.chunks[:number])
        plan = batch.chunks[number]
        part = source[start : start + plan.nbytes]
        composed_chunk.compose(run, run.chunks[number], part, plan, level)
    return run


def _worth_a_look(run: Run, dtype: DType) -> Iterable[int]:
    """The numbers of the chunks that might be smaller, by the cheapest of tests."""
    if not dtype.modelled:
        return range(run.count)
    numbers = ffi.new("uint32_t[]", run.count)
    count = lib.znl_list_composable(run.chunks, run.count, numbers)
    return [int(number) for number in numbers[0:count]]


def decode_run(run: Run, target: memoryview, *, has_left: bool = True) -> None:
    """Decode all chunks of a run but the repeats into a view of its source_nbytes; check checksums.

    has_left  some chunks may be zstd frames, composed or repeats
    Raises CorruptStreamError, ChecksumError, UnsupportedFormatError.
    """
    chunk_codec.decode_simply(run, target, has_left=has_left)
    if not has_left:
        return
    offset = first_table = 0
    for chunk in run.chunks[0 : run.count]:
        if chunk.method == COMPOSED and chunk.distance == 0:
            from . import composed_chunk

            part = target[offset : offset + chunk.source_nbytes]
            composed_chunk.restore(run, chunk, first_table, part)
        offset += chunk.source_nbytes
        first_table += chunk.table_count
