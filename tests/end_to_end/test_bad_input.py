"""What bad input gets through the command line: one line, an exit code, and nothing left behind."""

import gzip
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from inforeg.cli.main import main
from inforeg.io import read_image, write_transform
from inforeg.transforms import Linear, group

needs_register = pytest.mark.skipif(find_spec("inforeg.register") is None, reason="register is not there yet")

SHAPE = (24, 26, 22)
PLACE = np.array([[3.0, 0, 0, -36], [0, 3.0, 0, -39], [0, 0, 3.0, -33], [0, 0, 0, 1]])


def blob(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Something with an inside and an outside, so that only what a case changes is wrong with it."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = sum(a**2 for a in axes) < 0.5
    texture = np.random.default_rng(0).random(shape) * 40 + 100
    return np.where(inside, texture, 0).astype(np.float32)


def nifti(path: Path, data: np.ndarray, affine: np.ndarray = PLACE) -> None:
    nib.save(nib.Nifti1Image(data, affine), path)


def with_header(path: Path, **changes: object) -> None:
    """A NIfTI file with its header changed behind nibabel's back."""
    image = nib.Nifti1Image(blob(), PLACE)
    header = image.header
    header["magic"], header["vox_offset"] = b"n+1", 352
    header.set_sform(PLACE, 1)
    for name, value in changes.items():
        header[name] = value
    path.write_bytes(header.binaryblock + bytes(4) + blob().tobytes("F"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    good = blob()
    nifti(folder / "good.nii.gz", good)
    nifti(folder / "other.nii.gz", good[::-1].copy())
    whole = (folder / "good.nii.gz").read_bytes()
    (folder / "empty.nii.gz").write_bytes(b"")
    (folder / "text.nii.gz").write_text("not an image, whatever its name says\n" * 40)
    (folder / "zipped_text.nii.gz").write_bytes(gzip.compress(b"nor is this\n" * 400))
    (folder / "truncated.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "damaged.nii.gz").write_bytes(whole[:200] + bytes(200) + whole[400:])
    (folder / "folder.nii.gz").mkdir()
    (folder / "a.docx").write_text("x")
    (folder / "text.png").write_text("no picture\n" * 20)
    with_header(folder / "huge.nii", dim=[3, 30000, 30000, 30000, 1, 1, 1, 1])
    with_header(folder / "flat_affine.nii", srow_z=[0, 0, 0, 0])
    with_header(
        folder / "zero_spacing.nii", srow_x=[0, 0, 0, -36], srow_y=[0, 0, 0, -39], srow_z=[0, 0, 0, -33]
    )
    with_header(folder / "nan_affine.nii", srow_x=[np.nan, 0, 0, 0])
    with_header(folder / "no_axes.nii", dim=[0, 0, 0, 0, 0, 0, 0, 0])
    with_header(folder / "bad_type.nii", datatype=77)
    nifti(folder / "series.nii.gz", np.stack([good] * 3, -1))
    nifti(folder / "complex.nii.gz", good.astype(np.complex64))
    nifti(folder / "constant.nii.gz", np.full(SHAPE, 7, np.float32))
    spoiled = good.copy()
    spoiled[3, 4, 5:8] = np.nan
    nifti(folder / "nan.nii.gz", spoiled)
    spoiled[3, 4, 5:8] = -np.inf
    nifti(folder / "inf.nii.gz", spoiled)
    nifti(folder / "thin.nii.gz", good[:, :, :1], np.diag([1.0, 1, 1, 1]) @ PLACE @ turned())
    far = PLACE.copy()
    far[:3, 3] += 900
    nifti(folder / "far.nii.gz", good, far)
    nifti(folder / "slice.nii.gz", good[:, :, 11:12])
    sitk.WriteImage(sitk.GetImageFromArray((good[:, :, 11].T).astype(np.uint8)), str(folder / "slice.png"))
    nifti(folder / "mask_empty.nii.gz", np.zeros(SHAPE, np.uint8))
    nifti(folder / "mask_far.nii.gz", np.ones(SHAPE, np.uint8), far)
    nifti(folder / "mask_flat.nii.gz", np.ones((*SHAPE[:2], 1), np.uint8))
    write_transform(Linear.identity(3), folder / "good.tfm")
    write_transform(Linear.identity(2), folder / "flat.tfm")
    whole = (folder / "good.tfm").read_text()
    (folder / "half.tfm").write_text(whole[: len(whole) // 2])
    (folder / "text.h5").write_text("no transform")
    (folder / "empty.h5").write_bytes(b"")
    write_transform(
        group("projective", 3).exp(torch.full((15,), 0.01), torch.zeros(3), 80.0), folder / "p.json"
    )
    (folder / "points.csv").write_text("x,y,z\n1,2,3\n")
    (folder / "bad.csv").write_text("x,y,z\n1,2\n")
    (folder / "bad.toml").write_text("no = [toml\n")
    return folder


def turned() -> np.ndarray:
    """A quarter turn, so that the third axis is not the world's."""
    return np.array([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


class Case(NamedTuple):
    """Arguments (`@name` is an input, `%name` lies in the output place), exit code, and what must be said."""

    arguments: str
    code: int
    said: str


APPLY = {
    "missing": Case("-i @none.nii.gz -r @good.nii.gz -o %out.nii.gz", 1, "is not there"),
    "missing reference": Case("-i @good.nii.gz -r @none.nii.gz -o %out.nii.gz", 1, "is not there"),
    "empty": Case("-i @empty.nii.gz -r @good.nii.gz -o %out.nii.gz", 1, "is empty"),
    "text": Case("-i @text.nii.gz -r @good.nii.gz -o %out.nii.gz", 1, "no NIfTI header"),
    "zipped text": Case("-i @zipped_text.nii.gz -r @good.nii.gz -o %out.nii.gz", 1, "no NIfTI header"),
    "truncated": Case("-i @truncated.nii.gz -r @good.nii.gz -o %out.nii.gz", 1, "cut short"),
    "damaged": Case("-i @damaged.nii.gz -r @good.nii.gz -o %out.nii.gz", 1, "damaged"),
    "a folder": Case("-i @folder.nii.gz -r @good.nii.gz -o %out.nii.gz", 1, "is a folder"),
    "no image": Case("-i @a.docx -r @good.nii.gz -o %out.nii.gz", 1, "expected an image"),
    "no picture": Case("-i @text.png -r @slice.png -o %out.tiff", 1, "cannot read"),
    "terabytes": Case("-i @huge.nii -r @good.nii.gz -o %out.nii.gz", 1, "108 TB"),
    "singular affine": Case("-i @flat_affine.nii -r @good.nii.gz -o %out.nii.gz", 1, "singular"),
    "zero spacing": Case("-i @zero_spacing.nii -r @good.nii.gz -o %out.nii.gz", 1, "singular"),
    "NaN affine": Case("-i @good.nii.gz -r @nan_affine.nii -o %out.nii.gz", 1, "NaN or infinity"),
    "no axes": Case("-i @no_axes.nii -r @good.nii.gz -o %out.nii.gz", 1, "axes"),
    "unknown type": Case("-i @bad_type.nii -r @good.nii.gz -o %out.nii.gz", 1, "unknown type"),
    "series": Case("-i @series.nii.gz -r @good.nii.gz -o %out.nii.gz", 1, "one volume"),
    "complex": Case("-i @complex.nii.gz -r @good.nii.gz -o %out.nii.gz", 1, "real values"),
    "2-D and 3-D": Case("-i @slice.nii.gz -r @good.nii.gz -o %out.nii.gz", 2, "is 3-D"),
    "no labels": Case("-i @good.nii.gz -r @good.nii.gz -o %out.nii.gz -n label", 1, "expected labels"),
    "missing transform": Case(
        "-i @good.nii.gz -r @good.nii.gz -t @none.h5 -o %out.nii.gz", 1, "is not there"
    ),
    "half a transform": Case("-i @good.nii.gz -r @good.nii.gz -t @half.tfm -o %out.nii.gz", 1, "half.tfm"),
    "no transform": Case("-i @good.nii.gz -r @good.nii.gz -t @text.h5 -o %out.nii.gz", 1, "expected an HDF5"),
    "empty transform": Case("-i @good.nii.gz -r @good.nii.gz -t @empty.h5 -o %out.nii.gz", 1, "is empty"),
    "an image as transform": Case(
        "-i @good.nii.gz -r @good.nii.gz -t @good.nii.gz -o %out.nii.gz", 1, "transform"
    ),
    "a 2-D transform": Case("-i @good.nii.gz -r @good.nii.gz -t @flat.tfm -o %out.nii.gz", 2, "is 2-D"),
    "unknown interpolation": Case(
        "-i @good.nii.gz -r @good.nii.gz -o %out.nii.gz -n sinc", 2, "unknown name"
    ),
    "unknown output": Case("-i @good.nii.gz -r @good.nii.gz -o %out.jpeg2000", 2, "expected a file name"),
    "a volume as picture": Case(
        "-i @good.nii.gz -r @good.nii.gz -o %out.png --dtype uint8", 1, "2-D pictures"
    ),
    "output below a file": Case("-i @good.nii.gz -r @good.nii.gz -o %file/out.nii.gz", 1, "cannot write"),
    "output is a folder": Case("-i @good.nii.gz -r @good.nii.gz -o %full.nii.gz --overwrite", 1, "folder"),
    "output exists": Case("-i @good.nii.gz -r @good.nii.gz -o %there.nii.gz", 1, "exists"),
    "output is the input": Case(
        "-i %there.nii.gz -r @good.nii.gz -o %there.nii.gz --overwrite", 2, "is the input"
    ),
    "output is the input by a link": Case(
        "-i %link.nii.gz -r @good.nii.gz -o %there.nii.gz", 2, "is the input"
    ),
    "no output": Case("-i @good.nii.gz -r @good.nii.gz", 2, "--output"),
}

EVALUATE = {
    "nothing to do": Case("", 2, "expected --fixed-points"),
    "one of two": Case("--fixed-points @points.csv", 2, "got one of them"),
    "missing": Case("--fixed-points @points.csv --moving-points @none.csv", 1, "is not there"),
    "bad table": Case("--fixed-points @points.csv --moving-points @bad.csv", 1, "line 2"),
    "2-D transform": Case("--fixed-points @points.csv --moving-points @points.csv -t @flat.tfm", 2, "2-D"),
    "no labels": Case("--fixed-labels @good.nii.gz --moving-labels @good.nii.gz", 1, "expected labels"),
    "2-D and 3-D": Case("--fixed-labels @mask_empty.nii.gz --moving-labels @mask_flat.nii.gz", 2, "2-D"),
}

OUT = "-o %out"
REGISTER = {
    "missing": Case(f"-f @good.nii.gz -m @none.nii.gz {OUT}", 1, "is not there"),
    "empty": Case(f"-f @empty.nii.gz -m @good.nii.gz {OUT}", 1, "is empty"),
    "text": Case(f"-f @good.nii.gz -m @text.nii.gz {OUT}", 1, "no NIfTI header"),
    "truncated": Case(f"-f @truncated.nii.gz -m @good.nii.gz {OUT}", 1, "cut short"),
    "a folder": Case(f"-f @folder.nii.gz -m @good.nii.gz {OUT}", 1, "is a folder"),
    "terabytes": Case(f"-f @huge.nii -m @good.nii.gz {OUT}", 1, "108 TB"),
    "singular affine": Case(f"-f @flat_affine.nii -m @good.nii.gz {OUT}", 1, "singular"),
    "series": Case(f"-f @good.nii.gz -m @series.nii.gz {OUT}", 1, "one volume"),
    "constant": Case(f"-f @constant.nii.gz -m @good.nii.gz {OUT}", 1, "same value everywhere (7)"),
    "constant moving": Case(f"-f @good.nii.gz -m @constant.nii.gz {OUT}", 1, "same value everywhere (7)"),
    "NaN": Case(f"-f @good.nii.gz -m @nan.nii.gz {OUT}", 1, "3 values of 13728"),
    "infinity": Case(f"-f @inf.nii.gz -m @good.nii.gz {OUT}", 1, "3 values of 13728"),
    "1-voxel axis": Case(f"-f @thin.nii.gz -m @good.nii.gz {OUT}", 1, "at least 2 along every axis"),
    "2-D and 3-D": Case(f"-f @slice.png -m @good.nii.gz {OUT}", 1, "(2-D) and"),
    "3-D and 2-D": Case(f"-f @good.nii.gz -m @slice.nii.gz {OUT}", 1, "(2-D)"),
    "no overlap": Case(f"-f @good.nii.gz -m @far.nii.gz --init header {OUT}", 1, "do not overlap"),
    "empty mask": Case(f"-f @good.nii.gz -m @other.nii.gz --fixed-mask @mask_empty.nii.gz {OUT}", 1, "empty"),
    "mask elsewhere": Case(
        f"-f @good.nii.gz -m @other.nii.gz --moving-mask @mask_far.nii.gz {OUT}", 1, "beside"
    ),
    "2-D mask": Case(f"-f @good.nii.gz -m @other.nii.gz --fixed-mask @mask_flat.nii.gz {OUT}", 1, "2-D"),
    "missing mask": Case(
        f"-f @good.nii.gz -m @other.nii.gz --fixed-mask @none.nii.gz {OUT}", 1, "is not there"
    ),
    "start of 2-D": Case(f"-f @good.nii.gz -m @other.nii.gz --init @flat.tfm {OUT}", 2, "2-D"),
    "start that is none": Case(f"-f @good.nii.gz -m @other.nii.gz --init @text.h5 {OUT}", 1, "text.h5"),
    "settings that are none": Case(
        f"-f @good.nii.gz -m @other.nii.gz --settings @bad.toml {OUT}", 1, "bad.toml"
    ),
}

# Refused before anything is read or imported, so these need no register.
REFUSED = {
    "unknown transform": Case(f"-f @good.nii.gz -m @other.nii.gz -t rigdi {OUT}", 2, "did you mean rigid"),
    "unknown start": Case(f"-f @good.nii.gz -m @other.nii.gz --init heder {OUT}", 2, "did you mean header"),
    "missing start": Case(f"-f @good.nii.gz -m @other.nii.gz --init @none.h5 {OUT}", 2, "is not there"),
    "unknown metric": Case(f"-f @good.nii.gz -m @other.nii.gz --metric mu {OUT}", 2, "did you mean"),
    "unknown device": Case(f"-f @good.nii.gz -m @other.nii.gz --device tpu {OUT}", 2, "--device"),
    "no moving image": Case(f"-f @good.nii.gz {OUT}", 2, "--moving"),
    "output exists": Case("-f @good.nii.gz -m @other.nii.gz -o %full.nii.gz", 1, "exists"),
    "output of somebody else": Case(
        "-f @good.nii.gz -m @other.nii.gz -o %full.nii.gz --overwrite", 1, "not written"
    ),
    "output is a file": Case("-f @good.nii.gz -m @other.nii.gz -o %file", 1, "is a file"),
    "output holds an input": Case("-f %there.nii.gz -m @other.nii.gz -o % --overwrite", 2, "lies inside"),
}


@pytest.fixture
def place(tmp_path: Path, inputs: Path) -> Path:
    """Where outputs go: there is something there already."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full.nii.gz").mkdir()
    (tmp_path / "full.nii.gz" / "precious.txt").write_text("mine")
    (tmp_path / "there.nii.gz").write_bytes((inputs / "good.nii.gz").read_bytes())
    (tmp_path / "link.nii.gz").symlink_to(tmp_path / "there.nii.gz")
    return tmp_path


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def check(command: str, case: Case, inputs: Path, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = [a.replace("@", f"{inputs}/").replace("%", f"{place}/") for a in case.arguments.split()]
    before = contents(place), contents(inputs)
    code = main([command, *arguments])
    captured = capfd.readouterr()
    assert code == case.code, captured.err
    assert captured.err.startswith("inforeg: error: ")
    assert case.said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert (contents(place), contents(inputs)) == before


@pytest.mark.parametrize("name", APPLY)
def test_apply(name: str, inputs: Path, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check("apply", APPLY[name], inputs, place, capfd)


@pytest.mark.parametrize("name", EVALUATE)
def test_evaluate(name: str, inputs: Path, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check("evaluate", EVALUATE[name], inputs, place, capfd)


@pytest.mark.parametrize("name", REFUSED)
def test_register_refuses_at_once(
    name: str, inputs: Path, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    check("register", REFUSED[name], inputs, place, capfd)


@needs_register
@pytest.mark.parametrize("name", REGISTER)
def test_register(name: str, inputs: Path, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check("register", REGISTER[name], inputs, place, capfd)


def start(*arguments: object) -> "subprocess.Popen[str]":
    code = "import sys; from inforeg.cli.main import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_real_process_says_one_line_and_ends_with_the_code(inputs: Path, tmp_path: Path) -> None:
    run = start(
        "apply", "-i", inputs / "truncated.nii.gz", "-r", inputs / "good.nii.gz", "-o", tmp_path / "o.nii.gz"
    )
    out, err = run.communicate(timeout=120)
    assert (run.returncode, out) == (1, "")
    assert err.startswith("inforeg: error: ")
    assert err.count("\n") == 1
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_while_it_writes_it_leaves_nothing(
    stop: signal.Signals, inputs: Path, tmp_path: Path
) -> None:
    """The writer is slowed down, so that the signal comes when half a file and a new folder are there."""
    code = (
        # Where the tests themselves run in the background, Python has been told to ignore interrupts.
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys, time, inforeg.io.image_formats.nifti as nifti\n"
        "def slow(path, *_):\n    path.write_text('half'); print('writing', flush=True); time.sleep(60)\n"
        "from inforeg.io import formats\nformats.WRITERS['.nii.gz'] = slow\n"
        "from inforeg.cli.main import main\nsys.exit(main())"
    )
    arguments = [
        "apply",
        "-i",
        inputs / "good.nii.gz",
        "-r",
        inputs / "good.nii.gz",
        "-o",
        tmp_path / "new" / "o.nii.gz",
    ]
    run = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "writing\n"
    assert any("o.nii.gz" in name for name in contents(tmp_path))
    run.send_signal(stop)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert contents(tmp_path) == {}


def test_of_two_runs_to_one_file_one_is_refused(inputs: Path, tmp_path: Path) -> None:
    arguments = [
        "apply",
        "-i",
        inputs / "good.nii.gz",
        "-r",
        inputs / "good.nii.gz",
        "-o",
        tmp_path / "o.nii.gz",
    ]
    runs = [start(*arguments) for _ in range(2)]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 1]
    assert sum("exists" in err or "appeared" in err for err in said) == 1
    assert list(contents(tmp_path)) == ["o.nii.gz"]
    assert read_image(tmp_path / "o.nii.gz").grid.shape == SHAPE
