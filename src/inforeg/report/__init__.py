"""One self-contained HTML page that shows what a registration did."""

from inforeg.report.data import Candidate, KeyFigure, ReportData, StageTrace, Verdict
from inforeg.report.display import (
    display_factors,
    for_display,
    joint_histogram,
    reduce_for_display,
    to_ras_axes,
)
from inforeg.report.page import render, write

__all__ = [
    "Candidate",
    "KeyFigure",
    "ReportData",
    "StageTrace",
    "Verdict",
    "display_factors",
    "for_display",
    "joint_histogram",
    "reduce_for_display",
    "render",
    "to_ras_axes",
    "write",
]
