"""`inforeg doctor`: whether inforeg works on this machine."""

from dataclasses import asdict
from math import isfinite
from time import perf_counter

from inforeg.cli import console, options


def doctor(
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> int:
    """Check versions and devices, and test in seconds that images and transforms lie where they should."""
    # What is logged on the way belongs to made-up images, and is no one's concern.
    console.start(quiet or not (verbose or debug), verbose, debug)
    began = perf_counter()

    from inforeg.doctor import Check, examine

    found: list[Check] = []
    group = ""
    for check in examine():
        found.append(check)
        if json or (quiet and check.state != "failed"):
            continue
        if check.group != group:
            group = check.group
            console.say(group)
        console.say(f"  {check}")
    failed = sum(check.state == "failed" for check in found)
    seconds = perf_counter() - began
    if json:
        checks = [asdict(check) | {"value": _number(check.value)} for check in found]
        console.say_json({"passed": failed == 0, "seconds": round(seconds, 2), "checks": checks})
    else:
        tried = sum(check.state != "note" for check in found)
        verdict = f"{failed} of {tried} checks failed" if failed else f"all {tried} checks passed"
        console.say(f"{verdict}, in {seconds:.1f} s", quiet and not failed)
    return 1 if failed else 0


def _number(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
