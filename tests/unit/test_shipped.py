import pytest

from inforeg.shipped import named_model


@pytest.mark.parametrize(
    ("name", "model", "steps"),
    [
        ("a.safetensors", "a.safetensors", 0),
        ("a.safetensors+svf", "a.safetensors", 20),
        ("runs/a+svf.safetensors+svf60", "runs/a+svf.safetensors", 60),
        ("affine+svf", "affine", 20),
        ("a+svf6x", "a+svf6x", 0),
    ],
)
def test_how_much_a_model_is_refined_is_part_of_its_name(name, model, steps):
    assert named_model(name) == (model, steps, False)


def test_points_are_refined_by_the_linear_method():
    assert named_model("points.safetensors+linear") == ("points.safetensors", 0, True)
