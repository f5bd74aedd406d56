# SPDX-License-Identifier: Apache-2.0
"""Builds files without the code under test: safetensors files, and streams field by field."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import xxhash
from strategies import Values

CHUNK, TABLE, SAME_AS, PAGE, ROOT = 1, 2, 3, 4, 5
RAW, CONSTANT, ZSTD, STATIC = 0, 1, 2, 3
NAMED = 1 << 63
# Bytes 8 to 15 of this table's head are those of XXH3's secret, so bytes 0 to 7 are multiplied by 0
# and heads with different bases have one name.
COLLIDING = (447, 170, 23, 61, 458, 129, 4, 22, 763, 436, 7, 3, *[79] * 13, *[78] * 7)


def hash64(data: bytes) -> int:
    """XXH3-64, by the xxhash package."""
    return int(xxhash.xxh3_64_intdigest(data))


def safetensors_bytes(
    tensors: Mapping[str, Values], metadata: Mapping[str, str] | None = None
) -> bytes:
    """A safetensors file with the tensors in this order."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, values in tensors.items():
        stop = offset + len(values.data)
        header[name] = {
            "dtype": values.dtype,
            "shape": list(values.shape),
            "data_offsets": [offset, stop],
        }
        offset = stop
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(v.data for v in tensors.values())


@dataclass
class StreamBuilder:
    """A stream under construction: every record has a valid check, whatever its fields say.

    `entries`, `tables` and `pages` are what the next PAGE and the ROOT will list; a test that
    wants a directory that lies changes them before `page` or `finish`.
    """

    needed_version: int = 1
    flags: int = 0  # 1: the ROOT holds a SHA-256
    zero: bytes = bytes(6)
    stream: bytearray = field(default_factory=bytearray)
    source: bytearray = field(default_factory=bytearray)
    entries: list[list[int]] = field(default_factory=list)
    tables: dict[int, bytes] = field(default_factory=dict)
    pages: list[list[int]] = field(default_factory=list)
    covered: int = 0
    context_type: int = TABLE
    page_start: int = 32
    last_end: int = 32

    def __post_init__(self) -> None:
        start = b"\x89ZNL\r\n\x1a\n" + struct.pack("<HHI", 1, self.needed_version, 10507)
        start += struct.pack("<BB", 0, self.flags) + self.zero
        self.stream += start + struct.pack("<Q", hash64(start))

    def record(
        self,
        kind: int,
        head: bytes = b"",
        body: bytes = b"",
        *,
        flags: int = 1,
        body_nbytes: int | None = None,
        padding: bytes | None = None,
    ) -> tuple[int, int]:
        """Append a record; returns its size and its check field."""
        stated = len(body) if body_nbytes is None else body_nbytes
        fields = struct.pack("<BBHI", kind, flags, len(head), stated)
        check = hash64(fields + head)
        record = fields + struct.pack("<Q", check) + head + body
        record += bytes(-len(body) % 4) if padding is None else padding
        self.stream += record
        return len(record), check

    def skipped(
        self, kind: int, body: bytes = b"", *, head: bytes = bytes(24), check: int | None = None
    ) -> StreamBuilder:
        """Append a record that may be skipped; one with a body states its hash."""
        if body:
            head += struct.pack("<Q", hash64(body) if check is None else check)
        self.record(kind, head, body, flags=0)
        return self

    def chunk(
        self,
        method: int,
        source: bytes,
        body: bytes,
        *,
        dtype: int = 0,
        references: Sequence[int] = (),
        table_count: int | None = None,
        unit_shift: int = 0,
        source_nbytes: int | None = None,
        checksum: int | None = None,
        body_nbytes: int | None = None,
        flags: int = 1,
    ) -> StreamBuilder:
        """Append a CHUNK and its entry."""
        count = len(references) if table_count is None else table_count
        nbytes = len(source) if source_nbytes is None else source_nbytes
        check = hash64(source) if checksum is None else checksum
        head = struct.pack("<BBBBIQ", dtype, method, count, unit_shift, nbytes, check)
        head += struct.pack(f"<{len(references)}Q", *references)
        gap = len(self.stream) - self.last_end
        size, _ = self.record(CHUNK, head, body, flags=flags, body_nbytes=body_nbytes)
        return self.enter([nbytes, size, gap, CHUNK, dtype, method, 0, check], source)

    def raw(self, source: bytes, **fields: int) -> StreamBuilder:
        """Append a raw chunk."""
        return self.chunk(RAW, source, source, **fields)  # type: ignore[arg-type]

    def same_as(
        self,
        nbytes: int,
        distance: int,
        *,
        source: bytes | None = None,
        dtype: int = 0,
        zero: int = 0,
    ) -> StreamBuilder:
        """Append a SAME_AS and its entry; `source`: the bytes it claims to stand for."""
        if source is None:
            start = len(self.source) - distance
            source = bytes(self.source[max(start, 0) : max(start, 0) + nbytes])
        check = hash64(source)
        head = struct.pack("<B3xIQII", dtype, nbytes, check, distance & 0xFFFFFFFF, zero)
        gap = len(self.stream) - self.last_end
        size, _ = self.record(SAME_AS, head)
        return self.enter([nbytes, size, gap, SAME_AS, dtype, 0, 0, check], source)

    def table(self, head: bytes, *, listed: bool = True) -> int:
        """Append a TABLE; returns its name. listed: the page names it."""
        self.record(TABLE, head)
        name = hash64(head) | NAMED
        if listed:
            self.tables[name] = head
        return name

    def enter(self, entry: list[int], source: bytes) -> StreamBuilder:
        """List the record of a chunk that was appended; `entry`: the fields of its page entry."""
        self.entries.append(entry)
        self.last_end = len(self.stream)
        self.source += source
        self.covered += entry[0]
        return self

    def page(self) -> StreamBuilder:
        """Append the PAGE of the chunks since the last one."""
        tables = b"".join(
            struct.pack("<I", self.context_type << 24 | len(head)) + head
            for head in self.tables.values()
        )
        body = b"".join(struct.pack("<IIIBBBBQ", *entry) for entry in self.entries) + tables
        before = len(self.stream) - self.page_start
        counts = (len(self.entries), len(tables), self.covered, before)
        size, check = self.record(PAGE, struct.pack("<IIQQQ", *counts, hash64(body)), body)
        self.pages.append([self.covered, before, size, len(self.entries), check])
        self.entries, self.tables, self.covered = [], {}, 0
        self.page_start = self.last_end = len(self.stream)
        return self

    def finish(
        self,
        *,
        source_nbytes: int | None = None,
        chunk_count: int | None = None,
        page_count: int | None = None,
        flags: int = 0,
        check: int | None = None,
        sha256: bytes = b"",
        root_nbytes: int | None = None,
        stream_nbytes: int | None = None,
        end_magic: bytes = b"ZNLEND\r\n",
    ) -> bytes:
        """The PAGE that is due, the ROOT and the footer; each argument replaces a true field."""
        if self.entries:
            self.page()
        body = b"".join(struct.pack("<QQIIQ", *page) for page in self.pages)
        head = struct.pack(
            "<IIQQQ",
            len(self.pages) if page_count is None else page_count,
            flags | bool(sha256),
            sum(page[0] for page in self.pages) if source_nbytes is None else source_nbytes,
            sum(page[3] for page in self.pages) if chunk_count is None else chunk_count,
            hash64(body) if check is None else check,
        )
        start = len(self.stream)
        size, _ = self.record(ROOT, head + sha256, body)
        total = len(self.stream) + 32
        sizes = struct.pack(
            "<QQ",
            size if root_nbytes is None else root_nbytes,
            total if stream_nbytes is None else stream_nbytes,
        )
        check = hash64(self.stream[start : start + 16] + sizes)
        return bytes(self.stream) + sizes + struct.pack("<Q", check) + end_magic


