import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import read_damaged
from strategies import points

from inforeg.errors import ReadError, UsageError
from inforeg.io import read_transform, write_transform
from inforeg.transforms import BSpline, Composite, Linear, Transform

SHIFT = {"Transform": '"TranslationTransform"', "NumberOfParameters": "3", "TransformParameters": "1 2 3"}
AFFINE = {
    "Transform": '"AffineTransform"',
    "NumberOfParameters": "12",
    "TransformParameters": "1.1 0.1 0 0.05 0.9 0.2 -0.3 0 1.2 3 4 5",
    "CenterOfRotationPoint": "10 -20 30",
}
CUBE = {
    "GridSize": "6 5 7",
    "GridSpacing": "30 40 25",
    "GridOrigin": "-70 -80 -75",
    "BSplineTransformSplineOrder": "3",
    "UseCyclicTransform": '"false"',
}


def spline(seed: int = 0, size: float = 4.0) -> dict[str, str]:
    values = size * np.random.default_rng(seed).standard_normal(3 * 6 * 5 * 7)
    return {
        "Transform": '"BSplineTransform"',
        "NumberOfParameters": str(len(values)),
        "TransformParameters": " ".join(repr(float(v)) for v in values),
        **CUBE,
    }


def write(path: Path, *parts: dict[str, str], before: str | None = None, how: str | None = None) -> Path:
    """A parameter file as elastix writes them, with notes and empty lines."""
    merged = {"FixedImageDimension": "3", "MovingImageDimension": "3", "UseDirectionCosines": '"true"'}
    for part in parts:
        merged |= part
    if before is not None:
        merged["InitialTransformParameterFileName"] = f'"{before}"'
    if how is not None:
        merged["HowToCombineTransforms"] = f'"{how}"'
    lines = [f"({name} {value})" for name, value in merged.items()]
    path.write_text("\n".join(["// elastix (made by hand)", "", *lines, "", "// the end"]) + "\n")
    return path


def test_a_shift_in_lps(tmp_path: Path) -> None:
    read = read_transform(write(tmp_path / "TransformParameters.0.txt", SHIFT))
    assert isinstance(read, Linear)
    assert read(torch.zeros(1, 3, dtype=torch.float64)).tolist() == [[-1.0, -2.0, 3.0]]


def test_a_single_control_point_moves_its_surroundings(tmp_path: Path) -> None:
    """By hand: x first, then y, then z, the first axis fastest; a control point of 6 mm moves 6 * (2/3)**3."""
    values = np.zeros((3, 7, 5, 6))
    values[1, 3, 2, 4] = 6.0
    text = " ".join(str(v) for v in values.reshape(-1))
    read = read_transform(write(tmp_path / "a.txt", spline(), {"TransformParameters": text}))
    assert isinstance(read, BSpline)
    control_mm = torch.tensor([[-(-70.0 + 4 * 30), -(-80.0 + 2 * 40), -75.0 + 3 * 25]], dtype=torch.float64)
    moved = read(control_mm) - control_mm
    torch.testing.assert_close(moved, torch.tensor([[0.0, -6 * (2 / 3) ** 3, 0.0]], dtype=torch.float64))


def chain(
    folder: Path, first: dict[str, str], last: dict[str, str], how: str | None
) -> tuple[Transform, ...]:
    write(folder / "first.txt", first)
    write(folder / "last.txt", last)
    both = write(folder / "both.txt", last, before="first.txt", how=how)
    return tuple(read_transform(path) for path in (folder / "first.txt", folder / "last.txt", both))


@pytest.mark.parametrize("how", ["Compose", None])
@pytest.mark.parametrize("last", [AFFINE, spline()], ids=["affine", "spline"])
def test_the_named_transform_comes_first(tmp_path: Path, last: dict[str, str], how: str | None) -> None:
    before, own, both = chain(tmp_path, AFFINE, last, how)
    torch.testing.assert_close(both(points(3)), own(before(points(3))), rtol=0, atol=1e-10)


SUMS = {
    "shift, affine": (SHIFT, AFFINE),
    "affine, affine": (AFFINE, AFFINE),
    "affine, spline": (AFFINE, spline()),
    "spline, affine": (spline(), AFFINE),
    "shift, spline": (SHIFT, spline()),
    "splines of one grid": (spline(1), spline(2)),
}


@pytest.mark.parametrize("case", SUMS)
def test_sums_of_displacements(tmp_path: Path, case: str) -> None:
    before, own, both = chain(tmp_path, *SUMS[case], "Add")
    x = points(3)
    torch.testing.assert_close(both(x), own(x) + before(x) - x, rtol=0, atol=1e-10)


