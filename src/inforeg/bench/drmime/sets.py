"""The sets of images there are, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from inforeg.bench import chosen
from inforeg.bench.drmime import sets_folder, sets_wheel
from inforeg.bench.drmime.case import Case


@dataclass(frozen=True)
class ImageSet:
    """A set: what it is in a few words, the files it reads, and what makes case number n of a seed.

    Without files in the folder of images (`folder`), they are pictures of scikit-image's wheel.
    """

    title: str
    files: tuple[str, ...]
    folder: bool
    make: Callable[..., Case]

    def missing(self, data: Path | None) -> str:
        """Why no case can be made, in words that say what to do; nothing where one can."""
        if not self.folder:
            return next(filter(None, map(sets_wheel.missing, self.files)), "")
        if data is None:
            return "needs --data, the folder of images"
        gone = [name for name in self.files if not (data / name).is_file()]
        return f"needs {gone[0]} in {data}" if gone else ""

    def case(self, number: int, seed: int, data: Path | None, size: int | None) -> Case:
        """Case number n: the same for the same seed; `size` is the number of voxels along the longest side."""
        return self.make(number, seed, data, size) if self.folder else self.make(number, seed, size)


# A set is one line here.
SETS: dict[str, ImageSet] = {
    "fundus": ImageSet(
        "colour fundus, affine, changed light", ("retina.jpg",), False, partial(sets_wheel.fundus, "affine")
    ),
    "fundus-projective": ImageSet(
        "colour fundus, projective, changed light",
        ("retina.jpg",),
        False,
        partial(sets_wheel.fundus, "projective"),
    ),
    "stains": ImageSet("haematoxylin against DAB, affine", ("ihc.png",), False, sets_wheel.stains),
    "kidney": ImageSet(
        "H&E against Pan-Cytokeratin, raw colours, affine",
        sets_folder.kidney_files(),
        True,
        sets_folder.kidney,
    ),
    "slices": ImageSet(
        "T1 against PD slices, rigid and affine", sets_folder.SLICES, True, sets_folder.slices
    ),
    "brain": ImageSet(
        "T1 against T2 and FLAIR in 3-D, rigid and affine", sets_folder.brain_files(), True, sets_folder.brain
    ),
}


def chosen_sets(names: list[str], data: Path | None, needed: bool = True) -> tuple[list[str], list[str]]:
    """The sets of these names, all where there are none; and a line for each that is left out."""
    return chosen.chosen_sets(SETS, names, data, needed)
