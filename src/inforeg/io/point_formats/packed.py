"""Numbers packed into the text of XML files: base64, with zlib inside or without, never beyond what is expected."""

import binascii
import zlib

from inforeg.errors import ReadError

# What a DEFLATE stream can grow to at most, per byte.
_MOST_GROWTH = 1032


def from_base64(text: bytes, name: str) -> bytes:
    """The bytes that base64 stands for; blanks do not count. Raises `ReadError` where it is none."""
    try:
        return binascii.a2b_base64(b"".join(text.split()), strict_mode=True)
    except binascii.Error as error:
        raise ReadError(f"{name}: its base64 is damaged ({error})") from None


def to_base64(data: bytes) -> bytes:
    """Base64 in one line."""
    return binascii.b2a_base64(data, newline=False)


def unzip(data: bytes, size: int, name: str) -> bytes:
    """Exactly `size` bytes out of a zlib stream; raises `ReadError` where it holds fewer, more or other."""
    if size > len(data) * _MOST_GROWTH:
        raise ReadError(f"{name} is cut short: it promises {size} bytes, packed into {len(data)}")
    stream = zlib.decompressobj()
    try:
        found = stream.decompress(data, size + 1)
    except zlib.error as error:
        raise ReadError(f"{name}: its data cannot be decompressed ({error})") from None
    if len(found) != size or not stream.eof:
        raise ReadError(f"{name}: expected {size} bytes of packed data, got {len(found)} or more")
    return found


def zipped(data: bytes) -> bytes:
    """A zlib stream; the same data give the same bytes."""
    return zlib.compress(data, 6)
