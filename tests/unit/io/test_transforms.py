import gzip
import subprocess
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from strategies import points

from inforeg.errors import OutputExists, ReadError, UsageError, WriteError
from inforeg.io import read_transform, streams, write_ants_files, write_transform
from inforeg.io.transforms import formats_of
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear, Velocity, fit_thin_plate, group

SUFFIXES = [".tfm", ".txt", ".h5", ".hdf5", ".mat", ".json"]


def affine(ndim: int = 3, name: str = "affine", seed: int = 0) -> Linear:
    which = group(name, ndim)
    parameters = torch.randn(which.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return which.exp(0.3 * parameters, torch.arange(ndim, dtype=torch.float64) * 7, 80.0)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_transform_is_the_same_after_the_trip(tmp_path: Path, suffix: str, ndim: int) -> None:
    transform = affine(ndim)
    write_transform(transform, tmp_path / f"a{suffix}")
    read = read_transform(tmp_path / f"a{suffix}")
    assert isinstance(read, Linear)
    assert torch.equal(read.matrix, transform.matrix)


@pytest.mark.parametrize("suffix", [".tfm", ".h5", ".mat"])
def test_a_centre_changes_the_numbers_and_not_the_transform(tmp_path: Path, suffix: str) -> None:
    transform, centre = affine(), torch.tensor([10.0, -20.0, 30.0], dtype=torch.float64)
    write_transform(transform, tmp_path / f"a{suffix}", centre_mm=centre)
    stored = sitk.ReadTransform(str(tmp_path / f"a{suffix}"))
    part = stored.GetNthTransform(0) if suffix == ".h5" else stored
    assert tuple(part.GetFixedParameters()) == (-10.0, 20.0, 30.0)
    read = read_transform(tmp_path / f"a{suffix}")
    torch.testing.assert_close(read(points(3)), transform(points(3)), rtol=0, atol=1e-10)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_chains_keep_their_order(tmp_path: Path, suffix: str) -> None:
    chain = Composite((affine(seed=1), affine(seed=2), affine(seed=3)))
    write_transform(chain, tmp_path / f"a{suffix}")
    read = read_transform(tmp_path / f"a{suffix}")
    torch.testing.assert_close(read(points(3)), chain(points(3)), rtol=0, atol=1e-9)


def test_h5_is_always_a_composite_as_ants_expects(tmp_path: Path) -> None:
    write_transform(affine(), tmp_path / "a.h5")
    assert isinstance(sitk.ReadTransform(str(tmp_path / "a.h5")), sitk.CompositeTransform)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_transform_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    for name in "ab":
        write_transform(affine(), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    with pytest.raises(OutputExists):
        write_transform(affine(), tmp_path / f"a{suffix}")


def test_projective_goes_to_json_only(tmp_path: Path) -> None:
    transform = affine(name="projective")
    for suffix in (".tfm", ".h5"):
        with pytest.raises(WriteError, match="projective"):
            write_transform(transform, tmp_path / f"a{suffix}")
    write_transform(transform, tmp_path / "a.json")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    read = read_transform(tmp_path / "a.json")
    assert torch.equal(read.matrix, transform.matrix)  # type: ignore[attr-defined]


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.tfm"):
        write_transform(affine(), tmp_path / "a.doc")
    with pytest.raises(ReadError, match=r"\.tfm"):
        read_transform(tmp_path / "a.doc")


def test_of_a_packed_file_only_the_head_is_unpacked_to_know_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = []

    class Watched:
        def __init__(self, window: int) -> None:
            self.engine = zlib.decompressobj(window)

        def decompress(self, data: bytes, most: int) -> bytes:
            piece = self.engine.decompress(data, most)
            unpacked.append(len(piece))
            return piece

        def __getattr__(self, name: str) -> Any:
            return getattr(self.engine, name)

    monkeypatch.setattr(streams, "ENGINE", SimpleNamespace(decompressobj=Watched))
    header = sitk.Image([2, 2, 2], sitk.sitkVectorFloat32, 3)
    header.SetMetaData("intent_code", "1007")
    sitk.WriteImage(header, str(tmp_path / "a.nii"))
    packed = gzip.compress((tmp_path / "a.nii").read_bytes() + bytes(10_000_000))
    (tmp_path / "a.nii.gz").write_bytes(packed)
    plain, found = formats_of(tmp_path / "a.nii"), formats_of(tmp_path / "a.nii.gz")
    assert [form.name for form in found] == [form.name for form in plain] == ["itk"]
    assert 0 < sum(unpacked) <= 4096
    # What is no gzip in spite of its first bytes is of no format, as is what breaks off at once.
    for damaged in (b"\x1f\x8bnonsense that is no gzip at all", packed[:12]):
        (tmp_path / "b.nii.gz").write_bytes(damaged)
        assert formats_of(tmp_path / "b.nii.gz") == []


FRAME = '"inforeg_transform": 1, "frame": "RAS+ mm, fixed to moving"'
BAD_JSON = {
    "no json": "{",
    "another json": '{"matrix": 1}',
    "another version": '{"inforeg_transform": 2}',
    "no chain": f"{{{FRAME}}}",
    "empty chain": f'{{{FRAME}, "chain": []}}',
    "another frame": '{"inforeg_transform": 1, "frame": "LPS", "chain": []}',
    "no matrix": f'{{{FRAME}, "chain": [{{"matrix": "x"}}]}}',
    "ragged": f'{{{FRAME}, "chain": [{{"matrix": [[1], [2, 3]]}}]}}',
    "too small": f'{{{FRAME}, "chain": [{{"matrix": [[1]]}}]}}',
    "NaN": f'{{{FRAME}, "chain": [{{"matrix": [[NaN, 0, 0], [0, 1, 0], [0, 0, 1]]}}]}}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json_is_one_line(tmp_path: Path, case: str) -> None:
    (tmp_path / "a.json").write_text(BAD_JSON[case])
    with pytest.raises(ReadError) as caught:
        read_transform(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".tfm", ".txt", ".mat", ".h5", ".xfm"])
def test_bad_itk_files_are_one_line_and_the_libraries_are_silent(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    good = tmp_path / "good.h5"
    write_transform(affine(), good)
    cases = {"empty": b"", "text": b"nothing\n" * 9, "half": good.read_bytes()[:2000]}
    for name, content in cases.items():
        path = tmp_path / (name + suffix)
        path.write_bytes(content)
        with pytest.raises(ReadError) as caught:
            read_transform(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "0x" not in str(caught.value)
    with pytest.raises(ReadError, match="not there"):
        read_transform(tmp_path / f"missing{suffix}")
    assert capfd.readouterr() == ("", "")


def test_a_part_that_is_not_read_is_named(tmp_path: Path) -> None:
    chain = sitk.CompositeTransform([sitk.AffineTransform(3), sitk.BSplineTransform(3, 2)])
    sitk.WriteTransform(chain, str(tmp_path / "a.h5"))
    with pytest.raises(ReadError, match="order 3, got one of order 2"):
        read_transform(tmp_path / "a.h5")


def test_reading_a_transform_needs_no_other_library(tmp_path: Path) -> None:
    """ITK's own reader takes a while to load, and crashes on damaged files."""
    script = (
        "import sys; from inforeg.io import read_transform, write_transform;"
        "[write_transform(read_transform(sys.argv[1]), sys.argv[2] + s) for s in ('.h5', '.tfm', '.mat', '.x5')];"
        "print([m for m in ('SimpleITK', 'h5py', 'nibabel', 'scipy') if m in sys.modules])"
    )
    write_transform(affine(), tmp_path / "a.h5")
    arguments = [sys.executable, "-c", script, str(tmp_path / "a.h5"), str(tmp_path / "b")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_numbers_are_written_with_every_digit(tmp_path: Path) -> None:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[0, 0] = 1 / 3
    write_transform(Linear(matrix), tmp_path / "a.tfm")
    lines = (tmp_path / "a.tfm").read_text().splitlines()
    assert lines[0] == "#Insight Transform File V1.0"
    assert lines[3].startswith(f"Parameters: {np.float64(1 / 3)!s} 0.0 0.0 0.0 1.0")
    assert "-0.0" not in (tmp_path / "a.tfm").read_text()


def flow(dtype: torch.dtype = torch.float32) -> Velocity:
    noise = torch.randn(3, 6, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Velocity(noise.to(dtype), Grid.from_spacing((6, 5, 7), 4.0))


@pytest.mark.parametrize("suffix", [".h5", ".tfm", ".x5", ".nii.gz", ".mha", ".nrrd"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_velocity_field_is_written_as_its_displacements(
    tmp_path: Path, suffix: str, dtype: torch.dtype
) -> None:
    velocity = flow(dtype)
    write_transform(velocity, tmp_path / f"a{suffix}")
    read = read_transform(tmp_path / f"a{suffix}")
    assert isinstance(read, Displacement)
    assert torch.equal(read.vectors, velocity.displacement.vectors)
    assert read.grid.same_as(velocity.grid)
    if suffix in (".h5", ".tfm", ".x5"):
        write_transform(Composite((affine(), velocity)), tmp_path / f"b{suffix}")
        chain = read_transform(tmp_path / f"b{suffix}")
        torch.testing.assert_close(chain(points(3)), affine()(velocity(points(3))), rtol=0, atol=1e-9)
    else:
        with pytest.raises(WriteError, match=r"no Composite; write \.h5"):
            write_transform(Composite((affine(), velocity)), tmp_path / f"b{suffix}")


def test_ants_files_of_a_flow_and_the_way_back(tmp_path: Path) -> None:
    chain = Composite((affine(), flow(torch.float64)))
    lists = write_ants_files(chain, tmp_path, chain.inverse())
    assert lists == [
        "-t 1Warp.nii.gz -t 0GenericAffine.mat",
        "-t [0GenericAffine.mat,1] -t 1InverseWarp.nii.gz",
    ]
    assert len(list(tmp_path.iterdir())) == 3
    there = read_transform(tmp_path / "1Warp.nii.gz")
    back = read_transform(tmp_path / "1InverseWarp.nii.gz")
    assert isinstance(there, Displacement) and isinstance(back, Displacement)
    assert torch.equal(there.vectors, flow(torch.float64).displacement.vectors.float())
    assert torch.equal(back.vectors, flow(torch.float64).inverse().displacement.vectors.float())
    alone = tmp_path / "alone"
    alone.mkdir()
    assert write_ants_files(flow(), alone) == ["-t 0Warp.nii.gz"]


@pytest.mark.parametrize(
    "name", ["a.h5", "a.tfm", "a.mat", "a.nii.gz", "a.mha", "a.x5", "a.json", "a.xfm", "ants"]
)
def test_a_thin_plate_spline_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    bent = fit_thin_plate(points(3, 9), points(3, 9, seed=1))
    with pytest.raises(WriteError, match=r"Displacement\.of|write \.h5|linear") as caught:
        write_ants_files(bent, tmp_path) if name == "ants" else write_transform(bent, tmp_path / name)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
