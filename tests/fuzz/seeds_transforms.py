"""Small whole transform files of every kind, to be damaged; made by other libraries' writers and by hand."""

import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.cases import Case, pick_up
from fuzz.seeds_images import PLACE, SHAPE, values, written

_MATRIX = "0.99 0.1 0 5\n-0.1 0.99 0 -3\n0 0 1.02 2\n0 0 0 1\n"


def transform_seeds(suffix: str) -> list[Case]:
    """Whole files of that ending, of every format that has it; none if no format is known by it."""
    makers = {
        ".tfm": _itk_text,
        ".txt": lambda s: [*_itk_text(s), *_elastix(s), *_text(s, _MATRIX, _MATRIX.replace(" ", ","))],
        ".mat": lambda s: [
            *_itk_text(s),
            *_text(s, _MATRIX, _MATRIX.replace(" ", "  ").replace("\n", "  \n")),
        ],
        ".xfm": _xfm,
        ".h5": lambda s: [*_itk_hdf5(s), *_x5(s)],
        ".hdf5": _itk_hdf5,
        ".x5": _x5,
        ".nii": _fields,
        ".nii.gz": _fields,
        ".mha": _vectors,
        ".nrrd": _vectors,
        ".mhd": _vectors,
        ".nhdr": _vectors,
        ".lta": _lta,
        ".1d": _afni,
        ".csv": lambda s: _text(s, _MATRIX.replace(" ", ",")),
        ".toml": _elastix_toml,
    }
    made = makers[suffix.lower()](suffix) if suffix.lower() in makers else []
    return made + _ours(suffix)


def _text(suffix: str, *texts: str) -> list[Case]:
    return [{f"input{suffix}": text.encode()} for text in texts]


def _ours(suffix: str) -> list[Case]:
    """What inforeg itself writes under that ending, in every format that has it."""
    import torch

    from inforeg import io as doors
    from inforeg.errors import InforegError
    from inforeg.io.transform_formats import FORMATS
    from inforeg.space import Grid
    from inforeg.transforms import BSpline, Composite, Displacement, Linear

    matrix = torch.from_numpy(np.loadtxt(io.StringIO(_MATRIX)))
    grid = Grid(SHAPE, torch.from_numpy(PLACE))
    linear = Linear(matrix)
    field = Displacement.of(linear, grid)
    free = BSpline(
        torch.from_numpy(values(np.float64, (3, 5, 4, 4)) / 100), Grid((5, 4, 4), torch.from_numpy(PLACE))
    )
    transforms = (linear, Linear.identity(2), field, free, Composite((linear, field)))
    made: list[Case] = []
    for name in dict.fromkeys(f.name for f in FORMATS if suffix in f.suffixes and f.writes):
        for transform in transforms:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"input{suffix}"
                try:
                    doors.write_transform(transform, path, format=name, fixed=grid, moving=grid)
                except InforegError:  # not every format holds every transform
                    continue
                made.append(pick_up(Path(folder)))
    return made


def _itk_transforms() -> list[Any]:
    import SimpleITK as sitk

    affine = sitk.AffineTransform(3)
    affine.SetMatrix((0.99, 0.1, 0, -0.1, 0.99, 0, 0, 0, 1.02))
    affine.SetCenter((1, 2, 3))
    spline = sitk.BSplineTransform(2, 3)
    spline.SetTransformDomainMeshSize((1, 1))
    spline.SetParameters([0.01 * n for n in range(len(spline.GetParameters()))])
    field = sitk.DisplacementFieldTransform(
        sitk.GetImageFromArray(values(np.float64, (2, 3, 2)), isVector=True)
    )
    return [
        affine,
        sitk.Euler3DTransform((1, 2, 3), 0.1, 0.2, 0.3, (4, 5, 6)),
        sitk.Euler2DTransform((1, 2), 0.1, (4, 5)),
        sitk.VersorRigid3DTransform((0, 0, 1), 0.2),
        sitk.Similarity3DTransform(1.1, (1, 0, 0), 0.3, (1, 2, 3), (4, 5, 6)),
        sitk.ScaleTransform(3, (1.0, 2.0, 1.0)),
        sitk.TranslationTransform(2, (3.0, 4.0)),
        sitk.CompositeTransform([affine, sitk.TranslationTransform(3, (3.0, 4.0, 5.0))]),
        spline,
        field,
    ]


def _itk_text(suffix: str) -> list[Case]:
    import SimpleITK as sitk

    made: list[Case] = []
    for transform in _itk_transforms():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"input{suffix}"
            try:
                sitk.WriteTransform(transform, str(path))
            except RuntimeError:  # Matlab files hold no composites
                continue
            made.append(pick_up(Path(folder)))
    return made


