# SPDX-License-Identifier: Apache-2.0
"""The demo: compress a real model, restore it, compare every byte, read one tensor, beside zstd.

    python benchmarks/demo.py [--folder DIR]

Fetches minilm_bf16 into DIR (default: build/demo). Where that fails, for want of a network, a model
is generated instead and said to be. Exits 1 when anything that was restored differs.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import zipnn_like as znl
from benchmarks.corpus.conversions import f32_to_bf16
from benchmarks.corpus.download import FetchError
from benchmarks.corpus.fetch import fetch_file, write_whole
from benchmarks.corpus.files import BY_NAME
from benchmarks.corpus.safetensors_file import dump_safetensors, load_safetensors
from benchmarks.corpus.tensors import make_tensor

CORPUS_NAME = "minilm_bf16"
LEVELS = ("fast", "default")
ZSTD_LEVEL = 3
RUNS = 3

GENERATED_SEED = 20240229
GENERATED_LAYERS = 2
GENERATED_SIDE = 3200  # two matrices of 3200 x 3200 BF16 values: 41 MB
GENERATED_STD = 0.02


@dataclass(frozen=True)
class Row:
    """One line of the table; times in seconds, `tensor_seconds` None where it can't be done."""

    label: str
    stored: Path
    compress_seconds: float
    decompress_seconds: float
    tensor_seconds: float | None


class MismatchError(Exception):
    """Something that was restored is not what was stored."""


