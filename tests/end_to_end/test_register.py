"""From file to file by the command line: what a run leaves, and that it can be used and made again."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from phantoms import error_mm, field_of_view, landmarks, phantom, turn

from inforeg.cli.main import main
from inforeg.errors import QUALITY_EXIT_CODE
from inforeg.evaluate import dice
from inforeg.image import Image, Labels, resample_labels
from inforeg.io import read_image, read_labels, read_transform, write_image, write_labels, write_points
from inforeg.space import Grid
from inforeg.transforms import Linear

TRUTH = turn(50.0, 3, (14.0, -9.0, 11.0), seed=3)
BYTES = ("transform.h5", "inverse.h5", "warped.nii.gz")
# Voxels are 5 mm here, and what is found is found within a tenth of one.
NEAR_MM = 0.5
BIG = 614454277


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The command line may set threads; here that ends with the test."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def parcels(grid: Grid, transform: Linear | None = None) -> Labels:
    """Eight octants of a ball in the head, with ids of all sizes."""
    here = grid.points_mm() if transform is None else transform.inverse()(grid.points_mm())
    octant = ((here > 0).long() * torch.tensor([1, 2, 4])).sum(1)
    ids = torch.tensor([1, 2, 3, 17, 1035, 2**24 + 1, BIG, BIG + 1])[octant]
    return Labels((ids * (here.norm(dim=1) < 45)).reshape(1, 1, *grid.shape), grid)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T1 and a T2 with their parcels and landmarks, and a run of the command on them, all in one folder."""
    folder = tmp_path_factory.mktemp("inputs")
    grid = field_of_view(3, 5.0)
    matrix = Grid.from_spacing((36, 34, 35), 5.2).voxel_to_world.clone()
    matrix[:3, 3] += TRUTH.matrix[:3, 3] + 0.7
    view = Grid((36, 34, 35), matrix)
    write_image(phantom(grid), folder / "t1.nii.gz")
    write_image(phantom(view, "t2", TRUTH, seed=5), folder / "t2.nii.gz")
    write_labels(parcels(grid), folder / "t1_parcels.nii.gz")
    write_labels(parcels(view, TRUTH), folder / "t2_parcels.nii.gz")
    points = landmarks(3)
    write_points(points, folder / "t1.csv")
    write_points(TRUTH(points), folder / "t2.csv")
    for name, marked in (("t1", points), ("t2", TRUTH(points))):
        # As ANTs writes them: in LPS, and not saying so.
        rows = (",".join(map(str, row)) for row in (marked * torch.tensor([-1.0, -1, 1])).tolist())
        (folder / f"{name}_lps.csv").write_text("\n".join(("x,y,z", *rows)) + "\n")
    return folder


