# SPDX-License-Identifier: Apache-2.0
"""Reads the initializers out of an ONNX model with a small protobuf reader of our own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from .tensors import Tensor, Wire, make_tensor, value_nbytes

# TensorProto.DataType of onnx.proto -> dtype
DTYPES = {
    1: "F32",
    2: "U8",
    3: "I8",
    4: "U16",
    5: "I16",
    6: "I32",
    7: "I64",
    9: "BOOL",
    10: "F16",
    11: "F64",
    12: "U32",
    13: "U64",
    16: "BF16",
    17: "F8_E4M3",
    19: "F8_E5M2",
}

# Field numbers of onnx.proto
MODEL_GRAPH = 7
GRAPH_INITIALIZER = 5
TENSOR_DIMS = 1
TENSOR_DATA_TYPE = 2
TENSOR_FLOAT_DATA = 4
TENSOR_INT32_DATA = 5
TENSOR_INT64_DATA = 7
TENSOR_NAME = 8
TENSOR_RAW_DATA = 9
TENSOR_DOUBLE_DATA = 10
TENSOR_UINT64_DATA = 11
TENSOR_DATA_LOCATION = 14

# Where TensorProto keeps integers that are not in raw_data; narrower ones all go to int32_data.
INTEGER_FIELDS = {
    "I64": TENSOR_INT64_DATA,
    "U32": TENSOR_UINT64_DATA,
    "U64": TENSOR_UINT64_DATA,
}

WIRE_VARINT = 0
WIRE_LENGTH_DELIMITED = 2
FIXED_NBYTES = {1: 8, 5: 4}

Field = int | memoryview


def load_onnx(wire: Wire) -> dict[str, Tensor]:
    """The initializers of an ONNX model, in file order; dtypes outside DTYPES are left out.

    Raises ValueError for a malformed message or a tensor in an external file.
    """
    tensors = {}
    for graph in _submessages(memoryview(wire), MODEL_GRAPH):
        for message in _submessages(graph, GRAPH_INITIALIZER):
            fields = defaultdict(list)
            for number, field in _parse_fields(message):
                fields[number].append(field)
            if _first_int(fields[TENSOR_DATA_TYPE]) in DTYPES:
                name = b"".join(_runs(fields[TENSOR_NAME])).decode()
                tensors[name] = _parse_tensor(name, fields)
    return tensors


def _parse_tensor(name: str, fields: dict[int, list[Field]]) -> Tensor:
    if _first_int(fields[TENSOR_DATA_LOCATION]):
        raise ValueError(f"ONNX tensor {name!r} lies in an external file")
    dtype = DTYPES[_first_int(fields[TENSOR_DATA_TYPE])]
    shape = _unpack_varints(fields[TENSOR_DIMS])
    if fields[TENSOR_RAW_DATA]:
        return make_tensor(dtype, shape, b"".join(_runs(fields[TENSOR_RAW_DATA])))
    if dtype == "F32":
        return make_tensor(dtype, shape, b"".join(_runs(fields[TENSOR_FLOAT_DATA])))
    if dtype == "F64":
        return make_tensor(dtype, shape, b"".join(_runs(fields[TENSOR_DOUBLE_DATA])))
    integers = _unpack_varints(fields[INTEGER_FIELDS.get(dtype, TENSOR_INT32_DATA)])
    bits = np.array(integers, dtype=np.uint64)
    # Negative numbers are 64-bit two's complement; narrowing keeps the low bytes.
    return make_tensor(dtype, shape, bits.astype(f"<u{value_nbytes(dtype)}").tobytes())


def _parse_fields(message: memoryview) -> Iterator[tuple[int, Field]]:
    """(field number, content) of one protobuf message: int for a varint, else its bytes."""
    offset = 0
    while offset < len(message):
        key, offset = _parse_varint(message, offset)
        wire_type = key & 7
        if wire_type == WIRE_VARINT:
            number, offset = _parse_varint(message, offset)
            yield key >> 3, number
            continue
        if wire_type == WIRE_LENGTH_DELIMITED:
            nbytes, offset = _parse_varint(message, offset)
        elif wire_type in FIXED_NBYTES:
            nbytes = FIXED_NBYTES[wire_type]
        else:
            raise ValueError(f"protobuf: offset {offset}: unknown wire type {wire_type}")
        if nbytes > len(message) - offset:
            raise ValueError(f"protobuf: offset {offset}: a field of {nbytes} bytes is cut off")
        yield key >> 3, message[offset : offset + nbytes]
        offset += nbytes


def _parse_varint(message: memoryview, offset: int) -> tuple[int, int]:
    """The number at `offset` and the offset behind it."""
    number = shift = 0
    while offset < len(message):
        byte = message[offset]
        offset += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, offset
        shift += 7
    raise ValueError(f"protobuf: offset {offset}: a varint is cut off")


def _unpack_varints(fields: Iterable[Field]) -> list[int]:
    """The numbers of a repeated field, packed into one run or stored one by one."""
    numbers = []
    for field in fields:
        if isinstance(field, int):
            numbers.append(field)
            continue
        offset = 0
        while offset < len(field):
            number, offset = _parse_varint(field, offset)
            numbers.append(number)
    return numbers


def _submessages(message: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, field in _parse_fields(message):
        if number == wanted and isinstance(field, memoryview):
            yield field


def _first_int(fields: list[Field]) -> int:
    """The number of an optional field, 0 where it is absent."""
    return fields[0] if fields and isinstance(fields[0], int) else 0


def _runs(fields: list[Field]) -> list[memoryview]:
    return [field for field in fields if isinstance(field, memoryview)]
