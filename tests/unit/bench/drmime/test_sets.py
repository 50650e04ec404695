import pytest
import torch

from inforeg.bench.drmime import sets_wheel
from inforeg.bench.drmime.changes import PICTURE, generator_for
from inforeg.bench.drmime.drawing import drawn, in_pixels, placed
from inforeg.bench.drmime.sets import SETS, chosen_sets
from inforeg.bench.drmime.sets_folder import SLICES
from inforeg.errors import UsageError
from inforeg.image import Image, resample
from inforeg.image.sample import sample
from inforeg.io import read_image
from inforeg.space import Grid
from inforeg.transforms import Linear

SIZES = {"fundus": 96, "fundus-projective": 96, "stains": 96, "kidney": 120, "slices": 100, "brain": 24}


def alike(one: torch.Tensor, other: torch.Tensor) -> float:
    """How straight the line is between the values of two images."""
    return float(torch.corrcoef(torch.stack((one.reshape(-1), other.reshape(-1))))[0, 1])


def likeness(case, transform, source) -> float:
    """How alike the moving image, brought back, and its source drawn on the fixed grid are, where both are seen."""
    back = resample(case.moving, case.fixed.grid, transform, mode="bspline").data
    moving = torch.ones(1, 1, *case.moving.grid.shape)
    seen = resample(Image(moving, case.moving.grid), case.fixed.grid, transform).data > 0.5
    seen = seen.expand_as(back)
    return alike(back[seen], source[seen])


def shifted(case, voxels: float) -> Linear:
    """The truth and so many voxels aside."""
    step = torch.full((case.fixed.grid.ndim,), voxels * float(case.moving.grid.spacing_mm[0]))
    return Linear.translation(step.to(torch.float64)) @ case.truth


@pytest.mark.parametrize("name", SETS)
def test_the_same_seed_gives_the_same_case_and_another_number_another(name, data):
    def case(number: int, seed: int = 3):
        return SETS[name].case(number, seed, data, SIZES[name])

    one, again, other, reseeded = case(1), case(1), case(2), case(1, 4)
    assert torch.equal(one.fixed.data, again.fixed.data) and torch.equal(one.moving.data, again.moving.data)
    assert torch.equal(one.moving_points_mm, again.moving_points_mm)
    for different in (other, reseeded):
        assert not torch.allclose(one.fixed.grid.voxel_to_world, different.fixed.grid.voxel_to_world)
    assert one.name == f"{name}-01"
    assert max(one.fixed.grid.shape) == SIZES[name]
    assert len(one.fixed_points_mm) == len(one.moving_points_mm) > 0


@pytest.mark.parametrize("name", SETS)
def test_no_voxel_of_one_image_lies_on_one_of_the_other(name, data):
    for number in range(3):
        case = SETS[name].case(number, 0, data, SIZES[name])
        between = case.fixed.grid.to_voxel(case.moving.grid.points_mm()[:1])[0]
        aside = (between - between.round()).abs()
        assert float(aside.max()) > 0.01


@pytest.mark.parametrize("kind", ["affine", "projective"])
def test_the_fundus_lies_where_the_truth_has_it_and_ends_nowhere(kind, monkeypatch):
    monkeypatch.setattr(sets_wheel, "relit", lambda image, _generator: image)
    name = "fundus" if kind == "affine" else "fundus-projective"
    case = SETS[name].case(0, 0, None, 160)
    assert case.transform == kind and case.truth.is_affine == (kind == "affine")
    assert case.fixed.channels == case.moving.channels == 3
    assert likeness(case, case.truth, case.fixed.data) > 0.9995
    assert likeness(case, shifted(case, 0.5), case.fixed.data) < 0.9995
    # Beyond the disc it is black: nothing of that is seen.
    assert float(case.fixed.data.sum(dim=1).min()) > 100
    assert float(case.moving.data.sum(dim=1).min()) > 100


