import numpy as np
import torch
from made_up import recipe

from inforeg.train.objective import VelocityObjective
from inforeg.train.pairs import Drawn
from inforeg.train.validate import overlap, validate


class Shift(torch.nn.Module):
    """A network that knows the answer: the same shift everywhere."""

    def __init__(self, shift, like):
        super().__init__()
        self.shift, self.like = torch.tensor(shift), like

    def forward(self, fixed, moving):
        from inforeg.nets import VelocityBelief

        d = len(self.shift)
        mean = self.shift.reshape(1, d, *[1] * d).expand(1, d, *fixed.shape[2:])
        return VelocityBelief(mean, torch.zeros_like(mean), 1)


def squares():
    labels = torch.zeros(1, 48, 64, dtype=torch.int64)
    labels[:, 10:30, 20:40] = 2
    labels[:, 34:44, 10:50] = 5
    image = labels.float() / 5
    moved = [torch.roll(t, (3, -4), (1, 2)) for t in (image, labels)]
    return Drawn(image, moved[0], labels, moved[1], "a pair")


def test_figures_tell_a_network_that_is_right_from_one_that_does_nothing(made_up):
    objective = VelocityObjective(recipe(made_up, metric="mse"))
    nothing, _ = validate(objective, [squares()])
    assert nothing.dice == nothing.dice_before < 0.8 and nothing.folds == 0 and nothing.moved_voxels < 1e-3
    objective.net = Shift([3.0, -4.0], objective.net)
    right, picture = validate(objective, [squares(), squares()])
    assert right.dice == 1.0 and right.dice_before == nothing.dice and right.score == 1.0
    assert right.nmi > right.nmi_before and right.metric < nothing.metric
    assert right.moved_voxels == np.float32(5.0) and 0.99 < right.least < 1.01
    # A row for each pair: fixed, moving, warped, and the grid, three pixels to a voxel, first axis across.
    assert picture.shape == (2 * 3 * 64, 4 * 3 * 48) and picture.dtype == np.uint8
    fixed, warped = picture[:192, :144], picture[:192, 288:432]
    assert np.array_equal(fixed, warped)


def test_folds_are_counted(made_up):
    class Folding(torch.nn.Module):
        def forward(self, fixed, moving):
            from inforeg.nets import VelocityBelief

            belief = VelocityBelief(torch.zeros(1, 2, 48, 64), torch.zeros(1, 2, 48, 64), 1)
            bad = torch.zeros(1, 2, 48, 64)
            bad[:, 0, 20:24, 30] = torch.tensor([0.0, 3.0, -3.0, 0.0])
            object.__setattr__(belief, "displaced", lambda _field: bad)
            return belief

    objective = VelocityObjective(recipe(made_up, metric="mse"))
    objective.net = Folding()
    found, _ = validate(objective, [squares()])
    assert found.folds > 0 and found.least < 0


def test_small_labels_are_left_out_of_the_overlap():
    fixed = torch.zeros(1, 20, 20, dtype=torch.int64)
    fixed[:, :10] = 1
    fixed[0, 15, 15] = 2
    assert overlap(fixed, torch.where(fixed == 2, 0, fixed)) == 1.0
    assert overlap(fixed, torch.where(fixed == 2, 0, fixed), least=1) == 0.5


def test_without_labels_the_score_is_information(made_up):
    pair = squares()
    bare = Drawn(pair.fixed, pair.moving, None, None, pair.name)
    found, _ = validate(VelocityObjective(recipe(made_up, metric="mse")), [bare])
    assert found.dice is None and found.score == found.nmi > 0
