"""What a PNG or JPEG file promises, compared with what it holds, before ITK is given it.

ITK asks for memory as the header says, and takes a picture that is cut short for whole, grey where it ends.
"""

import struct
import zlib
from pathlib import Path
from typing import NoReturn

from inforeg.errors import ReadError

_PNG = b"\x89PNG\r\n\x1a\n"
# What DEFLATE can grow to at most, per byte.
_MOST_GROWTH = 1032
# Values a pixel, by PNG's code for the kind of colour.
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

# Markers of JPEG that stand alone, without a length.
_ALONE = {0x01, *range(0xD0, 0xD8)}
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
# Starts of frames that libjpeg decodes: baseline, extended, progressive.
_FRAMES = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES = {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
# A block of 64 pixels takes a bit at least.
_PIXELS_A_BYTE = 64 * 8


def check_picture(path: Path) -> None:
    """Raise `ReadError` unless the PNG or JPEG file, by its ending, is whole as far as its structure tells."""
    data = path.read_bytes()
    if path.suffix.lower() == ".png":
        _check_png(data, path)
    else:
        _check_jpeg(data, path)


def _refuse(path: Path, why: str) -> NoReturn:
    raise ReadError(f"cannot read {path}: {why}")


def _check_png(data: bytes, path: Path) -> None:
    if data[:8] != _PNG:
        _refuse(path, "it is no PNG file; is it of another format, renamed?")
    at, header, packed = 8, b"", 0
    while True:
        if at + 12 > len(data):
            _refuse(path, f"it is cut short, after {len(data)} bytes")
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            _refuse(path, f"it is cut short: it refers to byte {end}, and has {len(data)}")
        if struct.unpack_from(">I", data, end - 4)[0] != zlib.crc32(data[at + 4 : end - 4]):
            _refuse(path, f"it is damaged: the check sum at byte {end - 4} is wrong")
        if (kind == b"IHDR") != (at == 8):
            _refuse(path, "it is damaged: its header is not where it should be")
        header = data[at + 8 : end - 4] if kind == b"IHDR" else header
        packed += length if kind == b"IDAT" else 0
        at = end
        if kind == b"IEND":
            break
    if len(header) != 13:
        _refuse(path, "it is damaged: its header has not 13 bytes")
    width, height, depth, colour = struct.unpack_from(">IIBB", header)
    row_bytes = (width * depth * _PNG_SAMPLES.get(colour, 0) + 7) // 8
    if row_bytes * height == 0 or row_bytes * height > packed * _MOST_GROWTH:
        _refuse(path, f"its header promises {width}x{height} pixels, and it holds {packed} bytes of them")


def _check_jpeg(data: bytes, path: Path) -> None:
    if data[:2] != bytes((0xFF, _START)):
        _refuse(path, "it is no JPEG file; is it of another format, renamed?")
    at, pixels = 2, 0
    while True:
        at = data.find(b"\xff", at)
        while 0 <= at < len(data) and data[at] == 0xFF:
            at += 1
        if at < 0 or at >= len(data):
            _refuse(path, f"it is cut short, after {len(data)} bytes")
        marker = data[at]
        at += 1
        if marker == _END:
            break
        if marker in _ALONE or marker == 0:
            continue
        if at + 2 > len(data):
            _refuse(path, f"it is cut short, after {len(data)} bytes")
        (length,) = struct.unpack_from(">H", data, at)
        if length < 2 or at + length > len(data):
            _refuse(path, f"it is cut short: it refers to byte {at + length}, and has {len(data)}")
        if marker in _OTHER_FRAMES or (marker in _FRAMES and pixels):
            _refuse(path, "it is a kind of JPEG that is not read; save it again as PNG")
        if marker in _FRAMES:
            depth, height, width = struct.unpack_from(">BHH", data, at + 2) if length >= 8 else (0, 0, 0)
            pixels = width * height
            if depth != 8 or pixels == 0:
                _refuse(path, f"its header says {width}x{height} pixels of {depth} bits; expected 8 bits")
        if marker == _SCAN and not pixels:
            _refuse(path, "it is damaged: its values come before its size")
        at += length
    if pixels == 0 or pixels > len(data) * _PIXELS_A_BYTE:
        _refuse(path, f"its header promises {pixels} pixels, and it has {len(data)} bytes")
