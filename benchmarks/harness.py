# SPDX-License-Identifier: Apache-2.0
"""Builds and runs kernel_bench.c: each kernel of the C core by itself."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zipnn_like import dtypes, native

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ("-std=c11", "-O3", "-Icsrc")  # as the extension is built


def compiler_version(compiler: str) -> str:
    """The first line that the compiler says of itself."""
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.splitlines()[0]


class Harness:
    """A built kernel_bench."""

    def __init__(self, folder: Path, compiler: str) -> None:
        self._folder = folder
        self._program = folder / "kernel_bench"
        sources = ["benchmarks/kernel_bench.c", *(str(p) for p in sorted(ROOT.glob("csrc/*.c")))]
        subprocess.run(
            [compiler, *FLAGS, "-g", "-o", self._program, *sources], cwd=ROOT, check=True
        )

    def command(
        self, source: bytes, dtype: str, isa: str, chunk_values: int, rounds: int
    ) -> list[str]:
        """The command that runs all kernels over these values."""
        path = self._folder / "source.bin"
        path.write_bytes(source)
        code, number = dtypes.BY_NAME[dtype].code, native.ISAS[isa]
        return [
            str(self._program),
            str(path),
            *map(str, (code, number, chunk_values, rounds)),
        ]

    def seconds(
        self, source: bytes, dtype: str, isa: str, chunk_values: int, rounds: int
    ) -> dict[str, float]:
        """Seconds of each kernel over all of `source`: medians of rounds, kernels in turn."""
        command = self.command(source, dtype, isa, chunk_values, rounds)
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in said.splitlines()]
        return {name: float(nanoseconds) / 1e9 for name, _, nanoseconds in rows}


@contextmanager
def harness(compiler: str) -> Iterator[Harness]:
    """A Harness in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        yield Harness(Path(folder), compiler)
