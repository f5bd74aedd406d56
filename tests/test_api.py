# SPDX-License-Identifier: Apache-2.0
"""compress_file, decompress_file, verify_file, compress, decompress: what callers may rely on."""

from __future__ import annotations

import array
import hashlib
import io
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from builders import StreamBuilder, safetensors_bytes
from checks import names_in
from small_stream import small_source, small_stream
from strategies import make
from znl_process import environment

import zipnn_like as znl
from zipnn_like import dtypes, parallel
from zipnn_like.errors import UsageError

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")
NOISE = np.random.default_rng(1).bytes(14_000_000)  # several batches


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small safetensors file, alone in its folder."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(small_source())
    return path


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file of several batches, so that progress is told before all of it was read."""
    path = tmp_path / "big.bin"
    path.write_bytes(NOISE)
    return path


def run_python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(**variables),
        timeout=60,
        check=False,
    )


# --- names, reports -------------------------------------------------------------------------------


def test_names_default_to_znl_and_back(model: Path) -> None:
    report = znl.compress_file(model)
    assert report.path == f"{model}.znl"
    model.unlink()
    assert znl.decompress_file(f"{model}.znl").path == str(model)
    assert model.read_bytes() == small_source()
    assert names_in(model.parent) == {"model.safetensors", "model.safetensors.znl"}


def test_reports_tell_sizes_and_totals(model: Path, tmp_path: Path) -> None:
    archive = tmp_path / "m.znl"
    made = znl.compress_file(model, archive, sha256=True)
    restored = znl.decompress_file(archive, tmp_path / "out")
    checked = znl.verify_file(archive)
    for report in (made, restored, checked):
        assert report.source_bytes == len(small_source())
        assert report.stored_bytes == archive.stat().st_size
        assert report.ratio == report.stored_bytes / report.source_bytes
        assert report.seconds > 0
        assert report.sha256 == hashlib.sha256(small_source()).hexdigest()
        assert report.by_method == made.by_method
        assert sum(total.source_bytes for total in report.by_dtype.values()) == report.source_bytes
        assert sum(total.stored_bytes for total in report.by_dtype.values()) < report.stored_bytes
    assert set(made.by_dtype) == {"BYTES", "I16", "I32", "F8_E8M0", "BF16"}
    assert made.by_dtype["I32"].source_bytes == 200
    assert made.by_method["I32"] == {"constant": znl.Totals(200, 36)}
    assert made.by_method["I16"] == {"raw": znl.Totals(256, 288), "repeat": znl.Totals(256, 40)}
    assert made.by_dtype["I16"] == znl.Totals(512, 328)
    assert (restored.path, checked.path) == (str(tmp_path / "out"), None)
    assert znl.compress_file(model, tmp_path / "plain.znl").sha256 is None


def test_an_empty_source_has_ratio_1(tmp_path: Path) -> None:
    report = znl.compress_file(io.BytesIO(), tmp_path / "empty.znl")
    assert (report.source_bytes, report.ratio, report.by_method) == (0, 1.0, {})


def test_progress_counts_source_bytes(big: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    znl.compress_file(big, level="fast", progress=lambda *call: calls.append(call))
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})
    assert {total for _, total in calls} == {len(NOISE)}
    assert calls[-1][0] == len(NOISE)
    calls.clear()
    znl.decompress_file(f"{big}.znl", tmp_path / "o", progress=lambda *call: calls.append(call))
    assert calls[-1] == (len(NOISE), len(NOISE))
    calls.clear()
    znl.compress_file(io.BytesIO(NOISE), io.BytesIO(), progress=lambda *call: calls.append(call))
    assert calls[-1] == (len(NOISE), None)


@posix_only
def test_mode_and_mtime_are_kept_both_ways(model: Path, tmp_path: Path) -> None:
    model.chmod(0o640)
    os.utime(model, ns=(10**18, 1_234_567_890_123_456_789))
    znl.compress_file(model, tmp_path / "m.znl")
    znl.decompress_file(tmp_path / "m.znl", tmp_path / "out")
    for path in (tmp_path / "m.znl", tmp_path / "out"):
        found = path.stat()
        assert stat.S_IMODE(found.st_mode) == 0o640
        assert found.st_mtime_ns == 1_234_567_890_123_456_789


@posix_only
def test_what_comes_from_a_stream_gets_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        znl.compress_file(io.BytesIO(b"abc"), tmp_path / "m.znl")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m.znl").stat().st_mode) == 0o640


def test_verify_compares_with_a_file(model: Path, tmp_path: Path) -> None:
    znl.compress_file(model)
    archive = f"{model}.znl"
    assert znl.verify_file(archive, against=model).path is None
    assert znl.verify_file(archive, against=io.BytesIO(small_source()))
    for other in (small_source()[:-1], small_source() + b"x", small_source()[:-1] + b"\xff", b""):
        (tmp_path / "other").write_bytes(other)
        with pytest.raises(znl.ZnlError, match=r"other: offset \d+: expected .*, found") as caught:
            znl.verify_file(archive, against=tmp_path / "other")
        assert not isinstance(caught.value, znl.CorruptStreamError)


def test_the_recorded_sha256_is_compared(tmp_path: Path) -> None:
    stream = StreamBuilder(flags=1).raw(b"abc").finish(sha256=bytes(32))
    (tmp_path / "wrong.znl").write_bytes(stream)
    for restore in (znl.verify_file, znl.decompress_file, lambda path: znl.decompress(stream)):
        with pytest.raises(znl.ChecksumError, match="SHA-256"):
            restore(tmp_path / "wrong.znl")
    assert names_in(tmp_path) == {"wrong.znl"}


# --- refusals -------------------------------------------------------------------------------------


def test_an_existing_file_is_kept_without_overwrite(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "taken.znl"
    target.write_bytes(b"precious")
    with pytest.raises(znl.ZnlError, match=r"taken\.znl: exists already"):
        znl.compress_file(model, target)
    assert target.read_bytes() == b"precious"
    znl.compress_file(model, target, overwrite=True)
    with pytest.raises(znl.ZnlError, match="exists already"):
        znl.decompress_file(target, model)
    znl.decompress_file(target, model, overwrite=True)
    assert model.read_bytes() == small_source()
    assert names_in(tmp_path) == {"model.safetensors", "taken.znl"}


def test_a_failure_keeps_the_file_that_was_to_be_replaced(model: Path, tmp_path: Path) -> None:
    damaged = bytearray(small_stream())
    damaged[-100] ^= 1
    (tmp_path / "bad.znl").write_bytes(damaged)
    with pytest.raises(znl.CorruptStreamError):
        znl.decompress_file(tmp_path / "bad.znl", model, overwrite=True)
    assert model.read_bytes() == small_source()
    assert names_in(tmp_path) == {"model.safetensors", "bad.znl"}


def test_a_file_that_appears_meanwhile_is_kept(big: Path, tmp_path: Path) -> None:
    target = tmp_path / "late.znl"
    with pytest.raises(znl.ZnlError, match="appeared while"):
        znl.compress_file(big, target, progress=lambda *_: target.write_bytes(b"mine"))
    assert target.read_bytes() == b"mine"
    assert names_in(tmp_path) == {"big.bin", "late.znl"}


@posix_only
@pytest.mark.parametrize("how", ["itself", "link", "symlink"])
def test_a_file_is_not_compressed_onto_itself(model: Path, tmp_path: Path, how: str) -> None:
    target = tmp_path / "other"
    if how == "link":
        os.link(model, target)
    elif how == "symlink":
        target.symlink_to(model)
    else:
        target = model
    with pytest.raises(znl.UsageError, match="the same file"):
        znl.compress_file(model, target, overwrite=True)
    assert model.read_bytes() == small_source()


def test_folders_are_no_files(model: Path, tmp_path: Path) -> None:
    with pytest.raises(znl.SourceError, match="found a folder"):
        znl.compress_file(tmp_path, tmp_path.parent / "x.znl")
    with pytest.raises(znl.ZnlError, match="found a folder"):
        znl.compress_file(model, tmp_path)
    with pytest.raises(znl.ZnlError, match="found a folder"):
        znl.compress_file(model, tmp_path, overwrite=True)
    with pytest.raises(znl.ZnlError):
        znl.open(tmp_path)
    assert names_in(tmp_path) == {"model.safetensors"}


def test_what_is_not_there_is_named(model: Path, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    for read in (znl.compress_file, znl.verify_file, znl.open):
        with pytest.raises(znl.SourceError, match="absent: No such file"):
            read(absent)
    with pytest.raises(znl.ZnlError, match=r"x\.znl: can't be written: No such file"):
        znl.compress_file(model, absent / "x.znl")
    with pytest.raises(znl.ZnlError, match=r"x\.znl: can't be written: Not a directory"):
        znl.compress_file(model, model / "x.znl")


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="permissions do not stop this user"
)
def test_a_folder_that_is_read_only_is_named(model: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    with pytest.raises(znl.ZnlError, match="Permission denied"):
        znl.compress_file(model, locked / "x.znl")


@posix_only
def test_devices_are_written_to_as_file_objects_only(model: Path) -> None:
    with pytest.raises(znl.UsageError, match="device or pipe"):
        znl.compress_file(model, "/dev/null", overwrite=True)
    with open("/dev/null", "wb") as out:
        assert znl.compress_file(model, out).path is None
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_arguments_are_checked_before_any_work(model: Path, tmp_path: Path) -> None:
    archive = tmp_path / "m.znl"
    calls: list[Callable[[], object]] = [
        lambda: znl.compress_file(model, archive, level="best"),
        lambda: znl.compress_file(io.BytesIO(b"")),
        lambda: znl.compress_file(5, archive),  # type: ignore[arg-type]
        lambda: znl.compress_file(model, 5),  # type: ignore[arg-type]
        lambda: znl.compress_file(io.StringIO("text"), archive),  # type: ignore[arg-type]
        lambda: znl.compress_file(model, io.StringIO()),  # type: ignore[arg-type]
        lambda: znl.decompress_file(model),  # no name that ends in .znl
        lambda: znl.decompress_file(tmp_path / ".znl"),
        lambda: znl.decompress_file(model, archive, max_size=-1),
        lambda: znl.decompress_file(io.BytesIO(small_stream())),
        lambda: znl.compress(b"abc", dtype="F33"),
        lambda: znl.compress(b"abc", dtype="F32"),
        lambda: znl.compress(b"abcd", dtype="F32", shape=(2,)),
        lambda: znl.compress(b"abcd", shape=(5,)),
        lambda: znl.compress(b"abcd", shape=(-4, -1)),
        lambda: znl.compress(b"abc", level="none"),
        lambda: znl.compress("text"),
        lambda: znl.compress([1, 2, 3]),
        lambda: znl.compress(None),
        lambda: znl.compress(memoryview(b"abcdef")[::2]),
        lambda: znl.compress(np.zeros(3, ">f4")),
        lambda: znl.compress(np.zeros(3, "c16")),
        lambda: znl.compress(np.zeros(3, object)),
        lambda: znl.compress(np.zeros(3, "U4")),
        lambda: znl.decompress(memoryview(small_stream() * 2)[::2]),
        lambda: znl.decompress(small_stream(), out=memoryview(bytearray(99_999))[::2]),
        lambda: znl.decompress(small_stream(), out=np.zeros(99_999, "u1")[::2]),
        lambda: znl.decompress(small_stream(), out=bytes(9999)),
        lambda: znl.decompress(small_stream(), out=bytearray(len(small_source()) - 1)),
        lambda: znl.decompress("text"),  # type: ignore[arg-type]
    ]
    for number, call in enumerate(calls):
        with pytest.raises(znl.UsageError):
            pytest.fail(f"call {number} returned {call()!r:.50}")
    assert issubclass(znl.UsageError, ValueError)
    assert names_in(tmp_path) == {"model.safetensors"}


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("BF16", "BF16"),
        ("bfloat16", "BF16"),
        (ml_dtypes.bfloat16, "BF16"),
        (np.dtype(ml_dtypes.float8_e4m3fn), "F8_E4M3"),
        ("float8_e5m2fnuz", "F8_E5M2FNUZ"),
        (np.float32, "F32"),
        ("<f2", "F16"),
        (float, "F64"),
        (np.complex64, "C64"),
        (bool, "BOOL"),
        ("int8", "I8"),
    ],
)
def test_dtypes_are_found_by_any_spelling(spelling: object, name: str) -> None:
    assert dtypes.find(spelling).name == name
    report = znl.compress(bytes(64), dtype=spelling)
    assert znl.decompress(report) == bytes(64)


@pytest.mark.parametrize("spelling", [">f4", "f16", "no such", object(), [], {}, 3, "", "O", "V4"])
def test_other_dtypes_are_refused(spelling: object) -> None:
    with pytest.raises(UsageError, match="expected one of"):
        dtypes.find(spelling)


def test_buffers_of_all_kinds_are_sources() -> None:
    for data in (
        bytearray(b"abc"),
        memoryview(b"abc"),
        array.array("d", [1.0, 2.0]),
        np.arange(12).reshape(3, 4),
        np.float32(3),
        memoryview(np.zeros((2, 3), "f4")),
    ):
        assert znl.decompress(znl.compress(data)) == bytes(memoryview(data).cast("B"))


# --- sources that change, disks that fill up ------------------------------------------------------


def truncated(path: Path) -> None:
    os.truncate(path, 5_000_000)


def appended(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


def rewritten(path: Path) -> None:
    with open(path, "r+b") as file:
        file.write(b"changed")
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("change", [truncated, appended, rewritten])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_source_that_changes_while_it_is_read_is_refused(
    big: Path, tmp_path: Path, change: Callable[[Path], None], threads: int
) -> None:
    pending = [change]

    def progress(done: int, total: int | None) -> None:
        if pending:
            pending.pop()(big)

    with pytest.raises(znl.SourceError, match=r"big\.bin: expected 14000000 bytes that stay"):
        znl.compress_file(big, level="fast", threads=threads, progress=progress)
    assert names_in(tmp_path) == {"big.bin"}


def test_a_stream_that_changes_while_it_is_read_is_refused(big: Path, tmp_path: Path) -> None:
    archive = tmp_path / "big.znl"
    znl.compress_file(big, archive, level="fast")
    with pytest.raises((znl.SourceError, znl.CorruptStreamError)):
        znl.decompress_file(archive, tmp_path / "out", progress=lambda *_: appended(archive))
    with pytest.raises((znl.SourceError, znl.CorruptStreamError)):
        znl.decompress_file(archive, tmp_path / "out", progress=lambda *_: truncated(archive))
    assert names_in(tmp_path) == {"big.bin", "big.znl"}


class NonBlocking(io.RawIOBase):
    """A file that has no bytes yet, or takes none now."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, view: memoryview) -> None:
        return None

    def write(self, data: object) -> None:
        return None


