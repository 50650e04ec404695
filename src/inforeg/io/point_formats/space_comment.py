"""The words `SPACE=LPS` or `SPACE=RAS` that 3D Slicer writes into a comment of VTK, PLY, STL and OBJ files."""

import re

from inforeg.errors import ReadError

_SPACE = re.compile(rb"\bSPACE\s*=\s*([A-Za-z]+)")
_UNIT = re.compile(rb"\bUNIT\s*=\s*([A-Za-z]+)")


def said(comment: bytes, name: str) -> str | None:
    """The space that a comment says, or nothing; raises `ReadError` where it says two, or another unit than mm."""
    words = {word.lower() for word in _SPACE.findall(comment)}
    units = {word.lower() for word in _UNIT.findall(comment)} - {b"mm"}
    if units:
        raise ReadError(
            f"{name}: expected coordinates in mm, its comment says UNIT={units.pop()[:20].decode()}"
        )
    if not words:
        return None
    if words not in ({b"lps"}, {b"ras"}):
        found = " and ".join(sorted(word.decode().upper()[:20] for word in words))
        raise ReadError(f"{name}: expected SPACE=LPS or SPACE=RAS in its comment, got {found}")
    return "lps" if words == {b"lps"} else "ras"


def saying(comment: bytes, label: str) -> bytes:
    """The comment with the space in it, in place of what it said."""
    word = b"SPACE=" + label.upper().encode("ascii")
    if _SPACE.search(comment):
        return _SPACE.sub(word, comment)
    return comment.rstrip() + b" " + word if comment.strip() else word
