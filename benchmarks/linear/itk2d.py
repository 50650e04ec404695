"""ITK's brain slices as cases: which files, and the transform that made each moving one.

The numbers were settled by resampling the fixed slice and comparing with the moving file pixel by pixel: with
linear interpolation the mean squared difference has its minimum at the round numbers below (within 0.001
degrees, 0.003 mm and 0.0003 in scale). Pixel (column, row) is at (column, row) mm in LPS, and the turns are
about (110.5, 128.5) mm, half a pixel beyond the middle pixel. Two things the file names do not say: the file
named X13Y17 lies at (13, 16), and the one named S12 was made with the opposite mapping, so that moving points
go to fixed ones by 1.2, 10 degrees and (13, 17).
"""

import shutil
from pathlib import Path

import numpy as np
from geometry import about, apply

CENTRE_MM = np.array([110.5, 128.5])
FIXED = {"pd": "BrainProtonDensitySliceBorder20.png", "t1": "BrainT1SliceBorder20.png"}
# moving file, transform to ask for, scale, degrees, shift in mm (LPS), whether these map moving to fixed
MOVING = {
    "shifted": ("BrainProtonDensitySliceShifted13x17y.png", "rigid", 1.0, 0.0, (13.0, 17.0), False),
    "rotated": ("BrainProtonDensitySliceRotated10.png", "rigid", 1.0, 10.0, (0.0, 0.0), False),
    "rotated-shifted": ("BrainProtonDensitySliceR10X13Y17.png", "rigid", 1.0, 10.0, (13.0, 16.0), False),
    "scaled": ("BrainProtonDensitySliceR10X13Y17S12.png", "similarity", 1.2, 10.0, (13.0, 17.0), True),
}
CASES = tuple((f"{fixed}-{moving}", MOVING[moving][1]) for fixed in FIXED for moving in MOVING)


def truth_matrix(moving: str) -> np.ndarray:
    """Fixed to moving world points (RAS+ mm), a (3, 3) matrix."""
    _, _, scale, angle_deg, shift_mm, backwards = MOVING[moving]
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    lps = about(scale * np.array([[cos, -sin], [sin, cos]]), CENTRE_MM, np.array(shift_mm))
    flip = np.diag([-1.0, -1.0, 1.0])
    return flip @ (np.linalg.inv(lps) if backwards else lps) @ flip


def make(name: str, data: Path, folder: Path) -> dict:
    """Copy the two files as they are and lay 100 landmarks into the head."""
    fixed, moving = name.split("-", 1)
    for role, file in (("fixed", FIXED[fixed]), ("moving", MOVING[moving][0])):
        shutil.copyfile(data / "itk2d" / file, folder / f"{role}.png")
    rng = np.random.default_rng(2)
    radius, angle = np.sqrt(rng.uniform(0, 1, 100)), rng.uniform(0, 2 * np.pi, 100)
    head_mm = CENTRE_MM + np.stack([60 * radius * np.cos(angle), 80 * radius * np.sin(angle)], 1)
    landmarks_mm = apply(np.diag([-1.0, -1.0, 1.0]), head_mm)
    return {
        "fixed": "fixed.png",
        "moving": "moving.png",
        "contrasts": [fixed.upper(), "PD"],
        "angle_deg": MOVING[moving][3],
        "matrix": truth_matrix(moving).tolist(),
        "landmarks_mm": landmarks_mm.tolist(),
    }