def test_files_that_do_not_block_are_refused() -> None:
    with pytest.raises(znl.SourceError, match="non-blocking"):
        znl.compress_file(NonBlocking(), io.BytesIO())
    with pytest.raises(znl.ZnlError, match="non-blocking"):
        znl.compress_file(io.BytesIO(b"abc"), NonBlocking())


DISK_FULL = """
import os, resource, signal, sys
import zipnn_like as znl
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, what = sys.argv[1:]
os.chdir(folder)
noise = open("noise", "rb").read()
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    if what == "compress":
        znl.compress_file("noise", "out.znl")
    elif what == "decompress":
        znl.decompress_file("noise.znl", "out")
    elif what == "overwrite":
        znl.decompress_file("noise.znl", "taken", overwrite=True)
    elif what == "writer":
        with znl.Writer("out.znl") as writer:
            writer.add("a", noise)
    elif what == "writer, small tensors":
        with znl.Writer("out.znl") as writer:
            for number in range(len(noise) // 1000):
                writer.add(str(number), noise[1000 * number:][:1000])
    elif what == "writer goes on":
        writer = znl.Writer("out.znl")
        try:
            writer.add("a", noise)
        except znl.ZnlError:
            pass
        writer.close()
except znl.ZnlError as error:
    print(error)
else:
    sys.exit("nothing failed")
"""


