"""Running methods for their curves of error against time."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from inforeg.bench.drmime.case import Case
from inforeg.bench.drmime.contestants import CONTESTANTS, Conditions, Tool, takes_part
from inforeg.bench.drmime.curves import (
    Curve,
    comparison,
    curve_of,
    middle,
    read_curves,
    write_curves,
)
from inforeg.bench.drmime.figures import Line, log_chart
from inforeg.bench.drmime.run import Plan, Task, make_case
from inforeg.errors import InforegError
from inforeg.io import atomic_path

# What is drawn if no method was asked for.
DRAWN = ("drmime", "drmime-paper", "linear", "mmi")
# A tool that does not tell of its steps is run anew for each of these counts of them.
BUDGETS = (10, 30, 100, 300, 1000, 3000)


def trace(
    plan: Plan, set: str, methods: list[str], count: int, say: Callable[[str], None] = lambda _line: None
) -> str:
    """Add what is missing to the curves of a set's first cases, draw them, and say how two of them compare.

    Writes `curves-SET.csv` and `curves-SET.svg` in the plan's folder; with `count` 0 it draws what is there.
    """
    torch.set_num_threads(plan.threads)
    table = plan.output / f"curves-{set}.csv"
    curves = {(curve.case, curve.method): curve for curve in read_curves(table)}
    plan.output.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        for method in methods:
            task = Task(set, number, method)
            if not takes_part(method, set) or ((task.case, method) in curves and not plan.again):
                continue
            try:
                curve = _traced(make_case(plan, task), method, plan)
            except InforegError as error:
                say(f"{task.case} {method}: {error}")
                continue
            curves[curve.case, curve.method] = curve
            write_curves(table, list(curves.values()))
            say(f"{curve.case:20s} {method:13s} NAED {curve.naed[-1]:.5f} after {curve.seconds[-1]:.2f} s")
    drawn = list(curves.values())
    lines = []
    for method in CONTESTANTS:
        own = [curve for curve in drawn if curve.method == method]
        if own:
            lines.append(Line(method, *middle(own)))
    cases = len({curve.case for curve in drawn})
    picture = log_chart(
        lines,
        title=f"{set}: error against time, median of {cases} case{'s' if cases != 1 else ''}",
        x_name="seconds",
        y_name="NAED",
    )
    with atomic_path(plan.output / f"curves-{set}.svg", overwrite=True) as temporary:
        temporary.write_text(picture, encoding="utf-8")
    return comparison(drawn)


def _traced(case: Case, method: str, plan: Plan) -> Curve:
    contestant = CONTESTANTS[method]
    with TemporaryDirectory(prefix="inforeg-bench-") as work:
        conditions = Conditions(plan.threads, plan.seed, plan.iterations, Path(work))
        if isinstance(contestant, Tool):
            runs = [contestant.after(steps, case, conditions) for steps in BUDGETS]
            # More steps may end sooner, where the tool finds that it has come to rest.
            runs.sort(key=lambda run: run.seconds)
            errors = [case.errors(run.transform).naed for run in runs]
            return Curve(case.set, case.name, method, [run.seconds for run in runs], errors)
        answer = contestant.answer(case, conditions)
    # A path holds where each step began; where the last one led is the answer.
    return curve_of(case, method, [*answer.path, answer.transform], answer.seconds)
