"""Networks taught in one contrast and carried to another in every way, and tried on subjects of no part in it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from safetensors import safe_open

from inforeg.bench.rows import append_row, read_rows
from inforeg.nets import DisplacementNet, DisplacementNetSettings
from inforeg.train.checkpoint import NAME as CHECKPOINT
from inforeg.train.displaced_patches import DisplacedPatches, Domain
from inforeg.train.listing import read_scans
from inforeg.train.loop import MODEL, RECIPE, train
from inforeg.train.machine import Machine
from inforeg.train.recipes import DisplacementRecipe
from inforeg.train.source import seeded

# Batches of patches to test on, and how fast networks learn before they are adapted and after.
_ASKED, _RATES = 150, (2e-3, 1e-3)
_OUTLINE = {
    "net": DisplacementNetSettings(patch=36, reach=19.0),
    "spacing_mm": 2.0,
    "margin": 6.0,
    "inverted": 0.0,
}
# Patches within the brain as far as they can be: brains are cut out along the same line in all contrasts, and that
# alone tells where a patch belongs.
_WITHIN = {"net": DisplacementNetSettings(patch=32, reach=12.0), "spacing_mm": 1.0, "margin": 26.0}
VOLUMES = "volumes"
# What is learnt from and carried to is one line here: its title, and what recipes say.
SETS: dict[str, tuple[str, dict[str, Any]]] = {
    "outline": ("T1 to T2, patches of 72 mm, most of which show the brain's outline; as published", _OUTLINE),
    "within": ("T1 to T2, patches of 32 mm within the brain", {**_WITHIN, "inverted": 0.0}),
    "within-inverted": (
        "T1 to T2, patches of 32 mm within the brain, half of the taught ones inverted",
        _WITHIN,
    ),
    "flair": (
        "T2 to FLAIR, patches of 32 mm within the brain, half inverted",
        {**_WITHIN, "fixed": ("T2",), "target": ("FLAIR",)},
    ),
    VOLUMES: (
        "T1 to T2, patches of 54 mm in 3-D, 27 displacements, half inverted",
        {
            "net": DisplacementNetSettings(ndim=3, patch=18, reach=5.0, labels=3),
            "spacing_mm": 3.0,
            "margin": 4.0,
        },
    ),
}
TAUGHT = "taught"
"""A network before it is carried anywhere."""
# A way of adapting, too.
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("no adaptation", {"discrepancy": "none"}),
    "l1": ("classifier discrepancy, mean absolute difference", {"discrepancy": "l1"}),
    "swd": ("sliced Wasserstein, 128 projections", {"discrepancy": "swd"}),
    "pemd-2": ("p-EMD, 2 directions", {"discrepancy": "pemd", "directions": 2, "span_deg": 90.0}),
    "pemd-16": ("p-EMD, 16 directions", {"discrepancy": "pemd"}),
    "pemd-16+swd": ("p-EMD, 16 directions, and sliced Wasserstein", {"discrepancy": "pemd+swd"}),
    "pemd-16+swd+even": ("the same, and beliefs held even", {"discrepancy": "pemd+swd", "evenness": 0.3}),
    "windows": ("windows that are to tell one displacement", {"discrepancy": "windows"}),
    "known": ("displacements of target pairs known, which adaptation has not", {"target_known": True}),
}


@dataclass(frozen=True)
class Row:
    """A run by then: after `rounds` of teaching more than all ways began with, the share of pairs of test subjects that
    are told rightly, of one contrast (`source`) and of two (`target`), by the weights as they are then, and the share
    of target pairs on which both classifiers agree and are wrong."""

    of: str
    way: str
    seed: int
    rounds: int
    seconds: float
    source: float
    target: float
    agreed_wrong: float


def key(row: Row) -> tuple[str, str, int, int]:
    """What makes a run another one."""
    return row.of, row.way, row.seed, row.rounds


def rows_of(path: Path) -> list[Row]:
    """What is done."""
    return read_rows(path, Row, key)


def recipe_of(name: str, way: str, table: Path, seed: int) -> DisplacementRecipe:
    """How a network is carried that way, or `taught` before; how long, and what it begins with, is left to say."""
    changes = WAYS[way][1] if way != TAUGHT else {"discrepancy": "none"}
    values = {
        "fixed": ("T1",),
        "target": ("T2",),
        "batch": 2,
        "head_start": 0,
        "precision": "32",
        **SETS[name][1],
        **changes,
    }
    rate = _RATES[way != TAUGHT]
    return DisplacementRecipe(images=str(table), decay=False, seed=seed, rate=rate, log_every=50, **values)


def run(
    sets: Sequence[str],
    ways: Sequence[str],
    seeds: int,
    taught: int,
    rounds: int,
    parts: int,
    table_for: Callable[[str], Path],
    output: Path,
    threads: int,
    say: Callable[[str], None],
) -> None:
    """Teach a network of each set from every seed, then carry it every way, in parts; it is tried after each."""
    path, machine = output / "accuracy.jsonl", Machine("cpu", threads=threads)
    done = {key(row) for row in rows_of(path)}
    for name in sets:
        table = table_for(name)
        # The same patches for every network.
        recipe = recipe_of(name, "none", table, 0)
        patches = DisplacedPatches(recipe, read_scans(table), torch.device("cpu"))
        for seed in range(seeds):
            begun = folder_of(output, name, seed, TAUGHT)
            train_to(recipe_of(name, TAUGHT, table, seed), begun, taught, machine)
            if (name, TAUGHT, seed, 0) not in done:
                append_row(path, _tried(name, TAUGHT, seed, 0, 0.0, last_of(begun, recipe), patches))
            for way in ways:
                recipe = recipe_of(name, way, table, seed).replace(begin_with=str(begun / MODEL))
                folder = folder_of(output, name, seed, way)
                for part in range(1, parts + 1):
                    more = rounds * part // parts
                    if (name, way, seed, more) in done:
                        continue
                    began = perf_counter()
                    train_to(recipe, folder, more, machine)
                    seconds = perf_counter() - began
                    row = _tried(name, way, seed, more, seconds, last_of(folder, recipe), patches)
                    append_row(path, row)
                    say(f"{name}, {way}, seed {seed}, {more} rounds: {100 * row.target:.1f} %")


def _tried(
    name: str,
    way: str,
    seed: int,
    rounds: int,
    seconds: float,
    net: DisplacementNet,
    patches: DisplacedPatches,
) -> Row:
    source, _ = shares(net, patches, "source")
    target, wrong = shares(net, patches, "target")
    return Row(name, way, seed, rounds, seconds, source, target, wrong)


def folder_of(output: Path, name: str, seed: int, way: str) -> Path:
    """Where a run is."""
    return output / "runs" / f"{name}-{seed}-{way}"


def train_to(recipe: DisplacementRecipe, folder: Path, rounds: int, machine: Machine) -> None:
    """Train until what is known was taught so often, from where the run is; does nothing where it is there."""
    steps = steps_for(recipe, rounds)
    train(
        recipe.replace(steps=steps, validate_every=steps),
        folder,
        resume=(folder / RECIPE).exists(),
        machine=machine,
    )


def last_of(folder: Path, recipe: DisplacementRecipe) -> DisplacementNet:
    """The network as a run has it by then, whichever it keeps."""
    net, of = DisplacementNet(recipe.net), "model.average."
    with safe_open(folder / CHECKPOINT, "pt") as file:
        net.load_state_dict({n.removeprefix(of): file.get_tensor(n) for n in file.keys() if n.startswith(of)})  # noqa: SIM118
    return net


def steps_for(recipe: DisplacementRecipe, rounds: int) -> int:
    """After how many steps what is known has been taught so often."""
    if not recipe.adapts or recipe.discrepancy == "windows":
        return rounds
    return min(rounds, recipe.head_start) + max(0, rounds - recipe.head_start) * (2 + recipe.feature_steps)


@torch.no_grad()
def shares(net: DisplacementNet, patches: DisplacedPatches, domain: Domain) -> tuple[float, float]:
    """The share of displacements of test subjects that the first classifier tells, and of those that both tell wrongly
    and alike; the same pairs at every call."""
    right, wrong = [], []
    for number in range(_ASKED):
        drawn = patches.draw(domain, "test", seeded(0, 31, number))
        first, second = net(drawn.fixed, drawn.moving).argmax(2)
        right.append((first == drawn.labels).double().mean())
        wrong.append(((first == second) & (first != drawn.labels)).double().mean())
    return float(torch.stack(right).mean()), float(torch.stack(wrong).mean())
