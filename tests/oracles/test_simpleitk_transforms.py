"""Transforms as SimpleITK has them: ours read by it, its own read by us, points within 1e-9 mm."""

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import bsplines, displacements, grids, linears, points

from inforeg.io import read_transform, write_transform
from inforeg.transforms import BSpline, Composite, Displacement, Linear, Transform

TOLERANCE_MM = 1e-9
# A NIfTI header holds its grid in float32: half a unit in the last place of the largest number.
FLOAT32 = 6e-8


def flip(ndim: int) -> np.ndarray:
    return np.array([-1.0, -1.0, 1.0][:ndim])


def mapped_by_itk(transform: sitk.Transform, where: torch.Tensor) -> np.ndarray:
    """Where SimpleITK takes points, in RAS+ mm as they are."""
    turn = flip(where.shape[1])
    return np.array([transform.TransformPoint(p.tolist()) for p in where.numpy() * turn]) * turn


def field_of(path: Path) -> sitk.Transform:
    return sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))


def inside(transform: Transform, count: int = 60, seed: int = 0) -> torch.Tensor:
    """Points in and around the grids of a transform, none so near to an outer face that rounding decides."""
    generator = torch.Generator().manual_seed(seed)
    found = [points(transform.ndim, 10)]
    for part in transform.parts if isinstance(transform, Composite) else (transform,):
        if isinstance(part, Displacement | BSpline):
            shape = torch.tensor(part.grid.shape, dtype=torch.float64)
            voxel = (
                torch.rand(count, part.ndim, generator=generator, dtype=torch.float64) * (shape + 0.2) - 0.6
            )
            clear = ((voxel - (shape - 1) / 2).abs() - shape / 2).abs().amin(dim=1) > 1e-4
            found.append(part.grid.to_world(voxel[clear]))
    return torch.cat(found)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("suffix", [".tfm", ".txt", ".h5", ".mat", ".xfm"])
@given(data=st.data())
@settings(max_examples=10)
def test_matrices_we_wrote(ndim: int, suffix: str, data: st.DataObject) -> None:
    if suffix == ".xfm" and ndim == 2:
        return
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
    expected = chain(points(ndim)).numpy()
    np.testing.assert_allclose(mapped_by_itk(theirs, points(ndim)), expected, rtol=1e-12, atol=TOLERANCE_MM)
    np.testing.assert_allclose(read(points(ndim)).numpy(), expected, rtol=1e-12, atol=TOLERANCE_MM)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("suffix", [".tfm", ".h5", ".nii", ".nii.gz", ".mha", ".nrrd"])
@given(data=st.data())
@settings(max_examples=10)
def test_fields_we_wrote(ndim: int, suffix: str, data: st.DataObject) -> None:
    in_text = suffix in (".tfm", ".h5")
    where = grids(ndim, shear=0.3 if in_text else 0.0, spacings_mm=(0.3, 6.0))
    field = data.draw(displacements(where)).transform()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write_transform(field, path)
        theirs = sitk.ReadTransform(str(path)) if in_text else field_of(path)
        read = read_transform(path)
    assert torch.equal(read.vectors, field.vectors) and read.vectors.dtype == field.vectors.dtype
    at = inside(field)
    # Where the grid is rounded to float32, a vector is taken from so far beside its place.
    steepest = float(field.vectors.double().abs().max()) * 2 * ndim / float(field.grid.spacing_mm.min())
    reach = float(field.grid.corners_mm().abs().max()) + 1
    rounding = 0.0 if ".nii" not in suffix else 4 * FLOAT32 * reach * steepest
    np.testing.assert_allclose(
        mapped_by_itk(theirs, at), field(at).numpy(), rtol=0, atol=TOLERANCE_MM + rounding
    )


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("suffix", [".tfm", ".h5"])
@given(data=st.data())
@settings(max_examples=10)
def test_splines_and_chains_we_wrote(ndim: int, suffix: str, data: st.DataObject) -> None:
    where = grids(ndim, sizes=(4, 7), spacings_mm=(0.3, 6.0))
    spline = data.draw(bsplines(where)).transform()
    chain = Composite(
        (data.draw(linears(ndim)).transform(), data.draw(displacements(where)).transform(), spline)
    )
    for transform in (spline, chain):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"a{suffix}"
            write_transform(transform, path)
            theirs, read = sitk.ReadTransform(str(path)), read_transform(path)
        # The first part of the chain that is met is the spline; its own points are clear of its faces.
        at = inside(spline)
        expected = transform(at).numpy()
        np.testing.assert_allclose(read(at).numpy(), expected, rtol=0, atol=TOLERANCE_MM)
        if transform is spline:
            np.testing.assert_allclose(mapped_by_itk(theirs, at), expected, rtol=0, atol=TOLERANCE_MM)
        else:
            moved, field = spline(at), chain.parts[1]
            voxel = field.grid.to_voxel(moved)
            shape = torch.tensor(field.grid.shape)
            clear = ((voxel - (shape - 1) / 2).abs() - shape / 2).abs().amin(dim=1) > 1e-4
            np.testing.assert_allclose(
                mapped_by_itk(theirs, at[clear]), expected[clear.numpy()], rtol=0, atol=TOLERANCE_MM
            )
    assert isinstance(read, Composite)
    assert [type(part) for part in read.parts] == [Linear, Displacement, BSpline]
    assert torch.equal(read.parts[2].coefficients, spline.coefficients)


