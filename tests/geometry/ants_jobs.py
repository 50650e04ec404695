"""Run by a Python that has antspyx, in a process of its own: draw images and move points by files, job by job.

Usage: python ants_jobs.py JOBS.json, a list of {dim, fixed, moving, transforms, inverted, points_lps, image, points}.
`inverted`, if given, says of each matrix whether it is turned round; `image` (.npy) and `points` (.json) are where the
answers go. What stands first in the list is applied first to a fixed point: that is ANTs' own rule.
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
        # Said for each: left to itself, antspyx turns a matrix round that stands before a warp.
        inverted = job.get("inverted", [False] * len(job["transforms"]))
        warped = ants.apply_transforms(
            fixed, moving, job["transforms"], whichtoinvert=inverted, defaultvalue=job["outside"]
        )
        np.save(job["image"], warped.numpy())
        points = pd.DataFrame(job["points_lps"], columns=list("xyz"[: job["dim"]]))
        moved = ants.apply_transforms_to_points(job["dim"], points, job["transforms"], whichtoinvert=inverted)
        Path(job["points"]).write_text(json.dumps(moved.to_numpy().tolist()))


if __name__ == "__main__":
    main()
