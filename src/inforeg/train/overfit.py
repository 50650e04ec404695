"""A self-test of images and recipe: a network that cannot learn one pair by heart will not learn many."""

from collections.abc import Callable
from pathlib import Path

from inforeg.train.listing import read_scans
from inforeg.train.objective import VelocityObjective
from inforeg.train.pairs import PairSource
from inforeg.train.prepared import prepare
from inforeg.train.recipes import VelocityRecipe
from inforeg.train.source import seeded
from inforeg.train.validate import VelocityFigures, validate

_STEPS = 200


def overfit(
    recipe: VelocityRecipe, folder: Path, *, say: Callable[[str], None] = lambda _line: None
) -> tuple[VelocityFigures, VelocityFigures]:
    """The figures of the recipe's first pair before and after training on it alone, 200 steps or fewer, on the CPU.

    The prepared images stay in the folder for the run that follows; nothing else is written.
    """
    scans = list(read_scans(Path(recipe.images), recipe.seed, recipe.validation, recipe.test))
    prepared = prepare([s for s in scans if s.split != "test"], recipe, folder / "prepared", say)
    pair = PairSource(prepared, recipe).draw(0, plain=True)
    objective = VelocityObjective(recipe)
    before, _ = validate(objective, [pair])
    still = (pair.fixed, pair.moving)
    objective.lead((*still, seeded(recipe.seed, 8, n)) for n in range(recipe.head_start))
    optimiser = objective.optimiser()
    shares = tuple(side[None] for side in pair.shares) if pair.shares else None
    for step in range(min(recipe.steps, _STEPS)):
        cost = objective(pair.fixed[None], pair.moving[None], [seeded(recipe.seed, 7, step)], shares)
        optimiser.zero_grad()
        cost.cost.backward()
        optimiser.step()
    after, _ = validate(objective, [pair])
    return before, after
