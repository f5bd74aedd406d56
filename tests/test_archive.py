# SPDX-License-Identifier: Apache-2.0
"""znl.open: names, sizes, whole tensors, slices as numpy cuts them, ranges of the source."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from builders import StreamBuilder, hash64, safetensors_bytes
from checks import raw_bytes
from small_stream import small_source, small_stream
from strategies import Values, make

import zipnn_like as znl
from zipnn_like import dtypes

RNG = np.random.default_rng(5)
ARRAYS: dict[str, np.ndarray] = {
    "matrix": RNG.normal(0, 1, (1100, 300)).astype("f4"),  # more than one chunk
    "bf16": RNG.normal(0, 1, (40, 3, 50)).astype(ml_dtypes.bfloat16),
    "fp8": RNG.normal(0, 1, (9, 100)).astype(ml_dtypes.float8_e4m3fn),
    "complex": (RNG.normal(0, 1, (5, 20)) * (1 + 2j)).astype("c8"),
    "vector": RNG.integers(-9, 9, 1000),
    "scalar": np.array(7, "i2"),
    "bool": RNG.integers(0, 2, (30, 4)) == 1,
    "no rows": np.empty((0, 3), "f4"),
    "no columns": np.empty((3, 0), "f2"),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of all ARRAYS."""
    path = tmp_path_factory.mktemp("archive") / "model.znl"
    with znl.Writer(path, metadata={"format": "np", "author": "é"}) as writer:
        for name, array in ARRAYS.items():
            writer.add(name, array)
    return path


@pytest.fixture
def archive(path: Path) -> Any:
    """The file, opened."""
    with znl.open(path) as archive:
        yield archive


def test_names_metadata_and_totals(archive: znl.Archive, path: Path) -> None:
    assert archive.keys() == list(ARRAYS)
    assert archive.metadata() == {"format": "np", "author": "é"}
    assert archive.stored_bytes == path.stat().st_size
    assert (archive.source_kind, archive.format_version) == ("safetensors", 1)
    assert archive.zstd_version.count(".") == 2
    assert "9 tensors" in repr(archive)
    totals = archive.by_dtype()
    assert sum(total.source_bytes for total in totals.values()) == archive.source_bytes
    assert totals["F32"].source_bytes == ARRAYS["matrix"].nbytes
    assert totals == archive.verify().by_dtype
    assert archive.by_method() == archive.verify().by_method
    assert archive.path == str(path)


def test_what_is_returned_is_the_callers(archive: znl.Archive) -> None:
    archive.metadata().clear()
    archive.keys().clear()
    archive.get_tensor("vector")[:] = 0
    assert archive.metadata() == {"format": "np", "author": "é"}
    np.testing.assert_array_equal(archive.get_tensor("vector"), ARRAYS["vector"])


def test_info_tells_dtype_shape_and_sizes(archive: znl.Archive) -> None:
    for name, array in ARRAYS.items():
        info = archive.info(name)
        assert (info.name, info.shape, info.source_bytes) == (name, array.shape, array.nbytes)
    matrix = archive.info("matrix")
    assert matrix.dtype == "F32"
    assert 0.7 < matrix.ratio < 0.95
    assert archive.info("no rows").stored_bytes == 0
    assert archive.info("no rows").ratio == 1.0
    stored = sum(archive.info(name).stored_bytes for name in ARRAYS)
    assert 0 < archive.stored_bytes - stored < 2500  # header of the source, directory


def test_info_tells_the_methods_of_a_tensor(tmp_path: Path) -> None:
    path = tmp_path / "mixed.znl"
    with znl.Writer(path) as writer:
        writer.add("mixed", np.frombuffer(RNG.bytes(1 << 20) + bytes(1 << 20), "u1"))
    with znl.open(path) as archive:
        mixed = archive.info("mixed")
        assert mixed.methods.keys() >= {"raw", "constant"}
        assert mixed.methods == archive.by_method()["U8"]
        assert znl.Totals(mixed.source_bytes, mixed.stored_bytes) == archive.by_dtype()["U8"]


def test_small_tensors_share_the_bytes_of_their_chunk(tmp_path: Path) -> None:
    path = tmp_path / "small.znl"
    path.write_bytes(small_stream())
    with znl.open(path) as archive:
        assert archive.info("again").methods == {"repeat": znl.Totals(256, 40)}
        first, second = archive.info("class a"), archive.info("class b")
        assert first.methods == second.methods == {"static": znl.Totals(128, 116)}
        alone = archive.info("table").methods["static"]
        both = first.methods["static"] + second.methods["static"]
        assert both + alone == archive.by_method()["F8_E8M0"]["static"]


def test_tensors_come_as_they_went_in(archive: znl.Archive) -> None:
    for name, found in archive.get_tensors(ARRAYS).items():
        expected = ARRAYS[name]
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert raw_bytes(found) == raw_bytes(expected)
    assert list(archive.get_tensors(["scalar", "bool"])) == ["scalar", "bool"]


