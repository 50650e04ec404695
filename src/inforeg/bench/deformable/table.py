"""Tables of results, in Markdown: one for each set, contrasts, settings of ours, and how cost grows with resolution."""

from collections.abc import Callable, Sequence
from statistics import fmean, median

from inforeg.bench.deformable.contestants import CONTESTANTS, OURS, PEERS, VARIANTS
from inforeg.bench.deformable.results import Row
from inforeg.bench.deformable.sets import SETS

NONE = "–"


def markdown(rows: Sequence[Row]) -> str:
    """All tables of these rows."""
    if not rows:
        return "there are no results yet\n"
    parts = []
    for spacing in sorted({row.spacing_mm for row in rows}):
        at = [row for row in rows if row.spacing_mm == spacing]
        for name in [name for name in SETS if any(row.set == name for row in at)]:
            of_set = [row for row in at if row.set == name]
            parts += [f"## {name} at {spacing:g} mm: {SETS[name].title}", *_of_set(of_set)]
    parts += _growth(rows)
    return "\n\n".join([*parts, _conditions(rows)]) + "\n"


def summary(rows: Sequence[Row], reference: str = OURS) -> str:
    """One line for each method over its cases; ratios and p against the reference, over the cases that both have.

    p is two-sided, of Wilcoxon's signed-rank test of paired cases.
    """
    dice = rows[0].dice is not None
    value, one = _value(dice), "Dice" if dice else "mm"
    head = ["method", "cases", f"before {one}", f"median {one}", f"mean {one}"]
    head += [] if dice else ["95 % mm"]
    head += ["folds %", "most folds", "inverse mm", "worst inverse mm"]
    head += ["s", f"s of {reference}'s", "CPU s", "MB", f"MB of {reference}'s", f"p against {reference}"]
    lines = []
    for method in in_order(rows):
        own = [row for row in rows if row.method == method]
        failed = sum(bool(row.failure) for row in own)
        nothing = [row.before_dice if dice else row.before_mm for row in own]
        cells = [method, f"{len(own)} ({failed} failed)" if failed else f"{len(own)}"]
        cells += [_number(_median(nothing)), _number(_median([value(row) for row in own]))]
        cells.append(_number(fmean(value(row) for row in own)))
        cells += [] if dice else [_number(_median([row.p95_mm for row in own]))]
        cells += [f"{100 * fmean(row.share_folded for row in own):.3g}", f"{max(row.folds for row in own)}"]
        inverse = [row.inverse_mean_mm for row in own if row.inverse_mean_mm is not None]
        worst = [row.inverse_max_mm for row in own if row.inverse_max_mm is not None]
        cells += [_number(_median(inverse)), _number(max(worst) if worst else None)]
        cells += [f"{median(map(_seconds, own)):.1f}", _ratio(rows, method, reference, _seconds)]
        cells.append(f"{median(row.cpu_seconds for row in own):.1f}")
        cells += [f"{median(map(_memory, own)):.0f}", _ratio(rows, method, reference, _memory)]
        p = paired_p(rows, method, reference, value)
        cells.append(NONE if p is None else f"{p:.2g}")
        lines.append(cells)
    return as_table(head, lines)


def paired_p(rows: Sequence[Row], method: str, reference: str, value: Callable[[Row], float]) -> float | None:
    """p of Wilcoxon's signed-rank test over the cases that both have; None where it says nothing."""
    from scipy.stats import wilcoxon

    pairs = _pairs(rows, method, reference)
    differences = [value(a) - value(b) for a, b in pairs]
    if method == reference or len(pairs) < 2 or not any(differences):
        return None
    return float(wilcoxon(differences).pvalue)


def best_peer(rows: Sequence[Row]) -> str | None:
    """The peer with the best median over the cases that it and every other peer here have; None without one."""
    peers = [name for name in in_order(rows) if name in PEERS]
    if not peers:
        return None
    dice = rows[0].dice is not None
    value = _value(dice)
    shared = set.intersection(*({row.case for row in rows if row.method == name} for name in peers))

    def middle(name: str) -> float:
        of = [value(row) for row in rows if row.method == name and (not shared or row.case in shared)]
        return -median(of) if dice else median(of)

    return min(peers, key=middle)


def in_order(rows: Sequence[Row]) -> list[str]:
    """The methods of these rows, as the contestants stand."""
    there = {row.method for row in rows}
    return [name for name in CONTESTANTS if name in there]


def _of_set(rows: Sequence[Row]) -> list[str]:
    main = [row for row in rows if row.method == OURS or row.method in PEERS]
    ours = [row for row in rows if row.method in VARIANTS]
    parts = [summary(main), *_against_best(main)] if main else []
    groups = sorted({row.group for row in rows})
    if main and len(groups) > 1:
        parts.append(_by_group(main, groups))
    if any(row.method != OURS for row in ours):
        parts += [f"### {rows[0].set}: metrics of ours", summary(ours)]
    failures = dict.fromkeys(f"{row.method}: {row.failure}" for row in rows if row.failure)
    if failures:
        shown = "\n".join(f"- {line}" for line in list(failures)[:10])
        parts.append(f"Failed runs count with the measures of doing nothing:\n\n{shown}")
    return parts


