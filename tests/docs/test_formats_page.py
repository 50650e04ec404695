"""The tables of formats say what the code's own tables say, and what the tests check."""

import re
from pathlib import Path

import pytest
from promises import IMAGES, POINTS, TRANSFORMS

from inforeg.io.formats import HOLDS, READERS, SERIES_WRITERS, WRITERS
from inforeg.io.image_formats.dicom import SUFFIXES as DICOM_SUFFIXES
from inforeg.io.point_formats import FORMATS as POINT_FORMATS
from inforeg.io.transform_formats import FORMATS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "formats.md"
SECTIONS = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)


def table(section: str) -> list[dict[str, str]]:
    """The rows of the table of a section, by the names of its columns."""
    text = next(part for part in SECTIONS if part.startswith(section))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert {len(row) for row in cells} == {len(cells[0])}, "a row has more or fewer cells than the header"
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def endings(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(re.findall(r"`(\.[^`]+)`", row["endings"]))


def checked(row: dict[str, str]) -> set[str]:
    return {name.strip() for name in row["checked against"].split(",") if name.strip()}


def types(values: str) -> set[str]:
    """The numpy names of the types of values that a cell lists."""
    integers = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
    found = set(re.findall(r"u?int\d+|float\d+", values))
    return found | integers if "integers of 8 to 64 bits" in values else found


def test_transforms() -> None:
    rows = table("Transforms")
    said = [(row["format"], endings(row), not row["written"].startswith("no")) for row in rows]
    assert said == [(form.name, form.suffixes, form.writes) for form in FORMATS]
    assert {row["read"].split(",")[0] for row in rows} == {"yes"}


@pytest.mark.parametrize("row", table("Transforms"), ids=lambda row: row["format"] + endings(row)[0])
def test_what_is_said_of_a_transform_file(row: dict[str, str]) -> None:
    promise = TRANSFORMS[row["format"], endings(row)[0]]
    assert checked(row) == {name for name, _ in promise.seen_by} | set(promise.also)
    assert ("3-D" in row["holds"]) == (promise.ndims == (3,))
    for kind, word in (("bspline", "B-spline"), ("projective", "projective"), ("long chain", "chain")):
        assert kind not in promise.holds or re.search(rf"{word}|the same|anything", row["holds"]), kind
    if promise.resampled:
        assert row["precision"] == "float32"
    else:
        assert row["precision"].startswith("float64") == (promise.precision > 0)


def test_images() -> None:
    *rows, dicom = table("Images")
    assert (dicom["format"], endings(dicom), dicom["written"]) == ("DICOM", DICOM_SUFFIXES, "no")
    written = {ending: row["written"] for row in rows for ending in endings(row)}
    assert set(written) == set(READERS) | set(WRITERS)
    assert {ending for ending, said in written.items() if said == "yes"} == set(WRITERS)
    assert set(written.values()) == {"yes", "no"}
    for row in rows:
        for ending in endings(row):
            promise = IMAGES[ending]
            assert checked(row) == set(promise.seen_by), ending
            assert ("2-D" in row["axes"]) == (2 in promise.ndims), ending
            assert ("spacing only" in row["where a voxel lies"]) == (not promise.oriented), ending
            if row["written"] == "yes":
                assert ("series" in row["axes"]) == (ending in SERIES_WRITERS), ending
                assert types(row["values"]) == set(HOLDS[ending]), ending


def test_points() -> None:
    rows = {row["format"]: row for row in table("Points")}
    assert set(rows) == {form.name for form in POINT_FORMATS} == set(POINTS)
    for form in POINT_FORMATS:
        row = rows[form.name]
        assert endings(row) == form.suffixes
        assert row["written"] == ("any points" if form.plain else "what was read so"), form.name
        assert row["2-D"] == ("yes" if form.flat else ""), form.name
        assert set(re.findall(r"\b(ras|lps|voxel)\b(?! mm)", row["numbers are"])) == set(form.spaces), (
            form.name
        )
        assert checked(row) == set(POINTS[form.name].seen_by), form.name
