"""Pairs to learn from: drawn across subjects and contrasts, moved about, and shaded. The same number, the same pair."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.image.sample import doubled, sample_where, stretched
from inforeg.space import Grid
from inforeg.train.listing import Split
from inforeg.train.painted import Painter
from inforeg.train.prepared import Prepared
from inforeg.train.recipe import Recipe
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


def seeded(*numbers: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for these numbers, as good as unrelated to that of any others."""
    state = np.random.SeedSequence(numbers).generate_state(2, np.uint32)
    return torch.Generator(device).manual_seed(int(state[0]) << 31 ^ int(state[1]))


class PairSource:
    """Draws pairs from prepared scans: `source.draw(n)` is the same pair whenever it is asked for, on any rank.

    Raises `UsageError` where a contrast has nothing to be drawn from, or too few subjects.
    """

    def __init__(
        self,
        scans: Sequence[Prepared],
        recipe: Recipe,
        split: Split = "train",
        device: torch.device | str = "cpu",
    ) -> None:
        self.recipe, self.device, self.split = recipe, torch.device(device), split
        self.scans = [scan for scan in scans if scan.split == split]
        ids = sorted({int(i) for s in scans if s.labels is not None for i in torch.unique(s.labels)})
        self.painter = Painter(torch.tensor(ids, dtype=torch.int64), recipe, device) if ids else None
        self.images = {id(s): s.image.to(device) for s in self.scans if s.image is not None}
        self.labels = {
            id(s): self.painter.fractions(s.labels.to(device), s.finer)
            for s in self.scans
            if s.labels is not None and self.painter is not None
        }
        real = sorted({s.contrast for s in scans if s.image is not None})
        # What is named may be painted; what is not named is what there is.
        self.fixed = recipe.fixed or tuple(real) or ("random",)
        self.moving = recipe.moving or tuple(real) or ("random",)
        self.sources = {contrast: self._sources(contrast) for contrast in {*self.fixed, *self.moving}}
        subjects = {c: {s.subject for s, _ in found} for c, found in self.sources.items()}
        for contrast, found in subjects.items():
            if not found:
                raise UsageError(
                    f"no {split} image can be had of contrast {contrast!r}: the contrasts listed are"
                    f" {', '.join(real) or 'none'}; list label maps to paint it from"
                )
        if recipe.label_weight > 0 and not self.labels:
            raise UsageError(
                "label_weight asks for label maps, and none is listed; list some, or leave it at 0"
            )
        if recipe.subjects == "different" and len(set.union(*subjects.values())) < 2:
            raise UsageError(
                f'expected at least two subjects for {split}, got one; list more, or say subjects = "any"'
            )

    def _sources(self, contrast: str) -> list[tuple[Prepared, bool]]:
        """The scans that can show a contrast, and whether they would be painted."""
        found = [(s, False) for s in self.scans if s.image is not None and s.contrast == contrast]
        if self.painter is not None and self.recipe.signals(contrast) is not None:
            found += [(s, True) for s in self.scans if s.labels is not None]
        return found

    def draw(self, number: int, *, plain: bool = False) -> Drawn:
        """Pair number `number`; `plain` leaves out all augmentation, so that label maps fit their images."""
        # Another stream for every split, so that no pair is drawn twice by chance.
        generator = seeded(self.recipe.seed, len(self.split), number, device=self.device)
        sides = [self._choose(self.fixed, None, generator)]
        sides.append(self._choose(self.moving, sides[0][0].subject, generator))
        images = [self._shown(*side, generator) for side in sides]
        maps = [self._map(scan) for scan, _, _ in sides]
        if asked := self.recipe.label_weight > 0:
            shares = self._shares([scan for scan, _, _ in sides], generator)
            images = [torch.cat(both) for both in zip(images, shares, strict=True)]
        if not plain and self.recipe.augment > 0:
            images = augmented(images, self.recipe, generator)
            maps = [None, None]
        if any(m is None for m in maps):
            maps = [None, None]
        name = " to ".join(f"{scan.subject}_{contrast}" for scan, contrast, _ in reversed(sides))
        found = Drawn(images[0][:1], images[1][:1], maps[0], maps[1], name)
        return replace(found, shares=(images[0][1:], images[1][1:])) if asked else found

    def _shares(self, scans: Sequence[Prepared], generator: torch.Generator) -> list[Tensor]:
        """How much of each voxel is of some structures that both scans have, for each scan."""
        count = self.recipe.structures
        if self.painter is None or any(id(scan) not in self.labels for scan in scans):
            return [torch.zeros((count, *self.recipe.shape), device=self.device) for _ in scans]
        found = [self.labels[id(scan)] for scan in scans]
        there = [torch.zeros_like(self.painter.tissue, dtype=torch.bool) for _ in found]
        for mask, fractions in zip(there, found, strict=True):
            mask[fractions.index] = True
        common = (there[0] & there[1] & ~self.painter.is_background[self.painter.tissue]).nonzero().flatten()
        order = torch.rand(len(common), generator=generator, device=generator.device).argsort()
        chosen = common[order.to(common.device)][:count].tolist()
        shares = []
        for fractions in found:
            maps = torch.zeros((count, *self.recipe.shape), device=self.device)
            for channel, label in enumerate(chosen):
                maps[channel] = fractions.of_label(label)
            shares.append(maps)
        return shares

    def _choose(
        self, contrasts: Sequence[str], other: str | None, generator: torch.Generator
    ) -> tuple[Prepared, str, bool]:
        rule = self.recipe.subjects if other is not None else "any"
        contrast = contrasts[_one_of(len(contrasts), generator)]
        fit = [
            (scan, painted)
            for scan, painted in self.sources[contrast]
            if rule == "any" or (scan.subject == other) == (rule == "same")
        ]
        if not fit:
            raise UsageError(
                f"no {self.split} subject fits {other} in contrast {contrast!r}; list more subjects"
            )
        # First the subject, then of what is had of it a real or a painted image.
        subjects = sorted({scan.subject for scan, _ in fit})
        subject = subjects[_one_of(len(subjects), generator)]
        own = [(scan, painted) for scan, painted in fit if scan.subject == subject]
        paint = float(torch.rand((), generator=generator, device=generator.device)) < self.recipe.synthetic
        kinds = {painted for _, painted in own}
        own = [entry for entry in own if entry[1] == paint or len(kinds) == 1]
        scan, painted = own[_one_of(len(own), generator)]
        return scan, contrast, painted

    def _shown(self, scan: Prepared, contrast: str, painted: bool, generator: torch.Generator) -> Tensor:
        if not painted:
            return self.images[id(scan)]
        assert self.painter is not None
        return self.painter.paint(self.labels[id(scan)], contrast, generator)

    def _map(self, scan: Prepared) -> Int[Tensor, " 1 *shape"] | None:
        if id(scan) not in self.labels:
            return None
        assert self.painter is not None
        return self.painter.coarse(self.labels[id(scan)])


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
            warp = _warp(shape, recipe.augment * recipe.warp_mm / recipe.spacing_mm, generator)
            voxel = voxel + warp.to(device)
        ends = torch.tensor(shape, device=device).reshape(1, d, *[1] * d) - 0.5
        inside = ((voxel > -0.5) & (voxel < ends)).all(dim=1)
        seen = sample_where(image[None], voxel)[0] * inside
        moved.append(torch.cat((_shaded(seen[:1], recipe, generator), seen[1:])))
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


