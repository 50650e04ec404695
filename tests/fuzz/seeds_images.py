"""Small whole images of every kind, to be damaged; made by other libraries' writers and by hand."""

import gzip
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.cases import Case, pick_up

SHAPE = (5, 4, 3)
PLACE = np.array([[-1.5, 0.1, 0, 9], [0, 2, 0.2, -8], [0.3, 0, 2.5, 7], [0, 0, 0, 1.0]])


def image_seeds(suffix: str) -> list[Case]:
    """Whole files of that ending, as cases whose file is `input` + ending; none if the kind is not known."""
    makers = {
        ".nii": _nifti,
        ".nii.gz": _nifti,
        ".hdr": _pair,
        ".hdr.gz": _pair,
        ".img": _pair,
        ".img.gz": _pair,
        ".mgh": _mgh,
        ".mgz": _mgh,
        ".mgh.gz": _mgh,
        ".png": _png,
        ".jpg": _jpeg,
        ".jpeg": _jpeg,
        ".tif": _tiff,
        ".tiff": _tiff,
        ".mha": _by_itk,
        ".mhd": _by_itk,
        ".nrrd": _nrrd,
        ".nhdr": _nrrd,
    }
    return makers[suffix](suffix) if suffix in makers else []


def values(dtype: Any, shape: tuple[int, ...] = SHAPE) -> Any:
    """Numbers with a pattern, so that the files are small and not all the same."""
    return (np.arange(np.prod(shape)).reshape(shape) % 251).astype(dtype)


def _nifti(suffix: str) -> list[Case]:
    import nibabel as nib

    colour = np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    colour["G"] = values(np.uint8)
    images = [
        nib.Nifti1Image(values(np.int16), PLACE),
        nib.Nifti1Image(values(np.float32, (6, 5, 1)), np.diag([2.0, 2, 2, 1])),
        nib.Nifti1Image(values(np.uint8, (*SHAPE, 3)), PLACE),
        nib.Nifti1Image(values(np.float64, (*SHAPE, 1, 3)), PLACE),
        nib.Nifti1Image(colour, PLACE),
        nib.Nifti2Image(values(np.uint16), PLACE),
        nib.Nifti1Image(values(np.int16), PLACE),
    ]
    images[0].set_qform(PLACE, 1)
    images[0].header.extensions.append(nib.nifti1.Nifti1Extension(6, b"a note"))
    images[-1].header.set_slope_inter(0.5, -3)
    plain = [image.to_bytes() for image in images]
    swapped = nib.Nifti1Image(values(np.int16), PLACE, images[0].header.as_byteswapped())
    plain.append(swapped.to_bytes())
    return [{f"input{suffix}": gzip.compress(b, 1, mtime=0) if suffix.endswith("gz") else b} for b in plain]


def _pair(suffix: str) -> list[Case]:
    """Headers and values in two files, whichever of them is the one that is named."""
    import nibabel as nib

    made = []
    for kind in (nib.Nifti1Pair, nib.Nifti2Pair, nib.AnalyzeImage):
        image = kind(values(np.int16), PLACE if kind is not nib.AnalyzeImage else None)
        files = {f"input.{n}": f.fileobj.getvalue() for n, f in _in_memory(image).items()}
        if suffix.endswith("gz"):
            files = {f"{name}.gz": gzip.compress(data, 1, mtime=0) for name, data in files.items()}
        made.append(files)
    return made


def _in_memory(image: Any) -> Any:
    import io

    import nibabel as nib

    parts = {"hdr": nib.FileHolder(fileobj=io.BytesIO()), "img": nib.FileHolder(fileobj=io.BytesIO())}
    image.to_file_map(
        {"header": parts["hdr"], "image": parts["img"], "mat": nib.FileHolder(fileobj=io.BytesIO())}
    )
    return parts


def _mgh(suffix: str) -> list[Case]:
    import nibabel as nib

    images = [
        nib.MGHImage(values(np.uint8), PLACE.astype(np.float32)),
        nib.MGHImage(values(np.int32), np.eye(4, dtype=np.float32)),
        nib.MGHImage(values(np.float32, (*SHAPE, 2)), PLACE.astype(np.float32)),
        nib.MGHImage(values(np.int16), None),
    ]
    plain = [image.to_bytes() for image in images]
    plain.append(plain[0] + struct.pack(">4f", 2000, 0.1, 3, 0) + struct.pack(">iq", 2, 5) + b"note\0")
    return [{f"input{suffix}": gzip.compress(b, 1, mtime=0) if suffix.endswith("z") else b} for b in plain]


def _itk(array: Any, vector: bool = False) -> Any:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array, isVector=vector)
    image.SetSpacing([1.5, 0.5, 2.0, 1.0][: image.GetDimension()])
    image.SetOrigin([-9.0, 4.0, 3.0, 0.0][: image.GetDimension()])
    return image


def written(image: Any, name: str, **options: Any) -> Case:
    """What ITK writes under that name."""
    import SimpleITK as sitk

    with tempfile.TemporaryDirectory() as folder:
        sitk.WriteImage(image, str(Path(folder) / name), **options)
        return pick_up(Path(folder))


def _pictures() -> list[Any]:
    return [
        _itk(values(np.uint8, (6, 7))),
        _itk(values(np.uint8, (6, 7, 3)), vector=True),
    ]


