"""Markdown tables from the benchmark's JSON lines: errors, successes, seconds, memory, and ratios."""

import argparse
import json
from pathlib import Path
from statistics import median

BASELINE = "baseline"
OURS = "inforeg"
SUCCESS = "success (< 2 mm)"


def read(path: Path) -> list[dict]:
    """The finished runs, of repeated ones the latest; a last line that was cut off is left out."""
    rows: dict[tuple[str, str], dict] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        rows[row["case"], row["tool"]] = row
    return list(rows.values())


def markdown(rows: list[dict]) -> str:
    """All tables: one of each set, successes by angle, the templates' pairs, the slices one by one."""
    torch_mb = next((row["peak_mb"] for row in rows if row["case"] == BASELINE), None)
    rows = [row for row in rows if row["case"] != BASELINE]
    parts = []
    for name in dict.fromkeys(row["set"] for row in rows):
        group = [row for row in rows if row["set"] == name]
        shared = _shared(group)
        parts.append(_summary(f"{name} ({len({row['case'] for row in shared})} cases)", shared, torch_mb))
        left_out = len({row["case"] for row in group}) - len({row["case"] for row in shared})
        if left_out:
            parts.append(f"{left_out} cases that not every tool has finished are left out.")
        if name == "templates":
            parts += [_pairs(shared, tool) for tool in _tools(shared) if tool in (OURS, "greedy")]
        elif name == "itk2d":
            parts.append(_each(shared))
        elif len({row["angle_deg"] for row in shared}) > 1:
            parts.append(_by_angle(shared))
    return "\n\n".join(parts)


def _tools(rows: list[dict]) -> list[str]:
    order = [OURS, "greedy", "greedy-moments", "greedy-search", "ants", "elastix", "simpleitk"]
    return [tool for tool in order if any(row["tool"] == tool for row in rows)]


def _shared(rows: list[dict]) -> list[dict]:
    """Only the cases that every tool of these rows has finished: all columns are about the same images."""
    tools = {row["tool"] for row in rows}
    finished: dict[str, set[str]] = {}
    for row in rows:
        finished.setdefault(row["case"], set()).add(row["tool"])
    return [row for row in rows if finished[row["case"]] == tools]


def _summary(title: str, rows: list[dict], torch_mb: float | None) -> str:
    if not rows:
        return f"### {title}\n\nNo case has been finished by every tool."
    facts = {tool: _facts([row for row in rows if row["tool"] == tool]) for tool in _tools(rows)}
    head = ("tool", "median FRE mm", "90 % FRE mm", SUCCESS, "whole s", "in call s", "peak MB")
    lines = [
        (
            tool,
            f"{fact['fre']:.3f}",
            f"{fact['fre90']:.3f}",
            f"{100 * fact['success']:.0f} %",
            f"{fact['wall']:.2f}",
            "–" if fact["call"] is None else f"{fact['call']:.2f}",
            f"{fact['peak']:.0f}",
        )
        for tool, fact in facts.items()
    ]
    text = f"### {title}\n\n{_grid(head, lines)}"
    peers = {tool: fact for tool, fact in facts.items() if tool != OURS}
    if OURS in facts and peers:
        text += "\n\n" + _ratios(facts[OURS], peers, torch_mb)
    return text


def _facts(rows: list[dict]) -> dict:
    errors = [row["fre_mm"] for row in rows]
    calls = [row["call_s"] for row in rows if row["call_s"] is not None]
    return {
        "fre": median(errors),
        "fre90": _percentile(errors, 0.9),
        "success": sum(row["success"] for row in rows) / len(rows),
        "wall": median(row["wall_s"] for row in rows),
        "call": median(calls) if calls else None,
        "peak": max(row["peak_mb"] for row in rows),
    }


def _ratios(ours: dict, peers: dict[str, dict], torch_mb: float | None) -> str:
    """Inforeg against the best peer at each thing: below 1 is better than that peer."""

    def against(label: str, key: str) -> str:
        able = {tool: fact for tool, fact in peers.items() if fact[key]}
        if ours[key] is None or not able:
            return f"{label}: –"
        best = min(able, key=lambda tool: able[tool][key])
        return f"{label}: {ours[key] / able[best][key]:.2f} of {best}'s"

    surest = max(peers, key=lambda tool: peers[tool]["success"])
    parts = [
        against("median FRE", "fre"),
        f"success: {100 * ours['success']:.0f} % beside {100 * peers[surest]['success']:.0f} % of {surest}",
        against("whole process", "wall"),
        against("in the call", "call"),
    ]
    if torch_mb is not None and "greedy" in peers:
        allowed = peers["greedy"]["peak"] + torch_mb
        share = ours["peak"] / allowed
        parts.append(f"peak memory: {share:.2f} of greedy's and `import torch`'s {allowed:.0f} MB")
    return f"{OURS}: " + "; ".join(parts) + "."


def _by_angle(rows: list[dict]) -> str:
    angles = sorted({row["angle_deg"] or 0 for row in rows})
    tools = _tools(rows)

    def cell(tool: str, angle: int) -> str:
        here = [row for row in rows if row["tool"] == tool and (row["angle_deg"] or 0) == angle]
        return f"{sum(row['success'] for row in here)}/{len(here)}"

    head = (SUCCESS, *(f"{angle:.0f}°" if angle else "small" for angle in angles))
    return _grid(head, [(tool, *(cell(tool, angle) for angle in angles)) for tool in tools])


def _pairs(rows: list[dict], tool: str) -> str:
    cells = {tuple(row["contrasts"]): row for row in rows if row["tool"] == tool}
    names = list(dict.fromkeys(name for pair in cells for name in pair))

    def cell(fixed: str, moving: str) -> str:
        row = cells.get((fixed, moving))
        return "" if row is None else f"{row['fre_mm']:.2f}"

    head = (f"{tool}: FRE mm, fixed \\ moving", *names)
    return _grid(head, [(fixed, *(cell(fixed, moving) for moving in names)) for fixed in names])


def _each(rows: list[dict]) -> str:
    tools = _tools(rows)
    found: dict[str, dict[str, dict]] = {}
    for row in rows:
        found.setdefault(row["case"], {})[row["tool"]] = row

    def show(row: dict) -> str:
        return "failed" if row["failure"] else f"{row['fre_mm']:.3f}"

    lines = [(case.removeprefix("itk2d-"), *(show(by[tool]) for tool in tools)) for case, by in found.items()]
    return _grid(("FRE mm", *tools), lines)


def _percentile(values: list[float], part: float) -> float:
    """Linear between the two nearest, as numpy's default."""
    ordered = sorted(values)
    at = part * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def _grid(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))


def main() -> None:
    """Print the tables of one or more result files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--sets", help="comma-separated; all without it")
    chosen = parser.parse_args()
    rows = [row for path in chosen.results for row in read(path)]
    if chosen.sets:
        rows = [row for row in rows if row["set"] in {*chosen.sets.split(","), BASELINE}]
    print(markdown(rows))


if __name__ == "__main__":
    main()