C2, C3 = (10.0, -20.0), (10.0, -20.0, 30.0)
DIRECTION = {
    2: sitk.Euler2DTransform((0.0, 0.0), 0.3).GetMatrix(),
    3: sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.1, 0.2, 0.3).GetMatrix(),
}


def scale_skew() -> sitk.Transform:
    transform = sitk.ScaleSkewVersor3DTransform()
    transform.SetCenter(C3)
    transform.SetScale((1.1, 0.9, 1.2))
    transform.SetSkew((0.1, 0.0, 0.05, 0.0, 0.02, 0.0))
    transform.SetTranslation((1.0, 2.0, 3.0))
    return transform


def compose_scale_skew() -> sitk.Transform:
    transform = sitk.ComposeScaleSkewVersor3DTransform()
    transform.SetCenter(C3)
    transform.SetRotation((0.0, 0.6, 0.8), 0.7)
    transform.SetScale((1.1, 0.9, 1.2))
    transform.SetSkew((0.1, 0.03, 0.05))
    transform.SetTranslation((1.0, 2.0, 3.0))
    return transform


def euler_zyx() -> sitk.Transform:
    transform = sitk.Euler3DTransform(C3, 0.1, 0.2, 0.3, (3.0, 4.0, 5.0))
    transform.SetComputeZYX(True)
    return transform


def scale_about() -> sitk.Transform:
    transform = sitk.ScaleTransform(3, (1.5, 0.5, 2.0))
    transform.SetCenter(C3)
    return transform


def field(shape: tuple[int, ...]) -> sitk.Transform:
    d = len(shape)
    values = np.random.default_rng(0).normal(size=(*shape[::-1], d))
    image = sitk.GetImageFromArray(values, isVector=True)
    image.SetSpacing([1.5, 2.0, 2.5][:d])
    image.SetOrigin([3.0, 4.0, 5.0][:d])
    image.SetDirection(DIRECTION[d])
    return sitk.DisplacementFieldTransform(image)


def spline(ndim: int) -> sitk.Transform:
    transform = sitk.BSplineTransform(ndim, 3)
    transform.SetTransformDomainMeshSize([3, 4, 5][:ndim])
    transform.SetTransformDomainOrigin([3.0, 4.0, 5.0][:ndim])
    transform.SetTransformDomainPhysicalDimensions([30.0, 40.0, 50.0][:ndim])
    transform.SetTransformDomainDirection(DIRECTION[ndim])
    count = len(transform.GetParameters())
    transform.SetParameters(np.random.default_rng(1).normal(size=count).tolist())
    return transform


