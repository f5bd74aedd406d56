# SPDX-License-Identifier: Apache-2.0
"""The safetensors parser against the safetensors library, and how a source is recognised."""

from __future__ import annotations

import copy
import io
import json
import math
import pickle
import random
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import safetensors
from hypothesis import event, given
from hypothesis import strategies as st

from zipnn_like.dtypes import BY_NAME, BYTES, DTYPES, DType
from zipnn_like.errors import UsageError
from zipnn_like.sources import read_layout
from zipnn_like.sources.layout import KIND_BYTES, KIND_SAFETENSORS, OPAQUE, Layout, Tensor
from zipnn_like.sources.safetensors import (
    MAX_HEADER_NBYTES,
    build_header,
    header_nbytes,
    parse_header,
)

library: Any = safetensors  # its stubs have no types
NAMES = sorted(dtype.name for dtype in DTYPES if dtype is not BYTES)
INFO: dict[str, Any] = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
ONE = json.dumps({"a": INFO})
F32, U8 = BY_NAME["F32"], BY_NAME["U8"]


# The library as the oracle


def with_length(json_bytes: bytes) -> bytes:
    return len(json_bytes).to_bytes(8, "little") + json_bytes


def library_accepts(json_bytes: bytes) -> bool:
    """Whether the library accepts this header before the right number of body bytes."""
    try:
        library.deserialize(with_length(json_bytes))
    except library.SafetensorError as error:
        # Said last, once all of the header has been found good, of a body that is not there.
        return "incomplete metadata" in str(error)
    return True


def check_same_tensors(layout: Layout, json_bytes: bytes) -> None:
    """Compare the layout with what the library reads from a file of random values."""
    file_nbytes = layout.tensors[-1].stop if layout.tensors else layout.header_nbytes
    source = with_length(json_bytes)
    assert layout.header_nbytes == len(source)
    source += random.Random(1).randbytes(file_nbytes - len(source))
    theirs: dict[str, Any] = dict(library.deserialize(source))
    assert len(theirs) == len(layout.tensors)
    for tensor in layout.tensors:
        their = theirs[tensor.name]
        assert (tensor.dtype.name, tensor.shape) == (their["dtype"], tuple(their["shape"]))
        assert source[tensor.start : tensor.stop] == their["data"]
        assert tensor.nbytes == len(their["data"])


def is_stricter_on_purpose(json_bytes: bytes) -> bool:
    """Whether this header is one of the kinds that parse_header refuses and the library doesn't."""
    unusual = not json_bytes.startswith(b"{")

    def load_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal unusual
        unusual |= len(dict(pairs)) != len(pairs)
        return dict(pairs)

    def load_number(digits: str) -> float:
        nonlocal unusual
        unusual |= abs(float(digits)) > 1e300
        return float(digits)

    header = json.loads(
        json_bytes, object_pairs_hook=load_object, parse_int=load_number, parse_float=load_number
    )
    infos = [info for name, info in header.items() if name != "__metadata__"]
    unusual |= any(isinstance(info, list) or isinstance(info["dtype"], dict) for info in infos)
    return unusual or any(info["data_offsets"][1] > 2**62 for info in infos)


# Headers, good and bad

