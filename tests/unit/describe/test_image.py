from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from strategies import grids, rotation

from inforeg.describe.image import (
    image_facts,
    image_lines,
    orientation,
    pair_facts,
    pair_lines,
    read_values,
    value_facts,
)
from inforeg.io.headers import Header, geometry_notes, read_header


def header(shape: tuple[int, ...], matrix: np.ndarray, **more: object) -> Header:
    return Header("a.nii", "NIfTI-1", shape, matrix, "int16", 2 * int(np.prod(shape)), **more)  # type: ignore[arg-type]


def placed(shape: tuple[int, ...], spacing: float = 1.0, shift: tuple[float, ...] = (0, 0, 0)) -> Header:
    """Along the axes, about the origin and a shift."""
    d = len(shape)
    matrix = np.diag([spacing] * d + [1.0])
    matrix[:d, d] = np.array(shift[:d]) - spacing * (np.array(shape) - 1) / 2
    return header(shape, matrix)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_letters_are_those_of_nibabel(axes: tuple[int, ...], signs: tuple[int, ...]) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3)[:, axes] * signs * [1.0, 2.0, 3.0]
    letters, oblique = orientation(matrix)
    assert letters == "".join(nib.aff2axcodes(matrix))
    assert oblique == 0.0


@given(drawn=grids(3))
def test_letters_of_any_grid_name_each_world_axis_once(drawn) -> None:  # type: ignore[no-untyped-def]
    letters, oblique = orientation(drawn.grid().voxel_to_world.numpy())
    assert sorted("LR".find(c) >= 0 for c in letters) == [False, False, True]
    assert sorted("AP".find(c) >= 0 for c in letters) == [False, False, True]
    assert 0 <= oblique <= 90


@pytest.mark.parametrize("angle_deg", [0.001, 0.5, 20.0, 44.0])
def test_oblique_by_how_much(angle_deg: float) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation([np.deg2rad(angle_deg), 0.0, 0.0]).numpy() @ np.diag([2.0, 1.0, 3.0])
    assert orientation(matrix) == ("RAS", pytest.approx(angle_deg, rel=1e-9))


def test_an_image_with_all_there_is_to_say() -> None:
    matrix = np.array([[-2.0, 0, 0, 10], [0, 2.0, 0.2, -5], [0, 0, 3.0, 7], [0, 0, 0, 1]])
    qform = matrix.copy()
    qform[0, 3] += 37
    made = header(
        (4, 5, 6),
        matrix,
        volumes=20,
        step=2.5,
        step_unit="s",
        units="mm",
        sform=matrix,
        sform_code=2,
        qform=qform,
        qform_code=1,
        forms_apart_mm=37.0,
        what="a series",
        notes=("something", *geometry_notes(matrix)),
    )
    facts = image_facts(made)
    assert facts["orientation"] == "LAS"
    assert facts["handedness"] == "left"
    assert facts["shear_deg"] == pytest.approx(np.degrees(np.arctan(0.2 / 3)))
    assert facts["field_of_view_mm"] == pytest.approx([8, 10, 6 * np.hypot(3, 0.2)])
    assert facts["centre_mm"] == pytest.approx([7, -0.5, 14.5])
    assert facts["nifti"] == {"sform_code": 2, "qform_code": 1, "apart_mm": 37.0, "used": "sform"}
    assert facts["bytes_in_memory"] == 4 * 4 * 5 * 6 * 20
    text = "\n".join(image_lines(facts))
    for said in (
        "NIfTI-1 series",
        "volumes       20, 2.5 s apart",
        "lead to left, front, head), left-handed, oblique by 3.81 degrees",
        "note          its axes are 3.81 degrees off right angles (shear)",
        "its sform (code 2); its qform (code 1) puts a corner 37 mm away",
        "note          something",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("codes", "apart", "expected"),
    [
        ((2, 0), None, "its sform (code 2); it has no qform"),
        ((0, 1), None, "its qform (code 1); it has no sform"),
        ((2, 1), 0.00002, "its sform (code 2); its qform (code 1) agrees to 2e-05 mm"),
        ((0, 0), None, "neither sform nor qform"),
    ],
)
def test_which_matrix_places_it(codes: tuple[int, int], apart: float | None, expected: str) -> None:
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    forms = {
        "sform": matrix if codes[0] else None,
        "qform": matrix if codes[1] or not any(codes) else None,
        "forms_apart_mm": apart,
    }
    made = header((3, 4, 5), matrix, sform_code=codes[0], qform_code=codes[1], **forms)
    assert expected in "\n".join(image_lines(image_facts(made)))


