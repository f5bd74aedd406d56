# SPDX-License-Identifier: Apache-2.0
"""Whatever goes in comes out, to the last bit: every dtype, level, thread count and way in."""

from __future__ import annotations

import io
import os
import pickle
import random
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from builders import CHUNK, SAME_AS, records_of, safetensors_bytes
from checks import Dribble, check_restores, names_in, raw_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import (
    COUNTS,
    KINDS,
    NAMES,
    PACKED,
    Values,
    around_chunk_size,
    make,
    tensors,
    values,
)

import zipnn_like as znl
from zipnn_like.dtypes import BY_NAME, DTYPES, numpy_dtype
from zipnn_like.segments import BATCH_NBYTES, CHUNK_VALUES

LEVELS = ("fast", "default", "max")


def as_array(tensor: Values) -> np.ndarray:
    """The tensor as get_tensor gives it: packed types as flat bytes."""
    dtype = BY_NAME[tensor.dtype]
    shape = (len(tensor.data),) if tensor.dtype in PACKED else tensor.shape
    return np.frombuffer(tensor.data, numpy_dtype(dtype)).reshape(shape)


def some_bytes(nbytes: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(nbytes)


# --- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_values_of_every_dtype_are_restored_at_every_level(name: str, data: st.DataObject) -> None:
    tensor = data.draw(values((name,)))
    level = data.draw(st.sampled_from(LEVELS))
    stream = znl.compress(tensor.data, dtype=name, shape=tensor.shape, level=level)
    check_restores(stream, tensor.data)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_values_is_restored(name: str) -> None:
    for number, kind in enumerate(KINDS):
        count = COUNTS[-1 - number % 5] // 4 * 4
        tensor = make(BY_NAME[name], kind, (count,), seed=number)
        check_restores(znl.compress(tensor.data, dtype=name, level="fast"), tensor.data)


@pytest.mark.parametrize("name", ["BF16", "F16", "F32", "F64", "F8_E4M3", "F8_E8M0", "U8", "F4"])
def test_sizes_around_a_chunk_are_restored(name: str) -> None:
    for count in around_chunk_size(BY_NAME[name]):
        tensor = make(BY_NAME[name], "gaussian", (count,), seed=count)
        stream = znl.compress(tensor.data, dtype=name, level="fast")
        chunks = sum(record.kind == CHUNK for record in records_of(stream))
        assert chunks == (1 if count <= around_chunk_size(BY_NAME[name])[1] else 2)
        check_restores(stream, tensor.data, by_reference=False)


@given(noise=st.binary(max_size=300))
def test_any_bytes_are_restored_without_a_dtype(noise: bytes) -> None:
    check_restores(znl.compress(noise), noise)


@given(tensor=values())
@settings(max_examples=25)
def test_a_stream_is_hardly_larger_than_its_source(tensor: Values) -> None:
    stream = znl.compress(tensor.data, dtype=tensor.dtype)
    chunks = sum(record.kind == CHUNK for record in records_of(stream))
    # docs/format.md, section 8
    assert len(stream) <= len(tensor.data) + (56 + 3) * chunks + 80 * -(-chunks // 512) + 112


def test_every_thread_count_gives_the_same_bytes() -> None:
    count = BATCH_NBYTES // 2 * 5 // 2 + 77  # two and a half batches, and a tail
    bf16 = make(BY_NAME["BF16"], "two scales", (count,), seed=1).data
    mixed = safetensors_bytes(
        {
            "a": Values("BF16", (count,), bf16),
            "text": Values("U8", (5_000_001,), bytes(5_000_001)),
            "b": Values("BF16", (CHUNK_VALUES,), bf16[: 2 * CHUNK_VALUES]),
            "c": make(BY_NAME["F32"], "gaussian", (3, 333_333), seed=2),
        }
    )
    streams = [znl.compress(mixed, threads=threads) for threads in (1, 2, 8)]
    assert streams[0] == streams[1] == streams[2]
    for threads in (1, 2, 8):
        assert znl.decompress(streams[0], threads=threads) == mixed


@given(tensor=values(), extra=st.integers(0, 9))
def test_out_is_filled_in_place_and_no_further(tensor: Values, extra: int) -> None:
    stream = znl.compress(tensor.data, dtype=tensor.dtype)
    room = bytearray(b"\xa5" * (len(tensor.data) + extra))
    filled = znl.decompress(stream, out=room)
    assert filled == tensor.data
    assert isinstance(filled, memoryview)
    assert bytes(room) == tensor.data + b"\xa5" * extra


@pytest.mark.parametrize("name", ["BF16", "F8_E4M3", "F32", "C64", "BOOL"])
def test_out_may_be_an_array(name: str) -> None:
    array = as_array(make(BY_NAME[name], "counting", (7, 11), seed=1))
    out = np.zeros_like(array)
    znl.decompress(znl.compress(array), out=out)
    assert raw_bytes(out) == raw_bytes(array)


def test_arrays_in_any_memory_order_are_taken_in_c_order() -> None:
    base = np.arange(2 * 300 * 40, dtype="<f4").reshape(2, 300, 40)
    views = {
        "fortran": np.asfortranarray(base),
        "transposed": base.T,
        "strided": base[:, ::3, 1::2],
        "reversed": base[::-1, :, ::-1],
        "broadcast": np.broadcast_to(base[:1], (5, 300, 40)),
        "0-d": base[0, 0, 0, ...],
        "column": base[..., 3],
    }
    for name, array in views.items():
        assert znl.decompress(znl.compress(array)) == array.tobytes(), name


@pytest.mark.parametrize("typecode", ["b", "h", "f", "d"])
def test_empty_buffers_of_any_shape_are_empty_sources(typecode: str) -> None:
    for shape in [(0,), (3, 0), (0, 2)]:
        empty = memoryview(np.empty(shape, typecode))
        assert znl.decompress(znl.compress(empty)) == b""
        assert znl.decompress(znl.compress(np.empty(shape, typecode))) == b""


# --- tensors --------------------------------------------------------------------------------------


@given(stored=tensors(), level=st.sampled_from(LEVELS), threads=st.sampled_from([1, 2, 8]))
@settings(max_examples=20)
def test_safetensors_files_are_restored_and_read(
    tmp_path_factory: pytest.TempPathFactory, stored: dict[str, Values], level: str, threads: int
) -> None:
    source = safetensors_bytes(stored, {"format": "pt", "é": "\n"})
    path = tmp_path_factory.mktemp("files") / "model.safetensors.znl"
    znl.compress_file(io.BytesIO(source), path, level=level, threads=threads)
    stream = path.read_bytes()
    assert stream == znl.compress(source, level=level, threads=1)
    check_restores(stream, source)
    with znl.open(path) as archive:
        assert set(archive.keys()) == set(stored)
        assert archive.metadata() == {"format": "pt", "é": "\n"}
        for name, tensor in stored.items():
            array = archive.get_tensor(name)
            assert raw_bytes(array) == tensor.data
            assert array.dtype == numpy_dtype(BY_NAME[tensor.dtype])
            assert array.shape == as_array(tensor).shape


@given(stored=tensors())
@settings(max_examples=15)
def test_writer_and_open_agree_for_every_dtype(
    tmp_path_factory: pytest.TempPathFactory, stored: dict[str, Values]
) -> None:
    folder = tmp_path_factory.mktemp("written")
    with znl.Writer(folder / "w.znl", metadata={"k": "v"}) as writer:
        for name, tensor in stored.items():
            writer.add(name, tensor.data, dtype=tensor.dtype, shape=tensor.shape)
    with znl.open(folder / "w.znl") as archive:
        assert archive.keys() == list(stored)
        for name, tensor in stored.items():
            assert raw_bytes(archive.get_tensor(name)) == tensor.data
            assert archive.info(name).shape == tensor.shape
    znl.decompress_file(folder / "w.znl", folder / "w.safetensors")
    source = (folder / "w.safetensors").read_bytes()
    check_restores((folder / "w.znl").read_bytes(), source)
    with safetensors.safe_open(folder / "w.safetensors", "numpy") as official:
        assert sorted(official.keys()) == sorted(stored)
        assert official.metadata() == {"k": "v"}


def test_writer_takes_arrays_of_every_dtype(tmp_path: Path) -> None:
    arrays = {
        dtype.name: as_array(make(dtype, "random bits", (6, 50), seed=dtype.code))
        for dtype in DTYPES
        if dtype.array_type
    }
    arrays["BOOL"] = np.arange(300).reshape(6, 50) % 3 == 0
    with znl.Writer(tmp_path / "w.znl") as writer:
        for name, array in arrays.items():
            writer.add(name, np.asfortranarray(array))
            writer.add(f"{name} strided", array[::2, ::-3])
            writer.add(f"{name} 0-d", array[1, 1, ...])
    with znl.open(tmp_path / "w.znl") as archive:
        for name, array in arrays.items():
            assert archive.info(name).dtype == name
            for key, expected in (
                (name, array),
                (f"{name} strided", array[::2, ::-3]),
                (f"{name} 0-d", array[1, 1, ...]),
            ):
                found = archive.get_tensor(key)
                assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
                assert raw_bytes(found) == raw_bytes(expected)
                assert found.flags.writeable
                assert found.flags.aligned


def test_the_official_library_reads_what_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    arrays = {
        "w": rng.normal(0, 0.02, (300, 70)).astype("f4"),
        "h": rng.normal(0, 1, (64, 65)).astype("f2"),
        "i": rng.integers(-9, 9, (5, 5)),
        "empty": np.empty((0, 7), "f8"),
        "scalar": np.array(3.5),
        "flags": rng.integers(0, 2, 1000) == 1,
    }
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(arrays, path, metadata={"format": "np"})
    original = path.read_bytes()
    znl.compress_file(path)
    path.unlink()
    znl.decompress_file(tmp_path / "model.safetensors.znl")
    assert path.read_bytes() == original
    official = safetensors.numpy.load_file(path)
    with znl.open(tmp_path / "model.safetensors.znl") as archive:
        assert sorted(archive.keys()) == sorted(official)
        for name, expected in official.items():
            found = archive.get_tensor(name)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(found, arrays[name])


def test_small_neighbours_are_joined_and_still_read_one_by_one(tmp_path: Path) -> None:
    stored = {
        f"layer.{n}.bias": make(BY_NAME["BF16"], "gaussian", (100 + n,), n, 10.0 ** (n % 5 - 3))
        for n in range(40)
    }
    source = safetensors_bytes(stored)
    path = tmp_path / "m.znl"
    path.write_bytes(znl.compress(source))
    chunks = [record for record in records_of(path.read_bytes()) if record.kind == CHUNK]
    assert len(chunks) == 2  # the header, and all biases
    assert chunks[1].table_count > 1
    check_restores(path.read_bytes(), source)
    with znl.open(path) as archive:
        for name, tensor in stored.items():
            assert raw_bytes(archive.get_tensor(name)) == tensor.data


# --- ways in and out ------------------------------------------------------------------------------


def test_file_pipe_and_memory_give_the_same_stream(tmp_path: Path) -> None:
    stored = {
        "a": make(BY_NAME["F16"], "gaussian", (700, 901), 1),
        "b": make(BY_NAME["U8"], "random bits", (4_000_000,), 2),
        "c": make(BY_NAME["F16"], "sparse", (33,), 3),
    }
    source = safetensors_bytes(stored) + b"trailing"
    path = tmp_path / "model.safetensors"
    path.write_bytes(source)
    expected = znl.compress(source)
    znl.compress_file(path, tmp_path / "of_file.znl")
    assert (tmp_path / "of_file.znl").read_bytes() == expected
    with open(path, "rb") as file:
        znl.compress_file(file, tmp_path / "of_object.znl")
    assert (tmp_path / "of_object.znl").read_bytes() == expected

    read_end, write_end = os.pipe()

    def feed() -> None:
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(source)

    feeder = threading.Thread(target=feed)
    feeder.start()
    out = io.BytesIO()
    with os.fdopen(read_end, "rb", buffering=0) as pipe:
        znl.compress_file(pipe, out)
    feeder.join()
    assert out.getvalue() == expected


def test_a_stream_is_restored_through_pipes() -> None:
    source = some_bytes(300_000, 5) + bytes(9_000_000)
    stream = znl.compress(source)
    read_end, write_end = os.pipe()

    def feed() -> None:
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(stream)

    feeder = threading.Thread(target=feed)
    feeder.start()
    out = io.BytesIO()
    with os.fdopen(read_end, "rb", buffering=0) as pipe:
        znl.decompress_file(pipe, out)
    feeder.join()
    assert out.getvalue() == source


@pytest.mark.parametrize("by_read", [False, True])
def test_file_objects_that_give_a_few_bytes_at_a_time(by_read: bool) -> None:
    source = safetensors_bytes({"a": make(BY_NAME["BF16"], "gaussian", (30_000,), 1)})
    out, back = io.BytesIO(), io.BytesIO()
    znl.compress_file(Dribble(source, by_read=by_read), out)
    assert out.getvalue() == znl.compress(source)
    znl.decompress_file(Dribble(out.getvalue(), by_read=by_read), back)
    assert back.getvalue() == source


# --- files of other kinds -------------------------------------------------------------------------


def zip_bytes() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"weights": list(range(2000))}))
        archive.writestr("a/b", bytes(100_000))
    return file.getvalue()


