"""Where to start: from the header, centres, moments, or a search over all poses."""

from dataclasses import dataclass, field, replace
from math import log

import torch
from torch import Tensor

from inforeg.image import Foreground, Image
from inforeg.image.sample import sample
from inforeg.solve.information import SampledInformation
from inforeg.solve.newton import climb
from inforeg.solve.sampler import Stratified
from inforeg.solve.search import PoseScore, rotation_angle_deg, rotations_2d, rotations_3d
from inforeg.space import Grid
from inforeg.transforms import Linear, group


@dataclass(frozen=True, eq=False)
class View:
    """One image as a search sees it: a coarse and a finer version, scaled to 0..1, and where its object is.

    `window` are the intensities of the original that became 0 and 1; `mask` is where to look, if that was said.
    """

    coarse: Image
    finer: Image
    object: Foreground
    window: tuple[float, float] = (0.0, 1.0)
    mask: Image | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """A starting pose, the information (nats per sample) it reaches after refinement, and where it came from."""

    transform: Linear
    information: float
    origin: str


@dataclass(frozen=True, eq=False)
class Start:
    """The pose to start from, the best of the clearly different others, and how far ahead the first one is.

    `margin` is the relative lead in information of the first over the second (0: a tie; 1: the second has none).
    """

    best: Candidate
    others: list[Candidate] = field(default_factory=list)
    poses_scored: int = 0
    wide: bool = False

    @classmethod
    def given(cls, transform: Linear, origin: str) -> "Start":
        """A start that was not searched for."""
        return cls(Candidate(transform, float("nan"), origin))

    def inverse(self) -> "Start":
        """The same poses for the images swapped."""
        turned = [
            Candidate(c.transform.inverse(), c.information, c.origin) for c in (self.best, *self.others)
        ]
        return Start(turned[0], turned[1:], self.poses_scored, self.wide)

    def contenders(self, within: float = 0.15, most: int = 3) -> list[Candidate]:
        """The best pose, and the others whose information comes within a share of its own."""
        close = [c for c in self.others if c.information > (1 - within) * self.best.information]
        return [self.best, *close[: most - 1]]

    def led_by(self, winner: Candidate) -> "Start":
        """The same poses with another one, that turned out better, in the lead."""
        poses = [self.best, *self.others]
        return replace(self, best=winner, others=[c for c in poses if c is not winner])

    @property
    def margin(self) -> float:
        if not self.others or self.best.information <= 0:
            return 1.0
        return 1.0 - max(0.0, self.others[0].information) / self.best.information


def centre_to_centre(fixed_mm: Tensor, moving_mm: Tensor, rotations: Tensor | None = None) -> Tensor:
    """World matrices that take one point to another, for each rotation (the identity if none are given)."""
    d = fixed_mm.shape[-1]
    rotations = torch.eye(d, dtype=torch.float64)[None] if rotations is None else rotations
    matrices = torch.eye(d + 1, dtype=torch.float64).repeat(len(rotations), 1, 1)
    matrices[:, :d, :d] = rotations
    matrices[:, :d, d] = moving_mm - rotations @ fixed_mm
    return matrices


def from_header(fixed: Grid) -> Linear:
    """The two worlds as the headers have them."""
    return Linear.identity(fixed.ndim)


def from_centres(fixed: Grid, moving: Grid) -> Linear:
    """The middles of the two fields of view on each other."""
    return Linear(centre_to_centre(fixed.centre_mm, moving.centre_mm)[0])


def from_mass(fixed: Foreground, moving: Foreground) -> Linear:
    """The centres of the two objects on each other."""
    return Linear(centre_to_centre(fixed.centre_mm, moving.centre_mm)[0])


def moment_rotations(fixed: Foreground, moving: Foreground) -> Tensor:
    """Rotations that lay the principal axes of the two objects on each other: two in 2-D, four in 3-D.

    Axes have no sign, so all combinations that are not reflections are given.
    """
    d = len(fixed.centre_mm)
    _, a = torch.linalg.eigh(fixed.covariance_mm2)
    _, b = torch.linalg.eigh(moving.covariance_mm2)
    signs = torch.cartesian_prod(*[torch.tensor([1.0, -1.0], dtype=torch.float64)] * d)
    rotations = torch.stack([b @ torch.diag(s) @ a.T for s in signs])
    return rotations[torch.linalg.det(rotations) > 0]


