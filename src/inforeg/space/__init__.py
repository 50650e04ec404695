"""Where voxels lie: grids and orientations, in RAS+ millimetres and float64."""

from inforeg.space.grid import Grid

__all__ = ["Grid"]
