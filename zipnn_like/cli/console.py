# SPDX-License-Identifier: Apache-2.0
"""What a command says: summaries and errors on stderr, results and JSON lines on stdout."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .progress import ProgressLine
from .streams import STREAM

if TYPE_CHECKING:
    import zipnn_like as znl


class Console:
    """The voice of one run.

    quiet     no summaries and no progress; errors are always told
    verbose   summaries name the dtypes and their methods
    as_json   results are JSON lines on stdout instead of text
    """

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False
        self.as_json = False
        self._progress: ProgressLine | None = None

    def configure(self, *, quiet: bool, verbose: bool, as_json: bool) -> None:
        """Take over the flags, once they are parsed."""
        self.quiet, self.verbose, self.as_json = quiet, verbose, as_json

    def progress(self, path: str) -> ProgressLine | None:
        """A progress callback that shows `path`; None where nobody watches."""
        self.clear()
        if self.quiet or sys.stderr is None or not sys.stderr.isatty():
            return None
        self._progress = ProgressLine(printable(path), sys.stderr)
        return self._progress

    def clear(self) -> None:
        """Take the progress line off the screen."""
        if self._progress is not None:
            self._progress.clear()
            self._progress = None

    def note(self, text: str) -> None:
        """A line on stderr for whoever watches."""
        self.clear()
        if not self.quiet and not self.as_json:
            _print_on_stderr(printable(text))

    def complain(self, text: str) -> None:
        """The one line on stderr that says what went wrong."""
        self.clear()
        _print_on_stderr(f"znl: {printable(text)}")

    def failed(self, path: str, error: Exception) -> None:
        """Report the failure of one file of a command."""
        message = sentence(error, path)
        self.complain(message)
        if self.as_json:
            self.result(
                {"path": path, "error": {"class": type(error).__name__, "message": message}}
            )

    def result(self, record: Mapping[str, Any]) -> None:
        """One JSON line on stdout, at once: a reader may follow a long run."""
        import json

        self.clear()
        print(json.dumps(record, allow_nan=False), flush=True)

    def say(self, text: str) -> None:
        """A line of a result on stdout."""
        self.clear()
        print(printable(text))


def _print_on_stderr(line: str) -> None:
    """What can't be told must not end the work, nor hide its exit code."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(line, file=sys.stderr)


def printable(text: str) -> str:
    """`text` in one line without control characters: names in files can hold terminal commands."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def sentence(error: BaseException, path: str = "") -> str:
    """One error in words, beginning with the file it is about."""
    place = f"{_spoken(path)}: " if path else ""
    if isinstance(error, MemoryError):
        return f"{place}out of memory"
    if isinstance(error, OSError) and error.strerror:
        return (
            f"{os.fsdecode(error.filename)}: {error.strerror}"
            if error.filename
            else (f"{place}{error.strerror}")
        )
    return str(error) or f"{place}{type(error).__name__}"


def _spoken(path: str) -> str:
    return "standard input" if path == STREAM else path


def size_text(nbytes: int) -> str:
    """43.3 MiB"""
    size, unit = float(nbytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{nbytes} B" if unit == "B" else f"{size:.1f} {unit}"


def percent_text(part_nbytes: int, whole_nbytes: int) -> str:
    """66.0 %, and - for a share of nothing"""
    return f"{100 * part_nbytes / whole_nbytes:.1f} %" if whole_nbytes else "-"


def ratio_or_none(part_nbytes: int, whole_nbytes: int) -> float | None:
    """stored / source, None for a share of nothing (JSON has no infinity)."""
    return part_nbytes / whole_nbytes if whole_nbytes else None


def totals_record(totals_by: Mapping[str, znl.Totals]) -> dict[str, dict[str, int]]:
    """Totals by dtype, or by method, for JSON."""
    return {
        name: {"source_bytes": totals.source_bytes, "stored_bytes": totals.stored_bytes}
        for name, totals in totals_by.items()
    }


def methods_record(by_method: Mapping[str, Mapping[str, znl.Totals]]) -> dict[str, Any]:
    """Totals by dtype and method for JSON."""
    return {dtype: totals_record(methods) for dtype, methods in by_method.items()}
