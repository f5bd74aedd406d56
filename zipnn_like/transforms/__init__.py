# SPDX-License-Identifier: Apache-2.0
"""Ways to take the values of a chunk apart into sub-chunks (docs/format.md, section 5.11).

Each is a row of one table: what it may save, how a chunk is split, and how it is joined again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..dtypes import DType
from . import nibbles, palette, planes, scaled, sparse
from .parts import U8, Fields, Guess, Sample, Split

__all__ = ["BY_CODE", "TRANSFORMS", "Transform"]


@dataclass(frozen=True)
class Transform:
    """A way to take values apart.

    code          on the wire
    estimate      what it may come to by a sample, None when it is not for these values
    split         the parts of a chunk of a dtype, None when it is not as the sample promised
    parts_nbytes  the size of all parts by fields of the wire and the size of the source; raises
                  UnfitError for fields that can't be
    join          writes the source of the parts, one behind the other; raises UnfitError
    """

    code: int
    name: str
    estimate: Callable[[Sample], Guess | None]
    split: Callable[[U8, DType, Guess], Split | None]
    parts_nbytes: Callable[[Fields, int], int]
    join: Callable[[Fields, U8, U8], None]


TRANSFORMS = (
    Transform(0, "planes", planes.estimate, planes.split, planes.parts_nbytes, planes.join),
    Transform(
        1,
        "nibbles",
        nibbles.estimate_nibbles,
        nibbles.split_nibbles,
        nibbles.nibbles_nbytes,
        nibbles.join_nibbles,
    ),
    Transform(
        2,
        "sixes",
        nibbles.estimate_sixes,
        nibbles.split_sixes,
        nibbles.sixes_nbytes,
        nibbles.join_sixes,
    ),
    Transform(3, "palette", palette.estimate, palette.split, palette.parts_nbytes, palette.join),
    Transform(4, "sparse", sparse.estimate, sparse.split, sparse.parts_nbytes, sparse.join),
    Transform(5, "scaled", scaled.estimate, scaled.split, scaled.parts_nbytes, scaled.join),
)

BY_CODE = {transform.code: transform for transform in TRANSFORMS}
