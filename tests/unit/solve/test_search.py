import numpy as np
import pytest
import torch
from strategies import rotation

from inforeg.image import Image
from inforeg.solve.search import (
    PoseScore,
    information_of_counts,
    rotation_angle_deg,
    rotations_2d,
    rotations_3d,
)
from inforeg.space import Grid


def random_rotations(count: int, seed: int = 0) -> torch.Tensor:
    """Evenly distributed over SO(3), from the QR decomposition of normal matrices."""
    generator = torch.Generator().manual_seed(seed)
    q, r = torch.linalg.qr(torch.randn(count, 3, 3, generator=generator, dtype=torch.float64))
    q = q * torch.sign(r.diagonal(dim1=1, dim2=2))[:, None, :]
    return q * torch.linalg.det(q)[:, None, None]


def angles_deg(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The angle between every rotation of one set and every one of another, by their traces."""
    trace = torch.einsum("aij,bij->ab", a, b)
    return torch.rad2deg(torch.arccos(((trace - 1) / 2).clamp(-1, 1)))


@pytest.mark.parametrize("count", [100, 1000, 3000])
def test_they_are_rotations(count: int) -> None:
    for found in (rotations_3d(count), rotations_2d(count)):
        eye = torch.eye(found.shape[-1], dtype=torch.float64).expand_as(found)
        assert len(found) == count
        assert torch.allclose(found @ found.transpose(1, 2), eye, atol=1e-12)
        assert torch.allclose(torch.linalg.det(found), torch.ones(count, dtype=torch.float64), atol=1e-12)


def test_no_rotation_is_far_from_all_of_them() -> None:
    """An even cover by 3,000 has balls of about 11 degrees; no hole may be twice that."""
    nearest = angles_deg(random_rotations(3000), rotations_3d(3000)).min(dim=1).values
    assert float(nearest.max()) < 19
    assert float(nearest.mean()) < 10
    # Fewer must be worse, or the test measures nothing.
    assert float(angles_deg(random_rotations(3000), rotations_3d(300)).min(dim=1).values.max()) > 25


def test_no_two_of_them_are_close_to_each_other() -> None:
    some = rotations_3d(1000)
    between = angles_deg(some, some) + 1e3 * torch.eye(1000, dtype=torch.float64)
    assert float(between.min()) > 8


def test_rotations_of_the_plane_are_evenly_spaced_from_none() -> None:
    found = rotations_2d(180)
    assert torch.equal(found[0], torch.eye(2, dtype=torch.float64))
    steps = rotation_angle_deg(found, found.roll(-1, 0))
    assert torch.allclose(steps, torch.full((180,), 2.0, dtype=torch.float64), atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_angles_between_rotations_do_not_mind_a_scale(scale: float) -> None:
    for angle in (5.0, 60.0, 179.0):
        for base in ([0.3], [0.3, -0.5, 1.0]):
            a = rotation(base)
            turn = rotation([np.deg2rad(angle)] + [0.0] * (len(base) - 1))
            assert float(rotation_angle_deg(a, scale * a @ turn)) == pytest.approx(angle, abs=1e-4)


def textured(shape: tuple[int, ...], seed: int) -> Image:
    data = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(seed)) * 1.2 - 0.1
    matrix = torch.eye(len(shape) + 1, dtype=torch.float64)
    matrix[:-1, :-1] = rotation([0.3] * (2 * len(shape) - 3)) @ torch.diag(
        torch.tensor([1.0, 2.0, 1.5][: len(shape)], dtype=torch.float64)
    )
    return Image(data, Grid(shape, matrix))


def plain_score(
    points: torch.Tensor, values: torch.Tensor, moving: Image, matrix: torch.Tensor, bins: int
) -> float:
    """The same, one sample at a time."""
    table = np.zeros((bins, bins))
    d = points.shape[1]
    for point, value in zip(points.double(), values, strict=True):
        world = matrix[:d, :d] @ point + matrix[:d, d]
        voxel = torch.floor(moving.grid.to_voxel(world) + 0.5).long().tolist()
        if any(not 0 <= v < n for v, n in zip(voxel, moving.grid.shape, strict=True)):
            continue
        m = float(moving.data[0, 0][tuple(voxel)])
        row, column = (int(np.floor(min(max(float(v), 0), 1) * (bins - 1) + 0.5)) for v in (value, m))
        for step, weight in ((-1, 0.25), (0, 0.5), (1, 0.25)):
            if 0 <= column + step < bins:
                table[row, column + step] += weight
    p = table / table.sum()
    product = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)
    return float((p[p > 0] * np.log(p[p > 0] / product[p > 0])).sum() * table.sum() / len(points))


@pytest.mark.parametrize("shape", [(9, 7), (6, 8, 5)])
def test_scores_are_those_of_counting_one_by_one(shape: tuple[int, ...]) -> None:
    d = len(shape)
    moving = textured(shape, 1)
    generator = torch.Generator().manual_seed(2)
    points = moving.grid.to_world(
        torch.rand(150, d, generator=generator, dtype=torch.float64) * (torch.tensor(shape) + 2) - 1.5
    )
    values = torch.rand(150, generator=generator)
    rotations = [rotation([a] * (2 * d - 3)) for a in (0.0, 0.4, 2.0)]
    matrices = torch.eye(d + 1, dtype=torch.float64).repeat(3, 1, 1)
    matrices[:, :d, :d] = torch.stack(rotations)
    matrices[1, :d, d] = 2.0
    # A pose that leads outside altogether shares nothing.
    nowhere = torch.eye(d + 1, dtype=torch.float64)
    nowhere[0, d] = 1e4
    scores = PoseScore(points, values, moving, bins=6)(torch.cat((matrices, nowhere[None])))
    for matrix, score in zip(matrices, scores, strict=False):
        assert float(score) == pytest.approx(plain_score(points, values, moving, matrix, 6), abs=1e-5)
    assert float(scores[-1]) == 0


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    moving = textured((6, 8, 5), 1)
    points = moving.grid.points_mm()[::3]
    score = PoseScore(points, torch.rand(len(points), generator=torch.Generator().manual_seed(0)), moving)
    matrices = torch.eye(4, dtype=torch.float64).repeat(50, 1, 1)
    matrices[:, :3, :3] = rotations_3d(50)
    whole = score(matrices)
    monkeypatch.setattr("inforeg.solve.search._BLOCK", 7 * len(points))
    assert torch.allclose(score(matrices), whole, atol=1e-6)


def test_information_of_counts_in_closed_form() -> None:
    independent = torch.outer(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([4.0, 1.0]))
    assert float(information_of_counts(independent, 30)) == pytest.approx(0.0, abs=1e-6)
    # Four equal values that are known from each other are log 4; of eight drawn, half were outside.
    assert float(information_of_counts(torch.eye(4), 4)) == pytest.approx(np.log(4), rel=1e-6)
    assert float(information_of_counts(torch.eye(4), 8)) == pytest.approx(np.log(4) / 2, rel=1e-6)
    assert float(information_of_counts(torch.zeros(4, 4), 8)) == 0
