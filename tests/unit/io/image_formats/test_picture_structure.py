import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from inforeg.errors import ReadError
from inforeg.io.image_formats.picture_structure import check_picture
from inforeg.io.image_formats.tiff_structure import check_tiff

GREY = (np.arange(40 * 50) % 251).reshape(40, 50).astype(np.uint8)
COLOUR = np.stack([GREY, GREY + 1, GREY + 2], -1)
TYPES = {
    "grey": sitk.GetImageFromArray(GREY),
    "colour": sitk.GetImageFromArray(COLOUR, isVector=True),
    "deep": sitk.GetImageFromArray(GREY.astype(np.uint16) * 200),
    "flat": sitk.GetImageFromArray(np.zeros((900, 1100), np.uint8)),
}
WIDTH, HEIGHT, STRIPS, OFFSETS, COUNTS, SUBFILE, BITS = 256, 257, 278, 273, 279, 254, 258


def written(name: str, path: Path, **options: object) -> Path:
    sitk.WriteImage(TYPES[name], str(path), **options)
    return path


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_what_itk_writes_passes(name: str, suffix: str, tmp_path: Path) -> None:
    if (name, suffix) == ("deep", ".jpg"):
        pytest.skip("JPEG holds bytes")
    path = written(name, tmp_path / f"a{suffix}")
    (check_tiff if suffix == ".tif" else check_picture)(path)


@pytest.mark.parametrize("compressor", ["PackBits", "Deflate", "LZW", "JPEG"])
@pytest.mark.parametrize("name", ["grey", "colour", "flat"])
def test_compressed_tiff_passes(name: str, compressor: str, tmp_path: Path) -> None:
    check_tiff(written(name, tmp_path / "a.tif", useCompression=True, compressor=compressor))


def test_a_stack_passes(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6), np.float32)), str(tmp_path / "a.tif"))
    check_tiff(tmp_path / "a.tif")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_both_byte_orders_and_both_sizes_of_tiff_pass(order: str, big: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(order, big))
    check_tiff(path)
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(path))).tolist() == [[0, 1, 2], [3, 4, 5]]


def tiff(order: str = "<", big: bool = False, pages: int = 1, **changed: tuple[int, ...]) -> bytes:
    """Pages of 3x2 grey pixels; `changed` gives other values for a tag, `tag256=(7,)`."""
    first = 16 if big else 8
    values = bytes(range(6)).ljust(8, b"\0")
    start, at = first + len(values), b""
    for page in range(pages):
        tags = {WIDTH: (3,), HEIGHT: (2,), BITS: (8,), 259: (1,), 262: (1,), OFFSETS: (first,), 277: (1,)}
        tags |= {STRIPS: (2,), COUNTS: (6,)}
        if page == pages - 1:
            tags |= {int(name.removeprefix("tag")): numbers for name, numbers in changed.items()}
        size = (8 + 20 * len(tags) + 8) if big else (2 + 12 * len(tags) + 4)
        block = struct.pack(order + ("Q" if big else "H"), len(tags))
        for tag, (number, *more) in sorted(tags.items()):
            content = struct.pack(order + ("Q" if big else "I"), number)
            kind = 16 if big else 4
            block += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, 1 + len(more)) + content
        following = start + (page + 1) * size if page < pages - 1 else 0
        block += struct.pack(order + ("Q" if big else "I"), following)
        at += block
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(order + "HHHQ", 43, 8, 0, start) if big else struct.pack(order + "HI", 42, start)
    return mark + head + values + at


BAD_TIFF = {
    "wider than its values": ({"tag256": (300,)}, "promises 300x2 pixels"),
    "no pixels": ({"tag256": (0,)}, "0x2 pixels"),
    "values beyond the file": ({"tag273": (10**6,)}, "cut short"),
    "no values": ({"tag279": (0,)}, "cut short"),
    "no rows in a strip": ({"tag278": (0,)}, "3x0 pixels"),
    "too few strips": ({"tag278": (1,)}, "expected 2 pieces"),
    "odd bits": ({"tag258": (7,)}, "7 bits"),
    "many samples": ({"tag277": (9,)}, "9 values"),
    "unknown compression": ({"tag259": (34712,)}, "34712"),
    "a kind of colours": ({"tag262": (5,)}, "TIFF code 5"),
    "colours without samples": ({"tag262": (2,)}, "TIFF code 2"),
    "a palette that is not there": ({"tag262": (3,)}, "palette"),
    "a smaller copy": ({"tag254": (1,)}, "smaller copies"),
    "a smaller copy, as it was said of old": ({"tag255": (2,)}, "smaller copies"),
    "several widths": ({"tag256": (3, 3)}, "expected one value"),
    "planes that do not exist": ({"tag284": (7,)}, "kind of colours"),
    "JPEG's colours without JPEG": ({"tag262": (6,)}, "TIFF code 6"),
    "numbers that are none": ({"tag339": (9,)}, "are not read"),
}


