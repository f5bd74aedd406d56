# SPDX-License-Identifier: Apache-2.0
"""What transforms take and give: a sample, a guess, and a chunk that is split into parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..dtypes import DType

U8 = npt.NDArray[np.uint8]
Unsigned = npt.NDArray[np.unsignedinteger[Any]]
"""Values as unsigned integers of 1, 2, 4 or 8 bytes."""

_BLOCK = 240  # neighbours that a sample takes together: a multiple of all group sizes, and of 3
_BLOCKS = 17
_ALIGNMENT = 120  # values from the start of a chunk to that of a block


class Fields(NamedTuple):
    """The fields of a composed body that are a transform's own (docs/format.md, section 5.11)."""

    width: int
    mode: int = 0
    value_count: int = 0
    value: int = 0


class Part(NamedTuple):
    """Bytes that are coded by themselves.

    dtype       of their values, or BYTES for numbers of up to 8 bits, a byte each
    row_values  values of a row, where they are a matrix; else 0
    """

    data: U8
    dtype: DType
    row_values: int = 0


class Split(NamedTuple):
    """A chunk taken apart: what join() needs to know, and the parts one behind the other."""

    fields: Fields
    parts: tuple[Part, ...]


class Guess(NamedTuple):
    """What a transform may come to.

    bits        estimate for a value of the dtype
    fields      to split with; split() fills in what only the whole chunk can tell
    values      that were seen, where they say something
    row_values  of the chunk, where they matter
    """

    bits: float
    fields: Fields
    values: Unsigned | None = None
    row_values: int = 0


class UnfitError(ValueError):
    """A field of a composed body, or a part, that can't be.

    offset  of the field in the body
    """

    def __init__(self, offset: int, expected: object, found: object) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.offset, self.expected, self.found = offset, expected, found


WIDTH_AT, MODE_AT, COUNT_AT, VALUE_AT, PARTS_AT = 2, 3, 4, 8, 16


def check_field(holds: bool, offset: int, expected: object, found: object) -> None:
    """Raise UnfitError unless it holds."""
    if not holds:
        raise UnfitError(offset, expected, found)


def check_unused(fields: Fields, *names: str) -> None:
    """Fields that mean nothing to a transform must be zero."""
    places = {"mode": MODE_AT, "value_count": COUNT_AT, "value": VALUE_AT}
    for name in names:
        found = getattr(fields, name)
        check_field(found == 0, places[name], f"0 for {name}", found)


def check_width(fields: Fields, source_nbytes: int, *widths: int) -> int:
    """The number of values: whole ones, of one of these widths."""
    width = fields.width
    check_field(width in widths, WIDTH_AT, f"a width of {' or '.join(map(str, widths))}", width)
    whole = source_nbytes % width == 0
    check_field(whole, WIDTH_AT, f"a width that divides {source_nbytes} bytes", width)
    return source_nbytes // width


def unsigned(data: U8, width: int) -> Unsigned:
    """The bytes as little-endian integers of `width` bytes."""
    values: Unsigned = data.view(f"<u{width}")
    return values


@dataclass(frozen=True)
class Sample:
    """Some values of a chunk: what a transform estimates by.

    blocks      neighbours in rows, one row from each part of the chunk
    source      all values of the chunk
    row_values  of the chunk, 0 when it is no matrix
    """

    dtype: DType
    blocks: Unsigned
    source: Unsigned
    row_values: int = 0

    @property
    def count(self) -> int:
        """Values of the chunk."""
        return len(self.source)

    @cached_property
    def values(self) -> Unsigned:
        """All values of the sample."""
        return self.blocks.reshape(-1)

    @cached_property
    def distinct(self) -> tuple[Unsigned, npt.NDArray[np.intp]]:
        """The values that appear, in order, and how often each does."""
        values, counts = np.unique(self.values, return_counts=True)
        return values, counts


def sample_of(source: U8, dtype: DType, row_values: int = 0) -> Sample:
    """About 4000 values out of a chunk of whole values."""
    values = unsigned(source, dtype.width)
    if len(values) < _BLOCK * _BLOCKS:
        return Sample(dtype, values.reshape(1, -1), values, row_values)
    step = (len(values) - _BLOCK) / (_BLOCKS - 1)
    starts = [int(step * number) // _ALIGNMENT * _ALIGNMENT for number in range(_BLOCKS)]
    blocks = np.stack([values[start : start + _BLOCK] for start in starts])
    return Sample(dtype, blocks, values, row_values)
