# SPDX-License-Identifier: Apache-2.0
"""The C core and the reference decoder agree on every stream, good or damaged.

Damage comes with valid record checks, so that it reaches the decoders; the checksum of a chunk is
looked at last, so "damaged, but for the checksum whole" is told from "refused".
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from arranged_builder import ARRANGED
from arranged_streams import c_reads_arranged
from builders import (
    CHUNK,
    STATIC,
    Record,
    hash64,
    records_of,
    rewritten,
    safetensors_bytes,
    with_valid_hash,
)
from checks import REFUSED, check_restores, outcome, read_at_random, sequentially
from golden_cases import CASES
from hostile_streams import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st
from small_stream import small_source, small_stream
from strategies import KINDS, NAMES, make, tensors, values

import zipnn_like as znl
from zipnn_like import chunk_codec, composed, dtypes, format, reference
from zipnn_like.errors import ChecksumError, CorruptStreamError, UnsupportedFormatError, Where
from zipnn_like.reference import chunk as reference_chunk
from zipnn_like.reference import records as reference_records
from zipnn_like.reference import tables as reference_tables

GOOD = [
    name
    for name in CASES
    if name != "v1_two_pages" and ("arranged" not in name or c_reads_arranged())
]
MODELLED = [dtype.name for dtype in dtypes.DTYPES if dtype.modelled]
WHERE = Where("chunk")


@dataclass(frozen=True)
class Damaged:
    """A chunk as both decoders take it: the head's fields, the body, the tables by name."""

    head: format.ChunkHead
    body: bytes
    tables: dict[int, bytes]


def by_c(chunk: Damaged) -> bytes | None:
    """What the C core decodes, whatever its checksum; REFUSED when it is not well formed."""
    resolved = tuple(chunk.tables.get(name) for name in chunk.head.tables)
    run = chunk_codec.run_of_one(chunk.head, memoryview(chunk.body), resolved, WHERE, 0)
    room = bytearray(chunk.head.source_nbytes)
    try:
        composed.decode_run(run, memoryview(room))
    except ChecksumError:
        return bytes(room)
    except (CorruptStreamError, UnsupportedFormatError):
        return REFUSED
    return bytes(room)


def by_reference(chunk: Damaged) -> bytes | None:
    """The same by the reference."""
    head = chunk.head
    named = {
        name: reference_tables.parse_table(wire, WHERE, 0) for name, wire in chunk.tables.items()
    }
    record = reference_records.Record(WHERE, 0, CHUNK, 0, b"", chunk.body, 0)
    parsed = reference_chunk.ChunkHead(
        head.dtype.code, head.method, head.unit_shift, head.source_nbytes, 0, head.tables
    )
    # The last step of decode_chunk is the checksum: hand it the bytes that are there.
    kept: list[bytes] = []

    def keep(data: bytes) -> int:
        kept.append(data)
        return parsed.checksum

    original = reference_chunk.xxh3_64
    reference_chunk.xxh3_64 = keep
    try:
        return reference_chunk.decode_chunk(record, parsed, named)
    except (CorruptStreamError, UnsupportedFormatError):
        return REFUSED
    finally:
        reference_chunk.xxh3_64 = original


def chunks_of(stream: bytes) -> list[Damaged]:
    """The chunks of a well-formed stream."""
    named: dict[int, bytes] = {}
    found = []
    for record in records_of(stream):
        if record.kind == format.TABLE:
            named[hash64(record.head) | 1 << 63] = record.head
        elif record.kind == CHUNK:
            code, method, _, shift, nbytes, check = struct.unpack_from("<BBBBIQ", record.head)
            dtype = dtypes.BY_CODE[code]
            head = format.ChunkHead(dtype, method, shift, nbytes, check, record.references)
            used = {name: named[name] for name in record.references if name in named}
            found.append(Damaged(head, record.body, used))
    return found


@cache
def chunks_of_dtype(name: str) -> tuple[Damaged, ...]:
    """Static chunks of a dtype: 8 and 64 lanes, tails, patches, classes, named tables."""
    dtype = replace(dtypes.BY_NAME[name], mixed=False)  # without zstd as a rival
    found = []
    for kind, count in [("gaussian", 64), ("gaussian", 703), ("two scales", 2112), ("sparse", 600)]:
        data = make(dtype, kind, (count,), seed=count).data
        found += chunks_of(znl.compress(data, dtype=dtype, level="fast"))
    static = [chunk for chunk in found if chunk.head.method == STATIC]
    assert static
    return tuple(static)


