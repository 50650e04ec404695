"""Tables of what is done, in Markdown, and box plots of the errors."""

from collections.abc import Sequence
from statistics import median

from inforeg.bench.ditr.cases import SETS
from inforeg.bench.ditr.contestants import CONTESTANTS, OURS
from inforeg.bench.ditr.figures import Box, box_plot
from inforeg.bench.ditr.run import Row
from inforeg.bench.rows import paired_p

SUCCESS_MM = 2.0


def markdown(rows: Sequence[Row]) -> str:
    """One table for each set."""
    parts = []
    for name, about in SETS.items():
        own = [row for row in rows if row.set == name]
        if own:
            parts += [f"## {name}: {about.title}\n", _table(own)]
    return "\n".join(parts) or "there are no results yet\n"


def box_plots(rows: Sequence[Row]) -> dict[str, str]:
    """A picture in SVG for each set."""
    found = {}
    for name, about in SETS.items():
        own = [row for row in rows if row.set == name]
        boxes = [
            Box(method, [row.fre_mm for row in own if row.method == method and row.fre_mm is not None])
            for method in _methods(own)
        ]
        if boxes:
            found[name] = box_plot(boxes, title=about.title, name="mean FRE (mm)", line=SUCCESS_MM)
    return found


def _table(rows: Sequence[Row]) -> str:
    lines = [
        f"FRE is the mean error at 100 landmarks of a case; right is below {SUCCESS_MM:g} mm. p is of a two-sided"
        f" paired t-test of the FRE against that of `{OURS}`; seconds are those of the call.\n",
        _line(["method", "cases", "median FRE", "quartiles", "worst", "right, %", "s", "p"]),
        "|---|" + "---:|" * 7,
    ]
    for method in _methods(rows):
        own = [row for row in rows if row.method == method]
        errors = sorted(row.fre_mm for row in own if row.fre_mm is not None)
        right = sum(error < SUCCESS_MM for error in errors)
        if not errors:
            lines.append(_line([method, str(len(own)), *["failed"] * 6]))
            continue
        seconds = [row.seconds for row in own if row.seconds == row.seconds]
        quarter = max(0, round(0.25 * (len(errors) - 1))), round(0.75 * (len(errors) - 1))
        lines.append(
            _line(
                [
                    method,
                    str(len(own)),
                    f"{median(errors):.2f}",
                    f"{errors[quarter[0]]:.2f} to {errors[quarter[1]]:.2f}",
                    f"{errors[-1]:.2f}",
                    f"{100 * right / len(own):.0f}",
                    f"{median(seconds):.1f}",
                    "" if method == OURS else _p(rows, method),
                ]
            )
        )
    return "\n".join(lines) + "\n"


def _p(rows: Sequence[Row], method: str) -> str:
    """Of the cases that both were run on."""
    errors = {
        name: {row.number: row.fre_mm for row in rows if row.method == name and row.fre_mm is not None}
        for name in (OURS, method)
    }
    return paired_p(errors[OURS], errors[method])


def _methods(rows: Sequence[Row]) -> list[str]:
    return [method for method in CONTESTANTS if any(row.method == method for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
