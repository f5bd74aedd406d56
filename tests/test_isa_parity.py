# SPDX-License-Identifier: Apache-2.0
"""Every instruction set of this machine writes the same bytes and reads what the others wrote."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import CHUNK, records_of
from znl_process import environment, error_line, znl

import zipnn_like
from zipnn_like import native, reference, self_test
from zipnn_like.dtypes import DTYPES, DType
from zipnn_like.errors import ChecksumError, CorruptStreamError, UsageError
from zipnn_like.format import METHOD_NAMES
from zipnn_like.reference import arranged

ISAS = native.isas()  # "scalar" first, which the others must equal
X86_ISAS = ["scalar", "sse4", "avx2", "avx512"]  # each holds those before it
ALL_ISAS = [*X86_ISAS, "neon"]
MODELLED = [dtype for dtype in DTYPES if dtype.modelled]

Use = Callable[[str], None]


@pytest.fixture
def use() -> Iterator[Use]:
    """Makes this process run on the instruction set named, until the test ends."""
    yield native.use
    native.use(native.isa_name())


def values_of(dtype: DType, count: int, seed: int) -> bytes:
    """Elements as weights have them: most gaussian, some zero, some of random bits."""
    random = np.random.default_rng(seed)
    nbytes = count * dtype.bits // 8
    numbers = random.normal(0, 0.02, count)
    numbers[random.random(count) < 0.1] = 0
    if dtype.name == "BF16":
        cut = numbers.astype("<f4").view("<u4") >> 16
        data = cut.astype("<u2").tobytes()
    elif dtype.name in ("F16", "F32", "F64"):
        data = numbers.astype(f"<f{dtype.width}").tobytes()
    elif dtype.name == "C64":
        data = np.repeat(numbers, 2).astype("<f4").tobytes()
    elif dtype.name.startswith("F8") and dtype.name != "F8_E8M0":
        half = (numbers * 200).astype("<f2").view("<u2")
        data = (half >> 8).astype("u1").tobytes()
    elif dtype.bits == 8 and dtype.name != "BOOL":
        data = np.clip(numbers * 800 + 100, 0, 255).astype("u1").tobytes()
    else:
        data = random.integers(0, 40, nbytes, dtype="u1").tobytes()
    assert len(data) == nbytes
    noisy = np.frombuffer(data, "u1").copy()
    noisy[random.random(nbytes) < 0.002] ^= 0x51
    return noisy.tobytes()


def safetensors_bytes(tensors: dict[str, tuple[DType, bytes]]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, data) in tensors.items():
        stop = offset + len(data)
        shape = [len(data) * 8 // dtype.bits]
        header[name] = {"dtype": dtype.name, "shape": shape, "data_offsets": [offset, stop]}
        offset = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, data in tensors.values())


@pytest.fixture(scope="module")
def mixed_file() -> bytes:
    """Every dtype: tensors of several chunks, of one, too small for 64 lanes, too small for any."""
    tensors = {}
    for i, dtype in enumerate(dtype for dtype in DTYPES if dtype.name != "BYTES"):
        for j, count in enumerate((300_000, 20_040, 3_000, 520, 72, 8)):
            data = values_of(dtype, count, 100 * i + j)
            tensors[f"{dtype.name}.{count}"] = (dtype, data)
    return safetensors_bytes(tensors)


def test_isas_are_sorted_and_start_with_scalar() -> None:
    assert ISAS
    assert ISAS in (["scalar", "neon"], X86_ISAS[: len(ISAS)])


def test_mixed_file_gives_the_same_stream(use: Use, mixed_file: bytes) -> None:
    streams = {}
    for isa in ISAS:
        use(isa)
        streams[isa] = bytes(zipnn_like.compress(mixed_file))
    assert len(streams["scalar"]) < 0.9 * len(mixed_file)
    for isa in ISAS[1:]:
        assert streams[isa] == streams["scalar"], isa
    for isa in ISAS:
        use(isa)
        assert bytes(zipnn_like.decompress(streams["scalar"])) == mixed_file, isa
    assert bytes(reference.decode(streams["scalar"])) == mixed_file


@pytest.mark.parametrize("dtype", MODELLED, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("count", [64, 511, 2047, 2048, 2049, 40_003, 270_000])
def test_values_give_the_same_stream(use: Use, dtype: DType, count: int) -> None:
    source = safetensors_bytes({"t": (dtype, values_of(dtype, count, count))})
    use("scalar")
    expected = bytes(zipnn_like.compress(source))
    for isa in ISAS:
        use(isa)
        assert bytes(zipnn_like.compress(source)) == expected, isa
        assert bytes(zipnn_like.decompress(expected)) == source, isa
    if count < 100_000:
        assert bytes(reference.decode(expected)) == source


@pytest.mark.parametrize("isa", ISAS)
def test_checksum_is_that_of_xxhash(isa: str, use: Use) -> None:
    xxhash = pytest.importorskip("xxhash")
    use(isa)
    data = np.random.default_rng(1).integers(0, 256, 20_000, dtype="u1").tobytes()
    for nbytes in [*range(600), 1023, 1024, 1025, 2048, 2049, 8191, 19_999]:
        assert native.xxh3_64(data[:nbytes]) == xxhash.xxh3_64_intdigest(data[:nbytes]), nbytes


def test_every_isa_finds_damage(use: Use, mixed_file: bytes) -> None:
    use("scalar")
    stream = bytes(zipnn_like.compress(mixed_file))
    for step in range(40):
        at = (step + 1) * len(stream) // 42
        damaged = stream[:at] + bytes([stream[at] ^ 0x10]) + stream[at + 1 :]
        messages = set()
        for isa in ISAS:
            use(isa)
            with pytest.raises((ChecksumError, CorruptStreamError)) as caught:
                zipnn_like.decompress(damaged)
            messages.add(f"{type(caught.value).__name__}: {caught.value}")
        assert len(messages) == 1, (at, messages)


# --- the choice -----------------------------------------------------------------------------------


def in_process(code: str, **variables: str) -> str:
    """What `code` prints in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# The kernels in use are, function by function, those of the named instruction set.
