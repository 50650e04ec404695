"""The deformable stage for one pair: its levels, and the figures its result is judged by."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from inforeg.image import Foreground, Image, find_foreground
from inforeg.image.interpolate import on_lines
from inforeg.image.sample import covers
from inforeg.methods.judge import judge
from inforeg.methods.pair import Pair
from inforeg.methods.result import Quality, Stage
from inforeg.solve.dense.contrast import LocalContrast
from inforeg.solve.dense.deform import Course, Scales, deform
from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.dense.level import Look
from inforeg.solve.dense.safety import made_safe
from inforeg.solve.dense.tables import JointTables, Places
from inforeg.solve.newton import Status
from inforeg.space import Grid
from inforeg.transforms import Composite, Linear, Velocity
from inforeg.transforms.velocity import exponential

# Lengths as shares of the unit, which is a seventh of the object's radius: about a centimetre for a head.
_UNIT = 1 / 7
_COARSEST = 0.45  # the largest voxels that are looked at
_FINEST = 1 / 16  # the smallest ones
_CONTRAST = 1.0  # the neighbourhood whose mean is taken out
_PLACES = 3.0  # the blocks with tables of their own
_MOVES = 0.5  # how far things are expected to be moved
_RIM = 1.0  # how much of what surrounds the object is looked at
_APART = 1.8  # how far errors are taken to have nothing to do with each other
# A last step below this share of a voxel, on average, is as good as none.
_LEFT = 0.2
# Newton steps on the coarsest level, on the next, and on every finer one.
_STEPS = (30, 12, 4)


class DenseRun:
    """The levels of one pair: what they share."""

    def __init__(
        self, pair: Pair, linear: Linear, smoothness_mm: float | None, generator: torch.Generator
    ) -> None:
        self.pair, self.linear, self.generator = pair, linear, generator
        self.unit_mm = _UNIT * min(pair.fixed_view.object.radius_mm, pair.moving_view.object.radius_mm)
        self.scales = Scales(smoothness_mm or self.unit_mm, _MOVES * self.unit_mm, _APART * self.unit_mm)
        spacings = pair.spacings_mm
        fit = [k for k, s in enumerate(spacings) if _FINEST * self.unit_mm <= s <= _COARSEST * self.unit_mm]
        self.levels = list(reversed(fit)) or [
            min(range(len(spacings)), key=lambda k: abs(spacings[k] - 0.2 * self.unit_mm))
        ]
        coarse = self.levels[0]
        self.fixed_object, self.moving_object = (
            _object(images[coarse], mask)
            for images, mask in ((pair.fixed, pair.fixed_mask), (pair.moving, pair.moving_mask))
        )
        self.contrasts = [
            LocalContrast(images[coarse], found, _CONTRAST * self.unit_mm)
            for images, found in ((pair.fixed, self.fixed_object), (pair.moving, self.moving_object))
        ]
        self.coarse_grid = pair.fixed[coarse].grid
        near = self.fixed_object.mask.to(pair.fixed[0].data)
        for axis, spacing in enumerate(self.coarse_grid.spacing_mm.tolist()):
            near = _widened(near, axis, round(_RIM * self.unit_mm / spacing))
        self.near = near

    def look(self, level: int, linear: Linear | None = None, lattice: Lattice | None = None) -> Look:
        """Both images on one level, through the linear stages and on nodes as fit the level, or as given."""
        fixed, moving = self.pair.fixed[level], self.pair.moving[level]
        weight = self._on(fixed.grid, self.near)
        if self.pair.fixed_mask is not None:
            weight = weight * covers(self.pair.fixed_mask, fixed.grid).reshape(fixed.grid.shape)
        box = _box(weight)
        inner = self._on(fixed.grid, self.fixed_object.mask.to(weight))[box]
        places = Places(fixed.grid, box, _PLACES * self.unit_mm)
        tables = JointTables(self.contrasts[0].places(fixed, box), weight[box].contiguous(), places)
        channels = [self.contrasts[1].places(moving)]
        if self.pair.moving_mask is not None:
            channels.append(
                covers(self.pair.moving_mask, moving.grid).reshape(moving.grid.shape).to(channels[0])
            )
        warping = Image(torch.stack(channels)[None], moving.grid)
        if lattice is None:
            smooth, spacing = self.scales.smoothness_mm, self.pair.spacings_mm[level]
            apart = min(max(2 * spacing, 0.4 * smooth), 0.8 * smooth)
            lattice = Lattice.over(self.pair.fixed[0].grid, max(apart, spacing))
        return Look(fixed.grid, box, warping, tables, linear or self.linear, lattice, inner.contiguous())

    def stage(self, name: str, report: Callable[[float], None]) -> tuple[Stage, list[str]]:
        """The deformation, and what is worth telling of how it was made safe."""
        device = self.pair.fixed[0].data.device
        course: Course | None = None
        diverged = False
        for number, level in enumerate(self.levels):
            report(number / len(self.levels))
            look = self.look(level)
            if course is None:
                course = Course(
                    look.lattice, torch.zeros((look.grid.ndim, *look.lattice.grid.shape), device=device)
                )
            steps = _STEPS[min(number, len(_STEPS) - 1)]
            try:
                course = deform(course, look, self.scales, self.pair.spacings_mm[level], steps)
            except FloatingPointError:
                diverged = True
                break
        assert course is not None
        finest = float(self.pair.images[0].grid.spacing_mm.min())
        safe, lattice, notes = made_safe(course.vectors, course.lattice, 0.5 * finest)
        level = self.levels[-1]
        self.finest = self.look(level, lattice=course.lattice) if diverged else look
        look = self.finest if lattice is course.lattice else self.look(level, lattice=lattice)
        without, told = (_told(look, vectors) for vectors in (torch.zeros_like(safe), safe))
        if told <= without:
            # Coarse levels may lead away; what tells less than no deformation is none.
            notes = [
                "the deformation was dropped: with it the images tell no more of each other than without"
            ]
            safe = torch.zeros_like(safe)
        self.course, self.told = course, max(told, without)
        velocity = Velocity(lattice.to_world(safe).cpu(), lattice.grid)
        transform = Composite((self.linear, velocity))
        still = course.left_mm < _LEFT * self.pair.spacings_mm[level]
        status: Status = "diverged" if diverged else "converged" if still else "steps"
        return Stage(name, transform, status, course.spacing_mm, [-v for v in course.nats]), notes

    def quality(self, stage: Stage, margin: float | None) -> Quality:
        """The figures of a result, and the verdict from them."""
        look = self.finest
        headers = self.look(self.levels[-1], Linear.identity(self.linear.ndim), self.course.lattice)
        before = _told(headers, torch.zeros_like(self.course.vectors))
        inside = look.warped(None)[1]
        overlap = float((inside * look.inner).sum() / look.inner.sum().clamp(min=1))
        chance = look.likeness.chance(float(look.inner.sum()))
        spacing = self.pair.spacings_mm[0]
        found = judge(self.told, before, chance, 1.0, overlap, margin, 0.0, stage.status, spacing)
        return replace(found, precision_mm=self._precision(look))

    def _precision(self, look: Look) -> float | None:
        """How far the field may be off in the object, by what the images tell and how smooth it is likely to be."""
        if self.course.quadratic is None:
            return None
        drawn = self.course.quadratic.drawn(self.generator, steps=20)
        share = look.spread.gather(look.inner[None])[0]
        return float((drawn.square().sum(0) * share).sum().div(share.sum().clamp(min=1e-9)).sqrt())

    def _on(self, grid: Grid, mask: Tensor) -> Tensor:
        """A mask of the coarse grid on another grid with the same axes, 0 or 1."""
        to_coarse = self.coarse_grid.world_to_voxel @ grid.voxel_to_world
        lines = [
            (torch.arange(n, dtype=torch.float64) * to_coarse[axis, axis] + to_coarse[axis, -1]).clamp(
                0, self.coarse_grid.shape[axis] - 1
            )
            for axis, n in enumerate(grid.shape)
        ]
        return (on_lines(mask[None], lines)[0] > 0.5).to(mask)


def _told(look: Look, vectors: Tensor) -> float:
    """What a level tells under a velocity field, in nats per voxel."""
    return look.told(exponential(vectors[None], look.lattice.local)[0])[1].nats


def _object(image: Image, mask: Image | None) -> Foreground:
    found = find_foreground(image)
    return found if mask is None else found.within(covers(mask, image.grid).reshape(image.grid.shape), image)


def _widened(mask: Tensor, axis: int, voxels: int) -> Tensor:
    """The mask and what is within some voxels of it along an axis."""
    if voxels < 1:
        return mask
    flat = mask.movedim(axis, -1)
    wide = functional.max_pool1d(flat.reshape(-1, 1, flat.shape[-1]), 2 * voxels + 1, 1, voxels)
    return wide.reshape(flat.shape).movedim(-1, axis).contiguous()


def _box(weight: Tensor) -> tuple[slice, ...]:
    """The smallest box that holds all weight, at least three voxels along an axis that has them."""
    found = []
    for axis, n in enumerate(weight.shape):
        seen = weight.movedim(axis, 0).reshape(n, -1).amax(1).nonzero().flatten()
        low, high = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, n)
        found.append(slice(max(0, min(low, n - 3)), min(n, max(high, low + 3))))
    return tuple(found)
