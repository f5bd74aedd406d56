# SPDX-License-Identifier: Apache-2.0
"""Values by bytes of one place, perhaps as differences, or column by column.

Integers: ids, offsets, indices, token ids. Floats whose exponents spread wider than the tables of
the coder reach, or that repeat one another: bases of Fourier transforms, convolutions by symmetric
kernels.
"""

from __future__ import annotations

import numpy as np

from ..dtypes import BYTES, DType
from .costs import plane_bits, planes_of, zstd_share
from .parts import (
    COUNT_AT,
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
TRANSPOSED = 4  # column by column
MODES = range(8)
_INTEGER_MODES = (0, DELTA, ZIGZAG, DELTA | ZIGZAG)
_WIDTHS = (2, 4, 8)
_LEAST_FLOATS = 1 << 13  # of fewer the parts cost more than they save
_REPEATING = 0.25  # of the values of a sample: so many were seen before
_REPEATING_WIDTHS = (4, 8)  # plain weights of 16 bits repeat by chance


def estimate(sample: Sample) -> Guess | None:
    """The cheapest of all modes for integers, and of orders for floats."""
    dtype, width = sample.dtype, sample.dtype.width
    if width not in _WIDTHS or sample.blocks.shape[1] < 2:
        return None
    if dtype.modelled:
        return _estimate_floats(sample) if sample.count >= _LEAST_FLOATS else None
    return min(
        Guess(plane_bits(_moved(sample.blocks, mode)), Fields(width, mode))
        for mode in _INTEGER_MODES
    )


def _estimate_floats(sample: Sample) -> Guess:
    width = sample.dtype.width
    guesses = [Guess(plane_bits(sample.values), Fields(width))]
    if width in _REPEATING_WIDTHS and _repeated(sample) >= _REPEATING:
        guesses.append(Guess(_packed_bits(sample.source, width), Fields(width)))
        columns = sample.row_values
        if columns > 1 and sample.count % columns == 0:
            turned = _transposed(sample.source, columns)
            fields = Fields(width, TRANSPOSED, columns)
            guesses.append(Guess(_packed_bits(turned, width), fields))
    return min(guesses, key=lambda guess: guess.bits)


def _repeated(sample: Sample) -> float:
    """The share of values that occur elsewhere in the sample, but for the commonest."""
    _, counts = sample.distinct
    return 1 - (len(counts) - 1) / max(1, len(sample.values) - int(counts.max()))


def _packed_bits(values: Unsigned, width: int) -> float:
    """A value as byte planes under zstd."""
    return sum(8 * zstd_share(plane) for plane in planes_of(values, width))


def _transposed(values: Unsigned, columns: int) -> Unsigned:
    turned: Unsigned = np.ascontiguousarray(values.reshape(-1, columns).T).reshape(-1)
    return turned


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
    width, mode, columns, _ = guess.fields
    values = unsigned(source, width)
    if mode & TRANSPOSED:
        values = _transposed(values, columns)
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
    return Split(Fields(width, mode, columns, before), parts)


def parts_nbytes(fields: Fields, source_nbytes: int) -> int:
    """Bytes of all parts together. Raises UnfitError."""
    count = check_width(fields, source_nbytes, *_WIDTHS)
    check_field(fields.mode in MODES, MODE_AT, "a mode of 0 to 7", fields.mode)
    if fields.mode & TRANSPOSED:
        columns = fields.value_count
        fits = columns > 0 and count % columns == 0
        check_field(fits, COUNT_AT, f"columns of {count} values", columns)
    else:
        check_unused(fields, "value_count")
    if not fields.mode & DELTA:
        check_unused(fields, "value")
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
    if fields.mode & TRANSPOSED:
        values = _transposed(values, len(values) // fields.value_count)
    target[:] = values.view(np.uint8)
