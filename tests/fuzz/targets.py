"""Every reader of inforeg, found by its own tables: what is read, how, and from which whole files."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.cases import Case
from fuzz.seeds_dicom import dicom_seeds, single_dicom_seeds
from fuzz.seeds_images import PLACE, SHAPE, image_seeds
from fuzz.seeds_others import registration_seeds, settings_seeds
from fuzz.seeds_points import point_seeds
from fuzz.seeds_transforms import transform_seeds


@dataclass(frozen=True)
class Target:
    """A reader: `read` gets the path of `entry` (the folder of the input itself if that is empty).

    `leads_out`: its files name others, which may lie anywhere.
    """

    name: str
    entry: str
    read: Callable[[Path], None] = field(repr=False)
    make: Callable[[], list[Case]] = field(repr=False)
    leads_out: bool = False

    def seeds(self) -> list[Case]:
        """Whole inputs, the same every time."""
        return self.make()


@cache
def targets() -> dict[str, Target]:
    """All readers by name, from the tables of inforeg as they are."""
    from inforeg.io import formats, point_formats
    from inforeg.io.transform_formats import FORMATS

    found = [_image(suffix) for suffix in formats.READERS]
    found.append(Target("image folder", "", _read_image, dicom_seeds))
    found.append(Target("image .dcm", "input.dcm", _read_image, single_dicom_seeds))
    for suffix in dict.fromkeys(s for f in FORMATS for s in f.suffixes):
        found.append(_transform(suffix, tuple(f.name for f in FORMATS if suffix in f.suffixes)))
    found += [
        _points(suffix) for suffix in dict.fromkeys(s for f in point_formats.FORMATS for s in f.suffixes)
    ]
    found += [_settings(suffix) for suffix in (".toml", ".json")]
    found.append(Target("registration folder", "", _read_registration, registration_seeds))
    return {target.name: target for target in found}


def _image(suffix: str) -> Target:
    return Target(f"image {suffix}", f"input{suffix}", _read_image, lambda: image_seeds(suffix))


def _read_image(path: Path) -> None:
    """By every door that images have."""
    from inforeg.io import read_header, read_image, read_labels, read_series

    found = [_refusal(read, path) for read in (read_header, read_image, read_labels, read_series)]
    series = found[-1]
    if not isinstance(series, Exception):
        for number in (0, len(series) - 1):
            _refusal(lambda n: series[n], number)
    # The image's own refusal is what counts; a series alone is read as well.
    if isinstance(found[1], Exception) and isinstance(series, Exception):
        raise found[1]


def _transform(suffix: str, names: tuple[str, ...]) -> Target:
    def read(path: Path) -> None:
        from inforeg.errors import InforegError

        found = [_read_transform(path, None)]
        found += [_read_transform(path, name) for name in dict.fromkeys(names)]
        if all(isinstance(one, InforegError) for one in found):
            raise found[0]

    # elastix names the transform before its own by a path that is as often absolute as not.
    out = "elastix" in names
    return Target(f"transform {suffix}", f"input{suffix}", read, lambda: transform_seeds(suffix), out)


def _read_transform(path: Path, name: str | None) -> Any:
    """Read, and used on a few points: a transform that reads and then falls over is a find as well."""
    import torch

    from inforeg.io import read_transform
    from inforeg.space import Grid

    grid = Grid(SHAPE, torch.from_numpy(PLACE))
    transform = _refusal(read_transform, path, format=name, fixed=grid, moving=grid)
    if not isinstance(transform, Exception):
        points = torch.from_numpy(np.array([[0.0, 0, 0], [5, -4, 9], [1e6, 1, 1]]))[:, : transform.ndim]
        _refusal(transform, points)
        _refusal(transform.jacobian, points)
    return transform


def _refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What the call gives, or the refusal that it raises on purpose."""
    from inforeg.errors import InforegError

    try:
        return call(*arguments, **options)
    except InforegError as error:
        message = str(error)
        if len(message) > 2000:
            raise AssertionError(f"a message of {len(message)} letters: {message[:100]!r}") from error
        if not all(c.isprintable() or c == "\n" for c in message):
            raise AssertionError(f"a message that is not plain text: {message[:300]!r}") from error
        return error


def _points(suffix: str) -> Target:
    return Target(f"points {suffix}", f"input{suffix}", _read_points, lambda: point_seeds(suffix))


def _read_points(path: Path) -> None:
    """Read in every space, and written again: what a format keeps of a damaged file it must be able to write."""
    import torch

    from inforeg.io import read_point_set, write_point_set
    from inforeg.space import Grid

    grid = Grid(SHAPE, torch.from_numpy(PLACE))
    flat = Grid(SHAPE[:2], torch.from_numpy(PLACE[np.ix_((0, 1, 3), (0, 1, 3))]))
    again = path.with_name(f"again{''.join(path.suffixes[-2:])}")
    found = [
        _refusal(read_point_set, path),
        _refusal(read_point_set, path, space="ras"),
        _refusal(read_point_set, path, space="lps", ndim=2),
        _refusal(read_point_set, path, space="voxel", grid=grid),
        _refusal(read_point_set, path, space="voxel", grid=flat),
    ]
    for points in found:
        if not isinstance(points, Exception):
            moved = points.moved(points.points_mm + 1)
            _refusal(write_point_set, moved, again, grid=flat if moved.points_mm.shape[1] == 2 else grid)
            again.unlink(missing_ok=True)
    if all(isinstance(one, Exception) for one in found):
        raise found[0]


def _settings(suffix: str) -> Target:
    return Target(f"settings {suffix}", f"input{suffix}", _read_settings, lambda: settings_seeds(suffix))


def _read_settings(path: Path) -> None:
    from inforeg.methods import LinearMethod

    error = _refusal(LinearMethod.load, path)
    if isinstance(error, Exception):
        raise error


def _read_registration(path: Path) -> None:
    """A folder that register wrote, as a link of a chain."""
    from inforeg.register.chains import read_link

    link = _refusal(read_link, path)
    if isinstance(link, Exception):
        raise link
    _refusal(link.walked, True, False)
