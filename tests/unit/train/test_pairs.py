from dataclasses import replace

import pytest
import torch
from made_up import recipe

from inforeg.errors import UsageError
from inforeg.train.listing import read_scans
from inforeg.train.pairs import PairSource, augmented
from inforeg.train.prepared import prepare
from inforeg.train.source import seeded


@pytest.fixture(scope="module")
def scans(made_up, tmp_path_factory):
    wanted = recipe(made_up)
    return prepare(read_scans(made_up, 3, 0.34, 0.0), wanted, tmp_path_factory.mktemp("prepared"))


def test_the_same_number_is_the_same_pair(made_up, scans):
    one, other = (PairSource(scans, recipe(made_up)) for _ in range(2))
    other.draw(5)
    a, b, c = one.draw(7), other.draw(7), one.draw(8)
    assert a.name == b.name and torch.equal(a.fixed, b.fixed) and torch.equal(a.moving, b.moving)
    assert not torch.equal(a.fixed, c.fixed)


def test_pairs_are_of_the_contrasts_and_subjects_that_were_asked_for(made_up, scans):
    for rule in ("different", "same", "any"):
        source = PairSource(scans, recipe(made_up, subjects=rule))
        names = [source.draw(n).name.split(" to ") for n in range(30)]
        assert {name.split("_")[1] for _, name in names} == {"T1"}
        assert {name.split("_")[1] for name, _ in names} == {"T2"}
        same = {moving.split("_")[0] == fixed.split("_")[0] for moving, fixed in names}
        assert same == {"different": {False}, "same": {True}, "any": {True, False}}[rule]


def test_all_contrasts_take_part_where_none_is_named(made_up, scans):
    source = PairSource(scans, recipe(made_up, fixed=(), moving=()))
    names = {part.split("_")[1] for n in range(30) for part in source.draw(n).name.split(" to ")}
    assert names == {"T1", "T2"}


def test_what_is_validated_on_is_never_drawn_to_learn_from(made_up, scans):
    held, learnt = (
        {part.split("_")[0] for n in range(40) for part in source.draw(n).name.split(" to ")}
        for source in (PairSource(scans, recipe(made_up), split) for split in ("validation", "train"))
    )
    assert len(held) == 2 and len(learnt) == 4 and not held & learnt


def test_plain_pairs_are_the_images_as_they_are_with_their_labels(made_up, scans):
    source = PairSource(scans, recipe(made_up))
    pair = source.draw(3, plain=True)
    moving, fixed = pair.name.split(" to ")
    by_name = {scan.name: scan for scan in scans}
    assert torch.equal(pair.fixed, by_name[fixed].image) and torch.equal(pair.moving, by_name[moving].image)
    assert torch.equal(pair.fixed_labels.int(), by_name[fixed].labels)
    assert source.draw(3).fixed_labels is None


def test_images_are_painted_as_often_as_was_asked_for(made_up, scans):
    changes = {"contrasts": {"T1": {"1": 0.2}}, "fixed": ("T1",), "moving": ("T1",), "augment": 0.0}
    for share, low, high in ((0.0, 0, 0), (0.5, 8, 32), (1.0, 40, 40)):
        source = PairSource(scans, recipe(made_up, synthetic=share, **changes))
        real = [scan.image for scan in scans if scan.image is not None]
        painted = sum(
            not any(torch.equal(source.draw(n, plain=True).fixed, image) for image in real) for n in range(40)
        )
        assert low <= painted <= high


def test_augmentation_moves_both_together_and_a_little_apart(made_up):
    image = torch.zeros(1, 48, 64)
    image[:, 20:28, 26:38] = 1
    still = {"shading": 0.0, "noise": 0.0, "rotation_deg": 0.0, "scale": 0.0, "shift_mm": 20.0, "flip": False}

    def middles(**changes):
        wanted = recipe(made_up, **{**still, **changes})
        found = [augmented([image, image], wanted, seeded(n)) for n in range(20)]
        return [[(i[0] > 0.5).nonzero().double().mean(0) for i in pair] for pair in found]

    together = middles(apart=0.0)
    # Contrasts are bent apart, which moves where they pass the half.
    assert max(float((a - b).norm()) for a, b in together) < 0.2
    assert max(float((a - torch.tensor([23.5, 31.5])).abs().max()) for a, _ in together) > 3  # up to 5 voxels
    apart = [float((a - b).norm()) for a, b in middles(apart=0.2)]
    assert 0.4 < max(apart) < 1.8  # a fifth of up to 7 voxels
    off = middles(augment=0.0, apart=1.0)
    assert max(float((a - torch.tensor([23.5, 31.5])).norm()) for pair in off for a in pair) < 1e-6


