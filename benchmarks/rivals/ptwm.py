# SPDX-License-Identifier: Apache-2.0
"""PTWM's own container, with its explorer of transformations and without it.

The container keeps names, dtypes and shapes; the source's header is added. The explorer's time
limit is the only thing here by which a size can depend on the machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from ptwm.integrations import compress_safetensors_file
from ptwm.preprocessing import ExploreOptions
from ptwm.random_access import TensorIndex

from .tensorwise import Tensor, join_tensors, pack_header, split_header, unpack_header
from .way import Way

EXPLORE = ExploreOptions(
    max_candidates_per_dtype=64, time_budget_ms=20_000, allow_cross_tensor=False
)


def _way(explore_options: ExploreOptions | None) -> Way:
    def compress(source: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path, target = Path(folder, "model.safetensors"), Path(folder, "packed")
            path.write_bytes(source)
            compress_safetensors_file(
                path, target, mode="a", explore_options=explore_options, use_user_cache=False
            )
            return pack_header(split_header(source)[0]) + (target / "model.ptwm").read_bytes()

    return Way(compress, _decompress)


def _decompress(wire: bytes) -> bytes:
    header, at = unpack_header(wire)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.ptwm")
        path.write_bytes(wire[at:])
        index = TensorIndex.open(str(path))

        def values(tensor: Tensor) -> bytes:
            restored = index.get_tensor(tensor.name)
            return bytes(restored.reshape(-1).contiguous().view(torch.uint8).numpy())

        return join_tensors(header, values)


WAYS = {"container": _way(None), "container, explored": _way(EXPLORE)}
