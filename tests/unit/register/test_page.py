"""What the report shows of a registration."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inforeg.image import Image
from inforeg.methods import Response, linear_method
from inforeg.register import Registration, register
from inforeg.register.page import page_of
from inforeg.register.saving import record_of
from inforeg.report import ReportData


@pytest.fixture(scope="module")
def result(scene: Any) -> Registration:
    quick = linear_method("rigid+affine", samples=8000, init="centre")
    return register(scene.folder / "t1.nii.gz", scene.folder / "t2.nii.gz", method=quick)


def page(result: Registration) -> ReportData:
    return page_of(result, record_of(result, Path("out"), "linear"))


@pytest.fixture(scope="module")
def shown(result: Registration) -> ReportData:
    return page(result)


def learnt(**fields: Any) -> Response:
    values = {
        "fixed": torch.linspace(0, 1, 8),
        "moving": torch.linspace(0, 2, 6),
        "nats": torch.randn(8, 6, generator=torch.Generator().manual_seed(0)),
        "fixed_counts": torch.arange(8),
        "moving_counts": torch.arange(6),
    }
    return Response(**{**values, **fields})


def test_every_stage_keeps_the_transform_of_every_step(result: Registration) -> None:
    for stage in result.stages:
        assert len(stage.path) == len(stage.metric) > 0
        assert torch.equal(stage.path[-1].matrix, stage.transform.matrix)  # type: ignore[attr-defined]


def test_the_path_ends_at_the_result(shown: ReportData, result: Registration) -> None:
    assert shown.path is not None
    assert len(shown.path.left_mm) == sum(len(s.metric) for s in result.stages)
    assert shown.path.left_mm[-1] == 0
    assert shown.path.left_mm[0] > 5
    angle = result.transform.rotation_angle_deg()  # type: ignore[attr-defined]
    assert shown.path.rotation_deg[-1] == pytest.approx(angle, abs=1e-6)
    assert 40 < shown.path.radius_mm < 90


def test_there_is_a_film_from_the_first_step_to_the_end(shown: ReportData) -> None:
    """The middles of the two grids lie nearly on each other: there is no way to the first step."""
    assert shown.film is not None
    assert shown.film.labels[0].startswith("Step 0 of ")
    assert shown.film.labels[-1].endswith("affine at 5.25 mm: the end")
    alike = [np.corrcoef(f[1].ravel(), shown.film.frames[-1][1].ravel())[0, 1] for f in shown.film.frames]
    assert alike[0] < 0.9 < alike[-2]


def test_a_search_is_said_to_have_been_one(scene: Any) -> None:
    result = register(scene.fixed, scene.moving, method=linear_method("rigid", samples=8000))
    film = page(result).film
    assert film is not None and result.start is not None
    assert (
        film.labels[1]
        == f"On the way to the best of {result.start.poses_scored} poses, which the search chose"
    )


def test_information_rises_and_is_called_so(shown: ReportData, result: Registration) -> None:
    for trace, stage in zip(shown.stages, result.stages, strict=True):
        assert (trace.metric, trace.better) == ("mutual information, nats", "more")
        assert list(trace.value) == [-v for v in stage.metric]


@pytest.mark.parametrize(
    ("method", "settings", "words", "better"),
    [
        ("drmime", {"seed": 0}, "mutual information estimate, nats", "more"),
        ("linear", {"metric": "mine"}, "mutual information estimate, nats", "more"),
        ("linear", {"metric": "ncc"}, "ncc", "less"),
    ],
)
def test_the_metric_has_the_name_that_suits_it(
    result: Registration, method: str, settings: dict[str, Any], words: str, better: str
) -> None:
    other = page(replace(result, method=method, settings=settings))
    assert {(t.metric, t.better) for t in other.stages} == {(words, better)}
    assert (other.summary[0].label, other.summary[0].value) == ("Method", method)
    assert other.summary[0].note


def test_a_method_that_nobody_described_is_shown_by_its_name(result: Registration) -> None:
    first = page(replace(result, method="tomorrow")).summary[0]
    assert (first.value, first.note) == ("tomorrow", "")


def test_a_learnt_response_is_shown_in_the_images_names(result: Registration) -> None:
    response = learnt()
    drawn = page(replace(result, response=response)).response
    assert drawn is not None
    np.testing.assert_array_equal(drawn.nats, response.nats.double().numpy())
    assert (drawn.fixed_words, drawn.moving_words) == ("t1.nii.gz", "t2.nii.gz")
    assert page(result).response is None


def test_of_one_brightness_there_is_no_response_to_draw(result: Registration) -> None:
    assert page(replace(result, response=learnt(moving=torch.full((6,), 0.5)))).response is None


def test_colours_are_called_their_principal_component(result: Registration) -> None:
    colour = Image(result.moving.data.expand(1, 3, *result.moving.grid.shape) * 100, result.moving.grid)
    drawn = page(replace(result, moving=colour, response=learnt()))
    assert drawn.response is not None
    assert drawn.response.moving_words == "t2.nii.gz, first principal component"
    assert drawn.warped.shape[-1] == 3


@pytest.mark.parametrize("channels", [2, 6])
def test_any_number_of_channels_can_be_shown(result: Registration, channels: int) -> None:
    many = torch.cat([result.moving.data * (n + 1) for n in range(channels)], dim=1)
    drawn = page(replace(result, moving=Image(many, result.moving.grid)))
    assert drawn.warped.ndim == 3


def test_without_paths_the_report_does_without(result: Registration) -> None:
    bare = replace(result, stages=[replace(stage, path=[]) for stage in result.stages])
    drawn = page(bare)
    assert drawn.path is None and drawn.film is None
    assert len(drawn.stages) == 2


def test_neither_path_nor_response_is_in_the_record(result: Registration) -> None:
    plain = record_of(result, Path("out"), "linear")
    assert set(plain["stages"][0]) == {"name", "status", "spacing_mm", "metric", "matrix_ras_mm"}
    assert json.dumps(record_of(replace(result, response=learnt()), Path("out"), "linear")) == json.dumps(
        plain
    )
