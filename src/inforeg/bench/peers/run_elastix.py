"""elastix (itk-elastix): its default parameter maps, with the settings of the job in place of theirs."""

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
itk: Any = import_module("itk")

KINDS = {
    "rigid": ("rigid", "EulerTransform"),
    "similarity": ("rigid", "SimilarityTransform"),
    "affine": ("affine", "AffineTransform"),
}


def register(job: Job) -> tuple[Callable[[Sequence[float]], Sequence[float]], float]:
    """The transform as a function of points, and the seconds it took."""
    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(job.threads)
    fixed, moving = _image(job.fixed), _image(job.moving)
    # What the package loads when it is first named takes longer than many a registration.
    load = itk.ParameterObject, itk.ElastixRegistrationMethod
    began = time.perf_counter()
    default, kind = KINDS[job.transform]
    parameters = load[0].New()
    chosen = parameters.GetDefaultParameterMap(default, int(job.settings["levels"]))
    for name, value in job.settings["map"].items():
        chosen[name] = [str(value)]
    chosen["Transform"] = [kind]
    chosen["RandomSeed"] = [str(job.seed + 1)]
    chosen["WriteResultImage"] = ["false"]
    parameters.AddParameterMap(chosen)
    method = load[1].New(fixed, moving)
    method.SetParameterObject(parameters)
    method.SetNumberOfThreads(job.threads)
    method.SetLogToConsole(False)
    method.UpdateLargestPossibleRegion()
    found = method.GetTransformParameterObject().GetParameterMap(0)
    seconds = time.perf_counter() - began
    return _transform(found, job.ndim).TransformPoint, seconds


def _transform(found: Any, d: int) -> Any:
    """elastix's result as a transform of ITK."""
    name = found["Transform"][0]
    if name == "AffineTransform":
        transform = itk.AffineTransform[itk.D, d].New()
    else:
        transform = getattr(itk, name.replace("Transform", f"{d}DTransform"))[itk.D].New()
    if name == "EulerTransform" and d == 3:
        transform.SetComputeZYX(found.get("ComputeZYX", ("false",))[0] == "true")
    transform.SetCenter([float(x) for x in found["CenterOfRotationPoint"]])
    values = [float(x) for x in found["TransformParameters"]]
    given = itk.OptimizerParameters[itk.D](len(values))
    for n, value in enumerate(values):
        given.SetElement(n, value)
    transform.SetParameters(given)
    return transform


def _image(picture: Picture) -> Any:
    image = itk.image_from_array(np.ascontiguousarray(picture.values.T))
    image.SetSpacing(picture.spacing_mm)
    image.SetOrigin(picture.origin_mm)
    image.SetDirection(itk.matrix_from_array(np.ascontiguousarray(picture.direction)))
    return image


if __name__ == "__main__":
    run(register)
