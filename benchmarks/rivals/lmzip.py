# SPDX-License-Identifier: Apache-2.0
"""lmz over the file, level 19 for what it gives to zstd (22 makes nothing smaller).

Smaller chunks fit their tables to less data and pay for more tables; 8 MiB is the default.
"""

from __future__ import annotations

from pathlib import Path

import lmz

from .way import Way, by_path


def _way(chunk_kib: int, *, shared_tables: bool = False) -> Way:
    def compress(source: Path, target: Path) -> None:
        lmz.compress(
            str(source),
            str(target),
            level=19,
            chunk_size=chunk_kib << 10,
            shared_tables=shared_tables,
        )

    return by_path(compress, lambda source, target: lmz.decompress(str(source), str(target)))


WAYS = {
    "64 KiB, shared tables": _way(64, shared_tables=True),
    **{f"{kib} KiB": _way(kib) for kib in (128, 256, 512, 1024, 2048, 8192)},
}
