"""The models that inforeg ships, by name, and how a user names a model. Nothing heavy is imported for it."""

import re
from pathlib import Path
from typing import NamedTuple

from inforeg.errors import UsageError, did_you_mean

ENDING = ".safetensors"
FOLDER = Path(__file__).parent / "nets" / "weights"
# What goes after a model's name to refine what it says: by so many steps of svf, 20 where no number is said, or by the
# linear method.
_REFINED, _STEPS, _CLIMBED = re.compile(r"\+svf(\d{0,4})$"), 20, "+linear"


def shipped() -> dict[str, Path]:
    """Every model that comes with inforeg, by its name."""
    return {path.stem: path for path in sorted(FOLDER.glob(f"*{ENDING}"))}


def model_path(name: str) -> Path:
    """The file of a model: of the name of a shipped one, or the path itself. Raises `UsageError` for neither."""
    known = shipped()
    if name in known:
        return known[name]
    path = Path(name)
    if path.exists() or path.suffix == ENDING:
        return path
    hint = did_you_mean(name, known, f"expected a {ENDING} file or {' or '.join(known) or 'the path of one'}")
    raise UsageError(f"unknown model {name!r}; {hint}")


def names_model(name: str) -> bool:
    """Whether a name is that of a shipped model, or of a file that could be one."""
    return name in shipped() or Path(name).suffix == ENDING


class Named(NamedTuple):
    """A model as a user names it, and how it is to be refined: by steps of svf, by the linear method, or not at all."""

    model: str
    steps: int = 0
    climbs: bool = False


def named_model(name: str) -> Named:
    """What `MODEL`, `MODEL+svf`, `MODEL+svf60` and `MODEL+linear` say."""
    if name.endswith(_CLIMBED):
        return Named(name.removesuffix(_CLIMBED), climbs=True)
    found = _REFINED.search(name)
    return Named(name[: found.start()], int(found[1] or _STEPS)) if found else Named(name)
