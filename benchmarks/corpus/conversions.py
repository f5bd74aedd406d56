# SPDX-License-Identifier: Apache-2.0
"""Roundings of F32 tensors to the narrow dtypes that models are published in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tensors import Tensor, make_tensor

E4M3_MAX = 448.0
E4M3_NAN = 0x7F
E4M3_LEAST_EXPONENT = -6  # of normal values; subnormals share its step


def f32_to_bf16(values: NDArray[Any]) -> NDArray[np.uint16]:
    """BF16 bits, rounded to nearest even; a NaN stays a (quiet) NaN."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    top = bits >> np.uint32(16)
    rounded = ((bits + (np.uint32(0x7FFF) + (top & np.uint32(1)))) >> np.uint32(16)).astype("<u2")
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    bf16: NDArray[np.uint16] = np.where(is_nan, (top | np.uint32(0x40)).astype("<u2"), rounded)
    return bf16


def f32_to_e4m3(values: NDArray[Any]) -> NDArray[np.uint8]:
    """E4M3 bits, rounded to nearest even and saturated at 448; a NaN becomes 0x7f."""
    f32 = np.ascontiguousarray(values, "<f4")
    sign = (np.signbit(f32).astype(np.uint8) << 7).astype(np.uint8)
    magnitude = np.minimum(np.abs(f32), np.float32(E4M3_MAX))
    _, exponent = np.frexp(magnitude)  # magnitude = m * 2**exponent, 0.5 <= m < 1
    binade = np.maximum(exponent - 1, E4M3_LEAST_EXPONENT)
    steps = np.rint(np.ldexp(magnitude, 3 - binade))  # 8..16, or 0..8 for subnormals
    # A step count of 16 is a carry: added to the exponent field it moves up one binade.
    code = np.where(np.isnan(f32), E4M3_NAN, (binade - E4M3_LEAST_EXPONENT) * 8 + steps)
    bits: NDArray[np.uint8] = code.astype(np.uint8) | sign
    return bits


def to_bf16(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every F32 tensor rounded to BF16, the others unchanged."""
    return {
        name: _round_to_bf16(tensor) if tensor.dtype == "F32" else tensor
        for name, tensor in tensors.items()
    }


def to_scaled_e4m3(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The usual FP8 layout: F32 matrices become F8_E4M3 with an F32 scale beside them.

    A scale is max |value| / 448 of its tensor. F32 tensors of less than two dimensions become BF16;
    other dtypes stay.
    """
    converted = {}
    for name, tensor in tensors.items():
        if tensor.dtype != "F32":
            converted[name] = tensor
        elif len(tensor.shape) < 2:
            converted[name] = _round_to_bf16(tensor)
        else:
            top = np.float32(np.max(np.abs(tensor.values)))
            scale = np.float32(top / np.float32(E4M3_MAX)) if top > 0 else np.float32(1.0)
            bits = f32_to_e4m3(tensor.values / scale)
            converted[name] = make_tensor("F8_E4M3", tensor.shape, bits)
            converted[name + "_scale"] = make_tensor("F32", (), np.array([scale], "<f4"))
    return converted


def _round_to_bf16(tensor: Tensor) -> Tensor:
    return make_tensor("BF16", tensor.shape, f32_to_bf16(tensor.values))
