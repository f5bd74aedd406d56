# SPDX-License-Identifier: Apache-2.0
"""Streams of arranged chunks (docs/format.md, sections 5.8 and 5.9): good ones, and broken ones.

The good ones are golden files, and so are the bad ones that are small. A bad one is right in all
but its rule wherever that is possible: a decoder that leaves the check out restores it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from arranged_builder import (
    COLUMNS,
    LAYOUTS,
    Body,
    Frequencies,
    Known,
    Part,
    Second,
    add_chunk,
    arrange,
    arranged_stream,
    fit_second,
    fit_tables,
    make_body,
    make_known,
    universal,
)
from builders import NAMED, StreamBuilder, hash64
from lcg import Lcg

import zipnn_like as znl
from zipnn_like.errors import (
    ChecksumError,
    CorruptStreamError,
    UnsupportedFormatError,
    ZnlError,
)


def part(seed: int, rows: int, row_values: int, class_count: int, *, columns: bool = False) -> Part:
    """A part with classes at random."""
    random = Lcg(seed)
    classes = tuple(random.below(class_count) for _ in range(rows))
    return Part(
        classes, row_values, tuple(random.below(15) for _ in range(row_values)) if columns else None
    )


def scaled(
    parts: Sequence[Part],
    table_count: int,
    nbytes: int,
    middle: int,
    step: int,
    deviation: int,
    seed: int = 1,
) -> bytes:
    """Nearly normal numbers around `middle`, `step` more for each class."""
    random = Lcg(seed)
    values = []
    for each in parts:
        columns = each.columns or (7,) * each.row_values
        for r, column in itertools.product(each.rows, columns):
            number = min(max(r + column - 7, 0), table_count - 1)
            value = middle + step * number + (random.gaussian(deviation) if deviation else 0)
            values.append((value % (1 << 8 * nbytes)).to_bytes(nbytes, "little"))
    return b"".join(values)


def with_noise(source: bytes, nbytes: int, seed: int = 2) -> bytes:
    """Values of `nbytes` bytes with signs and all but their 16 highest bits at random."""
    random = Lcg(seed)
    values = []
    for at in range(0, len(source), nbytes):
        top = source[at + nbytes - 1]
        noise = random.take_bytes(nbytes - 2)
        values.append(noise + source[at + nbytes - 2 : at + nbytes - 1])
        values.append(bytes([top ^ 128 * random.below(2)]))
    return b"".join(values)


def with_zero_bits(source: bytes, seed: int = 3) -> bytes:
    """Values of 4 bytes whose lower halves end in zero bits, how many depending on the exponent."""
    random = Lcg(seed)
    values = []
    for at in range(0, len(source), 4):
        value = int.from_bytes(source[at : at + 4], "little")
        z = min(random.below(5) + random.below(5) + 3 * (value >> 23 & 3), 16)
        value = value >> z << z | (1 << z if z < 16 else 0)
        values.append(value.to_bytes(4, "little"))
    return b"".join(values)


@dataclass(frozen=True)
class Arranged:
    """What a stream of one arranged chunk is made of.

    scale   the arguments of `scaled`
    tables  None: fitted to the values
    known   not None: the values get noise, and then what is known of the marked ones
    second  not None: the values get noise, and four bytes of them numbers of trailing zero bits
    """

    dtype: str
    table_count: int
    parts: tuple[Part, ...]
    scale: tuple[int, int, int, int]
    tables: tuple[Frequencies, ...] | None = None
    known: Known | None = None
    second: Second | None = None

    def source(self) -> bytes:
        return source_of(self)

    def tables_of(self, source: bytes) -> tuple[Frequencies, ...]:
        if self.tables is not None:
            return self.tables
        return fit_tables(source, self.dtype, self.parts, self.table_count)

    def second_of(self, source: bytes) -> Second | None:
        """With its tables."""
        if self.second is None:
            return None
        return fit_second(source, self.dtype, self.parts, self.table_count, self.second)

    def all_tables_of(self, source: bytes) -> tuple[Frequencies, ...]:
        """Of the classes and of the contexts."""
        second = self.second_of(source)
        return self.tables_of(source) + (second.tables if second is not None else ())

    def encode(self, source: bytes) -> bytes:
        tables = self.tables_of(source)
        return arranged_stream(source, self.dtype, self.parts, tables, self.known, self.second)


@functools.cache
def source_of(chunk: Arranged) -> bytes:
    source = scaled(chunk.parts, chunk.table_count, *chunk.scale)
    if chunk.known is None and chunk.second is None:
        return source
    if chunk.scale[0] > 1:
        source = with_noise(source, chunk.scale[0])
    if chunk.second is not None:
        return with_zero_bits(source) if chunk.scale[0] == 4 else source
    return make_known(source, chunk.dtype, chunk.parts, chunk.table_count, chunk.known)


GOOD_ARRANGED = {
    # Rows in the order of their classes; the second part begins inside a block.
    "rows": Arranged("BF16", 4, (part(1, 50, 33, 4), part(2, 20, 21, 4)), (2, 0x3C00, 0x80, 90)),
    "columns": Arranged(
        "F8_E4M3", 6, (part(3, 40, 50, 6, columns=True), part(4, 1, 77, 6)), (1, 50, 8, 5)
    ),
    # Rows stay where they are; every block of the second part holds values of two of them.
    "source_order": Arranged("I8", 3, (part(5, 1, 100, 3), part(6, 31, 64, 3)), (1, 0, 20, 9)),
    "one_table": Arranged(
        "F8_E8M0",
        1,
        (part(7, 8, 260, 1, columns=True),),
        (1, 124, 1, 1),
        (universal(7, 100),),
    ),
    "patches": Arranged(
        "U8",
        2,
        (part(8, 300, 4, 2), part(9, 9, 128, 2, columns=True)),
        (1, 128, 20, 25),
        (universal(12, 24), universal(12, 28)),
    ),
    # The tables of one chunk take more than 416 bytes of its page's context.
    # Section 5.9: the fifth superblock has one block; four of the chunks end in a tail.
    "shift_f32": Arranged(
        "F32",
        3,
        (part(40, 66, 32, 3),),
        (4, 0x3C00_0000, 0x0080_0000, 0x0040_0001),
        known=Known(5, (1, 0, 1, 1, 1)),
    ),
    "shift_whole_plane": Arranged(
        "F32",
        2,
        (part(41, 41, 53, 2, columns=True),),
        (4, 0x3C00_0000, 0x0080_0000, 0x0040_0001),
        known=Known(8, (0, 1, 1, 0, 0)),
    ),
    "shift_f64": Arranged(
        "F64",
        2,
        (part(42, 40, 53, 2),),
        (8, 0x3F80 << 48, 0x10 << 48, 0x20 << 48),
        known=Known(29, (1, 1, 0, 1, 1)),
    ),
    "shift_all": Arranged(
        "F64",
        1,
        (part(43, 33, 64, 1),),
        (8, 0x3F80 << 48, 0, 0x20 << 48),
        known=Known(48, (1, 1, 1, 1, 1)),
    ),
    "one_sign_negative": Arranged(
        "C64",
        3,
        (part(44, 60, 38, 3, columns=True),),
        (4, 0x3C00_0000, 0x0080_0000, 0x0040_0001),
        known=Known(13, (1, 0, 1, 1, 1), 1),
    ),
    "one_sign_positive": Arranged(
        "F32",
        1,
        (part(45, 32, 66, 1),),
        (4, 0x3C00_0000, 0, 0x0040_0001),
        known=Known(1, (1, 1, 0, 0, 1), 0),
    ),
    "32_tables": Arranged("F8_E8M0", 32, (part(10, 64, 40, 32, columns=True),), (1, 90, 2, 2)),
}


@functools.cache
def c_reads_arranged() -> bool:
    """Whether the C core knows the method: what it calls unsupported, it does not."""
    chunk = GOOD_ARRANGED["one_table"]
    try:
        znl.decompress(chunk.encode(chunk.source()))
    except UnsupportedFormatError:
        return False
    except ZnlError:  # it does not do it right, which is for the tests to say
        return True
    return True


# --- streams that break one rule ------------------------------------------------------------------

# F8_E8M0 has no raw bits, so its streams are short, with values that nearly all have one symbol.
E8M0 = Arranged(
    "F8_E8M0",
    3,
    (part(20, 20, 50, 3, columns=True), part(21, 40, 20, 3), part(22, 4, 64, 3)),
    (1, 100, 1, 0),
    tuple(universal(12, 76 + number) for number in range(3)),
)
PLAIN = Arranged("F8_E8M0", 1, (part(23, 32, 64, 1),), (1, 100, 1, 0), (universal(12, 76),))


@functools.cache
def body_of(chunk: Arranged, **spoil: object) -> Body:
    """The body; spoil: arguments of `make_body`."""
    source = chunk.source()
    tables = chunk.tables_of(source)
    args = (source, chunk.dtype, chunk.parts, tables, chunk.known, chunk.second_of(source))
    return make_body(*args, **spoil)  # type: ignore[arg-type]


def with_body(chunk: Arranged, body: Body | bytes, **fields: object) -> bytes:
    """The stream with this body; fields: of the chunk's head, other than they should be."""
    source = chunk.source()
    tables = chunk.all_tables_of(source)
    return add_chunk(StreamBuilder(), source, chunk.dtype, tables, body, **fields).finish()