def test_out_is_decoded_into(archive: znl.Archive) -> None:
    for name, expected in ARRAYS.items():
        out = np.zeros_like(expected)
        assert archive.get_tensor(name, out=out) is out
        assert raw_bytes(out) == raw_bytes(expected)
    room = bytearray(8000)
    assert archive.get_tensor("vector", out=room) is room
    assert bytes(room) == ARRAYS["vector"].tobytes()


@pytest.mark.parametrize(
    "out",
    [
        np.zeros(999, "i8"),
        np.zeros(1001, "i8"),
        np.zeros(2000, "i8")[::2],
        bytes(8000),
        bytearray(7999),
        np.frombuffer(bytes(8000), "i8"),
        "text",
    ],
)
def test_an_out_that_does_not_fit_is_refused(archive: znl.Archive, out: object) -> None:
    with pytest.raises(znl.UsageError):
        archive.get_tensor("vector", out=out)


def test_unknown_names_are_usage_errors(archive: znl.Archive, path: Path) -> None:
    for read in (archive.info, archive.get_tensor, archive.get_slice):
        with pytest.raises(znl.UsageError, match=r"model\.znl: expected the name of a tensor"):
            read("no such tensor")
    with pytest.raises(znl.UsageError):
        archive.get_tensors(["vector", "no such tensor"])


INDICES: list[Any] = [
    0,
    -1,
    5,
    np.int64(3),
    slice(None),
    slice(2, 5),
    slice(None, None, 2),
    slice(None, None, -1),
    slice(8, 2, -2),
    slice(-3, None),
    slice(5, 5),
    slice(7, 2),
    slice(100, 10_000),
    slice(-10_000, 3),
    slice(1, None, 1000),
    slice(None, None, -1000),
    (),
    ...,
    None,
    (None, 1),
    (0, 1),
    (-2, -1),
    (slice(1, 4), 2),
    (slice(4, 0, -1), slice(None, None, 2)),
    (slice(1, 4), ...),
    (..., 0),
    (2, ...),
    (2, None),
    (slice(None), None, slice(1)),
    [0, 2, 1],
    np.array([1, 0]),
    (slice(1, 5), [0, 1]),
    ([0, 1], 1),
    True,
    False,
    (True, 1),
]


@pytest.mark.parametrize("name", ["matrix", "bf16", "fp8", "complex", "vector", "bool"])
@pytest.mark.parametrize("index", INDICES, ids=repr)
def test_slices_are_those_of_numpy(archive: znl.Archive, name: str, index: object) -> None:
    array = ARRAYS[name]
    try:
        expected = array[index]
    except IndexError:
        with pytest.raises(IndexError):
            archive.get_slice(name)[index]
        return
    found = archive.get_slice(name)[index]
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert raw_bytes(found) == raw_bytes(expected)


@pytest.mark.parametrize("index", [1000, -1001, (1, 2), 1.5, "a", slice(0, 2, 0), (0, 0, 0)])
def test_slices_refuse_what_numpy_refuses(archive: znl.Archive, index: object) -> None:
    with pytest.raises((IndexError, ValueError, TypeError)) as expected:
        ARRAYS["vector"][index]
    with pytest.raises(expected.type):
        archive.get_slice("vector")[index]


def test_slices_of_empty_tensors_and_scalars(archive: znl.Archive) -> None:
    for name in ("no rows", "no columns", "scalar"):
        for index in (slice(None), slice(0, 1), ..., (), None, 0, (slice(None), 0), slice(1, 2)):
            try:
                expected = ARRAYS[name][index]
            except IndexError:
                with pytest.raises(IndexError):
                    archive.get_slice(name)[index]
                continue
            found = archive.get_slice(name)[index]
            assert np.shape(found) == np.shape(expected), (name, index)
            np.testing.assert_array_equal(found, expected)


def test_a_slice_knows_shape_and_dtype(archive: znl.Archive) -> None:
    part = archive.get_slice("bf16")
    assert (part.get_shape(), part.get_dtype()) == ([40, 3, 50], "BF16")


