import bz2
import gzip
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from sheared_volume import TEXT, WORLD, check, raw

from inforeg.errors import ReadError, UsageError
from inforeg.image import Image
from inforeg.io import formats, read_image, read_labels, read_series, write_image
from inforeg.space import Grid

PLACE = "space: LPS\nspace directions: (1,0,0) (0.5,2,0) (0,0,3)\nspace origin: (10,20,30)\n"


def head(more: str = PLACE, *, sizes: str = "3 4 5", kind: str = "short", encoding: str = "raw") -> bytes:
    return (
        f"NRRD0005\n# made by hand\ntype: {kind}\ndimension: {len(sizes.split())}\nsizes: {sizes}\nendian: little\n"
        f"encoding: {encoding}\n{more}\n"
    ).encode()


PACKED = {
    "raw": raw(),
    "RAW": raw(),
    "gzip": gzip.compress(raw()),
    "gz": gzip.compress(raw()[:50]) + gzip.compress(raw()[50:]),
    "bzip2": bz2.compress(raw()),
    "ascii": TEXT,
    "txt": TEXT.replace(b" ", b",\n"),
}


@pytest.mark.parametrize("encoding", PACKED)
def test_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.nrrd").write_bytes(head(encoding=encoding) + PACKED[encoding])
    check(tmp_path / "a.nrrd")


@pytest.mark.parametrize("encoding", PACKED)
def test_values_in_a_file_beside_the_header(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "in here").mkdir()
    for name in ("values.raw", "in here/values"):
        (tmp_path / name).write_bytes(PACKED[encoding])
        (tmp_path / "a.nhdr").write_bytes(head(f"{PLACE}data file: {name}\n", encoding=encoding))
        check(tmp_path / "a.nhdr")
        (tmp_path / "a.nhdr").write_bytes(head(f"{PLACE}datafile: ./{name}", encoding=encoding).rstrip(b"\n"))
        check(tmp_path / "a.nhdr")


def test_big_endian_and_dos_lines(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(
        head().replace(b"little", b"big").replace(b"\n", b"\r\n") + raw(order=">")
    )
    check(tmp_path / "a.nrrd")


@pytest.mark.parametrize(
    ("encoding", "before", "skip"),
    [
        ("raw", b"one\ntwo\nab", "line skip: 2\nbyte skip: 2"),
        ("raw", b"one\n", "lineskip: 1"),
        ("raw", b"anything at all", "byte skip: -1"),
        ("gzip", b"one\ntwo\n", "line skip: 2\nbyte skip: 3"),
        ("ascii", b"one\n##", "line skip: 1\nbyte skip: 2"),
    ],
)
def test_lines_are_skipped_before_unpacking_and_bytes_after(
    tmp_path: Path, encoding: str, before: bytes, skip: str
) -> None:
    body = {"raw": raw(), "gzip": gzip.compress(b"abc" + raw()), "ascii": TEXT}[encoding]
    (tmp_path / "values").write_bytes(before + body)
    (tmp_path / "a.nhdr").write_bytes(head(f"{PLACE}{skip}\ndata file: values\n", encoding=encoding))
    check(tmp_path / "a.nhdr")


def test_whole_numbers_in_text_are_exact(tmp_path: Path) -> None:
    big = [2**64 - 1, 2**53 + 1, 7, 0, 1, 2]
    body = " ".join(map(str, big)).encode()
    (tmp_path / "a.nrrd").write_bytes(head("", sizes="3 2", kind="uint64", encoding="ascii") + body)
    assert formats.load(tmp_path / "a.nrrd").values.flatten("F").tolist() == big
    with pytest.raises(ReadError, match="labels up to"):
        read_labels(tmp_path / "a.nrrd")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../secret",
        "in/../../secret",
        "..\\secret",
        "C:\\secret",
        "\\secret",
        "~/secret",
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
    (folder / "a.nhdr").write_bytes(head(f"{PLACE}data file: {name}\n"))
    with pytest.raises(ReadError, match="outside its own folder; put that file beside it") as caught:
        read_image(folder / "a.nhdr")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none.raw", "is not there"),
        ("folder", "is a folder"),
        ("LIST", "is not there|several"),
        ("slice%03d.raw 1 10 1", "is not there|several"),
        ("\udcff\udcfe", "is not there|no file name"),
        ("a" * 5000, "cannot read|no file name|not there"),
        ("a\0b", "cannot read|no file name|not there"),
    ],
)
def test_values_that_are_not_there(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "folder").mkdir()
    more = head(PLACE)[:-1] + b"data file: " + name.encode("utf-8", "surrogateescape") + b"\n"
    (tmp_path / "a.nhdr").write_bytes(more)
    with pytest.raises(ReadError, match=expected):
        read_image(tmp_path / "a.nhdr")


