"""A chain of a matrix and a warp, taken from file to file by the commands, and what ANTs and SimpleITK make of it."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from geometry.conftest import Within
from geometry.orientations import oriented
from geometry.others import FLIP
from geometry.samples import field, linear
from geometry.test_ants_files import peers_python
from geometry.test_transform_files import IMAGE_SHARE, POINTS_MM, where_sure

from inforeg.cli.main import main
from inforeg.image import Image
from inforeg.io import read_image, read_points, read_transform, write_image, write_points, write_transform
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Transform

FIXED = oriented(3, 7, "oblique", field_mm=21.0, spacing_mm=3.0)
MOVING = oriented(3, 30, "oblique", field_mm=27.0, spacing_mm=3.3, centre_mm=(12.0, -6.0, 23.0))


def smooth_field(generator: torch.Generator) -> Displacement:
    """A field that has an inverse."""
    noise = field(FIXED, generator, torch.float64).vectors[None]
    kernel = torch.ones(3, 1, 3, 3, 3, dtype=torch.float64) / 27
    for _ in range(2):
        noise = torch.nn.functional.conv3d(noise, kernel, padding=1, groups=3)
    return Displacement(4 * noise[0].float(), FIXED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images, points on each, and the chain as ANTs leaves it behind and as one composite."""
    folder = tmp_path_factory.mktemp("commands")
    generator = torch.Generator().manual_seed(0)
    chain = Composite((linear(FIXED, generator), smooth_field(generator)))
    for name, grid in (("fixed", FIXED), ("moving", MOVING)):
        write_image(
            Image(torch.rand(1, 1, *grid.shape, generator=generator), grid), folder / f"{name}.nii.gz"
        )
    points = FIXED.centre_mm + 14 * (torch.rand(40, 3, generator=generator, dtype=torch.float64) - 0.5)
    write_points(points, folder / "on_fixed.csv")
    write_points(chain(points), folder / "on_moving.csv")
    write_transform(chain, folder / "chain.h5")
    assert main(["convert", "-t", f"{folder}/chain.h5", "--naming", "ants", "-o", f"{folder}/ants"]) == 0
    return folder


LISTS = {"composite": ["chain.h5"], "files of ANTs": ["ants/1Warp.nii.gz", "ants/0GenericAffine.mat"]}


def listed(folder: Path, name: str) -> list[str]:
    return [word for file in LISTS[name] for word in ("-t", f"{folder}/{file}")]


def sure(transform: Transform, fixed: Grid, moving: Grid) -> tuple[np.ndarray, np.ndarray]:
    return where_sure(transform, fixed, moving, -0.5)


@pytest.mark.parametrize("name", LISTS)
def test_apply_draws_what_simpleitk_draws(folder: Path, name: str, within: Within) -> None:
    out = folder / f"{name}.nii.gz"
    images = ["-i", f"{folder}/moving.nii.gz", "-r", f"{folder}/fixed.nii.gz"]
    assert main(["apply", *images, *listed(folder, name), "-o", str(out), "--overwrite"]) == 0
    fixed, moving = (
        sitk.ReadImage(f"{folder}/{which}.nii.gz", sitk.sitkFloat64) for which in ("fixed", "moving")
    )
    transform = sitk.ReadTransform(f"{folder}/chain.h5")
    theirs = sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, sitk.sitkLinear, 0.0)).T
    ours = read_image(out).data[0, 0].numpy()
    inside, _ = sure(read_transform(folder / "chain.h5"), FIXED, MOVING)
    assert inside.sum() > 100
    within(
        f"apply, {name}, SimpleITK: images [range]",
        np.abs(ours - theirs)[inside].max(),
        IMAGE_SHARE,
        "oblique",
    )


def test_ants_draws_the_same_and_its_points_go_the_same_way(folder: Path, within: Within) -> None:
    images = ["-i", f"{folder}/moving.nii.gz", "-r", f"{folder}/fixed.nii.gz", "--overwrite"]
    assert main(["apply", *images, *listed(folder, "composite"), "-o", f"{folder}/ours.nii.gz"]) == 0
    points = read_points(folder / "on_fixed.csv").numpy()
    job = {
        "dim": 3,
        "fixed": f"{folder}/fixed.nii.gz",
        "moving": f"{folder}/moving.nii.gz",
        "transforms": [f"{folder}/ants/1Warp.nii.gz", f"{folder}/ants/0GenericAffine.mat"],
        "outside": 0.0,
        "points_lps": (points * FLIP[3]).tolist(),
        "image": f"{folder}/theirs.npy",
        "points": f"{folder}/theirs.json",
    }
    (folder / "jobs.json").write_text(json.dumps([job]))
    run = subprocess.run(
        [peers_python(), str(Path(__file__).with_name("ants_jobs.py")), f"{folder}/jobs.json"],
        env={**os.environ, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    inside, _ = sure(read_transform(folder / "chain.h5"), FIXED, MOVING)
    apart = np.abs(read_image(folder / "ours.nii.gz").data[0, 0].numpy() - np.load(folder / "theirs.npy"))
    within("apply, ANTs: images [range]", apart[inside].max(), IMAGE_SHARE, "oblique")
    theirs = np.array(json.loads((folder / "theirs.json").read_text())) * FLIP[3]
    expected = read_points(folder / "on_moving.csv").numpy()
    within("apply-points, ANTs: points [mm]", np.abs(theirs - expected).max(), POINTS_MM, "oblique")


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("side", ["fixed", "moving"])
def test_points_go_the_right_way_from_either_side(folder: Path, name: str, side: str, within: Within) -> None:
    other = {"fixed": "moving", "moving": "fixed"}[side]
    out = folder / f"{name}-{side}.csv"
    arguments = ["-p", f"{folder}/on_{side}.csv", "--on", side, *listed(folder, name), "-o", str(out)]
    assert main(["apply-points", *arguments, "--overwrite"]) == 0
    apart = (read_points(out) - read_points(folder / f"on_{other}.csv")).abs().max()
    within(f"apply-points from {side}, {name} [mm]", float(apart), POINTS_MM, "oblique")


def test_the_inverse_of_the_commands_is_the_way_back(folder: Path, within: Within) -> None:
    """The fixed image on the moving grid: the chain turned round, and the inverse that `invert` writes."""
    images = ["-i", f"{folder}/fixed.nii.gz", "-r", f"{folder}/moving.nii.gz"]
    turned, inverse = folder / "turned.nii.gz", folder / "inverse.nii.gz"
    assert main(["apply", *images, *listed(folder, "composite"), "--on", "fixed", "-o", str(turned)]) == 0
    arguments = [
        *listed(folder, "composite"),
        "-r",
        f"{folder}/moving.nii.gz",
        "--mask",
        f"{folder}/found.nii.gz",
    ]
    assert main(["invert", *arguments, "-o", f"{folder}/back.h5"]) == 0
    assert main(["apply", *images, "-t", f"{folder}/back.h5", "-o", str(inverse)]) == 0
    a, b = (read_image(path).data[0, 0].numpy() for path in (turned, inverse))
    assert np.ptp(a) > 0.5
    found = read_image(folder / "found.nii.gz").data[0, 0].numpy() > 0.5
    assert 0.9 < found.mean() < 1
    within("invert, on its grid: images [range]", np.abs(a - b)[found].max(), IMAGE_SHARE, "oblique")
