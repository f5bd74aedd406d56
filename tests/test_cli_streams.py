# SPDX-License-Identifier: Apache-2.0
"""Pipes, terminals, devices and signals around the command line, through real processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from znl_process import (
    TIMEOUT_S,
    ZNL,
    damaged,
    environment,
    error_line,
    model_bytes,
    names_in,
    start,
    znl,
)

MODEL = model_bytes()
MORE_THAN_PIPES_HOLD = 4 << 20

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX terminals or signals")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model file."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(MODEL)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The model compressed, alone in its folder."""
    path = tmp_path / "model.safetensors.znl"
    done = znl("compress", "-", "-o", path, stdin=MODEL)
    assert done.returncode == 0, done.stderr
    return path


# --- pipes ----------------------------------------------------------------------------------------


def test_standard_input_goes_to_standard_output() -> None:
    stream = znl("compress", "-", "-q", stdin=MODEL)
    assert (stream.returncode, stream.stderr) == (0, b"")
    restored = znl("decompress", "-", "-q", stdin=stream.stdout)
    assert (restored.returncode, restored.stderr) == (0, b"")
    assert restored.stdout == MODEL


def test_pipes_and_files_give_the_same_bytes(model: Path) -> None:
    assert znl("compress", model).returncode == 0
    assert znl("compress", "-", stdin=MODEL).stdout == Path(f"{model}.znl").read_bytes()
    assert znl("compress", model, "-o", "-").stdout == Path(f"{model}.znl").read_bytes()


def test_summary_of_a_pipe_goes_to_stderr() -> None:
    assert znl("compress", "-", stdin=MODEL).stderr.startswith(b"-: ")


def test_verify_and_cat_read_standard_input(archive: Path) -> None:
    stream = archive.read_bytes()
    assert znl("verify", "-", stdin=stream).stdout.startswith(b"-: ok, ")
    assert znl("cat", "-", stdin=stream).stdout == MODEL


def test_an_empty_pipe_is_a_source_too() -> None:
    stream = znl("compress", "-").stdout
    assert znl("decompress", "-", stdin=stream).stdout == b""


def test_a_damaged_pipe_fails_in_one_line(archive: Path) -> None:
    done = znl("decompress", "-", stdin=damaged(archive.read_bytes()))
    assert done.returncode == 1
    assert error_line(done)


