"""What the command asks of the library; the library itself is stood in for."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from inforeg.cli.main import main
from inforeg.io.ahead import taken


@dataclass
class Library:
    """Remembers how it was called, and gives back a result that saves a file."""

    ok: bool = True
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    saved: list[dict[str, Any]] = field(default_factory=list)

    def register(self, *images: Any, **options: Any) -> Any:
        self.calls.append((images, options))
        for image in images:
            taken(image)
        quality = SimpleNamespace(
            verdict="good" if self.ok else "failed", reasons=[] if self.ok else ["no overlap"]
        )
        stages = [SimpleNamespace(name="rigid"), SimpleNamespace(name="affine")]
        return SimpleNamespace(
            ok=self.ok, quality=quality, stages=stages, notes=["chosen by gain"], seconds=1.23, save=self.save
        )

    def save(self, folder: Path, **options: Any) -> None:
        self.saved.append(options)
        folder.mkdir()
        (folder / "result.json").write_text(json.dumps({"inforeg": "0", "status": "converged"}))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    stand_in = Library()
    module = ModuleType("inforeg.register")
    module.register = stand_in.register  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "inforeg.register", module)
    return stand_in


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    for name in ("f", "m"):
        nib.save(
            nib.Nifti1Image(np.random.default_rng(0).random((4, 5, 6)), np.eye(4)),
            tmp_path / f"{name}.nii.gz",
        )
    return ["-f", f"{tmp_path}/f.nii.gz", "-m", f"{tmp_path}/m.nii.gz", "-o", f"{tmp_path}/out"]


def test_nothing_needs_to_be_set(
    library: Library, pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["register", *pair]) == 0
    images, options = library.calls[0]
    assert images == (tmp_path / "f.nii.gz", tmp_path / "m.nii.gz")
    assert options == {
        "transform": "auto",
        "init": "auto",
        "fixed_mask": None,
        "moving_mask": None,
        "device": "auto",
        "threads": None,
        "seed": 0,
        "progress": None,
    }
    assert library.saved == [{"overwrite": False, "interpolation": "linear", "naming": None}]
    said = capsys.readouterr().out
    assert "rigid then affine, 1.2 s" in said
    assert "note: chosen by gain" in said
    assert "quality: good" in said
    assert "result.json" in said


def test_everything_can_be_set(library: Library, pair: list[str], tmp_path: Path) -> None:
    flags = ["-t", "rigid+affine", "--init", "moments", "--metric", "mine", "--method", "linear", "-j", "2"]
    flags += [
        "--seed",
        "7",
        "--device",
        "cpu",
        "-n",
        "bspline",
        "--fixed-mask",
        "fm.nii",
        "--moving-mask",
        "mm.nii",
    ]
    assert main(["register", *pair, *flags, "--settings", "s.toml"]) == 0
    options = library.calls[0][1]
    assert options["transform"] == "rigid+affine"
    assert (options["init"], options["metric"], options["method"]) == ("moments", "mine", "linear")
    assert (options["threads"], options["seed"], options["device"]) == (2, 7, "cpu")
    assert (options["fixed_mask"], options["moving_mask"]) == (Path("fm.nii"), Path("mm.nii"))
    assert options["settings"] == Path("s.toml")
    assert library.saved == [{"overwrite": False, "interpolation": "bspline", "naming": None}]


def test_json_is_the_result_file_and_nothing_else(
    library: Library, pair: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["register", *pair, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"inforeg": "0", "status": "converged"}
    assert captured.err == ""


def test_quiet_says_nothing(library: Library, pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["register", *pair, "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_a_failed_quality_check_is_three_and_the_result_is_kept(
    library: Library, pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library.ok = False
    assert main(["register", *pair]) == 3
    assert "quality: failed: no overlap" in capsys.readouterr().out
    assert (tmp_path / "out" / "result.json").exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["-t", "rigdi"], "did you mean rigid"),
        (["--init", "moment"], "did you mean moments"),
        (["--init", "start.h5"], "start.h5 is not there"),
        (["-n", "label"], "--interp"),
        (["--metric", "mi2"], "did you mean mi"),
        (["--metric", "lncc"], "--metric: unknown name 'lncc'"),
        (["-t", "rigid+svf", "--metric", "xyz"], "expected mi_local, mi, nmi, lncc"),
        (["--method", "svf", "--metric", "mine_locl"], "did you mean mine_local"),
        (["--device", "gpu"], "--device"),
    ],
)
def test_wrong_names_are_refused_before_anything_runs(
    library: Library, pair: list[str], flags: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["register", *pair, *flags]) == 2
    assert expected in capsys.readouterr().err
    assert library.calls == []


def test_outputs_that_cannot_be_are_refused_before_anything_runs(
    library: Library, pair: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").write_text("x")
    assert main(["register", *pair]) == 1
    assert "exists" in capsys.readouterr().err
    assert main(["register", *pair, "--overwrite"]) == 1
    assert "not written by inforeg" in capsys.readouterr().err
    assert main(["register", *pair[:5], str(tmp_path)]) == 2
    assert "lies inside the output folder" in capsys.readouterr().err
    assert library.calls == []
