# SPDX-License-Identifier: Apache-2.0
"""Signals as exceptions, each only once: a command that is told to stop leaves no partial file."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NAMES = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class Terminated(BaseException):
    """The process was told to end by `signal_number`."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


@contextmanager
def termination_raises(*, is_process: bool) -> Iterator[None]:
    """Raise Terminated in the main thread for signals that would end the process at once, and
    KeyboardInterrupt for the first Ctrl-C only.

    is_process  the process ends with the command: once one came, all stay ignored to the end
    A signal that is ignored (nohup) or handled by the caller of `main` stays as it is.
    """
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        known = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
        before = {
            number: signal.SIG_DFL for number in known if signal.getsignal(number) == signal.SIG_DFL
        }
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            before[signal.SIGINT] = signal.default_int_handler
    taken: list[int] = []

    def raise_once(number: int, frame: FrameType | None) -> None:
        if taken:  # a second one, of either kind, must not cut the tidying short
            return
        taken.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Terminated(number)

    for number in before:
        signal.signal(number, raise_once)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if is_process and taken else handler)


def end_by_signal(number: int) -> int:
    """End the process as the signal would have, so that its parent sees the true cause."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number
