# SPDX-License-Identifier: Apache-2.0
"""What a parser of source containers hands on: where in the source each tensor lies."""

from __future__ import annotations

from dataclasses import dataclass

from ..dtypes import DType

KIND_BYTES = 0  # source kinds on the wire (docs/format.md section 2.1)
KIND_SAFETENSORS = 1


@dataclass(frozen=True)
class Tensor:
    """One tensor of a source: `start` and `stop` are offsets in bytes from the source's start."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes."""
        return self.stop - self.start


@dataclass(frozen=True)
class Layout:
    """How the bytes of a source are laid out.

    kind           source kind on the wire: KIND_BYTES or KIND_SAFETENSORS
    tensors        in order of start; tensors of size zero stand where they lie
    metadata       the container's free text (safetensors: __metadata__), {} if it has none
    header_nbytes  bytes before the first tensor byte; 0 where there is no container
    """

    kind: int
    tensors: tuple[Tensor, ...]
    metadata: dict[str, str]
    header_nbytes: int


OPAQUE = Layout(KIND_BYTES, (), {}, 0)
