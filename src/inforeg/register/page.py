"""What the report shows of a registration."""

from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch

from inforeg import report
from inforeg.image import Image, resample, to_scalar
from inforeg.image.filters import downsample
from inforeg.register.course import Course, object_of
from inforeg.register.film import film_of
from inforeg.transforms import Linear, Transform

if TYPE_CHECKING:
    from inforeg.register.front import Registration

# What a method does, in a line. One that is not here is shown by its name alone.
METHODS = {
    "linear": "a search of poses, then steps from coarse to fine",
    "drmime": "mutual information learnt by a small network, from coarse to fine",
    "drmime-paper": "mutual information learnt by a small network, as published",
}
ORIGINS = {
    "centre": "the middle of one image on the middle of the other",
    "mass": "the object of one image on the object of the other",
    "given": "the transform that was given to start from",
}
ESTIMATE = "mutual information estimate, nats"
# Metrics that are the negative of what is worth showing, by what that is called.
NEGATIVE = {"mi": "mutual information, nats", "mine": ESTIMATE}


class Shown(NamedTuple):
    """Both images no finer than a page can show, the moving one as found and as left on the fixed one's grid."""

    fixed: Image
    moving: Image
    before: Image
    warped: Image


def page_of(result: "Registration", record: dict[str, Any]) -> report.ReportData:
    """What the report shows; `record` is the contents of `result.json`."""
    shown = _shown(result)
    images = [_array(image) for image in (shown.fixed, shown.before, shown.warped)]
    arrays, spacing_mm = report.for_display(images, shown.fixed.grid.voxel_to_world.numpy())
    names = [Path(result.inputs[role]).name for role in ("fixed", "moving")]
    course = Course.of(result.stages, result.transform, object_of(shown.fixed))
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
        summary=_summary(result),
        stages=_traces(result),
        candidates=candidates,
        response=_response(result, names),
        path=None if course is None else _path(course),
        film=None if course is None else _film(result, course, shown),
        settings=result.settings,
        warnings=result.notes,
        versions=record["versions"],
        command=record["command"],
    )


def chain_in_words(transform: Transform, fixed: str, moving: str) -> list[str]:
    """The chain from fixed to moving points, in plain words."""
    lines = [f"A point of the fixed image ({fixed}) is taken to the moving image ({moving}) in one step."]
    if isinstance(transform, Linear):
        d = transform.ndim
        linear = transform.matrix[:d, :d]
        scale = float(torch.linalg.det(linear).abs()) ** (1 / d)
        kind = "a linear transform" if transform.is_affine else "a projective transform"
        lines.append(
            f"The step is {kind}: a turn of {transform.rotation_angle_deg():.2f} degrees and a scale of {scale:.4f}."
        )
    lines.append("warped is the moving image, read at those points; apply does the same for other images.")
    lines.append("inverse takes points of the moving image to the fixed one.")
    return lines


def _verdict(result: "Registration") -> report.Verdict:
    q = result.quality
    sentence = {
        "good": "The run's own checks found nothing to object to. Look at the edges all the same.",
        "check": "Look before you use it: " + "; ".join(q.reasons) + ".",
        "failed": "Do not use it: " + "; ".join(q.reasons) + ".",
    }[q.verdict]
    return report.Verdict(q.verdict, sentence)


def _summary(result: "Registration") -> list[report.KeyFigure]:
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
                "how far other samples of the same images move the result; not the whole error",
            )
        )
    summary.append(figure("Time", f"{result.seconds:.1f} s", f"on {result.device}, reading included"))
    return summary


def _traces(result: "Registration") -> list[report.StageTrace]:
    """The metric of every stage; information, which methods make small by its negative, is shown as it is."""
    name = result.settings.get("metric")
    # A method that names no metric of its own has a network estimate the information.
    words = ESTIMATE if name is None else NEGATIVE.get(str(name))
    if words is None:
        return [report.StageTrace(s.name, s.metric, s.spacing_mm, str(name)) for s in result.stages]
    better: Literal["more"] = "more"
    return [
        report.StageTrace(s.name, [-v for v in s.metric], s.spacing_mm, words, better) for s in result.stages
    ]


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
        left.tolist(), rotation.tolist(), scale.tolist(), shift.tolist(), course.object.radius_mm
    )


def _film(result: "Registration", course: Course, shown: Shown) -> report.Film | None:
    began = "where the steps begin"
    if result.start is not None and result.start.poses_scored:
        began = f"the best of {result.start.poses_scored} poses, which the search chose"
    elif result.start is not None:
        began = ORIGINS.get(result.start.best.origin, began)
    return film_of(course, to_scalar(shown.fixed), to_scalar(shown.moving), began)


def _shown(result: "Registration") -> Shown:
    fixed, moving = _few_channels(result.fixed.to("cpu")), _few_channels(result.moving.to("cpu"))
    limit = report.DISPLAY_LONGEST[fixed.grid.ndim]
    widest = float(fixed.grid.extent_mm.max()) / limit
    factors = [max(1, ceil(widest / float(spacing) - 1e-6)) for spacing in fixed.grid.spacing_mm]
    small = downsample(fixed, factors) if max(factors) > 1 else fixed
    ratio = [max(1, int(float(small.grid.spacing_mm.min() / s))) for s in moving.grid.spacing_mm]
    thin = downsample(moving, ratio) if max(ratio) > 1 else moving
    return Shown(small, thin, resample(thin, small.grid), resample(thin, small.grid, result.transform))


def _few_channels(image: Image) -> Image:
    """Grey and colour as they are, any other number of channels as the one that methods compare."""
    return image if image.channels in (1, 3) else to_scalar(image)


def _array(image: Image) -> Any:
    array = image.data[0].numpy()
    return array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)
