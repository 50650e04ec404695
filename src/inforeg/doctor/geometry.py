"""A self-test: what inforeg writes is read by SimpleITK and nibabel, and must lie and move where inforeg has it.

SimpleITK keeps its world in another frame. Nothing is turned here to compare with it: points start as voxel indices of
one file and end as voxel indices of another, and images are compared voxel by voxel, so that a sign that is wrong twice
is still seen.
"""

from collections.abc import Callable, Iterator
from itertools import permutations, product
from math import pi, radians
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from inforeg import io
from inforeg.doctor.check import Check, broken, measured
from inforeg.errors import WriteError
from inforeg.evaluate import tre_mm
from inforeg.image import Image, resample
from inforeg.io.simpleitk import quiet_libraries, simpleitk
from inforeg.io.transform_formats import FORMATS, Format
from inforeg.register import register
from inforeg.space import Grid
from inforeg.transforms import Displacement, Linear, Transform, group

POINTS_BOUND_MM = 1e-4
IMAGES_BOUND = 1e-4  # of the range of values
# A tenth of a voxel: the two contrasts differ, and the self-test is to be quick and not a benchmark.
REGISTRATION_BOUND_MM = 0.3

# Headers of two files are read, and not written.
_HALVES = (".mhd", ".nhdr")

_RADIUS_MM = 60.0
_TURN_DEG, _SHIFT_MM = 14.0, (8.0, -5.0, 6.0)


def checks() -> Iterator[Check]:
    """Orientations, a registration with a known answer, and every transform that is written."""
    with TemporaryDirectory(prefix="inforeg-doctor-") as name:
        folder = Path(name)
        yield from _guarded("orientations", lambda: _orientations(folder))
        truth = _known_transform()
        fixed = _write(folder / "fixed.nii.gz", _head(_grid((0, 1, 2), (1, 1, 1), 48, 3.0), "bright"))
        # In another orientation, oblique, and with voxels of its own.
        there = _grid(
            (1, 2, 0), (-1, 1, -1), 44, 3.3, turned=True, about=truth(torch.zeros(1, 3).double())[0]
        )
        moving = _write(folder / "moving.nii.gz", _head(there, "dark", truth))
        yield from _guarded("registration", lambda: _registration(fixed, moving, truth))
        yield from _guarded("transforms", lambda: _transforms(folder, fixed, moving))


