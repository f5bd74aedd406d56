# SPDX-License-Identifier: Apache-2.0
"""What pyproject.toml cannot say: the cffi module, the abi3 tag and the sanitizer switch.

ZIPNN_LIKE_SANITIZE=1 builds the extension with ASan and UBSan (gcc or clang). Build with `--force`
when switching, and preload the ASan runtime into Python:
LD_PRELOAD=$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 python -m pytest
"""

import os
import sysconfig

from setuptools import setup

SANITIZER_FLAGS = {
    "CFLAGS": "-g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all",
    "LDFLAGS": "-fsanitize=address,undefined",
}

if os.environ.get("ZIPNN_LIKE_SANITIZE") == "1":
    for variable, flags in SANITIZER_FLAGS.items():
        os.environ[variable] = f"{os.environ.get(variable, '')} {flags}".strip()

# Free-threaded builds of Python have no stable ABI.
HAS_STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    cffi_modules=["zipnn_like/_ffi_build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if HAS_STABLE_ABI else {},
)
