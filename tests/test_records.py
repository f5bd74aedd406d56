# SPDX-License-Identifier: Apache-2.0
"""Records, field by field and window by window.

A stream with a changed field is taken or refused as the reference decoder takes or refuses it, with
a directory that lists what is there, so that the field alone decides. How the bytes of a stream
arrive makes no difference to what comes out of it, nor to what is said about it.
"""

from __future__ import annotations

import io
import os
import random
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from arranged_builder import ARRANGED
from arranged_streams import c_reads_arranged
from builders import (
    CHUNK,
    COLLIDING,
    CONSTANT,
    NAMED,
    PAGE,
    RAW,
    ROOT,
    SAME_AS,
    STATIC,
    TABLE,
    Record,
    StreamBuilder,
    hash64,
    records_of,
    rewritten,
    safetensors_bytes,
    table_head,
)
from checks import DAMAGE, REFUSED, Dribble, outcome, sequentially
from golden_cases import CASES
from hostile_streams import HOSTILE, MIB, flat_table
from hypothesis import given, settings
from hypothesis import strategies as st
from small_stream import small_source, small_stream
from strategies import Values, make, values
from znl_process import znl as run_znl

import zipnn_like as znl
from zipnn_like import dtypes, reference, stream_reader
from zipnn_like.errors import ZnlError
from zipnn_like.inputs import Input, MemoryInput, StreamInput
from zipnn_like.outputs import MemoryOutput
from zipnn_like.restorer import OutputTarget, restore_stream

# --- one field ------------------------------------------------------------------------------------

# Fields of heads: name, offset, struct format.
FIELDS = {
    CHUNK: [
        ("dtype", 0, "B"),
        ("method", 1, "B"),
        ("table_count", 2, "B"),
        ("unit_shift", 3, "B"),
        ("source_nbytes", 4, "<I"),
        ("checksum", 8, "<Q"),
    ],
    TABLE: [("base", 0, "<H"), ("frequencies", 2, "<I"), ("more frequencies", 8, "<Q")],
    SAME_AS: [
        ("dtype", 0, "B"),
        ("zero", 1, "<H"),
        ("zero too", 3, "B"),
        ("source_nbytes", 4, "<I"),
        ("checksum", 8, "<Q"),
        ("distance", 16, "<I"),
        ("zero at the end", 20, "<I"),
    ],
    PAGE: [("chunk_count", 0, "<I"), ("context_nbytes", 4, "<I"), ("sizes", 8, "<Q")],
    ROOT: [("page_count", 0, "<I"), ("flags", 4, "<I"), ("sizes", 8, "<Q")],
}
# What the rules of docs/format.md compare with.
LIMITS = (0, 1, 2, 3, 4, 6, 8, 9, 10, 22, 23, 64, 255, 256, 4096, 65536, 1 << 17, 1 << 18, 8 << 20)
LIMITS += (16 << 20, (16 << 20) + 65536, 1 << 31, 1 << 63)


@st.composite
def changed_numbers(draw: st.DrawFn, old: int, bits: int) -> int:
    """Another number of so many bits: near a limit, near the old one, or any."""
    near = st.sampled_from(LIMITS) | st.just(old)
    stepped = st.tuples(near, st.integers(-2, 2) | st.sampled_from([-64, 64, -256, 256])).map(sum)
    flipped = st.integers(0, bits - 1).map(lambda bit: old ^ 1 << bit)
    number = draw(stepped | flipped | st.integers(0, (1 << bits) - 1)) % (1 << bits)
    return number if number != old else number ^ 1


def fields_of(record: Record) -> list[tuple[str, int, str]]:
    """The fields of a record's head."""
    found = FIELDS.get(record.kind, [])
    if record.kind == CHUNK:
        found = found + [("reference", at, "<Q") for at in range(16, len(record.head), 8)]
    return [field for field in found if field[1] + struct.calcsize(field[2]) <= len(record.head)]


