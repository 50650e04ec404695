"""Sets of pictures that scikit-image carries in its wheel: a fundus photograph, and a stained section."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from inforeg import io
from inforeg.bench.drmime.case import Case, exact_case
from inforeg.bench.drmime.changes import PICTURE, generator_for, relit
from inforeg.bench.drmime.drawing import drawn, in_pixels, placed, ready
from inforeg.image import Image
from inforeg.image.intensity import quantiles

# Of retina.jpg, in its pixels: the radius of the disc, and the side of the square that is shown of it.
DISC_PIXELS = 685.0
FUNDUS_PIXELS = 820.0
FUNDUS_SIZE = 320
# Of ihc.png: the side of the square that is shown of it.
STAINS_PIXELS = 340.0
STAINS_SIZE = 256


def missing(name: str) -> str:
    """What has to be done before that picture can be read; nothing where it is there."""
    folder = _folder()
    if folder is not None and (folder / name).is_file():
        return ""
    return f"needs {name} of scikit-image: pip install 'inforeg[bench]'"


def fundus(kind: str, number: int, seed: int, size: int | None) -> Case:
    """A colour fundus photograph and itself, moved, each in a light of its own; the disc's end is not seen."""
    name = "fundus" if kind == "affine" else f"fundus-{kind}"
    size = size or FUNDUS_SIZE
    source = _fundus(size)
    radius_mm = DISC_PIXELS * size / FUNDUS_PIXELS

    def within(corners: Tensor) -> bool:
        return bool((corners.norm(dim=1) < radius_mm).all())

    generator = generator_for(name, number, seed)
    square = torch.full((2,), float(size), dtype=torch.float64)
    where = placed(source.grid, kind, PICTURE, generator, extent_mm=square, shows=within)
    fixed = relit(drawn(source, where.fixed), generator)
    moving = relit(drawn(source, where.moving, where.truth.inverse()), generator)
    return exact_case(name, number, fixed, moving, kind, where.truth)


def stains(number: int, seed: int, size: int | None) -> Case:
    """The nuclei's stain (haematoxylin) of a section, and the antibody's (DAB) of the same section, moved."""
    size = size or STAINS_SIZE
    nuclei, antibody = _stains(size)
    half_mm = (nuclei.grid.extent_mm - nuclei.grid.spacing_mm) / 2

    def within(corners: Tensor) -> bool:
        return bool((corners.abs() < half_mm).all())

    generator = generator_for("stains", number, seed)
    square = torch.full((2,), float(size), dtype=torch.float64)
    where = placed(nuclei.grid, "affine", PICTURE, generator, extent_mm=square, shows=within)
    fixed = drawn(nuclei, where.fixed)
    moving = drawn(antibody, where.moving, where.truth.inverse())
    return exact_case("stains", number, fixed, moving, "affine", where.truth)


@lru_cache(maxsize=1)
def _fundus(size: int) -> Image:
    picture = io.read_image(_there() / "retina.jpg")
    return ready(in_pixels(picture, FUNDUS_PIXELS / size), 1.0)


@lru_cache(maxsize=1)
def _stains(size: int) -> tuple[Image, Image]:
    return section(STAINS_PIXELS / size)


def section(pixels: float) -> tuple[Image, Image]:
    """How densely each stain of the section lies, from 0 to 255: the nuclei's, and the antibody's; a millimetre stands
    for so many pixels."""
    from skimage.color import rgb2hed

    picture = io.read_image(_there() / "ihc.png")
    densities = torch.from_numpy(rgb2hed(picture.data[0].permute(1, 2, 0).numpy() / 255.0)).float()
    pair = []
    for channel, name in ((0, "haematoxylin"), (2, "DAB")):
        values = densities[..., channel]
        low, high = quantiles(values, (0.001, 0.999))
        values = 255 * ((values - low) / (high - low)).clamp(0, 1)
        image = Image(values[None, None], picture.grid, name)
        pair.append(ready(in_pixels(image, pixels), 1.0))
    return pair[0], pair[1]


def _there() -> Path:
    folder = _folder()
    assert folder is not None
    return folder


def _folder() -> Path | None:
    """Where scikit-image keeps its pictures; it is not imported for that, which takes long."""
    spec = find_spec("skimage")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "data"
