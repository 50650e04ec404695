"""What kind of file a file is: by its content where several kinds share an ending."""

import json
from pathlib import Path
from typing import Literal

from inforeg.errors import InforegError, ReadError
from inforeg.io.files import check_there, why
from inforeg.io.formats import READERS
from inforeg.io.headers import Header, read_header
from inforeg.io.image_formats.dicom import recognises

Kind = Literal["image", "transform", "points", "registration"]

_HEAD_BYTES = 4096


def kind_of(path: Path) -> tuple[Kind, Header | None]:
    """What a file or folder holds, and its header if it has that of an image, as fields of displacements do.

    Raises `ReadError` for what is none of these.
    """
    if path.is_dir() and (path / "result.json").is_file():
        return "registration", None
    # A folder of slices, or one series of several in it, which is no path of its own.
    if recognises(path):
        return "image", read_header(path)
    check_there(path)
    if path.name.lower().endswith(tuple(READERS)):
        header = read_header(path)
        return ("image" if header.what in ("an image", "a series") else "transform"), header
    if path.suffix.lower() == ".json" and _is_record(path):
        return "registration", None
    return _by_content(path), None


def _is_record(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        # Most files of points are told apart without being read.
        record = json.loads(path.read_bytes()) if b'"inforeg"' in head else None
    except OSError as error:
        raise ReadError(f"cannot read {path}: {why(error)}") from None
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and {"inforeg", "inputs", "quality"} <= set(record)


def _by_content(path: Path) -> Kind:
    from inforeg.io.point_formats import FORMATS as POINTS
    from inforeg.io.transform_formats import FORMATS as TRANSFORMS
    from inforeg.io.transforms import formats_of

    name = path.name.lower()
    may_be_points, may_be_transform = (
        any(name.endswith(form.suffixes) for form in forms) for forms in (POINTS, TRANSFORMS)
    )
    if not (may_be_points or may_be_transform):
        raise ReadError(
            f"expected an image, a transform, points or a folder that register wrote, got {path},"
            " which by its name is none that inforeg reads"
        )
    if not (may_be_points and may_be_transform):
        return "points" if may_be_points else "transform"
    known = formats_of(path)
    if not known:
        return "points"
    # Rows of numbers are what a table of points begins with too.
    return "transform" if known[0].name != "plain" or _is_matrix(path) else "points"


def _is_matrix(path: Path) -> bool:
    """Whether rows of numbers are a matrix, and not as many points as they have coordinates."""
    from inforeg.io.transforms import read_transform
    from inforeg.transforms import Linear

    try:
        read = read_transform(path, format="plain")
    except InforegError:
        return False
    return isinstance(read, Linear) and (read.ndim == 3 or read.is_affine)