def main(argv: Sequence[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, or 1 when anything differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", metavar="DIR", type=Path, default=ROOT / "build" / "demo")
    folder: Path = parser.parse_args(argv).folder
    folder.mkdir(parents=True, exist_ok=True)
    model = find_model(folder)
    try:
        rows = [measure_znl(model, folder, level) for level in LEVELS]
        rows.append(measure_zstd(model, folder))
    except MismatchError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print_table(model, rows)
    print("Every byte restored; the tensor read alone is the one in the source.")
    return 0


def find_model(folder: Path) -> Path:
    """The corpus file, fetched or kept; a generated one, loudly, where fetching fails."""
    try:
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as cache:
            fetched = fetch_file(BY_NAME[CORPUS_NAME], folder, Path(cache).resolve())
    except FetchError as error:
        print("=" * 100)
        print(
            "NOTICE: the real model could not be fetched; the figures below are of a GENERATED one,"
        )
        print("gaussian noise of one scale per layer. They say nothing about trained weights.")
        print(f"Reason: {error}")
        print("=" * 100, flush=True)
        return generate_model(folder)
    print(f"{'kept' if fetched.kept else 'fetched'} {fetched.path.name}, {fetched.nbytes} bytes")
    return fetched.path


def generate_model(folder: Path) -> Path:
    """Write a BF16 model of two gaussian layers, the same on every run, and return its path."""
    random = np.random.default_rng(GENERATED_SEED)
    tensors = {}
    for layer in range(GENERATED_LAYERS):
        shape = (GENERATED_SIDE, GENERATED_SIDE)
        weight = random.standard_normal(shape, dtype=np.float32)
        weight *= np.float32(GENERATED_STD / (layer + 1))
        tensors[f"layers.{layer}.weight"] = make_tensor("BF16", shape, f32_to_bf16(weight))
        bias = np.zeros(GENERATED_SIDE, dtype="<u2")
        tensors[f"layers.{layer}.bias"] = make_tensor("BF16", bias.shape, bias)
    path = folder / "generated_bf16.safetensors"
    write_whole(path, dump_safetensors(tensors, {"format": "pt", "generated": "gaussian noise"}))
    return path


def measure_znl(model: Path, folder: Path, level: str) -> Row:
    """Compress at `level`, decompress, read one tensor. Raises MismatchError."""
    stored = folder / f"{model.stem}.{level}.znl"
    restored = folder / f"{model.stem}.{level}.restored"
    compress_seconds = median_seconds(
        lambda: znl.compress_file(model, stored, level=level, overwrite=True)
    )
    decompress_seconds = median_seconds(
        lambda: znl.decompress_file(stored, restored, overwrite=True)
    )
    compare(f"level {level}", restored.read_bytes(), model.read_bytes())
    restored.unlink()
    tensor_seconds = measure_one_tensor(model, stored)
    return Row(f"znl {level}", stored, compress_seconds, decompress_seconds, tensor_seconds)


def measure_one_tensor(model: Path, stored: Path) -> float:
    """Seconds to open `stored` and read the last matrix of the file. Raises MismatchError."""
    tensors = load_safetensors(model.read_bytes())
    name = [name for name, tensor in tensors.items() if len(tensor.shape) > 1][-1]

    def read() -> Any:
        with znl.open(stored) as archive:
            return archive.get_tensor(name)

    values = read()
    if values.shape != tensors[name].shape:
        raise MismatchError(f"{name}: expected shape {tensors[name].shape}, found {values.shape}")
    compare(f"tensor {name!r}", values.tobytes(), tensors[name].values.tobytes())
    return median_seconds(read)


def measure_zstd(model: Path, folder: Path) -> Row:
    """File to file with zstd, on as many threads as it can use. Raises MismatchError."""
    stored = folder / f"{model.stem}.zst"
    restored = folder / f"{model.stem}.zst.restored"

    def compress() -> None:
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, threads=-1)
        write_durably(stored, compressor.compress(model.read_bytes()))

    def decompress() -> None:
        write_durably(restored, zstandard.ZstdDecompressor().decompress(stored.read_bytes()))

    compress_seconds = median_seconds(compress)
    decompress_seconds = median_seconds(decompress)
    compare("zstd", restored.read_bytes(), model.read_bytes())
    restored.unlink()
    return Row(f"zstd -{ZSTD_LEVEL}", stored, compress_seconds, decompress_seconds, None)


def median_seconds(step: Callable[[], object]) -> float:
    """Median wall time of RUNS runs of `step`."""
    seconds = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def write_durably(path: Path, wire: bytes) -> None:
    """Write and fsync, as znl does, so that both are timed with the same duties."""
    with path.open("wb") as file:
        file.write(wire)
        file.flush()
        os.fsync(file.fileno())


def compare(label: str, found: bytes, expected: bytes) -> None:
    """Raise MismatchError, naming the first byte that differs, unless both are equal."""
    if found == expected:
        return
    shared_nbytes = min(len(found), len(expected))
    left, right = (np.frombuffer(wire, np.uint8)[:shared_nbytes] for wire in (found, expected))
    different = np.flatnonzero(left != right)
    offset = int(different[0]) if different.size else shared_nbytes
    raise MismatchError(
        f"{label}: offset {offset}: expected {len(expected)} bytes as in the source, "
        f"found {len(found)} bytes that differ from there on"
    )


def print_table(model: Path, rows: Sequence[Row]) -> None:
    """The table, and under it what it was measured on."""
    source_nbytes = model.stat().st_size
    print(
        f"\n{model.name}: {source_nbytes} bytes; "
        f"median of {RUNS} runs, file to file, fsync included\n"
    )
    print(
        f"{'':14}{'stored bytes':>14}{'ratio %':>10}"
        f"{'compress MB/s':>16}{'decompress MB/s':>18}{'one tensor ms':>16}"
    )
    for row in rows:
        stored_nbytes = row.stored.stat().st_size
        tensor = "-" if row.tensor_seconds is None else f"{1000 * row.tensor_seconds:.1f}"
        print(
            f"{row.label:14}{stored_nbytes:>14}{100 * stored_nbytes / source_nbytes:>10.2f}"
            f"{source_nbytes / row.compress_seconds / 1e6:>16.0f}"
            f"{source_nbytes / row.decompress_seconds / 1e6:>18.0f}{tensor:>16}"
        )
    if rows[0].stored.read_bytes() == rows[1].stored.read_bytes():
        print(f"\n{LEVELS[1]} wrote the same bytes as {LEVELS[0]}.")
    print(
        f"\n{describe_cpu()}, {os.cpu_count()} logical cores; Python {platform.python_version()}, "
        f"zstandard {zstandard.__version__}.\nAll cores in use, but zstd decodes on one; it has no "
        "way to read one tensor without all that precede it."
    )


def describe_cpu() -> str:
    """The CPU's name where the system tells it, else its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, text = line.partition(":")
            if key.strip() == "model name":
                return text.strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
