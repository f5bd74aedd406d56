# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run: each kernel by itself, and sizes beside rivals that any machine has."""

from __future__ import annotations

import json
import lzma
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from benchmarks import ratio, rivals, sizes, zipnn_speed
from benchmarks.harness import Harness
from benchmarks.kernels import WAYS, gaussian, kernel_table
from benchmarks.rivals.__main__ import main as run_rival
from benchmarks.rivals.__main__ import run
from benchmarks.rivals.tensorwise import by_tensor, pack_header, split_header, unpack_header
from benchmarks.rivals.way import Way, by_path
from zipnn_like import native

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
ROOT = Path(__file__).resolve().parent.parent


# --- kernels --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Harness:
    return Harness(tmp_path_factory.mktemp("bench"), "cc")


@needs_compiler
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


def test_speeds_beside_zipnn_are_ranges_of_all_runs() -> None:
    def run(times: float) -> dict[str, Any]:
        both = {"in": times, "out": times}
        return {"program": "avx2", "size": 0.66, "gbs": both, "times_zipnn": both}

    last = zipnn_speed.table([[run(2.5)], [run(3.0)]]).splitlines()[-1]
    ranges = "2.50 to 3.00 | 2.75 (2.50 to 3.00)"
    assert last == f"| avx2 | 66.00 | {ranges} | {ranges} |"


def test_without_zipnn_the_comparison_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["zipnn_speed.py", "any.safetensors"])
    with pytest.raises(SystemExit, match="2"):
        zipnn_speed.main()
    assert "expected zipnn, which is not installed here" in capsys.readouterr().err


def test_without_files_no_results_are_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "sizes.json"
    monkeypatch.setattr("sys.argv", ["sizes.py", str(tmp_path / "absent"), "--out", str(out)])
    with pytest.raises(SystemExit, match="2"):
        sizes.main()
    assert "absent: expected .safetensors files, found none" in capsys.readouterr().err
    assert not out.exists()


@needs_compiler
def test_the_harness_builds_from_any_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Harness(tmp_path, "cc")


# --- sizes beside rivals --------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small safetensors file: two dtypes in runs, an empty and a one-byte tensor."""
    random = np.random.default_rng(7)
    path = tmp_path / "weights" / "small.safetensors"
    path.parent.mkdir()
    tensors = {
        "a": random.normal(size=(40, 50)).astype(np.float32),
        "b": np.zeros((30, 10), np.float32),
        "c": np.zeros(0, np.float32),
        "d": random.integers(0, 3, 999).astype(np.int8),
        "e": np.array([5], np.int8),
    }
    save_file(tensors, path, metadata={"format": "np"})
    return path


def zlib_way(*, merge: bool) -> Way:
    """A rival for tests, which has no coder for I8."""
    return by_tensor(
        lambda dtype, values: None if dtype == "I8" else zlib.compress(values),
        lambda _dtype, payload, _nbytes: zlib.decompress(payload),
        merge=merge,
    )


@pytest.mark.parametrize("merge", [False, True])
def test_a_rival_of_arrays_restores_the_file_and_pays_for_its_header(
    weights: Path, merge: bool
) -> None:
    source = weights.read_bytes()
    way = zlib_way(merge=merge)
    wire = way.compress(source)
    assert way.decompress(wire) == source
    header, tensors = split_header(source)
    assert [tensor.dtype for tensor in tensors] == ["F32", "F32", "I8", "I8"]
    floats = [source[len(header) + t.begin : len(header) + t.end] for t in tensors[:2]]
    coded = [b"".join(floats)] if merge else floats
    least = sum(min(len(zlib.compress(run)), len(run)) for run in coded) + 1000
    framing = len(wire) - least - len(pack_header(header))
    assert 0 < framing <= 3 * len(tensors)


def test_a_header_is_stored_deflated_or_as_it_is() -> None:
    for body in (b"{}", json.dumps(dict.fromkeys(map(str, range(99)))).encode()):
        header = len(body).to_bytes(8, "little") + body
        wire = pack_header(header)
        assert unpack_header(wire + b"rest") == (header, len(wire))
        assert len(wire) <= len(header) + 1


@pytest.mark.parametrize("damage", ["gap", "trailing"])
def test_a_file_that_tensors_do_not_tile_is_refused(weights: Path, damage: str) -> None:
    source = weights.read_bytes()
    if damage == "gap":
        header = b'{"a":{"dtype":"I8","shape":[1],"data_offsets":[1,2]}}'
        source = len(header).to_bytes(8, "little") + header + b"xy"
    else:
        source += b"x"
    with pytest.raises(ValueError, match=r"begins at 1, expected 0|1 bytes after"):
        zlib_way(merge=False).compress(source)


def test_a_rival_that_changes_bytes_or_raises_has_a_reason_and_no_size() -> None:
    def refuse(_source: bytes) -> bytes:
        raise MemoryError("no room\nmore")

    assert run(Way(bytes, bytes), b"abc") == 3
    assert run(Way(bytes, bytes.upper), b"abc") == "the round trip gives other bytes"
    assert run(Way(refuse, bytes), b"abc") == "MemoryError: no room"


