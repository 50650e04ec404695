"""One pair of images with its answer, and how far a transform is from it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from inforeg.evaluate import naed, rtre, tre_mm
from inforeg.image import Image
from inforeg.image.interpolate import inside_grid
from inforeg.space import Grid
from inforeg.transforms import Linear, Transform


@dataclass(frozen=True, eq=False)
class Case:
    """A pair to register: the transform to ask for, and landmarks in both images, in RAS+ mm.

    `truth` takes fixed to moving points where it is known exactly; where landmarks were marked by hand it is None.
    Errors are divided by the extents of `frame`, a grid in the moving image's world. In pictures a pixel is a
    millimetre, and `unit` is then `px`.
    """

    set: str
    number: int
    fixed: Image
    moving: Image
    transform: str
    fixed_points_mm: Tensor
    moving_points_mm: Tensor
    frame: Grid
    unit: str
    truth: Linear | None = None

    @property
    def name(self) -> str:
        """What it is called in tables and files."""
        return f"{self.set}-{self.number:02d}"

    def errors(self, transform: Transform) -> "Errors":
        """How far a transform takes the landmarks from where they belong."""
        points = self.fixed_points_mm, self.moving_points_mm
        relative = rtre(transform, *points, self.frame)
        return Errors(
            naed=float(naed(transform, *points, self.frame).mean()),
            rtre_median=float(relative.quantile(0.5)),
            rtre_mean=float(relative.mean()),
            distance=float(tre_mm(transform, *points).mean()),
        )


@dataclass(frozen=True)
class Errors:
    """The measures of one answer: NAED, median and mean rTRE over the landmarks, mean distance in the case's unit."""

    naed: float
    rtre_median: float
    rtre_mean: float
    distance: float


def exact_case(
    set: str,
    number: int,
    fixed: Image,
    moving: Image,
    transform: str,
    truth: Linear,
    *,
    box: Grid | None = None,
    frame: Grid | None = None,
    unit: str = "px",
) -> Case:
    """A case whose landmarks are spread evenly over a box of the fixed image, where the moving image sees them.

    They are 10 along each axis of a picture, 5 of a volume. Without a box it is the whole image, and so is the frame.
    """
    box = box or fixed.grid
    count = 10 if box.ndim == 2 else 5
    axis = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    shares = torch.cartesian_prod(*[axis] * box.ndim)
    points = box.to_world(shares * torch.tensor(box.shape, dtype=torch.float64) - 0.5)
    belongs = truth(points)
    seen = inside_grid(moving.grid.to_voxel(belongs), moving.grid.shape)
    return Case(
        set, number, fixed, moving, transform, points[seen], belongs[seen], frame or moving.grid, unit, truth
    )
