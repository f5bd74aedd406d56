# SPDX-License-Identifier: Apache-2.0
"""z4ai: its container for safetensors files, and its slowest codec (brotli 11) tensor by tensor."""

from __future__ import annotations

from functools import partial

import z4ai
from z4ai import safetensors

from .tensorwise import by_tensor
from .way import Way

DTYPES = {
    "BF16": "bf16",
    "F16": "fp16",
    "F32": "fp32",
    "F64": "fp64",
    "F8_E4M3": "fp8_e4m3",
    "F8_E5M2": "fp8_e5m2",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "I8": "int8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "U8": "uint8",
}


def _encode(dtype: str, values: bytes) -> bytes:
    return bytes(z4ai.compress(values, dtype=DTYPES.get(dtype), effort="max"))


def _decode(_dtype: str, payload: bytes, _nbytes: int) -> bytes:
    return bytes(z4ai.decompress(payload))


WAYS = {
    "container": Way(safetensors.compress_bytes, safetensors.decompress_bytes),
    "container, level 19": Way(
        partial(safetensors.compress_bytes, level=19), safetensors.decompress_bytes
    ),
    "tensors, effort max": by_tensor(_encode, _decode),
}
