# SPDX-License-Identifier: Apache-2.0
"""The body of a composed chunk on the wire (docs/format.md, section 5.11): pack and parse.

What is parsed is untrusted: nothing is sized by a field that was not compared with its limit.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from . import format, transforms
from .dtypes import BYTES, DType
from .errors import CorruptStreamError, UnsupportedFormatError, Where
from .format import padding_nbytes
from .transforms import Transform
from .transforms.parts import Fields, UnfitError

MAX_SUB_CHUNKS = 64

_FIRST = struct.Struct("<BBBBIQ")  # transform, number of sub-chunks, fields
_SUB_CHUNK = struct.Struct("<BBBBII")


class SubChunk(NamedTuple):
    """A part of a composed chunk, or a piece of one; `body_start`: where in the whole body."""

    dtype: DType
    method: int
    table_count: int
    unit_shift: int
    source_nbytes: int
    body: memoryview
    body_start: int = 0


class ComposedBody(NamedTuple):
    """A body taken apart; `parts_nbytes`: what the sub-chunks restore together."""

    transform: Transform
    fields: Fields
    parts_nbytes: int
    sub_chunks: tuple[SubChunk, ...]


def pack(transform: Transform, fields: Fields, sub_chunks: Sequence[SubChunk]) -> bytes:
    """The body of a composed chunk."""
    pieces: list[bytes | memoryview] = [_FIRST.pack(transform.code, len(sub_chunks), *fields)]
    for sub in sub_chunks:
        numbers = (sub.table_count, sub.unit_shift, sub.source_nbytes, len(sub.body))
        pieces.append(_SUB_CHUNK.pack(sub.dtype.code, sub.method, *numbers))
    for sub in sub_chunks:
        pieces += [sub.body, bytes(padding_nbytes(len(sub.body)))]
    return b"".join(pieces)


def parse(
    body: memoryview, source_nbytes: int, table_count: int, where: Where, start: int
) -> ComposedBody:
    """Take a body apart and check all that its fields say.

    source_nbytes, table_count  of the chunk
    start                       of the body in the stream, for messages
    Raises CorruptStreamError, UnsupportedFormatError.
    """
    if source_nbytes > format.MAX_COMPOSED_NBYTES:
        limit = f"a composed chunk of at most {format.MAX_COMPOSED_NBYTES} bytes"
        raise CorruptStreamError(where.at(start, limit, source_nbytes))
    if len(body) < _FIRST.size:
        raise CorruptStreamError(where.at(start, f"{_FIRST.size} bytes or more", len(body)))
    code, count, *numbers = _FIRST.unpack_from(body)
    if code not in transforms.BY_CODE:
        raise UnsupportedFormatError(where.at(start, "a known transform", code, "update"))
    transform, fields = transforms.BY_CODE[code], Fields(*numbers)
    room = len(body) - _FIRST.size
    if not 1 <= count <= min(MAX_SUB_CHUNKS, room // _SUB_CHUNK.size):
        limit = f"1 to {MAX_SUB_CHUNKS} sub-chunks in {room} bytes"
        raise CorruptStreamError(where.at(start + 1, limit, count))
    _check_known(body, count, where, start)
    try:
        nbytes = transform.parts_nbytes(fields, source_nbytes)
    except UnfitError as error:
        raise refusal(error, transform, where, start) from None
    sub_chunks = _parse_sub_chunks(body, count, where, start)
    restored = sum(sub.source_nbytes for sub in sub_chunks)
    if restored != nbytes:
        expected = f"sub-chunks of {nbytes} bytes together"
        raise CorruptStreamError(where.at(start + _FIRST.size, expected, restored))
    referred = sum(sub.table_count for sub in sub_chunks)
    if referred != table_count:
        expected = f"sub-chunks with {table_count} tables together"
        raise CorruptStreamError(where.at(start + _FIRST.size, expected, referred))
    return ComposedBody(transform, fields, nbytes, sub_chunks)


def refusal(
    error: UnfitError, transform: Transform, where: Where, start: int
) -> CorruptStreamError:
    """What a transform finds wrong, as an error of the stream."""
    expected = f"{error.expected} ({transform.name})"
    return CorruptStreamError(where.at(start + error.offset, expected, error.found))


def _check_known(body: memoryview, count: int, where: Where, start: int) -> None:
    """What is unsupported comes first: a later version may lay the rest out differently."""
    for number in range(count):
        at = _FIRST.size + number * _SUB_CHUNK.size
        format.parse_dtype(body[at], where, start + at)
        format.check_method(body[at + 1], where, start + at + 1)


def _parse_sub_chunks(
    body: memoryview, count: int, where: Where, start: int
) -> tuple[SubChunk, ...]:
    found = []
    body_start = _FIRST.size + count * _SUB_CHUNK.size
    for number in range(count):
        at = _FIRST.size + number * _SUB_CHUNK.size
        code, method, tables, shift, source_nbytes, nbytes = _SUB_CHUNK.unpack_from(body, at)
        dtype = format.parse_dtype(code, where, start + at)
        if method == format.COMPOSED:
            expected = "another method than composed for a sub-chunk"
            raise CorruptStreamError(where.at(start + at + 1, expected, method))
        if dtype is not BYTES and method not in format.TABLES:
            expected = f"dtype 0 for a sub-chunk that is {format.METHOD_NAMES[method]}"
            raise CorruptStreamError(where.at(start + at, expected, code))
        format.check_tables(method, tables, shift, where, start + at + 2)
        if source_nbytes == 0:
            raise CorruptStreamError(where.at(start + at + 4, "1 byte or more", 0))
        body_stop = body_start + nbytes
        padded_stop = body_stop + padding_nbytes(nbytes)
        if padded_stop > len(body):
            expected = f"a body in the {len(body) - body_start} bytes left"
            raise CorruptStreamError(where.at(start + at + 8, expected, nbytes))
        if any(body[body_stop:padded_stop]):
            expected = "zero padding"
            raise CorruptStreamError(where.at(start + body_stop, expected, "other bytes"))
        piece = body[body_start:body_stop]
        found.append(SubChunk(dtype, method, tables, shift, source_nbytes, piece, body_start))
        body_start = padded_stop
    if body_start != len(body):
        expected = f"the end of the body after {body_start} bytes"
        raise CorruptStreamError(where.at(start + body_start, expected, f"{len(body)} bytes"))
    return tuple(found)
