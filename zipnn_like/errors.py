# SPDX-License-Identifier: Apache-2.0
"""The exceptions of the package, one tree, and `Where`, which words their messages."""

from __future__ import annotations

from dataclasses import dataclass


class ZnlError(Exception):
    """Base of every error this package raises on purpose."""


class UsageError(ZnlError, ValueError):
    """An argument of the caller's is wrong: an unknown level, dtype, tensor name ..."""


class SourceError(ZnlError):
    """A source can't be read, or changed while it was read."""


class UnsupportedFormatError(ZnlError):
    """Not a znl stream, or one that needs a newer reader."""


class BaseMismatchError(ZnlError):
    """The base that a delta needs is missing or is another file."""


class LimitExceededError(ZnlError):
    """Decoding would need more than a limit of the format or of the caller allows."""


class CorruptStreamError(ZnlError):
    """The stream is damaged: no bytes it yields can be trusted from here on."""


class TruncatedStreamError(CorruptStreamError):
    """The stream ends before it is complete."""


class ChecksumError(CorruptStreamError):
    """Bytes are whole but are not those that were written."""


@dataclass(frozen=True)
class Where:
    """A place in a file, for messages: the file's name and, where one is known, what lies there."""

    file: str
    part: str = ""

    def within(self, part: str) -> Where:
        """The same file, with a tensor or record named."""
        return Where(self.file, part)

    def at(self, offset: int, expected: object, found: object, advice: str = "") -> str:
        """`file: part: offset N: expected X, found Y` with what to do behind it."""
        place = f"{self.file}: {self.part}" if self.part else self.file
        tail = f"; {advice}" if advice else ""
        return f"{place}: offset {offset}: expected {expected}, found {found}{tail}"
