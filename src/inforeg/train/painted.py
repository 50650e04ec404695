"""Images painted from label maps, in a contrast of choice: as many as are wanted, of any contrast."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from inforeg.errors import UsageError
from inforeg.image import Image, normalise
from inforeg.image.tissues import tissue_of
from inforeg.space import Grid
from inforeg.train.recipe import Recipe

FLUID = "fluid"


@dataclass(frozen=True, eq=False)
class Fractions:
    """How much of each canonical voxel is of which label: those of a voxel follow one another.

    `index` are places among a painter's ids, `share` sum to one for each voxel, `count` says how many a voxel has.
    `labels` are the places of the labels in the middle of each voxel, `(1, *shape)`; `inside` is how much of a voxel is
    of any tissue, and `clefts` how much more would be if narrow clefts were filled.
    """

    index: Tensor
    share: Tensor
    count: Tensor
    labels: Tensor
    inside: Tensor
    clefts: Tensor

    @classmethod
    def of(cls, place: Int[Tensor, " 1 *fine"], finer: int, tissue: Bool[Tensor, " k"]) -> "Fractions":
        """Of a map of places among ids, on a grid `finer` times finer than the canonical one.

        `tissue` says of each id whether it is one, and not background.
        """
        labels = len(tissue)
        shape = [n // finer for n in place.shape[1:]]
        d = len(shape)
        # One row for each canonical voxel, with all of its fine ones.
        split = place.long().reshape([n for size in shape for n in (size, finer)])
        rows = split.permute([*range(0, 2 * d, 2), *range(1, 2 * d, 2)]).reshape(-1, finer**d)
        ordered, _ = rows.sort(dim=1)
        voxel = torch.arange(len(rows), device=place.device)[:, None]
        keys, counts = torch.unique_consecutive((voxel * labels + ordered).reshape(-1), return_counts=True)
        of_voxel = torch.bincount(keys // labels, minlength=len(rows))
        middle = tuple(slice(finer // 2, None, finer) for _ in shape)
        index, share = keys % labels, counts.float() / finer**d
        inside = _summed(share * tissue[index], of_voxel).reshape(1, *shape)
        clefts = (_closed(inside) - inside).clamp(min=0)
        return cls(index, share, of_voxel, place[(slice(None), *middle)].contiguous(), inside, clefts)

    def of_label(self, place: int) -> Float[Tensor, "*shape"]:
        """How much of each voxel is of one label."""
        found = self.share.new_zeros(self.labels.numel())
        entries = (self.index == place).nonzero().flatten()
        # A voxel has a label once at most.
        found[self._voxels[entries]] = self.share[entries]
        return found.reshape(self.labels.shape[1:])

    @cached_property
    def _voxels(self) -> Int[Tensor, " n"]:
        """The voxel of each entry."""
        lines = torch.arange(len(self.count), device=self.count.device)
        return torch.repeat_interleave(lines, self.count)

    def mean(self, values: Float[Tensor, " k"]) -> Float[Tensor, " 1 *shape"]:
        """The mean over each voxel of what each label has."""
        return _summed(self.share * values[self.index], self.count).reshape(self.labels.shape)


class Painter:
    """Paints label maps whose labels are all among `ids`, as the recipe says; the tables are on one device."""

    def __init__(self, ids: Int[Tensor, " k"], recipe: Recipe, device: torch.device | str = "cpu") -> None:
        self.recipe, self.ids = recipe, ids.to(device)
        tissues = [tissue_of(int(label), recipe.numbering) for label in ids]
        self.names = sorted(set(tissues))
        self.tissue = torch.tensor([self.names.index(t) for t in tissues], device=device)
        self.is_background = torch.tensor([name == "0" for name in self.names], device=device)
        groups = [torch.isin(self.ids, torch.tensor(group, device=device)) for group in recipe.hidden]
        self.hidden = torch.stack(groups) if groups else None
        # What is in every image.
        self.shown = ~self.is_background[self.tissue]
        for group in groups:
            self.shown &= ~group

    def fractions(self, labels: Int[Tensor, " 1 *fine"], finer: int) -> Fractions:
        """What a map's voxels are made of."""
        return Fractions.of(
            torch.searchsorted(self.ids, labels.to(self.ids)), finer, ~self.is_background[self.tissue]
        )

    def paint(
        self, fractions: Fractions, contrast: str, generator: torch.Generator
    ) -> Float[Tensor, " 1 *shape"]:
        """An image of 0 to about 1 in a contrast, at the canonical grid's resolution: partial volumes and all.

        Every tissue gets the contrast's signal, varied by `jitter`; in the contrast `random`, any signal. Tissues of
        unknown signal get any, too. Label 0 is dark, but where the numbering knows fluid, clefts in what is labelled
        hold some: maps leave it out, images do not. Intensities within a tissue vary by `texture` over a voxel or two.
        Raises `UsageError` for a contrast that is not known.
        """
        known = self.recipe.signals(contrast)
        if known is None:
            raise UsageError(
                f"no signals are known of contrast {contrast!r}: give them as contrasts.{contrast}, or say by numbering"
                " what the labels stand for"
            )
        device = self.ids.device

        def random(make: Callable[..., Tensor], *shape: int) -> Tensor:
            return make(shape, generator=generator, device=generator.device).to(device)

        drawn, varied = random(torch.rand, len(self.names)), random(torch.randn, len(self.names))
        given = torch.tensor([known.get(name, -1.0) for name in self.names], device=device)
        signal = torch.where(given < 0, drawn, given * (1 + self.recipe.jitter * varied))
        signal = torch.where(self.is_background, signal.new_tensor(known.get("0", 0.0)), signal)
        signals = signal[self.tissue]
        if self.hidden is not None:
            # One group after another, and then none of them.
            which = int(random(torch.rand) * (len(self.hidden) + 1))
            if which < len(self.hidden):
                signals = signals.masked_fill(self.hidden[which], 0)
        mean = fractions.mean(signals)
        # What is hidden shows no texture either.
        inside = fractions.inside * (mean > 0)
        if FLUID in self.names:
            mean = mean + random(torch.rand) * fractions.clefts * signal[self.names.index(FLUID)]
        grain = _smoothed(random(torch.randn, *mean.shape))
        image = (mean + self.recipe.texture * inside * grain).clamp(min=0)
        # On the scale that real images are brought to.
        return normalise(Image(image[None], Grid.from_spacing(image.shape[1:]))).data[0]

    def coarse(self, fractions: Fractions) -> Int[Tensor, " 1 *shape"]:
        """The labels themselves at the canonical grid's resolution, those in the middle of its voxels."""
        return self.ids[fractions.labels]


def _summed(parts: Float[Tensor, " n"], count: Int[Tensor, " v"]) -> Float[Tensor, " v"]:
    # Unlike index_add it adds in the same order on every device.
    total: Tensor = torch.segment_reduce(parts, "sum", lengths=count, unsafe=True)
    return total


def _closed(share: Float[Tensor, " 1 *shape"]) -> Float[Tensor, " 1 *shape"]:
    """The largest within 5 voxels a side, and of that the least: clefts up to 4 voxels wide are filled."""
    pool = functional.max_pool2d if share.ndim == 3 else functional.max_pool3d
    closed: Tensor = -pool(-pool(share[None], 5, 1, 2), 5, 1, 2)[0]
    return closed


def _smoothed(grain: Float[Tensor, " 1 *shape"]) -> Float[Tensor, " 1 *shape"]:
    """Noise averaged over 3 voxels a side, and of standard deviation one again."""
    d = grain.ndim - 1
    pool = functional.avg_pool2d if d == 2 else functional.avg_pool3d
    return pool(grain[None], 3, 1, 1)[0] * 3 ** (d / 2)
