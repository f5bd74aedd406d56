# SPDX-License-Identifier: Apache-2.0
"""Level fast against ZipNN: speeds of one thread on one core, every instruction set in turn.

python benchmarks/zipnn_speed.py FILE.safetensors [--dtype BF16] [--runs 5] [--out FILE.json]

What lies behind the header of the file is given to both as values of one dtype. A run is 7 rounds,
each of which compresses and restores once with every program, and takes the medians; the range of
several runs says how far to trust them. ZipNN is asked for threads=1 and its other defaults; it
changes the buffers that it gets, so each round gives it copies, made outside of the clock.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import zipnn_like as znl
from benchmarks.sizes import machine
from zipnn_like import native

ROUNDS = 7
DTYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}  # as ZipNN spells them
ZIPNN = "zipnn"


def values_of(path: Path) -> bytes:
    """All that lies behind the header of a safetensors file."""
    source = path.read_bytes()
    return source[8 + int.from_bytes(source[:8], "little") :]


def seconds(call: Callable[[], object]) -> tuple[float, Any]:
    """How long a call takes, and what it returns."""
    begun = time.perf_counter()
    result = call()
    return time.perf_counter() - begun, result


class Rival:
    """ZipNN with one thread."""

    def __init__(self, dtype: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from zipnn import ZipNN
        self._options = {"input_format": "byte", "bytearray_dtype": DTYPES[dtype], "threads": 1}
        self._program = ZipNN

    def compress(self, source: bytes) -> tuple[float, bytes]:
        """Seconds, and what it makes of the source."""
        copy, program = bytearray(source), self._program(**self._options)
        taken, wire = seconds(lambda: program.compress(copy))
        return taken, bytes(wire)

    def decompress(self, wire: bytes) -> tuple[float, bytes]:
        """Seconds, and what it restores."""
        copy, program = bytearray(wire), self._program(**self._options)
        taken, restored = seconds(lambda: program.decompress(copy))
        return taken, bytes(restored)


class Own:
    """Level fast with one thread and one instruction set, restoring into a warm buffer."""

    def __init__(self, isa: str, dtype: str, nbytes: int) -> None:
        self._isa, self._dtype, self._room = isa, dtype, bytearray(nbytes)

    def compress(self, source: bytes) -> tuple[float, bytes]:
        """Seconds, and the stream."""
        native.use(self._isa)
        return seconds(lambda: znl.compress(source, dtype=self._dtype, level="fast", threads=1))

    def decompress(self, wire: bytes) -> tuple[float, bytearray]:
        """Seconds, and the restored values."""
        native.use(self._isa)
        taken, _ = seconds(lambda: znl.decompress(wire, out=self._room, threads=1))
        return taken, self._room


def measure(programs: dict[str, Rival | Own], source: bytes) -> list[dict[str, Any]]:
    """One run: a row for each program."""
    wires = {name: program.compress(source)[1] for name, program in programs.items()}
    for name, program in programs.items():
        if program.decompress(wires[name])[1] != source:
            raise SystemExit(f"{name}: expected the source again, found other bytes")
    ways: dict[str, dict[str, list[float]]] = {name: {"in": [], "out": []} for name in programs}
    for _ in range(ROUNDS):
        for name, program in programs.items():
            ways[name]["in"].append(program.compress(source)[0])
            ways[name]["out"].append(program.decompress(wires[name])[0])
    medians = {
        name: {way: statistics.median(t) for way, t in w.items()} for name, w in ways.items()
    }
    return [
        {
            "program": name,
            "size": len(wires[name]) / len(source),
            "gbs": {way: len(source) / taken / 1e9 for way, taken in found.items()},
            "times_zipnn": {way: medians[ZIPNN][way] / taken for way, taken in found.items()},
        }
        for name, found in medians.items()
    ]


def spread(values: list[float]) -> str:
    """The range of all runs."""
    return f"{min(values):.2f} to {max(values):.2f}"


def table(runs: list[list[dict[str, Any]]]) -> str:
    """The runs as Markdown: ranges, and the medians of the ratios."""
    lines = [
        "| program | % of the source | in, GB/s | x ZipNN, median (range) "
        "| out, GB/s | x ZipNN, median (range) |",
        "|---|---|---|---|---|---|",
    ]
    for rows in zip(*runs, strict=True):
        cells = [rows[0]["program"], f"{100 * rows[0]['size']:.2f}"]
        for way in ("in", "out"):
            times = [row["times_zipnn"][way] for row in rows]
            cells.append(spread([row["gbs"][way] for row in rows]))
            cells.append(f"{statistics.median(times):.2f} ({spread(times)})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", type=Path, help="a safetensors file")
    parser.add_argument("--dtype", default="BF16", choices=DTYPES, help="of the values in it")
    parser.add_argument("--runs", type=int, default=5, help=f"runs of {ROUNDS} rounds")
    parser.add_argument("--isa", nargs="+", default=native.isas(), choices=native.isas())
    parser.add_argument("--out", type=Path, help="write all runs here as JSON")
    args = parser.parse_args()
    if importlib.util.find_spec(ZIPNN) is None:
        parser.error("expected zipnn, which is not installed here: pip install zipnn==0.5.4")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    source = values_of(args.source)
    programs: dict[str, Rival | Own] = {ZIPNN: Rival(args.dtype)}
    programs |= {isa: Own(isa, args.dtype, len(source)) for isa in args.isa}
    runs = [measure(programs, source) for _ in range(args.runs)]
    if args.out:
        results = {
            "machine": machine() | {ZIPNN: importlib.metadata.version(ZIPNN)},
            "source": {"file": args.source.name, "dtype": args.dtype, "nbytes": len(source)},
            "rounds": ROUNDS,
            "runs": runs,
        }
        args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
