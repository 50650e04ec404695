"""One pair of images to register, with what is known of the answer."""

from dataclasses import dataclass

from torch import Tensor

from inforeg.image import Image, Labels
from inforeg.transforms import Composite, Linear, Transform


@dataclass(frozen=True, eq=False)
class Case:
    """A pair whose headers agree: every tool starts from the identity, and no affine stage is wanted.

    `brain` says which voxels of the fixed grid are measured. Either `truth` (fixed to moving points, exact at
    the fixed voxel centres) is known, or
    `fixed_labels` and `moving_labels` are; the latter are on the moving head's own grid, and `affine` takes points of
    the moving image that the tools get to points of that head: labels are interpolated once. `group` is what sort of
    pair it is within its set, such as `T1-T2`.
    """

    set: str
    number: int
    group: str
    fixed: Image
    moving: Image
    brain: Tensor
    truth: Transform | None = None
    fixed_labels: Labels | None = None
    moving_labels: Labels | None = None
    affine: Linear | None = None

    @property
    def name(self) -> str:
        """What it is called in tables and files."""
        return case_name(self.set, self.number)

    def to_head(self, transform: Transform) -> Transform:
        """A tool's transform, on to where the moving labels are."""
        return transform if self.affine is None else Composite((self.affine, transform))


def case_name(set: str, number: int) -> str:
    """The name of case number n of a set."""
    return f"{set}-{number:03d}"
