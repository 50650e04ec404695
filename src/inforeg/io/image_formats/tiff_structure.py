"""What a TIFF file promises, compared with what it holds, before ITK is given it.

ITK's reader trusts the tags: pages that differ in size, strips that lie beyond the file and the like end the process.
Only what a medical or microscope picture needs is let through, by the TIFF 6.0 specification and BigTIFF's.
"""

import struct
from collections.abc import Iterator
from io import BufferedReader
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from inforeg.errors import ReadError

_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 256, 257, 258, 259, 262
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES, _PLANAR = 273, 277, 278, 279, 284
_COLOUR_MAP, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _FORMAT = 320, 322, 323, 324, 325, 339
_WANTED = {
    *(_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIP_OFFSETS, _SAMPLES),
    *(_ROWS_PER_STRIP, _STRIP_BYTES, _PLANAR, _COLOUR_MAP),
    *(_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _FORMAT),
}
# Kinds of numbers that counts and offsets come in, by their code in the file.
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

_NONE, _LZW, _JPEG, _DEFLATE, _PACKBITS, _OLD_DEFLATE = 1, 5, 7, 8, 32773, 32946
_COMPRESSIONS = {_NONE, _LZW, _JPEG, _DEFLATE, _PACKBITS, _OLD_DEFLATE}
# What the compressions can grow to at most, per byte; LZW's strings get the longest.
_MOST_GROWTH = 4096
_MOST_PAGES = 1 << 16
# White is zero, black is zero, colour, palette, and JPEG's own colours.
_GREY, _COLOUR, _PALETTE, _YCBCR = (0, 1), 2, 3, 6

_Tags = dict[int, tuple[int, ...]]


class _Page(NamedTuple):
    """What all pages of a file have in common."""

    width: int
    height: int
    bits: tuple[int, ...]
    samples: int
    sample_format: int
    photometric: int
    compression: int
    planar: int
    subfile: int


def check_tiff(path: Path) -> None:
    """Raise `ReadError` unless every page of the file is whole, of a kind that is read, and like the first."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        first: _Page | None = None
        for number, tags in enumerate(_pages(file, size, path), start=1):
            page = _described(tags, path)
            first = first or page
            if page != first:
                _refuse(
                    path,
                    f"page {number} differs from the first in size or type; save it as a file of its own",
                )
            _check_pieces(tags, page, size, path)
        if first is None:
            _refuse(path, "it has no page")


def _refuse(path: Path, why: str) -> NoReturn:
    raise ReadError(f"cannot read {path}: {why}")


def _pages(file: BufferedReader, size: int, path: Path) -> Iterator[_Tags]:
    """The tags of each page that matter here."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        _refuse(path, "it is no TIFF file; is it of another format, renamed?")
    (version,) = struct.unpack_from(order + "H", head, 2)
    big = version == 43
    if version not in (42, 43) or (big and (len(head) < 16 or head[4:8] != struct.pack(order + "HH", 8, 0))):
        _refuse(path, "it is no TIFF file; is it of another format, renamed?")
    count_code, entry_code, offset_code = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    (place,) = struct.unpack_from(order + offset_code, head, 8 if big else 4)
    seen: set[int] = set()
    while place:
        if place in seen or len(seen) >= _MOST_PAGES:
            _refuse(path, "its pages lead in a circle")
        seen.add(place)
        (count,) = _unpacked(file, place, order + count_code, size, path)
        at = place + struct.calcsize(order + count_code)
        step = struct.calcsize(order + entry_code)
        if count > 4096 or at + count * step > size:
            _refuse(path, f"it is cut short: a page's {count} tags lie beyond its {size} bytes")
        tags: _Tags = {}
        for n in range(count):
            tag, kind, length, value = _unpacked(file, at + n * step, order + entry_code, size, path)
            if tag in tags:
                # Of two, libtiff takes the other one.
                _refuse(path, f"its tag {tag} is there twice")
            if tag in _WANTED:
                tags[tag] = _values(file, order, kind, length, value, size, path)
        yield tags
        (place,) = _unpacked(file, at + count * step, order + offset_code, size, path)


def _unpacked(file: BufferedReader, place: int, code: str, size: int, path: Path) -> tuple[Any, ...]:
    length = struct.calcsize(code)
    if place + length > size:
        _refuse(path, f"it is cut short: it refers to byte {place + length}, and has {size}")
    file.seek(place)
    return struct.unpack(code, file.read(length))


