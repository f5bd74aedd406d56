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
    methods_record,
    percent_text,
    ratio_or_none,
    size_text,
    totals_record,
)
from .exits import run_each
from .streams import STREAM

Row = Sequence[str]


def inspect(args: argparse.Namespace, console: Console) -> int:
    """Show each file: totals, then its tensors, then totals by dtype; with --methods by method."""
    if STREAM in args.files:
        raise UsageError("inspect needs files: a directory at the end can't be read from a pipe")

    def work(path: str) -> None:
        with znl.open(path) as archive:
            if console.as_json:
                console.result(archive_record(path, archive, by_method=args.methods))
            else:
                _show(path, archive, console, by_method=args.methods)

    return run_each(args.files, str, work, console)


def archive_record(path: str, archive: znl.Archive, *, by_method: bool) -> dict[str, Any]:
    """All that the directory tells, for JSON."""
    tensors = [archive.info(name) for name in archive.keys()]  # noqa: SIM118
    record = {
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
        "tensors": [_tensor_record(info, by_method=by_method) for info in tensors],
        "by_dtype": totals_record(archive.by_dtype()),
    }
    return record | ({"by_method": methods_record(archive.by_method())} if by_method else {})


def _tensor_record(info: znl.TensorInfo, *, by_method: bool) -> dict[str, Any]:
    record = {
        "name": info.name,
        "dtype": info.dtype,
        "shape": list(info.shape),
        "source_bytes": info.source_bytes,
        "stored_bytes": info.stored_bytes,
        "ratio": ratio_or_none(info.stored_bytes, info.source_bytes),
    }
    return record | ({"methods": totals_record(info.methods)} if by_method else {})


def _show(path: str, archive: znl.Archive, console: Console, *, by_method: bool) -> None:
    console.say(path)
    for line in _header_lines(archive):
        console.say(line)
    tensors = [archive.info(name) for name in archive.keys()]  # noqa: SIM118
    if tensors:
        console.say("")
        for line in _tensor_method_lines(tensors) if by_method else _tensor_lines(tensors):
            console.say(line)
    console.say("")
    for line in (
        _dtype_method_lines(archive.by_method()) if by_method else _dtype_lines(archive.by_dtype())
    ):
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


_SIZE_TITLES = ("source", "stored", "ratio")


def _tensor_lines(tensors: Sequence[znl.TensorInfo]) -> list[str]:
    rows = [
        (info.dtype, _shape(info), *_sizes(info.source_bytes, info.stored_bytes), info.name)
        for info in tensors
    ]
    return aligned([("dtype", "shape", *_SIZE_TITLES, "name"), *rows], "<<>>><")


def _tensor_method_lines(tensors: Sequence[znl.TensorInfo]) -> list[str]:
    """A line for each method of a tensor, and one for a tensor without bytes."""
    rows = [
        (
            info.dtype,
            _shape(info),
            method,
            *_sizes(totals.source_bytes, totals.stored_bytes),
            info.name,
        )
        for info in tensors
        for method, totals in (info.methods or {"-": znl.Totals(0, 0)}).items()
    ]
    return aligned([("dtype", "shape", "method", *_SIZE_TITLES, "name"), *rows], "<<<>>><")


def _shape(info: znl.TensorInfo) -> str:
    return "x".join(map(str, info.shape)) or "scalar"


def _dtype_lines(by_dtype: Mapping[str, znl.Totals]) -> list[str]:
    rows = [
        (dtype, *_sizes(totals.source_bytes, totals.stored_bytes))
        for dtype, totals in by_dtype.items()
    ]
    return aligned([("dtype", *_SIZE_TITLES), *rows], "<>>>")


def _dtype_method_lines(by_method: Mapping[str, Mapping[str, znl.Totals]]) -> list[str]:
    rows = [
        (dtype, method, *_sizes(totals.source_bytes, totals.stored_bytes))
        for dtype, methods in by_method.items()
        for method, totals in methods.items()
    ]
    return aligned([("dtype", "method", *_SIZE_TITLES), *rows], "<<>>>")


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