@pytest.mark.parametrize(
    ("more", "sizes", "volumes", "channels", "space", "step", "unit"),
    [
        ("kinds: RGB-color domain domain\n", "3 4 5", 1, 3, (4, 5), 0, ""),
        ("kinds: domain domain vector\n", "4 5 6", 1, 6, (4, 5), 0, ""),
        ("kinds: domain 2-vector domain stub\n", "4 2 5 1", 1, 2, (4, 5), 0, ""),
        ("kinds: RGBA-color domain domain\n", "4 3 5", 1, 3, (3, 5), 0, ""),
        ("kinds: list space space space\n", "2 3 4 5", 2, 1, (3, 4, 5), 0, ""),
        ("kinds: domain domain domain time\nspacings: 1 1 1 2.5\n", "3 4 5 2", 2, 1, (3, 4, 5), 2.5, ""),
        ("spacings: 1 1 1 -2.5\n", "3 4 5 2", 2, 1, (3, 4, 5), 2.5, ""),
        (
            "space: RAST\nspace directions: (1,0,0,0) (0,1,0,0) (0,0,1,0) (0,0,0,2)\n"
            'space units: "mm" "mm" "mm" "ms"\n',
            "3 4 5 2",
            2,
            1,
            (3, 4, 5),
            2.0,
            "ms",
        ),
        (
            "space: LPS\nspace directions: none (1,0,0) (0,1,0) (0,0,1) none\nkinds: vector domain domain domain time\n"
            'units: "" "" "" "" "sec"\nspacings: nan nan nan nan 1.5\n',
            "3 2 4 5 2",
            2,
            3,
            (2, 4, 5),
            1.5,
            "s",
        ),
        (
            "space: LPS\nspace directions: (1,0,0) (0,1,0) none\nkinds: domain domain list\n",
            "3 4 5",
            5,
            1,
            (3, 4),
            0,
            "",
        ),
    ],
)
def test_kinds_say_what_is_channels_and_what_is_volumes(
    tmp_path: Path,
    more: str,
    sizes: str,
    volumes: int,
    channels: int,
    space: tuple[int, ...],
    step: float,
    unit: str,
) -> None:
    shape = tuple(map(int, sizes.split()))
    values = np.arange(np.prod(shape), dtype=np.int16)
    (tmp_path / "a.nrrd").write_bytes(head(more, sizes=sizes) + values.tobytes())
    series = read_series(tmp_path / "a.nrrd")
    assert (len(series), series.channels, series.grid.shape) == (volumes, channels, space)
    assert (series.step, series.step_unit) == (step, unit)
    if volumes > 1:
        with pytest.raises(ReadError, match="series"):
            read_image(tmp_path / "a.nrrd")