def damage(chunk: Damaged, rng: random.Random) -> Damaged:
    """One to three changes of the body or of the fields that describe it."""
    head, body = chunk.head, bytearray(chunk.body)
    for _ in range(rng.choice([1, 1, 2, 3])):
        change = rng.randrange(12)
        if change < 5 and body:
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        elif change == 5 and body:  # counts, class map and states lie in front
            body[rng.randrange(min(len(body), 40))] = rng.randrange(256)
        elif change == 6 and body:
            body[rng.randrange(len(body))] = rng.choice([0, 255])
        elif change == 7:
            at = rng.randrange(len(body) + 1)
            body[at:at] = rng.randbytes(rng.choice([1, 2, 4]))
        elif change == 8 and body:
            at = rng.randrange(len(body))
            del body[at : at + rng.choice([1, 2, 4])]
        elif change == 9:
            step = rng.choice([1, -1, head.dtype.width, -head.dtype.width, 64 * head.dtype.width])
            head = head._replace(source_nbytes=max(1, head.source_nbytes + step))
        elif change == 10:
            tables = list(head.tables) or [0]
            tables[rng.randrange(len(tables))] = rng.randrange(65536)
            coded = head.method in (STATIC, ARRANGED)
            head = head._replace(tables=tuple(tables) if coded else ())
        elif change == 11 and head.method == STATIC:
            count = rng.randrange(1, 9)
            tables = [rng.randrange(16) << 12 | rng.randrange(32) for _ in range(count)]
            shift = rng.choice([6, 9]) if count > 1 else 0
            head = head._replace(tables=tuple(tables), unit_shift=shift)
    return Damaged(head, bytes(body), chunk.tables)


def check_agree(chunk: Damaged, context: object) -> bool:
    """Both decode it to the same bytes, or both refuse it; True when they decode it."""
    expected = by_reference(chunk)
    assert by_c(chunk) == expected, (context, chunk.head, chunk.body.hex())
    return expected is not REFUSED


# --- chunks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELLED)
def test_damaged_static_chunks_are_decoded_alike_or_refused_alike(name: str) -> None:
    rng = random.Random(name)
    chunks = chunks_of_dtype(name)
    decoded = sum(
        check_agree(damage(chunks[number % len(chunks)], rng), number) for number in range(200)
    )
    assert 10 < decoded < 190  # the damage is of both kinds


@pytest.mark.parametrize("name", GOOD)
def test_damaged_golden_chunks_are_decoded_alike_or_refused_alike(name: str) -> None:
    rng = random.Random(name)
    for chunk in chunks_of(CASES[name].encode(CASES[name].source())):
        assert check_agree(chunk, name)
        for number in range(40):
            check_agree(damage(chunk, rng), number)


@pytest.mark.parametrize("method", [format.RAW, format.CONSTANT])
def test_plain_chunks_of_any_size_are_decoded_alike_or_refused_alike(method: int) -> None:
    for dtype in (dtypes.BYTES, dtypes.BY_NAME["BF16"], dtypes.BY_NAME["F6_E2M3"]):
        for source_nbytes in (1, 2, 3, 7, 8, 16, 24):
            for body_nbytes in range(18):
                head = format.ChunkHead(dtype, method, 0, source_nbytes, 0, ())
                body = bytes(range(body_nbytes))
                check_agree(Damaged(head, body, {}), (source_nbytes, body_nbytes))


@pytest.mark.parametrize("dtype", dtypes.DTYPES, ids=lambda dtype: dtype.name)
def test_static_bodies_are_taken_for_the_same_dtypes(dtype: dtypes.DType) -> None:
    body = chunks_of_dtype("BF16")[0].body
    for values_count in (64, 65):
        source_nbytes = values_count * dtype.width
        head = format.ChunkHead(dtype, STATIC, 0, source_nbytes, 0, (7 << 12,))
        check_agree(Damaged(head, body, {}), dtype.name)


# --- whole streams --------------------------------------------------------------------------------


@given(tensor=values(counts=(0, 1, 64, 65, 700, 2048, 2049)))
@settings(max_examples=40)
def test_what_c_encodes_the_reference_restores(tensor: object) -> None:
    stream = znl.compress(tensor.data, dtype=tensor.dtype)
    check_restores(stream, tensor.data)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_every_dtype_is_restored_by_the_reference(name: str) -> None:
    for kind in KINDS:
        tensor = make(dtypes.BY_NAME[name], kind, (132,), seed=3)
        assert reference.decode(znl.compress(tensor.data, dtype=name)) == tensor.data


