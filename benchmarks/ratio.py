# SPDX-License-Identifier: Apache-2.0
"""Stored sizes of znl and its rivals over weight files: all headers counted, round trips verified.

python benchmarks/ratio.py DIR --json benchmarks/results/ratio.json
python benchmarks/ratio.py --table benchmarks/results/ratio.json --markdown

Every rival that is installed runs (`pip install .[bench]`; benchmarks/rivals/), each over one file
in a process of its own with a time limit. docs/ratio.md has the rules.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import zstandard

import zipnn_like as znl
from benchmarks import rivals
from benchmarks.rivals.way import UNFINISHED

ROOT = Path(__file__).resolve().parent.parent
LEVELS = ("fast", "default")  # `max` codes as `default` does: by name only
TIME_LIMIT = 1800.0


def own_nbytes(path: Path, level: str) -> int:
    """The stored size at a level, once the round trip has been checked."""
    with tempfile.TemporaryDirectory() as folder:
        stored, restored = Path(folder, "stored.znl"), Path(folder, "restored")
        znl.compress_file(path, stored, level=level)
        znl.decompress_file(stored, restored)
        if restored.read_bytes() != path.read_bytes():
            raise SystemExit(f"{path}: level {level}: the round trip gives other bytes")
        return stored.stat().st_size


def rival_result(name: str, path: Path, time_limit: float) -> dict[str, Any]:
    """The size of a rival's best way, and what each of its ways gave."""
    absent = rivals.missing(name)
    if absent:
        return {"nbytes": None, "failure": f"not installed: {', '.join(absent)}"}
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.json")
        ended = run_rival(name, path, results, Path(folder), time_limit)
        ways = json.loads(results.read_text()) if results.exists() else {}
        for way, result in ways.items():
            if isinstance(result, str):
                reason = ended if result == UNFINISHED else result
                ways[way] = without_paths(reason, Path(folder), path.resolve().parent)
    sizes = {way: result for way, result in ways.items() if isinstance(result, int)}
    if not sizes:
        failure = next(iter(ways.values()), without_paths(ended, Path(folder)))
        return {"nbytes": None, "failure": failure, "ways": ways}
    best = min(sizes, key=sizes.__getitem__)
    return {"nbytes": sizes[best], "way": best, "ways": ways}


def run_rival(name: str, path: Path, results: Path, folder: Path, time_limit: float) -> str:
    """Run all ways of a rival. Returns how it ended, for ways that have no result."""
    command = [sys.executable, "-m", "benchmarks.rivals", name, str(path.resolve()), str(results)]
    said = folder / "stderr"
    with said.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            status = process.wait(time_limit)
        except subprocess.TimeoutExpired:
            kill(process)
            return f"not done within {time_limit:g} s"
        except BaseException:
            kill(process)
            raise
    if status < 0:
        return f"killed by signal {-status}"
    lines = said.read_text(errors="replace").split("\n")
    last = [line for line in lines if line.strip()][-1:] or [""]
    return f"exit status {status}: {last[0]}"[:200]


def without_paths(said: str, *folders: Path) -> str:
    """What a rival said, without this machine's folders."""
    for folder in (*folders, ROOT, Path(sys.prefix)):
        said = said.replace(f"{folder}{os.sep}", "")
    return said


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a rival and the processes it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def measure(
    path: Path, levels: Sequence[str], names: Sequence[str], time_limit: float
) -> dict[str, Any]:
    """Stored sizes of one file, in bytes."""
    source = path.read_bytes()
    print(f"{path.stem} ...", file=sys.stderr, flush=True)
    ours = {level: own_nbytes(path, level) for level in levels}
    theirs: dict[str, dict[str, Any]] = {}
    for name in names:
        theirs[name] = rival_result(name, path, time_limit)
        size, failure = theirs[name]["nbytes"], theirs[name].get("failure")
        outcome = failure if size is None else share(size, len(source))
        print(f"  {name} {outcome}", file=sys.stderr, flush=True)
    sizes = {name: result["nbytes"] for name, result in theirs.items() if result["nbytes"]}
    return {
        "file": path.stem,
        "nbytes": len(source),
        "sha256": hashlib.sha256(source).hexdigest(),
        "levels": ours,
        "rivals": theirs,
        "best_rival": min(sizes, key=sizes.__getitem__) if sizes else None,
    }


