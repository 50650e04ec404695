import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from phantoms import field_of_view, moved_view, phantom

from inforeg.bench import competitors
from inforeg.bench.competitors import COMPETITORS, SIMPLEITK, CompetitorError, available, compete
from inforeg.errors import UsageError
from inforeg.evaluate import tre_mm
from inforeg.image import Image
from inforeg.space import Grid
from inforeg.transforms import Linear

# Turned, stretched and shifted by a few voxels: the inverse, or a frame turned about, would be ten times further off.
TRUTH_2D = Linear(
    torch.tensor([[1.02, -0.05, 4.0], [0.06, 0.97, -3.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
)
OURS = [name for name, competitor in COMPETITORS.items() if competitor.tool is SIMPLEITK]
APART = [name for name in COMPETITORS if name not in OURS]


def pair(moving_contrast: str, truth: Linear = TRUTH_2D, spacing_mm: float = 1.5) -> tuple[Image, Image]:
    grid = field_of_view(truth.ndim, spacing_mm)
    moving_grid = moved_view(grid, truth)
    return phantom(grid, "t1"), phantom(moving_grid, moving_contrast, truth, seed=1)


def error_mm(found: Linear, truth: Linear = TRUTH_2D) -> float:
    """The mean over the head, 70 mm in its half length."""
    points = Grid.from_spacing([9] * truth.ndim, 14.0).points_mm()
    return float(tre_mm(found, points, truth(points)).mean())


def test_the_pair_is_off_before() -> None:
    assert error_mm(Linear.identity(2)) > 5
    assert error_mm(TRUTH_2D.inverse()) > 10


# A voxel is 1.5 mm long. Across contrasts a joint histogram of so few pixels has its optimum a millimetre off.
@pytest.mark.parametrize(
    ("name", "contrast", "bound_mm"),
    [
        ("mmi", "t2", 0.3),
        ("jhmi", "t1", 0.5),
        ("ncc", "t1", 0.2),
        ("mse", "t1", 0.2),
        ("simpleitk", "t2", 0.1),
    ],
)
def test_simpleitk_finds_a_known_affine_transform(
    name: str, contrast: str, bound_mm: float, tmp_path: Path
) -> None:
    answer = compete(name, *pair(contrast), "affine", work=tmp_path, threads=1, seed=0, iterations=400)
    assert error_mm(answer.transform) < bound_mm
    assert answer.seconds > 0
    # Nothing stays behind.
    assert not list(tmp_path.iterdir())


def test_every_competitor_in_this_interpreter_is_tested() -> None:
    assert sorted(OURS) == ["jhmi", "mmi", "mse", "ncc", "simpleitk"]
    assert sorted(APART) == ["ants", "elastix", "greedy", "greedy-ncc", "nmi"]


@pytest.mark.parametrize("kind", ["rigid", "similarity"])
def test_the_transform_is_of_the_group_that_was_asked_for(kind: str, tmp_path: Path) -> None:
    fixed, moving = pair("t2")
    found = compete("simpleitk", fixed, moving, kind, work=tmp_path, threads=1, seed=0).transform
    linear = found.matrix[:2, :2]
    scale = float(torch.linalg.det(linear)) ** 0.5
    assert torch.allclose(linear @ linear.T, scale**2 * torch.eye(2, dtype=torch.float64), atol=1e-9)
    assert kind == "similarity" or scale == pytest.approx(1.0, abs=1e-9)


def test_volumes_and_their_orientation(tmp_path: Path) -> None:
    angle = torch.tensor(0.1, dtype=torch.float64)
    turn = torch.eye(3, dtype=torch.float64)
    turn[0, 0] = turn[1, 1] = angle.cos()
    turn[1, 0], turn[0, 1] = angle.sin(), -angle.sin()
    truth = Linear.about(turn, torch.zeros(3), torch.tensor([5.0, -7.0, 3.0], dtype=torch.float64))
    fixed, moving = pair("t2", truth, 4.0)
    # The same voxels, listed along other axes, from another corner.
    flipped = fixed.grid.voxel_to_world.clone()
    flipped[:3, 3] += flipped[:3, 0] * (fixed.grid.shape[0] - 1)
    flipped[:3, 0] *= -1
    flipped = flipped[:, [1, 0, 2, 3]]
    shape = tuple(fixed.grid.shape[i] for i in (1, 0, 2))
    turned = Image(fixed.data.flip(2).transpose(2, 3).contiguous(), Grid(shape, flipped))
    found = compete("simpleitk", turned, moving, "rigid", work=tmp_path, threads=1, seed=0).transform
    assert error_mm(Linear.identity(3), truth) > 8
    assert error_mm(found, truth) < 0.2


def test_a_colour_picture_is_registered_by_its_luminance(tmp_path: Path) -> None:
    fixed, moving = pair("t2")
    blank = torch.zeros_like(moving.data)
    coloured = Image(torch.cat((blank, moving.data, blank), dim=1), moving.grid)
    answers = [
        compete("simpleitk", fixed, image, "rigid", work=tmp_path, threads=1, seed=0).transform
        for image in (moving, coloured)
    ]
    # Mutual information does not know that it is darker.
    assert torch.allclose(answers[0].matrix, answers[1].matrix, atol=1e-3)


def test_projective_is_answered_by_an_affine_transform(tmp_path: Path) -> None:
    found = compete("simpleitk", *pair("t2"), "projective", work=tmp_path, threads=1, seed=0).transform
    assert found.is_affine
    assert error_mm(found) < 0.15


def test_the_same_seed_gives_the_same_answer_and_another_one_another(tmp_path: Path) -> None:
    images = pair("t2")

    def found(seed: int) -> torch.Tensor:
        answer = compete("mmi", *images, "affine", work=tmp_path, threads=1, seed=seed, iterations=20)
        return answer.transform.matrix

    assert torch.equal(found(0), found(0))
    assert not torch.equal(found(0), found(1))


@pytest.mark.parametrize("name", COMPETITORS)
def test_iterations_stand_in_place_of_the_settings(name: str) -> None:
    before = json.dumps(COMPETITORS[name].settings)
    limited = json.dumps(COMPETITORS[name].limited(17))
    assert "17" in limited and limited != before
    assert json.dumps(COMPETITORS[name].settings) == before
    assert COMPETITORS[name].limited(None) == COMPETITORS[name].settings


def test_few_iterations_leave_more_to_do(tmp_path: Path) -> None:
    images = pair("t2")
    few = compete("mmi", *images, "affine", work=tmp_path, threads=1, seed=0, iterations=2)
    assert 1 < error_mm(few.transform) < error_mm(Linear.identity(2))


def test_names_that_are_not_known(tmp_path: Path) -> None:
    images = pair("t1")
    with pytest.raises(UsageError, match="unknown competitor 'mni'; expected mmi, jhmi"):
        compete("mni", *images, "affine", work=tmp_path, threads=1, seed=0)
    with pytest.raises(UsageError, match="unknown competitor"):
        available("mni")
    with pytest.raises(UsageError, match="unknown transform 'bspline' for a competitor"):
        compete("mmi", *images, "bspline", work=tmp_path, threads=1, seed=0)


@pytest.mark.parametrize("name", APART)
def test_a_missing_tool_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(competitors, "_has", lambda _python, _package: False)
    assert not available(name)
    with pytest.raises(
        CompetitorError, match="not installed; make bench-peers, or set INFOREG_PEERS_PYTHON"
    ) as e:
        compete(name, *pair("t1"), "affine", work=tmp_path, threads=1, seed=0)
    assert "\n" not in str(e.value)


def test_an_interpreter_that_is_not_there_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOREG_PEERS_PYTHON", "/no/such/python")
    monkeypatch.setattr(competitors, "_has", lambda python, _package: "no/such" in python)
    assert not available("ants")


def test_why_a_tool_failed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**COMPETITORS["simpleitk"].settings, "bins": -1}
    monkeypatch.setitem(COMPETITORS, "simpleitk", replace(COMPETITORS["simpleitk"], settings=settings))
    with pytest.raises(
        CompetitorError, match=r"simpleitk found no transform: .*MattesMutualInformation"
    ) as e:
        compete("simpleitk", *pair("t2"), "affine", work=tmp_path, threads=1, seed=0)
    assert "\n" not in str(e.value)
    assert not list(tmp_path.iterdir())


def test_a_tool_that_is_killed_says_so() -> None:
    killed = subprocess.CompletedProcess([], -9, "", "")
    assert "signal 9" in competitors._reason(killed)
    assert competitors._reason(subprocess.CompletedProcess([], 3, "", "")) == "it ended with code 3"


def test_a_sheared_grid_is_refused(tmp_path: Path) -> None:
    fixed, moving = pair("t1")
    matrix = moving.grid.voxel_to_world.clone()
    matrix[0, 1] += 0.1
    with pytest.raises(CompetitorError, match="right angles"):
        compete(
            "mmi",
            fixed,
            Image(moving.data, Grid(moving.grid.shape, matrix)),
            "affine",
            work=tmp_path,
            threads=1,
            seed=0,
        )


# To load elastix takes more than 10 seconds.
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n == "ants" else [pytest.mark.slow]) for n in APART]
)
def test_tools_apart_find_a_known_affine_transform(name: str, tmp_path: Path) -> None:
    if not available(name):
        if name == "ants" and os.environ.get("INFOREG_REQUIRE_PEERS"):
            pytest.fail("ANTs is not there: make peers, or set INFOREG_PEERS_PYTHON")
        pytest.skip(f"{name}: its tool is not installed: make bench-peers")
    # Correlation, even in windows, takes bright for bright.
    contrast = "t1" if name == "greedy-ncc" else "t2"
    answer = compete(name, *pair(contrast), "affine", work=tmp_path, threads=1, seed=0, iterations=500)
    assert error_mm(answer.transform) < 0.3
