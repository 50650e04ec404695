"""All checks, one after the other."""

from collections.abc import Callable, Iterator

from inforeg.doctor.check import Check, Group, broken


def examine() -> Iterator[Check]:
    """Every check in turn, as soon as it is done; what goes wrong in one is a check that failed."""
    from inforeg.doctor import machine, software

    yield from _guarded("software", "packages", software.checks)
    yield from _guarded("machine", "devices", machine.checks)
    yield from _guarded("geometry", "self-test", _geometry)


def _geometry() -> Iterator[Check]:
    # It needs torch, and all the rest of inforeg.
    from inforeg.doctor import geometry

    yield from geometry.checks()


def _guarded(group: Group, name: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from checks()
    except Exception as error:
        yield broken(group, name, error)
