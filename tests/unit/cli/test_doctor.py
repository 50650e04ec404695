"""The doctor on a healthy machine, and on ones that something is wrong with."""

import json
import tempfile
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from typing import Any

import numpy as np
import pytest
import torch

from inforeg.cli.main import main
from inforeg.doctor import Check, geometry, machine, software
from inforeg.io import images
from inforeg.io.image_formats import nifti
from inforeg.io.transform_formats import itk_parts, itk_warps
from inforeg.transforms import Composite, Linear

Capture = pytest.CaptureFixture[str]


def examined(capsys: Capture) -> tuple[int, list[dict[str, Any]]]:
    code = main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] == (code == 0)
    return code, found["checks"]


def failed(checks: list[dict[str, Any]]) -> set[str]:
    return {check["name"] for check in checks if check["state"] == "failed"}


def without(monkeypatch: pytest.MonkeyPatch, *steps: str) -> None:
    """Leaves steps of the self-test out: what takes most of the time."""

    def nothing(*_: object) -> Iterator[Check]:
        yield from ()

    for step in steps:
        monkeypatch.setattr(geometry, step, nothing)


@pytest.mark.slow
def test_a_healthy_machine(capsys: Capture) -> None:
    code, checks = examined(capsys)
    assert code == 0
    assert failed(checks) == set()
    by_name = {check["name"]: check for check in checks}
    assert {check["group"] for check in checks} == {"software", "machine", "geometry"}
    assert by_name["torch"]["state"] == by_name["cpu"]["state"] == "ok"
    assert by_name["registration"]["value"] < by_name["registration"]["bound"] == 0.3
    for name in ("itk .tfm", "itk .h5", "itk .nii.gz", "inforeg .json"):
        assert 0 <= by_name[name]["value"] <= by_name[name]["bound"] == 1e-4
        assert by_name[name]["unit"] == "mm"
    assert "SimpleITK" in by_name["itk .h5"]["found"]
    assert "a matrix after a field" in by_name["itk .h5"]["found"]