texts = st.text(st.characters(codec="utf-8"), max_size=6)
JUNK: list[Any] = [
    *(None, True, False, 0, 1, 4, 8, -1, 1.0, 2**53, 2**61, 2**63, 2**64 - 1, 2**64, 10**310),
    *("", "F32", "f32", "U8", "F4", "BYTES", "a", "\x00", [], [0], [1], [0, 4], [4, 8], [0, 0, 0]),
    *([2**63, 4, 0], [0, 2**63, 4], [0, 2**64 - 1], {}, {"F32": None}, {"a": "b"}, {"a": [{}]}),
    *(["F32", [1], [0, 4]], INFO, {**INFO, "more": 1}, {**INFO, "shape": []}),
]
FRAGMENTS: list[bytes] = [
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b" ", b"\n", b"\t", b"\x00", b"\x0c", b"-"),
    *(b"0", b"1", b"9", b".", b"e", b"E+", b"-0", b"00", b"1e0", b"1e400", b"1e-400", b"9" * 30),
    *(b"NaN", b"Infinity", b"-Infinity", b"null", b"true", b"'", b"//", b"/**/", b"\xef\xbb\xbf"),
    *(b"\\ud800", b"\\uDC00", b"\\ud83d\\ude00", b"\\ude00\\ud83d", b"\\u0000", b"\\u 123", b"\\x"),
    *(b"\x7f", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xf4\x90\x80\x80"),
    *(b'"a":', b'"x":1,', b'"dtype":"F32",', b'"shape":[1],', b'"data_offsets":[0,4],'),
    *(b'"__metadata__":{},', b'"__metadata__":null,', b'"a":null,', b"18446744073709551616"),
    *(b"[" * 120, b"[" * 200, b"[" * 5000, b"]" * 120, b"]" * 200),
]


@st.composite
def header_objects(draw: st.DrawFn) -> dict[str, Any]:
    header: dict[str, Any] = {}
    offset = 0
    for name in draw(st.lists(texts.filter(lambda text: text != "__metadata__"), unique=True)):
        dtype = BY_NAME[draw(st.sampled_from(NAMES))]
        shape = draw(st.lists(st.integers(0, 5), max_size=3))
        if math.prod(shape) * dtype.bits % 8:
            shape.append(4)
        nbytes = math.prod(shape) * dtype.bits // 8
        header[name] = {
            "dtype": dtype.name,
            "shape": shape,
            "data_offsets": [offset, offset + nbytes],
        }
        if draw(st.integers(0, 9)) == 0:
            header[name]["more"] = draw(st.sampled_from(JUNK))
        offset += nbytes
    header = dict(draw(st.permutations(list(header.items()))))
    if draw(st.booleans()):
        header["__metadata__"] = draw(st.none() | st.dictionaries(texts, texts, max_size=3))
    return header