def versions(names: Sequence[str]) -> dict[str, Any]:
    """What the sizes depend on."""
    return {
        "zipnn_like": znl.__version__,
        "libzstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
        "python": platform.python_version(),
        "rivals": {
            package: rivals.package_version(package)
            for package in sorted({package for name in names for package in rivals.PACKAGES[name]})
        },
    }


def share(nbytes: int | None, of: int) -> str:
    """A size in % of the original."""
    return "-" if nbytes is None else f"{100 * nbytes / of:.2f}"


def rows(results: dict[str, Any]) -> list[list[str]]:
    """The table: a head, a row for each file, and totals where all files have a size."""
    files = results["files"]
    levels, names = results["levels"], results["rivals"]
    table = [["file", "MB", *levels, *(name.replace("_", " -") for name in names), "best rival"]]
    for row in files:
        best = row["best_rival"]
        sizes = [row["levels"][level] for level in levels]
        sizes += [row["rivals"][name]["nbytes"] for name in names]
        cells = [share(size, row["nbytes"]) for size in sizes]
        table.append([row["file"], f"{row['nbytes'] / 1e6:.1f}", *cells, label(best)])
    total = sum(row["nbytes"] for row in files)
    columns = [[row["levels"][level] for row in files] for level in levels]
    columns += [[row["rivals"][name]["nbytes"] for row in files] for name in names]
    cells = [share(None if None in column else sum(column), total) for column in columns]
    table.append(["all", f"{total / 1e6:.1f}", *cells, best_overall(results)])
    return table


def best_overall(results: dict[str, Any]) -> str:
    """The sum of the best rival's sizes, file by file, in % of all files."""
    best = [
        row["rivals"][row["best_rival"]]["nbytes"] for row in results["files"] if row["best_rival"]
    ]
    if not best or len(best) < len(results["files"]):
        return "-"
    return share(sum(best), sum(row["nbytes"] for row in results["files"]))


def label(name: str | None) -> str:
    """A rival's name as tables show it."""
    return "-" if name is None else name.replace("_", " -")


def failures(results: dict[str, Any]) -> list[str]:
    """A line for each rival that has no size for a file, and for each way that failed."""
    lines: dict[str, list[str]] = {}
    for row in results["files"]:
        for name, result in row["rivals"].items():
            ended = {f"{label(name)} ({way})": of for way, of in result.get("ways", {}).items()}
            for what, of in (ended or {label(name): result.get("failure")}).items():
                if isinstance(of, str):
                    lines.setdefault(f"{what}: {of}", []).append(row["file"])
    return [f"{line} [{', '.join(files)}]" for line, files in lines.items()]


def render(results: dict[str, Any], *, markdown: bool) -> str:
    """The table and what failed, as Markdown or as columns."""
    table = rows(results)
    if markdown:
        lines = [f"| {' | '.join(row)} |" for row in table]
        lines.insert(1, "|---" * len(table[0]) + "|")
        return "\n".join([*lines, *(f"\n- {line}" for line in failures(results))])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in table]
    return "\n".join([*lines, *failures(results)])


def find(paths: Sequence[Path]) -> list[Path]:
    """The files given, and the safetensors files of folders given."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    return found


def write(path: Path, results: dict[str, Any]) -> None:
    """Results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="DIR", help="folders of .safetensors files, or files"
    )
    parser.add_argument(
        "--levels", nargs="+", default=list(LEVELS), choices=("fast", "default", "max")
    )
    parser.add_argument(
        "--rivals",
        nargs="*",
        default=list(rivals.PACKAGES),
        choices=list(rivals.PACKAGES),
        help="only these (none after --rivals: none)",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=TIME_LIMIT,
        metavar="SECONDS",
        help="for one rival and one file (default: %(default)g)",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the results here")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument(
        "--table", type=Path, metavar="RESULTS", help="print the table of a results file and stop"
    )
    args = parser.parse_args(argv)
    if not args.table and not find(args.paths):
        parser.error("expected a folder with .safetensors files, or --table RESULTS")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    args = parse(argv)
    if args.table:
        print(render(json.loads(args.table.read_text()), markdown=args.markdown))
        return 0
    results: dict[str, Any] = {
        "versions": versions(args.rivals),
        "levels": args.levels,
        "rivals": args.rivals,
        "files": [],
    }
    for path in find(args.paths):
        results["files"].append(measure(path, args.levels, args.rivals, args.time_limit))
        if args.json:  # after each file: a run over many takes long
            write(args.json, results)
    print(render(results, markdown=args.markdown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
