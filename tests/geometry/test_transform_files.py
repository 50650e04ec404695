"""Every transform file we write, read again by others: the same points and the same images, in all orientations.

Points have to agree within 1e-4 mm. Images are noise, so that a shift of a ten-thousandth of a voxel shows.
"""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from geometry.conftest import Within
from geometry.orientations import KINDS, every_way, named, oriented
from geometry.others import transform_by_simpleitk, vectors_by_simpleitk
from geometry.samples import points_near, sample
from geometry.witnesses import OUTSIDE, WITNESSES, Witness
from promises import ANY, TRANSFORMS, Promise

from inforeg.image import Image, resample
from inforeg.io import read_transform, write_transform
from inforeg.io.transform_formats import FORMATS, Format
from inforeg.space import Grid
from inforeg.transforms import Displacement, Transform

POINTS_MM = 1e-4
IMAGE_SHARE = 1e-4
"""Of the image's range, which voxel by voxel is its slope too."""

WRITTEN = [form for form in FORMATS if form.writes]


def promise(form: Format) -> Promise:
    return TRANSFORMS[form.name, form.suffixes[0]]


CASES = [
    pytest.param(form, kind, d, id=f"{form.name}{form.suffixes[0]}-{kind}-{d}D")
    for form in WRITTEN
    if (form.name, form.suffixes[0]) in TRANSFORMS
    for kind in promise(form).holds
    for d in promise(form).ndims
]


def ways(ndim: int, kinds: tuple[str, ...], kind: str) -> list[tuple[int, int, str]]:
    """All orientations, each placed in one of three ways, which the kinds of transforms take in turn.

    Where there are too few kinds to take all turns, the first is placed in every way.
    """
    turn = kinds.index(kind)
    if turn == 0 and len(kinds) < len(KINDS):
        return every_way(ndim)
    return [way for way in every_way(ndim) if KINDS.index(way[2]) == (way[0] + turn) % len(KINDS)]


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
    known = [(form.name, form.suffixes[0]) for form in FORMATS]
    assert sorted(known) == sorted(TRANSFORMS), (
        "tests/promises.py says what they hold, and who else reads them"
    )


@pytest.mark.parametrize(("form", "kind", "ndim"), CASES)
def test_what_we_write_others_read(
    form: Format, kind: str, ndim: int, tmp_path: Path, within: Within
) -> None:
    holds = promise(form)
    seen_by = [name for name, kinds in holds.seen_by if kind in kinds and (ndim == 3 or name in holds.flat)]
    for way in ways(ndim, holds.holds, kind):
        fixed, moving = grids(ndim, way)
        transform = sample(kind, fixed, seed=way[0])
        suffix = form.suffixes[way[0] % len(form.suffixes)]
        path = tmp_path / f"{named(ndim, way)}{suffix}"
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


FLOWS = [
    pytest.param(form, kind, d, id=f"{form.name}{form.suffixes[0]}-{kind}-{d}D")
    for form in WRITTEN
    for kind, held_as in (
        ("velocity32", "displacement32"),
        ("velocity64", "displacement64"),
        ("flow", "chain"),
    )
    if held_as in promise(form).holds
    for d in promise(form).ndims
]


@pytest.mark.parametrize(("form", "kind", "ndim"), FLOWS)
def test_velocity_fields_are_written_as_their_displacements(
    form: Format, kind: str, ndim: int, tmp_path: Path, within: Within
) -> None:
    holds = promise(form)
    for way in every_way(ndim)[:: 7 if ndim == 2 else 29]:
        fixed, moving = grids(ndim, way)
        transform = sample(kind, fixed, seed=way[0])
        both = {"fixed": fixed, "moving": moving} if holds.grids else {}
        points = fixed.points_mm()[::7] if holds.resampled else points_near(fixed, 60, seed=way[0])
        # Both directions, as `register` writes them; a field in FSL's file would be of the other image's grid.
        for name, told in (("there", transform), ("back", transform.inverse())):
            if name == "back" and holds.resampled:
                continue
            path = tmp_path / f"{named(ndim, way)}-{name}{form.suffixes[0]}"
            write_transform(told, path, format=form.name, **both)
            where, check = f"{named(ndim, way)} {name}", f"{form.name} {form.suffixes[0]} {kind}"
            again = read_transform(path, format=form.name, **both)(points)
            apart = np.abs(again.numpy() - told(points).numpy()).max()
            within(f"{check}: points, read by us [mm]", apart, POINTS_MM, where)
            for witness in [
                one for one, kinds in holds.seen_by if one == "SimpleITK" and "displacement64" in kinds
            ]:
                seen = WITNESSES[witness](path, form.name, fixed, moving)
                compare(seen, told, fixed, moving, f"{check}, {witness}", where, within)


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
    assert (ours[outside] == OUTSIDE).all() and (theirs[outside] == OUTSIDE).all(), (
        f"{where}: beyond the edges"
    )


# What SimpleITK gets through each kind of file.
THROUGH = {
    ".tfm": ANY,
    ".txt": ("long chain",),
    ".h5": ANY,
    ".hdf5": ("long chain",),
    ".mat": ("linear",),
    ".xfm": ("linear",),
    ".nii": ("displacement64",),
    ".nii.gz": ("displacement64",),
    ".mha": ("displacement64",),
    ".mhd": ("displacement64",),
    ".nrrd": ("displacement64",),
    ".nhdr": ("displacement64",),
}


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(
    ("suffix", "kind"), [(suffix, kind) for suffix in THROUGH for kind in THROUGH[suffix]]
)
def test_what_simpleitk_writes_we_read(
    suffix: str, kind: str, ndim: int, tmp_path: Path, within: Within
) -> None:
    if ndim == 2 and suffix == ".xfm":
        pytest.skip("MINC is for 3-D")
    for way in every_way(ndim)[:: 2 if ndim == 2 else 5]:
        fixed, _ = grids(ndim, way)
        transform = sample(kind, fixed, seed=way[0])
        path = tmp_path / f"{named(ndim, way)}{suffix}"
        if isinstance(transform, Displacement) and suffix not in (".tfm", ".txt", ".h5", ".hdf5"):
            sitk.WriteImage(vectors_by_simpleitk(transform), str(path))
        else:
            sitk.WriteTransform(transform_by_simpleitk(transform), str(path))
        points = points_near(fixed, 60, seed=way[0])
        apart = float((read_transform(path)(points) - transform(points)).abs().max())
        within(f"by SimpleITK {suffix} {kind}: points [mm]", apart, POINTS_MM, named(ndim, way))
