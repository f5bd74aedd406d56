# SPDX-License-Identifier: Apache-2.0
"""What is shipped: the contents of the sdist, the `znl` script, and what an import pulls in."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SDIST_INPUTS = ("csrc", "docs", "tests", "benchmarks", "zipnn_like")
BUILD_SDIST = "import sys, setuptools.build_meta as b; print(b.build_sdist(sys.argv[1]))"


def run_python(code: str, *args: str, cwd: Path = ROOT) -> str:
    """What `code` prints in a new interpreter; fails with its errors when it fails."""
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy_sources(target: Path) -> None:
    """The files that git would track, without build products, so the checkout stays untouched."""
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", ".hypothesis", "_native.c")
    for folder in SDIST_INPUTS:
        shutil.copytree(ROOT / folder, target / folder, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, target)


@pytest.fixture(scope="module")
def sdist_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Paths inside the sdist, without its leading folder."""
    if int(metadata.version("setuptools").partition(".")[0]) < 77:
        pytest.skip("building the sdist here needs setuptools >= 77 (the dev extra has it)")
    sources = tmp_path_factory.mktemp("sources")
    copy_sources(sources)
    output = run_python(BUILD_SDIST, str(sources), cwd=sources)
    with tarfile.open(sources / output.splitlines()[-1]) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


@pytest.mark.parametrize("pattern", ["csrc/*.[ch]", "docs/*.md", "tests/**/*.py", "tests/c/*.c"])
def test_sdist_holds_every_source(sdist_names: set[str], pattern: str) -> None:
    expected = {path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern)}
    assert expected, "the pattern matches nothing in the checkout"
    assert expected <= sdist_names


@pytest.mark.parametrize(
    "name",
    ["docs/format.md", "zipnn_like/_ffi_build.py", "zipnn_like/py.typed", "setup.py", "LICENSE"],
)
def test_sdist_holds(sdist_names: set[str], name: str) -> None:
    assert name in sdist_names


def test_sdist_holds_no_build_products(sdist_names: set[str]) -> None:
    assert not [name for name in sdist_names if name.endswith((".so", ".pyd", ".pyc", ".o"))]


def test_znl_script_resolves() -> None:
    scripts = metadata.entry_points(group="console_scripts", name="znl")
    if not scripts:
        pytest.skip("zipnn_like is imported from a checkout that is not installed")
    from zipnn_like import cli

    assert {script.load() for script in scripts} == {cli.main}


def test_version_is_that_of_the_distribution() -> None:
    import zipnn_like

    try:
        installed = metadata.version("zipnn_like")
    except metadata.PackageNotFoundError:
        pytest.skip("zipnn_like is imported from a checkout that is not installed")
    assert zipnn_like.__version__ == installed


def loaded_after(code: str) -> set[str]:
    """Top-level modules in sys.modules after `code` has run."""
    output = run_python(f"{code}\nimport sys\nprint(*{{n.partition('.')[0] for n in sys.modules}})")
    return set(output.splitlines()[-1].split())


def test_import_is_light() -> None:
    loaded = loaded_after("import zipnn_like")
    assert "zipnn_like" in loaded
    assert not loaded & {"numpy", "ml_dtypes", "torch", "safetensors"}


def test_version_command_needs_no_numpy() -> None:
    code = (
        "import contextlib, sys\n"
        "from zipnn_like.cli import main\n"
        "sys.argv = ['znl', 'version']\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()"
    )
    assert not loaded_after(code) & {"numpy", "ml_dtypes", "torch", "safetensors"}
