import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from point_samples import NUMBERS, samples

from inforeg.errors import ReadError, UsageError, WriteError
from inforeg.io import read_point_set, read_points, write_point_set

SAMPLES = samples()
MOVED = NUMBERS + np.array([1.0, 0, 0])


def rewritten(folder: Path, name: str, add: float = 1.0, **options: Any) -> bytes:
    """A sample with its points moved along x, written again."""
    sample = SAMPLES[name]
    (folder / f"a{sample.suffix}").write_bytes(sample.content)
    found = read_point_set(folder / f"a{sample.suffix}", space=None if sample.space else "ras")
    moved = found.points_mm + torch.tensor([add, 0, 0], dtype=torch.float64)
    write_point_set(found.moved(moved), folder / f"b{sample.suffix}", **options)
    return (folder / f"b{sample.suffix}").read_bytes()


def test_json_keeps_its_other_keys(tmp_path: Path) -> None:
    old, new = json.loads(SAMPLES["json"].content), json.loads(rewritten(tmp_path, "json"))
    assert {**old, "points": None} == {**new, "points": None}
    np.testing.assert_array_equal(new["points"], NUMBERS - [1, 0, 0])  # it is in LPS
    assert json.loads(rewritten(tmp_path, "json", space="ras", overwrite=True))["space"] == "ras"


def test_a_list_stays_a_list_unless_its_space_changes(tmp_path: Path) -> None:
    np.testing.assert_array_equal(json.loads(rewritten(tmp_path, "json list")), MOVED)
    changed = json.loads(rewritten(tmp_path, "json list", space="lps", overwrite=True))
    assert changed["space"] == "lps"
    np.testing.assert_array_equal(changed["points"], MOVED * [-1, -1, 1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("{", "expected JSON"),
        ("[" * 100_000, "too deeply nested"),
        ("3", "a list of points"),
        ("{}", "a list of points"),
        ("[]", "no points"),
        ("[1, 2, 3]", "2 or of 3 coordinates"),
        ("[[1, 2], [1, 2, 3]]", "2 or of 3 coordinates"),
        ("[[1, 2, 3, 4]]", "2 or of 3 coordinates"),
        ("[[1, 2, NaN]]", "finite coordinates of point 1"),
        ("[[1, 2, 3], [1, 2, true]]", "finite coordinates of point 2"),
        ('[[1, 2, "3"]]', "finite coordinates of point 1"),
        ("[[1, 2, 1" + "0" * 400 + "]]", "finite coordinates of point 1"),
        ('{"space": "mni", "points": [[1, 2]]}', "a space of ras, lps or voxel"),
    ],
)
def test_bad_json(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ReadError, match=expected) as caught:
        read_points(tmp_path / "a.json", space="ras")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("depth", [100, 300, 500, 700, 800, 900, 990])
@pytest.mark.parametrize(
    "text", ['{"points": [[1, 2]], "deep": @}', "[[1, @]]", '{"space": @, "points": []}']
)
def test_documents_of_many_depths(tmp_path: Path, text: str, depth: int) -> None:
    """Python reads deeper nesting than it writes or shows; either is refused in one line."""
    (tmp_path / "a.json").write_text(text.replace("@", "[" * depth + "]" * depth))
    with suppress(ReadError, WriteError):
        found = read_point_set(tmp_path / "a.json", space="ras")
        write_point_set(found.moved(found.points_mm + 1), tmp_path / "b.json")
        assert depth < 990
    assert [path.name for path in tmp_path.glob(".*")] == []


@pytest.mark.parametrize(("system", "space"), [("LPS", "lps"), ("RAS", "ras"), ("0", "ras"), ("1", "lps")])
def test_fiducials_say_their_frame(tmp_path: Path, system: str, space: str) -> None:
    content = SAMPLES["fcsv"].content.replace(b"= LPS", f"= {system}".encode())
    (tmp_path / "a.fcsv").write_bytes(content)
    found = read_point_set(tmp_path / "a.fcsv")
    assert found.space == space
    np.testing.assert_array_equal(found.points_mm, NUMBERS * ([-1, -1, 1] if space == "lps" else 1))


def test_fiducials_keep_their_columns(tmp_path: Path) -> None:
    old = SAMPLES["fcsv"].content.decode().splitlines()
    new = rewritten(tmp_path, "fcsv").decode().splitlines()
    assert new[:3] == old[:3]
    for before, after, numbers in zip(old[3:], new[3:], NUMBERS.tolist(), strict=True):
        assert after == before.replace(f",{numbers[0]},", f",{numbers[0] - 1 + 0.0},", 1)
    changed = rewritten(tmp_path, "fcsv", 0.0, space="ras", overwrite=True).decode()
    assert "# CoordinateSystem = RAS\n" in changed


