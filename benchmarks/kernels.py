# SPDX-License-Identifier: Apache-2.0
"""Speed of compress and decompress by instruction set and dtype, as a ratio to memcpy.

python benchmarks/kernels.py [--mib 4 256] [--isa avx2 ...] [--dtype BF16 ...] [--out FILE.json]

One thread, level `fast`, checksum on, into a warm buffer; every round runs memcpy and both ways of
every instruction set in turn, and the medians of the rounds are compared. A second table has each
kernel by itself, in cache and without Python, and its share of coding a chunk (needs a compiler).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import zipnn_like as znl
from benchmarks.harness import Harness, harness
from benchmarks.sizes import machine
from zipnn_like import dtypes, native
from zipnn_like.segments import CHUNK_VALUES, CHUNK_VALUES_OF_BYTES

ROUNDS = 7
KERNEL_ROUNDS = 31
WAYS = {
    "encode": ("xxh3", "histogram", "split", "rans_encode"),
    "decode": ("rans_decode", "merge", "xxh3"),
}
DTYPES = ("BF16", "F16", "F32", "F8_E4M3", "I8")


def gaussian(dtype: str, nbytes: int) -> bytes:
    """Values as trained weights have them: normal, a scale for each of many rows."""
    rng = np.random.default_rng(20240229)
    count = 8 * nbytes // dtypes.BY_NAME[dtype].bits
    scales = np.repeat(np.exp2(rng.uniform(-6, -4, count // 1024 + 1)), 1024)[:count]
    values = (rng.standard_normal(count, np.float32) * scales).astype(np.float32)
    if dtype == "I8":
        whole: bytes = np.clip(np.rint(values * 800), -127, 127).astype(np.int8).tobytes()
        return whole
    if dtype.startswith("F8"):
        values *= 64
    packed: bytes = values.astype(dtypes.numpy_dtype(dtypes.BY_NAME[dtype])).tobytes()
    return packed


def _seconds(run: Callable[[], Any], repeats: int) -> float:
    """Seconds of `repeats` calls."""
    begun = time.perf_counter()
    for _ in range(repeats):
        run()
    return time.perf_counter() - begun


def measure(dtype: str, nbytes: int, isas: list[str]) -> list[dict[str, Any]]:
    """One row for each instruction set: GB/s and ratios to memcpy."""
    source = gaussian(dtype, nbytes)
    wire = znl.compress(source, dtype=dtype, level="fast", threads=1)
    # Both in large pages, which numpy asks for.
    room, copy = np.empty(len(source), np.uint8), np.empty(len(source), np.uint8)
    view = np.frombuffer(source, np.uint8)
    seconds: dict[str, list[float]] = {}

    def note(name: str, taken: float) -> None:
        seconds.setdefault(name, []).append(taken)

    repeats = max(1, (64 << 20) // nbytes)
    for _ in range(ROUNDS):
        for isa in isas:
            native.use(isa)
            note("memcpy", _seconds(lambda: np.copyto(copy, view), repeats))
            note(f"{isa} in", _seconds(lambda: _compress(source, dtype), repeats))
            note(f"{isa} out", _seconds(lambda: _decompress(wire, room), repeats))
    if room.tobytes() != source:
        raise SystemExit(f"{dtype}: the round trip gives other bytes")
    median = {name: statistics.median(taken) / repeats for name, taken in seconds.items()}
    return [
        {
            "dtype": dtype,
            "mib": nbytes >> 20,
            "isa": isa,
            "stored": len(wire) / len(source),
            "memcpy_gbs": len(source) / median["memcpy"] / 1e9,
            "compress_gbs": len(source) / median[f"{isa} in"] / 1e9,
            "decompress_gbs": len(source) / median[f"{isa} out"] / 1e9,
            "compress_ratio": median["memcpy"] / median[f"{isa} in"],
            "decompress_ratio": median["memcpy"] / median[f"{isa} out"],
        }
        for isa in isas
    ]


def _compress(source: bytes, dtype: str) -> bytes:
    return znl.compress(source, dtype=dtype, level="fast", threads=1)


def _decompress(wire: bytes, room: np.ndarray[Any, Any]) -> None:
    znl.decompress(wire, out=room, threads=1)


def measure_kernels(built: Harness, dtype: str, isa: str) -> dict[str, Any]:
    """GB/s of source bytes for each kernel in cache, and what share of its way each one takes."""
    source = gaussian(dtype, 4 << 20)
    chunk_values = CHUNK_VALUES if dtypes.BY_NAME[dtype].width > 1 else CHUNK_VALUES_OF_BYTES
    seconds = built.seconds(source, dtype, isa, chunk_values, KERNEL_ROUNDS)
    shares = {
        way: {kernel: seconds[kernel] / seconds[way] for kernel in kernels}
        for way, kernels in WAYS.items()
    }
    speeds = {kernel: len(source) / taken / 1e9 for kernel, taken in seconds.items()}
    return {"dtype": dtype, "isa": isa, "gbs": speeds, "shares": shares}


def kernel_table(rows: list[dict[str, Any]]) -> str:
    """The rows of measure_kernels as Markdown: GB/s, with the share of its way in brackets."""
    kernels = [kernel for kernels in WAYS.values() for kernel in kernels]
    lines = [
        "| dtype | isa | "
        + " | ".join([*WAYS, *(f"{kernel} ({way})" for way in WAYS for kernel in WAYS[way])])
        + " |",
        "|---" * (2 + len(WAYS) + len(kernels)) + "|",
    ]
    for row in rows:
        cells = [f"{row['gbs'][way]:.2f}" for way in WAYS]
        cells += [
            f"{row['gbs'][kernel]:.1f} ({100 * row['shares'][way][kernel]:.0f} %)"
            for way in WAYS
            for kernel in WAYS[way]
        ]
        lines.append(f"| {row['dtype']} | {row['isa']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| dtype | MiB | isa | stored | memcpy GB/s | in GB/s | x memcpy | out GB/s | x memcpy |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['dtype']} | {r['mib']} | {r['isa']} | {100 * r['stored']:.2f} % "
        f"| {r['memcpy_gbs']:.1f} | {r['compress_gbs']:.2f} | {r['compress_ratio']:.3f} "
        f"| {r['decompress_gbs']:.2f} | {r['decompress_ratio']:.3f} |"
        for r in rows
    ]
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--mib", type=int, nargs="+", default=[4, 256], help="sizes of the source")
    parser.add_argument("--isa", nargs="+", default=native.isas(), choices=native.isas())
    parser.add_argument("--dtype", nargs="+", default=list(DTYPES), choices=DTYPES)
    parser.add_argument("--out", type=Path, help="write the rows here as JSON")
    parser.add_argument("--cc", default="cc", help="C compiler for the kernels by themselves")
    args = parser.parse_args()
    rows = [
        row
        for mib in args.mib
        for dtype in args.dtype
        for row in measure(dtype, mib << 20, args.isa)
    ]
    with harness(args.cc) as built:
        kernels = [measure_kernels(built, dtype, isa) for dtype in args.dtype for isa in args.isa]
    if args.out:
        results = {"machine": machine(), "rounds": ROUNDS, "rows": rows, "kernels": kernels}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(rows), kernel_table(kernels), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
