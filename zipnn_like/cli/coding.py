# SPDX-License-Identifier: Apache-2.0
"""`znl compress` and `znl decompress`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

import zipnn_like as znl

from ..errors import SourceError
from .console import (
    Console,
    methods_record,
    percent_text,
    ratio_or_none,
    size_text,
    totals_record,
)
from .exits import run_each
from .plan import Action, Direction, Job, plan_jobs
from .progress import speed_text
from .streams import STREAM, input_of, output_to, standard_output
from .tree import copy, folders_made

Code = Callable[[Job], znl.Report]


def compress(args: argparse.Namespace, console: Console) -> int:
    """Compress each input; with --rm delete it once its output is proven to restore it."""

    def code(job: Job) -> znl.Report:
        with output_to(job.target) as target:
            report = znl.compress_file(
                input_of(job.source),
                target,
                level=args.level,
                threads=args.threads,
                progress=console.progress(job.source),
                overwrite=args.force,
                sha256=args.sha256,
            )
        if args.rm:
            _remove_source(job, args, console, archive=job.target, restored=job.source)
        return report

    return _run(Direction.COMPRESS, args, console, code)


def decompress(args: argparse.Namespace, console: Console) -> int:
    """Restore each input; with --rm delete it once its output is read again and compared."""

    def code(job: Job) -> znl.Report:
        with output_to(job.target) as target:
            report = znl.decompress_file(
                input_of(job.source),
                target,
                threads=args.threads,
                progress=console.progress(job.source),
                overwrite=args.force,
            )
        if args.rm:
            _remove_source(job, args, console, archive=job.source, restored=job.target)
        return report

    return _run(Direction.DECOMPRESS, args, console, code)


def _remove_source(
    job: Job, args: argparse.Namespace, console: Console, *, archive: str, restored: str
) -> None:
    """Delete the input of a job, once the archive on disk decodes to the other file on disk.

    Raises SourceError when the input is no longer the file that was compared, and keeps it.
    """
    compared = _identity(job.source)
    progress = console.progress(f"{job.target}: comparing")
    znl.verify_file(archive, against=restored, threads=args.threads, progress=progress)
    if _identity(job.source) != compared:
        raise SourceError(f"{job.source}: changed after its output was compared; it is kept")
    os.remove(job.source)


def _identity(path: str) -> tuple[int, ...] | None:
    """What changes with a file; for a link, that of the link and of its target. None without one.

    What os.remove deletes is the link.
    """
    try:
        found = (os.lstat(path), os.stat(path))
    except OSError:
        return None
    return tuple(
        number
        for status in found
        for number in (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    )


def _run(direction: Direction, args: argparse.Namespace, console: Console, code: Code) -> int:
    plan = plan_jobs(direction, args)
    if any(job.target == STREAM for job in plan.jobs):
        standard_output()  # a terminal is refused before anything is read

    def work(job: Job) -> None:
        if job.action is Action.CODE:
            _tell(direction, job, code(job), console)
        else:
            copy(job, overwrite=args.force)
            _tell_copy(direction, job, console)

    with folders_made(plan.folders):
        return run_each(plan.jobs, lambda job: job.source, work, console)


def _tell(direction: Direction, job: Job, report: znl.Report, console: Console) -> None:
    """The summary of one file: on stderr, or as JSON on stdout."""
    if console.as_json:
        console.result({"path": job.source, "output": job.target, **report_record(report)})
        return
    source, stored = size_text(report.source_bytes), size_text(report.stored_bytes)
    first, second = (source, stored) if direction is Direction.COMPRESS else (stored, source)
    share = percent_text(report.stored_bytes, report.source_bytes)
    speed = speed_text(report.source_bytes, report.seconds)
    console.note(f"{job.source}: {first} -> {second} ({share}), {speed}")
    tell_methods(report, console)


def _tell_copy(direction: Direction, job: Job, console: Console) -> None:
    if console.as_json:
        console.result({"path": job.source, "output": job.target, "copied": True})
    elif job.action is Action.LINK and direction.takes(job.source):
        console.note(f"{job.source}: a symbolic link, copied as it is")
    elif console.verbose:
        console.note(f"{job.source}: copied")


def report_record(report: znl.Report) -> dict[str, Any]:
    """A report for JSON, without its path."""
    return {
        "source_bytes": report.source_bytes,
        "stored_bytes": report.stored_bytes,
        "ratio": ratio_or_none(report.stored_bytes, report.source_bytes),
        "seconds": report.seconds,
        "sha256": report.sha256,
        "by_dtype": totals_record(report.by_dtype),
        "by_method": methods_record(report.by_method),
    }


def tell_methods(report: znl.Report, console: Console) -> None:
    """With -v, one line for each dtype and method under the summary."""
    if not console.verbose:
        return
    for dtype, methods in report.by_method.items():
        for method, totals in methods.items():
            sizes = f"{size_text(totals.source_bytes)} -> {size_text(totals.stored_bytes)}"
            saved = percent_text(totals.source_bytes - totals.stored_bytes, totals.source_bytes)
            console.note(f"  {dtype} {method}: {sizes} ({saved} saved)")
