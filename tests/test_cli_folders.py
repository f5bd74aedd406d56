# SPDX-License-Identifier: Apache-2.0
"""`znl -r` and `znl --rm` through real processes: what is mirrored, kept, refused and deleted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from znl_process import damaged, error_line, json_lines, model_bytes, names_in, znl

MODEL = model_bytes(5_000)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A model folder with models at two depths, other files and an empty folder."""
    root = tmp_path / "tree"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "hollow").mkdir()
    (root / "model.safetensors").write_bytes(MODEL)
    (root / "deep" / "er" / "model.safetensors").write_bytes(MODEL[::-1])
    (root / "config.json").write_bytes(b"{}")
    (root / "deep" / "run.sh").write_bytes(b"#!/bin/sh\n")
    os.chmod(root / "deep" / "run.sh", 0o755)
    for path in [*root.rglob("*"), root]:
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return root


def test_folders_are_mirrored_and_restored(tree: Path, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    assert znl("compress", "-r", tree, "-o", there).returncode == 0
    assert names_in(there) == {
        "model.safetensors.znl",
        "deep",
        "deep/er",
        "deep/er/model.safetensors.znl",
        "deep/run.sh",
        "config.json",
        "hollow",
    }
    assert znl("decompress", "-r", there, "-o", back).returncode == 0
    assert names_in(back) == names_in(tree)
    for path in tree.rglob("*"):
        twin = back / path.relative_to(tree)
        assert twin.stat().st_mode == path.stat().st_mode
        assert twin.stat().st_mtime == path.stat().st_mtime
        if path.is_file():
            assert twin.read_bytes() == path.read_bytes()


def test_several_folders_keep_their_names(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_bytes(b"notes")
    lone = tmp_path / "lone.safetensors"
    lone.write_bytes(MODEL)
    assert znl("compress", "-r", tree, other, lone, "-o", tmp_path / "out").returncode == 0
    found = names_in(tmp_path / "out")
    assert {"tree/model.safetensors.znl", "other/notes.txt", "lone.safetensors.znl"} <= found


@pytest.mark.skipif(sys.platform == "win32", reason="needs the right to make links")
def test_links_are_copied_as_links_and_never_followed(tree: Path, tmp_path: Path) -> None:
    (tree / "loop").symlink_to(".")
    (tree / "deep" / "up").symlink_to("..")
    (tree / "alias.safetensors").symlink_to("model.safetensors")
    (tree / "dangling").symlink_to("nowhere")
    out = tmp_path / "out"
    done = znl("compress", "-r", tree, "-o", out)
    assert done.returncode == 0, done.stderr
    links = {"loop": ".", "deep/up": "..", "alias.safetensors": "model.safetensors"}
    for name, points_to in {**links, "dangling": "nowhere"}.items():
        assert os.readlink(out / name) == points_to
    assert b"alias.safetensors: a symbolic link, copied as it is\n" in done.stderr
    assert znl("compress", "-r", tree, "-o", out).returncode == 1
    assert znl("compress", "-r", tree, "-o", out, "-f").returncode == 0
    assert not [name for name in names_in(out) if ".part" in name]


@pytest.mark.skipif(sys.platform == "win32", reason="needs the right to make links")
def test_links_to_inputs_can_be_copied_again(tree: Path, tmp_path: Path) -> None:
    model = tree / "model.safetensors"
    (tree / "absolute.safetensors").symlink_to(model)
    out = tmp_path / "out"
    before = model.read_bytes()
    for _ in range(2):
        done = znl("compress", "-f", "-r", tree, "-o", out)
        assert done.returncode == 0, done.stderr
    assert os.readlink(out / "absolute.safetensors") == str(model)
    assert model.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes in the file system")
def test_a_pipe_in_a_folder_fails_alone(tree: Path, tmp_path: Path) -> None:
    os.mkfifo(tree / "pipe")
    done = znl("compress", "-r", "-q", tree, "-o", tmp_path / "out")
    assert done.returncode == 3
    assert "found a device or pipe" in error_line(done)
    assert (tmp_path / "out" / "model.safetensors.znl").is_file()


def test_existing_outputs_are_refused_without_force(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "config.json").write_bytes(b"precious")
    done = znl("compress", "-r", "-q", tree, "-o", out)
    assert done.returncode == 3
    assert str(out / "config.json") in error_line(done)
    assert (out / "config.json").read_bytes() == b"precious"
    assert znl("compress", "-r", "-q", "-f", tree, "-o", out).returncode == 0
    assert (out / "config.json").read_bytes() == b"{}"


def test_one_output_for_two_inputs_is_refused(tree: Path, tmp_path: Path) -> None:
    (tree / "model.safetensors.znl").write_bytes(b"copied to the same name")
    done = znl("compress", "-r", tree, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "output of both" in error_line(done)
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_in_a_folder_fails_alone(tree: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    assert znl("compress", "-r", tree, "-o", packed).returncode == 0
    archive = packed / "model.safetensors.znl"
    archive.write_bytes(damaged(archive.read_bytes()))
    done = znl("decompress", "-r", "-q", packed, "-o", tmp_path / "out")
    assert done.returncode == 3
    assert error_line(done).startswith(f"{archive}: ")
    assert names_in(tmp_path / "out") == names_in(tree) - {"model.safetensors"}


def test_json_reports_coded_and_copied_files(tree: Path, tmp_path: Path) -> None:
    records = json_lines(znl("compress", "-r", "--json", tree, "-o", tmp_path / "out"))
    copied = {record["path"] for record in records if "copied" in record}
    coded = {record["path"] for record in records if "ratio" in record}
    assert copied == {str(tree / "config.json"), str(tree / "deep" / "run.sh")}
    assert len(coded) == 2
    assert len(records) == 4


# --- --rm -----------------------------------------------------------------------------------------


def test_rm_deletes_an_input_after_success(tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    model.write_bytes(MODEL)
    assert znl("compress", "--rm", model).returncode == 0
    assert names_in(tmp_path) == {"model.safetensors.znl"}
    assert znl("decompress", "--rm", f"{model}.znl").returncode == 0
    assert names_in(tmp_path) == {"model.safetensors"}
    assert model.read_bytes() == MODEL


def test_rm_keeps_the_input_of_a_failure(tmp_path: Path) -> None:
    model = tmp_path / "model.safetensors"
    model.write_bytes(MODEL)
    Path(f"{model}.znl").write_bytes(b"in the way")
    assert znl("compress", "--rm", model).returncode == 1
    assert znl("decompress", "--rm", f"{model}.znl", "-o", tmp_path / "out").returncode == 1
    assert names_in(tmp_path) == {"model.safetensors", "model.safetensors.znl"}


def test_rm_decides_for_each_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    for path in (good, bad):
        path.write_bytes(MODEL)
    Path(f"{bad}.znl").write_bytes(b"in the way")
    assert znl("compress", "--rm", bad, good).returncode == 3
    assert names_in(tmp_path) == {"bad", "bad.znl", "good.znl"}


def test_rm_in_folders_deletes_what_was_compressed_and_not_what_was_copied(
    tree: Path, tmp_path: Path
) -> None:
    assert znl("compress", "-r", "--rm", tree, "-o", tmp_path / "out").returncode == 0
    assert names_in(tree) == {"deep", "deep/er", "deep/run.sh", "config.json", "hollow"}
