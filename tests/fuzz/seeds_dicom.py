"""Small folders of DICOM slices, to be damaged: as GDCM writes them, plain and compressed, and by hand."""

import struct
import tempfile
from pathlib import Path

import numpy as np
from fuzz.cases import Case
from fuzz.seeds_images import values

_EXPLICIT, _IMPLICIT, _RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"


def dicom_seeds() -> list[Case]:
    """Series of slices and files of many frames."""
    return [
        _by_gdcm(3),
        _by_gdcm(1),
        _by_gdcm(2, "JPEG"),
        _by_gdcm(2, "JPEG2000"),
        {f"{n}": _by_hand(_EXPLICIT, n) for n in range(3)},
        {f"{n}.dcm": _by_hand(_IMPLICIT, n) for n in range(2)},
        {"a.dcm": _by_hand(_RLE, 0)},
        {
            "frames.dcm": _by_hand(_EXPLICIT, 0, frames=3),
            "DICOMDIR": b"not looked into",
            "notes.txt": b"text",
        },
    ]


def single_dicom_seeds() -> list[Case]:
    """Files that are given by themselves."""
    return [{"input.dcm": case[min(case)]} for case in dicom_seeds()[:-1]] + [
        {"input.dcm": _by_hand(_EXPLICIT, 0, frames=3)}
    ]


def _by_gdcm(slices: int, compressor: str = "") -> Case:
    """A series as GDCM writes it, the same every time."""
    import SimpleITK as sitk

    case: Case = {}
    # JPEG 2000 halves its pictures several times; GDCM ends the process on smaller ones.
    shape = (16, 16) if compressor == "JPEG2000" else (5, 6)
    for n in range(slices):
        volume = sitk.JoinSeries([sitk.GetImageFromArray(values(np.int16, shape))])
        volume.SetSpacing((1.5, 0.5, 2.0))
        tags = {
            "0008|0012": "20000101",
            "0008|0013": "000000",
            "0008|0016": "1.2.840.10008.5.1.4.1.1.4",
            "0008|0018": f"1.2.3.4.{n + 1}",
            "0010|0010": "NOBODY",
            "0020|000d": "1.2.3",
            "0020|000e": "1.2.3.4",
            "0020|0013": str(n + 1),
            "0020|0032": f"-9\\4\\{2 * n}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0052": "1.2.3.9",
            "0028|1052": "-10",
            "0028|1053": "2",
        }
        for tag, value in tags.items():
            volume.SetMetaData(tag, value)
        with tempfile.TemporaryDirectory() as folder:
            writer = sitk.ImageFileWriter()
            writer.KeepOriginalImageUIDOn()
            writer.SetUseCompression(bool(compressor))
            if compressor:
                writer.SetCompressor(compressor)
            writer.SetFileName(str(Path(folder) / "a.dcm"))
            writer.Execute(volume)
            case[f"{n}.dcm"] = (Path(folder) / "a.dcm").read_bytes()
    return case


def _by_hand(syntax: str, number: int, frames: int = 1) -> bytes:
    """A slice of 4x3 pixels, element by element."""
    explicit = syntax != _IMPLICIT

    def element(tag: int, kind: bytes, value: bytes, explicit: bool = explicit) -> bytes:
        value += (b"\0" if kind in (b"UI", b"OB", b"OW") else b" ") * (len(value) % 2)
        start = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if not explicit:
            return start + struct.pack("<I", len(value)) + value
        if kind in (b"OB", b"OW", b"SQ", b"UN"):
            return start + kind + struct.pack("<HI", 0, len(value)) + value
        return start + kind + struct.pack("<H", len(value)) + value

    def short(number: int) -> bytes:
        return struct.pack("<H", number)

    group = element(0x00020010, b"UI", syntax.encode(), True)
    meta = element(0x00020000, b"UL", struct.pack("<I", len(group)), True) + group
    pixels = values(np.uint16, (frames, 3, 4)).astype("<u2").tobytes()
    item = element(0x00209113, b"SQ", b"")
    parts = [
        element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.2"),
        element(0x00080018, b"UI", b"1.2.3.%d" % number),
        element(0x00080060, b"CS", b"CT"),
        element(0x0020000D, b"UI", b"1.2.3"),
        element(0x0020000E, b"UI", b"1.2.3.4"),
        element(0x00200013, b"IS", b"%d" % number),
        element(0x00200032, b"DS", b"1.5\\-2\\%d" % (3 * number)),
        element(0x00200037, b"DS", b"1\\0\\0\\0\\0.8\\0.6"),
        item,
        element(0x00280002, b"US", short(1)),
        element(0x00280004, b"CS", b"MONOCHROME2"),
        element(0x00280008, b"IS", b"%d" % frames),
        element(0x00280010, b"US", short(3)),
        element(0x00280011, b"US", short(4)),
        element(0x00280030, b"DS", b"0.5\\0.75"),
        element(0x00280100, b"US", short(16)),
        element(0x00280101, b"US", short(12)),
        element(0x00280102, b"US", short(11)),
        element(0x00280103, b"US", short(0)),
    ]
    if syntax == _RLE:
        high = bytes((11,)) + pixels[1::2]
        low = bytes((11,)) + pixels[::2]
        frame = struct.pack("<16I", 2, 64, 64 + len(high), *([0] * 13)) + high + low
        items = [struct.pack("<HHI", 0xFFFE, 0xE000, len(data)) + data for data in (b"", frame)]
        end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        head = struct.pack("<HH", 0x7FE0, 0x0010) + b"OB" + struct.pack("<HI", 0, 0xFFFFFFFF)
        parts.append(head + b"".join(items) + end)
    else:
        parts.append(element(0x7FE00010, b"OW", pixels))
    return bytes(128) + b"DICM" + meta + b"".join(parts)
