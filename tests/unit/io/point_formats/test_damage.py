"""Whole files, damaged in the same ways every time: read or refused in one line, soon, and in little memory."""

import random
import tracemalloc
import zlib
from base64 import b64encode
from pathlib import Path

import pytest
from point_samples import gifti, samples

from inforeg.errors import InforegError, ReadError, UsageError
from inforeg.io import PointSet, read_point_set, read_points, write_point_set

SAMPLES = samples()
COUNT = 120
PIECES = (b"9" * 12, b"-", b"\0", b"\n", b"nan", b"1e999", b"<", b'"', b"[", b",", b"inf ", b"_", b"\xff")


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Cut off, overwritten, put in, counted wrongly, left out, or said twice."""
    data = bytearray(content)
    kind = rng.randrange(6)
    place = rng.randrange(len(data))
    end = min(len(data), place + rng.randrange(1, 100))
    if kind == 0:
        del data[place:]
    elif kind == 1:
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind == 2:
        data[place:place] = rng.choice(PIECES)
    elif kind == 3:
        digits = [n for n, byte in enumerate(data) if byte in b"0123456789"]
        for n in rng.sample(digits, min(len(digits), 3)):
            data[n] = rng.choice(b"0123456789")
    elif kind == 4:
        del data[place:end]
    else:
        data[place:place] = data[place:end]
    return bytes(data)


def outcome(path: Path, space: str | None) -> PointSet | InforegError:
    try:
        return read_point_set(path, space=space)  # type: ignore[arg-type]
    except InforegError as error:
        return error


@pytest.mark.parametrize("name", SAMPLES)
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path: Path, name: str) -> None:
    sample = SAMPLES[name]
    rng = random.Random(name)
    refused = 0
    path = tmp_path / f"a{sample.suffix}"
    for _ in range(COUNT):
        path.write_bytes(damaged(sample.content, rng))
        found = outcome(path, None if sample.space else "ras")
        if isinstance(found, UsageError):  # what said the space is gone
            found = outcome(path, "ras")
        if isinstance(found, InforegError):
            refused += 1
            message = str(found)
            assert len(message) < 500 and message.isprintable()
            continue
        # What is read can be written and read again; a huge number may not fit into another type.
        try:
            write_point_set(found.moved(found.points_mm + 1), tmp_path / f"b{sample.suffix}", overwrite=True)
        except InforegError:
            continue
        assert read_points(tmp_path / f"b{sample.suffix}", space=found.space).shape == found.points_mm.shape
    assert refused > COUNT / 10


MANY = 110_000


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".csv", b"1,2,3\n1,2," + b"1" * MANY + b"x\n"),
        (".csv", b"x,y,z\n" + b'"' * MANY + b'x",2,3\n'),
        (".csv", b"x,y,z\n" + b'","' * MANY),
        (".csv", b" " * MANY + b"x\n"),
        (".csv", b"# space:" + b" " * MANY + b"\n1,2"),
        (".csv", b"," * MANY),
        (".fcsv", b"# CoordinateSystem" + b" " * MANY + b"\n# columns" + b" " * MANY),
        (".json", b'{"a":' * MANY),
        (".vtk", b"# vtk DataFile Version 3.0\n\nASCII\nFIELD a 999999999\n" + b"a 0 0 int\n" * (MANY // 10)),
        (".vtk", b"# vtk DataFile Version 3.0\n" + b"SPACE" * MANY + b"\nASCII\nPOINTS 1 float\n1 2"),
        (".vtp", b"<a>" * MANY),
        (".vtp", b"<VTKFile>" + b"<a/>" * MANY + b"</VTKFile>"),
        (".vtp", b"<AppendedData " * MANY),
        (".gii", b"<GIFTI" + b" a='" * MANY),
        (".gii", b"<GIFTI>" + b"text " * MANY),
        (".ply", b"ply\n" + b"property float x\n" * (MANY // 10) + b"end_header\n"),
        (".stl", b"solid\n" + b"facet normal " + b"1 " * MANY),
        (".stl", b"solid\n" + b"vertex" + b" " * MANY + b"\n"),
        (".obj", b"v " * MANY),
        (".tck", b"mrtrix tracks\n" + b"a" * MANY),
        (".trk", b"TRACK" + bytes(MANY)),
        (".pts", b"point\n999999\n" + b"1 2 3\n" * (MANY // 10)),
    ],
)
def test_long_nonsense_is_refused_soon(tmp_path: Path, suffix: str, content: bytes) -> None:
    """What takes a time that grows with the square of the length would be stopped by the time limit of the suite."""
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(ReadError) as caught:
        read_points(tmp_path / f"a{suffix}", space="ras")
    assert len(str(caught.value)) < 500 and str(caught.value).isprintable()


def test_what_is_packed_is_not_unpacked_beyond_what_is_promised(tmp_path: Path) -> None:
    bomb = b64encode(zlib.compress(bytes(100_000_000)))
    content = gifti()
    start, end = content.index(b"<Data>") + 6, content.index(b"</Data>")
    (tmp_path / "a.gii").write_bytes(content[:start] + bomb + content[end:])
    tracemalloc.start()
    with pytest.raises(ReadError, match="expected 60 bytes of packed data"):
        read_points(tmp_path / "a.gii")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10 * len(bomb)
