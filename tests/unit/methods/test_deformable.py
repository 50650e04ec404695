"""The deformable method: what it recovers across contrasts, what it never does, and what it refuses."""

from functools import cache

import pytest
import torch
from phantoms import field_of_view, landmarks, phantom, turn
from strategies import rotation
from torch import Tensor
from unit.methods.deformations import SPACING_MM, brief, moved_mm, off_mm, pair, smooth

from inforeg.errors import UsageError
from inforeg.evaluate import jacobian_determinants
from inforeg.image import Image
from inforeg.methods import Result, from_settings
from inforeg.methods.deformable import Deformable, deformable
from inforeg.space import Grid
from inforeg.transforms import Composite, Linear, Velocity

# The truth waves over some centimetres, which is smoother than heads differ.
SMOOTH_MM = 12.0


@cache
def run(ndim: int, seed: int = 1) -> tuple[Result, Velocity]:
    truth = smooth(ndim, 5.0, seed)
    return brief(smoothness_mm=SMOOTH_MM)(*pair(ndim, truth)), truth


def velocity_of(result: Result) -> Velocity:
    assert isinstance(result.transform, Composite)
    linear, velocity = result.transform.parts
    assert isinstance(linear, Linear) and isinstance(velocity, Velocity)
    return velocity


@pytest.mark.parametrize(
    ("ndim", "seed", "share"),
    [(2, 0, 0.4), (2, 1, 0.25), (3, 0, 0.4), (3, 1, 0.35)],
)
def test_a_smooth_deformation_is_recovered_across_contrasts(ndim: int, seed: int, share: float) -> None:
    """Half a voxel in 2-D and a quarter of one in 3-D are left of what was two to six millimetres.

    Less is not to be had: the same phantoms, not deformed, are told apart to two thirds of a millimetre.
    """
    result, truth = run(ndim, seed)
    points = landmarks(ndim)
    before, after = (off_mm(way, truth, points) for way in (Linear.identity(ndim), result.transform))
    assert before > 2
    assert after < share * before
    assert after < (0.55 if ndim == 2 else 0.3) * SPACING_MM[ndim]
    assert (result.status, result.quality.verdict, result.ok) == ("converged", "good", True)
    assert result.quality.information > 1.1 * result.quality.information_before


@pytest.mark.parametrize("ndim", [2, 3])
def test_nothing_folds_and_the_inverse_is_one(ndim: int) -> None:
    """Within half a voxel everywhere, both ways; a tenth in the head."""
    result, _ = run(ndim)
    grid = result.fixed.grid
    for way in (result.transform, result.inverse):
        assert float(jacobian_determinants(way, grid).min()) > 0
    points = grid.points_mm()
    for first, second in ((result.transform, result.inverse), (result.inverse, result.transform)):
        left = (second(first(points)) - points).norm(dim=1)
        middle = points.norm(dim=1) < 70
        assert float(left[middle].max()) < 0.5 * SPACING_MM[ndim]
        assert float(left[middle].mean()) < 0.05 * SPACING_MM[ndim]
    assert torch.equal(velocity_of(result).inverse().vectors, -velocity_of(result).vectors)


def test_images_that_do_not_fit_are_not_folded_into_one_another() -> None:
    """What is asked for is out of reach, and even so nothing folds and the inverse is one."""
    grid = field_of_view(2, 4.0)
    moving = phantom(grid, "t2", smooth(2, 30.0, 3), seed=5)  # type: ignore[arg-type]
    result = brief(smoothness_mm=3.0)(phantom(grid), moving)
    assert float(jacobian_determinants(result.transform, grid).min()) > 0
    points = landmarks(2)
    left = (result.inverse(result.transform(points)) - points).norm(dim=1)
    assert float(left.max()) <= 0.5 * 4.0


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_greater_smoothness_gives_a_smoother_field(ndim: int) -> None:
    """By how evenly volumes change in the head."""
    images, points = pair(ndim, smooth(ndim, 5.0, 1)), landmarks(ndim)
    found = [brief(smoothness_mm=length)(*images).transform for length in (5.0, 40.0)]
    rough, even = (float(torch.linalg.det(way.jacobian(points)).log().std()) for way in found)
    assert 0 < even < 0.85 * rough


