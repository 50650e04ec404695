import logging
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from sheared_volume import TEXT, WORLD, check, raw

from inforeg.errors import ReadError, UsageError
from inforeg.image import Image
from inforeg.io import formats, read_image, read_labels, read_series, write_image
from inforeg.space import Grid

PLACE = "TransformMatrix = 1 0 0 0.25 1 0 0 0 1\nOffset = 10 20 30\nElementSpacing = 1 2 3\n"


def head(more: str = PLACE, *, sizes: str = "3 4 5", kind: str = "MET_SHORT", data: str = "LOCAL") -> bytes:
    return (
        f"ObjectType = Image\nNDims = {len(sizes.split())}\n{more}DimSize = {sizes}\nElementType = {kind}\n"
        f"ElementDataFile = {data}\n"
    ).encode()


PACKED = {
    "BinaryData = True\n": raw(),
    "BinaryDataByteOrderMSB = True\n": raw(order=">"),
    "ElementByteOrderMSB = True\n": raw(order=">"),
    "CompressedData = True\n": zlib.compress(raw()),
    "CompressedData = True\nCompressedDataSize = 3\n": zlib.compress(raw()),
    "BinaryData = False\n": TEXT,
    "HeaderSize = -1\n": b"anything" + raw(),
}


@pytest.mark.parametrize("more", PACKED)
def test_packed_in_every_way(tmp_path: Path, more: str) -> None:
    (tmp_path / "a.mha").write_bytes(head(more + PLACE) + PACKED[more])
    check(tmp_path / "a.mha")
    (tmp_path / "a.mha").write_bytes(head(more + PLACE).replace(b"\n", b"\r\n") + PACKED[more])
    check(tmp_path / "a.mha")


@pytest.mark.parametrize("more", PACKED)
def test_values_in_a_file_beside_the_header(tmp_path: Path, more: str) -> None:
    (tmp_path / "in here").mkdir()
    for name in ("a.raw", "in here/values of it"):
        (tmp_path / name).write_bytes(PACKED[more])
        (tmp_path / "a.mhd").write_bytes(head(more + PLACE, data=name))
        check(tmp_path / "a.mhd")
        (tmp_path / "a.mhd").write_bytes(head(more + PLACE, data=name).rstrip(b"\n"))
        check(tmp_path / "a.mhd")


def test_bytes_before_the_values_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"abc" + raw())
    (tmp_path / "a.mhd").write_bytes(head("HeaderSize = 3\n" + PLACE, data="a.raw"))
    check(tmp_path / "a.mhd")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../secret",
        "in/../../secret",
        "..\\secret",
        "C:\\secret",
        "\\\\there\\secret",
        "link/secret",
        "link2",
    ],
)
def test_a_header_cannot_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(raw())
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    (folder / "link2").symlink_to(tmp_path / "secret")
    (folder / "a.mhd").write_bytes(head(data=name))
    with pytest.raises(ReadError, match="outside its own folder; put that file beside it") as caught:
        read_image(folder / "a.mhd")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_a_link_itself_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.raw").write_bytes(raw())
    (tmp_path / "folder" / "a.mhd").write_bytes(head(data="a.raw"))
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    check(tmp_path / "link" / "a.mhd")


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("MET_LONG", "int32"),
        ("MET_ULONG", "uint32"),
        ("MET_ASCII_CHAR", "int8"),
        ("MET_FLOAT_ARRAY", "float32"),
    ],
)
def test_other_names_of_types(tmp_path: Path, kind: str, dtype: str) -> None:
    values = np.arange(6, dtype=dtype)
    (tmp_path / "a.mha").write_bytes(head("", sizes="3 2", kind=kind) + values.tobytes())
    stored = formats.load(tmp_path / "a.mha")
    assert stored.dtype == dtype
    assert stored.values.flatten("F").tolist() == values.tolist()


def test_the_fourth_axis_is_a_series(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 4 * 2, dtype=np.int16)
    more = "TransformMatrix = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\nOffset = 1 2 3 9\nElementSpacing = 1 1 1 2.5\n"
    (tmp_path / "a.mha").write_bytes(head(more, sizes="3 4 2 2") + values.tobytes())
    series = read_series(tmp_path / "a.mha")
    assert (len(series), series.step, series.step_unit) == (2, 2.5, "")
    assert (
        series[1].data[0, 0].flatten().tolist()
        == values.reshape((3, 4, 2, 2), order="F")[..., 1].flatten().tolist()
    )
    with pytest.raises(ReadError, match="series of 2"):
        read_image(tmp_path / "a.mha")