@posix_only
@pytest.mark.parametrize(
    "what",
    ["compress", "decompress", "overwrite", "writer", "writer, small tensors", "writer goes on"],
)
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, what: str) -> None:
    (tmp_path / "noise").write_bytes(NOISE[:600_000])
    (tmp_path / "noise.znl").write_bytes(znl.compress(NOISE[:600_000], level="fast"))
    (tmp_path / "taken").write_bytes(b"precious")
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, str(tmp_path), what],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "File too large" in done.stdout or what == "writer goes on", done.stdout
    assert names_in(tmp_path) == {"noise", "noise.znl", "taken"}
    assert (tmp_path / "taken").read_bytes() == b"precious"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_file_object_that_is_full_is_an_error() -> None:
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(znl.ZnlError, match="No space left"),
    ):
        znl.compress_file(io.BytesIO(b"abc"), full)


# --- interruptions and threads --------------------------------------------------------------------


def our_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("zipnn_like")]


class OutOfPatienceError(Exception):
    pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, OutOfPatienceError])
@pytest.mark.parametrize("threads", [1, 3])
def test_an_exception_out_of_progress_leaves_nothing(
    big: Path, tmp_path: Path, error: type[BaseException], threads: int
) -> None:
    def progress(done: int, total: int | None) -> None:
        raise error

    archive = tmp_path / "big.znl"
    with pytest.raises(error):
        znl.compress_file(big, archive, level="fast", threads=threads, progress=progress)
    assert names_in(tmp_path) == {"big.bin"}
    znl.compress_file(big, archive, level="fast")
    with pytest.raises(error):
        znl.decompress_file(archive, tmp_path / "out", threads=threads, progress=progress)
    assert names_in(tmp_path) == {"big.bin", "big.znl"}
    assert our_threads() == []


