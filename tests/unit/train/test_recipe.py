import tomllib

import pytest

from inforeg.errors import UsageError
from inforeg.train.recipes import RECIPES, KeypointRecipe, VelocityRecipe, example, read_recipe


@pytest.mark.parametrize("network", RECIPES)
def test_the_example_is_a_recipe_with_every_setting_at_its_default(network, tmp_path):
    kind, values = RECIPES[network], tomllib.loads(example(network))
    assert kind.from_dict(values) == kind(images="images.csv")
    assert set(values) == set(kind.model_fields) - {"reference"} and values["network"] == network
    # Every setting says what it means.
    assert all(field.description for field in kind.model_fields.values())
    (tmp_path / "images.csv").touch()
    (tmp_path / "r.toml").write_text(example(network), encoding="utf-8")
    assert type(read_recipe(tmp_path / "r.toml")) is kind


def test_a_kind_of_network_that_is_not_known_is_said(tmp_path):
    (tmp_path / "r.toml").write_text('images = "a"\nnetwork = "demons"\n', encoding="utf-8")
    with pytest.raises(
        UsageError, match="expected network velocity or keypoints or patches or displacements, got 'demons'"
    ):
        read_recipe(tmp_path / "r.toml")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"shape": (60, 64, 64)}, "multiples of 8"),
        ({"smoothing": (1.0, 0.1)}, "smoothing from less to more"),
        ({"fits": ()}, "at least one fit"),
        ({"net": {"keypoints": 3}}, "keypoints"),
    ],
)
def test_what_does_not_fit_keypoints_is_said_in_a_line(values, said):
    with pytest.raises(UsageError, match=said) as error:
        KeypointRecipe(images="a", **values)
    assert "\n" not in str(error.value)


def test_it_comes_back_from_a_file_as_it_was():
    recipe = VelocityRecipe(
        images="a", shape=(32, 48), contrasts={"PDw": {"1": 0.5}}, metric_settings={"hidden": 8}
    )
    assert VelocityRecipe.from_toml(recipe.to_toml()) == recipe == VelocityRecipe.from_json(recipe.to_json())
    assert recipe.net.ndim == 2


def test_what_it_names_is_beside_it(tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "r.toml").write_text('images = "scans"\nsteps = 5\n', encoding="utf-8")
    assert read_recipe(tmp_path / "r.toml").images == str(tmp_path / "scans")
    (tmp_path / "r.toml").write_text('images = "other"\n', encoding="utf-8")
    with pytest.raises(UsageError, match=r"images names .*other, which is not there"):
        read_recipe(tmp_path / "r.toml")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"shape": (40, 64)}, "multiples of 16"),
        ({"shape": (32,)}, "at least 2"),
        ({"shape": (32, 32), "net": {"ndim": 3}}, "network of 2 axes"),
        ({"metric": "mime"}, "expected metric mse"),
        ({"alhpa": 1.0}, "did you mean 'alpha'"),
        ({"steps": 0}, "steps"),
        ({"validation": 1.0}, "validation"),
        ({"numbering": "mine"}, "numbering"),
    ],
)
def test_what_does_not_fit_is_said_in_a_line(values, said):
    with pytest.raises(UsageError, match=said) as error:
        VelocityRecipe(images="a", **values)
    assert "\n" not in str(error.value)


def test_signals_are_those_of_the_recipe_or_of_known_tissues():
    recipe = VelocityRecipe(images="a", numbering="freesurfer", contrasts={"T1": {"white": 0.5}})
    assert recipe.signals("T1") == {"white": 0.5} and recipe.signals("T2")["fluid"] == 1.0
    assert recipe.signals("random") == {} and recipe.signals("CT") is None
    assert VelocityRecipe(images="a").signals("T2") is None
