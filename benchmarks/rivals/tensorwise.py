# SPDX-License-Identifier: Apache-2.0
"""Files for rivals that know only arrays: the header, then each tensor as the rival codes it.

The framing is made to cost a rival next to nothing: the header is deflated where that is smaller, a
length takes one to five bytes, and a tensor that the rival can't make smaller is kept verbatim.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from .way import Way

Encode = Callable[[str, bytes], "bytes | None"]
"""(dtype, values) -> payload; None where the rival has no coder for the dtype."""
Decode = Callable[[str, bytes, int], bytes]
"""(dtype, payload, byte count of the values) -> values."""


@dataclass(frozen=True)
class Tensor:
    """A tensor as the header names it; offsets are relative to the end of the header."""

    name: str
    dtype: str
    begin: int
    end: int


def split_header(source: bytes) -> tuple[bytes, list[Tensor]]:
    """The header with its length, and the tensors in file order. Raises ValueError."""
    header_nbytes = 8 + int.from_bytes(source[:8], "little")
    entries = json.loads(source[8:header_nbytes])
    entries.pop("__metadata__", None)
    tensors = [Tensor(name, of["dtype"], *of["data_offsets"]) for name, of in entries.items()]
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
    end = 0
    for tensor in tensors:
        if tensor.begin != end:
            raise ValueError(f"tensor {tensor.name!r} begins at {tensor.begin}, expected {end}")
        end = tensor.end
    return source[:header_nbytes], [tensor for tensor in tensors if tensor.begin < tensor.end]


def pack_header(header: bytes) -> bytes:
    """The header as it is stored beside what a rival writes."""
    deflated = zlib.compress(header, 9)
    return _with_length(deflated) if len(deflated) < len(header) else _with_length(b"") + header


def unpack_header(wire: bytes) -> tuple[bytes, int]:
    """The header, and where in the wire the rest begins."""
    nbytes, at = _read_length(wire, 0)
    if nbytes:
        return zlib.decompress(wire[at : at + nbytes]), at + nbytes
    end = at + 8 + int.from_bytes(wire[at : at + 8], "little")
    return wire[at:end], end


def join_tensors(header: bytes, values: Callable[[Tensor], bytes]) -> bytes:
    """The file with this header, asking for the values of each tensor."""
    return header + b"".join(values(tensor) for tensor in split_header(header)[1])


def by_tensor(encode: Encode, decode: Decode, *, merge: bool = False) -> Way:
    """A Way that gives the rival each tensor; merge: neighbours of one dtype as one array."""

    def compress(source: bytes) -> bytes:
        header, tensors = split_header(source)
        wire = [pack_header(header)]
        end = len(header)
        for dtype, nbytes in _pieces(tensors, merge):
            begin, end = end, end + nbytes
            values = source[begin:end]
            payload = encode(dtype, values)
            if payload is None or len(payload) >= nbytes:
                wire += [_with_length(b""), values]
            else:
                wire.append(_with_length(payload))
        if end != len(source):
            raise ValueError(f"{len(source) - end} bytes after the last tensor")
        return b"".join(wire)

    def decompress(wire: bytes) -> bytes:
        header, at = unpack_header(wire)
        parts = [header]
        for dtype, nbytes in _pieces(split_header(header)[1], merge):
            payload_nbytes, at = _read_length(wire, at)
            if payload_nbytes:
                parts.append(decode(dtype, wire[at : at + payload_nbytes], nbytes))
            else:
                parts.append(wire[at : at + nbytes])
            at += payload_nbytes or nbytes
        return b"".join(parts)

    return Way(compress, decompress)


def by_tensor_and_run(ways: Mapping[str, tuple[Encode, Decode]]) -> Mapping[str, Way]:
    """Each pair as two Ways: over tensors, and over runs of tensors of one dtype."""
    return {
        f"{unit}, {name}": by_tensor(encode, decode, merge=unit == "runs")
        for name, (encode, decode) in ways.items()
        for unit in ("tensors", "runs")
    }


def _pieces(tensors: list[Tensor], merge: bool) -> Iterator[tuple[str, int]]:
    """(dtype, byte count) of what the rival gets, in file order."""
    sizes = ((tensor.dtype, tensor.end - tensor.begin) for tensor in tensors)
    if not merge:
        yield from sizes
        return
    for dtype, run in groupby(sizes, key=lambda size: size[0]):
        yield dtype, sum(nbytes for _, nbytes in run)


def _with_length(payload: bytes) -> bytes:
    """LEB128 length, then the payload; an empty one announces verbatim bytes."""
    length, left = bytearray(), len(payload)
    while left >= 0x80:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*length, left]) + payload


def _read_length(wire: bytes, at: int) -> tuple[int, int]:
    """A length, and where it ends."""
    length, shift = 0, 0
    while True:
        byte = wire[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return length, at
