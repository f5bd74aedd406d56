# SPDX-License-Identifier: Apache-2.0
"""Reads tensors out of torch checkpoints (zip and legacy layout) without torch.

The unpickler imports nothing: a few known names map to the functions below, all others to `Opaque`.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from .tensors import CARRIERS, Tensor, Wire, make_tensor, value_nbytes

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001

STORAGE_DTYPES = {
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "DoubleStorage": "F64",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}
STORAGE_MODULES = ("torch", "torch.cuda", "torch.storage")


class Opaque:
    """Stands for any pickled object that is neither a tensor nor a plain container."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Opaque:
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, item: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def extend(self, items: Any) -> None:
        pass

    def add(self, item: Any) -> None:
        pass


@dataclass(frozen=True)
class StorageType:
    """What a pickled storage class such as torch.FloatStorage means to us."""

    dtype: str


@dataclass
class Storage:
    """A run of values of one dtype; `load` gives its bytes once the file has been read so far.

    offset  first value of this view in the loaded run
    """

    dtype: str
    key: str
    value_count: int
    load: Callable[[], bytes]
    offset: int = 0


@dataclass(frozen=True)
class TensorView:
    """A tensor as pickled: a strided view of a storage; offset and strides count values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def identity(self) -> tuple[Any, ...]:
        """Equal for two views of the same values."""
        return self.storage.key, self.offset, self.shape, self.strides

    def read(self) -> Tensor:
        """The values in C order. Raises ValueError when the view leaves its storage."""
        dtype = self.storage.dtype
        stored = np.frombuffer(self.storage.load(), dtype=CARRIERS[dtype])
        if math.prod(self.shape) == 0:
            return make_tensor(dtype, self.shape, stored[:0])
        last = self.offset + sum(
            (dimension - 1) * stride
            for dimension, stride in zip(self.shape, self.strides, strict=True)
        )
        if self.offset < 0 or min(self.strides, default=0) < 0 or last >= stored.size:
            raise ValueError(f"storage {self.storage.key}: a tensor reaches outside it")
        view = np.lib.stride_tricks.as_strided(
            stored[self.offset :],
            self.shape,
            [stride * stored.itemsize for stride in self.strides],
            writeable=False,
        )
        return make_tensor(dtype, self.shape, np.ascontiguousarray(view))


def load_torch(wire: Wire) -> Any:
    """Unpickle a checkpoint held in memory; tensors come back as TensorView.

    Raises ValueError for another kind of file, big-endian values or an unknown storage.
    """
    if bytes(wire[: len(ZIP_MAGIC)]) == ZIP_MAGIC:
        return _load_zip(wire)
    return _load_legacy(wire)


def flatten(checkpoint: Any) -> dict[str, Tensor]:
    """Named tensors of nested dicts and lists, each distinct view once, in order.

    Integer keys that are object ids (old optimizer states) become their position, so that names do
    not depend on the process that wrote the checkpoint.
    """
    tensors: dict[str, Tensor] = {}
    seen = set()

    def walk(node: Any, path: tuple[str, ...]) -> None:
        if isinstance(node, TensorView):
            if node.identity() not in seen:
                seen.add(node.identity())
                tensors[".".join(path)] = node.read()
        elif isinstance(node, dict):
            for position, (key, child) in enumerate(node.items()):
                is_object_id = isinstance(key, int) and key > 1 << 24
                walk(child, (*path, str(position) if is_object_id else str(key)))
        elif isinstance(node, list | tuple):
            for position, child in enumerate(node):
                walk(child, (*path, str(position)))

    walk(checkpoint, ())
    return tensors


def _load_zip(wire: Wire) -> Any:
    archive = zipfile.ZipFile(io.BytesIO(wire))
    members = set(archive.namelist())
    pickles = [member for member in sorted(members) if member.endswith("/data.pkl")]
    if not pickles:
        raise ValueError("not a torch checkpoint: the zip file has no data.pkl")
    root = pickles[0].removesuffix("data.pkl")
    if root + "byteorder" in members and archive.read(root + "byteorder") != b"little":
        raise ValueError("a big-endian checkpoint")

    def find_storage(record: Any) -> Storage:
        kind, storage_type, key, _location, value_count = record[:5]
        if kind != "storage" or not isinstance(storage_type, StorageType):
            raise ValueError(f"unknown record {kind!r}")
        return Storage(
            storage_type.dtype, key, value_count, lambda: archive.read(f"{root}data/{key}")
        )

    return _Unpickler(io.BytesIO(archive.read(pickles[0])), find_storage).load()


def _load_legacy(wire: Wire) -> Any:
    """Magic, version, system info, the object, storage keys, then each storage: a pickle each."""
    file = io.BytesIO(wire)
    if _Unpickler(file).load() != LEGACY_MAGIC or _Unpickler(file).load() != LEGACY_VERSION:
        raise ValueError("not a torch checkpoint")
    if not _Unpickler(file).load().get("little_endian", True):
        raise ValueError("a big-endian checkpoint")
    storages: dict[str, Storage] = {}
    contents: dict[str, bytes] = {}

    def find_storage(record: Any) -> Any:
        kind = record[0].decode() if isinstance(record[0], bytes) else record[0]
        if kind == "module":
            return record[1]
        storage_type, key, _location, value_count, view = record[1:6]
        if key not in storages:
            storages[key] = Storage(storage_type.dtype, key, value_count, lambda: contents[key])
        base = storages[key]
        if view is None:
            return base
        _view_key, offset, view_value_count = view
        return Storage(base.dtype, key, view_value_count, base.load, offset)

    checkpoint = _Unpickler(file, find_storage).load()
    for key in _Unpickler(file).load():
        value_count = int.from_bytes(file.read(8), "little")
        if value_count != storages[key].value_count:
            expected = storages[key].value_count
            raise ValueError(f"storage {key}: expected {expected} values, found {value_count}")
        contents[key] = file.read(value_count * value_nbytes(storages[key].dtype))
    return checkpoint


def _rebuild_tensor(
    storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: Any
) -> TensorView:
    return TensorView(storage, storage.offset + offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: Any, *_rest: Any) -> Any:
    return tensor


def _rebuild_from_type(rebuild: Callable[..., Any], _type: Any, args: Any, _state: Any) -> Any:
    return rebuild(*args)


KNOWN_NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuild_from_type,
    ("torch", "Size"): tuple,
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], find_storage: Callable[[Any], Any] | None = None) -> None:
        super().__init__(file, encoding="utf-8")
        self._find_storage = find_storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in KNOWN_NAMES:
            return KNOWN_NAMES[module, name]
        if module in STORAGE_MODULES and name in STORAGE_DTYPES:
            return StorageType(STORAGE_DTYPES[name])
        return type(name, (Opaque,), {})

    def persistent_load(self, record: Any) -> Any:
        if self._find_storage is None:
            raise ValueError("a storage where none is expected")
        return self._find_storage(record)