def test_each_photograph_of_the_fundus_has_a_light_of_its_own():
    case = SETS["fundus"].case(0, 0, None, 96)
    means = case.fixed.data.mean(dim=(0, 2, 3)), case.moving.data.mean(dim=(0, 2, 3))
    assert float((means[0] - means[1]).abs().max()) > 10
    back = resample(case.moving, case.fixed.grid, case.truth).data
    ratio = (back / case.fixed.data)[0, 1, 40:56].mean(dim=0)[20:76]
    # Green against green, from one side to the other: a light that falls off, and not one factor.
    assert float(ratio.max() / ratio.min()) > 1.02


def test_stains_are_two_channels_of_one_section():
    case = SETS["stains"].case(1, 0, None, 128)
    antibody = drawn(sets_wheel._stains(128)[1], case.fixed.grid).data
    assert case.fixed.channels == case.moving.channels == 1
    assert likeness(case, case.truth, antibody) > 0.995
    assert likeness(case, shifted(case, 1.0), antibody) < 0.98
    assert likeness(case, case.truth, case.fixed.data) < 0.7
    # All that the moving image shows lies in the section.
    corners = case.truth.inverse()(case.moving.grid.corners_mm())
    half = sets_wheel._stains(128)[1].grid.extent_mm / 2
    assert bool((corners.abs() < half).all())


@pytest.mark.parametrize("number", [0, 1])
def test_slices_lie_where_the_truth_has_them(number, data):
    case = SETS["slices"].case(number, 0, data, None)
    linear = case.truth.matrix[:2, :2]
    is_rigid = torch.allclose(linear @ linear.T, torch.eye(2, dtype=torch.float64), atol=1e-9)
    assert (case.transform, is_rigid) == (("rigid", True), ("affine", False))[number]
    source = drawn(read_image(data / SLICES[1]), case.fixed.grid).data
    assert likeness(case, case.truth, source) > 0.99
    assert likeness(case, shifted(case, 1.5), source) < 0.99
    assert case.unit == "mm"


def test_brains_come_as_pairs_of_one_session_rigid_and_affine(data):
    cases = [SETS["brain"].case(number, 0, data, 28) for number in (0, 1, 7)]
    assert [case.transform for case in cases] == ["rigid", "affine", "affine"]
    assert [case.moving.name for case in cases] == ["ms07_T2.nii.gz"] * 2 + ["ms07_FLAIR.nii.gz"]
    for case, contrast in zip(cases, ("T2", "T2", "FLAIR"), strict=True):
        assert case.fixed.name == "ms07_T1.nii.gz"
        source = drawn(read_image(data / f"ms/ms07_{contrast}.nii.gz"), case.fixed.grid).data
        assert likeness(case, case.truth, source) > 0.97
        assert likeness(case, shifted(case, 1.0), source) < 0.95
        # Landmarks lie in the head, and errors are parts of its length: it is 140 mm long.
        assert 100 < float(case.frame.extent_mm.max()) < 190
        assert len(case.fixed_points_mm) == 125
        sideways = Linear.translation(torch.tensor([6.0, 0.0, 0.0], dtype=torch.float64)) @ case.truth
        errors = case.errors(sideways)
        assert errors.distance == pytest.approx(6.0)
        assert errors.naed == pytest.approx(6.0 / float(case.frame.extent_mm[0]))
        assert case.errors(case.truth).naed < 1e-12


def test_the_landmarks_of_the_kidney_lie_on_what_was_marked(data):
    for number in range(2):
        case = SETS["kidney"].case(number, 0, data, 120)
        assert case.truth is None and case.fixed.channels == 3
        # The eighth of the first table has no partner.
        assert len(case.fixed_points_mm) == 7
        for image, where in ((case.fixed, case.fixed_points_mm), (case.moving, case.moving_points_mm)):
            assert _darkest_near(image, where).max() < 0.3
        # The frame is the picture as it is, without the room around it.
        assert case.frame.extent_mm.tolist() == pytest.approx([164 * 120 / 170, 130 * 120 / 170], abs=0.5)
        assert bool((case.moving.grid.extent_mm > 1.15 * case.frame.extent_mm).all())


