from pathlib import Path

import h5py
import nitransforms
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from damage import read_damaged
from nitransforms.manip import TransformChain
from strategies import points

from inforeg.errors import ReadError
from inforeg.io import read_transform, write_transform
from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear

GRID = Grid.from_spacing((5, 6, 7), (2.0, 3.0, 4.0))


def parts(dtype: torch.dtype = torch.float32) -> tuple[Linear, Displacement, BSpline]:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(3, 5, 6, 7, generator=generator, dtype=torch.float64)
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3] += 0.1 * torch.randn(3, 4, generator=generator, dtype=torch.float64)
    return Linear(matrix), Displacement(noise.to(dtype), GRID), BSpline(noise, GRID)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_number_comes_back(tmp_path: Path, dtype: torch.dtype) -> None:
    matrix, field, spline = parts(dtype)
    write_transform(Composite((matrix, field, spline)), tmp_path / "a.h5")
    read = read_transform(tmp_path / "a.h5")
    assert torch.equal(read.parts[0].matrix, matrix.matrix)
    assert torch.equal(read.parts[1].vectors, field.vectors) and read.parts[1].vectors.dtype == dtype
    assert torch.equal(read.parts[2].coefficients, spline.coefficients)
    assert read.parts[1].grid.same_as(GRID, 1e-12)
    with h5py.File(tmp_path / "a.h5") as file:
        names = [file[f"TransformGroup/{n}/TransformType"][0].decode() for n in range(4)]
        assert file["TransformGroup/2/TransformParameters"].dtype == (
            np.float32 if dtype == torch.float32 else np.float64
        )
    assert names == [
        "CompositeTransform_double_3_3",
        "AffineTransform_double_3_3",
        f"DisplacementFieldTransform_{'float' if dtype == torch.float32 else 'double'}_3_3",
        "BSplineTransform_double_3_3",
    ]


def test_the_file_is_as_large_as_what_is_in_it(tmp_path: Path) -> None:
    _, field, _ = parts()
    write_transform(field, tmp_path / "a.h5")
    write_transform(field, tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert (tmp_path / "a.h5").stat().st_size < field.vectors.numel() * 4 + 8000


def test_a_chain_that_ants_wrote() -> None:
    """In the wheel of nitransforms: one affine, deflated."""
    path = Path(nitransforms.__file__).parent / "tests/data/affine-antsComposite.h5"
    theirs = sitk.ReadTransform(str(path))
    at, turn = points(3), torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)
    expected = torch.tensor([theirs.TransformPoint(p) for p in (at * turn).tolist()], dtype=torch.float64)
    torch.testing.assert_close(read_transform(path)(at), expected * turn, rtol=0, atol=1e-11)


def in_itk_manner(path: Path, misspelt: bool = False, single: bool = False) -> None:
    """As ANTs writes a chain: chunks, deflated, in float32, and with the names of ITK before 5.0 if `misspelt`."""
    word = "Tranform" if misspelt else "Transform"
    matrix, field, _ = parts()
    write_transform(Composite((matrix, field)), path, overwrite=True)
    with h5py.File(path) as file:
        found = [{k: v[()] for k, v in file[f"TransformGroup/{n}"].items()} for n in range(3)]
    with h5py.File(path, "w") as file:
        for n, part in enumerate(found):
            group = file.create_group(f"TransformGroup/{n}")
            for name, value in part.items():
                if name == "TransformType":
                    group.create_dataset(name, data=value, dtype=h5py.string_dtype("ascii"))
                elif name == "TransformFixedParameters":
                    group[f"{word}FixedParameters"] = value
                else:
                    value = value.astype(np.float32) if single else value
                    options = {"chunks": (len(value),), "compression": 5}
                    group.create_dataset(f"{word}Parameters", data=value, **options)


@pytest.mark.parametrize("misspelt", [False, True])
@pytest.mark.parametrize("single", [False, True])
def test_chains_in_every_spelling(tmp_path: Path, misspelt: bool, single: bool) -> None:
    in_itk_manner(tmp_path / "a.h5", misspelt, single)
    read = read_transform(tmp_path / "a.h5")
    theirs = sitk.ReadTransform(str(tmp_path / "a.h5"))
    generator = torch.Generator().manual_seed(0)
    at = GRID.to_world(torch.rand(60, 3, generator=generator, dtype=torch.float64) * 4)
    turn = torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)
    expected = torch.tensor([theirs.TransformPoint(p) for p in (at * turn).tolist()], dtype=torch.float64)
    torch.testing.assert_close(read(at), expected * turn, rtol=0, atol=1e-10)
    assert read.parts[1].vectors.dtype == torch.float32


def test_nitransforms_reads_chains(tmp_path: Path) -> None:
    matrix, field, _ = parts()
    write_transform(Composite((matrix, field)), tmp_path / "a.h5")
    theirs = TransformChain.from_filename(str(tmp_path / "a.h5"), fmt=None)
    at = GRID.points_mm()
    np.testing.assert_allclose(
        theirs.map(at.numpy()), Composite((matrix, field))(at).numpy(), rtol=0, atol=1e-4
    )


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"

    def refuse(said: str) -> None:
        with pytest.raises(ReadError, match=said) as caught:
            read_transform(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)

    def changed(how: str, **values: object) -> None:
        in_itk_manner(path)
        with h5py.File(path, "r+") as file:
            for name, value in values.items():
                at = f"TransformGroup/{how}/{name}"
                if at in file:
                    del file[at]
                if value is not None:
                    file[at] = value

    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)
    refuse("without a TransformGroup")
    with h5py.File(path, "w") as file:
        file.create_group("TransformGroup")
    refuse("holds none")
    changed("7", TransformType="AffineTransform_double_3_3")
    refuse("numbered from 0, got 0, 1, 2, 7")
    changed("1", TransformType=None)
    refuse("no /TransformGroup/1/TransformType")
    changed("1", TransformType=np.zeros(3))
    refuse("expected one text")
    changed("1", TransformParameters=None)
    refuse("no /TransformGroup/1/TransformParameters")
    changed("1", TransformParameters="words")
    refuse("expected numbers")
    changed("1", TransformParameters=np.zeros(7))
    refuse("expected 12 parameters")
    changed("2", TransformParameters=np.zeros(7))
    refuse("does not fit its 7 parameters")
    changed("2", TransformParameters=np.full(630, np.nan))
    refuse("NaN")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("ours", [True, False])
def test_damage_gives_an_error_or_a_transform(tmp_path: Path, ours: bool) -> None:
    path = tmp_path / "a.h5"
    if ours:
        write_transform(Composite(parts()), path)
    else:
        in_itk_manner(path)
    for transform in read_damaged(path, path.read_bytes(), 200):
        assert transform(points(3)).shape == points(3).shape
