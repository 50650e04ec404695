"""One self-contained HTML page that shows what a registration did."""

from inforeg.report.data import (
    Candidate,
    Deformation,
    Film,
    KeyFigure,
    Keypoints,
    Measures,
    PathTrace,
    Place,
    ReportData,
    Response,
    Slice,
    StageTrace,
    Verdict,
)
from inforeg.report.deformation import unit_of
from inforeg.report.display import (
    DISPLAY_LONGEST,
    display_factors,
    for_display,
    joint_histogram,
    ras_order,
    reduce_for_display,
    to_bytes,
    to_ras_axes,
)
from inforeg.report.page import render, write

__all__ = [
    "DISPLAY_LONGEST",
    "Candidate",
    "Deformation",
    "Film",
    "KeyFigure",
    "Keypoints",
    "Measures",
    "PathTrace",
    "Place",
    "ReportData",
    "Response",
    "Slice",
    "StageTrace",
    "Verdict",
    "display_factors",
    "for_display",
    "joint_histogram",
    "ras_order",
    "reduce_for_display",
    "render",
    "to_bytes",
    "to_ras_axes",
    "unit_of",
    "write",
]
