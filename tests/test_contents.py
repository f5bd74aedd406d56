# SPDX-License-Identifier: Apache-2.0
"""What the contents of a batch change in its plan, and that `default` gains by it."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from builders import safetensors_bytes
from hypothesis import given
from hypothesis import strategies as st
from strategies import Values

import zipnn_like as znl
from zipnn_like import contents, rows
from zipnn_like.compressor import plan
from zipnn_like.contents import LEAST_NBYTES, Cutter, LoadedBatch
from zipnn_like.dtypes import BY_NAME, find
from zipnn_like.format import MAX_DISTANCE
from zipnn_like.levels import LEVELS
from zipnn_like.segments import BATCH_CHUNKS, BATCH_NBYTES, Chunk, Segment, segment_of

BF16 = ml_dtypes.bfloat16
Arrays = list[np.ndarray]


def file_of(arrays: Iterable[np.ndarray]) -> bytes:
    """A safetensors file of these tensors, in this order."""
    return safetensors_bytes(
        {
            f"t{i:04}": Values(find(array.dtype).name, array.shape, array.tobytes())
            for i, array in enumerate(arrays)
        }
    )


def normal(shape: tuple[int, ...], seed: int, dtype: object = BF16) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=shape) * 0.02
    return values.astype("<f4").astype(dtype)  # type: ignore[arg-type]


def zeros(shape: tuple[int, ...], dtype: object = BF16) -> np.ndarray:
    return np.zeros(shape, dtype)  # type: ignore[arg-type]


def chunks_of(arrays: Arrays) -> list[Chunk]:
    """The chunks that the encoder gets for these tensors, one behind the other."""
    return [chunk for loaded in cut(arrays) for chunk in loaded.batch.chunks]


def cut(arrays: Arrays) -> Iterator[LoadedBatch]:
    source = memoryview(b"".join(array.tobytes() for array in arrays))
    segments = [segment_of(find(each.dtype), each.nbytes, each.shape) for each in arrays]
    return Cutter().cut(planned(segments, source))


def planned(segments: list[Segment], source: memoryview) -> Iterator[LoadedBatch]:
    offset = 0
    for batch in plan(segments, LEVELS["default"]):
        yield LoadedBatch(batch, source[offset : offset + batch.nbytes], None)
        offset += batch.nbytes


def sizes(chunks: Iterable[Chunk]) -> list[int]:
    return [chunk.nbytes for chunk in chunks]


# --- what is cut ----------------------------------------------------------------------------------


def test_constant_members_are_chunks_of_their_own_wherever_they_lie() -> None:
    a, b, z = normal((40, 64), 1), normal((50, 64), 2), zeros((800,))
    assert sizes(chunks_of([a, z, b])) == [5120, 1600, 6400]
    assert sizes(chunks_of([z, a, b, z])) == [1600, 5120 + 6400, 1600]


def test_neighbours_of_one_value_are_one_chunk_and_of_two_values_two() -> None:
    a, z = normal((40, 64), 1), zeros((300,))
    assert sizes(chunks_of([a, z, z, z, a + a])) == [5120, 1800, 5120]
    ones = zeros((900,)) + BF16(1)
    assert sizes(chunks_of([a, zeros((900,)), ones, a + a])) == [5120, 1800, 1800, 5120]


def test_what_is_not_worth_a_chunk_stays() -> None:
    a, z = normal((40, 64), 1), zeros((LEAST_NBYTES // 2 - 1,))
    (chunk,) = chunks_of([a, z, a + a])
    assert chunk.is_joined
    assert len(chunk.members) == 3


def test_members_that_recur_are_chunks_and_what_lies_between_stays_joined() -> None:
    arrays = [normal((40, 64), seed) for seed in (1, 2, 3, 1, 4, 5)]
    chunks = chunks_of(arrays)
    assert sizes(chunks) == [5120, 2 * 5120, 5120, 2 * 5120]
    assert [chunk.recurs for chunk in chunks] == [True, False, True, False]


def test_a_run_of_members_that_recurs_is_one_chunk() -> None:
    arrays = [normal((n, 64), n) for n in (40, 41, 42, 43)]
    run = arrays[:3]
    assert sizes(chunks_of([*run, arrays[3], *run, *run])) == [15744, 5504, 15744, 15744]
    # Where they occur apart as well, each is found.
    assert sizes(chunks_of([*run, arrays[3], *run, run[1]])) == [
        *(5120, 5248, 5376, 5504),
        *(5120, 5248, 5376, 5248),
    ]


def test_a_member_is_seen_to_recur_as_far_as_a_repeat_may_refer() -> None:
    member, other = normal((200, 300), 1), normal((200, 300), 2)
    between = [normal((1024, 1024), seed) for seed in range(7)]  # 14 MiB
    chunks = chunks_of([member, other, *between, other[::-1], member])
    assert [chunk.nbytes for chunk in chunks if chunk.recurs] == [120_000] * 2
    far = [*between, *between]
    assert not any(chunk.recurs for chunk in chunks_of([member, other, *far, other[::-1], member]))


def test_constant_rows_are_cut_off_a_large_tensor() -> None:
    matrix = normal((3000, 384), 1)
    matrix[1500:1900] = 0
    matrix[2801:] = 0
    chunks = chunks_of([matrix])
    ends = np.cumsum(sizes(chunks)).tolist()
    assert {1500 * 768, 1900 * 768, 2801 * 768} <= set(ends)
    for chunk in chunks:
        (part,) = chunk.parts
        assert part.row_values == 384
        assert part.rows * 768 == chunk.nbytes


@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 9000)), min_size=1, max_size=4))
def test_cut_rows_keep_every_value(cuts: list[tuple[int, int]]) -> None:
    for segment in (Segment(BY_NAME["F32"], 36_000), Segment(BY_NAME["F32"], 36_000, 90)):
        (chunk,) = rows._cut(segment, 9000)
        for first, last in cuts:
            pieces = rows.cut_rows(chunk, first, last)
            assert sum(sizes(pieces)) == 36_000
            for piece in pieces:
                values = sum(part.rows * part.row_values for part in piece.parts)
                assert 4 * values == piece.nbytes > 0


def test_matrices_of_a_stack_are_cut_alike() -> None:
    copies = np.repeat(normal((1, 200, 300), 1), 5, 0)
    assert sizes(chunks_of([copies])) == [120_000] * 5
    large = np.repeat(normal((1, 600, 640), 1), 3, 0)
    chunks = sizes(chunks_of([large]))
    assert chunks == chunks[: len(chunks) // 3] * 3


members = st.lists(
    st.tuples(st.sampled_from(("zeros", "ones", "same", "own")), st.integers(1, 3000)),
    min_size=1,
    max_size=150,
)


@given(members)
def test_cut_batches_hold_the_source_and_keep_their_limits(drawn: list[tuple[str, int]]) -> None:
    arrays = []
    for i, (kind, count) in enumerate(drawn):
        value = {"zeros": 0, "ones": 1, "same": 0, "own": 0}[kind]
        array = np.full(count, value, "<f4")
        if kind in ("same", "own"):
            array[:] = np.random.default_rng(count if kind == "same" else 10_000 + i).random(count)
        arrays.append(array)
    source = b"".join(array.tobytes() for array in arrays)
    loaded = list(cut(arrays))
    assert b"".join(each.source for each in loaded) == source
    for batch in (each.batch for each in loaded):
        assert len(batch.chunks) <= BATCH_CHUNKS
        assert batch.nbytes <= BATCH_NBYTES
        for chunk in batch.chunks:
            assert sum(member.nbytes for member in chunk.members) == chunk.nbytes


def test_no_more_waits_than_a_repeat_may_refer_to() -> None:
    arrays = [normal((200, 300), seed, "<f4") for seed in range(60)] * 3  # 43 MB
    source = memoryview(b"".join(array.tobytes() for array in arrays))
    segments = [segment_of(BY_NAME["F32"], each.nbytes, each.shape) for each in arrays]
    taken = given_back = 0

    def counted() -> Iterator[LoadedBatch]:
        nonlocal taken
        for loaded in planned(segments, source):
            taken += loaded.batch.nbytes
            assert taken - given_back <= MAX_DISTANCE + 2 * BATCH_NBYTES
            yield loaded

    for loaded in Cutter().cut(counted()):
        given_back += loaded.batch.nbytes
    assert given_back == taken == len(source)


# --- what that is good for ------------------------------------------------------------------------


def text(nbytes: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    words = [bytes(random.integers(97, 123, n).astype("u1")) for n in random.integers(2, 9, 999)]
    picked = (random.random(nbytes // 2) ** 3 * len(words)).astype(int)
    return np.frombuffer(b" ".join(words[i] for i in picked)[:nbytes], "u1")


def mixed(count: int) -> Arrays:
    kinds = (BF16, "<f4", "<f2", "i1", "<i8", "u1")
    return [
        (normal((1 + 37 * i % 300,), i, "<f4") * 1500).astype(kinds[i % 6]) for i in range(count)
    ]


def padded(shape: tuple[int, int], first: int) -> np.ndarray:
    matrix = normal(shape, 1)
    matrix[first:] = 0
    return matrix


def sparse(share: float, dtype: object) -> np.ndarray:
    random = np.random.default_rng(1)
    return normal((500, 500), 1, dtype) * (random.random((500, 500)) < share).astype(dtype)  # type: ignore[arg-type]


KINDS: dict[str, Callable[[], Arrays]] = {
    "LoRA, B zero": lambda: [
        each for i in range(40) for each in (normal((16, 768), i), zeros((768, 16)))
    ],
    "LoRA, tiny": lambda: [
        each for i in range(200) for each in (normal((4, 256), i), zeros((256, 4)))
    ],
    "equal pairs": lambda: [normal((120, 128), i // 2) for i in range(60)],
    "equal, far apart": lambda: [normal((120, 128), i % 60, "<f4") for i in range(120)],
    "norms": lambda: [np.full(768, i % 2, "<f4") for i in range(200)],
    "biases zero": lambda: [
        each for i in range(20) for each in (zeros((64,)), normal((64, 32, 3, 3), i))
    ],
    "padded": lambda: [padded((3000, 384), 2500)],
    "text": lambda: [text(900_000)],
    "texts": lambda: [text(20_000, i % 3) for i in range(40)],
    "text and weights": lambda: [text(100_000), *(normal((256, 256), i) for i in range(4))],
    "text as int8": lambda: [text(500_000).view("i1")],
    "few values": lambda: [
        np.random.default_rng(i).integers(0, 16, (300, 300)).astype("<f4").astype(BF16)
        for i in range(4)
    ],
    "sorted": lambda: [np.sort(normal((200_000,), 1, "<f4")).astype("<f2")],
    "steps": lambda: [np.arange(300_000, dtype="<f4") % 2000],
    "integers": lambda: [np.arange(512)[None].repeat(i + 1, 0) for i in range(12)],
    "mask": lambda: [np.where(np.tri(600), 0, -1e4).astype("<f4")] * 2,
    "mixed": lambda: mixed(200),
    "scalars": lambda: [np.array(i, "<i8" if i % 2 else "<f4") for i in range(300)],
    "one-hot": lambda: [np.eye(500, dtype="<f4")[np.arange(2000) * 7 % 500].astype(BF16)],
    "sparse bf16": lambda: [sparse(0.1, BF16)],
    "sparse f32": lambda: [sparse(0.01, "<f4")],
    "expert copies": lambda: [np.repeat(normal((1, 200, 300), 1), 8, 0)],
    "large expert copies": lambda: [np.repeat(normal((1, 512, 512), 1), 8, 0)],
    "heads repeated": lambda: [np.repeat(normal((8, 64, 256), 1), 4, 0).reshape(2048, 256)],
    "int8 outliers": lambda: [
        np.where(np.random.default_rng(1).random((500, 500)) < 0.002, 99, 0).astype("i1")
    ],
    "fp8": lambda: [
        normal((128, 256), i, "<f4").astype(ml_dtypes.float8_e4m3fn) for i in range(20)
    ],
    "small scales": lambda: [normal((10, 32), i) * BF16(2.0 ** -(i % 10)) for i in range(500)],
    "flat scales": lambda: [normal((36_000,), i) * BF16(2.0 ** -(i % 9)) for i in range(30)],
    "zero points": lambda: [
        each
        for i in range(30)
        for each in (
            np.rint(normal((128, 256), i, "<f4") * 1500).astype("i1"),
            np.zeros(128, "i1"),
        )
    ],
    "widened": lambda: [normal((100, 128), i).astype("<f4") for i in range(30)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_default_is_no_larger_than_fast(kind: str) -> None:
    file = file_of(KINDS[kind]())
    fast, default = (znl.compress(file, level=level) for level in ("fast", "default"))
    assert znl.decompress(default) == file
    assert len(default) <= len(fast) + max(100, len(file) // 2000)


# A hundredth of the file, about, below which each must come.
SMALL = {
    "norms": 0.01,
    "mask": 0.01,
    "one-hot": 0.01,
    "int8 outliers": 0.02,
    "steps": 0.02,
    "sorted": 0.1,
    "text as int8": 0.5,
    "heads repeated": 0.26,
    "expert copies": 0.09,
    "large expert copies": 0.09,
}


@pytest.mark.parametrize("kind", SMALL)
def test_what_weights_hardly_are_is_small(kind: str) -> None:
    file = file_of(KINDS[kind]())
    assert len(znl.compress(file)) < SMALL[kind] * len(file)


def test_neighbouring_texts_share_a_frame_unless_they_are_found_elsewhere() -> None:
    other = [text(1_200_000)[at : at + 30_000] for at in range(0, 1_200_000, 30_000)]
    apart = sum(len(znl.compress(each)) for each in other)
    assert len(znl.compress(file_of(other))) < 0.98 * apart
    again = len(znl.compress(file_of([*other, *other]))) - len(znl.compress(file_of(other)))
    assert again < 12_000  # of 1,200,000


@pytest.mark.parametrize("kind", ["LoRA, B zero", "equal, far apart", "texts", "mixed", "padded"])
def test_files_memory_pipes_and_threads_give_one_stream(kind: str, tmp_path: Path) -> None:
    file = file_of(KINDS[kind]())
    stream = znl.compress(file, threads=1)
    assert znl.compress(file, threads=3) == stream
    assert znl.compress(bytearray(file), threads=2) == stream  # read, not lent
    path = tmp_path / "model.safetensors"
    path.write_bytes(file)
    znl.compress_file(path, tmp_path / "model.znl", threads=2)
    assert (tmp_path / "model.znl").read_bytes() == stream
    read_end, write_end = os.pipe()

    def feed() -> None:
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(file)

    feeder = threading.Thread(target=feed)
    feeder.start()
    target = io.BytesIO()
    with os.fdopen(read_end, "rb") as pipe:
        znl.compress_file(pipe, target, threads=2)
    feeder.join()
    assert target.getvalue() == stream


def test_a_source_that_ends_inside_a_batch_that_was_cut_is_restored() -> None:
    file = file_of(KINDS["LoRA, B zero"]())
    for nbytes in (len(file) - 30_000, len(file) - 24_576 - 1, len(file) // 2):
        assert znl.decompress(znl.compress(file[:nbytes])) == file[:nbytes]


def test_members_are_read_one_by_one(tmp_path: Path) -> None:
    arrays = [*KINDS["LoRA, tiny"](), *KINDS["norms"]()]
    path = tmp_path / "members.znl"
    path.write_bytes(znl.compress(file_of(arrays)))
    with znl.open(path) as archive:
        for i in range(0, len(arrays), 7):
            assert archive.get_tensor(f"t{i:04}").tobytes() == arrays[i].tobytes()


def test_a_writer_cuts_constant_rows_off_large_tensors(tmp_path: Path) -> None:
    path = tmp_path / "padded.znl"
    with znl.Writer(path) as writer:
        writer.add("padded", padded((3000, 384), 2500))
    with znl.open(path) as archive:
        assert archive.info("padded").methods["constant"].source_bytes == 500 * 768


def test_few_batches_wait_however_small_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_AHEAD", 16)
    arrays = [np.full(1, i, np.int64 if i % 2 else np.int32) for i in range(200)]
    source = memoryview(b"".join(array.tobytes() for array in arrays))
    segments = [segment_of(find(each.dtype), each.nbytes, each.shape) for each in arrays]
    taken = given = 0

    def counted() -> Iterator[LoadedBatch]:
        nonlocal taken
        for loaded in planned(segments, source):
            taken += 1
            yield loaded

    for _ in Cutter().cut(counted()):
        assert taken - given <= 17
        given += 1
    assert given == taken == 200
