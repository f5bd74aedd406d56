# SPDX-License-Identifier: Apache-2.0
"""OpenZL: its generic graph, and graphs that take floats apart, tensor by tensor.

No profile for weights comes with the package; "planes" is built from its nodes for floats, and each
plane goes to the smallest of all entropy coders it has, zstd -19 and plain storage.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import openzl.ext as zl

from .tensorwise import Decode, Encode, by_tensor_and_run
from .way import Way

WIDTHS = {"BF16": 2, "F16": 2, "I16": 2, "U16": 2, "F32": 4, "I32": 4, "U32": 4} | dict.fromkeys(
    ("F64", "I64", "U64"), 8
)
Build = Callable[[zl.Compressor, str], zl.GraphID]


def _compress(values: zl.Input, graph: Callable[[zl.Compressor], zl.GraphID]) -> bytes:
    compressor = zl.Compressor()
    compressor.set_parameter(zl.CParam.FormatVersion, zl.MAX_FORMAT_VERSION)
    compressor.select_starting_graph(graph(compressor))
    context = zl.CCtx()
    context.ref_compressor(compressor)
    return bytes(context.compress([values]))


def _decode(_dtype: str, payload: bytes, _nbytes: int) -> bytes:
    return bytes(zl.DCtx().decompress(payload)[0].content.as_bytes())


def _pair(build: Build) -> tuple[Encode, Decode]:
    def encode(dtype: str, values: bytes) -> bytes:
        array = np.frombuffer(values, f"<u{WIDTHS.get(dtype, 1)}")
        return _compress(zl.Input(zl.Type.Numeric, array), lambda at: build(at, dtype))

    return encode, _decode


def _smallest(at: zl.Compressor, *, serial: bool) -> zl.GraphID:
    """Whatever makes this plane, or this array of integers, smallest."""
    graphs = zl.graphs
    choices = [graphs.Entropy(), graphs.Huffman(), graphs.Compress(), graphs.Store()]
    if serial:
        choices += [graphs.Fse(), graphs.Zstd(compression_level=19)]
    else:
        choices += [graphs.FieldLz(compression_level=9)]
    return graphs.BruteForce([choice(at) for choice in choices])(at)


def _planes(at: zl.Compressor, dtype: str) -> zl.GraphID:
    """Exponents, then sign and fraction byte by byte."""
    nodes = zl.nodes
    plane = _smallest(at, serial=True)
    bytewise = nodes.TransposeSplit()(at, plane)
    if dtype == "BF16":
        return nodes.BFloat16Deconstruct()(at, nodes.ConvertStructToSerial()(at, plane), plane)
    if dtype == "F16":
        return nodes.Float16Deconstruct()(at, bytewise, plane)
    if dtype == "F32":
        return nodes.Float32Deconstruct()(at, bytewise, plane)
    return _smallest(at, serial=False)


def _generic(at: zl.Compressor, _dtype: str) -> zl.GraphID:
    return zl.graphs.Compress()(at)


def _compress_file(source: bytes) -> bytes:
    serial = zl.Input(zl.Type.Serial, np.frombuffer(source, "u1"))
    return _compress(serial, zl.graphs.Compress())


WAYS = {
    "file, generic": Way(_compress_file, lambda wire: _decode("U8", wire, 0)),
    **by_tensor_and_run({"generic": _pair(_generic), "planes": _pair(_planes)}),
}
