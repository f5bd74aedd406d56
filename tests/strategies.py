# SPDX-License-Identifier: Apache-2.0
"""Values of every safetensors dtype as raw bytes, with the sizes and kinds that break codecs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from zipnn_like.dtypes import BYTES, DTYPES, DType
from zipnn_like.segments import chunk_nbytes

U64 = npt.NDArray[np.uint64]

NAMES = tuple(dtype.name for dtype in DTYPES if dtype is not BYTES)
PACKED = {"F4": 2, "F6_E2M3": 4, "F6_E3M2": 4}  # values that make whole bytes together

# Exponent bits, mantissa bits of one component; 0, 0 for what is no float.
FLOATS = {
    "F64": (11, 52),
    "F32": (8, 23),
    "F16": (5, 10),
    "BF16": (8, 7),
    "C64": (8, 23),
    "F8_E5M2": (5, 2),
    "F8_E4M3": (4, 3),
    "F8_E5M2FNUZ": (5, 2),
    "F8_E4M3FNUZ": (4, 3),
}
KINDS = (
    *("gaussian", "two scales", "sparse", "constant", "two values", "random bits"),
    *("not a number", "infinite", "denormal", "negative zero", "counting"),
)
# 64: a block and the least that is coded; 2048: 64 lanes from here on; 8192: no longer small.
COUNTS = (0, 1, 2, 63, 64, 65, 127, 128, 511, 513, 2047, 2048, 2049, 8191, 8192, 8193)


@dataclass(frozen=True)
class Values:
    """A tensor: dtype as safetensors spells it, shape in values, raw bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes
    kind: str = ""

    def __repr__(self) -> str:
        return f"Values({self.dtype}, {self.shape}, {self.kind}: {self.data[:16].hex()} ...)"


def _component_bits(dtype: DType) -> int:
    return 32 if dtype.name == "C64" else dtype.bits


