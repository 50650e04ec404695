import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from point_samples import NUMBERS, Sample, samples
from strategies import points

from inforeg.errors import OutputExists, ReadError, UsageError, WriteError
from inforeg.io import PointSet, read_point_set, read_points, write_point_set, write_points
from inforeg.io.point_formats import FORMATS
from inforeg.space import Grid

SAMPLES = samples()
GRID = Grid.from_spacing((10, 12, 14), (2.0, 1.0, 0.5))


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param]


def write(folder: Path, sample: Sample) -> Path:
    path = folder / f"a{sample.suffix}"
    path.write_bytes(sample.content)
    return path


def test_every_format_has_a_sample(tmp_path: Path) -> None:
    read = set()
    for sample in SAMPLES.values():
        read.add(read_point_set(write(tmp_path, sample), space=sample.space or "ras").origin.format.name)
    assert read == {format.name for format in FORMATS}


def test_samples_are_read_where_they_are(tmp_path: Path, sample: Sample) -> None:
    found = read_point_set(write(tmp_path, sample), space=None if sample.space else "ras")
    assert found.space == (sample.space or "ras")
    np.testing.assert_allclose(found.points_mm, sample.ras(), rtol=0, atol=1e-5 if sample.frame_mm else 0)


def test_points_that_did_not_move_give_the_same_bytes(tmp_path: Path, sample: Sample) -> None:
    found = read_point_set(write(tmp_path, sample), space=None if sample.space else "lps")
    write_point_set(found.moved(found.points_mm.clone()), tmp_path / f"b{sample.suffix}")
    assert (tmp_path / f"b{sample.suffix}").read_bytes() == sample.content


def test_moved_points_come_back_where_they_are_and_in_the_space_they_came_in(
    tmp_path: Path, sample: Sample
) -> None:
    found = read_point_set(write(tmp_path, sample), space=None if sample.space else "lps")
    moved = found.points_mm * 1.1 - 3
    for name in "bc":
        write_point_set(found.moved(moved), tmp_path / f"{name}{sample.suffix}")
    content = (tmp_path / f"b{sample.suffix}").read_bytes()
    again = read_point_set(tmp_path / f"b{sample.suffix}", space=None if sample.space else "lps")
    assert float((again.points_mm - moved).abs().max()) <= sample.precision_mm(moved.numpy())
    assert again.space == found.space
    assert content == (tmp_path / f"c{sample.suffix}").read_bytes()
    assert torch.equal(found.points_mm, read_points(tmp_path / f"a{sample.suffix}", space=found.space))


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample.space is None])
def test_a_file_that_does_not_say_its_space_is_not_guessed(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, SAMPLES[name])
    with pytest.raises(UsageError, match=r"say --space ras, lps \(mm\) or voxel") as caught:
        read_points(path)
    assert "\n" not in str(caught.value)
    lps = read_points(path, space="lps").numpy()
    np.testing.assert_array_equal(lps, SAMPLES[name].ras("lps"))


@pytest.mark.parametrize("name", [name for name, sample in SAMPLES.items() if sample.space is not None])
def test_a_space_that_the_file_contradicts_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, SAMPLES[name])
    other = "lps" if SAMPLES[name].space == "ras" else "ras"
    with pytest.raises(UsageError, match=f"are {SAMPLES[name].space}, and {other} was asked for"):
        read_points(path, space=other)
    assert len(read_points(path, space=SAMPLES[name].space))


@pytest.mark.parametrize("suffix", [".csv", ".json", ".mrk.json", ".fcsv", ".vtk", ".ply", ".obj", ".pts"])
def test_what_we_write_says_its_space(tmp_path: Path, suffix: str) -> None:
    write_points(points(3), tmp_path / f"a{suffix}", space="lps")
    assert torch.equal(read_points(tmp_path / f"a{suffix}"), points(3))
    assert read_point_set(tmp_path / f"a{suffix}").space == "lps"


def test_a_format_that_has_no_ras_gets_the_space_it_has(tmp_path: Path) -> None:
    write_points(points(3), tmp_path / "a.pts")
    assert (tmp_path / "a.pts").read_text().startswith("point\n40\n")
    assert torch.equal(read_points(tmp_path / "a.pts"), points(3))


