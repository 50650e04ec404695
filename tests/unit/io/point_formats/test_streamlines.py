from pathlib import Path

import numpy as np
import pytest
from point_samples import samples, trk

from inforeg.errors import ReadError
from inforeg.io import read_point_set, read_points, write_point_set

SAMPLES = samples()


def changed(content: bytes, place: int, new: bytes) -> bytes:
    return content[:place] + new + content[place + len(new) :]


def i2(value: int) -> bytes:
    return value.to_bytes(2, "little", signed=True)


def i4(value: int) -> bytes:
    return value.to_bytes(4, "little", signed=True)


TRK = trk()
TCK = SAMPLES["tck"].content


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (TRK[:999], "header of 1000 bytes"),
        (b"TRUCK" + TRK[5:], "header of 1000 bytes"),
        (changed(TRK, 996, i4(999)), "it says 999"),
        (changed(TRK, 992, i4(1)), "does not say where it lies"),
        (changed(TRK, 500, bytes(4)), "does not say where it lies"),
        (changed(TRK, 440, bytes(48)), "do not fit|singular"),
        (changed(TRK, 12, bytes(4)), "voxel sizes above 0"),
        (changed(TRK, 440, b"\0\0\xc0\x7f"), "finite vox_to_ras"),
        (changed(TRK, 948, b"LLS\0"), "do not fit"),
        (changed(TRK, 948, b"XYZ\0"), "do not fit"),
        (changed(TRK, 36, i2(-1)), "-1 values a point"),
        (changed(TRK, 36, i2(3)), "cut short or damaged"),
        (changed(TRK, 238, i2(30_000)), "cut short or damaged"),
        (changed(TRK, 988, i4(3)), "promises 3 streamlines, and it holds 2"),
        (changed(TRK, 988, i4(-3)), "promises -3 streamlines"),
        (changed(TRK, 1000, i4(2**31 - 1)), "streamline 1 has 2147483647 points"),
        (changed(TRK, 1000, i4(-3)), "streamline 1 has -3 points"),
        (changed(TRK, 1004, b"\0\0\xc0\x7f"), "NaN or infinite"),
        (TRK[:-1], "cut short"),
        (TRK[:-4], "cut short or damaged: streamline 2"),
        (TRK + b"\0", "ends within a number"),
    ],
)
def test_damaged_trk(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "a.trk").write_bytes(content)
    with pytest.raises(ReadError, match=expected):
        read_points(tmp_path / "a.trk")


def test_an_uncounted_trk_without_axes(tmp_path: Path) -> None:
    """TrackVis' defaults: a count of 0 is unknown, and axes that are not named are LPS."""
    (tmp_path / "a.trk").write_bytes(changed(changed(TRK, 988, i4(0)), 948, bytes(4)))
    assert np.allclose(read_points(tmp_path / "a.trk"), SAMPLES["trk"].numbers, atol=1e-5)


def test_only_coordinates_of_trk_change(tmp_path: Path) -> None:
    (tmp_path / "a.trk").write_bytes(TRK)
    found = read_point_set(tmp_path / "a.trk")
    write_point_set(found.moved(found.points_mm + 7), tmp_path / "b.trk")
    old, new = (np.frombuffer(x, np.uint8) for x in (TRK, (tmp_path / "b.trk").read_bytes()))
    assert len(old) == len(new)
    places = np.unique(np.flatnonzero(old != new) // 4 - 250)
    # Behind each count come points of x, y, z and a value; at the end of a streamline its two.
    expected = [1 + 4 * n + c for n in range(3) for c in range(3)] + [
        16 + 4 * n + c for n in range(2) for c in range(3)
    ]
    assert places.tolist() == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (TCK.replace(b"mrtrix tracks", b"mrtrix trucks"), "does not begin with 'mrtrix tracks'"),
        (TCK.replace(b"END", b"end"), "does not come to an END"),
        (TCK.replace(b"Float32LE", b"Int32LE"), "expected points of type Float32"),
        (TCK.replace(b"file: . ", b"file: points.dat "), "in the same file"),
        (TCK.replace(b"file: . ", b"file: . -"), "bytes before the points"),
        (TCK.replace(b"file: . ", b"file: . 99999999999999"), "cut short"),
        (TCK.replace(b"file: . 98", b"file: . 89"), "says that the points begin at byte 89"),
        (TCK[:-12], "cut short"),
        (TCK[:-1], "cut short"),
        (changed(TCK, len(TCK) - 48, b"\0\0\xc0\x7f"), "NaN or infinite"),
    ],
)
def test_damaged_tck(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "a.tck").write_bytes(content)
    with pytest.raises(ReadError, match=expected):
        read_points(tmp_path / "a.tck")


def test_what_stands_before_and_behind_the_points_of_tck_stays(tmp_path: Path) -> None:
    # Four blanks before the points, and one digit more in the offset that says so.
    shifted = TCK.replace(b"file: . 98\nEND\n", b"file: . 103\nEND\n    ") + b"more"
    assert len(shifted) == len(TCK) + 9
    (tmp_path / "a.tck").write_bytes(shifted)
    found = read_point_set(tmp_path / "a.tck")
    write_point_set(found.moved(found.points_mm + 7), tmp_path / "b.tck")
    new = (tmp_path / "b.tck").read_bytes()
    assert len(new) == len(shifted) and new.endswith(shifted[-16:]) and new[:103] == shifted[:103]
