"""DICOM: every slice where SimpleITK and the known geometry put it, and every doubt said in one line."""

import logging
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_writing import (
    FLIP,
    SERIES,
    by_pydicom,
    by_simpleitk,
    place,
    save,
    slice_file,
    texture,
    turned,
)

from inforeg.cli.main import main
from inforeg.errors import ReadError
from inforeg.io import read_image
from inforeg.io.image_formats import dicom
from inforeg.io.stored import Stored

# Five rows of six pixels of 16 bits, 300 from row to row and 70 from pixel to pixel.
JPEG_LS = (
    "ffd8fff7000b100005000601011100fff8000d01ffff0012004301140040ffda0008010100000000a45c8b91343c8bcb1232"
    "455114348ccb14260b017e91595af97abc5da88ca974b9787750c0ffd9"
)
# Eight rows of eight pixels in colour: red grows by 20 from row to row and 10 from pixel to pixel, green is 100, blue
# is 255 less red; baseline, with its colours thinned along the rows.
JPEG = (
    "ffd8ffdb00430002010101010102010101020202020204030202020205040403040605060606050606060709080607090706"
    "06080b08090a0a0a0a0a06080b0c0b0a0c090a0a0affdb004301020202020202050303050a0706070a0a0a0a0a0a0a0a0a0a"
    "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0affc00011080008000803"
    "012100021101031101ffc4001500010100000000000000000000000000000007ffc400191000010500000000000000000000"
    "0000000006072332a1ffc40014010100000000000000000000000000000006ffc4001a110000070000000000000000000000"
    "0000000206072325a1ffda000c03010002110311003f0096275bbac18064b77eaf8f2e8448f6569491e0ffd9"
)
ORIENTATIONS = ["axial", "coronal", "sagittal", "upside down", "oblique"]


def as_itk(path: Path) -> sitk.Image:
    """What SimpleITK reads, a folder as a series."""
    if path.is_file():
        return sitk.ReadImage(str(path))
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
    return reader.Execute()


def check_against_itk(found: Stored, path: Path) -> None:
    """The same values at the same places, within 1e-4 mm."""
    image = as_itk(path)
    expected = sitk.GetArrayFromImage(image)
    expected = expected.transpose(2, 1, 0)[None] if expected.ndim == 3 else expected.transpose(3, 2, 1, 0)
    np.testing.assert_array_equal(found.float32(), expected.astype(np.float32))
    for corner in np.ndindex(2, 2, 2):
        index = [int(c * (n - 1)) for c, n in zip(corner, found.shape, strict=True)]
        point = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        assert np.linalg.norm((found.voxel_to_world @ [*index, 1])[:3] - point) < 1e-4


