"""An image file in figures and in words, from its header; and what its values are like."""

from itertools import permutations, product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.describe.words import numbers
from inforeg.io.formats import load_series
from inforeg.io.headers import Header, shear_degrees
from inforeg.memory import in_words

# (from, to) along the world's axes in RAS+: a voxel axis is named by where it leads.
_LETTERS = ("LR", "PA", "IS")
_WORDS = {"L": "left", "R": "right", "P": "back", "A": "front", "I": "feet", "S": "head"}
# Angles below this are what float32 headers do to axes that are straight.
_STRAIGHT_DEG = 0.01
_LATTICE = 48
# Two matrices in a header that put a corner no further apart than this say the same.
_DIFFER_MM = 0.1


def image_facts(header: Header) -> dict[str, Any]:
    """What the header of an image says, and what follows from it."""
    facts: dict[str, Any] = {
        "file": header.name,
        "kind": "image",
        "holds": header.what,
        "format": header.format,
        "shape": list(header.shape),
        "volumes": header.volumes,
        "time_step": header.step or None,
        "time_unit": header.step_unit or None,
        "channels": header.channels,
        "dtype": header.dtype,
        "units": header.units or None,
        "spacing_mm": list(header.spacing_mm),
        "voxel_to_world_ras_mm": header.voxel_to_world.tolist(),
        "bytes_of_values": header.voxel_bytes,
        "bytes_in_memory": 4 * prod(header.shape) * header.channels * header.volumes,
        "notes": list(header.notes),
    }
    vectors = header.channels == len(header.shape) and header.dtype.startswith("float")
    if vectors and header.what == "an image":
        facts["notes"].append("it may be a displacement field: with --from itk it is looked at as one")
    if header.qform is not None or header.sform is not None:
        facts["nifti"] = {
            "sform_code": header.sform_code,
            "qform_code": header.qform_code,
            "apart_mm": header.forms_apart_mm,
            "used": _used(header),
        }
    return facts | (_place(header) if is_placed(header) else {"orientation": None})


def is_placed(header: Header) -> bool:
    """Whether the voxel-to-world matrix is finite and can be inverted; what is wrong with others is a note."""
    axes = header.voxel_to_world[:-1, :-1]
    if not np.isfinite(header.voxel_to_world).all():
        return False
    return bool(abs(np.linalg.det(axes)) > 1e-6 * np.linalg.norm(axes, axis=0).prod())


def _place(header: Header) -> dict[str, Any]:
    matrix = header.voxel_to_world
    letters, oblique = orientation(matrix)
    return {
        "field_of_view_mm": [n * s for n, s in zip(header.shape, header.spacing_mm, strict=True)],
        "centre_mm": centre_mm(header).tolist(),
        "orientation": letters,
        "oblique_deg": oblique,
        "handedness": "right" if np.linalg.det(matrix[:-1, :-1]) > 0 else "left",
        "shear_deg": shear_degrees(matrix),
    }


def _used(header: Header) -> str | None:
    """Which of NIfTI's two matrices places the voxels."""
    for name, code, form in (
        ("sform", header.sform_code, header.sform),
        ("qform", header.qform_code, header.qform),
    ):
        if code > 0 and form is not None:
            ours = header.voxel_to_world
            axes = [0, 1, 3] if ours.shape == (3, 3) else [0, 1, 2, 3]
            if np.allclose(form[np.ix_(axes, axes)], ours, rtol=1e-6, atol=1e-6):
                return name
    return None


def orientation(voxel_to_world: NDArray[np.float64]) -> tuple[str, float]:
    """Letters that say where each voxel axis leads (as in nibabel), and the largest angle to the world's axes."""
    d = voxel_to_world.shape[0] - 1
    unit = voxel_to_world[:d, :d] / np.linalg.norm(voxel_to_world[:d, :d], axis=0)
    best = max(permutations(range(d)), key=lambda order: sum(abs(unit[order[i], i]) for i in range(d)))
    along = [unit[best[i], i] for i in range(d)]
    letters = "".join(_LETTERS[best[i]][int(along[i] > 0)] for i in range(d))
    # By sine and cosine: the cosine alone is blind to small angles.
    across = [np.linalg.norm(np.delete(unit[:, i], best[i])) for i in range(d)]
    return letters, float(np.degrees(np.arctan2(across, np.abs(along))).max())


