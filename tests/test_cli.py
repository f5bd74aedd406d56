# SPDX-License-Identifier: Apache-2.0
"""The command line through real processes: every command, every exit code, every kind of error."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from pathlib import Path

import pytest
from small_stream import small_stream
from znl_process import (
    damaged,
    error_line,
    json_lines,
    model_bytes,
    names_in,
    znl,
)

import zipnn_like

MODEL = model_bytes()
DIGEST = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model file."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(MODEL)
    return path


@pytest.fixture
def archive(model: Path) -> Path:
    """The model compressed, the model itself gone."""
    done = znl("compress", model, "-q", "--sha256", "--rm")
    assert done.returncode == 0, done.stderr
    assert not model.exists()
    return model.with_name("model.safetensors.znl")


# --- compress and decompress ----------------------------------------------------------------------


def test_files_default_to_the_name_with_znl_and_back(model: Path) -> None:
    assert znl("compress", model).returncode == 0
    archive = model.with_name("model.safetensors.znl")
    assert archive.stat().st_size < len(MODEL)
    model.unlink()
    assert znl("decompress", archive).returncode == 0
    assert model.read_bytes() == MODEL
    assert archive.exists()


@pytest.mark.parametrize("level", ["fast", "default", "max"])
def test_every_level_restores_the_source(model: Path, level: str) -> None:
    assert znl("compress", model, "-l", level, "-o", f"{model}.a").returncode == 0
    assert znl("decompress", f"{model}.a", "-o", f"{model}.b").returncode == 0
    assert Path(f"{model}.b").read_bytes() == MODEL


def test_thread_counts_write_the_same_bytes(model: Path) -> None:
    outputs = []
    for threads in ("0", "1", "2"):
        assert znl("compress", model, "-f", "-T", threads).returncode == 0
        outputs.append(Path(f"{model}.znl").read_bytes())
    assert len(set(outputs)) == 1


def test_summary_tells_sizes_ratio_and_speed(model: Path) -> None:
    done = znl("compress", model)
    shape = r"\S*model\.safetensors: [\d.]+ KiB -> [\d.]+ KiB \([\d.]+ %\), [\d.]+ MB/s\n"
    assert re.fullmatch(shape, done.stderr.decode())
    assert done.stdout == b""


def test_verbose_adds_a_line_for_each_dtype_and_method(model: Path) -> None:
    _, *lines = znl("compress", model, "-v").stderr.decode().splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "  BYTES zstd",
        "  BF16 static",
        "  F32 static",
        "  I64 constant",
    ]
    assert re.fullmatch(r"  BF16 static: 97\.7 KiB -> 6\d\.\d KiB \(3\d\.\d % saved\)", lines[1])
    assert lines[3] == "  I64 constant: 8 B -> 40 B (-400.0 % saved)"
    for command in ("verify", "decompress"):
        done = znl(command, f"{model}.znl", "-v", *(["-f"] if command == "decompress" else []))
        assert done.stderr.decode().splitlines()[-4:] == lines


def test_quiet_says_nothing(model: Path) -> None:
    done = znl("compress", model, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_several_inputs_go_into_the_output_folder(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_bytes(b"any file will do")
    assert znl("compress", model, other, "-o", tmp_path / "out").returncode == 0
    assert names_in(tmp_path / "out") == {"model.safetensors.znl", "notes.txt.znl"}


@pytest.mark.parametrize("output", ["out/", "there"])
def test_one_input_goes_into_a_folder_that_is_one_by_name_or_exists(
    model: Path, tmp_path: Path, output: str
) -> None:
    (tmp_path / "there").mkdir()
    assert znl("compress", model, "-o", f"{tmp_path}/{output}").returncode == 0
    assert (tmp_path / output / "model.safetensors.znl").is_file()


def test_options_may_stand_between_files(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"x")
    assert znl("compress", model, "-q", other, "-o", tmp_path / "out", "-l", "fast").returncode == 0
    assert len(names_in(tmp_path / "out")) == 2


@pytest.mark.parametrize("separator", [["--"], []], ids=["behind --", "with ./"])
def test_a_file_whose_name_is_an_option_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, separator: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-q").write_bytes(b"bytes")
    name = ["-q"] if separator else ["./-q"]
    assert znl("compress", *separator, *name).returncode == 0
    assert names_in(tmp_path) == {"-q", "-q.znl"}


def test_an_existing_output_is_refused_without_force(model: Path) -> None:
    archive = Path(f"{model}.znl")
    archive.write_bytes(b"precious")
    done = znl("compress", model)
    assert done.returncode == 1
    assert str(archive) in error_line(done)
    assert archive.read_bytes() == b"precious"
    assert znl("compress", model, "-f").returncode == 0
    assert archive.read_bytes() != b"precious"


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    done = znl("compress", tmp_path / "nothing")
    assert done.returncode == 1
    assert error_line(done) == f"{tmp_path / 'nothing'}: No such file or directory"
    assert names_in(tmp_path) == set()


def test_a_run_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    assert znl("compress", tmp_path / "nothing", "-o", f"{tmp_path}/new/").returncode == 1
    assert names_in(tmp_path) == set()


def test_a_missing_output_folder_is_one_line(model: Path, tmp_path: Path) -> None:
    done = znl("compress", model, "-o", tmp_path / "no" / "where")
    assert done.returncode == 1
    assert "No such file or directory" in error_line(done)


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not stop this user"
)
def test_an_output_folder_that_is_read_only_is_one_line(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    done = znl("compress", model, "-o", folder)
    assert done.returncode == 1
    assert "Permission denied" in error_line(done)


# --- verify, inspect, cat -------------------------------------------------------------------------


def test_verify_says_ok_and_the_recorded_digest(archive: Path) -> None:
    done = znl("verify", archive)
    assert done.returncode == 0
    assert done.stdout.decode().startswith(f"{archive}: ok, ")
    assert DIGEST in done.stdout.decode()
    assert znl("verify", archive, "-q").stdout == b""


def test_verify_compares_with_the_source(archive: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(MODEL)
    assert znl("verify", archive, "--against", source).returncode == 0
    source.write_bytes(MODEL[:-1] + b"!")
    done = znl("verify", archive, "--against", source)
    assert done.returncode == 1
    assert str(source) in error_line(done)


def test_inspect_lists_header_tensors_and_totals(archive: Path) -> None:
    done = znl("inspect", archive)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert lines[0] == str(archive)
    assert any(f"({len(MODEL):,} bytes), safetensors" in line for line in lines)
    assert f"sha256   {DIGEST}" in lines
    weight = next(line for line in lines if line.endswith("layer.weight"))
    assert weight.split()[:3] == ["BF16", "5000x10", "100,000"]
    assert next(line for line in lines if line.endswith("  step")).split()[1] == "scalar"
    assert next(line for line in lines if line.endswith("  empty")).split()[2:5] == ["0", "0", "-"]
    assert [line.split()[0] for line in lines[-3:]].count("F32") == 1


def test_inspect_tells_the_methods_of_tensors_and_dtypes(tmp_path: Path) -> None:
    path = tmp_path / "small.znl"
    path.write_bytes(small_stream())
    assert b" method " not in znl("inspect", path).stdout
    done = znl("inspect", path, "--methods")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert ["I16", "8x16", "raw", "256", "288", "112.5", "%", "raw"] in rows
    assert ["I16", "128", "repeat", "256", "40", "15.6", "%", "again"] in rows
    assert ["I16", "raw", "256", "288", "112.5", "%"] in rows
    assert ["I16", "repeat", "256", "40", "15.6", "%"] in rows


def test_inspect_tells_the_methods_of_a_tensor_without_bytes(archive: Path) -> None:
    text = znl("inspect", archive, "--methods").stdout.decode()
    line = next(line for line in text.splitlines() if line.endswith("  empty"))
    assert line.split() == ["F32", "0x4", "-", "0", "0", "-", "empty"]


def test_inspect_shows_just_totals_of_plain_bytes(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_bytes(b"plain " * 1000)
    assert znl("compress", path).returncode == 0
    text = znl("inspect", f"{path}.znl").stdout.decode()
    assert "(6,000 bytes), bytes" in text
    assert "sha256" not in text
    assert "shape" not in text
    assert "BYTES" in text


def test_inspect_escapes_names_that_would_command_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    header = rb'{"\u001b[2Jname":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"x")
    assert znl("compress", path).returncode == 0
    done = znl("inspect", f"{path}.znl")
    assert b"\x1b" not in done.stdout
    assert rb"\x1b[2Jname" in done.stdout


def test_inspect_survives_a_locale_that_cannot_spell_a_name(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    header = '{"gewicht-größe":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'.encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"x")
    assert znl("compress", path).returncode == 0
    done = znl("inspect", f"{path}.znl", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert rb"gr\xf6\xdfe" in done.stdout


def test_cat_writes_files_one_after_the_other(archive: Path) -> None:
    done = znl("cat", archive, archive)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == MODEL + MODEL


# --- version, doctor, help ------------------------------------------------------------------------


def test_version_is_told_in_text_and_json() -> None:
    assert znl("version").stdout.decode().split() == ["znl", zipnn_like.__version__]
    assert znl("--version").stdout == znl("version").stdout
    assert json_lines(znl("version", "--json")) == [{"version": zipnn_like.__version__}]


def test_doctor_names_versions_and_instruction_set() -> None:
    done = znl("doctor", "--json", ZIPNN_LIKE_ISA="scalar")
    assert done.returncode == 0, done.stderr
    (found,) = json_lines(done)
    assert found["instruction set"] == "scalar"
    assert {"python", "numpy", "cffi", "zstandard", "libzstd", "ml_dtypes"} <= found.keys()
    text = znl("doctor").stdout.decode()
    assert all(name in text for name in found)


def test_doctor_fails_for_a_number_of_threads_that_can_not_be() -> None:
    assert json_lines(znl("doctor", "--json", ZIPNN_LIKE_THREADS="3"))[0]["threads"] == "3"
    done = znl("doctor", ZIPNN_LIKE_THREADS="1000")
    assert done.returncode == 1
    assert "ZIPNN_LIKE_THREADS: expected 1 to 256, found 1000" in error_line(done)


def test_doctor_fails_when_a_part_does_not_work() -> None:
    done = znl("doctor", ZIPNN_LIKE_ISA="mmx")
    assert done.returncode == 1
    assert "ZIPNN_LIKE_ISA=mmx" in error_line(done)
    assert b"numpy" in done.stdout


@pytest.mark.parametrize("command", ["compress", "decompress", "verify", "inspect", "cat"])
def test_help_of_every_command_ends_well(command: str) -> None:
    done = znl(command, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"exit codes" in done.stdout


@pytest.mark.parametrize("command", ["decompress", "cat"])
def test_help_says_that_pipes_get_unchecked_bytes(command: str) -> None:
    assert "before the last check" in " ".join(znl(command, "--help").stdout.decode().split())


# --- errors and exit codes ------------------------------------------------------------------------

USAGE_ERRORS = {
    "no command": "",
    "unknown command": "squeeze FILE",
    "no file": "compress",
    "unknown flag": "compress FILE --fastest",
    "shortened flag": "compress FILE --forc",
    "unknown level": "compress FILE -l best",
    "threads no number": "compress FILE -T many",
    "threads negative": "compress FILE -T -1",
    "quiet and verbose": "compress FILE -q -v",
    "folder without -r": "compress FOLDER",
    "-r without -o": "compress -r FOLDER",
    "-r to a file": "compress -r FOLDER -o FILE",
    "output inside": "compress -r FOLDER -o FOLDER/out",
    "output is input": "compress FILE -o FILE -f",
    "two inputs, one output": "compress FILE FOLDER/../FILE -o FOLDER/",
    "name without suffix": "decompress FILE",
    "name that is a suffix": "decompress .znl",
    "- beside a file": "compress - FILE",
    "- with -r": "compress -r - -o FOLDER",
    "- with --rm": "compress - --rm -o OUT",
    "--rm to -": "compress FILE --rm -o -",
    "- into a folder": "compress - -o FOLDER",
    "json beside data": "compress FILE -o - --json",
    "inspect -": "inspect -",
    "against for two": "verify FILE FILE --against FILE",
    "against -": "verify FILE --against -",
    "cat - twice": "cat - -",
}


@pytest.mark.parametrize("line", USAGE_ERRORS.values(), ids=USAGE_ERRORS.keys())
def test_usage_error_is_exit_2_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_bytes(b"content")
    Path("FOLDER").mkdir()
    done = znl(*line.split())
    assert done.returncode == 2
    assert error_line(done)
    assert done.stdout == b""
    assert names_in(tmp_path) == {"FILE", "FOLDER"}
    assert Path("FILE").read_bytes() == b"content"


@pytest.mark.parametrize("command", ["decompress", "verify", "cat"])
def test_a_damaged_stream_fails_and_leaves_nothing(archive: Path, command: str) -> None:
    archive.write_bytes(damaged(archive.read_bytes()))
    done = znl(command, archive)
    assert done.returncode == 1
    assert error_line(done).startswith(f"{archive}: ")
    assert names_in(archive.parent) == {archive.name}


@pytest.mark.parametrize("command", ["decompress", "verify", "inspect", "cat"])
def test_a_stream_cut_short_fails_and_leaves_nothing(archive: Path, command: str) -> None:
    archive.write_bytes(archive.read_bytes()[:-5])
    done = znl(command, archive)
    assert done.returncode == 1
    assert error_line(done).startswith(f"{archive}: ")
    assert names_in(archive.parent) == {archive.name}


@pytest.mark.parametrize("command", ["decompress", "verify", "inspect", "cat"])
def test_a_foreign_file_fails(tmp_path: Path, command: str) -> None:
    path = tmp_path / "foreign.znl"
    path.write_bytes(b"no stream at all, but long enough for a header of any kind")
    done = znl(command, path)
    assert done.returncode == 1
    assert error_line(done).startswith(f"{path}: ")


@pytest.mark.parametrize("command", ["compress", "decompress", "verify", "inspect", "cat"])
def test_some_failures_are_exit_3_and_the_rest_is_done(archive: Path, command: str) -> None:
    done = znl(command, archive.parent / "gone.znl", archive)
    assert done.returncode == 3
    assert "gone.znl: No such file or directory" in done.stderr.decode().splitlines()[0]
    if command == "decompress":
        assert archive.with_suffix("").read_bytes() == MODEL


def test_only_failures_are_exit_1(tmp_path: Path) -> None:
    assert znl("verify", tmp_path / "a", tmp_path / "b").returncode == 1


def test_a_forced_instruction_set_that_is_absent_is_a_usage_error(model: Path) -> None:
    done = znl("compress", model, ZIPNN_LIKE_ISA="mmx")
    assert done.returncode == 2
    assert "ZIPNN_LIKE_ISA=mmx" in error_line(done)
    assert names_in(model.parent) == {model.name}


# --- JSON -----------------------------------------------------------------------------------------


def test_json_is_one_object_a_file(model: Path) -> None:
    missing = str(model.parent / "gone")
    done = znl("compress", model, missing, "--json", "--sha256")
    assert done.returncode == 3
    good, bad = json_lines(done)
    assert good["path"] == str(model)
    assert good["output"] == f"{model}.znl"
    assert good["source_bytes"] == len(MODEL)
    assert good["stored_bytes"] == Path(f"{model}.znl").stat().st_size
    assert good["ratio"] == pytest.approx(good["stored_bytes"] / len(MODEL))
    assert good["sha256"] == DIGEST
    assert good["by_dtype"]["BF16"]["source_bytes"] == 100_000
    assert good["by_method"]["BF16"] == {"static": good["by_dtype"]["BF16"]}
    assert good["by_method"]["I64"] == {"constant": {"source_bytes": 8, "stored_bytes": 40}}
    assert bad["path"] == missing
    assert bad["error"] == {
        "class": "SourceError",
        "message": f"{missing}: No such file or directory",
    }
    assert error_line(done) == bad["error"]["message"]


def test_json_of_decompress_and_verify_reports_the_same_totals(archive: Path) -> None:
    (verified,) = json_lines(znl("verify", archive, "--json"))
    (restored,) = json_lines(znl("decompress", archive, "--json"))
    for record in (verified, restored):
        assert record["path"] == str(archive)
        assert record["source_bytes"] == len(MODEL)
        assert record["sha256"] == DIGEST
    assert verified["by_dtype"] == restored["by_dtype"]
    assert verified["by_method"] == restored["by_method"]


def test_json_of_inspect_holds_every_tensor(archive: Path) -> None:
    (record,) = json_lines(znl("inspect", archive, "--json"))
    assert record["source_kind"] == "safetensors"
    assert record["metadata"] == {"format": "pt"}
    tensors = {tensor["name"]: tensor for tensor in record["tensors"]}
    assert tensors.keys() == {"layer.weight", "layer.bias", "empty", "step"}
    assert tensors["layer.weight"]["shape"] == [5000, 10]
    assert tensors["empty"]["ratio"] is None
    assert record["stored_bytes"] == archive.stat().st_size


def test_json_of_inspect_tells_methods_when_asked(archive: Path) -> None:
    (plain,) = json_lines(znl("inspect", archive, "--json"))
    (record,) = json_lines(znl("inspect", archive, "--json", "--methods"))
    (verified,) = json_lines(znl("verify", archive, "--json"))
    assert record.pop("by_method") == verified["by_method"]
    methods = {tensor["name"]: tensor.pop("methods") for tensor in record["tensors"]}
    assert methods["empty"] == {}
    assert methods["step"] == {"constant": {"source_bytes": 8, "stored_bytes": 40}}
    assert record == plain


def test_json_of_an_empty_source_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(b"")
    for done in (
        znl("compress", path, "--json"),
        znl("verify", f"{path}.znl", "--json"),
        znl("inspect", f"{path}.znl", "--json", "--methods"),
    ):
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["ratio"] is None
