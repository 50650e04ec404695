"""A matrix in figures and in words. Needs no torch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.describe.words import numbers
from inforeg.errors import ReadError
from inforeg.io.headers import SHEAR_DEGREES, shear_degrees

_MIRRORS = ("left-right", "back-front", "feet-head")


def linear_facts(matrix: NDArray[np.float64], centre_mm: NDArray[np.float64]) -> dict[str, Any]:
    """What a `(d+1, d+1)` matrix (fixed to moving, RAS+ mm) does: turn, stretches, shear, and the shift of a centre.

    The linear part is a rotation after a stretch along d directions (polar decomposition); a reflection is said apart,
    as the world's axis that is mirrored before the turn. `shear_deg` is how far it takes the world's axes from right
    angles. Of a projective matrix this is the derivative at the centre. Raises `ReadError` for numbers so large that
    nothing finite comes of them.
    """
    with np.errstate(all="ignore"):
        facts = _facts(matrix, centre_mm)
    if not np.isfinite([facts["determinant"], facts["shift_length_mm"], *facts["stretches"]]).all():
        raise ReadError(f"expected a matrix of moderate numbers, got one of up to {np.abs(matrix).max():.3g}")
    return facts


def _facts(matrix: NDArray[np.float64], centre_mm: NDArray[np.float64]) -> dict[str, Any]:
    d = len(matrix) - 1
    below = matrix[d, :d] @ centre_mm + matrix[d, d]
    if abs(below) < 1e-9:  # taken to infinity: the world's origin is not
        centre_mm, below = np.zeros(d), matrix[d, d]
    landed = (matrix[:d, :d] @ centre_mm + matrix[:d, d]) / below
    linear = (matrix[:d, :d] - np.outer(landed, matrix[d, :d])) / below
    if not np.isfinite(linear).all():
        return {"determinant": np.nan, "shift_length_mm": np.nan, "stretches": []}
    stretches = np.linalg.svd(linear, compute_uv=False)
    determinant = float(np.linalg.det(linear))
    angle, axis, mirrored = _turn(linear)
    shift = landed - centre_mm
    square = np.eye(d + 1)
    square[:d, :d] = linear
    singular = bool(stretches[-1] <= 1e-12 * stretches[0])
    return {
        "kind": "linear",
        "matrix_ras_mm": matrix.tolist(),
        "projective": bool(np.abs(matrix[d, :d]).max() > 1e-12),
        "turn_deg": angle,
        "turn_axis_ras": axis,
        "mirrored_axis": mirrored,
        "stretches": stretches.tolist(),
        "scale": abs(determinant) ** (1 / d),
        "shear_deg": None if singular else shear_degrees(square),
        "centre_mm": centre_mm.tolist(),
        "shift_mm": shift.tolist(),
        "shift_length_mm": float(np.linalg.norm(shift)),
        "determinant": determinant,
        "reflection": determinant < 0,
        "singular": singular,
    }


def _turn(linear: NDArray[np.float64]) -> tuple[float, list[float] | None, str | None]:
    """Angle in degrees and axis of the nearest rotation, after the mirror that leaves the smallest turn, if any."""
    d = len(linear)
    if np.linalg.det(linear) >= 0:
        return (*_angle_and_axis(_nearest_rotation(linear)), None)
    found = []
    for n, name in enumerate(_MIRRORS[:d]):
        mirror = np.ones(d)
        mirror[n] = -1
        found.append((*_angle_and_axis(_nearest_rotation(linear * mirror)), name))
    return min(found, key=lambda turn: abs(turn[0]))


def _nearest_rotation(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    u, _, vt = np.linalg.svd(linear)
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))
    rotation: NDArray[np.float64] = u @ vt
    return rotation


def _angle_and_axis(rotation: NDArray[np.float64]) -> tuple[float, list[float] | None]:
    """The angle in degrees, and in 3-D the axis about which it turns counter-clockwise (none for no turn)."""
    if len(rotation) == 2:
        return float(np.degrees(np.arctan2(rotation[1, 0], rotation[0, 0]))), None
    skew = np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    sine = np.linalg.norm(skew) / 2
    # By sine and cosine: the cosine alone is blind to small angles.
    angle = float(np.arctan2(sine, (np.trace(rotation) - 1) / 2))
    if angle < 1e-6:
        return float(np.degrees(angle)), None
    if sine > 1e-3 or angle < 1:
        return float(np.degrees(angle)), (skew / (2 * sine)).tolist()
    # Near half a turn the axis is the direction that stays.
    axis = np.linalg.eigh((rotation + rotation.T) / 2)[1][:, -1]
    return float(np.degrees(angle)), (axis if axis @ skew >= 0 else -axis).tolist()


def linear_line(part: dict[str, Any]) -> str:
    """The same for people."""
    if part["singular"]:
        return (
            f"singular matrix: it flattens space, and has no inverse (determinant {part['determinant']:.3g})"
        )
    said = []
    axis = part["turn_axis_ras"]
    if abs(part["turn_deg"]) >= 5e-4:
        said.append(
            f"turns by {part['turn_deg']:.3f} degrees" + (f" about ({numbers(axis)})" if axis else "")
        )
    low, high = min(part["stretches"]), max(part["stretches"])
    if high - low > 5e-5:
        said.append(f"stretches by {low:.4f} to {high:.4f} (mean scale {part['scale']:.4f})")
    elif abs(part["scale"] - 1) > 5e-5:
        said.append(f"scales by {part['scale']:.4f}")
    if part["shear_deg"] > SHEAR_DEGREES:
        said.append(f"takes the axes {part['shear_deg']:.3g} degrees off right angles")
    if part["mirrored_axis"]:
        said.append(f"mirrors {part['mirrored_axis']}")
    said.append(f"shifts by ({numbers(part['shift_mm'])}), {part['shift_length_mm']:.3f} mm")
    kind = "projective" if part["projective"] else "linear"
    return f"{kind}: {', '.join(said)}; determinant {part['determinant']:.4f}"