def test_sums_with_a_chain(tmp_path: Path) -> None:
    chain(tmp_path, AFFINE, spline(), "Compose")
    read = read_transform(write(tmp_path / "c.txt", SHIFT, before="both.txt", how="Add"))
    x, before = points(3), read_transform(tmp_path / "both.txt")
    torch.testing.assert_close(read(x), before(x) + torch.tensor([-1.0, -2.0, 3.0]), rtol=0, atol=1e-10)
    write(tmp_path / "d.txt", AFFINE, before="both.txt", how="Add")
    other = {**spline(), "GridOrigin": "-71 -80 -75"}
    chain(tmp_path / ".", spline(), other, "Compose")
    write(tmp_path / "e.txt", other, before="first.txt", how="Add")
    for name in "de":
        with pytest.raises(ReadError, match=rf"{name}\.txt adds.*Compose"):
            read_transform(tmp_path / f"{name}.txt")


@pytest.mark.parametrize("key", ["InitialTransformParameterFileName", "InitialTransformParametersFileName"])
@pytest.mark.parametrize(
    "name",
    ["first.txt", "/gone/away/first.txt", "C:\\\\results\\\\first.txt", "sub/../first.txt", "elsewhere"],
)
def test_what_comes_before_is_found_where_it_is_now(tmp_path: Path, key: str, name: str) -> None:
    place = tmp_path / "moved"
    place.mkdir()
    (place / "sub").mkdir()
    write(place / "first.txt", SHIFT)
    if name == "elsewhere":
        (tmp_path / "other").mkdir()
        name = str(shutil.move(place / "first.txt", tmp_path / "other" / "first.txt"))
    path = write(place / "last.txt", AFFINE, {key: f'"{name}"'})
    first, own = read_transform(write(place / "x.txt", SHIFT)), read_transform(write(place / "y.txt", AFFINE))
    torch.testing.assert_close(read_transform(path)(points(3)), own(first(points(3))), rtol=0, atol=1e-10)


