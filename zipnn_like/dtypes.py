# SPDX-License-Identifier: Apache-2.0
"""One table of dtypes: name, code on the wire, width, whether the static coder models it.

Names are those of safetensors 0.8; codes and layouts are docs/format.md section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import UsageError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class DType:
    """A dtype of values.

    name        as safetensors spells it; BYTES for source bytes without a dtype
    code        number on the wire
    bits        size of one element of a tensor
    width       bytes of the unit a chunk is made of (C64: one F32 component; packed types: 1)
    modelled    the static coder has a layout for it
    array_type  numpy or ml_dtypes name of an element, "" where arrays come as packed bytes
    mixed       often holds text or packed codes: zstd is tried beside the static coder
    """

    name: str
    code: int
    bits: int
    width: int
    modelled: bool = False
    array_type: str = ""
    mixed: bool = False


BYTES = DType("BYTES", 0, 8, 1)

DTYPES: tuple[DType, ...] = (
    BYTES,
    DType("F64", 1, 64, 8, True, "float64"),
    DType("F32", 2, 32, 4, True, "float32"),
    DType("F16", 3, 16, 2, True, "float16"),
    DType("BF16", 4, 16, 2, True, "bfloat16"),
    DType("C64", 5, 64, 4, True, "complex64"),
    DType("F8_E5M2", 6, 8, 1, True, "float8_e5m2"),
    DType("F8_E4M3", 7, 8, 1, True, "float8_e4m3fn"),
    DType("F8_E5M2FNUZ", 8, 8, 1, True, "float8_e5m2fnuz"),
    DType("F8_E4M3FNUZ", 9, 8, 1, True, "float8_e4m3fnuz"),
    DType("F8_E8M0", 10, 8, 1, True, "float8_e8m0fnu"),
    DType("F6_E2M3", 11, 6, 1),
    DType("F6_E3M2", 12, 6, 1),
    DType("F4", 13, 4, 1),
    DType("I8", 14, 8, 1, True, "int8"),
    DType("U8", 15, 8, 1, True, "uint8", mixed=True),
    DType("I16", 16, 16, 2, False, "int16"),
    DType("U16", 17, 16, 2, False, "uint16"),
    DType("I32", 18, 32, 4, False, "int32"),
    DType("U32", 19, 32, 4, False, "uint32"),
    DType("I64", 20, 64, 8, False, "int64"),
    DType("U64", 21, 64, 8, False, "uint64"),
    DType("BOOL", 22, 8, 1, False, "bool"),
)

BY_NAME = {dtype.name: dtype for dtype in DTYPES}
BY_CODE = {dtype.code: dtype for dtype in DTYPES}
_BY_ARRAY_TYPE = {dtype.array_type: dtype for dtype in DTYPES if dtype.array_type}


def find(dtype: object) -> DType:
    """The DType for a safetensors name or a numpy / ml_dtypes dtype.

    Raises UsageError for anything else, big-endian numpy dtypes included.
    """
    if isinstance(dtype, DType):
        return dtype
    if isinstance(dtype, str) and dtype in BY_NAME:
        return BY_NAME[dtype]
    from_numpy = _find_numpy(dtype)
    if from_numpy is None:
        known = ", ".join(BY_NAME)
        raise UsageError(
            f"dtype {str(dtype)!r}: expected one of {known}, or a numpy dtype of these, "
            "little-endian"
        )
    return from_numpy


def _find_numpy(dtype: Any) -> DType | None:
    import ml_dtypes
    import numpy as np

    if isinstance(dtype, str) and hasattr(ml_dtypes, dtype):
        dtype = getattr(ml_dtypes, dtype)
    try:
        found = np.dtype(dtype)
    except TypeError:
        return None
    if found.itemsize > 1 and found != found.newbyteorder("<"):
        return None
    return _BY_ARRAY_TYPE.get(found.name)


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """The little-endian numpy (or ml_dtypes) dtype of an element; uint8 for packed types."""
    import ml_dtypes
    import numpy as np

    name = dtype.array_type or "uint8"
    element: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name, name))
    return element if element.kind == "V" else element.newbyteorder("<")
