# SPDX-License-Identifier: Apache-2.0
"""Glyd's codec over the file, at its three levels that aim at size."""

from __future__ import annotations

from functools import partial

import glyd

from .way import Way

WAYS = {
    level: Way(partial(glyd.compress, level=level), glyd.decompress)
    for level in ("max", "ultra", "cold")
}
