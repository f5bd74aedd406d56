# SPDX-License-Identifier: Apache-2.0
"""The C core as Python sees it, and the choice of instruction set; only this imports `_native`."""

from __future__ import annotations

import functools
import os
from typing import Any

from .errors import UsageError

try:
    from ._native import ffi, lib
except ImportError as error:
    raise ImportError(
        f"{os.path.dirname(__file__)}: the C core is not built here: run `make build`, or leave "
        f"this checkout if zipnn_like is installed elsewhere ({error})"
    ) from error

__all__ = [
    "Pins",
    "address",
    "advise_large_pages",
    "copied",
    "error_text",
    "ffi",
    "is_constant",
    "isa_name",
    "isas",
    "kernels",
    "kernels_of",
    "lib",
    "new_uncleared",
    "table_name",
    "xxh3_64",
]

ISA_VARIABLE = "ZIPNN_LIKE_ISA"
ISAS = {
    "scalar": int(lib.ZNL_ISA_SCALAR),
    "sse4": int(lib.ZNL_ISA_SSE4),
    "avx2": int(lib.ZNL_ISA_AVX2),
    "avx512": int(lib.ZNL_ISA_AVX512),
    "neon": int(lib.ZNL_ISA_NEON),
}


class Pins:
    """Buffers whose addresses C holds; a context manager that lets go of all of them.

    Letting go is explicit: when a traceback keeps the frame of a failed call, the garbage collector
    may clear a memoryview before the cffi object that still points to it, and crash.
    """

    def __init__(self) -> None:
        self._held: list[Any] = []

    def address(self, buffer: Any, *, writable: bool = False) -> Any:
        """A `uint8_t *` to the first byte of a buffer, valid until the end of the block."""
        held = ffi.from_buffer("uint8_t[]", buffer, require_writable=writable)
        self._held.append(held)
        return held

    def __enter__(self) -> Pins:
        return self

    def __exit__(self, *exception: object) -> None:
        for held in self._held:
            ffi.release(held)


new_uncleared = ffi.new_allocator(should_clear_after_alloc=False)
"""As ffi.new, with any contents."""


def copied(kind: str, source: Any, count: int) -> Any:
    """An array of its own with the first `count` items of another."""
    made = new_uncleared(kind, count)
    ffi.memmove(made, source, ffi.sizeof(made))
    return made


def address(buffer: Any, *, writable: bool = False) -> Any:
    """A `uint8_t *` to the first byte of a buffer, for as long as the caller keeps `buffer` itself.

    Nothing is pinned: a memoryview or bytes object stays where it is while it is referred to, and
    objects that C points to can't be cleared by the garbage collector before their holder is.
    """
    with ffi.from_buffer("uint8_t[]", buffer, require_writable=writable) as held:
        return ffi.cast("uint8_t *", held)


def entropy_q16(counts: Any) -> int:
    """What symbols that occur this often take together at their entropy, in 1/65536 bit.

    counts  a buffer of uint32
    """
    with ffi.from_buffer("uint32_t[]", counts) as held:
        return int(lib.znl_entropy_q16(held, len(held)))


def advise_large_pages(buffer: Any) -> None:
    """Ask for large pages under a writable buffer that was just allocated."""
    lib.znl_advise_large_pages(address(buffer, writable=True), len(buffer))


def xxh3_64(data: bytes | bytearray | memoryview) -> int:
    """XXH3-64 of the bytes, seed 0."""
    if type(data) is bytes:  # cffi takes its address itself, at a fraction of the cost
        return int(lib.znl_xxh3_64(kernels(), data, len(data)))
    with Pins() as pins:
        return int(lib.znl_xxh3_64(kernels(), pins.address(data), len(data)))


def is_constant(data: memoryview, width: int) -> bool:
    """The bytes are one value of `width` bytes again and again."""
    with Pins() as pins:
        return bool(lib.znl_is_constant(pins.address(data), len(data), width))


def table_name(head: bytes) -> int | None:
    """The name of a table from the head of its TABLE record, None when it is not well formed."""
    name = ffi.new("uint64_t *")
    with Pins() as pins:
        status = lib.znl_table_check(pins.address(head), len(head), name)
    return int(name[0]) if status == 0 else None


def error_text(code: int) -> str:
    """The sentence of a C error code."""
    text = ffi.string(lib.znl_error_text(code))
    return text.decode("ascii") if isinstance(text, bytes) else str(text)


def isas() -> list[str]:
    """The instruction sets that this CPU and this build have, slowest first."""
    return [name for name, number in ISAS.items() if lib.znl_cpu_has(number)]


def isa_name() -> str:
    """The instruction set to run on: the best here, or what ZIPNN_LIKE_ISA names.

    Raises UsageError when the named one is unknown or this CPU lacks it.
    """
    here = isas()
    forced = os.environ.get(ISA_VARIABLE)
    if not forced:
        return here[-1]
    if forced not in here:
        raise UsageError(f"{ISA_VARIABLE}={forced}: expected one of {', '.join(here)} on this CPU")
    return forced


@functools.cache
def kernels_of(name: str) -> Any:
    """The `znl_kernels *` of an instruction set. Raises UsageError for one that is not here."""
    if name not in isas():
        raise UsageError(f"instruction set {name!r}: expected one of {', '.join(isas())} here")
    room = ffi.new("uint8_t[]", int(lib.znl_kernels_nbytes()))
    made = ffi.cast("znl_kernels *", room)
    if lib.znl_kernels_init(made, ISAS[name]) != 0:
        raise UsageError(f"instruction set {name}: this CPU or this build lacks it")
    _kept.append(room)
    return made


_kept: list[Any] = []  # the memory behind kernels_of


_in_use: list[Any] = []


def kernels() -> Any:
    """The `znl_kernels *` in use, chosen on the first call."""
    if not _in_use:
        use(isa_name())
    return _in_use[0]


def use(name: str) -> None:
    """Run on this instruction set from now on, for tests and benchmarks; no byte depends on it."""
    _in_use[:] = [kernels_of(name)]
