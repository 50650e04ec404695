"""The metrics that are compared: what each is trained on, and how."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inforeg.bench.ditr.pairs import CONTRASTS, EDGES, write_pairs
from inforeg.bench.ditr.stains import STAINS, write_stains
from inforeg.train.loop import MODEL, RECIPE, train
from inforeg.train.machine import Machine
from inforeg.train.recipes import PatchRecipe

_PUBLISHED = ((4, 100.0), (2, 15.0), (1, 0.0))
_STILL: dict[str, Any] = {"rotation_deg": 0.0, "flip": False}
STEPS = 1000
"""Of each stage."""


@dataclass(frozen=True)
class Taught:
    """A metric: the kind of pairs it learns from, its contrasts, its schedule, by how much its stages are longer than
    the others', and what else its recipe says."""

    pairs: str
    fixed: tuple[str, ...]
    moving: tuple[str, ...]
    stages: tuple[tuple[int, float], ...]
    longer: int = 1
    more: dict[str, Any] = field(default_factory=dict)


# A metric is one line here.
METRICS: dict[str, Taught] = {
    "dithered": Taught("contrasts", ("T1",), CONTRASTS, _PUBLISHED),
    "plain": Taught("contrasts", ("T1",), CONTRASTS, tuple((c, 0.0) for c, _ in _PUBLISHED)),
    "edges": Taught("edges", (EDGES,), ("T2",), ((2, 20.0), (2, 10.0), (1, 0.0))),
    "stains": Taught(
        "stains",
        STAINS[:1],
        STAINS[1:],
        # Steps in 2-D are quick, and one section is all there is: more of both.
        ((2, 25.0), (2, 4.0), (1, 2.0), (1, 0.0), (1, 0.0)),
        longer=3,
        more={"ndim_of_images": 2},
    ),
    "shift-plain": Taught("shifted", ("T1",), ("T2",), ((2, 0.0),), more=_STILL),
    "shift-augmented": Taught("shifted", ("T1",), ("T2",), ((2, 0.0),)),
    "shift-dithered": Taught("shifted", ("T1",), ("T2",), ((2, 100.0),)),
    "shift-smoothed": Taught("smoothed", ("T1",), ("T2",), ((2, 0.0),)),
}


def trained(
    name: str, data: Path | None, output: Path, steps: int, threads: int, say: Callable[[str], None]
) -> Path:
    """The file of a metric, trained in a folder of its name, or gone on with; one that is done is left as it is."""
    taught, folder = METRICS[name], output / "metrics" / name
    if (folder / "done").exists():
        return folder / MODEL
    pairs = output / "pairs"
    if taught.pairs == "stains":
        table = write_stains(pairs)
    else:
        assert data is not None
        table = write_pairs(data, pairs, taught.pairs)
    recipe = PatchRecipe(
        images=str(table),
        fixed=taught.fixed,
        moving=taught.moving,
        stages=taught.stages,
        steps=steps * taught.longer * len(taught.stages),
        places=300,
        validate_every=250,
        **taught.more,
    )
    say(f"{name}: training")
    train(
        recipe, folder, resume=(folder / RECIPE).exists(), machine=Machine("auto", threads=threads), say=say
    )
    (folder / "done").touch()
    return folder / MODEL
