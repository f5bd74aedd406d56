# SPDX-License-Identifier: Apache-2.0
"""The composed method (docs/format.md, section 5.11): what is taken apart, and how it is."""

from __future__ import annotations

import lzma
import math
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import zstandard
from builders import CHUNK, Record, records_of, safetensors_bytes
from checks import check_restores, raw_bytes
from composed_streams import COMPOSED, GOOD_COMPOSED, Composed
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Values
from znl_process import environment

import zipnn_like as znl
from zipnn_like import native, reference
from zipnn_like.dtypes import BY_NAME, DTYPES, DType
from zipnn_like.transforms import BY_CODE, TRANSFORMS
from zipnn_like.transforms.groups import group_sizes, pack, packed_nbytes, unpack
from zipnn_like.transforms.parts import Fields, Guess, Sample, Split, UnfitError, sample_of

COUNT = 1 << 17
E4M3 = ml_dtypes.float8_e4m3fn


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def weights(count: int = COUNT, seed: int = 1) -> np.ndarray:
    return (0.02 * rng(seed).standard_normal(count)).astype(np.float32)


def pruned(share: float, count: int = COUNT) -> np.ndarray:
    values = weights(count)
    values[rng(2).random(count) < share] = 0
    return values


def int4(count: int = COUNT) -> np.ndarray:
    codes = np.clip(np.round(weights(2 * count) / 0.01), -8, 7).astype(np.uint8) + np.uint8(8)
    return codes[::2] % 16 | codes[1::2] << 4


def on_grid() -> np.ndarray:
    """Weights that were int8 once."""
    return np.round(weights() * 1500) * np.float32(7e-4)


def sorted_ids() -> np.ndarray:
    return np.sort(rng().choice(64 * COUNT, COUNT, replace=False))


