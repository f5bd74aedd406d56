# SPDX-License-Identifier: Apache-2.0
"""The C core of other architectures, cross-built and emulated, against the one of this machine.

AArch64 runs the NEON kernels, s390x is big-endian. tests/c/codec_process.c holds the core as a
process; the C tests run there too (`make ctest-cross`). Where a compiler or an emulator is missing
the tests are skipped, or fail if ZNL_CI=1.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import zstandard
from arranged_streams import c_reads_arranged
from builders import CHUNK, RAW, SAME_AS, STATIC, TABLE, ZSTD, Record, records_of
from strategies import make

from zipnn_like import native
from zipnn_like.dtypes import DTYPES, DType

ROOT = Path(__file__).parent.parent
GOOD = [
    path
    for path in sorted((ROOT / "tests" / "golden" / "good").glob("*.znl"))
    if "arranged" not in path.stem or c_reads_arranged()
    if "composed" not in path.stem  # C leaves them to its caller
]
MODELLED = [dtype for dtype in DTYPES if dtype.modelled]
TRIPLES = {
    "aarch64-linux-gnu": ["scalar", "neon"],
    "s390x-linux-gnu": ["scalar"],
}
TABLE_BYTES = 48
CHECKSUM_STATUS = -10
NAMED = 1 << 63

# (kind, numbers of values of the chunks of one call, joined)
CASES = [
    ("gaussian", (64,), False),
    ("gaussian", (2047,), True),
    ("two scales", (2048 + 512 + 64 + 7,), True),
    ("sparse", (8192,), False),
    ("random bits", (3000,), False),
    ("not a number", (2100,), False),
    ("constant", (1000,), False),
    ("two values", (4160,), False),
    ("gaussian", (20_000, 20_000, 700), False),
    ("two scales", (131_072, 18_929), False),
]


@dataclass
class Emulated:
    """A codec_process of another architecture."""

    process: subprocess.Popen[bytes]
    isas: dict[str, int] = field(default_factory=dict)

    def _send(self, request: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(request)
        self.process.stdin.flush()

    def _take(self, nbytes: int) -> bytes:
        assert self.process.stdout
        data = self.process.stdout.read(nbytes)
        assert len(data) == nbytes, "the process ended"
        return data

    def _numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(f"<{layout}", self._take(struct.calcsize(f"<{layout}")))

    def find_isas(self) -> None:
        """Ask which instruction sets there are."""
        self._send(b"I")
        (count,) = self._numbers("B")
        numbers = set(self._take(count))
        self.isas = {name: number for name, number in native.ISAS.items() if number in numbers}

    def encode(
        self, isa: str, dtype: DType, sources: list[bytes], *, is_joined: bool
    ) -> tuple[list[tuple[object, ...]], dict[int, bytes]]:
        """What znl_encode_chunks returns: the chunks as `facts_of` has them, the tables by name."""
        head = struct.pack("<cBBBI", b"E", self.isas[isa], dtype.code, is_joined, len(sources))
        sizes = struct.pack(f"<{len(sources)}I", *map(len, sources))
        self._send(head + sizes + b"".join(sources))
        (made,) = self._numbers("q")
        assert made >= 0, native.error_text(made)
        tables = {}
        for _ in range(made):
            name, nbytes = self._numbers("QI")
            tables[name] = self._take(TABLE_BYTES)[:nbytes]
        chunks: list[tuple[object, ...]] = []
        for source in sources:
            method, unit_shift, table_count, checksum = self._numbers("BBBQ")
            references = self._numbers(f"{table_count}Q")
            body = self._take(self._numbers("I")[0])
            body = source if method == RAW else body
            chunks.append((method, unit_shift, checksum, references, body))
        return chunks, tables

    def decode(self, isa: str, record: Record, tables: dict[int, bytes]) -> tuple[int, bytes]:
        """Status and source bytes of a CHUNK."""
        dtype, method, count, unit_shift, nbytes, checksum = struct.unpack_from(
            "<BBBBIQ", record.head
        )
        request = struct.pack(
            "<cBBBBBQ", b"D", self.isas[isa], dtype, method, unit_shift, count, checksum
        )
        for name in record.references:
            wire = tables.get(name, b"") if name & NAMED else b""
            request += struct.pack("<QI48s", name, len(wire), wire)
        self._send(request + struct.pack("<II", nbytes, len(record.body)) + record.body)
        (status,) = self._numbers("q")
        return status, self._take(nbytes)


def tool(names: list[str], what: str) -> str:
    """The first of these programs that is installed; without one the test is skipped, or fails."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        complaint = f"{what}: none of {', '.join(names)} is installed"
        if os.environ.get("ZNL_CI") == "1":
            pytest.fail(complaint)
        pytest.skip(complaint)
    return found


