"""What the report shows of a registration."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inforeg.image import Image
from inforeg.methods import Response, Stage, linear_method
from inforeg.register import Registration, register
from inforeg.register.page import chain_in_words, page_of
from inforeg.register.saving import record_of
from inforeg.report import ReportData, render
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear, Velocity

FIELD = Grid.from_spacing((18, 18, 20), (12.0, 12.0, 10.0))


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


@pytest.fixture(scope="module")
def bent(result: Registration) -> Registration:
    """The same, gone on to deform: 6 mm to the patient's right at the head's middle, nothing at its rim."""
    points = FIELD.points_mm()
    vectors = torch.zeros(3, FIELD.voxel_count)
    vectors[0] = 6 * torch.exp(-points.square().sum(dim=1) / (2 * 40.0**2))
    velocity = Velocity(vectors.reshape(3, *FIELD.shape), FIELD)
    whole = Composite((result.transform, velocity))
    stage = Stage("svf", whole, "converged", [4.0] * 3, [-0.3, -0.4, -0.5])
    settings = {**result.settings, "metric": "mi_local"}
    return replace(result, transform=whole, stages=[*result.stages, stage], method="svf", settings=settings)


def test_a_linear_result_has_no_deformation(shown: ReportData) -> None:
    assert shown.deformation is None
    assert not {"Folds", "Largest displacement"} & {figure.label for figure in shown.summary}


def test_a_deformation_is_shown_and_its_figures_come_first(bent: Registration) -> None:
    drawn = page(bent)
    found = drawn.deformation
    assert found is not None
    figures = {figure.label: figure for figure in drawn.summary}
    assert found.inside.largest_mm == pytest.approx(6, abs=0.4)
    assert figures["Largest displacement"].value == f"{found.inside.largest_mm:.3g} mm"
    assert "on average" in figures["Largest displacement"].note
    assert figures["Folds"].value == "0"
    assert str(bent.fixed.grid.voxel_count) in figures["Folds"].note
    assert found.inverse_error_mm is not None and 0 < found.inverse_error_mm < 0.1
    assert all(abs(at - 0.5) < 0.1 for at in found.places["farthest"].at)
    # Before it, the image is as the linear part leaves it.
    linear = page(replace(bent, transform=bent.transform.parts[0], stages=bent.stages[:-1]))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found.undeformed, linear.warped)
    assert np.abs(found.undeformed - drawn.warped).max() > 0.2


def test_the_path_of_a_deformable_result_is_that_of_its_linear_stages(
    bent: Registration, shown: ReportData
) -> None:
    drawn = page(bent)
    assert drawn.path is not None and shown.path is not None
    assert list(drawn.path.left_mm) == list(shown.path.left_mm)
    assert (drawn.path.ends, shown.path.ends) == ("the linear stages take it", "it ends")
    assert [trace.metric for trace in drawn.stages] == ["mutual information, nats"] * 2 + [
        "mutual information of local contrast, nats"
    ]
    assert (drawn.stages[2].better, list(drawn.stages[2].value)) == ("more", [0.3, 0.4, 0.5])
    assert drawn.film is not None and shown.film is not None
    assert drawn.film.labels[-1] == "After svf: the end, deformed"
    assert drawn.film.labels[-2].endswith("the end of the linear stages")
    assert shown.film.labels[-1].endswith(": the end")
    assert "How it was deformed" in render(drawn)


def test_a_field_that_has_no_inverse_is_shown_without_its_error(bent: Registration) -> None:
    velocity = bent.transform.parts[1]  # type: ignore[attr-defined]
    found = page(replace(bent, transform=Composite((bent.transform.parts[0], velocity.displacement))))  # type: ignore[attr-defined]
    assert found.deformation is not None and found.deformation.inverse_error_mm is None


def test_the_chain_says_what_acts_first_first(bent: Registration) -> None:
    words = page(bent).chain_in_words
    assert words[0].endswith("in two steps.")
    assert (
        words[1]
        == "First a deformation that can be undone (a velocity field), with a vector every 12 × 12 × 10 mm."
    )
    assert words[2].startswith("Then a linear transform: a turn of ")
    after = chain_in_words(Composite((bent.transform, Linear.identity(3))), "a", "b")
    assert after[0].endswith("in three steps.")
    assert [line.split()[0] for line in after[1:4]] == ["First", "Then", "Then"]
    alone = Displacement(torch.zeros(2, 5, 5), Grid.from_spacing((5, 5), 3.0))
    assert chain_in_words(alone, "a", "b")[1] == (
        "The step is a deformation (a field of displacements), with a vector every 3 mm."
    )
    one = chain_in_words(Linear.identity(2), "a", "b")
    assert one[:2] == [
        "A point of the fixed image (a) is taken to the moving image (b) in one step.",
        "The step is a linear transform: a turn of 0.00 degrees and a scale of 1.0000.",
    ]


def test_neither_path_nor_response_is_in_the_record(result: Registration) -> None:
    plain = record_of(result, Path("out"), "linear")
    assert set(plain["stages"][0]) == {"name", "status", "spacing_mm", "metric", "matrix_ras_mm"}
    assert json.dumps(record_of(replace(result, response=learnt()), Path("out"), "linear")) == json.dumps(
        plain
    )
