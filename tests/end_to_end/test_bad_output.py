"""Outputs that cannot be finished: a full disk, a killed process, two runs at once. Nothing is left half-written."""

import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from end_to_end.bad_input.case import contents, plain, unchanged
from end_to_end.bad_input.images import PLACE, SHAPE, blob, nifti
from end_to_end.bad_input.page import UNFINISHED, Row, matches, rows

from inforeg.cli.main import main
from inforeg.io import read_image, read_transform, write_image, write_transform
from inforeg.transforms import Composite, Displacement, Linear


def page_says(name: str) -> Row:
    """The row of the reference page on this."""
    return rows()[UNFINISHED, name]


MAIN = "import sys; from inforeg.cli.main import main; sys.exit(main())"
# Where the tests themselves run in the background, Python has been told to ignore interrupts.
INTERRUPTIBLE = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    nifti(folder / "good.nii.gz", blob())
    nifti(folder / "other.nii.gz", blob()[::-1].copy())
    nifti(folder / "series.nii.gz", np.stack([blob()] * 4, -1))
    noise = np.random.default_rng(0).integers(0, 1 << 16, (80, 90), np.uint16)
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(folder / "flat.png"))
    write_transform(Linear.identity(3), folder / "good.tfm")
    grid = read_image(folder / "good.nii.gz").grid
    generator = torch.Generator().manual_seed(0)
    field = torch.rand(3, *SHAPE, generator=generator) * 0.5
    write_transform(Displacement(field, grid), folder / "field.h5")
    shift = Linear.about(torch.eye(3).double(), torch.zeros(3).double(), torch.ones(3).double())
    write_transform(Composite((shift, Displacement(field, grid))), folder / "chain.h5")
    (folder / "points.csv").write_text("x,y,z\n" + "1.5,2.5,3.5\n" * 2000)
    return folder


