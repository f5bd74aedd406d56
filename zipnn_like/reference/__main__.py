# SPDX-License-Identifier: Apache-2.0
"""`python -m zipnn_like.reference FILE.znl [-o OUT]`."""

from __future__ import annotations

import sys

from zipnn_like.reference import main

sys.exit(main())
