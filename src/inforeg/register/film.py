"""The film of a registration: the moving image at places along the way, in slices of the fixed one."""

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from inforeg import report
from inforeg.image import Image
from inforeg.image.filters import downsample
from inforeg.register.between import between
from inforeg.register.course import Course
from inforeg.register.planes import planes_of
from inforeg.transforms import Linear, Transform

MOST_FRAMES = 28
# Frames from the headers' place to where the steps begin, where a search or a centre put it elsewhere.
GLIDE = 10
LONGEST = 256


def film_of(
    course: Course, fixed: Image, moving: Image, began: str, final: Transform | None = None
) -> report.Film | None:
    """A film of at most 256 pixels a side and 28 frames; None where nothing moves as much as half a pixel.

    `fixed` and `moving` are as fine as a page shows them, in one channel, on the CPU. In 3-D the planes go through the
    middle of the object. Where the steps begin elsewhere than the headers put the images, the first frames glide from
    there to where they begin, which `began` says in words. `final` is the whole transform where it deforms, which the
    course leaves out: one last frame shows it.
    """
    factor = ceil(max(fixed.grid.shape) / LONGEST)
    if factor > 1:
        fixed = downsample(fixed, [min(factor, n) for n in fixed.grid.shape])
        finer = float(fixed.grid.spacing_mm.min())
        ratio = [max(1, int(finer / float(s))) for s in moving.grid.spacing_mm]
        moving = downsample(moving, ratio) if max(ratio) > 1 else moving
    least_mm = 0.5 * float(fixed.grid.spacing_mm.min())
    header = torch.eye(course.end.ndim + 1, dtype=torch.float64)
    jump_mm = float((course.put_mm(header[None]) - course.put_mm(course.matrices[:1])).norm(dim=-1).max())
    glide = min(GLIDE, ceil(jump_mm / least_mm)) if jump_mm > least_mm else 0
    stops = evenly(course, least_mm, MOST_FRAMES - glide - (final is not None))
    if glide + len(stops) == 1 and final is None:
        return None
    shares = [n / glide for n in range(glide)]
    matrices = [between(header, course.matrices[0], share, course.object.centre_mm) for share in shares]
    matrices += [stop.matrix for stop in stops]
    transforms: list[Transform] = [Linear(matrix) for matrix in matrices]
    labels = ["Before: as the headers place it", *[f"On the way to {began}"] * (glide - 1)][:glide]
    labels += [_words(course, stop) for stop in stops]
    steps: list[float | None] = [*[None] * glide, *(stop.step for stop in stops)]
    pauses = [glide] if glide else []
    if final is not None:
        pauses = sorted({*pauses, len(transforms) - 1})
        transforms.append(final)
        labels.append(f"After {' and '.join(course.then)}: the end, deformed")
        steps.append(None)
    planes = planes_of(fixed.grid, course.object.centre_mm)
    outside = float(moving.data.min())
    return report.Film(
        planes=[plane.name for plane in planes],
        spacing_mm=[plane.spacing_mm for plane in planes],
        fixed=[plane.picture(fixed, None, 0.0) for plane in planes],
        frames=[[plane.picture(moving, transform, outside) for plane in planes] for transform in transforms],
        labels=labels,
        steps=steps,
        pauses=pauses,
    )


@dataclass(frozen=True)
class Stop:
    """A place on the way: its matrix, and at which step it is (between two, where one step moved far)."""

    matrix: Tensor
    step: float


def evenly(course: Course, least_mm: float, most: int = MOST_FRAMES) -> list[Stop]:
    """At most so many stops from the first step to the end, as far from one to the next as the motion is even.

    What the steps tremble by is left out: a step counts when it is farther from the last that counted than a share of
    the whole. The end is the last stop, and takes the last step's place. Stops are `least_mm` apart or more.
    """
    matrices = torch.cat((course.matrices, course.end.matrix[None]))
    put = course.put_mm(matrices)
    last = len(matrices) - 1
    gap = max(least_mm, float(course.left_mm(matrices).max()) / most)
    kept = [0]
    while True:
        away = (put[kept[-1] + 1 :] - put[kept[-1]]).norm(dim=-1).amax(dim=-1)
        far = (away >= gap).nonzero()
        if not len(far):
            break
        kept.append(kept[-1] + 1 + int(far[0]))
    # The end is what all of it was for; a stop just before it would be the same picture.
    if kept[-1] != last:
        kept = [*kept, last] if len(kept) == 1 or float(away[-1]) > 0.5 * gap else [*kept[:-1], last]
    lengths = (put[kept[1:]] - put[kept[:-1]]).norm(dim=-1).amax(dim=-1)
    travelled = torch.cat((torch.zeros(1, dtype=torch.float64), lengths.cumsum(0)))
    total = float(travelled[-1])
    if total < least_mm:
        return [Stop(matrices[last], float(last - 1))]
    count = min(most, ceil(total / least_mm) + 1)
    stops = []
    for place in torch.linspace(0, total, count, dtype=torch.float64):
        n = min(int(torch.searchsorted(travelled, place, right=True)), len(kept) - 1)
        share = float((place - travelled[n - 1]) / lengths[n - 1].clamp(min=1e-300))
        share = min(1.0, max(0.0, share))
        matrix = between(matrices[kept[n - 1]], matrices[kept[n]], share, course.object.centre_mm)
        stops.append(Stop(matrix, min(last - 1.0, (1 - share) * kept[n - 1] + share * kept[n])))
    return stops


def _words(course: Course, stop: Stop) -> str:
    count = len(course.matrices)
    step = int(stop.step + 1e-6)
    left = float(course.left_mm(stop.matrix[None])[0])
    where = f"Step {step} of {count - 1}, {course.words[step]}"
    if left > 1e-6:
        ends = "the linear stages take it" if course.then else "it ends"
        return f"{where}: the rim is {left:.3g} mm from where {ends}"
    return f"{where}: the end{' of the linear stages' if course.then else ''}"
