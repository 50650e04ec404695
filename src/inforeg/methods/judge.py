"""The verdict on a result, from its figures."""

from typing import Literal

from inforeg.methods.result import Quality
from inforeg.solve.newton import Status


def judge(
    information: float,
    before: float,
    chance: float,
    kept: float,
    overlap: float,
    margin: float | None,
    precision_mm: float,
    status: Status,
    spacing_mm: float,
    aside: float | None = None,
    landed: float | None = None,
) -> Quality:
    """The verdict on a result from its figures; every rule that fires is one sentence.

    `aside` is the information that is left a few voxels away, where a method has measured it; `landed` how much of the
    fixed object lies on the moving one, as a share of what could.
    """
    reasons: list[str] = []
    failed = False
    if status in ("diverged", "no_overlap"):
        reasons.append(f"the optimisation ended with {status.replace('_', ' ')}")
        failed = True
    if information < 0.02 + chance:
        reasons.append(
            f"the images share no more information than chance gives ({information:.3f} nats per sample;"
            f" expected over {0.02 + chance:.3f})"
        )
        failed = True
    if kept < 0.9:
        reasons.append(
            f"the metric led away from where the images tell most of each other: {100 * kept:.0f} % of the start's"
            " information is left"
        )
    elif before > 1.02 * information and not failed:
        reasons.append(
            "where the headers put the images they tell more of each other than here"
            f" ({before:.3f} and {information:.3f} nats per sample)"
        )
    if landed is not None and landed < 0.6:
        reasons.append(f"only {100 * landed:.0f} % of the objects' overlap that their sizes allow is there")
    if status == "steps":
        reasons.append("the transform was still moving when the optimisation ran out of steps")
    if overlap < 0.2:
        reasons.append(f"only {100 * overlap:.0f} % of the fixed object lies inside the moving image")
    if margin is not None and margin < 0.08:
        reasons.append(
            f"a clearly different pose explains the images almost as well (it reaches {100 * (1 - margin):.0f} % of the"
            " winner's information)"
        )
    if aside is not None and not on_peak(information, aside):
        reasons.append(
            f"a few voxels aside the images tell almost as much of each other ({aside:.3f} of {information:.3f} nats):"
            " what they share here may be lighting and not structure"
        )
    if precision_mm > 0.5 * spacing_mm:
        reasons.append(f"other samples of the same images move the result by {precision_mm:.2g} mm")
    verdict: Literal["good", "check", "failed"] = "failed" if failed else "check" if reasons else "good"
    return Quality(verdict, reasons, overlap, information, before, margin, precision_mm)


def on_peak(here: float, aside: float) -> bool:
    """Whether what images tell at a pose (nats) is clearly more than a few voxels aside, and not noise or lighting."""
    return aside < 0.85 * here and here - aside > 0.02
