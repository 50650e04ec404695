"""Velocity fields from coarse to fine, by Newton steps."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.dense.level import Look
from inforeg.solve.dense.roughness import Quadratic, Roughness
from inforeg.solve.dense.spectrum import Spectrum
from inforeg.transforms.velocity import exponential

# A step may move nothing further than this share of the distance between nodes.
_TRUST = 0.5
# A level is done when its steps move things by less than this share of its voxels, on average.
_STILL = 0.01
# Conjugate gradients for one step.
_INNER = 12
# At which steps the spectrum is learnt: on the first level, where it is not known at all, and on later ones.
_LEARNS = (3, 6, 9, 12, 15, 18, 21, 24, 27)
_LEARNS_AGAIN = (1, 3)


@dataclass(frozen=True)
class Scales:
    """What is expected of a deformation: over what length it waves, and by how much; and how far apart errors of the
    images have nothing to do with each other.
    """

    smoothness_mm: float
    expected_mm: float
    apart_mm: float


@dataclass
class Course:
    """A velocity field on its way, `(d, *nodes)` in mm along the axes of a lattice, and how it came there.

    `left_mm` is how far its last step moved things on average; `spectrum` what is expected of it, if that was learnt.
    """

    lattice: Lattice
    vectors: Tensor
    spacing_mm: list[float] = field(default_factory=list)
    nats: list[float] = field(default_factory=list)
    left_mm: float = float("inf")
    quadratic: Quadratic | None = None
    spectrum: Spectrum | None = None


def deform(
    course: Course,
    look: Look,
    scales: Scales,
    spacing_mm: float,
    steps: int,
    learning: bool = False,
) -> Course:
    """The course after one level: up to `steps` Newton steps on velocities at the level's own nodes.

    A step `x` at the displacement `exp(v)` is composed with it: `exp(v) o exp(x)`, which is `exp(v + x)` to first
    order, and the next step sees what the second order left.
    """
    lattice = look.lattice
    vectors = course.lattice.moved_to(lattice, course.vectors)
    spectrum = course.spectrum or Spectrum(scales.smoothness_mm, scales.expected_mm)
    roughness = Roughness(lattice, spectrum).to(vectors.device)
    learns = _LEARNS_AGAIN if course.spacing_mm else _LEARNS
    # Measured anew while it still changes.
    measures = (0,) if course.spacing_mm else (0, 2, 5)
    independence: float | None = None
    trace, left_mm, quadratic = [], float("inf"), None
    for step in range(steps):
        displacement = exponential(vectors[None], lattice.local)[0]
        seen = look.evidence(displacement, None if step in measures else independence, scales.apart_mm)
        independence = seen.independence
        weights = seen.weights * independence
        if learning and step in learns:
            roughness = roughness.learnt(weights, vectors)
        quadratic = Quadratic(weights, roughness)
        right = seen.force * independence - roughness.slope(vectors)
        change = quadratic.solve(right, _INNER)
        lengths = change.norm(dim=0)
        if not bool(torch.isfinite(lengths).all()):
            raise FloatingPointError("a step of the deformation is not finite")
        # Each vector by itself: one wild place is not to hold up all others.
        change = change * (_TRUST * lattice.spacing_mm / lengths.clamp(min=1e-12)).clamp(max=1)
        vectors = vectors + change
        trace.append(seen.nats)
        left_mm = float(lengths.mean())
        if left_mm < _STILL * spacing_mm and (not learning or step >= learns[-1]):
            break
    return Course(
        lattice,
        vectors,
        course.spacing_mm + [spacing_mm] * len(trace),
        course.nats + trace,
        left_mm,
        quadratic,
        roughness.spectrum,
    )
