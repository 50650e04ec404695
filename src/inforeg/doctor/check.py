"""One thing that was looked at, and what was found."""

from dataclasses import dataclass
from typing import Literal

Group = Literal["software", "machine", "geometry"]


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and, where it was measured, the number and what it may be at most.

    `failed` is what keeps inforeg from working as it should; a `note` is worth knowing and no fault.
    """

    group: Group
    name: str
    state: Literal["ok", "failed", "note"]
    found: str
    value: float | None = None
    bound: float | None = None
    unit: str = ""

    def __str__(self) -> str:
        line = f"{self.state:6} {self.name}: {self.found}"
        if self.value is None or self.bound is None:
            return line
        unit = f" {self.unit}" if self.unit else ""
        return f"{line}: {self.value:.2g}{unit} (at most {self.bound:g}{unit})"


def measured(group: Group, name: str, found: str, value: float, bound: float, unit: str = "") -> Check:
    """A check that passes where the value is not above its bound; NaN fails."""
    return Check(group, name, "ok" if value <= bound else "failed", found, value, bound, unit)


def broken(group: Group, name: str, error: BaseException) -> Check:
    """A check that could not be finished."""
    said = " ".join(str(error).split()) or "no reason given"
    return Check(group, name, "failed", f"{type(error).__name__}: {said}")
