"""How good a result is, measured against answers that are known (points, labels) or by itself (Jacobian)."""

from inforeg.evaluate.jacobian import JacobianSummary, jacobian_determinants, jacobian_summary
from inforeg.evaluate.landmarks import naed, rtre
from inforeg.evaluate.overlap import dice
from inforeg.evaluate.points import PointErrors, point_errors, tre_mm

__all__ = [
    "JacobianSummary",
    "PointErrors",
    "dice",
    "jacobian_determinants",
    "jacobian_summary",
    "naed",
    "point_errors",
    "rtre",
    "tre_mm",
]
