# SPDX-License-Identifier: Apache-2.0
"""What the static coder will make of values: estimates from counts, in bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from .. import native
from ..dtypes import BY_NAME, DType
from .parts import U8, Unsigned

Counts = npt.NDArray[np.integer[Any]]

E8M0 = BY_NAME["F8_E8M0"]  # codes whole bytes, 31 neighbours cheaply
UPPER_BITS = replace(BY_NAME["U8"], mixed=False)  # codes 5 bits of a byte, stores the others
_WINDOW = 31
_TABLE_SIZE = 4096
_CODER_LOSS = 1.002  # of the static coder: states, tables, rounded frequencies
_PATCH_BITS = 32
_HUFFMAN_LOSS = 1.01  # of zstd, which takes what no table fits
_TOP_BITS = 16
_LN_2 = 0.6931471805599453
_BIAS_OF_SYMBOL = 0.5 / _LN_2  # bits that a sample's entropy is too low (Miller and Madow)
_COUNTED_LOG2 = 17
_PROBE_NBYTES = 32 << 10

# S of docs/format.md, section 4.1, of dtypes that are rotated.
_ROTATED = {
    "F64": 12,
    "F32": 9,
    "F16": 6,
    "BF16": 9,
    "C64": 9,
    "F8_E5M2": 6,
    "F8_E4M3": 5,
    "F8_E5M2FNUZ": 6,
    "F8_E4M3FNUZ": 5,
}


def entropy(counts: Counts) -> float:
    """Bits a symbol of what has these counts, corrected for the size of the sample."""
    seen = np.ascontiguousarray(counts[counts > 0], np.uint32)
    if len(seen) < 2:
        return 0.0
    # Not by numpy's logarithm: what is written must not depend on the processor's.
    return (native.entropy_q16(seen.data) / 65536 + (len(seen) - 1) * _BIAS_OF_SYMBOL) / int(
        seen.sum()
    )


def counts_of(data: U8) -> Counts:
    """How often each byte appears, among about 100,000 of them."""
    return np.bincount(data[:: len(data) >> _COUNTED_LOG2 | 1], minlength=256)


def e8m0_bits(counts: Counts) -> float:
    """A byte as F8_E8M0: a symbol for each of 31 neighbours and for 0, a patch for any other."""
    total = int(counts.sum())
    sums = np.cumsum(np.concatenate([[0], counts, counts[:_WINDOW]]))
    inside = sums[_WINDOW : _WINDOW + 256] - sums[:256]
    inside[1 : 256 - _WINDOW + 1] += counts[0]
    outside = 1 - int(inside.max()) / total
    unused = max(0, _WINDOW + 1 - int(np.count_nonzero(counts))) / _TABLE_SIZE / _LN_2
    return entropy(counts) + _PATCH_BITS * outside + unused


def u8_bits(counts: Counts) -> float:
    """A byte as U8."""
    return entropy(counts.reshape(32, 8).sum(axis=1)) + 3


def zstd_share(data: U8) -> float:
    """What a fast zstd leaves of the data, or of two pieces of it, as a share."""
    probe = data.tobytes()
    if len(probe) > 2 * _PROBE_NBYTES:
        middle = len(probe) // 2
        probe = probe[:_PROBE_NBYTES] + probe[middle : middle + _PROBE_NBYTES]
    return len(zstandard.ZstdCompressor(level=1).compress(probe)) / len(probe)


def static_dtype(counts: Counts) -> tuple[DType, float]:
    """The dtype that codes bytes with these counts best, and the bits of one."""
    as_e8m0, as_u8 = e8m0_bits(counts), u8_bits(counts)
    return (E8M0, as_e8m0) if as_e8m0 <= as_u8 else (UPPER_BITS, as_u8)


def byte_bits(counts: Counts) -> float:
    """A byte at its best: coded, under zstd or raw."""
    coded = _CODER_LOSS * static_dtype(counts)[1]
    return min(8.0, coded, _HUFFMAN_LOSS * entropy(counts))


def plane_bits(values: Unsigned) -> float:
    """A value as byte planes, each at its best."""
    width = values.dtype.itemsize
    return sum(byte_bits(counts_of(plane)) for plane in planes_of(values.reshape(-1), width))


def planes_of(values: Unsigned, width: int) -> list[U8]:
    """The bytes of values, lowest first, each kind together."""
    data = np.ascontiguousarray(values).view(np.uint8).reshape(-1, width)
    return [np.ascontiguousarray(data[:, number]) for number in range(width)]


def value_bits(values: Unsigned, dtype: DType) -> float:
    """A value as the static coder, or zstd where there is none, stores it."""
    if not dtype.modelled:
        return plane_bits(values)
    width = 8 * values.dtype.itemsize
    top_bits = min(width, _TOP_BITS)
    top = (values >> (width - top_bits)).astype(np.uint32)
    symbol_bits = _ROTATED.get(dtype.name)
    if symbol_bits is None:
        counts = counts_of(values.astype(np.uint8))
        return e8m0_bits(counts) if dtype is E8M0 else u8_bits(counts)
    zeros = _common_zeros(values) if width > _TOP_BITS else 0
    rotated = (top << 1 | top >> (top_bits - 1)) & ((1 << top_bits) - 1)
    symbols = rotated >> (top_bits - symbol_bits)
    return entropy(np.bincount(symbols)) + max(0, width - symbol_bits - zeros)


def _common_zeros(values: Unsigned) -> int:
    """How many of the lowest bits are zero in all values: they need not be stored."""
    together = int(np.bitwise_or.reduce(values))
    return (together & -together).bit_length() - 1 if together else 0
