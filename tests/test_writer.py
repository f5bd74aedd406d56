# SPDX-License-Identifier: Apache-2.0
"""znl.Writer: what it refuses, and that a file appears whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import CHUNK, SAME_AS, records_of
from checks import names_in

import zipnn_like as znl


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made.znl"


def test_the_report_tells_the_sizes(path: Path) -> None:
    writer = znl.Writer(path)
    writer.add("a", np.arange(3000, dtype="f4"))
    report = writer.close()
    assert report.path == str(path)
    assert report.stored_bytes == path.stat().st_size
    assert report.by_dtype["F32"].source_bytes == 12_000
    assert report.by_method == znl.verify_file(path).by_method
    assert znl.verify_file(path).source_bytes == report.source_bytes
    assert names_in(path.parent) == {"made.znl"}


def test_a_file_may_have_no_tensors(path: Path) -> None:
    with znl.Writer(path):
        pass
    with znl.open(path) as archive:
        assert archive.keys() == []
        assert archive.source_kind == "safetensors"


def test_the_stream_does_not_depend_on_threads(path: Path, tmp_path: Path) -> None:
    array = np.random.default_rng(1).normal(0, 1, 3_000_000).astype("f4")
    for threads in (1, 2, 8):
        with znl.Writer(tmp_path / f"{threads}.znl", threads=threads) as writer:
            writer.add("a", array)
            writer.add("b", array[:1000])
    streams = [(tmp_path / f"{threads}.znl").read_bytes() for threads in (1, 2, 8)]
    assert streams[0] == streams[1] == streams[2]


REFUSED: dict[str, Callable[[znl.Writer], object]] = {
    "a name twice": lambda w: w.add("a", np.zeros(3)),
    "a reserved name": lambda w: w.add("__metadata__", np.zeros(3)),
    "a name that is no text": lambda w: w.add(5, np.zeros(3)),  # type: ignore[arg-type]
    "a name that is no Unicode": lambda w: w.add("\ud800", np.zeros(3)),
    "an unknown dtype": lambda w: w.add("b", b"abc", dtype="F33"),
    "no dtype of tensors": lambda w: w.add("b", b"abc", dtype="BYTES"),
    "a part of a value": lambda w: w.add("b", b"abc", dtype="F32"),
    "another shape": lambda w: w.add("b", b"abcd", dtype="F32", shape=(2,)),
    "a negative shape": lambda w: w.add("b", b"abcd", dtype="U8", shape=(-2, -2)),
    "another byte order": lambda w: w.add("b", np.zeros(3, ">f4")),
    "objects": lambda w: w.add("b", np.array([None])),
    "no buffer": lambda w: w.add("b", [1, 2]),
    "text": lambda w: w.add("b", "abc"),
    "half a packed value": lambda w: w.add("b", b"ab", dtype="F6_E2M3"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_tensor_is_refused_and_the_rest_is_kept(path: Path, what: str) -> None:
    with znl.Writer(path) as writer:
        writer.add("a", np.arange(100))
        with pytest.raises(znl.UsageError):
            REFUSED[what](writer)
        writer.add("last", np.arange(5))
    with znl.open(path) as archive:
        assert archive.keys() == ["a", "last"]
        assert list(archive.get_tensor("last")) == [0, 1, 2, 3, 4]


def test_bad_arguments_leave_nothing(path: Path) -> None:
    for call in (
        lambda: znl.Writer(path, level="best"),
        lambda: znl.Writer(path, metadata={"a": 1}),  # type: ignore[dict-item]
        lambda: znl.Writer(path, metadata={5: "a"}),  # type: ignore[dict-item]
        lambda: znl.Writer(path, threads=0),
    ):
        with pytest.raises(znl.UsageError):
            call()
    path.write_bytes(b"precious")
    with pytest.raises(znl.ZnlError, match="exists already"):
        znl.Writer(path)
    assert path.read_bytes() == b"precious"
    assert names_in(path.parent) == {"made.znl"}


def test_a_failing_temporary_file_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    with pytest.raises((znl.ZnlError, OSError), match="Too many open files"):
        znl.Writer(path)
    assert names_in(path.parent) == set()


def test_overwrite_replaces_a_file_at_the_end(path: Path) -> None:
    path.write_bytes(b"old")
    with znl.Writer(path, overwrite=True) as writer:
        writer.add("a", np.arange(3))
        assert path.read_bytes() == b"old"
    assert znl.verify_file(path).source_bytes > 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_exception_in_the_block_leaves_no_file(path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), znl.Writer(path) as writer:  # noqa: PT012
        writer.add("a", np.arange(3))
        raise error
    assert names_in(path.parent) == set()
    with pytest.raises(znl.UsageError, match="closed"):
        writer.add("b", np.arange(3))


def test_a_tensor_that_failed_halfway_ends_the_writer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zipnn_like import writer as module

    writer = znl.Writer(path, threads=1)
    writer.add("a", np.arange(3))
    put, calls = module._Spool.put, []

    def fail_later(self: object, *args: object) -> None:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        put(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(module._Spool, "put", fail_later)
    with pytest.raises(KeyboardInterrupt):
        writer.add("big", np.random.default_rng(1).bytes(9 << 20), dtype="I8")
    monkeypatch.undo()
    with pytest.raises(znl.ZnlError, match="aborted by an earlier error"):
        writer.close()
    assert names_in(path.parent) == set()


def test_a_closed_writer_says_so(path: Path) -> None:
    writer = znl.Writer(path)
    writer.close()
    for call in (writer.close, lambda: writer.add("a", np.zeros(3))):
        with pytest.raises(znl.UsageError, match="closed"):
            call()
    writer.abort()  # harmless
    assert names_in(path.parent) == {"made.znl"}


def test_abort_leaves_nothing(path: Path) -> None:
    writer = znl.Writer(path)
    writer.add("a", np.zeros(300_000))
    writer.abort()
    writer.abort()
    assert names_in(path.parent) == set()


def test_an_array_may_be_changed_after_add(path: Path) -> None:
    array = np.random.default_rng(2).normal(0, 1, 300_000).astype("f4")
    original = array.copy()
    with znl.Writer(path) as writer:
        writer.add("a", array)
        array[:] = 0
        writer.add("b", original)  # a repeat of what is kept of "a", not of the zeros
        writer.add("c", array)
    with znl.open(path) as archive:
        np.testing.assert_array_equal(archive.get_tensor("a"), original)
        np.testing.assert_array_equal(archive.get_tensor("b"), original)
        np.testing.assert_array_equal(archive.get_tensor("c"), array)
    kinds = [record.kind for record in records_of(path.read_bytes())]
    assert kinds.count(SAME_AS) == 2
    assert kinds.count(CHUNK) == 1 + 2 + 2


def test_thousands_of_tensors_cross_pages(path: Path) -> None:
    with znl.Writer(path) as writer:
        for number in range(1500):
            writer.add(f"t{number}", np.full(2 + number % 3, number, "f4"))
    with znl.open(path) as archive:
        assert archive.chunk_count > 1024
        for number in (0, 511, 512, 1499):
            assert set(archive.get_tensor(f"t{number}")) == {number}
