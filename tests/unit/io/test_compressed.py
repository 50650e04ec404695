import gzip
import zlib

import pytest

from inforeg.io import compressed
from inforeg.io.compressed import gzip_pieces

DATA = bytes(range(256)) * 4000


@pytest.mark.parametrize("engine", [compressed.ENGINE, zlib], ids=["fast", "zlib"])
def test_what_is_written_reads_back_and_is_the_same_every_time(
    engine: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "ENGINE", engine)
    first, second = (b"".join(gzip_pieces([DATA[:100], DATA[100:]])) for _ in range(2))
    assert gzip.decompress(first) == DATA
    assert first == second
    assert first[4:8] == bytes(4)  # no time
