# SPDX-License-Identifier: Apache-2.0
"""Parts and tables of arranged chunks that several test files try."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from arranged_builder import LAYOUTS, Frequencies, Part, fit_tables, universal

TABLE_COUNTS = (1, 2, 3, 4, 5, 8, 9, 16, 17, 31, 32)
SHAPES: dict[str, list[tuple[int, int, bool]]] = {
    "2048 values": [(32, 64, False)],
    "2048 values with columns": [(32, 64, True)],
    "one vector": [(1, 2048, False)],
    "one vector with columns": [(1, 2049, True)],
    "rows of 1": [(2048, 1, False)],
    "rows of 1 with columns": [(2049, 1, True)],
    "1024 parts": [(1, 4, False)] * 1024,
    "1024 parts with columns": [(1, 5, True)] * 1024,
    "whole rows that begin inside a block": [(1, 5, False), (33, 64, False)],
    "rows of 63": [(40, 63, False)],
    "rows of 65": [(40, 65, False)],
    "some of each": [
        (7, 33, False),
        (3, 128, True),
        (5, 64, False),
        (100, 6, True),
        (1, 999, False),
    ],
}


def with_classes(
    shapes: Sequence[tuple[int, int, bool]], table_count: int, seed: int
) -> list[Part]:
    """Parts of these shapes, classes at random, the outermost ones more often."""
    rng = np.random.default_rng(seed)

    def classes(count: int, number: int) -> tuple[int, ...]:
        drawn = rng.integers(-1, number + 1, count)
        return tuple(np.clip(drawn, 0, number - 1).tolist())

    return [
        Part(classes(rows, table_count), row_values, classes(row_values, 15) if columns else None)
        for rows, row_values, columns in shapes
    ]


def value_count(parts: Sequence[Part]) -> int:
    return sum(part.value_count for part in parts)


def tables_for(
    how: str, data: bytes, dtype: str, parts: Sequence[Part], table_count: int
) -> tuple[Frequencies, ...]:
    """fitted; universal, so that most values are patched; or some of both, some the same."""
    fitted = fit_tables(data, dtype, parts, table_count)
    if how == "fitted":
        return fitted
    few = 1 << LAYOUTS[dtype].symbol_bits
    some = tuple(universal((7, 12)[k % 2], 3 * k % few) for k in range(table_count))
    if how == "universal":
        return some
    return tuple((fitted[k], some[k], fitted[0])[k % 3] for k in range(table_count))
