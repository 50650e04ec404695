"""Writing and reading give back every number to the precision that the format promises, whatever is written.

A hundred examples of each kind of file in a normal run, ten thousand with `make round-trips`
(`pytest --hypothesis-profile=thorough --timeout=0 tests/laws/test_round_trips.py`).
"""

from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from point_samples import Sample, samples
from promises import FLOAT64, IMAGES, POINTS, TRANSFORMS, ImagePromise, Promise
from strategies import GridNumbers, bsplines, chains, displacements, grids, linears
from torch import Tensor

from inforeg.image import Image
from inforeg.io import (
    read_image,
    read_point_set,
    read_points,
    read_transform,
    write_image,
    write_point_set,
    write_points,
    write_transform,
)
from inforeg.io.formats import HOLDS, READERS, WRITERS
from inforeg.io.point_formats import FORMATS as POINT_FORMATS
from inforeg.io.point_formats import Format as PointFormat
from inforeg.io.transform_formats import FORMATS, Format
from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear, Transform
from inforeg.transforms.linear import compose

SAMPLES = list(samples().values())

# Which digit of an example matters takes a minute to find out, and says nothing about numbers that are lost.
SETTINGS = settings(phases=set(Phase) - {Phase.explain})


@pytest.fixture(autouse=True)
def one_thread(one_thread: None) -> None:
    """Threads that wait for one another take ten times as long as the work on grids this small."""


def apart(read: Tensor, written: Tensor, reach: float = 0.0) -> float:
    """The largest difference, relative to the largest number or to `reach`."""
    assert read.shape == written.shape
    if torch.equal(read, written):
        return 0.0
    largest = max(float(written.abs().max()), reach)
    return float((read.double() - written.double()).abs().max()) / largest


def grids_apart(read: Grid, written: Grid) -> float:
    assert read.shape == written.shape
    return apart(read.voxel_to_world, written.voxel_to_world)


def check_same(read: Transform, written: Transform, promise: Promise, reach: float = 0.0) -> None:
    """The same parts with the same numbers: values to `precision`, grids to `place`."""
    assert type(read) is type(written)
    if isinstance(read, Composite) and isinstance(written, Composite):
        assert len(read.parts) == len(written.parts)
        for one, other in zip(read.parts, written.parts, strict=True):
            check_same(one, other, promise, reach)
    elif isinstance(read, Linear) and isinstance(written, Linear):
        assert apart(read.matrix, written.matrix, reach) <= promise.precision
    elif isinstance(read, Displacement) and isinstance(written, Displacement):
        assert apart(read.vectors, written.vectors, reach) <= promise.precision
        assert grids_apart(read.grid, written.grid) <= promise.place
    elif isinstance(read, BSpline) and isinstance(written, BSpline):
        assert apart(read.coefficients, written.coefficients, reach) <= promise.precision
        assert grids_apart(read.grid, written.grid) <= promise.place
    else:
        raise AssertionError(f"no comparison for {type(read).__name__}")


# Made once: making a strategy for every example takes longer than the example.
@cache
def places(ndim: int, shear: float, sizes: tuple[int, int]) -> st.SearchStrategy[GridNumbers]:
    return grids(ndim, shear=shear, sizes=sizes)


@cache
def transforms(kind: str, ndim: int, shear: float) -> st.SearchStrategy:
    """What draws transforms of a kind (see `promises`)."""
    fields = displacements(places(ndim, shear, (1, 4)))
    splines = bsplines(places(ndim, shear, (4, 5)))
    return {
        "linear": linears(ndim),
        "linears": chains(linears(ndim)),
        "projective": linears(ndim, "projective", 0.2),
        "displacement32": fields,
        "displacement64": fields,
        "bspline": splines,
        "chain": chains(st.one_of(linears(ndim), fields)),
        "long chain": chains(st.one_of(linears(ndim), fields, splines)),
    }[kind]


WRITTEN = [
    pytest.param(form, TRANSFORMS[form.name, form.suffixes[0]], id=f"{form.name}{form.suffixes[0]}")
    for form in FORMATS
    if form.writes and (form.name, form.suffixes[0]) in TRANSFORMS
]


@pytest.mark.parametrize(("form", "promise"), WRITTEN)
@given(data=st.data())
@SETTINGS
def test_transforms(form: Format, promise: Promise, folder: Path, data: st.DataObject) -> None:
    ndim = data.draw(st.sampled_from(promise.ndims), "axes")
    kind = data.draw(st.sampled_from(promise.holds), "kind")
    written = data.draw(transforms(kind, ndim, promise.shear), "transform").transform()
    where = places(ndim, promise.shear, (1, 4))
    both: dict[str, Grid] = {}
    if promise.grids:
        both = {"fixed": data.draw(where, "fixed").grid(), "moving": data.draw(where, "moving").grid()}
    path = folder / f"a{data.draw(st.sampled_from(form.suffixes), 'ending')}"
    write_transform(written, path, format=form.name, overwrite=True, **both)
    read = read_transform(path, format=form.name, **both)
    reach = max((float(grid.corners_mm().abs().max()) for grid in both.values()), default=0.0)
    expected = compose([written])
    if promise.resampled:
        expected = Displacement.of(expected, both["fixed"], torch.float64)
        reach += float(expected(both["fixed"].points_mm()).abs().max())
    # Linear neighbours are read as their product.
    merged = isinstance(written, Composite) and len(written.parts) != len(
        expected.parts if isinstance(expected, Composite) else (expected,)
    )
    check_same(read, expected, promise.loosened() if merged else promise, reach)


