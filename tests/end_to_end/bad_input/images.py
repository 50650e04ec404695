"""Small images, whole and broken, as files of every format."""

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk

SHAPE = (24, 26, 22)
PLACE = np.array([[3.0, 0, 0, -36], [0, 3.0, 0, -39], [0, 0, 3.0, -33], [0, 0, 0, 1]])


def blob(shape: tuple[int, ...] = SHAPE) -> Any:
    """Something with an inside and an outside, so that only what a case changes is wrong with it."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = sum(a**2 for a in axes) < 0.5
    texture = np.random.default_rng(0).random(shape) * 40 + 100
    return np.where(inside, texture, 0).astype(np.float32)


def nifti(path: Path, data: Any, affine: Any = PLACE) -> None:
    """A NIfTI file, by nibabel."""
    nib.save(nib.Nifti1Image(data, affine), path)


def with_header(path: Path, **changes: object) -> None:
    """A NIfTI file with its header changed behind nibabel's back."""
    image = nib.Nifti1Image(blob(), PLACE)
    header = image.header
    header["magic"], header["vox_offset"] = b"n+1", 352
    header.set_sform(PLACE, 1)
    for name, value in changes.items():
        header[name] = value
    path.write_bytes(header.binaryblock + bytes(4) + blob().tobytes("F"))


def turned() -> Any:
    """A quarter turn, so that the third axis is not the world's."""
    return np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def make_images(folder: Path) -> None:
    """NIfTI files, good and bad, and pictures."""
    good = blob()
    nifti(folder / "good.nii.gz", good)
    nifti(folder / "other.nii.gz", good[::-1].copy())
    whole = (folder / "good.nii.gz").read_bytes()
    (folder / "empty.nii.gz").write_bytes(b"")
    (folder / "text.nii.gz").write_text("not an image, whatever its name says\n" * 40)
    (folder / "zipped_text.nii.gz").write_bytes(gzip.compress(b"nor is this\n" * 400))
    (folder / "truncated.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "damaged.nii.gz").write_bytes(whole[:200] + bytes(200) + whole[400:])
    (folder / "folder.nii.gz").mkdir()
    (folder / "a.docx").write_text("x")
    with_header(folder / "huge.nii", dim=[3, 30000, 30000, 30000, 1, 1, 1, 1])
    with_header(folder / "long.nii", dim=[3, 24, 26, 23, 1, 1, 1, 1])
    with_header(folder / "flat_affine.nii", srow_z=[0, 0, 0, 0])
    with_header(
        folder / "zero_spacing.nii", srow_x=[0, 0, 0, -36], srow_y=[0, 0, 0, -39], srow_z=[0, 0, 0, -33]
    )
    with_header(folder / "nan_affine.nii", srow_x=[np.nan, 0, 0, 0])
    with_header(folder / "no_axes.nii", dim=[0, 0, 0, 0, 0, 0, 0, 0])
    with_header(folder / "bad_type.nii", datatype=77)
    with_header(folder / "bad_offset.nii", vox_offset=np.nan)
    with_header(folder / "bad_scale.nii", scl_slope=2, scl_inter=np.nan)
    nifti(folder / "series.nii.gz", np.stack([good] * 3, -1))
    nifti(folder / "complex.nii.gz", good.astype(np.complex64))
    nifti(folder / "constant.nii.gz", np.full(SHAPE, 7, np.float32))
    spoiled = good.copy()
    spoiled[3, 4, 5:8] = np.nan
    nifti(folder / "nan.nii.gz", spoiled)
    spoiled[3, 4, 5:8] = -np.inf
    nifti(folder / "inf.nii.gz", spoiled)
    nifti(folder / "thin.nii.gz", good[:, :, :1], PLACE @ turned())
    far = PLACE.copy()
    far[:3, 3] += 900
    nifti(folder / "far.nii.gz", good, far)
    nifti(folder / "slice.nii.gz", good[:, :, 11:12])
    nifti(folder / "mask_empty.nii.gz", np.zeros(SHAPE, np.uint8))
    nifti(folder / "mask_far.nii.gz", np.ones(SHAPE, np.uint8), far)
    nifti(folder / "mask_flat.nii.gz", np.ones((*SHAPE[:2], 1), np.uint8))


def make_pictures(folder: Path) -> None:
    """Pictures, good and bad."""
    grey = (blob()[:, :, 11].T).astype(np.uint8)
    for ending in ("png", "jpg", "tiff"):
        path = folder / f"slice.{ending}"
        sitk.WriteImage(sitk.GetImageFromArray(grey), str(path))
        whole = path.read_bytes()
        (folder / f"half.{ending}").write_bytes(whole[: len(whole) // 2])
        (folder / f"empty.{ending}").write_bytes(b"")
        (folder / f"text.{ending}").write_text("no picture\n" * 20)
    png = bytearray((folder / "slice.png").read_bytes())
    png[len(png) // 2] ^= 1
    (folder / "damaged.png").write_bytes(png)
    (folder / "huge.png").write_bytes(_huge_png())
    tiff = bytearray((folder / "slice.tiff").read_bytes())
    # The tag of the width, 256, as a short or long number.
    at = tiff.index(b"\x00\x01\x03\x00\x01\x00\x00\x00")
    tiff[at + 8 : at + 10] = b"\xff\xff"
    (folder / "huge.tiff").write_bytes(tiff)


def _huge_png() -> bytes:
    import struct
    import zlib

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