def test_a_rival_of_paths_works_on_files() -> None:
    way = by_path(shutil.copyfile, lambda source, target: target.write_bytes(source.read_bytes()))
    assert run(way, b"abc") == 3


def test_each_rival_has_a_module_and_is_in_the_extra() -> None:
    kept = {"__init__", "__main__", "tensorwise", "way"}
    modules = {path.stem for path in (ROOT / "benchmarks" / "rivals").glob("*.py")}
    assert modules - kept == set(rivals.PACKAGES)
    extra = (ROOT / "pyproject.toml").read_text().partition("\nbench = [")[2].partition("\n]")[0]
    packages = {package for names in rivals.PACKAGES.values() for package in names}
    assert all(f'"{package}==' in extra for package in packages - {"zstandard"})


def test_a_rival_runs_in_a_process_of_its_own(weights: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    run_rival("xz_6", str(weights), str(results))
    expected = len(lzma.compress(weights.read_bytes(), preset=6))
    assert json.loads(results.read_text()) == {"file": expected}
    assert ratio.rival_result("xz_6", weights, 60)["ways"] == {"file": expected}


def test_a_rival_that_takes_too_long_is_stopped_and_says_so(weights: Path) -> None:
    stopped = ratio.rival_result("xz_6", weights, 0.0)
    assert stopped["nbytes"] is None
    assert stopped["failure"] == "not done within 0 s"


def test_a_rival_that_is_not_installed_is_listed(
    monkeypatch: pytest.MonkeyPatch, weights: Path
) -> None:
    monkeypatch.setitem(rivals.PACKAGES, "absent", ("zipnn-like-no-such-package",))
    result = ratio.rival_result("absent", weights, 60)
    assert result == {
        "nbytes": None,
        "failure": "not installed: zipnn-like-no-such-package",
    }


def test_a_rival_whose_module_cannot_be_imported_says_why(
    monkeypatch: pytest.MonkeyPatch, weights: Path
) -> None:
    monkeypatch.setitem(rivals.PACKAGES, "no_such_module", ())
    failure = ratio.rival_result("no_such_module", weights, 60)["failure"]
    assert "exit status 1: ModuleNotFoundError" in failure


def test_a_failure_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    said = f"no file {tmp_path / 'in.wire'} beside {ROOT / 'README.md'}"
    assert ratio.without_paths(said, tmp_path) == "no file in.wire beside README.md"


def test_sizes_of_a_folder_become_json_and_tables(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ratio.json"
    arguments = [str(weights.parent), "--rivals", "zstd_3", "xz_6", "--json", str(out)]
    assert ratio.main([*arguments, "--markdown"]) == 0
    printed = capsys.readouterr().out
    results: Mapping[str, Any] = json.loads(out.read_text())
    [row] = results["files"]
    assert row["file"] == "small"
    assert row["nbytes"] == weights.stat().st_size
    assert set(row["levels"]) == {"fast", "default"}
    sizes = {name: result["nbytes"] for name, result in row["rivals"].items()}
    assert row["best_rival"] == min(sizes, key=lambda name: sizes[name])
    assert str(tmp_path) not in out.read_text()
    head, _, *body = printed.splitlines()
    assert head == "| file | MB | fast | default | zstd -3 | xz -6 | best rival |"
    assert [line.split(" | ")[0] for line in body] == ["| small", "| all"]
    assert f"{100 * sizes['xz_6'] / row['nbytes']:.2f}" in body[0]
    assert ratio.main(["--table", str(out), "--markdown"]) == 0
    assert capsys.readouterr().out == printed


def test_tables_name_what_failed_and_leave_its_cell_and_total_empty() -> None:
    failed = {"nbytes": None, "failure": "crashed"}
    partly = {"nbytes": 5, "way": "a", "ways": {"a": 5, "b": "hung"}}
    row = {"nbytes": 10, "levels": {"fast": 6}, "best_rival": "glyd"}
    results = {
        "levels": ["fast"],
        "rivals": ["zipnn", "glyd"],
        "files": [
            {**row, "file": "one", "rivals": {"zipnn": failed, "glyd": partly}},
            {**row, "file": "two", "rivals": {"zipnn": {"nbytes": 5, "way": "a"}, "glyd": partly}},
        ],
    }
    assert ratio.rows(results)[1] == ["one", "0.0", "60.00", "-", "50.00", "glyd"]
    assert ratio.rows(results)[-1] == ["all", "0.0", "60.00", "-", "50.00", "50.00"]
    assert ratio.failures(results) == ["zipnn: crashed [one]", "glyd (b): hung [one, two]"]


def test_the_table_in_the_docs_is_that_of_the_committed_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = ROOT / "benchmarks" / "results" / "ratio.json"
    ratio.main(["--table", str(results), "--markdown"])
    shown = (ROOT / "docs" / "ratio.md").read_text().partition("--markdown -->\n")[2]
    assert shown.partition("<!-- end of table -->")[0] == capsys.readouterr().out


def test_a_folder_without_weights_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        ratio.main([str(tmp_path)])
