"""What the report shows of a registration."""

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from inforeg import report
from inforeg.errors import NotInvertible
from inforeg.image import Image, resample, to_scalar
from inforeg.image.coarse import object_of
from inforeg.image.filters import downsample
from inforeg.methods import Stage
from inforeg.register.course import Course
from inforeg.register.deformed import deformation_of, parts_of
from inforeg.register.film import film_of
from inforeg.register.points import keypoints_of
from inforeg.transforms import Composite, Linear, Transform

if TYPE_CHECKING:
    from inforeg.register.front import Registration

# What a method does, in a line. One that is not here is shown by its name alone.
METHODS = {
    "linear": "a search of poses, then steps from coarse to fine",
    "drmime": "mutual information learnt by a small network, from coarse to fine",
    "drmime-paper": "mutual information learnt by a small network, as published",
    "svf": "linear stages, then a velocity field: a smooth deformation that can be undone",
    "network": "linear stages, then a velocity field by a trained network: a smooth deformation that can be undone",
    "keymorph": "the same points found in both images by a trained network, and the transform that fits them",
}
ORIGINS = {
    "centre": "the middle of one image on the middle of the other",
    "mass": "the object of one image on the object of the other",
    "keypoints": "the points of one image on those of the other",
    "given": "the transform that was given to start from",
}
ESTIMATE = "mutual information estimate, nats"
# What a deformation is followed by, by its metric.
DEFORMED = {
    "mi_local": "mutual information of local contrast, nats",
    "mi": "mutual information, nats",
    "nmi": "mutual information, nats",
    "lncc": "information of local correlation, nats",
    "mind_ssc": "information of descriptors, nats a channel",
    "mine": ESTIMATE,
    "mine_local": ESTIMATE,
}
# What deforms, by the name of its class.
DEFORMATIONS = {
    "Velocity": "a deformation that can be undone (a velocity field)",
    "Displacement": "a deformation (a field of displacements)",
    "BSpline": "a deformation (B-splines)",
    "ThinPlate": "a deformation (thin-plate splines)",
}
COUNTS = {1: "one", 2: "two", 3: "three", 4: "four"}
# Metrics that are the negative of what is worth showing, by what that is called.
NEGATIVE = {"mi": "mutual information, nats", "mine": ESTIMATE}


class Shown(NamedTuple):
    """Both images no finer than a page can show, the moving one as found and as left on the fixed one's grid.

    `undeformed` is the moving one as the linear part of the transform alone leaves it, where there is more.
    """

    fixed: Image
    moving: Image
    before: Image
    warped: Image
    undeformed: Image | None


def page_of(result: "Registration", record: dict[str, Any]) -> report.ReportData:
    """What the report shows; `record` is the contents of `result.json`."""
    shown = _shown(result)
    images = [
        _array(image)
        for image in (shown.fixed, shown.before, shown.warped, shown.undeformed)
        if image is not None
    ]
    arrays, spacing_mm = report.for_display(images, shown.fixed.grid.voxel_to_world.numpy())
    names = [Path(result.inputs[role]).name for role in ("fixed", "moving")]
    course = Course.of(result.stages, result.transform, object_of(shown.fixed))
    deformation = _deformation(result, shown, arrays)
    start = result.start
    candidates = [
        report.Candidate(c.transform.rotation_angle_deg(), -c.information)
        for c in ([start.best, *start.others] if start else [])
        if c.information == c.information
    ]
    return report.ReportData(
        title=f"{names[1]} to {names[0]}",
        fixed=arrays[0],
        before=arrays[1],
        warped=arrays[2],
        spacing_mm=spacing_mm,
        verdict=_verdict(result),
        fixed_name=names[0],
        moving_name=names[1],
        full_spacing_mm=tuple(float(s) for s in result.fixed.grid.spacing_mm),
        chain_in_words=chain_in_words(result.transform, *names),
        summary=_summary(result, deformation),
        stages=_traces(result),
        candidates=candidates,
        response=_response(result, names),
        path=None if course is None else _path(course),
        film=None if course is None else _film(result, course, shown),
        deformation=deformation,
        keypoints=None if result.points is None else keypoints_of(result.points, shown.fixed, shown.moving),
        settings=result.settings,
        warnings=result.notes,
        versions=record["versions"],
        command=record["command"],
    )