@pytest.mark.parametrize("compressor", [None, "JPEG", "JPEG2000"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_series_lies_where_simpleitk_puts_it(
    orientation: str, compressor: str | None, tmp_path: Path
) -> None:
    values, matrix = texture(), place(orientation)
    found = dicom.read(by_simpleitk(tmp_path / "s", values, matrix, compressor))
    assert found.dtype == "int16"
    np.testing.assert_array_equal(found.values[0], values)
    np.testing.assert_allclose(found.voxel_to_world, FLIP @ matrix, atol=1e-4)
    check_against_itk(found, tmp_path / "s")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_slices_are_put_in_order_by_place_and_not_by_name_or_number(orientation: str, tmp_path: Path) -> None:
    values, matrix = texture(), place(orientation)
    rank = np.random.default_rng(5).permutation(values.shape[2])
    folder = by_pydicom(tmp_path / "s", values, matrix, InstanceNumber=lambda k: int(rank[k]))
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"{rank[number]}.{path.name}")
    found = dicom.read(folder)
    np.testing.assert_array_equal(found.values[0], values)
    check_against_itk(found, folder)


@pytest.mark.parametrize("degrees", [-20.0, 3.0, 15.0])
def test_a_tilted_gantry_is_kept_as_shear_and_said(
    degrees: float, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values, matrix = texture(), place("axial", (1.0, 1.0, 2.0))
    matrix[1, 2] = 2.0 * np.tan(np.deg2rad(degrees))
    found = dicom.read(by_pydicom(tmp_path / "s", values, matrix))
    np.testing.assert_allclose(found.voxel_to_world, FLIP @ matrix, atol=1e-4)
    np.testing.assert_array_equal(found.values[0], values)
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/s: its gantry was tilted by {abs(degrees):g} degrees; the shear is kept"
    ]
    # SimpleITK gives the same place to the first voxel, and drops the shear.
    assert as_itk(tmp_path / "s").GetOrigin() == pytest.approx(matrix[:3, 3].tolist(), abs=1e-4)
    assert dicom.header(tmp_path / "s").notes == (caplog.records[0].getMessage().split(": ", 1)[1],)


def test_one_slope_and_intercept_for_all(tmp_path: Path) -> None:
    values = texture()
    folder = by_pydicom(tmp_path / "s", values, place(), RescaleSlope="0.25", RescaleIntercept="-1024")
    found = dicom.read(folder)
    assert found.dtype == "int16" and (found.slope, found.intercept) == (0.25, -1024)
    np.testing.assert_array_equal(found.float32()[0], values * np.float32(0.25) - 1024)
    check_against_itk(found, folder)


def test_a_slope_and_intercept_of_each_slice(tmp_path: Path) -> None:
    values = texture(dtype="uint16")
    slopes = 0.5 + np.arange(values.shape[2])
    folder = by_pydicom(
        tmp_path / "s",
        values,
        place(),
        RescaleSlope=lambda k: str(slopes[k]),
        RescaleIntercept=lambda k: str(-k),
    )
    found = dicom.read(folder)
    assert found.dtype == "float32" and not found.is_scaled
    said = dicom.header(folder)
    assert said.dtype == "float32" and said.voxel_bytes == found.values.nbytes
    np.testing.assert_allclose(found.values[0], values * slopes - np.arange(len(slopes)), rtol=1e-6)
    check_against_itk(found, folder)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_that_are_not_stored_are_no_part_of_the_value(signed: bool, tmp_path: Path) -> None:
    """Twelve bits of sixteen, with an overlay in the other four as old scanners kept it."""
    true = texture().astype(np.int16) >> 4
    true = true if signed else true & 0x7FF
    raw = (true.astype(np.uint16) & 0xFFF) | np.uint16(0x5000)
    folder = by_pydicom(
        tmp_path / "s", raw, place(), BitsStored=12, HighBit=11, PixelRepresentation=int(signed)
    )
    found = dicom.read(folder)
    np.testing.assert_array_equal(found.values[0], true)
    check_against_itk(found, folder)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32"])
def test_every_way_of_writing_plain_pixels(syntax: str, dtype: str, tmp_path: Path) -> None:
    values = texture((6, 8, 3), dtype)
    folder = by_pydicom(tmp_path / "s", values, place())
    order = ">" if syntax.endswith(".2.2") else "<"
    for path in folder.iterdir():
        file = pydicom.dcmread(path)
        words = np.frombuffer(file.PixelData, dtype).astype(np.dtype(dtype).newbyteorder(order))
        file = pydicom.dcmread(path)
        file.PixelData = words.tobytes()
        file["PixelData"].VR = "OB" if dtype == "uint8" else "OW"
        file.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
        pydicom.dcmwrite(path, file, implicit_vr=syntax == "1.2.840.10008.1.2", little_endian=order == "<")
    if (syntax, dtype) == ("1.2.840.10008.1.2.2", "int32"):
        # GDCM takes the low half of each number first, pydicom the high half.
        with pytest.raises(ReadError, match="32 bits in big-endian words"):
            dicom.read(folder)
        return
    found = dicom.read(folder)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.values[0], values)
    check_against_itk(found, folder)


@pytest.mark.parametrize(
    ("dtype", "colour"),
    [("uint8", False), ("int16", False), ("uint16", False), ("uint8", True), ("uint16", True)],
)
def test_run_lengths(dtype: str, colour: bool, tmp_path: Path) -> None:
    values = texture((40, 30, 3), dtype)
    values[5:30, 4:20] = 7
    pixels = np.stack([values, values[::-1], values[:, ::-1]], axis=-1) if colour else values
    for k in range(3):
        file = slice_file(pixels[:, :, k], place(), k)
        file.compress(pydicom.uid.RLELossless)
        save(file, tmp_path / "s" / f"{k}.dcm")
    found = dicom.read(tmp_path / "s")
    np.testing.assert_array_equal(found.values, np.moveaxis(pixels, 3, 0) if colour else values[None])
    # The samples of colour of 16 bits GDCM takes in the wrong order here; pydicom, which wrote them, does not.
    if dtype == "uint8" or not colour:
        check_against_itk(found, tmp_path / "s")


