# SPDX-License-Identifier: Apache-2.0
"""Attacks on memory; test_corruption.py runs each in a process with 1 GiB of address space."""

from __future__ import annotations

import io
import struct
import tempfile
from pathlib import Path

from builders import CONSTANT, StreamBuilder, hash64, safetensors_bytes
from checks import DAMAGE
from hostile_streams import HOSTILE, MIB, flat_table
from strategies import Values

import zipnn_like as znl


def _refused(stream: bytes | Path) -> None:
    for threads in (1, 4):
        source = stream if isinstance(stream, Path) else io.BytesIO(stream)
        try:
            znl.verify_file(source, threads=threads)
        except DAMAGE:
            continue
        raise AssertionError("not refused")


def bodies_far_larger_than_their_chunks() -> None:
    """Raw chunks of one byte with bodies of 16 MiB, in a sparse file of 4 GiB."""
    builder = StreamBuilder()
    builder.raw(b"a", body_nbytes=16 * MIB)
    record = bytes(builder.stream[32:68])[:32]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sparse.znl"
        with open(path, "wb") as file:
            file.write(builder.stream[:32])
            for number in range(250):
                file.seek(32 + number * (32 + 16 * MIB))
                file.write(record)
            file.truncate(32 + 250 * (32 + 16 * MIB))
        _refused(path)


def batches_of_tiny_chunks() -> None:
    """A well-formed stream of 40,000 chunks of 4 bytes: every buffer of a batch counts."""
    builder = StreamBuilder()
    for number in range(40_000):
        builder.chunk(CONSTANT, bytes(4), b"\0")
        if number % 512 == 511:
            builder.page()
    stream = builder.finish()
    out = io.BytesIO()
    znl.decompress_file(io.BytesIO(stream), out, threads=4)
    assert out.getvalue() == bytes(160_000)
    assert znl.decompress(stream) == bytes(160_000)


def tables_without_end() -> None:
    """A decoder keeps 1024."""
    builder = StreamBuilder()
    for base in range(20_000):
        builder.table(flat_table(base % 4096), listed=False)
    _refused(builder.finish())


def a_root_that_announces_exbibytes() -> None:
    """Sizes that no record has earned, in rows that agree with each other."""
    for nbytes in (1 << 62, 1 << 45, 1 << 33):
        builder = StreamBuilder().raw(b"abc").page()
        builder.pages[0][0] = nbytes
        stream = builder.finish()
        _refused(stream)
        try:
            znl.decompress(stream)
        except DAMAGE:
            continue
        raise AssertionError("not refused")


def a_bomb_of_constant_chunks() -> None:
    """2 GiB out of 8 KB: honest, so it passes, and only max_size stops it."""
    builder = StreamBuilder()
    checksum = hash64(bytes(16 * MIB))
    for _ in range(128):
        builder.chunk(CONSTANT, b"", b"\0", source_nbytes=16 * MIB, checksum=checksum)
    stream = builder.finish()
    assert znl.verify_file(io.BytesIO(stream), threads=2).source_bytes == 1 << 31
    try:
        znl.decompress(stream, max_size=1 << 29)
    except znl.LimitExceededError:
        pass
    else:
        raise AssertionError("not refused")
    try:
        znl.decompress(stream)
    except znl.LimitExceededError:
        pass
    else:
        raise AssertionError("not refused")


def records_to_skip() -> None:
    """1.3 GiB of records of an unknown type, in a sparse file."""
    builder = StreamBuilder()
    check = struct.pack("<24xQ", hash64(bytes(16 * MIB)))
    builder.record(0x7F, check, b"", flags=0, body_nbytes=16 * MIB)
    record = bytes(builder.stream[32:])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sparse.znl"
        with open(path, "wb") as file:
            file.write(builder.stream[:32])
            for number in range(80):
                file.seek(32 + number * (len(record) + 16 * MIB))
                file.write(record)
            file.truncate(32 + 80 * (len(record) + 16 * MIB))
        _refused(path)


def hostile_streams() -> None:
    """All of them, one after the other."""
    for _, stream in HOSTILE.values():
        _refused(stream)
        try:
            znl.decompress(stream)
        except DAMAGE:
            continue
        raise AssertionError("not refused")


def a_source_of_many_small_tensors() -> None:
    """Tensors of alternating dtypes: each is a batch of its own on the way in."""
    source = safetensors_bytes(
        {
            f"t{number}": Values("I16" if number % 2 else "U16", (2,), struct.pack("<I", number))
            for number in range(10_000)
        }
    )
    out = io.BytesIO()
    znl.compress_file(io.BytesIO(source), out, threads=4)
    assert znl.decompress(out.getvalue()) == source


def a_source_that_announces_a_huge_header() -> None:
    """100 MB of header, of which nothing is there: it is compressed as bytes."""
    source = (100_000_000).to_bytes(8, "little") + b"{"
    assert znl.decompress(znl.compress(source)) == source
