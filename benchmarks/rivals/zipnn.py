# SPDX-License-Identifier: Apache-2.0
"""ZipNN: torch tensors one by one, as its scripts for safetensors files do, and the whole file.

It codes BF16, F16, F32 and FP8; its scripts copy tensors of other dtypes, and so does this.
"""

from __future__ import annotations

from collections import Counter

import torch
from zipnn import ZipNN

from .tensorwise import Decode, Encode, by_tensor_and_run, split_header
from .way import Way

DTYPES = {
    "BF16": "bfloat16",
    "F16": "float16",
    "F32": "float32",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}


def _pair(chunk_kib: int) -> tuple[Encode, Decode]:
    options = {"input_format": "torch", "compression_chunk": chunk_kib << 10}

    def encode(dtype: str, values: bytes) -> bytes | None:
        if dtype not in DTYPES:
            return None
        tensor = torch.frombuffer(bytearray(values), dtype=getattr(torch, DTYPES[dtype]))
        return bytes(ZipNN(**options).compress(tensor))

    def decode(_dtype: str, payload: bytes, _nbytes: int) -> bytes:
        tensor = ZipNN(**options).decompress(payload)
        return bytes(tensor.contiguous().view(torch.uint8).numpy())

    return encode, decode


def _compress_file(source: bytes) -> bytes:
    """The whole file as values of the dtype that most of it is."""
    sizes: Counter[str] = Counter()
    for tensor in split_header(source)[1]:
        sizes[tensor.dtype] += tensor.end - tensor.begin
    dtype = DTYPES.get(max(sizes, key=sizes.__getitem__), "bfloat16")
    return bytes(ZipNN(bytearray_dtype=dtype).compress(bytearray(source)))


def _decompress_file(wire: bytes) -> bytes:
    return bytes(ZipNN().decompress(wire))


WAYS = {
    "file": Way(_compress_file, _decompress_file),
    **by_tensor_and_run(
        {"256 KiB": _pair(256), "128 KiB": _pair(128), "64 KiB": _pair(64)}  # 256 is the default
    ),
}
