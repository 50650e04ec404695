"""Roughly aligned pairs of images, and patches cut from them for a classifier to learn from."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import InforegError, ReadError, UsageError
from inforeg.image import Image
from inforeg.image.coarse import coarse_of, object_of
from inforeg.image.patches import cut, patch_lattice, patch_levels, patch_voxels
from inforeg.io import read_image
from inforeg.solve.sampler import Stratified
from inforeg.solve.search import rotations_2d, rotations_3d
from inforeg.train.listing import Scan, Split
from inforeg.train.recipes import PatchRecipe
from inforeg.train.source import uniform

# Rotations are drawn from so many that cover all poses evenly.
_TURNS = 4096


@dataclass(frozen=True, eq=False)
class RoughPair:
    """Two images of a subject that lie roughly on one another in the world, at the stages' resolutions.

    `places` are where the fixed one has its object; the middle of that is `centre_mm`, its radius `radius_mm`.
    """

    name: str
    subject: str
    split: Split
    fixed: list[Image]
    moving: list[Image]
    places: Stratified
    centre_mm: Tensor
    radius_mm: float


def read_pairs(recipe: PatchRecipe, scans: Sequence[Scan], device: torch.device) -> list[RoughPair]:
    """Every pair of a fixed and a moving contrast of one subject.

    Raises `ReadError` for images that cannot be read or have other axes, `UsageError` where no subject to learn from
    has both contrasts.
    """
    fixed: tuple[str, ...]
    moving: tuple[str, ...]
    listed = list(dict.fromkeys(scan.contrast for scan in scans if scan.image is not None))
    if not recipe.fixed and not recipe.moving and len(listed) == 2:
        fixed, moving = (listed[0],), (listed[1],)
    elif recipe.fixed and recipe.moving:
        fixed, moving = recipe.fixed, recipe.moving
    else:
        raise UsageError(
            f"expected fixed and moving to name contrasts, as {', '.join(listed) or 'none'} are listed"
        )
    seen: dict[Scan, list[Image]] = {}

    def levels(scan: Scan, image: Image | None = None) -> list[Image]:
        if scan not in seen:
            whole = read_plain(scan, recipe.ndim_of_images) if image is None else image
            seen[scan] = [level.to(device) for level in patch_levels(whole, recipe.net.spacings_mm)]
        return seen[scan]

    found = []
    for subject in dict.fromkeys(scan.subject for scan in scans):
        own = [scan for scan in scans if scan.subject == subject and scan.image is not None]
        for one in (scan for scan in own if scan.contrast in fixed):
            others = [scan for scan in own if scan.contrast in moving and scan is not one]
            if not others:
                continue
            whole = read_plain(one, recipe.ndim_of_images)
            there = object_of(whole)
            places = Stratified.around(there, coarse_of(whole), rim=1)
            for other in others:
                name = f"{subject}_{other.contrast} to {one.contrast}"
                pair = levels(one, whole), levels(other)
                found.append(
                    RoughPair(name, subject, one.split, *pair, places, there.centre_mm, there.radius_mm)
                )
    if not any(pair.split == "train" for pair in found):
        raise UsageError(
            f"no subject to learn from has both contrasts, {'/'.join(fixed)} and {'/'.join(moving)}: the contrasts"
            f" listed are {', '.join(listed) or 'none'}"
        )
    return found


def read_plain(scan: Scan, ndim: int) -> Image:
    """The image of a scan. Raises `ReadError` where it cannot be read or has other axes than the recipe says."""
    assert scan.image is not None
    try:
        image = read_image(scan.image)
    except InforegError as error:
        raise ReadError(f"cannot read {scan.name}: {error}") from error
    if image.grid.ndim != ndim:
        raise ReadError(
            f"expected images of {ndim} axes, as the recipe says, and {scan.image} has {image.grid.ndim}"
        )
    return image


class PatchSource:
    """Draws patches of pairs: `source.draw(pair, matrix, stage, generator)`."""

    def __init__(self, recipe: PatchRecipe) -> None:
        self.recipe, d = recipe, recipe.ndim_of_images
        net = recipe.net.of_each
        self.patch = net.patch
        self.lattices = [patch_lattice(net.patch, d, spacing) for spacing in recipe.net.spacings_mm]
        self.turns = rotations_2d(_TURNS) if d == 2 else rotations_3d(_TURNS)

    def draw(
        self, pair: RoughPair, matrix: Float[Tensor, "e e"], stage: int, generator: torch.Generator
    ) -> Float[Tensor, "n two *patch"]:
        """Pairs of patches, the first half of one place, as far as `matrix` (fixed to moving) is right, and dithered;
        the second half the same patches, dealt anew.

        So both classes hold the very same patches, cut and interpolated alike, and nothing but that they belong
        together tells one from the other.
        """
        recipe, d = self.recipe, self.recipe.ndim_of_images
        count = recipe.patches
        centres = pair.places.draw(max(count, len(pair.places.cells)), generator)
        centres = centres[torch.randint(len(centres), (count,), generator=generator)]
        lattice = self.lattices[stage] @ self._turned(generator).T
        fixed, moving = pair.fixed[stage], pair.moving[stage]
        device = fixed.data.device
        eye = torch.eye(d + 1, dtype=torch.float64)
        shift = torch.randn((count, d), generator=generator, dtype=torch.float64)
        dithered = centres + recipe.stages[stage][1] ** 0.5 * shift
        one = cut(fixed, patch_voxels(fixed.grid, eye, centres, lattice, device))
        other = cut(moving, patch_voxels(moving.grid, matrix, dithered, lattice, device))
        one, other = (shaded(p, recipe.contrast, recipe.noise, generator) for p in (one, other))
        by = 1 + int(torch.randint(count - 1, (), generator=generator))
        both = torch.cat((torch.stack((one, other), 1), torch.stack((one, other.roll(by, 0)), 1)))
        return both.reshape(2 * count, 2, *[self.patch] * d)

    def _turned(self, generator: torch.Generator) -> Float[Tensor, "d d"]:
        """A rotation within the recipe's limit, and a reflection in every other draw."""
        recipe, d = self.recipe, self.recipe.ndim_of_images
        turn = self.turns[int(torch.randint(_TURNS, (), generator=generator))]
        if recipe.rotation_deg < 180:
            turn = within(turn, recipe.rotation_deg)
        if recipe.flip and uniform(generator) < 0.5:
            turn = turn * torch.tensor([-1.0, *[1.0] * (d - 1)], dtype=torch.float64)
        return turn


def shaded(
    patches: Float[Tensor, "n p"], contrast: float, noise: float, generator: torch.Generator
) -> Float[Tensor, "n p"]:
    """Patches of one image with another contrast, and noise, as another scanner would have them."""
    bend = float(torch.exp(contrast * torch.randn((), generator=generator)))
    grain = torch.randn(patches.shape, generator=generator).to(patches.device)
    level = noise * uniform(generator)
    return patches.clamp(min=0) ** bend + level * grain


def within(turn: Float[Tensor, "d d"], limit_deg: float) -> Float[Tensor, "d d"]:
    """A rotation about the same axis, its angle scaled down from half a turn at most to the limit."""
    from scipy.spatial.transform import Rotation

    if len(turn) == 2:
        angle = torch.atan2(turn[1, 0], turn[0, 0]) * limit_deg / 180
        c, s = torch.cos(angle), torch.sin(angle)
        return torch.stack((torch.stack((c, -s)), torch.stack((s, c))))
    vector = Rotation.from_matrix(turn.numpy()).as_rotvec() * limit_deg / 180
    return torch.from_numpy(Rotation.from_rotvec(vector).as_matrix())
