"""Tables of results: one for each set, and one for the published form without one of its parts."""

from collections.abc import Sequence
from statistics import fmean, median, stdev

from inforeg.bench.drmime.contestants import ABLATIONS, CONTESTANTS, FAITHFUL, HISTOGRAMS, OURS
from inforeg.bench.drmime.results import Row
from inforeg.bench.drmime.sets import SETS

# Half a hundredth of the diagonal: in the table of a set an answer counts as right below it.
SUCCESS_RTRE = 0.005
# An answer that has left the image counts as one image's length off: how far off it is says nothing more.
FARTHEST_NAED = 1.0


def markdown(rows: Sequence[Row]) -> str:
    """All tables of these rows, in Markdown."""
    parts = []
    for set in dict.fromkeys(row.set for row in rows):
        of_set = [row for row in rows if row.set == set]
        title = SETS[set].title if set in SETS else set
        parts.append(f"## {set}: {title}")
        main = [row for row in of_set if row.method not in ABLATIONS]
        if main:
            parts += [summary(main, OURS), *_ratios(main)]
        ablations = [row for row in of_set if row.method in (FAITHFUL, *ABLATIONS)]
        if any(row.method in ABLATIONS for row in ablations):
            parts += [f"### {set}: {FAITHFUL} without one of its parts", summary(ablations, FAITHFUL)]
        parts += _remarks(of_set)
    if not parts:
        return "there are no results yet\n"
    return "\n\n".join([*parts, _conditions(rows)]) + "\n"


def summary(rows: Sequence[Row], reference: str) -> str:
    """One table: a line for each method, p of a paired t-test of its NAED against the reference's, two-sided."""
    unit = rows[0].unit
    head = (
        "method",
        "cases",
        "NAED, mean ± sd",
        "median NAED",
        "median rTRE",
        f"median {unit}",
        f"rTRE < {SUCCESS_RTRE:g}",
        "median s",
        f"p against {reference}",
    )
    lines = []
    for method in _in_order(rows):
        own = [row for row in rows if row.method == method]
        errors = [capped(row) for row in own]
        spread = f" ± {stdev(errors):.4f}" if len(errors) > 1 else ""
        failed = sum(bool(row.failure) for row in own)
        right = sum(row.rtre_median < SUCCESS_RTRE for row in own) / len(own)
        p = None if method == reference else paired_p(rows, method, reference)
        lines.append(
            (
                method,
                f"{len(own)} ({failed} failed)" if failed else f"{len(own)}",
                f"{fmean(errors):.4f}{spread}",
                f"{median(errors):.5f}",
                f"{median(row.rtre_median for row in own):.5f}",
                f"{median(row.distance for row in own):.3f}",
                f"{100 * right:.0f} %",
                f"{median(row.seconds for row in own):.2f}",
                "–" if p is None else f"{p:.2g}",
            )
        )
    return "\n".join(["| " + " | ".join(line) + " |" for line in (head, ("---",) * len(head), *lines)])


def paired_p(rows: Sequence[Row], method: str, reference: str) -> float | None:
    """p of the paired t-test of two methods' NAED over the cases that both have; None where it says nothing."""
    from scipy.stats import ttest_rel

    ours = {row.case: capped(row) for row in rows if row.method == method}
    theirs = {row.case: capped(row) for row in rows if row.method == reference}
    common = [case for case in ours if case in theirs]
    pairs = [ours[case] for case in common], [theirs[case] for case in common]
    # Without any spread between the differences there is no t.
    if len(common) < 2 or len({round(a - b, 15) for a, b in zip(*pairs, strict=True)}) == 1:
        return None
    return float(ttest_rel(*pairs).pvalue)


def capped(row: Row) -> float:
    """A row's NAED, one image's length at most."""
    return min(row.naed, FARTHEST_NAED)


def _in_order(rows: Sequence[Row]) -> list[str]:
    there = {row.method for row in rows}
    return [name for name in CONTESTANTS if name in there]


def _ratios(rows: Sequence[Row]) -> list[str]:
    """Ours beside the best tool that fits a joint histogram, our own histogram, and the published form.

    Each ratio is of medians over the cases that both have.
    """
    errors = {
        method: {row.case: capped(row) for row in rows if row.method == method} for method in _in_order(rows)
    }
    ours = errors.get(OURS, {})

    def share(other: str) -> float:
        common = [case for case in errors.get(other, {}) if case in ours]
        theirs = median(errors[other][case] for case in common) if common else 0.0
        return median(ours[case] for case in common) / theirs if theirs > 0 else 0.0

    best = max(HISTOGRAMS, key=share)
    said = [
        f"{share(name):.2f} of {name}'s{' (the best histogram)' if name == best else ''}"
        for name in (best, "linear", FAITHFUL)
        if share(name) > 0
    ]
    return [f"Median NAED of {OURS}: " + ", ".join(said) + "."] if said else []


def _remarks(rows: Sequence[Row]) -> list[str]:
    lines = []
    beyond = [row for row in rows if row.naed > FARTHEST_NAED]
    if beyond:
        names = ", ".join(dict.fromkeys(row.method for row in beyond))
        lines.append(
            f"{len(beyond)} answers left the image and count as a NAED of {FARTHEST_NAED:g} ({names})."
        )
    failures = dict.fromkeys(f"{row.method}: {row.failure}" for row in rows if row.failure)
    if failures:
        shown = list(failures)[:10]
        lines.append(
            "Failed runs count with the error of doing nothing:\n\n"
            + "\n".join(f"- {line}" for line in shown)
        )
    return lines


def _conditions(rows: Sequence[Row]) -> str:
    """Under which conditions the rows came about, in one line; several values where they differ."""
    versions = dict.fromkeys(f"{name} {number}" for row in rows for name, number in row.versions.items())
    threads = ", ".join(dict.fromkeys(str(row.threads) for row in rows))
    load = median(row.load for row in rows)
    words = [f"seed {rows[0].seed}", f"threads {threads}", f"load {load:.1f} (median)", *versions]
    return "Conditions: " + ", ".join(words) + "."
