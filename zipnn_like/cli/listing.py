# SPDX-License-Identifier: Apache-2.0
"""`znl inspect`: what compressed files hold, from their directories alone."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import zipnn_like as znl

from ..errors import UsageError
from .console import (
    Console,
    percent_text,
    ratio_or_none,
    size_text,
    totals_record,
)
from .exits import run_each
from .streams import STREAM

Row = Sequence[str]


def inspect(args: argparse.Namespace, console: Console) -> int:
    """Show each file: totals, then its tensors, then totals by dtype."""
    if STREAM in args.files:
        raise UsageError("inspect needs files: a directory at the end can't be read from a pipe")

    def work(path: str) -> None:
        with znl.open(path) as archive:
            if console.as_json:
                console.result(archive_record(path, archive))
            else:
                _show(path, archive, console)

    return run_each(args.files, str, work, console)


def archive_record(path: str, archive: znl.Archive) -> dict[str, Any]:
    """All that the directory tells, for JSON."""
    return {
        "path": path,
        "source_kind": archive.source_kind,
        "source_bytes": archive.source_bytes,
        "stored_bytes": archive.stored_bytes,
        "ratio": ratio_or_none(archive.stored_bytes, archive.source_bytes),
        "chunk_count": archive.chunk_count,
        "format_version": archive.format_version,
        "zstd_version": archive.zstd_version,
        "sha256": archive.sha256,
        "metadata": dict(archive.metadata()),
        "tensors": [_tensor_record(archive.info(name)) for name in archive.keys()],  # noqa: SIM118
        "by_dtype": totals_record(archive.by_dtype()),
    }


def _tensor_record(info: znl.TensorInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "dtype": info.dtype,
        "shape": list(info.shape),
        "source_bytes": info.source_bytes,
        "stored_bytes": info.stored_bytes,
        "ratio": ratio_or_none(info.stored_bytes, info.source_bytes),
    }


def _show(path: str, archive: znl.Archive, console: Console) -> None:
    console.say(path)
    for line in _header_lines(archive):
        console.say(line)
    tensors = [archive.info(name) for name in archive.keys()]  # noqa: SIM118
    if tensors:
        console.say("")
        for line in aligned([_TENSOR_TITLES, *map(_tensor_row, tensors)], "<<>>><"):
            console.say(line)
    console.say("")
    for line in aligned([_DTYPE_TITLES, *_dtype_rows(archive.by_dtype())], "<>>>"):
        console.say(line)


def _header_lines(archive: znl.Archive) -> list[str]:
    share = percent_text(archive.stored_bytes, archive.source_bytes)
    lines = [
        f"source   {size_text(archive.source_bytes)} ({archive.source_bytes:,} bytes), "
        f"{archive.source_kind}",
        f"stored   {size_text(archive.stored_bytes)} ({archive.stored_bytes:,} bytes), {share}",
        f"chunks   {archive.chunk_count:,}",
        f"format   {archive.format_version}, written with libzstd {archive.zstd_version}",
    ]
    return [*lines, f"sha256   {archive.sha256}"] if archive.sha256 else lines


_TENSOR_TITLES = ("dtype", "shape", "source", "stored", "ratio", "name")
_DTYPE_TITLES = ("dtype", "source", "stored", "ratio")


def _tensor_row(info: znl.TensorInfo) -> Row:
    shape = "x".join(map(str, info.shape)) or "scalar"
    return (info.dtype, shape, *_sizes(info.source_bytes, info.stored_bytes), info.name)


def _dtype_rows(by_dtype: Mapping[str, znl.Totals]) -> list[Row]:
    return [
        (dtype, *_sizes(totals.source_bytes, totals.stored_bytes))
        for dtype, totals in by_dtype.items()
    ]


def _sizes(source_nbytes: int, stored_nbytes: int) -> tuple[str, str, str]:
    return (
        f"{source_nbytes:,}",
        f"{stored_nbytes:,}",
        percent_text(stored_nbytes, source_nbytes),
    )


def aligned(rows: Sequence[Row], alignments: str) -> list[str]:
    """Rows as lines with columns of equal width, each aligned by its `<` or `>`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:{alignment}{width}}"
            for cell, alignment, width in zip(row, alignments, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