def test_colour_in_lossy_jpeg(tmp_path: Path) -> None:
    red = np.add.outer(np.arange(8) * 10, np.arange(8) * 20).astype(np.uint8)
    picture = np.stack([red, np.full_like(red, 100), 255 - red], axis=-1)
    file = slice_file(picture, place(), PhotometricInterpretation="YBR_FULL_422")
    file.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    file.PixelData = pydicom.encaps.encapsulate([bytes.fromhex(JPEG)])
    found = dicom.read(save(file, tmp_path / "a.dcm"))
    assert np.abs(np.moveaxis(found.values, 0, -1).astype(int) - picture).max() <= 8
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.dcm")))[0]
    np.testing.assert_array_equal(found.values, expected.transpose(2, 1, 0))


def test_jpeg_ls(tmp_path: Path) -> None:
    values = np.add.outer(np.arange(6) * 70, np.arange(5) * 300).astype(np.uint16)
    file = slice_file(values, place())
    file.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless
    file.PixelData = pydicom.encaps.encapsulate([bytes.fromhex(JPEG_LS)])
    found = dicom.read(save(file, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(found.values[0], values)


@pytest.mark.parametrize("planar", [0, 1])
def test_colour_is_three_channels(planar: int, tmp_path: Path) -> None:
    pixels = np.stack([texture((6, 5, 4), "uint8", seed) for seed in range(3)], axis=-1)
    for k in range(4):
        file = slice_file(pixels[:, :, k], place(), k, PlanarConfiguration=planar)
        if planar:
            file.PixelData = np.ascontiguousarray(pixels[:, :, k].transpose(2, 1, 0)).tobytes()
        save(file, tmp_path / "s" / f"{k}.dcm")
    found = dicom.read(tmp_path / "s")
    np.testing.assert_array_equal(found.values, pixels.transpose(3, 0, 1, 2))
    check_against_itk(found, tmp_path / "s")


@pytest.mark.parametrize("compressor", [None, "JPEG", "JPEG2000"])
@pytest.mark.parametrize("orientation", ["coronal", "oblique"])
def test_a_file_of_many_frames_is_a_volume(orientation: str, compressor: str | None, tmp_path: Path) -> None:
    values, matrix = texture(dtype="uint16"), place(orientation)
    image = sitk.GetImageFromArray(values.transpose(2, 1, 0))
    image.SetSpacing((0.7, 0.9, 2.5))
    image.SetOrigin(matrix[:3, 3].tolist())
    image.SetDirection(turned(orientation).ravel().tolist())
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "frames.dcm"))
    if compressor:
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
    writer.Execute(image)
    found = dicom.read(tmp_path / "frames.dcm")
    np.testing.assert_array_equal(found.values[0], values)
    np.testing.assert_allclose(found.voxel_to_world, FLIP @ matrix, atol=1e-4)
    check_against_itk(found, tmp_path / "frames.dcm")
    # A folder that holds nothing else is the same.
    np.testing.assert_array_equal(dicom.read(tmp_path).values, found.values)


