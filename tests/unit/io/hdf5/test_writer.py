import io

import h5py
import numpy as np
import pytest
import SimpleITK as sitk

from inforeg.io.hdf5.writer import Group, hdf5_bytes, hdf5_pieces, lookup3


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"", 0xDEADBEEF), (b"Four score and seven years ago", 0x17770551)],
)
def test_the_check_sum_is_the_one_of_its_author(text: bytes, expected: int) -> None:
    assert lookup3(text) == expected


TREE = Group(
    {
        "group": {"text": "words", "numbers": np.arange(3.0)},
        "more": "words",
        "inner": Group({"single": np.arange(6, dtype=np.float32).reshape(2, 3)}, {"kind": "inner"}),
        "strange": np.arange(4.0)[::-1],
        "big": np.arange(4, dtype=">f8"),
        "one": np.array(3.5),
        "none": np.empty((0, 3)),
        "names": np.array([b"space", b"vector"]),
        "name": np.array(b"0/1"),
        **{name: np.array([1, 2, 100], name) for name in ("int8", "uint8", "int16", "uint16", "int64")},
    },
    {"Format": "X5", "Version": np.array(1, np.uint16), "many": np.arange(3.0)},
)


def test_the_same_content_gives_the_same_bytes() -> None:
    assert hdf5_bytes(TREE) == hdf5_bytes(TREE)


def test_the_library_reads_what_we_write() -> None:
    with h5py.File(io.BytesIO(hdf5_bytes(TREE))) as file:
        assert file.attrs["Format"] == "X5"
        assert file.attrs["Version"] == 1 and file.attrs["Version"].dtype == np.uint16
        assert file.attrs["many"].tolist() == [0, 1, 2]
        assert file["inner"].attrs["kind"] == "inner"
        assert file["group/text"][()].tolist() == [b"words"] and file["more"][0] == b"words"
        assert file["name"][()] == b"0/1"
        for name, value in TREE.tree.items():
            if isinstance(value, np.ndarray):
                assert file[name].shape == value.shape
                assert file[name].dtype == value.dtype.newbyteorder("<")
                np.testing.assert_array_equal(file[name][()], value)
        np.testing.assert_array_equal(file["inner/single"][()], TREE.tree["inner"].tree["single"])


def test_large_arrays_are_not_copied() -> None:
    large = np.arange(1000.0)
    assert any(
        np.shares_memory(np.frombuffer(piece, np.uint8), large)
        for piece in hdf5_pieces({"large": large})
        if len(piece) == large.nbytes
    )


def test_itk_reads_a_chain_of_many_parts(tmp_path) -> None:
    """More links than HDF5 keeps in a header by default, and more strings than one."""
    d = 3
    group = {"0": {"TransformType": f"CompositeTransform_double_{d}_{d}"}}
    for n in range(1, 41):
        shift = np.array([1.0, 0, 0, 0, 1, 0, 0, 0, 1, n, 0, 0])
        group[str(n)] = {
            "TransformType": f"AffineTransform_double_{d}_{d}",
            "TransformFixedParameters": np.zeros(d),
            "TransformParameters": shift,
        }
    (tmp_path / "t.h5").write_bytes(hdf5_bytes({"TransformGroup": group}))
    read = sitk.ReadTransform(str(tmp_path / "t.h5"))
    assert read.GetNumberOfTransforms() == 40
    assert read.TransformPoint((0.0, 0.0, 0.0))[0] == sum(range(1, 41))
