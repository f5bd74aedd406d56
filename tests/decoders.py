# SPDX-License-Identifier: Apache-2.0
"""Every way to decode a stream, by the reference and by the C core, as a parameter of tests."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from arranged_streams import c_reads_arranged
from builders import records_of
from checks import read_at_random, sequentially

import zipnn_like as znl
from zipnn_like import errors, reference
from zipnn_like.reference.records import parse_root, read_record


def by_range(stream: bytes) -> bytes:
    """Through the directory, in three pieces."""
    root = parse_root(read_record(stream, records_of(stream)[-1].start, errors.Where("")), False)
    ends = [0, root.source_nbytes // 3, root.source_nbytes // 2, root.source_nbytes]
    return b"".join(reference.decode_range(stream, *span) for span in itertools.pairwise(ends))


def by_archive(stream: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "arranged.znl"
        path.write_bytes(stream)
        return read_at_random(path)


Decode = Callable[[bytes], bytes]
DECODERS: dict[str, Decode] = {"reference": reference.decode, "reference by range": by_range}
if c_reads_arranged():
    DECODERS |= {
        "c": lambda stream: bytes(znl.decompress(stream)),
        "c sequentially": sequentially,
        "c at random": by_archive,
    }
decoders = pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS)