def test_frames_are_put_in_order_and_scaled_one_by_one(tmp_path: Path) -> None:
    """As scanners write functional groups: values of a frame in its own item, or in the one all share."""
    values, matrix = texture((6, 5, 4), "uint16"), place("oblique")
    stored = [2, 0, 3, 1]
    file = slice_file(values[:, :, 0], matrix)
    shared, frames = file, []
    for k in stored:
        one = slice_file(values[:, :, k], matrix, k)
        frame, position, meaning = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient = one.ImagePositionPatient
        meaning.RescaleSlope, meaning.RescaleIntercept = str(k + 1), "0"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [position], [meaning]
        frames.append(frame)
    shared, measures, turn = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    measures.PixelSpacing, measures.SliceThickness = file.PixelSpacing, file.SliceThickness
    turn.ImageOrientationPatient = file.ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [turn]
    for keyword in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient"):
        delattr(file, keyword)
    file.SharedFunctionalGroupsSequence, file.PerFrameFunctionalGroupsSequence = [shared], frames
    file.NumberOfFrames = 4
    file.PixelData = b"".join(values[:, :, k].T.tobytes() for k in stored)
    for name, sequence in (("known", False), ("unknown", True)):
        for item in file.PerFrameFunctionalGroupsSequence:
            item.is_undefined_length_sequence_item = sequence
        file["PerFrameFunctionalGroupsSequence"].is_undefined_length = sequence
        found = dicom.read(save(file, tmp_path / f"{name}.dcm"))
        np.testing.assert_allclose(found.voxel_to_world, FLIP @ matrix, atol=1e-4)
        np.testing.assert_array_equal(found.values[0], values * np.float32([1, 2, 3, 4]))


def test_one_slice_of_the_world_s_plane_is_a_picture_and_any_other_a_volume(tmp_path: Path) -> None:
    values = texture((8, 6, 1))
    flat = dicom.read(save(slice_file(values[:, :, 0], place("axial")), tmp_path / "a.dcm"))
    np.testing.assert_array_equal(flat.values[0], values[:, :, 0])
    np.testing.assert_allclose(
        flat.voxel_to_world, (FLIP @ place("axial"))[np.ix_((0, 1, 3), (0, 1, 3))], atol=1e-6
    )
    deep = dicom.read(save(slice_file(values[:, :, 0], place("sagittal")), tmp_path / "b.dcm"))
    assert deep.shape == (8, 6, 1)
    np.testing.assert_allclose(deep.voxel_to_world, FLIP @ place("sagittal"), atol=1e-6)
    assert dicom.header(tmp_path / "a.dcm").shape == (8, 6)
    assert dicom.header(tmp_path / "b.dcm").shape == (8, 6, 1)


def test_a_picture_without_a_place_lies_along_the_axes_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = texture((8, 6, 1), "uint8")
    found = dicom.read(save(slice_file(values[:, :, 0], None), tmp_path / "a.dcm"))
    np.testing.assert_array_equal(found.voxel_to_world, np.diag([-1.0, -1.0, 1.0]))
    assert "does not say where it lies" in caplog.text
    save(slice_file(values[:, :, 0], None), tmp_path / "b.dcm")
    with pytest.raises(ReadError, match=r"2 slices do not say where they lie \(ImagePositionPatient"):
        dicom.read(tmp_path)


def test_low_values_shown_bright_are_kept_and_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = texture()
    folder = by_pydicom(tmp_path / "s", values, place(), PhotometricInterpretation="MONOCHROME1")
    with caplog.at_level(logging.INFO, "inforeg"):
        found = dicom.read(folder)
    np.testing.assert_array_equal(found.values[0], values)
    assert "MONOCHROME1" in caplog.text
    assert "MONOCHROME1" in dicom.header(folder).notes[0]


def test_what_is_no_image_is_ignored_and_nothing_is_said_of_the_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = texture()
    folder = by_pydicom(tmp_path / "s", values, place())
    (folder / "notes.txt").write_text("Secret^Name was here\n" * 20)
    (folder / "short").write_bytes(b"DICM")
    (folder / "empty.dcm").write_bytes(b"")
    report = slice_file(values[:, :, 0], place())
    del report.PixelData
    save(report, folder / "report.dcm")
    # A directory of files may point anywhere; it is not even opened.
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + b"\xff" * 200)
    by_pydicom(folder / "deeper", texture(seed=1), place("oblique"), SeriesInstanceUID="1.2.3")
    os.mkfifo(folder / "pipe")
    with caplog.at_level(logging.DEBUG, "inforeg"):
        found = dicom.read(folder)
    np.testing.assert_array_equal(found.values[0], values)
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "3 files in it are no DICOM images and are not used" in caplog.text
    assert "secret" not in caplog.text.lower()


