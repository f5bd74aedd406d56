# SPDX-License-Identifier: Apache-2.0
"""Zstandard, level 19 (the highest without --ultra), over the file."""

from __future__ import annotations

import zstandard

from .way import Way

WAYS = {"file": Way(zstandard.ZstdCompressor(level=19).compress, zstandard.decompress)}
