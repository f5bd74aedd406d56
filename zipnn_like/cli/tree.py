# SPDX-License-Identifier: Apache-2.0
"""`-r`: lay out a folder's mirror, make its folders, copy the files that are not coded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from ..errors import SourceError, UsageError, ZnlError
from ..inputs import open_input
from ..outputs import copy_attributes, open_output
from .plan import Action, Direction, Job, Plan

PIECE_NBYTES = 1 << 20


def plan_trees(direction: Direction, files: list[str], output: str | None) -> Plan:
    """Jobs for folders (and files among them) below `output`.

    One folder's contents go straight into `output`; of several inputs each keeps its own name.
    Raises UsageError, OSError.
    """
    if output is None:
        raise UsageError("-r needs -o with the folder to write to")
    if os.path.lexists(output) and not os.path.isdir(output):
        raise UsageError(f"{output}: expected a folder to write to, found a file")
    plan = Plan(folders={output: None})
    for path in files:
        if os.path.isdir(path):
            _refuse_inside(output, path)
            # The name of `.` is that of the folder it stands for.
            name = os.path.basename(os.path.abspath(path)) if len(files) > 1 else ""
            _plan_folder(plan, direction, path, os.path.join(output, name) if name else output)
        else:
            name = direction.output_name(os.path.basename(path))
            plan.jobs.append(Job(path, os.path.join(output, name)))
    return plan


def _plan_folder(plan: Plan, direction: Direction, source: str, target: str) -> None:
    """Add a folder and all below it, in order; links are leaves, so a loop of links ends here."""
    plan.folders[target] = source
    # Not recursive: folders may lie deeper in one another than Python's calls.
    walk = [(target, _sorted_entries(source))]
    while walk:
        folder, entries = walk[-1]
        entry = next(entries, None)
        if entry is None:
            walk.pop()
            continue
        path = os.path.join(folder, entry.name)
        if entry.is_symlink():
            plan.jobs.append(Job(entry.path, path, Action.LINK))
        elif entry.is_dir():
            plan.folders[path] = entry.path
            walk.append((path, _sorted_entries(entry.path)))
        elif direction.takes(entry.name) and entry.is_file():
            plan.jobs.append(Job(entry.path, direction.output_name(path)))
        else:
            plan.jobs.append(Job(entry.path, path, Action.COPY))


def _sorted_entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as scan:
        return iter(sorted(scan, key=lambda entry: entry.name))


def _refuse_inside(output: str, folder: str) -> None:
    inside, outside = (os.path.normcase(os.path.realpath(path)) for path in (output, folder))
    if inside == outside or inside.startswith(os.path.join(outside, "")):
        raise UsageError(f"{output}: lies inside {folder}, which is walked")


@contextlib.contextmanager
def folders_made(folders: Mapping[str, str | None]) -> Iterator[None]:
    """Make the folders that are missing; at the end give each the permissions and times of its
    model.

    At the end, because a folder without write permission could not be filled. One that mirrors no
    other and is still empty is removed: nothing was done.
    """
    made: dict[str, str | None] = {}
    for target, source in folders.items():
        if not os.path.isdir(target):
            os.makedirs(target)
            made[target] = source
    try:
        yield
    finally:
        for target, source in reversed(made.items()):
            with contextlib.suppress(OSError):
                if source is not None:
                    copy_attributes(target, os.stat(source))
                else:
                    os.rmdir(target)


def copy(job: Job, *, overwrite: bool) -> None:
    """Copy one file with its permissions and times, or one link as a link; whole or not at all.

    Raises ZnlError when the target exists and `overwrite` is false, SourceError for a source that
    is no file, OSError.
    """
    if job.action is Action.LINK:
        _copy_link(job, overwrite=overwrite)
        return
    if not os.path.isfile(job.source):
        raise SourceError(f"{job.source}: expected a file, folder or link, found a device or pipe")
    with (
        open_input(job.source) as source,
        open_output(job.target, overwrite=overwrite, like=source) as target,
    ):
        while piece := source.take(PIECE_NBYTES):
            target.write(piece)
        source.check_unchanged()
        target.commit()


def _copy_link(job: Job, *, overwrite: bool) -> None:
    points_to = os.readlink(job.source)
    if not overwrite:
        try:
            os.symlink(points_to, job.target)
        except FileExistsError:
            raise ZnlError(f"{job.target}: exists already; -f replaces it") from None
        return
    temporary = os.path.join(os.path.dirname(job.target), f".znl-{os.urandom(8).hex()}.part")
    os.symlink(points_to, temporary)
    try:
        os.replace(temporary, job.target)
    except OSError:
        os.unlink(temporary)
        raise
