"""Runs that would not fit into memory: thinned with a word, or refused, before anything large is read."""

import logging
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from phantoms import error_mm

from inforeg import memory
from inforeg.cli.main import main
from inforeg.errors import NotEnoughMemory, ReadError
from inforeg.image import Image
from inforeg.io import Header, read_header
from inforeg.register import register, room
from inforeg.register.room import check_apply, read_pair
from inforeg.space import Grid
from inforeg.transforms import Displacement, Linear

CPU = torch.device("cpu")
NO_MASKS = (None, None)


@pytest.fixture
def available(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets how much memory there is, on the machine and on its other devices."""

    def set_to(here: float | None, there: float | None = None) -> None:
        def answer(device: Any = "cpu") -> int | None:
            value = here if str(device) == "cpu" else there
            return None if value is None else int(value)

        monkeypatch.setattr(memory, "available_bytes", answer)

    return set_to


def need(*paths: Path, by: int = 1) -> int:
    sizes: list[Any] = [read_header(path) for path in paths]
    if by > 1:
        sizes = [memory.Size(s.shape, s.channels).thinned([by] * len(s.shape)) for s in sizes]
    return memory.to_register(sizes[0], sizes[1], sizes[2:])


def save(path: Path, shape: tuple[int, ...], spacing: tuple[float, ...], dtype: str = "int16") -> Path:
    values = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    nib.save(nib.Nifti1Image(values, np.diag([*spacing, 1.0])), path)
    return path


@pytest.mark.parametrize("amount", [None, "enough"])
def test_what_fits_is_read_as_it_is(
    amount: str | None, scene: Any, available: Any, caplog: pytest.LogCaptureFixture
) -> None:
    paths = (scene.folder / "t1.nii.gz", scene.folder / "t2.nii.gz")
    available(need(*paths) if amount else None)
    images, masks, notes = read_pair(paths, NO_MASKS, CPU)
    assert [image.grid.shape for image in images] == [(35, 35, 35), (36, 36, 36)]
    assert masks == [None, None] and notes == [] and not caplog.records


def test_what_does_not_fit_is_thinned_no_further_than_needed(
    tmp_path: Path, available: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fixed = save(tmp_path / "a.nii.gz", (160, 160, 40), (1, 1, 4))
    moving = save(tmp_path / "b.nii.gz", (100, 100, 100), (2, 2, 2))
    headers: list[Any] = [read_header(path) for path in (fixed, moving)]
    # Once by two in the plane, where the slices are far thicker; then by three, where the second has come up.
    twice = room._thinned_need(headers, [[2, 2, 1], [1, 1, 1]], "linear")
    thrice = room._thinned_need(headers, [[3, 3, 1], [1, 1, 1]], "linear")
    assert thrice < twice < need(fixed, moving)
    for amount, shape in ((twice, (80, 80, 40)), (thrice, (54, 54, 40))):
        caplog.clear()
        available(amount)
        images, _, notes = read_pair((fixed, moving), NO_MASKS, CPU)
        assert images[0].grid.shape == shape and images[1].grid.shape == (100, 100, 100)
        assert [record.getMessage() for record in caplog.records] == notes and len(notes) == 1
        assert "\n" not in notes[0]
    assert f"needs about {memory.in_words(need(fixed, moving))} of memory" in notes[0]
    assert f"{memory.in_words(thrice)} are there" in notes[0]
    assert "thinned to 3 mm, and so is the warped image" in notes[0]


def test_masks_and_images_in_memory_are_thinned_too(scene: Any, available: Any) -> None:
    path = scene.folder / "t2.nii.gz"
    mask = Image((scene.fixed.data > 0.3).float(), scene.fixed.grid)
    available(memory.to_register(memory.Size((35,) * 3), read_header(path), [memory.Size((35,) * 3)]) - 1)
    images, masks, _ = read_pair((scene.fixed, path), (mask, None), CPU)
    assert [image.grid.shape for image in images] == [(18, 18, 18)] * 2
    assert masks[0] is not None and masks[0].grid.shape == (18, 18, 18) and masks[1] is None


def test_what_fits_in_no_way_is_refused_with_numbers(scene: Any, available: Any) -> None:
    paths = (scene.folder / "t1.nii.gz", scene.folder / "t2.nii.gz")
    available(20e6)
    with pytest.raises(NotEnoughMemory) as caught:
        register(*paths)
    said = str(caught.value)
    assert said.startswith(f"registering {paths[0]} and {paths[1]} whole needs about 74 MB")
    assert "20 MB are there; thinned it would still be 61.8 MB" in said and "\n" not in said
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("method", ["drmime", "drmime-paper"])
def test_a_network_is_known_to_need_more(method: str, scene: Any, available: Any) -> None:
    paths = (scene.folder / "t1.nii.gz", scene.folder / "t2.nii.gz")
    available(200e6)
    assert len(read_pair(paths, NO_MASKS, CPU)[0]) == 2
    with pytest.raises(NotEnoughMemory, match=r"whole needs about 3\d\d MB of memory, 200 MB are there"):
        register(*paths, method=method)


def test_a_device_with_less_memory_than_the_machine_decides(scene: Any, available: Any) -> None:
    paths = (scene.folder / "t1.nii.gz", scene.folder / "t2.nii.gz")
    available(64e9, 20e6)
    assert len(read_pair(paths, NO_MASKS, CPU)[0]) == 2
    with pytest.raises(NotEnoughMemory, match=r"thinned it would still be 61\.3 MB on cuda:0"):
        read_pair(paths, NO_MASKS, torch.device("cuda:0"))


def test_a_series_is_refused_as_one_and_not_as_too_large(tmp_path: Path, scene: Any, available: Any) -> None:
    path = save(tmp_path / "series.nii.gz", (8, 8, 8, 5), (2, 2, 2))
    available(1e6)
    with pytest.raises(ReadError, match="holds a series of 5"):
        read_pair((path, scene.fixed), NO_MASKS, CPU)


def test_what_is_found_on_thinned_images_holds_for_the_whole(
    scene: Any, available: Any, tmp_path: Path
) -> None:
    paths = (scene.folder / "t1.nii.gz", scene.folder / "t2.nii.gz")
    available(need(*paths) - 1)
    result = register(*paths, transform="rigid")
    assert result.fixed.grid.shape == (18, 18, 18)
    assert isinstance(result.transform, Linear)
    # A fifth of the thinned voxels' 10 mm.
    assert error_mm(result.transform, scene.truth) < 2.0
    assert result.warped.grid.same_as(result.fixed.grid)
    assert result.notes[0].startswith(f"registering {paths[0]} and {paths[1]} whole needs about")
    folder = result.save(tmp_path / "out")
    available(8e9)
    # The folder still serves for the whole images, which it knows by their bytes.
    arguments = ["-i", paths[1], "-r", paths[0], "-t", folder, "-o", tmp_path / "whole.nii.gz"]
    assert main(["apply", *map(str, arguments)]) == 0
    assert read_header(tmp_path / "whole.nii.gz").shape == (35, 35, 35)


def test_apply_asks_for_more_with_fields_and_labels() -> None:
    grid = Grid.from_spacing((8, 8, 8))
    header = Header("a.nii", "NIfTI", (8, 8, 8), grid.voxel_to_world.numpy(), "int16", 1024)
    field = Displacement.of(Linear.identity(3), grid, torch.float32)
    for transform, interpolation in ((Linear.identity(3), "linear"), (field, "linear"), (field, "label")):
        check_apply(header, grid, transform, interpolation, None)


@pytest.mark.parametrize("interpolation", ["linear", "label"])
def test_apply_is_refused_before_anything_is_written(
    interpolation: str, tmp_path: Path, available: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "a.nii.gz", (30, 31, 32), (1, 1, 1))
    available(20e6)
    logging.getLogger("inforeg").handlers.clear()
    arguments = ["-i", path, "-r", path, "-o", tmp_path / "o.nii.gz", "-n", interpolation]
    assert main(["apply", *map(str, arguments)]) == 4
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"warping {path} onto a grid of 30x31x32 needs about " in said
    assert "20 MB are there; close other programs, or give a coarser image as reference" in said
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.nii.gz"]
