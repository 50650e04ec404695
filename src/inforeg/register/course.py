"""The way a registration took: where each of its steps put the object's rim, and what the transforms did."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Foreground
from inforeg.methods import Stage
from inforeg.transforms import Linear, Transform


@dataclass(frozen=True, eq=False)
class Course:
    """The matrices of all steps `(s, d+1, d+1)`, in words what each belongs to, the end, and the object they move.

    Where a registration goes on to deform, the course is that of the linear stages before, and ends where they do;
    `then` names the stages that follow.
    """

    matrices: Float[Tensor, "s e e"]
    words: list[str]
    end: Linear
    object: Foreground
    then: tuple[str, ...] = ()

    @classmethod
    def of(cls, stages: Sequence[Stage], end: Transform, object: Foreground) -> "Course | None":
        """The course of linear stages that kept their paths; None where one did not, or a step led nowhere.

        Stages from the first on that deforms are no part of it: they have no matrices.
        """
        then: tuple[str, ...] = ()
        if not isinstance(end, Linear):
            linear = list(takewhile(lambda stage: isinstance(stage.transform, Linear), stages))
            then = tuple(stage.name for stage in stages[len(linear) :]) or ("the deformation",)
            stages = linear
        if any(len(stage.path) != len(stage.metric) for stage in stages):
            return None
        path = [transform.matrix for stage in stages for transform in stage.path]
        if not path:
            return None
        levels = len({mm for stage in stages for mm in stage.spacing_mm}) > 1
        words = [
            f"{stage.name} at {mm:.3g} mm" if levels else stage.name
            for stage in stages
            for mm in stage.spacing_mm
        ]
        last = end if isinstance(end, Linear) else Linear(path[-1])
        made = cls(torch.stack(path), words, last, object, then)
        # A projective step gone astray may take a point of the object to infinity.
        inside = torch.cat((object.centre_mm[None], made.rim_mm))
        below = torch.cat((made.matrices, last.matrix[None]))[:, -1]
        return made if bool((below[:, :-1] @ inside.T + below[:, -1:] > 1e-6).all()) else None

    @property
    def rim_mm(self) -> Float[Tensor, "n d"]:
        """Points all over the rim of the object's ball."""
        d = self.end.ndim
        if d == 2:
            angle = torch.arange(32, dtype=torch.float64) * (2 * torch.pi / 32)
            directions = torch.stack((angle.cos(), angle.sin()), dim=1)
        else:
            axis = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
            directions = torch.cartesian_prod(axis, axis, axis)
            directions = directions[directions.norm(dim=1) > 0]
            directions = directions / directions.norm(dim=1, keepdim=True)
        return self.object.centre_mm + self.object.radius_mm * directions

    def put_mm(self, matrices: Float[Tensor, "s e e"]) -> Float[Tensor, "s n d"]:
        """Where matrices take the rim's points."""
        rim = self.rim_mm
        points = torch.cat((rim, torch.ones_like(rim[:, :1])), dim=1) @ matrices.transpose(1, 2)
        return points[..., :-1] / points[..., -1:]

    def left_mm(self, matrices: Float[Tensor, "s e e"]) -> Float[Tensor, " s"]:
        """How far the farthest point of the rim is from where the end takes it."""
        left: Tensor = (self.put_mm(matrices) - self.put_mm(self.end.matrix[None])).norm(dim=-1).amax(dim=-1)
        return left

    def motion(self) -> tuple[Float[Tensor, " s"], Float[Tensor, " s"], Float[Tensor, " s"]]:
        """Rotation in degrees (2-D: counter-clockwise, 3-D: without sign), scale, and shift in mm, at the centre."""
        m, d, centre = self.matrices, self.end.ndim, self.object.centre_mm
        below = m[:, d, :d] @ centre + m[:, d, d]
        landed = (m[:, :d, :d] @ centre + m[:, :d, d]) / below[:, None]
        linear = (m[:, :d, :d] - landed[:, :, None] * m[:, d, None, :d]) / below[:, None, None]
        u, _, vt = torch.linalg.svd(linear)
        mirrored = torch.linalg.det(u @ vt) < 0
        u[mirrored, :, -1] *= -1
        turn = u @ vt
        if d == 2:
            angle = torch.atan2(turn[:, 1, 0], turn[:, 0, 0])
        else:
            skew = torch.stack(
                [turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]],
                dim=1,
            )
            # By sine and cosine: the cosine alone is blind to small angles.
            angle = torch.atan2(skew.norm(dim=1), turn.diagonal(dim1=1, dim2=2).sum(dim=1) - 1)
        scale = torch.linalg.det(linear).abs() ** (1 / d)
        return torch.rad2deg(angle), scale, (landed - centre).norm(dim=1)
