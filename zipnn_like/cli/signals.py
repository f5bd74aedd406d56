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

    is_process  the process ends with the command: a Ctrl-C that was taken stays ignored to the end
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
    for number in before:
        signal.signal(number, _raise_once)
    try:
        yield
    finally:
        for number, handler in before.items():
            was_taken = signal.getsignal(number) == signal.SIG_IGN
            if not (is_process and number == signal.SIGINT and was_taken):
                signal.signal(number, handler)


def end_by_signal(number: int) -> int:
    """End the process as the signal would have, so that its parent sees the true cause."""
    os.kill(os.getpid(), number)
    return 128 + number


def _raise_once(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not cut the tidying short
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(number)