def with_head(chunk: Arranged, **fields: object) -> bytes:
    """The stream with other fields of the chunk's head."""
    return with_body(chunk, body_of(chunk), **fields)


def broken(chunk: Arranged, **changes: object) -> bytes:
    """The stream with other fields of the body."""
    return with_body(chunk, replace(body_of(chunk), **changes))  # type: ignore[arg-type]


def spoilt(chunk: Arranged, **spoil: Callable[..., object]) -> bytes:
    """The stream with another raw section or other final states, coded as if they were right."""
    return with_body(chunk, body_of(chunk, **spoil))


def with_parts(*parts: Part, table_count: int = 1) -> bytes:
    """A stream that is right for these parts."""
    tables = tuple(universal(12, 76 + number) for number in range(table_count))
    chunk = Arranged("F8_E8M0", table_count, parts, (1, 100, 1, 0), tables)
    return chunk.encode(chunk.source())


def of_many(parts: Sequence[Part]) -> bytes:
    """The same for more values than `scaled` makes in no time: all are equal."""
    source = b"\x64" * sum(each.value_count for each in parts)
    return arranged_stream(source, "F8_E8M0", parts, PLAIN.tables or ())


def with_class(chunk: Arranged, *, row: int | None = None, column: int | None = None) -> bytes:
    """Right but for a class, of a row or a column of the first part."""
    first = chunk.parts[0]
    if row is not None:
        first = replace(first, rows=(row, *first.rows[1:]))
    if column is not None:
        first = replace(first, columns=(column, *(first.columns or ())[1:]))
    changed = replace(chunk, parts=(first, *chunk.parts[1:]))
    return changed.encode(changed.source())