def damage_record(record: Record, rng: random.Random) -> Record:
    """Change a byte or two of head or body; sometimes the size of either, or the type."""
    head, body, kind = bytearray(record.head), bytearray(record.body), record.kind
    for _ in range(rng.choice([1, 1, 2])):
        part = rng.choice([part for part in (head, head, body) if part] or [bytearray(1)])
        part[rng.randrange(len(part))] ^= rng.choice([1, 2, 4, 8, 16, 32, 64, 128, 255])
    change = rng.randrange(12)
    if change == 0:
        body += rng.randbytes(rng.choice([1, 4, 24]))
    elif change == 1:
        del body[: rng.choice([1, 4, 24])]
    elif change == 2:
        head += bytes(4)
    elif change == 3:
        kind = rng.randrange(7)
    damaged = replace(record, head=bytes(head), body=bytes(body), kind=kind)
    return with_valid_hash(damaged) if rng.random() < 0.8 else damaged


SMALL_STREAMS = {
    "small": small_stream,
    "page of two": lambda: HOSTILE["CorruptStreamError__trailing_byte"][1][:-1],
    "sha256": lambda: CASES["v1_sha256"].encode(CASES["v1_sha256"].source()),
    "skipped": lambda: CASES["v1_skipped_records"].encode(CASES["v1_skipped_records"].source()),
}


@pytest.mark.parametrize("name", SMALL_STREAMS)
def test_damaged_records_are_refused_alike(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    stream = SMALL_STREAMS[name]()
    source = reference.decode(stream)
    records = [record for record in records_of(stream) if record.kind < 0x10]
    path = tmp_path / "damaged.znl"

    def at_random(data: bytes) -> bytes:
        path.write_bytes(data)
        return read_at_random(path)

    for number in range(400):
        record = rng.choice(records)
        damaged = rewritten(stream, record, damage_record(record, rng))
        expected = outcome(reference.decode, damaged)
        assert expected in (REFUSED, source), number
        assert outcome(sequentially, damaged) == expected, (number, damaged.hex())
        assert outcome(znl.decompress, damaged) == expected, (number, damaged.hex())
        # Random access need not look at all that is damaged, but never yields other bytes.
        found = outcome(at_random, damaged)
        by_range = outcome(lambda data: reference.decode_range(data, 0, len(source)), damaged)
        for part in (found, by_range):
            assert part in (REFUSED, source), (number, damaged.hex())


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_streams_are_refused_alike(tmp_path: Path, name: str) -> None:
    error, stream = HOSTILE[name]
    with pytest.raises(error):
        reference.decode(stream)
    with pytest.raises(error):
        sequentially(stream)
    path = tmp_path / "hostile.znl"
    path.write_bytes(stream)
    found = outcome(lambda _: read_at_random(path), stream)
    size = 0 if found is REFUSED else len(found)
    by_range = outcome(lambda data: reference.decode_range(data, 0, size), stream)
    # The reference looks at a page's entries only when it needs them, so it may accept more.
    assert found in (REFUSED, by_range)


# --- ranges ---------------------------------------------------------------------------------------


def check_ranges(path: Path, source: bytes, spans: list[tuple[int, int]]) -> None:
    stream = path.read_bytes()
    with znl.open(path) as archive:
        for start, stop in spans:
            expected = source[start:stop]
            assert archive.read(start, stop) == expected, (start, stop)
            assert reference.decode_range(stream, start, stop) == expected, (start, stop)


@pytest.mark.parametrize("name", ["v1_two_pages", "v1_same_as", "v1_sha256", "v1_joined_classes"])
def test_ranges_are_read_alike(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    source = CASES[name].source()
    path = tmp_path / "ranges.znl"
    path.write_bytes(CASES[name].encode(source))
    ends = [0, 1, len(source) // 2, len(source) - 1, len(source)]
    spans = [(a, b) for a in ends for b in ends if a <= b]
    for _ in range(60):
        start = rng.randrange(len(source))
        spans.append((start, min(len(source), start + rng.choice([0, 1, 100, 1500]))))
    check_ranges(path, source, spans)


@given(data=st.data())
@settings(max_examples=10)
def test_ranges_of_any_file_are_read_alike(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    source = safetensors_bytes(data.draw(tensors()))
    path = tmp_path_factory.mktemp("ranges") / "any.znl"
    path.write_bytes(znl.compress(source))
    ends = st.tuples(st.integers(0, len(source)), st.integers(0, len(source)))
    spans = data.draw(st.lists(ends.map(lambda pair: (min(pair), max(pair))), max_size=8))
    check_ranges(path, source, spans)


def test_the_small_source_is_read_range_by_range(tmp_path: Path) -> None:
    path = tmp_path / "small.znl"
    path.write_bytes(small_stream())
    step = len(small_source()) // 40
    starts = range(0, len(small_source()), step)
    spans = [(start, min(start + 3 * step, len(small_source()))) for start in starts]
    check_ranges(path, small_source(), spans)
