"""A method of one linear group, by the group's name."""

from typing import Any, TypeVar

from inforeg.errors import UsageError, did_you_mean
from inforeg.settings import Settings

MethodT = TypeVar("MethodT", bound=Settings)


def of_one_group(
    kind: type[MethodT], name: str, known: tuple[str, ...], transform: str, settings: dict[str, Any]
) -> MethodT:
    """The method `kind`, which users call `name`, for one of the groups it knows; `auto` is affine.

    Settings that are None keep their defaults. Raises `UsageError` for a group that is not known, or a chain.
    """
    if transform not in ("auto", *known):
        hint = did_you_mean(transform, [*known, "auto"], f"expected auto or {', '.join(known)}")
        raise UsageError(f"unknown transform {transform!r} for {name}; {hint}")
    chosen = {key: value for key, value in settings.items() if value is not None}
    return kind(transform="affine" if transform == "auto" else transform, **chosen)
