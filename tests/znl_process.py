# SPDX-License-Identifier: Apache-2.0
"""Runs `znl` as a real process, and builds the small models that it is given."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import zipnn_like

ZNL = [sys.executable, "-m", "zipnn_like"]
TIMEOUT_S = 60


def environment(**variables: str) -> dict[str, str]:
    """The environment of a child that imports the package under test, wherever it runs."""
    root = str(Path(zipnn_like.__file__).parent.parent)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZIPNN_LIKE")}
    paths = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))
    return {**kept, "PYTHONPATH": paths, **variables}


def znl(
    *args: str | Path, stdin: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Run `znl` with these arguments to its end."""
    return subprocess.run(
        [*ZNL, *map(str, args)],
        input=stdin,
        capture_output=True,
        env=environment(**variables),
        timeout=TIMEOUT_S,
        check=False,
    )


def start(*args: str | Path, **options: object) -> subprocess.Popen[bytes]:
    """Start `znl`; `options` are those of Popen."""
    return subprocess.Popen([*ZNL, *map(str, args)], env=environment(), **options)  # type: ignore[call-overload,no-any-return]


def error_line(done: subprocess.CompletedProcess[bytes]) -> str:
    """What `znl` complained about; fails unless that is exactly one line."""
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("znl: "), lines
    return lines[0].removeprefix("znl: ")


def json_lines(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    """The records on stdout; fails where a line is none."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def model_bytes(value_count: int = 50_000, seed: int = 1) -> bytes:
    """A safetensors file with weights in BF16 and F32, an empty tensor and a scalar."""
    values = np.random.default_rng(seed).normal(0, 0.02, value_count).astype("<f4")
    bf16 = (values.view("<u4") >> 16).astype("<u2").tobytes()
    tensors = {
        "layer.weight": ("BF16", [value_count // 10, 10], bf16),
        "layer.bias": ("F32", [100], values[:100].tobytes()),
        "empty": ("F32", [0, 4], b""),
        "step": ("I64", [], struct.pack("<q", 12)),
    }
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape, data) in tensors.items():
        stop = offset + len(data)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, stop]}
        offset = stop
    text = json.dumps(header).encode()
    body = b"".join(data for _, _, data in tensors.values())
    return struct.pack("<Q", len(text)) + text + body


def damaged(stream: bytes) -> bytes:
    """The stream with one bit of a chunk flipped."""
    middle = len(stream) // 2
    return stream[:middle] + bytes([stream[middle] ^ 0x10]) + stream[middle + 1 :]


def names_in(folder: Path) -> set[str]:
    """What is below a folder, hidden and temporary files included."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