def folded(dtype: str = "f2", count: int = COUNT, row: int = 256) -> np.ndarray:
    """Weights that had 8 or 16 bits before each row was multiplied by a factor of its own."""
    factors = np.exp(rng(4).standard_normal((count // row, 1))).astype(np.float32)
    values = weights(count).reshape(-1, row)
    narrow = values.astype(dtype) if dtype != "i1" else np.round(values * 1500).astype("i1")
    if dtype == "i1":
        narrow[0, :2] = -128, 127
    return narrow.astype(np.float32) * factors


def fourier(count: int = 256) -> np.ndarray:
    """The basis of a Fourier transform under a window."""
    turns = np.arange(count // 2 + 1)[:, None] * np.arange(count) % count / count
    window = np.hanning(count + 1)[:-1]
    return np.concatenate([f(2 * np.pi * turns) * window for f in (np.cos, np.sin)]).astype("<f4")


def wide() -> np.ndarray:
    """Magnitudes over forty octaves."""
    return (weights() * np.exp2(rng(6).uniform(-40, 0, COUNT))).astype(np.float32)


def bf16(values: np.ndarray) -> bytes:
    return values.astype(ml_dtypes.bfloat16).tobytes()


def six_bits(count: int) -> bytes:
    """Whole fours of fields with skewed magnitudes."""
    fields = np.minimum(np.abs(rng().normal(0, 6, 4 * count)), 31).astype(np.uint32)
    fields += 32 * rng(3).integers(0, 2, 4 * count, dtype=np.uint32)
    triples = (fields.reshape(-1, 4) << np.arange(0, 24, 6, dtype=np.uint32)).sum(axis=1)
    return triples.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


# Sources that each transform is for: name, dtype, transform.
MADE_FOR: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "ids": ("I64", "planes", lambda: np.arange(COUNT).tobytes()),
    "sorted": ("I32", "planes", lambda: sorted_ids().astype("<i4").tobytes()),
    "tokens": ("I64", "planes", lambda: rng().integers(0, 32000, COUNT).tobytes()),
    "normal i16": ("I16", "planes", lambda: (weights() * 50000).astype("<i2").tobytes()),
    "normal u16": ("U16", "planes", lambda: (weights() * 9000 + 9999).astype("<u2").tobytes()),
    "small u32": ("U32", "planes", lambda: rng().integers(0, 999, COUNT).astype("<u4").tobytes()),
    "steps u64": ("U64", "planes", lambda: (np.arange(COUNT) - 9).astype("<u8").tobytes()),
    "int4 in i32": ("I32", "nibbles", lambda: int4().tobytes()),
    "int4 in u8": ("U8", "nibbles", lambda: int4().tobytes()),
    "int4 in i8": ("I8", "nibbles", lambda: int4().tobytes()),
    "f4": ("F4", "nibbles", lambda: int4().tobytes()),
    "f6": ("F6_E3M2", "sixes", lambda: six_bits(COUNT // 4)),
    "bool": ("BOOL", "palette", lambda: (rng().random(COUNT) < 0.3).tobytes()),
    "mask in u8": ("U8", "palette", lambda: rng().choice([0, 255], COUNT).astype("u1").tobytes()),
    "ternary": ("I8", "palette", lambda: rng().integers(-1, 2, COUNT).astype("i1").tobytes()),
    "labels": ("I64", "palette", lambda: rng().choice([-100, 7, 10**12], COUNT).tobytes()),
    "f32 on a grid": ("F32", "palette", lambda: on_grid().tobytes()),
    "f16 on a grid": ("F16", "palette", lambda: on_grid().astype("f2").tobytes()),
    "f64 on a grid": ("F64", "palette", lambda: on_grid().astype("f8").tobytes()),
    "bf16 90": ("BF16", "sparse", lambda: bf16(pruned(0.9))),
    "f32 50": ("F32", "sparse", lambda: pruned(0.5).tobytes()),
    "f16 99": ("F16", "sparse", lambda: pruned(0.99).astype("f2").tobytes()),
    "f64 30": ("F64", "sparse", lambda: pruned(0.3).astype("f8").tobytes()),
    "f32 wide": ("F32", "planes", lambda: wide().tobytes()),
    "scaled whole": ("F32", "scaled", lambda: folded(row=COUNT).tobytes()),
    "complex 60": ("C64", "sparse", lambda: pruned(0.6).tobytes()),
}  # fmt: skip


def chunks_of(stream: bytes) -> list[Record]:
    return [record for record in records_of(stream) if record.kind == CHUNK]


def transforms_of(stream: bytes) -> set[str]:
    """Names of the transforms of all composed chunks, "" for chunks of other methods."""
    return {
        BY_CODE[chunk.body[0]].name if chunk.method == COMPOSED else ""
        for chunk in chunks_of(stream)
    }


# --- what the encoder chooses ---------------------------------------------------------------------


@pytest.mark.parametrize("name", MADE_FOR)
def test_a_transform_is_taken_for_what_it_is_made_for(name: str) -> None:
    dtype, transform, make = MADE_FOR[name]
    source = make()
    stream = znl.compress(source, dtype=dtype)
    assert transforms_of(stream) == {transform}
    check_restores(stream, source, by_reference=False)
    fast = znl.compress(source, dtype=dtype, level="fast")
    assert COMPOSED not in {chunk.method for chunk in chunks_of(fast)}
    assert len(stream) < 0.997 * len(fast)


@pytest.mark.parametrize("name", MADE_FOR)
def test_the_reference_restores_what_is_composed(name: str) -> None:
    dtype, transform, make = MADE_FOR[name]
    width = BY_NAME[dtype].width
    source = make()[: (COUNT if transform == "nibbles" else 3 * COUNT // 8) * width]
    stream = znl.compress(source, dtype=dtype)
    assert transforms_of(stream) == {transform}
    assert reference.decode(stream) == source


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "F64", "F8_E4M3", "F8_E5M2", "I8"])
def test_plain_weights_are_not_looked_at_twice(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("composed")

    from zipnn_like import composed_chunk

    monkeypatch.setattr(composed_chunk, "compose", refuse)
    values = weights(1 << 20)
    if dtype == "I8":
        source = np.round(values * 1500).astype(np.int8).tobytes()
    else:
        element = znl.dtypes.numpy_dtype(BY_NAME[dtype])
        source = values.astype(element).tobytes()
    znl.compress(source, dtype=dtype)


def test_a_chunk_is_composed_only_where_that_is_smaller() -> None:
    noise = rng().integers(0, 256, 3 << 19, dtype=np.uint8).tobytes()
    for dtype in DTYPES:
        stream = znl.compress(noise, dtype=dtype)
        assert COMPOSED not in {chunk.method for chunk in chunks_of(stream)}
        assert len(stream) < len(noise) + 1000


def test_a_part_is_cut_where_the_static_coder_ends() -> None:
    source = rng().choice(4, 3 << 20, p=[0.4, 0.3, 0.2, 0.1]).astype("<i2").tobytes()
    stream = znl.compress(source, dtype="I16")
    first = next(chunk for chunk in chunks_of(stream) if chunk.method == COMPOSED)
    assert first.body[1] > 2
    assert len(first.references) == first.table_count > 1
    check_restores(stream, source, by_reference=False)


def test_joined_tensors_are_composed_as_one(tmp_path: Path) -> None:
    apart = pruned(0.9, 12 * 3100).reshape(12, 3100)
    tensors = {
        f"{n}": Values("BF16", (3000 + n,), bf16(apart[n, : 3000 + n] * 10.0 ** (n % 3)))
        for n in range(12)
    }
    source = safetensors_bytes(tensors)
    stream = znl.compress(source)
    assert transforms_of(stream) == {"", "sparse"}
    check_restores(stream, source)
    path = tmp_path / "joined.znl"
    path.write_bytes(stream)
    with znl.open(path) as archive:
        for name, tensor in tensors.items():
            assert raw_bytes(archive.get_tensor(name)) == tensor.data


@pytest.mark.parametrize("name", MADE_FOR)
def test_threads_and_instruction_sets_do_not_change_a_byte(name: str) -> None:
    dtype, _, make = MADE_FOR[name]
    source = 3 * make()
    expected = znl.compress(source, dtype=dtype, threads=1)
    assert znl.compress(source, dtype=dtype, threads=4) == expected
    in_use = native.isa_name()
    try:
        for isa in native.isas():
            native.use(isa)
            assert znl.compress(source, dtype=dtype) == expected, isa
            assert znl.decompress(expected, threads=2) == source, isa
    finally:
        native.use(in_use)


# Matrices that need their rows to be known: dtype of the narrow values, transform, bits a value.
MATRICES: dict[str, tuple[Callable[[], np.ndarray], str, float]] = {
    "half rows": (folded, "scaled", 13.8),
    "half columns": (lambda: np.ascontiguousarray(folded().T), "scaled", 13.8),
    "int8 rows": (lambda: folded("i1"), "scaled", 7.4),
    "int8 columns": (lambda: np.ascontiguousarray(folded("i1").T), "scaled", 7.4),
    "int8 groups": (lambda: folded("i1", row=64).reshape(-1, 1024), "scaled", 7.9),
    "fp8 rows": (lambda: folded(E4M3), "scaled", 7.4),
    "fourier": (lambda: fourier(), "planes", 7.0),
}


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_cost_what_they_had_before_a_factor(name: str) -> None:
    make, transform, bits = MATRICES[name]
    source, matrix = matrix_file(make())
    stream = znl.compress(source)
    assert transform in transforms_of(stream)
    assert 8 * len(stream) < bits * matrix.size
    check_restores(stream, source, by_reference=matrix.size < COUNT)
    in_use = native.isa_name()
    try:
        for isa in native.isas():
            native.use(isa)
            assert znl.compress(source, threads=2) == stream, isa
    finally:
        native.use(in_use)


def matrix_file(matrix: np.ndarray) -> tuple[bytes, np.ndarray]:
    tensor = Values("F32", matrix.shape, matrix.tobytes())
    return safetensors_bytes({"matrix": tensor}), matrix


def test_the_reference_restores_what_had_factors() -> None:
    for made in (folded(count=12288), folded("i1", count=12288)):
        source, _ = matrix_file(made)
        stream = znl.compress(source)
        assert "scaled" in transforms_of(stream)
        assert reference.decode(stream) == source


def test_small_matrices_with_factors_leave_their_neighbours() -> None:
    tensors = {}
    for n in range(6):
        matrix = folded(count=8192, row=128) if n % 2 else weights(8192, n).reshape(-1, 128)
        tensors[f"{n}.weight"] = Values("F32", matrix.shape, matrix.tobytes())
        tensors[f"{n}.bias"] = Values("F32", (64,), weights(64, n).tobytes())
    source = safetensors_bytes(tensors)
    stream = znl.compress(source)
    assert transforms_of(stream) == {"", "scaled"}
    check_restores(stream, source, by_reference=False)


@pytest.mark.parametrize("name", ["one value off", "a zero row", "a nan", "a subnormal"])
def test_factors_are_exact_or_none(name: str) -> None:
    values = folded()
    if name == "one value off":
        values.view("<u4")[300, 77] ^= 1
    else:
        odd = {"a zero row": 0, "a nan": np.nan, "a subnormal": 1e-40}[name]
        values[300, 77 if odd else slice(None)] = odd
    source, _ = matrix_file(values)
    stream = znl.compress(source)
    assert ("scaled" in transforms_of(stream)) == (name == "a zero row")
    check_restores(stream, source, by_reference=False)


def test_widened_values_have_no_factor() -> None:
    source, _ = matrix_file(weights().astype("f2").astype("<f4").reshape(-1, 256))
    assert transforms_of(znl.compress(source)) == {""}


# --- ways through a file --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed() -> tuple[bytes, dict[str, Values]]:
    """A safetensors file with a tensor of every kind, and one that repeats."""
    tensors = {}
    for name, (dtype, _, make) in MADE_FOR.items():
        data = make()
        bits = BY_NAME[dtype].bits
        tensors[name] = Values(dtype, (8 * len(data) // bits,), data)
    tensors["again"] = tensors["bf16 90"]
    return safetensors_bytes(tensors), tensors


def test_a_mixed_file_is_read_in_every_way(
    tmp_path: Path, mixed: tuple[bytes, dict[str, Values]]
) -> None:
    source, tensors = mixed
    path = tmp_path / "mixed.safetensors"
    path.write_bytes(source)
    report = znl.compress_file(path)
    assert any("composed" in methods for methods in report.by_method.values())
    stored = tmp_path / "mixed.safetensors.znl"
    assert znl.verify_file(stored).by_method == report.by_method
    check_restores(stored.read_bytes(), source, by_reference=False)
    with znl.open(stored) as archive:
        assert archive.by_method()["BOOL"].keys() == {"composed"}
        for name, tensor in tensors.items():
            assert raw_bytes(archive.get_tensor(name)) == tensor.data, name
        for start in range(0, len(source), len(source) // 50):
            stop = min(len(source), start + 1234)
            assert archive.read(start, stop) == source[start:stop]


def test_a_writer_composes_as_a_file_does(tmp_path: Path) -> None:
    path = tmp_path / "written.znl"
    with znl.Writer(path) as writer:
        writer.add("ids", np.arange(COUNT))
        writer.add("pruned", pruned(0.9))
    with znl.open(path) as archive:
        assert "composed" in archive.info("ids").methods
        assert "composed" in archive.info("pruned").methods
        np.testing.assert_array_equal(archive.get_tensor("ids"), np.arange(COUNT))
        np.testing.assert_array_equal(archive.get_tensor("pruned"), pruned(0.9))


# --- sizes ----------------------------------------------------------------------------------------


def entropy(values: np.ndarray) -> float:
    """Bits a value."""
    _, counts = np.unique(values, return_counts=True)
    shares = counts / counts.sum()
    return -float((shares * np.log2(shares)).sum())


SIZES: dict[str, tuple[str, Callable[[], np.ndarray]]] = {
    "ids": ("I64", lambda: np.arange(COUNT)),
    "sorted": ("I64", lambda: np.sort(rng().choice(64 * COUNT, COUNT, replace=False))),
    "int4 in i32": ("I32", int4),
    "int4 in u8": ("U8", int4),
    "bool": ("BOOL", lambda: rng().random(COUNT) < 0.2),
    "bool, rarely": ("BOOL", lambda: rng().random(COUNT) < 0.01),
    "f32 on a grid": ("F32", lambda: on_grid()),
    "bf16 on a grid": (
        "BF16",
        lambda: on_grid().astype(ml_dtypes.bfloat16),
    ),
    "bf16 50": ("BF16", lambda: pruned(0.5).astype(ml_dtypes.bfloat16)),
    "bf16 90": ("BF16", lambda: pruned(0.9).astype(ml_dtypes.bfloat16)),
    "f32 99": ("F32", lambda: pruned(0.99)),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_below_those_of_zstd_and_xz(name: str) -> None:
    dtype, make = SIZES[name]
    source = raw_bytes(make())
    stored = len(znl.compress(source, dtype=dtype))
    assert stored < len(zstandard.ZstdCompressor(level=19).compress(source))
    assert stored < len(lzma.compress(source, preset=6))


@pytest.mark.parametrize(
    ("dtype", "share", "bits"), [("BF16", 0.9, 1.6), ("BF16", 0.5, 6.3), ("F32", 0.9, 3.2)]
)
def test_pruned_tensors_cost_their_mask_and_what_is_left(
    dtype: str, share: float, bits: float
) -> None:
    values = pruned(share, 1 << 20)
    source = bf16(values) if dtype == "BF16" else values.tobytes()
    assert 8 * len(znl.compress(source, dtype=dtype)) < bits * len(values)


def test_two_of_four_is_seen() -> None:
    fours = weights(1 << 20).reshape(-1, 4)
    np.put_along_axis(fours, np.argsort(np.abs(fours), axis=1)[:, :2], 0, axis=1)
    assert 8 * len(znl.compress(bf16(fours), dtype="BF16")) < 5.95 * fours.size


@pytest.mark.parametrize("count", [3, 16])
def test_palettes_come_near_the_entropy(count: int) -> None:
    numbers = np.minimum(rng().geometric(0.3, 1 << 20) - 1, count - 1)
    source = (numbers.astype(np.float32) * np.float32(0.37)).tobytes()
    bits = 8 * len(znl.compress(source, dtype="F32")) / len(numbers)
    assert bits < 1.01 * entropy(numbers) + 0.01


# --- transforms by themselves ---------------------------------------------------------------------


def rejoined(code: int, split: Split, nbytes: int) -> bytes:
    """What join() makes of a split, by the sizes that the fields state."""
    transform = BY_CODE[code]
    parts = np.concatenate([part.data for part in split.parts])
    assert transform.parts_nbytes(split.fields, nbytes) == len(parts)
    target = np.empty(nbytes, np.uint8)
    transform.join(split.fields, parts, target)
    return target.tobytes()


@st.composite
def few_values(draw: st.DrawFn) -> tuple[DType, bytes]:
    """Bytes of a dtype that have a chance with most transforms."""
    dtype = draw(st.sampled_from(DTYPES[1:]))
    unit = 3 if dtype.name.startswith("F6_") else dtype.width
    palette = draw(st.lists(st.binary(min_size=unit, max_size=unit), min_size=1, max_size=6))
    numbers = draw(st.lists(st.integers(0, len(palette) - 1), min_size=1, max_size=300))
    return dtype, b"".join(palette[number] for number in numbers)


@given(made=few_values())
@settings(max_examples=300)
def test_every_transform_joins_what_it_splits(made: tuple[DType, bytes]) -> None:
    dtype, source = made
    data = np.frombuffer(source, np.uint8)
    sample = sample_of(data, dtype)
    for transform in TRANSFORMS:
        guess = transform.estimate(sample)
        split = guess and transform.split(data, dtype, guess)
        if split:
            assert rejoined(transform.code, split, len(source)) == source, transform.name


@given(
    width=st.sampled_from([2, 4, 8]),
    mode=st.integers(0, 7),
    columns=st.integers(1, 9),
    numbers=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50),
)
def test_planes_of_every_mode_are_joined(
    width: int, mode: int, columns: int, numbers: list[int]
) -> None:
    dtype = {2: BY_NAME["I16"], 4: BY_NAME["U32"], 8: BY_NAME["I64"]}[width]
    source = b"".join((n % 256**width).to_bytes(width, "little") for n in numbers)
    guess = Guess(0.0, BY_CODE[0].estimate(Sample(dtype, *two_zeros(width))).fields)
    columns = columns if mode & 4 and len(numbers) % columns == 0 else (mode >> 2 & 1)
    guess = guess._replace(fields=Fields(width, mode, columns))
    split = BY_CODE[0].split(np.frombuffer(source, np.uint8), dtype, guess)
    assert split is not None
    assert rejoined(0, split, len(source)) == source


@given(
    data=st.data(),
    row=st.integers(1, 40),
    rows=st.integers(1, 40),
    kind=st.sampled_from(["f2", "i1", "few", "mixed"]),
    by_columns=st.booleans(),
)
@settings(max_examples=200)
def test_factors_are_taken_out_and_multiplied_in(
    data: st.DataObject, row: int, rows: int, kind: str, by_columns: bool
) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    factors = random.uniform(0.5, 2, (rows, 1)) * np.exp2(random.integers(-60, 60, (rows, 1)))
    narrow = random.integers(-127, 128, (rows, row)).astype(np.float32)
    if kind in ("f2", "mixed"):
        narrow = random.standard_normal((rows, row)).astype("f2").astype(np.float32)
    if kind == "few":
        narrow = np.float32(random.integers(-1, 2, (rows, row)))
    if kind == "mixed":
        narrow[random.random((rows, row)) < 0.3] *= 0
    matrix = (narrow * factors.astype(np.float32)).astype("<f4")
    matrix = np.ascontiguousarray(matrix.T) if by_columns else matrix
    run = 1 if by_columns and rows > 1 else row
    source = np.frombuffer(matrix.tobytes(), np.uint8)
    guess = Guess(0.0, Fields(4, 0, rows, run))
    split = BY_CODE[5].split(source, BY_NAME["F32"], guess)
    # Where few values could have any factor, the one that is found may be none that was.
    assert split is not None or row < 32
    if split is not None:
        assert rejoined(5, split, len(source)) == matrix.tobytes()
        if kind == "i1" and row >= 32:
            assert split.fields.mode == 1


def two_zeros(width: int) -> tuple[np.ndarray, np.ndarray]:
    zeros = np.zeros((1, 2), f"<u{width}")
    return zeros, zeros[0]


@given(data=st.data(), base=st.integers(1, 256))
def test_numbers_are_packed_and_unpacked(data: st.DataObject, base: int) -> None:
    numbers = np.array(
        data.draw(st.lists(st.integers(0, base - 1), min_size=1, max_size=60)), np.uint8
    )
    for size in range(1, 9):
        if base**size > 256:
            break
        packed = pack(numbers, base, size)
        assert len(packed) == packed_nbytes(len(numbers), size)
        np.testing.assert_array_equal(unpack(packed, base, size, len(numbers)), numbers)
    assert all(base**size <= 256 for size in group_sizes(base))


def test_bytes_above_the_numbers_are_refused() -> None:
    for base, size in [(3, 2), (2, 5), (200, 1), (1, 8)]:
        most = base**size
        with pytest.raises(UnfitError):
            unpack(np.array([most], np.uint8), base, size, size)


@given(made=few_values(), level=st.sampled_from(["default", "max"]))
@settings(max_examples=60)
def test_streams_of_few_values_are_restored(made: tuple[DType, bytes], level: str) -> None:
    dtype, source = made
    source *= math.ceil(600 / len(source))
    check_restores(znl.compress(source, dtype=dtype, level=level), source)


# --- the wire -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD_COMPOSED)
def test_what_is_packed_by_hand_is_restored(name: str) -> None:
    chunk = GOOD_COMPOSED[name]
    check_restores(chunk.stream(), chunk.source)


@pytest.mark.parametrize("name", GOOD_COMPOSED)
def test_every_field_with_other_bytes_is_judged_alike(name: str) -> None:
    chunk = GOOD_COMPOSED[name]
    body = chunk.body()
    judged = {True: 0, False: 0}
    for at in range(16 + 12 * min(len(chunk.subs), 3)):
        for byte in {0, 1, 2, 3, 5, 8, 64, 255, body[at] ^ 1, body[at] ^ 128} - {body[at]}:
            stream = chunk.stream(body[:at] + bytes([byte]) + body[at + 1 :])
            expected = verdict(reference.decode, stream)
            assert verdict(lambda s: znl.decompress(s), stream) == expected, (at, byte)
            judged[isinstance(expected, bytes)] += 1
    assert judged[False] > 100


def verdict(decode: Callable[[bytes], bytes], stream: bytes) -> bytes | type[Exception]:
    """The source, or ChecksumError where all but that holds, or the class of what does not."""
    try:
        return bytes(decode(stream))
    except (znl.ChecksumError, znl.UnsupportedFormatError) as error:
        return type(error)
    except znl.CorruptStreamError:
        return znl.CorruptStreamError


@pytest.mark.parametrize("name", GOOD_COMPOSED)
def test_no_bit_of_the_fields_passes_unnoticed(name: str) -> None:
    chunk = GOOD_COMPOSED[name]
    body = chunk.body()
    for bit in range(8 * (16 + 12 * min(len(chunk.subs), 4))):
        flipped = bytearray(body)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        number, place = divmod((bit >> 3) - 16, 12)
        if bit & 7 == 0 and place == 1 and len(chunk.subs[number].body) <= 8:
            continue  # one value, stored raw or as a constant
        assert not isinstance(verdict(znl.decompress, chunk.stream(bytes(flipped))), bytes), bit


@pytest.mark.parametrize("name", GOOD_COMPOSED)
def test_every_prefix_of_a_body_is_refused(name: str) -> None:
    chunk = GOOD_COMPOSED[name]
    body = chunk.body()
    for stop in range(0, len(body), max(1, len(body) // 60)):
        stream = chunk.stream(body[:stop])
        assert not isinstance(verdict(znl.decompress, stream), bytes), stop
        assert not isinstance(verdict(reference.decode, stream), bytes), stop


def test_a_message_names_the_field() -> None:
    chunk = GOOD_COMPOSED["palette_f32"]
    body = bytearray(chunk.body())
    struct.pack_into("<I", body, 4, 0)
    expected = r"^<stream>: offset 68: expected 1 to 256 values \(palette\), found 0"
    with pytest.raises(znl.CorruptStreamError, match=expected):
        znl.decompress(chunk.stream(bytes(body)))


def test_numpy_is_imported_for_composed_chunks_only() -> None:
    code = (
        "import random, struct, sys, zipnn_like as znl\n"
        "some = random.Random(0)\n"
        "values = (struct.pack('<f', some.gauss(0, 1))[2:] for _ in range(30000))\n"
        "source = b''.join(values)\n"
        "stream = znl.compress(source, dtype='BF16')\n"
        "assert znl.decompress(stream) == source\n"
        "assert 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()


def test_nothing_is_composed_of_composed_chunks() -> None:
    inner: Composed = GOOD_COMPOSED["nibbles"]
    with pytest.raises(znl.CorruptStreamError, match="another method than composed"):
        znl.decompress(inner.with_sub(0, method=COMPOSED).stream())
