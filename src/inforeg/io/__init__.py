"""Reading and writing images, label maps, transforms and points, each by one door; LPS is spoken only here.

Names are loaded when they are first used: reading a file's values (`formats.load`) needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inforeg.io.ants import write_ants_files as write_ants_files
    from inforeg.io.atomic import atomic_folder as atomic_folder
    from inforeg.io.atomic import atomic_path as atomic_path
    from inforeg.io.atomic import refuse_file as refuse_file
    from inforeg.io.atomic import refuse_folder as refuse_folder
    from inforeg.io.atomic import refuse_inputs as refuse_inputs
    from inforeg.io.convert import convert_image as convert_image
    from inforeg.io.files import file_digest as file_digest
    from inforeg.io.grids import read_grid as read_grid
    from inforeg.io.headers import Header as Header
    from inforeg.io.headers import read_header as read_header
    from inforeg.io.images import read_image as read_image
    from inforeg.io.images import read_labels as read_labels
    from inforeg.io.images import write_image as write_image
    from inforeg.io.images import write_labels as write_labels
    from inforeg.io.points import PointSet as PointSet
    from inforeg.io.points import read_point_set as read_point_set
    from inforeg.io.points import read_points as read_points
    from inforeg.io.points import write_point_set as write_point_set
    from inforeg.io.points import write_points as write_points
    from inforeg.io.series import Series as Series
    from inforeg.io.series import read_series as read_series
    from inforeg.io.series import write_series as write_series
    from inforeg.io.transforms import read_transform as read_transform
    from inforeg.io.transforms import write_transform as write_transform

_NAMES = {
    "ants": ("write_ants_files",),
    "atomic": ("atomic_folder", "atomic_path", "refuse_file", "refuse_folder", "refuse_inputs"),
    "convert": ("convert_image",),
    "files": ("file_digest",),
    "grids": ("read_grid",),
    "headers": ("Header", "read_header"),
    "images": ("read_image", "read_labels", "write_image", "write_labels"),
    "points": ("PointSet", "read_point_set", "read_points", "write_point_set", "write_points"),
    "series": ("Series", "read_series", "write_series"),
    "transforms": ("read_transform", "write_transform"),
}
_WHERE = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'inforeg.io' has no attribute {name!r}")
    return getattr(import_module(f"inforeg.io.{_WHERE[name]}"), name)