def centre_mm(header: Header) -> NDArray[np.float64]:
    """The middle of the field of view."""
    middle = (np.array(header.shape) - 1) / 2
    found: NDArray[np.float64] = header.voxel_to_world[:-1] @ np.append(middle, 1.0)
    return found


def image_lines(facts: dict[str, Any]) -> list[str]:
    """The same for people."""
    what = facts["holds"].removeprefix("an ").removeprefix("a ")
    shape = " x ".join(map(str, facts["shape"]))
    channels = f", {facts['channels']} channels" if facts["channels"] > 1 else ""
    lines = [f"{facts['file']}: {facts['format']} {what}"]
    voxels = f"{shape} of {facts['dtype']}{channels}, {numbers(facts['spacing_mm'], ' x ')} mm"
    lines.append(f"voxels        {voxels}")
    if facts["volumes"] > 1:
        step = f", {facts['time_step']:g} {facts['time_unit'] or ''} apart" if facts["time_step"] else ""
        lines.append(f"volumes       {facts['volumes']}{step}")
    if facts["orientation"]:
        lines += _place_lines(facts)
    if facts.get("nifti"):
        lines.append(f"placed by     {_placed(facts['nifti'])}")
    if facts["units"]:
        lines.append(f"units         {facts['units']} in the file")
    lines.append(
        f"size          {in_words(facts['bytes_of_values'])}; {in_words(facts['bytes_in_memory'])} as float32"
    )
    if "values" in facts:
        lines += _value_lines(facts["values"])
    return lines + [f"note          {note}" for note in facts["notes"]]


def _place_lines(facts: dict[str, Any]) -> list[str]:
    leads = ", ".join(_WORDS[letter] for letter in facts["orientation"])
    oblique = facts["oblique_deg"]
    turned = "along the world's axes" if oblique < _STRAIGHT_DEG else f"oblique by {oblique:.3g} degrees"
    view, centre = numbers(facts["field_of_view_mm"], " x "), numbers(facts["centre_mm"])
    # Shear is a note of the header's.
    return [
        f"field of view {view} mm, centre ({centre}) mm",
        f"axes          {facts['orientation']} (lead to {leads}), {facts['handedness']}-handed, {turned}",
    ]


def _placed(nifti: dict[str, Any]) -> str:
    codes = {name: nifti[f"{name}_code"] for name in ("sform", "qform")}
    used, apart = nifti["used"], nifti["apart_mm"]
    if used is None:
        return "neither sform nor qform: along the axes, by the spacing alone"
    other = "qform" if used == "sform" else "sform"
    text = f"its {used} (code {codes[used]})"
    if codes[other] == 0:
        return f"{text}; it has no {other}"
    if apart is None:
        return f"{text}; its {other} (code {codes[other]}) makes no sense"
    if apart <= _DIFFER_MM:
        return f"{text}; its {other} (code {codes[other]}) agrees to {max(apart, 1e-6):.1g} mm"
    return f"{text}; its {other} (code {codes[other]}) puts a corner {apart:.3g} mm away"


def read_values(path: Path) -> dict[str, Any]:
    """What the voxels of an image or series are like; raises `ReadError` as reading them does."""
    from inforeg.image.checks import looks_like_labels
    from inforeg.io.images import read_image

    series = load_series(path)
    facts = value_facts(series.values, series.slope, series.intercept)
    ids = facts["share_nan"] == facts["share_infinite"] == 0 and looks_like_labels(
        read_image(series.volume(0))
    )
    return facts | {"looks_like_labels": ids, "ids": len(np.unique(series.values)) if ids else None}


