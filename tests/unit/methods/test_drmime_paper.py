"""DRMIME as published: what it recovers, what each option does, and what it says of a run."""

from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from phantoms import error_mm, phantom, pose, turn

import inforeg
from inforeg.errors import PairError, UsageError
from inforeg.image import Image
from inforeg.methods import DrmimePaper, Result, drmime_paper, from_settings, named
from inforeg.space import Grid
from inforeg.transforms import Linear

# The paper's 500 steps take a minute or more at sizes worth it: a smaller network learns faster, and the images are
# small.
QUICK: dict[str, Any] = {"hidden": 32, "network_rate": 1e-2, "rate": 3e-3, "iterations": 100}
LONGER = {**QUICK, "iterations": 140}
BRIEF = {**QUICK, "iterations": 3}
VOXEL_MM = 2.7


def colours(grid: Grid, contrasts: str, truth: Linear | None = None, radius_mm: float = 70.0) -> Image:
    """One channel for each contrast."""
    channels = [
        phantom(grid, name, truth, radius_mm=radius_mm, noise=0.01, seed=len(contrasts) + k).data
        for k, name in enumerate(contrasts.split())
    ]
    return Image(torch.cat(channels, dim=1), grid)


def stained(image: Image) -> Image:
    """Three other colours, none of them one of the three before."""
    a, b, c = image.data.split(1, dim=1)
    return Image(torch.cat((1 - b.square(), 0.5 * a + 0.5 * c, (b - c).abs()), dim=1), image.grid)


@cache
def pair(name: str, shape: tuple[int, int] = (64, 64)) -> tuple[Image, Image, Linear]:
    """Colours and other colours, 7 or 8 mm away: three voxels."""
    grid = Grid.from_spacing(shape, [174.0 / n for n in shape])
    truth = pose(name, 2, 0.09, seed=2)
    return colours(grid, "t1 t2 pd"), stained(colours(grid, "t1 t2 pd", truth)), truth


@cache
def volumes(name: str) -> tuple[Image, Image, Linear]:
    """Two channels against two, 6 mm away: one and a half voxels."""
    grid = Grid.from_spacing((28, 28, 28), 4.0)
    truth = pose(name, 3, 0.06, seed=1)
    return colours(grid, "t1 pd", None, 45.0), colours(grid, "t2 t1", truth, 45.0), truth


def found(result: Result) -> Linear:
    assert isinstance(result.transform, Linear)
    return result.transform


@pytest.mark.parametrize("name", ["rigid", "similarity", "affine", "projective"])
def test_a_known_transform_is_recovered_between_colours(name: str) -> None:
    """Within three tenths of a voxel, from three voxels away."""
    fixed, moving, truth = pair(name)
    result = drmime_paper(name, **LONGER)(fixed, moving)
    assert error_mm(Linear.identity(2), truth) > 6.5
    assert error_mm(found(result), truth) < 0.3 * VOXEL_MM
    assert (result.status, result.quality.verdict, result.ok) == ("steps", "good", True)


def test_with_the_papers_own_settings_too() -> None:
    fixed, moving, truth = pair("affine")
    result = drmime_paper(iterations=130)(fixed, moving)
    assert error_mm(found(result), truth) < 0.3 * VOXEL_MM


@cache
def after_three() -> Linear:
    """Where the defaults are after three steps."""
    fixed, moving, _ = pair("affine")
    return found(drmime_paper("affine", **BRIEF)(fixed, moving))


@pytest.mark.parametrize(
    "changes",
    [
        {"positions": "random"},
        {"positions": "random", "redraw": False},
        {"levels": 1},
        {"symmetric": True},
        {"exponential": False},
        {"finest_vector": False},
        {"bias_correction": "ema"},
        {"outside": "drop"},
        {"frame": "centres"},
    ],
    ids=str,
)
def test_with_any_option_it_is_still_recovered(changes: dict[str, Any]) -> None:
    """Within four tenths of a voxel, and not where the defaults end."""
    fixed, moving, truth = pair("affine")
    result = drmime_paper("affine", **QUICK, **changes)(fixed, moving)
    assert error_mm(found(result), truth) < 0.4 * VOXEL_MM
    assert not torch.equal(result.stages[0].path[3].matrix, after_three().matrix)  # type: ignore[attr-defined]