def test_a_file_s_own_matrices_are_told_apart(tmp_path: Path) -> None:
    """From the file on: the qform is the sform turned and 37 mm away."""
    image = nib.Nifti1Image(np.zeros((5, 6, 7), np.int16), np.diag([2.0, 2, 2, 1]))
    image.set_sform(np.diag([2.0, 2, 2, 1]), 2)
    away = np.diag([2.0, 2, 2, 1])
    away[:3, 3] = [37, 0, 0]
    image.set_qform(away, 1)
    nib.save(image, tmp_path / "a.nii.gz")
    facts = image_facts(read_header(tmp_path / "a.nii.gz"))
    assert facts["nifti"]["used"] == "sform"
    assert facts["nifti"]["apart_mm"] == pytest.approx(37.0, abs=1e-4)
    image.set_sform(None, 0)
    nib.save(image, tmp_path / "b.nii.gz")
    facts = image_facts(read_header(tmp_path / "b.nii.gz"))
    assert facts["nifti"]["used"] == "qform"
    assert facts["centre_mm"] == pytest.approx([41, 5, 6], abs=1e-4)


@pytest.mark.parametrize("matrix", [np.full((4, 4), np.nan), np.diag([1.0, 0.0, 1.0, 1.0])])
def test_a_matrix_that_places_nothing(matrix: np.ndarray) -> None:
    facts = image_facts(header((3, 4, 5), matrix, notes=("its matrix is bad",)))
    assert facts["orientation"] is None
    lines = image_lines(facts)
    assert lines[-1] == "note          its matrix is bad"
    assert not any(line.startswith(("axes", "field of view")) for line in lines)
    assert pair_facts(header((3, 4, 5), matrix), placed((3, 4, 5))) == {"placed": [False, True]}
    assert pair_lines({"placed": [False, True]}) == ["together      the first lies nowhere: see its notes"]


def test_three_floats_a_voxel_may_be_a_field() -> None:
    made = Header("a.mha", "MetaImage", (3, 4, 5), np.eye(4), "float32", 720, channels=3)
    assert "--from itk" in image_lines(image_facts(made))[-1]
    colour = Header("a.nrrd", "NRRD", (3, 4, 5), np.eye(4), "uint8", 180, channels=3)
    assert "--from itk" not in "".join(image_lines(image_facts(colour)))


@pytest.mark.parametrize("d", [2, 3])
def test_overlap_of_two(d: int) -> None:
    shape = (40, 30, 20)[:d]
    a = placed(shape)
    facts = pair_facts(a, placed(shape, shift=(20.0, 0, 0)))
    assert facts["share_of_first_in_second"] == pytest.approx(0.5, abs=0.02)
    assert facts["share_of_second_in_first"] == pytest.approx(0.5, abs=0.02)
    assert facts["centres_apart_mm"] == pytest.approx(20)
    assert facts["corners_apart_mm"] == pytest.approx(20)
    assert not facts["same_grid"]
    assert "centres 20 mm apart" in pair_lines(facts)[0]
    inside = pair_facts(placed(tuple(n // 2 for n in shape)), a)
    assert inside["share_of_first_in_second"] == 1.0
    assert inside["share_of_second_in_first"] == pytest.approx(0.5**d, abs=0.02)
    assert not inside["same_shape"]
    assert pair_lines(pair_facts(a, a)) == ["together      the same grid, voxel for voxel"]
    apart = pair_lines(pair_facts(a, placed(shape, shift=(0, 500.0, 0))))
    assert "none; registration searches" in apart[-1]


def test_a_picture_and_a_volume() -> None:
    facts = pair_facts(placed((4, 5)), placed((4, 5, 6)))
    assert facts == {"dimensions": [2, 3]}
    assert "2-D and 3-D: they cannot be registered" in pair_lines(facts)[0]


def test_what_values_are_like() -> None:
    values = np.array([1.0, np.nan, np.inf, -np.inf, -2.0, 5.0, 0.0, 0.5]).reshape(1, 1, 2, 2, 2)
    facts = value_facts(values)
    assert (facts["smallest"], facts["largest"]) == (-2.0, 5.0)
    assert (facts["share_nan"], facts["share_infinite"]) == (1 / 8, 2 / 8)
    assert value_facts(np.full((1, 1, 2, 2), np.nan))["smallest"] is None
    scaled = value_facts(np.array([[[[1, 2]]]], np.int16), slope=0.5, intercept=10.0)
    assert (scaled["smallest"], scaled["largest"]) == (10.5, 11.0)


def test_labels_and_scans_are_told_apart(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    blocks = np.kron(random.integers(0, 4, (4, 4, 4)), np.ones((5, 5, 5), int))
    labels = np.array([0, 3, 614454277, 614454278], np.int32)[blocks]
    scan = np.zeros((20, 20, 20), np.int16)
    scan[4:16, 4:16, 4:16] = random.integers(100, 1000, (12, 12, 12))
    for name, values, ids in (("labels", labels, 4), ("scan", scan, None), ("both", labels + 0.5, None)):
        nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / f"{name}.nii")
        found = read_values(tmp_path / f"{name}.nii")
        assert (found["looks_like_labels"], found["ids"]) == (ids is not None, ids)
    assert read_values(tmp_path / "labels.nii")["largest"] == 614454278
