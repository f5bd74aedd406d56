# SPDX-License-Identifier: Apache-2.0
"""A stream of about 1.5 KB that uses every method and record, and the source it stands for.

Small enough to flip each of its bits; the first user is test_corruption.py.
"""

from __future__ import annotations

import functools

from builders import safetensors_bytes
from lcg import Lcg
from strategies import Values

import zipnn_like as znl


@functools.cache
def small_source() -> bytes:
    """A safetensors file whose tensors are stored raw, constant, static and as a repeat."""
    random = Lcg(7)
    noise = random.take_bytes(256)
    narrow = bytes(100 + random.below(3) for _ in range(128))
    wide = bytes(30 + random.below(24) for _ in range(128))
    # A table of its own is worth it, and a palette is not.
    few = bytes(
        60 + (15 * random.below(3) if random.below(8) else random.below(31)) for _ in range(420)
    )
    weights = b"".join(
        (0x3C00 + random.gaussian(40) + 0x8000 * random.below(2)).to_bytes(2, "little")
        for _ in range(100)
    )
    return safetensors_bytes(
        {
            "raw": Values("I16", (8, 16), noise),
            "constant": Values("I32", (50,), b"\1\2\3\4" * 50),
            "table": Values("F8_E8M0", (420,), few),
            "again": Values("I16", (128,), noise),
            "class a": Values("F8_E8M0", (128,), narrow),
            "class b": Values("F8_E8M0", (2, 64), wide),
            "weights": Values("BF16", (10, 10), weights),
        }
    )


@functools.cache
def small_stream() -> bytes:
    """small_source, compressed at a level that takes few values for numbers, not for text."""
    return znl.compress(small_source(), level="fast", threads=1)
