"""Transforms as SimpleITK has them: ours read by it, its own read by us, points within 1e-4 mm."""

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import linears, points

from inforeg.io import read_transform, write_transform
from inforeg.io.transform_formats.itk import from_sitk
from inforeg.transforms import Composite, Transform

TOLERANCE_MM = 1e-4


def mapped_by_itk(transform: sitk.Transform, ndim: int) -> np.ndarray:
    """Where SimpleITK takes the test points, both in RAS+ mm."""
    flip = np.array([-1, -1, 1][:ndim])
    return np.array([transform.TransformPoint(p.tolist()) for p in points(ndim).numpy() * flip]) * flip


def mapped_by_us(transform: Transform, ndim: int) -> np.ndarray:
    return transform(points(ndim)).numpy()


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("suffix", [".tfm", ".txt", ".h5"])
@given(data=st.data())
@settings(max_examples=20)
def test_what_we_wrote(ndim: int, suffix: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(linears(ndim), min_size=1, max_size=3))
    parts = tuple(numbers.transform() for numbers in drawn)
    chain = parts[0] if len(parts) == 1 else Composite(parts)
    centre = torch.tensor(
        data.draw(st.lists(st.floats(-200, 200), min_size=ndim, max_size=ndim)), dtype=torch.float64
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write_transform(chain, path, centre_mm=centre)
        theirs, read = sitk.ReadTransform(str(path)), read_transform(path)
    np.testing.assert_allclose(
        mapped_by_itk(theirs, ndim), mapped_by_us(chain, ndim), rtol=1e-12, atol=TOLERANCE_MM
    )
    np.testing.assert_allclose(mapped_by_us(read, ndim), mapped_by_us(chain, ndim), rtol=1e-12, atol=1e-8)


C2, C3 = (10.0, -20.0), (10.0, -20.0, 30.0)


def scale_skew() -> sitk.Transform:
    transform = sitk.ScaleSkewVersor3DTransform()
    transform.SetCenter(C3)
    transform.SetScale((1.1, 0.9, 1.2))
    transform.SetSkew((0.1, 0.0, 0.05, 0.0, 0.02, 0.0))
    transform.SetTranslation((1.0, 2.0, 3.0))
    return transform


KINDS = {
    "Euler2D": sitk.Euler2DTransform(C2, 0.4, (3.0, 4.0)),
    "Similarity2D": sitk.Similarity2DTransform(1.2, 0.4, (3.0, 4.0), C2),
    "Affine2D": sitk.AffineTransform((1.1, 0.2, -0.1, 0.9), (3.0, 4.0), C2),
    "Translation2D": sitk.TranslationTransform(2, (3.0, 4.0)),
    "Scale2D": sitk.ScaleTransform(2, (1.5, 0.5)),
    "Identity2D": sitk.Transform(2, sitk.sitkIdentity),
    "Euler3D": sitk.Euler3DTransform(C3, 0.1, 0.2, 0.3, (3.0, 4.0, 5.0)),
    "VersorRigid3D": sitk.VersorRigid3DTransform((0.0, 0.6, 0.8), 0.7, (3.0, 4.0, 5.0), C3),
    "Versor": sitk.VersorTransform((0.0, 0.6, 0.8), 0.7, C3),
    "Similarity3D": sitk.Similarity3DTransform(1.3, (0.0, 0.6, 0.8), 0.7, (3.0, 4.0, 5.0), C3),
    "Affine3D": sitk.AffineTransform((1.1, 0.1, 0.0, 0.0, 0.9, 0.2, -0.3, 0.0, 1.0), (3.0, 4.0, 5.0), C3),
    "ScaleVersor3D": sitk.ScaleVersor3DTransform((1.1, 0.9, 1.2), (0.0, 0.6, 0.8), 0.7, (3.0, 4.0, 5.0), C3),
    "ScaleSkewVersor3D": scale_skew(),
    "Translation3D": sitk.TranslationTransform(3, (3.0, 4.0, 5.0)),
    "Scale3D": sitk.ScaleTransform(3, (1.5, 0.5, 2.0)),
    "Identity3D": sitk.Transform(3, sitk.sitkIdentity),
    "Composite": sitk.CompositeTransform(
        [
            sitk.Euler3DTransform(C3, 0.1, 0.2, 0.3, (3.0, 4.0, 5.0)),
            sitk.ScaleTransform(3, (1.5, 0.5, 2.0)),
            sitk.TranslationTransform(3, (3.0, 4.0, 5.0)),
        ]
    ),
}


# What ITK itself gets through each format.
THROUGH = {
    ".tfm": list(KINDS),
    ".h5": list(KINDS),
    ".mat": [kind for kind in KINDS if kind != "Composite"],
    ".xfm": [kind for kind in KINDS if kind.endswith("3D") and kind[:-2] not in ("Translation", "Identity")],
}


@pytest.mark.parametrize(
    ("suffix", "kind"), [(suffix, kind) for suffix, kinds in THROUGH.items() for kind in kinds]
)
def test_what_it_wrote(tmp_path: Path, suffix: str, kind: str) -> None:
    transform = KINDS[kind]
    ndim = transform.GetDimension()
    path = tmp_path / f"a{suffix}"
    sitk.WriteTransform(transform, str(path))
    read = read_transform(path)
    assert read.ndim == ndim
    np.testing.assert_allclose(mapped_by_us(read, ndim), mapped_by_itk(transform, ndim), atol=TOLERANCE_MM)


def test_a_turn_by_itk_goes_the_way_it_says(tmp_path: Path) -> None:
    """By hand, so that two wrong signs cannot cancel: a quarter turn about z takes x to y, in LPS and RAS."""
    sitk.WriteTransform(
        sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.0, 0.0, math.pi / 2), str(tmp_path / "a.tfm")
    )
    read = read_transform(tmp_path / "a.tfm")
    np.testing.assert_allclose(read(torch.tensor([[1.0, 0.0, 0.0]])).numpy(), [[0.0, 1.0, 0.0]], atol=1e-6)
    sitk.WriteTransform(sitk.TranslationTransform(3, (1.0, 2.0, 3.0)), str(tmp_path / "b.tfm"))
    read = read_transform(tmp_path / "b.tfm")
    np.testing.assert_allclose(read(torch.zeros(1, 3)).numpy(), [[-1.0, -2.0, 3.0]])


def test_composites_inside_composites() -> None:
    inner = sitk.CompositeTransform([KINDS["Euler3D"], KINDS["Scale3D"]])
    for chain in (
        sitk.CompositeTransform([KINDS["Affine3D"], inner, KINDS["Translation3D"]]),
        sitk.CompositeTransform(3),
    ):
        read = from_sitk(chain, "the chain")
        np.testing.assert_allclose(mapped_by_us(read, 3), mapped_by_itk(chain, 3), atol=1e-9)


def test_composites_are_applied_last_part_first_by_both(tmp_path: Path) -> None:
    double, shift = sitk.ScaleTransform(3, (2.0, 2.0, 2.0)), sitk.TranslationTransform(3, (1.0, 1.0, 1.0))
    chain = sitk.CompositeTransform([double, shift])
    assert chain.TransformPoint((0.0, 0.0, 0.0)) == (2.0, 2.0, 2.0)
    sitk.WriteTransform(chain, str(tmp_path / "a.h5"))
    assert read_transform(tmp_path / "a.h5")(torch.zeros(1, 3)).tolist() == [[-2.0, -2.0, 2.0]]
