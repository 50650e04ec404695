"""Names a user may type, checked before anything heavy is imported."""

import re
from collections.abc import Sequence
from pathlib import Path

from inforeg.errors import UsageError, did_you_mean
from inforeg.shipped import ENDING, named_model, shipped

TRANSFORMS = ("translation", "rigid", "similarity", "affine", "projective", "svf", "tps", "auto")
STARTS = ("auto", "header", "centre", "mass", "moments", "search")
INTERPOLATIONS = ("linear", "nearest", "bspline")
FORMATS = ("itk", "minc", "elastix", "fsl", "freesurfer", "afni", "plain", "x5", "inforeg")
SPACES = ("ras", "lps", "voxel")
METRICS = ("mi", "nmi", "mine", "mse", "ncc")
# Of a deformation.
DEFORMABLE_METRICS = ("mi_local", "mi", "nmi", "lncc", "mind_ssc", "mine", "mine_local")
METHODS = ("linear", "svf", "network", "keymorph", "ditr", "drmime", "drmime-paper")

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def one_of(flag: str, value: str, known: Sequence[str]) -> str:
    """The value, if it is a known one; raises `UsageError` with the near ones if not."""
    if value in known:
        return value
    listed = f"{', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else known[0]
    hint = did_you_mean(value.lower(), known, f"expected {listed}", most=3)
    raise UsageError(f"{flag}: unknown name {value!r}; {hint}")


def transform_chain(value: str) -> str:
    """A chain of transforms such as `rigid+affine`; every part must be a known one."""
    for part in value.split("+"):
        one_of("--transform", part, TRANSFORMS)
    if "auto" in value.split("+") and value != "auto":
        raise UsageError(f"--transform: auto chooses the whole chain and cannot be a part of {value!r}")
    return value


def start(value: str) -> str:
    """Where to start: a known name, a transform file, or a model of keypoints."""
    known = shipped()
    if value in STARTS or value in known or Path(value).exists():
        return value
    if Path(value).suffix:
        raise UsageError(
            f"--init: expected {', '.join(STARTS)}, a transform file or a model, and {value} is not there"
        )
    return one_of("--init", value, [*STARTS, *known])


def metric(value: str, deforms: bool) -> str:
    """A metric, or the file of a learnt one."""
    if Path(value).suffix == ENDING:
        if not Path(value).is_file():
            raise UsageError(f"--metric: expected a metric's file, and {value} is not there")
        return value
    return one_of("--metric", value, DEFORMABLE_METRICS if deforms else METRICS)


def method(value: str) -> str:
    """A method, a model file, or a shipped model; of models, `+svf` and `+linear` go on from what they say."""
    model = named_model(value).model
    known = shipped()
    if Path(model).suffix == ENDING:
        if not Path(model).is_file():
            raise UsageError(f"--method: expected a model file, and {model} is not there")
        return value
    return value if model in known else one_of("--method", value, [*METHODS, *known])


def device(value: str) -> str:
    """A device such as `cpu` or `cuda:1`."""
    if not _DEVICE.fullmatch(value):
        raise UsageError(f"--device: expected auto, cpu, cuda, cuda:N or mps, got {value!r}")
    return value