@pytest.fixture(scope="module")
def out(inputs: Path) -> Path:
    """The default run, with relative names, as somebody would type it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(inputs)
        assert main(["register", "-f", "t1.nii.gz", "-m", "t2.nii.gz", "-o", "out", "-q", "-j", "1"]) == 0
    return inputs / "out"


def found(folder: Path) -> Linear:
    transform = read_transform(folder / "transform.h5")
    assert isinstance(transform, Linear)
    return transform


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def apply(image: Path, reference: Path, transform: Path, output: Path, *flags: str) -> int:
    return run("apply", "-i", image, "-r", reference, "-t", transform, "-o", output, "-q", *flags)


def test_the_answer_is_right_and_the_folder_is_whole(out: Path) -> None:
    assert error_mm(found(out), TRUTH) < NEAR_MM
    assert sorted(p.name for p in out.iterdir()) == [
        "inverse.h5",
        "report.html",
        "result.json",
        "stages",
        "transform.h5",
        "warped.nii.gz",
    ]
    record = json.loads((out / "result.json").read_text())
    assert (record["status"], record["quality"]["verdict"], record["threads"]) == ("converged", "good", 1)


def test_another_process_with_the_same_seed_writes_the_same_bytes(
    inputs: Path, out: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "inforeg.cli.main",
        "register",
        "-f",
        "t1.nii.gz",
        "-m",
        "t2.nii.gz",
        "-j",
        "1",
    ]
    done = subprocess.run(
        [*command, "-o", str(tmp_path / "o")], cwd=inputs, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "quality: good" in done.stdout
    for name in BYTES:
        assert (tmp_path / "o" / name).read_bytes() == (out / name).read_bytes(), name
    for stage in (out / "stages").iterdir():
        assert (tmp_path / "o" / "stages" / stage.name).read_bytes() == stage.read_bytes()


@pytest.mark.parametrize(
    "flags", [["-t", "similarity", "--seed", "7", "-n", "bspline"], ["-t", "rigid", "--init", "moments"]]
)
def test_result_json_is_enough_to_run_again(
    flags: list[str], inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command, as it stands, gives the same bytes; names were relative and still are."""
    for name in ("t1.nii.gz", "t2.nii.gz"):
        shutil.copy(inputs / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert (
        run("register", "-f", "t1.nii.gz", "-m", "t2.nii.gz", "-o", "first run", "-q", "-j", "1", *flags) == 0
    )
    words = shlex.split(json.loads(Path("first run/result.json").read_text())["command"])
    assert words[0] == "inforeg"
    before = set(Path().iterdir())
    assert main([*words[1:], "-j", "1", "-q"]) == 0
    (again,) = set(Path().iterdir()) - before
    for name in BYTES:
        assert (again / name).read_bytes() == (Path("first run") / name).read_bytes(), name
    settings = [json.loads((f / "result.json").read_text())["settings"] for f in (again, Path("first run"))]
    assert settings[0] == settings[1]


def test_a_run_with_masks_and_a_start_is_made_again_with_them(
    inputs: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    masks = ["--fixed-mask", inputs / "t1_parcels.nii.gz", "--moving-mask", inputs / "t2_parcels.nii.gz"]
    pair = ["-f", inputs / "t1.nii.gz", "-m", inputs / "t2.nii.gz"]
    shutil.copy(out / "transform.h5", "start.h5")
    flags = ["-t", "rigid", "--init", "start.h5", "-o", "one", "-q", "-j", 1]
    assert run("register", *pair, *masks, *flags) == 0
    assert error_mm(found(Path("one")), TRUTH) < 2 * NEAR_MM
    record = json.loads(Path("one/result.json").read_text())
    assert record["start"]["origin"] == "given" and record["start"]["poses_scored"] == 0
    assert set(record["inputs"]) == {"fixed", "moving", "fixed_mask", "moving_mask", "init"}
    assert all(len(entry["sha256"]) == 64 for entry in record["inputs"].values())
    before = set(Path().iterdir())
    assert main([*shlex.split(record["command"])[1:], "-j", "1", "-q"]) == 0
    (again,) = set(Path().iterdir()) - before
    assert (again / "transform.h5").read_bytes() == Path("one/transform.h5").read_bytes()


def test_apply_makes_the_warped_image_again_exactly(inputs: Path, out: Path, tmp_path: Path) -> None:
    target = tmp_path / "again.nii.gz"
    code = apply(inputs / "t2.nii.gz", inputs / "t1.nii.gz", out / "transform.h5", target)
    assert code == 0
    ours, theirs = nib.load(target), nib.load(out / "warped.nii.gz")
    assert np.array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj))
    assert np.array_equal(ours.affine, theirs.affine)
    assert target.read_bytes() == (out / "warped.nii.gz").read_bytes()


def test_warped_lies_on_the_fixed_image_and_inverse_brings_it_back(
    inputs: Path, out: Path, tmp_path: Path
) -> None:
    """Against the same head rendered in place, in its own contrast."""
    fixed, warped = read_image(inputs / "t1.nii.gz"), read_image(out / "warped.nii.gz")
    assert warped.grid.same_as(fixed.grid)
    inside = (fixed.grid.points_mm().norm(dim=1) < 55).reshape(fixed.grid.shape)

    def alike(a: Image, b: Image, where: torch.Tensor) -> float:
        return float(torch.corrcoef(torch.stack((a.data[0, 0][where], b.data[0, 0][where])))[0, 1])

    assert alike(warped, phantom(fixed.grid, "t2"), inside) > 0.95
    target = tmp_path / "t1_on_t2.nii.gz"
    assert apply(inputs / "t1.nii.gz", inputs / "t2.nii.gz", out / "inverse.h5", target) == 0
    back = read_image(target)
    there = TRUTH.inverse()(back.grid.points_mm()).norm(dim=1).reshape(back.grid.shape) < 55
    assert alike(back, phantom(back.grid, "t1", TRUTH), there) > 0.95


