"""A deformation by the command line: the files it leaves, read by others, and what can be done with them."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from phantoms import field_of_view, landmarks, phantom, turn
from torch import Tensor

from inforeg.cli.main import main
from inforeg.errors import QUALITY_EXIT_CODE
from inforeg.image import Image, Labels
from inforeg.io import (
    read_image,
    read_points,
    read_transform,
    write_image,
    write_labels,
    write_points,
    write_transform,
)
from inforeg.methods.deformable import Deformable
from inforeg.space import Grid
from inforeg.transforms import Composite, Linear, Velocity

SPACING_MM = 6.0
BYTES = ("transform.h5", "inverse.h5", "warped.nii.gz")
RUN = ("register", "-f", "t1.nii.gz", "-m", "t2.nii.gz", "-q", "-j", "1", "--device", "cpu")


@pytest.fixture(autouse=True)
def one_thread(one_thread: None) -> None:
    """Small sums lose more than they gain by being shared out; and the command line may set threads."""


def truth() -> Composite:
    """A turn and a shift after a smooth deformation by millimetres."""
    nodes = Grid.from_spacing((9, 9, 9), 35.0)
    generator = torch.Generator().manual_seed(1)
    vectors = 6.0 * torch.randn(3, *nodes.shape, generator=generator, dtype=torch.float64)
    inside = nodes.points_mm().norm(dim=1).reshape(nodes.shape) < 95
    return Composite((turn(12.0, 3, (7.0, -5.0, 4.0), seed=3), Velocity(vectors * inside, nodes)))


def ball(grid: Grid, transform: Composite | None = None) -> Labels:
    """Eight octants of a ball in the head."""
    here = grid.points_mm() if transform is None else transform.inverse()(grid.points_mm())
    octant = ((here > 0).long() * torch.tensor([1, 2, 4])).sum(1) + 1
    return Labels((octant * (here.norm(dim=1) < 50)).reshape(1, 1, *grid.shape), grid)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T1 and a deformed T2, with points and labels, in one folder."""
    folder = tmp_path_factory.mktemp("inputs")
    grid = field_of_view(3, SPACING_MM)
    view = field_of_view(3, 1.05 * SPACING_MM, 95.0)
    write_image(phantom(grid), folder / "t1.nii.gz")
    write_image(phantom(view, "t2", truth(), seed=5), folder / "t2.nii.gz")  # type: ignore[arg-type]
    write_labels(ball(grid), folder / "t1_ball.nii.gz")
    write_labels(ball(view, truth()), folder / "t2_ball.nii.gz")
    points = landmarks(3)
    write_points(points, folder / "t1.csv")
    write_points(truth()(points), folder / "t2.csv")
    return folder


