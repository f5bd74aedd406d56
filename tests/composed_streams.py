# SPDX-License-Identifier: Apache-2.0
"""Streams of composed chunks (docs/format.md, section 5.11), field by field: good and broken.

The good ones are golden files, and so are the bad ones that are small. A bad one is right in all
but its rule wherever that is possible: a decoder that leaves the check out restores it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

import zstandard
from builders import CHUNK, CONSTANT, RAW, STATIC, TABLE, ZSTD, StreamBuilder, records_of
from lcg import Lcg

import zipnn_like as znl
from zipnn_like.errors import (
    ChecksumError,
    CorruptStreamError,
    UnsupportedFormatError,
    ZnlError,
)

COMPOSED = 5
PLANES, NIBBLES, SIXES, PALETTE, SPARSE, SCALED = range(6)
BYTES, BF16, E8M0, F6, U8, I16, U16, I32, U32, I64, BOOL = 0, 4, 10, 11, 15, 16, 17, 18, 19, 20, 22
F32, F16 = 2, 3
MIB = 1 << 20


@dataclass(frozen=True)
class Sub:
    """A sub-chunk; what is None is as the body and the references say."""

    body: bytes
    source_nbytes: int
    method: int = RAW
    dtype: int = BYTES
    references: tuple[int, ...] = ()
    table_count: int | None = None
    unit_shift: int = 0
    body_nbytes: int | None = None
    padding: bytes | None = None

    def pack(self) -> bytes:
        """Its fields."""
        count = len(self.references) if self.table_count is None else self.table_count
        nbytes = len(self.body) if self.body_nbytes is None else self.body_nbytes
        numbers = (self.dtype, self.method, count, self.unit_shift, self.source_nbytes, nbytes)
        return struct.pack("<BBBBII", *numbers)

    def padded(self) -> bytes:
        """Its body."""
        return self.body + (bytes(-len(self.body) % 4) if self.padding is None else self.padding)


def raw(data: bytes) -> Sub:
    return Sub(data, len(data))


def constant(data: bytes, nbytes: int) -> Sub:
    return Sub(data, nbytes, CONSTANT)


def zstd(data: bytes) -> Sub:
    return Sub(zstandard.ZstdCompressor().compress(data), len(data), ZSTD)


@dataclass(frozen=True)
class Composed:
    """A composed chunk: its source, dtype and fields. `tables`: heads of those it names."""

    source: bytes
    dtype: int
    transform: int
    width: int
    subs: tuple[Sub, ...]
    mode: int = 0
    value_count: int = 0
    value: int = 0
    sub_count: int | None = None
    tail: bytes = b""
    tables: tuple[bytes, ...] = ()
    references: tuple[int, ...] | None = None
    checksum: int | None = None
    source_nbytes: int | None = None

    def body(self) -> bytes:
        """The body as the fields say."""
        count = len(self.subs) if self.sub_count is None else self.sub_count
        numbers = (self.transform, count, self.width, self.mode, self.value_count, self.value)
        packed = struct.pack("<BBBBIQ", *numbers)
        packed += b"".join(sub.pack() for sub in self.subs)
        return packed + b"".join(sub.padded() for sub in self.subs) + self.tail

    def stream(self, body: bytes | None = None) -> bytes:
        """A stream of this chunk alone, perhaps with another body."""
        builder = StreamBuilder()
        for head in self.tables:
            builder.table(head)
        used = [name for sub in self.subs for name in sub.references]
        return builder.chunk(
            COMPOSED,
            self.source,
            self.body() if body is None else body,
            dtype=self.dtype,
            references=used if self.references is None else self.references,
            checksum=self.checksum,
            source_nbytes=self.source_nbytes,
        ).finish()

    def with_sub(self, number: int, **fields: object) -> Composed:
        """With other fields in one sub-chunk."""
        subs = list(self.subs)
        subs[number] = replace(subs[number], **fields)  # type: ignore[arg-type]
        return replace(self, subs=tuple(subs))

    @cached_property
    def parts(self) -> bytes:
        """What the sub-chunks hold together, where they are raw."""
        return b"".join(sub.body for sub in self.subs)

    def with_part_byte(self, at: int, byte: int) -> Composed:
        """All raw, and another byte in the parts."""
        parts = bytearray(self.parts)
        parts[at] = byte
        return replace(self, subs=(raw(bytes(parts)),))


def static(data: bytes) -> tuple[Sub, tuple[bytes, ...]]:
    """A static sub-chunk of whole bytes, and the tables that it names."""
    records = records_of(znl.compress(data, dtype="F8_E8M0", level="fast"))
    (chunk,) = (record for record in records if record.kind == CHUNK)
    assert chunk.method == STATIC
    shift = chunk.head[3]
    sub = Sub(chunk.body, len(data), STATIC, E8M0, tuple(chunk.references), unit_shift=shift)
    return sub, tuple(record.head for record in records if record.kind == TABLE)


# --- parts, written from the text -----------------------------------------------------------------


def packed_values(values: Iterable[int], width: int) -> bytes:
    return b"".join(value.to_bytes(width, "little") for value in values)


def planes(values: Sequence[int], width: int) -> list[bytes]:
    return [bytes(value >> 8 * p & 255 for value in values) for p in range(width)]


def zigzag(difference: int, width: int) -> int:
    bits = 8 * width
    signed = (difference + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)
    return 2 * signed if signed >= 0 else -2 * signed - 1


def grouped(numbers: Sequence[int], bound: int, size: int) -> bytes:
    """Numbers to bytes, the first one as the lowest digit."""
    pieces = [numbers[at : at + size] for at in range(0, len(numbers), size)]
    return bytes(sum(n * bound**place for place, n in enumerate(piece)) for piece in pieces)


def _planes() -> Composed:
    random = Lcg(70)
    values = [random.below(12) + 256 * random.below(3) for _ in range(700)]
    first, second, *_ = planes(values, 4)
    low, tables = static(first)
    middle, more = static(second)
    high = constant(b"\0", 1400)  # both planes of zeros
    subs = (low, middle, high)
    return Composed(packed_values(values, 4), I32, PLANES, 4, subs, tables=tables + more)


def _planes_delta() -> Composed:
    values = [2**64 - 300 + 3 * i for i in range(300)]
    values = [value % 2**64 for value in values]
    subs = (constant(b"\3", 300), constant(b"\0", 2100))
    before = (values[0] - 3) % 2**64
    return Composed(packed_values(values, 8), I64, PLANES, 8, subs, mode=1, value=before)


def _planes_zigzag() -> Composed:
    random = Lcg(71)
    values = [random.gaussian(90) % 65536 for _ in range(333)]
    low, high = planes([zigzag(value, 2) for value in values], 2)
    source = packed_values(values, 2)
    return Composed(source, I16, PLANES, 2, (raw(low), zstd(high)), mode=2)


def _planes_zigzag_delta() -> Composed:
    random = Lcg(72)
    values = [5]
    for _ in range(255):
        values.append((values[-1] + random.gaussian(5)) % 2**32)
    steps = [zigzag(b - a, 4) for a, b in zip([9, *values], values, strict=False)]
    parts = planes(steps, 4)
    subs = (*(raw(part) for part in parts[:3]), constant(b"\0", 256))
    return Composed(packed_values(values, 4), U32, PLANES, 4, subs, mode=3, value=9)


def _nibbles() -> Composed:
    random = Lcg(73)
    source = bytes(
        (8 + random.gaussian(2)) % 16 | (8 + random.gaussian(2)) % 16 << 4 for _ in range(2100)
    )
    low, tables = static(bytes(byte & 15 for byte in source))
    high, more = static(bytes(byte >> 4 for byte in source))
    return Composed(source, U8, NIBBLES, 1, (low, high), tables=tuple({*tables, *more}))


def _sixes() -> Composed:
    random = Lcg(74)
    fields = [random.below(64) for _ in range(4 * 50)]
    triples = [
        sum(fields[at + place] << 6 * place for place in range(4)) for at in range(0, 200, 4)
    ]
    low, signs = bytes(field & 31 for field in fields), [field >> 5 for field in fields]
    subs = (raw(low), raw(grouped(signs, 2, 8)))
    return Composed(packed_values(triples, 3), F6, SIXES, 3, subs)


def _palette(width: int, dtype: int, count: int, bound: int, group: int, seed: int) -> Composed:
    random = Lcg(seed)
    palette = [random.next() * random.next() % (1 << 8 * width) for _ in range(bound)]
    numbers = [random.below(bound) for _ in range(count)]
    source = packed_values((palette[number] for number in numbers), width)
    subs = (raw(packed_values(palette, width)), raw(grouped(numbers, bound, group)))
    return Composed(source, dtype, PALETTE, width, subs, mode=group, value_count=bound)


def _sparse(
    width: int, dtype: int, count: int, share: int, group: int, value: int, seed: int
) -> Composed:
    """`share`: how many of 16 values are others."""
    random = Lcg(seed)
    mask = [int(random.below(16) < share) for _ in range(count)]
    others = [random.next() * random.next() % (1 << 8 * width) for _ in range(sum(mask))]
    rest = iter(others)
    source = packed_values((next(rest) if bit else value for bit in mask), width)
    subs = (raw(grouped(mask, 2, group)),)
    if others:
        subs += (raw(packed_values(others, width)),)
    fields = {"mode": group, "value_count": len(others), "value": value}
    return Composed(source, dtype, SPARSE, width, subs, **fields)


def _planes_transposed() -> Composed:
    random = Lcg(88)
    columns = [[random.next() % 2**16] * 21 for _ in range(15)]
    source = [columns[k][row] for row in range(21) for k in range(15)]
    low, high = planes([value for column in columns for value in column], 2)
    fields = {"mode": 4, "value_count": 15}
    return Composed(packed_values(source, 2), F16, PLANES, 2, (zstd(low), zstd(high)), **fields)


def _planes_transposed_delta() -> Composed:
    values = [[100 * k + 7 * row for k in range(9)] for row in range(30)]
    source = [value for row in values for value in row]
    turned = [values[row][k] for k in range(9) for row in range(30)]
    steps = [zigzag(b - a, 4) for a, b in zip([3, *turned], turned, strict=False)]
    parts = planes(steps, 4)
    fields = {"mode": 7, "value_count": 9, "value": 3}
    subs = tuple(raw(part) for part in parts)
    return Composed(packed_values(source, 4), I32, PLANES, 4, subs, **fields)


def f32(value: Fraction) -> bytes:
    """The F32 that is nearest to a value within the normal ones: of two, the even one."""
    if value == 0:
        return bytes(4)
    exponent = 0
    magnitude = abs(value)
    while magnitude >= 1 << 24:
        magnitude, exponent = magnitude / 2, exponent + 1
    while magnitude < 1 << 23:
        magnitude, exponent = magnitude * 2, exponent - 1
    significand = round(magnitude)  # of a Fraction: to the even one of two
    if significand == 1 << 24:
        significand, exponent = 1 << 23, exponent + 1
    bits = (exponent + 150) << 23 | significand & 0x7FFFFF | (value < 0) << 31
    return bits.to_bytes(4, "little")


def half_of(bits: int) -> Fraction:
    """The value of an F16."""
    biased, fraction = bits >> 10 & 31, bits & 1023
    significand = fraction + (1024 if biased else 0)
    value = Fraction(significand) * Fraction(2) ** (max(biased, 1) - 25)
    return -value if bits >> 15 else value


def float_of(bits: int) -> Fraction:
    """The value of a normal F32 without a sign."""
    significand = bits & 0x7FFFFF | 0x800000
    return Fraction(significand) * Fraction(2) ** ((bits >> 23) - 150)


def _scaled(count: int, run: int, scale_count: int, mode: int, seed: int) -> Composed:
    """Narrow values of any exponent, subnormal F16 and zeros of both signs among them."""
    random = Lcg(seed)
    scales = [(100 + random.below(50)) << 23 | random.next() % 2**23 for _ in range(scale_count)]
    if mode:
        narrow = [random.below(256) for _ in range(count)]
        values = [Fraction(byte - 256 if byte > 127 else byte) for byte in narrow]
    else:
        narrow = [random.below(31) << 10 | random.below(1024) for _ in range(count)]
        narrow = [bits | random.below(2) << 15 for bits in narrow]
        narrow[:6] = [0, 0x8000, 1, 0x83FF, 0x7BFF, 0x0400][:count]
        values = [half_of(bits) for bits in narrow]
    source = b""
    for i, value in enumerate(values):
        product = f32(value * float_of(scales[i // run % scale_count]))
        is_minus_zero = mode == 0 and narrow[i] == 0x8000
        source += b"\0\0\0\x80" if is_minus_zero else product
    subs = (raw(packed_values(scales, 4)), raw(packed_values(narrow, 1 if mode else 2)))
    fields = {"mode": mode, "value_count": scale_count, "value": run}
    return Composed(source, F32, SCALED, 4, subs, **fields)


def _pieces() -> Composed:
    """Parts cut anywhere, into as many sub-chunks as there may be."""
    chunk = _sparse(2, BF16, 500, 5, 5, 0x8000, 80)
    parts = chunk.parts
    cuts = [0, *range(3, 3 * 63 + 1, 3), len(parts)]
    subs = tuple(raw(parts[a:b]) for a, b in pairwise(cuts))
    return replace(chunk, subs=subs)


GOOD_COMPOSED: dict[str, Composed] = {
    "planes": _planes(),
    "planes_delta": _planes_delta(),
    "planes_zigzag": _planes_zigzag(),
    "planes_zigzag_delta": _planes_zigzag_delta(),
    "nibbles": _nibbles(),
    "sixes": _sixes(),
    "palette_f32": _palette(4, F32, 301, 5, 2, 75),
    "palette_of_256": _palette(2, BF16, 400, 256, 1, 76),
    "palette_of_one": _palette(8, I64, 100, 1, 8, 77),
    "palette_bool": _palette(1, BOOL, 999, 2, 8, 78),
    "palette_of_three_u16": _palette(2, U16, 500, 3, 5, 79),
    "sparse_bf16": _sparse(2, BF16, 703, 2, 5, 0, 81),
    "sparse_of_minus_one": _sparse(8, I64, 130, 8, 8, 2**64 - 1, 82),
    "sparse_u8": _sparse(1, U8, 301, 4, 4, 7, 83),
    "sparse_without_others": _sparse(4, F32, 90, 0, 1, 0x80000000, 84),
    "sparse_of_many": _sparse(4, F32, 65, 14, 3, 0, 85),
    "pieces": _pieces(),
    "planes_transposed": _planes_transposed(),
    "planes_transposed_delta": _planes_transposed_delta(),
    "scaled_rows": _scaled(330, 33, 10, 0, 89),
    "scaled_columns": _scaled(330, 1, 11, 0, 90),
    "scaled_whole": _scaled(130, 130, 1, 0, 91),
    "scaled_groups_i8": _scaled(300, 32, 4, 1, 92),
    "scaled_of_one": _scaled(7, 1, 7, 1, 93),
}

# --- streams that break one rule ------------------------------------------------------------------

ZIGZAG, DELTA = GOOD_COMPOSED["planes_zigzag"], GOOD_COMPOSED["planes_delta"]
BITS = GOOD_COMPOSED["palette_bool"]
FEW, MASKED = GOOD_COMPOSED["palette_f32"], GOOD_COMPOSED["sparse_bf16"]
HALVES, FIELDS_OF_SIX = GOOD_COMPOSED["nibbles"], GOOD_COMPOSED["sixes"]
CODED = GOOD_COMPOSED["planes"]
RAW_HALVES = replace(
    HALVES,
    subs=(raw(bytes(b & 15 for b in HALVES.source)), raw(bytes(b >> 4 for b in HALVES.source))),
    tables=(),
)
LAST_OF_FEW = len(FEW.parts) - 1  # holds one number and a zero


TURNED, ROWS = GOOD_COMPOSED["planes_transposed"], GOOD_COMPOSED["scaled_rows"]


def with_half(half: int) -> Composed:
    """Another F16 in the first row."""
    parts = bytearray(ROWS.parts)
    struct.pack_into("<H", parts, 40 + 2 * 9, half)
    return replace(ROWS, subs=(raw(bytes(parts)),))


def with_scale(scale: int, half: int) -> Composed:
    """Another scale, and this F16 times it, all else in its row being 0."""
    parts = bytearray(ROWS.parts)
    struct.pack_into("<I", parts, 0, scale)
    parts[40 : 40 + 2 * 33] = struct.pack("<H", half) + bytes(2 * 32)
    return replace(ROWS, subs=(raw(bytes(parts)),))


def large(nbytes: int) -> Composed:
    """Zeros in planes."""
    return Composed(bytes(nbytes), I16, PLANES, 2, (constant(b"\0", nbytes),))


COMPOSED_CORRUPT: dict[str, bytes] = {
    "no_body": ZIGZAG.stream(b""),
    "fields_cut": ZIGZAG.stream(ZIGZAG.body()[:15]),
    "fields_alone": ZIGZAG.stream(ZIGZAG.body()[:16]),
    "sub_chunks_cut": ZIGZAG.stream(ZIGZAG.body()[:39]),
    "bodies_cut": ZIGZAG.stream(ZIGZAG.body()[:-4]),
    "above_8_mib": large(8 * MIB + 2).stream(),
    "no_sub_chunk": replace(ZIGZAG, sub_count=0).stream(),
    "sub_count_low": replace(ZIGZAG, sub_count=1).stream(),
    "sub_count_255": replace(ZIGZAG, sub_count=255).stream(),
    "65_sub_chunks": replace(
        MASKED,
        subs=(*(raw(MASKED.parts[i : i + 1]) for i in range(64)), raw(MASKED.parts[64:])),
    ).stream(),
    "trailing_zeros": replace(ZIGZAG, tail=bytes(4)).stream(),
    "trailing_byte": replace(ZIGZAG, tail=b"\1").stream(),
    # fields of the transforms
    "planes_width_0": replace(ZIGZAG, width=0).stream(),
    "planes_width_1": replace(ZIGZAG, width=1).stream(),
    "planes_width_3": replace(ZIGZAG, width=3).stream(),
    "planes_width_16": replace(ZIGZAG, width=16).stream(),
    "planes_width_of_another_size": replace(ZIGZAG, width=4).stream(),
    "planes_mode_4": replace(ZIGZAG, mode=6).stream(),
    "planes_value_count": replace(ZIGZAG, value_count=1).stream(),
    "planes_value_without_delta": replace(ZIGZAG, value=1).stream(),
    "planes_value_too_wide": replace(
        GOOD_COMPOSED["planes_zigzag_delta"], value=9 + 2**32
    ).stream(),
    "nibbles_width_2": replace(RAW_HALVES, width=2).stream(),
    "nibbles_mode": replace(RAW_HALVES, mode=1).stream(),
    "nibbles_value_count": replace(RAW_HALVES, value_count=1).stream(),
    "nibbles_value": replace(RAW_HALVES, value=1).stream(),
    "nibbles_number_16": RAW_HALVES.with_part_byte(0, RAW_HALVES.parts[0] | 16).stream(),
    "nibbles_upper_number_16": RAW_HALVES.with_part_byte(2100, 255).stream(),
    "sixes_width_1": replace(FIELDS_OF_SIX, width=1).stream(),
    "sixes_mode": replace(FIELDS_OF_SIX, mode=1).stream(),
    "sixes_value_count": replace(FIELDS_OF_SIX, value_count=1).stream(),
    "sixes_value": replace(FIELDS_OF_SIX, value=1).stream(),
    "sixes_number_32": FIELDS_OF_SIX.with_part_byte(5, 32 | FIELDS_OF_SIX.parts[5]).stream(),
    "sixes_of_152_bytes": replace(FIELDS_OF_SIX, source=FIELDS_OF_SIX.source + b"ab").stream(),
    "palette_width_3": replace(FEW, width=3).stream(),
    "palette_width_0": replace(FEW, width=0).stream(),
    "palette_of_none": replace(FEW, value_count=0).stream(),
    "palette_of_257": replace(
        GOOD_COMPOSED["palette_of_256"],
        value_count=257,
        subs=(raw(bytes(2)), *GOOD_COMPOSED["palette_of_256"].subs),
    ).stream(),
    "palette_of_4_gi": replace(FEW, value_count=2**32 - 1).stream(),
    "palette_group_0": replace(FEW, mode=0).stream(),
    "palette_group_4": replace(FEW, mode=4).stream(),  # 5^4 is above 256
    "palette_group_9": replace(GOOD_COMPOSED["palette_of_one"], mode=9).stream(),
    "palette_group_255": replace(BITS, mode=255).stream(),
    "palette_value": replace(FEW, value=1).stream(),
    "palette_number_200": _palette(2, BF16, 300, 200, 1, 86).with_part_byte(400, 200).stream(),
    "palette_byte_25": FEW.with_part_byte(25, 25).stream(),
    "palette_last_number": FEW.with_part_byte(LAST_OF_FEW, FEW.parts[LAST_OF_FEW] % 5 + 5).stream(),
    "palette_last_bit": BITS.with_part_byte(len(BITS.parts) - 1, BITS.parts[-1] | 128).stream(),
    "sparse_width_5": replace(MASKED, width=5).stream(),
    "sparse_group_0": replace(MASKED, mode=0).stream(),
    "sparse_group_9": replace(MASKED, mode=9).stream(),
    "sparse_group_8_for_5": replace(MASKED, mode=8).stream(),
    "sparse_of_others": _sparse(4, F32, 65, 16, 3, 0, 87).stream(),
    "sparse_count_above_all": replace(MASKED, value_count=704).stream(),
    "sparse_count_4_gi": replace(MASKED, value_count=2**32 - 1).stream(),
    "sparse_count_low": replace(
        MASKED, value_count=MASKED.value_count - 1, subs=(raw(MASKED.parts[:-2]),)
    ).stream(),
    "sparse_count_high": replace(
        MASKED, value_count=MASKED.value_count + 1, subs=(raw(MASKED.parts + bytes(2)),)
    ).stream(),
    "sparse_value_too_wide": replace(MASKED, value=65536).stream(),
    "sparse_byte_32": MASKED.with_part_byte(3, MASKED.parts[3] | 32).stream(),
    "sparse_last_bit": MASKED.with_part_byte(140, MASKED.parts[140] | 8).stream(),
    "planes_columns_0": replace(TURNED, value_count=0).stream(),
    "planes_columns_16": replace(TURNED, value_count=16).stream(),
    "planes_columns_above_all": replace(TURNED, value_count=630).stream(),
    "planes_columns_4_gi": replace(TURNED, value_count=2**32 - 1).stream(),
    "planes_columns_of_rows": replace(TURNED, mode=0).stream(),
    "planes_mode_8": replace(TURNED, mode=12).stream(),
    "scaled_width_2": replace(ROWS, width=2).stream(),
    "scaled_width_8": replace(ROWS, width=8).stream(),
    "scaled_mode_2": replace(ROWS, mode=2).stream(),
    "scaled_mode_1": replace(ROWS, mode=1).stream(),
    "scaled_without_scales": replace(ROWS, value_count=0, subs=ROWS.subs[1:]).stream(),
    "scaled_scales_low": replace(ROWS, value_count=9).stream(),
    "scaled_scales_above_all": _scaled(7, 1, 8, 1, 94).stream(),
    "scaled_scales_4_gi": replace(ROWS, value_count=2**32 - 1).stream(),
    "scaled_run_0": replace(ROWS, value=0).stream(),
    "scaled_run_above_all": replace(GOOD_COMPOSED["scaled_whole"], value=131).stream(),
    "scaled_run_2_64": replace(GOOD_COMPOSED["scaled_whole"], value=2**64 - 1).stream(),
    "scaled_run_of_half": replace(GOOD_COMPOSED["scaled_whole"], value=65).stream(),
    "scaled_scale_unused": _scaled(330, 34, 11, 0, 95).stream(),
    "scaled_scale_negative": ROWS.with_part_byte(3, ROWS.parts[3] | 128).stream(),
    "scaled_scale_0": with_scale(0, 0).stream(),
    "scaled_scale_subnormal": with_scale(0x7FFFFF, 0).stream(),
    "scaled_scale_infinite": with_scale(0x7F800000, 0).stream(),
    "scaled_scale_nan": with_scale(0x7FC00000, 0).stream(),
    "scaled_half_infinite": with_half(0x7C00).stream(),
    "scaled_half_nan": with_half(0xFE00).stream(),
    "scaled_product_subnormal": with_scale(0x00800000, 0x3BFF).stream(),
    "scaled_product_infinite": with_scale(0x7F7FFFFF, 0x3C01).stream(),
    # fields of the sub-chunks
    "sub_method_arranged": CODED.with_sub(0, method=4).stream(),
    "sub_method_composed": ZIGZAG.with_sub(0, method=COMPOSED).stream(),
    "sub_raw_of_u8": ZIGZAG.with_sub(0, dtype=U8).stream(),
    "sub_zstd_of_bf16": ZIGZAG.with_sub(1, dtype=BF16).stream(),
    "sub_raw_with_table": replace(ZIGZAG.with_sub(0, table_count=1), references=(0,)).stream(),
    "sub_zstd_with_table": replace(ZIGZAG.with_sub(1, table_count=1), references=(0,)).stream(),
    "sub_raw_unit_shift": ZIGZAG.with_sub(0, unit_shift=6).stream(),
    "sub_zstd_unit_shift": ZIGZAG.with_sub(1, unit_shift=9).stream(),
    "sub_static_unit_shift": CODED.with_sub(0, unit_shift=6).stream(),
    "sub_static_no_table": CODED.with_sub(0, references=()).stream(),
    "sub_static_9_tables": CODED.with_sub(0, references=(0,) * 9, unit_shift=6).stream(),
    "sub_static_of_bytes": CODED.with_sub(0, dtype=BYTES).stream(),
    "sub_static_of_i16": CODED.with_sub(0, dtype=I16).stream(),
    "sub_static_universal_65536": CODED.with_sub(1, references=(65536,)).stream(),
    "references_left": replace(CODED, references=(*CODED.subs[0].references,) * 3).stream(),
    "references_missing": replace(CODED, references=CODED.subs[0].references).stream(),
    "references_of_nobody": replace(ZIGZAG, references=(0,)).stream(),
    "sub_source_0": replace(ZIGZAG, subs=(*ZIGZAG.subs, Sub(b"", 0))).stream(),
    "sub_source_low": ZIGZAG.with_sub(0, source_nbytes=332).stream(),
    "sub_source_high": ZIGZAG.with_sub(0, source_nbytes=334).stream(),
    "sub_source_4_gib": ZIGZAG.with_sub(0, source_nbytes=2**32 - 1).stream(),
    "sub_sources_wrap": replace(
        ZIGZAG.with_sub(0, source_nbytes=2**32 - 1),
        subs=(*ZIGZAG.with_sub(0, source_nbytes=2**32 - 1).subs, constant(b"\0", 334)),
    ).stream(),
    "sub_raw_body_short": replace(
        ZIGZAG, subs=(Sub(ZIGZAG.subs[0].body[:-1], 333), ZIGZAG.subs[1])
    ).stream(),
    "sub_constant_of_3": DELTA.with_sub(0, body=b"\3\3\3").stream(),
    "sub_constant_of_8_in_300": DELTA.with_sub(0, body=b"\3" * 8).stream(),
    "sub_body_4_gib": ZIGZAG.with_sub(1, body_nbytes=2**32 - 1).stream(),
    "sub_body_low": ZIGZAG.with_sub(0, body_nbytes=329).stream(),
    "sub_body_high": ZIGZAG.with_sub(1, body_nbytes=200).stream(),
    "sub_padding": ZIGZAG.with_sub(0, padding=b"\0\1\0").stream(),
    "sub_padding_missing": ZIGZAG.with_sub(1, body=ZIGZAG.subs[1].body + b"\0\0\0\0").stream(),
    "sub_zstd_cut": ZIGZAG.with_sub(1, body=ZIGZAG.subs[1].body[:-1]).stream(),
    "sub_zstd_of_another_size": ZIGZAG.with_sub(
        1, body=zstandard.ZstdCompressor().compress(bytes(332))
    ).stream(),
    "sub_static_cut": CODED.with_sub(0, body=CODED.subs[0].body[:-4]).stream(),
}

COMPOSED_UNSUPPORTED: dict[str, bytes] = {
    # Its third sub-chunk is bytes of bodies, which name no dtype.
    "sub_count_high": replace(ZIGZAG, sub_count=3).stream(),
    "sub_method_6_behind_a_size_that_is_wrong": replace(
        ZIGZAG, subs=(replace(ZIGZAG.subs[0], method=6), *ZIGZAG.subs[1:]), tail=bytes(4)
    ).stream(),
    "sub_method_6_in_planes_of_width_5": replace(
        ZIGZAG, subs=(*ZIGZAG.subs[:-1], replace(ZIGZAG.subs[-1], method=6)), width=5
    ).stream(),
    "transform_6": replace(ZIGZAG, transform=6).stream(),
    "transform_255": replace(ZIGZAG, transform=255).stream(),
    "sub_dtype_23": ZIGZAG.with_sub(0, dtype=23).stream(),
    "sub_method_6": ZIGZAG.with_sub(0, method=6).stream(),
    "sub_method_255": ZIGZAG.with_sub(1, method=255).stream(),
}

COMPOSED_CHECKSUM: dict[str, bytes] = {
    "checksum": replace(CODED, checksum=5).stream(),
    "another_value": replace(MASKED, value=1).stream(),
    "another_mode": replace(ZIGZAG, mode=0).stream(),
    "another_scaled_byte": ROWS.with_part_byte(70, ROWS.parts[70] ^ 1).stream(),
    "another_raw_byte": MASKED.with_part_byte(len(MASKED.parts) - 1, 0xAA).stream(),
}

COMPOSED_HOSTILE: dict[str, tuple[type[ZnlError], bytes]] = {
    f"{error.__name__}__composed_{name}": (error, stream)
    for error, streams in (
        (CorruptStreamError, COMPOSED_CORRUPT),
        (UnsupportedFormatError, COMPOSED_UNSUPPORTED),
        (ChecksumError, COMPOSED_CHECKSUM),
    )
    for name, stream in streams.items()
}
