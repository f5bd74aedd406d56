# SPDX-License-Identifier: Apache-2.0
"""What the golden files hold: sources out of an `Lcg`, and how each becomes a stream.

golden/make_golden.py writes the files once; test_golden.py encodes the sources again and compares.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

from arranged_streams import GOOD_ARRANGED
from builders import CHUNK, STATIC, StreamBuilder, records_of, safetensors_bytes
from composed_streams import GOOD_COMPOSED, Composed
from lcg import Lcg
from second_streams import GOOD_SECOND
from strategies import Values

import zipnn_like as znl


@dataclass(frozen=True)
class Case:
    """A source and the way it is encoded.

    superseded  the encoder has changed on purpose since: the file is only decoded from then on
    """

    source: Callable[[], bytes]
    encode: Callable[[bytes], bytes]
    superseded: bool = False


def floats(count: int, nbytes: int, bias: int, mantissa: int, seed: int) -> bytes:
    """Nearly normal values as floats of `nbytes` bytes, low bits noise; made without rounding."""
    random = Lcg(seed)
    values = []
    for _ in range(count):
        whole = random.gaussian(1 << 20)
        size = max(abs(whole), 1)
        exponent = size.bit_length() - 1
        fraction = (size << 64 >> exponent) & ((1 << 64) - 1) | random.next() << 8
        bits = max(bias - 26 + exponent, 0) << mantissa | fraction >> (64 - mantissa)
        sign = (whole < 0) << (8 * nbytes - 1)
        values.append((bits | sign).to_bytes(nbytes, "little"))
    return b"".join(values)


def small_floats(count: int, middle: int, deviation: int, seed: int) -> bytes:
    """Values of one byte: a sign, and a magnitude code that is nearly normal."""
    random = Lcg(seed)
    codes = (max(0, min(126, middle + random.gaussian(deviation))) for _ in range(count))
    return bytes(code | random.below(2) << 7 for code in codes)


def integers(count: int, middle: int, deviation: int, seed: int) -> bytes:
    """Nearly normal integers of one byte."""
    random = Lcg(seed)
    return bytes((middle + random.gaussian(deviation)) % 256 for _ in range(count))


def bf16(count: int, seed: int) -> bytes:
    return floats(count, 2, 127, 7, seed)


def special_values() -> bytes:
    """BF16 with NaN payloads, infinities, denormals, zeros of both signs among normal values."""
    special = (0x7F80, 0xFF80, 0x7FC0, 0x7F81, 0xFFFF, 0x0001, 0x807F, 0x8000, 0x0000, 0x7F7F)
    values = list(struct.unpack("<2500H", bf16(2500, 40)))
    values[::61] = [special[i % len(special)] for i in range(len(values[::61]))]
    return struct.pack("<2500H", *values)


def pruned() -> bytes:
    """BF16 of which three in four are zero."""
    random = Lcg(41)
    values = struct.unpack("<2200H", bf16(2200, 42))
    return struct.pack("<2200H", *(v if random.below(4) == 0 else 0 for v in values))


def few_values() -> bytes:
    """F8_E8M0 scales of four kinds: a table of its own pays."""
    random = Lcg(43)
    return bytes(100 + 9 * random.below(4) for _ in range(2200))


def text() -> bytes:
    random = Lcg(44)
    words = [b"layer", b"weight", b"bias", b"norm", b"attention", b"mlp"]
    return b".".join(words[random.below(len(words))] for _ in range(900))


def small_neighbours() -> bytes:
    """A safetensors file of small tensors of different scales, which are joined."""
    shapes = [(64,), (3, 50), (), (200,), (0, 4), (130,), (64,), (97,)]
    tensors = {}
    for number, shape in enumerate(shapes):
        count = 1
        for size in shape:
            count *= size
        values = struct.unpack(f"<{count}H", bf16(count, 50 + number))
        scaled = struct.pack(f"<{count}H", *(v - 1024 * (number % 3) for v in values))
        tensors[f"layer.{number}.bias"] = Values("BF16", shape, scaled)
    return safetensors_bytes(tensors, {"format": "pt"})


def repeats() -> bytes:
    weights = Values("BF16", (20, 30), bf16(600, 60))
    between = Values("F32", (100,), floats(100, 4, 127, 23, 61))
    return safetensors_bytes({"a": weights, "b": between, "c": weights})


def many_chunks() -> bytes:
    """520 tensors that are not joined, as their dtypes alternate: two pages."""
    names = ("I16", "U16")
    return safetensors_bytes(
        {
            f"{number:x}": Values(names[number % 2], (), struct.pack("<H", number))
            for number in range(520)
        }
    )


def all_methods() -> bytes:
    """Two sentences, noise, zeros and weights, as a safetensors file that is cut short."""
    return safetensors_bytes(
        {
            "noise": Values("U8", (300,), Lcg(62).take_bytes(300)),
            "zeros": Values("I64", (40,), bytes(320)),
            "weights": Values("F16", (400,), floats(400, 2, 15, 10, 63)),
            "cut": Values("F32", (8,), floats(8, 4, 127, 23, 65)),
        }
    )[:-5]


def as_dtype(name: str, level: str = "default") -> Callable[[bytes], bytes]:
    return lambda source: znl.compress(source, level=level, dtype=name)


def with_sha256(source: bytes) -> bytes:
    out = io.BytesIO()
    znl.compress_file(io.BytesIO(source), out, sha256=True)
    return out.getvalue()


def in_wide_units(source: bytes) -> bytes:
    """As an encoder that cuts classes into units of 512 values: no encoder of ours does yet."""
    stream = znl.compress(source)
    builder = StreamBuilder()
    for record in records_of(stream):
        if record.kind == CHUNK:
            start = len(builder.source)
            nbytes = struct.unpack_from("<I", record.head, 4)[0]
            piece = source[start : start + nbytes]
            body, shift = record.body, record.head[3]
            if record.method == STATIC and record.table_count > 1:
                body, shift = widen_units(body, record.table_count, nbytes), 9
            builder.chunk(
                record.method,
                piece,
                body,
                dtype=record.head[0],
                references=record.references,
                unit_shift=shift,
            )
    return builder.finish()


def widen_units(body: bytes, table_count: int, value_count: int) -> bytes:
    """Rewrite the class map of a chunk of 64-value units whose classes change every 512 values."""
    counts = 8 if value_count >= 2048 else 4
    bits = (table_count - 1).bit_length()
    units = value_count // 64
    map_nbytes = -(-units * bits // 32) * 4
    packed = int.from_bytes(body[counts : counts + map_nbytes], "little")
    classes = [packed >> bits * unit & (1 << bits) - 1 for unit in range(units)]
    wide = classes[::8]
    assert classes == [wide[unit // 8] for unit in range(units)]
    map_of_wide = sum(number << bits * unit for unit, number in enumerate(wide))
    wide_nbytes = -(-len(wide) * bits // 32) * 4
    return body[:counts] + map_of_wide.to_bytes(wide_nbytes, "little") + body[counts + map_nbytes :]


def wide_neighbours() -> bytes:
    """F8_E8M0 tensors of 512 and 1024 values with scales that are far apart."""
    random = Lcg(64)
    tensors = {}
    for number, count in enumerate((512, 1024, 512, 512)):
        data = bytes(60 + 50 * (number % 3) + random.below(6) for _ in range(count))
        tensors[f"{number}"] = Values("F8_E8M0", (count,), data)
    return safetensors_bytes(tensors)


def with_records_to_skip(source: bytes) -> bytes:
    """Records of types that no version 1 reader knows, without the must-understand bit."""
    builder = StreamBuilder()
    builder.skipped(0x15, b"ids of tensors")
    builder.raw(source[:100])
    builder.skipped(0xFE, head=b"")
    builder.raw(source[100:])
    builder.skipped(0x40, b"...")
    return builder.finish()


def composed_case(chunk: Composed) -> Case:
    return Case(lambda: chunk.source, lambda _: chunk.stream())


CASES: dict[str, Case] = {
    "v1_bf16_64_lanes": Case(lambda: bf16(2200, 1), as_dtype("BF16")),
    "v1_bf16_8_lanes": Case(lambda: bf16(700, 2), as_dtype("BF16")),
    "v1_bf16_special_values": Case(special_values, as_dtype("BF16")),
    "v1_bf16_pruned": Case(pruned, as_dtype("BF16", "fast")),
    "v1_f16": Case(lambda: floats(2100, 2, 15, 10, 3), as_dtype("F16")),
    "v1_f32": Case(lambda: floats(2060, 4, 127, 23, 4), as_dtype("F32")),
    "v1_f64": Case(lambda: floats(500, 8, 1023, 52, 5), as_dtype("F64")),
    "v1_c64": Case(lambda: floats(700, 4, 127, 23, 6), as_dtype("C64")),
    "v1_f8_e5m2": Case(lambda: small_floats(2100, 40, 5, 7), as_dtype("F8_E5M2")),
    "v1_f8_e4m3": Case(lambda: small_floats(2100, 40, 7, 8), as_dtype("F8_E4M3")),
    "v1_f8_e5m2fnuz": Case(lambda: small_floats(2100, 44, 5, 9), as_dtype("F8_E5M2FNUZ")),
    "v1_f8_e4m3fnuz": Case(lambda: small_floats(2100, 48, 7, 10), as_dtype("F8_E4M3FNUZ")),
    "v1_f8_e8m0_named_table": Case(few_values, as_dtype("F8_E8M0", "fast")),
    "v1_f8_e8m0": Case(lambda: integers(700, 120, 3, 11), as_dtype("F8_E8M0")),
    "v1_i8": Case(lambda: integers(2100, 0, 9, 12), as_dtype("I8")),
    "v1_u8": Case(lambda: integers(700, 128, 30, 13), as_dtype("U8")),
    "v1_raw": Case(lambda: Lcg(14).take_bytes(500), as_dtype("I32")),
    "v1_constant": Case(lambda: b"\1\2\3\4\5\6\7\x08" * 700, as_dtype("F64")),
    "v1_zstd": Case(text, znl.compress),
    "v1_zstd_of_values": Case(pruned, as_dtype("BF16"), superseded=True),  # composed since
    "v1_empty": Case(lambda: b"", znl.compress),
    "v1_same_as": Case(repeats, znl.compress),
    "v1_joined_classes": Case(small_neighbours, znl.compress),
    "v1_sha256": Case(all_methods, with_sha256),
    "v1_two_pages": Case(many_chunks, znl.compress),
    "v1_units_of_512": Case(wide_neighbours, in_wide_units),
    "v1_skipped_records": Case(lambda: Lcg(15).take_bytes(300), with_records_to_skip),
}
CASES |= {
    f"v1_arranged_{name}": Case(chunk.source, chunk.encode) for name, chunk in GOOD_ARRANGED.items()
}
CASES |= {
    f"v1_second_{name}": Case(chunk.source, chunk.encode) for name, chunk in GOOD_SECOND.items()
}
CASES |= {f"v1_composed_{name}": composed_case(chunk) for name, chunk in GOOD_COMPOSED.items()}
