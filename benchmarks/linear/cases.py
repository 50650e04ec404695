"""Make the benchmark's cases: pairs of images with an exactly known linear transform between them.

Each case is a folder with the fixed and the moving image and `truth.json`: the matrix of fixed to moving
world points (RAS+ mm), fixed landmarks in mm, and how the case was made. The same seeds give the same cases
everywhere.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path

import geometry as geo
import itk2d
import numpy as np
import scenes

VERSION = 1  # raise when the content of cases changes: folders of an older one are made anew


@dataclass(frozen=True)
class Case:
    """One pair to make: its name, the set it belongs to, the transform to ask for, and what makes it."""

    id: str
    set: str
    transform: str
    make: Callable[[Path, Path], dict]  # data folder, case folder -> what truth.json says


def _all() -> Iterator[Case]:
    turned = ("rotations", "cut-moving-third", "cut-moving-half", "cut-fixed")
    counts = {"ditr-rigid": 8, "ditr-affine": 8} | dict.fromkeys(turned, 2 * len(scenes.ANGLES_DEG))
    for name, count in counts.items():
        for i in range(count):
            transform = "affine" if name == "ditr-affine" else "rigid"
            yield Case(f"{name}-{i:02d}", name, transform, partial(scenes.patient, name, i))
    for i in range(len(scenes.BRAINWEB)):
        yield Case(f"brainweb-{i:02d}", "brainweb", "rigid", partial(scenes.brainweb, i))
    for pair in permutations(scenes.TEMPLATES, 2):
        yield Case(f"templates-{'-'.join(pair)}", "templates", "rigid", partial(scenes.templates, pair))
    for name, transform in itk2d.CASES:
        yield Case(f"itk2d-{name}", "itk2d", transform, partial(itk2d.make, name))


CASES = tuple(_all())
SETS = tuple(dict.fromkeys(case.set for case in CASES))
# Some of every set, about 20 minutes for all tools.
QUICK = (
    *(
        "ditr-rigid-00",
        "ditr-rigid-02",
        "ditr-rigid-05",
        "ditr-affine-01",
        "ditr-affine-04",
        "ditr-affine-07",
    ),
    *("rotations-02", "rotations-03", "rotations-06", "cut-moving-third-01", "cut-moving-third-06"),
    *("cut-moving-half-02", "cut-moving-half-05", "cut-fixed-03", "cut-fixed-04"),
    *("brainweb-00", "brainweb-03", "brainweb-05", "brainweb-07"),
    *("templates-T1-PET", "templates-EPI-T2", "itk2d-t1-shifted", "itk2d-t1-scaled"),
)


def select(names: list[str], quick: bool = False) -> list[Case]:
    """The cases of these sets or ids (all without names), in their own order; an unknown name is an error."""
    known = {case.id for case in CASES} | set(SETS)
    if wrong := [name for name in names if name not in known]:
        raise SystemExit(f"unknown case or set {', '.join(wrong)}; sets are {', '.join(SETS)}")
    wanted = [case for case in CASES if not names or case.set in names or case.id in names]
    return [case for case in wanted if not quick or case.id in QUICK]


def prepare(case: Case, data: Path, work: Path) -> dict:
    """Make the case in `work` unless this version of it is there, and return its truth."""
    folder = work / case.id
    truth_path = folder / "truth.json"
    if truth_path.exists():
        truth = json.loads(truth_path.read_text())
        if truth.get("version") == VERSION:
            return truth
        truth_path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    made = case.make(data, folder)
    points_mm, matrix = np.array(made["landmarks_mm"]), np.array(made["matrix"])
    start_mm = float(np.linalg.norm(geo.apply(matrix, points_mm) - points_mm, axis=1).mean())
    truth = {"id": case.id, "set": case.set, "transform": case.transform, "version": VERSION}
    truth |= {"fixed": "fixed.nii.gz", "moving": "moving.nii.gz", "start_mm": start_mm} | made
    # The truth comes last and whole: its presence says that the case is complete.
    partial_path = folder / "truth.json.partial"
    partial_path.write_text(json.dumps(truth, indent=1))
    partial_path.rename(truth_path)
    return truth


def main() -> None:
    """Make the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with ms/, brats/, brainweb/, ...")
    parser.add_argument("--work", type=Path, required=True, help="where the case folders go")
    parser.add_argument("--sets", help=f"comma-separated sets or cases; sets: {', '.join(SETS)}")
    parser.add_argument("--quick", action="store_true", help="only the quick subset")
    parser.add_argument("--list", action="store_true", help="only name the cases")
    options = parser.parse_args()
    for case in select(options.sets.split(",") if options.sets else [], options.quick):
        if options.list:
            print(case.id)
            continue
        began = time.perf_counter()
        truth = prepare(case, options.data, options.work)
        print(f"{case.id}: {truth['start_mm']:.1f} mm apart, {time.perf_counter() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