@posix_only
@pytest.mark.parametrize("command", ["cat FILE", "decompress FILE -o -", "inspect FILE"])
def test_a_closed_pipe_ends_quietly(tmp_path: Path, command: str) -> None:
    path = tmp_path / "zeros.znl"
    assert znl("compress", "-", "-o", path, stdin=bytes(MORE_THAN_PIPES_HOLD)).returncode == 0
    process = start(
        *command.replace("FILE", str(path)).split(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    if "inspect" in command:
        process.stdout.close()  # its few lines would fit the pipe
        process.stdout = None
    else:
        assert process.stdout.read(10) == bytes(10)
        process.stdout.close()
        process.stdout = None
    _, complaint = process.communicate(timeout=TIMEOUT_S)
    assert complaint == b""
    assert process.returncode == 1


@posix_only
@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_a_stream_that_is_closed_from_the_start_is_one_line(model: Path, stream: str) -> None:
    shut = "<&-" if stream == "stdin" else ">&-"
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {shut}', "sh", *ZNL, "compress", "-", "-o"]
        + ([f"{model}.znl"] if stream == "stdin" else ["-"]),
        input=None if stream == "stdin" else MODEL,
        capture_output=True,
        env=environment(),
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 1
    assert "is closed" in error_line(done)
    assert names_in(model.parent) == {model.name}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["cat FILE", "inspect FILE", "version", "doctor", "--help"])
def test_a_full_disk_behind_standard_output_is_one_line(archive: Path, command: str) -> None:
    with open("/dev/full", "wb") as full:
        process = start(
            *command.replace("FILE", str(archive)).split(), stdout=full, stderr=subprocess.PIPE
        )
        _, complaint = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert complaint.decode().endswith("No space left on device\n")
    assert len(complaint.splitlines()) == 1


@posix_only
@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_a_device_is_written_to_and_never_replaced(
    tmp_path: Path, archive: Path, command: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with start(command, archive, "-f", "-q", "-o", pipe) as process:
        taken = pipe.read_bytes()
        assert process.wait(TIMEOUT_S) == 0
    assert pipe.is_fifo()
    assert len(taken) > 0
    assert names_in(tmp_path) == {archive.name, pipe.name}
    assert znl(command, archive, "-f", "--rm", "-o", pipe).returncode == 2
    assert archive.exists()


# --- terminals ------------------------------------------------------------------------------------


@posix_only
@pytest.mark.parametrize(
    "command", ["compress -", "compress FILE -o -", "decompress -", "cat FILE"]
)
def test_binary_never_goes_to_a_terminal(archive: Path, command: str) -> None:
    terminal, end = os.openpty()
    process = start(
        *command.replace("FILE", str(archive)).split(),
        stdin=subprocess.DEVNULL,
        stdout=end,
        stderr=subprocess.PIPE,
    )
    os.close(end)
    _, complaint = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 2
    assert b"is a terminal" in complaint
    assert len(complaint.splitlines()) == 1
    assert read_all(terminal) == b""


@posix_only
def test_binary_never_goes_to_a_terminal_named_as_a_device(archive: Path) -> None:
    terminal, end = os.openpty()
    done = znl("decompress", archive, "-f", "-o", os.ttyname(end))
    os.close(end)
    assert done.returncode == 2
    assert "is a terminal" in error_line(done)
    assert read_all(terminal) == b""


@posix_only
@pytest.mark.parametrize("quiet", [False, True])
def test_progress_is_shown_on_a_terminal_unless_quiet(tmp_path: Path, quiet: bool) -> None:
    terminal, end = os.openpty()
    process = start(
        *["compress", "-", "-o", tmp_path / "out.znl", *(["-q"] if quiet else [])],
        stdin=subprocess.PIPE,
        stderr=end,
    )
    os.close(end)
    assert process.stdin is not None
    deadline_s = time.monotonic() + (1 if quiet else TIMEOUT_S)
    with process.stdin as pipe:
        while not select.select([terminal], [], [], 0)[0] and time.monotonic() < deadline_s:
            pipe.write(MODEL)
    shown = read_all(terminal).decode()
    assert process.wait(TIMEOUT_S) == 0
    if quiet:
        assert shown == ""
    else:
        assert "\r-: " in shown
        assert "MB/s" in shown
        assert shown.splitlines()[-1].startswith("-: ")  # the summary stands alone on its line


@posix_only
def test_no_progress_where_stderr_is_no_terminal(tmp_path: Path) -> None:
    done = znl("compress", "-", "-o", tmp_path / "out.znl", stdin=model_bytes(4_000_000))
    assert b"\r" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def read_all(terminal: int) -> bytes:
    """What was written to a terminal whose other end is closed everywhere."""
    pieces = []
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # Linux says EIO at the end
            piece = b""
        if not piece:
            os.close(terminal)
            return b"".join(pieces)
        pieces.append(piece)


# --- signals --------------------------------------------------------------------------------------


def _default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@posix_only
@pytest.mark.parametrize("command", ["compress", "decompress"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("is_mixed", [False, True])
def test_an_interrupted_run_leaves_no_file(
    tmp_path: Path, command: str, name: str, is_mixed: bool
) -> None:
    number = getattr(signal, name)
    content = model_bytes(4_000_000)
    if command == "decompress":
        content = znl("compress", "-", stdin=content).stdout
    process = start(
        command,
        *["-", "-T", "2", "-o", tmp_path / "out"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A test run in the background may ignore signals, and children inherit that.
        preexec_fn=_default_signals,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    # More than a pipe holds, so the process is reading; not all, so it waits for the rest.
    process.stdin.write(content[: len(content) // 2])
    process.stdin.flush()
    for _ in range(3):  # the impatient do not get a partial file either
        process.send_signal(number)
        if is_mixed:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
    code = process.wait(TIMEOUT_S)
    complaint = process.stderr.read()
    process.stderr.close()
    process.stdin.close()
    told = {130: b"znl: interrupted\n"}.get(code, b"")
    assert complaint == told
    assert is_mixed or code == (130 if name == "SIGINT" else -number)
    assert code != 0
    assert names_in(tmp_path) == set()
