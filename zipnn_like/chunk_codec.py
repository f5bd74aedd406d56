# SPDX-License-Identifier: Apache-2.0
"""Chunks to wire and back: values through the C core, bytes through zstd.

Composed chunks are made of such chunks: see composed.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import zstandard

from . import format, native
from .dtypes import BY_CODE, BYTES, DType
from .errors import ChecksumError, CorruptStreamError, Where, ZnlError
from .format import COMPOSED, CONSTANT, RAW, ZSTD, ChunkHead
from .levels import LEVELS, Level
from .native import ffi, lib
from .samples import Sampler, rows_repeat
from .segments import BATCH_CHUNKS, Batch

_thread = threading.local()

BODY_SLACK_NBYTES = int(lib.ZNL_BODY_SLACK_NBYTES)
SHORT_NBYTES = 256 << 10  # of bytes without a dtype that are tried with zstd at two levels
PACKED_GAINS = 0.85  # on what zstd makes of a sample at level 1, by a higher level and all there is
_LEFT = int(lib.ZNL_STATUS_LEFT)
_NEW_TABLES = int(lib.ZNL_NEW_TABLES)


class Run:
    """Consecutive chunks on their way between source and stream, as the C core takes them.

    chunks        znl_chunk[]; its first `count` are used
    tables        znl_table[]: the tables that they refer to
    source_nbytes of all chunks
    keep          the buffers that the chunks point into
    """

    __slots__ = ("chunks", "count", "keep", "source_nbytes", "table_count", "tables", "where")

    def __init__(
        self,
        chunks: Any,
        count: int,
        tables: Any,
        table_count: int,
        source_nbytes: int,
        keep: list[Any],
        where: Where | None = None,
    ) -> None:
        self.chunks = chunks
        self.count = count
        self.tables = tables
        self.table_count = table_count
        self.source_nbytes = source_nbytes
        self.keep = keep
        self.where = where or Where("")

    def add_tables(self, tables: Iterable[bytes]) -> None:
        """Let chunks refer to more tables, each the bytes of a znl_table."""
        known = ffi.buffer(self.tables, self.table_count * ffi.sizeof("znl_table"))
        every = b"".join([known, *tables])
        self.tables = ffi.from_buffer("znl_table[]", every)
        self.table_count = len(self.tables)


def bodies_nbytes(batch: Batch) -> int:
    """Room that encode_simply needs for the bodies of a batch."""
    return batch.nbytes + len(batch.chunks) * BODY_SLACK_NBYTES


def encode_simply(batch: Batch, source: memoryview, level: Level, bodies: memoryview) -> Run:
    """Encode adjacent chunks of one dtype by any method but composed.

    source  batch.nbytes bytes
    bodies  bodies_nbytes(batch) bytes to write to: the chunks of the run point into both
    """
    count, dtype = len(batch.chunks), batch.dtype
    chunks = ffi.new("znl_chunk[]", count)
    tables = native.new_uncleared("znl_table[]", count * _NEW_TABLES)
    run = Run(chunks, count, tables, 0, batch.nbytes, [source, bodies])
    parts = ffi.new("znl_part[]", [part for plan in batch.chunks for part in plan.parts])
    run.keep.append(parts)
    first_part = 0
    for chunk, plan in zip(chunks, batch.chunks, strict=True):
        chunk.source_nbytes, chunk.dtype = plan.nbytes, dtype.code
        if plan.is_joined:
            chunk.is_joined = 1
        chunk.parts, chunk.part_count = parts + first_part, len(plan.parts)
        first_part += len(plan.parts)
    target = native.address(bodies, writable=True)
    if (
        lib.znl_place_chunks(chunks, count, native.address(source), len(source)) != 0
        or lib.znl_place_bodies(chunks, count, target, len(bodies)) != 0
    ):
        raise ZnlError(f"expected a batch of {len(source)} bytes, found {batch.nbytes}")
    if dtype.modelled:
        room = max(count, BATCH_CHUNKS)
        scratch = _scratch("encode", int(lib.znl_encode_scratch_nbytes(room)))
        made = lib.znl_encode_chunks(native.kernels(), chunks, count, tables, scratch, len(scratch))
        if made < 0:
            raise ZnlError(f"the encoder broke its own contract: {native.error_text(made)}")
        run.table_count = int(made)
    tried = _are_tried(run, batch, source, level)
    if any(tried):
        _try_bytes(run, tried, source, dtype, level)
    return run


def body_nbytes(chunk: Any) -> int:
    """Bytes of an encoded chunk's body in the stream."""
    if chunk.distance:
        return 0
    return int(chunk.source_nbytes if chunk.method == RAW else chunk.body_nbytes)


