# SPDX-License-Identifier: Apache-2.0
"""XXH3-64, seed 0 and default secret (docs/format.md, preface), in plain Python and numpy.

Source: the XXH3 algorithm of the xxHash project (Collet, doc/xxhash_spec.md), 64-bit variant.
Inputs of at most 240 bytes are Python integers; of longer ones, numpy adds up whole blocks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]

_MASK = (1 << 64) - 1
_PRIME32_1, _PRIME32_2, _PRIME32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
_PRIME64_1, _PRIME64_2 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F
_PRIME64_3, _PRIME64_4 = 0x165667B19E3779F9, 0x85EBCA77C2B2AE63
_PRIME64_5 = 0x27D4EB2F165667C5
_PRIME_MX1, _PRIME_MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25

_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)

_STRIPE_NBYTES = 64
_STRIPES_PER_BLOCK = 16  # (192 secret bytes - 64) / 8
_BLOCK_NBYTES = _STRIPE_NBYTES * _STRIPES_PER_BLOCK
_SLAB_BLOCKS = 1024  # blocks that numpy adds up at once: bounds the scratch memory


def xxh3_64(data: bytes | memoryview) -> int:
    """The 64-bit XXH3 hash of `data`, seed 0, default secret."""
    nbytes = len(data)
    if nbytes > 240:
        return _hash_long(data)
    data = bytes(data)
    if nbytes > 128:
        return _hash_129_to_240(data)
    if nbytes > 16:
        return _hash_17_to_128(data)
    if nbytes > 8:
        return _hash_9_to_16(data)
    if nbytes > 3:
        return _hash_4_to_8(data)
    if nbytes > 0:
        return _hash_1_to_3(data)
    return _avalanche_xxh64(_secret64(56) ^ _secret64(64))


def _read32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


def _read64(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 8], "little")


def _secret64(offset: int) -> int:
    return _read64(_SECRET, offset)


def _rotl(value: int, count: int) -> int:
    return (value << count | value >> (64 - count)) & _MASK


def _fold(a: int, b: int) -> int:
    """The 128-bit product of two 64-bit numbers, its halves xored."""
    product = a * b
    return product & _MASK ^ product >> 64


def _avalanche(h: int) -> int:
    h ^= h >> 37
    h = h * _PRIME_MX1 & _MASK
    return h ^ h >> 32


def _avalanche_xxh64(h: int) -> int:
    h ^= h >> 33
    h = h * _PRIME64_2 & _MASK
    h ^= h >> 29
    h = h * _PRIME64_3 & _MASK
    return h ^ h >> 32


def _hash_1_to_3(data: bytes) -> int:
    nbytes = len(data)
    first, middle, last = data[0], data[nbytes >> 1], data[-1]
    combined = first << 16 | middle << 24 | last | nbytes << 8
    return _avalanche_xxh64(combined ^ _read32(_SECRET, 0) ^ _read32(_SECRET, 4))


def _hash_4_to_8(data: bytes) -> int:
    nbytes = len(data)
    combined = _read32(data, nbytes - 4) + (_read32(data, 0) << 32)
    h = combined ^ _secret64(8) ^ _secret64(16)
    h ^= _rotl(h, 49) ^ _rotl(h, 24)
    h = h * _PRIME_MX2 & _MASK
    h ^= (h >> 35) + nbytes
    h = h * _PRIME_MX2 & _MASK
    return h ^ h >> 28


def _hash_9_to_16(data: bytes) -> int:
    nbytes = len(data)
    low = _read64(data, 0) ^ _secret64(24) ^ _secret64(32)
    high = _read64(data, nbytes - 8) ^ _secret64(40) ^ _secret64(48)
    swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
    return _avalanche((nbytes + swapped + high + _fold(low, high)) & _MASK)


def _mix16(data: bytes, offset: int, secret_offset: int) -> int:
    return _fold(
        _read64(data, offset) ^ _secret64(secret_offset),
        _read64(data, offset + 8) ^ _secret64(secret_offset + 8),
    )


def _hash_17_to_128(data: bytes) -> int:
    nbytes = len(data)
    h = nbytes * _PRIME64_1
    for i in range((nbytes - 1) // 32 + 1):
        h += _mix16(data, 16 * i, 32 * i)
        h += _mix16(data, nbytes - 16 * (i + 1), 32 * i + 16)
    return _avalanche(h & _MASK)


def _hash_129_to_240(data: bytes) -> int:
    nbytes = len(data)
    h = nbytes * _PRIME64_1 + sum(_mix16(data, 16 * i, 16 * i) for i in range(8))
    h = _avalanche(h & _MASK)
    h += sum(_mix16(data, 16 * i, 16 * (i - 8) + 3) for i in range(8, nbytes // 16))
    h += _mix16(data, nbytes - 16, 136 - 17)
    return _avalanche(h & _MASK)


def _stripe_sums(words: U64, keys: U64) -> U64:
    """What stripes add to the eight accumulators: shape (..., stripe, 8) -> (..., 8)."""
    mixed = words ^ keys
    product = (mixed & np.uint64(0xFFFFFFFF)) * (mixed >> np.uint64(32))
    swapped = words[..., [1, 0, 3, 2, 5, 4, 7, 6]]
    total: U64 = (product + swapped).sum(axis=-2, dtype=np.uint64)
    return total


def _stripe_keys(secret_offset: int, stripe_count: int) -> U64:
    """The secret as each stripe of a block sees it, shape (stripe_count, 8)."""
    rows = [
        np.frombuffer(_SECRET, "<u8", 8, secret_offset + 8 * stripe)
        for stripe in range(stripe_count)
    ]
    return np.array(rows, np.uint64).reshape(stripe_count, 8)


def _hash_long(data: bytes | memoryview) -> int:
    nbytes = len(data)
    acc = np.array(
        [
            *(_PRIME32_3, _PRIME64_1, _PRIME64_2, _PRIME64_3),
            *(_PRIME64_4, _PRIME32_2, _PRIME64_5, _PRIME32_1),
        ],
        np.uint64,
    )
    keys = _stripe_keys(0, _STRIPES_PER_BLOCK)
    scramble_key = np.frombuffer(_SECRET, "<u8", 8, 192 - 64).astype(np.uint64)
    block_count = (nbytes - 1) // _BLOCK_NBYTES  # the last block, whole or not, is not scrambled
    for first in range(0, block_count, _SLAB_BLOCKS):
        count = min(_SLAB_BLOCKS, block_count - first)
        words = np.frombuffer(data, "<u8", count * _BLOCK_NBYTES // 8, first * _BLOCK_NBYTES)
        for block_sum in _stripe_sums(words.reshape(count, _STRIPES_PER_BLOCK, 8), keys):
            acc += block_sum
            acc ^= acc >> np.uint64(47)
            acc ^= scramble_key
            acc *= np.uint64(_PRIME32_1)

    offset = block_count * _BLOCK_NBYTES
    stripe_count = (nbytes - 1 - offset) // _STRIPE_NBYTES
    words = np.frombuffer(data, "<u8", stripe_count * 8, offset).reshape(stripe_count, 8)
    acc += _stripe_sums(words, keys[:stripe_count])
    last = np.frombuffer(data, "<u8", 8, nbytes - _STRIPE_NBYTES).reshape(1, 8)
    acc += _stripe_sums(last, _stripe_keys(192 - 64 - 7, 1))

    lanes = [int(lane) for lane in acc]
    h = nbytes * _PRIME64_1
    for i in range(4):
        h += _fold(lanes[2 * i] ^ _secret64(11 + 16 * i), lanes[2 * i + 1] ^ _secret64(19 + 16 * i))
    return _avalanche(h & _MASK)
