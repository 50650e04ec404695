from pathlib import Path

import pytest
import torch
from damage import read_damaged
from strategies import points

from inforeg.errors import ReadError, UsageError, WriteError
from inforeg.io import read_transform, write_transform
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear, group

ENDINGS = [".txt", ".csv", ".mat"]


def linear(seed: int = 0, ndim: int = 3, name: str = "affine") -> Linear:
    which = group(name, ndim)
    parameters = torch.randn(which.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return which.exp(0.3 * parameters, torch.arange(ndim, dtype=torch.float64) * 7, 80.0)


def read(path: Path) -> Linear:
    found = read_transform(path, format="plain")
    assert isinstance(found, Linear)
    return found


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["affine", "projective"])
def test_every_digit_survives(tmp_path: Path, ending: str, ndim: int, name: str) -> None:
    transform = linear(3, ndim, name)
    write_transform(transform, tmp_path / f"a{ending}", format="plain")
    assert torch.equal(read(tmp_path / f"a{ending}").matrix, transform.matrix)


def test_a_shift_is_where_it_says_it_is(tmp_path: Path) -> None:
    """RAS+, fixed to moving: no sign and no direction is changed."""
    (tmp_path / "a.txt").write_text("1 0 0 10\n0 1 0 20\n0 0 1 30\n0 0 0 1\n")
    found = read_transform(tmp_path / "a.txt")
    assert found(torch.zeros(1, 3, dtype=torch.float64)).tolist() == [[10.0, 20.0, 30.0]]
    write_transform(Linear.translation(torch.tensor([1.0, 2.0])), tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == "1.0,0.0,1.0\n0.0,1.0,2.0\n0.0,0.0,1.0\n"


def test_blanks_tabs_commas_and_notes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("# made by hand\n\n1,0 ,\t5\n 0, 1, 6 # a note\r\n0 0 1\n")
    assert read(tmp_path / "a.csv").matrix.tolist() == [[1, 0, 5], [0, 1, 6], [0, 0, 1]]


def test_txt_is_itks_unless_plain_is_said_and_is_read_by_what_it_holds(tmp_path: Path) -> None:
    write_transform(linear(), tmp_path / "itk.txt")
    write_transform(linear(), tmp_path / "plain.txt", format="plain")
    assert (tmp_path / "itk.txt").read_text().startswith("#Insight Transform File")
    for name in ("itk.txt", "plain.txt"):
        torch.testing.assert_close(
            read_transform(tmp_path / name)(points(3)), linear()(points(3)), rtol=0, atol=1e-9
        )


def test_a_mat_of_text_is_never_guessed(tmp_path: Path) -> None:
    write_transform(linear(), tmp_path / "a.mat", format="plain")
    with pytest.raises(UsageError, match=r"fsl and plain.*--from"):
        read_transform(tmp_path / "a.mat")
    assert torch.equal(read(tmp_path / "a.mat").matrix, linear().matrix)


BAD = {
    "empty": "",
    "nothing but notes": "# 1 0 0\n",
    "two by two": "1 0\n0 1\n",
    "three by four": "1 0 0 0\n0 1 0 0\n0 0 1 0\n",
    "five by five": "1 0 0 0 0\n" * 5,
    "hexadecimal": "0x1 0 0\n0 1 0\n0 0 1\n",
    "underscores": "1_0 0 0\n0 1 0\n0 0 1\n",
    "NaN": "nan 0 0\n0 1 0\n0 0 1\n",
    "last entry zero": "1 0 0\n0 1 0\n0 0 0\n",
    "semicolons": "1;0;0\n0;1;0\n0;0;1\n",
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", [None, "plain"])
def test_what_is_no_matrix_is_one_line(tmp_path: Path, case: str, name: str | None) -> None:
    path = tmp_path / "a.csv"
    path.write_text(BAD[case])
    with pytest.raises(ReadError) as caught:
        read_transform(path, format=name)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_warps_are_refused(tmp_path: Path) -> None:
    field = Displacement.of(linear(), Grid.from_spacing((4, 4, 4), 20.0))
    with pytest.raises(WriteError, match="Displacement"):
        write_transform(Composite((field, linear())), tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".txt", ".csv"])
def test_damage_is_an_error_or_still_a_matrix(tmp_path: Path, ending: str) -> None:
    write_transform(linear(name="projective"), tmp_path / f"good{ending}", format="plain")
    content = (tmp_path / f"good{ending}").read_bytes()
    survivors = read_damaged(tmp_path / f"bad{ending}", content)
    assert all(isinstance(found, Linear) for found in survivors)
    assert 0 < len(survivors) < 200
