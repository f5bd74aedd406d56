# SPDX-License-Identifier: Apache-2.0
"""`znl verify`."""

from __future__ import annotations

import argparse

import zipnn_like as znl

from ..errors import UsageError
from .coding import report_record, tell_methods
from .console import Console, size_text
from .exits import run_each
from .progress import speed_text
from .streams import STREAM, input_of


def verify(args: argparse.Namespace, console: Console) -> int:
    """Decode each file, check it, and with --against compare it; write nothing."""
    if args.against is not None and len(args.files) > 1:
        raise UsageError("--against compares with one file, so it takes one file to verify")
    if args.against == STREAM:
        raise UsageError("--against needs a file; the compressed stream may come from -")
    if args.files.count(STREAM) > 1:
        raise UsageError("standard input can be read only once")

    def work(path: str) -> None:
        report = znl.verify_file(
            input_of(path),
            against=args.against,
            threads=args.threads,
            progress=console.progress(path),
        )
        _tell(path, report, console)

    return run_each(args.files, str, work, console)


def _tell(path: str, report: znl.Report, console: Console) -> None:
    """That a file is sound is this command's result, so it goes to stdout."""
    if console.as_json:
        console.result({"path": path, **report_record(report)})
        return
    if console.quiet:
        return
    size, speed = size_text(report.source_bytes), speed_text(report.source_bytes, report.seconds)
    digest = f", sha256 {report.sha256}" if report.sha256 else ""
    console.say(f"{path}: ok, {size}, {speed}{digest}")
    tell_methods(report, console)
