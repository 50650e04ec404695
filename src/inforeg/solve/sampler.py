"""Which positions of the fixed image are looked at."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from inforeg.image import Foreground, Image
from inforeg.image.sample import in_mask
from inforeg.space import Grid
from inforeg.transforms import Linear


def dilate(mask: Tensor, steps: int) -> Tensor:
    """A mask grown by `steps` voxels in every direction, so that edges are seen from both sides."""
    grown = mask.to(torch.float32)
    # Axis by axis: the same box, and in 3-D twenty times faster for a few steps.
    for axis in range(mask.ndim):
        line = grown.movedim(axis, -1)
        flat = line.reshape(1, -1, line.shape[-1])
        wide = functional.max_pool1d(flat, kernel_size=2 * steps + 1, stride=1, padding=steps)
        grown = wide.reshape(line.shape).movedim(-1, axis)
    return grown > 0.5


@dataclass(frozen=True, eq=False)
class Stratified:
    """Random positions, equally many in every voxel of a coarse mask: even coverage, and neighbours in memory.

    Positions are not bound to the voxel lattice of the image that is sampled, which keeps the ripples that linear
    interpolation puts into mutual information at whole-voxel shifts out of the sum.
    """

    grid: Grid
    cells: Tensor

    @classmethod
    def around(cls, foreground: Foreground, image: Image, rim: int = 2) -> "Stratified":
        """Positions in an object and a rim of `rim` voxels around it, on the (coarse) grid it was found on."""
        return cls(image.grid, dilate(foreground.mask, rim).nonzero().to(torch.float64).cpu())

    def within(self, mask: Image) -> "Stratified":
        """Only the cells whose centres lie in a mask; all where none would be left."""
        kept = in_mask(mask, self.grid.to_world(self.cells)).cpu()
        return Stratified(self.grid, self.cells[kept]) if bool(kept.any()) else self

    def seen_by(self, transform: Linear, moving: Grid, margin_mm: float) -> "Stratified":
        """Only the cells whose centres a transform takes into a field of view, or to within a margin of it.

        There may be none.
        """
        margin = margin_mm / moving.spacing_mm
        voxel = moving.to_voxel(transform(self.grid.to_world(self.cells)))
        ends = torch.tensor(moving.shape, dtype=torch.float64) - 0.5
        seen = ((voxel > -0.5 - margin) & (voxel < ends + margin)).all(dim=1)
        return Stratified(self.grid, self.cells[seen])

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "n d"]:
        """About `count` world positions (mm, float64), in the order of the cells; none from no cells."""
        cells, d = self.cells, self.grid.ndim
        if count < len(cells):
            keep = torch.randperm(len(cells), generator=generator)[:count].sort().values
            cells = cells[keep]
        repeats = max(1, round(count / max(1, len(cells))))
        jitter = torch.rand((len(cells), repeats, d), generator=generator, dtype=torch.float64) - 0.5
        return self.grid.to_world((cells[:, None] + jitter).reshape(-1, d))
