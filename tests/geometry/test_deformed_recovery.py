"""A known deformation is found again from files that lie in the world in other ways, and its files say the same.

What is found is compared with a truth that is a formula, and with what others read from the transform's file.
"""

from pathlib import Path

import pytest
import SimpleITK as sitk
import torch
from geometry.conftest import Within
from geometry.orientations import named, oriented
from geometry.others import written_by_nibabel
from phantoms import landmarks, phantom

import inforeg as ir
from inforeg.io import write_transform
from inforeg.space import Grid
from inforeg.transforms import Linear, Velocity

SPACING_MM = {2: 3.0, 3: 6.0}
SETTINGS = {"stages": [], "init": "header"}
# Voxels that the mean point of the head may be off; one that is wrong about an axis is off by half as much again.
BOUND_VOXELS = {2: 0.3, 3: 0.2}
# Not all: those of the linear gate say it of the grids, and what is new here are vectors.
WAYS = [(2, n, (5 * n + 3) % 8, "oblique") for n in range(0, 8, 2)]
WAYS += [(3, n, (5 * n + 3) % 48, kind) for n, kind in ((1, "anisotropic"), (18, "oblique"), (37, "oblique"))]
CASES = [pytest.param(d, (n, other, kind), id=named(d, (n, other, kind))) for d, n, other, kind in WAYS]


def deformed(ndim: int) -> Velocity:
    """Twelve millimetres at most, to one side more than to the other; still beyond the head."""
    nodes = Grid.from_spacing([15] * ndim, 20.0)
    points = nodes.points_mm()
    lobes = []
    for centre, way in (((30.0, 5.0, -10.0), (6.0, -5.0, 7.0)), ((-25.0, -20.0, 15.0), (2.0, 8.0, -9.0))):
        away = (points - torch.tensor(centre[:ndim])).norm(dim=1) / 38.0
        lobes.append(torch.exp(-away.square())[:, None] * torch.tensor(way[:ndim]))
    return Velocity(sum(lobes, start=torch.zeros(())).T.reshape(ndim, *nodes.shape), nodes)


@pytest.mark.parametrize(("ndim", "way"), CASES)
def test_a_known_deformation_is_found(
    ndim: int, way: tuple[int, int, str], tmp_path: Path, within: Within
) -> None:
    number, other, kind = way
    truth, step = deformed(ndim), SPACING_MM[ndim]
    files = []
    for name, which, transform, contrast, centre in (
        ("fixed", number, None, "t1", (1.3, -2.1, 0.7)),
        ("moving", other, truth, "t2", (4.3, -3.1, 2.7)),
    ):
        spacing = step if transform is None else 1.03 * step
        grid = oriented(ndim, which, kind, field_mm=165.0, spacing_mm=spacing, centre_mm=centre)
        image = phantom(grid, contrast, transform, seed=1)  # type: ignore[arg-type]
        files.append(written_by_nibabel(image.data[0, 0].numpy(), grid, tmp_path / f"{name}.nii"))
    result = ir.register(*files, method="svf", settings=SETTINGS, threads=1)
    points = landmarks(ndim)
    off = (result.transform(points) - truth(points)).norm(dim=1).mean() / step
    within(f"deformed {ndim}-D {kind}: mean point [voxels]", float(off), BOUND_VOXELS[ndim], named(ndim, way))
    write_transform(result.transform, tmp_path / "found.h5")
    theirs = sitk.ReadTransform(str(tmp_path / "found.h5"))
    # LPS is theirs.
    signs = torch.tensor([-1.0, -1.0, 1.0][:ndim], dtype=torch.float64)
    read = torch.tensor([theirs.TransformPoint(p) for p in (points * signs).tolist()], dtype=torch.float64)
    apart = (read * signs - result.transform(points)).norm(dim=1).max()
    within("a deformation read by SimpleITK [mm]", float(apart), 1e-9, named(ndim, way))


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_bound_is_below_what_it_has_to_catch(ndim: int) -> None:
    truth, points = deformed(ndim), landmarks(ndim)
    wanted = truth(points)
    faults = {"not moved at all": Linear.identity(ndim)(points), "the other way": truth.inverse()(points)}
    for axis in range(ndim):
        signs = torch.ones(ndim, dtype=torch.float64)
        signs[axis] = -1
        faults[f"vectors mirrored along {axis}"] = points + (wanted - points) * signs
    faults["axes exchanged"] = points + (wanted - points).roll(1, dims=1)
    bound = 1.5 * BOUND_VOXELS[ndim] * SPACING_MM[ndim]
    off = {name: float((moved - wanted).norm(dim=1).mean()) for name, moved in faults.items()}
    assert {name: mm for name, mm in off.items() if mm < bound} == {}
