"""The pixels of DICOM files: plain ones from the file as they lie, compressed ones through GDCM."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.files import why
from inforeg.io.image_formats import dicom_elements as tags
from inforeg.io.image_formats.dicom_elements import DicomFile
from inforeg.io.image_formats.dicom_streams import JPEG, JPEG_2000, RUN_LENGTHS, check_stream, run_lengths
from inforeg.io.image_formats.outline import Order
from inforeg.io.simpleitk import LIBRARY_ERRORS, quiet_libraries, reason, simpleitk
from inforeg.io.streams import open_plain
from inforeg.memory import in_words

GREY = ("MONOCHROME1", "MONOCHROME2")

# No byte of a file is taken to stand for more than this, as in gzip.
_MOST_GROWTH = 1032


@dataclass(frozen=True)
class PixelForm:
    """How the pixels of a file are laid out: frames of rows of pixels of one or three samples."""

    frames: int
    rows: int
    columns: int
    samples: int
    bits: int
    stored: int
    high: int
    signed: bool
    photometric: str
    planar: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a sample in memory."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits // 8}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one frame: `(rows, columns)`, and three samples for colour."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def frame_bytes(self) -> int:
        """Of one frame that is not compressed."""
        return self.rows * self.columns * self.samples * (self.bits // 8)


def pixel_form(file: DicomFile) -> PixelForm:
    """What the header says of the pixels; raises `ReadError` for a kind that is not read, or a file too short."""
    frames = file.decimals(tags.FRAMES, 1) or (1.0,)
    bits = file.whole(tags.BITS)
    form = PixelForm(
        frames=int(frames[0]),
        rows=file.whole(tags.ROWS),
        columns=file.whole(tags.COLUMNS),
        samples=file.whole(tags.SAMPLES, 1),
        bits=bits,
        stored=file.whole(tags.BITS_STORED, bits),
        high=file.whole(tags.HIGH_BIT, file.whole(tags.BITS_STORED, bits) - 1),
        signed=file.whole(tags.SIGNED, 0) == 1,
        photometric=file.text(tags.PHOTOMETRIC) or "MONOCHROME2",
        planar=file.whole(tags.PLANAR, 0) == 1,
    )
    _check(file, form)
    return form


def _check(file: DicomFile, form: PixelForm) -> None:
    colour = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT") if file.compressed else ("RGB",)
    if form.photometric not in (GREY if form.samples == 1 else colour):
        raise ReadError(
            f"{file.path}: expected grey or RGB pixels, got {form.photometric[:20]} with {form.samples} samples"
        )
    if form.bits not in (8, 16, 32) or not 1 <= form.stored <= form.high + 1 <= form.bits:
        raise ReadError(
            f"{file.path}: expected pixels of 8, 16 or 32 bits, got {form.stored} up to bit {form.high} of {form.bits}"
        )
    if file.big_endian and (form.bits == 32 or (form.bits == 8 and file.in_words)):
        raise ReadError(
            f"{file.path} holds pixels of {form.bits} bits in big-endian words, which programs put in different orders;"
            " save it little-endian"
        )
    if min(form.frames, form.rows, form.columns) < 1:
        raise ReadError(
            f"{file.path}: expected at least one pixel, got {form.columns}x{form.rows} in {form.frames} frames"
        )
    if file.compressed and file.syntax not in (*JPEG, *JPEG_2000, RUN_LENGTHS):
        raise ReadError(
            f"{file.path} is compressed in a way that is not read (transfer syntax {file.syntax[:64]});"
            " save it uncompressed"
        )
    total = form.frames * form.frame_bytes
    held = sum(length for _, length in file.pieces[1:]) if file.compressed else file.pieces[0][1]
    if held * (_MOST_GROWTH if file.compressed else 1) < total:
        raise ReadError(
            f"{file.path} is cut short: its header promises {form.columns}x{form.rows} pixels in {form.frames}"
            f" frames ({in_words(total)}), it holds {in_words(held)}"
        )
    if file.compressed and form.frames > 1 and len(file.pieces) - 1 != form.frames:
        raise ReadError(
            f"{file.path}: expected its {form.frames} frames in as many pieces, got {len(file.pieces) - 1};"
            " save it uncompressed"
        )


def read_frames(
    file: DicomFile, form: PixelForm, frames: Sequence[int], into: Sequence[NDArray[Any]], scratch: Path
) -> None:
    """Put frames of a file into arrays of `form.shape`, the values as they are stored, unused bits cleared.

    `scratch` is a folder of one's own, where compressed pixels are put for GDCM.
    """
    if file.compressed:
        decoded = _decoded(file, form, scratch)
        for number, target in zip(frames, into, strict=True):
            target[...] = _clean(decoded[number], form)
        return
    order: Order = ">" if file.big_endian else "<"
    start = file.pieces[0][0]
    shape = (form.samples, *form.shape[:2]) if form.planar and form.samples > 1 else form.shape
    with open_plain(file.path) as source:
        for number, target in zip(frames, into, strict=True):
            try:
                source.seek(start + number * form.frame_bytes)
                data = source.read(form.frame_bytes)
            except OSError as error:
                raise ReadError(f"cannot read {file.path}: {why(error)}") from None
            if len(data) < form.frame_bytes:
                raise ReadError(f"{file.path} was cut short while it was read")
            values = np.frombuffer(data, form.dtype.newbyteorder(order)).reshape(shape)
            target[...] = _clean(np.moveaxis(values, 0, -1) if shape != form.shape else values, form)


def _clean(values: NDArray[Any], form: PixelForm) -> NDArray[Any]:
    """The bits that are stored, as numbers: other bits may hold drawings, or nothing of meaning."""
    if form.stored == form.bits:
        return values
    native = values.astype(form.dtype)
    native <<= form.bits - 1 - form.high
    native >>= form.bits - form.stored
    return native


def _decoded(file: DicomFile, form: PixelForm, scratch: Path) -> NDArray[Any]:
    """All frames `(frames, rows, columns[, samples])` of a compressed file."""
    streams = list(_streams(file, form))
    try:
        if file.syntax == RUN_LENGTHS:
            return _by_run_lengths(streams, form)
        for stream in streams:
            check_stream(stream, file.syntax, form.rows, form.columns, form.samples, form.stored)
        return _by_gdcm(streams, file.syntax, form, scratch)
    except ValueError as error:
        raise ReadError(f"{file.path}: its pixels cannot be decompressed ({error})") from None


def _streams(file: DicomFile, form: PixelForm) -> Iterator[bytes]:
    """The compressed bytes of each frame; a lone frame may be in several pieces."""
    with open_plain(file.path) as source:
        try:
            pieces = []
            for start, length in file.pieces[1:]:
                source.seek(start)
                pieces.append(source.read(length))
        except OSError as error:
            raise ReadError(f"cannot read {file.path}: {why(error)}") from None
    yield from [b"".join(pieces)] if form.frames == 1 else pieces


def _by_run_lengths(streams: list[bytes], form: PixelForm) -> NDArray[Any]:
    itemsize = form.dtype.itemsize
    frames = [run_lengths(data, form.rows, form.columns, form.samples, itemsize) for data in streams]
    values = np.stack([frame[0] if form.samples == 1 else np.moveaxis(frame, 0, -1) for frame in frames])
    viewed: NDArray[Any] = values.view(form.dtype)
    return viewed


def _by_gdcm(streams: list[bytes], syntax: str, form: PixelForm, scratch: Path) -> NDArray[Any]:
    """GDCM is given a file with the compressed pixels and a few numbers, and nothing else of the original."""
    sitk = simpleitk()
    bare = scratch / "pixels.dcm"
    bare.write_bytes(_bare(streams, syntax, form))
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(bare))
    try:
        with quiet_libraries():
            image = reader.Execute()
    except LIBRARY_ERRORS as error:
        raise ValueError(reason(error).replace(str(bare), "its stream")) from None
    values = sitk.GetArrayFromImage(image)
    # ITK gives one frame as a volume of one slice.
    values = values.reshape((form.frames, *form.shape)) if values.size == prod(form.shape) else values
    if values.shape != (form.frames, *form.shape) or values.dtype.itemsize != form.dtype.itemsize:
        raise ValueError(f"it holds {'x'.join(map(str, values.shape))} values of {values.dtype.name}")
    viewed: NDArray[Any] = values.view(form.dtype)
    return viewed


def _bare(streams: list[bytes], syntax: str, form: PixelForm) -> bytes:
    """The compressed pixels as a DICOM file without a place, a time or a name."""
    several = form.frames > 1
    kind = "1.2.840.10008.5.1.4.1.1.7" + ((".3" if form.bits > 8 else ".2") if several else "")
    first = [(0x00020002, "UI", kind), (0x00020003, "UI", "1.2.3"), (tags.SYNTAX, "UI", syntax)]
    rest: list[tuple[int, str, str | int]] = [
        (0x00080016, "UI", kind),
        (0x00080018, "UI", "1.2.3"),
        (tags.SAMPLES, "US", form.samples),
        (tags.PHOTOMETRIC, "CS", form.photometric),
        *([(tags.PLANAR, "US", int(form.planar))] if form.samples > 1 else []),
        *([(tags.FRAMES, "IS", str(form.frames))] if several else []),
        (tags.ROWS, "US", form.rows),
        (tags.COLUMNS, "US", form.columns),
        (tags.BITS, "US", form.bits),
        (tags.BITS_STORED, "US", form.stored),
        (tags.HIGH_BIT, "US", form.high),
        (tags.SIGNED, "US", int(form.signed)),
    ]
    group_2 = b"".join(_element(*e) for e in first)
    pieces = [bytes(128), b"DICM", _element(0x00020000, "UL", len(group_2)), group_2]
    pieces += [_element(*e) for e in rest]
    pieces += [
        struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF),
        struct.pack("<HHI", 0xFFFE, 0xE000, 0),
    ]
    for stream in streams:
        pieces += [struct.pack("<HHI", 0xFFFE, 0xE000, len(stream)), stream]
    return b"".join((*pieces, struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)))


def _element(tag: int, vr: str, value: str | int) -> bytes:
    if isinstance(value, int):
        data = struct.pack("<I" if vr == "UL" else "<H", value)
    else:
        data = value.encode("ascii", "replace")
        data += (b"\0" if vr == "UI" else b" ") * (len(data) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(data)) + data
