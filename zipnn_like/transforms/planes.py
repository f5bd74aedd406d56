# SPDX-License-Identifier: Apache-2.0
"""Integers by bytes of one place, perhaps as differences: ids, offsets, indices, token ids."""

from __future__ import annotations

import numpy as np

from ..dtypes import BYTES, DType
from .costs import plane_bits, planes_of
from .parts import (
    MODE_AT,
    U8,
    VALUE_AT,
    Fields,
    Guess,
    Part,
    Sample,
    Split,
    Unsigned,
    check_field,
    check_unused,
    check_width,
    unsigned,
)

DELTA = 1  # to the value before
ZIGZAG = 2  # 0, -1, 1, -2 ... as 0, 1, 2, 3 ...
MODES = (0, DELTA, ZIGZAG, DELTA | ZIGZAG)
_WIDTHS = (2, 4, 8)


def estimate(sample: Sample) -> Guess | None:
    """The cheapest of all modes, for integers that have no model of their own."""
    dtype = sample.dtype
    if dtype.modelled or dtype.width not in _WIDTHS or sample.blocks.shape[1] < 2:
        return None
    return min(
        Guess(plane_bits(_moved(sample.blocks, mode)), Fields(dtype.width, mode)) for mode in MODES
    )


def _moved(blocks: Unsigned, mode: int) -> Unsigned:
    values = np.diff(blocks, axis=1) if mode & DELTA else blocks
    return _to_zigzag(values) if mode & ZIGZAG else values


def _to_zigzag(values: Unsigned) -> Unsigned:
    width = values.dtype.itemsize
    signed = values.astype(f"<i{width}")
    signs = signed >> (8 * width - 1)
    folded: Unsigned = (signed << 1 ^ signs).view(f"<u{width}")
    return folded


def _from_zigzag(values: Unsigned) -> Unsigned:
    one = values.dtype.type(1)
    folded: Unsigned = values >> one ^ (~(values & one) + one)
    return folded


def split(source: U8, dtype: DType, guess: Guess) -> Split | None:
    """Each byte plane is a part, the lowest bytes first."""
    width, mode = guess.fields.width, guess.fields.mode
    values = unsigned(source, width)
    before = 0
    if mode & DELTA:
        # What makes the first difference equal to the second one: even steps are all alike.
        start = (int(values[0]), int(values[min(1, len(values) - 1)]))
        before = (2 * start[0] - start[1]) % (1 << 8 * width)
        whole = np.concatenate([np.array([before], values.dtype), values])
        values = np.diff(whole)
    if mode & ZIGZAG:
        values = _to_zigzag(values)
    parts = tuple(Part(plane, BYTES) for plane in planes_of(values, width))
    return Split(Fields(width, mode, value=before), parts)


def parts_nbytes(fields: Fields, source_nbytes: int) -> int:
    """Bytes of all parts together. Raises UnfitError."""
    check_width(fields, source_nbytes, *_WIDTHS)
    check_field(fields.mode in MODES, MODE_AT, f"a mode of {MODES}", fields.mode)
    check_unused(fields, "value_count", *([] if fields.mode & DELTA else ["value"]))
    most = (1 << 8 * fields.width) - 1
    check_field(fields.value <= most, VALUE_AT, f"a value of at most {most}", fields.value)
    return source_nbytes


def join(fields: Fields, parts: U8, target: U8) -> None:
    """Fill the target with the values. Raises UnfitError."""
    width = fields.width
    data = np.empty((len(target) // width, width), np.uint8)
    data[:] = parts.reshape(width, -1).T
    values = unsigned(data.reshape(-1), width)
    if fields.mode & ZIGZAG:
        values = _from_zigzag(values)
    if fields.mode & DELTA:
        values = np.cumsum(values, dtype=values.dtype) + values.dtype.type(fields.value)
    target[:] = values.view(np.uint8)
