import numpy as np
import pytest

from inforeg.report import Candidate, KeyFigure, ReportData, StageTrace, Verdict


@pytest.fixture
def volumes():
    """Three volumes of 20 x 24 x 18 voxels with texture; before is warped, shifted by four voxels."""
    rng = np.random.default_rng(1)
    fixed = rng.normal(100.0, 20.0, (20, 24, 18)).astype(np.float32)
    warped = (300.0 - 2.0 * fixed).astype(np.float32)
    return fixed, np.roll(warped, 4, axis=0), warped


@pytest.fixture
def make_report(volumes):
    """A report of the volumes, any field of which can be given."""
    fixed, before, warped = volumes

    def make(**fields):
        return ReportData(
            **{
                "title": "moving to fixed",
                "fixed": fixed,
                "before": before,
                "warped": warped,
                "spacing_mm": (2.0,) * 3,
                "verdict": Verdict("good", "The two directions agree within 0.1 mm."),
                "fixed_name": "t1.nii.gz",
                "moving_name": "t2.nii.gz",
                "chain_in_words": ("turned by 20°", "moved by 5 mm"),
                "summary": (KeyFigure("Overlap", "94 %", "of the fixed foreground"),),
                "stages": (StageTrace("rigid", [3.0, 2.0, 1.0], [8.0, 8.0, 4.0], "MI"),),
                "candidates": (Candidate(10.0, -0.4), Candidate(90.0, -0.1)),
                "settings": {"seed": 0, "metric": {"name": "mi", "bins": 32}},
                "warnings": ("qform and sform differ",),
                "versions": {"inforeg": "0.1.0", "torch": "2.13.0"},
                "command": "inforeg register -f t1.nii.gz -m t2.nii.gz -o out",
                **fields,
            }
        )

    return make