NAME_IN_USE = """
from zipnn_like import native
used = bytes(native.ffi.buffer(
    native.ffi.cast("uint8_t *", native.kernels()), native.lib.znl_kernels_nbytes()))
same = [name for name in native.isas() if used == bytes(native.ffi.buffer(
    native.ffi.cast("uint8_t *", native.kernels_of(name)), native.lib.znl_kernels_nbytes()))]
print(native.isa_name(), *same)
"""


@pytest.mark.parametrize("isa", ISAS)
def test_forced_isa_is_active(isa: str) -> None:
    assert in_process(NAME_IN_USE, ZIPNN_LIKE_ISA=isa) == f"{isa} {isa}"


def test_best_isa_is_active_by_default() -> None:
    assert in_process(NAME_IN_USE) == f"{ISAS[-1]} {ISAS[-1]}"
    assert in_process(NAME_IN_USE, ZIPNN_LIKE_ISA="") == f"{ISAS[-1]} {ISAS[-1]}"


@pytest.mark.parametrize("isa", ISAS)
def test_forced_isa_writes_the_same_stream(isa: str, tmp_path: Path, mixed_file: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(mixed_file)
    done = znl(
        *("compress", tmp_path / "model.safetensors", "-o", tmp_path / "model.znl"),
        ZIPNN_LIKE_ISA=isa,
    )
    assert done.returncode == 0, done.stderr
    stream = (tmp_path / "model.znl").read_bytes()
    done = znl("verify", tmp_path / "model.znl", ZIPNN_LIKE_ISA=ISAS[-1])
    assert done.returncode == 0, done.stderr
    assert bytes(reference.decode(stream)) == mixed_file


@pytest.mark.parametrize("name", ["avx1024", "AVX2", "scalar ", "0", "NEON"])
def test_unknown_isa_is_a_usage_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIPNN_LIKE_ISA", name)
    with pytest.raises(UsageError) as caught:
        native.isa_name()
    expected = f"ZIPNN_LIKE_ISA={name}: expected one of {', '.join(ISAS)} on this CPU"
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", [name for name in ALL_ISAS if name not in ISAS])
def test_absent_isa_is_a_usage_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIPNN_LIKE_ISA", name)
    with pytest.raises(UsageError, match="expected one of"):
        native.isa_name()
    with pytest.raises(UsageError, match="expected one of"):
        native.kernels_of(name)


def test_cli_names_the_isas_that_there_are(tmp_path: Path) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(bytes(range(256)) * 16)
    done = znl("compress", source, "-o", tmp_path / "model.znl", ZIPNN_LIKE_ISA="mmx")
    assert done.returncode != 0
    assert f"expected one of {', '.join(ISAS)}" in error_line(done)
    assert os.listdir(tmp_path) == ["model.bin"]


def test_the_self_test_passes_and_finds_a_kernel_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = native.isa_name()
    assert self_test.run() == []
    monkeypatch.setattr(self_test, "decompress", lambda stream, threads: b"other bytes")
    assert any("F32 (noise) is not restored" in line for line in self_test.run())
    assert native.isa_name() == before


def test_the_self_test_uses_every_method_and_every_second_symbol(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds: set[int] = set()
    read_second = arranged.read_second

    def note(*arguments: Any) -> Any:
        second = read_second(*arguments)
        seconds.add(second.kind)
        return second

    monkeypatch.setattr(arranged, "read_second", note)
    methods: set[int] = set()
    for dtype, kind, source in self_test.samples():
        for level in self_test.LEVELS:
            stream = zipnn_like.compress(source, dtype=dtype, level=level)
            assert reference.decode(stream) == source, (dtype.name, kind)
            methods |= {record.head[1] for record in records_of(stream) if record.kind == CHUNK}
    assert methods == set(METHOD_NAMES)
    assert seconds == {0, 1, 2}
