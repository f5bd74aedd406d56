# SPDX-License-Identifier: Apache-2.0
"""Numbers that are the same for ever: golden files must not depend on a library's generator."""

from __future__ import annotations


class Lcg:
    """A linear congruential generator (Knuth's MMIX constants), upper 32 bits of 64."""

    def __init__(self, seed: int) -> None:
        self._state = seed

    def next(self) -> int:
        """The next number below 2^32."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return self._state >> 32

    def below(self, limit: int) -> int:
        """A number below `limit`."""
        return self.next() * limit >> 32

    def take_bytes(self, nbytes: int) -> bytes:
        """`nbytes` of noise."""
        return bytes(self.below(256) for _ in range(nbytes))

    def gaussian(self, deviation: int) -> int:
        """A number around 0, nearly normal: the sum of twelve even ones (Irwin-Hall)."""
        total = sum(self.below(1 << 16) for _ in range(12)) - 6 * 0xFFFF
        return total * deviation >> 16