def test_labels_keep_their_ids_and_lie_on_the_fixed_ones(
    inputs: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "parcels.nii.gz"
    code = apply(
        inputs / "t2_parcels.nii.gz", inputs / "t1.nii.gz", out / "transform.h5", target, "-n", "label"
    )
    assert code == 0
    warped, fixed = read_labels(target), read_labels(inputs / "t1_parcels.nii.gz")
    assert set(warped.data.unique().tolist()) == set(fixed.data.unique().tolist())
    assert np.asarray(nib.load(target).dataobj).dtype.kind in "iu"
    labels = ["--fixed-labels", inputs / "t1_parcels.nii.gz", "--moving-labels", inputs / "t2_parcels.nii.gz"]
    assert run("evaluate", *labels, "-t", out / "transform.h5", "--json") == 0
    said = json.loads(capsys.readouterr().out)["labels"]
    # The nearest of voxels of 5 mm: the known answer itself does no better than this.
    best = dice(fixed, resample_labels(read_labels(inputs / "t2_parcels.nii.gz"), fixed.grid, TRUTH))
    assert said["after"]["mean_dice"] > 0.98 * sum(best.values()) / len(best) > 0.8
    assert said["before"]["mean_dice"] < 0.5
    assert set(said["after"]["dice"]) == {str(i) for i in fixed.data.unique().tolist() if i}


@pytest.mark.parametrize("space", ["ras", "lps"])
def test_the_error_at_landmarks_is_told(
    space: str, inputs: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ending = "" if space == "ras" else "_lps"
    points = ["--fixed-points", inputs / f"t1{ending}.csv", "--moving-points", inputs / f"t2{ending}.csv"]
    arguments = ["evaluate", *points, "--space", space, "-t", out / "transform.h5"]
    assert run(*arguments, "--json") == 0
    said = json.loads(capsys.readouterr().out)["points"]
    expected = error_mm(found(out), TRUTH)
    assert said["after"]["mean_mm"] == pytest.approx(expected, abs=1e-3)
    assert said["before"]["mean_mm"] == pytest.approx(error_mm(Linear.identity(3), TRUTH), abs=1e-3)
    assert said["after"]["count"] == len(landmarks(3))
    assert run(*arguments) == 0
    text = capsys.readouterr().out
    assert f"TRE after: mean {expected:.3f} mm" in text and "TRE before: mean" in text


def test_a_result_that_fails_its_check_ends_with_three_and_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = field_of_view(2, 2.5)
    noise = torch.rand(1, 1, *grid.shape, generator=torch.Generator().manual_seed(11))
    write_image(phantom(grid), tmp_path / "head.nii.gz")
    write_image(Image(noise, grid), tmp_path / "noise.nii.gz")
    names = ["-f", tmp_path / "head.nii.gz", "-m", tmp_path / "noise.nii.gz", "-o", tmp_path / "o"]
    code = run("register", *names, "-t", "rigid", "--init", "moments")
    assert code == QUALITY_EXIT_CODE == 3
    said = capsys.readouterr().out
    record = json.loads((tmp_path / "o" / "result.json").read_text())
    assert record["quality"]["verdict"] in said and record["quality"]["reasons"][0] in said
    assert record["quality"]["reasons"][0] in (tmp_path / "o" / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "o" / "warped.nii.gz").exists()


def test_the_same_place_twice_is_refused_and_replaced_only_when_asked(
    inputs: Path, out: Path, tmp_path: Path
) -> None:
    shutil.copytree(out, tmp_path / "o")
    given = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in inputs.iterdir() if p.is_file()}
    before = {p: p.read_bytes() for p in (tmp_path / "o").rglob("*") if p.is_file()}
    arguments = [
        "register",
        "-f",
        inputs / "t1.nii.gz",
        "-m",
        inputs / "t2.nii.gz",
        "-o",
        tmp_path / "o",
        "-q",
        "-t",
        "rigid",
    ]
    assert run(*arguments) == 1
    assert {p: p.read_bytes() for p in before} == before
    # Another seed, another result, of the same pair.
    assert run(*arguments, "--overwrite", "--seed", 2) == 0
    assert (tmp_path / "o" / "transform.h5").read_bytes() != before[tmp_path / "o" / "transform.h5"]
    assert error_mm(found(tmp_path / "o"), found(out)) < NEAR_MM
    # And through all of it the inputs are as they were.
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in given} == given