def _patterns(kind: str, dtype: DType, count: int, seed: int, scale: float) -> U64:
    """`count` bit patterns of one component each, in the low bits of u64."""
    rng = np.random.default_rng(seed)
    bits = _component_bits(dtype)
    exponent, mantissa = FLOATS.get(dtype.name, (0, 0))
    everything = rng.integers(0, 1 << 63, count, np.uint64) * np.uint64(2) + rng.integers(
        0, 2, count, np.uint64
    )
    noise = everything & np.uint64((1 << bits) - 1)
    sign = np.uint64(1 << bits - 1)
    fraction = np.uint64((1 << mantissa) - 1)
    infinite = np.uint64(((1 << exponent) - 1) << mantissa)
    if kind == "constant":
        return np.full(count, noise[0] if count else 0, np.uint64)
    if kind == "two values":
        return np.where(rng.integers(0, 2, count) == 1, noise[:1], noise[-1:])
    if kind == "not a number":  # every payload; infinities where the payload is 0
        return noise | infinite
    if kind == "infinite":
        return (noise & sign) | infinite
    if kind == "denormal":
        return noise & (sign | fraction)
    if kind == "negative zero":
        return np.where(rng.integers(0, 3, count) > 0, sign, noise & np.uint64(0))
    if kind == "counting":
        return np.arange(count, dtype=np.uint64) & np.uint64((1 << bits) - 1)
    if kind == "random bits":
        return noise
    values = rng.normal(0, scale, count)
    if kind == "two scales":
        values[count // 2 :] *= 1e-3
    if kind == "sparse":
        values *= rng.random(count) < 0.05
    return _from_floats(values, dtype, bits)


def _from_floats(values: npt.NDArray[np.float64], dtype: DType, bits: int) -> U64:
    """Bit patterns of values: floats cut to the dtype's mantissa, integers rounded."""
    exponent, mantissa = FLOATS.get(dtype.name, (0, 0))
    if exponent == 0:
        with np.errstate(invalid="ignore"):
            whole = np.clip(np.rint(values * 100), -(2**62), 2**62).astype(np.int64)
        return whole.view(np.uint64) & np.uint64((1 << bits) - 1)
    wide = values.view(np.uint64)
    sign = wide >> np.uint64(63)
    bias = (1 << exponent - 1) - 1
    narrow = (wide >> np.uint64(52) & np.uint64(2047)).astype(np.int64) - 1023 + bias
    top = np.clip(narrow, 0, (1 << exponent) - 2).astype(np.uint64)
    low = (wide & np.uint64((1 << 52) - 1)) >> np.uint64(52 - mantissa)
    return sign << np.uint64(bits - 1) | top << np.uint64(mantissa) | low


def pack(patterns: U64, dtype: DType) -> bytes:
    """Bit patterns as they lie in a file; packed types byte by byte."""
    nbytes = _component_bits(dtype) // 8
    if nbytes == 0:
        return (patterns & np.uint64(255)).astype(np.uint8).tobytes()
    return patterns.astype(f"<u{nbytes}").tobytes()


def make(dtype: DType, kind: str, shape: tuple[int, ...], seed: int, scale: float = 0.02) -> Values:
    """Values of one kind; equal arguments give equal bytes."""
    nbytes = math.prod(shape) * dtype.bits // 8
    unit = max(_component_bits(dtype) // 8, 1)
    data = pack(_patterns(kind, dtype, nbytes // unit, seed, scale), dtype)
    return Values(dtype.name, shape, data, kind)


@st.composite
def shapes(draw: st.DrawFn, dtype: DType, counts: tuple[int, ...]) -> tuple[int, ...]:
    """0-d, empty, odd, and sizes around the limits of blocks and chunks."""
    count = draw(st.sampled_from(counts) | st.integers(0, 4000))
    whole = PACKED.get(dtype.name, 1)
    count = count // whole * whole
    forms = [(count,)]
    if count == 1:
        forms += [(), (1, 1)]
    if count == 0:
        forms += [(0, 3), (3, 0, 2)]
    if count > 2:
        divisor = next((d for d in (3, 5, 7, 2) if count % d == 0), 1)
        forms += [(divisor, count // divisor), (count // divisor, 1, divisor)]
    return draw(st.sampled_from(forms))


@st.composite
def values(
    draw: st.DrawFn, names: tuple[str, ...] = NAMES, counts: tuple[int, ...] = COUNTS
) -> Values:
    """A tensor of any dtype, kind and size."""
    by_name = {dtype.name: dtype for dtype in DTYPES}
    dtype = by_name[draw(st.sampled_from(names))]
    shape = draw(shapes(dtype, counts))
    kind = draw(st.sampled_from(KINDS))
    scale = draw(st.sampled_from([1e-30, 1e-5, 0.02, 1.0, 3e4]))
    return make(dtype, kind, shape, draw(st.integers(0, 2**32)), scale)


@st.composite
def part_shapes(draw: st.DrawFn) -> list[tuple[int, int, bool]]:
    """Parts of an arranged chunk, 2048 to some 9000 values: rows, values of a row, columns or not.

    Vectors, tiny rows, rows that are multiples of 64 and rows that are not, at any offset.
    """
    parts: list[tuple[int, int, bool]] = []
    for form in draw(st.lists(st.sampled_from(["vector", "tiny", "whole", "odd"]), max_size=5)):
        rows, row_values = {
            "vector": (st.just(1), st.integers(1, 1500)),
            "tiny": (st.integers(1, 150), st.integers(1, 8)),
            "whole": (st.integers(1, 6), st.sampled_from([64, 128, 192])),
            "odd": (st.integers(1, 20), st.integers(9, 70)),
        }[form]
        parts.append((draw(rows), draw(row_values), draw(st.booleans())))
    missing = 2048 - sum(rows * row_values for rows, row_values, _ in parts)
    if missing > 0 and draw(st.booleans()):
        parts.append((1, missing, draw(st.booleans())))
    elif missing > 0:
        row_values = draw(st.sampled_from([1, 2, 3, 4, 5, 63, 64, 65, 128, 2048, 2111]))
        parts.append((-(-missing // row_values), row_values, draw(st.booleans())))
    return parts


def around_chunk_size(dtype: DType) -> list[int]:
    """Numbers of values one below, at and one above a full chunk."""
    full = chunk_nbytes(dtype) * 8 // dtype.bits
    step = PACKED.get(dtype.name, 1)
    return [full - step, full, full + step]


@st.composite
def tensors(draw: st.DrawFn, max_count: int = 8) -> dict[str, Values]:
    """The tensors of a safetensors file: runs of small ones of one dtype, empty and 0-d ones."""
    small = values(counts=(0, 1, 3, 64, 100, 129, 2048))
    listed = draw(st.lists(small, max_size=max_count))
    if listed and draw(st.booleans()):  # neighbours of one dtype, which are joined
        name = listed[-1].dtype
        listed += draw(st.lists(values((name,), (0, 1, 60, 64, 200)), min_size=2, max_size=6))
    names = draw(st.lists(st.text("aé.0\n", max_size=6), unique=True, min_size=len(listed)))
    return dict(zip(names, listed, strict=False))
