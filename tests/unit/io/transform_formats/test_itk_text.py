from pathlib import Path

import pytest
import torch
from damage import read_damaged
from strategies import points

from inforeg.errors import ReadError, WriteError
from inforeg.io import read_transform, write_transform
from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear

HEAD = "#Insight Transform File V1.0\n"
AFFINE = "Transform: AffineTransform_double_2_2\nParameters: 1 0 0 1 3 4\nFixedParameters: 0 0\n"


def a_chain(dtype: torch.dtype = torch.float64) -> Composite:
    generator = torch.Generator().manual_seed(0)
    grid = Grid.from_spacing((5, 6), (2.0, 3.0))
    noise = torch.randn(2, 5, 6, generator=generator, dtype=torch.float64)
    turn = torch.tensor([[0.8, -0.6, 1 / 3], [0.6, 0.8, -7.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return Composite((Linear(turn), Displacement(noise.to(dtype), grid), BSpline(noise, grid)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_number_comes_back(tmp_path: Path, dtype: torch.dtype) -> None:
    chain = a_chain(dtype)
    write_transform(chain, tmp_path / "a.tfm")
    read = read_transform(tmp_path / "a.tfm")
    assert torch.equal(read.parts[0].matrix, chain.parts[0].matrix)
    assert torch.equal(read.parts[1].vectors, chain.parts[1].vectors)
    assert read.parts[1].vectors.dtype == dtype
    assert torch.equal(read.parts[2].coefficients, chain.parts[2].coefficients)
    assert read.parts[1].grid.same_as(chain.parts[1].grid, 1e-12)


def test_it_says_what_is_in_it(tmp_path: Path) -> None:
    write_transform(a_chain(torch.float32), tmp_path / "a.tfm")
    lines = (tmp_path / "a.tfm").read_text().splitlines()
    assert [line for line in lines if line.startswith("Transform:")] == [
        "Transform: CompositeTransform_double_2_2",
        "Transform: AffineTransform_double_2_2",
        "Transform: DisplacementFieldTransform_float_2_2",
        "Transform: BSplineTransform_double_2_2",
    ]


def test_windows_lines_blank_lines_and_no_head(tmp_path: Path) -> None:
    (tmp_path / "a.tfm").write_bytes((HEAD + "\n#Transform 0\n" + AFFINE).replace("\n", "\r\n").encode())
    (tmp_path / "b.tfm").write_text(AFFINE)
    for name in "ab":
        assert read_transform(tmp_path / f"{name}.tfm")(torch.zeros(1, 2)).tolist() == [[-3.0, -4.0]]


BAD = {
    "a series": (HEAD + AFFINE + AFFINE, "2 transforms and no composite"),
    "no class": (HEAD + "Parameters: 1 2\n", "got the line"),
    "another class": (HEAD + AFFINE.replace("Affine", "Strange"), "StrangeTransform in 2-D is not read"),
    "no dimension": (HEAD + AFFINE.replace("_2_2", ""), "2-D or 3-D"),
    "five dimensions": (HEAD + AFFINE.replace("_2_2", "_5_5"), "2-D or 3-D"),
    "two dimensions": (HEAD + AFFINE.replace("_2_2", "_2_3"), "2-D or 3-D"),
    "too few": (HEAD + AFFINE.replace("1 0 0 1 3 4", "1 0 0 1 3"), "expected 6 parameters"),
    "no centre": (HEAD + AFFINE.replace("FixedParameters: 0 0", "FixedParameters:"), "the centre"),
    "words": (HEAD + AFFINE.replace("1 0 0", "1 x 0"), "'x' is no number"),
    "underlines": (HEAD + AFFINE.replace("3 4", "3 4_0"), "'4_0' is no number"),
    "NaN": (HEAD + AFFINE.replace("3 4", "3 nan"), "NaN"),
    "too large": (HEAD + AFFINE.replace("3 4", "3 1e999"), "NaN or infinity"),
    "cut short": (HEAD + AFFINE[:-22], "cut short"),
    "twice": (HEAD + AFFINE + "FixedParameters: 1 1\n", "got two"),
    "inner composite": (
        HEAD + "Transform: CompositeTransform_double_2_2\n" * 2 + AFFINE,
        "composite inside a composite",
    ),
    "mixed": (
        HEAD
        + "Transform: CompositeTransform_double_2_2\n"
        + "Transform: IdentityTransform_double_3_3\nParameters:\nFixedParameters:\n",
        "expected transforms in 2-D",
    ),
    "a lying grid": (
        HEAD
        + "Transform: DisplacementFieldTransform_double_2_2\nParameters: 1 2\n"
        + "FixedParameters: 1e9 1e9 0 0 1 1 1 0 0 1\n",
        "does not fit its 2 parameters",
    ),
    "half a grid": (
        HEAD
        + "Transform: DisplacementFieldTransform_double_2_2\nParameters: 1 2\nFixedParameters: 1 1 0 0\n",
        "expected 10 fixed parameters",
    ),
    "no spacing": (
        HEAD
        + "Transform: DisplacementFieldTransform_double_2_2\nParameters: 1 2\n"
        + "FixedParameters: 1 1 0 0 0 1 1 0 0 1\n",
        "spacing above 0",
    ),
    "no directions": (
        HEAD
        + "Transform: DisplacementFieldTransform_double_2_2\nParameters: 1 2\n"
        + "FixedParameters: 1 1 0 0 1 1 1 1 1 1\n",
        "singular",
    ),
    "a long versor": (
        HEAD + "Transform: VersorTransform_double_3_3\nParameters: 1 1 1\nFixedParameters: 0 0 0\n",
        "versor",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line(tmp_path: Path, case: str) -> None:
    text, said = BAD[case]
    (tmp_path / "a.tfm").write_text(text)
    with pytest.raises(ReadError, match=said) as caught:
        read_transform(tmp_path / "a.tfm")
    assert str(tmp_path / "a.tfm") in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.timeout(60)
def test_damage_gives_an_error_or_a_transform(tmp_path: Path) -> None:
    write_transform(a_chain(), tmp_path / "a.tfm")
    for transform in read_damaged(tmp_path / "a.tfm", (tmp_path / "a.tfm").read_bytes()):
        assert transform(points(2)).shape == points(2).shape


def test_what_itk_has_no_class_for(tmp_path: Path) -> None:
    class Other(Linear):
        pass

    matrix = torch.eye(3, dtype=torch.float64)
    matrix[2, 0] = 0.001
    with pytest.raises(WriteError, match="projective"):
        write_transform(Linear(matrix), tmp_path / "a.tfm")
    assert list(tmp_path.iterdir()) == []
