"""elastix's parameter files against the transforms of ITK that they stand for, made by SimpleITK from the same numbers.

elastix is ITK underneath: the parameters of each of its transforms are those of the ITK transform named here.
"""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from strategies import points, rotation

from inforeg.io import read_transform
from inforeg.transforms import Transform

TOLERANCE_MM = 1e-4
C2, C3 = (10.0, -20.0), (10.0, -20.0, 30.0)
S2, S3 = (3.0, 4.0), (3.0, 4.0, 5.0)


def numbers(values: object) -> str:
    return " ".join(repr(float(v)) for v in np.asarray(values, np.float64).reshape(-1))


def write(path: Path, name: str, ndim: int, parameters: object, before: str = "", **more: str) -> Path:
    """A file as elastix 5 writes it."""
    count = np.asarray(parameters).size
    lines = {
        "FixedImageDimension": str(ndim),
        "HowToCombineTransforms": '"Compose"',
        "InitialTransformParameterFileName": f'"{before or "NoInitialTransform"}"',
        "MovingImageDimension": str(ndim),
        "NumberOfParameters": str(count),
        "Transform": f'"{name}"',
        "TransformParameters": numbers(parameters),
        "UseDirectionCosines": '"true"',
        **more,
    }
    path.write_text("".join(f"({key} {value})\n" for key, value in lines.items()))
    return path


def similarity() -> sitk.Transform:
    return sitk.Similarity3DTransform(1.3, (0.0, 0.6, 0.8), 0.7, S3, C3)


def zyx(transform: sitk.Transform) -> sitk.Transform:
    transform.SetComputeZYX(True)
    return transform


KINDS: dict[str, tuple[str, sitk.Transform, dict[str, str]]] = {
    "translation 2-D": ("TranslationTransform", sitk.TranslationTransform(2, S2), {}),
    "translation 3-D": ("TranslationTransform", sitk.TranslationTransform(3, S3), {}),
    "Euler 2-D": ("EulerTransform", sitk.Euler2DTransform(C2, 0.4, S2), {}),
    "Euler 3-D": (
        "EulerTransform",
        sitk.Euler3DTransform(C3, 0.1, -0.2, 0.3, S3),
        {"ComputeZYX": '"false"'},
    ),
    "Euler 3-D, nothing said": ("EulerTransform", sitk.Euler3DTransform(C3, 0.4, -0.5, 0.6, S3), {}),
    "Euler 3-D, ZYX": (
        "EulerTransform",
        zyx(sitk.Euler3DTransform(C3, 0.4, -0.5, 0.6, S3)),
        {"ComputeZYX": '"true"'},
    ),
    "similarity 2-D": ("SimilarityTransform", sitk.Similarity2DTransform(1.2, 0.4, S2, C2), {}),
    "similarity 3-D": ("SimilarityTransform", similarity(), {}),
    "affine 2-D": ("AffineTransform", sitk.AffineTransform((1.1, 0.2, -0.1, 0.9), S2, C2), {}),
    "affine 3-D": (
        "AffineTransform",
        sitk.AffineTransform((1.1, 0.1, 0.0, 0.0, 0.9, 0.2, -0.3, 0.0, 1.0), S3, C3),
        {},
    ),
}


def by_itk(transform: sitk.Transform, at: torch.Tensor) -> np.ndarray:
    """Where ITK takes points, both in RAS+ mm."""
    flip = np.array([-1, -1, 1][: at.shape[1]])
    return np.array([transform.TransformPoint(p.tolist()) for p in at.numpy() * flip]) * flip


def agree(read: Transform, theirs: sitk.Transform, at: torch.Tensor) -> None:
    np.testing.assert_allclose(read(at).numpy(), by_itk(theirs, at), rtol=0, atol=TOLERANCE_MM)


@pytest.mark.parametrize("kind", KINDS)
def test_linear_transforms(tmp_path: Path, kind: str) -> None:
    name, theirs, more = KINDS[kind]
    ndim = theirs.GetDimension()
    if "translation" not in kind:
        more = more | {"CenterOfRotationPoint": numbers((C2, C3)[ndim - 2])}
    read = read_transform(write(tmp_path / "a.txt", name, ndim, theirs.GetParameters(), **more))
    agree(read, theirs, points(ndim))


