# SPDX-License-Identifier: Apache-2.0
"""Every method under every instruction set of this machine, in about a second: `znl doctor`."""

from __future__ import annotations

import random
import struct
from array import array
from collections.abc import Iterator

from . import native
from .dtypes import BY_NAME, DTYPES, DType
from .memory import compress, decompress

LEVELS = ("fast", "default")  # between them they use every method
VALUES = 2048 + 512 + 64 + 7  # wide lanes, a short superblock, a tail
WEIGHTS = 20_480 + 7  # enough for rows to have classes


def run() -> list[str]:
    """Compress and restore samples of every dtype under every instruction set; compare the bytes.

    Returns one line for each thing that is wrong; leaves the instruction set as it was.
    """
    wrong: list[str] = []
    in_use = native.isa_name()
    try:
        for dtype, kind, source in samples():
            for level in LEVELS:
                wrong += _try_everywhere(dtype, kind, source, level)
    finally:
        native.use(in_use)
    return wrong


def _try_everywhere(dtype: DType, kind: str, source: bytes, level: str) -> list[str]:
    wrong: list[str] = []
    streams: dict[str, bytes] = {}
    for isa in native.isas():
        native.use(isa)
        streams[isa] = compress(source, dtype=dtype, level=level, threads=1)
    expected = streams["scalar"]
    for isa, stream in streams.items():
        native.use(isa)
        if stream != expected:
            wrong.append(
                f"{isa}: {dtype.name} ({kind}) is compressed to other bytes than by scalar"
            )
        if bytes(decompress(stream, threads=1)) != source:
            wrong.append(f"{isa}: {dtype.name} ({kind}) is not restored")
    return wrong


def samples() -> Iterator[tuple[DType, str, bytes]]:
    """Source bytes with their dtype and what they are like."""
    for dtype in DTYPES:
        for kind, source in _of_every_dtype(dtype).items():
            yield dtype, kind, source
    yield from _weights()


def _of_every_dtype(dtype: DType) -> dict[str, bytes]:
    """Noise, one value, and a few values most of the time."""
    rng = random.Random(dtype.code)
    nbytes = VALUES * max(1, dtype.bits // 8) // 3 * 3  # packed 6-bit values come in threes
    nbytes -= nbytes % max(1, dtype.bits // 8)
    palette = rng.randbytes(dtype.width * 8)
    picks = (rng.randrange(8) * dtype.width for _ in range(nbytes // dtype.width))
    skewed = b"".join(palette[at : at + dtype.width] for at in picks)
    return {
        "noise": rng.randbytes(nbytes),
        "one value": palette[: dtype.width] * (nbytes // dtype.width),
        "few values": skewed + bytes(nbytes - len(skewed)),
    }


def _weights() -> Iterator[tuple[DType, str, bytes]]:
    """What the models of `default` are for: rows of several scales, a grid, a narrow integer."""
    rng = random.Random(0)
    normal = [rng.gauss(0, 1) for _ in range(WEIGHTS)]
    scaled = array("f", (x * 2.0 ** -(i // 64 % 4) for i, x in enumerate(normal)))
    words = struct.unpack(f"<{WEIGHTS}I", struct.pack(f"<{WEIGHTS}f", *scaled))
    yield BY_NAME["BF16"], "rows", struct.pack(f"<{WEIGHTS}H", *(word >> 16 for word in words))
    yield (
        BY_NAME["F32"],
        "plain",
        struct.pack(f"<{WEIGHTS}I", *(w ^ rng.getrandbits(8) for w in words)),
    )
    grid = (round(x * 2**15) / 2**18 for x in normal)
    yield BY_NAME["F32"], "a grid", struct.pack(f"<{WEIGHTS}f", *grid)
    narrow = (round(2 * x) for x in normal)
    yield BY_NAME["I8"], "narrow", struct.pack(f"<{WEIGHTS}b", *narrow)
