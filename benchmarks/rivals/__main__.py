# SPDX-License-Identifier: Apache-2.0
"""Run all ways of one rival over one file, in a process of its own: rivals crash and hang.

python -m benchmarks.rivals NAME SOURCE RESULTS

RESULTS is rewritten after each way: {way: size}, or {way: why there is none}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from . import load_ways
from .way import UNFINISHED, Way


def run(way: Way, source: bytes) -> int | str:
    """The stored size, once the round trip has been checked, or why there is none."""
    try:
        wire = way.compress(bytes(bytearray(source)))  # a copy: ZipNN writes into its input
        restored = way.decompress(wire)
    except Exception as error:  # whatever a rival raises is its result
        said = (str(error).splitlines() or [""])[0]
        return f"{type(error).__name__}: {said}"[:200]
    if restored != source:
        return "the round trip gives other bytes"
    return len(wire)


def main(name: str, source_path: str, results_path: str) -> None:
    """Command line."""
    source = Path(source_path).read_bytes()
    ways = load_ways(name)
    results: dict[str, int | str] = dict.fromkeys(ways, UNFINISHED)
    for setting, way in ways.items():
        Path(results_path).write_text(json.dumps(results))
        results[setting] = run(way, source)
    Path(results_path).write_text(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
