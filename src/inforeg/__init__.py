"""Medical image registration, from file to file.

    import inforeg as ir
    result = ir.register("t1.nii.gz", "t2.nii.gz")

Names are loaded when they are first used, so that `import inforeg` does not import torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from inforeg._version import __version__ as __version__

if TYPE_CHECKING:  # what type checkers and editors see; a new name stands here and in the table below
    from inforeg import errors as errors
    from inforeg import evaluate as evaluate
    from inforeg import image as image
    from inforeg import io as io
    from inforeg import methods as methods
    from inforeg import metrics as metrics
    from inforeg import space as space
    from inforeg import transforms as transforms
    from inforeg.cohort import align_group as align_group
    from inforeg.errors import InforegError as InforegError
    from inforeg.image import Image as Image
    from inforeg.image import Labels as Labels
    from inforeg.image import resample as resample
    from inforeg.image import resample_labels as resample_labels
    from inforeg.io import read_image as read_image
    from inforeg.io import read_labels as read_labels
    from inforeg.io import read_transform as read_transform
    from inforeg.io import write_image as write_image
    from inforeg.io import write_labels as write_labels
    from inforeg.io import write_transform as write_transform
    from inforeg.methods import Result as Result
    from inforeg.register import register as register
    from inforeg.space import Grid as Grid
    from inforeg.transforms import BSpline as BSpline
    from inforeg.transforms import Composite as Composite
    from inforeg.transforms import Displacement as Displacement
    from inforeg.transforms import Linear as Linear
    from inforeg.transforms import Transform as Transform
    from inforeg.transforms import approximate_inverse as approximate_inverse

_PACKAGES = ("errors", "evaluate", "image", "io", "methods", "metrics", "space", "transforms")
_NAMES = {
    "cohort": ("align_group",),
    "errors": ("InforegError",),
    "image": ("Image", "Labels", "resample", "resample_labels"),
    "io": ("read_image", "read_labels", "read_transform", "write_image", "write_labels", "write_transform"),
    "methods": ("Result",),
    "register": ("register",),
    "space": ("Grid",),
    "transforms": ("BSpline", "Composite", "Displacement", "Linear", "Transform", "approximate_inverse"),
}
_WHERE = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(["__version__", *_PACKAGES, *_WHERE])


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(import_module(f"inforeg.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    if name in _PACKAGES:
        return import_module(f"inforeg.{name}")
    raise AttributeError(f"module 'inforeg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """Keeps `inforeg.register` the function: importing the module of that name would put the module there."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "register" and isinstance(value, ModuleType):
            value = value.register
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
