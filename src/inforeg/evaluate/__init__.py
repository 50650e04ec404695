"""How good a result is, measured against answers that are known: points and labels."""

from inforeg.evaluate.overlap import dice
from inforeg.evaluate.points import PointErrors, point_errors, tre_mm

__all__ = ["PointErrors", "dice", "point_errors", "tre_mm"]