KINDS = {
    "Euler2D": sitk.Euler2DTransform(C2, 0.4, (3.0, 4.0)),
    "Similarity2D": sitk.Similarity2DTransform(1.2, 0.4, (3.0, 4.0), C2),
    "Affine2D": sitk.AffineTransform((1.1, 0.2, -0.1, 0.9), (3.0, 4.0), C2),
    "Translation2D": sitk.TranslationTransform(2, (3.0, 4.0)),
    "Scale2D": sitk.ScaleTransform(2, (1.5, 0.5)),
    "Identity2D": sitk.Transform(2, sitk.sitkIdentity),
    "Euler3D": sitk.Euler3DTransform(C3, 0.1, 0.2, 0.3, (3.0, 4.0, 5.0)),
    "EulerZYX3D": euler_zyx(),
    "VersorRigid3D": sitk.VersorRigid3DTransform((0.0, 0.6, 0.8), 0.7, (3.0, 4.0, 5.0), C3),
    "HalfTurn3D": sitk.VersorRigid3DTransform((0.0, 0.6, 0.8), math.pi, (3.0, 4.0, 5.0), C3),
    "Versor3D": sitk.VersorTransform((0.0, 0.6, 0.8), 0.7, C3),
    "Similarity3D": sitk.Similarity3DTransform(1.3, (0.0, 0.6, 0.8), 0.7, (3.0, 4.0, 5.0), C3),
    "Affine3D": sitk.AffineTransform((1.1, 0.1, 0.0, 0.0, 0.9, 0.2, -0.3, 0.0, 1.0), (3.0, 4.0, 5.0), C3),
    "ScaleVersor3D": sitk.ScaleVersor3DTransform((1.1, 0.9, 1.2), (0.0, 0.6, 0.8), 0.7, (3.0, 4.0, 5.0), C3),
    "ScaleSkewVersor3D": scale_skew(),
    "ComposeScaleSkewVersor3D": compose_scale_skew(),
    "Translation3D": sitk.TranslationTransform(3, (3.0, 4.0, 5.0)),
    "Scale3D": sitk.ScaleTransform(3, (1.5, 0.5, 2.0)),
    "ScaleAbout3D": scale_about(),
    "Identity3D": sitk.Transform(3, sitk.sitkIdentity),
    "Field2D": field((5, 4)),
    "Field3D": field((5, 4, 3)),
    "Spline2D": spline(2),
    "Spline3D": spline(3),
    "Chain2D": sitk.CompositeTransform([sitk.Euler2DTransform(C2, 0.4, (3.0, 4.0)), spline(2)]),
    "Chain3D": sitk.CompositeTransform(
        [
            sitk.Euler3DTransform(C3, 0.1, 0.2, 0.3, (3.0, 4.0, 5.0)),
            sitk.ScaleTransform(3, (1.5, 0.5, 2.0)),
            sitk.TranslationTransform(3, (3.0, 4.0, 5.0)),
            field((5, 4, 3)),
        ]
    ),
    "Empty3D": sitk.CompositeTransform(3),
}
MINC = [f"{kind}3D" for kind in ("Affine", "Euler", "VersorRigid", "Scale", "ScaleAbout", "Similarity")]

# What ITK itself gets through each format.
THROUGH = {
    ".tfm": list(KINDS),
    ".h5": list(KINDS),
    ".mat": [kind for kind in KINDS if kind[:-2] not in ("Chain", "Empty")],
    ".xfm": MINC,
}


@pytest.mark.parametrize(
    ("suffix", "kind"), [(suffix, kind) for suffix, kinds in THROUGH.items() for kind in kinds]
)
def test_what_it_wrote(tmp_path: Path, suffix: str, kind: str) -> None:
    transform = KINDS[kind]
    path = tmp_path / f"a{suffix}"
    sitk.WriteTransform(transform, str(path))
    read = read_transform(path)
    assert read.ndim == transform.GetDimension()
    at = inside(read)
    if kind == "HalfTurn3D":
        # ITK reads its own half turns as 3e-5 radians less, and so do we.
        transform = sitk.ReadTransform(str(path))
    np.testing.assert_allclose(read(at).numpy(), mapped_by_itk(transform, at), rtol=0, atol=1e-11)


LISTED = {
    "CenteredAffineTransform": (2, 3),
    "CenteredEuler3DTransform": (3,),
    "CenteredRigid2DTransform": (2,),
    "CenteredSimilarity2DTransform": (2,),
    "FixedCenterOfRotationAffineTransform": (3,),
    "MatrixOffsetTransformBase": (2, 3),
    "QuaternionRigidTransform": (3,),
    "Rigid2DTransform": (2,),
    "ScalableAffineTransform": (3,),
    "ScaleLogarithmicTransform": (3,),
    "ComposeScaleSkewVersor3DTransform": (3,),
    "ScaleSkewVersor3DTransform": (3,),
}


