"""Mutual information by a network whose unrelated pairs come from the neighbourhood (MINE, locally shuffled)."""

from collections.abc import Sequence
from math import prod
from typing import Annotated, ClassVar, final

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from inforeg.metrics.donsker_varadhan import BiasCorrection, DonskerVaradhan, DonskerVaradhanSettings
from inforeg.metrics.statistics_network import Activation

# How often a partner without weight is drawn again, before a voxel is left to itself.
_REDRAWS = 8


class LocalMINESettings(DonskerVaradhanSettings):
    """See `LocalMINE`."""

    neighbourhood_voxels: Annotated[int, Field(ge=1)]
    samples: Annotated[int, Field(ge=2)] | None


@final
class LocalMINE(DonskerVaradhan):
    """`MINE` whose pairs that do not belong together are drawn from each voxel's neighbourhood.

    Works on whole images `(b, c, *shape)`: each voxel's fixed intensities are paired with the warped ones of a voxel
    drawn evenly from `neighbourhood_voxels` steps to either side along every axis, the voxel itself included, anew at
    every call. So tissue is told from the tissue around it, where a shuffle of the whole image mostly tells it from
    background. The neighbourhood is a length: 8 voxels of 1 mm in the paper, so fewer where voxels are larger. It ends
    where the image does: near a border the draw is from what is left of the cube, neither from its rim nor from the
    other side. A partner without weight is drawn again, up to eight times; a voxel that has found none by then is
    paired with itself, which tells nothing. Pairs weigh the product of their voxels' weights.

    `samples` looks at that many voxels of each pair and not at all of them, drawn evenly and anew at every call;
    partners may still be any voxel.

    Snaauw et al., EMBC 2022. We differ in that F has two hidden layers and not one unless `hidden_layers` says so, and
    in what happens at borders, of which the paper says nothing. `hidden`, `hidden_layers`, `activation`,
    `bias_correction`, `rate` and `drift_penalty` are those of `DonskerVaradhan`; memory is a few numbers for each
    voxel, whatever is `hidden`. Everything random is drawn from `generator`; without one, from one of its own, seeded
    with 0. `neutral` is zero. Raises `UsageError` for images of other numbers of channels than `channels`.
    """

    on_grids: ClassVar[bool] = True

    settings: LocalMINESettings

    def __init__(
        self,
        *,
        channels: tuple[int, int] = (1, 1),
        hidden: int = 30,
        hidden_layers: int = 2,
        activation: Activation = "relu",
        neighbourhood_voxels: int = 8,
        samples: int | None = None,
        bias_correction: BiasCorrection = "none",
        rate: float = 0.01,
        drift_penalty: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        settings = LocalMINESettings(
            channels=channels,
            hidden=hidden,
            hidden_layers=hidden_layers,
            activation=activation,
            neighbourhood_voxels=neighbourhood_voxels,
            samples=samples,
            bias_correction=bias_correction,
            rate=rate,
            drift_penalty=drift_penalty,
        )
        super().__init__(settings, generator)

    def _compare_pair(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        shape = tuple(weight.shape)
        fixed, warped, weight = fixed.flatten(1), warped.flatten(1), weight.flatten()
        voxel = weight.nonzero()[:, 0]
        if voxel.numel() < 2:
            return warped.sum() * 0.0
        samples = self.settings.samples
        if samples is not None and samples < voxel.numel():
            device = self.generator.device
            chosen = torch.randint(voxel.numel(), (samples,), generator=self.generator, device=device)
            voxel = voxel[chosen.to(voxel.device)]
        reach = (self.settings.neighbourhood_voxels,) * len(shape)
        partner = partners_nearby(voxel, weight, shape, reach, self.generator)
        x = _at(fixed, voxel)
        paired = self.network(x, _at(warped, voxel))
        unpaired = self.network(x, _at(warped, partner))
        own = weight[voxel]
        return self._bound(paired, own, unpaired, own.log() + weight[partner].log())


def partners_nearby(
    voxel: Int[Tensor, " n"],
    weight: Float[Tensor, " v"],
    shape: Sequence[int],
    reach: Sequence[int],
    generator: torch.Generator,
) -> Int[Tensor, " n"]:
    """A voxel with weight from the neighbourhood of each voxel, as places in a flattened image of that shape.

    All that the image holds within `reach` steps to either side along each axis is alike, the voxel itself included.
    What has no weight is drawn again, up to eight times; then the voxel itself serves.
    """
    partner = _draw(voxel, shape, reach, generator)
    for _ in range(_REDRAWS):
        missed = (weight[partner] == 0).nonzero()[:, 0]
        if missed.numel() == 0:
            return partner
        partner[missed] = _draw(voxel[missed], shape, reach, generator)
    return torch.where(weight[partner] > 0, partner, voxel)


def _draw(
    voxel: Int[Tensor, " n"], shape: Sequence[int], reach: Sequence[int], generator: torch.Generator
) -> Int[Tensor, " n"]:
    partner = torch.zeros_like(voxel)
    for axis, n in enumerate(shape):
        place = torch.arange(n, device=voxel.device)
        first, last = (place - reach[axis]).clamp(min=0), (place + reach[axis]).clamp(max=n - 1)
        step = prod(shape[axis + 1 :])
        along = voxel // step % n
        drawn = torch.rand(voxel.shape, generator=generator, device=generator.device)
        drawn = drawn.to(voxel.device).mul_((last - first + 1).to(drawn.dtype)[along]).to(voxel.dtype)
        # Rounding may reach one step too far.
        partner += torch.minimum(first[along].add_(drawn), last[along]).mul_(step)
    return partner


def _at(values: Float[Tensor, "c v"], voxel: Int[Tensor, " n"]) -> Float[Tensor, "n c"]:
    # Its derivative takes a tenth of the time of that of an index.
    return values.gather(1, voxel.expand(values.shape[0], -1)).T
