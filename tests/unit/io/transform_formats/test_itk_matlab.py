import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import read_damaged
from nitransforms.linear import load
from scipy.io import loadmat, savemat
from strategies import points

from inforeg.errors import ReadError, WriteError
from inforeg.io import read_transform, write_transform
from inforeg.transforms import Composite, Linear, group

NAME = "AffineTransform_double_3_3"


def affine(ndim: int = 3, seed: int = 0) -> Linear:
    which = group("affine", ndim)
    parameters = torch.randn(which.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return which.exp(0.3 * parameters, torch.arange(ndim, dtype=torch.float64) * 7, 80.0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_it_is_as_ants_writes_it(tmp_path: Path, ndim: int) -> None:
    centre = torch.arange(ndim, dtype=torch.float64) + 1
    write_transform(affine(ndim), tmp_path / "0GenericAffine.mat", centre_mm=centre)
    data = (tmp_path / "0GenericAffine.mat").read_bytes()
    name = f"AffineTransform_double_{ndim}_{ndim}".encode() + b"\0"
    count = ndim * ndim + ndim
    assert data[:20] == struct.pack("<5i", 0, count, 1, 0, 27)
    assert data[20:47] == name
    assert data[47 + 8 * count :][:20] == struct.pack("<5i", 0, ndim, 1, 0, 6)
    found = loadmat(tmp_path / "0GenericAffine.mat")
    assert found["fixed"].ravel().tolist() == [-1.0, -2.0, 3.0][:ndim]
    assert found[name[:-1].decode()].shape == (count, 1)


def test_nitransforms_reads_it(tmp_path: Path) -> None:
    write_transform(affine(), tmp_path / "a.mat")
    theirs = load(str(tmp_path / "a.mat"), fmt="itk")
    at = points(3).float().double()
    np.testing.assert_allclose(theirs.map(at.numpy()), affine()(at).numpy(), rtol=0, atol=1e-9)


def test_a_chain_of_matrices_becomes_one(tmp_path: Path) -> None:
    chain = Composite((affine(seed=1), affine(seed=2)))
    write_transform(chain, tmp_path / "a.mat")
    read = read_transform(tmp_path / "a.mat")
    assert isinstance(read, Linear)
    torch.testing.assert_close(read(points(3)), chain(points(3)), rtol=0, atol=1e-9)


def matrix(dtype: str, order: str, kind: int) -> bytes:
    values = np.array([1, 0, 0, 0, 1, 0, 0, 0, 1, 3, 4, 5])
    found = b""
    for name, numbers in ((NAME, values), ("fixed", np.zeros(3))):
        found += struct.pack(f"{order}5i", kind, len(numbers), 1, 0, len(name) + 1)
        found += name.encode() + b"\0" + numbers.astype(order + dtype).tobytes()
    return found


@pytest.mark.parametrize(
    ("dtype", "order", "kind"),
    [("f8", "<", 0), ("f4", "<", 10), ("i4", "<", 20), ("i2", "<", 30), ("u1", "<", 50), ("f8", ">", 1000)],
)
def test_every_kind_of_number_and_order(tmp_path: Path, dtype: str, order: str, kind: int) -> None:
    (tmp_path / "a.mat").write_bytes(matrix(dtype, order, kind))
    assert read_transform(tmp_path / "a.mat")(torch.zeros(1, 3)).tolist() == [[-3.0, -4.0, 5.0]]


GOOD = matrix("f8", "<", 0)
BAD = {
    "no centre": (GOOD[: -20 - 6 - 24], "cut short"),
    "half a centre": (GOOD[:-1], "cut short"),
    "half a head": (GOOD + GOOD[:19], "Matlab 4"),
    "a series": (GOOD + GOOD, "2 transforms and no composite"),
    "terabytes": (GOOD[:4] + struct.pack("<i", 1 << 30) + GOOD[8:], "promises 1073741824"),
    "negative": (GOOD[:4] + struct.pack("<i", -1) + GOOD[8:], "damaged"),
    "complex": (GOOD[:12] + struct.pack("<i", 1) + GOOD[16:], "damaged"),
    "a composite": (GOOD.replace(NAME.encode(), b"CompositeTransform_dble_33"), "without its parts"),
    "another order": (GOOD + GOOD[20 + 27 + 96 :], "named fixed|cut short"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line(tmp_path: Path, case: str) -> None:
    data, said = BAD[case]
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(ReadError, match=said) as caught:
        read_transform(tmp_path / "a.mat")
    assert str(tmp_path / "a.mat") in str(caught.value) and "\n" not in str(caught.value)


def test_matlab_5_is_another_kind_of_file(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {NAME: np.zeros((12, 1)), "fixed": np.zeros((3, 1))})
    with pytest.raises(ReadError, match=r"Matlab 5|holds none"):
        read_transform(tmp_path / "a.mat", format="itk")


@pytest.mark.timeout(60)
def test_damage_gives_an_error_or_a_transform(tmp_path: Path) -> None:
    write_transform(affine(), tmp_path / "a.mat")
    for transform in read_damaged(tmp_path / "a.mat", (tmp_path / "a.mat").read_bytes()):
        assert transform(points(3)).shape == points(3).shape


def test_warps_are_refused(tmp_path: Path) -> None:
    from inforeg.space import Grid
    from inforeg.transforms import Displacement

    field = Displacement(torch.zeros(3, 4, 4, 4), Grid.from_spacing((4, 4, 4)))
    with pytest.raises(WriteError, match=r"\.h5"):
        write_transform(Composite((affine(), field)), tmp_path / "a.mat")
    assert list(tmp_path.iterdir()) == []