@pytest.mark.parametrize(("kind", "ndim"), [(kind, ndim) for kind, ndims in LISTED.items() for ndim in ndims])
def test_classes_that_only_itk_writes(tmp_path: Path, kind: str, ndim: int) -> None:
    """Written by hand, inside a composite, which SimpleITK reads whatever its parts are."""
    from inforeg.io.transform_formats.itk_linear import _RULES

    rule, rng = _RULES[kind], np.random.default_rng(0)
    parameters = rng.uniform(-0.5, 0.5, rule.count(ndim))
    fixed = rng.uniform(-50, 50, max(rule.fixed or (ndim,)))
    (tmp_path / "a.tfm").write_text(
        f"#Insight Transform File V1.0\n#Transform 0\nTransform: CompositeTransform_double_{ndim}_{ndim}\n"
        f"#Transform 1\nTransform: {kind}_double_{ndim}_{ndim}\n"
        f"Parameters: {' '.join(map(repr, parameters.tolist()))}\n"
        f"FixedParameters: {' '.join(map(repr, fixed.tolist()))}\n"
    )
    theirs, read = sitk.ReadTransform(str(tmp_path / "a.tfm")), read_transform(tmp_path / "a.tfm")
    at = points(ndim)
    np.testing.assert_allclose(read(at).numpy(), mapped_by_itk(theirs, at), rtol=0, atol=1e-11)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr"])
@pytest.mark.parametrize("kind", [sitk.sitkVectorFloat32, sitk.sitkVectorFloat64])
def test_fields_it_wrote(tmp_path: Path, ndim: int, suffix: str, kind: int) -> None:
    image = sitk.Cast(field((5, 4, 3)[:ndim]).GetDisplacementField(), kind)
    sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
    read = read_transform(tmp_path / f"a{suffix}")
    assert read.vectors.dtype == (torch.float32 if kind == sitk.sitkVectorFloat32 else torch.float64)
    at = inside(read)
    theirs = field_of(tmp_path / f"a{suffix}")
    rounding = 1e-5 if ".nii" in suffix else TOLERANCE_MM
    np.testing.assert_allclose(read(at).numpy(), mapped_by_itk(theirs, at), rtol=0, atol=rounding)


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


def test_composites_are_applied_last_part_first_by_both(tmp_path: Path) -> None:
    double, shift = sitk.ScaleTransform(3, (2.0, 2.0, 2.0)), sitk.TranslationTransform(3, (1.0, 1.0, 1.0))
    chain = sitk.CompositeTransform([double, shift])
    assert chain.TransformPoint((0.0, 0.0, 0.0)) == (2.0, 2.0, 2.0)
    sitk.WriteTransform(chain, str(tmp_path / "a.h5"))
    assert read_transform(tmp_path / "a.h5")(torch.zeros(1, 3)).tolist() == [[-2.0, -2.0, 2.0]]


@pytest.mark.parametrize("ndim", [2, 3])
def test_images_are_warped_alike(tmp_path: Path, ndim: int) -> None:
    """A matrix after a field after a spline, in one file, on an oblique grid."""
    shape = (14, 12, 10)[:ndim]
    image = sitk.GetImageFromArray(np.random.default_rng(2).normal(size=shape[::-1]))
    image.SetSpacing([1.5, 2.0, 2.5][:ndim])
    image.SetDirection(DIRECTION[ndim])
    chain = Composite(
        tuple(
            read_transform(path)
            for kind in ("Affine", "Field", "Spline")
            for path in [_written(KINDS[f"{kind}{ndim}D"], tmp_path / f"{kind}.h5")]
        )
    )
    write_transform(chain, tmp_path / "chain.h5")
    theirs = sitk.Resample(image, sitk.ReadTransform(str(tmp_path / "chain.h5")), sitk.sitkLinear, -9.0)
    pieces = sitk.CompositeTransform([KINDS[f"{kind}{ndim}D"] for kind in ("Affine", "Field", "Spline")])
    expected = sitk.Resample(image, pieces, sitk.sitkLinear, -9.0)
    found, wanted = sitk.GetArrayFromImage(theirs), sitk.GetArrayFromImage(expected)
    assert (wanted != -9.0).mean() > 0.2
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)


def _written(transform: sitk.Transform, path: Path) -> Path:
    sitk.WriteTransform(transform, str(path))
    return path
