# SPDX-License-Identifier: Apache-2.0
"""BigSmall in its storage mode. It keeps names, dtypes and shapes, but not the header's bytes.

The source's header is added where the restored one differs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import bigsmall

from .tensorwise import join_tensors, pack_header, split_header, unpack_header
from .way import Way

OWN_HEADER, SOURCE_HEADER = b"\0", b"\1"


def _restore(packed: bytes) -> bytes:
    """What BigSmall itself makes of its file."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "model.bs"), Path(folder, "model.safetensors")
        source.write_bytes(packed)
        bigsmall.decompress(str(source), str(target), progress=False)
        return target.read_bytes()


def _decompress(wire: bytes) -> bytes:
    if wire[:1] == OWN_HEADER:
        return _restore(wire[1:])
    header, at = unpack_header(wire[1:])
    restored = _restore(wire[1 + at :])
    restored_header, tensors = split_header(restored)
    body = restored[len(restored_header) :]
    values = {tensor.name: body[tensor.begin : tensor.end] for tensor in tensors}
    return join_tensors(header, lambda tensor: values[tensor.name])


def _way(*, group_streams: bool, use_v8_codec: bool) -> Way:
    def compress(source: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path, target = Path(folder, "model.safetensors"), Path(folder, "model.bs")
            path.write_bytes(source)
            bigsmall.compress(
                str(path),
                str(target),
                mode="storage",
                workers=1,
                progress=False,
                group_streams=group_streams,
                use_v8_codec=use_v8_codec,
            )
            packed = target.read_bytes()
        if _restore(packed) == source:
            return OWN_HEADER + packed
        return SOURCE_HEADER + pack_header(split_header(source)[0]) + packed

    return Way(compress, _decompress)


WAYS = {
    "storage": _way(group_streams=False, use_v8_codec=False),
    "storage, grouped": _way(group_streams=True, use_v8_codec=False),
    "storage, grouped, v8": _way(group_streams=True, use_v8_codec=True),
}