@st.composite
def changed_fields(draw: st.DrawFn, record: Record, names: list[int]) -> Record:
    """The record with another number in one field of its head."""
    name, offset, layout = draw(st.sampled_from(fields_of(record)))
    (old,) = struct.unpack_from(layout, record.head, offset)
    numbers = changed_numbers(old, 8 * struct.calcsize(layout))
    if name == "method" and not c_reads_arranged():
        numbers = numbers.filter(lambda number: number != ARRANGED)
    if name == "reference" and names:
        numbers |= st.sampled_from(names) | st.integers(0, 65535)
    head = bytearray(record.head)
    struct.pack_into(layout, head, offset, draw(numbers))
    if name == "source_nbytes" and record.kind == CHUNK and record.method == CONSTANT:
        # The bytes that the field now stands for, or no value but the old one could be right.
        (nbytes,) = struct.unpack_from(layout, head, offset)
        if nbytes < MIB:
            whole = record.body * (nbytes // len(record.body))
            struct.pack_into("<Q", head, 8, hash64(whole))
    return replace(record, head=bytes(head))


@st.composite
def changed_records(draw: st.DrawFn, record: Record, names: list[int]) -> tuple[Record, int]:
    """The record with one thing changed, and its flags."""
    what = draw(st.sampled_from(["field"] * 6 + ["kind", "flags", "head", "body"]))
    if what == "kind":
        return replace(record, kind=draw(changed_numbers(record.kind, 8))), draw(st.integers(0, 1))
    if what == "flags":
        return record, draw(changed_numbers(1, 8))
    if what == "head":
        head = record.head[: -draw(st.sampled_from([1, 4, 8, 16]))]
        longer = record.head + bytes(draw(st.sampled_from([1, 4, 8, 4096])))
        return replace(record, head=draw(st.sampled_from([head, longer]))), 1
    if what == "body" or not fields_of(record):
        body = draw(st.sampled_from([record.body + b"\0", record.body[:-1], record.body[1:]]))
        return replace(record, body=body), 1
    return draw(changed_fields(record, names)), 1


def relisted(records: Iterable[tuple[Record, int]]) -> bytes:
    """The stream of these records, with flags, and a directory that tells the truth about them."""
    builder = StreamBuilder()
    named: dict[int, bytes] = {}
    for record, flags in records:
        head = record.head
        gap = len(builder.stream) - builder.last_end
        size, _ = builder.record(record.kind, head, record.body, flags=flags)
        if record.kind == TABLE:
            named[hash64(head) | NAMED] = head
        if record.kind not in (CHUNK, SAME_AS) or len(head) < 16:
            continue
        dtype, method, _, _, nbytes, checksum = struct.unpack_from("<BBBBIQ", head)
        method = method if record.kind == CHUNK else 0
        builder.enter([nbytes, size, gap, record.kind, dtype, method, 0, checksum], b"")
        for at in range(16, len(head) - 7, 8) if record.kind == CHUNK else ():
            (name,) = struct.unpack_from("<Q", head, at)
            if name in named:
                builder.tables.setdefault(name, named[name])
        if len(builder.entries) == 512:
            builder.page()
    return builder.finish()


def verdict(decode: Callable[[bytes], bytes], stream: bytes) -> bytes | str:
    """What is decoded, or how it is refused."""
    try:
        return bytes(decode(stream))
    except znl.UnsupportedFormatError:
        return "unsupported"
    except DAMAGE:
        return "corrupt"


@st.composite
def sources(draw: st.DrawFn) -> bytes:
    """A few small tensors, some of them twice, as a safetensors file."""
    counts = (1, 3, 64, 129, 300, 700)
    listed = draw(st.lists(values(counts=counts), min_size=1, max_size=4))
    few = draw(st.integers(0, 1 << 16))
    # 420 values out of four that lie apart: a table of its own pays.
    scales = bytes(60 + 9 * (few * i * i % 31 % 4) for i in range(420))
    listed += [Values("F8_E8M0", (420,), scales), *draw(st.permutations(listed))[:2]]
    return safetensors_bytes({f"{number}": tensor for number, tensor in enumerate(listed)})


@given(data=st.data())
@settings(max_examples=40)
def test_a_changed_field_is_judged_as_the_reference_judges_it(data: st.DataObject) -> None:
    source = data.draw(sources())
    good = [(record, 1) for record in records_of(znl.compress(source))]
    good = [(record, flags) for record, flags in good if record.kind not in (PAGE, ROOT)]
    names = [hash64(record.head) | NAMED for record, _ in good if record.kind == TABLE]
    assert reference.decode(relisted(good)) == source
    for _ in range(8):
        number = data.draw(st.integers(0, len(good) - 1))
        record, flags = data.draw(changed_records(good[number][0], names))
        stream = relisted([*good[:number], (record, flags), *good[number + 1 :]])
        # Under another type a record breaks many rules: which of them is told is another test's.
        judge = verdict if record.kind == good[number][0].kind else outcome
        expected = judge(reference.decode, stream)
        assert judge(sequentially, stream) == expected, (number, record, flags)
        assert judge(znl.decompress, stream) == expected, (number, record, flags)


@given(data=st.data())
@settings(max_examples=25)
def test_a_directory_with_a_changed_field_is_judged_alike(data: st.DataObject) -> None:
    stream = znl.compress(data.draw(sources()))
    records = records_of(stream)
    for _ in range(6):
        record = data.draw(st.sampled_from(records))
        damaged = rewritten(stream, record, data.draw(changed_fields(record, [])))
        expected = outcome(reference.decode, damaged)
        assert outcome(sequentially, damaged) == expected, record
        assert outcome(znl.decompress, damaged) == expected, record


def sample() -> list[tuple[Record, int]]:
    """A record of each kind that comes with chunks: a table, every method but zstd, a repeat."""
    records = records_of(small_stream())
    return [(record, 1) for record in records if record.kind not in (PAGE, ROOT)]


def test_every_value_of_a_short_field_is_judged_alike() -> None:
    good = sample()
    assert reference.decode(relisted(good)) == small_source()
    judged: dict[bool, int] = {True: 0, False: 0}
    for number, (record, _) in enumerate(good):
        for name, offset, layout in fields_of(record):
            if struct.calcsize(layout) > 1:
                continue
            for value in (*range(12), *range(20, 26), 64, 127, 128, 254, 255):
                if (name, value) == ("method", ARRANGED) and not c_reads_arranged():
                    continue
                head = bytearray(record.head)
                head[offset] = value
                changed = (replace(record, head=bytes(head)), 1)
                stream = relisted([*good[:number], changed, *good[number + 1 :]])
                expected = verdict(reference.decode, stream)
                assert verdict(sequentially, stream) == expected, (number, name, value)
                judged[isinstance(expected, bytes)] += 1
    assert min(judged.values()) > 50, judged


UNSUPPORTED_FIRST = {
    "method 6, tables of a later kind": lambda m: m.chunk(6, b"abc", b"abc", references=[1] * 9),
    "method 6, a longer head": lambda m: m.chunk(
        6, b"abc", b"abc", references=[1] * 2, table_count=0
    ),
    "dtype 23, another unit": lambda m: m.chunk(RAW, b"abc", b"abc", dtype=23, unit_shift=7),
    "a repeat of dtype 23": lambda m: m.raw(bytes(256)).same_as(256, 256, dtype=23, zero=1),
}


@pytest.mark.parametrize("name", UNSUPPORTED_FIRST)
def test_what_a_later_version_wrote_is_unsupported_whatever_else_is_new(name: str) -> None:
    builder = StreamBuilder()
    UNSUPPORTED_FIRST[name](builder)
    stream = builder.finish()
    assert verdict(reference.decode, stream) == "unsupported"
    assert verdict(sequentially, stream) == "unsupported"


# --- tables of one name ---------------------------------------------------------------------------


@pytest.mark.parametrize("between", [0, 1022, 1023, 1024])
def test_two_tables_of_one_name_are_corrupt_while_both_are_kept(between: int) -> None:
    # test_reference.py asks the reference, which takes a second for it.
    builder = StreamBuilder().raw(b"abc")
    builder.table(table_head(COLLIDING, 1), listed=False)
    for base in range(between):
        builder.table(flat_table(base), listed=False)
    builder.table(table_head(COLLIDING, 2), listed=False)
    stream = builder.raw(b"def").finish()
    assert outcome(sequentially, stream) == (REFUSED if between < 1023 else b"abcdef")


def test_two_tables_of_one_name_are_corrupt_in_a_page() -> None:
    data = bytes(60 + 9 * (i * i % 31 % 4) for i in range(420))
    table, chunk = records_of(znl.compress(data, dtype="F8_E8M0", level="fast"))[:2]
    assert (table.kind, chunk.method) == (TABLE, STATIC)
    colliding = [Record(TABLE, 0, table_head(COLLIDING, base), b"") for base in (1, 2)]
    (name,) = {hash64(record.head) | NAMED for record in colliding}
    # The chunk's body fits neither table; what is asked is who refuses it, and that all do.
    naming = replace(chunk, head=chunk.head[:16] + struct.pack("<Q", name))
    others = [Record(TABLE, 0, flat_table(base), b"") for base in range(1024)]
    stream = relisted((r, 1) for r in [colliding[0], naming, *others, colliding[1], naming])
    assert outcome(reference.decode, stream) is REFUSED
    assert outcome(sequentially, stream) is REFUSED


@pytest.mark.parametrize("in_one_batch", [True, False])
def test_values_whose_tables_were_made_to_have_one_name_are_refused(in_one_batch: bool) -> None:
    def scales(base: int) -> Values:
        data = bytearray(b"".join(bytes([base + s]) * (2 * f) for s, f in enumerate(COLLIDING)))
        random.Random(base).shuffle(data)
        return Values("F8_E8M0", (len(data),), bytes(data))

    between = {} if in_one_batch else {"between": Values("I16", (2,), b"abcd")}
    source = safetensors_bytes({"a": scales(10), **between, "b": scales(150)})
    with pytest.raises(ZnlError, match="two different frequency tables have one name"):
        znl.compress(source)


# --- windows --------------------------------------------------------------------------------------


def restored(source: Input, threads: int = 1) -> bytes:
    """The source of a stream that is read front to back."""
    output = MemoryOutput(0)
    restore_stream(source, OutputTarget(output, None), threads=threads)
    return output.finish()


def told(source: Input) -> bytes | tuple[type[ZnlError], str]:
    """The source of a stream, or what is said about it."""
    try:
        return restored(source)
    except DAMAGE as error:
        return type(error), str(error)


def encoded(name: str) -> bytes:
    return CASES[name].encode(CASES[name].source())


def long_records() -> bytes:
    """Raw chunks of many sizes, some repeated, between tables: bodies that are used while the next
    window is read."""
    noise = random.Random(1)
    builder = StreamBuilder()
    for number in range(60):
        builder.raw(noise.randbytes(noise.randrange(1, 3000)))
        builder.table(flat_table(number), listed=False)
        piece = noise.randbytes(256 + number)
        builder.raw(piece).raw(b"between").same_as(len(piece), len(piece) + 7)
    return builder.finish()


GOOD = {
    "small": small_stream,
    "long records": long_records,
    "two pages": lambda: encoded("v1_two_pages"),
    "sha256": lambda: encoded("v1_sha256"),
    "skipped records": lambda: encoded("v1_skipped_records"),
    "empty": lambda: znl.compress(b""),
}
WINDOWS = (1, 7, 16, 100, 4096, stream_reader.WIRE_NBYTES)


@pytest.fixture
def window(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A size of what is read at a time."""
    nbytes: int = request.param
    monkeypatch.setattr(stream_reader, "WIRE_NBYTES", nbytes)
    return nbytes


@pytest.mark.parametrize("window", WINDOWS, indirect=True)
@pytest.mark.parametrize("name", GOOD)
def test_windows_of_any_size_give_what_memory_gives(window: int, name: str) -> None:
    stream = GOOD[name]()
    expected = restored(MemoryInput(stream))
    assert expected == znl.decompress(stream)
    for threads in (1, 4):
        assert restored(StreamInput(io.BytesIO(stream)), threads) == expected
    if len(stream) > 1 << 16:
        return
    for by_read in (False, True):
        one_byte = Dribble(stream, by_read=by_read, most=1)
        assert restored(StreamInput(one_byte)) == expected  # type: ignore[arg-type]


def test_windows_end_at_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = small_stream()
    for nbytes in range(1, len(stream) + 2):
        monkeypatch.setattr(stream_reader, "WIRE_NBYTES", nbytes)
        assert restored(StreamInput(io.BytesIO(stream))) == small_source(), nbytes


@pytest.mark.parametrize("window", [1, 33, stream_reader.WIRE_NBYTES], indirect=True)
def test_hostile_streams_are_told_of_alike_by_window_and_memory(window: int) -> None:
    for name, (_, stream) in HOSTILE.items():
        expected = told(MemoryInput(stream, "<stream>"))
        assert isinstance(expected, tuple), name
        assert told(StreamInput(io.BytesIO(stream))) == expected, name


@pytest.mark.parametrize("window", [1, 50, stream_reader.WIRE_NBYTES], indirect=True)
def test_streams_that_are_cut_short_are_told_of_alike(window: int) -> None:
    stream = small_stream()
    for nbytes in range(0, len(stream), 5):
        expected = told(MemoryInput(stream[:nbytes], "<stream>"))
        assert expected[0] is znl.TruncatedStreamError, nbytes
        cut = Dribble(stream[:nbytes], by_read=nbytes % 2 == 0, most=1)
        assert told(StreamInput(cut)) == expected, nbytes  # type: ignore[arg-type]


def through_pipe(stream: bytes, *, buffering: int, piece_nbytes: int) -> bytes:
    """Restore a stream that comes out of a pipe in pieces."""
    read_end, write_end = os.pipe()

    def feed() -> None:
        with os.fdopen(write_end, "wb", buffering=0) as pipe:
            for start in range(0, len(stream), piece_nbytes):
                pipe.write(stream[start : start + piece_nbytes])

    feeder = threading.Thread(target=feed)
    feeder.start()
    out = io.BytesIO()
    with os.fdopen(read_end, "rb", buffering=buffering) as pipe:
        znl.decompress_file(pipe, out, threads=2)
    feeder.join()
    return out.getvalue()


def larger_than_windows() -> StreamBuilder:
    """Records of 5 and 9 MiB between small ones: 14 MiB, which windows of 4 MiB cut anywhere."""
    noise = random.Random(2)
    long, longer = noise.randbytes(5 * MIB), noise.randbytes(9 * MIB)
    builder = StreamBuilder()
    for number, piece in enumerate((b"first", long, b"between" * 50, longer, b"last")):
        builder.table(flat_table(number), listed=False)
        builder.raw(piece).chunk(CONSTANT, bytes(300), b"\0")
    return builder.same_as(9 * MIB, 9 * MIB + 304 + 300, source=longer)


def test_records_larger_than_a_window_are_restored() -> None:
    builder = larger_than_windows()
    stream, source = builder.finish(), bytes(builder.source)
    assert len(stream) > 3 * stream_reader.WIRE_NBYTES
    assert znl.decompress(stream) == source
    assert sequentially(stream) == source
    assert through_pipe(stream, buffering=0, piece_nbytes=70_001) == source
    assert through_pipe(stream, buffering=4096, piece_nbytes=1 << 20) == source


def test_runs_of_chunks_across_windows_are_restored() -> None:
    noise = random.Random(3).randbytes(2 * MIB)
    weights = make(dtypes.BY_NAME["BF16"], "gaussian", (5 * MIB // 2,), 1).data
    tensors = {f"{i}": Values("I16", (i,), noise[: 2 * i]) for i in range(1, 900)}
    tensors |= {"weights": Values("BF16", (len(weights) // 2,), weights)}
    tensors |= {f"noise {i}": Values("U8", (MIB,), noise[i : i + MIB]) for i in range(5)}
    source = safetensors_bytes(tensors)
    stream = znl.compress(source)
    assert len(stream) > 2 * stream_reader.WIRE_NBYTES
    assert znl.decompress(stream) == source
    assert sequentially(stream) == source
    assert through_pipe(stream, buffering=0, piece_nbytes=65_537) == source
    done = run_znl("decompress", "-", "-q", stdin=stream)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == source


def test_repeats_find_their_chunk_among_many_runs() -> None:
    # A record to skip behind each chunk cuts the source into runs of one.
    builder = StreamBuilder()
    for number in range(2000):
        if number and number % 512 == 0:
            builder.page()
        if number % 2:
            back = 1 + 2 * random.Random(number).randrange((number + 1) // 2)
            builder.same_as(256, 256 * back)
        else:
            builder.raw(bytes([number // 2 % 256, number // 512]) * 128)
        builder.skipped(0x7F, b"")
    stream = builder.finish()
    assert sequentially(stream) == reference.decode(stream)