def _png(suffix: str) -> list[Case]:
    name = f"input{suffix}"
    images = [*_pictures(), _itk(values(np.uint16, (6, 7))), _itk(values(np.uint8, (6, 7, 4)), vector=True)]
    palette = [(b"PLTE", bytes(range(48))), (b"tRNS", b"\0\x80\xff")]
    # Width, height, depth, kind of colour, and the bytes of all rows with a filter byte before each.
    made = [
        _png_bytes((8, 9, 4, 3), bytes(9 * 5), palette),
        _png_bytes((8, 8, 1, 0), bytes(8 * 2), []),
        _png_bytes((6, 6, 8, 4), bytes(6 * 13), []),
        _png_bytes((6, 6, 16, 2), bytes(6 * 37), [(b"pHYs", struct.pack(">IIB", 2000, 3000, 1))]),
        _png_bytes((1, 1, 8, 0), bytes(2), [(b"tEXt", b"Comment\0hello"), (b"gAMA", b"\0\0\xb1\x8f")], 1),
    ]
    return [written(image, name) for image in images] + [{name: data} for data in made]


def _png_bytes(
    head: tuple[int, int, int, int], raw: bytes, extra: list[tuple[bytes, bytes]], interlaced: int = 0
) -> bytes:
    """A PNG file by hand, for the kinds that ITK does not write."""
    width, height, depth, colour = head
    first = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    chunks = [(b"IHDR", first), *extra, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _jpeg(suffix: str) -> list[Case]:
    return [written(image, f"input{suffix}") for image in _pictures()]


def _tiff(suffix: str) -> list[Case]:
    name = f"input{suffix}"
    images = [
        *_pictures(),
        _itk(values(np.float32, (6, 7))),
        _itk(values(np.uint16, (3, 4, 5))),
        _itk(values(np.int16, (6, 7))),
    ]
    plain = [written(image, name) for image in images]
    packed = [
        written(images[n], name, useCompression=True, imageIO="TIFFImageIO", compressor=c)
        for n, c in ((0, "PackBits"), (1, "Deflate"), (1, "JPEG"), (3, "LZW"))
    ]
    return plain + packed


def _by_itk(suffix: str) -> list[Case]:
    name = f"input{suffix}"
    images = [
        _itk(values(np.int16)),
        _itk(values(np.uint8, (6, 7))),
        _itk(values(np.uint8, (4, 5, 3)), vector=True),
        _itk(values(np.float32, (4, 5, 3, 3)), vector=True),
        _itk(values(np.float64, (2, 3, 4, 5))) if suffix == ".mha" else _itk(values(np.float64)),
    ]
    made = [written(image, name) for image in images]
    made.append(written(images[0], name, useCompression=True))
    head = (
        "ObjectType = Image\nNDims = 3\nDimSize = 2 2 2\nElementSpacing = 1 1 2\nPosition = 0 0 0\n"
        "Orientation = 1 0 0 0 1 0 0 0 1\nElementType = MET_UCHAR\nBinaryDataByteOrderMSB = True\n"
    )
    if suffix == ".mha":
        made.append({name: (head + "ElementDataFile = LOCAL\n").encode() + bytes(range(8))})
        made.append(
            {name: (head + "BinaryData = False\nElementDataFile = LOCAL\n1 2 3 4 5 6 7 8\n").encode()}
        )
    else:
        made.append({name: (head + "ElementDataFile = values.raw\n").encode(), "values.raw": bytes(range(8))})
        made.append(
            {
                name: (head + "ElementDataFile = LIST\na.raw\nb.raw\n").encode(),
                "a.raw": bytes(4),
                "b.raw": bytes(4),
            }
        )
        made.append(
            {
                name: (head + "HeaderSize = -1\nElementDataFile = s%d.raw 1 2 1\n").encode(),
                "s1.raw": bytes(4),
                "s2.raw": bytes(4),
            }
        )
    return made


def _nrrd(suffix: str) -> list[Case]:
    name = f"input{suffix}"
    images = [
        _itk(values(np.int16)),
        _itk(values(np.uint8, (6, 7))),
        _itk(values(np.float32, (4, 5, 3, 3)), vector=True),
    ]
    made = [written(image, name) for image in images]
    made.append(written(images[0], name, useCompression=True))
    head = (
        "NRRD0004\n# by hand\ntype: uchar\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n"
        "space directions: (1,0,0) (0,1,0) (0,0,2)\nkinds: domain domain domain\nendian: little\n"
        "space origin: (0,0,0)\n"
    )
    short = "NRRD0001\ntype: short\ndimension: 2\nsizes: 2 3\nspacings: 1 2\nendian: big\n"
    if suffix == ".nrrd":
        made += [
            {name: (head + "encoding: ascii\n\n1 2 3 4 5 6 7 8\n").encode()},
            {name: (head + "encoding: hex\n\n0001020304050607\n").encode()},
            {name: (head + "encoding: gzip\n\n").encode() + gzip.compress(bytes(8), mtime=0)},
            {name: (head + "key:=value\nencoding: raw\n\n").encode() + bytes(8)},
            {name: (short + "encoding: raw\n\n").encode() + bytes(12)},
        ]
    else:
        made += [
            {name: (head + "encoding: raw\ndata file: values.raw\n").encode(), "values.raw": bytes(8)},
            {
                name: (head + "encoding: gzip\nline skip: 0\nbyte skip: 0\ndata file: v.raw.gz\n").encode(),
                "v.raw.gz": gzip.compress(bytes(8), mtime=0),
            },
            {
                name: (head + "encoding: raw\ndata file: LIST\na.raw\nb.raw\n").encode(),
                "a.raw": bytes(4),
                "b.raw": bytes(4),
            },
            {
                name: (head + "encoding: raw\ndata file: s%d.raw 1 2 1\n").encode(),
                "s1.raw": bytes(4),
                "s2.raw": bytes(4),
            },
        ]
    return made
