"""What every peer's script shares: its options, reading slices, and the two files it leaves.

Each peer runs as a process of its own: it reads two files, registers them, writes the warped image as
`warped.nii.gz`, and `answer.json` with the matrix of fixed to moving world points (RAS+ mm) and the seconds
inside its registering call alone (two images in memory in, a transform out).
"""

import argparse
import json
from pathlib import Path


def options(inits: tuple[str, ...]) -> argparse.Namespace:
    """Parse a peer's command line; the first of `inits` is its default start."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", type=Path, required=True)
    parser.add_argument("--moving", type=Path, required=True)
    parser.add_argument("--transform", choices=("rigid", "similarity", "affine"), default="rigid")
    parser.add_argument("--out", type=Path, required=True, help="folder for answer.json and warped.nii.gz")
    parser.add_argument("--init", choices=inits, default=inits[0])
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    return chosen


def read(path: Path):
    """Read with SimpleITK as float; of a colour-mapped grey slice, the first channel."""
    import SimpleITK as sitk

    image = sitk.ReadImage(str(path))
    if image.GetNumberOfComponentsPerPixel() > 1:
        image = sitk.VectorIndexSelectionCast(image, 0)
    return sitk.Cast(image, sitk.sitkFloat32)


def lps_to_ras(matrix: list[list[float]]) -> list[list[float]]:
    """The same map between points with the first two world axes turned about, as nested lists."""
    d = len(matrix) - 1
    sign = [-1.0, -1.0] + [1.0] * (d - 1)
    return [[sign[i] * sign[j] * matrix[i][j] for j in range(d + 1)] for i in range(d + 1)]


def from_itk(transform, d: int) -> list[list[float]]:
    """The RAS matrix of an affine SimpleITK transform, from where it takes the origin and the unit points."""
    origin = transform.TransformPoint([0.0] * d)
    columns = [transform.TransformPoint([float(i == j) for i in range(d)]) for j in range(d)]
    rows = [[columns[j][i] - origin[i] for j in range(d)] + [origin[i]] for i in range(d)]
    return lps_to_ras([*rows, [0.0] * d + [1.0]])


def warp(fixed, moving, transform, out: Path) -> None:
    """Write the moving image on the fixed grid."""
    import SimpleITK as sitk

    warped = sitk.Resample(moving, fixed, transform, sitk.sitkLinear, 0.0, sitk.sitkInt16)
    sitk.WriteImage(warped, str(out / "warped.nii.gz"))


def answer(out: Path, matrix: list[list[float]], seconds: float) -> None:
    """Write the matrix and the seconds."""
    (out / "answer.json").write_text(json.dumps({"matrix": matrix, "seconds": seconds}, indent=1))
