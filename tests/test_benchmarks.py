# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run: each kernel by itself, built as they build it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.harness import Harness
from benchmarks.kernels import WAYS, gaussian, kernel_table
from zipnn_like import native

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Harness:
    return Harness(tmp_path_factory.mktemp("bench"), "cc")


@pytest.mark.parametrize("isa", native.isas())
@pytest.mark.parametrize("dtype", ["BF16", "F32", "F8_E4M3"])
def test_every_kernel_is_timed_and_the_round_trip_holds(
    built: Harness, isa: str, dtype: str
) -> None:
    seconds = built.seconds(gaussian(dtype, 1 << 18), dtype, isa, 4096, 1)
    assert all(taken > 0 for taken in seconds.values())
    assert set(seconds) == {"memcpy", *WAYS, *(k for kernels in WAYS.values() for k in kernels)}


def test_the_table_has_a_row_for_each_result() -> None:
    speeds = dict.fromkeys({*WAYS, *(k for kernels in WAYS.values() for k in kernels)}, 1.0)
    shares = {way: dict.fromkeys(kernels, 0.5) for way, kernels in WAYS.items()}
    row = {"dtype": "BF16", "isa": "scalar", "gbs": speeds, "shares": shares}
    assert len(kernel_table([row, row]).splitlines()) == 4


def test_the_harness_builds_from_any_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Harness(tmp_path, "cc")
