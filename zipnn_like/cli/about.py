# SPDX-License-Identifier: Apache-2.0
"""`znl version` and `znl doctor`."""

from __future__ import annotations

import argparse

from .._version import __version__
from .console import Console
from .exits import DONE, FAILED


def version(args: argparse.Namespace, console: Console) -> int:
    """Show the version."""
    if console.as_json:
        console.result({"version": __version__})
    else:
        console.say(f"znl {__version__}")
    return DONE


def doctor(args: argparse.Namespace, console: Console) -> int:
    """Show what the installation consists of; it fails when a required part is missing."""
    from ..doctor import problems, report

    found = report()
    if console.as_json:
        console.result(found)
    else:
        width = max(map(len, found))
        for name, value in found.items():
            console.say(f"{name:{width}}  {value}")
    for problem in problems(found):
        console.complain(problem)
    return FAILED if problems(found) else DONE