def _darkest_near(image: Image, where: torch.Tensor) -> torch.Tensor:
    """How far each point is from the middle of the dark dot around it, in mm."""
    steps = torch.arange(-4.0, 4.01, 0.25, dtype=torch.float64)
    offsets = torch.cartesian_prod(steps, steps)
    distances = []
    for point in where:
        values, _ = sample(image, (point + offsets)[None].float())
        dark = (values[0].mean(dim=0).max() - values[0].mean(dim=0)).double() ** 3
        distances.append((offsets * dark[:, None]).sum(0) / dark.sum())
    return torch.stack(distances).norm(dim=1)


def test_a_picture_in_pixels_is_where_and_how_it_was():
    matrix = torch.tensor([[-0.2, 0, 50], [0, -0.4, 9], [0, 0, 1]], dtype=torch.float64)
    found = in_pixels(Image(torch.zeros(1, 1, 30, 20), Grid((30, 20), matrix)), 2.5)
    assert found.grid.spacing_mm.tolist() == pytest.approx([0.4, 0.4])
    assert found.grid.centre_mm.tolist() == pytest.approx([0.0, 0.0])
    assert found.grid.voxel_to_world[0, 0] < 0 and found.grid.voxel_to_world[1, 1] < 0


def test_what_lies_beyond_a_source_is_its_rim():
    data = torch.full((1, 2, 12, 12), 230.0)
    data[0, 1] = 30.0
    data[:, :, 4:8, 4:8] = 100.0
    source = Image(data, Grid.from_spacing((12, 12)))
    wide = drawn(source, Grid.from_spacing((30, 30)))
    assert torch.allclose(wide.data[0, 0, :6], torch.tensor(230.0), atol=1e-3)
    assert torch.allclose(wide.data[0, 1, :6], torch.tensor(30.0), atol=1e-3)
    assert float(wide.data.max()) <= 230.0


def test_a_source_that_is_too_small_is_refused():
    grid = Grid.from_spacing((20, 20))
    with pytest.raises(UsageError, match="expected a source that holds"):
        placed(
            grid, "affine", PICTURE, generator_for("x"), extent_mm=grid.extent_mm, shows=lambda corners: False
        )


def test_sets_without_images_are_left_out_or_refused(data, tmp_path, monkeypatch):
    assert chosen_sets([], data) == (list(SETS), [])
    kept, notes = chosen_sets([], None)
    assert kept == ["fundus", "fundus-projective", "stains"]
    assert [note.split()[2] for note in notes] == ["kidney", "slices", "brain"]
    assert all("needs --data" in note for note in notes)
    with pytest.raises(UsageError, match=r"--sets: kidney needs histology/Rat-Kidney_HE.jpg in"):
        chosen_sets(["kidney"], tmp_path)
    with pytest.raises(UsageError, match="unknown name 'fundi'; expected fundus, "):
        chosen_sets(["fundi"], data)
    monkeypatch.setattr(sets_wheel, "_folder", lambda: None)
    with pytest.raises(UsageError, match=r"--sets: stains needs ihc.png of scikit-image: pip install"):
        chosen_sets(["stains"], None)
    with pytest.raises(UsageError, match="found none"):
        chosen_sets([], None)
    # Tables are made of what is done, wherever the images are now.
    assert chosen_sets([], None, needed=False) == (list(SETS), [])
    assert chosen_sets(["kidney"], None, needed=False) == (["kidney"], [])


def test_errors_are_those_of_the_landmarks():
    case = SETS["stains"].case(0, 0, None, 64)
    shift = Linear.translation(torch.tensor([3.2, 2.4], dtype=torch.float64))
    errors = case.errors(shift @ case.truth)
    assert errors.distance == pytest.approx(4.0)
    assert errors.naed == pytest.approx(4.0 / 64)
    assert errors.rtre_median == pytest.approx(4.0 / (64 * 2**0.5))
    assert errors.rtre_mean == pytest.approx(4.0 / (64 * 2**0.5))
