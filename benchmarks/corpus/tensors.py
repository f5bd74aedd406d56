# SPDX-License-Identifier: Apache-2.0
"""`Tensor`, which every reader of the corpus returns, and the table of dtypes it may have."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# safetensors name -> numpy dtype that carries its bits. The order matters: the reference writer of
# safetensors stores tensors by it, last first.
CARRIERS = {
    "BOOL": "u1",
    "U8": "u1",
    "I8": "i1",
    "F8_E5M2": "u1",
    "F8_E4M3": "u1",
    "I16": "<i2",
    "U16": "<u2",
    "F16": "<f2",
    "BF16": "<u2",
    "I32": "<i4",
    "U32": "<u4",
    "F32": "<f4",
    "F64": "<f8",
    "I64": "<i8",
    "U64": "<u8",
}

Wire = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Tensor:
    """A tensor of the corpus.

    dtype   a key of CARRIERS
    shape   dimensions, () for a scalar
    values  all values in C order, one-dimensional, of the carrier's dtype
    """

    dtype: str
    shape: tuple[int, ...]
    values: NDArray[Any]


def value_nbytes(dtype: str) -> int:
    """Bytes of one value."""
    return np.dtype(CARRIERS[dtype]).itemsize


def make_tensor(dtype: str, shape: Iterable[int], values: NDArray[Any] | Wire) -> Tensor:
    """A Tensor from an array or from raw little-endian bytes.

    Raises ValueError when `shape` does not hold exactly these values.
    """
    if isinstance(values, np.ndarray):
        flat = np.ascontiguousarray(values, dtype=CARRIERS[dtype]).reshape(-1)
    else:
        flat = np.frombuffer(values, dtype=CARRIERS[dtype])
    dimensions = tuple(int(dimension) for dimension in shape)
    if flat.size != math.prod(dimensions):
        raise ValueError(f"shape {dimensions}: expected {math.prod(dimensions)}, found {flat.size}")
    return Tensor(dtype, dimensions, flat)
