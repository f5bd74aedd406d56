# SPDX-License-Identifier: Apache-2.0
"""A batch coded in the ways that may be smallest: by rows, as `fast` would, in long zstd frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from . import format, native
from .chunk_codec import (
    Run,
    bodies_nbytes,
    pack_bytes,
    set_packed,
    stored_nbytes,
)
from .composed import encode_batch
from .dtypes import BYTES
from .format import CONSTANT, ZSTD
from .levels import Level
from .native import ffi, lib
from .segments import OPAQUE_CHUNK_NBYTES, Batch, Chunk, plan_chunks

RECORD_NBYTES = 32 + 24  # of a chunk: what stands before its body, its entry in the page
TABLE_NBYTES = int(lib.ZNL_TABLE_STREAM_NBYTES)
PARTED_FROM = 1 << 13  # values of a joined chunk that is also coded as at `fast` ...
SMALL_MEMBER_VALUES = 1 << 12  # ... when its members have less on average
SHORT_CONSTANT_NBYTES = 64 << 10  # below this a constant chunk may join a zstd frame


class _Coded(NamedTuple):
    """A coded chunk that begins at a byte of its batch."""

    chunk: Any
    plan: Chunk
    start: int

    @property
    def stop(self) -> int:
        """Where it ends."""
        return int(self.start + self.chunk.source_nbytes)


def encode_smallest(batch: Batch, source: memoryview, level: Level, bodies: memoryview) -> Run:
    """As composed.encode_batch, but chunks of the plan may be replaced by smaller ones."""
    run = encode_batch(batch, source, level, bodies)
    if not level.by_rows or batch.dtype is BYTES:
        return run
    methods = [chunk.method for chunk in run.chunks[0 : run.count]]
    can_join = methods.count(ZSTD) + methods.count(CONSTANT) > 1
    if not can_join and not any(map(_may_part, batch.chunks)):
        return run
    planned = _coded(run, batch, 0)
    runs = [run]
    keep: list[Any] = []
    chosen = _part_joined(planned, source, level, runs)
    chosen = _join_packed(chosen, source, level, keep)
    return run if chosen == planned else _run_of(chosen, runs, keep)


def _coded(run: Run, batch: Batch, start: int) -> list[_Coded]:
    starts = itertools.accumulate((plan.nbytes for plan in batch.chunks), initial=start)
    return list(map(_Coded, run.chunks[0 : run.count], batch.chunks, starts))


def _cost(chunks: Iterable[_Coded]) -> int:
    """Bytes in the stream, with the tables of their own batch."""
    nbytes = 0
    names: set[int] = set()
    for chunk, _, _ in chunks:
        nbytes += RECORD_NBYTES + stored_nbytes(chunk)
        names.update(chunk.tables[0 : chunk.table_count])
    return nbytes + TABLE_NBYTES * sum(name >= format.TABLE_NAME_BIT for name in names)


def _part_joined(
    planned: list[_Coded], source: memoryview, level: Level, runs: list[Run]
) -> list[_Coded]:
    """Replace joined chunks by those that `fast` makes of them, where these are smaller.

    runs  in and out: those that the chunks are from
    """
    chosen = planned
    for may_part, group in itertools.groupby(planned, lambda each: _may_part(each.plan)):
        if not may_part:
            continue
        joined = list(group)
        members = [member for each in joined for member in each.plan.members]
        parted = Batch(members[0].dtype, tuple(plan_chunks(members)))
        bodies = memoryview(bytearray(bodies_nbytes(parted)))
        run = encode_batch(parted, source[joined[0].start : joined[-1].stop], level, bodies)
        first = chosen.index(joined[0])
        others = chosen.copy()
        others[first : first + len(joined)] = _coded(run, parted, joined[0].start)
        if _cost(others) < _cost(chosen):
            chosen = others
            runs.append(run)
    return chosen


def _may_part(plan: Chunk) -> bool:
    """Rows may say little about a joined chunk: small tensors, or such as have none."""
    count = plan.nbytes // plan.dtype.width
    if len(plan.members) < 2 or count < PARTED_FROM:
        return False
    flat = sum(part.rows * part.row_values for part in plan.parts if not part.is_matrix)
    is_small = count < SMALL_MEMBER_VALUES * len(plan.members)
    return is_small or 8 * flat > count or plan.dtype.width == 1


def _join_packed(
    coded: Sequence[_Coded], source: memoryview, level: Level, keep: list[Any]
) -> list[_Coded]:
    """Store neighbouring chunks that zstd is good at as one frame, where that is smaller."""
    chosen: list[_Coded] = []
    for may_join, group in itertools.groupby(coded, _may_join):
        if not may_join:
            chosen += group
            continue
        for several in _up_to(group, OPAQUE_CHUNK_NBYTES):
            if len(several) > 1:
                several = _as_one(several, source, level, keep)
            chosen += several
    return chosen


def _may_join(each: _Coded) -> bool:
    """A frame of several chunks hides repeats of each: only where these are known to be none."""
    plan, dtype = each.plan, each.plan.dtype
    if plan.recurs or (dtype.modelled and not dtype.mixed and not plan.members):
        return False
    is_short = plan.nbytes < SHORT_CONSTANT_NBYTES
    return bool(each.chunk.method == ZSTD or (each.chunk.method == CONSTANT and is_short))


def _up_to(coded: Iterable[_Coded], nbytes: int) -> Iterator[list[_Coded]]:
    held: list[_Coded] = []
    for each in coded:
        if held and each.stop - held[0].start > nbytes:
            yield held
            held = []
        held.append(each)
    yield held


def _as_one(
    several: list[_Coded], source: memoryview, level: Level, keep: list[Any]
) -> list[_Coded]:
    start, stop = several[0].start, several[-1].stop
    packed = pack_bytes(source[start:stop], level)
    apart = sum(RECORD_NBYTES + stored_nbytes(each.chunk) for each in several)
    if RECORD_NBYTES + len(packed) >= apart:
        return several
    made = ffi.new("znl_chunk[]", [several[0].chunk])
    made[0].source_nbytes = stop - start
    made[0].checksum = native.xxh3_64(source[start:stop])
    set_packed(made[0], packed)
    keep += [made, packed]
    return [_Coded(made[0], Chunk(several[0].plan.dtype, stop - start), start)]


def _run_of(chosen: Sequence[_Coded], runs: Sequence[Run], keep: list[Any]) -> Run:
    """The chosen chunks of several runs as one."""
    chunks = ffi.new("znl_chunk[]", [each.chunk for each in chosen])
    tables = native.new_uncleared("znl_table[]", max(1, sum(run.table_count for run in runs)))
    table_count = 0
    for run in runs:
        ffi.memmove(tables + table_count, run.tables, run.table_count * ffi.sizeof("znl_table"))
        table_count += run.table_count
    nbytes = runs[0].source_nbytes
    return Run(chunks, len(chosen), tables, table_count, nbytes, [*runs, *keep])