@pytest.mark.parametrize(
    ("more", "level", "expected", "scale"),
    [
        ("", logging.WARNING, "does not say where it lies", None),
        (PLACE + "DistanceUnits = um\n", logging.INFO, "in um; taken to mm", 1e-3),
        (PLACE + "DistanceUnits = mm\n", logging.INFO, "", 1.0),
        (PLACE, logging.INFO, "", 1.0),
    ],
)
def test_what_is_said_and_in_which_unit(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    more: str,
    level: int,
    expected: str,
    scale: float | None,
) -> None:
    (tmp_path / "a.mha").write_bytes(head(more) + raw())
    with caplog.at_level(logging.INFO, "inforeg"):
        read = read_image(tmp_path / "a.mha").grid.voxel_to_world.numpy()
    assert [record.levelno for record in caplog.records] == ([level] if expected else [])
    assert expected in caplog.text
    np.testing.assert_allclose(read[:3], np.diag([-1, -1, 1, 1])[:3] if scale is None else WORLD[:3] * scale)


BAD = {
    "empty": (b"", "empty"),
    "text": (b"no image\n" * 30, "no MetaImage header"),
    "text with signs": (b"a = b\n" * 30, "no MetaImage header"),
    "no end": (head()[:80], "ends within its header"),
    "half": (head() + raw()[:60], "cut short"),
    "half packed": (head("CompressedData = True\n") + zlib.compress(raw())[:60], "damaged|cut short"),
    "without its check sum": (head("CompressedData = True\n") + zlib.compress(raw())[:-4], "damaged"),
    "with a wrong check sum": (
        head("CompressedData = True\n") + zlib.compress(raw())[:-4] + b"sums",
        "damaged",
    ),
    "not packed": (head("CompressedData = True\n") + raw(), "damaged"),
    "half text": (head("BinaryData = False\n") + TEXT[:200], "cut short"),
    "no numbers": (head("BinaryData = False\n") + b"one " * 60, "expected values of int16"),
    "terabytes": (head(sizes="30000 30000 30000") + raw(), "cut short.*54 TB"),
    "terabytes packed": (
        head("CompressedData = True\n", sizes="30000 30000 30000") + zlib.compress(raw()),
        "54 TB",
    ),
    "all of it skipped": (head(PLACE + "HeaderSize = -1\n", sizes="3 4 5000") + raw(), "cut short"),
    "a million channels": (head("ElementNumberOfChannels = 1000000\n") + raw(), "cut short"),
    "no channels": (head("ElementNumberOfChannels = 0\n") + raw(), "at least one channel"),
    "sizes": (head(sizes="3 4 x") + raw(), "whole numbers for DimSize"),
    "an axis of none": (head(sizes="3 0 5") + raw(), "at least one voxel"),
    "negative": (head(sizes="3 -4 5") + raw(), "at least one voxel"),
    "one axis": (head("", sizes="60") + raw(), "2 to 4 axes"),
    "five axes": (head("", sizes="3 4 5 1 1") + raw(), "2 to 4 axes"),
    "sizes of others": (head().replace(b"NDims = 3", b"NDims = 2") + raw(), "2 to 4 axes"),
    "no type": (head().replace(b"ElementType", b"Elementtipo") + raw(), "lacks"),
    "unknown type": (head(kind="MET_STRING") + raw(), "unknown type of values 'MET_STRING'"),
    "places of others": (head("Offset = 1 2\n") + raw(), "3 numbers for offset"),
    "no numbers in its place": (head("Offset = 1 2 here\n") + raw(), "numbers for offset"),
    "NaN": (head("Offset = 1 2 nan\n") + raw(), "NaN"),
    "zero spacing": (head("ElementSpacing = 1 0 1\n") + raw(), "singular"),
    "several files": (head(data="LIST"), "several files"),
    "a pattern of files": (head(data="a%03d.raw 1 5 1"), "several files"),
    "packed at the end": (head("CompressedData = True\nHeaderSize = -1\n") + zlib.compress(raw()), "not raw"),
    "time turned into space": (
        head("TransformMatrix = 1 0 0 1 0 1 0 0 0 0 1 0 0 0 0 1\n", sizes="3 4 5 1") + raw(),
        "fourth axis is turned",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line_with_the_path(tmp_path: Path, case: str) -> None:
    content, expected = BAD[case]
    path = tmp_path / "bad.mha"
    path.write_bytes(content)
    for read in (read_image, read_labels):
        with pytest.raises(ReadError, match=expected) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_written_files_are_the_same_twice_and_hold_the_place_to_the_last_digits(tmp_path: Path) -> None:
    matrix = torch.tensor([[1 / 3, 0.1, 0, -10], [0, 2 / 7, 0.2, 20], [0.3, 0, 1.5, 1e5 / 3], [0, 0, 0, 1]])
    image = Image(torch.rand(1, 1, 4, 5, 6), Grid((4, 5, 6), matrix.double()))
    for name in ("a.mha", "b.mha"):
        write_image(image, tmp_path / name)
    assert (tmp_path / "a.mha").read_bytes() == (tmp_path / "b.mha").read_bytes()
    read = read_image(tmp_path / "a.mha")
    assert torch.equal(read.data, image.data)
    # Directions and spacing are two numbers, whose product is rounded.
    torch.testing.assert_close(read.grid.voxel_to_world, image.grid.voxel_to_world, rtol=4e-16, atol=0)
    with pytest.raises(UsageError, match="half of two files"):
        write_image(image, tmp_path / "a.mhd")
