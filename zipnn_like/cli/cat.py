# SPDX-License-Identifier: Apache-2.0
"""`znl cat`."""

from __future__ import annotations

import argparse

import zipnn_like as znl

from ..errors import UsageError
from .console import Console
from .exits import run_each
from .streams import STREAM, input_of, standard_output


def cat(args: argparse.Namespace, console: Console) -> int:
    """Write the restored bytes of each file to standard output, one after the other."""
    if args.files.count(STREAM) > 1:
        raise UsageError("standard input can be read only once")
    out = standard_output()

    def work(path: str) -> None:
        znl.decompress_file(input_of(path), out)

    return run_each(args.files, str, work, console)
