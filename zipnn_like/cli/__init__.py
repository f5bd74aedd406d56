# SPDX-License-Identifier: Apache-2.0
"""The command `znl`: parse the command line, run one command, turn its end into an exit code.

Commands hold no codec logic: they call the public API. Each is imported when it is asked for, so
that `znl version` loads neither numpy nor the codec.
"""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module

from ..errors import UsageError, ZnlError
from .console import Console, sentence
from .exits import CLOSED_PIPE, DONE, FAILED, INTERRUPTED, USAGE
from .parser import COMMANDS, parse
from .signals import Terminated, end_by_signal, termination_raises

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv` (without the program's name; default: that of the process).

    Returns the exit code: 0 done, 1 failed, 2 usage, 3 some of several files failed, 130
    interrupted. Raises nothing for what users and files can get wrong.
    """
    console = Console()
    try:
        with termination_raises(is_process=argv is None):
            try:
                code = _run(sys.argv[1:] if argv is None else argv, console)
                if sys.stdout is not None:
                    sys.stdout.flush()
                return code
            except KeyboardInterrupt:  # inside: a second Ctrl-C is still ignored here
                console.complain("interrupted")
                return INTERRUPTED
    except Terminated as stop:
        console.clear()
        return end_by_signal(stop.signal_number)
    except BrokenPipeError:
        _silence_stdout()
        return CLOSED_PIPE
    except UsageError as error:
        console.complain(str(error))
        return USAGE
    except OSError as error:
        _silence_stdout()  # where it is what failed (a full disk), Python would fail again at exit
        console.complain(sentence(error))
        return FAILED
    except ImportError as error:
        console.complain(f"{error}; see znl doctor")
        return FAILED
    except (ZnlError, MemoryError) as error:
        console.complain(sentence(error))
        return FAILED


def _run(argv: list[str], console: Console) -> int:
    _escape_what_stdout_cannot_encode()
    try:
        args = parse(argv)
    except SystemExit as shown:  # argparse has printed help or a version
        return DONE if shown.code is None else int(shown.code)
    console.configure(
        quiet=getattr(args, "quiet", False),
        verbose=getattr(args, "verbose", False),
        as_json=args.json,
    )
    command = COMMANDS[args.command]
    run = getattr(import_module(f".{command.module}", __name__), args.command)
    return int(run(args, console))


def _escape_what_stdout_cannot_encode() -> None:
    """Names are untrusted: one that a narrow locale cannot spell must not end the run."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _silence_stdout() -> None:
    """Point standard output at nothing: Python flushes it at exit and would complain."""
    try:
        stdout = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or no file
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stdout)
    os.close(nothing)
