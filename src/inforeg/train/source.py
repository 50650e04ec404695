"""Where images to learn from are drawn: subjects, contrasts, real or painted. The same number, the same draw."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.image.sample import stretched
from inforeg.train.listing import Split
from inforeg.train.painted import Painter
from inforeg.train.prepared import Prepared
from inforeg.train.recipe import Recipe


def seeded(*numbers: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for these numbers, as good as unrelated to that of any others."""
    state = np.random.SeedSequence(numbers).generate_state(2, np.uint32)
    return torch.Generator(device).manual_seed(int(state[0]) << 31 ^ int(state[1]))


class ScanSource:
    """Prepared scans of one split, and all contrasts that can be had of them: real ones, and painted ones.

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

    def shares(self, scans: Sequence[Prepared], generator: torch.Generator) -> list[Tensor]:
        """How much of each voxel is of some structures that both scans have, for each scan."""
        count = self.recipe.structures
        if self.painter is None or any(id(scan) not in self.labels for scan in scans):
            return [torch.zeros((count, *self.recipe.shape), device=self.device) for _ in scans]
        found = [self.labels[id(scan)] for scan in scans]
        there = [torch.zeros_like(self.painter.tissue, dtype=torch.bool) for _ in found]
        for mask, fractions in zip(there, found, strict=True):
            mask[fractions.index] = True
        common = (there[0] & there[1] & self.painter.shown).nonzero().flatten()
        order = torch.rand(len(common), generator=generator, device=generator.device).argsort()
        chosen = common[order.to(common.device)][:count].tolist()
        shares = []
        for fractions in found:
            maps = torch.zeros((count, *self.recipe.shape), device=self.device)
            for channel, label in enumerate(chosen):
                maps[channel] = fractions.of_label(label)
            shares.append(maps)
        return shares

    def choose(
        self,
        contrasts: Sequence[str],
        other: str | None,
        generator: torch.Generator,
        rule: str | None = None,
    ) -> tuple[Prepared, str, bool]:
        """A scan, its contrast, and whether it is painted; a `rule` says whether of the `other` subject, and the recipe
        where none is given."""
        rule = (rule or self.recipe.subjects) if other is not None else "any"
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
        paint = uniform(generator) < self.recipe.synthetic
        kinds = {painted for _, painted in own}
        own = [entry for entry in own if entry[1] == paint or len(kinds) == 1]
        scan, painted = own[_one_of(len(own), generator)]
        return scan, contrast, painted

    def shown(self, scan: Prepared, contrast: str, painted: bool, generator: torch.Generator) -> Tensor:
        if not painted:
            return self.images[id(scan)]
        assert self.painter is not None
        return self.painter.paint(self.labels[id(scan)], contrast, generator)

    def labels_of(self, scan: Prepared) -> Int[Tensor, " 1 *shape"] | None:
        if id(scan) not in self.labels:
            return None
        assert self.painter is not None
        return self.painter.coarse(self.labels[id(scan)])


def shaded(image: Float[Tensor, " 1 *shape"], recipe: Recipe, generator: torch.Generator) -> Tensor:
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


def uniform(generator: torch.Generator) -> float:
    """A number from 0 to 1."""
    return float(torch.rand((), generator=generator, device=generator.device))


def _one_of(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator, device=generator.device))
