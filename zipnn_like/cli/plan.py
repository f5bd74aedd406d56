# SPDX-License-Identifier: Apache-2.0
"""Which files a command reads and where it writes: the rules of `-o` and `-r`, before any work."""

from __future__ import annotations

import argparse
import enum
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import UsageError
from .streams import STREAM, is_device_or_pipe

SUFFIX = ".znl"
MODEL_SUFFIXES = (".safetensors",)  # what -r compresses


class Direction(enum.Enum):
    """COMPRESS or DECOMPRESS: the only difference is in names."""

    COMPRESS = "compress"
    DECOMPRESS = "decompress"

    def output_name(self, path: str) -> str:
        """Where the output of `path` goes by default; UsageError when its name does not tell."""
        if self is Direction.COMPRESS:
            return path + SUFFIX
        if not _has_suffix(path, (SUFFIX,)):
            raise UsageError(f"{path}: expected a name that ends in {SUFFIX}; name the output: -o")
        return path[: -len(SUFFIX)]

    def takes(self, path: str) -> bool:
        """A walk codes this file; it copies all others."""
        suffixes = MODEL_SUFFIXES if self is Direction.COMPRESS else (SUFFIX,)
        return _has_suffix(path, suffixes)


class Action(enum.Enum):
    """What to do with one file."""

    CODE = "code"
    COPY = "copy"
    LINK = "link"


@dataclass(frozen=True)
class Job:
    """One file: paths, or STREAM for standard input and output."""

    source: str
    target: str
    action: Action = Action.CODE


@dataclass
class Plan:
    """Jobs in order, and the folders they need: output folder -> the one it mirrors, if any."""

    jobs: list[Job] = field(default_factory=list)
    folders: dict[str, str | None] = field(default_factory=dict)


def plan_jobs(direction: Direction, args: argparse.Namespace) -> Plan:
    """All that a compress or decompress command line asks for.

    Raises UsageError for one that contradicts itself, OSError for a folder that can't be read.
    """
    files: list[str] = args.files
    if STREAM in (*files, args.output):
        plan = Plan([_plan_stream(direction, args)])
    elif args.recursive:
        from .tree import plan_trees

        plan = plan_trees(direction, files, args.output)
    else:
        plan = _plan_files(direction, files, args.output)
    _check_outputs(plan.jobs)
    if args.rm:
        _check_removable(plan.jobs)
    return plan


def _plan_stream(direction: Direction, args: argparse.Namespace) -> Job:
    """The job of a command line with `-` in it, which has one input."""
    if len(args.files) > 1:
        raise UsageError(f"{STREAM} can't stand beside other files: only one stream fits a pipe")
    if args.recursive:
        raise UsageError(f"-r walks folders: {STREAM} is none")
    if args.rm:
        raise UsageError(f"--rm can't compare or delete what {STREAM} stands for")
    source = args.files[0]
    target = args.output or STREAM
    if target == STREAM and args.json:
        raise UsageError("--json and the data can't both go to standard output")
    if source == STREAM and target != STREAM and _means_folder(target):
        raise UsageError(f"{target}: is a folder, and standard input has no name to use in it")
    if source != STREAM:
        _refuse_folder(source)
    return Job(source, target)


def _plan_files(direction: Direction, files: list[str], output: str | None) -> Plan:
    plan = Plan()
    into_folder = output is not None and (len(files) > 1 or _means_folder(output))
    if output is not None and into_folder:
        plan.folders[output] = None
    for path in files:
        _refuse_folder(path)
        if output is None:
            target = direction.output_name(path)
        elif into_folder:
            target = os.path.join(output, direction.output_name(os.path.basename(path)))
        else:
            target = output
        plan.jobs.append(Job(path, target))
    return plan


def _check_outputs(jobs: Iterable[Job]) -> None:
    """No two jobs write one file, and none writes what is also an input: not even with -f."""
    inputs = {_identity(job.source, job.action): job.source for job in jobs if job.source != STREAM}
    inputs.pop(None, None)
    sources: dict[str, str] = {}
    for job in jobs:
        if job.target == STREAM:
            continue
        other = sources.setdefault(os.path.normcase(os.path.abspath(job.target)), job.source)
        if other != job.source:
            raise UsageError(f"{job.target}: would be the output of both {other} and {job.source}")
        if _identity(job.target, job.action) in inputs:
            raise UsageError(f"{job.target}: is an input and can't be an output")


def _check_removable(jobs: Iterable[Job]) -> None:
    """--rm reads the output again and deletes the input: neither is for devices and pipes."""
    for job in jobs:
        if is_device_or_pipe(job.source):
            raise UsageError(f"{job.source}: is no file, so --rm can't delete it")
        if is_device_or_pipe(job.target):
            raise UsageError(f"{job.target}: is no file, so --rm can't compare what was written")


def _identity(path: str, action: Action) -> tuple[int, int] | None:
    """Device and number of a file, the same under all its names; None if there is none.

    A link that is copied is a file of its own: what it points to is neither read nor written.
    """
    try:
        status = os.stat(path, follow_symlinks=action is not Action.LINK)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _means_folder(output: str) -> bool:
    separators = tuple(filter(None, (os.sep, os.altsep)))
    return output.endswith(separators) or os.path.isdir(output)


def _refuse_folder(path: str) -> None:
    if os.path.isdir(path):
        raise UsageError(f"{path}: is a folder; -r walks folders")


def _has_suffix(path: str, suffixes: tuple[str, ...]) -> bool:
    """A name with one of the suffixes and something before it."""
    name = os.path.basename(path)
    return name.endswith(suffixes) and name not in suffixes
