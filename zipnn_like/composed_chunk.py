# SPDX-License-Identifier: Apache-2.0
"""One composed chunk: which transform pays, its parts as sub-chunks, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import chunk_codec, composed_body, format, native
from .chunk_codec import Run, bodies_nbytes, body_nbytes, stored_nbytes
from .composed_body import MAX_SUB_CHUNKS, SubChunk
from .dtypes import BYTES, DType
from .errors import ChecksumError
from .format import COMPOSED, CONSTANT, PREFIX_NBYTES, RAW, TABLE_NAME_BIT
from .levels import Level
from .native import ffi, lib
from .rows import flat_parts
from .segments import Batch, Chunk
from .segments import Part as Rows
from .transforms import TRANSFORMS, Transform
from .transforms.costs import counts_of, static_dtype, zstd_share
from .transforms.parts import U8, Guess, Part, UnfitError, sample_of

_MIN_NBYTES = 256  # of a chunk: what a composed body has beside its content is 40 bytes and more
_MUST_SAVE = 0.995  # a guess that promises less is not followed up
_MOST_TRIES = 2
_TABLE_NBYTES = int(lib.ZNL_TABLE_STREAM_NBYTES)
_PIECE_VALUES = int(lib.ZNL_MAX_STATIC_VALUES)
_HEAD_NBYTES = 16  # of a CHUNK record before the references

Parts = Callable[[int], tuple[Rows, ...]]
"""From the number of values of a chunk to how it is made up of rows."""


@dataclass
class _Coded:
    """Sub-chunks and what they refer to; `tables`: by name, each the bytes of a znl_table."""

    sub_chunks: list[SubChunk] = field(default_factory=list)
    references: list[int] = field(default_factory=list)
    tables: dict[int, bytes] = field(default_factory=dict)

    def __iadd__(self, other: _Coded) -> _Coded:
        self.sub_chunks += other.sub_chunks
        self.references += other.references
        self.tables |= other.tables
        return self

    @property
    def beside_nbytes(self) -> int:
        """Of references and tables in the stream."""
        return 8 * len(self.references) + _TABLE_NBYTES * len(self.tables)

    @property
    def nbytes(self) -> int:
        """Of bodies, references and tables in the stream."""
        return sum(len(sub.body) for sub in self.sub_chunks) + self.beside_nbytes

    @property
    def fits(self) -> bool:
        """A chunk may have as many sub-chunks and references."""
        few = len(self.sub_chunks) <= MAX_SUB_CHUNKS
        return few and len(self.references) <= format.MAX_TABLES_OF_CHUNK


# --- encoding -------------------------------------------------------------------------------------


def compose(run: Run, chunk: Any, source: memoryview, plan: Chunk, level: Level) -> None:
    """Make an encoded chunk a composed one if that is smaller.

    run    the chunk's: tables are added to it
    chunk  znl_chunk
    """
    dtype = plan.dtype
    if chunk.method == CONSTANT:
        return
    if not _MIN_NBYTES <= len(source) <= format.MAX_COMPOSED_NBYTES or len(source) % dtype.width:
        return
    values = np.frombuffer(source, np.uint8)
    for transform, guess in _promising(values, plan, stored_nbytes(chunk)):
        split = transform.split(values, dtype, guess)
        if split is None:
            continue
        coded = _Coded()
        for part in split.parts:
            coded += _code(part, level, is_joined=plan.is_joined)
        if not coded.fits:
            continue
        body = composed_body.pack(transform, split.fields, coded.sub_chunks)
        if len(body) + coded.beside_nbytes < stored_nbytes(chunk):
            _replace(run, chunk, body, coded)
            return


def _promising(values: U8, plan: Chunk, stored: int) -> list[tuple[Transform, Guess]]:
    """The transforms that a sample lets hope for, the best first."""
    is_matrix = len(plan.parts) == 1 and plan.parts[0].is_matrix
    sample = sample_of(values, plan.dtype, plan.parts[0].row_values if is_matrix else 0)
    limit = _MUST_SAVE * 8 * stored / sample.count
    guesses = ((transform, transform.estimate(sample)) for transform in TRANSFORMS)
    found = [(each, guess) for each, guess in guesses if guess and guess.bits < limit]
    return sorted(found, key=lambda pair: pair[1].bits)[:_MOST_TRIES]


def _replace(run: Run, chunk: Any, body: bytes, coded: _Coded) -> None:
    chunk.method, chunk.unit_shift = COMPOSED, 0
    chunk.body, chunk.body_offset, chunk.body_nbytes = native.address(body), 0, len(body)
    chunk.table_count = len(coded.references)
    for number, reference in enumerate(coded.references):
        chunk.tables[number] = reference
    run.keep.append(body)
    run.add_tables(coded.tables.values())


def _code(part: Part, level: Level, *, is_joined: bool) -> _Coded:
    """The sub-chunks of a part."""
    if part.dtype is not BYTES:
        return _encode(part.data, part.dtype, level, _parts_of(part), is_joined)
    nbytes = len(part.data)
    dtype, bits = static_dtype(counts_of(part.data))
    static = _encode(part.data, dtype, level) if bits < 8 else None
    best = min(nbytes, static.nbytes) if static else nbytes
    if static and zstd_share(part.data) * nbytes >= best:
        return static
    plain = _encode(part.data, BYTES, level)
    return static if static and static.nbytes <= plain.nbytes else plain


def _parts_of(part: Part) -> Parts:
    """How rows, if any, lie in pieces of a part."""
    dtype, row = part.dtype, part.row_values
    if not dtype.modelled:
        return lambda _: ()
    if row and len(part.data) <= _PIECE_VALUES * dtype.width:
        return lambda count: (Rows(count // row, row, True),)
    return flat_parts


def _encode(
    data: U8,
    dtype: DType,
    level: Level,
    parts_of: Parts = lambda _: (),
    is_joined: bool = False,
) -> _Coded:
    """Values, or bytes that are coded as such, in as few sub-chunks as may be."""
    chunks = tuple(
        Chunk(dtype, nbytes, is_joined, parts_of(nbytes // dtype.width))
        for nbytes in _pieces(len(data), dtype)
    )
    batch = Batch(dtype, chunks)
    bodies = bytearray(bodies_nbytes(batch))
    run = chunk_codec.encode_simply(batch, data.data, level, memoryview(bodies))
    made = {
        int(table.name): bytes(ffi.buffer(ffi.addressof(table)))
        for table in run.tables[0 : run.table_count]
    }
    coded = _Coded()
    for chunk in run.chunks[0 : run.count]:
        start = chunk.source if chunk.method == RAW else chunk.body + chunk.body_offset
        body = memoryview(bytes(ffi.buffer(start, body_nbytes(chunk))))
        references = [int(name) for name in chunk.tables[0 : chunk.table_count]]
        numbers = (len(references), int(chunk.unit_shift), int(chunk.source_nbytes))
        stated = dtype if references else BYTES  # without tables it says nothing
        coded.sub_chunks.append(SubChunk(stated, int(chunk.method), *numbers, body))
        coded.references += references
        coded.tables |= {name: made[name] for name in references if name & TABLE_NAME_BIT}
    return coded


def _pieces(nbytes: int, dtype: DType) -> Sequence[int]:
    """Sizes that add up: as few as the static coder takes, of about one size."""
    if not dtype.modelled:
        return [nbytes]
    values = nbytes // dtype.width
    count = -(-values // _PIECE_VALUES)
    step = 64 * math.ceil(values / count / 64) * dtype.width
    return [min(step, nbytes - start) for start in range(0, nbytes, step)]


# --- decoding -------------------------------------------------------------------------------------


def restore(run: Run, chunk: Any, first_table: int, target: memoryview) -> None:
    """Decode a composed chunk of a run and check its checksum.

    first_table  of the run's that is the chunk's
    target       the chunk's source_nbytes
    Raises CorruptStreamError, ChecksumError, UnsupportedFormatError.
    """
    where, at = run.where, int(chunk.offset)
    start = at + PREFIX_NBYTES + _HEAD_NBYTES + 8 * int(chunk.table_count)
    wire = memoryview(ffi.buffer(chunk.body, chunk.body_nbytes))
    body = composed_body.parse(wire, len(target), int(chunk.table_count), where, start)
    parts = np.empty(body.parts_nbytes, np.uint8)
    _decode(run, chunk, first_table, body.sub_chunks, start, parts.data)
    try:
        body.transform.join(body.fields, parts, np.frombuffer(target, np.uint8))
    except UnfitError as error:
        raise composed_body.refusal(error, body.transform, where, start) from None
    if native.xxh3_64(target) != chunk.checksum:
        raise ChecksumError(where.at(at, "decoded bytes with the stated checksum", "others"))


def _decode(
    run: Run,
    chunk: Any,
    first_table: int,
    sub_chunks: tuple[SubChunk, ...],
    start: int,
    parts: memoryview,
) -> None:
    """Decode sub-chunks one behind the other; `start` of the chunk's body, for messages."""
    made = ffi.new("znl_chunk[]", len(sub_chunks))
    used = 0
    for sub, wire in zip(made, sub_chunks, strict=True):
        sub.body, sub.body_nbytes = chunk.body + wire.body_start, len(wire.body)
        sub.source_nbytes, sub.offset, sub.is_part = wire.source_nbytes, start + wire.body_start, 1
        sub.dtype, sub.method = wire.dtype.code, wire.method
        sub.table_count, sub.unit_shift = wire.table_count, wire.unit_shift
        for number in range(wire.table_count):
            sub.tables[number] = chunk.tables[used + number]
        used += wire.table_count
    chunk_codec.decode_simply(
        Run(
            made,
            len(made),
            run.tables + first_table,
            used,
            len(parts),
            [run],
            run.where.within("part of a composed chunk"),
        ),
        parts,
    )
