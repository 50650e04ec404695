import logging
import zlib
from base64 import b64encode
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from point_samples import NUMBERS, gifti

from inforeg.errors import ReadError
from inforeg.io import read_point_set, read_points, write_point_set

# A volume as FreeSurfer conforms it: its axes in the scanner are those of its own frame.
CONFORMED = {
    "VolGeomX_R": "-1", "VolGeomX_A": "0", "VolGeomX_S": "0",
    "VolGeomY_R": "0", "VolGeomY_A": "0", "VolGeomY_S": "-1",
    "VolGeomZ_R": "0", "VolGeomZ_A": "1", "VolGeomZ_S": "0",
    "VolGeomC_R": "5.5", "VolGeomC_A": "-17.25", "VolGeomC_S": "30",
}  # fmt: skip
SCANNER = b"<DataSpace><![CDATA[NIFTI_XFORM_SCANNER_ANAT]]>"


def stored(path: Path) -> np.ndarray:
    """The numbers as nibabel finds them in the file."""
    image = nib.load(path)
    return np.asarray(image.agg_data("pointset"))  # type: ignore[attr-defined]


def test_surfaces_of_freesurfer_come_to_the_scanner_and_go_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.gii").write_bytes(gifti(**CONFORMED))
    with caplog.at_level(logging.WARNING, "inforeg"):
        found = read_point_set(tmp_path / "a.gii")
    assert [r.getMessage() for r in caplog.records] == [
        f"{tmp_path / 'a.gii'}: taken from FreeSurfer's surface frame to the scanner's by the volume it names"
    ]
    np.testing.assert_allclose(found.points_mm, NUMBERS + np.array([5.5, -17.25, 30]), atol=1e-12)
    write_point_set(found.moved(found.points_mm + 2), tmp_path / "b.gii")
    np.testing.assert_array_equal(stored(tmp_path / "b.gii"), NUMBERS + 2)


def test_a_volume_in_other_axes(tmp_path: Path) -> None:
    """By nibabel's rules for the two frames of an MGH volume, whose shape and spacing drop out."""
    from nibabel.freesurfer.mghformat import MGHHeader

    header = MGHHeader()
    header.set_data_shape((100, 120, 80))
    header["delta"] = 0.8, 1.1, 2.0
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    header["Mdc"], header["Pxyz_c"] = turn.T, (4.0, 5.0, 6.0)
    meta = {
        f"VolGeom{column}_{row}": repr(float(turn[r, c]))
        for r, row in enumerate("RAS")
        for c, column in enumerate("XYZ")
    }
    centre = {"VolGeomC_R": "4", "VolGeomC_A": "5", "VolGeomC_S": "6"}
    (tmp_path / "a.gii").write_bytes(gifti(**meta, **centre))
    to_scanner = header.get_affine() @ np.linalg.inv(header.get_vox2ras_tkr())
    expected = NUMBERS @ to_scanner[:3, :3].T + to_scanner[:3, 3]
    np.testing.assert_allclose(read_points(tmp_path / "a.gii"), expected, atol=1e-4)


@pytest.mark.parametrize("change", ["no volume", "centre of 0", "scanner"])
def test_surfaces_that_are_in_the_scanner(
    tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    zero = {"VolGeomC_R": "0.000000", "VolGeomC_A": "0.000000", "VolGeomC_S": "0.000000"}
    meta = {"no volume": {}, "centre of 0": {**CONFORMED, **zero}, "scanner": CONFORMED}[change]
    content = gifti(**meta)
    if change == "scanner":
        content = content.replace(b"<DataSpace>NIFTI_XFORM_UNKNOWN", SCANNER, 1)
        assert SCANNER in content
    (tmp_path / "a.gii").write_bytes(content)
    np.testing.assert_array_equal(read_points(tmp_path / "a.gii"), NUMBERS)
    assert not caplog.records


def test_a_surface_of_two_frames_is_refused(tmp_path: Path) -> None:
    system = (
        b"<CoordinateSystemTransformMatrix>" + SCANNER + b"</DataSpace></CoordinateSystemTransformMatrix>"
    )
    (tmp_path / "a.gii").write_bytes(gifti(**CONFORMED).replace(b"<Data>", system + b"<Data>", 1))
    with pytest.raises(ReadError, match="one DataSpace"):
        read_points(tmp_path / "a.gii")


def test_all_else_stays_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "a.gii").write_bytes(gifti())
    found = read_point_set(tmp_path / "a.gii")
    write_point_set(found.moved(found.points_mm * 2), tmp_path / "b.gii")
    old, new = (tmp_path / "a.gii").read_bytes(), (tmp_path / "b.gii").read_bytes()
    (a, _, b), (c, _, d) = (x.partition(b"<Data>") for x in (old, new))
    assert a == c
    assert b.partition(b"</Data>")[2] == d.partition(b"</Data>")[2]


GOOD = gifti()
BOMB = b64encode(zlib.compress(bytes(50_000_000)))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"NIFTI_INTENT_POINTSET", b"NIFTI_INTENT_SHAPE", "one array of points"),
        (b"NIFTI_INTENT_TRIANGLE", b"NIFTI_INTENT_POINTSET", "got 2 in 'GIFTI'"),
        (b'"GZipBase64Binary"', b'"ExternalFileBinary"', "got 'ExternalFileBinary'"),
        (b'"GZipBase64Binary"', b'"Base64Binary"', "bytes"),
        (b'"GZipBase64Binary"', b'"ASCII"', "cut short|expected 15 numbers"),
        (b"NIFTI_TYPE_FLOAT32", b"NIFTI_TYPE_INT32", "points of type"),
        (b'Dim0="5"', b'Dim0="4"', "expected 48 bytes"),
        (b'Dim0="5"', b'Dim0="6"', "expected 72 bytes"),
        (b'Dim0="5"', b'Dim0="99999999999"', "cut short"),
        (b'Dim0="5"', b'Dim0="five"', "number of points"),
        (b'Dim1="3"', b'Dim1="2"', "three coordinates"),
        (b"RowMajorOrder", b"SomeOrder", "RowMajorOrder or ColumnMajorOrder"),
        (b"<Data>", b"<Data>" + BOMB + b"</Data></DataArray><DataArray><Data>", "expected 60 bytes"),
        (b"<Data>", b"<Data>!", "base64 is damaged"),
        (b"<Data>", b"<Data><b/>", "three coordinates"),
        (b"</GIFTI>", b"", "damaged or of another kind"),
        (b"UTF-8", b"UTF-7", "XML"),
    ],
)
def test_damaged_files(tmp_path: Path, old: bytes, new: bytes, expected: str) -> None:
    assert old in GOOD
    (tmp_path / "a.gii").write_bytes(GOOD.replace(old, new, 1))
    with pytest.raises(ReadError, match=expected) as caught:
        read_points(tmp_path / "a.gii")
    assert "\n" not in str(caught.value)


def test_a_volume_that_makes_no_sense(tmp_path: Path) -> None:
    (tmp_path / "a.gii").write_bytes(gifti(**{**CONFORMED, "VolGeomX_R": "0"}))
    with pytest.raises(ReadError, match="are singular"):
        read_points(tmp_path / "a.gii")
    (tmp_path / "b.gii").write_bytes(gifti(**{**CONFORMED, "VolGeomC_R": "five"}))
    with pytest.raises(ReadError, match="expected numbers, got b'five'"):
        read_points(tmp_path / "b.gii")
