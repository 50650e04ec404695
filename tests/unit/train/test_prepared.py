from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import recipe

from inforeg import io
from inforeg.errors import ReadError
from inforeg.image import Image, resample
from inforeg.space import Grid
from inforeg.train.listing import Scan, read_scans
from inforeg.train.prepared import prepare
from inforeg.transforms import Linear


def test_everything_lies_on_the_canonical_grid_and_is_kept(made_up, tmp_path):
    scans = read_scans(made_up, 3)
    said = []
    found = prepare(scans, recipe(made_up), tmp_path, said.append)
    assert len(said) == len(scans) == len(list(tmp_path.iterdir()))
    for scan in found:
        assert (
            scan.image.shape == (1, 48, 64)
            and -0.1 <= float(scan.image.min()) <= float(scan.image.max()) <= 1.1
        )
        assert set(scan.labels.unique().tolist()) <= set(range(7))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = prepare(scans, recipe(made_up), tmp_path, said.append)
    assert len(said) == len(scans) and {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()} == before
    assert all(torch.equal(a.image, b.image) for a, b in zip(found, again, strict=True))
    # Another grid is another thing.
    prepare(scans[:1], recipe(made_up, shape=(64, 64)), tmp_path, said.append)
    assert len(said) == len(scans) + 1


def test_a_linear_start_brings_what_lies_elsewhere_to_the_reference(made_up, tmp_path):
    image, labels = (io.read_image(made_up / f"s01_{name}.nii.gz") for name in ("T1", "labels"))
    turn = Linear(
        torch.tensor([[0.94, -0.34, 25.0], [0.34, 0.94, -18.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    )
    matrix = image.grid.voxel_to_world.clone()
    matrix[:2, 2] += turn.matrix[:2, 2]
    grid = Grid(image.grid.shape, matrix)
    for picture, name in ((image, "T1"), (labels, "labels")):
        moved = resample(picture, grid, turn.inverse(), mode="nearest" if name == "labels" else "linear")
        io.write_image(Image(moved.data, grid), tmp_path / f"s_{name}.nii.gz")
    scans = [
        Scan("r", "T1", made_up / "s01_T1.nii.gz", made_up / "s01_labels.nii.gz"),
        Scan("s", "T1", tmp_path / "s_T1.nii.gz", tmp_path / "s_labels.nii.gz"),
        Scan("m", "", None, tmp_path / "s_labels.nii.gz"),
    ]
    r, s, m = prepare(scans, recipe(made_up, start="rigid"), tmp_path / "kept")
    assert float((r.image - s.image).abs().mean()) < 0.03
    still = prepare(scans[:2], recipe(made_up), tmp_path / "kept")
    assert float((still[0].image - still[1].image).abs().mean()) > 0.06
    # Nearest neighbours were taken twice, and half of the pixels lie near a border.
    apart = float((still[0].labels != still[1].labels).float().mean())
    for other in (s, m):
        assert float((r.labels != other.labels).float().mean()) < 0.3 * apart


def test_labels_that_count_as_background_are_gone(made_up, tmp_path):
    scan = read_scans(made_up, 3)[0]
    (found,) = prepare([scan], recipe(made_up, ignore=(1, 4)), tmp_path)
    assert not {1, 4} & set(found.labels.unique().tolist()) and 3 in found.labels


def test_a_scan_that_cannot_be_used_is_named(made_up, tmp_path):
    data = np.random.default_rng(0).random((16, 16, 16)).astype(np.float32)
    io.write_image(
        Image(torch.from_numpy(data)[None, None], Grid.from_spacing((16, 16, 16))), tmp_path / "x_T1.nii.gz"
    )
    bad = Scan("x", "T1", tmp_path / "x_T1.nii.gz", None)
    with pytest.raises(ReadError, match="cannot prepare x_T1: expected 2 axes"):
        prepare([replace(read_scans(made_up, 3)[0], split="train"), bad], recipe(made_up), tmp_path / "kept")
    with pytest.raises(ReadError, match="reference of 2 axes"):
        prepare([bad], recipe(made_up), tmp_path / "kept")