def paths(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a JSON value its inner values stand."""
    inner: list[Any] = []
    if isinstance(node, (dict, list)):
        inner = list(node.items() if isinstance(node, dict) else enumerate(node))
    return [path] * bool(path) + [p for key, child in inner for p in paths(child, (*path, key))]


def replace_value(draw: st.DrawFn, header: dict[str, Any]) -> None:
    places = paths(header)
    if places:
        *parents, last = draw(st.sampled_from(places))
        node: Any = header
        for key in parents:
            node = node[key]
        if isinstance(node, dict) and draw(st.integers(0, 4)) == 0:
            del node[last]
        else:
            node[last] = copy.deepcopy(draw(st.sampled_from(JUNK)))


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """JSON text of a header with up to two values replaced and up to two bytes or words damaged."""
    header = json.loads(json.dumps(draw(header_objects())))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        replace_value(draw, header)
    text = json.dumps(
        header,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, None, 1])),
        separators=draw(st.sampled_from([None, (",", ":")])),
    )
    json_bytes = text.encode() + b" " * draw(st.integers(0, 8))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        at = draw(st.integers(0, len(json_bytes)))
        stop = at + draw(st.sampled_from([0, 0, 0, 1, 2]))
        json_bytes = json_bytes[:at] + draw(st.sampled_from(FRAGMENTS)) + json_bytes[stop:]
    return json_bytes


@given(json_bytes=headers())
def test_parse_header_matches_the_library(json_bytes: bytes) -> None:
    layout = parse_header(json_bytes)
    accepted = library_accepts(json_bytes)
    event(f"library {accepted}, layout {layout is not None}")
    if layout is None:
        assert not accepted or is_stricter_on_purpose(json_bytes)
        return
    assert accepted
    assert layout.kind == KIND_SAFETENSORS
    if not layout.tensors or layout.tensors[-1].stop < 1 << 20:
        check_same_tensors(layout, json_bytes)


@given(noise=st.binary())
def test_parse_header_never_raises(noise: bytes) -> None:
    for json_bytes in (noise, b"{" + noise, b'{"' + noise, b'{"a":{"' + noise):
        assert parse_header(json_bytes) is None or library_accepts(json_bytes)


# One test per way to be wrong, and per corner that is right


def field(text: str) -> str:
    """A header of one tensor with a field unknown to safetensors."""
    return ONE.replace('"dtype"', f'"x": {text}, "dtype"')


def one(**changes: object) -> str:
    """A header of one F32 tensor with some of its fields changed."""
    return json.dumps({"a": {**INFO, **changes}})


# what is wrong -> JSON text of the header
WRONG = {
    "nothing": "",
    "array": "[]",
    "null": "null",
    "open": "{",
    "blank first": " {}",
    "byte order mark": "\ufeff{}",
    "zero byte behind": "{}\0",
    "text behind": ONE + "x",
    "object behind": ONE + "{}",
    "comma at the end": ONE[:-1] + ",}",
    "comment": ONE[:-1] + "/**/}",
    "NaN": field("NaN"),
    "Infinity": field("-Infinity"),
    "real out of range": field("1e999"),
    "integer out of range": field("9" * 400),
    "integer beyond Python's limit": field("9" * 5000),
    "leading zero": ONE.replace("[0, 4]", "[00, 4]"),
    "control character in a name": '{"a\x01": ' + json.dumps(INFO) + "}",
    "lone surrogate in a name": '{"\\ud800": ' + json.dumps(INFO) + "}",
    "lone surrogate in a field": one(more=["\udfff"]),
    "lone surrogate in metadata": '{"__metadata__": {"a": "\\uD83Dx"}}',
    "name twice": f'{{"a": {json.dumps(INFO)}, "a": {json.dumps(INFO)}}}',
    "field twice": ONE.replace('"dtype"', '"dtype": "F32", "dtype"'),
    "metadata twice": '{"__metadata__": {}, "__metadata__": {}}',
    "metadata array": '{"__metadata__": []}',
    "metadata of integers": '{"__metadata__": {"a": 1}}',
    "metadata of null": '{"__metadata__": {"a": null}}',
    "tensor null": '{"a": null}',
    "tensor array": '{"a": ["F32", [1], [0, 4]]}',
    "no dtype": '{"a": {"shape": [1], "data_offsets": [0, 4]}}',
    "no shape": '{"a": {"dtype": "F32", "data_offsets": [0, 4]}}',
    "no offsets": '{"a": {"dtype": "F32", "shape": [1]}}',
    "dtype unknown": one(dtype="F128"),
    "dtype in small letters": one(dtype="f32"),
    "dtype of ours": one(dtype="BYTES", data_offsets=[0, 1]),
    "dtype null": one(dtype=None),
    "dtype array": one(dtype=["F32"]),
    "dtype object": one(dtype={"F32": None}),
    "shape null": one(shape=None),
    "shape text": one(shape="1"),
    "shape nested": one(shape=[[1]]),
    "shape of bool": one(shape=[True]),
    "shape of real": one(shape=[1.0]),
    "shape with exponent": ONE.replace("[1]", "[1e0]"),
    "shape negative": one(shape=[-1, -1]),
    "shape minus zero": ONE.replace("[1]", "[-0]").replace("4]", "0]"),
    "shape above 64 bits": one(shape=[2**64, 0], data_offsets=[0, 0]),
    "shape overflows before its zero": one(shape=[2**63, 2, 0], data_offsets=[0, 0]),
    "bits overflow": one(shape=[2**59], data_offsets=[0, 2**61]),
    "shape too large": one(shape=[2]),
    "shape too small": one(shape=[0]),
    "offsets minus zero": ONE.replace("[0, 4]", "[-0, 4]"),
    "offsets of real": one(data_offsets=[0, 4.0]),
    "offsets of bool": one(data_offsets=[False, 4]),
    "one offset": one(data_offsets=[4]),
    "three offsets": one(data_offsets=[0, 4, 4]),
    "offsets backwards": one(data_offsets=[4, 0]),
    "offsets not from zero": one(data_offsets=[4, 8]),
    "half a byte": one(dtype="F4", data_offsets=[0, 1]),
    "three quarters of a byte": one(dtype="F6_E2M3", shape=[3], data_offsets=[0, 2]),
    "hole": json.dumps({"a": INFO, "b": {**INFO, "data_offsets": [5, 9]}}),
    "overlap": json.dumps({"a": INFO, "b": {**INFO, "data_offsets": [3, 7]}}),
    "same place twice": json.dumps({"a": INFO, "b": INFO}),
    "empty tensor inside another": json.dumps(
        {"a": INFO, "b": {"dtype": "U8", "shape": [0], "data_offsets": [2, 2]}}
    ),
    "126 arrays in a field": field("[" * 126 + "]" * 126),
    "100,000 arrays in a field": field("[" * 10**5 + "]" * 10**5),
    "100,000 open arrays": '{"a": ' + "[" * 10**5,
    "100,000 open objects": '{"a": ' * 10**5,
}
STRICTER = {"blank first", "name twice", "tensor array", "dtype object"}


@pytest.mark.parametrize("case", WRONG)
def test_parse_header_refuses(case: str) -> None:
    json_bytes = WRONG[case].encode()
    assert parse_header(json_bytes) is None
    assert library_accepts(json_bytes) == (case in STRICTER)


@pytest.mark.parametrize("json_bytes", [b'{"\xff": 1}', b'{"\xed\xa0\x80": 1}', b'{"\xc0\xaf": 1}'])
def test_parse_header_refuses_what_is_not_utf8(json_bytes: bytes) -> None:
    assert parse_header(json_bytes) is None


def test_parse_header_refuses_more_bytes_than_a_file_can_have() -> None:
    part = 2**61 - 1
    infos = {
        str(i): {"dtype": "U8", "shape": [part], "data_offsets": [i * part, (i + 1) * part]}
        for i in range(5)
    }
    assert parse_header(json.dumps(infos).encode()) is None


RIGHT = {
    "empty": "{}",
    "blanks behind": "{} \n\t\r ",
    "blanks between": ONE.replace(" ", "\r\n\t "),
    "metadata null": '{"__metadata__": null}',
    "metadata empty": '{"__metadata__": {}}',
    "metadata last": ONE[:-1] + ', "__metadata__": {"format": "pt"}}',
    "scalar": one(shape=[]),
    "no name": '{"": ' + json.dumps(INFO) + "}",
    "DEL in a name": '{"a\x7f": ' + json.dumps(INFO) + "}",
    "zero byte in a name": '{"a\\u0000": ' + json.dumps(INFO) + "}",
    "escaped pair": '{"\\ud83d\\ude00": ' + json.dumps(INFO) + "}",
    "escaped field": ONE.replace("dtype", "dt\\u0079pe"),
    "empty tensors": json.dumps(
        {
            "z": {"dtype": "F64", "shape": [0, 3], "data_offsets": [0, 0]},
            "a": INFO,
            "b": {"dtype": "U8", "shape": [0, 2**64 - 1, 9], "data_offsets": [4, 4]},
            "c": {"dtype": "F4", "shape": [0], "data_offsets": [4, 4]},
        }
    ),
    "other fields": one(more={"x": [1, -2, 0.5, 1e-999, "\ud83d\ude00", None, True]}),
    "125 arrays in a field": field("[" * 125 + "]" * 125),
    "125 objects in a field": field('{"x": ' * 124 + "{}" + "}" * 124),
    "not in order": json.dumps({"b": {**INFO, "data_offsets": [4, 8]}, "a": INFO}),
    **{
        f"dtype {name}": one(dtype=name, shape=[2, 2], data_offsets=[0, BY_NAME[name].bits // 2])
        for name in NAMES
    },
}


@pytest.mark.parametrize("case", RIGHT)
def test_parse_header_accepts(case: str) -> None:
    json_bytes = RIGHT[case].encode()
    layout = parse_header(json_bytes)
    assert layout is not None
    check_same_tensors(layout, json_bytes)


def test_every_dtype_of_the_library_is_known() -> None:
    # The library lists its dtypes where it names one it does not know.
    with pytest.raises(library.SafetensorError) as caught:
        library.deserialize(with_length(one(dtype="?").encode()))
    listed = str(caught.value).split("expected one of")[1].split("`")[1::2]
    assert set(listed) == set(NAMES)


def test_tensors_stand_in_order_of_their_offsets() -> None:
    json_bytes = RIGHT["not in order"].encode()
    body = 8 + len(json_bytes)
    tensors = (Tensor("a", F32, (1,), body, body + 4), Tensor("b", F32, (1,), body + 4, body + 8))
    assert parse_header(json_bytes) == Layout(KIND_SAFETENSORS, tensors, {}, body)


@pytest.mark.parametrize(
    ("first8", "expected"),
    [
        (b"", None),
        (b"\x02" + bytes(6), None),
        (bytes(8), None),
        (b"\x01" + bytes(7), None),
        (b"\x02" + bytes(7), 2),
        (MAX_HEADER_NBYTES.to_bytes(8, "little"), MAX_HEADER_NBYTES),
        ((MAX_HEADER_NBYTES + 1).to_bytes(8, "little"), None),
        (b"\xff" * 8, None),
    ],
)
def test_header_nbytes(first8: bytes, expected: int | None) -> None:
    assert header_nbytes(first8) == expected


# build_header


@given(
    tensors=st.dictionaries(
        texts.filter(lambda text: text != "__metadata__"),
        st.tuples(st.sampled_from(NAMES), st.lists(st.integers(0, 5), max_size=3)),
    ),
    metadata=st.dictionaries(texts, texts, max_size=3),
)
def test_build_header_is_read_back(
    tensors: dict[str, tuple[str, list[int]]], metadata: dict[str, str]
) -> None:
    wanted = [(name, BY_NAME[dtype], (*shape, 4)) for name, (dtype, shape) in tensors.items()]
    header = build_header(wanted, metadata)
    assert len(header) % 8 == 0
    assert header_nbytes(header[:8]) == len(header) - 8
    layout = parse_header(header[8:])
    assert layout is not None
    assert layout.metadata == metadata
    assert layout.header_nbytes == len(header)
    check_same_tensors(layout, header[8:])
    # Tensors of size zero share their offset with the next, so only the others have an order.
    read_back = [(t.name, t.dtype, t.shape) for t in layout.tensors]
    assert sorted(read_back, key=repr) == sorted(wanted, key=repr)
    assert [t for t in read_back if 0 not in t[2]] == [t for t in wanted if 0 not in t[2]]


def test_build_header_equals_the_library(tmp_path: Any) -> None:
    from safetensors.numpy import save

    name = 'é\n\x01\x7f"\\/😀'
    theirs = save({name: np.zeros((2, 3), np.float32)}, {"format": "pt"})
    ours = build_header([(name, F32, (2, 3))], {"format": "pt"})
    assert ours + bytes(24) == theirs
    (tmp_path / "x.safetensors").write_bytes(ours + bytes(24))
    with library.safe_open(tmp_path / "x.safetensors", "np") as opened:
        assert opened.metadata() == {"format": "pt"}
        assert list(opened.keys()) == [name]


def test_build_header_without_tensors() -> None:
    assert build_header([], {}) == b"\x08" + bytes(7) + b"{}      "


@pytest.mark.parametrize(
    ("tensors", "metadata"),
    [
        ([("a", F32, (1,)), ("a", F32, (1,))], {}),
        ([("__metadata__", F32, (1,))], {}),
        ([("\ud800", F32, (1,))], {}),
        ([(b"a", F32, (1,))], {}),
        ([("a", BYTES, (1,))], {}),
        ([("a", F32, (-1,))], {}),
        ([("a", F32, (1.0,))], {}),
        ([("a", F32, (2**63, 2, 0))], {}),
        ([("a", BY_NAME["F4"], (3,))], {}),
        ([("a", U8, (2**61,))], {}),
        ([(str(i), U8, (2**61 - 1,)) for i in range(5)], {}),
        ([], {"a": 1}),
        ([], {1: "a"}),
        ([], {"a": "\udfff"}),
        ([], {"a": "x" * MAX_HEADER_NBYTES}),
    ],
)
def test_build_header_refuses(tensors: Any, metadata: Any) -> None:
    with pytest.raises(UsageError):
        build_header(tensors, metadata)


def test_build_header_takes_numpy_integers() -> None:
    shape: Any = (np.int64(2), np.uint8(3))
    assert build_header([("a", F32, shape)], {}) == build_header([("a", F32, (2, 3))], {})


# read_layout


def at_most(source: bytes, piece_nbytes: int) -> Callable[[int], bytes]:
    """A `read` that returns at most `piece_nbytes` bytes at a time, as a pipe may."""
    stream = io.BytesIO(source)
    return lambda nbytes: stream.read(min(nbytes, piece_nbytes))


def library_file(dtype: DType = F32) -> bytes:
    from safetensors.numpy import save

    return save({"w": np.ones((3, 5), dtype.array_type), "s": np.zeros(())}, {"format": "np"})


@pytest.mark.parametrize("piece_nbytes", [1, 2, 7, 8, 9, 10, 1000, 1 << 30])
def test_read_layout_in_pieces(piece_nbytes: int) -> None:
    source = library_file()
    layout, consumed = read_layout(at_most(source, piece_nbytes))
    assert layout.kind == KIND_SAFETENSORS
    assert [(t.name, t.shape) for t in layout.tensors] == [("s", ()), ("w", (3, 5))]
    assert layout.metadata == {"format": "np"}
    assert consumed == source[: layout.header_nbytes]
    assert layout.tensors[-1].stop == len(source)


@pytest.mark.parametrize("body_nbytes", [0, 1, 59, 61, 1000])
def test_read_layout_does_not_look_at_the_body(body_nbytes: int) -> None:
    header = build_header([("a", F32, (15,))], {})
    layout, consumed = read_layout(at_most(header + bytes(body_nbytes), 1 << 30))
    assert consumed == header
    assert layout.tensors[0].stop == len(header) + 60


def zipped() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("data.pkl", b"x" * 100)
    return target.getvalue()


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"{",
        b"\x02" + bytes(6),
        b"\x02" + bytes(7),
        b"\x02" + bytes(7) + b"{",
        b"\x02" + bytes(7) + b"[]",
        b"\x02" + bytes(7) + b"{x",
        b"\x10" + bytes(7) + b"{}",
        b"Some text, longer than eight bytes\n",
        b'{"model_type": "bert", "hidden_size": 384}',
        bytes(1000),
        pickle.dumps({"a": [1, 2, 3]}),
        pickle.dumps({"a": [1, 2, 3]}, protocol=0),
        zipped(),
        b"GGUF\x03\x00\x00\x00" + bytes(100),
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}",
    ],
)
@pytest.mark.parametrize("piece_nbytes", [1, 1 << 30])
def test_read_layout_of_other_sources(source: bytes, piece_nbytes: int) -> None:
    layout, consumed = read_layout(at_most(source, piece_nbytes))
    assert layout == OPAQUE
    assert layout.kind == KIND_BYTES
    assert source.startswith(consumed)


def test_read_layout_never_asks_for_megabytes_at_once() -> None:
    asked: list[int] = []
    source = io.BytesIO(MAX_HEADER_NBYTES.to_bytes(8, "little") + b"{" + bytes(5_000_000))

    def read(nbytes: int) -> bytes:
        asked.append(nbytes)
        return source.read(nbytes)

    layout, consumed = read_layout(read)
    assert layout == OPAQUE
    assert consumed == source.getvalue()
    assert max(asked) <= 1 << 20


def test_read_layout_of_a_number_without_a_brace_reads_nine_bytes() -> None:
    source = MAX_HEADER_NBYTES.to_bytes(8, "little") + bytes(1000)
    assert read_layout(at_most(source, 1 << 30)) == (OPAQUE, source[:9])
