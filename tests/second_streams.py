# SPDX-License-Identifier: Apache-2.0
"""Streams of chunks with second symbols (docs/format.md, section 5.10): good ones, and broken ones.

As in arranged_streams.py, a bad one is right in all but its rule wherever that is possible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from arranged_builder import (
    LAYOUTS,
    LOW_BITS,
    TRAILING_ZEROS,
    Frequencies,
    Known,
    Second,
    arrange,
    second_numbers,
    take_apart,
    universal,
)
from arranged_streams import (
    E8M0,
    F32,
    Arranged,
    body_of,
    broken,
    part,
    spoilt,
    with_body,
    with_head,
)
from builders import NAMED

from zipnn_like.errors import ChecksumError, CorruptStreamError, ZnlError

# A value costs 12 bits, and so does its number: there are more words than values.
DEAR = Frequencies((*(1,) * 31, 4065), 0)

GOOD_SECOND = {
    # The last superblock has one block; there is a tail.
    "low_bits": Arranged(
        "F8_E4M3",
        3,
        (part(60, 40, 45, 3, columns=True), part(61, 5, 64, 3)),
        (1, 46, 9, 6),
        second=Second(LOW_BITS, (10, 12, 13, 15)),
    ),
    "one_context": Arranged(
        "I8",
        2,
        (part(62, 69, 30, 2),),
        (1, 0, 3, 11),
        (universal(7, 19), universal(7, 20)),  # without a symbol for 18, and for 19
        second=Second(LOW_BITS, ()),
    ),
    "more_words_than_values": Arranged(
        "F8_E5M2",
        1,
        (part(63, 32, 64, 1),),
        (1, 7, 0, 2),
        (DEAR,),
        second=Second(1, (4,), (DEAR,) * 2),
    ),
    # The last context of class 1 is the first one of the classes from 2 on; class 0 has one.
    "contexts_of_classes": Arranged(
        "U8",
        4,
        (part(67, 40, 45, 4, columns=True), part(68, 5, 64, 4)),
        (1, 110, 9, 6),
        second=Second(LOW_BITS, (1 << 5, 1 << 5 | 15, 2 << 5 | 17, 2 << 5 | 18)),
    ),
    "trailing_zeros": Arranged(
        "F32",
        4,
        (part(64, 30, 70, 4, columns=True), part(65, 3, 64, 4)),
        (4, 0x3C00_0000, 0x0080_0000, 0x0060_0001),
        second=Second(TRAILING_ZEROS, (239, 241, 244)),
    ),
    "16_contexts": Arranged(
        "C64",
        16,
        (part(66, 52, 40, 16),),
        (4, 0x3C00_0000, 0x0040_0000, 0x0200_0001),  # more symbol values than 32 symbols have
        second=Second(TRAILING_ZEROS, (1, *range(230, 256, 2), 511)),
    ),
}


# --- streams that break one rule ------------------------------------------------------------------

# 2050 values each, so that two are in the tail.
PARTS = (part(70, 20, 50, 2, columns=True), part(71, 21, 50, 2))
LOW = Arranged(
    "U8",
    2,
    PARTS,
    (1, 130, 8, 1),
    (universal(12, 24), universal(12, 25)),
    second=Second(LOW_BITS, (15, 16, 17)),
)
ZEROS = Arranged(
    "F32",
    2,
    PARTS,
    (4, 0x3DA0_0000, 0x0040_0000, 0x0008_0001),
    (universal(12, 222), universal(12, 223)),
    second=Second(TRAILING_ZEROS, (247,)),
)
# Universal tables alone, so that no page lists a table that is not referred to.
ONE_CLASS = replace(
    LOW,
    table_count=1,
    parts=(part(72, 41, 50, 1),),
    tables=(universal(12, 24),),
    second=Second(LOW_BITS, (16,), (universal(7, 10), universal(7, 11))),
)
E5M2 = replace(
    ONE_CLASS,
    dtype="F8_E5M2",
    scale=(1, 66, 0, 2),
    tables=(universal(12, 9),),
    second=Second(LOW_BITS, (33,), (universal(7, 10), universal(7, 11))),
)
BLOCK_33 = replace(ZEROS, parts=(part(73, 33, 64, 2),))
PLANE_NBYTES = 4 * 448 - 128  # of ZEROS, less what travels in the states
CODED = 2048


def nearly_always(symbol_value: int, symbol_bits: int) -> Frequencies:
    """A table for one symbol value, with symbols for 31 others."""
    return Frequencies((4065, *(1,) * 31), symbol_value % (1 << symbol_bits))


def of_dtype(dtype: str, kind: int) -> Arranged:
    """A chunk with second symbols of a dtype that may not have them, all of which have numbers."""
    nbytes = LAYOUTS[dtype].width
    middle = 0x80 if nbytes == 1 else 0x3C << 8 * nbytes - 8
    (symbol_value,), _, _ = take_apart(np.array([middle], np.uint64), LAYOUTS[dtype])
    tables = (nearly_always(int(symbol_value), LAYOUTS[dtype].symbol_bits),)
    numbers = (nearly_always(7 if nbytes == 1 else 0, 5),)
    return Arranged(
        dtype,
        1,
        (part(74, 41, 50, 1),),
        (nbytes, middle, 0, 0),
        tables,
        second=Second(kind, (), numbers),
    )


def encoded(chunk: Arranged) -> bytes:
    """Its stream."""
    return chunk.encode(chunk.source())


def with_bounds(chunk: Arranged, *bounds: int) -> bytes:
    """The stream that is right for these bounds."""
    assert chunk.second is not None
    return encoded(replace(chunk, second=replace(chunk.second, bounds=bounds)))


def with_tables(chunk: Arranged, *tables: Frequencies) -> bytes:
    """The stream that is right for these tables of contexts."""
    assert chunk.second is not None
    return encoded(replace(chunk, second=replace(chunk.second, tables=tables)))


def with_references(chunk: Arranged, change: Callable[[list[int]], list[int]]) -> bytes:
    """The stream with other references."""
    references = [table.reference for table in chunk.all_tables_of(chunk.source())]
    return with_head(chunk, references=change(references))


def with_known(chunk: Arranged, shift: int, sign: int | None = None) -> bytes:
    """The stream with a shift that no superblock is marked for."""
    return encoded(replace(chunk, known=Known(shift, (0,) * 4, sign)))


def with_raw(chunk: Arranged, change: Callable[[bytes, bytes], bytes]) -> bytes:
    """The stream with another raw section, of ZEROS; `change` gets fields and bit plane."""
    raw = body_of(chunk).raw
    return broken(chunk, raw=change(raw[:-PLANE_NBYTES], raw[-PLANE_NBYTES:]))


def add_to_number(number: int, more: int) -> Callable[[list[int]], list[int]]:
    """Numbers of which the first that is `number` is `more` above it."""

    def change(numbers: list[int]) -> list[int]:
        at = numbers.index(number)
        return [*numbers[:at], number + more, *numbers[at + 1 :]]

    return change


def with_words(chunk: Arranged, count: int) -> bytes:
    """The stream with its first `count` words, or with zeros behind them."""
    words = (*body_of(chunk).words[:count], *(0,) * (count - body_of(chunk).word_count))
    return broken(chunk, word_count=count, words=words)


def with_a_gap() -> Arranged:
    """A chunk like LOW whose words are odd in number."""
    for seed in range(80, 100):
        chunk = replace(LOW, parts=(part(seed, 41, 50, 2),))
        if body_of(chunk).word_count % 2:
            return chunk
    raise AssertionError("no chunk with an odd number of words")


def field_bits(chunk: Arranged) -> int:
    """How many bits its fields take."""
    values, _ = arrange(chunk.source(), chunk.dtype, chunk.parts, chunk.table_count)
    numbers = second_numbers(TRAILING_ZEROS, values[: len(values) // 64 * 64], values)
    return sum(max(15 - z, 0) for z in numbers)


def with_padded_fields() -> Arranged:
    """A chunk like ZEROS whose fields end in a byte of padding, or in more."""
    for seed in range(80, 120):
        chunk = replace(ZEROS, parts=(part(seed, 41, 50, 2),))
        if 0 < field_bits(chunk) % 64 <= 56:
            return chunk
    raise AssertionError("no chunk with such fields")


def with_bit(fields: bytes, number: int) -> bytes:
    """With one bit set that was not."""
    assert fields[number >> 3] >> (number & 7) & 1 == 0
    changed = bytes([fields[number >> 3] | 1 << (number & 7)])
    return fields[: number >> 3] + changed + fields[(number >> 3) + 1 :]


GAP = with_a_gap()
PADDED = with_padded_fields()
BODY = body_of(LOW)
BOUNDS_END = 12 + len(BODY.pack()) - len(replace(BODY, parts=(), class_bits=(), bounds=()).pack())

SECOND_CORRUPT: dict[str, bytes] = {
    # the first field
    "3_of_u8": broken(LOW, second=3),
    "3_of_f32": broken(ZEROS, second=3),
    **{
        f"low_bits_of_{dtype.lower()}": encoded(of_dtype(dtype, LOW_BITS))
        for dtype in ("F64", "F32", "F16", "BF16", "C64", "F8_E8M0")
    },
    **{
        f"zeros_of_{dtype.lower()}": encoded(of_dtype(dtype, TRAILING_ZEROS))
        for dtype in LAYOUTS
        if dtype not in ("F32", "C64")
    },
    "contexts_without_of_f32": broken(F32, more_contexts=1),
    "16_contexts_without": broken(E8M0, more_contexts=15),
    "a_bound_without": broken(ONE_CLASS, second=0),
    "bit_30": broken(LOW, other_bits=1),
    "bit_31": broken(ZEROS, other_bits=2),
    "shift_1": with_known(ZEROS, 1),
    "shift_16": with_known(ZEROS, 16),
    "shift_with_one_sign": with_known(ZEROS, 3, 0),
    "shift_with_sign": with_known(ZEROS, 3, 1),
    "shift_of_low_bits": with_known(LOW, 1),
    "one_sign_without_shift": broken(ZEROS, one_sign=1),
    "sign_alone": broken(ZEROS, sign=1),
    # references
    "as_many_contexts_as_references": with_references(ONE_CLASS, lambda all_of: all_of[1:]),
    "more_contexts_than_references": with_references(ONE_CLASS, lambda all_of: all_of[2:]),
    "one_context_of_one_reference": with_references(
        replace(ONE_CLASS, second=Second(LOW_BITS, (), (universal(7, 10),))),
        lambda all_of: all_of[1:],
    ),
    "a_reference_too_many": with_references(ONE_CLASS, lambda all_of: [all_of[0], *all_of]),
    "33_references": encoded(
        replace(
            LOW,
            table_count=17,
            tables=tuple(universal(12, n) for n in range(17)),
            second=Second(LOW_BITS, tuple(range(1, 16)), (universal(7, 10),) * 16),
        )
    ),
    "base_32_of_u8": with_tables(ONE_CLASS, universal(7, 10), universal(7, 43)),
    "base_42_of_f8_e5m2": with_tables(E5M2, universal(7, 10), universal(7, 42)),
    "base_32_of_f32": with_tables(ZEROS, Frequencies((128,) * 32, 32), universal(7, 19)),
    "base_511_of_f32": with_tables(ZEROS, universal(7, 19), Frequencies((128,) * 32, 511)),
    "universal_65536": with_references(ONE_CLASS, lambda all_of: [*all_of[:-1], 65_536]),
    "unknown_name": with_references(ONE_CLASS, lambda all_of: [*all_of[:-1], NAMED | 5]),
    # bounds
    "bound_0": with_bounds(LOW, 0, 16, 17),
    "bound_0_alone": with_bounds(ZEROS, 0),
    "bound_64_of_u8": with_bounds(LOW, 15, 16, 64),  # of two classes
    "bound_64_of_f8_e5m2": with_bounds(E5M2, 64),
    "bound_1024_of_f32": with_bounds(ZEROS, 1024),
    "bound_65535_of_f32": with_bounds(ZEROS, 65_535),
    "equal_bounds": with_bounds(LOW, 16, 16, 17),
    "equal_last_bounds": with_bounds(LOW, 15, 17, 17),
    "falling_bounds": with_bounds(LOW, 17, 16, 18),
    "falling_last_bounds": with_bounds(LOW, 15, 17, 16),
    "padding_of_bounds": broken(LOW, bounds_padding=b"\1\0"),
    "padding_of_one_bound": broken(ZEROS, bounds_padding=b"\0\x80"),
    "bounds_cut": with_body(LOW, BODY.pack()[: BOUNDS_END - 1]),
    "no_bounds": broken(LOW, bounds=()),
    "two_bounds_too_many": broken(LOW, bounds=(*BODY.bounds, 18, 19)),
    "bounds_of_one_context": broken(ONE_CLASS, more_contexts=0),
    # numbers
    "low_bits_8_of_u8": spoilt(LOW, spoil_numbers=add_to_number(2, 8)),
    "low_bits_26_of_u8": spoilt(LOW, spoil_numbers=add_to_number(2, 24)),
    "low_bits_4_of_f8_e5m2": spoilt(E5M2, spoil_numbers=add_to_number(2, 4)),
    "17_zeros": spoilt(ZEROS, spoil_numbers=add_to_number(16, 1)),
    "30_zeros": spoilt(ZEROS, spoil_numbers=add_to_number(16, 14)),
    # fields
    "8_bytes_of_fields_too_many": with_raw(ZEROS, lambda fields, plane: fields + bytes(8) + plane),
    "8_bytes_of_fields_missing": with_raw(ZEROS, lambda fields, plane: fields[:-8] + plane),
    "a_byte_of_fields_too_many": with_raw(ZEROS, lambda fields, plane: fields + b"\0" + plane),
    "a_byte_of_fields_missing": with_raw(PADDED, lambda fields, plane: fields[:-1] + plane),
    "no_fields": with_raw(ZEROS, lambda fields, plane: plane),
    "half_a_bit_plane": with_raw(ZEROS, lambda fields, plane: plane[:-896]),
    "nothing_raw": broken(ZEROS, raw=b""),
    "last_bit_of_padding": with_raw(
        PADDED, lambda fields, plane: with_bit(fields, 8 * len(fields) - 1) + plane
    ),
    "first_bit_of_padding": with_raw(
        PADDED, lambda fields, plane: with_bit(fields, field_bits(PADDED)) + plane
    ),
    "bits_of_absent_blocks": spoilt(
        BLOCK_33, spoil_raw=lambda raw: raw[:-1] + bytes([raw[-1] | 128])
    ),
    # the other sections
    "a_byte_of_low_bits": broken(LOW, raw=b"\0"),
    "bit_plane_of_low_bits": broken(LOW, raw=bytes(CODED * 3 // 8 - 128)),
    "byte_too_many": broken(LOW, tail=BODY.tail + b"\0"),
    "byte_missing": broken(LOW, tail=BODY.tail[:-1]),
    "byte_missing_of_f32": broken(ZEROS, tail=body_of(ZEROS).tail[:-1]),
    "4097_words": with_words(LOW, 2 * CODED + 1),
    "words_4_gi": broken(ZEROS, word_count=0xFFFFFFFF),
    "words_run_out": with_words(LOW, BODY.word_count - 1),
    "half_of_the_words": with_words(ZEROS, body_of(ZEROS).word_count // 2),
    "no_words": with_words(LOW, 0),
    "word_left": with_words(LOW, BODY.word_count + 1),
    "gap": broken(GAP, gap=b"\0\1"),
    "final_state_65537": spoilt(LOW, spoil_final=lambda final: [*final[:-1], 65_537]),
    "final_state_131072": spoilt(LOW, spoil_final=lambda final: [131_072, *final[1:]]),
    "final_upper_half_2": spoilt(ZEROS, spoil_final=lambda final: [final[0] + 65_536, *final[1:]]),
    "patch_of_value_2048": broken(LOW, patch_count=1, patches=(CODED << 12 | 16,)),
    "patch_with_32": broken(LOW, patch_count=1, patches=(5 << 12 | 32,)),
    "2049_patches": broken(LOW, patch_count=CODED + 1, patches=(0,) * (CODED + 1)),
}

SECOND_CHECKSUM: dict[str, bytes] = {
    "checksum": with_head(LOW, checksum=5),
    "another_field": with_raw(
        ZEROS, lambda fields, plane: bytes([fields[0] ^ 1]) + fields[1:] + plane
    ),
    "another_tail": broken(ZEROS, tail=bytes(8)),
}

SECOND_HOSTILE: dict[str, tuple[type[ZnlError], bytes]] = {
    f"{error.__name__}__second_{name}": (error, stream)
    for error, streams in (
        (CorruptStreamError, SECOND_CORRUPT),
        (ChecksumError, SECOND_CHECKSUM),
    )
    for name, stream in streams.items()
}

# Bad ones that are golden files: the others are left to test_second.py.
SECOND_GOLDEN = tuple(
    f"CorruptStreamError__second_{name}"
    for name in (
        "3_of_u8",
        "low_bits_of_bf16",
        "zeros_of_u8",
        "16_contexts_without",
        "bit_30",
        "shift_1",
        "as_many_contexts_as_references",
        "base_42_of_f8_e5m2",
        "base_32_of_f32",
        "bound_0",
        "bound_64_of_u8",
        "equal_bounds",
        "falling_bounds",
        "padding_of_bounds",
        "bounds_cut",
        "low_bits_8_of_u8",
        "17_zeros",
        "8_bytes_of_fields_too_many",
        "8_bytes_of_fields_missing",
        "last_bit_of_padding",
        "bits_of_absent_blocks",
        "a_byte_of_low_bits",
        "words_run_out",
        "final_state_65537",
        "gap",
    )
)