def value_facts(values: NDArray[Any], slope: float = 1.0, intercept: float = 0.0) -> dict[str, Any]:
    """Range, and shares of NaN and infinity; what is stored means `values * slope + intercept`."""
    real = values
    if slope != 1.0 or intercept != 0.0:
        with np.errstate(all="ignore"):
            real = values.astype(np.float64) * slope + intercept
    finite = np.isfinite(real)
    kept = real if finite.all() else real[finite]
    return {
        "smallest": kept.min().item() if kept.size else None,
        "largest": kept.max().item() if kept.size else None,
        "share_nan": float(np.isnan(real).mean()),
        "share_infinite": float((~finite & ~np.isnan(real)).mean()),
    }


def _value_lines(values: dict[str, Any]) -> list[str]:
    if values["smallest"] is None:
        return ["values        none is finite"]
    lines = [f"values        {values['smallest']:g} to {values['largest']:g}"]
    for what, share in (("NaN", values["share_nan"]), ("infinite", values["share_infinite"])):
        if share:
            lines.append(f"values        {100 * share:.3g} % are {what}")
    if values["looks_like_labels"]:
        lines.append(f"labels        looks like a label map of {values['ids']} ids, background included")
    return lines


def pair_facts(a: Header, b: Header) -> dict[str, Any]:
    """How the fields of view of two images lie to each other."""
    if len(a.shape) != len(b.shape):
        return {"dimensions": [len(a.shape), len(b.shape)]}
    if not (is_placed(a) and is_placed(b)):
        return {"placed": [is_placed(a), is_placed(b)]}
    apart = float(np.linalg.norm(centre_mm(a) - centre_mm(b)))
    corners = _corners_apart_mm(a, b) if a.shape == b.shape else None
    return {
        "dimensions": [len(a.shape)] * 2,
        "centres_apart_mm": apart,
        "same_shape": a.shape == b.shape,
        "corners_apart_mm": corners,
        "same_grid": corners is not None and corners <= 1e-2,
        "share_of_first_in_second": _share_inside(a, b),
        "share_of_second_in_first": _share_inside(b, a),
    }


def pair_lines(facts: dict[str, Any]) -> list[str]:
    """The same for people."""
    if "placed" in facts:
        which = [
            name for name, is_there in zip(("first", "second"), facts["placed"], strict=True) if not is_there
        ]
        return [f"together      the {which[0]} lies nowhere: see its notes"]
    first, second = facts["dimensions"]
    if first != second:
        return [f"together      {first}-D and {second}-D: they cannot be registered to each other"]
    if facts["same_grid"]:
        return ["together      the same grid, voxel for voxel"]
    lines = [f"together      centres {facts['centres_apart_mm']:.4g} mm apart"]
    if facts["same_shape"]:
        lines.append(f"grids         as many voxels, corners up to {facts['corners_apart_mm']:.3g} mm apart")
    shares = [facts["share_of_first_in_second"], facts["share_of_second_in_first"]]
    if max(shares) == 0:
        lines.append("overlap       none; registration searches for it, or say --init centre")
    else:
        lines.append(
            f"overlap       {100 * shares[0]:.0f} % of the first field of view lies in the second,"
            f" {100 * shares[1]:.0f} % of the second in the first"
        )
    return lines


def _corners_apart_mm(a: Header, b: Header) -> float:
    ends = np.array([(*corner, 1.0) for corner in product(*((-0.5, n - 0.5) for n in a.shape))])
    return float(np.linalg.norm(ends @ (a.voxel_to_world - b.voxel_to_world).T[:, :-1], axis=1).max())


def _share_inside(a: Header, b: Header) -> float:
    """Share of the first field of view that lies in the second, by a fine lattice."""
    axes = [(np.arange(_LATTICE) + 0.5) / _LATTICE * n - 0.5 for n in a.shape]
    lattice = np.stack([*np.meshgrid(*axes, indexing="ij"), np.ones([_LATTICE] * len(axes))], axis=-1)
    voxel = (lattice @ (np.linalg.inv(b.voxel_to_world) @ a.voxel_to_world).T)[..., :-1]
    return float(((voxel >= -0.5) & (voxel <= np.array(b.shape) - 0.5)).all(axis=-1).mean())