def test_circles_and_endless_chains(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", SHIFT, before="b.txt")
    write(tmp_path / "b.txt", SHIFT, before="a.txt")
    write(tmp_path / "self.txt", SHIFT, before="./self.txt")
    os.symlink(tmp_path / "link.txt", tmp_path / "target.txt")
    write(tmp_path / "link.txt", SHIFT, before="target.txt")
    for name in ("a", "self", "link"):
        with pytest.raises(ReadError, match="circle"):
            read_transform(tmp_path / f"{name}.txt")
    for n in range(40):
        write(tmp_path / f"{n}.txt", SHIFT, before=f"{n + 1}.txt")
    write(tmp_path / "40.txt", SHIFT)
    with pytest.raises(ReadError, match="at most 32"):
        read_transform(tmp_path / "0.txt")
    assert isinstance(read_transform(tmp_path / "9.txt"), Linear)


@pytest.mark.timeout(20)
def test_names_that_lead_elsewhere(tmp_path: Path) -> None:
    """Folders, devices, pipes, files of other kinds: refused, and what is in them is not shown."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "secret").write_text("root:x:0:0:password\n")
    (tmp_path / "empty").write_bytes(b"")
    write_transform(Linear.identity(3), tmp_path / "itk.tfm")
    names = [
        "/dev/zero",
        "/dev/null",
        "pipe",
        "secret",
        "empty",
        "itk.tfm",
        ".",
        "..",
        "",
        "gone.txt",
        "a" * 5000,
    ]
    for name in names:
        with pytest.raises(ReadError) as caught:
            read_transform(write(tmp_path / "a.txt", SHIFT, before=name))
        assert "password" not in str(caught.value)
        assert "\n" not in str(caught.value)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "fields": ({"Transform": '"DeformationFieldTransform"'}, "transformix -def all"),
    "stacks": ({"Transform": '"EulerStackTransform"'}, "EulerStackTransform"),
    "other orders": ({**spline(), "BSplineTransformSplineOrder": "2"}, "order 3"),
    "cycles": ({**spline(), "UseCyclicTransform": '"true"'}, "cyclic"),
    "no direction cosines": ({"UseDirectionCosines": '"false"'}, "UseDirectionCosines"),
    "binary numbers": ({"UseBinaryFormatForTransformationParameters": '"true"'}, "binary"),
    "2-D to 3-D": ({"FixedImageDimension": "2"}, "2-D and 3-D"),
    "4-D": ({"FixedImageDimension": "4", "MovingImageDimension": "4"}, "4-D"),
    "another way to combine": ({"HowToCombineTransforms": '"Multiply"'}, "Compose"),
    "too few": ({"TransformParameters": "1 2"}, "3 numbers"),
    "too many": ({"NumberOfParameters": "4"}, "3 parameters"),
    "a word": ({"TransformParameters": "1 2 three"}, "three"),
    "NaN": ({"TransformParameters": "1 2 nan"}, "NaN"),
    "singular": ({**AFFINE, "TransformParameters": "1 0 0 0 1 0 0 0 0 3 4 5"}, "singular"),
    "no centre": ({**AFFINE, "CenterOfRotationPoint": "1 2"}, "CenterOfRotationPoint"),
    "a grid that lies": ({**spline(), "GridSize": "600000 50000 7000000"}, "control points"),
    "a grid of three": ({**spline(), "GridSize": "3 10 7"}, "4 control points"),
    "a grid of nothing": ({**spline(), "GridSize": "-6 -5 7"}, "control points"),
    "a flat grid": ({**spline(), "GridSpacing": "30 0 25"}, "singular"),
    "half a grid": ({**spline(), "GridSize": "6.5 5 7"}, "whole numbers"),
    "two values": ({"Transform": '"A" "B"'}, "one text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read_is_one_line(tmp_path: Path, case: str) -> None:
    change, expected = REFUSED[case]
    before = "first.txt" if "HowToCombineTransforms" in change else None
    write(tmp_path / "first.txt", SHIFT)
    path = write(tmp_path / "a.txt", SHIFT, change, before=before)
    with pytest.raises(ReadError, match=expected) as caught:
        read_transform(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


BROKEN = {
    "no brackets": "Transform EulerTransform",
    "no end": '(Transform "EulerTransform"',
    "something behind": '(Transform "EulerTransform") (Size 3)',
    "twice": '(Transform "EulerTransform")\n(Transform "EulerTransform")',
    "an open text": '(Transform "EulerTransform)',
    "another kind of file": "(NumberOfResolutions 4)",
    "nothing but a bracket": "()",
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_parameter_file(tmp_path: Path, case: str) -> None:
    (tmp_path / "a.txt").write_text(f"(FixedImageDimension 3)\n{BROKEN[case]}\n")
    with pytest.raises(ReadError) as caught:
        read_transform(tmp_path / "a.txt")
    assert str(tmp_path / "a.txt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_brackets_and_notes_in_names_of_files(tmp_path: Path) -> None:
    (tmp_path / "a (1)").mkdir()
    write(tmp_path / "a (1)" / "b).txt", SHIFT)
    path = write(tmp_path / "last.txt", SHIFT, before="a (1)//b).txt")
    path.write_text(
        path.read_text().replace("(NumberOfParameters 3)", "( NumberOfParameters\t3 )  // three (3)")
    )
    assert read_transform(path)(torch.zeros(1, 3, dtype=torch.float64)).tolist() == [[-2.0, -4.0, 6.0]]


TOML = """# elastix 5.2
FixedImageDimension = 3
MovingImageDimension = 3
Transform = "AffineTransform"
NumberOfParameters = 12
TransformParameters = [1.1, 0.1, 0, 0.05, 0.9, 0.2, -0.3, 0, 1.2, 3, 4, 5]
CenterOfRotationPoint = [10, -20, 30]
UseDirectionCosines = true
"""


def test_toml_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(TOML)
    read, text = read_transform(tmp_path / "a.toml"), read_transform(write(tmp_path / "a.txt", AFFINE))
    assert isinstance(read, Linear)
    assert isinstance(text, Linear)
    assert torch.equal(read.matrix, text.matrix)
    before = write(tmp_path / "b.txt", spline(), before="a.toml")
    assert isinstance(read_transform(before), Composite)
    for wrong in (
        "Transform = [",
        "Transform = [[1]]",
        "A = " + "[" * 5000,
        "Transform = 1979-05-27",
        "A = true",
    ):
        (tmp_path / "c.toml").write_text(wrong)
        with pytest.raises(ReadError) as caught:
            read_transform(tmp_path / "c.toml", format="elastix")
        assert "\n" not in str(caught.value)


def test_it_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="read and not written"):
        write_transform(Linear.identity(3), tmp_path / "a.txt", format="elastix")


@pytest.mark.parametrize("kind", ["affine", "spline", "toml"])
def test_damage_is_an_error_or_still_a_transform(tmp_path: Path, kind: str) -> None:
    small = {
        **spline(),
        "GridSize": "4 4 4",
        "NumberOfParameters": "192",
        "TransformParameters": "1.5 -2.25 " * 96,
    }
    write(tmp_path / "good.txt", small if kind == "spline" else AFFINE)
    content = TOML.encode() if kind == "toml" else (tmp_path / "good.txt").read_bytes()
    survivors = read_damaged(tmp_path / ("bad.toml" if kind == "toml" else "bad.txt"), content)
    assert all(isinstance(read, Linear | BSpline) for read in survivors)
    assert 0 < len(survivors) < 290
