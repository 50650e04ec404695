"""Ways to register, as values: `method(fixed, moving) -> Result`."""

from inforeg.methods.linear import LinearMethod, linear_method
from inforeg.methods.result import Quality, Result, Stage

__all__ = ["LinearMethod", "Quality", "Result", "Stage", "linear_method"]
