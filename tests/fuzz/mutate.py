"""Damage: what disks, networks, editors and other programs' bugs do to files, and what an attacker would try."""

import gzip
import re
import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random

from fuzz.cases import Case

# Wide enough for a table of points, too short for the machine to be the limit.
_LONGEST = 1 << 16

INTEGERS = (0, 1, -1, 2, 3, 4, 5, 7, 8, 16, 127, 128, 255, 256, 1 << 15, (1 << 16) - 1, 1 << 16, 1 << 24)
WIDE = (
    *INTEGERS,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 40,
    1 << 62,
    (1 << 63) - 1,
    -(1 << 63),
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-308, 5e-324, 1e38, 1e308, float("inf"), float("-inf"), float("nan"), 0.5)
WORDS = (
    *("0", "-1", "1", "2", "3", "4", "-0", "0.0", "nan", "inf", "-inf", "1e308", "1e-308", "1e999", "1_000"),
    *("2147483648", "4294967296", "9223372036854775807", "99999999999999999999", "0x10", "1,5", "1e", "--1"),
    *("", "true", "null", "{}", "[]", '""', "'", '"', "{", "[", "]", "}", "<", ">", "(", ")", "%s", "{0}"),
    *(
        "..",
        "../up",
        "../../../../etc/passwd",
        "/etc/passwd",
        "/dev/zero",
        "/",
        ".",
        "~",
        "con",
        "LIST",
        "%03d",
    ),
    *("\0", "\x1b[31m", "\u00e9", "\u0661", "\ufeff", "\u2028", "x" * 300, "9" * 400, "." * 50, "-" * 50),
)
_TOKEN = re.compile(rb"[^\s,;=:<>\"\[\]{}()]+")


def mutated(rng: Random, case: Case, other: Case) -> Case:
    """A damaged copy of a case; `other` is a second one to take pieces from. The same rng, the same damage."""
    result = dict(case)
    names = sorted(result)
    if len(names) > 1 and rng.random() < 0.05:
        result.pop(rng.choice(names))
        return result
    for _ in range(1 if len(names) == 1 or rng.random() < 0.7 else 2):
        # The first file is what is opened: a header more often than not.
        name = names[0] if rng.random() < 0.5 else rng.choice(names)
        if name not in result:
            continue
        donors = [data for n, data in sorted(other.items()) if n.endswith(name[-4:])] or [b"\0"]
        result[name] = _file(rng, result[name], rng.choice(donors))[:_LONGEST]
    return result


def _file(rng: Random, data: bytes, donor: bytes) -> bytes:
    if data[:2] == b"\x1f\x8b" and rng.random() < 0.6:
        inner, inside = _unzipped(data), _unzipped(donor) if donor[:2] == b"\x1f\x8b" else donor
        if inner is not None:
            return gzip.compress(_plain(rng, inner, inside or b"\0"), compresslevel=1, mtime=0)
    damaged = _plain(rng, data, donor)
    if data[:8] == b"\x89PNG\r\n\x1a\n" and rng.random() < 0.7:
        return _png_mended(damaged)
    return damaged


def _plain(rng: Random, data: bytes, donor: bytes) -> bytes:
    text = _text_bytes(data)
    for _ in range(_some(rng)):
        if text > 16 and rng.random() < (0.75 if text == len(data) else 0.5):
            data = rng.choice(_OF_TEXT)(rng, data[:text], donor) + data[text:]
        else:
            data = rng.choice(_OF_BYTES)(rng, data, donor)
        data = data[: 4 * _LONGEST]
        text = min(_text_bytes(data), max(text, 0) or len(data))
    return data


def _some(rng: Random) -> int:
    """One most of the time, now and then many."""
    count = 1
    while count < 24 and rng.random() < 0.45:
        count += 1
    return count


def _text_bytes(data: bytes) -> int:
    """How many bytes from the start are text: all of a text file, the header of some images."""
    found = re.search(rb"[^\t\n\r\x20-\x7e\x80-\xff]", data[:20000])
    count = found.start() if found else len(data)
    if found is None or count > 16:
        # What follows the header's empty line is values, whatever they look like.
        blank = re.search(rb"\n\r?\n|= LOCAL\r?\n", data[:count]) if found else None
        return blank.end() if blank else count
    return 0