def stored_nbytes(chunk: Any) -> int:
    """Bytes of an encoded chunk's body and references in the stream."""
    return body_nbytes(chunk) + 8 * int(chunk.table_count)


def _try_bytes(
    run: Run, tried: Sequence[bool], source: memoryview, dtype: DType, level: Level
) -> None:
    offset = 0
    for chunk, is_tried in zip(run.chunks[0 : run.count], tried, strict=True):
        start, offset = offset, offset + chunk.source_nbytes
        packed = _encode_bytes(chunk, source[start:offset], dtype, level) if is_tried else None
        if packed is not None:
            run.keep.append(packed)


def _encode_bytes(chunk: Any, source: memoryview, dtype: DType, level: Level) -> bytes | None:
    """Store the chunk as plain bytes if that is smaller; returns what its body points to."""
    if not dtype.modelled:
        chunk.checksum, chunk.method = native.xxh3_64(source), RAW
        if native.is_constant(source, dtype.width):
            chunk.method, chunk.body_nbytes = CONSTANT, dtype.width
            ffi.memmove(chunk.body, source[: dtype.width], dtype.width)
            return None
    if chunk.method == CONSTANT or len(source) > format.MAX_ZSTD_NBYTES:
        return None
    packed = pack_bytes(source, level)
    if _is_tried_at_fast(source, dtype):
        packed = min(packed, pack_bytes(source, LEVELS["fast"]), key=len)
    if len(packed) >= stored_nbytes(chunk):
        return None
    set_packed(chunk, packed)
    return packed


def _are_tried(run: Run, batch: Batch, source: memoryview, level: Level) -> list[bool]:
    """Which chunks of a batch may be smaller as plain bytes."""
    dtype, chunks = batch.dtype, batch.chunks
    if dtype.mixed or not dtype.modelled or not level.by_rows:
        return [dtype.mixed or not dtype.modelled] * len(chunks)
    sampler: Sampler | None = getattr(_thread, "sampler", None)
    if sampler is None:
        sampler = _thread.sampler = Sampler()
    has_rows = rows_repeat(source, chunks)
    tried = [True] * len(chunks) if has_rows else sampler.find_matches(source, chunks)
    offset = 0
    for i, plan in enumerate(chunks if any(tried) else ()):
        if tried[i]:
            packed = sampler.share_packed(source[offset : offset + plan.nbytes], has_rows)
            tried[i] = PACKED_GAINS * packed * plan.nbytes < stored_nbytes(run.chunks[i])
        offset += plan.nbytes
    return tried


def _is_tried_at_fast(source: memoryview, dtype: DType) -> bool:
    """Whether `fast` would use zstd, too: a higher level does not always find more."""
    is_short = dtype is not BYTES or len(source) <= SHORT_NBYTES
    return is_short and (dtype.mixed or not dtype.modelled)


def pack_bytes(source: memoryview, level: Level) -> bytes:
    """The bytes as a zstd frame."""
    try:
        packed: bytes = _zstd_compressor(level).compress(source)
    except zstandard.ZstdError as error:  # nothing else can fail: any bytes can be compressed
        raise MemoryError(str(error)) from error
    return packed


def set_packed(chunk: Any, packed: bytes) -> None:
    """Let a zstd frame, which the caller keeps, store a chunk."""
    chunk.method, chunk.table_count, chunk.unit_shift = ZSTD, 0, 0
    chunk.body, chunk.body_offset = native.address(packed), 0
    chunk.body_nbytes = len(packed)


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
        scratch = native.new_uncleared("uint8_t[]", nbytes)
        setattr(_thread, kind, scratch)
    return scratch