def _values(
    file: BufferedReader, order: str, kind: int, length: int, value: bytes, size: int, path: Path
) -> tuple[int, ...]:
    if kind not in _NUMBERS or length == 0:
        _refuse(path, "a tag of its header makes no sense")
    code = f"{order}{length}{_NUMBERS[kind]}"
    if length <= size and struct.calcsize(code) <= len(value):
        return struct.unpack_from(code, value)
    (place,) = struct.unpack(order + ("Q" if len(value) == 8 else "I"), value)
    if length > size:
        _refuse(path, f"it is cut short: a tag promises {length} numbers, and it has {size} bytes")
    return _unpacked(file, place, code, size, path)


def _described(tags: _Tags, path: Path) -> _Page:
    """Size and type of a page; refuses what ITK would have to guess."""

    def one(tag: int, default: int | None = None) -> int:
        found = tags.get(tag, () if default is None else (default,))
        if len(found) != 1:
            _refuse(path, f"expected one value for its tag {tag}, got {len(found)}")
        return found[0]

    samples = one(_SAMPLES, 1)
    bits = tags.get(_BITS, (1,))
    formats = set(tags.get(_FORMAT, (1,)))
    page = _Page(
        one(_WIDTH),
        one(_HEIGHT),
        bits,
        samples,
        formats.pop() if len(formats) == 1 else 0,
        one(_PHOTOMETRIC),
        one(_COMPRESSION, _NONE),
        one(_PLANAR, 1),
        # ITK makes room for the pages that say they are pages, and then reads all of them.
        one(_SUBFILE, 0),
    )
    if page.subfile not in (0, 2) or one(_OLD_SUBFILE, 1) != 1:
        _refuse(path, "it holds smaller copies or masks of a picture; save the picture alone")
    if page.width < 1 or page.height < 1:
        _refuse(path, f"its header says {page.width}x{page.height} pixels")
    depth = bits[0]
    allowed = {1: (1, 8, 16, 32), 2: (8, 16, 32), 3: (32, 64)}.get(page.sample_format, ())
    if not 1 <= samples <= 4 or len(bits) != samples or set(bits) != {depth} or depth not in allowed:
        _refuse(path, f"{samples} values of {'/'.join(map(str, bits[:8]))} bits a pixel are not read")
    if page.compression not in _COMPRESSIONS:
        _refuse(path, f"its compression (TIFF code {page.compression}) is not read; save it without")
    colours = 3 if page.photometric in (_COLOUR, _YCBCR) else 1
    known = page.photometric in (*_GREY, _COLOUR, _PALETTE) or (page.photometric, page.compression) == (
        6,
        _JPEG,
    )
    if not known or samples < colours or page.planar not in (1, 2):
        _refuse(
            path, f"its kind of colours (TIFF code {page.photometric}) is not read; save it as grey or RGB"
        )
    if page.photometric == _PALETTE and (
        samples != 1 or depth > 16 or len(tags.get(_COLOUR_MAP, ())) != 3 * 2**depth
    ):
        _refuse(path, "its palette does not fit its values")
    return page


def _check_pieces(tags: _Tags, page: _Page, size: int, path: Path) -> None:
    """That every strip or tile lies in the file and can hold its rows."""
    per_plane = page.samples if page.planar == 1 else 1
    planes = 1 if page.planar == 1 else page.samples
    tiled = _TILE_OFFSETS in tags
    if tiled:
        width, rows = (tags.get(tag, (0,))[0] for tag in (_TILE_WIDTH, _TILE_HEIGHT))
        offsets, counts = tags[_TILE_OFFSETS], tags.get(_TILE_BYTES, ())
    else:
        width, rows = page.width, min(tags.get(_ROWS_PER_STRIP, (page.height,))[0], page.height)
        offsets, counts = tags.get(_STRIP_OFFSETS, ()), tags.get(_STRIP_BYTES, ())
    if width < 1 or rows < 1:
        _refuse(path, f"its header says pieces of {width}x{rows} pixels")
    down = ceil(page.height / rows)
    expected = planes * down * (ceil(page.width / width) if tiled else 1)
    if len(offsets) != expected or len(counts) != expected:
        _refuse(path, f"expected {expected} pieces, and it has {len(offsets)} places and {len(counts)} sizes")
    row_bytes = ceil(width * per_plane * page.bits[0] / 8)
    for n, (offset, count) in enumerate(zip(offsets, counts, strict=True)):
        height = rows if tiled else min(rows, page.height - (n % down) * rows)
        need = row_bytes * height
        if count < 1 or offset + count > size:
            _refuse(path, f"it is cut short: its values reach to byte {offset + count}, and it has {size}")
        if need > count * (1 if page.compression == _NONE else _MOST_GROWTH):
            _refuse(path, f"its header promises {page.width}x{page.height} pixels, and it holds fewer")
