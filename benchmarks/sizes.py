# SPDX-License-Identifier: Apache-2.0
"""Sizes and speed of znl and zstd over a folder of weight files, as JSON and as the README's table.

python benchmarks/sizes.py DIR --out benchmarks/results/NAME.json
python benchmarks/sizes.py --table benchmarks/results/NAME.json

For speed; ratio.py compares sizes with all rivals.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

import zipnn_like as znl
from zipnn_like.native import isa_name

ROUNDS = 7


def timed(function: Callable[[], Any]) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def measure(path: Path) -> dict[str, Any]:
    """Sizes in bytes; speeds in bytes a second: one thread, medians of interleaved rounds."""
    source = path.read_bytes()
    room, copy = bytearray(len(source)), bytearray(len(source))
    packer, unpacker = zstandard.ZstdCompressor(level=3), zstandard.ZstdDecompressor()
    ours = znl.compress(source, level="fast", threads=1)
    theirs = packer.compress(source)
    if bytes(znl.decompress(ours)) != source or unpacker.decompress(theirs) != source:
        raise SystemExit(f"{path}: the round trip gives other bytes")
    runs: dict[str, Callable[[], Any]] = {
        "memcpy": lambda: copy.__setitem__(slice(None), source),
        "znl_compress": lambda: znl.compress(source, level="fast", threads=1),
        "znl_decompress": lambda: znl.decompress(ours, out=room, threads=1),
        "zstd_compress": lambda: packer.compress(source),
        "zstd_decompress": lambda: unpacker.decompress(theirs),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            seconds[name].append(timed(run))
    speeds = {name: len(source) / statistics.median(taken) for name, taken in seconds.items()}
    sizes = {"source": len(source), "znl": len(ours), "zstd": len(theirs)}
    return {"file": path.stem, "sizes": sizes, "bytes_per_second": speeds}


def machine() -> dict[str, str]:
    """What the figures depend on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {
        "cpu": model,
        "isa": isa_name(),
        "python": platform.python_version(),
        "zipnn_like": znl.__version__,
        "zstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
    }


def table(results: dict[str, Any]) -> str:
    """The results as Markdown; speeds in MB/s of source."""
    lines = [
        "| file | MB | znl | zstd -3 | znl in / out | zstd in / out |",
        "|---|---|---|---|---|---|",
    ]
    for row in results["files"]:
        sizes, speeds = row["sizes"], row["bytes_per_second"]
        share = {name: 100 * sizes[name] / sizes["source"] for name in ("znl", "zstd")}
        pace = {name: round(speed / 1e6) for name, speed in speeds.items()}
        lines.append(
            f"| {row['file']} | {sizes['source'] / 1e6:.1f} | **{share['znl']:.2f} %** "
            f"| {share['zstd']:.2f} % | {pace['znl_compress']} / {pace['znl_decompress']} "
            f"| {pace['zstd_compress']} / {pace['zstd_decompress']} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, help="folder of .safetensors files")
    parser.add_argument("--out", type=Path, help="write the results here as JSON")
    parser.add_argument("--table", type=Path, help="print the table of a results file and stop")
    args = parser.parse_args()
    if args.table:
        print(table(json.loads(args.table.read_text())))
        return 0
    if not args.folder:
        parser.error("expected a folder, or --table FILE")
    paths = sorted(args.folder.glob("*.safetensors"))
    results = {"machine": machine(), "rounds": ROUNDS, "files": [measure(path) for path in paths]}
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
