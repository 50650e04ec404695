"""DRMIME, improved: what it recovers between colours and contrasts, what it says of a run, and what it refuses."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from phantoms import error_mm, phantom, pose, turn
from torch.nn.functional import avg_pool2d

from inforeg.errors import PairError, UsageError
from inforeg.image import Image
from inforeg.methods import Result, from_settings, linear_method, named
from inforeg.methods.drmime import Drmime, drmime
from inforeg.solve.neural import Learning
from inforeg.space import Grid
from inforeg.transforms import Linear

# A smaller network learns faster, and the images are small.
QUICK: dict[str, Any] = {"samples": 1024, "learning": Learning(hidden=24, rate=5e-3, batch=256)}
# Where it does not matter what is learnt.
LITTLE: dict[str, Any] = {"samples": 512, "learning": Learning(hidden=8, rate=1e-2, batch=64, between=1)}
SIZE = 48
VOXEL_MM = 174.0 / SIZE


def view(size: int = SIZE) -> Grid:
    return Grid.from_spacing((size, size), 174.0 / size)


def colours(grid: Grid, truth: Linear | None = None, shading: float = 0.0) -> Image:
    """One channel for each of three contrasts."""
    channels = [
        phantom(grid, name, truth, noise=0.01, seed=k, shading=shading).data
        for k, name in enumerate(("t1", "t2", "pd"), 3 if truth is None else 6)
    ]
    return Image(torch.cat(channels, dim=1), grid)


def stained(image: Image) -> Image:
    """Three other colours, none of them one of the three before."""
    a, b, c = image.data.split(1, dim=1)
    return Image(torch.cat((1 - b.square(), 0.5 * a + 0.5 * c, (b - c).abs()), dim=1), image.grid)


@cache
def pair(name: str) -> tuple[Image, Image, Linear]:
    """Colours and other colours, some 7 mm away and in another light: two voxels."""
    truth = pose(name, 2, 0.09, seed=2)
    return colours(view()), stained(colours(view(), truth, shading=0.5)), truth


@cache
def volumes() -> tuple[Image, Image, Linear]:
    """A T1 and a T2 with voxels of 4.5 mm, 6 mm away."""
    grid, truth = Grid.from_spacing((24, 24, 24), 4.5), pose("rigid", 3, 0.06, seed=1)
    return phantom(grid, radius_mm=45.0), phantom(grid, "t2", truth, radius_mm=45.0, seed=5), truth


def found(result: Result) -> Linear:
    assert isinstance(result.transform, Linear)
    return result.transform


@cache
def by_default() -> tuple[Result, list[tuple[str, float]]]:
    """A run with nothing set, and what it told on the way."""
    fixed, moving, _ = pair("affine")
    told: list[tuple[str, float]] = []
    return drmime()(fixed, moving, progress=lambda what, share: told.append((what, share))), told


def test_an_affine_is_recovered_between_colours_and_across_lights_with_nothing_set() -> None:
    """Within a fifth of a voxel."""
    result, _ = by_default()
    truth = pair("affine")[2]
    assert error_mm(Linear.identity(2), truth) > 6
    assert error_mm(found(result), truth) < 0.2 * VOXEL_MM
    assert (result.status, result.quality.verdict, result.ok) == ("converged", "good", True)


def test_a_projective_is_recovered() -> None:
    """Within a fifth of a voxel, and not by an affine."""
    fixed, moving, truth = pair("projective")
    result = drmime("projective", init="header", **QUICK)(fixed, moving)
    assert error_mm(Linear.identity(2), truth) > 7
    assert error_mm(found(result), truth) < 0.2 * VOXEL_MM
    assert float(found(result).matrix[2, :2].abs().max()) > 1e-5
    assert result.ok


def test_a_wide_turn_is_found_and_the_result_is_rigid() -> None:
    """From 56 mm away, which no climb could cross; within a fifth of a voxel."""
    truth = turn(100.0, 2, (10.0, -6.0))
    moving = stained(colours(view(), truth, shading=0.5))
    result = drmime("rigid", **QUICK)(pair("rigid")[0], moving)
    assert error_mm(Linear.identity(2), truth) > 50
    assert error_mm(found(result), truth) < 0.2 * VOXEL_MM
    linear = found(result).matrix[:2, :2]
    assert torch.allclose(linear @ linear.T, torch.eye(2, dtype=torch.float64), atol=1e-9)
    assert result.start is not None and result.start.poses_scored > 0
    assert result.quality.margin is not None


def test_a_scalar_pair_ends_by_the_table_and_no_worse_than_by_it_alone() -> None:
    fixed, moving, truth = volumes()
    result = drmime("rigid", init="header", **QUICK)(fixed, moving)
    alone = linear_method("rigid", init="header")(fixed, moving)
    assert [stage.name for stage in result.stages] == ["rigid", "table"]
    assert error_mm(Linear.identity(3), truth, 45.0) > 5.5
    # A hundredth of a voxel is what other samples would do.
    assert error_mm(found(result), truth, 45.0) < error_mm(found(alone), truth, 45.0) + 0.01 * 4.5
    # The network alone came near as well.
    network = result.stages[0].transform
    assert isinstance(network, Linear) and error_mm(network, truth, 45.0) < 0.2 * 4.5
    assert torch.equal(result.stages[1].transform.matrix, found(result).matrix)  # type: ignore[attr-defined]
    for stage in result.stages:
        assert len(stage.metric) == len(stage.path) == len(stage.spacing_mm) > 0
    assert result.ok


def test_masks_say_where_to_look() -> None:
    """Left and right were moved apart: a mask of either image keeps to the left, to three tenths of a voxel.

    Without a mask the right half leads five voxels away from that.
    """
    truth = pose("rigid", 2, 0.09, seed=2)
    fixed, left = colours(view()), torch.zeros(1, 1, SIZE, SIZE)
    left[:, :, : SIZE // 2 + 2] = 1
    one, other = (stained(colours(view(), there, 0.5)) for there in (truth, turn(0.0, 2, (-9.0, 12.0))))
    mixed, mask = Image(torch.where(left > 0, one.data, other.data), view()), Image(left, view())
    method = drmime("rigid", init="header", **QUICK)
    for masks in ({"fixed_mask": mask}, {"moving_mask": mask}):
        assert error_mm(found(method(fixed, mixed, **masks)), truth) < 0.3 * VOXEL_MM


def lit(seed: int, kind: str, size: int = 96) -> Image:
    """A texture of its own, three colours, in a light that is the same for every seed."""
    generator = torch.Generator().manual_seed(seed)
    texture = avg_pool2d(torch.randn(1, 3, size + 4, size + 4, generator=generator), 5, 1)
    x, y = torch.meshgrid(*(torch.linspace(-1, 1, size),) * 2, indexing="ij")
    light = (
        1 + 0.3 * x - 0.2 * y + 0.25 * y.square() if kind == "ramp" else 1 - 0.3 * (x.square() + y.square())
    )
    return Image(light * (1 + 0.1 * texture / texture.std()), view(size))


@pytest.mark.parametrize(
    ("kind", "init"),
    [
        ("ramp", "header"),
        ("vignette", "auto"),
    ],
)
def test_images_that_share_only_their_light_are_not_called_good(kind: str, init: str) -> None:
    result = drmime("affine", init=init, **QUICK)(lit(1, kind), lit(2, kind))
    assert result.quality.verdict != "good"


def test_a_pair_that_looks_the_same_after_half_a_turn_is_not_called_good() -> None:
    """Two poses explain it as well: the margin says so."""

    def both_ways(contrast: str, there: Linear, seed: int) -> Image:
        ways = [there, Linear(there.matrix @ turn(180.0, 2).matrix)]
        data = sum(
            phantom(view(), contrast, way, noise=0.01, seed=seed + k).data for k, way in enumerate(ways)
        )
        return Image(torch.as_tensor(data) / 2, view())

    fixed = both_ways("t1", Linear.identity(2), 0)
    result = drmime("rigid", **QUICK)(fixed, both_ways("t2", turn(5.0, 2, (3.0, -2.0)), 5))
    assert result.quality.margin is not None and result.quality.margin < 0.08
    assert result.quality.verdict != "good"


def test_a_run_says_where_it_went_and_how_it_was_made() -> None:
    result, told = by_default()
    (stage,) = result.stages
    assert (stage.name, stage.status, result.method) == ("affine", "converged", "drmime")
    assert len(stage.metric) == len(stage.path) == len(stage.spacing_mm) > 10
    assert all(isinstance(step, Linear) for step in stage.path)
    assert torch.equal(stage.transform.matrix, found(result).matrix)  # type: ignore[attr-defined]
    # From coarse to fine, and information grows where the resolution stays.
    assert stage.spacing_mm == sorted(stage.spacing_mm, reverse=True)
    assert stage.spacing_mm[-1] == pytest.approx(VOXEL_MM)
    assert error_mm(stage.path[-1], found(result)) < 0.3 * VOXEL_MM
    assert stage.metric[-1] < -0.3
    assert 0 < result.seconds < 600
    assert result.settings == drmime().to_dict()
    assert result.quality.information > result.quality.information_before + 0.1
    assert result.quality.overlap > 0.9
    assert result.quality.precision_mm is not None and result.quality.precision_mm < 0.2 * VOXEL_MM
    assert not any("principal component" in note for note in result.notes)
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1 and len(told) >= 4
    assert (told[0][0], told[-1][0]) == ("search", "check")


def test_it_leaves_what_it_has_learnt() -> None:
    """64 by 64 places, in nats: some colours are met together far more often than by chance, some never."""
    response = by_default()[0].response
    assert response is not None
    assert response.nats.shape == (64, 64)
    for values in (response.fixed, response.moving, response.fixed_counts, response.moving_counts):
        assert values.shape == (64,)
    assert bool((response.fixed.diff() > 0).all()) and bool((response.moving.diff() > 0).all())
    assert float(response.fixed_counts.sum()) == float(response.moving_counts.sum()) > 1000
    assert bool(torch.isfinite(response.nats).all())
    assert float(response.nats.max()) > 0.3 and float(response.nats.min()) < -1


def test_intensities_of_the_response_are_the_images_own() -> None:
    fixed, moving, truth = pair("rigid")
    fixed = Image(1000 + 200 * fixed.data[:, :1], fixed.grid)
    moving = Image(-3 * moving.data[:, 1:2], moving.grid)
    response = drmime("rigid", table=False, **LITTLE)(fixed, moving, truth).response
    assert response is not None
    assert 950 < float(response.fixed.min()) < 1050 < 1150 < float(response.fixed.max()) < 1300
    assert -5 < float(response.moving.min()) < -1 < -0.5 < float(response.moving.max()) < 0.5


def test_images_that_never_meet_are_said_to() -> None:
    fixed, moving, _ = pair("rigid")
    away = Linear.translation(torch.tensor([900.0, 0.0], dtype=torch.float64))
    result = drmime("rigid", **QUICK)(fixed, moving, away)
    assert (result.status, result.quality.verdict) == ("no_overlap", "failed")
    assert bool(torch.isfinite(found(result).matrix).all())
    assert result.response is None
    assert any("no overlap" in reason for reason in result.quality.reasons)


def test_there_must_be_something_to_register() -> None:
    fixed, moving, _ = pair("rigid")
    nothing = Image(torch.zeros(1, 1, SIZE, SIZE), view())
    with pytest.raises(PairError, match="inside its mask"):
        drmime("rigid", **QUICK)(fixed, moving, fixed_mask=nothing)
    with pytest.raises(PairError, match="found nothing"):
        drmime("rigid", **QUICK)(fixed, nothing)


def test_settings_come_back_from_files_and_from_what_a_result_says(tmp_path: Path) -> None:
    method = drmime("projective", init="mass", seed=7, table=False, **QUICK)
    assert Drmime.from_json(method.to_json()) == method
    assert Drmime.from_toml(method.to_toml()) == method
    assert from_settings(method.to_dict(), "drmime") == method
    path = tmp_path / "settings.toml"
    path.write_text(method.to_toml())
    assert from_settings(path, "drmime") == method
    # As a result.json holds them: the file says itself which method it was.
    path = tmp_path / "result.json"
    path.write_text(json.dumps({"method": "drmime", "status": "converged", "settings": method.to_dict()}))
    assert from_settings(path) == method


def test_a_name_makes_it_and_none_keeps_a_default() -> None:
    method = named("drmime", "auto", metric=None, init="auto", seed=2)
    assert isinstance(method, Drmime)
    assert (method.name, method.transform, method.init, method.seed) == ("drmime", "affine", "auto", 2)
    for name in ("translation", "rigid", "similarity", "projective"):
        assert drmime(name).transform == name


@pytest.mark.parametrize(
    ("transform", "settings", "said"),
    [
        ("rigdi", {}, "did you mean rigid"),
        ("rigid+affine", {}, "unknown transform 'rigid+affine' for drmime"),
        ("xyz", {}, "expected auto or translation, rigid, similarity, affine, projective"),
        ("affine", {"init": "hedaer"}, "init"),
        ("affine", {"metric": "mi"}, "unknown setting 'metric'"),
        ("affine", {"sample": 500}, "did you mean 'samples'"),
        ("affine", {"samples": 3}, "samples"),
        ("affine", {"learning": {"hiden": 3}}, "did you mean 'hidden'"),
        ("affine", {"seed": -1}, "seed"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    transform: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        drmime(transform, **settings)
    assert said in str(caught.value) and "\n" not in str(caught.value)