def _xfm(suffix: str) -> list[Case]:
    text = (
        "MNI Transform File\n%a comment\n\nTransform_Type = Linear;\nLinear_Transform =\n"
        "0.99 0.1 0 5\n-0.1 0.99 0 -3\n0 0 1.02 2;\n"
    )
    second = (
        "Transform_Type = Linear;\nInvert_Flag = True;\nLinear_Transform =\n1 0 0 5\n0 1 0 -3\n0 0 1 2;\n"
    )
    return _text(suffix, text, text + second)


def _hdf5(tree: dict[str, Any], attributes: dict[str, dict[str, Any]] | None = None, **options: Any) -> bytes:
    """A file as the HDF5 library writes it: without check sums, chunked and compressed where that is asked for."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, value in tree.items():
            if isinstance(value, str):
                file.create_dataset(
                    name, data=[value.encode()], dtype=h5py.string_dtype("ascii"), track_times=False
                )
            elif value is None:
                file.create_group(name)
            else:
                file.create_dataset(name, data=value, track_times=False, **options)
        for name, pairs in (attributes or {}).items():
            for key, value in pairs.items():
                file[name].attrs[key] = value
    return buffer.getvalue()


def _itk_hdf5(suffix: str) -> list[Case]:
    affine = {
        "TransformGroup/0/TransformType": "AffineTransform_double_3_3",
        "TransformGroup/0/TransformFixedParameters": np.array([1.0, 2, 3]),
        "TransformGroup/0/TransformParameters": np.array([0.9, 0, 0, 0, 1, 0, 0, 0, 1, 4, 5, 6]),
    }
    fixed = np.array([2.0, 3, 2, 0, 0, 0, 1, 1, 2, 1, 0, 0, 0, 1, 0, 0, 0, 1])
    chain = {
        "ITKVersion": "5.4.0",
        "OSName": "Linux",
        "TransformGroup/0/TransformType": "CompositeTransform_double_3_3",
        "TransformGroup/1/TransformType": "AffineTransform_float_3_3",
        "TransformGroup/1/TransformFixedParameters": np.zeros(3),
        "TransformGroup/1/TransformParameters": np.array([0.9, 0, 0, 0, 1, 0, 0, 0, 1, 4, 5, 6], np.float32),
        "TransformGroup/2/TransformType": "DisplacementFieldTransform_double_3_3",
        "TransformGroup/2/TransformFixedParameters": fixed,
        "TransformGroup/2/TransformParameters": values(np.float64, (36,)) / 10,
    }
    spline = {
        "TransformGroup/0/TransformType": "BSplineTransform_double_2_2",
        "TransformGroup/0/TransformFixedParameters": np.array([4.0, 4, -1, -1, 1, 1, 1, 0, 0, 1]),
        "TransformGroup/0/TransformParameters": values(np.float64, (32,)) / 10,
    }
    packed = _hdf5(chain, compression="gzip", compression_opts=5, chunks=True)
    shuffled = _hdf5(chain, compression="gzip", shuffle=True, fletcher32=True, chunks=True)
    return [{f"input{suffix}": b} for b in (_hdf5(affine), _hdf5(chain), _hdf5(spline), packed, shuffled)]


def _x5(suffix: str) -> list[Case]:
    root = {"Format": "X5", "Version": np.uint16(1)}
    linear = _hdf5(
        {"TransformGroup": None, "TransformGroup/0/Transform": np.eye(4), "TransformGroup/0/Dimension": None},
        {"/": root, "TransformGroup/0": {"Type": "linear"}},
    )
    dense = {"SubType": "densefield", "Representation": "displacements"}
    field = _hdf5(
        {
            "TransformGroup/0/Transform": values(np.float32, (3, 2, 2, 3)),
            "TransformGroup/0/Domain/Grid": np.uint8(1),
            "TransformGroup/0/Domain/Size": np.array([3, 2, 2]),
            "TransformGroup/0/Domain/Mapping": np.eye(4),
        },
        {"/": root, "TransformGroup/0": {"Type": "nonlinear", **dense}},
    )
    return [{f"input{suffix}": b} for b in (linear, field)]


def _fields(suffix: str) -> list[Case]:
    import nibabel as nib

    small = values(np.float32, (*SHAPE, 1, 3)) / 100
    itk = nib.Nifti1Image(small, PLACE)
    itk.header.set_intent("vector")
    fsl = nib.Nifti1Image(small[:, :, :, 0], PLACE)
    fsl.header["intent_code"] = 2006
    splines = nib.Nifti1Image(small[:, :, :, 0], PLACE)
    splines.header["intent_code"] = 2007
    flat = nib.Nifti1Image(values(np.float64, (5, 4, 1, 1, 2)) / 100, np.eye(4))
    flat.header.set_intent("vector")
    plain = [image.to_bytes() for image in (itk, fsl, splines, flat)]
    return [{f"input{suffix}": gzip.compress(b, 1, mtime=0) if suffix.endswith("gz") else b} for b in plain]


def _vectors(suffix: str) -> list[Case]:
    import SimpleITK as sitk

    images = [
        sitk.GetImageFromArray(values(np.float32, (3, 4, 5, 3)) / 100, isVector=True),
        sitk.GetImageFromArray(values(np.float64, (4, 5, 2)) / 100, isVector=True),
    ]
    made = [written(image, f"input{suffix}") for image in images]
    return [*made, written(images[0], f"input{suffix}", useCompression=True)]


def _elastix(suffix: str) -> list[Case]:
    size = "(FixedImageDimension 2)\n(MovingImageDimension 2)\n(Size 10 12)\n(Spacing 1 1)\n(Origin 0 0)\n"
    euler = (
        '(Transform "EulerTransform")\n(NumberOfParameters 3)\n(TransformParameters 0.1 2 3)\n'
        '(InitialTransformParametersFileName "NoInitialTransform")\n(HowToCombineTransforms "Compose")\n'
        f"{size}(CenterOfRotationPoint 5 6)\n// a comment\n(Direction 1 0 0 1)\n"
    )
    spline = (
        '(Transform "BSplineTransform")\n(NumberOfParameters 32)\n'
        f"(TransformParameters {' '.join(str(n / 10) for n in range(32))})\n"
        '(InitialTransformParametersFileName "first.txt")\n(HowToCombineTransforms "Compose")\n'
        f"{size}(GridSize 4 4)\n(GridIndex 0 0)\n(GridSpacing 8 8)\n(GridOrigin -8 -8)\n(GridDirection 1 0 0 1)\n"
        '(BSplineTransformSplineOrder 3)\n(UseCyclicTransform "false")\n'
    )
    affine = (
        '(Transform "AffineTransform")\n(NumberOfParameters 12)\n'
        "(TransformParameters 1 0 0 0 1 0 0 0 1 4 5 6)\n(CenterOfRotationPoint 1 2 3)\n"
        "(FixedImageDimension 3)\n(MovingImageDimension 3)\n(Direction 1 0 0 0 1 0 0 0 1)\n"
        '(InitialTransformParameterFileName "NoInitialTransform")\n'
    )
    name = f"input{suffix}"
    alone = spline.replace("first.txt", "NoInitialTransform")
    return [
        {name: euler.encode()},
        {name: affine.encode()},
        {name: alone.encode()},
        {name: spline.encode(), "first.txt": euler.encode()},
    ]


def _lta(suffix: str) -> list[Case]:
    def volume(kind: str) -> str:
        return (
            f"{kind} volume info\nvalid = 1  # volume info valid\nfilename = {kind}.mgz\nvolume = 5 4 3\n"
            "voxelsize = 1.5 2.0 2.5\nxras   = -1 0 0\nyras   = 0 0 -1\nzras   = 0 1 0\ncras   = 1 2 3\n"
        )

    def file(kind: int) -> str:
        return (
            f"# made by hand\ntype      = {kind} # LINEAR\nnxforms   = 1\nmean      = 0 0 0\nsigma     = 1\n"
            f"1 4 4\n{_MATRIX}{volume('src')}{volume('dst')}subject fsaverage\nfscale 0.15\n"
        )

    return _text(suffix, file(0), file(1))


def _afni(suffix: str) -> list[Case]:
    row = "0.99 0.1 0 5 -0.1 0.99 0 -3 0 0 1.02 2\n"
    return _text(suffix, "# 3dvolreg matrices (DICOM-to-DICOM, row-by-row):\n" + row, row * 2, _MATRIX[:-8])


def _elastix_toml(suffix: str) -> list[Case]:
    texts = []
    for case in _elastix(suffix)[:3]:
        lines = []
        for line in case[f"input{suffix}"].decode().splitlines():
            if line.startswith("("):
                key, rest = line.strip("()").split(" ", 1)
                parts = rest.split(" ")
                lines.append(f"{key} = {parts[0] if len(parts) == 1 else '[' + ', '.join(parts) + ']'}")
        texts.append("\n".join(lines) + "\n")
    return _text(suffix, *texts)
