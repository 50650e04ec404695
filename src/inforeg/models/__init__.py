"""What may move: each model's forward() gives a transform, and its parameters are what is optimised."""

from inforeg.models.linear import LinearUnknowns

__all__ = ["LinearUnknowns"]
