"""Which voxels of a level DRMIME looks at: edges, a random share, or the top rows."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inforeg.image import Image
from inforeg.image.sample import covers
from inforeg.solve.edges import canny, grey
from inforeg.solve.sampler import dilate

Kind = Literal["canny", "random", "top-rows"]

# A random share of a tiny level would be a handful of samples, of which a network learns nothing but their noise.
FEWEST_SAMPLES = 100


@dataclass(frozen=True)
class Choice:
    """How positions are chosen: the settings of `methods.drmime_paper` that say so."""

    kind: Kind = "canny"
    share: float = 0.1
    redraw: bool = True
    edge_sigma: float = 3.5
    edge_low: float = 0.0
    edge_high: float = 30.0
    most_edges: int = 1_000_000


class Positions:
    """The voxels of one level that may be looked at, their intensities, and how many are in one step.

    Voxels are numbered as a picture's rows are read, the first axis fastest. Where a level has no edges, and where a
    mask leaves none of what was chosen, all of its voxels (in the mask) may be looked at.
    """

    def __init__(self, level: Image, choice: Choice, mask: Image | None, generator: torch.Generator) -> None:
        d, device = level.grid.ndim, level.data.device
        self.shape = level.grid.shape
        index = _chosen(level, choice, mask).to(device)
        self.count = len(index)
        if choice.kind == "random":
            self.count = min(len(index), max(FEWEST_SAMPLES, round(choice.share * len(index))))
            if not choice.redraw:
                index = self._some(index, generator)
        self.index = index
        self.values: Float[Tensor, "n c"] = _read(level.data[0], d).T[index]
        self._all = self._places(index) if self.count == len(index) else None

    def draw(self, generator: torch.Generator) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n c"]]:
        """Voxel indices (float32) and intensities for one step."""
        if self._all is not None:
            return self._all, self.values
        some = self._some(torch.arange(len(self.index), device=self.index.device), generator)
        return self._places(self.index[some]), self.values[some]

    def _some(self, index: Tensor, generator: torch.Generator) -> Tensor:
        order = torch.randperm(len(index), generator=generator, device=generator.device)
        return index[order[: self.count].to(index.device)]

    def _places(self, index: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
        places = []
        for n in self.shape:
            places.append(index % n)
            index = index // n
        return torch.stack(places, dim=1).to(torch.float32)


def _chosen(level: Image, choice: Choice, mask: Image | None) -> Int[Tensor, " n"]:
    d = level.grid.ndim
    allowed = torch.ones(level.grid.voxel_count, dtype=torch.bool)
    if mask is not None:
        allowed = _read(covers(mask, level.grid).reshape(level.grid.shape), d).cpu()
    chosen = allowed
    if choice.kind == "canny":
        brightness = 255 * grey(level.data[0])
        edges = canny(brightness, sigma=choice.edge_sigma, low=choice.edge_low, high=choice.edge_high)
        # Five voxels wide, so that edges are seen from both sides.
        chosen = allowed & _read(dilate(edges, 2), d)
    elif choice.kind == "top-rows":
        chosen = allowed.clone()
        chosen[round(choice.share * len(allowed)) :] = False
    index = (chosen if int(chosen.sum()) >= 2 else allowed).nonzero()[:, 0]
    return index[: choice.most_edges] if choice.kind == "canny" else index


def _read(values: Tensor, d: int) -> Tensor:
    """The last `d` axes as one, in the order of `Positions`."""
    lead = values.ndim - d
    turned = values.permute(*range(lead), *reversed(range(lead, values.ndim)))
    return turned.reshape(*values.shape[:lead], -1)
