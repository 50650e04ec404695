"""Ways to register, as values: `method(fixed, moving) -> Result`."""

from inforeg.methods.catalogue import METHODS, from_settings, named
from inforeg.methods.deformable import Deformable, deformable
from inforeg.methods.drmime_paper import DrmimePaper, drmime_paper
from inforeg.methods.linear import LinearMethod, linear_method
from inforeg.methods.method import Method
from inforeg.methods.result import Quality, Response, Result, Stage

__all__ = [
    "METHODS",
    "Deformable",
    "DrmimePaper",
    "LinearMethod",
    "Method",
    "Quality",
    "Response",
    "Result",
    "Stage",
    "deformable",
    "drmime_paper",
    "from_settings",
    "linear_method",
    "named",
]
