"""DRMIME by the command line, on two pictures: what it leaves, and that this makes it again."""

import json
from pathlib import Path

import pytest
import torch
from phantoms import landmarks, phantom, pose

from inforeg.cli.main import main
from inforeg.image import Image
from inforeg.io import read_image, read_transform, write_image
from inforeg.methods.drmime import drmime
from inforeg.solve.neural import Learning
from inforeg.space import Grid
from inforeg.transforms import Linear

SIZE = 48
RADIUS = 19.0


@pytest.fixture(autouse=True)
def one_thread(one_thread: None) -> None:
    """Small sums lose more than they gain by being shared out; and the command line may set threads."""


def picture(path: Path, truth: Linear, swapped: bool) -> None:
    """Three contrasts as red, green and blue, or the other way round and inverted; a pixel is a millimetre."""
    grid = Grid.from_spacing((SIZE, SIZE), 1.0)
    names = ("t1", "t2", "pd")[:: -1 if swapped else 1]
    channels = [phantom(grid, name, truth, radius_mm=RADIUS, noise=0.01).data for name in names]
    data = torch.cat(channels, dim=1).clamp(0, 1)
    # A picture begins at the world's origin, and its axes run to the left and to the back.
    here = Grid((SIZE, SIZE), torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)))
    write_image(Image(255 * (1 - data if swapped else data), here), path, dtype="uint8")


def test_two_pictures_are_registered_and_the_result_makes_itself_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a fifth of a pixel, from two and a half pixels away; the same transform the second time."""
    monkeypatch.chdir(tmp_path)
    small = pose("affine", 2, 0.15, seed=2).matrix.clone()
    small[:2, 2] *= RADIUS / 70
    truth = Linear(small)
    picture(Path("fixed.png"), Linear.identity(2), swapped=False)
    picture(Path("moving.png"), truth, swapped=True)
    quick = drmime("affine", samples=1024, learning=Learning(hidden=24, rate=5e-3, batch=256))
    Path("quick.toml").write_text(quick.to_toml())
    pair = ["register", "-f", "fixed.png", "-m", "moving.png", "-q", "-j", "1", "--device", "cpu"]
    assert main([*pair, "-o", "out", "--method", "drmime", "--settings", "quick.toml"]) == 0
    written = json.loads(Path("out/result.json").read_text())
    assert (written["method"], written["quality"]["verdict"]) == ("drmime", "good")
    assert drmime().from_dict(written["settings"]) == quick
    page = Path("out/report.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert "drmime" in page
    # The result.json says itself which method it was.
    assert main([*pair, "-o", "again", "--settings", "out/result.json"]) == 0
    one, other = (read_transform(Path(folder) / "transform.h5") for folder in ("out", "again"))
    assert isinstance(one, Linear) and isinstance(other, Linear)
    assert torch.equal(one.matrix, other.matrix)
    # A picture has no place in the world: what is compared are pixels.
    grids = [read_image(Path(name)).grid for name in ("fixed.png", "moving.png")]
    middle, points = (SIZE - 1) / 2, landmarks(2, RADIUS)
    there = grids[1].to_voxel(one(grids[0].to_world(points + middle))) - middle
    assert float((truth(points) - points).norm(dim=1).mean()) > 2.5
    assert float((there - truth(points)).norm(dim=1).mean()) < 0.2
    assert json.loads(Path("again/result.json").read_text())["method"] == "drmime"
