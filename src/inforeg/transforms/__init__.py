"""Values that take fixed world points to moving world points."""

from inforeg.transforms.base import Composite, Transform
from inforeg.transforms.bspline import BSpline
from inforeg.transforms.displacement import Displacement
from inforeg.transforms.fit import fit_affine, fit_rigid, fit_similarity, fit_translation
from inforeg.transforms.groups import LinearGroup, group
from inforeg.transforms.invert import Inverse, Inverted, approximate_inverse, inverted, solve
from inforeg.transforms.linear import Linear
from inforeg.transforms.thin_plate import ThinPlate, fit_thin_plate
from inforeg.transforms.velocity import Velocity, as_displacements, exponential

__all__ = [
    "BSpline",
    "Composite",
    "Displacement",
    "Inverse",
    "Inverted",
    "Linear",
    "LinearGroup",
    "ThinPlate",
    "Transform",
    "Velocity",
    "approximate_inverse",
    "as_displacements",
    "exponential",
    "fit_affine",
    "fit_rigid",
    "fit_similarity",
    "fit_thin_plate",
    "fit_translation",
    "group",
    "inverted",
    "solve",
]
