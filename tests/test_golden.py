# SPDX-License-Identifier: Apache-2.0
"""Files that older encoders wrote decode for ever; files that break a rule never do."""

from __future__ import annotations

import hashlib
import io
import runpy
import shutil
from pathlib import Path

import pytest
import zstandard
from arranged_builder import ARRANGED
from arranged_streams import c_reads_arranged
from builders import CHUNK, PAGE, SAME_AS, STATIC, ZSTD, Record, records_of
from checks import DAMAGE
from composed_streams import COMPOSED
from golden_cases import CASES

import zipnn_like as znl
from zipnn_like import errors, reference

GOLDEN = Path(__file__).parent / "golden"
ALL_GOOD = sorted((GOLDEN / "good").glob("*.znl"))
ALL_BAD = sorted((GOLDEN / "bad").glob("*.znl"))


def is_read_by_c(path: Path) -> bool:
    return "arranged" not in path.stem or c_reads_arranged()


# What C can't read yet is left to test_arranged.py.
GOOD = [path for path in ALL_GOOD if is_read_by_c(path)]
BAD = [path for path in ALL_BAD if is_read_by_c(path)]


def name_of(path: Path) -> str:
    return path.stem


def test_there_is_a_file_of_every_case() -> None:
    assert {path.stem for path in ALL_GOOD} == set(CASES)
    assert len(BAD) > 100


@pytest.mark.parametrize("path", GOOD, ids=name_of)
def test_a_good_file_decodes_to_its_digest(path: Path) -> None:
    stream = path.read_bytes()
    expected = path.with_suffix(".sha256").read_text().strip()
    assert hashlib.sha256(znl.decompress(stream)).hexdigest() == expected
    assert hashlib.sha256(reference.decode(stream)).hexdigest() == expected
    assert znl.verify_file(path).stored_bytes == len(stream)
    with znl.open(path) as archive:
        source = archive.read(0, archive.source_bytes)
        for name in archive.keys():  # noqa: SIM118 - an Archive is no mapping
            try:
                tensor = archive.get_tensor(name)
            except znl.SourceError:  # the source was cut short before it was compressed
                assert path.stem == "v1_sha256"
                continue
            assert tensor.nbytes == archive.info(name).source_bytes
    assert hashlib.sha256(source).hexdigest() == expected


@pytest.mark.parametrize("path", BAD, ids=name_of)
def test_a_bad_file_raises_the_class_it_is_named_for(path: Path) -> None:
    error = getattr(errors, path.stem.split("__")[0])
    stream = path.read_bytes()
    for decode in (lambda: znl.verify_file(path), lambda: reference.decode(stream)):
        with pytest.raises(error):
            decode()
    with pytest.raises(DAMAGE):
        znl.decompress(stream)
    with pytest.raises(error):
        znl.decompress_file(path, io.BytesIO())


def chunks_of(name: str) -> list[Record]:
    records = records_of((GOLDEN / "good" / f"{name}.znl").read_bytes())
    return [record for record in records if record.kind in (CHUNK, SAME_AS)]


def test_files_hold_the_feature_they_are_named_for() -> None:
    coded = [name for name in CASES if name.split("_")[1] in ("bf16", "f16", "f32", "f64", "c64")]
    coded += [name for name in CASES if name.split("_")[1] in ("f8", "i8", "u8")]
    for name in coded:
        assert [chunk.method for chunk in chunks_of(name)] == [STATIC], name
    assert chunks_of("v1_f8_e8m0_named_table")[0].references[0] >> 63 == 1
    assert chunks_of("v1_f8_e8m0")[0].references[0] >> 63 == 0
    assert int.from_bytes(chunks_of("v1_bf16_special_values")[0].body[4:8], "little") > 10
    assert [chunk.method for chunk in chunks_of("v1_raw")] == [0]
    assert [chunk.method for chunk in chunks_of("v1_constant")] == [1]
    for name in ("v1_zstd", "v1_zstd_of_values"):
        assert [chunk.method for chunk in chunks_of(name)] == [ZSTD], name
    assert chunks_of("v1_empty") == []
    assert [chunk.kind for chunk in chunks_of("v1_same_as")].count(SAME_AS) == 1
    assert chunks_of("v1_joined_classes")[-1].table_count > 2
    assert chunks_of("v1_units_of_512")[-1].head[3] == 9
    for name in CASES:
        if "arranged" in name or "second" in name:
            assert [chunk.method for chunk in chunks_of(name)] == [ARRANGED], name
        if "second" in name:
            (chunk,) = chunks_of(name)
            assert chunk.body[11] & 3 == (2 if chunk.head[0] in (2, 5) else 1), name
        if "composed" in name:
            assert [chunk.method for chunk in chunks_of(name)] == [COMPOSED], name
    assert chunks_of("v1_arranged_32_tables")[0].table_count == 32
    assert {chunk.method for chunk in chunks_of("v1_sha256")} == {0, 1, 2, 3}
    pages = records_of((GOLDEN / "good" / "v1_two_pages.znl").read_bytes())
    assert [record.kind for record in pages].count(PAGE) == 2
    with znl.open(GOLDEN / "good" / "v1_sha256.znl") as archive:
        assert archive.sha256 == (GOLDEN / "good" / "v1_sha256.sha256").read_text().strip()


def without_zstd_version(stream: bytes) -> bytes:
    """The stream less the writer's libzstd version and the check over it."""
    return stream[:12] + stream[16:24] + stream[32:]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.superseded])
def test_the_same_source_gives_the_same_stream_today(name: str) -> None:
    stream = (GOLDEN / "good" / f"{name}.znl").read_bytes()
    major, minor, patch = zstandard.ZSTD_VERSION
    same_zstd = int.from_bytes(stream[12:16], "little") == major * 10000 + minor * 100 + patch
    if not same_zstd and any(chunk.method in (ZSTD, COMPOSED) for chunk in chunks_of(name)):
        pytest.skip("another libzstd may write other frames")
    made = CASES[name].encode(CASES[name].source())
    assert without_zstd_version(made) == without_zstd_version(stream)


def test_make_golden_never_overwrites(tmp_path: Path) -> None:
    for part in ("good", "bad"):
        shutil.copytree(GOLDEN / part, tmp_path / "tests" / "golden" / part)
    shutil.copy(GOLDEN / "make_golden.py", tmp_path / "tests" / "golden")
    spoilt = tmp_path / "tests" / "golden" / "good" / "v1_raw.znl"
    spoilt.write_bytes(b"another")
    missing = tmp_path / "tests" / "golden" / "good" / "v1_empty.znl"
    missing.unlink()
    runpy.run_path(str(tmp_path / "tests" / "golden" / "make_golden.py"), run_name="__main__")
    assert spoilt.read_bytes() == b"another"
    assert missing.read_bytes() == (GOLDEN / "good" / "v1_empty.znl").read_bytes()
