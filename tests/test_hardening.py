# SPDX-License-Identifier: Apache-2.0
"""What happens when the system, the caller or another process gets in the way of an output."""

from __future__ import annotations

import errno
import gc
import io
import os
import runpy
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checks import names_in
from znl_process import model_bytes

import zipnn_like as znl
from zipnn_like.cli import main
from zipnn_like.dtypes import BY_NAME
from zipnn_like.sources.safetensors import MAX_HEADER_NBYTES, HeaderBuilder

ROOT = Path(__file__).resolve().parent.parent
MODEL = model_bytes(2_000)

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX files")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model, alone in its folder."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(MODEL)
    return path


def fail_with(number: int) -> Callable[..., Any]:
    """A function that raises the OSError of this number, whatever it is called with."""

    def fail(*_: object, **__: object) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


# --- the folder is synchronised -------------------------------------------------------------------


@posix_only
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_folder_is_synchronised_once_the_file_has_its_name(
    model: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    target, seen = model.with_name("out.znl"), []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        same = is_folder and os.path.samestat(os.fstat(descriptor), os.stat(target.parent))
        seen.append((same, target.exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    znl.compress_file(model, target, overwrite=overwrite)
    assert seen == [(False, False), (True, True)]


def fail_for_folders(number: int) -> Callable[[int], None]:
    """An fsync that can synchronise files only."""
    sync = os.fsync

    def selective(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    return selective


@posix_only
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES])
def test_a_folder_that_cannot_be_synchronised_is_no_error(
    model: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", fail_for_folders(number))
    znl.compress_file(model)
    assert names_in(model.parent) == {"model.safetensors", "model.safetensors.znl"}


@posix_only
def test_a_folder_whose_disk_fails_is_an_error(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", fail_for_folders(errno.EIO))
    with pytest.raises(znl.ZnlError, match="may not outlive a crash"):
        znl.compress_file(model)


# --- mode and times -------------------------------------------------------------------------------


@posix_only
@pytest.mark.parametrize("command", [["compress"], ["compress", "-r"]])
def test_special_bits_of_a_mode_are_not_copied(tmp_path: Path, command: list[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(MODEL)
    (folder / "tool").write_bytes(b"#!/bin/sh\n")
    for path in folder.iterdir():
        path.chmod(0o7751)
    folder.chmod(0o1750)
    files = [folder] if "-r" in command else list(folder.iterdir())
    assert main([*command, "-q", *map(str, files), "-o", f"{tmp_path}/out/"]) == 0
    for path in (tmp_path / "out").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o751
    if "-r" in command:
        assert stat.S_IMODE((tmp_path / "out").stat().st_mode) & 0o1777 == 0o750


@posix_only
@pytest.mark.parametrize("name", ["chmod", "fchmod", "utime"])
def test_a_mode_or_time_that_cannot_be_set_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.safetensors").write_bytes(MODEL)
    monkeypatch.setattr(os, name, fail_with(errno.EPERM))
    assert main(["compress", "-q", "-r", str(folder), "-o", str(tmp_path / "out")]) == 0
    assert znl.verify_file(tmp_path / "out" / "a.safetensors.znl").source_bytes == len(MODEL)


# --- names ----------------------------------------------------------------------------------------

NO_LINKS = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV", "EACCES"]


@pytest.mark.parametrize("name", NO_LINKS)
def test_a_file_system_without_links_gets_the_file_too(
    model: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(os, "link", fail_with(getattr(errno, name)))
    znl.compress_file(model)
    assert znl.verify_file(f"{model}.znl").source_bytes == len(MODEL)
    assert names_in(model.parent) == {"model.safetensors", "model.safetensors.znl"}


def test_another_failure_to_link_is_an_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", fail_with(errno.EIO))
    with pytest.raises(znl.ZnlError, match=r"can't be written: .+"):
        znl.compress_file(model)
    assert names_in(model.parent) == {"model.safetensors"}


@pytest.mark.parametrize("number", [errno.EEXIST, errno.EPERM])
def test_a_file_that_appears_meanwhile_is_kept(
    model: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def another_is_faster(source: str, target: str) -> None:
        Path(target).write_bytes(b"precious")
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", another_is_faster)
    with pytest.raises(znl.ZnlError, match="appeared while it was being written"):
        znl.compress_file(model)
    assert Path(f"{model}.znl").read_bytes() == b"precious"
    assert names_in(model.parent) == {"model.safetensors", "model.safetensors.znl"}


def test_a_failing_rename_leaves_no_reserved_name(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", fail_with(errno.EPERM))
    monkeypatch.setattr(os, "replace", fail_with(errno.EIO))
    with pytest.raises(znl.ZnlError, match="can't be written"):
        znl.compress_file(model)
    assert names_in(model.parent) == {"model.safetensors"}


# --- file objects ---------------------------------------------------------------------------------


class FailingFile(io.RawIOBase):
    """A file object whose `method` raises OSError."""

    def __init__(self, method: str, number: int) -> None:
        super().__init__()
        self.name = "given"
        self._method, self._number = method, number

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._fail_in("write")
        return len(data)

    def flush(self) -> None:
        self._fail_in("flush")

    def _fail_in(self, method: str) -> None:
        if method == self._method and not self.closed:
            self._method = ""  # the interpreter flushes once more
            raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize("method", ["write", "flush"])
def test_a_failing_file_object_is_named(model: Path, method: str) -> None:
    with pytest.raises(znl.ZnlError, match=r"given: can't be written: .+") as caught:
        znl.compress_file(model, FailingFile(method, errno.ENOSPC))  # type: ignore[arg-type]
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("method", ["write", "flush"])
def test_a_broken_pipe_stays_one(model: Path, method: str) -> None:
    with pytest.raises(BrokenPipeError):
        znl.compress_file(model, FailingFile(method, errno.EPIPE))  # type: ignore[arg-type]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_a_full_disk_behind_standard_output_is_told_once(model: Path) -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "zipnn_like", "compress", str(model), "-o", "-"]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, cwd=ROOT, check=False, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"znl: ")


# --- --rm -----------------------------------------------------------------------------------------


def rewrite_in_place(path: Path) -> None:
    status = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))


def append(path: Path) -> None:
    status = path.stat()
    with path.open("ab") as file:
        file.write(b"more")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace(path: Path) -> None:
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, path)


@pytest.mark.parametrize("change", [rewrite_in_place, append, replace])
@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_rm_keeps_a_source_that_changed_after_it_was_compared(
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    change: Callable[[Path], None],
) -> None:
    source, target = model, Path(f"{model}.znl")
    if command == "decompress":
        znl.compress_file(model)
        model.unlink()
        source, target = target, source
    verify = znl.verify_file

    def verify_then_change(*args: Any, **options: Any) -> znl.Report:
        report = verify(*args, **options)
        change(source)
        return report

    monkeypatch.setattr(znl, "verify_file", verify_then_change)
    assert main([command, "-q", "--rm", str(source)]) == 1
    assert f"{source}: changed after" in capsys.readouterr().err
    assert names_in(model.parent) == {source.name, target.name}


@posix_only
def test_rm_keeps_a_link_that_was_turned_elsewhere(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, other = model.with_name("link"), model.with_name("other")
    other.write_bytes(MODEL)
    link.symlink_to(model)
    verify = znl.verify_file

    def verify_then_turn(*args: Any, **options: Any) -> znl.Report:
        report = verify(*args, **options)
        link.unlink()
        link.symlink_to(other)
        return report

    monkeypatch.setattr(znl, "verify_file", verify_then_turn)
    assert main(["compress", "-q", "--rm", str(link)]) == 1
    assert link.is_symlink()


# --- folders --------------------------------------------------------------------------------------

DEPTH = 1_100


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Folders more than a thousand deep, with a model at the bottom and an empty mirror."""
    path = str(tmp_path / "in")
    for _ in range(DEPTH):
        os.mkdir(path)
        path += "/d"
    Path(path).write_bytes(b"the deepest file")
    yield tmp_path
    for root in ("in", "out"):  # rmtree of older Pythons is recursive
        path = str(tmp_path / root) + "/d" * DEPTH
        for _ in range(DEPTH + 1):
            if os.path.isdir(path):
                os.rmdir(path)
            elif os.path.lexists(path):
                os.unlink(path)
            path = os.path.dirname(path)


@pytest.mark.skipif(sys.platform != "linux", reason="needs paths of more than 2000 characters")
def test_folders_may_lie_deeper_than_calls(deep: Path) -> None:
    assert main(["compress", "-q", "-r", str(deep / "in"), "-o", str(deep / "out")]) == 0
    bottom = str(deep / "out") + "/d" * DEPTH
    assert Path(bottom).read_bytes() == b"the deepest file"


# --- Writer ---------------------------------------------------------------------------------------


def test_a_dropped_writer_leaves_nothing(tmp_path: Path) -> None:
    writer = znl.Writer(tmp_path / "made.znl")
    writer.add("a", np.arange(3))
    assert names_in(tmp_path)
    del writer
    gc.collect()
    assert names_in(tmp_path) == set()


def test_a_writer_that_is_open_at_exit_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, zipnn_like as znl\n"
        "writer = znl.Writer(sys.argv[1])\n"
        "writer.add('a', b'abc')\n"
        "writer.itself = writer\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "made.znl")]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    assert names_in(tmp_path) == set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_leaves_the_files_of_its_parent(tmp_path: Path) -> None:
    code = (
        "import os, sys, zipnn_like as znl\n"
        "writer = znl.Writer(sys.argv[1])\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    sys.exit()\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "writer.add('a', b'abc')\n"
        "writer.close()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "made.znl")]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    assert names_in(tmp_path) == {"made.znl"}


class FullSpool:
    """Stands for a temporary file on a disk that is full, or that fails when it is read."""

    def __init__(self, failing: str) -> None:
        self._file = io.BytesIO()
        self._failing = failing

    def __getattr__(self, name: str) -> Any:
        if name == self._failing:
            return fail_with(errno.ENOSPC)
        if name == "raw":
            raise AttributeError(name)
        return getattr(self._file, name)


def spooled_to(monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FullSpool(failing))


def test_a_writer_whose_add_failed_does_not_end_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spooled_to(monkeypatch, "write")
    array = bytearray(1000)
    with (  # noqa: PT012 - the block must end without an exception
        pytest.raises(znl.ZnlError, match="aborted by an earlier error") as caught,
        znl.Writer(tmp_path / "made.znl") as writer,
    ):
        with pytest.raises(znl.ZnlError, match="temporary file can't be written") as first:
            writer.add("a", array)
        for call in (writer.close, lambda: writer.add("b", b"abc")):
            with pytest.raises(znl.ZnlError, match="aborted by an earlier error") as again:
                call()
            assert again.value.__cause__ is first.value
        array.extend(b"x")  # no view of it is kept
    assert caught.value.__cause__ is first.value
    assert names_in(tmp_path) == set()


def test_a_caller_that_aborts_after_an_error_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spooled_to(monkeypatch, "write")
    with znl.Writer(tmp_path / "made.znl") as writer:
        with pytest.raises(znl.ZnlError):
            writer.add("a", b"abc")
        writer.abort()
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("failing", ["seek", "read"])
def test_a_temporary_file_that_cannot_be_read_back_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    spooled_to(monkeypatch, failing)
    writer = znl.Writer(tmp_path / "made.znl")
    writer.add("a", b"abc")
    with pytest.raises(znl.ZnlError, match="a temporary file can't be"):
        writer.close()
    with pytest.raises(znl.ZnlError, match="aborted by an earlier error"):
        writer.close()
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("lost_nbytes", [1, 1000])
def test_a_temporary_file_that_lost_bytes_gives_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost_nbytes: int
) -> None:
    file = io.BytesIO()
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: file)
    writer = znl.Writer(tmp_path / "made.znl")
    writer.add("a", os.urandom(2000))
    file.truncate(len(file.getbuffer()) - lost_nbytes)
    with pytest.raises(znl.ZnlError, match="expected"):
        writer.close()
    assert names_in(tmp_path) == set()


def test_a_chunk_that_got_lost_gives_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zipnn_like import writer as module

    writer = znl.Writer(tmp_path / "made.znl")
    writer.add("a", b"abc")
    monkeypatch.setattr(module._Spool, "runs", lambda self: iter(()))
    with pytest.raises(znl.ZnlError, match="bytes of header and tensors"):
        writer.close()
    assert names_in(tmp_path) == set()


BAD_SHAPES: dict[str, Any] = {
    "a real": (3.0,),
    "text": ("3",),
    "no sequence": 3,
    "a product above 64 bits": (2**32, 2**32, 2, 0),
    "a size above 64 bits": (0, 2**64),
    "too large for a float": (2**2000,),
    "negative": (-1, -3),
}


@pytest.mark.parametrize("what", BAD_SHAPES)
def test_add_refuses_what_close_would(tmp_path: Path, what: str) -> None:
    with znl.Writer(tmp_path / "made.znl") as writer:
        for data in (b"", b"abc"):
            with pytest.raises(znl.UsageError):
                writer.add("bad", data, dtype="U8", shape=BAD_SHAPES[what])
        writer.add("bad", b"abc", shape=[np.int64(1), np.uint8(3)])
    with znl.open(tmp_path / "made.znl") as archive:
        assert archive.info("bad").shape == (1, 3)


def test_add_refuses_what_no_header_holds(tmp_path: Path) -> None:
    with znl.Writer(tmp_path / "made.znl", metadata={"a": "b"}) as writer:
        with pytest.raises(znl.UsageError, match="header: expected at most"):
            writer.add("x" * MAX_HEADER_NBYTES, b"")
        with pytest.raises(znl.UsageError, match="Unicode"):
            writer.add("\udfff", b"")
        writer.add("a", b"abc")
    with znl.open(tmp_path / "made.znl") as archive:
        assert archive.keys() == ["a"]


def test_the_size_of_a_header_is_known_to_the_byte() -> None:
    """A name that fills the header is taken, one that is a byte longer is not."""
    room = MAX_HEADER_NBYTES - len(b'{"":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}')
    u8 = BY_NAME["U8"]
    for metadata, taken in (({}, 0), ({"é": '"'}, len('"__metadata__":{"é":"\\""},'.encode()))):
        builder = HeaderBuilder(metadata)
        with pytest.raises(znl.UsageError):
            builder.add("x" * (room - taken + 1), u8, (3,))
        builder.add("x" * (room - taken), u8, (3,))
        assert len(builder.pack()) == 8 + MAX_HEADER_NBYTES
        assert builder.body_nbytes == 3


def test_the_body_of_a_file_ends_below_2_to_63() -> None:
    builder, u8 = HeaderBuilder({}), BY_NAME["U8"]
    for name in "abc":
        builder.add(name, u8, (2**61 - 1,))
    with pytest.raises(znl.UsageError, match="below 2\\*\\*63"):
        builder.add("d", u8, (2**61 - 1,))
    builder.add("f", u8, (3,))


def test_the_report_of_a_writer_tells_the_seconds(tmp_path: Path) -> None:
    writer = znl.Writer(tmp_path / "made.znl")
    writer.add("a", np.arange(100_000))
    assert 0 < writer.close().seconds < 60


# --- building -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("free_threaded", "has_abi3"), [(0, True), (None, True), (1, False)])
def test_only_a_python_with_a_stable_abi_gets_abi3(
    monkeypatch: pytest.MonkeyPatch, free_threaded: int | None, has_abi3: bool
) -> None:
    import setuptools

    variable, told = sysconfig.get_config_var, {}

    def changed(name: str) -> Any:
        return free_threaded if name == "Py_GIL_DISABLED" else variable(name)

    monkeypatch.setattr(sysconfig, "get_config_var", changed)
    monkeypatch.setattr(setuptools, "setup", told.update)
    runpy.run_path(str(ROOT / "setup.py"))
    assert ("py_limited_api" in told["options"].get("bdist_wheel", {})) == has_abi3
    builder = runpy.run_path(str(ROOT / "zipnn_like" / "_ffi_build.py"))["ffibuilder"]
    assert builder._assigned_source[3]["py_limited_api"] is has_abi3


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile with one C file, one test, one fuzzer, and compilers without sanitizers."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for folder in ("csrc", "tests/c"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "csrc" / "core.c").write_text("int core(void);\nint core(void) { return 0; }\n")
    (tmp_path / "tests/c/test_core.c").write_text("int main(void) { return 0; }\n")
    (tmp_path / "tests/c/fuzz_core.c").write_text("int main(void) { return 0; }\n")
    compiler = tmp_path / "plain-cc"
    compiler.write_text('#!/bin/sh\ncase "$*" in *-fsanitize*) exit 1;; esac\nexec cc "$@"\n')
    compiler.chmod(0o755)
    return tmp_path


@pytest.mark.skipif(not (shutil.which("make") and shutil.which("cc")), reason="needs make and cc")
@pytest.mark.parametrize(
    ("target", "warning"), [("ctest", b"run UNSANITIZED"), ("fuzz-briefly", b"NOT FUZZED")]
)
def test_a_check_that_cannot_be_made_fails_in_ci_only(
    checkout: Path, target: str, warning: bytes
) -> None:
    command = ["make", target, "CC=./plain-cc", "CLANG=./plain-cc"]
    for in_ci in ("", "1"):
        done = subprocess.run(
            [*command, f"ZNL_CI={in_ci}"], cwd=checkout, capture_output=True, check=False
        )
        assert warning in done.stderr
        assert (done.returncode != 0) == bool(in_ci), done.stderr


@pytest.mark.parametrize(
    "call",
    [
        lambda path: znl.compress(b"x", level=["fast"]),  # type: ignore[arg-type]
        lambda path: znl.compress_file(f"{path}/a\0b"),
        lambda path: znl.open(f"{path}/a\0b"),
        lambda path: znl.Writer(f"{path}/a\0b"),
        lambda path: znl.compress(b"x", shape=(1.5,)),  # type: ignore[arg-type]
        lambda path: znl.Writer(path / "a.znl", metadata=5),  # type: ignore[arg-type]
    ],
    ids=["level", "source", "open", "target", "shape", "metadata"],
)
def test_an_argument_of_a_wrong_kind_is_a_usage_error(
    tmp_path: Path, call: Callable[[Path], object]
) -> None:
    with pytest.raises(znl.UsageError):
        call(tmp_path)
    assert list(tmp_path.iterdir()) == []
