"""What the deformable method can be told: chains, settings, and what of them it refuses."""

import pytest

from inforeg.errors import UsageError
from inforeg.methods import named
from inforeg.methods.deformable import Deformable, deformable


@pytest.mark.parametrize(
    ("name", "settings", "stages"),
    [
        ("svf", {}, ("rigid", "affine")),
        ("auto", {}, ("rigid", "affine")),
        ("auto+svf", {}, ("rigid", "affine")),
        ("rigid+svf", {}, ("rigid",)),
        ("rigid", {}, ("rigid",)),
        ("translation+similarity+affine+svf", {}, ("translation", "similarity", "affine")),
        ("svf", {"init": "header"}, ()),
        ("svf", {"init": "mass"}, ()),
        ("svf", {"init": "search"}, ("rigid", "affine")),
        ("affine+svf", {"init": "header"}, ("affine",)),
    ],
)
def test_a_chain_says_what_stands_before_the_deformation(
    name: str, settings: dict[str, str], stages: tuple[str, ...]
) -> None:
    made = deformable(name, **settings)
    assert made.stages == stages
    assert made == named("svf", name, **settings)
    assert made.init == settings.get("init", "auto")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rigdi+svf", "did you mean rigid"),
        ("svf+rigid", "svf comes last in a chain"),
        ("rigid+svf+svf", "svf comes last in a chain and once"),
        ("projective+svf", "unknown transform 'projective'"),
        ("+svf", "unknown transform ''"),
        ("demons", "expected translation, rigid, similarity, affine before svf"),
    ],
)
def test_chains_that_are_not_known_are_refused_in_one_line(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        deformable(name)
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"smoothness_mm": 0},
        {"smoothness_mm": -3.0},
        {"metric": "mse"},
        {"seed": -1},
        {"smothness_mm": 3.0},
        {"stages": ("projective",)},
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        Deformable(**wrong)  # type: ignore[arg-type]
    assert next(iter(wrong)) in str(caught.value) and "\n" not in str(caught.value)


def test_settings_come_back() -> None:
    made = deformable("rigid+svf", smoothness_mm=7.5, seed=4, init="moments")
    assert Deformable.from_json(made.to_json()) == made
    assert Deformable.from_toml(made.to_toml()) == made
    assert Deformable.from_dict(made.to_dict()) == made
    plain = Deformable()
    assert plain.smoothness_mm is None
    assert Deformable.from_toml(plain.to_toml()) == plain
