"""What the images of a pair tell of a displacement."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Told:
    """What the images tell of a displacement, voxel by voxel.

    `slope` is how much the log-likelihood of the fixed voxel grows with the warped intensity, in nats per bin;
    `curvature` the square of that to be expected for its fixed intensity. `nats` is the information per voxel.
    """

    slope: Tensor
    curvature: Tensor
    nats: float


@dataclass(frozen=True, eq=False)
class Pulled:
    """What is told of displacements themselves, where it is not told by way of intensities.

    `force` `(d, *box)` is how the log-likelihood grows with the displacement of each voxel, in nats/mm along the axes;
    `stiffness` `(d, *box)` how fast that falls again, in nats/mm^2. Times `independence` they are what independent
    voxels would give. `nats` is the information per place that tells.
    """

    force: Tensor
    stiffness: Tensor
    independence: float
    nats: float
