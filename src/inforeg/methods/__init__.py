"""Ways to register, as values: `method(fixed, moving) -> Result`."""

from inforeg.methods.catalogue import METHODS, from_settings, named
from inforeg.methods.linear import LinearMethod, linear_method
from inforeg.methods.method import Method
from inforeg.methods.result import Quality, Response, Result, Stage

__all__ = [
    "METHODS",
    "LinearMethod",
    "Method",
    "Quality",
    "Response",
    "Result",
    "Stage",
    "from_settings",
    "linear_method",
    "named",
]
