# SPDX-License-Identifier: Apache-2.0
"""xz, preset 6 (its default), over the file."""

from __future__ import annotations

import lzma

from .way import Way

WAYS = {"file": Way(lambda source: lzma.compress(source, preset=6), lzma.decompress)}
