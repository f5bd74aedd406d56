# SPDX-License-Identifier: Apache-2.0
"""Narrow values times scales: weights that had 8 or 16 bits, with a factor multiplied into rows.

Half-precision checkpoints whose batch norms were folded into convolutions, weights that were
de-quantised: each value of a row is the nearest F32 to an F16, or an I8, times one F32.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .. import native
from ..dtypes import BY_NAME, DType
from ..native import lib
from .parts import (
    COUNT_AT,
    MODE_AT,
    PARTS_AT,
    U8,
    VALUE_AT,
    Fields,
    Guess,
    Part,
    Sample,
    Split,
    Unsigned,
    check_field,
    check_width,
)

F32, F16, I8 = BY_NAME["F32"], BY_NAME["F16"], BY_NAME["I8"]
LEAST_VALUES = 1024  # of what is taken apart
AS_F16, AS_I8 = 0, 1  # modes: what the narrow values are
_NARROW = {AS_F16: F16, AS_I8: I8}
_GROUPS = (256, 128, 64, 32)  # values of a row that have a scale of their own, most first
_PLACES = 3  # of a chunk that must look scaled
_SPREAD = 23
_SPAN_OF_I8 = 7
_TOP_EXPONENT = 15
_LEAST_I8, _MOST_I8 = -128, 127
_MINUS_ZERO = 0x8000


def estimate(sample: Sample) -> Guess | None:
    """The fewest scales that some places of the chunk let hope for, and 16 bits a value."""
    if sample.dtype is not F32 or sample.count < LEAST_VALUES:
        return None
    for run, count in _layouts(sample.count, sample.row_values):
        if _seem_scaled(sample.source, run, count):
            bits = 8 * F16.width + 8 * F32.width * count / sample.count
            fields = Fields(F32.width, AS_F16, count, run)
            return Guess(bits, fields, row_values=sample.row_values)
    return None


def _layouts(count: int, row: int) -> Iterator[tuple[int, int]]:
    """Values that follow one another under one scale, and how many scales there are."""
    yield count, 1
    if not 1 < row < count or count % row:
        return
    yield row, count // row
    yield from ((group, count // group) for group in _GROUPS if group < row and row % group == 0)
    yield 1, row


def _seem_scaled(values: Unsigned, run: int, scale_count: int) -> bool:
    """Whether as many places as are looked at have a scale each."""
    count = len(values)
    start = native.address(values.data)
    are_columns = run == 1 and scale_count > 1
    # A few values decide: they are taken from all over what shares a scale.
    step = scale_count if are_columns else max(1, run // _SPREAD)
    length = count // scale_count if are_columns else run // step
    for place in range(1, _PLACES + 1):
        number = scale_count * place // (_PLACES + 1)
        first = number if are_columns else number * run
        if not lib.znl_seem_scaled(start + F32.width * first, step, length):
            return False
    return True


def split(source: U8, dtype: DType, guess: Guess) -> Split | None:
    """The scales, and what the values are without them."""
    values = source.view("<u4")
    for run, scale_count in _finer(values, guess):
        scales, halves = np.empty(scale_count, "<u4"), np.empty(len(values), "<u2")
        spans = np.empty(scale_count, np.uint8)
        outputs = [native.address(each.data, writable=True) for each in (scales, halves, spans)]
        start = native.address(source.data)
        if lib.znl_split_scaled(start, len(values), run, scale_count, *outputs):
            break
    else:
        return None
    mode, narrow = AS_F16, halves.view(np.uint8)
    whole = _to_bytes(halves, spans, run)
    if whole is not None:
        mode, narrow = AS_I8, whole
        scales += (_TOP_EXPONENT - spans).astype("<u4") << 23
    fields = Fields(dtype.width, mode, scale_count, run)
    parts = (Part(scales.view(np.uint8), F32), Part(narrow, _NARROW[mode], guess.row_values))
    return Split(fields, parts)


def _finer(values: Unsigned, guess: Guess) -> Iterator[tuple[int, int]]:
    """What was guessed, and layouts of more scales where a few values promised too much."""
    run, scale_count = guess.fields.value, guess.fields.value_count
    yield run, scale_count
    for layout in _layouts(len(values), guess.row_values):
        if layout[0] < run and _seem_scaled(values, *layout):
            yield layout


def _to_bytes(halves: Unsigned, spans: npt.NDArray[np.uint8], run: int) -> U8 | None:
    """Whole numbers that are halves with larger scales; None when they are not I8."""
    if spans.max() > _SPAN_OF_I8 or (halves == _MINUS_ZERO).any():
        return None
    factors = np.ldexp(np.float32(1), spans.astype(np.int32) - _TOP_EXPONENT)
    of_scales = (-1, len(spans)) if run == 1 else (len(spans), -1)
    numbers = halves.view("<f2").astype(np.float32).reshape(of_scales)
    numbers *= factors if run == 1 else factors[:, None]
    if numbers.min() < _LEAST_I8 or numbers.max() > _MOST_I8:
        return None
    return numbers.astype(np.int8).reshape(-1).view(np.uint8)


def parts_nbytes(fields: Fields, source_nbytes: int) -> int:
    """Bytes of both parts together. Raises UnfitError."""
    count = check_width(fields, source_nbytes, F32.width)
    check_field(fields.mode in _NARROW, MODE_AT, "a mode of 0 or 1", fields.mode)
    scales = fields.value_count
    fits = 1 <= scales <= count
    check_field(fits, COUNT_AT, f"1 to {count} scales", scales)
    # Runs that use every scale; and one spelling of one scale for all.
    least, most = (1, (count - 1) // (scales - 1)) if scales > 1 else (count, count)
    fits = least <= fields.value <= most
    check_field(fits, VALUE_AT, f"runs of {least} to {most} values", fields.value)
    return F32.width * scales + _NARROW[fields.mode].width * count


def join(fields: Fields, parts: U8, target: U8) -> None:
    """Fill the target with the products. Raises UnfitError."""
    start, out = native.address(parts.data), native.address(target.data, writable=True)
    status = lib.znl_join_scaled(
        start,
        start + F32.width * fields.value_count,
        fields.mode,
        len(target) // F32.width,
        fields.value,
        fields.value_count,
        out,
    )
    check_field(status == 0, PARTS_AT, "scales and values with normal products", "others")
