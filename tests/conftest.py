# SPDX-License-Identifier: Apache-2.0
"""Profiles of hypothesis: few examples by default, `HYPOTHESIS_PROFILE=thorough` for many."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Shrinking arrays of thousands of values is slow by nature, and so is the first call of a kernel.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("quick", max_examples=12, **_COMMON)
settings.register_profile("ci", max_examples=12, derandomize=True, print_blob=True, **_COMMON)
settings.register_profile("thorough", max_examples=1000, **_COMMON)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "quick")
)
