import json
from dataclasses import replace

import pytest
import torch

from inforeg.bench.deformable.anatomy import at_spacing, brain_of
from inforeg.bench.deformable.heads import affine_between
from inforeg.bench.deformable.measure import before, mean_dice
from inforeg.bench.deformable.sets import SETS, Source, chosen_sets, head_pairs, known_pairs
from inforeg.errors import UsageError
from inforeg.image import resample
from inforeg.io import read_image
from inforeg.transforms import Linear


def source(data, spacing_mm=1.0, seed=0):
    return Source(data, seed, spacing_mm, data / "affines")


def test_the_first_cases_of_known_truth_already_differ():
    pairs = known_pairs()
    assert len(pairs) == len(set(pairs)) == 108
    assert len({p.patient for p in pairs[:4]}) == 3 and len({p.amplitude_mm for p in pairs[:4]}) == 3
    assert len({(p.patient, p.fixed, p.moving) for p in pairs[:12]}) == 12
    assert len({p.amplitude_mm for p in pairs if (p.patient, p.moving) == ("ms/ms07", "T2")}) == 3
    assert {p.warp for p in pairs} == {0, 1, 2}
    # No truth is claimed for contrasts that lie off each other before anything is warped.
    across = {(p.patient, p.fixed) for p in pairs if p.fixed != p.moving and p.patient.startswith("brats")}
    assert across == {("brats/met00110", "T2"), ("brats/met00110", "FLAIR")}


def test_all_ordered_pairs_of_heads():
    pairs = head_pairs()
    assert len(set(pairs)) == 20 and all(a != b for a, b in pairs)
    assert len({a for a, _ in pairs[:5]}) == 5


def test_the_truth_brings_the_moving_image_back(data):
    number = next(n for n, p in enumerate(known_pairs()) if p.fixed == p.moving == "T1")
    case = SETS["known"].make(number, source(data))
    assert case.group == "T1-T1" and case.truth is not None
    brought = resample(case.moving, case.fixed.grid, case.truth)

    def off(image):
        return float((image.data - case.fixed.data)[0, 0][case.brain].abs().mean())

    # What is left is two interpolations of what is a few voxels wide.
    assert off(brought) < 0.3 * off(case.moving)
    nothing = before(case)
    assert nothing.folds == 0 and nothing.dice is None and nothing.inverse_max_mm is None
    amplitude_mm = known_pairs()[number].amplitude_mm
    assert nothing.p95_mm == pytest.approx(amplitude_mm, rel=0.05) and 0.5 < nothing.error_mm < nothing.p95_mm


def test_a_warp_is_the_same_at_another_spacing_and_for_another_contrast(data):
    pairs = known_pairs()
    alike = [n for n, p in enumerate(pairs) if (p.patient, p.amplitude_mm, p.warp) == ("ms/ms07", 4.0, 0)]
    fine, coarse = (SETS["known"].make(n, source(data, s)) for n, s in ((alike[0], 1.0), (alike[1], 2.0)))
    assert coarse.fixed.grid.spacing_mm.tolist() == [2, 2, 2] and coarse.group != fine.group
    here = coarse.fixed.grid.points_mm()[coarse.brain.reshape(-1)]
    assert float((coarse.truth(here) - fine.truth(here)).norm(dim=1).max()) < 0.03
    other = SETS["known"].make(alike[0], source(data, seed=1))
    assert float((other.truth(here) - fine.truth(here)).norm(dim=1).mean()) > 0.5


def test_heads_are_brought_together_once_for_all(data, tmp_path):
    where = replace(source(data), affines=tmp_path / "affines")
    case = SETS["oasis"].make(0, where)
    # These heads differ by a shift of two voxels: nothing is left to do, and without what was found much would be.
    assert before(case).dice > 0.9
    assert mean_dice(case, case.affine.inverse()) < before(case).dice - 0.15
    # What is in the file is what is taken.
    (file,) = where.affines.glob("oasis1000-*.json")
    assert torch.equal(affine_between(case.fixed, case.moving, file).matrix, case.affine.matrix)
    shift = Linear.translation(torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    other = tmp_path / file.name
    other.write_text(json.dumps({"fixed_to_moving_ras_mm": shift.matrix.tolist()}), encoding="utf-8")
    assert torch.equal(affine_between(case.fixed, case.moving, other).matrix, shift.matrix)


@pytest.mark.parametrize(("number", "kind"), [(0, "T2"), (1, "FLAIR")])
def test_a_made_up_contrast_is_of_the_same_head(number, kind, data):
    where = source(data)
    case, plain = (SETS[name].make(number, where) for name in ("oasis-contrast", "oasis"))
    assert case.group == f"T1-{kind}" and torch.equal(case.affine.matrix, plain.affine.matrix)
    assert before(case).dice == before(plain).dice

    def signal(*ids):
        inside = torch.isin(case.fixed_labels.data, torch.tensor(ids)) & case.brain
        return float(case.moving.data[inside].median())

    fluid, white, grey = signal(51), signal(44), signal(100)
    assert (fluid > 1.3 * grey > 1.3 * white) if kind == "T2" else (fluid < white)
    assert grey > white
    # Air is air, but for what a spline does beside an edge.
    assert float(case.moving.data[:, :, 0].max()) < 1


def test_tissues_come_from_the_t1_of_both(data):
    case = SETS["tissue"].make(0, source(data))
    assert (
        case.fixed_labels.data.unique().tolist() == case.moving_labels.data.unique().tolist() == [0, 1, 2, 3]
    )
    t1 = read_image(data / "ms" / "ms07_T1.nii.gz")
    means = [float(t1.data[case.fixed_labels.data == n].mean()) for n in (1, 2, 3)]
    assert means == sorted(means)
    # The second patient's head is the first one's, this much away.
    shift = Linear.translation(torch.tensor([1.2, -0.8, 0.0], dtype=torch.float64))
    assert mean_dice(case, shift) > before(case).dice + 0.05
    assert mean_dice(case, shift.inverse()) < before(case).dice


def test_spacings(data):
    image = read_image(data / "ms" / "ms07_T1.nii.gz")
    assert at_spacing(image, 1.0) is image
    finer = at_spacing(image, 0.7)
    assert finer.grid.shape == (60, 60, 60) and float(finer.data.max()) <= float(image.data.max())
    with pytest.raises(
        UsageError, match=r"expected a spacing that is a multiple of the images' 1 mm, got 1\.5"
    ):
        at_spacing(image, 1.5)
    assert brain_of(image).sum() == pytest.approx(4.19 * (0.95 * 16) ** 3, rel=0.05)


def test_sets_that_cannot_be_made(data, tmp_path):
    assert chosen_sets([], data) == (list(SETS), [])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="expected images to register, found none"):
        chosen_sets([], tmp_path / "empty")
    with pytest.raises(UsageError, match=r"--sets: oasis needs oasis/oasis1000_T1\.nii\.gz in"):
        chosen_sets(["oasis"], tmp_path / "empty")
    with pytest.raises(UsageError, match="--sets: unknown name 'unknown'; expected known, still, oasis"):
        chosen_sets(["unknown"], data)
    with pytest.raises(UsageError, match="needs --data"):
        chosen_sets(["known"], None)
    assert chosen_sets(["known"], None, needed=False) == (["known"], [])
