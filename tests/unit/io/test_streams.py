import bz2
import gzip
import os
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from inforeg.errors import NotEnoughMemory, ReadError
from inforeg.io import streams
from inforeg.io.streams import Stream, room

DATA = np.random.default_rng(0).integers(0, 9, 3_000_000, dtype=np.uint8).tobytes()
PACKED = {
    "raw": DATA,
    "gzip": gzip.compress(DATA, 1),
    "zlib": zlib.compress(DATA, 1),
    "bzip2": bz2.compress(DATA, 1),
    "auto": gzip.compress(DATA, 1),
}


@pytest.fixture(params=["fast", "zlib"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setattr(streams, "ENGINE", zlib)


@pytest.mark.parametrize("encoding", PACKED)
def test_read_in_pieces_of_any_size(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a").write_bytes(PACKED[encoding])
    with Stream(tmp_path / "a", encoding) as stream:
        assert len(DATA) <= stream.most() < 10**13
        assert stream.read(10) == DATA[:10]
        stream.skip(1_000_000)
        assert stream.read(1) == DATA[1_000_010:1_000_011]
        rest = np.zeros(len(DATA), np.uint8)
        assert stream.fill(rest) == len(DATA) - 1_000_011
        assert rest[: len(DATA) - 1_000_011].tobytes() == DATA[1_000_011:]
        stream.check_end()
        assert stream.read(5) == b""


@pytest.mark.parametrize("encoding", ["gzip", "zlib", "bzip2"])
@pytest.mark.parametrize("left", [0.3, 0.9])
def test_a_cut_stream_ends_and_its_end_is_missed(tmp_path: Path, encoding: str, left: float) -> None:
    (tmp_path / "a").write_bytes(PACKED[encoding][: int(len(PACKED[encoding]) * left)])
    with Stream(tmp_path / "a", encoding) as stream:
        got = stream.read(len(DATA))
        assert len(got) < len(DATA)
        assert DATA.startswith(got)
        with pytest.raises(ReadError, match="before its check sum"):
            stream.check_end()


@pytest.mark.parametrize("encoding", ["gzip", "zlib", "bzip2"])
def test_a_wrong_check_sum_is_seen_behind_more_bytes(tmp_path: Path, encoding: str) -> None:
    wrong = bytearray(PACKED[encoding])
    wrong[-5] ^= 1
    (tmp_path / "a").write_bytes(wrong)
    with pytest.raises(ReadError, match="cannot be decompressed"), Stream(tmp_path / "a", encoding) as stream:
        stream.read(len(DATA) - 20)
        stream.check_end()


def test_nonsense_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x1f\x8bnonsense that is no gzip at all")
    with pytest.raises(ReadError, match="cannot be decompressed"), Stream(tmp_path / "a", "auto") as stream:
        stream.read(10)


def test_several_members_and_zeros_between_them(tmp_path: Path) -> None:
    members = [gzip.compress(DATA[n : n + 1000]) for n in range(0, 20000, 1000)]
    for between in (b"", b"\0", bytes(3_000_000)):
        (tmp_path / "a").write_bytes(between.join(members) + between)
        with Stream(tmp_path / "a", "auto") as stream:
            assert stream.read(len(DATA)) == DATA[:20000]
            stream.check_end()


def test_what_follows_a_member_and_is_none_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gzip.compress(DATA[:1000]) + b"more")
    with Stream(tmp_path / "a", "auto") as stream:
        assert stream.read(5000) == DATA[:1000]
        stream.check_end()


def test_very_many_members_cost_no_copies_of_all_that_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed = []

    class Watched:
        def __init__(self, window: int) -> None:
            self.engine = zlib.decompressobj(window)

        def decompress(self, data: bytes, most: int) -> bytes:
            fed.append(len(data))
            return self.engine.decompress(data, most)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.engine, name)

    monkeypatch.setattr(streams, "ENGINE", SimpleNamespace(decompressobj=Watched))
    members = 5000
    (tmp_path / "a").write_bytes(gzip.compress(b"x") * members)
    with Stream(tmp_path / "a", "auto") as stream:
        assert stream.read(2 * members) == b"x" * members
    # Fed the rest of the file each time, it would be a quarter of a GB.
    assert sum(fed) < members * 8192 + (1 << 20)


def test_lines_and_a_later_start(tmp_path: Path) -> None:
    text = b"".join(b"line %d\n" % n for n in range(300_000))
    (tmp_path / "a").write_bytes(text)
    with Stream(tmp_path / "a") as stream:
        stream.start_at(7)
        stream.skip_lines(250_000)
        assert stream.read(12) == b"line 250001\n"
    with Stream(tmp_path / "a") as stream, pytest.raises(ReadError, match="50 more lines"):
        stream.skip_lines(300_050)


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").write_bytes(b"")
    for name, expected in (
        ("pipe", "a pipe or a device"),
        ("", "is a folder"),
        ("empty", "is empty"),
        ("none", "is not there"),
        ("a" * 300, "cannot read"),
        ("a\0b", "cannot read"),
    ):
        with pytest.raises(ReadError, match=expected):
            Stream(tmp_path / name)


def test_memory_that_there_is_not() -> None:
    with pytest.raises(NotEnoughMemory, match="of memory, more than there is"):
        room(Path("a.nii"), 1 << 62)
