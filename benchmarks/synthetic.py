# SPDX-License-Identifier: Apache-2.0
"""Writes tensors that are no plain weights, a file each: integers, packed, pruned, on a grid.

python benchmarks/synthetic.py --out FOLDER    # then: python benchmarks/ratio.py FOLDER
"""

from __future__ import annotations

import argparse
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

COUNT = 1 << 20
Random = np.random.Generator
Array = npt.NDArray[Any]

# The 16 levels of bitsandbytes' NF4 (Dettmers et al., arXiv:2305.14314, appendix E), rounded.
NF4 = [-1, -0.696, -0.525, -0.395, -0.284, -0.185, -0.091, 0]
NF4 += [0.080, 0.161, 0.246, 0.338, 0.441, 0.563, 0.723, 1]


def weights(random: Random) -> Array:
    """Normal values of one scale."""
    return (0.02 * random.standard_normal(COUNT)).astype(np.float32)


def pruned(random: Random, share: float) -> Array:
    """Weights of which that share is zero, anywhere."""
    values = weights(random)
    values[random.random(COUNT) < share] = 0
    return values


def pruned_by_size(random: Random, share: float) -> Array:
    """Weights without the smallest ones."""
    values = weights(random)
    values[np.abs(values) < np.quantile(np.abs(values), share)] = 0
    return values


def two_of_four(random: Random) -> Array:
    """Weights without the two smaller ones in every four neighbours."""
    fours = weights(random).reshape(-1, 4)
    np.put_along_axis(fours, np.argsort(np.abs(fours), axis=1)[:, :2], 0, axis=1)
    return fours.reshape(-1)


def rounded(random: Random, levels: int, spread: float) -> Array:
    """Weights as integers of -levels to levels; `spread`: what their deviation becomes."""
    return np.clip(np.round(weights(random) / 0.02 * spread), -levels, levels)


def dequantised(random: Random) -> Array:
    """Weights that were int8 once."""
    return (rounded(random, 127, 30) * np.float32(0.00123)).astype(np.float32)


def int4(random: Random) -> Array:
    """Two 4-bit weights to a byte, symmetric around 8 (GPTQ, AWQ)."""
    codes = np.clip(np.round(weights(random) / 0.01), -8, 7).astype(np.uint8) + np.uint8(8)
    packed: Array = codes[::2] % 16 | codes[1::2] << 4
    return packed


def nf4(random: Random) -> Array:
    """Two NF4 weights to a byte, scaled by the largest of 64 (bitsandbytes)."""
    blocks = weights(random).reshape(-1, 64)
    scaled = blocks / np.abs(blocks).max(axis=1, keepdims=True)
    bounds = np.convolve(NF4, [0.5, 0.5], "valid")
    codes = np.searchsorted(bounds, scaled.reshape(-1)).astype(np.uint8)
    packed: Array = codes[::2] << 4 | codes[1::2]
    return packed


def six_bits(random: Random) -> Array:
    """Four 6-bit floats (sign, 5 bits of magnitude) in three bytes."""
    values = weights(random) / 0.02
    codes = np.minimum(np.abs(values) * 7, 31).astype(np.uint32) + 32 * (values < 0)
    triples = (codes.reshape(-1, 4) << np.arange(0, 24, 6, dtype=np.uint32)).sum(axis=1)
    packed: Array = triples.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]
    return packed


def sorted_ids(random: Random) -> Array:
    """A sorted choice of one number in 64."""
    return np.sort(random.choice(64 * COUNT // 2, COUNT // 2, replace=False))


def bf16(values: Array) -> Array:
    return values.astype(ml_dtypes.bfloat16)


KINDS: dict[str, tuple[str, Callable[[Random], Array]]] = {
    "int4_in_i32": ("I32", int4),
    "int4_in_u8": ("U8", int4),
    "nf4_in_u8": ("U8", nf4),
    "f4": ("F4", int4),
    "f6_e2m3": ("F6_E2M3", six_bits),
    "ternary_i8": ("I8", lambda r: rounded(r, 1, 0.8).astype(np.int8)),
    "bool_50": ("BOOL", lambda r: r.random(COUNT) < 0.5),
    "bool_10": ("BOOL", lambda r: r.random(COUNT) < 0.1),
    "bool_1": ("BOOL", lambda r: r.random(COUNT) < 0.01),
    "bool_triangle": ("BOOL", lambda r: np.tril(np.ones((1024, 1024), bool))),
    "i64_position_ids": ("I64", lambda r: np.arange(COUNT)),
    "i64_sorted": ("I64", sorted_ids),
    "i32_sorted": ("I32", lambda r: sorted_ids(r).astype(np.int32)),
    "i64_tokens": ("I64", lambda r: r.integers(0, 32000, COUNT // 4)),
    "i16_normal": ("I16", lambda r: rounded(r, 32767, 1000).astype(np.int16)),
    "i32_normal": ("I32", lambda r: rounded(r, 32767, 50).astype(np.int32)),
    "bf16_zeros_50": ("BF16", lambda r: bf16(pruned(r, 0.5))),
    "bf16_zeros_90": ("BF16", lambda r: bf16(pruned(r, 0.9))),
    "bf16_zeros_99": ("BF16", lambda r: bf16(pruned(r, 0.99))),
    "bf16_smallest_50": ("BF16", lambda r: bf16(pruned_by_size(r, 0.5))),
    "bf16_two_of_four": ("BF16", lambda r: bf16(two_of_four(r))),
    "f32_zeros_50": ("F32", lambda r: pruned(r, 0.5)),
    "f32_zeros_90": ("F32", lambda r: pruned(r, 0.9)),
    "f32_zeros_99": ("F32", lambda r: pruned(r, 0.99)),
    "f32_two_of_four": ("F32", two_of_four),
    "f32_dequantised": ("F32", dequantised),
    "bf16_dequantised": ("BF16", lambda r: bf16(dequantised(r))),
    "f16_dequantised": ("F16", lambda r: dequantised(r).astype(np.float16)),
    "bf16_plain": ("BF16", lambda r: bf16(weights(r))),
    "f32_plain": ("F32", weights),
}


def file_of(kind: str) -> bytes:
    """A safetensors file with one tensor, the same on every machine."""
    dtype, make = KINDS[kind]
    data = np.ascontiguousarray(make(np.random.default_rng(1))).tobytes()
    bits = {"F4": 4, "F6_E2M3": 6, "BOOL": 8}.get(dtype) or int("".join(filter(str.isdigit, dtype)))
    count = 8 * len(data) // bits
    tensor = {"dtype": dtype, "shape": [count], "data_offsets": [0, len(data)]}
    header = json.dumps({kind: tensor}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        (out / f"{kind}.safetensors").write_bytes(file_of(kind))


if __name__ == "__main__":
    main()