@dataclass(frozen=True)
class Record:
    """A record of a well-formed stream, cut out."""

    kind: int
    start: int
    head: bytes
    body: bytes

    @property
    def method(self) -> int:
        """Of a CHUNK."""
        return self.head[1]

    @property
    def table_count(self) -> int:
        """Of a CHUNK."""
        return self.head[2]

    @property
    def references(self) -> tuple[int, ...]:
        """Of a CHUNK."""
        return struct.unpack(f"<{self.table_count}Q", self.head[16:])


def records_of(stream: bytes) -> list[Record]:
    """All records of a well-formed stream, the ROOT last."""
    found: list[Record] = []
    offset = 32
    while not found or found[-1].kind != ROOT:
        kind, _, head_nbytes, body_nbytes = struct.unpack_from("<BBHI", stream, offset)
        head_stop = offset + 16 + head_nbytes
        body = stream[head_stop : head_stop + body_nbytes]
        found.append(Record(kind, offset, stream[offset + 16 : head_stop], body))
        offset = head_stop + body_nbytes + -body_nbytes % 4
    return found


def table_head(frequencies: Sequence[int], base: int = 0) -> bytes:
    """Head of a TABLE without the zero flag."""
    bits, position = base, 16
    for frequency in frequencies:
        c = frequency.bit_length() - 1
        bits |= (c | frequency - (1 << c) << 4) << position
        position += 4 + c
    return bits.to_bytes(-(-position // 32) * 4, "little")


def rewritten(stream: bytes, record: Record, changed: Record) -> bytes:
    """The stream with a record in the place of another, its check valid, and the footer's too."""
    fields = struct.pack("<BBHI", changed.kind, 1, len(changed.head), len(changed.body))
    new = fields + struct.pack("<Q", hash64(fields + changed.head)) + changed.head + changed.body
    new += bytes(-len(changed.body) % 4)
    old_nbytes = 16 + len(record.head) + len(record.body) + -len(record.body) % 4
    out = stream[: record.start] + new + stream[record.start + old_nbytes : -32]
    root = records_of(stream)[-1]
    root_start = root.start + (len(new) - old_nbytes if record is not root else 0)
    root_start = record.start if record.start == root.start else root_start
    sizes = struct.pack("<QQ", len(out) - root_start, len(out) + 32)
    check = hash64(out[root_start : root_start + 16] + sizes)
    return out + sizes + struct.pack("<Q", check) + b"ZNLEND\r\n"


def with_valid_hash(record: Record) -> Record:
    """PAGE and ROOT hold a hash of their body at offset 24 of the head."""
    if record.kind not in (PAGE, ROOT) or len(record.head) < 32:
        return record
    head = record.head[:24] + struct.pack("<Q", hash64(record.body)) + record.head[32:]
    return replace(record, head=head)
