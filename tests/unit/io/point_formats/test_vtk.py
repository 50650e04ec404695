import re
from pathlib import Path

import numpy as np
import pytest
import torch
from point_samples import NUMBERS, samples

from inforeg.errors import ReadError
from inforeg.io import read_point_set, read_points, write_point_set, write_points

SAMPLES = samples()
HEAD = "# vtk DataFile Version 3.0\na SPACE=RAS\nASCII\nDATASET POLYDATA\n"


def moved(folder: Path, name: str, **options: str) -> bytes:
    sample = SAMPLES[name]
    (folder / f"a{sample.suffix}").write_bytes(sample.content)
    found = read_point_set(folder / f"a{sample.suffix}", space=None if sample.space else "lps")
    write_point_set(found.moved(found.points_mm + 1), folder / f"b{sample.suffix}", **options)  # type: ignore[arg-type]
    return (folder / f"b{sample.suffix}").read_bytes()


def test_cells_and_data_stay_byte_for_byte(tmp_path: Path) -> None:
    old, new = SAMPLES["vtk"].content, moved(tmp_path, "vtk")
    for mark in (b"POLYGONS", b"POINTS"):
        assert (mark in old) and (mark in new)
    assert old[: old.index(b"POINTS")] == new[: new.index(b"POINTS")]
    assert old[old.index(b"POLYGONS") :] == new[new.index(b"POLYGONS") :]


def test_a_binary_file_keeps_fields_cells_and_type_and_loses_the_note_of_lengths(tmp_path: Path) -> None:
    old, new = SAMPLES["vtk binary"].content, moved(tmp_path, "vtk binary")
    start, cells = old.index(b"POINTS"), old.index(b"CELLS")
    assert new[: start + 15] == old[: start + 15] == old[:start] + b"POINTS 5 float\n"
    assert new[start + 15 : start + 75] == (NUMBERS + np.array([-1, -1, 1])).astype(">f4").tobytes()
    assert new[start + 75 :] == b"\n" + old[cells:]


def test_points_of_integers_become_double(tmp_path: Path) -> None:
    assert b"POINTS 5 double\n" in moved(tmp_path, "vtk of integers")


def test_the_frame_stands_in_the_comment(tmp_path: Path) -> None:
    assert moved(tmp_path, "vtk of silence").split(b"\n")[1] == b""
    assert moved(tmp_path, "vtk of silence", space="ras", overwrite=True).split(b"\n")[1] == b"SPACE=RAS"  # type: ignore[arg-type]
    changed = moved(tmp_path, "vtk", space="ras", overwrite=True)  # type: ignore[arg-type]
    assert changed.split(b"\n")[1] == b"3D Slicer output. SPACE=RAS"
    (tmp_path / "c.vtk").write_bytes(changed)
    np.testing.assert_array_equal(read_points(tmp_path / "c.vtk"), NUMBERS * [-1, -1, 1] + 1)


