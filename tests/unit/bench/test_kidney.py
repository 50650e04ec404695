import json
from pathlib import Path

import pytest
import torch
from phantoms import field_of_view, moved_view, phantom

from inforeg import io
from inforeg.bench import kidney
from inforeg.bench.competitors import CompetitorError
from inforeg.bench.drmime.sets_folder import KIDNEY
from inforeg.cli.main import main
from inforeg.errors import UsageError
from inforeg.image import Image
from inforeg.io.simpleitk import simpleitk
from inforeg.transforms import Linear

TRUTH = Linear(torch.tensor([[1.02, -0.05, 4.0], [0.06, 0.97, -3.0], [0.0, 0.0, 1.0]], dtype=torch.float64))


def write_picture(image: Image, path: Path) -> None:
    """A colour JPEG; it has no place, so its pixels are all that is kept."""
    sitk = simpleitk()
    grey = (255 * image.data[0, 0].T.clamp(0, 1)).to(torch.uint8).numpy()
    channels = [sitk.GetImageFromArray(grey), sitk.GetImageFromArray(255 - grey // 2)]
    sitk.WriteImage(sitk.Compose(channels[0], channels[1], channels[0]), str(path))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two stains of a head, and landmarks in pixels; the second table has more of them."""
    folder = tmp_path / "data"
    (folder / "histology").mkdir(parents=True)
    fixed_grid = field_of_view(2)
    moving_grid = moved_view(fixed_grid, TRUTH)
    points = torch.cartesian_prod(*[torch.linspace(-40, 40, 4, dtype=torch.float64)] * 2)
    pictures = phantom(fixed_grid, "t1"), phantom(moving_grid, "t2", TRUTH, seed=1)
    pixels = fixed_grid.to_voxel(points), moving_grid.to_voxel(TRUTH(points))
    for name, picture, marked, beyond in zip(KIDNEY, pictures, pixels, (0, 2), strict=True):
        write_picture(picture, folder / f"{name}.jpg")
        rows = [*marked.tolist(), *[[1.0, 1.0]] * beyond]
        lines = [f"{n},{x},{y}" for n, (x, y) in enumerate(rows, 1)]
        (folder / f"{name}.csv").write_text("\n".join([",X,Y", *lines]))
    return folder


def test_errors_and_pictures_of_every_method(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    code = main(
        ["bench", "kidney", "--data", str(data), "-o", str(output), "--methods", "linear,simpleitk", "-j1"]
    )
    said = capsys.readouterr().out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in said[1:]] == ["start", "fit", "linear", "simpleitk"]
    written = json.loads((output / "kidney.json").read_text(encoding="utf-8"))
    found = {line["method"]: line for line in written["methods"]}
    # The middles of the pictures on each other leave the turn and the stretch.
    assert found["start"]["median_px"] > 1
    assert found["fit"]["median_px"] < 1e-6
    for name in ("linear", "simpleitk"):
        assert found[name]["median_px"] < 0.15
        assert found[name]["rtre_median"] == pytest.approx(found[name]["median_px"] / 113 / 2**0.5, rel=0.05)
        assert found[name]["seconds"] > 0
        fixed = io.read_image(data / f"{KIDNEY[0]}.jpg")
        board = io.read_image(output / f"kidney-{name}.png")
        assert board.data.shape == fixed.data.shape
        same = (board.data == fixed.data).all(dim=1).float().mean()
        assert 0.4 < float(same) < 0.9


def test_a_method_that_fails_is_a_line_and_an_exit_code(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_arguments: object, **_named: object) -> None:
        raise CompetitorError("simpleitk found no transform")

    monkeypatch.setattr(kidney, "compete", fails)
    said: list[str] = []
    assert kidney.run(data, tmp_path / "out", 1, 0, ["simpleitk"], say=said.append) == 1
    assert said[-1] == "simpleitk     failed: simpleitk found no transform"
    assert not (tmp_path / "out" / "kidney-simpleitk.png").exists()


def test_what_cannot_be_run_is_said_before_anything_is(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"--methods: unknown name 'lineal'; expected linear, "):
        kidney.run(data, tmp_path / "out", methods=["lineal"])
    monkeypatch.setattr(kidney, "available", lambda _name: False)
    with pytest.raises(UsageError, match="--methods: ants: its tool is not installed"):
        kidney.run(data, tmp_path / "out", methods=["ants"])
    with pytest.raises(UsageError, match=r"--data: expected histology/Rat-Kidney_HE\.jpg in "):
        kidney.run(tmp_path, tmp_path / "out", methods=["linear"])
    assert not (tmp_path / "out").exists()
