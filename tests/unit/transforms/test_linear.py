from math import pi

import pytest
import torch
from strategies import points, rotation

from inforeg.errors import NotInvertible, UsageError
from inforeg.transforms import Composite, Linear, group
from inforeg.transforms.linear import compose

EYE = torch.eye(4, dtype=torch.float64)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (torch.eye(2), "3x3 or 4x4"),
        (torch.ones(3, 4), "3x3 or 4x4"),
        (EYE * float("inf"), "finite"),
        (torch.diag(torch.tensor([1.0, 1, 1, 0])), "last entry"),
    ],
)
def test_what_is_no_transform_is_refused(matrix: torch.Tensor, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        Linear(matrix)


def test_the_matrix_is_scaled_so_that_its_last_entry_is_one() -> None:
    matrix = EYE.clone() * 4
    matrix[0, 3] = 8
    assert Linear(matrix).matrix[:, 3].tolist() == [2.0, 0.0, 0.0, 1.0]


def test_about_a_centre_as_itk_writes_it() -> None:
    linear, centre, shift = (
        rotation([0.3, 0.2, 0.1]),
        torch.tensor([10.0, 20, 30]).double(),
        torch.ones(3).double(),
    )
    transform = Linear.about(linear, centre, shift)
    p = points(3)
    assert torch.allclose(transform(p), (p - centre) @ linear.T + centre + shift, atol=1e-12)


def test_points_keep_their_type_and_leading_axes() -> None:
    transform = Linear.translation(torch.ones(3, dtype=torch.float64))
    p = torch.rand(2, 5, 7, 3)
    assert transform(p).shape == p.shape
    assert transform(p).dtype == torch.float32
    assert transform(p.double()).dtype == torch.float64


def test_projective_divides_by_its_last_coordinate() -> None:
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[2, 0] = 0.5
    transform = Linear(matrix)
    assert not transform.is_affine
    assert transform(torch.tensor([[2.0, 3.0]])).tolist() == [[1.0, 1.5]]
    assert transform(torch.tensor([[[2.0, 3.0]], [[0.0, 1.0]]])).tolist() == [[[1.0, 1.5]], [[0.0, 1.0]]]


def test_a_singular_matrix_has_no_inverse() -> None:
    flat = Linear(torch.diag(torch.tensor([1.0, 1, 0, 1])))
    with pytest.raises(NotInvertible, match="singular"):
        flat.inverse()


def test_dimensions_do_not_mix() -> None:
    with pytest.raises(UsageError, match="2-D"):
        Linear.identity(3) @ Linear.identity(2)
    with pytest.raises(UsageError, match="dimension"):
        Composite((Linear.identity(3), Linear.identity(2)))
    with pytest.raises(UsageError, match="at least one"):
        Composite(())


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["translation", "rigid", "similarity", "affine"])
def test_log_undoes_exp(name: str, ndim: int, capfd: pytest.CaptureFixture[str]) -> None:
    which = group(name, ndim)
    v = torch.linspace(-0.9, 1.1, which.size, dtype=torch.float64)
    centre = torch.full((ndim,), 5.0, dtype=torch.float64)
    transform = which.exp(v, centre, 60.0)
    assert torch.allclose(
        Linear(torch.linalg.matrix_exp(transform.log())).matrix, transform.matrix, atol=1e-9
    )
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "matrix",
    [torch.diag(torch.tensor([-1.0, 1, 1, 1])), torch.diag(torch.tensor([-1.0, -2.0, 1.0, 1.0]))],
    ids=["reflection", "two different negative eigenvalues"],
)
def test_what_has_no_real_logarithm_says_so(matrix: torch.Tensor, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotInvertible, match="logarithm"):
        Linear(matrix).log()
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("angle", [0.0, 0.1, 1.0, 3.0, pi])
def test_the_angle_of_a_rotation(angle: float) -> None:
    for angles in ([angle], [0.0, angle, 0.0]):
        r = rotation(angles)
        for scale in (1.0, 3.0):
            transform = Linear.about(r * scale, torch.zeros(len(r)).double(), torch.ones(len(r)).double())
            assert transform.rotation_angle_deg() == pytest.approx(angle * 180 / pi, abs=1e-5)


def test_linear_neighbours_become_one_matrix() -> None:
    a, b, c = (
        group("affine", 3).exp(torch.randn(12).double() * 0.1, torch.zeros(3).double(), 50.0)
        for _ in range(3)
    )
    product = compose([a, b, c])
    assert isinstance(product, Linear)
    assert torch.allclose(product(points(3)), a(b(c(points(3)))), atol=1e-9)
    assert isinstance(compose([a]), Linear)


def test_a_composite_applies_its_last_part_first_and_is_flat() -> None:
    double = Linear(torch.diag(torch.tensor([2.0, 2, 2, 1])).double())
    shift = Linear.translation(torch.ones(3, dtype=torch.float64))
    chain = Composite((double, Composite((shift, shift))))
    assert len(chain.parts) == 3
    assert chain(torch.zeros(1, 3)).tolist() == [[4.0, 4.0, 4.0]]
    assert chain.inverse()(torch.full((1, 3), 4.0)).tolist() == [[0.0, 0.0, 0.0]]
