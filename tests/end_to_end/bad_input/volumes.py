"""MGH, NRRD and MetaImage volumes, good and bad."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from end_to_end.bad_input.images import PLACE, blob

_NRRD = (
    "NRRD0004\ntype: float\ndimension: 3\nspace: left-posterior-superior\nsizes: {sizes}\n"
    "space directions: {directions}\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
    "space origin: (0,0,0)\n"
)
_MHD = (
    "ObjectType = Image\nNDims = 3\nDimSize = {sizes}\nElementSpacing = {spacing}\nOffset = 0 0 0\n"
    "TransformMatrix = 1 0 0 0 1 0 0 0 1\nElementType = MET_FLOAT\nElementDataFile = {file}\n"
)


def make_volumes(folder: Path) -> None:
    """Whole, cut in half, empty, of other content, and with headers that lie, in each format."""
    good = blob((8, 9, 10))
    whole: dict[str, bytes] = {}
    nib.save(nib.MGHImage(good, PLACE.astype(np.float32)), folder / "good.mgz")
    whole["mgz"] = (folder / "good.mgz").read_bytes()
    for ending in ("nrrd", "mha"):
        sitk.WriteImage(sitk.GetImageFromArray(good), str(folder / f"good.{ending}"))
        whole[ending] = (folder / f"good.{ending}").read_bytes()
    for ending, data in whole.items():
        (folder / f"half.{ending}").write_bytes(data[: len(data) // 2])
        (folder / f"empty.{ending}").write_bytes(b"")
        (folder / f"text.{ending}").write_text("not an image, whatever its name says\n" * 40)
    _mgh_headers(folder, whole["mgz"])
    (folder / "huge.nrrd").write_text(_nrrd("30000 30000 30000") + "\n")
    (folder / "singular.nrrd").write_bytes(
        _nrrd("2 2 2", "(1,0,0) (1,0,0) (0,0,1)").encode() + b"\n" + bytes(32)
    )
    (folder / "nan.nrrd").write_bytes(
        _nrrd("2 2 2", "(nan,0,0) (0,1,0) (0,0,1)").encode() + b"\n" + bytes(32)
    )
    (folder / "huge.mha").write_text(_MHD.format(sizes="30000 30000 30000", spacing="1 1 1", file="LOCAL"))
    (folder / "zero.mha").write_bytes(
        _MHD.format(sizes="2 2 2", spacing="0 1 1", file="LOCAL").encode() + bytes(32)
    )
    (folder / "no_values.mhd").write_text(_MHD.format(sizes="2 2 2", spacing="1 1 1", file="gone.raw"))
    (folder / "short.mhd").write_text(_MHD.format(sizes="2 2 2", spacing="1 1 1", file="short.raw"))
    (folder / "short.raw").write_bytes(bytes(12))
    (folder / "no_values.nhdr").write_text(_nrrd("2 2 2") + "data file: gone.raw\n")


def detached_nrrd(file: str) -> str:
    """A NRRD header whose values lie in another file."""
    return _nrrd("2 2 2") + f"data file: {file}\n"


def detached_meta(file: str) -> str:
    """A MetaImage header whose values lie in another file."""
    return _MHD.format(sizes="2 2 2", spacing="1 1 1", file=file)


def _nrrd(sizes: str, directions: str = "(1,0,0) (0,1,0) (0,0,1)") -> str:
    return _NRRD.format(sizes=sizes, directions=directions)


def _mgh_headers(folder: Path, packed: bytes) -> None:
    raw = bytearray(gzip.decompress(packed))
    # Version, three sizes, frames, type; each four bytes, the highest first.
    raw[4:16] = (30000).to_bytes(4, "big") * 3
    (folder / "huge.mgz").write_bytes(gzip.compress(bytes(raw), mtime=0))
    raw[4:16] = (-5).to_bytes(4, "big", signed=True) * 3
    (folder / "negative.mgz").write_bytes(gzip.compress(bytes(raw), mtime=0))