def _against_best(rows: Sequence[Row]) -> list[str]:
    """Ours beside the best peer, the fastest one and ANTs, over the cases that both have."""
    peer = best_peer(rows)
    pairs = _pairs(rows, OURS, peer) if peer else []
    if not peer or not pairs:
        return []
    dice = rows[0].dice is not None
    value = _value(dice)
    mine, theirs = (median(value(pair[n]) for pair in pairs) for n in (0, 1))
    p = paired_p(rows, OURS, peer, value)
    what = f"{mine:.4f} to {theirs:.4f}" if dice else f"{mine / theirs:.2f} of its median error"
    said = [f"Against {peer}, the best peer ({len(pairs)} cases): {what}"]
    said.append(f"Wilcoxon p {p:.2g}" if p is not None else "too few cases for a test")
    peers = [name for name in in_order(rows) if name in PEERS]
    fastest = min(peers, key=lambda name: median(row.seconds for row in rows if row.method == name))
    for name in dict.fromkeys((fastest, *(name for name in peers if name.startswith("syn")))):
        share = _share(rows, OURS, name, _seconds)
        if share is not None:
            said.append(f"{share:.2f} of {name}'s time{' (the fastest)' if name == fastest else ''}")
    return ["; ".join(said) + "."]


def _by_group(rows: Sequence[Row], groups: Sequence[str]) -> str:
    """Medians for each kind of pair."""
    value = _value(rows[0].dice is not None)
    lines = []
    for method in in_order(rows):
        cells = [[value(r) for r in rows if r.method == method and r.group == group] for group in groups]
        lines.append([method, *(f"{_number(_median(own))} ({len(own)})" if own else NONE for own in cells)])
    return as_table([f"median, {'Dice' if rows[0].dice is not None else 'mm'} (cases)", *groups], lines)


def _growth(rows: Sequence[Row]) -> list[str]:
    """Seconds and memory by spacing, over the cases that a method has at every spacing that it has."""
    spacings = sorted({row.spacing_mm for row in rows}, reverse=True)
    if len(spacings) < 2:
        return []
    head = ["method", "cases"]
    head += [f"{what} at {s:g} mm" for what in ("s", "MB") for s in spacings] + ["s, times", "MB, times"]
    lines = []
    for method in in_order(rows):
        own = {s: {r.case: r for r in rows if r.method == method and r.spacing_mm == s} for s in spacings}
        there = [s for s in spacings if own[s]]
        common = set.intersection(*(set(own[s]) for s in there))
        if len(there) < 2 or not common:
            continue
        costs = {
            cost: {s: median(cost(own[s][case]) for case in common) for s in there}
            for cost in (_seconds, _memory)
        }
        cells = [method, f"{len(common)}"]
        cells += [
            f"{costs[cost][s]:{form}}" if s in there else NONE
            for cost, form in ((_seconds, ".1f"), (_memory, ".0f"))
            for s in spacings
        ]
        cells += [
            f"{of[there[-1]] / of[there[0]]:.1f}" if of[there[0]] > 0 else NONE for of in costs.values()
        ]
        lines.append(cells)
    return ["## Growth with resolution", as_table(head, lines)] if lines else []


def _pairs(rows: Sequence[Row], method: str, reference: str) -> list[tuple[Row, Row]]:
    mine, theirs = (
        {(r.case, r.spacing_mm): r for r in rows if r.method == name} for name in (method, reference)
    )
    return [(mine[key], theirs[key]) for key in mine if key in theirs]


def _share(rows: Sequence[Row], method: str, reference: str, cost: Callable[[Row], float]) -> float | None:
    pairs = _pairs(rows, method, reference)
    theirs = median(cost(b) for _, b in pairs) if pairs else 0.0
    return median(cost(a) for a, _ in pairs) / theirs if theirs > 0 else None


def _ratio(rows: Sequence[Row], method: str, reference: str, cost: Callable[[Row], float]) -> str:
    share = _share(rows, method, reference, cost)
    return NONE if share is None else f"{share:.2f}"


def _value(dice: bool) -> Callable[[Row], float]:
    def value(row: Row) -> float:
        found = row.dice if dice else row.error_mm
        assert found is not None
        return found

    return value


def _seconds(row: Row) -> float:
    return row.seconds


def _memory(row: Row) -> float:
    return row.peak_mb


def _median(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return median(there) if there else None


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def as_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Lines under a head in Markdown, the first column to the left."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def _conditions(rows: Sequence[Row]) -> str:
    """Under which conditions the rows came about, in one line; several values where they differ."""
    threads = ", ".join(dict.fromkeys(str(row.threads) for row in rows))
    seeds = ", ".join(dict.fromkeys(str(row.seed) for row in rows))
    versions = dict.fromkeys(row.version for row in rows if row.version)
    load = median(row.load for row in rows)
    return (
        ", ".join([f"Conditions: seed {seeds}", f"threads {threads}", f"load {load:.1f} (median)", *versions])
        + "."
    )
