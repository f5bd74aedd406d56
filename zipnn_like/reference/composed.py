# SPDX-License-Identifier: Apache-2.0
"""The composed method (docs/format.md, section 5.11): fields, sub-chunks, and parts to values.

Decoding the sub-chunks is chunk.py's part.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from zipnn_like.errors import UnsupportedFormatError, Where
from zipnn_like.reference.records import DTYPE_COUNT, METHOD_COUNT, check

# Section 5.11: "`source_nbytes` must be at most 8 MiB"; "`sub_count`: 1 to 64".
MAX_NBYTES = 8 << 20
MAX_SUB_CHUNKS = 64
FIELDS = struct.Struct("<BBBBIQ")
SUB_CHUNK = struct.Struct("<BBBBII")
# Where the fields lie, for messages.
WIDTH, MODE, VALUE_COUNT, VALUE = 2, 3, 4, 8
PALETTE_MAX = 256
BYTE_VALUES = 256
MAX_GROUP = 8


@dataclass(frozen=True)
class SubChunk:
    """The fields of a sub-chunk, where they lie in the body, and its own body."""

    start: int
    body_start: int
    dtype: int
    method: int
    table_count: int
    unit_shift: int
    source_nbytes: int
    body: bytes


@dataclass(frozen=True)
class ComposedBody:
    """Section 5.11, the fields of a body; `where` and `start` of the body are for messages."""

    transform: int
    width: int
    mode: int
    value_count: int
    value: int
    source_nbytes: int
    sub_chunks: tuple[SubChunk, ...]
    where: Where
    start: int

    @property
    def count(self) -> int:
        """N, the values of the chunk."""
        return self.source_nbytes // self.width

    def must(self, holds: bool, offset: int, expected: object, found: object) -> None:
        """A *must* of the section about what lies `offset` bytes into the body."""
        check(holds, self.where, self.start + offset, expected, found)

    def join(self, restored: bytes) -> bytes:
        """The source, from what the sub-chunks restored one behind the other."""
        return TRANSFORMS[self.transform].join(self, restored)

    def numbers(self, part: bytes, count: int, bound: int, group: int) -> list[int]:
        """ "Numbers below a bound m, g to a byte": the count of them that a part holds."""
        numbers = []
        for byte in part:
            # "A byte must be below m^g."
            self.must(byte < bound**group, FIELDS.size, f"bytes below {bound**group}", byte)
            for _ in range(group):
                byte, number = divmod(byte, bound)
                numbers.append(number)
        # "the numbers that the last byte has too many must be 0"
        self.must(not any(numbers[count:]), FIELDS.size, "zeros behind the last number", "others")
        return numbers[:count]

    def values(self, part: bytes) -> list[bytes]:
        """The values that lie in a part."""
        return [part[at : at + self.width] for at in range(0, len(part), self.width)]


def packed_nbytes(count: int, group: int) -> int:
    """ "c numbers take ceil(c / g) bytes"."""
    return -(-count // group)


def join_planes(body: ComposedBody, restored: bytes) -> bytes:
    """ "byte p of value i is byte i of plane p"."""
    count, modulus = body.count, 1 << 8 * body.width
    source = []
    before = body.value
    for i in range(count):
        u = int.from_bytes(restored[i::count], "little")
        if body.mode & 2:
            # "u_i / 2 for an even u_i and 2^(8 * `width`) - (u_i + 1) / 2 for an odd one"
            u = u // 2 if u % 2 == 0 else modulus - (u + 1) // 2
        if body.mode & 1:
            # "v_(i-1) + d_i modulo 2^(8 * `width`), where v_(-1) is `value`"
            u = before = (before + u) % modulus
        source.append(u.to_bytes(body.width, "little"))
    if body.mode & 4:
        # "v_i is value (i mod R) * c + floor(i / R) of the source, R being N / c"
        rows = count // body.value_count
        source = [source[k * rows + row] for row in range(rows) for k in range(body.value_count)]
    return b"".join(source)


def join_nibbles(body: ComposedBody, restored: bytes) -> bytes:
    """ "the i-th number of the first part as its bits 0 to 3, and that of the second as bits 4 to
    7".
    """
    low = body.numbers(restored[: body.count], body.count, 16, 1)
    high = body.numbers(restored[body.count :], body.count, 16, 1)
    return bytes(a | b << 4 for a, b in zip(low, high, strict=True))


def join_sixes(body: ComposedBody, restored: bytes) -> bytes:
    """ "three bytes of the source, as an integer of 24 bits, hold four fields of 6 bits"."""
    count = 4 * body.count
    low = body.numbers(restored[:count], count, 32, 1)
    high = body.numbers(restored[count:], count, 2, 8)
    fields = [a | b << 5 for a, b in zip(low, high, strict=True)]
    source = []
    for i in range(0, count, 4):
        whole = sum(fields[i + place] << 6 * place for place in range(4))
        source.append(whole.to_bytes(3, "little"))
    return b"".join(source)


def join_palette(body: ComposedBody, restored: bytes) -> bytes:
    """ "value i is the one of the q values whose place the i-th number is"."""
    nbytes = body.value_count * body.width
    palette = body.values(restored[:nbytes])
    numbers = body.numbers(restored[nbytes:], body.count, body.value_count, body.mode)
    return b"".join(palette[number] for number in numbers)


def join_sparse(body: ComposedBody, restored: bytes) -> bytes:
    """ "value i is `value` where the i-th number is 0, and the next one of the q values where it
    is 1".
    """
    nbytes = packed_nbytes(body.count, body.mode)
    numbers = body.numbers(restored[:nbytes], body.count, 2, body.mode)
    # "q must be the count of numbers that are 1"
    ones = sum(numbers)
    body.must(ones == body.value_count, VALUE_COUNT, f"{ones} values", body.value_count)
    others = iter(body.values(restored[nbytes:]))
    value = body.value.to_bytes(body.width, "little")
    return b"".join(next(others) if number else value for number in numbers)


def join_scaled(body: ComposedBody, restored: bytes) -> bytes:
    """ "the product of the i-th narrow value and scale floor(i / r) mod q, counted from 0"."""
    scales, narrow = restored[: 4 * body.value_count], restored[4 * body.value_count :]
    for (scale,) in struct.iter_unpack("<I", scales):
        # "must be positive and neither subnormal, infinite nor NaN"
        body.must(1 <= scale >> 23 <= 254, FIELDS.size, "a normal scale", hex(scale))
    kind = "<b" if body.mode else "<H"
    source = []
    for i, (value,) in enumerate(struct.iter_unpack(kind, narrow)):
        place = i // body.value % body.value_count
        (scale,) = struct.unpack_from("<I", scales, 4 * place)
        source.append(struct.pack("<I", _product(body, scale, value)))
    return b"".join(source)


def _product(body: ComposedBody, scale: int, value: int) -> int:
    """The bits of an F32; `value`: an I8, or the bits of an F16."""
    exponent, sign, significand = 0, value < 0, abs(value)
    if body.mode == 0:
        sign, biased, significand = value >> 15 == 1, value >> 10 & 31, value & 1023
        # "an F16 must be finite"
        body.must(biased < 31, FIELDS.size, "a finite F16", hex(value))
        significand += 1024 if biased else 0
        exponent = max(biased, 1) - 25
    if significand == 0:
        # "0 is an F32 of 0 with the sign of the narrow value"
        return sign << 31
    product = significand * (scale & 0x7FFFFF | 0x800000)
    exponent += scale >> 23
    left = product.bit_length() - 24
    # "rounded to 24 significant bits, of two that are equally near to the one whose last bit is 0"
    rounded, rest = divmod(product, 1 << left)
    if 2 * rest > 1 << left or (2 * rest == 1 << left and rounded % 2):
        rounded += 1
    if rounded == 1 << 24:
        rounded, left = 1 << 23, left + 1
    exponent += left
    # "must then be a normal F32"
    body.must(1 <= exponent <= 254, FIELDS.size, "a normal product", exponent)
    return sign << 31 | exponent << 23 | rounded & 0x7FFFFF


@dataclass(frozen=True)
class Transform:
    """A row of the table of section 5.11.

    values  what `value` may be
    """

    widths: tuple[int, ...]
    modes: range
    value_counts: Callable[[ComposedBody], range]
    values: Callable[[ComposedBody], range]
    parts_nbytes: Callable[[ComposedBody], int]
    join: Callable[[ComposedBody, bytes], bytes]


def groups(body: ComposedBody, bound: int) -> range:
    """ "1 <= g <= 8, m^g <= 256"."""
    fitting = [g for g in range(1, MAX_GROUP + 1) if bound**g <= BYTE_VALUES]
    return range(1, max(fitting) + 1)


def any_value(body: ComposedBody) -> range:
    """ "`value`, which is a value of `width` bytes, below 2^(8 * `width`)"."""
    return range(1 << 8 * body.width)


def run_lengths(body: ComposedBody) -> range:
    """ "r * (q - 1) must be less than N, and r must be N when q is 1"."""
    scales = body.value_count
    if scales == 1:
        return range(body.count, body.count + 1)
    return range(1, (body.count - 1) // (scales - 1) + 1)


NONE = range(1)
TRANSPOSED = 4
TRANSFORMS = (
    Transform(
        (2, 4, 8),
        range(8),
        lambda body: range(1, body.count + 1) if body.mode & TRANSPOSED else NONE,
        lambda body: any_value(body) if body.mode % 2 == 1 else NONE,
        lambda body: body.width * body.count,
        join_planes,
    ),
    Transform(
        (1,), NONE, lambda body: NONE, lambda body: NONE, lambda body: 2 * body.count, join_nibbles
    ),
    Transform(
        (3,),
        NONE,
        lambda body: NONE,
        lambda body: NONE,
        lambda body: 4 * body.count + packed_nbytes(4 * body.count, 8),
        join_sixes,
    ),
    Transform(
        (1, 2, 4, 8),
        range(1, MAX_GROUP + 1),
        lambda body: range(1, PALETTE_MAX + 1),
        lambda body: NONE,
        lambda body: body.width * body.value_count + packed_nbytes(body.count, body.mode),
        join_palette,
    ),
    Transform(
        (1, 2, 4, 8),
        range(1, MAX_GROUP + 1),
        lambda body: range(body.count),
        any_value,
        lambda body: packed_nbytes(body.count, body.mode) + body.width * body.value_count,
        join_sparse,
    ),
    Transform(
        (4,),
        range(2),
        lambda body: range(1, body.count + 1),
        run_lengths,
        lambda body: 4 * body.value_count + (2 - body.mode) * body.count,
        join_scaled,
    ),
)
PLANES, PALETTE = 0, 3


def parse_composed(body: bytes, source_nbytes: int, where: Where, start: int) -> ComposedBody:
    """Section 5.11, all that can be checked before a sub-chunk is decoded.

    source_nbytes  of the chunk
    start          of the body in the stream, for messages
    """
    fits = source_nbytes <= MAX_NBYTES
    check(fits, where, start, f"at most {MAX_NBYTES} bytes in a composed chunk", source_nbytes)
    check(len(body) >= FIELDS.size, where, start, f"{FIELDS.size} bytes of fields", len(body))
    transform, sub_count, width, mode, value_count, value = FIELDS.unpack_from(body)
    known = f"a transform below {len(TRANSFORMS)}"
    is_known = transform < len(TRANSFORMS)
    check(is_known, where, start, known, transform, UnsupportedFormatError)
    subs = _read_sub_chunks(body, sub_count, where, start)
    fields = (transform, width, mode, value_count, value)
    parsed = ComposedBody(*fields, source_nbytes, subs, where, start)
    _check_fields(parsed)
    nbytes = TRANSFORMS[transform].parts_nbytes(parsed)
    restored = sum(sub.source_nbytes for sub in subs)
    # "it must be as long as the parts"
    parsed.must(restored == nbytes, FIELDS.size, f"sub-chunks of {nbytes} bytes", restored)
    return parsed


def _check_fields(body: ComposedBody) -> None:
    """ "Fields must be as the table says"."""
    row = TRANSFORMS[body.transform]
    body.must(body.width in row.widths, WIDTH, f"a width of {row.widths}", body.width)
    # "`source_nbytes` of the chunk must be a multiple of `width`"
    whole = body.source_nbytes % body.width == 0
    body.must(whole, WIDTH, f"whole values in {body.source_nbytes} bytes", body.width)
    body.must(body.mode in row.modes, MODE, f"a mode in {row.modes}", body.mode)
    counts = row.value_counts(body)
    body.must(body.value_count in counts, VALUE_COUNT, f"one of {counts}", body.value_count)
    if body.transform == PALETTE:
        allowed = groups(body, body.value_count)
        body.must(body.mode in allowed, MODE, f"one of {allowed}", body.mode)
    values = row.values(body)
    body.must(body.value in values, VALUE, f"one of {values}", body.value)
    if body.transform == PLANES and body.mode & TRANSPOSED:
        whole = body.count % body.value_count == 0
        body.must(whole, VALUE_COUNT, f"a divisor of {body.count}", body.value_count)


def _check_known(body: bytes, count: int, where: Where, start: int) -> None:
    """ "A transform, and a sub-chunk's dtype or method, that is not known makes the chunk
    *unsupported*, and this is reported before anything else".
    """
    for number in range(count):
        at = FIELDS.size + SUB_CHUNK.size * number
        dtype, method = body[at : at + 2]
        expected = f"a dtype code below {DTYPE_COUNT}"
        check(dtype < DTYPE_COUNT, where, start + at, expected, dtype, UnsupportedFormatError)
        expected = f"a method below {METHOD_COUNT}"
        is_known = method < METHOD_COUNT
        check(is_known, where, start + at + 1, expected, method, UnsupportedFormatError)


def _read_sub_chunks(body: bytes, count: int, where: Where, start: int) -> tuple[SubChunk, ...]:
    room = (len(body) - FIELDS.size) // SUB_CHUNK.size
    fits = 1 <= count <= min(MAX_SUB_CHUNKS, room)
    check(fits, where, start + 1, f"1 to {MAX_SUB_CHUNKS} sub-chunks, {room} at most", count)
    _check_known(body, count, where, start)
    found = []
    body_start = FIELDS.size + SUB_CHUNK.size * count
    for number in range(count):
        at = FIELDS.size + SUB_CHUNK.size * number
        dtype, method, tables, shift, source_nbytes, nbytes = SUB_CHUNK.unpack_from(body, at)
        stop = body_start + nbytes
        padded = -(-stop // 4) * 4
        left = len(body) - body_start
        check(padded <= len(body), where, start + at + 8, f"a body in {left} bytes", nbytes)
        padding = body[stop:padded]
        check(not any(padding), where, start + stop, "zero padding", padding.hex())
        fields = (dtype, method, tables, shift, source_nbytes)
        found.append(SubChunk(at, body_start, *fields, body[body_start:stop]))
        body_start = padded
    # "The body must end with the last sub-chunk's padding."
    whole = body_start == len(body)
    check(whole, where, start + body_start, "the end of the body", f"{len(body)} bytes in all")
    return tuple(found)