def test_fiducials_without_a_frame(tmp_path: Path) -> None:
    (tmp_path / "a.fcsv").write_text("F,1,2,3\n")
    with pytest.raises(UsageError, match="does not say"):
        read_points(tmp_path / "a.fcsv")
    found = read_point_set(tmp_path / "a.fcsv", space="ras")
    write_point_set(found, tmp_path / "b.fcsv", space="lps")
    assert (tmp_path / "b.fcsv").read_text() == "# CoordinateSystem = LPS\nF,-1.0,-2.0,3.0\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# CoordinateSystem = MNI\n1,2,3,4\n", "expected CoordinateSystem LPS or RAS"),
        ("# CoordinateSystem = LPS\n1,2,3\n", "line 2: expected three coordinates"),
        ("# CoordinateSystem = LPS\n# columns = id,x,y\n1,2,3\n", "columns x, y and z"),
        ("# CoordinateSystem = LPS\n", "no points"),
    ],
)
def test_bad_fiducials(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.fcsv").write_text(text)
    with pytest.raises(ReadError, match=expected):
        read_points(tmp_path / "a.fcsv")


def test_markups_keep_all_but_positions(tmp_path: Path) -> None:
    old = json.loads(SAMPLES["markups"].content)
    new = json.loads(rewritten(tmp_path, "markups"))
    places = [point["position"] for point in new["markups"][0]["controlPoints"]]
    expected = np.insert(NUMBERS - [1, 0, 0], 2, [9, 9, 9], axis=0)  # one was never placed
    np.testing.assert_array_equal(places, expected)
    for document in (old, new):
        for point in document["markups"][0]["controlPoints"]:
            del point["position"]
    assert old == new


def test_orientations_of_markups_turn_with_the_frame_alone(tmp_path: Path) -> None:
    """The axes of an orientation are the columns of a matrix that is listed row by row."""
    new = json.loads(rewritten(tmp_path, "markups", 0.0, space="ras"))["markups"][0]
    assert new["coordinateSystem"] == "RAS"
    assert new["controlPoints"][0]["orientation"] == [-0.0, 1.0, -0.0, 1.0, -0.0, -0.0, 0.0, 0.0, 1.0]
    np.testing.assert_array_equal(new["controlPoints"][0]["position"], NUMBERS[0] * [-1, -1, 1])


def markups(**changes: Any) -> dict[str, Any]:
    point = {"position": [1, 2, 3]}
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": [point]}
    return {"markups": [{**markup, **changes}]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (markups(type="ROI"), "type 'ROI', which is more than its control points"),
        (markups(type="Plane"), "type 'Plane'"),
        (markups(type=None), "type None"),
        (markups(coordinateUnits="um"), "in mm, got 'um'"),
        (markups(coordinateUnits=["um", "UCUM", "micrometre"]), "in mm, got 'um'"),
        (markups(coordinateSystem="IJK"), "coordinateSystem LPS or RAS"),
        (markups(controlPoints=3), "a list of controlPoints"),
        (markups(controlPoints=[3]), "a position each"),
        (markups(controlPoints=[{"label": "a"}]), "finite coordinates of point 1"),
        (markups(controlPoints=[{"position": [1, 2]}]), "three coordinates of point 1"),
        (markups(controlPoints=[]), "no points"),
        ({"markups": []}, "no points"),
        ({"markups": [3]}, "a list under the key markups"),
        (
            {"markups": [*markups()["markups"], *markups(coordinateSystem="RAS")["markups"]]},
            "LPS and in others",
        ),
    ],
)
def test_bad_markups(tmp_path: Path, document: Any, expected: str) -> None:
    (tmp_path / "a.mrk.json").write_text(json.dumps(document))
    with pytest.raises((ReadError, UsageError), match=expected):
        read_points(tmp_path / "a.mrk.json", space="lps")


def test_units_that_are_named_in_full(tmp_path: Path) -> None:
    (tmp_path / "a.mrk.json").write_text(json.dumps(markups(coordinateUnits=["mm", "UCUM", "millimeter"])))
    assert read_points(tmp_path / "a.mrk.json").tolist() == [[-1.0, -2.0, 3.0]]


def test_points_of_elastix(tmp_path: Path) -> None:
    assert rewritten(tmp_path, "elastix").decode().splitlines()[:3] == ["point", "5", "0.5 -2.0 3.25"]
    for text, expected in (
        ("point\n2\n1 2 3\n", "promises 2 points and holds 1"),
        ("point\n1\n1 2 x\n", "line 3"),
        ("index\nmany\n1 2\n", "the number of points"),
        ("point 1\n1 2\n", "each in its own line"),
        ("points\n1\n1 2\n", "begin with the word point or index"),
    ):
        (tmp_path / "c.pts").write_text(text)
        with pytest.raises(ReadError, match=expected):
            read_points(tmp_path / "c.pts")
    (tmp_path / "d.txt").write_text("index\n1\n1 2 3\n")
    with pytest.raises(UsageError, match="give its grid"):
        read_points(tmp_path / "d.txt")