def chain_in_words(transform: Transform, fixed: str, moving: str) -> list[str]:
    """The chain from fixed to moving points, in plain words."""
    # What acts first is said first.
    parts = list(reversed(transform.parts)) if isinstance(transform, Composite) else [transform]
    count = f"{COUNTS.get(len(parts), len(parts))} step{'s' if len(parts) > 1 else ''}"
    lines = [f"A point of the fixed image ({fixed}) is taken to the moving image ({moving}) in {count}."]
    if len(parts) == 1:
        lines.append(f"The step is {_part_in_words(parts[0])}.")
    else:
        lines += [f"{'Then' if n else 'First'} {_part_in_words(part)}." for n, part in enumerate(parts)]
    lines.append("warped is the moving image, read at those points; apply does the same for other images.")
    lines.append("inverse takes points of the moving image to the fixed one.")
    return lines


def _part_in_words(part: Transform) -> str:
    if isinstance(part, Linear):
        d = part.ndim
        scale = float(torch.linalg.det(part.matrix[:d, :d]).abs()) ** (1 / d)
        kind = "a linear transform" if part.is_affine else "a projective transform"
        return f"{kind}: a turn of {part.rotation_angle_deg():.2f} degrees and a scale of {scale:.4f}"
    kind = DEFORMATIONS.get(type(part).__name__, "a deformation")
    grid = getattr(part, "grid", None)
    if grid is None:
        return kind
    sides = [f"{float(s):.3g}" for s in grid.spacing_mm]
    return f"{kind}, with a vector every {sides[0] if len(set(sides)) == 1 else ' × '.join(sides)} mm"


def _verdict(result: "Registration") -> report.Verdict:
    q = result.quality
    sentence = {
        "good": "The run's own checks found nothing to object to. Look at the edges all the same.",
        "check": "Look before you use it: " + "; ".join(q.reasons) + ".",
        "failed": "Do not use it: " + "; ".join(q.reasons) + ".",
    }[q.verdict]
    return report.Verdict(q.verdict, sentence)


def _summary(result: "Registration", deformation: report.Deformation | None) -> list[report.KeyFigure]:
    figure, q = report.KeyFigure, result.quality
    summary = [
        figure("Method", result.method, METHODS.get(result.method, "")),
        figure(
            "Shared information",
            f"{q.information_before:.3f} to {q.information:.3f} nats",
            "mutual information per sample, where the headers put the images and now; more is better",
        ),
        figure("Overlap", f"{100 * q.overlap:.0f} %", "share of the fixed object inside the moving image"),
    ]
    if deformation is not None:
        summary += _deformation_figures(deformation)
    if result.points is not None:
        points = result.points
        summary.append(
            figure(
                "Points apart",
                f"{points.residual_mm:.2g} mm",
                f"how far the transform leaves the {len(points.weights)} points of both images from each other; they"
                f" surround {100 * points.coverage:.0f} % of the fixed object",
            )
        )
    if q.margin is not None:
        summary.append(
            figure(
                "Lead over the next pose",
                f"{100 * q.margin:.0f} %",
                "how far the best clearly different pose falls behind; below 8 % is doubtful",
            )
        )
    if q.precision_mm is not None:
        summary.append(
            figure(
                "Precision",
                f"{q.precision_mm:.3f} mm",
                "how far other samples of the same images move the result; not the whole error"
                if deformation is None
                else "how far places may be off, by what the images tell and how smooth deformations are",
            )
        )
    summary.append(figure("Time", f"{result.seconds:.1f} s", f"on {result.device}, reading included"))
    return summary


def _deformation_figures(deformation: report.Deformation) -> list[report.KeyFigure]:
    inside, whole = deformation.inside, deformation.whole
    unit = report.unit_of(tuple(deformation.spacing_mm))
    return [
        report.KeyFigure(
            "Largest displacement",
            f"{inside.largest_mm:.3g} {unit}",
            f"by the deformation alone, in the object; {inside.mean_mm:.3g} {unit} on average",
        ),
        report.KeyFigure(
            "Folds",
            str(whole.folds),
            f"places where space is turned inside out, of {whole.places} looked at",
        ),
    ]


