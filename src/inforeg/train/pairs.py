"""Pairs to learn from: drawn across subjects and contrasts, moved about, and shaded. The same number, the same pair."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image.sample import doubled, sample_where, stretched
from inforeg.space import Grid
from inforeg.train.prepared import Prepared
from inforeg.train.recipe import Recipe
from inforeg.train.source import ScanSource, seeded, shaded
from inforeg.transforms import exponential


@dataclass(frozen=True, eq=False)
class Drawn:
    """A pair on the canonical grid: images `(1, *shape)`, labels likewise where both have them, and what they are.

    `shares` say how much of each voxel of the fixed and of the moving image is of each structure whose overlap is asked
    for, `(structures, *shape)` each, moved as the images are; nothing anywhere where one of them has no label map.
    """

    fixed: Tensor
    moving: Tensor
    fixed_labels: Tensor | None
    moving_labels: Tensor | None
    name: str
    shares: tuple[Tensor, Tensor] | None = None


class PairSource(ScanSource):
    """Draws pairs from prepared scans: `source.draw(n)` is the same pair whenever it is asked for, on any rank."""

    def draw(self, number: int, *, plain: bool = False) -> Drawn:
        """Pair number `number`; `plain` leaves out all augmentation, so that label maps fit their images."""
        # Another stream for every split, so that no pair is drawn twice by chance.
        generator = seeded(self.recipe.seed, len(self.split), number, device=self.device)
        sides = [self.choose(self.fixed, None, generator)]
        sides.append(self.choose(self.moving, sides[0][0].subject, generator))
        images = [self.shown(*side, generator) for side in sides]
        maps = [self.labels_of(scan) for scan, _, _ in sides]
        if asked := self.recipe.label_weight > 0:
            shares = self.shares([scan for scan, _, _ in sides], generator)
            images = [torch.cat(both) for both in zip(images, shares, strict=True)]
        if not plain and self.recipe.augment > 0:
            images = augmented(images, self.recipe, generator)
            maps = [None, None]
        if any(m is None for m in maps):
            maps = [None, None]
        name = " to ".join(f"{scan.subject}_{contrast}" for scan, contrast, _ in reversed(sides))
        found = Drawn(images[0][:1], images[1][:1], maps[0], maps[1], name)
        return replace(found, shares=(images[0][1:], images[1][1:])) if asked else found


def augmented(
    images: Sequence[Float[Tensor, " c *shape"]], recipe: Recipe, generator: torch.Generator
) -> list[Float[Tensor, " c *shape"]]:
    """Both images of a pair, moved together and a little apart, shaded and noisy, as the recipe says.

    Channels after the first are what goes along with an image: moved, and neither shaded nor noisy.
    """
    shape = images[0].shape[1:]
    d, device = len(shape), images[0].device
    centre = (torch.tensor(shape, dtype=torch.float32) - 1) / 2
    together = _motion(d, recipe, recipe.augment, generator)
    if recipe.flip and float(torch.rand((), generator=generator, device=generator.device)) < 0.5:
        together[0, :d] *= -1
    lines = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in shape], indexing="ij")
    place = torch.stack(lines).reshape(d, -1) - centre[:, None]
    moved = []
    for number, image in enumerate(images):
        matrix = together
        if number == 1:
            matrix = _motion(d, recipe, recipe.augment * recipe.apart, generator) @ together
        voxel = (matrix[:d, :d] @ place + (matrix[:d, d] + centre)[:, None]).reshape(1, d, *shape).to(device)
        if recipe.warp_mm > 0:
            bend = warp(shape, recipe.augment * recipe.warp_mm / recipe.spacing_mm, generator)
            voxel = voxel + bend.to(device)
        ends = torch.tensor(shape, device=device).reshape(1, d, *[1] * d) - 0.5
        inside = ((voxel > -0.5) & (voxel < ends)).all(dim=1)
        seen = sample_where(image[None], voxel)[0] * inside
        moved.append(torch.cat((shaded(seen[:1], recipe, generator), seen[1:])))
    return moved


def _motion(d: int, recipe: Recipe, strength: float, generator: torch.Generator) -> Tensor:
    """A random affine motion in voxels about the middle, `(d+1, d+1)`, on the CPU."""

    def drawn(*shape: int) -> Tensor:
        made = torch.rand(shape, generator=generator, device=generator.device)
        return (2 * made - 1).cpu() * strength

    turns = d * (d - 1) // 2
    angles = drawn(turns) * recipe.rotation_deg * torch.pi / 180
    log = torch.zeros(d, d)
    upper = torch.triu_indices(d, d, 1)
    log[upper[0], upper[1]] = angles
    log = log - log.T
    # Stretches along the axes and shears, as large together as the share.
    stretch = drawn(d, d) * recipe.scale
    log = log + (stretch + stretch.T) / 2
    matrix = torch.eye(d + 1)
    matrix[:d, :d] = torch.linalg.matrix_exp(log)
    matrix[:d, d] = drawn(d) * recipe.shift_mm / recipe.spacing_mm
    return matrix


def warp(shape: Sequence[int], size: float, generator: torch.Generator) -> Float[Tensor, "1 d *shape"]:
    """Smooth random displacements, diffeomorphic, whose velocities have a standard deviation of `size` voxels."""
    d = len(shape)
    half = [n // 2 for n in shape]
    coarse = [max(2, n // 8) for n in half]
    nodes = torch.randn((1, d, *coarse), generator=generator, device=generator.device)
    field = stretched(nodes, half)
    field = size * field / field.std().clamp(min=1e-6)
    return doubled(exponential(field, Grid.from_spacing(half, 2.0), 7))


def held_back(scans: Sequence[Prepared], recipe: Recipe, device: torch.device) -> list[Drawn]:
    """The pairs to validate on; none where no subject was held back for it."""
    if not any(scan.split == "validation" for scan in scans):
        return []
    source = PairSource(scans, recipe, "validation", device)
    found: dict[str, Drawn] = {}
    # The first pairs that differ, as far as there are as many.
    for number in range(20 * recipe.validation_pairs):
        pair = source.draw(number, plain=True)
        found.setdefault(pair.name, replace(pair, shares=None))
        if len(found) == recipe.validation_pairs:
            break
    return list(found.values())
