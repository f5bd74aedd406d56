# SPDX-License-Identifier: Apache-2.0
"""Compiles csrc/ as `zipnn_like._native`; setup.py names this file, nothing imports it at run time.

Each prototype is written once, in csrc/zipnn_like.h: the text that cffi parses is cut from there.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

from cffi import FFI

# setuptools and FFI.compile below both run in the root, so paths are stated relative to it.
ROOT = Path(__file__).resolve().parent.parent
CSRC = ROOT / "csrc"

CDEF_BLOCK = re.compile(r"/\* cdef begin \*/(.*?)/\* cdef end \*/", re.DOTALL)
DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+(?:\\\r?\n|[^\n])*$", re.MULTILINE)

# No -march: each ISA file names its instructions per function, and the CPU decides at run time.
if sys.platform == "win32":
    COMPILE_ARGS = ["/O2", "/std:c11"]
else:
    COMPILE_ARGS = ["-O3", "-std=c11"]


def cut_cdef(header: str) -> str:
    """The declarations between the cdef markers of `header`, one block after the other.

    `#define NAME value` becomes `#define NAME ...`: the compiler supplies the value.
    Raises ValueError when the header has no marked block.
    """
    blocks = CDEF_BLOCK.findall(header)
    if not blocks:
        raise ValueError("zipnn_like.h: expected /* cdef begin */ ... /* cdef end */, found none")
    return DEFINE.sub(r"#define \1 ...", "\n".join(blocks))


def relative_paths(pattern: str) -> list[str]:
    """Files of csrc/ that match, sorted, relative to the root and with forward slashes."""
    return sorted(path.relative_to(ROOT).as_posix() for path in CSRC.glob(pattern))


ffibuilder = FFI()
ffibuilder.cdef(cut_cdef((CSRC / "zipnn_like.h").read_text(encoding="utf-8")))
ffibuilder.set_source(
    "zipnn_like._native",
    '#include "zipnn_like.h"',
    sources=relative_paths("*.c"),
    depends=relative_paths("*.h"),
    include_dirs=["csrc"],
    extra_compile_args=COMPILE_ARGS,
    # Free-threaded builds of Python have no stable ABI.
    py_limited_api=not sysconfig.get_config_var("Py_GIL_DISABLED"),
)

if __name__ == "__main__":
    ffibuilder.compile(tmpdir=str(ROOT), verbose=True)