def test_colour_and_volumes_lie_where_the_kinds_say(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
    (tmp_path / "a.nrrd").write_bytes(
        head("kinds: list domain domain domain\n", sizes="2 3 4 5") + raw(values)
    )
    np.testing.assert_array_equal(read_series(tmp_path / "a.nrrd")[1].data[0, 0].numpy(), values[1])
    (tmp_path / "b.nrrd").write_bytes(
        head("kinds: domain domain domain vector\n", sizes="2 3 4 5") + raw(values)
    )
    np.testing.assert_array_equal(read_image(tmp_path / "b.nrrd").data[0].numpy(), np.moveaxis(values, 3, 0))


def test_a_space_with_time_is_its_own_frame(tmp_path: Path) -> None:
    more = "space: {}\nspace directions: (1,0,0,0) (0,2,0,0) (0,0,3,0) (0,0,0,1)\nspace origin: (1,2,3,0)\n"
    for space, signs in (("RAST", (1, 1)), ("left-anterior-superior-time", (-1, 1)), ("LPST", (-1, -1))):
        (tmp_path / "a.nrrd").write_bytes(head(more.format(space), sizes="3 4 5 2") + bytes(240))
        wanted = np.diag([1.0, 2, 3, 1])
        wanted[:3, 3] = (1, 2, 3)
        wanted[:2] *= np.array(signs)[:, None]
        np.testing.assert_array_equal(read_series(tmp_path / "a.nrrd").grid.voxel_to_world.numpy(), wanted)


def test_a_plane_in_space_becomes_a_volume_of_one_slice(tmp_path: Path) -> None:
    more = "space: RAS\nspace directions: (0,2,0) (0,0,3)\nspace origin: (1,2,3)\nkinds: domain domain\n"
    (tmp_path / "a.nrrd").write_bytes(head(more, sizes="3 4") + bytes(24))
    grid = read_image(tmp_path / "a.nrrd").grid
    assert grid.shape == (3, 4, 1)
    wanted = np.array([[0, 0, 1, 1], [2, 0, 0, 2], [0, 3, 0, 3], [0, 0, 0, 1.0]])
    np.testing.assert_array_equal(grid.voxel_to_world.numpy(), wanted)


@pytest.mark.parametrize(
    ("more", "level", "expected", "scale"),
    [
        ("spacings: 1 2 3\n", logging.WARNING, "does not say where it lies", 1.0),
        (PLACE.replace("LPS", "scanner-xyz"), logging.WARNING, "does not say left from right", 1.0),
        (
            PLACE.replace("space: LPS", "space dimension: 3"),
            logging.WARNING,
            "does not say left from right",
            1.0,
        ),
        (PLACE + 'space units: "um" "um" "um"\n', logging.INFO, "in um; taken to mm", 1e-3),
        (PLACE + 'space units: "m" "m" "m"\n', logging.INFO, "in m; taken to mm", 1e3),
        (PLACE + 'space units: "mm" "mm" "mm"\n', logging.INFO, "", 1.0),
        (PLACE + 'space units: "furlong" "furlong" "furlong"\n', logging.INFO, "", 1.0),
    ],
)
def test_what_is_said_and_in_which_unit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, more: str, level: int, expected: str, scale: float
) -> None:
    (tmp_path / "a.nrrd").write_bytes(head(more) + raw())
    with caplog.at_level(logging.INFO, "inforeg"):
        read = read_image(tmp_path / "a.nrrd").grid.voxel_to_world.numpy()
    assert [record.levelno for record in caplog.records] == ([level] if expected else [])
    assert expected in caplog.text
    if "origin" in more:
        np.testing.assert_allclose(read[:3], WORLD[:3] * scale, rtol=1e-12)


