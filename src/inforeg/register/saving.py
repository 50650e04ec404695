"""What a registration leaves behind: one folder."""

import json
import platform
import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from inforeg import io, report
from inforeg._version import __version__
from inforeg.errors import UsageError
from inforeg.image import Image, resample
from inforeg.register.page import page_of
from inforeg.transforms import Linear, Transform

if TYPE_CHECKING:
    from inforeg.register.front import Registration

OWNED = (
    "warped.*",
    "transform.*",
    "inverse.*",
    "*GenericAffine.mat",
    "*Warp.nii.gz",
    "stages",
    "result.json",
    "report.html",
)


def save(
    result: "Registration", folder: Path, *, overwrite: bool, interpolation: str, naming: str | None = None
) -> Path:
    """Writes everything into `folder`, which appears whole or not at all; `naming` "ants" adds ANTs' own files."""
    if naming not in (None, "ants"):
        raise UsageError(f"unknown naming {naming!r}; expected ants")
    io.refuse_inputs(folder, [Path(p) for p in result.inputs.values()])
    mode: Any = interpolation
    warped = (
        result.warped
        if interpolation == "linear"
        else resample(result.moving, result.fixed.grid, result.transform, mode=mode)
    )
    # Compressing the warped image takes as long as making the page, and waits for nothing.
    with io.atomic_folder(folder, overwrite, OWNED) as target, ThreadPoolExecutor(1) as pool:
        written = pool.submit(io.write_image, _on_cpu(warped), target / f"warped{_suffix(result)}")
        _write_transform(result.transform, target / "transform")
        _write_transform(result.inverse, target / "inverse")
        if naming == "ants":
            io.write_ants_files(result.transform, target, result.inverse)
        (target / "stages").mkdir()
        for number, stage in enumerate(result.stages):
            _write_transform(stage.transform, target / "stages" / f"{number}-{stage.name}")
        record = record_of(result, folder.resolve(), interpolation)
        (target / "result.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        report.write(page_of(result, record), target / "report.html")
        written.result()
    return folder


def record_of(result: "Registration", folder: Path, interpolation: str) -> dict[str, Any]:
    """The contents of `result.json`: enough to run again, and what came of it."""
    q = result.quality
    transform = result.transform
    return {
        "inforeg": __version__,
        "command": command_of(result, folder, interpolation),
        "inputs": {name: _input(result, name, path) for name, path in result.inputs.items()},
        "method": result.method,
        "settings": result.settings,
        "device": result.device,
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "status": result.status,
        "seconds": round(result.seconds, 4),
        "quality": {
            "verdict": q.verdict,
            "reasons": q.reasons,
            "overlap": q.overlap,
            "information_nats": q.information,
            "information_before_nats": q.information_before,
            "margin": q.margin,
            "precision_mm": q.precision_mm,
        },
        **_points_of(result),
        "start": _start_of(result),
        "stages": [
            {
                "name": stage.name,
                "status": stage.status,
                "spacing_mm": stage.spacing_mm,
                "metric": stage.metric,
                "matrix_ras_mm": stage.transform.matrix.tolist()
                if isinstance(stage.transform, Linear)
                else None,
            }
            for stage in result.stages
        ],
        "fixed_to_moving_ras_mm": transform.matrix.tolist() if isinstance(transform, Linear) else None,
        "notes": result.notes,
    }


def _input(result: "Registration", name: str, path: str) -> dict[str, Any]:
    entry: dict[str, Any] = (
        {"path": path, "sha256": io.file_digest(path)} if Path(path).is_file() else {"object": path}
    )
    if name in ("fixed", "moving"):
        # What lets apply find by itself which way a transform is wanted.
        grid = (result.fixed if name == "fixed" else result.moving).grid
        entry["grid"] = {"shape": list(grid.shape), "voxel_to_world_ras_mm": grid.voxel_to_world.tolist()}
    return entry


def _start_of(result: "Registration") -> dict[str, Any] | None:
    start = result.start
    if start is None:
        return None
    return {
        "origin": start.best.origin,
        "poses_scored": start.poses_scored,
        "wide": start.wide,
        "matrix_ras_mm": start.best.transform.matrix.tolist(),
        "rivals": [
            {"information_nats": c.information, "rotation_deg": c.transform.rotation_angle_deg()}
            for c in start.others
        ],
    }


def _points_of(result: "Registration") -> dict[str, Any]:
    points = result.points
    if points is None:
        return {}
    return {
        "points": {
            "residual_mm": points.residual_mm,
            "coverage": points.coverage,
            "off_mm": None if points.off_mm is None else list(points.off_mm),
            "fixed_ras_mm": points.fixed_mm.tolist(),
            "moving_ras_mm": points.moving_mm.tolist(),
            "weights": points.weights.tolist(),
            "left_mm": points.left_mm.tolist(),
        }
    }


def versions() -> dict[str, str]:
    """What the result depends on."""
    return {
        "inforeg": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def command_of(result: "Registration", folder: Path, interpolation: str) -> str:
    """The command line that makes this result again from its settings."""
    flags = {
        "fixed": "-f",
        "moving": "-m",
        "fixed_mask": "--fixed-mask",
        "moving_mask": "--moving-mask",
        "init": "--init",
    }
    words = ["inforeg", "register"]
    for name, path in result.inputs.items():
        # The model is in the settings.
        words += [flags[name], shlex.quote(path)] if name in flags else []
    words += ["--settings", shlex.quote(str(folder / "result.json"))]
    words += ["-o", shlex.quote(f"{folder}-again")]
    if interpolation != "linear":
        words += ["-n", interpolation]
    return " ".join(words)


def _suffix(result: "Registration") -> str:
    channels, dtype = result.moving.channels, result.moving.dtype
    # NIfTI's colours are three bytes; other vectors it would take for time or for displacements.
    volume = ".nii.gz" if channels == 1 or (channels == 3 and dtype == "uint8") else ".nrrd"
    if result.fixed.grid.ndim == 3:
        return volume
    # Only a picture's own grid can be written as a picture again.
    if Path(result.inputs["fixed"]).suffix.lower() not in (".png", ".jpg", ".jpeg", ".tif", ".tiff"):
        return volume
    if channels not in (1, 3):
        return volume
    return ".png" if dtype in ("uint8", "uint16") else ".tiff"


def _write_transform(transform: Transform, stem: Path) -> None:
    projective = isinstance(transform, Linear) and not transform.is_affine
    io.write_transform(transform, stem.with_name(stem.name + (".json" if projective else ".h5")))


def _on_cpu(image: Image) -> Image:
    return image if image.data.device.type == "cpu" else image.to("cpu")
