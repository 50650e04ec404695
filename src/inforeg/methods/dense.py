"""The deformable stage for one pair: its levels, and the figures its result is judged by."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from inforeg.image import Foreground, Image, find_foreground
from inforeg.image.intensity import window
from inforeg.image.interpolate import on_lines
from inforeg.image.sample import covers
from inforeg.methods.judge import judge
from inforeg.methods.landing import landing
from inforeg.methods.pair import Pair
from inforeg.methods.result import Quality, Stage
from inforeg.solve.dense.compared import Lengths, Scene, Sight
from inforeg.solve.dense.deform import Course, Scales, deform
from inforeg.solve.dense.doubt import likely_error
from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.dense.learnt import PatchScore
from inforeg.solve.dense.level import Look
from inforeg.solve.dense.likeness import MetricName, comparison
from inforeg.solve.dense.safety import made_safe, with_room
from inforeg.solve.dense.spectrum import Spectrum
from inforeg.solve.newton import Status
from inforeg.space import Grid
from inforeg.transforms import Composite, Linear, Velocity
from inforeg.transforms.velocity import exponential

# How many anatomies a pair shows: one, distorted or changed in time, two, or what it looks like.
Anatomies = Literal["auto", "one", "two"]
# Lengths as shares of the unit, which is a seventh of the object's radius: about a centimetre for a head.
_UNIT = 1 / 7
_COARSEST = 0.45  # the largest voxels that are looked at
_FINEST = 1 / 16  # the smallest ones
_CONTRAST = 1.0  # the neighbourhood whose mean is taken out
_PLACES = 3.0  # the blocks with tables of their own
_WINDOW = 0.5  # the window of local correlation
_NEIGHBOURHOOD = 0.7  # how far off voxels are paired by chance
_SMOOTH = 7 / 9  # over what length a deformation is expected to be smooth
_MOVES = 0.5  # how far things are expected to be moved
_RIM = 1.0  # how much of what surrounds the object is looked at
_APART = 1.8  # how far errors are taken to have nothing to do with each other
# The level after which deformations within one anatomy and between two are told apart.
_DECIDES = 1
# The least distance between nodes, as a share of the smoothness, and where a smooth deformation needs no nearer ones.
_NODES, _NODES_SMOOTH = 0.4, 0.55
# A last step below this share of a voxel, on average, is as good as none.
_LEFT = 0.2
# Newton steps on the coarsest level, on the next, and on every finer one.
_STEPS = (30, 12, 6)


class DenseRun:
    """The levels of one pair: what they share."""

    def __init__(
        self,
        pair: Pair,
        linear: Linear,
        smoothness_mm: float | None,
        generator: torch.Generator,
        metric: MetricName | PatchScore = "mi_local",
        neighbourhood_mm: float | None = None,
        anatomies: Anatomies = "auto",
    ) -> None:
        self.pair, self.linear, self.generator = pair, linear, generator
        self.unit_mm = _UNIT * min(pair.fixed_view.object.radius_mm, pair.moving_view.object.radius_mm)
        self.scales = Scales(
            smoothness_mm or _SMOOTH * self.unit_mm, _MOVES * self.unit_mm, _APART * self.unit_mm
        )
        # A smoothness that is given is kept to, and what two anatomies differ by is known.
        self.anatomies, self.learns = anatomies, smoothness_mm is None and anatomies != "two"
        expected = Spectrum(self.scales.smoothness_mm, self.scales.expected_mm)
        self.spectrum = expected if self.learns or smoothness_mm else expected.of_two_anatomies()
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
        near_mm = neighbourhood_mm or _NEIGHBOURHOOD * self.unit_mm
        unit = self.unit_mm
        lengths = Lengths(_CONTRAST * unit, _PLACES * unit, _WINDOW * unit, near_mm)
        images = pair.fixed[coarse], pair.moving[coarse]
        windows = window(pair.fixed[0]), window(pair.moving[0])
        scene = Scene(*images, self.fixed_object, self.moving_object, windows, lengths, generator)
        self.comparison = comparison(metric, scene)
        self.coarse_grid = pair.fixed[coarse].grid
        near = self.fixed_object.mask.to(pair.fixed[0].data)
        for axis, spacing in enumerate(self.coarse_grid.spacing_mm.tolist()):
            near = _widened(near, axis, round(_RIM * self.unit_mm / spacing))
        self.near = near

    def look(
        self,
        level: int,
        linear: Linear | None = None,
        lattice: Lattice | None = None,
        half: int | None = None,
        nodes: float = _NODES,
    ) -> Look:
        """Both images on one level, through the linear stages and on nodes as fit the level, or as given.

        `half` 0 or 1 sees every other block of 2 voxels a side, as on a chessboard; `nodes` is their least distance.
        """
        fixed, moving = self.pair.fixed[level], self.pair.moving[level]
        weight = self._on(fixed.grid, self.near)
        if self.pair.fixed_mask is not None:
            weight = weight * covers(self.pair.fixed_mask, fixed.grid).reshape(fixed.grid.shape)
        box = _box(weight)
        if half is not None:
            weight = weight * (_chessboard(weight.shape).to(weight) == half)
        inner = self._on(fixed.grid, self.fixed_object.mask.to(weight))[box]
        mask = None
        if self.pair.moving_mask is not None:
            mask = covers(self.pair.moving_mask, moving.grid).reshape(moving.grid.shape)
        sight = Sight(fixed, box, weight[box].contiguous(), moving, mask, linear or self.linear)
        seen = self.comparison.on(sight)
        if lattice is None:
            smooth, spacing = self.scales.smoothness_mm, self.pair.spacings_mm[level]
            apart = min(max(2 * spacing, nodes * smooth), 0.8 * smooth)
            lattice = Lattice.over(self.pair.fixed[0].grid, max(apart, spacing))
        return Look(
            fixed.grid,
            box,
            seen.moving,
            seen.likeness,
            seen.linear,
            lattice,
            inner.contiguous(),
            seen.channels,
        )

    def gain(self) -> float:
        """How much more a deformation tells of voxels it was not fitted to than none, as a share; by a coarse one.

        One half of the voxels is fitted, and the other is asked, and the other way round.
        """
        level = self.levels[0]
        without = with_it = 0.0
        for half in (0, 1):
            seen, asked = self.look(level, half=half), self.look(level, half=1 - half)
            still = torch.zeros((seen.grid.ndim, *seen.lattice.grid.shape), device=seen.inner.device)
            try:
                course = deform(
                    Course(seen.lattice, still), seen, self.scales, self.pair.spacings_mm[level], _STEPS[1]
                )
            except FloatingPointError:
                return 0.0
            without += _told(asked, still)
            with_it += _told(asked, course.vectors)
        return with_it / max(without, 1e-9) - 1

    def stage(self, name: str, report: Callable[[float], None]) -> tuple[Stage, list[str]]:
        """The deformation, and what is worth telling of how it was made safe."""
        device = self.pair.fixed[0].data.device
        course: Course | None = None
        diverged = False
        learns, nodes = self.learns, _NODES
        for number, level in enumerate(self.levels):
            report(number / len(self.levels))
            look = self.look(level, nodes=nodes)
            if course is None:
                still = torch.zeros((look.grid.ndim, *look.lattice.grid.shape), device=device)
                course = Course(look.lattice, still, spectrum=self.spectrum)
            steps = _STEPS[min(number, len(_STEPS) - 1)]
            spacing = self.pair.spacings_mm[level]
            try:
                course = deform(course, look, self.scales, spacing, steps, learns)
                if learns and number == _DECIDES:
                    assert course.spectrum is not None
                    if self.anatomies == "auto":
                        spectrum, rough = course.spectrum.settled()
                        course, learns = replace(course, spectrum=spectrum), rough < 0.5
                    if learns:
                        nodes = _NODES_SMOOTH
                    else:
                        # Anew, as a metric that learns is to begin anew too.
                        look = self.look(level)
                        course = deform(course, look, self.scales, spacing, _STEPS[1])
            except FloatingPointError:
                diverged = True
                break
        assert course is not None
        return self._finished(name, course, self.levels[-1], None if diverged else look)

    def refined(
        self,
        name: str,
        begun: Velocity,
        steps: int,
        report: Callable[[float], None],
    ) -> tuple[Stage, list[str]]:
        """As `stage`, from a velocity field that is there already: so many steps from it, or none, and made safe.

        The field, in the fixed image's world, is read at the nodes of the level that comes up to it. With no steps,
        only that level is looked at, which is enough to tell whether it explains anything. So few steps cannot tell
        one anatomy from two.
        """
        spacing = float(begun.grid.spacing_mm.min())
        levels = [k for k in self.levels if self.pair.spacings_mm[k] <= spacing] or [self.levels[-1]]
        level, diverged = levels[0], False
        look = self.look(level, nodes=_NODES_SMOOTH)
        course = Course(look.lattice, look.lattice.read(begun).to(look.inner.device), spectrum=self.spectrum)
        for number, (level, count) in enumerate(_shares(levels, steps)):
            report(number / len(levels))
            if number > 0:
                look = self.look(level, nodes=_NODES_SMOOTH)
            try:
                course = deform(
                    course,
                    look,
                    self.scales,
                    self.pair.spacings_mm[level],
                    count,
                    self.learns and number == 0,
                )
            except FloatingPointError:
                diverged = True
                break
        return self._finished(name, course, level, None if diverged else look)

    def _finished(self, name: str, course: Course, level: int, seen: Look | None) -> tuple[Stage, list[str]]:
        """The end of a course made safe, as a stage, judged on a level; `seen` is its last look, none if it went
        astray."""
        finest = float(self.pair.images[0].grid.spacing_mm.min())
        safe, lattice, notes = made_safe(course.vectors, course.lattice, 0.5 * finest)
        self.level = level
        self.finest = self.look(level, lattice=course.lattice) if seen is None else seen
        look = self.finest if lattice is course.lattice else self.look(level, lattice=lattice)
        without, told = (_told(look, vectors) for vectors in (torch.zeros_like(safe), safe))
        if told <= without:
            # Coarse levels may lead away; what tells less than no deformation is none.
            notes = [
                "the deformation was dropped: with it the images tell no more of each other than without"
            ]
            safe = torch.zeros_like(safe)
        self.course, self.told, self.moves = course, max(told, without), told > without
        vectors, wide = with_room(safe, lattice)
        velocity = Velocity(wide.to_world(vectors).cpu(), wide.grid)
        transform = Composite((self.linear, velocity))
        # A field that nothing was done to is at rest.
        still = not course.spacing_mm or course.left_mm < _LEFT * self.pair.spacings_mm[level]
        status: Status = "diverged" if seen is None else "converged" if still else "steps"
        return Stage(name, transform, status, course.spacing_mm, [-v for v in course.nats]), notes

    def quality(self, stage: Stage, margin: float | None) -> Quality:
        """The figures of a result, and the verdict from them."""
        look = self.finest
        headers = self.look(self.level, Linear.identity(self.linear.ndim), self.course.lattice)
        before = _told(headers, torch.zeros_like(self.course.vectors))
        inside = look.warped(None)[1]
        overlap = float((inside * look.inner).sum() / look.inner.sum().clamp(min=1))
        chance = look.likeness.chance(float(look.inner.sum()))
        spacing = self.pair.spacings_mm[0]
        landed = landing(self.pair, self.linear)
        found = judge(
            self.told, before, chance, 1.0, overlap, margin, 0.0, stage.status, spacing, landed=landed
        )
        if self.course.quadratic is None:
            return replace(found, precision_mm=None)
        vectors = self.course.vectors
        error, moved = (
            look.over_object(field.square().sum(0)) ** 0.5
            for field in (likely_error(self.course.quadratic, vectors, self.generator), vectors)
        )
        reasons = found.reasons
        # What is hardly moved, as an image onto itself, needs no deformation.
        if not self.moves and moved > spacing:
            reasons = [*reasons, "no deformation was found that explains more than none"]
        elif error > max(moved, spacing):
            reasons = [
                *reasons,
                f"the deformation, which moves things by {moved:.2g} mm, may itself be off by {error:.2g} mm",
            ]
        verdict = "check" if reasons and found.verdict == "good" else found.verdict
        return replace(found, precision_mm=error, reasons=reasons, verdict=verdict)

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


def _shares(levels: Sequence[int], steps: int) -> list[tuple[int, int]]:
    """How many steps each level gets: most on the second, which costs a tenth of the third and decides most.

    Up to 20 steps leave out the third, which takes as long as everything else for another point of Dice between heads.
    """
    levels = levels[:3]
    first = steps // 4 if len(levels) > 1 else 0
    last = steps // 10 if len(levels) > 2 and steps > 20 else 0
    counts = (first, steps - first - last, last) if first else (steps,)
    return [(level, count) for level, count in zip(levels, counts, strict=False) if count]


def _told(look: Look, vectors: Tensor) -> float:
    """What a level tells under a velocity field, in nats per voxel."""
    return look.told(exponential(vectors[None], look.lattice.local)[0])[1].nats


def _object(image: Image, mask: Image | None) -> Foreground:
    found = find_foreground(image)
    return found if mask is None else found.within(covers(mask, image.grid).reshape(image.grid.shape), image)


def _chessboard(shape: Sequence[int]) -> Tensor:
    """0 and 1 in turn, for blocks of two voxels a side."""
    total = torch.zeros((1,) * len(shape), dtype=torch.int64)
    for axis, n in enumerate(shape):
        total = total + (torch.arange(n) // 2).reshape(-1, *[1] * (len(shape) - 1 - axis))
    return total % 2


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
