"""Settings: typed, validated, frozen, and the same after a trip through a JSON or TOML file."""

import json
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from inforeg.errors import ReadError, UsageError, WriteError

# Not `typing.Self`: beartype, which checks the methods in tests, knows it only where it decorates the class.
SettingsT = TypeVar("SettingsT", bound="Settings")


class Settings(BaseModel):
    """A frozen set of named values; subclass it and declare the fields, with tuples where there are many.

    Raises `UsageError`, in one line, for a value that does not fit and for an unknown key (naming near ones).
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True, use_attribute_docstrings=True
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UsageError(_one_line(error)) from None

    # Settings inside settings are then built by pydantic itself, which keeps the path of a fault.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @model_validator(mode="before")
    @classmethod
    def _name_near_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise PydanticCustomError(
                        "unknown_key", "{hint}", {"hint": _unknown(key, list(cls.model_fields))}
                    )
        return values

    @classmethod
    def from_dict(cls: type[SettingsT], values: dict[str, Any]) -> SettingsT:
        """Settings from plain values, as a file holds them."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a file holds them."""
        return self.model_dump(mode="json")

    def replace(self: SettingsT, **changes: Any) -> SettingsT:
        """The same settings with some values changed, checked again as a whole."""
        kept = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**kept, **changes})

    def to_json(self) -> str:
        """The settings as JSON, every value written out."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls: type[SettingsT], text: str) -> SettingsT:
        """Settings from JSON; raises `ReadError` where the text is not an object in JSON."""
        return cls.from_dict(_parse_json(text))

    def to_toml(self) -> str:
        """The settings as TOML, every value written out but those that are None, for which TOML has no word.

        Raises `WriteError` where a None would come back as something else.
        """
        text = "\n".join(_toml_table(self.to_dict(), ())).lstrip("\n") + "\n"
        if type(self).from_toml(text) != self:
            raise WriteError(
                f"TOML cannot hold a None that {type(self).__name__} has here; write JSON instead"
            )
        return text

    @classmethod
    def from_toml(cls: type[SettingsT], text: str) -> SettingsT:
        """Settings from TOML; raises `ReadError` where the text is not TOML."""
        return cls.from_dict(_parse_toml(text))

    @classmethod
    def load(cls: type[SettingsT], path: str | Path) -> SettingsT:
        """Settings from a `.json` or `.toml` file, or from a `result.json`, which has them under `settings`.

        Raises `ReadError` for a file that is missing or of another kind, `UsageError` for a wrong value.
        """
        path = Path(path)
        parse = {".json": _parse_json, ".toml": _parse_toml}.get(path.suffix.lower())
        if parse is None:
            raise ReadError(f"expected settings in a .json or .toml file, got {path}")
        # A pipe has no end to wait for.
        if path.exists() and not path.is_file():
            raise ReadError(f"expected a file of settings, and {path} is none")
        try:
            values = parse(path.read_text(encoding="utf-8"))
            inner = values.get("settings")
            if isinstance(inner, dict) and "settings" not in cls.model_fields:
                values = inner
            return cls.from_dict(values)
        except (OSError, UnicodeDecodeError) as error:
            raise ReadError(f"cannot read the settings in {path}: {error}") from None
        except (ReadError, UsageError) as error:
            raise type(error)(f"{path}: {error}") from None


def _parse_json(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ReadError(f"expected settings in JSON: {error}") from None
    if not isinstance(values, dict):
        raise ReadError(f"expected settings as a JSON object, got {type(values).__name__}")
    return values


def _parse_toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ReadError(f"expected settings in TOML: {error}") from None


def _unknown(key: object, known: list[str]) -> str:
    near = get_close_matches(str(key), known, n=3, cutoff=0.5)
    if near:
        return f"unknown setting {key!r}; did you mean {' or '.join(map(repr, near))}?"
    return f"unknown setting {key!r}; the settings here are {', '.join(known) or 'none'}"


def _one_line(error: ValidationError) -> str:
    faults = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"]
        if fault["type"] not in ("unknown_key", "missing"):
            message += f", got {fault['input']!r}"
        faults.append(f"{where}: {message}" if where else message)
    return f"{error.title}: " + "; ".join(faults)


def _toml_table(values: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    """Lines of one table: its own values first, then the tables inside it."""
    lines = [f"\n[{'.'.join(map(_toml_key, path))}]"] if path else []
    inner = {key: value for key, value in values.items() if isinstance(value, dict)}
    lines += [
        f"{_toml_key(k)} = {toml_value(v)}" for k, v in values.items() if k not in inner and v is not None
    ]
    for key, value in inner.items():
        lines += _toml_table(value, (*path, key))
    return lines


def _toml_key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else toml_value(key)


def toml_value(value: Any) -> str:
    """A plain value as TOML writes it, tables in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{_toml_key(k)} = {toml_value(v)}" for k, v in value.items() if v is not None)
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if value is None:
        raise WriteError("TOML cannot hold a None inside a list; write JSON instead")
    return repr(value)