def with_8_lanes() -> bytes:
    """2047 values as the static method would have them: 8 lanes, counts of 16 bits."""
    chunk = replace(PLAIN, parts=(part(24, 23, 89, 1),))
    return with_body(chunk, body_of(chunk, lanes=8))


def flagged(bit: int) -> tuple[tuple[int, int], ...]:
    """The parts of E8M0, a bit of the first one's `row_values` set or cleared."""
    (rows, row_values), *others = body_of(E8M0).parts
    return ((rows, row_values ^ 1 << bit), *others)


def true_patches(*numbers: int) -> tuple[int, ...]:
    """Patches of E8M0, which needs none, that put the values that are there."""
    values, _ = arrange(E8M0.source(), "F8_E8M0", E8M0.parts, 3)
    return tuple(number << 12 | int(values[number]) for number in numbers)


def checksum_in_arranged_order() -> int:
    values, _ = arrange(E8M0.source(), "F8_E8M0", E8M0.parts, 3)
    return hash64(values.astype("u1").tobytes())


def with_absent_bit(raw: bytes) -> bytes:
    """The last byte holds the low bits of block 32 in bits 0 to 2; 3 to 5 are of the absent 33."""
    return raw[:-1] + bytes([raw[-1] | 8])


def known_chunk(dtype: str, shift: int, sign: int | None = None, *, mark: int = 1) -> Arranged:
    """A chunk of 2112 values, whose bits are known in its five superblocks when `mark` is 1."""
    nbytes = LAYOUTS[dtype].width
    middle = 100 if nbytes == 1 else 0x3C00 << 8 * nbytes - 16
    known = Known(shift, (mark,) * 5, sign)
    tables = (universal(12, 76),) if nbytes == 1 else None
    return Arranged(dtype, 1, (part(30, 33, 64, 1),), (nbytes, middle, 0, 0), tables, known)


