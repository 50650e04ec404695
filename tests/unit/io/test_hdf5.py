import numpy as np
import pytest
import SimpleITK as sitk

from inforeg.io.hdf5 import hdf5_bytes, lookup3


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"", 0xDEADBEEF), (b"Four score and seven years ago", 0x17770551)],
)
def test_the_check_sum_is_the_one_of_its_author(text: bytes, expected: int) -> None:
    assert lookup3(text) == expected


def test_the_same_content_gives_the_same_bytes() -> None:
    tree = {"group": {"text": "words", "numbers": np.arange(3.0)}, "more": "words"}
    assert hdf5_bytes(tree) == hdf5_bytes(tree)


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
