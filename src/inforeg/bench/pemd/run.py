"""Every way of adapting, from every seed: trained a part at a time, and tried on subjects of no part in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from inforeg.bench.rows import append_row, read_rows
from inforeg.nets import DisplacementNet, DisplacementNetSettings
from inforeg.nets.files import read_model
from inforeg.train.displaced_patches import DisplacedPatches, Domain
from inforeg.train.displacement_task import DisplacementFigures
from inforeg.train.listing import read_scans
from inforeg.train.loop import MODEL, RECIPE, train
from inforeg.train.machine import Machine
from inforeg.train.recipes import DisplacementRecipe
from inforeg.train.source import seeded

# Patches lie within the brain as far as they can: brains are cut out along the same line in all contrasts, and that
# alone tells where a patch belongs. So they are smaller than the published ones, and displacements are.
_NET = DisplacementNetSettings(patch=32, reach=12.0)
_MARGIN = 26.0
_ASKED = 100
# A way of adapting is one line here: its title, and what its recipe says.
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("no adaptation", {"discrepancy": "none"}),
    "l1": ("classifier discrepancy, mean absolute difference", {"discrepancy": "l1"}),
    "swd": ("sliced Wasserstein, 128 projections", {"discrepancy": "swd"}),
    "pemd-2": ("p-EMD, 2 directions", {"discrepancy": "pemd", "directions": 2, "span_deg": 90.0}),
    "pemd-16": ("p-EMD, 16 directions", {"discrepancy": "pemd"}),
    "pemd-16+swd": ("p-EMD, 16 directions, and sliced Wasserstein", {"discrepancy": "pemd+swd"}),
    "pemd-16+swd+even": (
        "the same, and beliefs held even",
        {"discrepancy": "pemd+swd", "evenness": 1.0},
    ),
    "known": ("displacements of T2 pairs known, which adaptation has not", {"target_known": True}),
}


@dataclass(frozen=True)
class Row:
    """A run by then: after `rounds` of teaching, the share of pairs of test subjects told rightly, T1 to T1 (`source`)
    and T2 to T1 (`target`), by the model that the run would keep, and by what it was chosen (`score`)."""

    way: str
    seed: int
    rounds: int
    seconds: float
    source: float
    target: float
    score: float


def key(row: Row) -> tuple[str, int, int]:
    """What makes a run another one."""
    return row.way, row.seed, row.rounds


def rows_of(path: Path) -> list[Row]:
    """What is done."""
    return read_rows(path, Row, key)


def recipe_of(way: str, table: Path, seed: int) -> DisplacementRecipe:
    """How a network is trained that way; how long is left to say."""
    return DisplacementRecipe(
        images=str(table),
        fixed=("T1",),
        target=("T2",),
        net=_NET,
        margin=_MARGIN,
        decay=False,
        seed=seed,
        **WAYS[way][1],
    )


def run(
    ways: Sequence[str],
    seeds: int,
    rounds: int,
    parts: int,
    table: Path,
    output: Path,
    threads: int,
    say: Callable[[str], None],
) -> None:
    """Train every way from every seed for so many rounds, in so many parts after each of which it is tried."""
    path = output / "accuracy.jsonl"
    done = {key(row) for row in rows_of(path)}
    # The same patches for every network.
    patches = DisplacedPatches(recipe_of("none", table, 0), read_scans(table), torch.device("cpu"))
    for seed in range(seeds):
        for way in ways:
            recipe, folder = recipe_of(way, table, seed), output / "runs" / f"{way}-{seed}"
            for part in range(1, parts + 1):
                taught = rounds * part // parts
                if (way, seed, taught) in done:
                    continue
                began = perf_counter()
                steps = steps_for(recipe, taught)
                train(
                    recipe.replace(steps=steps, validate_every=steps, log_every=50),
                    folder,
                    resume=(folder / RECIPE).exists(),
                    machine=Machine("cpu", threads=threads),
                )
                seconds = perf_counter() - began
                model = read_model(folder / MODEL)
                source, target = (share_right(model.net, patches, d) for d in ("source", "target"))
                score = DisplacementFigures(**model.card["validation"]).score
                append_row(path, Row(way, seed, taught, seconds, source, target, score))
                say(f"{way}, seed {seed}, {taught} rounds: T2 {100 * target:.1f} %, T1 {100 * source:.1f} %")


def steps_for(recipe: DisplacementRecipe, rounds: int) -> int:
    """After how many steps what is known has been taught so often."""
    if not recipe.adapts:
        return rounds
    return min(rounds, recipe.head_start) + max(0, rounds - recipe.head_start) * (2 + recipe.feature_steps)


@torch.no_grad()
def share_right(net: Any, patches: DisplacedPatches, domain: Domain) -> float:
    """The share of displacements of test subjects that the first classifier tells; the same pairs at every call."""
    assert isinstance(net, DisplacementNet)
    right = []
    for number in range(_ASKED):
        drawn = patches.draw(domain, "test", seeded(0, 31, number))
        logits = net.logits(net.maps(drawn.fixed), net.maps(drawn.moving), 0)
        right.append((logits.argmax(1) == drawn.labels).double().mean())
    return float(torch.stack(right).mean())
