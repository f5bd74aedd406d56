# SPDX-License-Identifier: Apache-2.0
"""Chunks cut between rows, and what the encoder makes of the scales of rows and columns."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from builders import safetensors_bytes
from hypothesis import given
from hypothesis import strategies as st
from strategies import Values

import zipnn_like
from zipnn_like import native, rows
from zipnn_like.dtypes import BY_NAME, BYTES
from zipnn_like.segments import Segment, row_values

F32, BF16 = BY_NAME["F32"], BY_NAME["BF16"]

SHAPES = st.lists(
    st.tuples(
        st.sampled_from((F32, BF16, BY_NAME["I64"], BYTES)),
        st.lists(st.integers(0, 700), max_size=4).map(tuple),
    ),
    max_size=12,
).filter(lambda tensors: sum(math.prod(shape) for _, shape in tensors) < 1 << 28)


@given(SHAPES)
def test_chunks_hold_the_segments_and_their_parts_the_chunks(
    tensors: list[tuple[object, tuple[int, ...]]],
) -> None:
    segments = [
        Segment(dtype, math.prod(shape) * dtype.width, row_values(shape, dtype))  # type: ignore[attr-defined]
        for dtype, shape in tensors
    ]
    chunks = list(rows.plan_chunks(segments))
    assert sum(chunk.nbytes for chunk in chunks) == sum(segment.nbytes for segment in segments)
    # Neither the order of dtypes nor the place where one follows another changes.
    ends = np.cumsum([chunk.nbytes for chunk in chunks]).tolist()
    offset = 0
    for segment, after in zip(segments, [*segments[1:], None], strict=False):
        offset += segment.nbytes
        if after is not None and segment.nbytes and after.nbytes and after.dtype != segment.dtype:
            assert offset in ends
    for chunk in chunks:
        assert chunk.nbytes > 0
        if chunk.dtype.modelled:
            count = sum(part.rows * part.row_values for part in chunk.parts)
            assert count * chunk.dtype.width == chunk.nbytes
            assert count <= rows.MOST_VALUES
            assert all(part.rows > 0 and part.row_values > 0 for part in chunk.parts)
        else:
            assert chunk.parts == ()


def test_large_matrices_are_cut_between_rows_into_equal_chunks() -> None:
    chunks = list(rows.plan_chunks([Segment(BF16, 2 * 3000 * 384, 384)]))
    assert len(chunks) == 6
    assert {part.row_values for chunk in chunks for part in chunk.parts} == {384}
    assert {part.rows for chunk in chunks for part in chunk.parts} == {500}


def test_what_has_no_rows_is_cut_into_rows_of_64() -> None:
    (chunk,) = rows.plan_chunks([Segment(F32, 4 * 200_001)])
    assert chunk.parts == ((3124, 64, False), (1, 65, False))
    (chunk,) = rows.plan_chunks([Segment(F32, 4 * 5)])
    assert chunk.parts == ((1, 5, False),)


def test_small_tensors_share_a_chunk_and_flat_ones_their_rows() -> None:
    (chunk,) = rows.plan_chunks(
        [Segment(F32, 4 * 10), Segment(F32, 4 * 60), Segment(F32, 4 * 64 * 128, 128)]
    )
    assert chunk.is_joined
    assert chunk.parts == ((1, 70, False), (64, 128, True))


def test_rows_of_complex_values_are_counted_in_their_components() -> None:
    assert row_values((700, 500), BY_NAME["C64"]) == 1000
    assert row_values((700, 500), F32) == 500
    assert row_values((64, 3, 5, 5), F32) == 75
    assert row_values((64, 3, 16, 16), F32) == 256
    assert row_values((9,), F32) == 0


@pytest.mark.parametrize("kind", ["clipped", "tied", "zeros"])
def test_default_is_hardly_larger_than_fast_where_models_do_not_help(kind: str) -> None:
    random = np.random.default_rng(5)
    if kind == "clipped":
        tensors = [np.clip(random.normal(0, 127, (500, 500)), -127, 127).astype("i1")]
    elif kind == "tied":
        tensors = [random.normal(size=(300, 300)).astype("<f4")] * 9
    else:
        tensors = [random.normal(size=(300, 300)).astype("<f4"), np.zeros((300, 300), "<f4")]
    names = {"float32": "F32", "int8": "I8"}
    file = safetensors_bytes(
        {
            f"t{i}": Values(names[tensor.dtype.name], tensor.shape, tensor.tobytes())
            for i, tensor in enumerate(tensors)
        }
    )
    sizes = [len(zipnn_like.compress(file, level=level)) for level in ("fast", "default")]
    assert sizes[1] < 1.001 * sizes[0]


def scaled(shape: tuple[int, int], by_columns: bool, seed: int) -> np.ndarray:
    """Normal values whose rows, and maybe columns, differ in scale by up to 16 times."""
    random = np.random.default_rng(seed)
    values = random.normal(size=shape) * 2 ** random.uniform(-2, 2, (shape[0], 1))
    if by_columns:
        values *= 2 ** random.uniform(-2, 2, (1, shape[1]))
    return values


def as_bf16(values: np.ndarray) -> np.ndarray:
    bits = (values.astype("<f4").view("<u4") >> 16).astype("<u2")
    import ml_dtypes

    return bits.view(ml_dtypes.bfloat16)


KINDS = {
    "BF16": as_bf16,
    "F16": lambda values: (values / 100).astype("<f2"),
    "F32": lambda values: values.astype("<f4"),
    "F64": lambda values: values.astype("<f8"),
    "I8": lambda values: np.clip(np.rint(values * 8), -128, 127).astype("i1"),
    "U8": lambda values: np.clip(np.rint(values * 8 + 128), 0, 255).astype("u1"),
}


@pytest.fixture
def every_isa() -> Iterator[None]:
    """Lets a test change the instruction set of this process."""
    yield
    native.use(native.isa_name())


@pytest.mark.usefixtures("every_isa")
@pytest.mark.parametrize("by_columns", [False, True], ids=["rows", "columns"])
@pytest.mark.parametrize("kind", KINDS)
def test_scales_of_rows_and_columns_are_used_and_restored(kind: str, by_columns: bool) -> None:
    values = KINDS[kind](scaled((700, 391), by_columns, 7))
    source = values.tobytes()
    fast = zipnn_like.compress(values, level="fast")
    streams = set()
    for isa in native.isas():
        native.use(isa)
        streams.add(zipnn_like.compress(values, level="default", threads=2))
    (stream,) = streams
    assert len(stream) < len(fast)
    for isa in native.isas():
        native.use(isa)
        assert zipnn_like.decompress(stream) == source


def test_columns_save_where_rows_alone_can_not() -> None:
    values = as_bf16(scaled((700, 384), True, 3) / scaled((700, 384), False, 4).std(1)[:, None])
    by_rows = zipnn_like.compress(values.reshape(-1, 384 * 2)[:, :].reshape(-1), level="default")
    by_both = zipnn_like.compress(values, level="default")
    assert len(by_both) < 0.99 * len(by_rows)


@pytest.mark.parametrize("shape", [(40, 5000), (5000, 40), (3, 7, 11, 900), (131, 1031), (20011,)])
def test_any_shape_is_restored(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=shape).astype("<f4")
    values.reshape(-1)[::5] *= 100
    stream = zipnn_like.compress(values)
    assert zipnn_like.decompress(stream) == values.tobytes()


def test_a_file_of_many_small_tensors_of_different_scales_is_restored(tmp_path: object) -> None:
    random = np.random.default_rng(2)
    parts = [random.normal(size=n).astype("<f4") * 10.0 ** (n % 9 - 4) for n in range(1, 400, 3)]
    source = b"".join(part.tobytes() for part in parts)
    stream = zipnn_like.compress(np.frombuffer(source, "<f4"))
    assert zipnn_like.decompress(stream) == source
    assert len(stream) < 0.9 * len(source)
