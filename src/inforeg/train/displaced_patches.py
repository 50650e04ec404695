"""Patches of images at random displacements from each other, for a classifier to tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.image import Image
from inforeg.image.coarse import coarse_of, object_of
from inforeg.image.patches import cut, patch_lattice, patch_levels, patch_voxels
from inforeg.solve.sampler import Stratified, dilate
from inforeg.solve.search import rotations_2d, rotations_3d
from inforeg.train.listing import Scan, Split
from inforeg.train.recipes import DisplacementRecipe
from inforeg.train.rough_pairs import read_plain, shaded, within

Domain = Literal["source", "target"]
# Rotations are drawn from so many that cover all poses evenly.
_TURNS = 4096


class Displaced(NamedTuple):
    """Pairs of patches, and the number of the displacement that each is apart by."""

    fixed: Float[Tensor, "n ..."]
    moving: Float[Tensor, "n ..."]
    labels: Int[Tensor, " n"]


class Windows(NamedTuple):
    """Fixed patches, and of each some moving ones, by whole steps of the grid of displacements apart, which are known:
    `fixed` `(n, ...)`, `moving` `(n, k, ...)`, `shifts` `(n, k)`, numbers of what `around` tells."""

    fixed: Float[Tensor, "n ..."]
    moving: Float[Tensor, "n k ..."]
    shifts: Int[Tensor, "n k"]


def around(ndim: int) -> Int[Tensor, "s d"]:
    """By how many steps along each axis windows may be apart."""
    return torch.cartesian_prod(*[torch.arange(-1, 2)] * ndim)


@dataclass(frozen=True, eq=False)
class _Pair:
    name: str
    split: Split
    fixed: Image
    moving: Image
    places: Stratified


class DisplacedPatches:
    """Draws pairs of patches: `patches.draw(domain, split, generator)`.

    In the source both are of one contrast, or of two that are aligned; in the target the moving one is of a contrast
    that nothing is known of but that it is of the same subject, about where the fixed one is. Raises `ReadError` for
    images that cannot be read or have other axes, `UsageError` where there is nothing to learn from.
    """

    def __init__(self, recipe: DisplacementRecipe, scans: Sequence[Scan], device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        net = recipe.net
        self.displacements = net.displacements() * recipe.spacing_mm
        self.step = net.step * recipe.spacing_mm
        self.lattice = patch_lattice(net.patch, net.ndim, recipe.spacing_mm)
        self.turns = rotations_2d(_TURNS) if net.ndim == 2 else rotations_3d(_TURNS)
        fixed = recipe.fixed or tuple(dict.fromkeys(s.contrast for s in scans if s.image is not None))[:1]
        self._images: dict[Scan, tuple[Image, Stratified]] = {}
        self.pairs = {
            "source": self._pairs(scans, fixed, recipe.moving or fixed),
            "target": self._pairs(scans, fixed, recipe.target),
        }
        for domain, contrasts in (("source", recipe.moving or fixed), ("target", recipe.target)):
            if contrasts and not self.of(domain, "train"):  # type: ignore[arg-type]
                listed = ", ".join(dict.fromkeys(s.contrast for s in scans if s.image is not None)) or "none"
                raise UsageError(
                    f"no subject to learn from has {'/'.join(fixed)} and {'/'.join(contrasts)}: the contrasts listed"
                    f" are {listed}"
                )

    def of(self, domain: Domain, split: Split) -> list[_Pair]:
        """The pairs of images that there are."""
        return [pair for pair in self.pairs[domain] if pair.split == split]

    def draw(self, domain: Domain, split: Split, generator: torch.Generator) -> Displaced:
        """Patches of one pair of images; of those to learn from in the source some with the moving one's contrast
        inverted, as the recipe says."""
        fixed, moving, labels, _ = self._draw(domain, split, generator, 0)
        inverted = self.recipe.inverted if (domain, split) == ("source", "train") else 0.0
        if inverted:
            turned = torch.rand(len(labels), generator=generator) < inverted
            moving[turned.to(moving.device)] *= -1
        return Displaced(fixed, moving, labels)

    def windows(self, domain: Domain, split: Split, generator: torch.Generator) -> Windows:
        """Patches of one pair of images, with several windows onto the moving one."""
        fixed, moving, _, shifts = self._draw(domain, split, generator, self.recipe.windows)
        return Windows(fixed, moving.reshape(*shifts.shape, *moving.shape[1:]), shifts)

    def _draw(
        self, domain: Domain, split: Split, generator: torch.Generator, windows: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Fixed patches, moving ones, labels, and the numbers of the windows' shifts, if there are any."""
        recipe, d = self.recipe, self.recipe.net.ndim
        pairs = self.of(domain, split)
        pair = pairs[int(torch.randint(len(pairs), (), generator=generator))]
        count = recipe.patches
        centres = pair.places.draw(max(count, len(pair.places.cells)), generator)
        centres = centres[torch.randint(len(centres), (count,), generator=generator)]
        labels = torch.randint(len(self.displacements), (count,), generator=generator)
        turn = within(self.turns[int(torch.randint(_TURNS, (), generator=generator))], recipe.rotation_deg)
        lattice = self.lattice @ turn.T
        eye = torch.eye(d + 1, dtype=torch.float64)
        # What is in the middle of the fixed patch then lies at the displacement from that of the moving one.
        aside = centres - self.displacements[labels] @ turn.T
        ways = around(d)
        shifts = torch.randint(len(ways), (count, windows), generator=generator)
        if windows:
            # Nothing of a window's shift follows from where the fixed patch lies: it may leave the grid.
            aside = (aside[:, None] + self.step * ways[shifts].double() @ turn.T).flatten(0, 1)
        shape = (-1, *[recipe.net.patch] * d)

        def patches(image: Image, middles: Tensor) -> Tensor:
            plain = cut(image, patch_voxels(image.grid, eye, middles, lattice, self.device))
            return shaded(plain, recipe.contrast, recipe.noise, generator).reshape(shape)

        fixed, moving = patches(pair.fixed, centres), patches(pair.moving, aside)
        return fixed, moving, labels.to(self.device), shifts.to(self.device)

    def _pairs(self, scans: Sequence[Scan], fixed: Sequence[str], moving: Sequence[str]) -> list[_Pair]:
        """Every pair of these contrasts of one subject; an image and itself where it is of both."""
        own = [scan for scan in scans if scan.image is not None]
        found = []
        for one in (scan for scan in own if scan.contrast in fixed):
            for other in (scan for scan in own if scan.subject == one.subject and scan.contrast in moving):
                image, places = self._read(one)
                name = f"{one.subject}_{other.contrast} to {one.contrast}"
                found.append(_Pair(name, one.split, image, self._read(other)[0], places))
        return found

    def _read(self, scan: Scan) -> tuple[Image, Stratified]:
        if scan not in self._images:
            whole = read_plain(scan, self.recipe.net.ndim)
            level = patch_levels(whole, [self.recipe.spacing_mm])[0].to(self.device)
            self._images[scan] = level, self._places(whole)
        return self._images[scan]

    def _places(self, whole: Image) -> Stratified:
        """Where the middles of patches lie: deepest within the object where its margin leaves nothing."""
        coarse = coarse_of(whole)
        mask, spacing = object_of(whole).mask, float(coarse.grid.spacing_mm.mean())
        for _ in range(round(self.recipe.margin * self.recipe.spacing_mm / spacing)):
            # What lies at the rim of the image is no rim of the object's.
            smaller = ~dilate(~mask, 1)
            if not bool(smaller.any()):
                break
            mask = smaller
        return Stratified(coarse.grid, mask.nonzero().double().cpu())
