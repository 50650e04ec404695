"""Every transform file we write, read again by others: the same points and the same images, in all orientations.

Points have to agree within 1e-4 mm. Images are noise, so that a shift of a ten-thousandth of a voxel shows.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from geometry.conftest import Within
from geometry.orientations import KINDS, every_way, named, oriented
from geometry.samples import points_near, sample
from geometry.witnesses import OUTSIDE, WITNESSES, Witness
from promises import TRANSFORMS, Promise

from inforeg.image import Image, resample
from inforeg.io import read_transform, write_transform
from inforeg.io.transform_formats import FORMATS
from inforeg.space import Grid
from inforeg.transforms import Transform

POINTS_MM = 1e-4
IMAGE_SHARE = 1e-4
"""Of the image's range, which voxel by voxel is its slope too."""

WRITTEN = [form for form in FORMATS if form.writes]


def promise(form) -> Promise:
    return TRANSFORMS[form.name, form.suffixes[0]]


CASES = [
    pytest.param(form, kind, d, placed, id=f"{form.name}{form.suffixes[0]}-{kind}-{d}D-{placed}")
    for form in WRITTEN
    if (form.name, form.suffixes[0]) in TRANSFORMS
    for kind in promise(form).holds
    for d in promise(form).ndims
    for placed in KINDS
]


def grids(ndim: int, way: tuple[int, int, str]) -> tuple[Grid, Grid]:
    """Two small grids that overlap, each in an orientation of its own."""
    number, other, kind = way
    fixed = oriented(ndim, number, kind, field_mm=21.0, spacing_mm=3.0)
    return fixed, oriented(ndim, other, kind, field_mm=27.0, spacing_mm=3.3, centre_mm=(12.0, -6.0, 23.0))


def where_sure(transform: Transform, fixed: Grid, moving: Grid, edge: float) -> tuple[np.ndarray, np.ndarray]:
    """Fixed voxels that are drawn from inside the moving image, and from outside it, beyond doubt."""
    index = moving.to_voxel(transform(fixed.points_mm()))
    ends = torch.tensor(moving.shape, dtype=torch.float64) - 1 - edge
    inside = ((index > edge + 1e-3) & (index < ends - 1e-3)).all(-1)
    outside = ((index < -0.5 - 1e-3) | (index > ends + (0.5 + edge) + 1e-3)).any(-1)
    return inside.reshape(fixed.shape).numpy(), outside.reshape(fixed.shape).numpy()


def test_every_format_has_its_promise() -> None:
    missing = [form for form in FORMATS if form.writes and (form.name, form.suffixes[0]) not in TRANSFORMS]
    assert missing == [], "say in tests/promises.py what they hold, and who else reads them"
    assert {(name, suffix) for name, suffix in TRANSFORMS} <= {(f.name, f.suffixes[0]) for f in FORMATS}


@pytest.mark.parametrize(("form", "kind", "ndim", "placed"), CASES)
def test_what_we_write_others_read(
    form, kind: str, ndim: int, placed: str, tmp_path: Path, within: Within
) -> None:
    holds = promise(form)
    seen_by = [name for name, kinds in holds.seen_by if kind in kinds and (ndim == 3 or name in holds.flat)]
    for way in every_way(ndim):
        if way[2] != placed:
            continue
        fixed, moving = grids(ndim, way)
        transform = sample(kind, fixed, seed=way[0])
        suffix = form.suffixes[way[0] % len(form.suffixes)]
        path = tmp_path / f"{way[0]}{suffix}"
        both = {"fixed": fixed, "moving": moving} if holds.grids else {}
        write_transform(transform, path, format=form.name, **both)
        where, check = f"{named(ndim, way)} {suffix}", f"{form.name} {form.suffixes[0]} {kind}"
        # What is a field on the fixed grid now agrees with what it was at the voxel centres.
        points = fixed.points_mm()[::7] if holds.resampled else points_near(fixed, 60, seed=way[0])
        ours = transform(points).numpy()
        again = read_transform(path, format=form.name, **both)
        within(f"{check}: points, read by us [mm]", np.abs(again(points).numpy() - ours).max(), 1e-4, where)
        for name in seen_by:
            if suffix not in WITNESSES[name].passes_over:
                witness = WITNESSES[name](path, form.name, fixed, moving)
                compare(witness, transform, fixed, moving, f"{check}, {name}", where, within)


def compare(
    witness: Witness,
    transform: Transform,
    fixed: Grid,
    moving: Grid,
    check: str,
    where: str,
    within: Within,
) -> None:
    points = fixed.points_mm()[::7] if witness.only_voxel_centres else points_near(fixed, 60, seed=1)
    apart = np.abs(witness.points(points.numpy()) - transform(points).numpy()).max()
    within(f"{check}: points [mm]", apart, POINTS_MM, where)
    generator = torch.Generator().manual_seed(2)
    noise = Image(torch.rand(1, 1, *moving.shape, generator=generator), moving)
    ours = resample(noise, fixed, transform, outside=OUTSIDE).data[0, 0].numpy()
    theirs = witness.image(noise.data[0, 0].double().numpy())
    inside, outside = where_sure(transform, fixed, moving, witness.edge_voxels)
    assert inside.sum() > 20, f"{where}: only {inside.sum()} voxels to compare"
    within(f"{check}: images [range]", np.abs(ours - theirs)[inside].max(), IMAGE_SHARE, where)
    assert (ours[outside] == OUTSIDE).all() and (theirs[outside] == OUTSIDE).all(), f"{where}: beyond the edges"
