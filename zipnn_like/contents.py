# SPDX-License-Identifier: Apache-2.0
"""From planned batches to what their bytes ask for: constant runs, members that recur, text.

The plan of chunks knows the layout alone. Here the source is at hand, batch by batch and in its own
order, so that neither threads nor pipes can change what is cut.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import operator
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from . import native, rows
from .dtypes import BYTES
from .format import MAX_DISTANCE
from .native import lib
from .samples import Sampler
from .segments import SMALL_VALUES, Batch, Chunk, plan_batches

LEAST_NBYTES = 1024  # a constant or a repeat below that is not worth chunks of its own
PROBE_STRIDE = 32 << 10  # bytes from probe to probe of a large tensor
PACKED_NBYTES = 32 << 10  # a member from here on is tried with zstd by itself ...
MOST_AHEAD = 4096  # batches that wait: a batch may be one number, and costs more than its bytes
PACKED_BELOW = 0.5  # ... and parted from others when matches leave less than that
SCALED_NBYTES = 4 << 10  # a member below that has too few rows for scales of its own


@dataclass(frozen=True)
class LoadedBatch:
    """A batch with its source bytes; the buffer of the source pool they lie in, None when lent."""

    batch: Batch
    source: memoryview
    buffer: bytearray | None


class _Keyed(NamedTuple):
    """A chunk, and the key of its contents."""

    chunk: Chunk
    key: int


class _Joined(NamedTuple):
    """The members of a joined chunk.

    keys    of each member, equal for equal contents
    values  of each member: the one value it is made of, in a run that is worth a chunk; else None
    packs   of each member: zstd is good at it
    scaled  of each member: a scale may be taken out of its rows
    """

    chunk: Chunk
    keys: list[int]
    values: list[bytes | None]
    packs: list[bool]
    scaled: list[bool]


@dataclass
class _Seen:
    """A batch that was looked at.

    keys        of chunks and members, and pairs of members that are neighbours
    large_keys  of those whose repeats `fast` would find
    is_cut      whatever else comes, its chunks are not those of the plan
    """

    loaded: LoadedBatch
    parts: list[Chunk | _Keyed | _Joined] = field(default_factory=list)
    keys: list[Hashable] = field(default_factory=list)
    large_keys: list[int] = field(default_factory=list)
    is_cut: bool = False


class Cutter:
    """Cuts batches by what they hold; repeats are seen as far as MAX_DISTANCE, both ways.

    For one thread, like the source.
    """

    def __init__(self) -> None:
        self._sampler = Sampler()
        self._counts: Counter[Hashable] = Counter()
        self._large_ahead: Counter[int] = Counter()  # large keys of batches that wait
        self._lonely: set[int] = set()  # those of them that were seen once so far
        self._ahead: deque[_Seen] = deque()
        self._ahead_nbytes = 0
        self._behind: deque[tuple[int, list[Hashable]]] = deque()  # source bytes, keys
        self._behind_nbytes = 0

    def cut(self, loaded: Iterable[LoadedBatch]) -> Iterator[LoadedBatch]:
        """Yield the same bytes in batches whose chunks are cut, or marked, by their contents."""
        for batch in loaded:
            seen = _look(batch, self._sampler)
            self._large_ahead.update(seen.large_keys)
            self._count(seen.keys, 1)
            self._ahead.append(seen)
            self._ahead_nbytes += batch.batch.nbytes
            while self._ahead and not self._waits():
                yield from self._take()
        while self._ahead:
            yield from self._take()

    def _waits(self) -> bool:
        """More of the source may turn out to repeat what waits."""
        return (
            bool(self._lonely)
            and self._ahead_nbytes <= MAX_DISTANCE
            and len(self._ahead) <= MOST_AHEAD
        )

    def _count(self, keys: Iterable[Hashable], by: int) -> None:
        """Count keys in (1) or out (-1), and who is lonely now: looking for it would take long."""
        for key in keys:
            self._counts[key] += by
            if not self._counts[key]:
                del self._counts[key]
            if isinstance(key, int):
                self._judge(key)

    def _judge(self, key: int) -> None:
        if key in self._large_ahead and self._counts[key] == 1:
            self._lonely.add(key)
        else:
            self._lonely.discard(key)

    def _take(self) -> Iterator[LoadedBatch]:
        seen = self._ahead.popleft()
        nbytes = seen.loaded.batch.nbytes
        self._ahead_nbytes -= nbytes
        for key in seen.large_keys:
            self._large_ahead[key] -= 1
            if not self._large_ahead[key]:
                del self._large_ahead[key]
            self._judge(key)
        if seen.is_cut or any(self._counts[key] > 1 for key in seen.keys):
            yield from _in_batches(self._chunks(seen), seen.loaded)
        else:
            yield seen.loaded
        self._behind.append((nbytes, seen.keys))
        self._behind_nbytes += nbytes
        while self._behind_nbytes - self._behind[0][0] >= MAX_DISTANCE:
            nbytes, keys = self._behind.popleft()
            self._behind_nbytes -= nbytes
            self._count(keys, -1)

    def _chunks(self, seen: _Seen) -> Iterator[Chunk]:
        for part in seen.parts:
            if isinstance(part, Chunk):
                yield part
            elif isinstance(part, _Joined):
                yield from self._parted(part)
            else:
                recurs = self._counts[part.key] > 1
                yield part.chunk._replace(recurs=True) if recurs else part.chunk

    def _parted(self, joined: _Joined) -> Iterator[Chunk]:
        chunk = joined.chunk
        marks = self._marks(joined)
        for mark, group in itertools.groupby(range(len(marks)), marks.__getitem__):
            members = [chunk.members[i] for i in group]
            found = rows.join(members) if len(members) < len(marks) else chunk
            yield found._replace(recurs=isinstance(mark, int))

    def _marks(self, joined: _Joined) -> list[Hashable]:
        """What each member is; neighbours of equal marks make up a chunk.

        A constant member has its value, one that recurs the number of its run.
        """
        chunk, keys, values, packs, scaled = joined
        marks: list[Hashable] = ["packs" if each else None for each in packs]
        for i, is_scaled in enumerate(scaled):
            if is_scaled:
                marks[i] = ("scaled", i)  # alone: rows of others have other sizes
        runs = self._runs(keys)
        for (value, run), group in itertools.groupby(
            range(len(keys)), lambda i: (values[i], runs[i])
        ):
            of_run = list(group)
            if value is not None:
                mark: Hashable = value
            elif self._counts[keys[of_run[0]]] > 1 and sum(
                chunk.members[i].nbytes for i in of_run
            ) >= _least_nbytes(chunk):
                mark = run
            else:
                continue
            for i in of_run:
                marks[i] = mark
        return marks

    def _runs(self, keys: Sequence[int]) -> list[int]:
        """Number the runs of members that follow one another wherever one of them occurs."""
        counts, numbers = self._counts, [0]
        for pair in itertools.pairwise(keys):
            is_one = counts[pair[0]] == counts[pair] == counts[pair[1]]
            numbers.append(numbers[-1] + (not is_one))
        return numbers


def _in_batches(chunks: Iterable[Chunk], loaded: LoadedBatch) -> Iterator[LoadedBatch]:
    offset = 0
    for batch in plan_batches(chunks):
        source = loaded.source[offset : offset + batch.nbytes]
        offset += batch.nbytes
        yield LoadedBatch(batch, source, loaded.buffer)


def _look(loaded: LoadedBatch, sampler: Sampler) -> _Seen:
    seen = _Seen(loaded)
    dtype, source = loaded.batch.dtype, loaded.source
    has_constant = dtype.modelled and _has_equal_probes(source)
    # Bytes may share a zstd frame with their neighbours, but not those that occur again.
    has_key = dtype is not BYTES and (dtype.mixed or not dtype.modelled)
    offset = 0
    for chunk in loaded.batch.chunks:
        start = offset
        offset += chunk.nbytes
        if chunk.members and chunk.nbytes >= LEAST_NBYTES:
            joined = _look_at_members(chunk, source[start:offset], sampler)
            seen.parts.append(joined)
            seen.is_cut |= any(joined.values) or any(joined.packs) or any(joined.scaled)
            _count(joined, seen)
            continue
        pieces = [chunk]
        if has_constant and not chunk.members:
            pieces = _cut_constant(chunk, source[start:offset])
            seen.is_cut |= len(pieces) > 1
        if not has_key:
            seen.parts += pieces
            continue
        for piece in pieces:
            key = native.xxh3_64(source[start : start + piece.nbytes])
            start += piece.nbytes
            seen.parts.append(_Keyed(piece, key))
            seen.keys.append(key)
            seen.large_keys.append(key)
    return seen


def _count(joined: _Joined, seen: _Seen) -> None:
    keys = joined.keys
    seen.keys += keys
    seen.keys += itertools.pairwise(keys)
    large_nbytes = SMALL_VALUES * joined.chunk.dtype.width
    seen.large_keys += (
        key
        for key, member, value in zip(keys, joined.chunk.members, joined.values, strict=True)
        if member.nbytes >= large_nbytes and value is None
    )


def _look_at_members(chunk: Chunk, source: memoryview, sampler: Sampler) -> _Joined:
    kernels, start, width = native.kernels(), native.address(source), chunk.dtype.width
    keys: list[int] = []
    values: list[bytes | None] = []
    packs: list[bool] = []
    offset = 0
    for member in chunk.members:
        nbytes, at = member.nbytes, start + offset
        keys.append(lib.znl_xxh3_64(kernels, at, nbytes))
        is_constant = lib.znl_is_constant(at, nbytes, width)
        values.append(bytes(source[offset : offset + width]) if is_constant else None)
        packs.append(
            nbytes >= PACKED_NBYTES
            and sampler.share_matched(source[offset : offset + nbytes]) < PACKED_BELOW
        )
        offset += nbytes
    if any(values):
        _drop_short_runs(chunk, values)
    return _Joined(chunk, keys, values, packs, _which_are_scaled(chunk, start))


def _which_are_scaled(chunk: Chunk, start: Any) -> list[bool]:
    """Members that have scales; none are asked unless one of the largest two says so."""
    sizes = [member.nbytes if chunk.dtype.name == "F32" else 0 for member in chunk.members]
    offsets = list(itertools.accumulate(sizes, initial=0))

    def is_scaled(i: int) -> bool:
        member, count = chunk.members[i], sizes[i] // 4
        return bool(
            sizes[i] >= SCALED_NBYTES
            and lib.znl_looks_scaled(start + offsets[i], count, member.row_values)
        )

    if not any(map(is_scaled, heapq.nlargest(2, range(len(sizes)), key=sizes.__getitem__))):
        return [False] * len(sizes)
    return list(map(is_scaled, range(len(sizes))))


def _least_nbytes(chunk: Chunk) -> int:
    """What is not worth chunks of its own below that; zstd sees short runs and repeats itself."""
    return SMALL_VALUES if chunk.dtype.mixed else LEAST_NBYTES


def _drop_short_runs(chunk: Chunk, values: list[bytes | None]) -> None:
    """Where a constant run is too short for a chunk, its members are like others."""
    for value, group in itertools.groupby(range(len(values)), values.__getitem__):
        run = list(group)
        if value is not None and sum(chunk.members[i].nbytes for i in run) < _least_nbytes(chunk):
            values[run[0] : run[-1] + 1] = [None] * len(run)


def _probes(source: memoryview) -> list[int]:
    probes: list[int] = source[: len(source) // 8 * 8].cast("Q")[:: PROBE_STRIDE // 8].tolist()
    return probes


def _has_equal_probes(source: memoryview) -> bool:
    probes = _probes(source)
    return any(map(operator.eq, probes, probes[1:]))


def _cut_constant(chunk: Chunk, source: memoryview) -> list[Chunk]:
    width = chunk.dtype.width
    if native.is_constant(source, width):
        return [chunk]
    probes = _probes(source)
    equal = list(map(operator.eq, probes, probes[1:]))
    cut, offset = [chunk], 0  # of the last one, in values
    for is_equal, group in itertools.groupby(range(len(equal)), equal.__getitem__):
        run = list(group)
        if not is_equal:
            continue
        begin, end = _grown(source, run[0] * PROBE_STRIDE, (run[-1] + 1) * PROBE_STRIDE, width)
        if end > begin:
            cut[-1:] = rows.cut_rows(cut[-1], begin - offset, end - offset)
            offset = (chunk.nbytes - cut[-1].nbytes) // width
    return cut


def _grown(source: memoryview, start: int, stop: int, width: int) -> tuple[int, int]:
    """The values of the constant run around source[start:stop]; none when that is not constant."""
    stop += width
    if not native.is_constant(source[start:stop], width):
        return 0, 0
    before = range(start // width, max(0, start - PROBE_STRIDE) // width, -1)
    begin = start // width - bisect.bisect(
        before, False, key=lambda at: not native.is_constant(source[(at - 1) * width : stop], width)
    )
    after = range(stop // width, min(len(source), stop + PROBE_STRIDE) // width)
    end = stop // width + bisect.bisect(
        after, False, key=lambda at: not native.is_constant(source[start : (at + 1) * width], width)
    )
    return begin, end
