# SPDX-License-Identifier: Apache-2.0
"""The safetensors container: parse its JSON header, and build one.

A header is accepted only if the safetensors library (0.8) accepts it, and is a file of opaque bytes
otherwise. Where the library is lax and two readers could disagree, this parser is stricter: no key
twice in one object, no blank before the first brace, tensors as objects and dtypes as strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from operator import index

from ..dtypes import BYTES, DTYPES, DType
from ..errors import UsageError
from .layout import KIND_SAFETENSORS, Layout, Tensor

MAX_HEADER_NBYTES = 100_000_000  # of the JSON text; as the safetensors library

_METADATA = "__metadata__"
_TENSOR_FIELDS = frozenset(("dtype", "shape", "data_offsets"))
_DTYPE_BY_NAME = {dtype.name: dtype for dtype in DTYPES if dtype is not BYTES}
_MAX_U64 = 2**64 - 1  # the library counts elements and bits in 64 bits
_MAX_OFFSET = 2**63 - 1  # no file is longer
_MAX_DEPTH = 127  # arrays and objects inside one another that serde_json reads
_MAX_REAL = 1e300  # serde_json rejects what rounds to infinity; this stays clear of its rounding
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def header_nbytes(first8: bytes) -> int | None:
    """Size of the JSON text that the first 8 bytes of a source announce.

    None if no safetensors file starts so: fewer than 8 bytes, or a size no header can have.
    """
    if len(first8) < 8:
        return None
    json_nbytes = int.from_bytes(first8[:8], "little")
    return json_nbytes if 2 <= json_nbytes <= MAX_HEADER_NBYTES else None


def parse_header(json_bytes: bytes) -> Layout | None:
    """Parse the JSON text between the 8 bytes of its size and the first tensor byte.

    json_bytes  untrusted
    returns     the layout, None if this is no safetensors header; raises for no input
    source      safetensors/src/tensor.rs (`Metadata::validate`), safetensors 0.8.0
    """
    try:
        header = _load_json(json_bytes)
        metadata = _parse_metadata(header.pop(_METADATA, None))
        body_offset = 8 + len(json_bytes)
        tensors = [_parse_tensor(name, info, body_offset) for name, info in header.items()]
        tensors.sort(key=lambda tensor: (tensor.start, tensor.stop))
        _check_tiling(tensors, body_offset)
    except (ValueError, RecursionError, MemoryError):
        return None
    return Layout(KIND_SAFETENSORS, tuple(tensors), metadata, body_offset)


def build_header(
    tensors: Iterable[tuple[str, DType, tuple[int, ...]]], metadata: Mapping[str, str]
) -> bytes:
    """The bytes of a safetensors file before its first tensor byte.

    tensors  name, dtype, shape; their values follow the header in this order, without gaps
    returns  the size in 8 bytes, then JSON padded with spaces to a multiple of 8
    Raises UsageError for what would make no valid header.
    """
    builder = HeaderBuilder(metadata)
    for name, dtype, shape in tensors:
        builder.add(name, dtype, shape)
    return builder.pack()


class HeaderBuilder:
    """Collects the tensors of a header; each that would make it invalid is refused when it comes.

    body_nbytes  size of the tensors so far
    Raises UsageError, after which it is as before the call.
    """

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self._header: dict[str, object] = {}
        self._json_nbytes = 1  # of the text, without padding
        self.body_nbytes = 0
        if metadata:
            self._take(_METADATA, _checked_metadata(metadata), 0)

    def add(
        self, name: str, dtype: DType, shape: Iterable[int], *, nbytes: int | None = None
    ) -> None:
        """Append a tensor; nbytes: the size of its values, where they are known already."""
        if not isinstance(name, str) or name == _METADATA or name in self._header:
            raise UsageError(f"tensor {name!r}: expected a name not used before or reserved")
        if dtype.name not in _DTYPE_BY_NAME:
            raise UsageError(f"tensor {name!r}: safetensors has no dtype {dtype.name}")
        try:
            dims = [int(index(dim)) for dim in shape]  # numpy's integers too, but no floats
            stated_nbytes = _tensor_nbytes(dtype, dims)
        except (TypeError, ValueError) as error:
            raise UsageError(f"tensor {name!r}: {error}, found shape {shape}") from None
        if nbytes is not None and nbytes != stated_nbytes:
            raise UsageError(
                f"tensor {name!r}: shape {tuple(dims)}: expected {stated_nbytes} bytes, "
                f"found {nbytes}"
            )
        start, stop = self.body_nbytes, self.body_nbytes + stated_nbytes
        info = {"dtype": dtype.name, "shape": dims, "data_offsets": [start, stop]}
        self._take(name, info, stated_nbytes)

    def pack(self) -> bytes:
        """The bytes of the file before its first tensor byte."""
        json_bytes = _json(self._header)
        json_bytes += b" " * (-len(json_bytes) % 8)
        return len(json_bytes).to_bytes(8, "little") + json_bytes

    def _take(self, key: str, value: object, value_nbytes: int) -> None:
        # A member alone has one brace more than in the header, where a comma or brace follows it.
        json_nbytes = self._json_nbytes + len(_json({key: value})) - 1
        padded_nbytes = json_nbytes + -json_nbytes % 8
        body_nbytes = self.body_nbytes + value_nbytes
        if padded_nbytes > MAX_HEADER_NBYTES:
            raise UsageError(
                f"header: expected at most {MAX_HEADER_NBYTES} bytes, found {padded_nbytes} "
                "with this name, shape or metadata"
            )
        if 8 + padded_nbytes + body_nbytes > _MAX_OFFSET:
            raise UsageError(f"tensors: expected a file below 2**63 bytes, found {body_nbytes}")
        self._header[key] = value
        self._json_nbytes, self.body_nbytes = json_nbytes, body_nbytes


def _checked_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(metadata, Mapping):
        raise UsageError(f"metadata: expected a mapping of str to str, found {metadata!r}")
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise UsageError(f"metadata {key!r}: expected str to str, found {value!r}")
    return dict(metadata)


def _json(members: dict[str, object]) -> bytes:
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"names and metadata: expected Unicode text, found {error}") from None


# The steps of parse_header: each raises ValueError for what the library rejects.


def _load_json(json_bytes: bytes) -> dict[str, object]:
    if len(json_bytes) > MAX_HEADER_NBYTES or not json_bytes.startswith(b"{"):
        raise ValueError("a header starts with a brace and is at most 100 MB long")
    text = json_bytes.decode("utf-8")
    header: dict[str, object] = json.loads(
        text,
        object_pairs_hook=_load_object,
        parse_int=_load_integer,
        parse_float=_load_real,
        parse_constant=_reject_constant,
    )
    if _ESCAPED_SURROGATE.search(text):
        # json joins a pair into one character; a surrogate it leaves alone can't be encoded.
        json.dumps(header, ensure_ascii=False).encode("utf-8")
    return header


def _load_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a key occurs twice")
    return unique


def _load_integer(digits: str) -> int | float:
    # "-0" and integers above 64 bits are reals to serde_json, hence no sizes and no offsets.
    if digits.startswith("-") or len(digits) > 20:
        return _load_real(digits)
    return int(digits)


def _load_real(digits: str) -> float:
    value = float(digits)
    if abs(value) > _MAX_REAL:
        raise ValueError("a number is out of range")
    return value


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _parse_metadata(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("metadata maps str to str")
    return value


def _parse_tensor(name: str, info: object, body_offset: int) -> Tensor:
    if not isinstance(info, dict) or not info.keys() >= _TENSOR_FIELDS:
        raise ValueError("a tensor has a dtype, a shape and data_offsets")
    if len(info) > len(_TENSOR_FIELDS):  # other fields may say what they like, if not too deeply
        _check_depth(info, depth=2)
    dtype_name = info["dtype"]
    dtype = _DTYPE_BY_NAME.get(dtype_name) if isinstance(dtype_name, str) else None
    if dtype is None:
        raise ValueError("unknown dtype")
    shape = _parse_u64s(info["shape"])
    offsets = _parse_u64s(info["data_offsets"])
    if len(offsets) != 2 or offsets[1] - offsets[0] != _tensor_nbytes(dtype, shape):
        raise ValueError("dtype, shape and data_offsets disagree")
    return Tensor(name, dtype, tuple(shape), body_offset + offsets[0], body_offset + offsets[1])


def _parse_u64s(values: object) -> list[int]:
    if not isinstance(values, list):
        raise ValueError("expected an array")
    for value in values:
        if type(value) is not int or value > _MAX_U64:  # bool is an int to isinstance
            raise ValueError("expected 64-bit integers")
    return values


def _tensor_nbytes(dtype: DType, shape: Sequence[int]) -> int:
    """Size of a tensor in bytes; ValueError where the library finds an overflow or half a byte."""
    value_count = 1
    for dim in shape:
        value_count *= dim
        # After each factor, as the library does: a later zero does not excuse an overflow.
        if not 0 <= dim <= _MAX_U64 or value_count > _MAX_U64:
            raise ValueError("expected sizes that have 64 bits and whose product has 64 bits")
    value_bits = value_count * dtype.bits
    if value_bits > _MAX_U64 or value_bits % 8:
        raise ValueError("expected whole bytes and fewer than 2**64 bits")
    return value_bits // 8


def _check_depth(info: dict[str, object], depth: int) -> None:
    """Raise ValueError if `info`, itself the array or object number `depth`, is nested too deep."""
    level: list[dict[str, object] | list[object]] = [info]
    while level:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deep")
        inner: list[dict[str, object] | list[object]] = []
        for container in level:
            children = container.values() if isinstance(container, dict) else container
            inner += [child for child in children if isinstance(child, (dict, list))]
        level = inner
        depth += 1


def _check_tiling(tensors: list[Tensor], body_offset: int) -> None:
    stop = body_offset
    for tensor in tensors:
        if tensor.start != stop:
            raise ValueError("a hole or an overlap")
        stop = tensor.stop
    if stop > _MAX_OFFSET:
        raise ValueError("more bytes than a file can have")
