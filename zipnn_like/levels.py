# SPDX-License-Identifier: Apache-2.0
"""Levels: what the encoder may spend. A decoder never learns the level."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import UsageError


@dataclass(frozen=True)
class Level:
    """What a level may spend.

    zstd_level  for bytes without a model
    by_rows     look for the scales of rows and columns
    composes    take chunks apart where that pays: integers, packed or few values, pruned tensors
    `max` has no coder of its own yet and codes values as `default` does.
    """

    name: str
    zstd_level: int
    by_rows: bool
    composes: bool


LEVELS = {
    "fast": Level("fast", 3, False, False),
    "default": Level("default", 6, True, True),
    "max": Level("max", 19, True, True),
}


def find(name: str) -> Level:
    """The level of that name; UsageError for any other."""
    if not isinstance(name, str) or name not in LEVELS:
        raise UsageError(f"level {name!r}: expected one of {', '.join(LEVELS)}")
    return LEVELS[name]
