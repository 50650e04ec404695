"""DICOM series for the tests, written by SimpleITK's GDCM and by pydicom."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
SERIES = "1.2.826.0.1.3680043.8.498.1"


def turned(name: str) -> np.ndarray:
    """Directions of i, j and k in LPS, as columns; right-handed, so that slices are stacked along their normal."""
    eye = np.eye(3)
    if name == "oblique":
        angles = np.deg2rad([25.0, -17.0, 40.0])
        result = eye
        for axis, angle in enumerate(angles):
            turn = np.eye(3)
            a, b = [n for n in range(3) if n != axis]
            turn[a, a] = turn[b, b] = np.cos(angle)
            turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
            result = turn @ result
        return result
    columns = {
        "axial": (eye[0], eye[1]),
        "coronal": (eye[0], -eye[2]),
        "sagittal": (eye[1], -eye[2]),
        "upside down": (-eye[0], eye[1]),
    }[name]
    return np.stack([*columns, np.cross(*columns)], axis=1)


def place(
    orientation: str = "axial",
    spacing: Sequence[float] = (0.7, 0.9, 2.5),
    origin: Sequence[float] = (-31.25, 12.5, -70.125),
) -> np.ndarray:
    """Voxel to world, `(4, 4)`, LPS."""
    matrix = np.eye(4)
    matrix[:3, :3] = turned(orientation) * spacing
    matrix[:3, 3] = origin
    return matrix


def texture(shape: Sequence[int] = (11, 9, 7), dtype: str = "int16", seed: int = 0) -> np.ndarray:
    """Values `(i, j, k)` over most of the type's range."""
    limits = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(limits.min // 2, limits.max // 2, shape).astype(dtype)


def number(value: float) -> str:
    """As long as DICOM allows."""
    return next(text for digits in range(14, 0, -1) if len(text := f"{value:.{digits}g}") <= 16)


def by_simpleitk(
    folder: Path, values: np.ndarray, matrix: np.ndarray, compressor: str | None = None, **said: str
) -> Path:
    """A series whose file names say nothing of the order."""
    folder.mkdir(exist_ok=True)
    names = np.random.default_rng(3).permutation(values.shape[2])
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    if compressor:
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
    for k in range(values.shape[2]):
        image = sitk.GetImageFromArray(values[:, :, k : k + 1].transpose(2, 1, 0))
        image.SetSpacing(np.linalg.norm(matrix[:3, :3], axis=0).tolist())
        corner = matrix[:3] @ [0, 0, k, 1]
        tags = {
            "0008|0060": "CT",
            "0020|000d": "1.2.826.0.1.3680043.8.498.9",
            "0020|000e": SERIES,
            "0020|0013": str(values.shape[2] - k),
            "0020|0032": "\\".join(map(number, corner)),
            "0020|0037": "\\".join(map(number, [*axes[:, 0], *axes[:, 1]])),
            **{f"{tag[1:5]}|{tag[5:]}": value for tag, value in said.items()},
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{names[k]:03d}.dcm"))
        writer.Execute(image)
    return folder


def slice_file(pixels: np.ndarray, matrix: np.ndarray | None, k: float = 0, **changes: Any) -> Dataset:
    """One slice `(i, j)` (or `(i, j, 3)`) as pydicom has it; `changes` are DICOM keywords, None leaves one out."""
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.4")
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = UID(
        f"1.2.826.0.1.3680043.8.498.7.{round(k * 10)}"
    )
    file.Modality, file.PatientName, file.PatientID = "MR", "Secret^Name", "secret-4711"
    file.StudyInstanceUID, file.SeriesInstanceUID = UID("1.2.826.0.1.3680043.8.498.9"), UID(SERIES)
    if matrix is not None:
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        axes = matrix[:3, :3] / spacing
        file.ImagePositionPatient = [number(v) for v in matrix[:3] @ [0, 0, k, 1]]
        file.ImageOrientationPatient = [number(v) for v in [*axes[:, 0], *axes[:, 1]]]
        file.PixelSpacing = [number(spacing[1]), number(spacing[0])]
        file.SliceThickness = number(spacing[2])
    file.Columns, file.Rows = pixels.shape[:2]
    file.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    file.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        file.PlanarConfiguration = 0
    file.BitsAllocated = file.BitsStored = 8 * pixels.dtype.itemsize
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.PixelData = np.ascontiguousarray(np.moveaxis(pixels, 0, 1)).tobytes()
    for keyword, value in changes.items():
        if value is None:
            delattr(file, keyword)
        else:
            setattr(file, keyword, value)
    return file


def save(file: Dataset, path: Path) -> Path:
    """The file, with what every DICOM file begins with."""
    path.parent.mkdir(exist_ok=True)
    pydicom.dcmwrite(path, file, enforce_file_format=True)
    return path


def by_pydicom(folder: Path, values: np.ndarray, matrix: np.ndarray, **changes: Any) -> Path:
    """The same by pydicom; a change may be a function of the slice's number."""
    folder.mkdir(exist_ok=True)
    for k in range(values.shape[2]):
        own = {name: value(k) if callable(value) else value for name, value in changes.items()}
        save(slice_file(values[:, :, k], matrix, k, **own), folder / f"{(k * 5) % 97:03d}.ima")
    return folder
