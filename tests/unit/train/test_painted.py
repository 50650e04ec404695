import pytest
import torch

from inforeg.errors import UsageError
from inforeg.train.painted import Fractions, Painter
from inforeg.train.recipes import VelocityRecipe
from inforeg.train.source import seeded

# Left and right white matter, grey matter, fluid, as FreeSurfer numbers them, and one that it does not know.
IDS = torch.tensor([0, 2, 3, 4, 41, 999])


def blocks(finer):
    """Cubes of labels, each of a whole number of canonical voxels, and a border that cuts voxels in half."""
    labels = torch.zeros(1, 8 * finer, 8 * finer, 8 * finer, dtype=torch.int64)
    labels[:, : 4 * finer] = 2
    labels[:, 4 * finer : 6 * finer] = 3
    labels[:, 6 * finer :, : 4 * finer] = 41
    labels[:, 6 * finer :, 4 * finer :, : 4 * finer + finer // 2] = 4
    return labels


def plain(**values):
    return VelocityRecipe(images="a", numbering="freesurfer", jitter=0.0, texture=0.0, **values)


@pytest.mark.parametrize("finer", [1, 2, 3])
def test_fractions_are_the_shares_of_the_fine_voxels(finer):
    labels = blocks(finer)
    place = torch.searchsorted(IDS, labels)
    values = torch.rand(len(IDS), generator=torch.Generator().manual_seed(0))
    found = Fractions.of(place, finer, IDS != 0)
    expected = torch.nn.functional.avg_pool3d(values[place][None], finer)[0]
    torch.testing.assert_close(found.mean(values), expected)
    torch.testing.assert_close(
        found.inside, torch.nn.functional.avg_pool3d((labels != 0).float()[None], finer)[0]
    )
    assert torch.equal(
        IDS[found.labels], labels[:, finer // 2 :: finer, finer // 2 :: finer, finer // 2 :: finer]
    )


def test_tissues_of_one_kind_look_alike_and_background_is_dark():
    painter = Painter(IDS, plain())
    fractions = painter.fractions(blocks(2), 2)
    image = painter.paint(fractions, "T1", seeded(1))
    labels = painter.coarse(fractions)
    level = {n: float(image[labels == n].median()) for n in (0, 2, 3, 4, 41)}
    assert level[2] == level[41] > level[3] > level[4] > level[0] == 0
    assert image.shape == (1, 8, 8, 8) and float(image.max()) <= 1.1


def test_random_is_another_contrast_each_time_and_the_same_for_the_same_seed():
    painter = Painter(IDS, plain())
    fractions = painter.fractions(blocks(2), 2)
    one, again, other = (painter.paint(fractions, "random", seeded(n)) for n in (1, 1, 2))
    assert torch.equal(one, again) and not torch.allclose(one, other)


def test_contrasts_of_ones_own_go_by_label_or_tissue():
    recipe = plain(contrasts={"X": {"white": 0.2, "grey": 0.4, "fluid": 1.0, "999": 0.1}})
    painter = Painter(IDS, recipe)
    fractions = painter.fractions(blocks(1), 1)
    image = painter.paint(fractions, "X", seeded(1))
    labels = painter.coarse(fractions)
    levels = [float(image[labels == n].median()) for n in (2, 3, 4)]
    # Up to the scale that all images are brought to.
    assert (levels[1] - levels[0]) / (levels[2] - levels[0]) == pytest.approx(0.25, rel=0.02)


def test_clefts_hold_fluid_where_the_map_has_none():
    labels = torch.zeros(1, 24, 24, dtype=torch.int64)
    labels[:, 4:20, 4:20] = 3
    labels[:, 11:13, 4:20] = 0  # a cleft that runs through
    labels[:, 5:7, 5:7] = 4
    painter = Painter(IDS, plain())
    fractions = painter.fractions(labels, 1)
    assert float(fractions.clefts[0, 11:13, 10].min()) == 1 and float(fractions.clefts[0, :3].max()) == 0
    images = torch.stack([painter.paint(fractions, "T2", seeded(n)) for n in range(5)])
    assert len(images[:, 0, 12, 10].unique()) == 5 and float(images[:, 0, 0, 0].abs().max()) == 0


def test_texture_varies_intensities_within_tissues_alone():
    painter = Painter(IDS, plain().replace(texture=0.1))
    fractions = painter.fractions(blocks(1), 1)
    image, labels = painter.paint(fractions, "T1", seeded(1)), painter.coarse(fractions)
    assert float(image[labels == 2].std()) > 0.03 and float(image[labels == 0].abs().max()) == 0


def test_a_contrast_without_signals_is_asked_for():
    painter = Painter(IDS, VelocityRecipe(images="a"))
    with pytest.raises(UsageError, match=r"contrasts\.T1"):
        painter.paint(painter.fractions(blocks(1), 1), "T1", seeded(1))


def test_hidden_labels_are_dark_in_some_images_and_never_asked_for():
    wanted = VelocityRecipe(images="a", hidden=((2,), (2, 3)), texture=0.1)
    labels = torch.zeros(1, 8, 8, dtype=torch.int32)
    labels[:, 2:, :4], labels[:, 2:, 4:6], labels[:, 2:, 6:] = 1, 2, 3
    painter = Painter(torch.tensor([0, 1, 2, 3]), wanted)
    fractions = painter.fractions(labels, 1)
    seen = set()
    for n in range(30):
        image = painter.paint(fractions, "random", seeded(n))[0]
        lit = tuple(bool((image[labels[0] == k] > 0).any()) for k in (1, 2, 3))
        seen.add(lit)
    assert seen == {(True, True, True), (True, False, True), (True, False, False)}
    assert painter.shown.tolist() == [False, True, False, False]