def _guarded(name: str, step: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from step()
    except Exception as error:
        yield broken("geometry", name, error)


def _orientations(folder: Path) -> Iterator[Check]:
    """All 48 orders and directions of the axes, every second one oblique as well."""
    import nibabel

    sitk = simpleitk()
    reference = _write(folder / "reference.nii", _head(_grid((0, 1, 2), (-1, -1, 1), 20, 6.5), "bright"))
    seen = sitk.ReadImage(str(reference))
    home = io.read_image(reference).grid
    apart, off = [], []
    for n, (axes, signs) in enumerate(product(permutations(range(3)), product((1, -1), repeat=3))):
        image = _head(_grid(axes, signs, 22, 6.1, turned=n % 2 == 1), "bright")
        path = _write(folder / "oriented.nii", image)
        theirs, ours = sitk.ReadImage(str(path)), io.read_image(path)
        corners = image.grid.to_voxel(image.grid.corners_mm())
        affine = torch.from_numpy(nibabel.load(path).affine)  # type: ignore[attr-defined]
        apart.append(_largest(corners @ affine[:3, :3].T + affine[:3, 3] - image.grid.corners_mm()))
        index = home.to_voxel(ours.grid.to_world(corners))
        apart.append(_largest((index - _landed(corners, theirs, seen)) * home.spacing_mm))
        drawn = sitk.GetArrayFromImage(sitk.Resample(theirs, seen, sitk.Transform(3, sitk.sitkIdentity)))
        off.append(_difference(resample(ours, home), drawn))
    found = f"{len(off)} written, read by nibabel and SimpleITK; corners apart"
    yield measured("geometry", "orientations", found, max(apart), POINTS_BOUND_MM, "mm")
    found = f"{len(off)} drawn on one grid by SimpleITK and by inforeg; values off by, of their range"
    yield measured("geometry", "orientations", found, max(off), IMAGES_BOUND)


def _registration(fixed: Path, moving: Path, truth: Linear) -> Iterator[Check]:
    landmarks = _RADIUS_MM * torch.cartesian_prod(*[torch.linspace(-0.6, 0.6, 5, dtype=torch.float64)] * 3)
    result = register(fixed, moving, transform="rigid")
    answer = truth(landmarks)
    before = float(tre_mm(None, landmarks, answer).mean())
    error = float(tre_mm(result.transform, landmarks, answer).mean())
    found = f"a turn of {_TURN_DEG:g} degrees and a shift found again, {before:.0f} mm before; mean error now"
    yield measured("geometry", "registration", found, error, REGISTRATION_BOUND_MM, "mm")


def _transforms(folder: Path, fixed: Path, moving: Path) -> Iterator[Check]:
    sitk = simpleitk()
    theirs = [sitk.ReadImage(str(path)) for path in (fixed, moving)]
    ours = [io.read_image(path) for path in (fixed, moving)]
    grids = ours[0].grid, ours[1].grid
    # Voxels of the fixed image, well inside it: what is kept as a field on its grid is exact there.
    index = torch.cartesian_prod(*[torch.tensor([7.0, 16.0, 28.0, 37.0], dtype=torch.float64)] * 3)
    points = grids[0].to_world(index)
    off: dict[str, float] = {}
    written = [(f, suffix) for f in FORMATS if f.writes for suffix in f.suffixes if suffix not in _HALVES]
    for form, suffix in written:
        name = f"{form.name} {suffix}"
        try:
            what, transform, path = _exported(form, folder / f"{form.name}{suffix}", grids)
            read = io.read_transform(path, format=form.name, fixed=grids[0], moving=grids[1])
            apart = _largest(read(points) - transform(points))
            readers = "inforeg"
            if form.name in ("itk", "minc"):
                itk = _read_by_itk(path)
                landed = _landed(index, theirs[0], theirs[1], itk)
                apart = max(
                    apart, _largest((grids[1].to_voxel(transform(points)) - landed) * grids[1].spacing_mm)
                )
                drawn = sitk.GetArrayFromImage(sitk.Resample(theirs[1], theirs[0], itk))
                off[name] = _difference(resample(ours[1], grids[0], transform), drawn)
                readers = "inforeg and SimpleITK"
        except Exception as error:
            yield broken("geometry", name, error)
            continue
        found = f"{what} written, read by {readers}; points apart"
        yield measured("geometry", name, found, apart, POINTS_BOUND_MM, "mm")
    if off:
        worst = max(off, key=lambda name: off[name])
        found = f"drawn through {len(off)} of these files by SimpleITK and by inforeg; values off by, of their range"
        yield measured("geometry", f"warped images (worst {worst})", found, off[worst], IMAGES_BOUND)


def _exported(form: Format, path: Path, grids: tuple[Grid, Grid]) -> tuple[str, Transform, Path]:
    """The richest transform that a format holds, written to `path`."""
    affine, field = _affine(), _field()
    refused: WriteError | None = None
    for what, transform in (
        ("a matrix after a field", affine @ field),
        ("a matrix", affine),
        ("a field", field),
    ):
        try:
            io.write_transform(transform, path, format=form.name, fixed=grids[0], moving=grids[1])
            return what, transform, path
        except WriteError as error:
            refused = error
    assert refused is not None
    raise refused


def _read_by_itk(path: Path) -> Any:
    sitk = simpleitk()
    with quiet_libraries():
        try:
            return sitk.ReadTransform(str(path))
        except RuntimeError:
            field = sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkVectorFloat64)
            return sitk.DisplacementFieldTransform(field)


def _landed(index: Tensor, start: Any, end: Any, transform: Any = None) -> Tensor:
    """Where SimpleITK takes voxel indices of one image: to voxel indices of another."""
    rows = []
    for row in index.tolist():
        point = start.TransformContinuousIndexToPhysicalPoint(row)
        point = point if transform is None else transform.TransformPoint(point)
        rows.append(end.TransformPhysicalPointToContinuousIndex(point))
    return torch.tensor(rows, dtype=torch.float64)


def _largest(vectors: Tensor) -> float:
    return float(vectors.norm(dim=1).max())