@pytest.mark.parametrize("threads", [0, -1, 257, True, "2", 1.5, 2.0])
def test_threads_are_1_to_256(threads: object) -> None:
    with pytest.raises(znl.UsageError, match="threads: expected 1 to 256, found"):
        znl.compress(b"abc", threads=threads)  # type: ignore[arg-type]
    with pytest.raises(znl.UsageError, match="threads"):
        znl.decompress(znl.compress(b"abc"), threads=threads)  # type: ignore[arg-type]


def test_the_variable_sets_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIPNN_LIKE_THREADS", "3")
    assert parallel.thread_count(None) == 3
    assert parallel.thread_count(5) == 5
    for text in ("many", "0", "-1", "1000", "2.5"):
        monkeypatch.setenv("ZIPNN_LIKE_THREADS", text)
        with pytest.raises(znl.UsageError):
            znl.compress(b"abc")
    for text in ("", None):
        monkeypatch.delenv("ZIPNN_LIKE_THREADS")
        if text is not None:
            monkeypatch.setenv("ZIPNN_LIKE_THREADS", text)
        assert 1 <= parallel.thread_count(None) <= parallel.usable_cores()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_map_in_order_keeps_the_order_and_few_items(threads: int) -> None:
    taken: list[int] = []

    def items() -> object:
        for number in range(50):
            taken.append(number)
            yield number

    for number, result in enumerate(parallel.map_in_order(lambda n: n * n, items(), threads)):  # type: ignore[arg-type]
        assert result == number**2
        assert len(taken) - number <= threads + 1
    assert our_threads() == []


