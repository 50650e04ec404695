"""A known turn and shift is found again from files in all orientations, against a truth that is a formula.

The images are small and textured, of two contrasts, and lie in files that nibabel wrote, the fixed one in another
orientation than the moving one. What has to be caught is far larger than the bound: half a voxel is five bounds, and
an axis taken for another or for its mirror image is tens of voxels.
"""

from itertools import combinations
from pathlib import Path

import pytest
import torch
from geometry.conftest import Within
from geometry.orientations import every_way, named, oriented
from geometry.others import written_by_nibabel
from phantoms import landmarks, phantom, turn

import inforeg as ir
from inforeg.space import Grid
from inforeg.transforms import Linear

BOUND_VOXELS = 0.1
RADIUS_MM = 70.0
SPACING_MM = {2: 3.0, 3: 5.5}
SHIFT_MM = (4.0, -3.0, 5.0)

# Few samples, and no search for shading, of which these images have none: a minute for all.
SETTINGS = {"stages": ["rigid"], "init": "header", "samples": 20_000, "shading": False}

CASES = [pytest.param(d, way, id=named(d, way)) for d in (2, 3) for way in every_way(d)]


def moved(ndim: int, seed: int) -> Linear:
    """A turn by eight degrees about another axis for every seed, and a shift, of the head at the world's origin."""
    return turn(8.0, ndim, SHIFT_MM[:ndim], seed=seed)


def worst_voxels(found: Linear, truth: Linear) -> float:
    """The longest way between where two transforms take points of the head, in voxels."""
    points = landmarks(truth.ndim, RADIUS_MM)
    return float((found(points) - truth(points)).norm(dim=1).max()) / SPACING_MM[truth.ndim]


def written(grid: Grid, contrast: str, transform: Linear | None, seed: int, path: Path) -> Path:
    image = phantom(grid, contrast, transform, radius_mm=RADIUS_MM, seed=seed)
    return written_by_nibabel(image.data[0, 0].numpy(), grid, path)


@pytest.mark.parametrize(("ndim", "way"), CASES)
def test_a_known_turn_and_shift_is_found(
    ndim: int, way: tuple[int, int, str], tmp_path: Path, within: Within
) -> None:
    number, other, kind = way
    truth = moved(ndim, seed=number)
    step = SPACING_MM[ndim]
    fixed = oriented(ndim, number, kind, field_mm=165.0, spacing_mm=step, centre_mm=(1.3, -2.1, 0.7))
    moving = oriented(ndim, other, kind, field_mm=165.0, spacing_mm=1.03 * step, centre_mm=(5.3, -5.1, 5.7))
    result = ir.register(
        written(fixed, "t1", None, 0, tmp_path / "fixed.nii"),
        written(moving, "t2", truth, 1, tmp_path / "moving.nii"),
        settings=SETTINGS,
        threads=2,
    )
    assert isinstance(result.transform, Linear)
    apart = worst_voxels(result.transform, truth)
    within(f"recovered {ndim}-D {kind}: worst point [voxels]", apart, BOUND_VOXELS, named(ndim, way))


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_bound_is_far_below_what_it_has_to_catch(ndim: int) -> None:
    truth = moved(ndim, seed=0)
    faults = {"not moved at all": Linear.identity(ndim), "the other way": truth.inverse()}
    for axis in range(ndim):
        half = torch.zeros(ndim, dtype=torch.float64)
        half[axis] = SPACING_MM[ndim] / 2
        faults[f"half a voxel along axis {axis}"] = Linear(Linear.translation(half).matrix @ truth.matrix)
        mirror = torch.eye(ndim + 1, dtype=torch.float64)
        mirror[axis, axis] = -1
        faults[f"axis {axis} mirrored"] = Linear(mirror @ truth.matrix @ mirror)
    for one, other in combinations(range(ndim), 2):
        swap = torch.eye(ndim + 1, dtype=torch.float64)
        swap[[one, other]] = swap[[other, one]]
        faults[f"axes {one} and {other} swapped"] = Linear(swap @ truth.matrix @ swap)
    apart = {name: worst_voxels(fault, truth) for name, fault in faults.items()}
    assert {name: voxels for name, voxels in apart.items() if voxels < 4.9 * BOUND_VOXELS} == {}
