# SPDX-License-Identifier: Apache-2.0
"""The progress line: percent, speed, time left, rewritten in place on a terminal."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

INTERVAL_S = 0.1  # between two rewrites


class ProgressLine:
    """A `progress` callback that rewrites one line of the terminal `out`."""

    def __init__(self, label: str, out: TextIO) -> None:
        self._label = label
        self._out = out
        self._start_s = time.monotonic()
        self._next_s = self._start_s + INTERVAL_S  # a file done by then needs no line
        self._shown_columns = 0

    def __call__(self, done_nbytes: int, total_nbytes: int | None) -> None:
        """Show how far it is; most calls return at once."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + INTERVAL_S
        self._show(progress_text(self._label, done_nbytes, total_nbytes, now_s - self._start_s))

    def clear(self) -> None:
        """Wipe the line, for other text to take its place."""
        if self._shown_columns:
            self._show("")
            self._out.write("\r")
            self._out.flush()

    def _show(self, text: str) -> None:
        # One column short: the last one makes some terminals wrap, and \r would not come back.
        text = text[: shutil.get_terminal_size().columns - 1]
        self._out.write("\r" + text.ljust(self._shown_columns))
        self._out.flush()
        self._shown_columns = len(text)


def progress_text(label: str, done_nbytes: int, total_nbytes: int | None, seconds: float) -> str:
    """`model.safetensors: 43 %, 450 MB/s, 0:12 left`"""
    speed = speed_text(done_nbytes, seconds)
    if not total_nbytes:
        return f"{label}: {done_nbytes / 1e6:.0f} MB, {speed}"
    text = f"{label}: {100 * done_nbytes // total_nbytes} %, {speed}"
    if not done_nbytes:
        return text
    left_s = seconds * (total_nbytes - done_nbytes) / done_nbytes
    return f"{text}, {duration_text(left_s)} left"


def speed_text(nbytes: int, seconds: float) -> str:
    """Source bytes per second: `450 MB/s`, with a digit more where that would be 0."""
    speed = nbytes / 1e6 / seconds if seconds > 0 else 0.0
    return f"{speed:.0f} MB/s" if speed >= 10 else f"{speed:.1f} MB/s"


def duration_text(seconds: float) -> str:
    """`0:12`, `1:02:03`"""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
