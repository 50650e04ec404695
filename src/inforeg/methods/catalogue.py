"""The methods there are, by name."""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from inforeg.errors import UsageError, did_you_mean
from inforeg.methods.deformable import Deformable, deformable
from inforeg.methods.ditr import Ditr, ditr
from inforeg.methods.drmime import Drmime, drmime
from inforeg.methods.drmime_paper import DrmimePaper, drmime_paper
from inforeg.methods.keymorph import KeyMorph, keymorph
from inforeg.methods.linear import LinearMethod, linear_method
from inforeg.methods.method import Method
from inforeg.methods.network import Network, network
from inforeg.settings import Settings
from inforeg.shipped import ENDING


@dataclass(frozen=True)
class Entry:
    """A method: the class that holds its settings, and how it is made for a transform's name."""

    kind: type[Settings]
    make: Callable[..., Method]


# A method is one line here.
METHODS: dict[str, Entry] = {
    "linear": Entry(LinearMethod, linear_method),
    "svf": Entry(Deformable, deformable),
    "network": Entry(Network, network),
    "keymorph": Entry(KeyMorph, keymorph),
    "ditr": Entry(Ditr, ditr),
    "drmime": Entry(Drmime, drmime),
    "drmime-paper": Entry(DrmimePaper, drmime_paper),
}


def entry(name: str) -> Entry:
    """The method of that name; raises `UsageError` for a name that is not known."""
    if name in METHODS:
        return METHODS[name]
    hint = did_you_mean(name, METHODS, f"expected {' or '.join(METHODS)}")
    raise UsageError(f"unknown method {name!r}; {hint}")


def named(name: str, transform: str = "auto", **settings: Any) -> Method:
    """The method of that name for a transform; settings that are None keep their defaults.

    Raises `UsageError` for a name that is not known, and for a chain, a setting or a word that this method does not
    take and another one does.
    """
    found = entry(name)
    if "+" in transform and "stages" not in found.kind.model_fields:
        raise UsageError(
            f"{name} takes one transform and no chain, got {transform!r}; choose one of its parts"
        )
    for setting, value in settings.items():
        if isinstance(value, str):
            _check_word(name, setting, value)
        takers = [other for other, e in METHODS.items() if setting in e.kind.model_fields]
        if value is not None and takers and name not in takers:
            raise UsageError(
                f"{name} takes no {setting}, got {value!r}; leave it out, or choose method {' or '.join(takers)}"
            )
    return found.make(transform, **settings)


def _check_word(name: str, setting: str, value: str) -> None:
    """Raise `UsageError` where a setting has words to choose from, and that is none of this method's."""
    words = {
        method: words_of(e.kind.model_fields[setting].annotation)
        for method, e in METHODS.items()
        if setting in e.kind.model_fields
    }
    mine = words.get(name, ())
    # A metric may be that of a file, which says itself whether it is one.
    if not mine or value in mine or (setting == "metric" and value.endswith(ENDING)):
        return
    others = [method for method, known in words.items() if value in known]
    way_out = f"choose one of these, or method {' or '.join(others)}" if others else ""
    raise UsageError(
        f"{name} takes {setting} {', '.join(mine[:-1])} or {mine[-1]}, got {value!r};"
        f" {way_out or did_you_mean(value, mine, 'choose one of these')}"
    )


def words_of(annotation: Any) -> tuple[Any, ...]:
    """The words that a setting may be; of a union, those of the part that has some."""
    parts = [part for part in get_args(annotation) if get_origin(part) is Literal]
    return get_args(parts[0]) if parts else get_args(annotation)


def from_settings(settings: str | Path | Mapping[str, Any], name: str | None = None) -> Method:
    """The method a settings file or mapping describes; a `result.json` says itself which one it was.

    Raises `UsageError` for a method or value that does not fit, `ReadError` for a file that cannot be read.
    """
    if isinstance(settings, Mapping):
        kind = entry(name or "linear").kind
        made: Any = kind.from_dict(dict(settings))
    else:
        kind = entry(name or _method_in(Path(settings))).kind
        made = kind.load(settings)
    return made  # type: ignore[no-any-return]


def _method_in(path: Path) -> str:
    """The method a file names; the linear one where it names none or cannot be read, which loading it then says."""
    parse = {".json": json.loads, ".toml": tomllib.loads}.get(path.suffix.lower())
    if parse is None or not path.is_file():
        return "linear"
    try:
        values: Any = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return "linear"
    found = values.get("method", "linear") if isinstance(values, dict) else "linear"
    return found if isinstance(found, str) else "linear"