@pytest.mark.parametrize("threads", [1, 3])
def test_map_in_order_raises_the_first_error_in_order(threads: int) -> None:
    began: list[int] = []

    def function(number: int) -> int:
        began.append(number)
        if number in (7, 9):
            raise OutOfPatienceError(number)
        return number

    results = parallel.map_in_order(function, range(1000), threads)
    seen = []
    with pytest.raises(OutOfPatienceError) as caught:
        seen.extend(iter(results))
    assert caught.value.args == (7,)
    assert max(began) <= 7 + threads
    assert our_threads() == []


def test_one_thread_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a thread was started")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert znl.decompress(znl.compress(NOISE[:9_000_000], level="fast", threads=1), threads=1)


def test_two_threads_may_compress_and_restore_at_once() -> None:
    sources = [
        safetensors_bytes({"w": make(dtypes.BY_NAME[name], "gaussian", (300_000,), seed)})
        for seed, name in enumerate(["BF16", "F32", "F8_E4M3", "F16"])
    ]
    expected = [znl.compress(source, threads=1) for source in sources]
    failures: list[object] = []

    def work(number: int) -> None:
        for turn in range(4):
            at = (number + turn) % len(sources)
            if znl.compress(sources[at], threads=2) != expected[at]:
                failures.append(("compress", at))
            if znl.decompress(expected[at], threads=2) != sources[at]:
                failures.append(("decompress", at))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []


# --- the instruction set --------------------------------------------------------------------------

ROUND_TRIP = """
import zipnn_like as znl
from zipnn_like import native
stream = znl.compress(bytes(range(64)) * 100, dtype="BF16")
assert znl.decompress(stream) == bytes(range(64)) * 100
print(native.isa_name())
"""


def test_a_forced_instruction_set_is_the_active_one() -> None:
    done = run_python(ROUND_TRIP, ZIPNN_LIKE_ISA="scalar")
    assert (done.returncode, done.stdout) == (0, "scalar\n"), done.stderr


@pytest.mark.parametrize("name", ["avx9", "SCALAR", "scalar,avx2", " "])
def test_an_instruction_set_that_is_not_there_is_a_usage_error(name: str) -> None:
    done = run_python(ROUND_TRIP, ZIPNN_LIKE_ISA=name)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"zipnn_like.errors.UsageError: ZIPNN_LIKE_ISA={name}: expected one of")


# --- the package ----------------------------------------------------------------------------------


def test_every_public_name_resolves() -> None:
    for name in znl.__all__:
        assert getattr(znl, name) is not None
    assert sorted(znl.__all__) == sorted(dir(znl))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        znl.nothing  # noqa: B018


def test_errors_are_one_tree() -> None:
    for error in (
        znl.UsageError,
        znl.SourceError,
        znl.UnsupportedFormatError,
        znl.BaseMismatchError,
        znl.LimitExceededError,
        znl.CorruptStreamError,
    ):
        assert error.__bases__[0] is znl.ZnlError
    assert znl.TruncatedStreamError.__bases__ == (znl.CorruptStreamError,)
    assert znl.ChecksumError.__bases__ == (znl.CorruptStreamError,)


@pytest.mark.parametrize("most", [1 << 63, 1 << 64, 1 << 200])
def test_a_limit_may_be_any_number(tmp_path: Path, most: int) -> None:
    out = tmp_path / "out"
    znl.decompress_file(io.BytesIO(znl.compress(b"abc" * 500)), out, max_size=most)
    assert out.read_bytes() == b"abc" * 500
    assert bytes(znl.decompress(znl.compress(b"abc"), max_size=most)) == b"abc"


def test_a_path_is_no_buffer(tmp_path: Path) -> None:
    for call in (znl.compress, znl.decompress):
        with pytest.raises(znl.UsageError, match="found a path: files are for compress_file"):
            call(str(tmp_path / "model.safetensors"))


def test_a_tensor_is_told_how_to_go_in() -> None:
    class Tensor:
        def detach(self) -> None: ...

    with pytest.raises(znl.UsageError, match=r"bytes-like.*; a tensor goes in as t\.numpy\(\)"):
        znl.compress(Tensor())