@pytest.mark.parametrize("name", BAD_TIFF)
def test_bad_tiff_is_refused(name: str, tmp_path: Path) -> None:
    changes, said = BAD_TIFF[name]
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(**changes))
    with pytest.raises(ReadError, match=said):
        check_tiff(path)


def test_pages_that_differ_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(pages=3))
    check_tiff(path)
    path.write_bytes(tiff(pages=3, tag257=(1,), tag279=(3,), tag278=(1,)))
    with pytest.raises(ReadError, match="page 3 differs"):
        check_tiff(path)


def test_pages_of_which_some_say_that_they_are_pages_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(pages=3, tag254=(2,)))
    with pytest.raises(ReadError, match="page 3 differs"):
        check_tiff(path)


def test_a_tag_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    data = bytearray(tiff())
    height = struct.pack("<H", HEIGHT)
    at = data.index(height + struct.pack("<HI", 4, 1))
    data[at : at + 2] = struct.pack("<H", WIDTH)
    path.write_bytes(data)
    with pytest.raises(ReadError, match="tag 256 is there twice"):
        check_tiff(path)


def test_pages_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    data = bytearray(tiff())
    data[-4:] = struct.pack("<I", 16)
    path.write_bytes(data)
    with pytest.raises(ReadError, match="circle"):
        check_tiff(path)


@pytest.mark.parametrize("count", range(0, 140, 7))
def test_a_tiff_cut_short_anywhere_is_refused(count: int, tmp_path: Path) -> None:
    whole = tiff()
    path = tmp_path / "a.tif"
    path.write_bytes(whole[: min(count, len(whole) - 1)])
    with pytest.raises(ReadError, match=r"cut short|no TIFF|no page"):
        check_tiff(path)


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


HEAD = struct.pack(">IIBBBBB", 3, 2, 8, 0, 0, 0, 0)
VALUES = zlib.compress(bytes(8))
BAD_PNG = {
    "much larger than its values": (
        [(b"IHDR", b"\0\1" + HEAD[2:]), (b"IDAT", VALUES), (b"IEND", b"")],
        "promises",
    ),
    "no pixels": ([(b"IHDR", bytes(4) + HEAD[4:]), (b"IDAT", VALUES), (b"IEND", b"")], "promises 0x2"),
    "no values": ([(b"IHDR", HEAD), (b"IEND", b"")], "holds 0 bytes"),
    "no end": ([(b"IHDR", HEAD), (b"IDAT", VALUES)], "cut short"),
    "header last": ([(b"IDAT", VALUES), (b"IHDR", HEAD), (b"IEND", b"")], "where it should be"),
    "two headers": ([(b"IHDR", HEAD), (b"IHDR", HEAD), (b"IEND", b"")], "where it should be"),
    "a short header": ([(b"IHDR", HEAD[:-1]), (b"IDAT", VALUES), (b"IEND", b"")], "13 bytes"),
}


@pytest.mark.parametrize("name", BAD_PNG)
def test_bad_png_is_refused(name: str, tmp_path: Path) -> None:
    chunks, said = BAD_PNG[name]
    path = tmp_path / "a.png"
    path.write_bytes(png(chunks))
    with pytest.raises(ReadError, match=said):
        check_picture(path)


def test_one_changed_byte_of_a_png_is_seen(tmp_path: Path) -> None:
    whole = png([(b"IHDR", HEAD), (b"IDAT", VALUES), (b"IEND", b"")])
    path = tmp_path / "a.png"
    path.write_bytes(whole)
    check_picture(path)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 0x10,)) + whole[at + 1 :])
        with pytest.raises(ReadError):
            check_picture(path)


def test_a_jpeg_cut_short_is_refused_though_itk_would_fill_it_with_grey(tmp_path: Path) -> None:
    whole = written("grey", tmp_path / "a.jpg").read_bytes()
    path = tmp_path / "b.jpg"
    for count in range(1, len(whole) - 1, 61):
        path.write_bytes(whole[:count])
        with pytest.raises(ReadError, match=r"cut short|no JPEG"):
            check_picture(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        # Height and width stand behind the marker of the frame, a length and the depth.
        (b"\x08\x00\x28\x00\x32", b"\x08\xff\xff\xff\xff", "promises"),
        (b"\x08\x00\x28\x00\x32", b"\x0c\x00\x28\x00\x32", "12 bits"),
        (b"\x08\x00\x28\x00\x32", b"\x08\x00\x00\x00\x32", "50x0 pixels"),
        (b"\xff\xc2", b"\xff\xc9", "kind of JPEG"),
        (b"\xff\xc2", b"\xff\xfe", "before its size"),
    ],
)
def test_bad_jpeg_is_refused(old: bytes, new: bytes, said: str, tmp_path: Path) -> None:
    whole = written("grey", tmp_path / "a.jpg").read_bytes()
    assert whole.count(old) == 1
    path = tmp_path / "b.jpg"
    path.write_bytes(whole.replace(old, new))
    with pytest.raises(ReadError, match=said):
        check_picture(path)
