# SPDX-License-Identifier: Apache-2.0
"""The rivals: one small module each, imported only in the process that runs it.

A module NAME.py has WAYS, its settings by name; a rival's size is that of its best way. The names
here are all that can be known of a rival without importing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module, metadata

from .way import Way

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "zipnn": ("zipnn", "torch"),
    "openzl": ("openzl",),
    "pcodec": ("pcodec",),
    "lmzip": ("lmzip", "zstandard"),
    "glyd": ("glyd",),
    "z4ai": ("z4ai", "brotli", "zstandard"),
    "bigsmall": ("bigsmall",),
    "ptwm": ("ptwm", "torch"),
    "blosc2": ("blosc2",),
    "zstd_3": ("zstandard",),
    "zstd_19": ("zstandard",),
    "xz_6": (),
}
"""The distributions that a rival is made of; xz is the standard library's."""


def missing(name: str) -> list[str]:
    """The distributions of a rival that are not installed."""
    return [package for package in PACKAGES[name] if package_version(package) is None]


def package_version(package: str) -> str | None:
    """The installed version of a distribution."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def load_ways(name: str) -> Mapping[str, Way]:
    """Import a rival. Raises ImportError."""
    ways: Mapping[str, Way] = import_module(f"{__name__}.{name}").WAYS
    return ways
