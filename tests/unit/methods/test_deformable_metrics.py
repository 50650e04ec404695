"""The metrics of the deformable method: each recovers a deformation, in 2-D and 3-D, and none folds."""

import pytest
import torch
from phantoms import landmarks
from unit.methods.deformations import brief, off_mm, pair, smooth

from inforeg.errors import UsageError
from inforeg.evaluate import jacobian_determinants
from inforeg.image import Image
from inforeg.methods import named
from inforeg.methods.deformable import Deformable
from inforeg.solve.dense import neural_tables
from inforeg.transforms import Linear


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that learn from fewer samples, in fewer steps: enough for phantoms."""
    for name, value in {"_SAMPLES": 1024, "_NEW": 100, "_FIRST": 10, "_FURTHER": 2}.items():
        monkeypatch.setattr(neural_tables, name, value)


OTHERS = ("mi", "nmi", "lncc", "mind_ssc", "mine", "mine_local")


def left_of(metric: str, ndim: int, **settings: object) -> float:
    """What share of a deformation is left, of T1 to T2; nothing may fold."""
    truth = smooth(ndim, 5.0, 1)
    result = brief(metric=metric, **settings)(*pair(ndim, truth))
    assert float(jacobian_determinants(result.transform, result.fixed.grid).min()) > 0
    assert result.quality.information > result.quality.information_before
    assert result.status != "diverged" and result.settings["metric"] == metric
    points = landmarks(ndim)
    return off_mm(result.transform, truth, points) / off_mm(Linear.identity(ndim), truth, points)


@pytest.mark.parametrize("metric", OTHERS)
def test_a_smooth_deformation_is_recovered_across_contrasts(metric: str) -> None:
    assert left_of(metric, 2) < 0.45


@pytest.mark.parametrize("metric", ["lncc", "mind_ssc"])
def test_in_three_dimensions_too(metric: str) -> None:
    assert left_of(metric, 3) < 0.6


@pytest.mark.parametrize("metric", ["mind_ssc", "lncc"])
def test_masks_are_honoured(metric: str) -> None:
    """What the moving mask leaves out may hold anything; the rest is followed."""
    truth = smooth(2, 5.0, 1)
    fixed, moving = pair(2, truth)
    mask = torch.ones_like(moving.data)
    mask[:, :, :, : moving.grid.shape[1] // 3] = 0
    noise = torch.rand(mask.shape, generator=torch.Generator().manual_seed(2))
    junk = torch.where(mask > 0, moving.data, noise)
    result = brief(metric=metric)(fixed, Image(junk, moving.grid), moving_mask=Image(mask, moving.grid))
    points = landmarks(2)
    seen = points[points[:, 1] > 0]
    before, after = (off_mm(way, truth, seen) for way in (Linear.identity(2), result.transform))
    assert after < 0.6 * before


def test_a_network_gives_the_same_bits_for_the_same_seed() -> None:
    images = pair(2, smooth(2, 5.0, 1))
    vectors = [
        brief(metric="mine", seed=3)(*images).transform.parts[1].vectors  # type: ignore[attr-defined]
        for _ in range(2)
    ]
    assert torch.equal(*vectors)


def test_the_neighbourhood_is_a_setting() -> None:
    assert Deformable().neighbourhood_mm is None
    with pytest.raises(UsageError, match="neighbourhood_mm"):
        Deformable(neighbourhood_mm=0)


def test_the_metric_is_a_setting_with_its_own_names() -> None:
    assert Deformable().metric == "mi_local" == named("svf").metric  # type: ignore[attr-defined]
    assert named("svf", "rigid+svf", metric="lncc").metric == "lncc"  # type: ignore[attr-defined]
    made = Deformable(metric="mine_local", neighbourhood_mm=6.0)
    assert Deformable.from_toml(made.to_toml()) == made
    for method, wrong in (("svf", "mse"), ("linear", "lncc")):
        with pytest.raises(UsageError, match="metric") as caught:
            named(method, metric=wrong)
        assert "\n" not in str(caught.value)
