"""What antsApplyTransforms and antsApplyTransformsToPoints make of our files: the same images and the same points.

ANTs runs in an environment of its own, which `make gate` makes; INFOREG_PEERS_PYTHON names another. Without either
these tests are skipped, and with INFOREG_REQUIRE_PEERS they then fail.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from geometry.conftest import Within
from geometry.orientations import every_way, named, oriented
from geometry.others import FLIP, by_simpleitk, written_by_nibabel
from geometry.samples import points_near, sample
from geometry.test_transform_files import IMAGE_SHARE, POINTS_MM, where_sure
from promises import TRANSFORMS

from inforeg.image import Image, resample
from inforeg.io import write_transform
from inforeg.io.ants import write_ants_files
from inforeg.space import Grid
from inforeg.transforms import Transform

ROOT = Path(__file__).parents[2]
OUTSIDE = -7.0

# ANTs reads fields and warps images in double precision and gives both back, and points, in float32.
KINDS = {
    "0GenericAffine.mat": "linear",
    "1Warp.nii.gz": "displacement32",
    "[0GenericAffine.mat,1]": "linear",
    "ants chain": "chain",
    "ants flow": "flow",
    "ants flow back": "flow",
    "linear.tfm": "linear",
    "chain.tfm": "long chain",
    "field.h5": "displacement64",
    "bspline.h5": "bspline",
    "chain.h5": "chain",
    "long.h5": "long chain",
}
WAYS = [(3, way) for way in every_way(3)[::9]] + [(2, way) for way in every_way(2)[::3]]
CASES = [(file, d, way) for file in KINDS for d, way in WAYS]


class Case(NamedTuple):
    transform: Transform
    fixed: Grid
    moving: Grid
    noise: torch.Tensor
    points: torch.Tensor
    job: dict


def peers_python() -> str:
    """The interpreter that has antspyx; skips, or fails where it is required, if there is none."""
    python = os.environ.get("INFOREG_PEERS_PYTHON") or str(ROOT / ".peers" / "bin" / "python")
    if not Path(python).exists():
        why = f"ANTs is not there ({python}): make gate, or set INFOREG_PEERS_PYTHON"
        if os.environ.get("INFOREG_REQUIRE_PEERS"):
            pytest.fail(why)
        pytest.skip(why)
    return python


def written(file: str, ndim: int, way: tuple[int, int, str], folder: Path) -> Case:
    number, other, kind = way
    fixed = oriented(ndim, number, kind, field_mm=21.0, spacing_mm=3.0)
    moving = oriented(ndim, other, kind, field_mm=27.0, spacing_mm=3.3, centre_mm=(12.0, -6.0, 23.0))
    noise = torch.rand(moving.shape, generator=torch.Generator().manual_seed(number))
    transform = sample(KINDS[file], fixed, seed=number)
    if file.startswith("ants"):
        inverse = None if file == "ants chain" else transform.inverse()
        lists = write_ants_files(transform, folder, inverse)
        listed = lists[1 if file.endswith("back") else 0].replace("-t ", "").split()
    else:
        listed = [file]
        write_transform(transform, folder / bare(file))
    if file.endswith((",1]", "back")):
        transform = transform.inverse()
    points = points_near(fixed, 60, seed=number)
    job = {
        "dim": ndim,
        "fixed": image_file(np.zeros(fixed.shape, np.float32), fixed, folder, "fixed"),
        "moving": image_file(noise.numpy(), moving, folder, "moving"),
        "transforms": [str(folder / bare(name)) for name in listed],
        "inverted": [name.endswith(",1]") for name in listed],
        "outside": OUTSIDE,
        "points_lps": (points.numpy() * FLIP[ndim]).tolist(),
        "image": str(folder / "warped.npy"),
        "points": str(folder / "points.json"),
    }
    return Case(transform, fixed, moving, noise, points, job)


def bare(listed: str) -> str:
    """The file's name, which ANTs is given as `[name,1]` where it is to turn the matrix round."""
    return listed.removeprefix("[").removesuffix(",1]")


def image_file(values: np.ndarray, grid: Grid, folder: Path, name: str) -> str:
    """A volume as NIfTI; a picture as MetaImage, as ITK drops the direction of a NIfTI file that it reads as 2-D."""
    if grid.ndim == 3:
        return str(written_by_nibabel(values, grid, folder / f"{name}.nii"))
    sitk.WriteImage(by_simpleitk(values, grid), str(folder / f"{name}.mha"))
    return str(folder / f"{name}.mha")


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple, Case]:
    """All cases, written and put to ANTs in one process: importing it takes seconds."""
    python = peers_python()
    folder = tmp_path_factory.mktemp("ants")
    cases = {}
    for n, case in enumerate(CASES):
        (folder / str(n)).mkdir()
        cases[case] = written(*case, folder / str(n))
    (folder / "jobs.json").write_text(json.dumps([case.job for case in cases.values()]))
    run = subprocess.run(
        [python, str(Path(__file__).with_name("ants_jobs.py")), str(folder / "jobs.json")],
        env={**os.environ, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return cases


@pytest.mark.parametrize("case", CASES, ids=[f"{file}-{d}D-{named(d, way)}" for file, d, way in CASES])
def test_ants_draws_the_same_image_and_moves_points_the_same_way(
    case: tuple[str, int, tuple[int, int, str]], answered: dict[tuple, Case], within: Within
) -> None:
    file, ndim, way = case
    transform, fixed, moving, noise, points, job = answered[case]
    where = f"{ndim}-D {named(ndim, way)}"
    theirs = np.array(json.loads(Path(job["points"]).read_text())) * FLIP[ndim]
    apart = np.abs(theirs - transform(points).numpy()).max()
    within(f"{file}, ANTs: points [mm]", apart, POINTS_MM, where)
    ours = resample(Image(noise[None, None], moving), fixed, transform, outside=OUTSIDE).data[0, 0].numpy()
    warped = np.load(job["image"])
    inside, outside = where_sure(transform, fixed, moving, -0.5)
    assert inside.sum() > 20
    within(f"{file}, ANTs: images [range]", np.abs(ours - warped)[inside].max(), IMAGE_SHARE, where)
    assert (ours[outside] == OUTSIDE).all() and (warped[outside] == OUTSIDE).all()


def test_the_table_says_what_is_put_to_ants() -> None:
    said = {suffix for (name, suffix), promise in TRANSFORMS.items() if "ANTs" in promise.also}
    assert said == {
        suffix for suffix in (".tfm", ".h5", ".mat", ".nii.gz") if any(suffix in file for file in KINDS)
    }
