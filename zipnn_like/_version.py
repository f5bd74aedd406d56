# SPDX-License-Identifier: Apache-2.0
"""The version, stated once; setuptools reads this literal without importing the package."""

__version__ = "0.1.0"