SAFETENSORS = safetensors_bytes(
    {
        "a": make(BY_NAME["BF16"], "gaussian", (9000,), 1),
        "b": make(BY_NAME["F32"], "gaussian", (50,), 2),
        "c": make(BY_NAME["F32"], "gaussian", (70,), 3),
    }
)
OTHER_FILES = {
    "empty": b"",
    "one byte": b"\x00",
    "text": "Zeile für Zeile\n".encode() * 5000,
    "pickle": pickle.dumps({"layer": [0.5] * 1000, "name": "x" * 100}, protocol=4),
    "zip": zip_bytes(),
    "noise": some_bytes(100_003, 1),
    "a stream": znl.compress(SAFETENSORS),
    "magic of a stream": b"\x89ZNL\r\n\x1a\n",
    "eight zeros": bytes(8),
    "a header without an end": (2**40).to_bytes(8, "little") + b'{"a":',
    "a header of 90 MB that is not there": (90_000_000).to_bytes(8, "little") + b"{",
    "a header that is no JSON": (16).to_bytes(8, "little") + b"{not json at all" + b"x" * 100,
    "just a safetensors header": (8).to_bytes(8, "little") + b"{}      ",
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_files_of_other_kinds_are_restored(tmp_path: Path, name: str) -> None:
    source = OTHER_FILES[name]
    path = tmp_path / "file"
    path.write_bytes(source)
    report = znl.compress_file(path)
    assert report.source_bytes == len(source)
    path.unlink()
    znl.decompress_file(tmp_path / "file.znl")
    assert path.read_bytes() == source
    check_restores((tmp_path / "file.znl").read_bytes(), source)
    assert names_in(tmp_path) == {"file", "file.znl"}


def test_safetensors_cut_anywhere_are_restored() -> None:
    for cut in [*range(0, 400, 7), 18_000, len(SAFETENSORS) - 281, len(SAFETENSORS) - 1]:
        source = SAFETENSORS[:cut]
        assert znl.decompress(znl.compress(source, threads=1), threads=1) == source


def test_tensors_of_a_cut_file_are_refused_by_name_and_the_others_read(tmp_path: Path) -> None:
    path = tmp_path / "cut.znl"
    path.write_bytes(znl.compress(SAFETENSORS[:-280]))
    with znl.open(path) as archive:
        assert len(archive.get_tensor("a")) == 9000
        assert len(archive.get_tensor("b")) == 50
        with pytest.raises(znl.SourceError, match=r"tensor 'c': offset \d+: expected .*, found"):
            archive.get_tensor("c")
        with pytest.raises(znl.SourceError):
            archive.get_slice("c")[0:1]


@pytest.mark.parametrize("extra", [1, 7, 100_000])
def test_safetensors_with_trailing_garbage_are_restored(extra: int) -> None:
    source = SAFETENSORS + some_bytes(extra, extra)
    check_restores(znl.compress(source), source)


def test_a_sparse_file_is_restored_from_almost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with open(path, "wb") as file:
        for offset in (0, 20_000_000, 63 << 20):
            file.seek(offset)
            file.write(b"island")
        file.truncate(64 << 20)
    report = znl.compress_file(path)
    assert report.stored_bytes < 10_000
    znl.decompress_file(tmp_path / "sparse.znl", tmp_path / "back")
    with open(path, "rb") as one, open(tmp_path / "back", "rb") as other:
        while piece := one.read(1 << 22):
            assert other.read(1 << 22) == piece
        assert other.read(1) == b""


# --- repeats --------------------------------------------------------------------------------------


def kinds_of(stream: bytes) -> list[int]:
    return [record.kind for record in records_of(stream) if record.kind in (CHUNK, SAME_AS)]


def test_a_repeat_within_16_mib_is_stored_once(tmp_path: Path) -> None:
    once = make(BY_NAME["BF16"], "gaussian", (1024, 1024), seed=1)
    between = make(BY_NAME["F32"], "gaussian", (1000,), seed=2)
    alone = znl.compress(safetensors_bytes({"a": once}))
    source = safetensors_bytes({"a": once, "between": between, "b": once})
    stream = znl.compress(source)
    assert kinds_of(stream).count(SAME_AS) == kinds_of(alone).count(CHUNK) - 1  # but the header
    assert len(stream) < len(alone) + len(between.data) + 1000
    check_restores(stream, source)
    path = tmp_path / "repeats.znl"
    path.write_bytes(stream)
    with znl.open(path) as archive:
        assert raw_bytes(archive.get_tensor("b")) == once.data
        assert archive.info("b").stored_bytes < 1000


def test_repeats_of_other_dtypes_are_found_too() -> None:
    data = some_bytes(2000, 3)
    source = safetensors_bytes(
        {"a": Values("U16", (1000,), data), "b": Values("I16", (10, 100), data)}
    )
    stream = znl.compress(source)
    assert kinds_of(stream) == [CHUNK, CHUNK, SAME_AS]
    check_restores(stream, source)


@pytest.mark.parametrize(("between", "repeats"), [(62, 1), (63, 1), (64, 0)])
def test_a_repeat_is_found_up_to_16_mib_back(between: int, repeats: int) -> None:
    chunk_nbytes = 2 * CHUNK_VALUES  # of BF16; 64 of them are 16 MiB
    chunk, middle = some_bytes(chunk_nbytes, 4), some_bytes(between * chunk_nbytes, 5)
    source = chunk + middle + chunk
    stream = znl.compress(source, dtype="BF16", level="fast")
    assert kinds_of(stream).count(SAME_AS) == repeats
    assert znl.decompress(stream) == source
    out = io.BytesIO()
    znl.decompress_file(io.BytesIO(stream), out, threads=2)
    assert out.getvalue() == source


def test_many_repeats_in_a_row_are_restored() -> None:
    data = some_bytes(3 << 20, 6)
    source = data * 12  # 36 MiB: the first copy goes out of reach twice
    stream = znl.compress(source, level="fast")
    assert len(stream) < 4 * len(data)
    out = io.BytesIO()
    znl.decompress_file(io.BytesIO(stream), out, threads=2)
    assert out.getvalue() == source