HELD = [
    pytest.param(suffix, IMAGES[suffix], id=suffix)
    for suffix in READERS
    if suffix in WRITERS and suffix in IMAGES
]


@pytest.mark.parametrize(("suffix", "promise"), HELD)
@given(data=st.data())
@SETTINGS
def test_images(suffix: str, promise: ImagePromise, folder: Path, data: st.DataObject) -> None:
    ndim = data.draw(st.sampled_from(promise.ndims), "axes")
    if promise.oriented:
        where = data.draw(places(ndim, promise.shear, (1, 5)), "grid")
        # A volume of one slice may be read as 2-D.
        grid = where._replace(shape=[*where.shape[:2], *(max(2, n) for n in where.shape[2:])]).grid()
    else:
        width, height = (data.draw(st.integers(1, 5)) for _ in range(2))
        spacings = [data.draw(st.floats(0.01, 5)) for _ in range(2)]
        grid = Grid((width, height), torch.diag(torch.tensor([-spacings[0], -spacings[1], 1.0])))
    # An image's values are float32 in memory; labels of 64 bits have tests of their own.
    types = [name for name in HOLDS[suffix] if name not in ("int64", "uint64")]
    dtype = data.draw(st.sampled_from(types), "type")
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**31), "seed"))
    values = 100 * torch.randn(1, 1, *grid.shape, generator=generator)
    if not dtype.startswith("float"):
        values = values.abs().round() % 128
    path = folder / f"a{suffix}"
    write_image(Image(values, grid), path, dtype=dtype, overwrite=True)
    read = read_image(path)
    assert torch.equal(read.data, values)
    assert read.dtype == dtype
    assert grids_apart(read.grid, grid) <= promise.place


@cache
def coordinates(fewest: int, most: int, ndim: int) -> st.SearchStrategy[Tensor]:
    """Points within a metre, of any number of digits."""
    numbers = st.floats(-1000, 1000, allow_subnormal=False)
    point = st.lists(numbers, min_size=ndim, max_size=ndim)
    listed = st.lists(point, min_size=fewest, max_size=most)
    return listed.map(lambda rows: torch.tensor(rows, dtype=torch.float64))


@pytest.mark.parametrize("form", [pytest.param(form, id=form.name) for form in POINT_FORMATS if form.plain])
@given(data=st.data())
@SETTINGS
def test_points(form: PointFormat, folder: Path, data: st.DataObject) -> None:
    ndim = data.draw(st.sampled_from((2, 3) if form.flat else (3,)), "axes")
    space = data.draw(st.sampled_from(form.spaces), "space")
    grid = data.draw(places(ndim, 0.3, (2, 9)), "grid").grid() if space == "voxel" else None
    points = data.draw(coordinates(1, 8, ndim), "points")
    path = folder / f"a{data.draw(st.sampled_from(form.suffixes), 'ending')}"
    write_points(points, path, space=space, grid=grid, overwrite=True)
    read = read_points(path, grid=grid, ndim=ndim)
    reach = 0.0 if grid is None else float(grid.corners_mm().abs().max())
    assert apart(read, points, reach) <= (POINTS[form.name].precision if grid is None else FLOAT64)


@pytest.mark.parametrize("form", [pytest.param(form, id=form.name) for form in POINT_FORMATS])
@given(data=st.data())
@SETTINGS
def test_points_in_files_that_hold_more(form: PointFormat, folder: Path, data: st.DataObject) -> None:
    """What the points belong to stays, with points elsewhere, in the type of number that the file has."""
    known = [sample for sample in SAMPLES if sample.suffix in form.suffixes and is_of(sample, form)]
    sample = data.draw(st.sampled_from(known), "sample")
    space = None if sample.space else data.draw(st.sampled_from(("ras", "lps")), "space")
    count, ndim = sample.numbers.shape
    points = data.draw(coordinates(count, count, ndim), "points")
    path = folder / f"a{sample.suffix}"
    path.write_bytes(sample.content)
    write_point_set(read_point_set(path, space=space).moved(points), path, overwrite=True)
    read = read_point_set(path, space=space)
    # What is smaller than any normal number of float32 may become nothing.
    allowed = sample.precision_mm(points.numpy()) + torch.finfo(torch.float32).tiny
    assert float((read.points_mm - points).abs().max()) <= allowed


def is_of(sample: Sample, form: PointFormat) -> bool:
    """Whether it is the format that reads the sample, of those with its ending."""
    sharing = [other for other in POINT_FORMATS if sample.suffix in other.suffixes]
    reads = next((other for other in sharing[:-1] if other.load().recognises(sample.content)), sharing[-1])
    return reads.name == form.name
