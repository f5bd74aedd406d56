# SPDX-License-Identifier: Apache-2.0
"""Measurements, the corpus they run on, and the demo; not part of the installed package."""
