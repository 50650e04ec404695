"""How good a result is: against answers that are known (points, labels, a true transform), or by itself (Jacobian)."""

from inforeg.evaluate.fields import FieldErrors, dense_error_mm, field_errors, inverse_error_mm
from inforeg.evaluate.jacobian import (
    JacobianSummary,
    jacobian_determinants,
    jacobian_summary,
    smoothness,
)
from inforeg.evaluate.landmarks import naed, rtre
from inforeg.evaluate.overlap import dice
from inforeg.evaluate.points import PointErrors, point_errors, tre_mm
from inforeg.evaluate.surfaces import SurfaceDistance, surface_distances

__all__ = [
    "FieldErrors",
    "JacobianSummary",
    "PointErrors",
    "SurfaceDistance",
    "dense_error_mm",
    "dice",
    "field_errors",
    "inverse_error_mm",
    "jacobian_determinants",
    "jacobian_summary",
    "naed",
    "point_errors",
    "rtre",
    "smoothness",
    "surface_distances",
    "tre_mm",
]
