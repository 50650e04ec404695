"""What of a benchmark is to be run: the sets and methods somebody named, or those that can be."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from inforeg.errors import UsageError


@runtime_checkable
class NeedsImages(Protocol):
    """A set of cases."""

    def missing(self, data: Path | None) -> str:
        """Why no case can be made; nothing where one can."""
        ...


@runtime_checkable
class NeedsTool(Protocol):
    """A contestant."""

    def missing(self) -> str:
        """Why it cannot be run here; nothing where it can."""
        ...


def chosen_sets(
    sets: Mapping[str, NeedsImages], names: list[str], data: Path | None, needed: bool
) -> tuple[list[str], list[str]]:
    """The sets of these names, all where there are none; and a line for each that is left out.

    Raises `UsageError` for a name that is not known, and, if images are `needed`, for one whose images are not there,
    and where nothing is left.
    """
    for name in names:
        if name not in sets:
            raise UsageError(f"--sets: unknown name {name!r}; expected {', '.join(sets)}")
        if needed and (reason := sets[name].missing(data)):
            raise UsageError(f"--sets: {name} {reason}")
    if names or not needed:
        return names or list(sets), []
    reasons = {name: found.missing(data) for name, found in sets.items()}
    notes = [f"left out: {name} {reason}" for name, reason in reasons.items() if reason]
    kept = [name for name, reason in reasons.items() if not reason]
    if not kept:
        raise UsageError("expected images to register, found none: " + "; ".join(notes))
    return kept, notes


def chosen_methods(
    known: Mapping[str, NeedsTool], usual: Iterable[str], names: list[str], needed: bool
) -> tuple[list[str], list[str]]:
    """The contestants of these names, the `usual` ones where there are none; and a line for each that is left out.

    Raises `UsageError` for a name that is not known, and, if they are `needed`, for one that cannot be run here.
    """
    for name in names:
        if name not in known:
            raise UsageError(f"--methods: unknown name {name!r}; expected {', '.join(known)}")
        if needed and (reason := known[name].missing()):
            raise UsageError(f"--methods: {name}: {reason}")
    if names or not needed:
        return names or list(known), []
    reasons = {name: known[name].missing() for name in usual}
    notes = [f"left out: {name}: {reason}" for name, reason in reasons.items() if reason]
    return [name for name, reason in reasons.items() if not reason], notes