def _warp(shape: Sequence[int], size: float, generator: torch.Generator) -> Float[Tensor, "1 d *shape"]:
    """Smooth random displacements, diffeomorphic, whose velocities have a standard deviation of `size` voxels."""
    d = len(shape)
    half = [n // 2 for n in shape]
    coarse = [max(2, n // 8) for n in half]
    nodes = torch.randn((1, d, *coarse), generator=generator, device=generator.device)
    field = stretched(nodes, half)
    field = size * field / field.std().clamp(min=1e-6)
    return doubled(exponential(field, Grid.from_spacing(half, 2.0), 7))


def _shaded(image: Float[Tensor, " 1 *shape"], recipe: Recipe, generator: torch.Generator) -> Tensor:
    """The image with its contrast bent, smooth shading, and noise; dark stays dark."""
    d = image.ndim - 1
    a = recipe.augment
    drawn = torch.randn(3, generator=generator, device=generator.device).to(image.device)
    bent = image.clamp(min=0) ** torch.exp(0.15 * min(a, 2.0) * drawn[0])
    nodes = torch.randn((1, 1, *[4] * d), generator=generator, device=generator.device).to(image.device)
    light = stretched(nodes, image.shape[1:])[0]
    noise = torch.randn(image.shape, generator=generator, device=generator.device).to(image.device)
    level = a * recipe.noise * torch.rand((), generator=generator, device=generator.device).to(image.device)
    shown = bent * torch.exp(a * recipe.shading * light) + level * noise * (bent > 0.02)
    return shown.clamp(min=0, max=1.5)


def _one_of(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator, device=generator.device))


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
