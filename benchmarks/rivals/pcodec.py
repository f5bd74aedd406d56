# SPDX-License-Identifier: Apache-2.0
"""pcodec at level 12 (its highest), tensor by tensor.

It has no BF16 and no FP8: these go in as unsigned integers of their width. F16 goes in as such and,
another way, as unsigned integers too.
"""

from __future__ import annotations

import numpy as np
from pcodec import ChunkConfig, PagingSpec, standalone

from .tensorwise import Decode, Encode, by_tensor_and_run

VIEWS = {
    "BF16": "<u2",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "I8": "i1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
}
UNSIGNED = {**VIEWS, "F16": "<u2", "F32": "<u4", "F64": "<u8"}


def _pair(views: dict[str, str], chunk_values: int) -> tuple[Encode, Decode]:
    config = ChunkConfig(
        compression_level=12,
        enable_8_bit=True,
        paging_spec=PagingSpec.equal_pages_up_to(chunk_values),
    )

    def encode(dtype: str, values: bytes) -> bytes:
        array = np.frombuffer(values, views.get(dtype, "u1"))
        return bytes(standalone.simple_compress(array, config))

    def decode(_dtype: str, payload: bytes, _nbytes: int) -> bytes:
        return bytes(standalone.simple_decompress(payload).tobytes())

    return encode, decode


WAYS = by_tensor_and_run(
    {
        "2**18 values": _pair(VIEWS, 1 << 18),  # the default
        "2**16 values": _pair(VIEWS, 1 << 16),
        "2**18 values, unsigned": _pair(UNSIGNED, 1 << 18),
    }
)
