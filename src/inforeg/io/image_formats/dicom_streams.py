"""Compressed frames of DICOM files: what a stream says of itself, before GDCM is given it; and run lengths.

Of 12,000 damaged streams, GDCM ended the whole process for 14 and hung on one: where a frame of JPEG named another
size or depth than the file, and in run lengths. The first is therefore looked at here, and run lengths are read here.
"""

import struct
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What a frame may be, by transfer syntax: the markers that start one in JPEG and JPEG-LS.
JPEG = {
    "1.2.840.10008.1.2.4.50": (0xC0,),
    "1.2.840.10008.1.2.4.51": (0xC0, 0xC1),
    "1.2.840.10008.1.2.4.57": (0xC3,),
    "1.2.840.10008.1.2.4.70": (0xC3,),
    "1.2.840.10008.1.2.4.80": (0xF7,),
    "1.2.840.10008.1.2.4.81": (0xF7,),
}
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
RUN_LENGTHS = "1.2.840.10008.1.2.5"

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_ALONE = {0x00, 0x01, *range(0xD0, 0xD8)}
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xF7, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}


def check_stream(data: bytes, syntax: str, rows: int, columns: int, samples: int, bits: int) -> None:
    """Raise `ValueError` unless one frame, compressed, says that it is of this size; `bits` are those stored."""
    said = _jpeg_2000(data) if syntax in JPEG_2000 else _jpeg(data, JPEG[syntax])
    expected = (rows, columns, samples)
    if said[:3] != expected:
        raise ValueError(
            f"expected {columns}x{rows} pixels of {samples} samples, its stream says {_size(said)}"
        )
    # A lossless stream may be of all the bits there is room for, whatever is said of those in use.
    room = 8 if bits <= 8 else 16
    if not 2 <= said[3] <= room:
        raise ValueError(f"expected pixels of up to {room} bits, its stream says {said[3]}")


def _size(said: tuple[int, int, int, int]) -> str:
    return f"{said[1]}x{said[0]} of {said[2]}"


def _jpeg(data: bytes, starts: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Rows, columns, samples and bits of the one frame in a JPEG stream."""
    if data[:2] != bytes((0xFF, _START)):
        raise ValueError("its stream does not begin as JPEG does")
    at, said, scanned = 2, None, False
    while True:
        at = data.find(b"\xff", at)
        while 0 <= at < len(data) and data[at] == 0xFF:
            at += 1
        if at < 0 or at >= len(data):
            raise ValueError("its stream is cut short")
        marker = data[at]
        at += 1
        if marker == _END:
            break
        # In JPEG-LS what follows 0xFF in the values is below 0x80.
        if marker in _ALONE or (0xF7 in starts and scanned and marker < 0x80):
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            raise ValueError("its stream is cut short")
        if marker == _START or (marker in _FRAMES and (said or marker not in starts)):
            raise ValueError("its stream is of another kind than the file says")
        if marker in starts:
            if length < 8:
                raise ValueError("its stream is damaged")
            bits, rows, columns, samples = struct.unpack_from(">BHHB", data, at + 2)
            said = (rows, columns, samples, bits)
        scanned = scanned or marker == _SCAN
        at += length
    if said is None or not scanned:
        raise ValueError("its stream holds no frame")
    return said


def _jpeg_2000(data: bytes) -> tuple[int, int, int, int]:
    """Rows, columns, samples and bits that a JPEG 2000 stream says."""
    if data[:4] != b"\xff\x4f\xff\x51" or len(data) < 42:
        raise ValueError("its stream does not begin as JPEG 2000 does")
    right, bottom, left, top, tile_width, tile_height = struct.unpack_from(">6I", data, 8)
    samples = int.from_bytes(data[40:42], "big")
    kinds = {bytes(data[at : at + 3]) for at in range(42, 42 + 3 * min(samples, 4), 3)}
    # All samples of one depth, none thinned.
    if len(kinds) != 1 or (kind := kinds.pop())[1:] != b"\1\1":
        raise ValueError("its stream holds samples of different kinds")
    tiles = -(-right // max(1, tile_width)) * -(-bottom // max(1, tile_height))
    if not tile_width or not tile_height or tiles > len(data):
        raise ValueError("its stream is damaged: its tiles make no sense")
    return bottom - top, right - left, samples, (kind[0] & 0x7F) + 1


def run_lengths(data: bytes, rows: int, columns: int, samples: int, itemsize: int) -> NDArray[Any]:
    """The samples `(samples, rows, columns)` of one frame, unsigned; raises `ValueError` where it is damaged."""
    count, size = samples * itemsize, rows * columns
    if len(data) < 64 or int.from_bytes(data[:4], "little") != count:
        raise ValueError(f"expected run lengths in {count} parts")
    starts = [*struct.unpack_from(f"<{count}I", data, 4), len(data)]
    if starts[0] < 64 or any(a > b for a, b in pairwise(starts)):
        raise ValueError("its stream is damaged: its parts are not in order")
    planes = np.empty((samples, itemsize, size), np.uint8)
    for number in range(count):
        part = _unpack(memoryview(data)[starts[number] : starts[number + 1]], size)
        # The highest byte of a sample comes first.
        planes[number // itemsize, itemsize - 1 - number % itemsize] = np.frombuffer(part, np.uint8)
    values = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f"<u{itemsize}")
    return values.reshape(samples, rows, columns)


def _unpack(data: memoryview, size: int) -> bytes:
    """Run lengths as in TIFF: a count and as many bytes, or a count and one byte to repeat."""
    pieces: list[bytes | memoryview] = []
    at = done = 0
    while done < size and at + 1 < len(data):
        count = data[at]
        if count < 128:
            piece: bytes | memoryview = data[at + 1 : at + 2 + count]
            at += 2 + count
        elif count > 128:
            piece = bytes(data[at + 1 : at + 2]) * (257 - count)
            at += 2
        else:
            piece = b""
            at += 1
        pieces.append(piece)
        done += len(piece)
    if done < size:
        raise ValueError("its stream is cut short")
    return b"".join(pieces)[:size]
