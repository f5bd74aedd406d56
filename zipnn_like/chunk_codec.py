# SPDX-License-Identifier: Apache-2.0
"""Chunks to wire and back: values through the C core, bytes through zstd."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import zstandard

from . import format, native
from .dtypes import DType
from .errors import ChecksumError, CorruptStreamError, Where, ZnlError
from .format import CONSTANT, RAW, ZSTD, ChunkHead
from .levels import Level
from .native import ffi, lib
from .segments import BATCH_CHUNKS, Batch

_thread = threading.local()

BODY_SLACK_NBYTES = int(lib.ZNL_BODY_SLACK_NBYTES)


class EncodedChunk(NamedTuple):
    """A chunk ready to be written.

    source  its source bytes
    tables  the tables it refers to by name: name -> head of the TABLE record
    """

    head: ChunkHead
    body: memoryview | bytes
    source: memoryview
    tables: Mapping[int, bytes]


class StoredChunk(NamedTuple):
    """A chunk as read.

    tables         for each reference the head of its TABLE record, None for universal ones
    offset         of the record in the stream, for messages
    record_nbytes  bytes of its record and of the tables before it
    """

    head: ChunkHead
    body: memoryview
    tables: tuple[bytes | None, ...]
    where: Where
    offset: int
    record_nbytes: int


def bodies_nbytes(batch: Batch) -> int:
    """Room that encode_batch needs for the bodies of a batch."""
    return batch.nbytes + len(batch.chunks) * BODY_SLACK_NBYTES


def encode_batch(
    batch: Batch, source: memoryview, level: Level, bodies: memoryview
) -> list[EncodedChunk]:
    """Encode adjacent chunks of one dtype.

    source  batch.nbytes bytes
    bodies  bodies_nbytes(batch) bytes to write to: the results are views of it
    """
    starts = [0]
    for chunk in batch.chunks:
        starts.append(starts[-1] + chunk.nbytes)
    sources = [source[a:b] for a, b in itertools.pairwise(starts)]
    if not batch.dtype.modelled:
        return [_encode_bytes(batch.dtype, part, level) for part in sources]
    encoded = _encode_values(batch, sources, bodies)
    if not batch.dtype.mixed:
        return encoded
    rivals = [_encode_bytes(batch.dtype, part, level) for part in sources]
    return [min(pair, key=_stored_nbytes) for pair in zip(encoded, rivals, strict=True)]


def _stored_nbytes(chunk: EncodedChunk) -> int:
    return len(chunk.body) + 8 * len(chunk.head.tables)


def _encode_values(
    batch: Batch, sources: list[memoryview], bodies: memoryview
) -> list[EncodedChunk]:
    count = len(sources)
    chunks = ffi.new("znl_chunk[]", count)
    tables = ffi.new("znl_table[]", count)
    scratch = _scratch("encode", int(lib.znl_encode_scratch_nbytes(BATCH_CHUNKS)))
    regions: list[memoryview] = []
    offset = 0
    with native.Pins() as pins:
        for chunk, plan, source in zip(chunks, batch.chunks, sources, strict=True):
            region = bodies[offset : offset + len(source) + BODY_SLACK_NBYTES]
            offset += len(region)
            regions.append(region)
            chunk.source, chunk.source_nbytes = pins.address(source), len(source)
            chunk.body, chunk.body_room = pins.address(region, writable=True), len(region)
            chunk.dtype, chunk.is_joined = batch.dtype.code, plan.is_joined
        made = lib.znl_encode_chunks(native.kernels(), chunks, count, tables, scratch, len(scratch))
    if made < 0:
        raise ZnlError(f"the encoder broke its own contract: {native.error_text(made)}")
    heads = {int(t.name): bytes(ffi.buffer(t.bytes, t.nbytes)) for t in tables[0:made]}
    return [
        _encoded_chunk(batch.dtype, chunk, source, region, heads)
        for chunk, source, region in zip(chunks, sources, regions, strict=True)
    ]


def _encoded_chunk(
    dtype: DType, chunk: Any, source: memoryview, region: memoryview, heads: Mapping[int, bytes]
) -> EncodedChunk:
    references = tuple(int(chunk.tables[i]) for i in range(chunk.table_count))
    head = ChunkHead(
        dtype, chunk.method, chunk.unit_shift, len(source), int(chunk.checksum), references
    )
    start = chunk.body_offset
    body = source if chunk.method == RAW else region[start : start + chunk.body_nbytes]
    named = {name: heads[name] for name in references if name & format.TABLE_NAME_BIT}
    return EncodedChunk(head, body, source, named)


def _encode_bytes(dtype: DType, source: memoryview, level: Level) -> EncodedChunk:
    checksum = native.xxh3_64(source)
    method, body = RAW, source
    if native.is_constant(source, dtype.width):
        method, body = CONSTANT, source[: dtype.width]
    elif len(source) <= format.MAX_ZSTD_NBYTES:
        packed = memoryview(_zstd_compressor(level).compress(source))
        if len(packed) < len(source):
            method, body = ZSTD, packed
    return EncodedChunk(ChunkHead(dtype, method, 0, len(source), checksum, ()), body, source, {})


def _zstd_compressor(level: Level) -> zstandard.ZstdCompressor:
    found = getattr(_thread, "compressors", None)
    if found is None:
        found = _thread.compressors = {}
    if level.zstd_level not in found:
        found[level.zstd_level] = zstandard.ZstdCompressor(
            level=level.zstd_level, write_content_size=True, write_checksum=False
        )
    compressor: zstandard.ZstdCompressor = found[level.zstd_level]
    return compressor


def _scratch(kind: str, nbytes: int) -> Any:
    scratch = getattr(_thread, kind, None)
    if scratch is None or len(scratch) < nbytes:
        scratch = ffi.new("uint8_t[]", nbytes)
        setattr(_thread, kind, scratch)
    return scratch


def decode_chunks(chunks: Sequence[StoredChunk], targets: Sequence[memoryview]) -> None:
    """Decode chunks into views of exactly their source_nbytes, and check their checksums.

    Raises CorruptStreamError, ChecksumError.
    """
    values: list[tuple[StoredChunk, memoryview]] = []
    for stored, target in zip(chunks, targets, strict=True):
        if stored.head.method == ZSTD:
            _decode_zstd(stored, target)
        else:
            values.append((stored, target))
    if values:
        _decode_values(values)


def _decode_values(items: list[tuple[StoredChunk, memoryview]]) -> None:
    chunks = ffi.new("znl_chunk[]", len(items))
    table_count = sum(len(stored.tables) for stored, _ in items)
    tables = ffi.new("znl_table[]", max(1, table_count))
    scratch = _scratch("decode", int(lib.znl_decode_scratch_nbytes()))
    t = 0
    with native.Pins() as pins:
        for chunk, (stored, target) in zip(chunks, items, strict=True):
            head = stored.head
            chunk.body, chunk.body_nbytes = pins.address(stored.body), len(stored.body)
            chunk.source, chunk.source_nbytes = pins.address(target, writable=True), len(target)
            chunk.checksum, chunk.dtype, chunk.method = head.checksum, head.dtype.code, head.method
            chunk.table_count, chunk.unit_shift = len(head.tables), head.unit_shift
            for i, (reference, wire) in enumerate(zip(head.tables, stored.tables, strict=True)):
                chunk.tables[i] = reference
                if wire is not None:
                    tables[t].name, tables[t].nbytes = reference, len(wire)
                    ffi.memmove(tables[t].bytes, wire, len(wire))
                t += 1
        status = lib.znl_decode_chunks(
            native.kernels(), chunks, len(items), tables, table_count, scratch, len(scratch)
        )
    if status == 0:
        return
    failed = next((i for i, chunk in enumerate(chunks) if chunk.status), 0)
    _raise_status(int(status), items[failed][0])


def _raise_status(status: int, stored: StoredChunk) -> None:
    kind = ChecksumError if status == lib.ZNL_STATUS_CHECKSUM else CorruptStreamError
    what = f"{stored.head.dtype.name} chunk of {stored.head.source_nbytes} bytes"
    method = format.METHOD_NAMES[stored.head.method]
    raise kind(
        stored.where.at(
            stored.offset,
            f"a whole {what} ({method})",
            f"damage: {native.error_text(status)}",
            "fetch the file again or restore it from a copy",
        )
    )


def _decode_zstd(stored: StoredChunk, target: memoryview) -> None:
    where, at, expected = stored.where, stored.offset, stored.head.source_nbytes
    if expected > format.MAX_ZSTD_NBYTES:
        limit = f"a zstd chunk of at most {format.MAX_ZSTD_NBYTES} bytes"
        raise CorruptStreamError(where.at(at, limit, expected))
    try:
        frame = zstandard.get_frame_parameters(stored.body)
        if frame.content_size != expected or frame.dict_id:
            raise CorruptStreamError(
                where.at(at, f"a zstd frame of {expected} bytes, no dictionary", frame.content_size)
            )
        if frame.window_size > format.MAX_ZSTD_NBYTES:
            limit = f"a zstd window of at most {format.MAX_ZSTD_NBYTES} bytes"
            raise CorruptStreamError(where.at(at, limit, frame.window_size))
        data = zstandard.ZstdDecompressor().decompress(stored.body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptStreamError(where.at(at, "a whole zstd frame", f"damage: {error}")) from None
    if len(data) != expected:
        raise CorruptStreamError(where.at(at, f"{expected} decoded bytes", len(data)))
    target[:] = data
    if native.xxh3_64(target) != stored.head.checksum:
        raise ChecksumError(where.at(at, "decoded bytes with the stated checksum", "others"))
