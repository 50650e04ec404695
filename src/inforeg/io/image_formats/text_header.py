"""What NRRD and MetaImage share: headers of text, and values that may lie in a file beside them."""

import re
from pathlib import Path

from inforeg.errors import ReadError
from inforeg.io.streams import Stream

# Longer headers are taken for files of another kind; those of diffusion images have some ten thousand letters.
LONGEST = 1 << 20

_LENGTHS = {
    1.0: ("mm", "millimeter", "millimeters", "millimetre", "millimetres"),
    10.0: ("cm", "centimeter", "centimeters", "centimetre", "centimetres"),
    1000.0: ("m", "meter", "meters", "metre", "metres"),
    0.001: ("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres"),
}


def head_of(path: Path) -> bytes:
    """The first bytes of a file, where a header of text has to be."""
    with Stream(path) as stream:
        return stream.read(LONGEST)


def text(line: bytes) -> str:
    """A line as text; bytes that are none are kept as marks that no word has."""
    return line.decode("utf-8", "surrogateescape").strip()


def wholes(words: str, path: Path, what: str) -> tuple[int, ...]:
    """Whole numbers with spaces between them; raises `ReadError` for anything else."""
    found = words.split()
    if not found or not all(re.fullmatch(r"[+-]?[0-9]{1,18}", word) for word in found):
        raise ReadError(f"{path}: expected whole numbers for {what}, its header says {shown(words)}")
    return tuple(int(word) for word in found)


def numbers(words: str, path: Path, what: str) -> tuple[float, ...]:
    """Numbers with spaces between them, NaN included; raises `ReadError` for anything else."""
    try:
        if "_" in words:  # Python would take 1_000 for a number
            raise ValueError
        return tuple(float(word) for word in words.split())
    except ValueError:
        raise ReadError(f"{path}: expected numbers for {what}, its header says {shown(words)}") from None


def shown(words: str) -> str:
    """What a header says, short enough for one line and without letters that are none."""
    clean = words.encode("ascii", "backslashreplace").decode()
    return repr(clean if len(clean) <= 60 else clean[:57] + "...")


def mm_per(unit: str) -> float | None:
    """How long a unit of length is in mm; None for one that is not known."""
    name = unit.strip().lower()
    return next((scale for scale, names in _LENGTHS.items() if name in names), None)


def beside(path: Path, name: str) -> Path:
    """The file with the values, named by a header, which must lie in the header's own folder or below.

    A header is text from somewhere: raises `ReadError` for a name that leads elsewhere, by an absolute path, by
    `..`, or through a symbolic link, so that no file is read that was not given.
    """
    parts = re.split(r"[\\/]", name)
    elsewhere = ReadError(
        f"{path} says that its values are in {shown(name)}, outside its own folder; put that file beside it"
    )
    if not name.strip() or name[:1] in ("/", "\\", "~") or ".." in parts or re.match(r"[A-Za-z]:", name):
        raise elsewhere
    data = path.parent / name
    try:
        inside = data.resolve().is_relative_to(path.parent.resolve())
    except (OSError, ValueError, RuntimeError):
        raise ReadError(f"{path} says that its values are in {shown(name)}, which is no file name") from None
    if not inside:
        raise elsewhere
    return data