def test_voxels_are_those_of_a_grid(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2,3\n4,5,6\n")
    with pytest.raises(UsageError, match="give its grid"):
        read_points(tmp_path / "a.csv", space="voxel")
    found = read_point_set(tmp_path / "a.csv", space="voxel", grid=GRID)
    assert torch.equal(found.points_mm, GRID.to_world(torch.tensor([[1.0, 2, 3], [4, 5, 6]]).double()))
    # Moved points lie in another image, which nobody has named.
    with pytest.raises(UsageError, match="the image in which they now lie"):
        write_point_set(found, tmp_path / "b.csv")
    other = Grid.from_spacing((20, 20, 20), 0.5)
    write_point_set(found.moved(found.points_mm + 1), tmp_path / "b.csv", grid=other)
    assert (tmp_path / "b.csv").read_text().startswith("-")
    back = read_points(tmp_path / "b.csv", space="voxel", grid=other)
    torch.testing.assert_close(back, found.points_mm + 1, rtol=0, atol=1e-12)
    write_point_set(found, tmp_path / "c.csv", space="ras")
    assert (tmp_path / "c.csv").read_text().startswith("# space: ras\n")
    with pytest.raises(UsageError, match="their image has 2"):
        write_point_set(found, tmp_path / "d.csv", grid=Grid.from_spacing((4, 4)))


def test_a_table_can_say_that_it_is_in_voxels(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("# space: voxel\n1,2,3\n")
    with pytest.raises(UsageError, match="give its grid"):
        read_points(tmp_path / "a.csv")
    assert read_point_set(tmp_path / "a.csv", grid=GRID).space == "voxel"


def test_points_of_another_number_of_axes_than_their_image(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("# space: ras\n1,2,3\n")
    with pytest.raises(ReadError, match=r"expected 2-D points.*holds 3-D"):
        read_points(tmp_path / "a.csv", grid=Grid.from_spacing((4, 4)))


def test_a_z_of_zero_in_2d(tmp_path: Path) -> None:
    """ANTs' tables and Slicer's files of pictures have a third coordinate of 0."""
    (tmp_path / "a.csv").write_text("x,y,z,t,label\n1,2,0,0,7\n3,4,0,0,8\n")
    found = read_point_set(tmp_path / "a.csv", space="lps", ndim=2)
    assert found.points_mm.tolist() == [[-1.0, -2.0], [-3.0, -4.0]]
    write_point_set(found.moved(found.points_mm - 0.5), tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == "x,y,z,t,label\n1.5,2.5,0.0,0,7\n3.5,4.5,0.0,0,8\n"
    write_points(found.points_mm, tmp_path / "c.fcsv")
    assert read_points(tmp_path / "c.fcsv").shape == (2, 3)
    assert torch.equal(read_points(tmp_path / "c.fcsv", ndim=2), found.points_mm)
    assert torch.equal(read_points(tmp_path / "c.fcsv", grid=Grid.from_spacing((4, 4))), found.points_mm)


def test_what_another_format_cannot_hold_is_named_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = read_point_set(write(tmp_path, SAMPLES["csv of ANTs"]), space="lps")
    with caplog.at_level(logging.WARNING, "inforeg"):
        write_point_set(found, tmp_path / "b.vtk")
        assert [r.getMessage() for r in caplog.records] == [
            f"{tmp_path / 'b.vtk'}: written as vtk, without 3 other columns of table"
        ]
        caplog.clear()
        write_points(found.points_mm, tmp_path / "c.csv")
        write_point_set(read_point_set(tmp_path / "c.csv"), tmp_path / "c.json")
        assert not caplog.records
    assert read_point_set(tmp_path / "b.vtk").space == "lps"
    np.testing.assert_array_equal(read_points(tmp_path / "b.vtk").numpy(), NUMBERS * [-1, -1, 1])


def test_normals_that_no_longer_fit_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = read_point_set(write(tmp_path, SAMPLES["vtk"]))
    with caplog.at_level(logging.WARNING, "inforeg"):
        write_point_set(found, tmp_path / "b.vtk")
        assert not caplog.records
        write_point_set(found.moved(found.points_mm + 1), tmp_path / "c.vtk")
    assert "its normals are as before" in caplog.text


@pytest.mark.parametrize("suffix", [".trk", ".tck", ".gii", ".stl", ".vtp"])
def test_points_alone_are_no_surface_and_no_streamlines(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(WriteError, match="holds more than points"):
        write_points(points(3), tmp_path / f"a{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_a_space_that_the_format_cannot_hold(tmp_path: Path) -> None:
    found = read_point_set(write(tmp_path, SAMPLES["trk"]))
    with pytest.raises(UsageError, match="trk holds points in ras, not in lps"):
        write_point_set(found, tmp_path / "b.trk", space="lps")
    with pytest.raises(UsageError, match="vtk holds points in ras or lps, not in voxel"):
        write_points(points(3), tmp_path / "b.vtk", space="voxel", grid=GRID)
    # A new file that cannot say what the old one was told is written in its own space.
    (tmp_path / "a.csv").write_text("1,2,3\n")
    marked = read_point_set(tmp_path / "a.csv", space="voxel", grid=GRID)
    write_point_set(marked, tmp_path / "c.vtk")
    torch.testing.assert_close(read_points(tmp_path / "c.vtk"), marked.points_mm, rtol=0, atol=0)


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\(n, 2\) or \(n, 3\)"):
        PointSet(torch.zeros(3, 4))
    with pytest.raises(UsageError, match=r"shape \(40, 3\), got \(39, 3\)"):
        PointSet(points(3)).moved(points(3, 39))
    with pytest.raises(UsageError, match=r"expected a file of points \(.*\.csv"):
        write_points(points(3), tmp_path / "a.docx")
    with pytest.raises(ReadError, match=r"expected a file of points \(.*\.csv"):
        read_points(tmp_path / "a.docx")
    with pytest.raises(ReadError, match="is not there"):
        read_points(tmp_path / "a.csv")
    with pytest.raises(WriteError, match="1 of 2 points are NaN or infinite"):
        write_points(torch.tensor([[1.0, 2, 3], [1, 2, float("nan")]]), tmp_path / "a.csv")
    write_points(points(3), tmp_path / "a.csv")
    with pytest.raises(OutputExists):
        write_points(points(3), tmp_path / "a.csv")
    write_points(points(3, 2), tmp_path / "a.csv", overwrite=True)
    assert len(read_points(tmp_path / "a.csv")) == 2


def test_points_that_float32_cannot_hold(tmp_path: Path) -> None:
    found = read_point_set(write(tmp_path, SAMPLES["tck"]))
    with pytest.raises(WriteError, match="fit into float32, got 1e"):
        write_point_set(found.moved(found.points_mm + 1e300), tmp_path / "b.tck")


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".json"])
def test_written_points_read_back_to_the_last_digit(tmp_path: Path, ndim: int, suffix: str) -> None:
    write_points(points(ndim), tmp_path / f"a{suffix}")
    assert torch.equal(read_points(tmp_path / f"a{suffix}"), points(ndim))