def test_the_slip_of_the_notebooks_looks_at_the_top_and_is_lost() -> None:
    fixed, moving, truth = pair("affine")
    result = drmime_paper("affine", **QUICK, positions="top-rows")(fixed, moving)
    assert error_mm(found(result), truth) > 4
    assert not result.ok


@pytest.mark.parametrize(("name", "allowed"), [("rigid", 0.2), ("affine", 0.35)])
def test_volumes_of_two_channels_are_recovered(name: str, allowed: float) -> None:
    """Within that share of a voxel of 4 mm, from 1.5 voxels away."""
    fixed, moving, truth = volumes(name)
    method = drmime_paper(name, **{**QUICK, "iterations": 110}, positions="random", share=0.15)
    result = method(fixed, moving)
    assert error_mm(Linear.identity(3), truth, 45.0) > 5.5
    assert error_mm(found(result), truth, 45.0) < allowed * 4.0


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["rigid", "similarity", "affine", "projective"])
def test_the_transform_is_of_its_group_whatever_the_field_of_view(name: str, ndim: int) -> None:
    """Also where it is not square, its voxels are not, and its grid is turned."""
    shape = (40, 24) if ndim == 2 else (24, 16, 18)
    matrix = torch.eye(ndim + 1, dtype=torch.float64)
    matrix[:ndim, :ndim] = turn(30, ndim).matrix[:ndim, :ndim] @ torch.diag(
        torch.tensor([2.0, 5.0, 4.0][:ndim], dtype=torch.float64)
    )
    matrix[:ndim, ndim] = torch.linspace(-70, -20, ndim)
    fixed = colours(Grid(shape, matrix), "t1 t2")
    moving = colours(Grid(shape, matrix), "t2 pd", pose(name, ndim, 0.09, seed=2))
    method = drmime_paper(name, **{**QUICK, "iterations": 10})
    linear, eye = found(method(fixed, moving)).matrix, torch.eye(ndim, dtype=torch.float64)
    gram = linear[:ndim, :ndim].T @ linear[:ndim, :ndim]
    assert float((linear[:ndim, :ndim] - eye).abs().max()) > 1e-3
    if name in ("rigid", "similarity"):
        assert torch.allclose(gram, gram[0, 0] * eye, atol=1e-9)
        assert (abs(float(gram[0, 0]) - 1) < 1e-9) == (name == "rigid")
    else:
        assert not torch.allclose(gram, gram[0, 0] * eye, atol=1e-4)
    assert (float(linear[ndim, :ndim].abs().max()) < 1e-12) == (name != "projective")


def test_pictures_that_are_not_square_are_recovered_as_well() -> None:
    fixed, moving, truth = pair("affine", (72, 52))
    result = drmime_paper("affine", **QUICK)(fixed, moving)
    assert error_mm(found(result), truth) < 0.3 * 174 / 52


def test_one_channel_meets_three() -> None:
    fixed, moving, truth = pair("rigid")
    grey = Image(fixed.data[:, :1], fixed.grid)
    result = drmime_paper("rigid", **QUICK)(grey, moving)
    assert error_mm(found(result), truth) < 0.4 * VOXEL_MM


@pytest.mark.parametrize("positions", ["canny", "random"])
def test_the_same_seed_gives_the_same_bits_and_leaves_the_global_stream_alone(positions: str) -> None:
    fixed, moving, _ = pair("affine")
    before = torch.random.get_rng_state()
    method = drmime_paper("affine", **{**QUICK, "iterations": 12}, positions=positions, seed=3)
    a, b = (method(fixed, moving) for _ in range(2))
    assert torch.equal(found(a).matrix, found(b).matrix)
    assert a.stages[0].metric == b.stages[0].metric
    assert asdict(a.quality) == asdict(b.quality)
    assert a.response is not None and b.response is not None
    assert torch.equal(a.response.nats, b.response.nats)
    assert torch.equal(torch.random.get_rng_state(), before)
    other = method.replace(seed=4)(fixed, moving)
    assert not torch.equal(found(a).matrix, found(other).matrix)


