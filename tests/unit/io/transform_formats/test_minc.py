from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from damage import read_damaged
from strategies import points

from inforeg.errors import ReadError, WriteError
from inforeg.io import read_transform, write_transform
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear, group

MATRIX = "1.1 0.1 0 4\n 0 0.9 0.2 -4\n -0.3 0 1 8"
HEAD = "MNI Transform File\n%by hand\n\n"
LINEAR = f"Transform_Type = Linear;\nLinear_Transform =\n {MATRIX};\n"


def by_itk(path: Path, at: torch.Tensor) -> np.ndarray:
    turn = np.array([-1.0, -1.0, 1.0])
    theirs = sitk.ReadTransform(str(path))
    return np.array([theirs.TransformPoint(p) for p in (at.numpy() * turn).tolist()]) * turn


@pytest.mark.parametrize("flag", ["", "Invert_Flag = True;\n", "Invert_Flag = False;\n"])
def test_it_means_what_itk_takes_it_for(tmp_path: Path, flag: str) -> None:
    (tmp_path / "a.xfm").write_text(HEAD + LINEAR.replace("Linear;\n", f"Linear;\n{flag}"))
    read = read_transform(tmp_path / "a.xfm")
    np.testing.assert_allclose(
        read(points(3)).numpy(), by_itk(tmp_path / "a.xfm", points(3)), rtol=0, atol=1e-11
    )


def test_of_several_the_first_is_applied_first(tmp_path: Path) -> None:
    """As ITK's writer lists the parts of a composite, whose last part is applied first."""
    chain = sitk.CompositeTransform(
        [sitk.ScaleTransform(3, (2.0, 2.0, 2.0)), sitk.ScaleTransform(3, (1.0, 3.0, 1.0))]
    )
    chain.AddTransform(sitk.AffineTransform((1.0, 0.5, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), (5.0, 6.0, 7.0)))
    sitk.WriteTransform(chain, str(tmp_path / "a.xfm"))
    read = read_transform(tmp_path / "a.xfm")
    turn = np.array([-1.0, -1.0, 1.0])
    expected = [chain.TransformPoint(p) for p in (points(3).numpy() * turn).tolist()]
    np.testing.assert_allclose(read(points(3)).numpy(), np.array(expected) * turn, rtol=0, atol=1e-10)


def test_every_digit_comes_back(tmp_path: Path) -> None:
    which = group("affine", 3)
    generator = torch.Generator().manual_seed(0)
    parameters = torch.randn(which.size, generator=generator, dtype=torch.float64)
    transform = which.exp(0.3 * parameters, torch.arange(3, dtype=torch.float64), 80.0)
    write_transform(transform, tmp_path / "a.xfm")
    assert torch.equal(read_transform(tmp_path / "a.xfm").matrix, transform.matrix)
    np.testing.assert_allclose(
        by_itk(tmp_path / "a.xfm", points(3)), transform(points(3)).numpy(), rtol=0, atol=1e-9
    )


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    field = Displacement(torch.zeros(3, 4, 4, 4), Grid.from_spacing((4, 4, 4)))
    for transform in (field, Composite((Linear.identity(3), field)), Linear.identity(2)):
        with pytest.raises(WriteError):
            write_transform(transform, tmp_path / "a.xfm")
    assert list(tmp_path.iterdir()) == []


BAD = {
    "a grid": (HEAD + "Transform_Type = Grid_Transform;\nDisplacement_Volume = a.mnc;\n", "Grid_Transform"),
    "cut short": (HEAD + LINEAR[:-3], "semicolon"),
    "eleven": (HEAD + LINEAR.replace(" 8;", ";"), "expected a linear transform"),
    "thirteen": (HEAD + LINEAR.replace(" 8;", " 8 9;"), "expected a linear transform"),
    "words": (HEAD + LINEAR.replace(" 8;", " x;"), "'x' is no number"),
    "NaN": (HEAD + LINEAR.replace(" 8;", " nan;"), "finite"),
    "no matrix": (HEAD + "Transform_Type = Linear;\n", "and its matrix"),
    "nothing": (HEAD, "and its matrix"),
    "no type": (HEAD + LINEAR.split(";\n", 1)[1], "got Linear_Transform"),
    "no inverse": (
        HEAD + "Transform_Type = Linear;\nInvert_Flag = True;\nLinear_Transform =" + " 0" * 12 + ";\n",
        "singular",
    ),
    "no statement": (HEAD + "words;\n", "expected a statement"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line(tmp_path: Path, case: str) -> None:
    text, said = BAD[case]
    (tmp_path / "a.xfm").write_text(text)
    with pytest.raises(ReadError, match=said) as caught:
        read_transform(tmp_path / "a.xfm")
    assert str(tmp_path / "a.xfm") in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.timeout(60)
def test_damage_gives_an_error_or_a_transform(tmp_path: Path) -> None:
    content = (HEAD + LINEAR.replace("Linear;\n", "Linear;\nInvert_Flag = True;\n")).encode()
    for transform in read_damaged(tmp_path / "a.xfm", content):
        assert transform(points(3)).shape == points(3).shape
