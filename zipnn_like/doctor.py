# SPDX-License-Identifier: Apache-2.0
"""What this installation consists of, for bug reports: versions, cores, instruction set, extras.

It must work on an installation that does not, so whatever is absent is named instead of raised.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata, util

from ._version import __version__
from .errors import UsageError, ZnlError

MISSING = "missing"
FAILED = "failed"
REQUIRED = ("numpy", "cffi", "zstandard", "ml_dtypes")
EXTRAS = ("torch", "safetensors", "transformers", "numba", "fsspec", "dask", "xxhash")


def report() -> dict[str, str]:
    """Facts by name; those of required parts that do not work start with MISSING or FAILED."""
    found = {
        "zipnn_like": __version__,
        "folder": os.path.dirname(__file__),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "machine": platform.machine(),
        "usable cores": _usable_cores(),
        "threads": _threads(),
        "instruction set": _isa(),
        "self test": _self_test(),
    }
    found |= {package: _required_version(package) for package in REQUIRED}
    found["libzstd"] = _libzstd_version()
    return found | {f"extra {package}": _extra_version(package) for package in EXTRAS}


def problems(found: dict[str, str]) -> list[str]:
    """One line for each required part that `report` found missing."""
    return [
        f"{name}: {value}" for name, value in found.items() if value.startswith((MISSING, FAILED))
    ]


def _usable_cores() -> str:
    from .parallel import usable_cores

    return str(usable_cores())


def _threads() -> str:
    from .parallel import thread_count

    try:
        return str(thread_count(None))
    except UsageError as error:
        return f"{FAILED}: {error}"


def _isa() -> str:
    """The instruction set in use; asking for it loads the compiled core."""
    try:
        from .native import isa_name

        return isa_name()
    except ImportError as error:
        return f"{MISSING} ({error})"
    except UsageError as error:
        return f"{FAILED}: {error}"


def _self_test() -> str:
    """Whether every method works under every instruction set here."""
    try:
        from . import native, self_test

        wrong = self_test.run()
    except (ImportError, UsageError):
        return "not run"
    except ZnlError as error:
        return f"{FAILED}: {error}"
    if wrong:
        return f"{FAILED}: {'; '.join(wrong)}"
    return f"passed: {', '.join(native.isas())}"


def _required_version(package: str) -> str:
    if util.find_spec(package) is None:
        return MISSING
    return _version(package)


def _libzstd_version() -> str:
    """The version of the library inside `zstandard`, which decides bytes (README.md)."""
    try:
        import zstandard
    except ImportError as error:
        return f"{MISSING} ({error})"
    return ".".join(str(number) for number in zstandard.ZSTD_VERSION)


def _extra_version(package: str) -> str:
    """Looked up without an import: torch alone would take seconds."""
    return "not installed" if util.find_spec(package) is None else _version(package)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "version unknown"
