"""The models that inforeg ships, by name."""

from pathlib import Path

from inforeg.errors import UsageError, did_you_mean

ENDING = ".safetensors"
FOLDER = Path(__file__).parent / "weights"


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
