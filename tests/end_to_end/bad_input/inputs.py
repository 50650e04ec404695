"""The folder of inputs that all cases share."""

from pathlib import Path

import torch
from end_to_end.bad_input.images import make_images, make_pictures
from end_to_end.bad_input.outside import make_leading_outside
from end_to_end.bad_input.volumes import make_volumes

from inforeg.io import write_transform
from inforeg.transforms import Linear, group

_TFM = "#Insight Transform File V1.0\n#Transform 0\n"
_AFFINE = f"{_TFM}Transform: AffineTransform_double_3_3\n"


def make_inputs(folder: Path) -> Path:
    """Everything the cases read, good and bad."""
    make_images(folder)
    make_pictures(folder)
    make_volumes(folder)
    make_leading_outside(folder)
    _make_transforms(folder)
    _make_points(folder)
    (folder / "bad.toml").write_text("no = [toml\n")
    (folder / "unknown.toml").write_text('stage = "rigid"\n')
    (folder / "range.toml").write_text("bins = 1000000\n")
    (folder / "projective.toml").write_text('transform = "projective"\n')
    (folder / "no_stage.toml").write_text("stages = []\n")
    return folder


def make_place(folder: Path, inputs: Path) -> Path:
    """Where outputs go: there is something there already."""
    (folder / "file").write_text("mine")
    (folder / "full.nii.gz").mkdir()
    (folder / "full.nii.gz" / "precious.txt").write_text("mine")
    (folder / "there.nii.gz").write_bytes((inputs / "good.nii.gz").read_bytes())
    (folder / "there.csv").write_text("x,y,z\n1,2,3\n")
    (folder / "there.h5").write_bytes((inputs / "good.h5").read_bytes())
    (folder / "link.nii.gz").symlink_to(folder / "there.nii.gz")
    (folder / "dangling.nii.gz").symlink_to(folder / "nowhere.nii.gz")
    return folder


def _make_transforms(folder: Path) -> None:
    write_transform(Linear.identity(3), folder / "good.tfm")
    write_transform(Linear.identity(3), folder / "good.h5")
    write_transform(Linear.identity(2), folder / "flat.tfm")
    far = torch.eye(4, dtype=torch.float64)
    far[:3, 3] = 900.0
    write_transform(Linear(far), folder / "to_far.tfm")
    write_transform(Linear(far).inverse(), folder / "from_far.tfm")
    write_transform(
        group("projective", 3).exp(torch.full((15,), 0.01), torch.zeros(3), 80.0), folder / "p.json"
    )
    for name in ("good.tfm", "good.h5"):
        whole = (folder / name).read_bytes()
        (folder / name.replace("good", "half")).write_bytes(whole[: len(whole) // 2])
    (folder / "text.h5").write_text("no transform")
    (folder / "empty.h5").write_bytes(b"")
    numbers = "Parameters: {} 0 0 0 1 0 0 0 1 0 0 0\nFixedParameters: 0 0 0\n"
    (folder / "nan.tfm").write_text(_AFFINE + numbers.format("nan"))
    (folder / "singular.tfm").write_text(_AFFINE + numbers.format("0"))
    (folder / "short.tfm").write_text(_AFFINE + "Parameters: 1 0 0\nFixedParameters: 0 0 0\n")
    (folder / "kind.tfm").write_text(f"{_TFM}Transform: ThinPlateTransform_double_3_3\n{numbers.format('1')}")
    (folder / "nested.json").write_text("[" * 100_000)
    (folder / "other.json").write_text('{"inforeg_transform": 1, "frame": "LPS mm", "chain": []}')
    (folder / "fsl.mat").write_text("1 0 0 5\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    (folder / "three_rows.mat").write_text("1 0 0 5\n0 1 0 0\n0 0 1 0\n")
    (folder / "short.lta").write_text("type = 1\nnxforms = 1\nmean = 0 0 0\nsigma = 1\n1 4 4\n1 0 0 0\n")
    (folder / "short.1D").write_text("1 0 0 5 0 1 0 0 0 0 1\n")
    (folder / "empty.txt").write_text("\n")
    (folder / "words.txt").write_text("these are words and no numbers\n")


def _make_points(folder: Path) -> None:
    texts = {
        "points.csv": "x,y,z\n1,2,3\n",
        "flat.csv": "x,y\n1,2\n",
        "bad.csv": "x,y,z\n1,2\n",
        "nan.csv": "x,y,z\n1,2,nan\n",
        "empty.csv": "",
        "only_head.csv": "x,y,z\n",
        "wide.csv": "1,2,3,4,5\n",
        "names.csv": "a,b,c\n1,2,3\n",
        "half.fcsv": "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n1,1.5\n",
        "bad.mrk.json": '{"markups": [{"type": "Fiducial", "controlPoints": [{"position": [1, 2]}]}]}',
        "half.mrk.json": '{"markups": [{"type": "Fid',
        "text.vtk": "no mesh\n",
        "lying.vtk": "# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\nPOINTS 999999999999 float\n1 2 3\n",
        "text.trk": "no streamlines\n",
        "text.tck": "no streamlines\n",
        "half.tck": "mrtrix tracks\ndatatype: Float32LE\ncount: 1\nfile: . 60\nEND\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "bytes.csv").write_bytes(bytes(range(256)))
