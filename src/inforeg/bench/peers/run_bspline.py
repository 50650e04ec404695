"""elastix (itk-elastix): its default map for B-splines, with the settings of the job in place of its own."""

import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inforeg.bench.peers.fields import FieldAnswer, FieldJob, run_fields
else:
    from fields import FieldAnswer, FieldJob, run_fields  # beside this file

# It has no types that a checker could read.
itk: Any = import_module("itk")

FOUND = "TransformParameters.0.txt"


def register(job: FieldJob, folder: Path) -> FieldAnswer:
    """Its own file of the B-spline's coefficients; it gives no inverse.

    Without an initial transform or an automatic one, which the map for B-splines does not ask for, elastix starts from
    the headers.
    """
    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(job.threads)
    fixed, moving = itk.imread(job.fixed, itk.F), itk.imread(job.moving, itk.F)
    # What the package loads when it is first named takes longer than many a registration.
    load = itk.ParameterObject, itk.ElastixRegistrationMethod
    began = time.perf_counter()
    settings = job.settings
    parameters = load[0].New()
    chosen = parameters.GetDefaultParameterMap("bspline", int(settings["levels"]), float(settings["grid_mm"]))
    for name, value in settings["map"].items():
        chosen[name] = [str(value)]
    chosen["RandomSeed"] = [str(job.seed + 1)]
    chosen["WriteResultImage"] = ["false"]
    parameters.AddParameterMap(chosen)
    method = load[1].New(fixed, moving)
    method.SetParameterObject(parameters)
    method.SetNumberOfThreads(job.threads)
    method.SetLogToConsole(False)
    method.UpdateLargestPossibleRegion()
    seconds = time.perf_counter() - began
    found = method.GetTransformParameterObject()
    found.WriteParameterFile(str(folder / FOUND))
    return FieldAnswer(FOUND, None, seconds, f"itk-elastix {version('itk-elastix')}")


if __name__ == "__main__":
    run_fields(register)
