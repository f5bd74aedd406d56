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
from functools import partial
from pathlib import Path
from typing import Any

import zstandard

import zipnn_like as znl
from zipnn_like.native import isa_name

ROUNDS = 7
LEVELS = ("default", "fast")


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
    ours = {level: znl.compress(source, level=level, threads=1) for level in LEVELS}
    theirs = packer.compress(source)
    same = [bytes(znl.decompress(stream)) == source for stream in ours.values()]
    if not all(same) or unpacker.decompress(theirs) != source:
        raise SystemExit(f"{path}: the round trip gives other bytes")
    runs: dict[str, Callable[[], Any]] = {"memcpy": lambda: copy.__setitem__(slice(None), source)}
    for level, stream in ours.items():
        runs[f"{level}_compress"] = partial(znl.compress, source, level=level, threads=1)
        runs[f"{level}_decompress"] = partial(znl.decompress, stream, out=room, threads=1)
    runs["zstd_compress"] = lambda: packer.compress(source)
    runs["zstd_decompress"] = lambda: unpacker.decompress(theirs)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            seconds[name].append(timed(run))
    speeds = {name: len(source) / statistics.median(taken) for name, taken in seconds.items()}
    sizes = {"source": len(source), "zstd": len(theirs)}
    sizes |= {level: len(stream) for level, stream in ours.items()}
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
        "| file | MB | default | fast | zstd -3 | in / out: default | fast | zstd -3 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in results["files"]:
        sizes, speeds = row["sizes"], row["bytes_per_second"]
        names = [*LEVELS, "zstd"]
        share = [f"{100 * sizes[name] / sizes['source']:.2f} %" for name in names]
        pace = [
            f"{speeds[f'{name}_compress'] / 1e6:.0f} / {speeds[f'{name}_decompress'] / 1e6:.0f}"
            for name in names
        ]
        share[0] = f"**{share[0]}**"
        cells = [row["file"], f"{sizes['source'] / 1e6:.1f}", *share, *pace]
        lines.append(f"| {' | '.join(cells)} |")
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
    if not paths:
        parser.error(f"{args.folder}: expected .safetensors files, found none")
    results = {"machine": machine(), "rounds": ROUNDS, "files": [measure(path) for path in paths]}
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