class PoseSearch:
    """Scores many poses of a pair coarsely, refines the best, and tells how sure the winner is."""

    def __init__(self, fixed: View, moving: View, generator: torch.Generator, motion: str = "rigid") -> None:
        self.fixed, self.moving = fixed, moving
        # Only what the transform may do is tried: turns, and sizes where they clearly differ.
        self.turning, with_scale = motion != "translation", motion not in ("translation", "rigid")
        ratio = moving.object.radius_mm / fixed.object.radius_mm
        self.scales = (1.0, ratio) if with_scale and abs(log(ratio)) > 0.06 else (1.0,)
        self.ndim = fixed.coarse.grid.ndim
        name = "translation" if not self.turning else "rigid" if len(self.scales) == 1 else "similarity"
        self.group = group(name, self.ndim)
        self.centre = fixed.object.centre_mm
        self.radius = fixed.object.radius_mm
        self.sampler = Stratified.around(fixed.object, fixed.coarse, rim=1)
        if fixed.mask is not None:
            self.sampler = self.sampler.within(fixed.mask)
        points = self.sampler.draw(1500, generator)
        values, _ = sample(fixed.coarse, points.to(fixed.coarse.data.device, torch.float32)[None])
        self.score = PoseScore(points, values[0, 0], moving.coarse, mask=moving.mask)
        few = slice(None, None, max(1, len(points) // 500))
        self.score_few = PoseScore(points[few], values[0, 0][few], moving.coarse, mask=moving.mask)
        arguments = (self.group, self.centre, self.radius)
        self.coarse = SampledInformation(
            fixed.coarse,
            moving.coarse,
            self.sampler.draw(3000, generator),
            *arguments,
            bins=24,
            moving_mask=moving.mask,
        )
        self.finer = SampledInformation(
            fixed.finer,
            moving.finer,
            self.sampler.draw(12000, generator),
            *arguments,
            bins=24,
            moving_mask=moving.mask,
        )
        self.scored = 0

    def run(self, wide: bool = False) -> Start:
        """The narrow search, and the wide one where a field of view may be cut or the narrow one is not sure."""
        candidates = self.narrow()
        found = self.finish(candidates)
        ratio = self.fixed.object.volume_mm / self.moving.object.volume_mm
        if wide or min(ratio, 1 / ratio) < 0.6 or found.margin < 0.25:
            found = self.finish(candidates + self.wide(), keep=8, wide=True)
        return found

    def moments(self) -> Start:
        """Only the poses that lay centres and principal axes on each other, refined and compared."""
        f, m = self.fixed.object, self.moving.object
        matrices = centre_to_centre(f.centre_mm, m.centre_mm, moment_rotations(f, m))
        self.scored += len(matrices)
        return self.finish([self._refine(matrix, "moments") for matrix in matrices])

    def narrow(self) -> list[Candidate]:
        """All rotations about the objects' centres (at their sizes), moments, and the poses the headers give."""
        f, m = self.fixed, self.moving
        rotations = self._rotations(180, 3000)
        if self.turning:
            rotations = torch.cat((moment_rotations(f.object, m.object), rotations))
        turned = torch.cat([scale * rotations for scale in self.scales])
        matrices = centre_to_centre(f.object.centre_mm, m.object.centre_mm, turned)
        named = torch.stack(
            (from_header(f.coarse.grid).matrix, from_centres(f.coarse.grid, m.coarse.grid).matrix)
        )
        return self._best(
            torch.cat((named, matrices)), self.score, keep=8, polish=60, origins=["header", "centre"]
        )

    def wide(self) -> list[Candidate]:
        """All rotations about every place of the smaller object's centre within the larger: for cut fields of view."""
        f, m = self.fixed, self.moving
        rotations = self._rotations(72, 1000)
        blocks = [centre_to_centre(place, m.object.centre_mm, rotations) for place in self._places(f)]
        blocks += [centre_to_centre(f.object.centre_mm, place, rotations) for place in self._places(m)]
        return self._best(torch.cat(blocks), self.score_few, keep=16, polish=400, origins=[])

    def _rotations(self, in_plane: int, in_space: int) -> Tensor:
        identity = torch.eye(self.ndim, dtype=torch.float64)[None]
        if not self.turning:
            return identity
        return torch.cat((identity, rotations_2d(in_plane) if self.ndim == 2 else rotations_3d(in_space)))

    def _places(self, view: View) -> Tensor:
        """A lattice through an object, about a third of its radius wide."""
        mask, grid = view.object.mask, view.coarse.grid
        inside = grid.to_world(mask.nonzero().to(torch.float64).cpu())
        step = 0.36 * view.object.radius_mm
        cell = ((inside - view.object.centre_mm) / step).round()
        lattice, counts = torch.unique(cell, dim=0, return_counts=True)
        full = step**self.ndim / float(grid.spacing_mm.prod())
        places: Tensor = lattice[counts > 0.3 * full] * step + view.object.centre_mm
        return places

    def _best(
        self, matrices: Tensor, score: PoseScore, keep: int, polish: int, origins: list[str]
    ) -> list[Candidate]:
        self.scored += len(matrices)
        scores = score(matrices)
        named = matrices[: len(origins)]
        if score is self.score_few:
            matrices = matrices[scores.topk(min(4 * polish, len(scores))).indices]
            scores = self.score(matrices)
        matrices = matrices[scores.topk(min(polish, len(scores))).indices]
        matrices, scores = self._polish(matrices)
        order = scores.argsort(descending=True)
        chosen: list[int] = []
        for i in order.tolist():
            if len(chosen) >= keep:
                break
            if not chosen or not self._near(matrices[i], matrices[chosen], 18.0, 0.25):
                chosen.append(i)
        found = [self._refine(matrices[i], "search") for i in chosen]
        # Poses somebody meant are always tried, however they score.
        return [self._refine(m, name) for m, name in zip(named, origins, strict=True)] + found

    def _polish(self, matrices: Tensor) -> tuple[Tensor, Tensor]:
        """All poses moved to the best of their neighbours, a few times with shrinking steps, all at once."""
        scores = self.score(matrices)
        for angle_rad in (0.18, 0.12, 0.08, 0.05):
            steps = angle_rad * torch.cat((torch.eye(self.group.size), -torch.eye(self.group.size))).double()
            frame = self.group.frame(self.centre, self.radius)
            nudges = frame @ self.group.matrix(steps) @ torch.linalg.inv(frame)
            around = (matrices[:, None] @ nudges).reshape(-1, *matrices.shape[1:])
            self.scored += len(around)
            tried = self.score(around).reshape(len(matrices), -1)
            best, which = tried.max(dim=1)
            better = best > scores
            candidates = around.reshape(len(matrices), -1, *matrices.shape[1:])[
                torch.arange(len(matrices)), which
            ]
            matrices = torch.where(better[:, None, None], candidates, matrices)
            scores = torch.where(better, best, scores)
        return matrices, scores

    def _near(self, pose: Tensor, others: Tensor, angle_deg: float, radii: float) -> bool:
        d = self.ndim
        angles = rotation_angle_deg(others[:, :d, :d], pose[:d, :d].expand(len(others), d, d))
        shifts = (
            others[:, :d, :d] @ self.centre + others[:, :d, d] - pose[:d, :d] @ self.centre - pose[:d, d]
        ).norm(dim=-1)
        return bool(((angles < angle_deg) & (shifts < radii * self.radius)).any())

    def _refine(self, matrix: Tensor, origin: str) -> Candidate:
        h = self.fixed.coarse.grid.spacing_mm.mean().item()
        result = climb(
            self.coarse,
            Linear(matrix),
            self.group,
            self.centre,
            self.radius,
            steps=8,
            tolerance_mm=0.2 * h,
            longest_mm=2 * h,
        )
        return Candidate(result.transform, result.evaluation.information, origin)

    def finish(self, candidates: list[Candidate], keep: int = 5, wide: bool = False) -> Start:
        """The best distinct candidates compared at the finer level; the winner and how far it is ahead."""
        distinct: list[Candidate] = []
        for candidate in sorted(candidates, key=lambda c: -c.information):
            others = [c.transform.matrix for c in distinct]
            if not others or not self._near(candidate.transform.matrix, torch.stack(others), 10.0, 0.15):
                distinct.append(candidate)
        h = self.fixed.finer.grid.spacing_mm.mean().item()
        finer = []
        for candidate in distinct[:keep]:
            result = climb(
                self.finer,
                candidate.transform,
                self.group,
                self.centre,
                self.radius,
                steps=8,
                tolerance_mm=0.2 * h,
                longest_mm=4 * h,
            )
            finer.append(Candidate(result.transform, result.evaluation.information, candidate.origin))
        finer.sort(key=lambda c: -c.information)
        best = finer[0]
        rivals = [
            c
            for c in finer[1:]
            if not self._near(c.transform.matrix, best.transform.matrix[None], 10.0, 0.15)
        ]
        return Start(best, rivals, self.scored, wide)
