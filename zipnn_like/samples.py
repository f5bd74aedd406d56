# SPDX-License-Identifier: Apache-2.0
"""Samples of chunks tell which of them zstd may store smaller than the coder of values does."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence

import zstandard

from .segments import Chunk

PIECE_NBYTES = 1024  # of a chunk, where several are looked at
MATCHED_NBYTES = 4 << 10  # of a chunk that is looked at by itself
PACKED_NBYTES = 16 << 10  # of one that holds matches ...
ROWS_NBYTES = 256 << 10  # ... and of one whose rows repeat one another
TOGETHER = 12  # chunks that are looked at at once: most hold no matches
ROWS = 160  # of a chunk, of which single bytes are looked at ...
ROWS_OF_EVERY = 4  # ... in one chunk of so many: memory is slow to show what lies apart
ALIKE_ROWS = 16  # one after the other: found again, or half of them alike
MATCHES_BELOW = 0.97  # of a sample is left: there are some

_nbytes_of = operator.attrgetter("nbytes")


class Sampler:
    """Compresses samples of a source; for one thread at a time."""

    def __init__(self) -> None:
        # Matches only: the entropy that zstd finds in weights the coder of values knows better.
        self._matcher = zstandard.ZstdCompressor(level=-1, write_content_size=False)
        self._packer = zstandard.ZstdCompressor(level=1, write_content_size=False)

    def share_matched(self, source: memoryview) -> float:
        """What matches leave of a sample of the source."""
        return _share(self._matcher, _sample(source, MATCHED_NBYTES))

    def share_packed(self, source: memoryview, rows_repeat: bool) -> float:
        """What zstd leaves of a sample of the source; of all of it less, as it sees further."""
        sample = source[:ROWS_NBYTES] if rows_repeat else _sample(source, PACKED_NBYTES)
        return _share(self._packer, sample)

    def find_matches(self, source: memoryview, chunks: Sequence[Chunk]) -> list[bool]:
        """Which of adjacent chunks hold matches close to one another."""
        bounds = _bounds(chunks)
        found: list[bool] = []
        for first in range(0, len(chunks), TOGETHER):
            some = bounds[first : first + TOGETHER]
            starts = [start + (stop - start) * 2 // 7 for start, stop in some]
            pieces = b"".join([source[at : at + PIECE_NBYTES] for at in starts])
            if _share(self._matcher, pieces) >= 1:  # zstd does not save 1.6 % or less
                found += [False] * len(some)
            else:
                found += (self.share_matched(source[a:b]) < MATCHES_BELOW for a, b in some)
        return found


def rows_repeat(source: memoryview, chunks: Sequence[Chunk]) -> bool:
    """Large tensors among adjacent chunks seem to have rows that come again further on."""
    bounds = _bounds(chunks)
    for i in range(0, len(chunks), ROWS_OF_EVERY):
        chunk, (start, stop) = chunks[i], bounds[i]
        if chunk.parts and not chunk.members:
            width = chunk.dtype.width
            row_nbytes = chunk.parts[0].row_values * width
            stop = min(stop, start + ROWS * row_nbytes)
            # One byte of each row, most of it mantissa: of widened values the lowest ones are zero.
            firsts = bytes(source[start + max(0, width - 2) : stop : row_nbytes])
            last = firsts[-ALIKE_ROWS:]
            values = len(set(last))
            if 4 * values > ALIKE_ROWS and firsts.find(last) < len(firsts) - len(last):
                return True
            if width > 1 and values > 1 and 2 * values <= ALIKE_ROWS:
                return True
    return False


def _bounds(chunks: Sequence[Chunk]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(itertools.accumulate(map(_nbytes_of, chunks), initial=0)))


def _share(compressor: zstandard.ZstdCompressor, sample: memoryview | bytes) -> float:
    return len(compressor.compress(sample)) / max(1, len(sample))


def _sample(source: memoryview, nbytes: int) -> memoryview | bytes:
    """So many bytes of the source, in four pieces."""
    count, piece = len(source), nbytes // 4
    if count <= 2 * nbytes:
        return source[:nbytes]
    # Odd parts: what repeats does so in even numbers.
    return b"".join([source[at : at + piece] for at in [count * n // 11 for n in (1, 3, 6, 9)]])
