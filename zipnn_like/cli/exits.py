# SPDX-License-Identifier: Apache-2.0
"""Exit codes, and how the ends of several files make one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from ..errors import UsageError, ZnlError
from .console import Console

DONE = 0
FAILED = 1  # the one file, or all
CLOSED_PIPE = FAILED  # the reader of standard output went away
USAGE = 2
SOME_FAILED = 3
INTERRUPTED = 130

Item = TypeVar("Item")


def run_each(
    items: Iterable[Item],
    path_of: Callable[[Item], str],
    work: Callable[[Item], None],
    console: Console,
) -> int:
    """Do `work` on each item; a failure is reported under path_of(item) and the rest goes on."""
    # Kinds, not the errors: those would keep their frames and the buffers in them alive.
    done_count = 0
    failures: list[type[Exception]] = []
    for item in items:
        try:
            work(item)
        except BrokenPipeError:
            raise
        except (ZnlError, OSError, MemoryError) as error:
            console.failed(path_of(item), error)
            failures.append(type(error))
        else:
            done_count += 1
    if not failures:
        return DONE
    if done_count:
        return SOME_FAILED
    return USAGE if all(issubclass(kind, UsageError) for kind in failures) else FAILED
