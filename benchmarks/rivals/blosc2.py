# SPDX-License-Identifier: Apache-2.0
"""Blosc2 with Zstandard at level 9 (its highest), each byte plane by itself, tensor by tensor."""

from __future__ import annotations

import blosc2

from .tensorwise import Decode, Encode, by_tensor_and_run

WIDTHS = {"BF16": 2, "F16": 2, "I16": 2, "U16": 2, "F32": 4, "I32": 4, "U32": 4} | dict.fromkeys(
    ("F64", "I64", "U64"), 8
)
AUTOMATIC = 0  # as block size: Blosc2 chooses


def _pair(filters: list[blosc2.Filter], block_nbytes: int) -> tuple[Encode, Decode]:
    def encode(dtype: str, values: bytes) -> bytes:
        return bytes(
            blosc2.compress2(
                values,
                typesize=WIDTHS.get(dtype, 1),
                codec=blosc2.Codec.ZSTD,
                clevel=9,
                filters=filters,
                filters_meta=[0] * len(filters),
                splitmode=blosc2.SplitMode.ALWAYS_SPLIT,
                blocksize=block_nbytes,
            )
        )

    def decode(_dtype: str, payload: bytes, _nbytes: int) -> bytes:
        return bytes(blosc2.decompress2(payload))

    return encode, decode


WAYS = by_tensor_and_run(
    {
        "shuffle": _pair([blosc2.Filter.SHUFFLE], AUTOMATIC),
        "shuffle, 256 KiB": _pair([blosc2.Filter.SHUFFLE], 256 << 10),
        "shuffle, bytedelta": _pair([blosc2.Filter.SHUFFLE, blosc2.Filter.BYTEDELTA], AUTOMATIC),
        "bitshuffle": _pair([blosc2.Filter.BITSHUFFLE], AUTOMATIC),
    }
)