def test_a_run_says_where_it_went_and_what_it_learnt() -> None:
    fixed, moving, _ = pair("affine")
    told: list[tuple[str, float]] = []
    method = drmime_paper("affine", **QUICK)
    result = method(fixed, moving, progress=lambda what, share: told.append((what, share)))
    (stage,) = result.stages
    assert (stage.name, stage.status, result.method) == ("affine", "steps", "drmime-paper")
    assert len(stage.metric) == len(stage.path) == len(stage.spacing_mm) == 100
    assert stage.spacing_mm == pytest.approx([174 / 64] * 100)
    assert torch.allclose(stage.path[0].matrix, torch.eye(3).double(), atol=1e-12)
    assert error_mm(stage.path[-1], found(result)) < 1.0
    assert torch.equal(stage.transform.matrix, found(result).matrix)  # type: ignore[attr-defined]
    # Information, in nats, grows from nothing.
    assert abs(stage.metric[0]) < 0.05 and -2.5 < sum(stage.metric[-10:]) / 10 < -0.8
    response = result.response
    assert response is not None and response.nats.shape == (64, 64)
    assert float(response.nats.max()) > 0.5 and float(response.nats.min()) < -2
    assert float(response.fixed_counts.sum()) == float(response.moving_counts.sum()) > 500
    assert float(response.fixed.min()) < -0.2 < 0.2 < float(response.fixed.max())
    assert result.settings == method.to_dict()
    assert any("positions" in note for note in result.notes)
    assert any("4 of 6 levels" in note for note in result.notes)
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1 and len(shares) > 10


def test_intensities_of_the_response_are_the_images_own() -> None:
    fixed, moving, _ = pair("affine")
    fixed = Image(1000 + 200 * fixed.data[:, :1], fixed.grid)
    moving = Image(-3 * moving.data[:, :1], moving.grid)
    response = drmime_paper("affine", **BRIEF)(fixed, moving).response
    assert response is not None
    assert 980 < float(response.fixed.min()) < 1100 < 1150 < float(response.fixed.max()) < 1300
    # Beyond the moving image there are zeros: of what is scaled, so its least value.
    assert -3.2 < float(response.moving.min()) < -2 < -1 < float(response.moving.max()) < 0.2


def far_apart() -> tuple[Image, Image, Linear]:
    """A pair whose worlds have nothing to do with each other: the moving one 300 mm away, by its header."""
    fixed, moving, truth = pair("rigid")
    shift = Linear.translation(torch.tensor([300.0, -200.0], dtype=torch.float64))
    grid = Grid(moving.grid.shape, shift.matrix @ moving.grid.voxel_to_world)
    return fixed, Image(moving.data, grid), Linear(shift.matrix @ truth.matrix)


@pytest.mark.parametrize("init", ["auto", "centre", "mass"])
def test_it_starts_from_centres_or_from_the_objects(init: str) -> None:
    fixed, moving, truth = far_apart()
    result = drmime_paper("rigid", **{**QUICK, "iterations": 40}, init=init)(fixed, moving)
    assert error_mm(found(result), truth) < 0.6 * VOXEL_MM
    assert result.start is not None
    assert result.start.best.origin == ("centre" if init == "auto" else init)
    assert torch.allclose(result.stages[0].path[0].matrix, result.start.best.transform.matrix, atol=1e-9)


def test_the_header_is_a_start_and_a_given_one_is_kept_to() -> None:
    fixed, moving, truth = far_apart()
    header = drmime_paper("rigid", **BRIEF, init="header")(fixed, moving)
    assert error_mm(found(header), Linear.identity(2)) < 5
    # Half a turn, where nothing but the start could lead: the transform is the start's after the exponential.
    half = turn(180.0, 2)
    flipped = Image(moving.data, Grid(moving.grid.shape, half.matrix @ moving.grid.voxel_to_world))
    truth = Linear(half.matrix @ truth.matrix)
    near = Linear(truth.matrix @ turn(4.0, 2, (4.0, -3.0)).matrix)
    result = drmime_paper("rigid", **QUICK)(fixed, flipped, near)
    assert error_mm(found(result), truth) < 0.3 * VOXEL_MM
    assert result.start is not None and result.start.best.origin == "given"


