from pathlib import Path

import pytest
import torch
from strategies import points

from inforeg.errors import ReadError, UsageError
from inforeg.io import read_point_set, read_points, write_point_set, write_points

TABLE = [[1.0, 2.0, 3.0], [-4.5, 5e1, 0.25]]


@pytest.mark.parametrize(
    "text",
    [
        "x,y,z\n1,2,3\n-4.5,5e1,0.25\n",
        "1,2,3\n-4.5,5e1,0.25",
        "1 2 3\n-4.5   5e1 0.25\n\n",
        "1;2;3\r\n-4.5; 5e1 ;0.25\r\n",
        "1\t2\t3\n-4.5\t5e1\t0.25\n",
        "1,2,3\r-4.5,5e1,0.25\r",
        "\ufeffX,Y,Z\n1,2,3\n-4.5,5e1,0.25\n",
        "# made by hand\nname,z,x,y\na,3,1,2\nb,0.25,-4.5,5e1\n",
        '"x","y","z","t"\n1,2,3,0\n-4.5,5e1,0.25,0\n',
        'label,x,y,z\n"one, two",1,2,3\n"say ""so""",-4.5,5e1,0.25\n',
        "x y z\n1 2 3\n-4.5 +50 .25\n",
        '"x","y","z"\n"1","2","3"\n"-4.5","5e1","0.25"\n',
        "x,y,z,comment\n1,2,3\n-4.5,5e1,0.25,,,\n",
        "x,y,z,note\n1,2,3,two words\n-4.5,5e1,0.25,\u2028\n",
    ],
)
def test_tables_people_write(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    found = read_point_set(tmp_path / "a.csv", space="ras")
    assert found.points_mm.tolist() == TABLE
    # Only the numbers change, whatever the table looks like.
    write_point_set(found.moved(torch.tensor([[9.0, 8, 7], [6, 5, 4]])), tmp_path / "b.csv")
    moved = (tmp_path / "b.csv").read_bytes().decode()
    for old, new in (("-4.5", "6.0"), ("5e1", "5.0"), ("+50", "5.0"), ("0.25", "4.0"), (".25", "4.0")):
        text = text.replace(old, new)
    assert moved.replace("9.0", "1").replace("8.0", "2").replace("7.0", "3") == text


def test_a_header_with_an_empty_name_as_imagej_writes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",X,Y\n1,63,309\n2,77,441\n")
    assert read_points(tmp_path / "a.csv", space="ras").tolist() == [[63.0, 309.0], [77.0, 441.0]]


def test_bytes_that_are_not_utf8_stay(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x,y,z,comment\n1,2,3,\xe4\xff\n")
    found = read_point_set(tmp_path / "a.csv", space="lps")
    write_point_set(found.moved(found.points_mm * 2), tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == b"x,y,z,comment\n2.0,4.0,6.0,\xe4\xff\n"


@pytest.mark.parametrize(
    ("line", "space"),
    [
        ("# space: ras", "ras"),
        ("#SPACE = LPS", "lps"),
        ("# Space:voxel", "voxel"),
        ("# note\n# space: lps", "lps"),
    ],
)
def test_a_line_that_says_the_space(tmp_path: Path, line: str, space: str) -> None:
    (tmp_path / "a.csv").write_text(f"{line}\nx,y,z\n1,2,3\n", encoding="utf-8")
    if space == "voxel":
        with pytest.raises(UsageError, match="give its grid"):
            read_points(tmp_path / "a.csv")
        return
    found = read_point_set(tmp_path / "a.csv")
    assert found.space == space
    other = "lps" if space == "ras" else "ras"
    write_point_set(found, tmp_path / "b.csv", space=other)
    assert torch.equal(read_points(tmp_path / "b.csv", space=other), found.points_mm)
    assert (tmp_path / "b.csv").read_text().splitlines()[1:] != line.splitlines()[1:]


def test_a_line_below_the_first_row_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,z\n# space: ras\n1,2,3\n")
    with pytest.raises(UsageError, match="does not say"):
        read_points(tmp_path / "a.csv")


def test_a_silent_table_stays_silent_unless_its_space_changes(tmp_path: Path) -> None:
    """ANTs would take a comment line for a point."""
    (tmp_path / "a.csv").write_text("\ufeffx,y,z,t,label,comment\r\n1,2,3,0,1,a b\r\n", encoding="utf-8")
    found = read_point_set(tmp_path / "a.csv", space="lps")
    write_point_set(found.moved(found.points_mm + 1), tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes().startswith("\ufeffx,y,z,t".encode())
    write_point_set(found, tmp_path / "c.csv", space="ras")
    assert (tmp_path / "c.csv").read_bytes().decode() == (
        "\ufeff# space: ras\r\nx,y,z,t,label,comment\r\n-1.0,-2.0,3.0,0,1,a b\r\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("\n\n", "no points"),
        ("x,y,z\n", "no points"),
        ("1,2,3,4\n", "4 columns"),
        ("a,b,c\n1,2,3\n", "columns x, y"),
        ("x,z\n1,3\n", "columns x, y"),
        ("x,y,x\n1,2,3\n", "one column x, got 2"),
        ("1,2,3\n1,2\n", "line 2"),
        ("1,2,3\n1,2,3,4\n", "line 2"),
        ("x,y,z\n1,2,3\n1,two,3\n", "line 3"),
        ("1,2,nan\n", "line 1"),
        ("1,2,3\n1,2,1e999\n", "line 2"),
        ("1,2,3\n1,2,1_0\n", "line 2"),
        ("1\n", "1 columns"),
        # R's write.table gives its rows one cell more than its header.
        ("x y z\n1 10 20 30\n", "expected 3 cells"),
        ("# space: mni\n1,2,3\n", "expected a line '# space: ras'"),
        ("# space:\n1,2,3\n", "expected a line '# space: ras'"),
        ("1,5;2,5;3,5\n", "4 columns"),
    ],
)
def test_bad_tables_are_one_line(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ReadError, match=expected) as caught:
        read_points(tmp_path / "a.csv", space="ras")
    assert "\n" not in str(caught.value)


def test_binary_and_missing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ReadError, match="table of points"):
        read_points(tmp_path / "a.csv")
    with pytest.raises(ReadError, match="not there"):
        read_points(tmp_path / "b.csv")


def test_a_new_table_is_short(tmp_path: Path) -> None:
    write_points(points(2, 1) * 0 + 1.5, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "# space: ras\nx,y\n1.5,1.5\n"


def test_no_negative_zero(tmp_path: Path) -> None:
    write_points(torch.tensor([[0.0, -0.0, 1.0]]), tmp_path / "a.csv", space="lps")
    assert (tmp_path / "a.csv").read_text().endswith("\n0.0,0.0,1.0\n")
