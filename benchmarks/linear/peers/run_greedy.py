"""Greedy, as its documentation advises for images of different contrast: NMI, affine mode, three levels.

Starts: image centres; `moments`, a run of its own that matches second moments; `search`, 1,000 random
rotations over the whole circle. Greedy reads and writes its files itself, as from its own command line: this
takes the least memory, and puts the reading (about 0.2 s) inside the seconds of its call. It keeps doubles
(its single precision is no faster here) and gets a seed, as its default is not repeatable.
"""

import time
from pathlib import Path

from exchange import answer, options, read

DEGREES_OF_FREEDOM = {"rigid": 6, "similarity": 7, "affine": 12}
STARTS = {
    "centres": "-ia-image-centers",
    "moments": "-ia {start}",
    "search": "-ia-image-centers -search 1000 any 20",
}


def main() -> None:
    """Register one pair."""
    chosen = options(tuple(STARTS))
    import picsl_greedy

    flat = chosen.fixed.suffix == ".png"
    greedy = picsl_greedy.Greedy2D() if flat else picsl_greedy.Greedy3D()
    fixed, moving = (_as_nifti(path, chosen.out) if flat else path for path in (chosen.fixed, chosen.moving))
    matrix_path, start = chosen.out / "matrix.txt", chosen.out / "start.txt"
    began = time.perf_counter()
    if chosen.init == "moments":
        greedy.execute(f"-i {fixed} {moving} -moments 2 -threads {chosen.threads} -V 0 -o {start}")
    greedy.execute(
        f"-i {fixed} {moving} -a -dof {DEGREES_OF_FREEDOM[chosen.transform]} -m NMI -n 100x50x10 "
        f"{STARTS[chosen.init].format(start=start)} -threads {chosen.threads} -seed 1 -V 0 -o {matrix_path}"
    )
    seconds = time.perf_counter() - began
    greedy.execute(
        f"-rf {fixed} -rt short -rm {moving} {chosen.out / 'warped.nii.gz'} -r {matrix_path} "
        f"-threads {chosen.threads} -V 0"
    )
    matrix = [
        [float(x) for x in line.split()] for line in matrix_path.read_text().splitlines() if line.strip()
    ]
    answer(chosen.out, matrix, seconds)


def _as_nifti(path: Path, out: Path) -> Path:
    """A colour-mapped slice as a grey NIfTI file, which is what greedy reads."""
    import SimpleITK as sitk

    copy = out / f"{path.stem}.nii.gz"
    sitk.WriteImage(read(path), str(copy))
    return copy


if __name__ == "__main__":
    main()