def encoded_known(dtype: str, shift: int, sign: int | None = None, *, mark: int = 1) -> bytes:
    """Its stream."""
    chunk = known_chunk(dtype, shift, sign, mark=mark)
    return chunk.encode(chunk.source())


def with_known(chunk: Arranged, known: Known) -> bytes:
    """The stream of the chunk's values with other bits said to be known of them."""
    return replace(chunk, known=known).encode(chunk.source())


def with_mark(chunk: Arranged, number: int) -> bytes:
    """The stream with one mark the other way round, and nothing else."""
    body = body_of(chunk)
    at = len(body.class_bits) - 5 + number
    mark, bits = body.class_bits[at]
    changed = (*body.class_bits[:at], (1 - mark, bits), *body.class_bits[at + 1 :])
    return broken(chunk, class_bits=changed)


def with_a_gap() -> Arranged:
    """A chunk like E8M0 whose words are odd in number."""
    for seed in range(30, 50):
        chunk = replace(E8M0, parts=(part(seed, 20, 50, 3, columns=True), *E8M0.parts[1:]))
        if body_of(chunk).word_count % 2:
            return chunk
    raise AssertionError("no chunk with an odd number of words")


BODY = body_of(E8M0)
CODED = 2048  # of the values of E8M0 and of PLAIN
BLOCK_33 = Arranged("U8", 1, (part(25, 33, 64, 1),), (1, 128, 1, 20), (universal(7, 0),))
BF16 = Arranged("BF16", 1, (part(26, 32, 64, 1),), (2, 0x3C00, 0, 90), (universal(7, 96),))
GAP = with_a_gap()
TAILED = replace(PLAIN, parts=(part(28, 32, 64, 1), part(29, 1, 8, 1)))
SHORT_TABLES = tuple(universal(12, 76 + number) for number in range(33))
F32 = replace(known_chunk("F32", 1), known=None)
SHIFTED = known_chunk("F32", 5)
SIGNED = known_chunk("C64", 3, 1)
MARKS = replace(F32, known=Known(11, (1, 0, 1, 0, 1), 0))

