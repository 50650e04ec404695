"""What mutual information and its normalised form share: the joint histogram and the entropies of it."""

from abc import abstractmethod
from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.metrics.histogram import Window, intensity_range, joint_histogram, place
from inforeg.metrics.metric import Metric
from inforeg.settings import Settings

Range = tuple[float, float]


class ParzenSettings(Settings):
    """See `ParzenMetric`."""

    bins: Annotated[int, Field(ge=4, le=1024)]
    fixed_window: Window
    warped_window: Window
    clip: Annotated[float, Field(ge=0, lt=0.5)]
    fixed_range: Range | None
    warped_range: Range | None


class ParzenMetric(Metric):
    """A metric that is a function of the joint histogram of the two images' intensities.

    `bins` per image; samples are spread over them with `fixed_window` and `warped_window`, B-splines of
    degree 0, 1 or 3 (`nearest`, `linear`, `cubic`). The bins span `fixed_range` and `warped_range`, or where
    these are none, the range of the samples but for a share `clip` at either end; values beyond count as the
    ends. The range counts as a constant: the gradient is exact but for that. Images of several channels cost
    the mean over all pairs of channels.

    Raises `UsageError` for a range that is none.
    """

    across_contrasts: ClassVar[bool] = True
    symmetric: ClassVar[bool] = True

    def __init__(
        self,
        *,
        bins: int = 32,
        fixed_window: Window = "cubic",
        warped_window: Window = "cubic",
        clip: float = 0.001,
        fixed_range: Range | None = None,
        warped_range: Range | None = None,
    ) -> None:
        super().__init__()
        for name, limits in (("fixed_range", fixed_range), ("warped_range", warped_range)):
            if limits is not None and limits[0] >= limits[1]:
                raise UsageError(f"expected {name} as (low, high) with low < high, got {tuple(limits)}")
        self.settings: ParzenSettings = ParzenSettings(
            bins=bins,
            fixed_window=fixed_window,
            warped_window=warped_window,
            clip=clip,
            fixed_range=fixed_range,
            warped_range=warped_range,
        )

    @abstractmethod
    def _from_joint(self, joint: Float[Tensor, "k k"]) -> Float[Tensor, ""]:
        """What a joint distribution (of sum one) costs."""

    def neutral(self, fixed: Tensor, weight: Tensor | None = None) -> Tensor:
        return fixed.new_zeros(fixed.shape[0])

    def _compare(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        return torch.stack(
            [self._compare_pair(x, y, w) for x, y, w in zip(fixed, warped, weight, strict=True)]
        )

    def _compare_pair(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        s = self.settings
        rows = [_placed(x, weight, s.fixed_range, s.clip, s.bins, s.fixed_window) for x in fixed]
        columns = [_placed(y, weight, s.warped_range, s.clip, s.bins, s.warped_window) for y in warped]
        costs = []
        for row in rows:
            for column in columns:
                table = joint_histogram(row, column, weight, s.bins, s.fixed_window, s.warped_window)
                total = table.sum()
                costs.append(self._from_joint(table / torch.where(total > 0, total, 1.0)))
        return torch.stack(costs).mean()


def _placed(
    values: Tensor, weight: Tensor, limits: Range | None, clip: float, bins: int, window: Window
) -> Tensor:
    if limits is None:
        low, high = intensity_range(values, weight, clip)
    else:
        low, high = values.new_tensor(limits[0]), values.new_tensor(limits[1])
    return place(values, low, high, bins, window)


def entropies(joint: Float[Tensor, "k k"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
    """The entropies, in nats, of the rows, of the columns, and of both together."""
    return _entropy(joint.sum(dim=1)), _entropy(joint.sum(dim=0)), _entropy(joint)


def _entropy(probability: Tensor) -> Tensor:
    # Empty bins have an infinite slope and nothing that moves along it.
    return -(probability * torch.where(probability > 0, probability, 1.0).log()).sum()