def run_of_one(
    head: ChunkHead,
    body: memoryview,
    tables: Sequence[bytes | None],
    where: Where,
    offset: int,
) -> Run:
    """A run of one chunk read from a stream.

    tables  for each reference the head of its TABLE record, None for universal ones
    offset  of the record in the stream, for messages
    """
    run = Run(
        ffi.new("znl_chunk[]", 1),
        1,
        ffi.new("znl_table[]", max(1, len(tables))),
        len(tables),
        head.source_nbytes,
        [body],
        where,
    )
    chunk = run.chunks[0]
    chunk.body, chunk.body_nbytes = native.address(body), len(body)
    chunk.source_nbytes, chunk.checksum = head.source_nbytes, head.checksum
    chunk.dtype, chunk.method, chunk.offset = head.dtype.code, head.method, offset
    chunk.table_count, chunk.unit_shift = len(head.tables), head.unit_shift
    for i, (reference, wire) in enumerate(zip(head.tables, tables, strict=True)):
        chunk.tables[i] = reference
        if wire is not None:
            run.tables[i].name, run.tables[i].nbytes = reference, len(wire)
            ffi.buffer(run.tables[i].bytes)[: len(wire)] = wire
    return run


def decode_simply(run: Run, target: memoryview, *, has_left: bool = True) -> None:
    """Decode a run into a view of its source_nbytes, but for composed chunks and repeats.

    Their places are left as they are, the others checked by their checksums.

    has_left  some chunks may be zstd frames, composed or repeats
    Raises CorruptStreamError, ChecksumError.
    """
    scratch = _scratch("decode", int(lib.znl_decode_scratch_nbytes()))
    out = native.address(target, writable=True)
    if lib.znl_place_chunks(run.chunks, run.count, out, len(target)) != 0:
        raise ZnlError(f"expected room for {run.source_nbytes} bytes, found {len(target)}")
    status = lib.znl_decode_chunks(
        native.kernels(),
        run.chunks,
        run.count,
        run.tables,
        run.table_count,
        scratch,
        len(scratch),
    )
    if status != 0:
        failed = next((i for i in range(run.count) if run.chunks[i].status < 0), None)
        if failed is None:
            raise ZnlError(f"the decoder was not called as it must be: {native.error_text(status)}")
        _raise_status(int(status), run, run.chunks[failed])
    if not has_left:
        return
    offset = 0
    for i in range(run.count):
        chunk, start = run.chunks[i], offset
        offset += chunk.source_nbytes
        if chunk.status == _LEFT and chunk.distance == 0 and chunk.method != COMPOSED:
            _decode_zstd(run, chunk, target[start:offset])


def _raise_status(status: int, run: Run, chunk: Any) -> None:
    kind = ChecksumError if status == lib.ZNL_STATUS_CHECKSUM else CorruptStreamError
    what = f"{BY_CODE[chunk.dtype].name} chunk of {chunk.source_nbytes} bytes"
    method = format.METHOD_NAMES[chunk.method]
    raise kind(
        run.where.at(
            int(chunk.offset),
            f"a whole {what} ({method})",
            f"damage: {native.error_text(status)}",
            "fetch the file again or restore it from a copy",
        )
    )


def _decode_zstd(run: Run, chunk: Any, target: memoryview) -> None:
    where, at, expected = run.where, int(chunk.offset), len(target)
    body = ffi.buffer(chunk.body, chunk.body_nbytes)
    if expected > format.MAX_ZSTD_NBYTES:
        limit = f"a zstd chunk of at most {format.MAX_ZSTD_NBYTES} bytes"
        raise CorruptStreamError(where.at(at, limit, expected))
    try:
        frame = zstandard.get_frame_parameters(body)
        if frame.content_size != expected or frame.dict_id:
            raise CorruptStreamError(
                where.at(at, f"a zstd frame of {expected} bytes, no dictionary", frame.content_size)
            )
        if frame.window_size > format.MAX_ZSTD_NBYTES:
            limit = f"a zstd window of at most {format.MAX_ZSTD_NBYTES} bytes"
            raise CorruptStreamError(where.at(at, limit, frame.window_size))
        data = zstandard.ZstdDecompressor().decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptStreamError(where.at(at, "a whole zstd frame", f"damage: {error}")) from None
    if len(data) != expected:
        raise CorruptStreamError(where.at(at, f"{expected} decoded bytes", len(data)))
    target[:] = data
    if not chunk.is_part and native.xxh3_64(target) != chunk.checksum:
        raise ChecksumError(where.at(at, "decoded bytes with the stated checksum", "others"))