def test_in_words(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    without(monkeypatch, "_registration")
    monkeypatch.setattr(geometry, "FORMATS", geometry.FORMATS[:2])
    assert main(["doctor"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert [line for line in lines if not line.startswith("  ")][:3] == ["software", "machine", "geometry"]
    assert "checks passed, in" in lines[-1]
    assert any(line.startswith("  ok     itk .tfm: ") and "mm (at most 0.0001 mm)" in line for line in lines)
    assert main(["doctor", "-q"]) == 0
    assert capsys.readouterr().out == ""


def mirrored(matrix: np.ndarray) -> np.ndarray:
    """The sign error that tools have shipped: one axis of the world the wrong way."""
    flipped = matrix.copy()
    flipped[:1] *= -1
    flipped[:, :1] *= -1
    return flipped


@pytest.mark.parametrize(
    ("where", "name", "wrong", "expected"),
    [
        # Written wrong and read wrong alike, so that inforeg by itself would see nothing.
        (itk_parts, "flip_transform", mirrored, {"itk .tfm", "itk .h5", "itk .mat"}),
        (itk_warps, "_flipped", lambda vectors: vectors.copy(), {"itk .tfm", "itk .h5"}),
        # The order of a chain.
        (Composite, "__call__", lambda self, p: self.parts[1](self.parts[0](p)), {"itk .h5", "itk .tfm"}),
    ],
    ids=["signs of a matrix", "signs of a field", "order of a chain"],
)
def test_wrong_transforms_are_seen(
    where: Any,
    name: str,
    wrong: Callable[..., Any],
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    without(monkeypatch, "_registration", "_orientations")
    monkeypatch.setattr(where, name, wrong)
    code, checks = examined(capsys)
    assert code == 1
    assert expected <= failed(checks)
    assert "warped images" in {name.split(" (")[0] for name in failed(checks)}
    assert not failed(checks) & {"plain .txt", "cpu"}


def test_wrong_places_of_images_are_seen(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    without(monkeypatch, "_registration", "_transforms")
    right = nifti.write

    def along_x(path: Any, values: Any, voxel_to_world: Any) -> None:
        matrix = voxel_to_world.copy()
        matrix[0] *= -1
        right(path, values, matrix)

    monkeypatch.setitem(images.formats.WRITERS, ".nii", along_x)
    code, checks = examined(capsys)
    assert (code, failed(checks)) == (1, {"orientations"})


def test_wrong_sampling_is_seen_on_the_device_and_beside_itk(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    # The package's own name for it is the function.
    sample = import_module("inforeg.image.sample")
    right = sample._voxel_to_voxel

    def half_a_voxel_on(*arguments: Any) -> Any:
        matrix = right(*arguments)
        if matrix is not None:
            matrix[:3, 3] += 0.5
        return matrix

    monkeypatch.setattr(sample, "_voxel_to_voxel", half_a_voxel_on)
    without(monkeypatch, "_registration", "_transforms")
    code, checks = examined(capsys)
    assert code == 1
    assert failed(checks) == {"cpu", "orientations"}


def test_a_wrong_registration_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        transform = Linear.identity(3)

    without(monkeypatch, "_orientations", "_transforms")
    monkeypatch.setattr(geometry, "register", lambda *_, **__: Found)
    checks = {check.name: check for check in geometry.checks()}
    assert checks["registration"].state == "failed"
    assert checks["registration"].value == pytest.approx(14, abs=3)
    monkeypatch.setattr(Found, "transform", Linear(torch.full((4, 4), 1e300, dtype=torch.float64)))
    assert {check.name: check.state for check in geometry.checks()}["registration"] == "failed"


def test_what_breaks_is_a_check_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(geometry, "register", breaks)
    monkeypatch.setattr(geometry.io, "write_transform", breaks)
    checks = list(geometry.checks())
    assert str(next(c for c in checks if c.name == "registration")) == (
        "failed registration: ZeroDivisionError: division by zero"
    )
    assert {c.state for c in checks if c.name.startswith("itk")} == {"failed"}
    assert {c.state for c in checks if c.name == "orientations"} == {"ok"}


def test_packages_that_are_missing_old_or_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    right = software.version
    old = {"numpy": "1.9.1", "torch": "2.4.0+cpu", "isal": None, "nilearn": None, "nibabel": None}

    def version(name: str) -> str:
        if name in old and old[name] is None:
            raise PackageNotFoundError(name)
        return old.get(name) or right(name)

    def imported(name: str) -> None:
        if name == "scipy":
            raise ImportError("libgfortran.so.5:\nnot found")

    monkeypatch.setattr(software, "version", version)
    monkeypatch.setattr(software, "import_module", imported)
    checks = {check.name: check for check in software.checks()}
    assert (
        str(checks["numpy"])
        == "failed numpy: 1.9.1 is older than needed; expected 1.26 or newer: pip install 'numpy>=1.26'"
    )
    assert checks["torch"].state == "ok"
    assert checks["nibabel"].state == "failed"
    assert "pip install 'nibabel>=5.2'" in checks["nibabel"].found
    assert (checks["isal"].state, checks["nilearn"].state) == ("note", "note")
    assert checks["nilearn"].found == "missing; only needed for inforeg demo"
    assert "cannot be imported (libgfortran.so.5: not found)" in checks["scipy"].found
    assert "pytest" not in checks


@pytest.mark.parametrize(
    ("found", "least", "older"),
    [
        ("1.26", "1.26.0", False),
        ("1.26.0", "1.26", False),
        ("1.9", "1.26", True),
        ("2.0.0rc1", "1.26", False),
        ("2.13.0+cu126", "2.4", False),
        ("2", "2.4", True),
        ("", "2.4", True),
    ],
)
def test_versions_are_compared_number_by_number(found: str, least: str, older: bool) -> None:
    assert (software._judged("some", found, least).state == "failed") == older


def test_not_installed_as_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(software, "requires", requires)
    assert [check.state for check in software.checks()] == ["note", "note"]


def test_memory_and_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((None, "note"), (5e8, "note"), (8e9, "ok")):
        monkeypatch.setattr(machine, "available_bytes", lambda free=free: free)
        assert machine._memory().state == state

    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", full)
    assert machine._temporary().state == "failed"
    assert "No space left" in machine._temporary().found


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine._device("cpu", "two threads").state == "ok"
    nowhere = machine._device("cuda:99", "none")
    assert nowhere.state == "failed"
    assert "\n" not in nowhere.found
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda n: "a card")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda n: type("P", (), {"total_memory": 8e9}))
    checks = {check.name: check.state for check in machine.checks()}
    assert checks["cuda:0"] == ("ok" if torch.version.cuda else "failed")


@pytest.mark.gpu
def test_a_card_computes_what_the_processor_does() -> None:
    checks = {check.name: check for check in machine.checks()}
    assert checks["cuda:0"].state == "ok"
    assert "warped in" in checks["cuda:0"].found
