"""The models that ship, on a head that none of them has seen: that of the MNI152 atlas, and the same bent."""

import math

import pytest
import torch

import inforeg as ir
from inforeg import io
from inforeg.image import Image, downsample, resample
from inforeg.image.sample import stretched
from inforeg.image.tissues import SIGNALS
from inforeg.io.mni import mni_map
from inforeg.nets.files import read_model
from inforeg.shipped import model_path
from inforeg.space import Grid
from inforeg.train.source import seeded
from inforeg.transforms import Velocity, group


@pytest.fixture(scope="module")
def tissues():
    """Shares of fluid, grey and white matter at 3 mm."""
    t1, grey, white = (io.read_image(mni_map(kind)) for kind in ("t1", "gm", "wm"))
    brain = (t1.data > 0).float()
    g, w = (image.data / 255 * brain for image in (grey, white))
    return downsample(Image(torch.cat((brain - g - w, g, w), dim=1).clamp(min=0), t1.grid), [3] * 3)


def shown(tissues, contrast, seed):
    """In a contrast, with noise."""
    signal = torch.tensor([SIGNALS[contrast][name] for name in ("fluid", "grey", "white")])
    image = (tissues.data * signal.reshape(1, 3, 1, 1, 1)).sum(1, keepdim=True)
    noise = 0.02 * torch.randn(image.shape, generator=seeded(seed)) * (image > 0.05)
    return Image((image + noise).clamp(min=0), tissues.grid)


def overlap(one, other):
    """Mean soft Dice of the three tissues."""
    both, all_of = (one * other).sum((0, 2, 3, 4)), (one.square() + other.square()).sum((0, 2, 3, 4))
    return float((2 * both / all_of).mean())


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), [("T1", "FLAIR"), ("FLAIR", "T1")])
def test_t1_flair_brings_a_bent_brain_of_the_other_contrast_nearer_at_a_look(tissues, first, second):
    nodes = torch.randn((1, 3, 5, 6, 5), generator=seeded(4))
    bend = Velocity(4.0 * stretched(nodes, tissues.grid.shape)[0], tissues.grid)
    bent = resample(tissues, tissues.grid, bend)
    fixed, moving = shown(tissues, first, 1), shown(bent, second, 2)
    before = overlap(tissues.data, bent.data)
    at_a_look, refined = (
        ir.register(fixed, moving, method=method, init="header", device="cpu")
        for method in ("t1-flair", "t1-flair+svf")
    )
    scores = [
        overlap(tissues.data, resample(bent, tissues.grid, result.transform).data)
        for result in (at_a_look, refined)
    ]
    assert scores[0] > before + 0.02 and scores[1] > scores[0] + 0.02


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [0, 90, 180])
@pytest.mark.parametrize("contrast", ["T2", "FLAIR", "PD"])
def test_brain_keypoints_lays_any_contrast_in_any_pose_on_a_t1(tissues, contrast, degrees):
    """Within 4 mm at 3 mm voxels, with a verdict that agrees; and refined, within a fifth of a voxel."""
    fixed, moving = shown(tissues, "T1", 1), shown(tissues, contrast, 2)
    axis = torch.tensor([0.48, -0.6, 0.64], dtype=torch.float64) * math.radians(degrees)
    centre = moving.grid.centre_mm
    pose = group("rigid", 3).exp(torch.cat((axis, torch.tensor([30.0, -40.0, 20.0]).double())), centre, 1.0)
    placed = Image(moving.data, Grid(moving.grid.shape, pose.matrix @ moving.grid.voxel_to_world))
    points = tissues.grid.points_mm()[(tissues.data[0].sum(0) > 0.5).flatten()][::50]
    at_a_look, refined = (
        ir.register(fixed, placed, method=method, transform="rigid", device="cpu")
        for method in ("brain-keypoints", "brain-keypoints+linear")
    )
    errors = [float((r.transform(points) - pose(points)).norm(dim=1).mean()) for r in (at_a_look, refined)]
    assert errors[0] < 4 and errors[1] < 0.6
    assert at_a_look.points.residual_mm < 4 and refined.ok
    assert max(at_a_look.points.off_mm) < 4 and at_a_look.points.coverage > 0.4


def test_brain_keypoints_says_where_it_comes_from():
    card = read_model(model_path("brain-keypoints")).card
    assert card["licence"] == "Apache-2.0" and "SynthSeg" in card["notes"] and card["data"]["images"] == 0
    assert card["validation"]["tre_mm"] < 4
    assert model_path("brain-keypoints").stat().st_size < 10e6


def test_what_is_no_brain_is_no_success():
    """A ball of smooth noise: its points are where no anatomy has them."""
    grid = Grid.from_spacing((48, 48, 48), 4.0)
    noise = stretched(torch.rand((1, 1, 12, 12, 12), generator=seeded(1)), grid.shape)
    inside = ((grid.points_mm() - grid.centre_mm).norm(dim=1) < 75).reshape(1, 1, *grid.shape)
    ball = Image(noise * inside, grid)
    result = ir.register(ball, ball, method="brain-keypoints", device="cpu")
    assert result.quality.verdict == "check" and "may never have seen" in " ".join(result.quality.reasons)
