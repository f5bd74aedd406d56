# SPDX-License-Identifier: Apache-2.0
"""Few different values, each stored once, and a number for each place: grids, labels, booleans."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..dtypes import BYTES, DType
from .groups import CODED, best_group, check_group, pack, packed_nbytes, unpack
from .parts import (
    COUNT_AT,
    U8,
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

MOST = 256
_PIECE = 1 << 14
_HASH_BITS = 16
_MULTIPLIERS = [0x9E3779B97F4A7C15 * odd for odd in range(1, 64, 2)]
_WIDTHS = (1, 2, 4, 8)
_PACKED = ("F4", "F6_E2M3", "F6_E3M2")  # what shares a byte there is not one value


def estimate(sample: Sample) -> Guess | None:
    """For any dtype of whole values, when the sample has few."""
    dtype = sample.dtype
    values, _ = sample.distinct
    most = CODED if dtype.width == 1 else MOST
    if dtype.width not in _WIDTHS or dtype.name in _PACKED or not 1 < len(values) <= most:
        return None
    values = _in_order(values, dtype)
    numbers = _numbers(sample.values, values)
    if numbers is None:
        return None
    bits, group = best_group(numbers.reshape(sample.blocks.shape), len(values))
    bits += 8 * dtype.width * len(values) / sample.count
    return Guess(bits, Fields(dtype.width, group), values)


def _in_order(values: Unsigned, dtype: DType) -> Unsigned:
    """Distinct values by size, so that what is alike has numbers that are."""
    width = 8 * dtype.width
    sign = values.dtype.type(1 << (width - 1))
    is_float = dtype.name.startswith(("F", "BF", "C")) and dtype.name != "F8_E8M0"
    if is_float:  # sign and magnitude: upside down where the sign is set
        keys = np.where(values & sign, ~values, values | sign)
    elif dtype.name.startswith("I"):
        keys = values ^ sign
    else:
        keys = values
    ordered: Unsigned = values[np.argsort(keys)]
    return ordered


def _places(values: Unsigned, palette: Unsigned) -> npt.NDArray[np.intp]:
    """The place of each value in the palette; any place for a value that is not in it."""
    bits = 8 * values.dtype.itemsize
    table = np.zeros(1 << _HASH_BITS, np.intp)
    if bits <= _HASH_BITS:
        table[palette] = np.arange(len(palette))
        return np.take(table, values)
    shift = values.dtype.type(bits - _HASH_BITS)
    for odd in _MULTIPLIERS:  # that puts each of the palette elsewhere: a table instead of a search
        multiplier = values.dtype.type(odd % (1 << bits))
        keys = palette * multiplier >> shift
        if len(np.unique(keys)) == len(palette):
            table[keys] = np.arange(len(palette))
            return np.take(table, values * multiplier >> shift)
    by_bits = np.argsort(palette)
    found = np.searchsorted(palette, values, sorter=by_bits)
    return np.take(by_bits, np.minimum(found, len(palette) - 1))


def _numbers(values: Unsigned, palette: Unsigned) -> U8 | None:
    """The place of each value in the palette; None when one is not in it."""
    if values.dtype.itemsize == 1:
        table = np.zeros(MOST, np.uint8)
        table[palette] = np.arange(len(palette))
        numbers = _translated(values.astype(np.uint8, copy=False), table)
        return numbers if np.array_equal(_translated(numbers, palette), values) else None
    places = _places(values, palette)
    return places.astype(np.uint8) if np.array_equal(palette[places], values) else None


def _translated(numbers: U8, table: Unsigned) -> U8:
    """Entries of a table of up to 256 bytes, without the wide indices that numpy would make."""
    whole = table.astype(np.uint8).tobytes().ljust(MOST, b"\0")
    return np.frombuffer(numbers.tobytes().translate(whole), np.uint8)


def _distinct(values: Unsigned, seen: Unsigned) -> Unsigned | None:
    """All values that appear, of which some were seen; None when they are more than a palette."""
    if values.dtype.itemsize == 1:
        return np.unique(values)
    known = seen
    missed = values[known[_places(values, known)] != values]
    for start in range(0, len(missed), _PIECE):  # a piece at a time: too many soon show
        known = np.union1d(known, missed[start : start + _PIECE])
        if len(known) > MOST:
            return None
    return known


def split(source: U8, dtype: DType, guess: Guess) -> Split | None:
    """The values that appear, and their numbers."""
    values = unsigned(source, dtype.width)
    if guess.values is None:
        return None
    distinct = _distinct(values, guess.values)
    if distinct is None:
        return None
    palette = _in_order(distinct, dtype)
    numbers = _numbers(values, palette)
    if numbers is None:
        return None
    _, group = best_group(numbers.reshape(1, -1), len(palette), try_zstd=True)
    fields = Fields(dtype.width, group, len(palette))
    packed = pack(numbers, len(palette), group)
    return Split(fields, (Part(palette.view(np.uint8), dtype), Part(packed, BYTES)))


def parts_nbytes(fields: Fields, source_nbytes: int) -> int:
    """Bytes of both parts together. Raises UnfitError."""
    count = check_width(fields, source_nbytes, *_WIDTHS)
    fits = 1 <= fields.value_count <= MOST
    check_field(fits, COUNT_AT, f"1 to {MOST} values", fields.value_count)
    check_group(fields.mode, fields.value_count)
    check_unused(fields, "value")
    return fields.width * fields.value_count + packed_nbytes(count, fields.mode)


def join(fields: Fields, parts: U8, target: U8) -> None:
    """Fill the target with the values. Raises UnfitError."""
    nbytes = fields.width * fields.value_count
    palette = unsigned(parts[:nbytes], fields.width)
    count = len(target) // fields.width
    numbers = unpack(parts[nbytes:], fields.value_count, fields.mode, count)
    if fields.width == 1:
        target[:] = _translated(numbers, palette)
    else:
        target[:] = np.take(palette, numbers).view(np.uint8)
