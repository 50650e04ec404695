"""How good an answer is: one code for every tool."""

from dataclasses import dataclass
from math import isnan
from statistics import fmean

import numpy as np
import torch

from inforeg.bench.deformable.case import Case
from inforeg.evaluate import dense_error_mm, dice, field_errors, inverse_error_mm, smoothness
from inforeg.image import Labels, resample_labels
from inforeg.transforms import Displacement, Linear, Transform


@dataclass(frozen=True)
class Measures:
    """The measures of one answer; None where a case or a tool gives nothing to measure.

    Errors are distances in mm, at the voxel centres of the fixed brain, from where the truth takes them: mean, median
    and 95th percentile. `dice` is the mean over the structures that both heads have. `folds` counts brain voxels whose
    determinant, by central differences of where the fixed grid's voxels go, is zero or below. The inverse error is the
    distance of a brain voxel from itself after going there and back.
    """

    error_mm: float | None
    median_mm: float | None
    p95_mm: float | None
    dice: float | None
    folds: int
    share_folded: float
    smallest_jacobian: float
    sd_log_jacobian: float
    inverse_mean_mm: float | None
    inverse_max_mm: float | None


def measured(case: Case, transform: Transform, inverse: Transform | None) -> Measures:
    """The measures of a transform (fixed to moving points) and, where there is one, its inverse.

    All are taken at the fixed image's voxel centres, where it is evaluated once.
    """
    grid, brain = case.fixed.grid, case.brain
    field = Displacement.of(transform, grid, torch.float64)
    error = None if case.truth is None else field_errors(dense_error_mm(field, case.truth, grid, brain))
    back = None if inverse is None else field_errors(inverse_error_mm(field, inverse, grid, brain))
    jacobian = smoothness(field, grid, brain)
    return Measures(
        error_mm=None if error is None else error.mean_mm,
        median_mm=None if error is None else error.median_mm,
        p95_mm=None if error is None else error.p95_mm,
        dice=mean_dice(case, field),
        folds=jacobian.folds,
        share_folded=jacobian.share_folded,
        smallest_jacobian=jacobian.smallest,
        sd_log_jacobian=jacobian.sd_log,
        inverse_mean_mm=None if back is None else back.mean_mm,
        inverse_max_mm=None if back is None else back.max_mm,
    )


def before(case: Case) -> Measures:
    """The measures of doing nothing."""
    return measured(case, Linear.identity(case.fixed.grid.ndim), None)


def mean_dice(case: Case, transform: Transform) -> float | None:
    """Mean Dice over the structures that both heads have; None where a case has no labels.

    The moving head's labels are brought to the fixed grid by one nearest-neighbour interpolation.
    """
    fixed, moving = case.fixed_labels, case.moving_labels
    if fixed is None or moving is None:
        return None
    both = (_ids(fixed) & _ids(moving)) - {0}
    warped = resample_labels(moving, case.fixed.grid, case.to_head(transform))
    values = dice(fixed, warped, sorted(both)).values()
    return fmean(0.0 if isnan(value) else value for value in values)


def _ids(labels: Labels) -> set[int]:
    return set(np.unique(labels.data.numpy()).tolist())
