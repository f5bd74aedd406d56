# SPDX-License-Identifier: Apache-2.0
"""Writes the golden files that are not there yet: `python tests/golden/make_golden.py`.

A golden file is what a released encoder wrote and every later decoder must read. So none is ever
overwritten: for a change of the format, add cases under new names; when an encoder's output changes
on purpose, mark its cases superseded and add new ones.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from arranged_streams import ARRANGED_HOSTILE  # noqa: E402
from golden_cases import CASES  # noqa: E402
from hostile_streams import HOSTILE  # noqa: E402
from second_streams import SECOND_GOLDEN, SECOND_HOSTILE  # noqa: E402

GOOD, BAD = HERE / "good", HERE / "bad"
MAX_BAD_NBYTES = 1024  # larger ones are left to test_corruption.py, but for those of SECOND_GOLDEN


def write_new(path: Path, data: bytes) -> None:
    """Write a file unless there is one."""
    try:
        with open(path, "xb") as file:
            file.write(data)
    except FileExistsError:
        return
    print(f"wrote {path.relative_to(HERE)}: {len(data)} bytes")


def main() -> None:
    """Write what is missing."""
    GOOD.mkdir(exist_ok=True)
    BAD.mkdir(exist_ok=True)
    for name, case in CASES.items():
        source = case.source()
        write_new(GOOD / f"{name}.znl", case.encode(source))
        digest = hashlib.sha256(source).hexdigest()
        write_new(GOOD / f"{name}.sha256", f"{digest}\n".encode("ascii"))
    for name, (error, stream) in (HOSTILE | ARRANGED_HOSTILE | SECOND_HOSTILE).items():
        small = len(stream) <= MAX_BAD_NBYTES or name in SECOND_GOLDEN
        if isinstance(error, type) and small:
            write_new(BAD / f"{name}.znl", stream)


if __name__ == "__main__":
    main()
