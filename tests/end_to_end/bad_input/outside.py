"""Inputs that try to lead a reader to files that are none of its business."""

import zipfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from end_to_end.bad_input.volumes import detached_meta, detached_nrrd

ELASTIX = (
    '(Transform "EulerTransform")\n(NumberOfParameters 6)\n(TransformParameters 0 0 0 1 2 3)\n'
    '(InitialTransformParametersFileName "{before}")\n(HowToCombineTransforms "Compose")\n'
    "(FixedImageDimension 3)\n(MovingImageDimension 3)\n(Size 4 4 4)\n(Spacing 1 1 1)\n(Origin 0 0 0)\n"
    "(Direction 1 0 0 0 1 0 0 0 1)\n(CenterOfRotationPoint 0 0 0)\n"
)


def make_leading_outside(folder: Path) -> None:
    """Detached values, links, archives and series whose names lead out of their folder."""
    (folder / "secret.raw").write_bytes(bytes(32))
    inner = folder / "inner"
    inner.mkdir()
    secret = folder / "secret.raw"
    for name, target in (("up", "../secret.raw"), ("absolute", str(secret)), ("system", "/etc/passwd")):
        (inner / f"{name}.nhdr").write_text(detached_nrrd(target))
        (inner / f"{name}.mhd").write_text(detached_meta(target))
        (inner / f"{name}.txt").write_text(ELASTIX.format(before=target))
    (inner / "link.raw").symlink_to(secret)
    (inner / "link.nhdr").write_text(detached_nrrd("link.raw"))
    (inner / "link.mhd").write_text(detached_meta("link.raw"))
    (inner / "circle.txt").write_text(ELASTIX.format(before="circle.txt"))
    (inner / "loop.nii.gz").symlink_to(inner / "loop.nii.gz")
    (inner / "gone.nii.gz").symlink_to(inner / "nowhere.nii.gz")
    with zipfile.ZipFile(folder / "scan.zip", "w") as archive:
        archive.writestr("../../up.nii", b"out")
    _make_dicom(folder)


def _make_dicom(folder: Path) -> None:
    (folder / "dicom_empty").mkdir()
    (folder / "dicom_text").mkdir()
    (folder / "dicom_text" / "1.dcm").write_text("no slice\n" * 40)
    (folder / "dicom_half").mkdir()
    (folder / "dicom_linked").mkdir()
    image = sitk.JoinSeries([sitk.GetImageFromArray(np.arange(30, dtype=np.int16).reshape(5, 6))])
    sitk.WriteImage(image, str(folder / "slice.dcm"))
    whole = (folder / "slice.dcm").read_bytes()
    (folder / "dicom_half" / "1.dcm").write_bytes(whole[: len(whole) // 2])
    (folder / "dicom_linked" / "1.dcm").symlink_to(folder / "slice.dcm")
