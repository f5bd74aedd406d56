# SPDX-License-Identifier: Apache-2.0
"""Levels: what the encoder may spend. A decoder never learns the level."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import UsageError


@dataclass(frozen=True)
class Level:
    """What a level may spend; zstd_level is for bytes without a model.

    `max` has no coder of its own yet and codes values as `default` does.
    """

    name: str
    zstd_level: int


LEVELS = {
    "fast": Level("fast", 3),
    "default": Level("default", 6),
    "max": Level("max", 19),
}


def find(name: str) -> Level:
    """The level of that name; UsageError for any other."""
    if not isinstance(name, str) or name not in LEVELS:
        raise UsageError(f"level {name!r}: expected one of {', '.join(LEVELS)}")
    return LEVELS[name]
