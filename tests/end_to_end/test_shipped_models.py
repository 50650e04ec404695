"""The models that ship, on a head that none of them has seen: that of the MNI152 atlas, and the same bent."""

import pytest
import torch

import inforeg as ir
from inforeg import io
from inforeg.image import Image, downsample, resample
from inforeg.image.sample import stretched
from inforeg.image.tissues import SIGNALS
from inforeg.io.mni import mni_map
from inforeg.train.source import seeded
from inforeg.transforms import Velocity


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