@pytest.fixture(scope="module")
def out(inputs: Path) -> Path:
    """`-t svf`, with ANTs' own files beside, as somebody would type it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(inputs)
        assert main([*RUN, "-t", "svf", "-o", "out", "--naming", "ants"]) == 0
    return inputs / "out"


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


def by_itk(path: Path, points: Tensor) -> Tensor:
    """Where SimpleITK takes points by a file, in RAS+ mm as they are."""
    theirs = sitk.ReadTransform(str(path))
    signs = torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)
    there = [theirs.TransformPoint(p) for p in (points * signs).tolist()]
    return torch.tensor(there, dtype=torch.float64) * signs


def anywhere(count: int = 200) -> Tensor:
    """Points in the head and around it."""
    generator = torch.Generator().manual_seed(0)
    return 170 * torch.rand(count, 3, generator=generator, dtype=torch.float64) - 85


def test_the_folder_is_whole_and_says_what_was_done(out: Path) -> None:
    names = {path.name for path in out.iterdir()}
    assert {"inverse.h5", "report.html", "result.json", "stages", "transform.h5", "warped.nii.gz"} <= names
    found = record(out)
    assert (found["method"], found["status"], found["quality"]["verdict"]) == ("svf", "converged", "good")
    assert [stage["name"] for stage in found["stages"]] == ["rigid", "affine", "svf"]
    assert found["stages"][-1]["matrix_ras_mm"] is None and found["fixed_to_moving_ras_mm"] is None
    assert found["settings"]["stages"] == ["rigid", "affine"]
    last = found["stages"][-1]
    assert len(last["metric"]) == len(last["spacing_mm"]) > 3
    assert found["quality"]["precision_mm"] > 0 and found["notes"] == []
    warped, fixed = (read_image(path) for path in (out / "warped.nii.gz", out.parent / "t1.nii.gz"))
    assert warped.grid.same_as(fixed.grid)


def test_the_deformation_is_found(out: Path) -> None:
    """Half of what the linear stages leave is taken away at least; a third of a voxel remains."""
    points = landmarks(3)
    whole = read_transform(out / "transform.h5")
    linear = read_transform(next((out / "stages").glob("*affine*.h5")))
    left, after = (float((way(points) - truth()(points)).norm(dim=1).mean()) for way in (linear, whole))
    assert left > 2.5
    assert after < 0.5 * left
    assert after < 0.33 * SPACING_MM


@pytest.mark.parametrize("name", ["transform.h5", "inverse.h5"])
def test_simpleitk_reads_the_same_transform(name: str, out: Path) -> None:
    ours = read_transform(out / name)
    points = anywhere()
    moved = (ours(points) - points).norm(dim=1)
    assert float(moved.mean()) > 5
    assert float((by_itk(out / name, points) - ours(points)).norm(dim=1).max()) < 1e-4


def test_there_and_back_by_others(out: Path) -> None:
    """Half a voxel at most in the head, a twentieth on average."""
    points = landmarks(3)
    left = (by_itk(out / "inverse.h5", by_itk(out / "transform.h5", points)) - points).norm(dim=1)
    assert float(left.max()) < 0.5 * SPACING_MM and float(left.mean()) < 0.05 * SPACING_MM


def test_simpleitk_warps_the_same_image(out: Path) -> None:
    fixed, moving = (
        sitk.ReadImage(str(out.parent / name), sitk.sitkFloat32) for name in ("t1.nii.gz", "t2.nii.gz")
    )
    theirs = sitk.GetArrayFromImage(
        sitk.Resample(moving, fixed, sitk.ReadTransform(str(out / "transform.h5")), sitk.sitkLinear, 0.0)
    )
    ours = np.asarray(nib.load(out / "warped.nii.gz").dataobj).T  # type: ignore[attr-defined]
    # What lies on a face may be in or out.
    apart = np.abs(theirs - ours)
    assert np.quantile(apart, 0.999) < 2e-3 * np.abs(ours).max()


def test_ants_files_say_the_same(out: Path) -> None:
    """As antsApplyTransforms chains them: the affine drawn last, the field first."""
    affine, warp, back = (
        next(out.glob(name)) for name in ("*GenericAffine.mat", "*[0-9]Warp.nii.gz", "*InverseWarp.nii.gz")
    )
    points, whole = landmarks(3), read_transform(out / "transform.h5")

    def through(path: Path, places: Tensor) -> Tensor:
        signs = torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)
        field = sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))
        there = [field.TransformPoint(p) for p in (places * signs).tolist()]
        return torch.tensor(there, dtype=torch.float64) * signs

    there = by_itk(affine, through(warp, points))
    assert float((there - whole(points)).norm(dim=1).max()) < 1e-3
    linear = read_transform(affine)
    assert isinstance(linear, Linear)
    home = through(back, linear.inverse()(there))
    inverse = read_transform(out / "inverse.h5")
    assert float((home - inverse(there)).norm(dim=1).max()) < 1e-3


def test_points_go_there_and_back(out: Path, inputs: Path, tmp_path: Path) -> None:
    there, back = tmp_path / "there.csv", tmp_path / "back.csv"
    assert run("apply-points", "-p", inputs / "t1.csv", "-t", out, "--on", "fixed", "-o", there, "-q") == 0
    assert run("apply-points", "-p", there, "-t", out, "--on", "moving", "-o", back, "-q") == 0
    points = read_points(inputs / "t1.csv")
    moved, home = read_points(there), read_points(back)
    whole = read_transform(out / "transform.h5")
    assert float((moved - whole(points)).norm(dim=1).max()) < 1e-6
    assert float((home - points).norm(dim=1).max()) < 0.5 * SPACING_MM
    assert float((home - points).norm(dim=1).mean()) < 0.05 * SPACING_MM


def test_the_folder_is_evaluated_as_it_is(
    out: Path, inputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Points, labels, folds and the inverse from one folder's name."""
    monkeypatch.chdir(inputs)
    points = ("--fixed-points", "t1.csv", "--moving-points", "t2.csv")
    labels = ("--fixed-labels", "t1_ball.nii.gz", "--moving-labels", "t2_ball.nii.gz")
    assert run("evaluate", *points, *labels, "-f", "t1.nii.gz", "-t", "out", "--json") == 0
    said = capsys.readouterr().out
    found = json.loads(said)
    flat = _flat(found)
    folds = [value for key, value in flat.items() if "fold" in key]
    assert folds and all(value == 0 for value in folds)
    assert any("inverse" in key for key in flat)
    assert run("evaluate", *points, "-f", "t1.nii.gz", "-t", "out") == 0
    assert "fold" in capsys.readouterr().out


