# SPDX-License-Identifier: Apache-2.0
"""Damage and malice: each flip, prefix and broken rule raises, and buys little memory."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import (
    CHUNK,
    CONSTANT,
    NAMED,
    PAGE,
    RAW,
    SAME_AS,
    STATIC,
    TABLE,
    ZSTD,
    StreamBuilder,
    records_of,
)
from checks import DAMAGE, check_message, check_restores, single_bit_flips
from hostile_streams import HOSTILE, A, flat_table, full_page
from small_stream import small_source, small_stream
from znl_process import environment

import zipnn_like as znl
from zipnn_like import stream_reader
from zipnn_like.inputs import MemoryInput

READERS: dict[str, Callable[[bytes], object]] = {
    "decompress": lambda stream: bytes(znl.decompress(stream, threads=1)),
    "verify_file": lambda stream: verified(stream),
}


def verified(stream: bytes) -> bytes:
    """What decompress_file writes; verify_file must pass too."""
    out = io.BytesIO()
    znl.verify_file(io.BytesIO(stream), threads=1)
    znl.decompress_file(io.BytesIO(stream), out, threads=1)
    return out.getvalue()


def zstd_offsets(stream: bytes) -> set[int]:
    """Offsets of the bodies of zstd chunks: a frame has bits that a decoder ignores."""
    found: set[int] = set()
    for record in records_of(stream):
        if record.kind == CHUNK and record.method == ZSTD:
            start = record.start + 16 + len(record.head)
            found |= set(range(start, start + len(record.body)))
    return found


def read_all(path: Path) -> bytes:
    """The source, by random access."""
    with znl.open(path) as archive:
        return bytes(archive.read(0, archive.source_bytes))


# --- damage ---------------------------------------------------------------------------------------


def test_the_small_stream_uses_everything() -> None:
    records = records_of(small_stream())
    chunks = [record for record in records if record.kind == CHUNK]
    assert {record.kind for record in records} >= {CHUNK, TABLE, SAME_AS, PAGE}
    assert {chunk.method for chunk in chunks} == {RAW, CONSTANT, ZSTD, STATIC}
    references = [chunk.references for chunk in chunks if chunk.method == STATIC]
    assert any(len(names) == 1 and names[0] & NAMED for names in references)
    assert any(len(names) == 1 and names[0] < 65536 for names in references)
    assert any(len(names) > 1 for names in references)
    assert 1000 < len(small_stream()) < 3000
    check_restores(small_stream(), small_source())


@pytest.mark.parametrize("reader", READERS)
def test_no_bit_flip_passes_unnoticed(reader: str) -> None:
    idle = zstd_offsets(small_stream())
    for bit, damaged in single_bit_flips(small_stream()):
        try:
            restored = READERS[reader](damaged)
        except DAMAGE as error:
            check_message(error, "<stream>")
        else:
            assert restored == small_source(), f"bit {bit}"
            assert bit >> 3 in idle, f"bit {bit} passes unnoticed"


def test_no_bit_flip_changes_a_tensor(tmp_path: Path) -> None:
    path = tmp_path / "small.znl"
    path.write_bytes(small_stream())
    with znl.open(path) as archive:
        names = archive.keys()
        expected = {name: archive.get_tensor(name).tobytes() for name in names}
    descriptor = os.open(path, os.O_RDWR)
    # Random access looks at all but the TABLE records, whose tables it takes from the page.
    idle = zstd_offsets(small_stream())
    for record in records_of(small_stream()):
        if record.kind == TABLE:
            idle |= set(range(record.start, record.start + 16 + len(record.head)))
    try:
        for bit, damaged in single_bit_flips(small_stream()):
            at = bit >> 3
            os.pwrite(descriptor, damaged[at : at + 1], at)
            try:
                with znl.open(path) as archive:
                    assert archive.keys() == names
                    for name in names:
                        assert archive.get_tensor(name).tobytes() == expected[name], f"bit {bit}"
                assert at in idle, f"bit {bit} passes unnoticed"
            except DAMAGE as error:
                check_message(error, str(path))
            os.pwrite(descriptor, small_stream()[at : at + 1], at)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("reader", READERS)
def test_every_prefix_is_truncated(reader: str) -> None:
    for nbytes in range(len(small_stream())):
        with pytest.raises(znl.TruncatedStreamError) as caught:
            READERS[reader](small_stream()[:nbytes])
        check_message(caught.value, "<stream>")


def test_open_says_that_every_prefix_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "small.znl"
    path.write_bytes(small_stream())
    for nbytes in reversed(range(len(small_stream()))):
        os.truncate(path, nbytes)
        with pytest.raises(znl.TruncatedStreamError) as caught:
            znl.open(path)
        check_message(caught.value, str(path))


@pytest.mark.parametrize("extra", [b"\0", b"\n", bytes(4096), small_stream()])
def test_trailing_bytes_are_refused(tmp_path: Path, extra: bytes) -> None:
    path = tmp_path / "long.znl"
    path.write_bytes(small_stream() + extra)
    for read in (read_all, znl.verify_file, lambda p: znl.decompress(p.read_bytes())):
        with pytest.raises(znl.CorruptStreamError, match="offset"):
            read(path)


FOREIGN = {
    "zip": b"PK\x03\x04" + bytes(100),
    "gzip": b"\x1f\x8b\x08" + bytes(100),
    "zstd": bytes.fromhex("28b52ffd") + bytes(100),
    "safetensors": small_source(),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "text": b"hello",
    "one zero": b"\0",
    "spoilt by a text transfer": small_stream().replace(b"\r\n", b"\n"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_unsupported(tmp_path: Path, name: str) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(FOREIGN[name])
    for read in (znl.open, znl.verify_file, lambda p: znl.decompress_file(p, tmp_path / "out")):
        with pytest.raises(znl.UnsupportedFormatError, match="not a znl stream") as caught:
            read(path)
        check_message(caught.value, str(path))
    with pytest.raises(znl.UnsupportedFormatError, match="not a znl stream"):
        znl.decompress(FOREIGN[name])
    assert not (tmp_path / "out").exists()


def test_a_damaged_stream_leaves_no_file(tmp_path: Path) -> None:
    path, out = tmp_path / "small.znl", tmp_path / "out"
    damaged = bytearray(small_stream())
    damaged[-40] ^= 1  # the last record: all chunks were decoded by then
    path.write_bytes(damaged)
    with pytest.raises(znl.CorruptStreamError):
        znl.decompress_file(path, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["small.znl"]


# --- malice ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_broken_rule_is_an_error_of_its_class(tmp_path: Path, name: str) -> None:
    error, stream = HOSTILE[name]
    path = tmp_path / "hostile.znl"
    path.write_bytes(stream)
    with pytest.raises(error) as caught:
        znl.verify_file(path)
    check_message(caught.value, str(path))
    with pytest.raises(DAMAGE):
        znl.decompress(stream)
    with pytest.raises(error):
        znl.decompress_file(path, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["hostile.znl"]
    # Random access need not meet the damage, but may not make up bytes.
    with contextlib.suppress(*DAMAGE):
        assert read_all(path) in (b"abc", A, A[:255], A + A, b"abcd", b"firstsecond", b"a", b"")


def test_records_of_unknown_type_may_be_skipped(tmp_path: Path) -> None:
    builder = StreamBuilder().skipped(0x7F, b"skip").raw(b"first").skipped(0x15, bytes(1000))
    builder.skipped(0, head=b"").raw(b"second").skipped(0xFF, head=bytes(4096))
    stream = builder.finish()
    check_restores(stream, b"firstsecond")
    (tmp_path / "skip.znl").write_bytes(stream)
    assert read_all(tmp_path / "skip.znl") == b"firstsecond"


@pytest.mark.parametrize("more", [0, 1])
def test_more_than_4_gib_before_a_chunk_is_refused(more: int) -> None:
    assert stream_reader.MAX_LEAD_NBYTES == 2**32 - 1
    stream = StreamBuilder().skipped(0x7F, bytes(1000)).raw(b"abc").finish()
    reader = stream_reader.StreamReader(MemoryInput(stream))
    # As if that much had been skipped: the page then does not agree, which is told later.
    reader._directory.state.lead_nbytes = 2**32 - 1 - 1048 + more
    told = "bytes before a chunk" if more else "a PAGE that lists"
    with pytest.raises(znl.CorruptStreamError, match=told):
        list(reader.runs(None, lambda where, offset: AssertionError()))


def test_tables_are_kept_for_1023_more_tables() -> None:
    source = bytes(i * 37 % 256 for i in range(2053))
    scales = bytes(70 + 9 * (i * i % 31 % 4) for i in range(600))
    stream = znl.compress(scales, dtype="F8_E8M0", level="fast")
    table, chunk = records_of(stream)[:2]
    assert (table.kind, chunk.kind) == (TABLE, CHUNK)
    source = bytes(znl.decompress(stream))
    for between, kept in [(1023, True), (1024, False)]:
        builder = StreamBuilder()
        name = builder.table(table.head)
        for base in range(between):
            builder.table(flat_table(base), listed=False)
        builder.chunk(STATIC, source, chunk.body, dtype=10, references=[name])
        if kept:
            check_restores(builder.finish(), source)
        else:
            with pytest.raises(znl.CorruptStreamError, match="a table that was defined before"):
                znl.decompress(builder.finish())


def test_pages_of_512_chunks_are_read(tmp_path: Path) -> None:
    builder = StreamBuilder()
    for _ in range(2):
        full_page(builder).page()
    builder.raw(b"the end")
    stream = builder.finish()
    check_restores(stream, bytes(1024) + b"the end")
    (tmp_path / "pages.znl").write_bytes(stream)
    assert read_all(tmp_path / "pages.znl") == bytes(1024) + b"the end"


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("less", [1, len(small_source())])
def test_max_size_is_a_limit(tmp_path: Path, less: int) -> None:
    nbytes = len(small_source())
    path = tmp_path / "small.znl"
    path.write_bytes(small_stream())
    assert znl.decompress(small_stream(), max_size=nbytes) == small_source()
    assert znl.decompress_file(path, tmp_path / "o", max_size=nbytes).source_bytes == nbytes
    with pytest.raises(znl.LimitExceededError, match=rf"at most {nbytes - less} bytes, found"):
        znl.decompress(small_stream(), max_size=nbytes - less)
    with pytest.raises(znl.LimitExceededError, match=r"offset \d+: expected a source of at most"):
        znl.decompress_file(path, tmp_path / "p", max_size=nbytes - less)
    with pytest.raises(znl.LimitExceededError):
        znl.decompress_file(io.BytesIO(small_stream()), io.BytesIO(), max_size=nbytes - less)
    assert not (tmp_path / "p").exists()


def test_a_directory_that_announces_less_than_comes_is_corrupt() -> None:
    builder = StreamBuilder().raw(b"abc").raw(b"defghi")
    builder.entries = [[3, *builder.entries[0][1:]]]
    builder.covered = 3
    with pytest.raises(znl.CorruptStreamError, match="as the ROOT says"):
        znl.decompress(builder.finish())


# Runs in a process of its own: a limit on memory can't be lifted again.
UNDER_A_LIMIT = f"""
import io, resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy
import zipnn_like as znl
import attacks
attack = getattr(attacks, sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
attack()
# Not ru_maxrss, which knows what the process was before it was this one.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
peak = int(status["VmHWM"].split()[0])
assert peak < 700_000, f"{{peak}} KiB resident"
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS is for Linux")
@pytest.mark.parametrize(
    "attack",
    [
        "bodies_far_larger_than_their_chunks",
        "batches_of_tiny_chunks",
        "tables_without_end",
        "a_root_that_announces_exbibytes",
        "a_bomb_of_constant_chunks",
        "records_to_skip",
        "hostile_streams",
        "a_source_of_many_small_tensors",
        "a_source_that_announces_a_huge_header",
    ],
)
def test_memory_stays_bounded_under_attack(attack: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNDER_A_LIMIT, attack],
        capture_output=True,
        env=environment(),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
