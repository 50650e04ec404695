"""Python, inforeg, and what it depends on."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from inforeg._version import __version__
from inforeg.doctor.check import Check

_NEED = re.compile(
    r"(?P<name>[\w.-]+)\s*>=\s*(?P<least>[\w.]+)\s*(?:;.*extra\s*==\s*['\"](?P<extra>\w+)['\"])?"
)

# Where a package is imported by another name than it is installed by.
_MODULES = {"isal": "isal.isal_zlib", "simpleitk": "SimpleITK"}


def checks() -> Iterator[Check]:
    """Versions, each held against what inforeg needs, and whether each package can be imported."""
    yield Check("software", "inforeg", "note", f"{__version__} on {platform.platform()}")
    try:
        needs = requires("inforeg") or []
        python = metadata("inforeg")["Requires-Python"] or ""
    except PackageNotFoundError:
        yield Check("software", "packages", "note", "inforeg is not installed, so what it needs is not known")
        return
    yield _judged("python", platform.python_version(), python.removeprefix(">="))
    for need in filter(None, map(_NEED.fullmatch, needs)):
        if need["extra"] != "dev":
            yield _package(need["name"], need["least"], need["extra"])


def _package(name: str, least: str, extra: str | None) -> Check:
    try:
        found = version(name)
    except PackageNotFoundError:
        if extra:
            return Check("software", name, "note", f"missing; only needed for inforeg {extra}")
        if name == "isal":
            return Check(
                "software", name, "note", "missing: gzip is read by zlib, which takes three times as long"
            )
        return Check(
            "software", name, "failed", f"missing; expected {least} or newer: pip install '{name}>={least}'"
        )
    judged = _judged(name, found, least)
    if judged.state == "failed" or extra:
        return judged
    try:
        import_module(_MODULES.get(name.lower(), name))
    except Exception as error:
        said = " ".join(str(error).split())
        return Check("software", name, "failed", f"{found} cannot be imported ({said}); install it anew")
    return judged


def _judged(name: str, found: str, least: str) -> Check:
    if _release(found) < _release(least):
        how = "" if name == "python" else f": pip install '{name}>={least}'"
        return Check(
            "software", name, "failed", f"{found} is older than needed; expected {least} or newer{how}"
        )
    where = f" at {sys.executable}" if name == "python" else ""
    return Check("software", name, "ok", f"{found} ({least} or newer){where}")


def _release(text: str) -> tuple[int, ...]:
    """The numbers a version begins with, without the zeros it ends with."""
    numbers = re.match(r"\d+(\.\d+)*", text)
    release = [int(part) for part in numbers[0].split(".")] if numbers else []
    while release and release[-1] == 0:
        release.pop()
    return tuple(release)
