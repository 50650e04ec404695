"""Views to learn points from: an image as it would look turned, shifted and stretched, and where everything went."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image.sample import sample_where
from inforeg.train.pairs import warp
from inforeg.train.recipes import KeypointRecipe
from inforeg.train.source import ScanSource, seeded, shaded, uniform

# Of the motions, what is left at a second look.
_UPRIGHT = 0.1


@dataclass(frozen=True, eq=False)
class Views:
    """A pair of views: images `(2, 1, *shape)`, and poses `(2, d+1, d+1)`, float64, from points of the reference to
    points of each view, both in mm about the middle of the field of view.

    `shares` are how much of each voxel of each view is of each structure, `(2, s, *shape)`, where they are asked for.
    `known` says that both are of one subject, bent alike: the poses say exactly where points of one are in the other.
    """

    images: Tensor
    poses: Tensor
    name: str
    shares: Tensor | None = None
    known: bool = False


class ViewSource(ScanSource):
    """Draws views from prepared scans: `source.draw(n)` is the same pair whenever it is asked for, on any rank."""

    recipe: KeypointRecipe

    def draw(self, number: int, *, plain: bool = False, motion: float = 1.0) -> Views:
        """Pair number `number`, each image in a pose of its own, with so much of the motion; `plain` neither shades nor
        bends nor ramps."""
        recipe = self.recipe
        # Another stream for every split, so that no pair is drawn twice by chance.
        generator = seeded(recipe.seed, 100 + len(self.split), number, device=self.device)
        sides = [self.choose(self.fixed, None, generator)]
        subject = sides[0][0].subject
        one = uniform(generator) < recipe.one_subject
        own = [c for c in self.moving if any(scan.subject == subject for scan, _ in self.sources[c])]
        sides.append(
            self.choose(own, subject, generator, "same")
            if one and own
            else self.choose(self.moving, subject, generator)
        )
        known = sides[1][0].subject == subject
        seen = [self.shown(*side, generator) for side in sides]
        if (
            recipe.label_weight > 0
            and number >= recipe.anchored
            and not plain
            and not (known and recipe.agreement)
        ):
            shares = self.shares([scan for scan, _, _ in sides], generator)
            seen = [torch.cat(both) for both in zip(seen, shares, strict=True)]
        strength = motion * recipe.augment * (1.0 if plain else min(1.0, (number + 1) / (recipe.ramp + 1)))
        shape = seen[0].shape[1:]
        bends: list[Tensor | None] = [None, None]
        if recipe.warp_mm > 0 and not plain:
            size = recipe.augment * recipe.warp_mm / recipe.spacing_mm
            bends[0] = warp(shape, size, generator).to(self.device)
            bends[1] = bends[0] if known else warp(shape, size, generator).to(self.device)
        if recipe.flip and not plain and uniform(generator) < 0.5:
            seen = [image.flip(1) for image in seen]
        posed, poses = [], []
        for image, bend in zip(seen, bends, strict=True):
            share = _UPRIGHT if uniform(generator) < recipe.upright and not plain else 1.0
            matrix = pose(len(shape), recipe, strength * share, generator)
            view = _posed(image, matrix, recipe.spacing_mm, bend)
            posed.append(view if plain else torch.cat((shaded(view[:1], recipe, generator), view[1:])))
            poses.append(matrix)
        name = " to ".join(f"{scan.subject}_{contrast}" for scan, contrast, _ in reversed(sides))
        both = torch.stack(posed)
        along = both[:, 1:] if both.shape[1] > 1 else None
        return Views(both[:, :1], torch.stack(poses), name, along, known)


def pose(d: int, recipe: KeypointRecipe, strength: float, generator: torch.Generator) -> Float[Tensor, "e e"]:
    """A random pose about the origin, in mm and float64: stretched and sheared, then turned about any axis, then
    shifted. `strength` scales all of it."""

    def drawn(*shape: int) -> Tensor:
        made = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
        return strength * (2 * made.cpu() - 1)

    angle = float(drawn(1)) * recipe.rotation_deg * torch.pi / 180
    turn = torch.zeros(d, d, dtype=torch.float64)
    if d == 2:
        turn[0, 1], turn[1, 0] = -angle, angle
    else:
        axis = torch.randn(3, generator=generator, device=generator.device, dtype=torch.float64).cpu()
        x, y, z = (angle * axis / axis.norm().clamp(min=1e-12)).tolist()
        turn = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    sheared = drawn(d, d) * recipe.shear
    stretch = torch.diag(drawn(d) * recipe.scale) + (sheared + sheared.T) / 2 * (1 - torch.eye(d))
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] = torch.linalg.matrix_exp(turn) @ torch.linalg.matrix_exp(stretch)
    matrix[:d, d] = drawn(d) * recipe.shift_mm
    return matrix


def voxels_of(
    matrix: Float[Tensor, "e e"], shape: Sequence[int], spacing_mm: float
) -> Float[Tensor, "d ..."]:
    """Where a transform of points in mm about the middle takes the voxel centres of a grid, in voxels of the same."""
    d = len(shape)
    middle = (torch.tensor(shape, dtype=torch.float64, device=matrix.device) - 1) / 2
    lines = [torch.arange(n, dtype=torch.float64, device=matrix.device) for n in shape]
    linear = matrix[:d, :d].double()
    start = middle + matrix[:d, d].double() / spacing_mm - linear @ middle
    rows = []
    for row in range(d):
        total = start[row]
        for axis, line in enumerate(lines):
            total = total + (linear[row, axis] * line).reshape(-1, *[1] * (d - 1 - axis))
        rows.append(total)
    return torch.stack(rows).float()


def _posed(
    image: Float[Tensor, " c *shape"],
    matrix: Float[Tensor, "e e"],
    spacing_mm: float,
    bend: Float[Tensor, "1 d *shape"] | None,
) -> Float[Tensor, " c *shape"]:
    """The image in a pose; nothing where it was not seen. It is bent before, by displacements in voxels."""
    shape = image.shape[1:]
    voxel = voxels_of(torch.linalg.inv(matrix), shape, spacing_mm).to(image.device)[None]
    if bend is not None:
        voxel = voxel + sample_where(bend, voxel)
    ends = torch.tensor(shape, device=image.device).reshape(1, -1, *[1] * len(shape)) - 0.5
    inside = ((voxel > -0.5) & (voxel < ends)).all(dim=1)
    return sample_where(image[None], voxel)[0] * inside