def _unzipped(data: bytes) -> bytes | None:
    try:
        return zlib.decompressobj(31).decompress(data, 1 << 20)
    except zlib.error:
        return None


def _png_mended(data: bytes) -> bytes:
    """The check sums of all chunks made right again, so that the damage gets past them."""
    result, at = bytearray(data), 8
    while at + 12 <= len(result):
        (length,) = struct.unpack_from(">I", result, at)
        if at + 12 + length > len(result):
            break
        struct.pack_into(">I", result, at + 8 + length, zlib.crc32(result[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(result)


# --- bytes ---


def _place(rng: Random, data: bytes) -> int:
    """Somewhere, headers more often than values."""
    reach = len(data) if rng.random() < 0.4 else min(len(data), rng.choice((16, 64, 128, 352, 1024)))
    return rng.randrange(max(reach, 1))


def _length(rng: Random) -> int:
    return rng.choice((1, 2, 3, 4, 8, 16, 64, 300, rng.randint(1, 2000)))


def _flip(rng: Random, data: bytes, _donor: bytes) -> bytes:
    if not data:
        return b"\x01"
    at = _place(rng, data)
    return data[:at] + bytes((data[at] ^ (1 << rng.randrange(8)),)) + data[at + 1 :]


def _set(rng: Random, data: bytes, _donor: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + bytes((rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256))),)) + data[at + 1 :]


def _run(rng: Random, data: bytes, _donor: bytes) -> bytes:
    at, count = _place(rng, data), _length(rng)
    value = rng.choice((0, 0xFF, 0x20, rng.randrange(256)))
    return data[:at] + bytes((value,)) * min(count, len(data) - at) + data[at + count :]


def _noise(rng: Random, data: bytes, _donor: bytes) -> bytes:
    at, count = _place(rng, data), _length(rng)
    return data[:at] + rng.randbytes(min(count, len(data) - at)) + data[at + count :]


def _number(rng: Random, data: bytes, _donor: bytes) -> bytes:
    order = rng.choice("<>")
    if rng.random() < 0.3:
        # A double beyond a float's reach is infinity there.
        kind, value = rng.choice("fd"), rng.choice(FLOATS)
        try:
            packed = struct.pack(order + kind, value)
        except OverflowError:
            packed = struct.pack(order + kind, float("inf"))
    else:
        size = rng.choice((1, 2, 2, 4, 4, 8))
        value = rng.choice(WIDE if size > 2 else INTEGERS)
        packed = (value % (1 << (8 * size))).to_bytes(size, "little" if order == "<" else "big")
    at = _place(rng, data)
    if rng.random() < 0.8:
        at -= at % len(packed)
    return data[:at] + packed + data[at + len(packed) :]


def _nudge(rng: Random, data: bytes, _donor: bytes) -> bytes:
    """A number a little larger or smaller than it was."""
    size = rng.choice((1, 2, 4))
    at = _place(rng, data)
    at -= at % size
    order = "little" if rng.random() < 0.7 else "big"
    value = int.from_bytes(data[at : at + size], order) + rng.choice((-2, -1, 1, 2, 256, -256))  # type: ignore[arg-type]
    return data[:at] + (value % (1 << (8 * size))).to_bytes(size, order) + data[at + size :]  # type: ignore[arg-type]


def _truncate(rng: Random, data: bytes, _donor: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.5 else data[: -rng.randint(1, 16)]


def _remove(rng: Random, data: bytes, _donor: bytes) -> bytes:
    at = _place(rng, data)
    return data[:at] + data[at + _length(rng) :]


def _insert(rng: Random, data: bytes, _donor: bytes) -> bytes:
    at, count = _place(rng, data), _length(rng)
    return data[:at] + rng.choice((bytes(count), rng.randbytes(count), data[at : at + count])) + data[at:]


def _append(rng: Random, data: bytes, donor: bytes) -> bytes:
    return data + rng.choice((bytes(_length(rng)), rng.randbytes(_length(rng)), data, donor))


def _splice(rng: Random, data: bytes, donor: bytes) -> bytes:
    if rng.random() < 0.5:
        at = _place(rng, data)
        return data[:at] + donor[at:]
    at, start = _place(rng, data), _place(rng, donor)
    piece = donor[start : start + _length(rng)]
    return data[:at] + piece + data[at + len(piece) :]


def _swap(rng: Random, data: bytes, _donor: bytes) -> bytes:
    a, b = sorted((_place(rng, data), _place(rng, data)))
    count = min(_length(rng), b - a)
    return data[:a] + data[b : b + count] + data[a + count : b] + data[a : a + count] + data[b + count :]


_OF_BYTES: Sequence[Callable[[Random, bytes, bytes], bytes]] = (
    *(_flip, _flip, _set, _run, _noise, _number, _number, _number, _nudge),
    *(_truncate, _remove, _insert, _append, _splice, _swap),
)

# --- text ---


def _token(rng: Random, data: bytes, _donor: bytes) -> bytes:
    """Another word in place of a word."""
    found = list(_TOKEN.finditer(data))
    if not found:
        return data + rng.choice(WORDS).encode()
    word = rng.choice(found)
    return data[: word.start()] + _word(rng, word.group()) + data[word.end() :]


def _word(rng: Random, word: bytes) -> bytes:
    try:
        value = float(word)
    except ValueError:
        kind = rng.random()
        if kind < 0.6:
            return rng.choice(WORDS).encode()
        if kind < 0.8:
            return word.swapcase()
        return _flip(rng, word, b"")
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(WORDS).encode()
    if kind < 0.75:
        return repr(
            rng.choice((-value, value + 1, value - 1, value * 1e6, value / 1e9, value * 1e300))
        ).encode()
    return str(rng.choice(WIDE)).encode()


def _token_gone(rng: Random, data: bytes, _donor: bytes) -> bytes:
    found = list(_TOKEN.finditer(data))
    if not found:
        return data
    word = rng.choice(found)
    return data[: word.start()] + data[word.end() :]


def _token_more(rng: Random, data: bytes, _donor: bytes) -> bytes:
    found = list(_TOKEN.finditer(data))
    if not found:
        return data
    word = rng.choice(found)
    more = (rng.choice((b" ", b",", b"\n", b"")) + word.group()) * rng.choice((1, 2, 3, 20, 500))
    return data[: word.end()] + more + data[word.end() :]


def _token_taken(rng: Random, data: bytes, donor: bytes) -> bytes:
    here, there = list(_TOKEN.finditer(data)), list(_TOKEN.finditer(donor[:4096]))
    if not here or not there:
        return data
    word = rng.choice(here)
    return data[: word.start()] + rng.choice(there).group() + data[word.end() :]


def _lines(rng: Random, data: bytes, donor: bytes) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(6)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines[at:at] = [lines[to]] * rng.choice((1, 1, 2, 50))
    elif kind == 2:
        lines[at], lines[to] = lines[to], lines[at]
    elif kind == 3:
        theirs = donor[:4096].splitlines(keepends=True) or [b"\n"]
        lines.insert(at, rng.choice(theirs))
    elif kind == 4:
        lines[at] = lines[at].rstrip(b"\r\n")
    else:
        lines = lines[: at + 1]
    return b"".join(lines)


def _nest(rng: Random, data: bytes, _donor: bytes) -> bytes:
    """Brackets as deep as no one needs them."""
    at, count = rng.randrange(len(data) + 1), rng.choice((1, 3, 50, 20000))
    opening = rng.choice((b"[", b"{", b"(", b'{"a":', b"<a>", b'"'))
    return data[:at] + opening * count + data[at:]


def _dress(rng: Random, data: bytes, _donor: bytes) -> bytes:
    """The same text as another editor would save it."""
    kind = rng.randrange(6)
    if kind == 0:
        return b"\xef\xbb\xbf" + data
    if kind == 1:
        return data.replace(b"\n", b"\r\n")
    if kind == 2:
        return data.replace(b"\n", b"\r")
    if kind == 3:
        return data.replace(b".", b",")
    if kind == 4:
        return data.decode("latin-1").encode("utf-16")
    return data.replace(b" ", b"\t")


_OF_TEXT: Sequence[Callable[[Random, bytes, bytes], bytes]] = (
    *(_token, _token, _token, _token, _token_gone, _token_more, _token_taken, _lines, _lines, _nest, _dress),
    *(_flip, _insert, _remove, _truncate, _splice),
)