@pytest.fixture(scope="module", params=TRIPLES)
def emulated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Emulated]:
    triple: str = request.param
    cpu = triple.split("-")[0]
    compiler = tool([f"{triple}-gcc"], "cross compiler")
    emulator = tool([f"qemu-{cpu}-static", f"qemu-{cpu}"], "emulator")
    program = tmp_path_factory.mktemp(triple) / "codec_process"
    sources = [ROOT / "tests" / "c" / "codec_process.c", *sorted((ROOT / "csrc").glob("*.c"))]
    subprocess.run(
        [compiler, "-std=c11", "-O2", "-static", f"-I{ROOT / 'csrc'}", "-o", program, *sources],
        check=True,
    )
    with subprocess.Popen(
        [emulator, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        made = Emulated(process)
        made.find_isas()
        yield made
        assert process.stdin
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_the_instruction_sets_are_those_of_the_architecture(
    emulated: Emulated, request: pytest.FixtureRequest
) -> None:
    triple = request.node.callspec.params["emulated"]
    assert list(emulated.isas) == TRIPLES[triple]


def encode_here(
    dtype: DType, sources: list[bytes], *, is_joined: bool
) -> tuple[list[tuple[object, ...]], dict[int, bytes]]:
    """The same as Emulated.encode, by the core of this process."""
    ffi, lib = native.ffi, native.lib
    count = len(sources)
    chunks, tables = ffi.new("znl_chunk[]", count), ffi.new("znl_table[]", count)
    scratch = ffi.new("uint8_t[]", int(lib.znl_encode_scratch_nbytes(count)))
    kept = []  # what the chunks point into
    for chunk, source in zip(chunks, sources, strict=True):
        chunk.dtype, chunk.is_joined = dtype.code, is_joined
        chunk.source_nbytes, chunk.body_room = len(source), len(source) + lib.ZNL_BODY_SLACK_NBYTES
        kept += [ffi.new("uint8_t[]", source), ffi.new("uint8_t[]", chunk.body_room)]
        chunk.source, chunk.body = kept[-2:]
    made = lib.znl_encode_chunks(native.kernels(), chunks, count, tables, scratch, len(scratch))
    assert made >= 0, native.error_text(made)
    encoded: list[tuple[object, ...]] = []
    for chunk, source in zip(chunks, sources, strict=True):
        references = tuple(chunk.tables[0 : chunk.table_count])
        body = bytes(ffi.buffer(chunk.body + chunk.body_offset, chunk.body_nbytes))
        body = source if chunk.method == RAW else body
        encoded.append((chunk.method, chunk.unit_shift, chunk.checksum, references, body))
    return encoded, {t.name: bytes(ffi.buffer(t.bytes, t.nbytes)) for t in tables[0:made]}


def record_of(dtype: DType, chunk: tuple[object, ...], nbytes: int) -> Record:
    """The CHUNK record of an encoded chunk."""
    method, unit_shift, checksum, references, body = chunk
    assert isinstance(references, tuple)
    assert isinstance(body, bytes)
    head = struct.pack(
        "<BBBBIQ", dtype.code, method, len(references), unit_shift, nbytes, checksum
    ) + struct.pack(f"<{len(references)}Q", *references)
    return Record(CHUNK, 0, head, body)


@pytest.mark.parametrize("dtype", MODELLED, ids=lambda dtype: dtype.name)
def test_chunks_are_the_same_both_ways(emulated: Emulated, dtype: DType) -> None:
    methods = set()
    for seed, (kind, counts, is_joined) in enumerate(CASES):
        sources = [make(dtype, kind, (n,), seed + i).data for i, n in enumerate(counts)]
        expected, tables = encode_here(dtype, sources, is_joined=is_joined)
        for isa in emulated.isas:
            found = emulated.encode(isa, dtype, sources, is_joined=is_joined)
            assert found == (expected, tables), (isa, kind, counts)
            for source, chunk in zip(sources, expected, strict=True):
                record = record_of(dtype, chunk, len(source))
                assert emulated.decode(isa, record, tables) == (0, source), (isa, kind, counts)
        methods |= {chunk[0] for chunk in expected}
    assert STATIC in methods


def test_damage_is_found_alike(emulated: Emulated) -> None:
    dtype = next(dtype for dtype in DTYPES if dtype.name == "BF16")
    source = make(dtype, "gaussian", (4500,), 1).data
    (chunk,), tables = encode_here(dtype, [source], is_joined=False)
    record = record_of(dtype, chunk, len(source))
    for at in range(0, len(record.body), 97):
        body = bytearray(record.body)
        body[at] ^= 1 << at % 8
        damaged = Record(CHUNK, 0, record.head, bytes(body))
        answers = {emulated.decode(isa, damaged, tables)[0] for isa in emulated.isas}
        assert len(answers) == 1, (at, answers)
        assert answers < set(range(CHECKSUM_STATUS, 0)), (at, answers)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_golden_file_decodes_to_its_digest(emulated: Emulated, path: Path) -> None:
    expected = path.with_suffix(".sha256").read_text().strip()
    for isa in emulated.isas:
        tables: dict[int, bytes] = {}
        source = bytearray()
        for record in records_of(path.read_bytes()):
            if record.kind == TABLE:
                tables[native.table_name(record.head) or 0] = record.head
            elif record.kind == CHUNK and record.method == ZSTD:
                source += zstandard.ZstdDecompressor().decompress(record.body)
            elif record.kind == CHUNK:
                status, decoded = emulated.decode(isa, record, tables)
                assert status == 0, native.error_text(status)
                source += decoded
            elif record.kind == SAME_AS:
                nbytes, _, distance = struct.unpack_from("<IQI", record.head, 4)
                start = len(source) - distance
                source += source[start : start + nbytes]
        assert hashlib.sha256(source).hexdigest() == expected, isa
