# SPDX-License-Identifier: Apache-2.0
"""Ordered parallel map with a bounded number of items in flight; the number of usable cores."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from .errors import UsageError, ZnlError

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

In = TypeVar("In")
Out = TypeVar("Out")

THREADS_VARIABLE = "ZIPNN_LIKE_THREADS"
MAX_THREADS = 256


def _cgroup_cores() -> float:
    """Cores that cgroup v2 grants, infinity when it sets no quota."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return float("inf") if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return float("inf")


def usable_cores() -> int:
    """Cores this process may use: affinity and cgroup quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, int(min(cores, _cgroup_cores())))


def thread_count(threads: int | None) -> int:
    """Resolve a `threads` argument: itself, ZIPNN_LIKE_THREADS, or the usable cores.

    Raises UsageError for a number that is not 1 to MAX_THREADS.
    """
    name = "threads"
    if threads is None:
        name = THREADS_VARIABLE
        text = os.environ.get(THREADS_VARIABLE)
        if not text:
            return min(usable_cores(), MAX_THREADS)
        try:
            threads = int(text)
        except ValueError:
            raise UsageError(f"{THREADS_VARIABLE}={text}: expected a number of threads") from None
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
        raise UsageError(f"{name}: expected 1 to {MAX_THREADS}, found {threads!r}")
    return threads


def _submit(
    pool: ThreadPoolExecutor, function: Callable[..., Out], *arguments: object
) -> Future[Out]:
    try:
        return pool.submit(function, *arguments)
    except RuntimeError as error:
        raise ZnlError(f"a thread can't be started: {error}; use fewer (-T 1)") from error


class Follower:
    """Runs calls one after the other on a thread of its own; a context manager.

    ahead  calls that may wait while another one runs
    Leaving it drops the calls that wait: finish() before. Those behind one that failed still run.
    """

    def __init__(self, ahead: int) -> None:
        from concurrent.futures import ThreadPoolExecutor  # takes 3 ms, which one thread saves

        self._ahead = ahead
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="zipnn_like")
        self._pending: deque[Future[None]] = deque()

    def call(self, function: Callable[[], None]) -> None:
        """Queue a call; raises what an earlier one raised."""
        while len(self._pending) > self._ahead:
            self._pending.popleft().result()
        self._pending.append(_submit(self._pool, function))

    def finish(self) -> None:
        """Wait for all calls; raises what one of them raised."""
        while self._pending:
            self._pending.popleft().result()

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def map_in_order(function: Callable[[In], Out], items: Iterable[In], threads: int) -> Iterator[Out]:
    """Yield function(item) in order, `threads` at a time, taking items at most one ahead.

    The first exception, of an item or of the caller, cancels what has not begun and waits for
    what has. A single item is done without a thread.
    """
    iterator = iter(items)
    first: list[In] = []
    failure: Exception | None = None
    while len(first) < 2 and failure is None:
        try:
            first.append(next(iterator))
        except StopIteration:
            break
        except Exception as error:
            # What was taken before goes out first, as it would with one thread.
            failure = error
        if threads == 1:
            break
    if len(first) < 2:
        yield from map(function, first)
        if failure is not None:
            raise failure
        yield from map(function, iterator)
        return
    yield from _map_on_threads(function, itertools.chain(first, iterator), threads)


def _map_on_threads(
    function: Callable[[In], Out], iterator: Iterator[In], threads: int
) -> Iterator[Out]:
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(threads, thread_name_prefix="zipnn_like")
    pending: deque[Future[Out]] = deque()
    try:
        failure = None
        while failure is None:
            try:
                item = next(iterator)
            except StopIteration:
                break
            except Exception as error:
                failure = error
                break
            pending.append(_submit(pool, function, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
