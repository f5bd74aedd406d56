# SPDX-License-Identifier: Apache-2.0
"""Zstandard, level 3 (its default), over the file."""

from __future__ import annotations

import zstandard

from .way import Way

WAYS = {"file": Way(zstandard.ZstdCompressor(level=3).compress, zstandard.decompress)}
