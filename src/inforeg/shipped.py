"""The models that inforeg ships, by name, and how a user names a model. Nothing heavy is imported for it."""

import re
from pathlib import Path

from inforeg.errors import UsageError, did_you_mean

ENDING = ".safetensors"
FOLDER = Path(__file__).parent / "nets" / "weights"
# What goes after a model's name to refine what it says; by 20 steps where it says no number.
_REFINED, _STEPS = re.compile(r"\+svf(\d{0,4})$"), 20


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


def refined(name: str) -> tuple[str, int]:
    """The model's name in `MODEL`, `MODEL+svf` and `MODEL+svf60`, and by how many steps it is refined."""
    found = _REFINED.search(name)
    return (name[: found.start()], int(found[1] or _STEPS)) if found else (name, 0)