def spline(ndim: int, seed: int) -> tuple[sitk.BSplineTransform, dict[str, str], np.ndarray]:
    """A B-spline on an oblique grid, and how elastix writes its grid: directions column after column."""
    shape = (7, 5, 6)[:ndim]
    spacing = np.array((30.0, 45.0, 36.0)[:ndim])
    direction = rotation([0.3] if ndim == 2 else [0.3, -0.2, 0.4]).numpy()
    origin = direction @ (-spacing * (np.array(shape) - 1) / 2)
    transform = sitk.BSplineTransform(ndim, 3)
    # ITK counts its domain in cells of the grid, which lies one cell outside of it.
    transform.SetTransformDomainMeshSize([n - 3 for n in shape])
    transform.SetTransformDomainDirection(direction.reshape(-1).tolist())
    transform.SetTransformDomainOrigin((origin + direction @ spacing).tolist())
    transform.SetTransformDomainPhysicalDimensions(((np.array(shape) - 3) * spacing).tolist())
    values = np.random.default_rng(seed).normal(size=ndim * int(np.prod(shape))) * 4
    transform.SetParameters(values.tolist())
    grid = {
        "BSplineTransformSplineOrder": "3",
        "GridDirection": numbers(direction.T),
        "GridIndex": " ".join(["0"] * ndim),
        "GridOrigin": numbers(origin),
        "GridSize": " ".join(map(str, shape)),
        "GridSpacing": numbers(spacing),
        "UseCyclicTransform": '"false"',
    }
    return transform, grid, values


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["BSplineTransform", "RecursiveBSplineTransform"])
def test_splines_inside_and_outside_of_their_grid(tmp_path: Path, name: str, ndim: int) -> None:
    theirs, grid, values = spline(ndim, 1)
    read = read_transform(write(tmp_path / "a.txt", name, ndim, values, **grid))
    at = points(ndim, 400)
    agree(read, theirs, at)
    moved = (read(at) - at).abs().amax(dim=-1)
    assert 50 < int((moved > 0.1).sum()) < 350


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_grid_that_begins_elsewhere(tmp_path: Path, ndim: int) -> None:
    theirs, grid, values = spline(ndim, 2)
    first = np.array((2, -1, 3)[:ndim])
    spacing = np.fromstring(grid["GridSpacing"], sep=" ")
    direction = np.fromstring(grid["GridDirection"], sep=" ").reshape(ndim, ndim).T
    origin = np.fromstring(grid["GridOrigin"], sep=" ") - direction @ (first * spacing)
    grid |= {"GridIndex": " ".join(map(str, first)), "GridOrigin": numbers(origin)}
    agree(
        read_transform(write(tmp_path / "a.txt", "BSplineTransform", ndim, values, **grid)),
        theirs,
        points(ndim),
    )


@pytest.mark.parametrize("ndim", [2, 3])
def test_chains(tmp_path: Path, ndim: int) -> None:
    """As elastix writes them, a file a stage, each naming the one before: the first is applied first."""
    linear = KINDS[f"Euler {ndim}-D"][1]
    centre = {"CenterOfRotationPoint": numbers((C2, C3)[ndim - 2])}
    affine = KINDS[f"affine {ndim}-D"][1]
    theirs, grid, values = spline(ndim, 3)
    place = str(tmp_path / "TransformParameters.{}.txt")
    write(Path(place.format(0)), "EulerTransform", ndim, linear.GetParameters(), **centre)
    write(Path(place.format(1)), "AffineTransform", ndim, affine.GetParameters(), place.format(0), **centre)
    last = write(Path(place.format(2)), "BSplineTransform", ndim, values, place.format(1), **grid)
    chain = sitk.CompositeTransform([theirs, affine, linear])
    agree(read_transform(last), chain, points(ndim))


# Parameters, and the matrix that elastix 5.2 itself made of them (it writes that too, column after column).
MADE_BY_ELASTIX = {
    ("AffineLogTransform", 2): (
        "-0.08268063421988225 0.5589873924832511 -0.5110406831384698 0.15559212641861883",
        "0.781464252909839 -0.5063575360866315 0.5538648645799031 1.0175534958493875",
    ),
    ("AffineLogTransform", 3): (
        "-0.09224015077415781 0.4904752669654307 -0.004923526558222377"
        " -0.5119932685231634 0.1127727010960603 0.07579313689341251"
        " 0.0038684249009150232 -0.08670565182976304 -0.08406990588653297",
        "0.791775469913271 -0.496083221316216 0.024670997579441994"
        " 0.4755732725427809 0.9873318257622834 -0.083464986112774"
        " 0.013518553114742232 0.0749643973648638 0.9161868577739254",
    ),
    ("AffineDTITransform", 2): (
        "0.27605047243146535 0.22516637458143646 -0.3061342371175545 0.9470396750206141 1.0855635698163486",
        "0.7693549362506473 -0.5192750040047769 0.5310568644203049 0.9778415390960474",
    ),
    ("AffineDTITransform", 3): (
        "0.07973180376861441 -0.018728164953012223 0.448442493279677"
        " -0.005126275080064531 -0.11463646775603971 0.004212674104174456"
        " 0.9290967944477475 1.0993060619303523 0.9181702859643102",
        "0.7909141613429521 -0.4983940480203539 0.02496096198890962"
        " 0.4765996981554913 0.9871315982784001 -0.08318172929319917"
        " 0.012953981118277814 0.07515754063920418 0.9150094897817597",
    ),
}


@pytest.mark.parametrize(("name", "ndim"), MADE_BY_ELASTIX)
def test_logarithms_and_shears(tmp_path: Path, name: str, ndim: int) -> None:
    parameters, columns = (np.array(text.split(), np.float64) for text in MADE_BY_ELASTIX[name, ndim])
    centre, shift = (C2, C3)[ndim - 2], (S2, S3)[ndim - 2]
    path = write(tmp_path / "a.txt", name, ndim, [*parameters, *shift], CenterOfRotationPoint=numbers(centre))
    matrix = columns.reshape(ndim, ndim).T
    agree(
        read_transform(path), sitk.AffineTransform(matrix.reshape(-1).tolist(), shift, centre), points(ndim)
    )
