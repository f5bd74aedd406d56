# SPDX-License-Identifier: Apache-2.0
"""Source containers: `read_layout` finds the parser for a source by its first bytes."""

from __future__ import annotations

from collections.abc import Callable

from . import safetensors
from .layout import OPAQUE, Layout

_PIECE_NBYTES = 1 << 20


def read_layout(read: Callable[[int], bytes]) -> tuple[Layout, bytes]:
    """Read the start of a source and parse it; OPAQUE for every source no parser knows.

    read     read(n) returns at most n bytes (fewer is fine), b"" at the end of the source
    returns  the layout, and the bytes consumed, which the caller must compress first

    The header alone decides, so that a pipe and a file give the same layout: a body that is
    shorter or longer than the header says is the caller's business.
    """
    head = _read_up_to(read, 9)
    json_nbytes = safetensors.header_nbytes(head[:8])
    if json_nbytes is None or head[8:] != b"{":
        return OPAQUE, head
    head += _read_up_to(read, 8 + json_nbytes - len(head))
    if len(head) < 8 + json_nbytes:
        return OPAQUE, head
    return safetensors.parse_header(head[8:]) or OPAQUE, head


def _read_up_to(read: Callable[[int], bytes], nbytes: int) -> bytes:
    """`nbytes` bytes, or all up to the end of the source if there are fewer."""
    # In pieces: a foreign file can announce a header of 100 MB, and buys memory only by having it.
    taken = bytearray()
    while len(taken) < nbytes:
        piece = read(min(nbytes - len(taken), _PIECE_NBYTES))
        if not piece:
            break
        taken += piece
    return bytes(taken)