def _difference(ours: Image, theirs: Any) -> float:
    """The largest difference of two images on one grid, as a share of their range."""
    a, b = ours.data[0, 0].double(), torch.from_numpy(theirs).double().permute(2, 1, 0)
    return float((a - b).abs().max()) / max(float(b.max() - b.min()), 1e-9)


def _write(path: Path, image: Image) -> Path:
    io.write_image(image, path, overwrite=True)
    return path


def _grid(
    axes: tuple[int, ...],
    signs: tuple[int, ...],
    count: int,
    spacing_mm: float,
    *,
    turned: bool = False,
    about: Tensor | None = None,
) -> Grid:
    """A field of view about a point: voxel axis `i` runs along world axis `axes[i]`; turned, it is oblique."""
    matrix = torch.zeros(4, 4, dtype=torch.float64)
    shape = [count - 2 * i for i in range(3)]
    for i, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        matrix[axis, i] = sign * spacing_mm * (1 + 0.05 * i)
    if turned:
        matrix[:3, :3] = _turn(17.0).matrix[:3, :3] @ matrix[:3, :3]
    middle = (torch.tensor(shape, dtype=torch.float64) - 1) / 2
    # A little off, so that no voxel of one grid lies on a face of another.
    centre = torch.tensor([0.37, -0.23, 0.41], dtype=torch.float64) + (0 if about is None else about)
    matrix[:3, 3] = centre - matrix[:3, :3] @ middle
    matrix[3, 3] = 1
    return Grid(tuple(shape), matrix)


def _head(grid: Grid, contrast: str, transform: Linear | None = None) -> Image:
    """A textured ball, lop-sided and different from each of its mirror images; moved by `transform`."""
    points = grid.points_mm() if transform is None else transform.inverse()(grid.points_mm())
    u = points / _RADIUS_MM
    squeezed = u * torch.tensor([1.0, 1.2, 1.35], dtype=torch.float64)
    inside = torch.sigmoid(20 * (0.95 - squeezed.norm(dim=1) - 0.15 * u[:, 0]))
    generator = torch.Generator().manual_seed(7)
    texture = torch.zeros(len(u), dtype=torch.float64)
    for _ in range(8):
        wave = torch.randn(3, generator=generator, dtype=torch.float64)
        wave = wave / wave.norm() * 2 * pi * (0.6 + torch.rand(1, generator=generator, dtype=torch.float64))
        texture += torch.sin(u @ wave + 2 * pi * torch.rand(1, generator=generator, dtype=torch.float64))
    white = torch.sigmoid(2 * texture)
    values = 100 * inside * (0.4 + 0.6 * white if contrast == "bright" else 1.0 - 0.7 * white)
    return Image(values.float().reshape(1, 1, *grid.shape), grid)


def _turn(angle_deg: float) -> Linear:
    axis = torch.tensor([0.4, -0.5, 0.77], dtype=torch.float64)
    turn = torch.cat((torch.zeros(3, dtype=torch.float64), radians(angle_deg) * axis / axis.norm()))
    return group("rigid", 3).exp(turn, torch.zeros(3, dtype=torch.float64), 1.0)


def _known_transform() -> Linear:
    shift = Linear.translation(torch.tensor(_SHIFT_MM, dtype=torch.float64))
    return Linear(shift.matrix @ _turn(_TURN_DEG).matrix)


def _affine() -> Linear:
    """A turn, shift, stretch and shear: no entry of its matrix is as it would be with another sign or order."""
    linear = torch.tensor(
        [[1.06, -0.17, 0.05], [0.14, 0.93, -0.09], [-0.03, 0.11, 1.02]], dtype=torch.float64
    )
    shift = torch.tensor([5.3, -3.1, 4.7], dtype=torch.float64)
    return Linear.about(linear, torch.tensor([10.0, -20.0, 15.0], dtype=torch.float64), shift)


def _field() -> Displacement:
    """Smooth displacements of up to a few millimetres, on a grid of its own."""
    grid = _grid((0, 1, 2), (1, 1, 1), 26, 6.0, turned=True)
    x, y, z = (grid.points_mm() / _RADIUS_MM).T
    vectors = torch.stack(
        (3 * torch.sin(2 * y + z), 2 * torch.cos(3 * x - z), 2.5 * torch.sin(x + 2 * z + 1))
    )
    return Displacement(vectors.float().reshape(3, *grid.shape), grid)
