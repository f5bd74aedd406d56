# SPDX-License-Identifier: Apache-2.0
"""Lossless compression of neural-network weights: safetensors and any other file, to the last bit.

The names below load their modules on first use; nothing else is API.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .archive import Archive, TensorInfo
    from .archive import open_archive as open
    from .errors import (
        BaseMismatchError,
        ChecksumError,
        CorruptStreamError,
        LimitExceededError,
        SourceError,
        TruncatedStreamError,
        UnsupportedFormatError,
        UsageError,
        ZnlError,
    )
    from .files import compress_file, decompress_file, verify_file
    from .memory import compress, decompress
    from .report import Report, Totals
    from .writer import Writer

_HOMES = {
    "Archive": "archive",
    "BaseMismatchError": "errors",
    "ChecksumError": "errors",
    "CorruptStreamError": "errors",
    "LimitExceededError": "errors",
    "Report": "report",
    "SourceError": "errors",
    "TensorInfo": "archive",
    "Totals": "report",
    "TruncatedStreamError": "errors",
    "UnsupportedFormatError": "errors",
    "UsageError": "errors",
    "Writer": "writer",
    "ZnlError": "errors",
    "compress": "memory",
    "compress_file": "files",
    "decompress": "memory",
    "decompress_file": "files",
    "open": "archive",
    "verify_file": "files",
}

__all__ = [
    "Archive",
    "BaseMismatchError",
    "ChecksumError",
    "CorruptStreamError",
    "LimitExceededError",
    "Report",
    "SourceError",
    "TensorInfo",
    "Totals",
    "TruncatedStreamError",
    "UnsupportedFormatError",
    "UsageError",
    "Writer",
    "ZnlError",
    "__version__",
    "compress",
    "compress_file",
    "decompress",
    "decompress_file",
    "open",
    "verify_file",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f".{_HOMES[name]}", __name__)
    value = getattr(module, "open_archive" if name == "open" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
