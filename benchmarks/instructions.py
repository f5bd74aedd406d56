# SPDX-License-Identifier: Apache-2.0
"""Instructions a value of each kernel, counted by valgrind: the same on every machine.

python benchmarks/instructions.py [--cc gcc] [--isa scalar ...] [--dtype BF16 ...] [--out FILE.json]

Counts depend on the compiler, so it is part of the result, and results of two compilers do not
compare. valgrind knows no AVX-512: the levels are those up to AVX2.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.harness import Harness, compiler_version, harness
from benchmarks.kernels import gaussian
from zipnn_like import dtypes, native

KERNELS = (
    "xxh3",
    "histogram",
    "split",
    "rans_encode",
    "rans_decode",
    "merge",
    "encode",
    "decode",
)
ISAS = ("scalar", "sse4", "avx2")
DTYPES = ("BF16", "F32", "F16", "F8_E4M3")
CHUNK_VALUES = 1 << 15
CHUNKS = 2
COLLECTED = re.compile(r"Collected : (\d+)")


def count(built: Harness, source: bytes, dtype: str, isa: str, kernel: str) -> float:
    """Instructions a value."""
    command = built.command(source, dtype, isa, CHUNK_VALUES, 1)
    said = subprocess.run(
        [
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            "--toggle-collect=measured*",
            *command,
            kernel,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found = COLLECTED.search(said.stderr)
    if found is None:
        raise SystemExit(f"valgrind: expected a line 'Collected', found:\n{said.stderr}")
    return int(found[1]) / (CHUNKS * CHUNK_VALUES)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = ["| dtype | isa | " + " | ".join(KERNELS) + " |", "|---" * (len(KERNELS) + 2) + "|"]
    lines += [
        f"| {r['dtype']} | {r['isa']} | " + " | ".join(f"{r[k]:.2f}" for k in KERNELS) + " |"
        for r in rows
    ]
    return "\n".join(lines)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cc", default="gcc", help="C compiler, part of the result")
    parser.add_argument("--isa", nargs="+", default=list(ISAS), choices=ISAS)
    parser.add_argument("--dtype", nargs="+", default=list(DTYPES), choices=DTYPES)
    parser.add_argument("--out", type=Path, help="write the rows here as JSON")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with harness(args.cc) as built:
        for dtype in args.dtype:
            width = dtypes.BY_NAME[dtype].width
            source = gaussian(dtype, CHUNKS * CHUNK_VALUES * width)
            for isa in [isa for isa in args.isa if isa in native.isas()]:
                counts = {k: count(built, source, dtype, isa, k) for k in KERNELS}
                rows.append({"dtype": dtype, "isa": isa, **counts})
    if args.out:
        results = {"compiler": compiler_version(args.cc), "rows": rows}
        args.out.write_text(json.dumps(results, indent=1) + "\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
