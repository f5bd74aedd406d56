# SPDX-License-Identifier: Apache-2.0
"""Values smaller than a byte, packed: 4 bits (GPTQ, AWQ, bitsandbytes, F4) and 6 bits (F6)."""

from __future__ import annotations

import numpy as np

from ..dtypes import BYTES, DType
from .costs import byte_bits, counts_of
from .groups import pack, packed_nbytes, unpack
from .parts import (
    U8,
    Fields,
    Guess,
    Part,
    Sample,
    Split,
    check_unused,
    check_width,
)

_INTEGERS = ("U8", "I8", "F4", "I16", "U16", "I32", "U32", "I64", "U64")
_SIXES = ("F6_E2M3", "F6_E3M2")
_NIBBLE = np.uint8(16)  # values
_SIGN = np.uint8(32)  # of six bits
_SIX = np.uint8(63)


def estimate_nibbles(sample: Sample) -> Guess | None:
    """For integers that may hold several smaller ones; they are looked at as bytes."""
    if sample.dtype.name not in _INTEGERS:
        return None
    data = np.ascontiguousarray(sample.values).view(np.uint8)
    bits = byte_bits(counts_of(data % _NIBBLE)) + byte_bits(counts_of(data // _NIBBLE))
    return Guess(bits * sample.dtype.width, Fields(1))


def split_nibbles(source: U8, dtype: DType, guess: Guess) -> Split | None:
    """The lower halves of all bytes, and the upper ones."""
    return Split(guess.fields, (Part(source % _NIBBLE, BYTES), Part(source // _NIBBLE, BYTES)))


def nibbles_nbytes(fields: Fields, source_nbytes: int) -> int:
    """Bytes of both parts together. Raises UnfitError."""
    check_width(fields, source_nbytes, 1)
    check_unused(fields, "mode", "value_count", "value")
    return 2 * source_nbytes


def join_nibbles(fields: Fields, parts: U8, target: U8) -> None:
    """Fill the target. Raises UnfitError."""
    numbers = unpack(parts, 16, 1, len(parts))
    low, high = numbers.reshape(2, -1)
    np.bitwise_or(low, high << 4, out=target)


def _sixes_of(data: U8) -> U8:
    """The 6-bit values of bytes: four in three bytes, lowest bits first."""
    first, second, third = data.reshape(-1, 3).T.astype(np.uint16)
    whole = (first, first >> 6 | second << 2, second >> 4 | third << 4, third >> 2)
    return np.stack(whole, axis=1).reshape(-1).astype(np.uint8) & _SIX


def estimate_sixes(sample: Sample) -> Guess | None:
    """For packed floats of 6 bits, whole threes of bytes."""
    if sample.dtype.name not in _SIXES or sample.count % 3:
        return None
    usable = sample.values[: len(sample.values) // 3 * 3].astype(np.uint8)
    bits = byte_bits(counts_of(_sixes_of(usable) % _SIGN)) + 1
    return Guess(bits * 4 / 3, Fields(3))


def split_sixes(source: U8, dtype: DType, guess: Guess) -> Split | None:
    """The lower 5 bits of all values, and their signs."""
    sixes = _sixes_of(source)
    signs = pack(sixes // _SIGN, 2, 8)
    return Split(guess.fields, (Part(sixes % _SIGN, BYTES), Part(signs, BYTES)))


def sixes_nbytes(fields: Fields, source_nbytes: int) -> int:
    """Bytes of both parts together. Raises UnfitError."""
    count = 4 * check_width(fields, source_nbytes, 3)
    check_unused(fields, "mode", "value_count", "value")
    return count + packed_nbytes(count, 8)


def join_sixes(fields: Fields, parts: U8, target: U8) -> None:
    """Fill the target. Raises UnfitError."""
    count = len(target) // 3 * 4
    sixes = unpack(parts[:count], int(_SIGN), 1, count) | unpack(parts[count:], 2, 8, count) * _SIGN
    first, second, third, fourth = sixes.reshape(-1, 4).T
    triples = target.reshape(-1, 3)
    triples[:, 0] = first | second << 6
    triples[:, 1] = second >> 2 | third << 4
    triples[:, 2] = third >> 4 | fourth << 2