def _flat(values: Any, name: str = "") -> dict[str, float]:
    """All numbers by their path."""
    if isinstance(values, dict):
        found: dict[str, float] = {}
        for key, value in values.items():
            found |= _flat(value, f"{name}/{key}")
        return found
    return {name: float(values)} if isinstance(values, int | float) else {}


def test_the_report_shows_the_deformation(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'data-testid="deformation"' in page
    assert "velocity field" in page and "svf" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures, one turned by eight degrees and bent, which are soon done; and the turn."""
    folder, turned = tmp_path_factory.mktemp("flat"), turn(8.0, 2, (3.0, -2.0))
    nodes = Grid.from_spacing((9, 9), 35.0)
    bent = 5.0 * torch.randn(2, 9, 9, generator=torch.Generator().manual_seed(1))
    grid = field_of_view(2, 3.0)
    write_image(phantom(grid), folder / "t1.nii.gz")
    moved = Composite((turned, Velocity(bent, nodes)))
    write_image(phantom(grid, "t2", moved, seed=5), folder / "t2.nii.gz")  # type: ignore[arg-type]
    write_transform(turned, folder / "turn.h5")
    return folder


def test_the_result_makes_itself_again(flat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a settings file, and from what that run says of itself, to the last byte."""
    monkeypatch.chdir(flat)
    settings = tmp_path / "settings.toml"
    settings.write_text(Deformable(stages=(), init="header", seed=3).to_toml(), encoding="utf-8")
    assert run(*RUN, "--method", "svf", "--settings", settings, "-o", tmp_path / "one") == 0
    assert run(*RUN, "--settings", tmp_path / "one" / "result.json", "-o", tmp_path / "other") == 0
    for name in BYTES:
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("one", "other"))
        assert one == other, name
    # ANTs' files are there where somebody asks for them.
    assert not list((tmp_path / "one").glob("*Warp.nii.gz"))


def test_a_chain_and_a_start_are_taken(flat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`rigid+svf` from a transform in a file."""
    monkeypatch.chdir(flat)
    assert run(*RUN, "-t", "rigid+svf", "--init", "turn.h5", "-o", tmp_path / "o") == 0
    found = record(tmp_path / "o")
    assert [stage["name"] for stage in found["stages"]] == ["rigid", "svf"]
    assert found["start"]["origin"] == "given"


def test_what_cannot_be_found_ends_with_its_own_code(tmp_path: Path) -> None:
    """Two noises have nothing in common: files are written, and the code says that they are not to be trusted."""
    grid = Grid.from_spacing((40, 44), 2.0)
    for name, seed in (("one", 0), ("other", 1)):
        noise = torch.rand(1, 1, *grid.shape, generator=torch.Generator().manual_seed(seed))
        write_image(Image(noise, grid), tmp_path / f"{name}.nii.gz")
    pair = ("-f", tmp_path / "one.nii.gz", "-m", tmp_path / "other.nii.gz", "-o", tmp_path / "o")
    assert run("register", *pair, "-t", "svf", "--init", "header", "-q", "-j", 1) == QUALITY_EXIT_CODE
    assert (tmp_path / "o" / "transform.h5").is_file()
    assert record(tmp_path / "o")["quality"]["verdict"] == "failed"


@pytest.mark.parametrize("name", ["projective+svf", "rigdi+svf", "svf+affine"])
def test_chains_that_make_no_sense_are_wrong_usage(
    name: str, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = ("-f", inputs / "t1.nii.gz", "-m", inputs / "t2.nii.gz", "-o", tmp_path / "o")
    assert run("register", *pair, "-t", name, "-q") == 2
    said = capsys.readouterr().err
    assert "svf" in said or "did you mean rigid" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "o").exists()
