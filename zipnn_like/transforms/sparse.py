# SPDX-License-Identifier: Apache-2.0
"""One value most of the time: where it is not, and the values there (pruned tensors)."""

from __future__ import annotations

import numpy as np

from ..dtypes import BYTES, DType
from .costs import value_bits
from .groups import best_group, check_group, pack, packed_nbytes, unpack
from .parts import (
    COUNT_AT,
    U8,
    VALUE_AT,
    Fields,
    Guess,
    Part,
    Sample,
    Split,
    check_field,
    check_width,
    unsigned,
)

_WIDTHS = (1, 2, 4, 8)
_NOT_FOR = ("BOOL", "F4", "F6_E2M3", "F6_E3M2")  # a palette of two is better, or no whole values
_LEAST_SHARE = 0.02


def estimate(sample: Sample) -> Guess | None:
    """For any dtype of whole values, when one of them has a share that matters."""
    dtype = sample.dtype
    values, counts = sample.distinct
    if dtype.name in _NOT_FOR or dtype.width not in _WIDTHS or len(values) < 2:
        return None
    value = values[counts.argmax()]
    share = counts.max() / len(sample.values)
    if share < _LEAST_SHARE:
        return None
    mask = (sample.blocks != value).astype(np.uint8)
    bits, group = best_group(mask, 2)
    bits += (1 - share) * value_bits(sample.values[sample.values != value], dtype)
    return Guess(bits, Fields(dtype.width, group, value=int(value)))


def split(source: U8, dtype: DType, guess: Guess) -> Split | None:
    """The mask of values that are others, and these."""
    fields = guess.fields
    values = unsigned(source, fields.width)
    mask = values != values.dtype.type(fields.value)
    others = values[mask]
    if len(others) == 0:
        return None
    numbers = mask.view(np.uint8)
    _, group = best_group(numbers.reshape(1, -1), 2, try_zstd=True)
    packed = pack(numbers, 2, group)
    fields = fields._replace(mode=group, value_count=len(others))
    return Split(fields, (Part(packed, BYTES), Part(others.view(np.uint8), dtype)))


def parts_nbytes(fields: Fields, source_nbytes: int) -> int:
    """Bytes of both parts together. Raises UnfitError."""
    count = check_width(fields, source_nbytes, *_WIDTHS)
    check_group(fields.mode, 2)
    others = fields.value_count
    check_field(others < count, COUNT_AT, f"less than {count} values", others)
    most = (1 << 8 * fields.width) - 1
    check_field(fields.value <= most, VALUE_AT, f"a value of at most {most}", fields.value)
    return packed_nbytes(count, fields.mode) + fields.width * others


def join(fields: Fields, parts: U8, target: U8) -> None:
    """Fill the target with the values. Raises UnfitError."""
    count = len(target) // fields.width
    nbytes = packed_nbytes(count, fields.mode)
    mask = unpack(parts[:nbytes], 2, fields.mode, count)
    found = int(np.count_nonzero(mask))
    check_field(found == fields.value_count, COUNT_AT, f"{found} values", fields.value_count)
    others = unsigned(parts[nbytes:], fields.width)
    values = np.full(count, fields.value, f"<u{fields.width}")
    values[mask.view(bool)] = others
    target[:] = values.view(np.uint8)