@pytest.mark.parametrize("ndim", [2, 3])
def test_two_anatomies_are_expected_to_differ_more_than_one_does(ndim: int) -> None:
    """By how evenly volumes change; and what is said of them goes after a smoothness that is given."""
    images, points = pair(ndim, smooth(ndim, 5.0, 1)), landmarks(ndim)

    def uneven(**settings: object) -> float:
        way = brief(**settings)(*images).transform
        return float(torch.linalg.det(way.jacobian(points)).log().std())

    one, two = uneven(anatomies="one"), uneven(anatomies="two")
    assert 0 < one < 0.9 * two
    # What waves over a centimetre is one anatomy by what it shows.
    assert uneven(anatomies="auto") == one
    held = [uneven(anatomies=name, smoothness_mm=20.0) for name in ("one", "two")]
    assert held[0] == held[1]


def test_what_is_held_back_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A note where the field was not safe as it was; here what is called safe is made strict."""
    images = pair(2, smooth(2, 5.0, 1))
    plain = brief()(*images)
    assert plain.notes == []
    monkeypatch.setattr("inforeg.solve.dense.safety._LEAST", 0.75)
    held = brief()(*images)
    (note,) = held.notes
    assert "smoothed" in note
    least = [float(jacobian_determinants(found.transform, found.fixed.grid).min()) for found in (plain, held)]
    assert least[0] < 0.65 < least[1]


@pytest.mark.parametrize("ndim", [2, 3])
def test_an_image_and_itself_are_hardly_moved(ndim: int) -> None:
    """A tenth of a voxel anywhere in the head; another noise a third, as the noise is followed."""
    grid = field_of_view(ndim, SPACING_MM[ndim])
    image, again = phantom(grid), phantom(grid, seed=9)
    data = image.data.clone()
    points = landmarks(ndim)
    assert float(moved_mm(brief()(image, image).transform, points).max()) < 0.1 * SPACING_MM[ndim]
    assert float(moved_mm(brief()(image, again).transform, points).max()) < 0.35 * SPACING_MM[ndim]
    assert torch.equal(image.data, data)


def test_a_pose_is_found_before_the_deformation() -> None:
    """By the stages that stand before; 25 degrees and centimetres away, with nothing said."""
    warp, away = smooth(2, 4.0, 1), turn(25.0, 2, (12.0, -9.0))
    truth = Composite((away, warp))
    fixed = phantom(field_of_view(2, 2.5))
    moving = phantom(field_of_view(2, 2.6, 95.0), "t2", truth, seed=5)  # type: ignore[arg-type]
    told: list[tuple[str, float]] = []
    result = deformable()(fixed, moving, progress=lambda what, share: told.append((what, share)))
    points = landmarks(2)
    assert off_mm(away, truth, points) > 2.5
    assert off_mm(result.transform, truth, points) < 0.4 * off_mm(away, truth, points)
    assert [stage.name for stage in result.stages] == ["rigid", "affine", "svf"]
    assert result.method == "svf" and result.quality.margin is not None
    parts = result.transform.parts  # type: ignore[attr-defined]
    assert torch.equal(parts[0].matrix, result.stages[1].transform.matrix)  # type: ignore[attr-defined]
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1
    assert {"search", "deformation", "check"} <= {what for what, _ in told}
    last = result.stages[-1]
    assert len(last.metric) == len(last.spacing_mm) > 3
    assert last.spacing_mm == sorted(last.spacing_mm, reverse=True)


def test_a_given_start_is_deformed_from() -> None:
    truth, away = smooth(2, 4.0, 1), turn(40.0, 2, (5.0, 3.0))
    fixed = phantom(field_of_view(2, 2.5))
    moving = phantom(field_of_view(2, 2.5, 95.0), "t2", Composite((away, truth)), seed=5)  # type: ignore[arg-type]
    result = Deformable(stages=())(fixed, moving, away)
    assert torch.equal(result.transform.parts[0].matrix, away.matrix)  # type: ignore[attr-defined]
    assert [stage.name for stage in result.stages] == ["svf"]
    points = landmarks(2)
    # The rest is as without the turn.
    assert off_mm(result.transform, Composite((away, truth)), points) < 0.45 * off_mm(
        Linear.identity(2), truth, points
    )


def test_a_projective_start_is_refused() -> None:
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[2, 0] = 1e-3
    with pytest.raises(UsageError, match="affine") as caught:
        Deformable(stages=())(*pair(2), Linear(matrix))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_same_seed_gives_the_same_bits(ndim: int) -> None:
    """And what a result says of itself makes it again; the global stream is left alone."""
    first, truth = run(ndim)
    before = torch.random.get_rng_state()
    again = from_settings(first.settings, "svf")(*pair(ndim, truth))
    assert torch.equal(velocity_of(again).vectors, velocity_of(first).vectors)
    assert again.stages[-1].metric == first.stages[-1].metric
    assert again.quality == first.quality or vars(again.quality) == vars(first.quality)
    assert torch.equal(torch.random.get_rng_state(), before)


def placed(image: Image, matrix: Tensor) -> Image:
    return Image(image.data, Grid(image.grid.shape, matrix @ image.grid.voxel_to_world))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("kind", ["turned", "mirrored"])
def test_how_the_world_lies_does_not_matter(ndim: int, kind: str) -> None:
    """Both headers turned about, or mirrored, and carried away: the same deformation, turned."""
    result, truth = run(ndim)
    matrix = torch.eye(ndim + 1, dtype=torch.float64)
    matrix[:ndim, :ndim] = rotation([0.7] if ndim == 2 else [0.7, -0.4, 1.1])
    if kind == "mirrored":
        matrix[0] *= -1
    matrix[:ndim, ndim] = torch.tensor([130.0, -40.0, 77.0][:ndim])
    there = Linear(matrix)
    other = brief(smoothness_mm=SMOOTH_MM)(*(placed(image, matrix) for image in pair(ndim, truth)))
    points = landmarks(ndim)
    apart = (other.transform(there(points)) - there(result.transform(points))).norm(dim=1)
    # Rounding of places in float32, through dozens of steps.
    assert float(apart.max()) < 0.01 * SPACING_MM[ndim]


def test_which_way_voxels_are_stored_does_not_matter() -> None:
    """Axes exchanged and one reversed in both images: the same place in the world goes to the same place.

    To a tenth of a voxel: blocks and thinned voxels are counted from the other end.
    """
    result, truth = run(3)
    turned = []
    for image in pair(3, truth):
        matrix = image.grid.voxel_to_world[:, [2, 0, 1, 3]].clone()
        data = image.data.permute(0, 1, 4, 2, 3).flip(2).contiguous()
        matrix[:3, 3] += matrix[:3, 0] * (data.shape[2] - 1)
        matrix[:3, 0] *= -1
        turned.append(Image(data, Grid(tuple(data.shape[2:]), matrix)))
    points = landmarks(3)
    assert torch.allclose(turned[0].grid.points_mm().sum(0), result.fixed.grid.points_mm().sum(0), atol=1e-6)
    other = brief(smoothness_mm=SMOOTH_MM)(*turned)
    assert (
        float((other.transform(points) - result.transform(points)).norm(dim=1).mean()) < 0.1 * SPACING_MM[3]
    )


def test_what_differs_by_light_alone_is_not_pulled_apart() -> None:
    """A coil that makes half of the image twice as bright moves nothing by more than half a voxel on average."""
    grid = field_of_view(2, SPACING_MM[2])
    result = brief()(phantom(grid), phantom(grid, "t1", shading=0.5, seed=4))
    assert float(moved_mm(result.transform, landmarks(2)).mean()) < 0.5 * SPACING_MM[2]


@pytest.mark.parametrize("levels", [0, 1])
def test_what_diverges_is_a_failed_result_and_no_crash(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the first level nothing is left but the linear transform, on a later one what the levels before it found."""
    from inforeg.methods import dense

    taken: list[object] = []
    plain = dense.deform

    def sometimes(*given: object) -> object:
        if len(taken) == levels:
            raise FloatingPointError
        taken.append(given)
        return plain(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(dense, "deform", sometimes)
    grid = field_of_view(2, 1.5)
    moving = phantom(grid, "t2", smooth(2, 4.0, 3), seed=5)  # type: ignore[arg-type]
    result = brief()(phantom(grid), moving)
    assert result.status == "diverged" and result.quality.verdict == "failed"
    points = landmarks(2)
    moved = float((result.transform(points) - points).norm(dim=1).max())
    assert (moved > 0.5) == bool(levels)
