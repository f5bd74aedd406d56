# SPDX-License-Identifier: Apache-2.0
"""The C core as Python sees it, and the choice of instruction set; only this imports `_native`."""

from __future__ import annotations

import functools
import os
from typing import Any

from ._native import ffi, lib
from .errors import UsageError

__all__ = ["error_text", "ffi", "isa", "isa_name", "lib", "pointer", "table_name", "xxh3_64"]

ISA_VARIABLE = "ZIPNN_LIKE_ISA"
_ISAS = {"scalar": lib.ZNL_ISA_SCALAR}


def pointer(buffer: Any, *, writable: bool = False) -> Any:
    """A `uint8_t *` to the first byte of a contiguous buffer, kept alive by the result."""
    return ffi.from_buffer("uint8_t[]", buffer, require_writable=writable)


def xxh3_64(data: bytes | bytearray | memoryview) -> int:
    """XXH3-64 of the bytes, seed 0."""
    return int(lib.znl_xxh3_64(pointer(data), len(data)))


def table_name(head: bytes) -> int | None:
    """The name of a table from the head of its TABLE record, None when it is not well formed."""
    name = ffi.new("uint64_t *")
    return int(name[0]) if lib.znl_table_check(pointer(head), len(head), name) == 0 else None


def error_text(code: int) -> str:
    """The sentence of a C error code."""
    text = ffi.string(lib.znl_error_text(code))
    return text.decode("ascii") if isinstance(text, bytes) else str(text)


@functools.cache
def isa() -> int:
    """The instruction set to run on: the best here, or what ZIPNN_LIKE_ISA names.

    Raises UsageError when the named one is unknown or this CPU lacks it.
    """
    best = int(lib.znl_cpu_isa())
    forced = os.environ.get(ISA_VARIABLE)
    if not forced:
        return best
    here = [name for name, number in _ISAS.items() if number <= best]
    if forced not in here:
        raise UsageError(f"{ISA_VARIABLE}={forced}: expected one of {', '.join(here)} on this CPU")
    return int(_ISAS[forced])


def isa_name() -> str:
    """The name of the instruction set in use."""
    return next(name for name, number in _ISAS.items() if number == isa())