def _deformation(result: "Registration", shown: Shown, arrays: list[Any]) -> report.Deformation | None:
    if shown.undeformed is None:
        return None
    try:
        inverse = result.inverse
    except NotInvertible:
        inverse = None
    return deformation_of(result.transform, inverse, shown.fixed, arrays[3])


def _traces(result: "Registration") -> list[report.StageTrace]:
    """The metric of every stage; information, which methods make small by its negative, is shown as it is."""
    name = "mi" if result.method == "svf" else result.settings.get("metric")
    deformed = DEFORMED.get(str(result.settings.get("metric")), ESTIMATE)
    return [_trace(stage, name, deformed) for stage in result.stages]


def _trace(stage: Stage, name: Any, deformed: str) -> report.StageTrace:
    if not isinstance(stage.transform, Linear):
        # It cannot be compared with that of linear stages: it is counted otherwise.
        values = [-v for v in stage.metric]
        return report.StageTrace(stage.name, values, stage.spacing_mm, deformed, "more")
    # A method that names no metric of its own has a network estimate the information.
    words = ESTIMATE if name is None else NEGATIVE.get(str(name))
    if words is None:
        return report.StageTrace(stage.name, stage.metric, stage.spacing_mm, str(name))
    return report.StageTrace(stage.name, [-v for v in stage.metric], stage.spacing_mm, words, "more")


def _response(result: "Registration", names: list[str]) -> report.Response | None:
    learnt = result.response
    # An image of one intensity has nothing that a map could show.
    if learnt is None or any(
        float(values[-1]) <= float(values[0]) for values in (learnt.fixed, learnt.moving)
    ):
        return None
    words = [
        name if image.channels == 1 else f"{name}, first principal component"
        for name, image in zip(names, (result.fixed, result.moving), strict=True)
    ]
    values = {
        name: getattr(learnt, name).detach().cpu().double().numpy()
        for name in ("fixed", "moving", "nats", "fixed_counts", "moving_counts")
    }
    return report.Response(**values, fixed_words=words[0], moving_words=words[1])


def _path(course: Course) -> report.PathTrace:
    rotation, scale, shift = course.motion()
    left = course.left_mm(course.matrices)
    return report.PathTrace(
        left.tolist(),
        rotation.tolist(),
        scale.tolist(),
        shift.tolist(),
        course.object.radius_mm,
        "the linear stages take it" if course.then else "it ends",
    )


def _film(result: "Registration", course: Course, shown: Shown) -> report.Film | None:
    began = "where the steps begin"
    if result.start is not None and result.start.poses_scored:
        began = f"the best of {result.start.poses_scored} poses, which the search chose"
    elif result.start is not None:
        began = ORIGINS.get(result.start.best.origin, began)
    final = result.transform if course.then else None
    return film_of(course, to_scalar(shown.fixed), to_scalar(shown.moving), began, final)


def _shown(result: "Registration") -> Shown:
    fixed, moving = _few_channels(result.fixed.to("cpu")), _few_channels(result.moving.to("cpu"))
    limit = report.DISPLAY_LONGEST[fixed.grid.ndim]
    widest = float(fixed.grid.extent_mm.max()) / limit
    factors = [max(1, ceil(widest / float(spacing) - 1e-6)) for spacing in fixed.grid.spacing_mm]
    small = downsample(fixed, factors) if max(factors) > 1 else fixed
    ratio = [max(1, int(float(small.grid.spacing_mm.min() / s))) for s in moving.grid.spacing_mm]
    thin = downsample(moving, ratio) if max(ratio) > 1 else moving
    linear, rest = parts_of(result.transform)
    undeformed = None if rest is None else resample(thin, small.grid, linear)
    return Shown(
        small, thin, resample(thin, small.grid), resample(thin, small.grid, result.transform), undeformed
    )


def _few_channels(image: Image) -> Image:
    """Grey and colour as they are, any other number of channels as the one that methods compare."""
    return image if image.channels in (1, 3) else to_scalar(image)


def _array(image: Image) -> Any:
    array = image.data[0].numpy()
    return array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)
