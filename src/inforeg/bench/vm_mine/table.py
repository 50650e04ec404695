"""The table of the paper, from rows of results: mean Dice (sd), folds, seconds."""

import re
from collections.abc import Sequence
from statistics import fmean, median, stdev

from inforeg.bench.deformable.results import Row
from inforeg.bench.deformable.table import NONE, as_table, paired_p
from inforeg.bench.vm_mine.networks import KINDS
from inforeg.bench.vm_mine.sets import SETS
from inforeg.shipped import named_model

OTHERS = {
    "syn-mi": "ANTs SyN (MI)",
    "syn-cc": "ANTs SyN (CC)",
    "svf": "pair solver (svf)",
}
_SEED, _WEIGHT = re.compile(r"-s\d+"), re.compile(r"-a(\d+(?:\.\d+)?)")


def markdown(rows: Sequence[Row]) -> str:
    """A table for each set, and one of weights where some were swept."""
    if not rows:
        return "there are no results yet\n"
    parts = []
    for name, pairs in SETS.items():
        of_set = [row for row in rows if row.set == name]
        if of_set:
            parts += [
                f"## {name}: {pairs.title}",
                _of_set([r for r in of_set if not _WEIGHT.search(r.method)]),
            ]
    swept = [
        row
        for row in rows
        if row.set == "multi" and _kind(row.method) in KINDS and KINDS[_kind(row.method)].sweep
    ]
    if any(_WEIGHT.search(row.method) for row in swept):
        parts += ["## Weight of the metric (alpha)", _weights(swept)]
    versions = dict.fromkeys(row.version for row in rows if row.version)
    threads = ", ".join(dict.fromkeys(str(row.threads) for row in rows))
    load = median(row.load for row in rows)
    parts.append(f"Conditions: threads {threads}, load {load:.1f} (median), {', '.join(versions)}.")
    return "\n\n".join(parts) + "\n"


def _of_set(rows: Sequence[Row]) -> str:
    head = [
        "method",
        "cases",
        "Dice % (sd)",
        "seeds, least to most",
        "folds",
        "s, whole process",
        "s, call",
        "p against SyN",
    ]
    first = next(iter({row.method for row in rows}))
    before = [row.before_dice for row in rows if row.method == first and row.before_dice is not None]
    lines = [["affine", f"{len(before)}", _spread(before), NONE, NONE, NONE, NONE, NONE]]
    for title, group in _groups(rows):
        dice = [row.dice for row in group if row.dice is not None]
        seeds = sorted(
            fmean(r.dice for r in group if r.method == m and r.dice is not None)
            for m in {r.method for r in group}
        )
        failed = sum(bool(row.failure) for row in group)
        p = paired_p(rows, group[0].method, "syn-mi", lambda row: row.dice or 0.0)
        lines.append(
            [
                title,
                f"{len(group)}" + (f" ({failed} failed)" if failed else ""),
                _spread(dice),
                f"{100 * seeds[0]:.2f} to {100 * seeds[-1]:.2f} ({len(seeds)})" if len(seeds) > 1 else NONE,
                f"{fmean(row.folds for row in group):.1f}",
                f"{median(row.seconds for row in group):.1f}",
                f"{median(row.call_seconds for row in group):.1f}",
                NONE if p is None else f"{p:.2g}",
            ]
        )
    return as_table(head, lines)


def _weights(rows: Sequence[Row]) -> str:
    """Of the first seed alone: the others were trained at the row's own weight."""
    lines = []
    by: dict[float, list[Row]] = {}
    for row in rows:
        if "-s0" not in row.method or "+" in row.method:
            continue
        found = _WEIGHT.search(row.method)
        weight = float(found[1]) if found else KINDS[_kind(row.method)].changes["alpha"]
        by.setdefault(weight, []).append(row)
    for weight, group in sorted(by.items()):
        dice = [row.dice for row in group if row.dice is not None]
        least = min(row.smallest_jacobian for row in group)
        lines.append([f"{weight:g}", _spread(dice), f"{fmean(r.folds for r in group):.1f}", f"{least:.2f}"])
    return as_table(["alpha", "Dice % (sd)", "folds", "least determinant"], lines)


def _groups(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Rows of one title together: all seeds of a network, and each other method."""
    titles: dict[str, list[Row]] = {}
    order = [*OTHERS, *KINDS]
    for row in sorted(
        rows, key=lambda r: (order.index(_kind(r.method)) if _kind(r.method) in order else 99, r.method)
    ):
        kind = _kind(row.method)
        title = OTHERS.get(kind) or (KINDS[kind].title if kind in KINDS else kind)
        steps = named_model(row.method).steps
        titles.setdefault(title + (f", refined by {steps} steps" if steps else ""), []).append(row)
    return list(titles.items())


def _kind(method: str) -> str:
    return _WEIGHT.sub("", _SEED.sub("", named_model(method).model))


def _spread(values: Sequence[float]) -> str:
    if not values:
        return NONE
    return (
        f"{100 * fmean(values):.1f} ({100 * stdev(values):.1f})"
        if len(values) > 1
        else f"{100 * values[0]:.1f}"
    )