def test_a_slice_reads_the_chunks_it_needs(
    archive: znl.Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zipnn_like import random_reader

    decoded: list[int] = []
    original = random_reader.decode_run

    def count(run: Any, target: Any) -> None:
        decoded.append(run.source_nbytes)
        original(run, target)

    monkeypatch.setattr(random_reader, "decode_run", count)
    assert archive.get_slice("matrix")[0].shape == (300,)
    assert len(decoded) == 1
    decoded.clear()
    archive.get_tensor("matrix")
    assert len(decoded) == 2


def test_packed_types_come_as_bytes_and_have_no_slices(tmp_path: Path) -> None:
    stored = {
        name: make(dtypes.BY_NAME[name], "random bits", (40, 6), 1)
        for name in ("F4", "F6_E2M3", "F6_E3M2")
    }
    (tmp_path / "packed.znl").write_bytes(znl.compress(safetensors_bytes(stored)))
    with znl.open(tmp_path / "packed.znl") as archive:
        for name, tensor in stored.items():
            found = archive.get_tensor(name)
            assert (found.dtype, found.shape) == (np.uint8, (len(tensor.data),))
            assert bytes(found) == tensor.data
            assert archive.info(name).shape == (40, 6)
            with pytest.raises(znl.UsageError, match="not whole bytes"):
                archive.get_slice(name)


def test_ranges_of_the_source(archive: znl.Archive, path: Path, tmp_path: Path) -> None:
    znl.decompress_file(path, tmp_path / "source")
    source = (tmp_path / "source").read_bytes()
    size = archive.source_bytes
    assert size == len(source)
    for start, stop in [(0, 0), (0, size), (size, size), (1, 9), (500_000, 700_000), (7, 600_000)]:
        assert archive.read(start, stop) == source[start:stop]
    for start, stop in [(-1, 5), (0, size + 1), (5, 4), (size + 1, size + 1)]:
        with pytest.raises(znl.UsageError, match="expected a range inside"):
            archive.read(start, stop)


def test_sha256_is_told_when_it_was_recorded(tmp_path: Path, archive: znl.Archive) -> None:
    assert archive.sha256 is None
    (tmp_path / "file").write_bytes(small_source())
    znl.compress_file(tmp_path / "file", sha256=True)
    with znl.open(tmp_path / "file.znl") as recorded:
        assert recorded.sha256 == hashlib.sha256(small_source()).hexdigest()
        assert recorded.verify().sha256 == recorded.sha256


def test_files_without_tensors_have_no_names(tmp_path: Path) -> None:
    for number, source in enumerate([b"", b"text", small_source()[:100]]):
        path = tmp_path / f"{number}.znl"
        path.write_bytes(znl.compress(source))
        with znl.open(path) as archive:
            assert archive.keys() == []
            assert archive.metadata() == {}
            assert archive.source_kind == "bytes"
            assert archive.source_bytes == len(source)
            assert archive.read(0, len(source)) == source


def test_a_false_source_kind_is_only_a_hint(tmp_path: Path) -> None:
    for kind in (1, 2, 255):
        builder = StreamBuilder()
        builder.stream[16] = kind
        builder.stream[24:32] = hash64(bytes(builder.stream[:24])).to_bytes(8, "little")
        path = tmp_path / f"{kind}.znl"
        path.write_bytes(builder.raw(b"no safetensors").finish())
        with znl.open(path) as archive:
            assert archive.keys() == []
            assert archive.read(0, 14) == b"no safetensors"


def test_a_closed_archive_says_so(path: Path, tmp_path: Path) -> None:
    archive = znl.open(path)
    archive.close()
    archive.close()
    # The number of a closed file is soon another file's.
    (tmp_path / "other").write_bytes(small_stream())
    with open(tmp_path / "other", "rb"):
        for read in (
            lambda: archive.get_tensor("vector"),
            lambda: archive.read(0, 100),
            lambda: archive.get_slice("matrix")[0],
        ):
            with pytest.raises(znl.UsageError, match="closed"):
                read()


def test_a_file_cut_after_opening_is_reported(tmp_path: Path, path: Path) -> None:
    copy = tmp_path / "copy.znl"
    copy.write_bytes(path.read_bytes())
    with znl.open(copy) as archive:
        os.truncate(copy, 1000)
        with pytest.raises(znl.CorruptStreamError, match=r"copy\.znl: offset"):
            archive.get_tensor("bool")


def test_threads_share_an_archive(archive: znl.Archive) -> None:
    failures: list[str] = []

    def read(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(20):
            name = list(ARRAYS)[rng.integers(len(ARRAYS))]
            if raw_bytes(archive.get_tensor(name)) != raw_bytes(ARRAYS[name]):
                failures.append(name)
            row = int(rng.integers(700))
            if not np.array_equal(archive.get_slice("matrix")[row], ARRAYS["matrix"][row]):
                failures.append(f"row {row}")

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_many_pages_are_read_from_both_ends(tmp_path: Path) -> None:
    stored = {
        f"t{n}": Values("I16" if n % 2 else "U16", (1,), n.to_bytes(2, "little"))
        for n in range(6000)
    }
    path = tmp_path / "pages.znl"
    path.write_bytes(znl.compress(safetensors_bytes(stored)))
    with znl.open(path) as archive:
        assert archive.chunk_count == 6001
        for n in [0, 5999, 1, 3000, 511, 512, 513, 5000, 0]:
            assert archive.get_tensor(f"t{n}")[0] == n
            assert archive.info(f"t{n}").source_bytes == 2