def test_masks_say_where_to_look() -> None:
    """Left and right were moved apart: a mask of either image keeps to the left."""
    fixed, moving, truth = pair("rigid")
    other = stained(colours(fixed.grid, "t1 t2 pd", turn(0.0, 2, (-9.0, 12.0))))
    left = torch.zeros(1, 1, 64, 64)
    left[:, :, :34] = 1
    mixed = Image(torch.where(left > 0, moving.data, other.data), moving.grid)
    free = drmime_paper("rigid", **QUICK)(fixed, mixed)
    for masks in ({"fixed_mask": Image(left, fixed.grid)}, {"moving_mask": Image(left, mixed.grid)}):
        held = drmime_paper("rigid", **LONGER)(fixed, mixed, **masks)
        assert error_mm(found(held), truth) < 0.3 * error_mm(found(free), truth)


def test_images_that_never_meet_are_said_to() -> None:
    fixed, moving, _ = far_apart()
    for outside, status in (("drop", "no_overlap"), ("zeros", "steps")):
        result = drmime_paper("rigid", **BRIEF, init="header", outside=outside)(fixed, moving)
        assert (result.status, result.quality.verdict) == (status, "failed")
    assert bool(torch.isfinite(found(result).matrix).all())


def test_there_must_be_something_to_register() -> None:
    fixed, moving, _ = pair("rigid")
    nothing = Image(torch.zeros(1, 1, 64, 64), fixed.grid)
    with pytest.raises(PairError, match="inside its mask"):
        drmime_paper("rigid", **BRIEF)(fixed, moving, fixed_mask=nothing)
    with pytest.raises(PairError, match="found nothing"):
        drmime_paper("rigid", **BRIEF)(fixed, nothing)


def test_settings_come_back_from_files_and_from_what_a_result_says(tmp_path: Path) -> None:
    changed = {"positions": "random", "share": 0.3, "redraw": False, "symmetric": True, "outside": "drop"}
    method = drmime_paper("projective", **{**BRIEF, **changed}, init="mass", seed=7)
    assert DrmimePaper.from_json(method.to_json()) == method
    assert DrmimePaper.from_toml(method.to_toml()) == method
    assert from_settings(method.to_dict(), "drmime-paper") == method
    path = tmp_path / "settings.toml"
    path.write_text(method.to_toml())
    assert from_settings(path, "drmime-paper") == method
    fixed, moving, _ = pair("projective")
    result = method(fixed, moving)
    again = from_settings(result.settings, result.method)(fixed, moving)
    assert torch.equal(found(again).matrix, found(result).matrix)


def test_the_defaults_are_the_papers() -> None:
    method = named("drmime-paper", "auto", metric=None, init="auto", seed=0)
    assert isinstance(method, DrmimePaper)
    assert (method.transform, method.levels, method.iterations, method.hidden) == ("affine", 6, 500, 100)
    assert (method.network_rate, method.rate, method.finest_rate) == (1e-3, 5e-3, 1e-4)
    assert (method.positions, method.edge_low, method.edge_high) == ("canny", 0.0, 30.0)
    assert (method.exponential, method.finest_vector, method.symmetric) == (True, True, False)
    assert (method.outside, method.bias_correction) == ("zeros", "none")


@pytest.mark.parametrize(
    ("transform", "settings", "said"),
    [
        ("rigdi", {}, "did you mean rigid"),
        ("rigid+affine", {}, "drmime-paper"),
        ("translation", {}, "expected auto or rigid, similarity, affine, projective"),
        ("affine", {"init": "search"}, "init"),
        ("affine", {"init": "moments"}, "init"),
        ("affine", {"metric": "mi"}, "unknown setting 'metric'"),
        ("affine", {"rate": 0.0}, "rate"),
        ("rigid", {"exponential": False}, "affine or projective"),
        ("affine", {"exponential": False, "symmetric": True}, "exponential"),
        ("affine", {"edge_low": 40.0}, "edge_low"),
        ("affine", {"position": "canny"}, "did you mean 'positions'"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    transform: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        drmime_paper(transform, **settings)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_front_door_knows_it() -> None:
    fixed, moving, _ = pair("rigid")
    settings = {**BRIEF, "transform": "rigid"}
    result = inforeg.register(fixed, moving, method="drmime-paper", settings=settings, device="cpu")
    assert result.method == "drmime-paper"
    assert torch.equal(found(result).matrix, found(drmime_paper("rigid", **BRIEF)(fixed, moving)).matrix)
