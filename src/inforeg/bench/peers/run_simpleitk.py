"""SimpleITK's registration framework (ITK v4), from images in memory to a transform."""

import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from inforeg.bench.peers.exchange import Job, Picture, run
else:
    from exchange import Job, Picture, run  # beside this file, which is all that its interpreter sees of ours

# It has no types that a checker could read.
sitk: Any = import_module("SimpleITK")

KINDS: dict[str, dict[int, Callable[[], Any]]] = {
    "rigid": {2: sitk.Euler2DTransform, 3: sitk.Euler3DTransform},
    "similarity": {2: sitk.Similarity2DTransform, 3: sitk.Similarity3DTransform},
    "affine": {2: lambda: sitk.AffineTransform(2), 3: lambda: sitk.AffineTransform(3)},
}


def register(job: Job) -> tuple[Callable[[Sequence[float]], Sequence[float]], float]:
    """The transform as a function of points, and the seconds it took."""
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(job.threads)
    fixed, moving = _image(job.fixed), _image(job.moving)
    began = time.perf_counter()
    how = getattr(sitk.CenteredTransformInitializerFilter, str(job.settings["start"]))
    found = sitk.CenteredTransformInitializer(fixed, moving, KINDS[job.transform][job.ndim](), how)
    left = job.settings["iterations"]
    for step in job.settings["steps"]:
        method = _method(job, step, left)
        method.SetInitialTransform(found, inPlace=False)
        found = method.Execute(fixed, moving)
        left -= method.GetOptimizerIteration()
        if left <= 0:
            break
    return found.TransformPoint, time.perf_counter() - began


def _method(job: Job, step: float, iterations: int) -> Any:
    """The registration with steps of at most so many voxels (to begin with, where they are halved later)."""
    given = job.settings
    method = sitk.ImageRegistrationMethod()
    if given["metric"] == "mattes":
        method.SetMetricAsMattesMutualInformation(given["bins"])
    elif given["metric"] == "joint histogram":
        method.SetMetricAsJointHistogramMutualInformation(given["bins"])
    elif given["metric"] == "correlation":
        method.SetMetricAsCorrelation()
    else:
        method.SetMetricAsMeanSquares()
    if "samples" in given:
        method.SetMetricSamplingStrategy(method.RANDOM)
        # Seed 0 means the clock to ITK.
        method.SetMetricSamplingPercentagePerLevel(given["samples"], seed=job.seed + 1)
    method.SetInterpolator(sitk.sitkLinear)
    if "rate" in given:
        method.SetOptimizerAsGradientDescent(
            given["rate"],
            iterations,
            given["tolerance"],
            given["window"],
            method.EachIteration,
            step * min(job.fixed.spacing_mm),
        )
    else:
        method.SetOptimizerAsRegularStepGradientDescent(
            step * min(job.fixed.spacing_mm),
            given["smallest_step"] * min(job.fixed.spacing_mm),
            iterations,
            gradientMagnitudeTolerance=1e-8,
        )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(given["shrink"])
    method.SetSmoothingSigmasPerLevel(given["sigma_voxels"])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    return method


def _image(picture: Picture) -> Any:
    image = sitk.GetImageFromArray(np.ascontiguousarray(picture.values.T))
    image.SetSpacing(picture.spacing_mm)
    image.SetOrigin(picture.origin_mm)
    image.SetDirection(picture.direction.ravel().tolist())
    return image


if __name__ == "__main__":
    run(register)