def test_of_several_series_one_is_named(tmp_path: Path) -> None:
    values = texture()
    by_pydicom(tmp_path / "s", values, place(), SeriesDescription="T1 mprage\n\tsag")
    extra = texture(seed=1)
    for k in range(3):
        file = slice_file(
            extra[:, :, k], place(), k, SeriesInstanceUID="1.2.3.4", SeriesDescription="localizer"
        )
        save(file, tmp_path / "s" / f"x{k}")
    with pytest.raises(ReadError) as caught:
        dicom.read(tmp_path / "s")
    said = str(caught.value)
    assert said == (
        f"{tmp_path}/s holds 2 series; name one, as {tmp_path}/s/{SERIES} (T1 mprage sag, 7 files),"
        f" {tmp_path}/s/1.2.3.4 (localizer, 3 files)"
    ).replace("mprage sag", "mpragesag")
    np.testing.assert_array_equal(dicom.read(tmp_path / "s" / "1.2.3.4").values[0], extra[:, :, :3])
    np.testing.assert_array_equal(dicom.read(tmp_path / "s" / SERIES).values[0], values)
    with pytest.raises(
        ReadError, match=r"holds no series 1\.2\.9; there is .*1\.2\.3\.4 \(localizer, 3 files\)"
    ):
        dicom.read(tmp_path / "s" / "1.2.9")
    assert dicom.recognises(tmp_path / "s" / "1.2.9") and dicom.recognises(tmp_path)
    assert dicom.recognises(tmp_path / "a.DCM") and not dicom.recognises(tmp_path / "s" / "x0")


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    values = texture()
    folder = by_pydicom(tmp_path / "s", values, place())
    inside = sorted(folder.iterdir())[0]
    (folder / "kept").mkdir()
    inside.rename(folder / "kept" / "one.dcm")
    (folder / "link").symlink_to(Path("kept") / "one.dcm")
    np.testing.assert_array_equal(dicom.read(folder).values[0], values)
    secret = save(slice_file(values[:, :, 0], place(), 9), tmp_path / "secret.dcm")
    for target in (secret, Path("..") / "secret.dcm", Path("kept") / ".." / ".." / "secret.dcm"):
        (folder / "out").symlink_to(target)
        with pytest.raises(ReadError, match=r"s/out is a link that leads out of the folder"):
            dicom.read(folder)
        (folder / "out").unlink()
    (folder / "out").symlink_to("out")
    with pytest.raises(ReadError, match="cannot read"):
        dicom.read(folder)


def shifted(k: int, by_mm: float, at: int = 3, axis: int = 2) -> list[str]:
    corner = (place() @ [0, 0, k, 1])[:3]
    corner[axis] += by_mm * (k == at)
    return [f"{v:.9g}" for v in corner]


NO_GRID: list[tuple[dict[str, Any], str]] = [
    (
        {"ImagePositionPatient": lambda k: shifted(k, 2.5, 6)},
        r"1 slice is missing: .* 5 mm, elsewhere 2\.5 mm",
    ),
    (
        {"ImagePositionPatient": lambda k: shifted(k, -2.5)},
        r"7 slices lie at 6 places only .*keep one of each",
    ),
    ({"ImagePositionPatient": lambda k: shifted(k % 4, 0)}, "7 slices lie at 4 places only"),
    ({"ImagePositionPatient": lambda k: shifted(k, 0.9)}, r"evenly spaced slices.*0\.9 mm off.*1\.6 to 3\.4"),
    ({"ImagePositionPatient": lambda k: shifted(k, 3.0, axis=0)}, r"evenly spaced slices.*is 3 mm off"),
    (
        {"ImageOrientationPatient": lambda k: [0, 1, 0, 0, 0, -1] if k == 2 else [1, 0, 0, 0, 1, 0]},
        "one orientation",
    ),
    ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "two directions at right angles"),
    ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "two directions at right angles"),
    ({"PixelSpacing": lambda k: [0.9, 0.8 if k == 2 else 0.7]}, r"pixels of one size.*\(0\.8, 0\.9\)"),
    ({"PixelSpacing": [0, 0.7]}, "a spacing above zero"),
    ({"PixelSpacing": None}, "do not say where they lie"),
    ({"ImagePositionPatient": None}, "do not say where they lie"),
    ({"Rows": lambda k: 9 - (k == 4)}, r"slices of one size, got 6 of 11x9, 1 of 11x8"),
    ({"PhotometricInterpretation": "PALETTE COLOR"}, "grey or RGB pixels, got PALETTE COLOR"),
    ({"BitsStored": 17}, "got 17 up to bit 15 of 16"),
    ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "pixels of 8, 16 or 32 bits"),
    ({"Rows": None}, "does not say its rows"),
    ({"Rows": 0}, "at least one pixel"),
    (
        {"Rows": 65535, "Columns": 65535},
        r"promises 65535x65535 pixels in 1 frames \(8\.59 GB\), it holds 198 bytes",
    ),
    ({"NumberOfFrames": 2_000_000_000}, "cut short: its header promises 11x9 pixels in 2000000000 frames"),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("changes", "said"), NO_GRID)
