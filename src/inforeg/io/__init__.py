"""Reading and writing images, label maps, transforms and points, each by one door; LPS is spoken only here.

Names are loaded when they are first used: reading a file's values (`formats.load`) needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inforeg.io.atomic import atomic_folder as atomic_folder
    from inforeg.io.atomic import atomic_path as atomic_path
    from inforeg.io.atomic import refuse_file as refuse_file
    from inforeg.io.atomic import refuse_folder as refuse_folder
    from inforeg.io.atomic import refuse_inputs as refuse_inputs
    from inforeg.io.files import file_digest as file_digest
    from inforeg.io.images import read_image as read_image
    from inforeg.io.images import read_labels as read_labels
    from inforeg.io.images import write_image as write_image
    from inforeg.io.images import write_labels as write_labels
    from inforeg.io.points import read_points as read_points
    from inforeg.io.points import write_points as write_points
    from inforeg.io.transforms import read_transform as read_transform
    from inforeg.io.transforms import write_transform as write_transform

_NAMES = {
    "atomic": ("atomic_folder", "atomic_path", "refuse_file", "refuse_folder", "refuse_inputs"),
    "files": ("file_digest",),
    "images": ("read_image", "read_labels", "write_image", "write_labels"),
    "points": ("read_points", "write_points"),
    "transforms": ("read_transform", "write_transform"),
}
_WHERE = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'inforeg.io' has no attribute {name!r}")
    return getattr(import_module(f"inforeg.io.{_WHERE[name]}"), name)
