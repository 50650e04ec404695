import gzip
import zlib

import pytest

from inforeg.io import compressed
from inforeg.io.compressed import GzipStream, gzip_pieces

DATA = bytes(range(256)) * 4000


@pytest.fixture(params=["fast", "zlib"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setattr(compressed, "_zlib", zlib)


def test_reads_piece_after_piece() -> None:
    stream = GzipStream(gzip.compress(DATA))
    assert stream.read(10) == DATA[:10]
    assert stream.read(len(DATA)) == DATA[10:]
    assert stream.read(5) == b""
    stream.check_end()


def test_reads_members_written_one_after_the_other() -> None:
    half = len(DATA) // 2
    stream = GzipStream(gzip.compress(DATA[:half]) + gzip.compress(DATA[half:]))
    assert stream.read(len(DATA)) == DATA
    stream.check_end()


def test_a_file_cut_short_gives_what_there_is() -> None:
    packed = gzip.compress(DATA)
    stream = GzipStream(packed[: len(packed) // 2])
    assert len(stream.read(len(DATA))) < len(DATA)


@pytest.mark.parametrize("damage", ["check sum", "check sum missing"])
def test_the_check_sum_is_checked(damage: str) -> None:
    packed = bytearray(gzip.compress(DATA))
    if damage == "check sum":
        packed[-7] ^= 1
    else:
        del packed[-8:]
    stream = GzipStream(bytes(packed))
    with pytest.raises(ValueError, match=r"\w"):
        assert stream.read(len(DATA)) and stream.check_end()


def test_data_behind_what_was_asked_for_is_let_be() -> None:
    stream = GzipStream(gzip.compress(DATA))
    assert stream.read(100) == DATA[:100]
    stream.check_end()


def test_nonsense_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"\w"):
        GzipStream(b"\x1f\x8bnonsense that is no gzip at all").read(10)


def test_a_promise_beyond_what_deflate_can_do_is_seen() -> None:
    stream = GzipStream(gzip.compress(DATA))
    assert stream.could_hold(len(DATA))
    assert not stream.could_hold(10**12)


def test_what_is_written_reads_back_and_is_the_same_every_time() -> None:
    first, second = (b"".join(gzip_pieces([DATA[:100], DATA[100:]])) for _ in range(2))
    assert gzip.decompress(first) == DATA
    assert first == second
    assert first[4:8] == bytes(4)  # no time
