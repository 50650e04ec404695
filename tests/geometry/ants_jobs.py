"""Run by a Python that has antspyx, in a process of its own: draw images and move points by files, job by job.

Usage: python ants_jobs.py JOBS.json, a list of {dim, fixed, moving, transforms, points_lps, image, points}; `image`
(.npy) and `points` (.json) are where the answers go. ANTs' own rule for the list: what stands first is applied first
to a fixed point.
"""

import json
import sys
from pathlib import Path

import ants
import numpy as np
import pandas as pd


def main() -> None:
    for job in json.loads(Path(sys.argv[1]).read_text()):
        fixed, moving = (ants.image_read(job[name], dimension=job["dim"]) for name in ("fixed", "moving"))
        # Left to itself, antspyx turns a matrix round that stands before a warp.
        as_they_are = [False] * len(job["transforms"])
        warped = ants.apply_transforms(
            fixed, moving, job["transforms"], whichtoinvert=as_they_are, defaultvalue=job["outside"]
        )
        np.save(job["image"], warped.numpy())
        points = pd.DataFrame(job["points_lps"], columns=list("xyz"[: job["dim"]]))
        moved = ants.apply_transforms_to_points(
            job["dim"], points, job["transforms"], whichtoinvert=as_they_are
        )
        Path(job["points"]).write_text(json.dumps(moved.to_numpy().tolist()))


if __name__ == "__main__":
    main()