def test_what_makes_no_grid_is_refused_in_one_line(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    folder = by_pydicom(tmp_path / "s", texture(), place(), **changes)
    for ask in (dicom.read, dicom.header):
        with pytest.raises(ReadError, match=said) as caught:
            ask(folder)
        assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
        assert "ecret" not in str(caught.value)


def test_two_volumes_in_one_series_are_told_apart_from_a_copy(tmp_path: Path) -> None:
    for volume in range(2):
        by_pydicom(tmp_path / "s", texture(seed=volume), place())
        for path in sorted((tmp_path / "s").glob("0*.ima")):
            path.rename(path.with_name(f"v{volume}{path.stem}"))
    with pytest.raises(ReadError, match=r"14 slices lie at 7 places only .* it holds 2 volumes"):
        dicom.read(tmp_path / "s")


def test_slices_a_little_off_are_taken_as_even_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = by_pydicom(tmp_path / "s", texture(), place(), ImagePositionPatient=lambda k: shifted(k, 0.06))
    found = dicom.read(folder)
    assert "up to 0.06 mm off an even spacing" in caplog.text
    np.testing.assert_allclose(found.voxel_to_world, FLIP @ place(), atol=1e-4)
    caplog.clear()
    # What rounding in the header does is not worth a word.
    dicom.read(
        by_pydicom(tmp_path / "t", texture(), place(), ImagePositionPatient=lambda k: shifted(k, 0.009))
    )
    assert not caplog.records


def test_the_header_is_what_is_read_without_a_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = by_simpleitk(tmp_path / "s", texture(), place("oblique"), "JPEG", _00281052="5", _00281053="2")
    found = dicom.read(folder)

    def refuse(*_: object) -> None:
        raise AssertionError("pixels were read")

    monkeypatch.setattr(dicom, "read_frames", refuse)
    said = dicom.header(folder)
    assert (said.format, said.shape, said.dtype, said.channels) == ("DICOM", found.shape, found.dtype, 1)
    assert said.voxel_bytes == found.values.nbytes and said.volumes == 1 and said.name == str(folder)
    np.testing.assert_array_equal(said.voxel_to_world, found.voxel_to_world)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.dcm", None, "is not there"),
        ("empty.dcm", b"", "is empty"),
        ("text.dcm", b"no image\n" * 30, "is of another format"),
        ("bare.dcm", bytes(128) + b"DICM", "got none"),
        ("torn.dcm", bytes(128) + b"DICM\x02\0\x10\0UI", "cut short"),
    ],
)
def test_a_file_that_is_none(name: str, content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=said):
        dicom.read(tmp_path / name)


def test_a_folder_that_holds_none(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 200)
    with pytest.raises(ReadError, match="none of its 1 files is one; name the folder that holds the slices"):
        dicom.read(tmp_path)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.102", "1.2.3"])
def test_pixels_packed_in_an_unknown_way_are_refused(syntax: str, tmp_path: Path) -> None:
    path = save(slice_file(texture()[:, :, 0], place()), tmp_path / "a.dcm")
    data = path.read_bytes()
    old = b"UI\x14\x001.2.840.10008.1.2.1\0"
    padded = syntax.encode() + b"\0" * (len(syntax) % 2)
    assert old in data
    path.write_bytes(data.replace(old, b"UI" + len(padded).to_bytes(2, "little") + padded))
    with pytest.raises(ReadError, match=r"save it uncompressed|damaged"):
        dicom.read(path)


