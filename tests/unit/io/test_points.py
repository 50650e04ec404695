from pathlib import Path

import pytest
import torch
from strategies import points

from inforeg.errors import ReadError, UsageError
from inforeg.io import read_points, write_points
from inforeg.space import Grid

TABLE = [[1.0, 2.0, 3.0], [-4.5, 5e1, 0.25]]


@pytest.mark.parametrize(
    "text",
    [
        "x,y,z\n1,2,3\n-4.5,5e1,0.25\n",
        "1,2,3\n-4.5,5e1,0.25",
        "1 2 3\n-4.5   5e1 0.25\n\n",
        "1;2;3\r\n-4.5; 5e1 ;0.25\r\n",
        "1\t2\t3\n-4.5\t5e1\t0.25\n",
        "\ufeffX,Y,Z\n1,2,3\n-4.5,5e1,0.25\n",
        "# made by hand\nname,z,x,y\na,3,1,2\nb,0.25,-4.5,5e1\n",
        '"x","y","z","t"\n1,2,3,0\n-4.5,5e1,0.25,0\n',
    ],
)
def test_tables_people_write(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert read_points(tmp_path / "a.csv").tolist() == TABLE


def test_a_header_with_an_empty_name_as_imagej_writes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",X,Y\n1,63,309\n2,77,441\n")
    assert read_points(tmp_path / "a.csv").tolist() == [[63.0, 309.0], [77.0, 441.0]]


def test_spaces(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2,3\n")
    grid = Grid.from_spacing((10, 10, 10), 2.0)
    assert read_points(tmp_path / "a.csv", space="lps").tolist() == [[-1.0, -2.0, 3.0]]
    assert read_points(tmp_path / "a.csv", space="voxel", grid=grid).tolist() == [[-7.0, -5.0, -3.0]]
    with pytest.raises(UsageError, match="grid"):
        read_points(tmp_path / "a.csv", space="voxel")
    with pytest.raises(ReadError, match="3 coordinates"):
        read_points(tmp_path / "a.csv", space="voxel", grid=Grid.from_spacing((4, 4)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("\n\n", "no points"),
        ("x,y,z\n", "no points"),
        ("1,2,3,4\n", "4 columns"),
        ("a,b,c\n1,2,3\n", "columns x, y"),
        ("1,2,3\n1,2\n", "line 2"),
        ("x,y,z\n1,2,3\n1,two,3\n", "line 3"),
        ("1,2,nan\n", "line 1"),
        ("1\n", "1 columns"),
    ],
)
def test_bad_tables_are_one_line(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ReadError, match=expected) as caught:
        read_points(tmp_path / "a.csv")
    assert "\n" not in str(caught.value)


def test_binary_and_missing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ReadError, match="table of points"):
        read_points(tmp_path / "a.csv")
    with pytest.raises(ReadError, match="not there"):
        read_points(tmp_path / "b.csv")


@pytest.mark.parametrize("ndim", [2, 3])
def test_written_points_read_back_to_the_last_digit(tmp_path: Path, ndim: int) -> None:
    write_points(points(ndim), tmp_path / "a.csv")
    assert torch.equal(read_points(tmp_path / "a.csv"), points(ndim))
