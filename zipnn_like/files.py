# SPDX-License-Identifier: Apache-2.0
"""compress_file, decompress_file, verify_file: whole files, pipes and file objects.

Each way imports its own half of the package when it is taken: that is 10 of the 70 ms of a command.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import IO

from . import levels
from .errors import UsageError, ZnlError
from .inputs import FileInput, Input, PathLike, open_input
from .outputs import CompareOutput, FileOutput, Output, open_output
from .parallel import Follower, thread_count
from .report import Progress, Report

SUFFIX = ".znl"
WRITES_AHEAD = 2  # batches decoded that wait to be written


def compress_file(
    src: PathLike | IO[bytes],
    dst: PathLike | IO[bytes] | None = None,
    *,
    level: str = "default",
    threads: int | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
    sha256: bool = False,
) -> Report:
    """Compress a file of any kind into a `.znl` stream.

    src       path, or a binary file object read to its end
    dst       path, or a binary file object; default: src with `.znl` behind it
    level     "fast", "default" or "max"
    threads   default: the usable cores, or ZIPNN_LIKE_THREADS; the stream does not depend on it
    progress  called as progress(done, total) with source bytes; total is None for pipes
    sha256    record the SHA-256 of the source in the stream
    Raises UsageError, SourceError (src can't be read or changed meanwhile), ZnlError (dst exists or
    can't be written). On any error nothing stands under dst's name that was not there before.
    """
    from .compressor import compress_stream

    chosen, count = levels.find(level), thread_count(threads)
    target = dst if dst is not None else _default_target(src)
    with open_input(src) as source, open_output(target, overwrite=overwrite, like=source) as output:
        report = compress_stream(
            source, output, level=chosen, threads=count, progress=progress, sha256=sha256
        )
        output.commit()
    return report


def decompress_file(
    src: PathLike | IO[bytes],
    dst: PathLike | IO[bytes] | None = None,
    *,
    threads: int | None = None,
    max_size: int | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> Report:
    """Restore the source of a stream, to the last bit.

    src       path of a `.znl`, or a binary file object
    dst       path, or a binary file object; default: src without `.znl`
    max_size  give up with LimitExceededError when the source is larger than this many bytes
    Raises CorruptStreamError and its kinds, UnsupportedFormatError, LimitExceededError,
    SourceError, ZnlError. A path is written only when everything was checked; to a file object,
    bytes go out before the last check.
    """
    count = thread_count(threads)
    target = dst if dst is not None else _restored_name(src)
    with open_input(src) as source, open_output(target, overwrite=overwrite, like=source) as output:
        report = _restore(source, output, count, progress, max_size)
        output.commit()
    return dataclasses.replace(report, path=output.path)


def verify_file(
    path: PathLike | IO[bytes],
    *,
    against: PathLike | IO[bytes] | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Decode all of a stream and write nothing; with `against`, compare every byte with that file.

    Raises what decompress_file raises, and ZnlError where `against` differs.
    """
    count = thread_count(threads)
    with open_input(path) as source:
        if against is None:
            return _restore(source, Output(), count, progress, None)
        with open_input(against) as other:
            output = CompareOutput(other)
            report = _restore(source, output, count, progress, None)
            output.commit()
            return report


def _restore(
    source: Input,
    output: Output,
    threads: int,
    progress: Progress | None,
    max_size: int | None,
) -> Report:
    from .restorer import OutputTarget, restore_stream

    if max_size is not None and max_size < 0:
        raise UsageError(f"max_size: expected a number of bytes, found {max_size}")
    total = _source_nbytes(source) if progress is not None else None
    with contextlib.ExitStack() as stack:
        follower = None
        # Not for pipes: a thread that is blocked in one can't be ended.
        if threads > 1 and isinstance(output, FileOutput):
            follower = stack.enter_context(Follower(WRITES_AHEAD))
        report = restore_stream(
            source,
            OutputTarget(output, follower),
            threads=threads,
            progress=progress,
            max_nbytes=max_size,
            total_nbytes=total,
        )
    source.check_unchanged()
    return report


def _source_nbytes(source: Input) -> int | None:
    """Size of the source by the directory, for progress; None when it can't be told."""
    if not isinstance(source, FileInput) or source.nbytes is None:
        return None
    from .random_reader import RandomReader, file_pread

    try:
        with open(source.name, "rb") as file:
            return RandomReader(file_pread(file), source.nbytes, source.name).source_nbytes
    except (OSError, ZnlError):
        return None  # the pass over the records will say what is wrong


def _default_target(src: PathLike | IO[bytes]) -> str:
    if not isinstance(src, (str, os.PathLike)):
        raise UsageError("dst: expected a path or a file object where src is a file object")
    return os.fspath(src) + SUFFIX


def _restored_name(src: PathLike | IO[bytes]) -> str:
    if not isinstance(src, (str, os.PathLike)):
        raise UsageError("dst: expected a path or a file object where src is a file object")
    name = os.fspath(src)
    if not name.endswith(SUFFIX) or os.path.basename(name) == SUFFIX:
        raise UsageError(f"{name}: expected a name that ends in {SUFFIX}, or a name for the output")
    return name.removesuffix(SUFFIX)