def test_new_points_are_vertices(tmp_path: Path) -> None:
    write_points(torch.tensor([[1.0, 2, 3], [0.5, 0, -1]]), tmp_path / "a.vtk")
    assert (tmp_path / "a.vtk").read_text() == (
        "# vtk DataFile Version 3.0\ninforeg SPACE=RAS\nASCII\nDATASET POLYDATA\nPOINTS 2 double\n"
        "1.0 2.0 3.0\n0.5 0.0 -1.0\nVERTICES 2 4\n1 0\n1 1\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x,y,z\n1,2,3\n", "does not begin with"),
        ("# vtk DataFile Version 3.0\na\nXML\n", "ASCII or BINARY"),
        ("# vtk DataFile Version 3.0\na\nASCII\nDATASET STRUCTURED_POINTS\n", "a data set with points"),
        (
            "# vtk DataFile Version 3.0\na SPACE=XYZ\nASCII\nDATASET POLYDATA\nPOINTS 1 float\n1 2 3\n",
            "got XYZ",
        ),
        (
            "# vtk DataFile Version 3.0\nSPACE=LPS SPACE=RAS\nASCII\nPOINTS 1 float\n1 2 3\n",
            "got LPS and RAS",
        ),
        ("# vtk DataFile Version 3.0\nSPACE=LPS;UNIT=m\nASCII\nPOINTS 1 float\n1 2 3\n", "UNIT=m"),
        (HEAD, "ends before its points"),
        (HEAD + "POLYGONS 1 4\n3 0 1 2\n", "expected POINTS"),
        (HEAD + "POINTS -1 float\n", "number of points"),
        (HEAD + "POINTS 1 complex\n1 2 3\n", "of a type such as float"),
        (HEAD + "POINTS 0 float\n", "no points"),
        (HEAD + "POINTS 2 float\n1 2 3 4 5\n", "cut short"),
        (HEAD + "POINTS 2 float\n1 2 3 4 5           \n", "promises 6 values of points and holds 5"),
        (HEAD + "POINTS 99999999999999999 float\n1 2 3\n", "cut short"),
        (HEAD + "POINTS 1 float\n1 2 x\n", "expected numbers, got b'x'"),
        (HEAD + "POINTS 1 float\n1 2 nan\n", "NaN or infinite"),
        (HEAD + "POINTS 1 float\n1 2 1_0\n", "expected numbers"),
        (HEAD + "FIELD a 1\nb 9999999999 9999999999 double\n1\n", "cut short"),
        (HEAD + "FIELD a 9\nb 1\n", "name, size and type of a field"),
        (HEAD + "FIELD a 1\nb 1 9999999999 string\n", "cut short"),
        (HEAD.replace("ASCII", "BINARY") + "POINTS 1 double\n1 2 3\n", "cut short"),
    ],
)
def test_damaged_files(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.vtk").write_text(text)
    with pytest.raises(ReadError, match=re.escape(expected)):
        read_points(tmp_path / "a.vtk")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_fields_before_the_points(tmp_path: Path, end: str) -> None:
    field = "FIELD FieldData 2\nname 1 1 string\na%20b\nMETADATA\nINFORMATION 0\n\nn 1 2 int\n4 5\n"
    (tmp_path / "a.vtk").write_bytes(
        (HEAD + field + "POINTS 1 float\n1 2\n3\nVERTICES 1 2\n1 0\n").replace("\n", end).encode()
    )
    found = read_point_set(tmp_path / "a.vtk")
    assert found.points_mm.tolist() == [[1.0, 2.0, 3.0]]
    write_point_set(found.moved(found.points_mm + 0.1), tmp_path / "b.vtk")
    expected = (HEAD + field + "POINTS 1 float\n").replace("\n", end) + "1.1 2.1 3.1\n"
    assert (tmp_path / "b.vtk").read_bytes().decode() == expected + f"VERTICES 1 2{end}1 0{end}"


XML = [name for name in SAMPLES if name.startswith("vtp")]


@pytest.mark.parametrize("name", XML)
def test_xml_keeps_the_other_arrays(tmp_path: Path, name: str) -> None:
    """What is not points stays, and offsets of blocks behind the points follow them."""
    sample = SAMPLES[name]
    new = moved(tmp_path, name)
    for note in (b"RangeMin", b"L2_NORM"):
        assert note in sample.content and note not in new
    old_tail = sample.content.partition(b"<Verts>")[2].partition(b"</Verts>")[0]
    new_tail = new.partition(b"<Verts>")[2].partition(b"</Verts>")[0]
    assert re.sub(rb'offset="\d+"', b"", old_tail) == re.sub(rb'offset="\d+"', b"", new_tail)
    if "appended" in name:
        ends = []
        for content, tail in ((sample.content, old_tail), (new, new_tail)):
            match = re.search(rb'offset="(\d+)"', tail)
            assert match
            section = content[content.rindex(b"\n_", 0, content.rindex(b"</AppendedData>")) + 2 :]
            ends.append(section[int(match[1]) :])
        assert ends[0] == ends[1]


@pytest.mark.parametrize("name", XML)
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b'NumberOfPoints="5"', b'NumberOfPoints="6"', "expected|cut short|damaged"),
        (b'NumberOfPoints="5"', b'NumberOfPoints="99999999999999"', "expected|cut short|damaged"),
        (b'NumberOfPoints="5"', b'NumberOfPoints="-5"', "number of points"),
        (b'NumberOfComponents="3"', b'NumberOfComponents="2"', "three coordinates"),
        (b'byte_order="LittleEndian"', b'byte_order="Middle"', "known byte order"),
        (b'type="PolyData"', b'type="ImageData"', "PolyData or UnstructuredGrid"),
        (b"</Piece>", b"</Piece><Piece/>", "one piece"),
        (b"<Points>", b"<Points><DataArray/>", "one array of points"),
        (b"<PolyData>", b"<PolyData><unclosed>", "XML"),
        (b'<?xml version="1.0"?>', b'<!DOCTYPE a [<!ENTITY b "c">]>', "without entities"),
        (b'<?xml version="1.0"?>', b"<" * 9, "XML"),
    ],
)
def test_damaged_xml(tmp_path: Path, name: str, old: bytes, new: bytes, expected: str) -> None:
    assert old in SAMPLES[name].content
    (tmp_path / "a.vtp").write_bytes(SAMPLES[name].content.replace(old, new))
    with pytest.raises(ReadError, match=expected) as caught:
        read_points(tmp_path / "a.vtp")
    assert "\n" not in str(caught.value)


def test_packing_that_is_not_read(tmp_path: Path) -> None:
    content = SAMPLES["vtp appended, zipped"].content
    (tmp_path / "a.vtp").write_bytes(content.replace(b"vtkZLib", b"vtkLZ4"))
    with pytest.raises(ReadError, match="packed with zlib or not; got 'vtkLZ4DataCompressor'"):
        read_points(tmp_path / "a.vtp")
