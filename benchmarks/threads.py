# SPDX-License-Identifier: Apache-2.0
"""Two threads against one: compress, decompress and, beside them, memcpy, in cache and in memory.

python benchmarks/threads.py [--threads 2] [--mib 4 256] [--dtype BF16] [--out FILE.json]

Each of N threads runs the same single-threaded job on its own buffers (how a server decodes many
streams), and one call runs with threads=N (how a file is decoded). The gain is work done in a
second by N over work done by one; memcpy on N threads shows what the memory allows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import zipnn_like as znl
from benchmarks.kernels import DTYPES, gaussian
from benchmarks.sizes import machine

ROUNDS = 9
SECONDS = 0.1  # of a measurement, at least


class Job:
    """The buffers of one thread."""

    def __init__(self, source: bytes, dtype: str) -> None:
        self.source, self.dtype = bytes(bytearray(source)), dtype  # pages of its own
        self.wire = znl.compress(source, dtype=dtype, level="fast", threads=1)
        self.room = bytearray(len(source))
        self.copy, self.view = np.empty(len(source), np.uint8), np.frombuffer(self.source, np.uint8)

    def memcpy(self, threads: int) -> None:
        """One copy; `threads` is not used."""
        np.copyto(self.copy, self.view)

    def compress(self, threads: int) -> None:
        """One stream."""
        znl.compress(self.source, dtype=self.dtype, level="fast", threads=threads)

    def decompress(self, threads: int) -> None:
        """One source, into a warm buffer."""
        znl.decompress(self.wire, out=self.room, threads=threads)


def rate(pool: ThreadPoolExecutor, runs: list[Callable[[int], None]], threads: int) -> float:
    """Calls a second, all of `runs` at the same time."""
    runs[0](threads)
    begun = time.perf_counter()
    runs[0](threads)
    repeats = max(1, round(SECONDS / (time.perf_counter() - begun)))

    def repeat(run: Callable[[int], None]) -> None:
        for _ in range(repeats):
            run(threads)

    begun = time.perf_counter()
    list(pool.map(repeat, runs))
    return len(runs) * repeats / (time.perf_counter() - begun)


def measure(mib: int, dtype: str, threads: int) -> list[dict[str, Any]]:
    """One row for each job: gains of N independent threads, and of one call with N threads."""
    source = gaussian(dtype, mib << 20)
    jobs = [Job(source, dtype) for _ in range(threads)]
    gains: dict[str, dict[str, list[float]]] = {}
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(ROUNDS):
            for name in ("memcpy", "compress", "decompress"):
                runs = [getattr(job, name) for job in jobs]
                one = rate(pool, runs[:1], 1)
                found = gains.setdefault(name, {"apart": [], "together": [], "gbs": []})
                found["gbs"].append(one * len(source) / 1e9)
                found["apart"].append(rate(pool, runs, 1) / one)
                found["together"].append(rate(pool, runs[:1], threads) / one)
    return [
        {"job": name, "mib": mib, "dtype": dtype, "threads": threads}
        | {kind: statistics.median(values) for kind, values in found.items()}
        for name, found in gains.items()
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| job | MiB | one thread, GB/s | each its own stream | one stream |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['job']} | {r['mib']} | {r['gbs']:.2f} | {r['apart']:.2f} x | "
        f"{'' if r['job'] == 'memcpy' else f'{together:.2f} x'} |"
        for r in rows
        for together in [r["together"]]
    ]
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mib", type=int, nargs="+", default=[4, 256], help="sizes of the source")
    parser.add_argument("--dtype", default="BF16", choices=DTYPES)
    parser.add_argument("--out", type=Path, help="write the rows here as JSON")
    args = parser.parse_args()
    rows = [row for mib in args.mib for row in measure(mib, args.dtype, args.threads)]
    if args.out:
        results = {"machine": machine(), "rounds": ROUNDS, "rows": rows}
        args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