def compressed(tmp_path: Path, compressor: str) -> tuple[Path, bytearray, int]:
    """A file, its bytes, and where its stream begins."""
    folder = by_simpleitk(tmp_path / compressor, texture((32, 24, 1)), place(), compressor)
    path = next(folder.iterdir())
    data = bytearray(path.read_bytes())
    return path, data, data.index(b"\xe0\x7f\x10\x00") + 28


def test_a_stream_of_another_depth_or_size_is_refused_before_it_ends_the_process(tmp_path: Path) -> None:
    """GDCM writes past its memory where a frame of lossless JPEG says another depth than the file."""
    path, data, start = compressed(tmp_path, "JPEG")
    frame = data.index(b"\xff\xc3", start)
    for at, value, said in (
        (4, 0xF7, "up to 16 bits"),
        (5, 0xE8, "its stream says"),
        (9, 9, "its stream says"),
    ):
        damaged = data.copy()
        damaged[frame + at] = value
        path.write_bytes(damaged)
        with pytest.raises(ReadError, match=f"cannot be decompressed .*{said}"):
            dicom.read(path)
    path.write_bytes(data[:start] + data[start:].replace(b"\xff\xc3", b"\xff\xc2"))
    with pytest.raises(ReadError, match="of another kind"):
        dicom.read(path)


def test_whatever_is_damaged_gives_an_error_in_words_or_an_image(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    sources = [compressed(tmp_path, name)[:2] for name in ("JPEG", "JPEG2000")]
    plain = save(slice_file(texture((12, 8, 1))[:, :, 0], place()), tmp_path / "p" / "plain.dcm")
    packed = slice_file(texture((12, 8, 1))[:, :, 0], place())
    packed.compress(pydicom.uid.RLELossless)
    sources += [
        (path, bytearray(path.read_bytes())) for path in (plain, save(packed, tmp_path / "q" / "packed.dcm"))
    ]
    read, said = 0, []
    for number in range(400):
        path, data = sources[number % len(sources)]
        damaged = data.copy()
        for _ in range(rng.integers(1, 6)):
            at = int(rng.integers(128, len(damaged)))
            kind = rng.integers(4)
            if kind == 0:
                damaged[at] = rng.integers(256)
            elif kind == 1:
                damaged[at : at + 4] = b"\xff\xff\xff\xff"
            elif kind == 2:
                del damaged[at : at + int(rng.integers(1, 30))]
            else:
                del damaged[max(at, 200) :]
        path.write_bytes(damaged)
        try:
            found = dicom.read(path)
            assert found.values.nbytes <= 1032 * len(damaged)
            read += 1
        except ReadError as error:
            said.append(str(error))
    assert read > 20 and len(said) > 100 and not any("\n" in line for line in said)


def test_through_the_doors_and_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values, matrix = texture(), place("oblique")
    folder = by_simpleitk(tmp_path / "s", values, matrix, "JPEG")
    save(slice_file(values[:, :, 0], matrix, SeriesInstanceUID="1.2.3.4"), folder / "scout")
    with pytest.raises(ReadError, match="holds 2 series; name one, as"):
        read_image(folder)
    found = read_image(folder / SERIES)
    assert found.name == SERIES and found.dtype == "int16"
    np.testing.assert_array_equal(found.data[0, 0].numpy(), values)
    np.testing.assert_array_equal(
        read_image(folder / "000.dcm").data[0, 0, ..., 0].numpy(), itk_slice(folder)
    )
    assert main(["info", str(folder / SERIES)]) == 0
    assert "11 x 9 x 7" in capsys.readouterr().out.replace("x", " x ").replace("  ", " ")
    image, output = str(folder / SERIES), str(tmp_path / "out.nii.gz")
    assert main(["apply", "-i", image, "-r", image, "-o", output, "-n", "nearest"]) == 0
    written = nib.load(output)
    np.testing.assert_array_equal(np.asarray(written.dataobj), values)
    np.testing.assert_allclose(written.affine, FLIP @ matrix, atol=1e-4)


def itk_slice(folder: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "000.dcm")))[0].T