def start(*arguments: object, code: str = MAIN) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def full_disk(count: int) -> Iterator[None]:
    """No file can grow beyond so many bytes: to a writer that is a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


IMAGE = "-i @good.nii.gz -r @good.nii.gz"
PICTURE = "-i @flat.png -r @flat.png"
FULL = {
    "NIfTI": f"apply {IMAGE} -o %out.nii",
    "packed NIfTI": f"apply {IMAGE} -o %out.nii.gz",
    "series": "apply -i @series.nii.gz -r @good.nii.gz -o %out.nii.gz",
    "MGH": f"apply {IMAGE} -o %out.mgz",
    "NRRD": f"apply {IMAGE} -o %out.nrrd",
    "MetaImage": f"apply {IMAGE} -o %out.mha",
    "PNG": f"apply {PICTURE} -o %out.png",
    "TIFF of bytes": f"apply {PICTURE} -o %out.tif --dtype uint8",
    "TIFF": f"apply {PICTURE} -o %out.tiff",
    "in a new folder": f"apply {IMAGE} -o %new/out.nii",
    "points": "apply-points -p @points.csv --space ras -t @good.tfm --on fixed -o %out.csv",
    "HDF5 transform": "convert -t @good.tfm -o %out.h5",
    "files named as ANTs does": "convert -t @chain.h5 -o %ants --naming ants",
    "a field and its mask": "invert -t @field.h5 -o %out.h5 --mask %mask.nii.gz",
    "field": "compose -t @good.tfm -r @good.nii.gz -o %out.nii",
    "determinants": "jacobian -t @good.tfm -r @good.nii.gz -o %out.nii",
}


@pytest.mark.parametrize("name", FULL)
def test_on_a_full_disk_nothing_is_left(
    name: str, inputs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [a.replace("@", f"{inputs}/").replace("%", f"{tmp_path}/") for a in FULL[name].split()]
    with unchanged(tmp_path, inputs), full_disk(4096):
        code = main(arguments)
    err = capfd.readouterr().err
    assert code == page_says("full disk").code, err
    assert matches(page_says("full disk").line.replace("out.nii", "..."), plain(err, inputs, tmp_path))
    assert err.count("\n") == 1
    # With room enough, the same is written.
    assert main(arguments) == 0
    assert 1 <= len(contents(tmp_path)) <= 5


def test_a_full_disk_leaves_what_was_there(
    inputs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.nii"
    output.write_bytes(b"of last week")
    arguments = ["apply", "-i", inputs / "good.nii.gz", "-r", inputs / "good.nii.gz", "-o", output]
    with unchanged(tmp_path), full_disk(4096):
        assert main([*map(str, arguments), "--overwrite"]) == 1
    assert "cannot write" in capfd.readouterr().err


def test_a_full_disk_leaves_no_half_folder(
    inputs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["-f", inputs / "good.nii.gz", "-m", inputs / "other.nii.gz", "-o", tmp_path / "out"]
    with unchanged(tmp_path), full_disk(4096):
        assert main(["register", *map(str, arguments), "-t", "translation", "--init", "header"]) == 1
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert "cannot write" in err


SLOW = (
    "import sys, time\nfrom pathlib import Path\n"
    "def slow(path, *_, **__):\n"
    "    Path(path).write_text('half'); print('writing', flush=True); time.sleep(60)\n"
    "from inforeg.io import formats\n"
    "formats.WRITERS = dict.fromkeys(formats.WRITERS, slow)\n"
    "import inforeg.io.images as images\nimages.formats.WRITERS = formats.WRITERS\n"
    "from inforeg.cli.main import main\nsys.exit(main())"
)


def slowed(inputs: Path, output: Path) -> "subprocess.Popen[str]":
    """A run that stops while half a file is written."""
    image = inputs / "good.nii.gz"
    run = start("apply", "-q", "-i", image, "-r", image, "-o", output, code=INTERRUPTIBLE + SLOW)
    assert run.stdout is not None
    assert run.stdout.readline() == "writing\n"
    return run


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_while_it_writes_it_leaves_nothing(
    stop: signal.Signals, inputs: Path, tmp_path: Path
) -> None:
    run = slowed(inputs, tmp_path / "new" / "o.nii.gz")
    assert any("o.nii.gz" in name for name in contents(tmp_path))
    run.send_signal(stop)
    _, err = run.communicate(timeout=60)
    row = page_says("Ctrl-C, or told to stop (SIGTERM)")
    assert (run.returncode, err) == (row.code, f"inforeg: {row.line}\n")
    assert contents(tmp_path) == {}


def test_killed_while_it_writes_there_is_no_half_file_under_its_name(inputs: Path, tmp_path: Path) -> None:
    output = tmp_path / "o.nii.gz"
    run = slowed(inputs, output)
    run.kill()
    run.communicate(timeout=60)
    # A shell says 128 and the signal's number.
    assert run.returncode == -signal.SIGKILL == 128 - page_says("killed (SIGKILL)").code
    assert not output.exists()
    # What is left says whose it is, and the next run is not held up by it.
    assert [path.name.startswith(".inforeg-") for path in tmp_path.iterdir()] == [True]
    assert main(["apply", "-q", *f"-i {inputs}/good.nii.gz -r {inputs}/good.nii.gz -o {output}".split()]) == 0
    assert read_image(output).grid.shape == SHAPE


def test_of_two_runs_to_one_file_one_is_refused(inputs: Path, tmp_path: Path) -> None:
    image, output = inputs / "good.nii.gz", tmp_path / "o.nii.gz"
    runs = [start("apply", "-i", image, "-r", image, "-o", output) for _ in range(2)]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert sorted(run.returncode for run in runs) == [0, page_says("two runs to one file: the later").code]
    assert sum("exists" in err or "appeared" in err for err in said) == 1
    assert list(contents(tmp_path)) == ["o.nii.gz"]
    assert read_image(output).grid.shape == SHAPE


def test_of_two_runs_into_one_folder_one_is_refused(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The second run starts and ends while the first one writes its warped image."""
    output = tmp_path / "out"
    images = ["-f", str(inputs / "good.nii.gz"), "-m", str(inputs / "other.nii.gz"), "-o", str(output)]
    arguments = ["register", *images, "-t", "translation", "--init", "header", "-q"]
    codes: list[int] = []
    write: Callable[..., None] = write_image

    def meanwhile(*given: object, **options: object) -> None:
        monkeypatch.setattr("inforeg.io.write_image", write, raising=False)
        if not codes:
            codes.append(-1)
            codes[0] = main(arguments)
        write(*given, **options)

    monkeypatch.setattr("inforeg.io.write_image", meanwhile, raising=False)
    code = main(arguments)
    err = capfd.readouterr().err
    assert codes and codes[0] in (0, 3)
    row = page_says("two runs into one folder: the later")
    assert code == row.code
    assert err.count("\n") == 1
    assert matches(row.line, plain(err, inputs, output.parent))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert read_image(output / "warped.nii.gz").grid.shape == SHAPE
    assert read_transform(output / "transform.h5").ndim == 3


def test_a_real_process_says_one_line_and_ends_with_the_code(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    half = tmp_path / "in" / "half.nii.gz"
    half.write_bytes((inputs / "good.nii.gz").read_bytes()[:500])
    with unchanged(tmp_path):
        run = start("apply", "-q", "-i", half, "-r", inputs / "good.nii.gz", "-o", tmp_path / "o.nii.gz")
        out, err = run.communicate(timeout=120)
    assert (run.returncode, out) == (1, "")
    assert err.startswith("inforeg: error: ")
    assert err.count("\n") == 1


def test_a_linked_output_folder_is_written_where_it_leads(inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    image = inputs / "good.nii.gz"
    assert (
        main(["apply", "-q", "-i", str(image), "-r", str(image), "-o", str(tmp_path / "link" / "o.nii")]) == 0
    )
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["o.nii"]
    assert (tmp_path / "link").is_symlink()


def test_overwriting_a_link_replaces_the_link_and_not_what_it_points_to(inputs: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.nii"
    precious.write_bytes(b"of somebody else")
    (tmp_path / "o.nii").symlink_to(precious)
    image = str(inputs / "good.nii.gz")
    assert main(["apply", "-q", "-i", image, "-r", image, "-o", str(tmp_path / "o.nii"), "--overwrite"]) == 0
    assert precious.read_bytes() == b"of somebody else"
    assert nib.load(tmp_path / "o.nii").affine[0, 3] == PLACE[0, 3]