BAD = {
    "empty": (b"", "empty"),
    "text": (b"no image\n" * 30, "no NRRD header"),
    "no end": (head()[:80], "expected a field in its header"),
    "half": (head() + raw()[:60], "cut short"),
    "half gzip": (head(encoding="gzip") + gzip.compress(raw())[:60], "cut short|damaged"),
    "no gzip": (head(encoding="gzip") + raw(), "damaged|cut short"),
    "half bzip2": (head(encoding="bzip2") + bz2.compress(raw())[:60], "cut short|damaged"),
    "half text": (head(encoding="ascii") + TEXT[:200], "cut short"),
    "no numbers": (head(encoding="ascii") + b"one " * 60, "expected values of int16"),
    "one long word": (head(encoding="ascii") + b"1" * 500, "over 400|expected values"),
    "too large for its type": (head(encoding="ascii") + b"70000 " * 60, "expected values of int16"),
    "terabytes": (head(sizes="30000 30000 30000") + raw(), r"cut short.*54 TB"),
    "terabytes in gzip": (head(sizes="30000 30000 30000", encoding="gzip") + gzip.compress(raw()), "54 TB"),
    "terabytes in text": (head(sizes="30000 30000 30000", encoding="ascii") + TEXT, "54 TB"),
    "beyond numbers": (head(sizes="3 4 9999999999999999999999") + raw(), "whole numbers"),
    "negative": (head(sizes="3 4 -5") + raw(), "at least one"),
    "one axis": (head("", sizes="60") + raw(), "axes of"),
    "two lists": (head("kinds: domain domain list list\n", sizes="3 2 2 5") + raw(), "axes of"),
    "complex": (
        head("kinds: complex domain domain domain\n", sizes="2 3 2 5", kind="float") + bytes(240),
        "complex",
    ),
    "blocks": (head(kind="block") + raw(), "type of whole or real numbers"),
    "hex": (head(encoding="hex") + raw(), "encoding is 'hex'"),
    "no byte order": (head().replace(b"endian: little\n", b"") + raw(), "order of bytes"),
    "no type": (head().replace(b"type: short\n", b"") + raw(), "does not say its type"),
    "kinds of others": (head("kinds: domain domain\n") + raw(), "expected 3 kinds"),
    "directions of others": (
        head("space: LPS\nspace directions: (1,0,0) (0,1,0)\n") + raw(),
        "space directions",
    ),
    "flat directions": (head("space: LPS\nspace directions: (1,0) (0,1) (0,0)\n") + raw(), "3 dimensions"),
    "no direction": (
        head("space: LPS\nspace directions: (1,0,0) (0,1,0) none\nkinds: domain domain domain\n") + raw(),
        "no direction",
    ),
    "unknown space": (head("space: nowhere\n") + raw(), "space that is not known"),
    "directions without a space": (
        head("space directions: (1,0,0) (0,1,0) (0,0,1)\n") + raw(),
        "0 dimensions",
    ),
    "singular": (head("space: LPS\nspace directions: (1,0,0) (2,0,0) (0,0,1)\n") + raw(), "singular"),
    "NaN": (head("space: LPS\nspace directions: (1,0,0) (nan,1,0) (0,0,1)\n") + raw(), "NaN"),
    "time turned into space": (
        head("space: LPST\nspace directions: (1,0,0,0) (0,1,0,0) (0,0,1,0) (1,0,0,1)\n", sizes="3 2 2 5")
        + raw(),
        "not read",
    ),
    "no field": (head("what is this\n") + raw(), "expected a field"),
    "skip backwards": (head("byte skip: -2\n") + raw(), "skip"),
    "skip all": (head("byte skip: 999999999999\n") + raw(), "cut short"),
    "skip lines": (head("line skip: 999999999999\n") + raw(), "cut short"),
    "skip packed": (head("byte skip: -1\n", encoding="gzip") + gzip.compress(raw()), "skip"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line_with_the_path(tmp_path: Path, case: str) -> None:
    content, expected = BAD[case]
    path = tmp_path / "bad.nrrd"
    path.write_bytes(content)
    for read in (read_image, read_labels):
        with pytest.raises(ReadError, match=expected) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_written_files_are_the_same_twice_and_read_back_to_the_last_digit(tmp_path: Path) -> None:
    matrix = torch.tensor([[1 / 3, 0.1, 0, -10], [0, 2 / 7, 0.2, 20], [0.3, 0, 1.5, 1e5 / 3], [0, 0, 0, 1]])
    image = Image(torch.rand(1, 1, 4, 5, 6), Grid((4, 5, 6), matrix.double()))
    for name in ("a.nrrd", "b.nrrd"):
        write_image(image, tmp_path / name)
    assert (tmp_path / "a.nrrd").read_bytes() == (tmp_path / "b.nrrd").read_bytes()
    read = read_image(tmp_path / "a.nrrd")
    assert torch.equal(read.data, image.data)
    assert torch.equal(read.grid.voxel_to_world, image.grid.voxel_to_world)
    with pytest.raises(UsageError, match="half of two files"):
        write_image(image, tmp_path / "a.nhdr")
