# SPDX-License-Identifier: Apache-2.0
"""Imports and includes point downwards: each module knows only what lies below it.

A new module needs a row in a table here; a row that must move up or down is a design decision.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "zipnn_like"
CSRC = ROOT / "csrc"
NAME = "zipnn_like"

# Lowest first; a module may import from the rows above its own only. A package in a row stands for
# all that is in it; its own modules may import one another.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("_version", "errors", "_native"),
    ("dtypes", "inputs", "levels", "native", "parallel", "report"),
    ("buffers", "transforms"),
    ("format", "outputs", "segments", "sources"),
    ("samples",),
    ("chunk_codec", "composed_body", "directory", "rows"),
    ("composed_chunk",),
    ("composed",),
    ("batch_codec", "contents", "stream_reader", "stream_writer"),
    ("compressor", "random_reader", "restorer"),
    ("files", "memory"),
    ("archive", "writer"),
    ("self_test",),
    ("__init__", "doctor"),
    ("cli",),
    ("__main__",),
)
LAYER = {module: number for number, row in enumerate(LAYERS) for module in row}
ALONE = {"reference": {"errors", "reference"}, "_ffi_build": set()}  # what each may import of us
THIRD_PARTIES = {
    "": {"ml_dtypes", "numpy", "typing_extensions", "zstandard", "_typeshed"},
    "reference": {"numba", "numpy", "zstandard"},
    "_ffi_build": {"cffi"},
}

# The same for csrc: families of files, named by what stands before the first underscore.
C_LAYERS: tuple[tuple[str, ...], ...] = (
    ("bytes", "errors", "target", "zipnn"),
    ("format", "pages", "vector"),
    ("checksum", "cpu", "expand", "layout"),
    ("table",),
    ("classes", "moves", "planes", "rans", "scaled", "scores", "second"),
    ("fused",),
    ("kernels",),
    ("reduced",),
    ("arrangement",),
    ("contexts", "static"),
    ("scales",),
    ("measure",),
    ("arranged",),
    ("chunk", "sample", "stream"),
)
C_LAYER = {family: number for number, row in enumerate(C_LAYERS) for family in row}
C_FAMILY = {"universal": "table"}  # where the name alone does not tell
C_SYSTEM = {"stddef.h", "stdint.h", "string.h"}
C_ISA_HEADERS = {"immintrin.h", "arm_neon.h", "intrin.h", "cpuid.h", "sys/auxv.h", "asm/hwcap.h"}
C_OS_HEADERS = {"pages.c": {"sys/mman.h"}}
C_ISA_FILE = re.compile(r".*_(sse4|avx2|avx512|neon)\.c|cpu\.c")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def unit_of(path: Path) -> str:
    """The row entry a file belongs to: the module, or the package it is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[str]:
    """Absolute names of what a module imports, wherever in it: `zipnn_like.errors`, `numpy` ..."""
    package = (NAME, *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def units_imported(path: Path) -> Iterator[tuple[str, str]]:
    """(unit of ours, or "", top name of a foreign package) of each import."""
    for name in imports_of(path):
        top, *rest = name.split(".")
        if top != NAME:
            yield "", top
            continue
        is_ours = rest and ((PACKAGE / rest[0]).is_dir() or (PACKAGE / f"{rest[0]}.py").exists())
        yield (rest[0] if is_ours or rest[:1] == ["_native"] else "__init__"), ""


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_from_lower_layers_only(path: Path) -> None:
    unit = unit_of(path)
    assert unit in LAYER or unit in ALONE, f"{unit}: give it a row in LAYERS"
    for imported, _ in units_imported(path):
        if imported in ("", unit):
            continue
        if unit in ALONE:
            assert imported in ALONE[unit], f"{unit} imports {imported}"
        else:
            assert imported in LAYER, f"{unit} imports {imported}, which stands alone"
            assert LAYER[imported] < LAYER[unit], f"{unit} imports {imported} upwards"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_few_packages(path: Path) -> None:
    allowed = THIRD_PARTIES.get(unit_of(path), THIRD_PARTIES[""]) | sys.stdlib_module_names
    foreign = {package for ours, package in units_imported(path) if not ours}
    assert foreign <= allowed, foreign - allowed


def test_only_native_imports_the_extension() -> None:
    users = {
        unit_of(path)
        for path in modules()
        for imported, _ in units_imported(path)
        if imported == "_native"
    }
    assert users == {"native"}


def test_every_row_is_of_a_module() -> None:
    units = {unit_of(path) for path in modules()}
    assert set(LAYER) | set(ALONE) == units | {"_native"}
    assert len(LAYER) == sum(map(len, LAYERS))


def c_files() -> list[Path]:
    return sorted([*CSRC.glob("*.c"), *CSRC.glob("*.h")])


def family_of(name: str) -> str:
    stem = re.split(r"[._]", name)[0]
    return C_FAMILY.get(stem, stem)


@pytest.mark.parametrize("path", c_files(), ids=lambda path: path.name)
def test_a_c_file_includes_lower_layers_only(path: Path) -> None:
    family = family_of(path.name)
    assert family in C_LAYER, f"{family}: give it a row in C_LAYERS"
    text = path.read_text(encoding="utf-8")
    for included in re.findall(r'^\s*#\s*include\s*"([^"]+)"', text, re.MULTILINE):
        assert (CSRC / included).exists(), included
        below = family_of(included)
        assert below == family or C_LAYER[below] < C_LAYER[family], included
    system = set(re.findall(r"^\s*#\s*include\s*<([^>]+)>", text, re.MULTILINE))
    allowed = C_SYSTEM | (C_ISA_HEADERS if C_ISA_FILE.fullmatch(path.name) else set())
    allowed |= C_OS_HEADERS.get(path.name, set())
    assert system <= allowed, system - allowed


def test_every_row_is_of_a_c_family() -> None:
    assert {family_of(path.name) for path in c_files()} == set(C_LAYER)
