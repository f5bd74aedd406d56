# SPDX-License-Identifier: Apache-2.0
"""`python -m zipnn_like` is the command `znl`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