def test_half_of_the_pairs_are_flipped_both_images_alike(made_up):
    image = torch.zeros(1, 48, 64)
    image[:, 4:20, 20:40] = 1
    wanted = recipe(made_up, shading=0.0, noise=0.0, rotation_deg=0.0, scale=0.0, shift_mm=0.0)
    sides = [
        [float(i[0, :24].mean()) > 0.01 for i in augmented([image, image], wanted, seeded(n))]
        for n in range(40)
    ]
    assert all(a == b for a, b in sides) and 10 < sum(a for a, _ in sides) < 30


def test_warps_bend_each_image_on_its_own_and_do_not_fold(made_up):
    ramp = torch.linspace(0, 1, 64).expand(1, 48, 64)
    still = {"shading": 0.0, "noise": 0.0, "rotation_deg": 0.0, "scale": 0.0, "shift_mm": 0.0, "flip": False}
    one, other = augmented([ramp, ramp], recipe(made_up, warp_mm=4.0, **still), seeded(1))
    assert float((one - other).abs().max()) > 0.01
    inner = one[0, 4:-4, 4:-4]
    assert float(inner.diff(dim=1).min()) > 0


def test_shares_of_structures_are_those_of_the_label_maps(made_up, scans):
    source = PairSource(scans, recipe(made_up, label_weight=1.0, structures=8))
    pair = source.draw(3, plain=True)
    for shares, labels in zip(pair.shares, (pair.fixed_labels, pair.moving_labels), strict=True):
        assert tuple(shares.shape) == (8, 48, 64) and float(shares.min()) >= 0
        # Six labels, each in a channel of its own, and two that stay empty; as fine as the labels: all or nothing.
        found = [{int(i) for i in labels[0][share > 0.5].unique()} for share in shares]
        assert sorted(len(f) for f in found) == [0, 0, 1, 1, 1, 1, 1, 1] and 0 not in set().union(*found)
        torch.testing.assert_close(shares.sum(0), (labels[0] > 0).float())
    same = [
        [int(labels[0][share > 0.5][0]) for share in side[:6]]
        for side, labels in zip(pair.shares, (pair.fixed_labels, pair.moving_labels), strict=True)
    ]
    assert same[0] == same[1]


def test_shares_are_moved_along_with_their_image(made_up, scans):
    wanted = recipe(
        made_up,
        label_weight=1.0,
        structures=6,
        shading=0.0,
        noise=0.0,
        synthetic=1.0,
        texture=0.0,
        jitter=0.0,
        contrasts={"T1": {str(i): 0.8 for i in range(1, 7)}},
        moving=("T1",),
    )
    still = PairSource(scans, wanted.replace(augment=0.0)).draw(5)
    moved = PairSource(scans, wanted.replace(warp_mm=4.0, flip=False)).draw(5)
    assert not torch.equal(still.shares[1], moved.shares[1])
    for image, shares in zip((moved.fixed, moved.moving), moved.shares, strict=True):
        # Everything labelled is equally bright here, so that image and shares have the same outline.
        both = ((image[0] > 0.4) & (shares.sum(0) > 0.5)).sum()
        assert float(2 * both / ((image[0] > 0.4).sum() + (shares.sum(0) > 0.5).sum())) > 0.97


def test_images_without_label_maps_have_nothing_to_overlap(made_up, scans):
    bare = [replace(scan, labels=None) if scan.contrast == "T1" else scan for scan in scans]
    pair = PairSource(bare, recipe(made_up, label_weight=1.0)).draw(0)
    assert all(float(shares.abs().sum()) == 0 for shares in pair.shares)
    with pytest.raises(UsageError, match="label_weight asks for label maps, and none is listed"):
        PairSource([replace(scan, labels=None) for scan in scans], recipe(made_up, label_weight=1.0))


def test_too_little_to_draw_from_is_said(made_up, scans):
    with pytest.raises(
        UsageError, match="no train image can be had of contrast 'PD': the contrasts listed are T1, T2"
    ):
        PairSource(scans, recipe(made_up, moving=("PD",)))
    lonely = [replace(scan, subject="s") for scan in scans]
    with pytest.raises(UsageError, match="two subjects for train"):
        PairSource(lonely, recipe(made_up))
