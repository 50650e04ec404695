"""Tables of what is done, in Markdown."""

from collections.abc import Callable, Sequence
from itertools import groupby
from statistics import fmean, median

from inforeg.bench.keymorph.contestants import CONTESTANTS
from inforeg.bench.keymorph.run import Row
from inforeg.bench.keymorph.sets import ANGLES_DEG, SETS

SUCCESS_MM = 5.0


def markdown(rows: Sequence[Row]) -> str:
    """One table for each set, and the distances of keypoints across contrasts."""
    parts = []
    for name, about in SETS.items():
        own = [row for row in rows if row.set == name]
        if not own:
            continue
        methods = [m for m in CONTESTANTS if any(row.method == m for row in own)]
        parts.append(f"## {name}: {about.title}\n")
        known = any(row.tre_mm is not None for row in own)
        parts.append(_errors(own, methods) if known else _overlaps(own, methods))
    if text := _across(rows):
        parts += ["## Keypoints across contrasts\n", text]
    return "\n".join(parts)


def _errors(rows: Sequence[Row], methods: Sequence[str]) -> str:
    angles = [angle for angle in ANGLES_DEG if any(row.angle_deg == angle for row in rows)]
    head = [f"{angle:.0f}°" for angle in angles]
    lines = [
        f"Right (mean error below {SUCCESS_MM:.0f} mm) in % at each angle, median and 95th percentile of the error in"
        " mm over all, median of the seconds in the call, and MSE where contrasts agree.\n",
        _line(["method", "cases", *head, "median", "p95", "s", "MSE"]),
        _rule(6 + len(head)),
    ]
    for method in methods:
        own = [row for row in rows if row.method == method]
        errors = sorted(row.tre_mm for row in own if row.tre_mm is not None)
        right = [
            f"{100 * fmean(row.tre_mm is not None and row.tre_mm < SUCCESS_MM for row in at):.0f}"
            if (at := [row for row in own if row.angle_deg == angle])
            else ""
            for angle in angles
        ]
        high = errors[min(len(errors) - 1, int(0.95 * len(errors)))]
        lines.append(
            _line(
                [
                    method,
                    str(len(own)),
                    *right,
                    f"{median(errors):.2f}",
                    f"{high:.2f}",
                    _median(own, lambda row: row.seconds, 1),
                    _median(own, lambda row: row.mse, 5),
                ]
            )
        )
    return "\n".join(lines) + "\n"


def _overlaps(rows: Sequence[Row], methods: Sequence[str]) -> str:
    angles = [angle for angle in ANGLES_DEG if any(row.angle_deg == angle for row in rows)]
    lines = [
        "Mean Dice of all structures, in points of a hundred, at each angle and over all; median of the seconds.\n",
        _line(["method", "cases", *[f"{angle:.0f}°" for angle in angles], "all", "s"]),
        _rule(4 + len(angles)),
    ]
    for method in methods:
        own = [row for row in rows if row.method == method]
        at = [[row.dice or 0.0 for row in own if row.angle_deg == angle] for angle in angles]
        overall = f"{100 * fmean(row.dice or 0.0 for row in own):.1f}"
        each = [f"{100 * fmean(values):.1f}" if values else "" for values in at]
        lines.append(_line([method, str(len(own)), *each, overall, _median(own, lambda row: row.seconds, 1)]))
    return "\n".join(lines) + "\n"


def _across(rows: Sequence[Row]) -> str:
    def contrasts(row: Row) -> tuple[str, str]:
        return tuple(sorted((row.fixed, row.moving)))  # type: ignore[return-value]

    own = [
        row for row in rows if row.points_mm is not None and row.method == "keymorph" and row.set == "rigid"
    ]
    if not own:
        return ""
    lines = [
        "Median distance in mm between the keypoints of two contrasts of one patient, where the truth takes them;"
        " over all cases of `rigid`, and over those without a turn.\n",
        _line(["contrasts", "cases", "all poses", "no turn"]),
        _rule(4),
    ]
    for pair, found in groupby(sorted(own, key=contrasts), key=contrasts):
        members = list(found)
        still = [row for row in members if row.angle_deg == 0]
        each = [_median(some, lambda row: row.points_mm, 2) for some in (members, still)]
        lines.append(_line([" and ".join(pair), str(len(members)), *each]))
    return "\n".join(lines) + "\n"


def _median(rows: Sequence[Row], value: Callable[[Row], float | None], digits: int) -> str:
    found = [v for row in rows if (v := value(row)) is not None and v == v]
    return f"{median(found):.{digits}f}" if found else ""


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _rule(count: int) -> str:
    return "|---|" + "---:|" * (count - 1)
