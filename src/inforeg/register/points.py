"""What the report shows of keypoints."""

from math import ceil

import numpy as np
import torch
from torch import Tensor

from inforeg import report
from inforeg.image import Image, to_scalar
from inforeg.image.filters import downsample
from inforeg.methods.result import Points
from inforeg.register.planes import planes_of

LONGEST = 256


def keypoints_of(points: Points, fixed: Image, moving: Image) -> report.Keypoints:
    """Points over slices through their middle in both images, which are no finer than a page shows them."""
    p = points.fixed_mm
    # Along the direction in which points spread most, so that neighbours are alike and ends are not.
    centred = p - p.mean(dim=0)
    along = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[0]
    rank = along.argsort().argsort().double() / max(1, len(p) - 1)
    return report.Keypoints(
        _slices(fixed, p),
        _slices(moving, points.moving_mm),
        points.weights.numpy(),
        points.left_mm.numpy(),
        rank.numpy(),
    )


def _slices(image: Image, points_mm: Tensor) -> list[report.Slice]:
    image = to_scalar(image)
    factor = ceil(max(image.grid.shape) / LONGEST)
    if factor > 1:
        image = downsample(image, [min(factor, n) for n in image.grid.shape])
    planes = planes_of(image.grid, points_mm.mean(dim=0))
    pictures = report.to_bytes([plane.picture(image, None, float(image.data.min())) for plane in planes])
    found = []
    for plane, picture in zip(planes, pictures, strict=True):
        at, away_mm = plane.places(points_mm)
        down_mm, across_mm = plane.spacing_mm
        aspect = picture.shape[0] * down_mm / (picture.shape[1] * across_mm)
        found.append(
            report.Slice(plane.name, np.ascontiguousarray(picture), aspect, at.numpy(), away_mm.numpy())
        )
    return found
