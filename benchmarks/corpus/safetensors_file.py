# SPDX-License-Identifier: Apache-2.0
"""Reads and writes safetensors files in memory; lays tensors out as the reference writer does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from .tensors import CARRIERS, Tensor, Wire, make_tensor

RANKS = {dtype: rank for rank, dtype in enumerate(CARRIERS)}


def dump_safetensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> list[Wire]:
    """The pieces of a safetensors file, in order: the header, then the values of each tensor."""
    names = sorted(tensors, key=lambda name: (-RANKS[tensors[name].dtype], name))
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    pieces: list[Wire] = []
    offset = 0
    for name in names:
        tensor = tensors[name]
        end = offset + tensor.values.nbytes
        header[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        if tensor.values.size:
            pieces.append(tensor.values.view(np.uint8).data)
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little") + text, *pieces]


def load_safetensors(wire: Wire) -> dict[str, Tensor]:
    """The tensors of a safetensors file, in file order."""
    view = memoryview(wire)
    header_nbytes = int.from_bytes(view[:8], "little")
    body = view[8 + header_nbytes :]
    header = json.loads(bytes(view[8 : 8 + header_nbytes]))
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        tensors[name] = make_tensor(entry["dtype"], entry["shape"], body[begin:end])
    return tensors
