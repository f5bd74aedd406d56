# SPDX-License-Identifier: Apache-2.0
"""The reference decoder: docs/format.md as a program, in plain Python and numpy.

It shares no code with the rest of the package but `errors.py`, and states each constant again
beside the sentence of the specification that it obeys, so that one slip can't hide in both.
Read it in the order of the specification: `records` (sections 2, 3, 7), `chunk` (4, 6.3),
`static` (5.1 to 5.7), `arranged` (5.8), `known_bits` (5.9), `second` (5.10), `tables` (5.5, 6.1,
6.2), and `sequential` and `random_access`, the two ways through.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from zipnn_like.errors import ZnlError
from zipnn_like.reference.random_access import decode_range
from zipnn_like.reference.sequential import decode

__all__ = ["decode", "decode_range", "main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Decode a file from first byte to last; without `-o`, only check it."""
    parser = argparse.ArgumentParser(
        prog="python -m zipnn_like.reference", description=main.__doc__
    )
    parser.add_argument("file", type=Path, help="a .znl stream")
    parser.add_argument("-o", "--output", type=Path, help="where to write the source bytes")
    options = parser.parse_args(arguments)
    try:
        source = decode(options.file.read_bytes(), str(options.file))
        if options.output is not None:
            options.output.write_bytes(source)
    except (ZnlError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.file}: {len(source)} source bytes, all checks passed", file=sys.stderr)
    return 0