ARRANGED_CORRUPT: dict[str, bytes] = {
    # head (section 4)
    "no_table": with_head(E8M0, references=[]),
    "33_tables": with_parts(part(27, 64, 32, 33), table_count=33),
    "255_tables": with_head(E8M0, table_count=255),
    "head_long": with_head(E8M0, table_count=2),
    "head_short": with_head(E8M0, table_count=4),
    "unit_shift_6": with_head(E8M0, unit_shift=6),
    "unit_shift_9": with_head(E8M0, unit_shift=9),
    "unit_shift_of_one_table": with_head(PLAIN, unit_shift=6),
    "of_bytes": with_head(E8M0, dtype=0),
    "of_f4": with_head(E8M0, dtype=13),
    "of_bool": with_head(E8M0, dtype=22),
    "unknown_name": with_head(E8M0, references=[universal(12, 76).reference, NAMED | 5, 0]),
    "universal_65536": with_head(E8M0, references=[0, 0, 65536]),
    "base_256": replace(E8M0, tables=tuple(universal(12, 332 + n) for n in range(3))).encode(
        E8M0.source()
    ),
    # number of values
    "2047_values": with_parts(part(24, 23, 89, 1)),
    "2047_values_8_lanes": with_8_lanes(),
    "262145_values": of_many([Part((0, 0), 131_070), Part((0,), 5)]),
    "odd_bf16": with_head(BF16, source_nbytes=4097),
    # parts
    "no_body": with_body(E8M0, b""),
    "counts_cut": with_body(E8M0, bytes(7)),
    "no_part_count": with_body(E8M0, BODY.pack()[:8]),
    "part_count_cut": with_body(E8M0, BODY.pack()[:11]),
    "parts_cut": with_body(E8M0, BODY.pack()[: 12 + 23]),
    "class_bits_cut": with_body(E8M0, BODY.pack()[: 12 + 24 + 3]),
    "0_parts": broken(PLAIN, part_count=0, parts=()),
    "1025_parts": with_parts(*[Part((0,), 4)] * 1025),
    "65535_parts": broken(E8M0, part_count=0xFFFF),
    "parts_4_gi": broken(E8M0, part_count=0xFFFFFFFF),
    "a_part_of_0_rows": broken(E8M0, part_count=4, parts=(*BODY.parts, (0, 64))),
    "a_part_of_0_values": broken(PLAIN, part_count=2, parts=((32, 64), (32, 0))),
    "a_part_of_nothing": broken(PLAIN, part_count=2, parts=((32, 64), (0, 0))),
    "a_row_of_131073_values": of_many([Part((0,), 131_073)]),
    "row_values_bit_18": broken(E8M0, parts=flagged(18)),
    "row_values_bit_30": broken(E8M0, parts=flagged(30)),
    "no_columns_where_there_are": broken(E8M0, parts=flagged(31)),
    "columns_where_there_are_none": broken(PLAIN, parts=((32, 64 | COLUMNS),)),
    "products_1984": broken(PLAIN, parts=((31, 64),)),
    "products_2112": broken(PLAIN, parts=((33, 64),)),
    "products_low_in_the_tail": broken(TAILED, parts=((32, 64), (1, 4))),
    "products_high_in_the_tail": broken(TAILED, parts=((32, 64), (1, 12))),
    "products_low_by_a_part": broken(PLAIN, part_count=2, parts=((16, 64), (15, 64))),
    "products_high_by_a_part": broken(PLAIN, part_count=2, parts=((32, 64), (1, 64))),
    "products_2_to_the_32_more": broken(PLAIN, part_count=2, parts=((32_768, 131_072), (32, 64))),
    "rows_4_gi": broken(PLAIN, parts=((0xFFFFFFFF, 131_072),)),
    # class bits
    "row_class_3_of_3": with_class(E8M0, row=3),
    "row_class_31_of_17": with_class(
        replace(E8M0, table_count=17, tables=SHORT_TABLES[:17]), row=31
    ),
    "column_class_15": with_class(E8M0, column=15),
    "padding_of_class_bits": broken(E8M0, padding=1),
    "last_bit_of_class_bits": broken(E8M0, padding=8),
    "class_bits_long": broken(E8M0, class_bits=(*BODY.class_bits, (0, 32))),
    "class_bits_short": broken(E8M0, class_bits=BODY.class_bits[:-8]),
    # bits that are not stored; the others are as the field says wherever they can be
    "one_sign_without_shift": broken(F32, one_sign=1),
    "one_sign_and_sign_without_shift": broken(F32, one_sign=1, sign=1),
    "sign_without_one_sign": broken(SHIFTED, sign=1),
    "sign_without_anything": broken(F32, sign=1),
    "shift_17_of_f32": encoded_known("F32", 17),
    "shift_63_of_f32": encoded_known("F32", 63),
    "shift_17_of_f32_unmarked": encoded_known("F32", 17, mark=0),
    "shift_17_of_c64_with_one_sign": encoded_known("C64", 17, 1),
    "shift_49_of_f64": encoded_known("F64", 49),
    "shift_63_of_f64": encoded_known("F64", 63),
    "shift_of_bf16": encoded_known("BF16", 1),
    "shift_of_bf16_unmarked": encoded_known("BF16", 1, mark=0),
    "one_sign_of_bf16": encoded_known("BF16", 1, 0),
    "shift_of_f16_unmarked": encoded_known("F16", 8, mark=0),
    "one_sign_of_f16_unmarked": encoded_known("F16", 8, 1, mark=0),
    "shift_of_e8m0": encoded_known("F8_E8M0", 1, mark=0),
    "shift_32_of_e8m0": encoded_known("F8_E8M0", 32, mark=0),
    "one_sign_of_e8m0": encoded_known("F8_E8M0", 1, 1, mark=0),
    "one_sign_of_e8m0_without_shift": broken(E8M0, one_sign=1),
    "sign_of_e8m0": broken(E8M0, sign=1),
    "first_field_bit_24": broken(E8M0, second=1),
    "first_field_bit_31": broken(E8M0, other_bits=2),
    "first_field_bit_24_of_f32": broken(SHIFTED, second=1),
    "no_marks": broken(SHIFTED, class_bits=()),
    "a_mark_too_many": broken(SHIFTED, class_bits=((1, 1),) * 6),
    "padding_of_marks": broken(SHIFTED, padding=1 << 26),
    "marked_but_stored_whole": with_mark(MARKS, 1),
    "short_superblock_not_marked": with_mark(MARKS, 4),
    "bits_of_absent_blocks_of_f32": spoilt(
        SHIFTED, spoil_raw=lambda raw: raw[:-1] + bytes([raw[-1] | 128])
    ),
    "shifted_byte_missing": broken(SHIFTED, raw=body_of(SHIFTED).raw[1:]),
    "shifted_byte_too_many": broken(SHIFTED, raw=b"\0" + body_of(SHIFTED).raw),
    # the other sections
    "byte_too_many": broken(E8M0, tail=BODY.tail + b"\0"),
    "byte_missing": broken(E8M0, tail=BODY.tail[:-1]),
    "2049_words": broken(E8M0, word_count=CODED + 1, words=(0,) * (CODED + 1)),
    "2049_patches": broken(E8M0, patch_count=CODED + 1, patches=(0,) * (CODED + 1)),
    "counts_4_gi": broken(E8M0, word_count=0xFFFFFFFF, patch_count=0xFFFFFFFF),
    "words_run_out": broken(E8M0, word_count=BODY.word_count - 1, words=BODY.words[:-1]),
    "no_words": broken(E8M0, word_count=0, words=()),
    "word_left": broken(E8M0, word_count=BODY.word_count + 1, words=(*BODY.words, 0)),
    "gap": broken(GAP, gap=b"\1\0"),
    "final_state_65537": spoilt(E8M0, spoil_final=lambda final: [*final[:-1], 65_537]),
    "final_state_131072": spoilt(E8M0, spoil_final=lambda final: [131_072, *final[1:]]),
    "final_upper_half_2": spoilt(
        BLOCK_33, spoil_final=lambda final: [final[0] + 65_536, *final[1:]]
    ),
    "bits_of_absent_blocks": spoilt(BLOCK_33, spoil_raw=with_absent_bit),
    # patches that agree with the values wherever they can
    "patch_of_value_2048": broken(E8M0, patch_count=1, patches=true_patches(CODED)),
    "patch_twice": broken(E8M0, patch_count=2, patches=true_patches(7, 7)),
    "patch_back": broken(E8M0, patch_count=2, patches=true_patches(7, 6)),
    "patch_with_256": broken(E8M0, patch_count=1, patches=(true_patches(7)[0] | 256,)),
}

ARRANGED_CHECKSUM: dict[str, bytes] = {
    "checksum": with_head(E8M0, checksum=5),
    "other_sign": broken(SIGNED, sign=0),
    "signs_that_differ": with_known(SHIFTED, Known(1, (0, 1, 0, 0, 0), 1)),
    "bits_that_are_not_zero": with_known(SHIFTED, Known(9, (0, 0, 1, 0, 0))),
    "another_superblock_marked": broken(
        MARKS, class_bits=tuple((mark, 1) for mark in (0, 1, 1, 0, 1))
    ),
    "checksum_in_arranged_order": with_head(E8M0, checksum=checksum_in_arranged_order()),
}

ARRANGED_HOSTILE: dict[str, tuple[type[ZnlError], bytes]] = {
    f"{error.__name__}__arranged_{name}": (error, stream)
    for error, streams in (
        (CorruptStreamError, ARRANGED_CORRUPT),
        (ChecksumError, ARRANGED_CHECKSUM),
        (
            UnsupportedFormatError,
            {
                "method_6": StreamBuilder()
                .chunk(6, E8M0.source(), BODY.pack(), dtype=10, references=[0, 0, 0])
                .finish(),
            },
        ),
    )
    for name, stream in streams.items()
}
