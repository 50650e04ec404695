"""What the images of a pair may be compared by, by name."""

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor

from inforeg.solve.dense.compared import Comparison, OfDescriptors, OfIntensities, Scale, Scene, Sight
from inforeg.solve.dense.contrast import LocalContrast
from inforeg.solve.dense.learnt import OfPatches, PatchScore
from inforeg.solve.dense.level import Likeness
from inforeg.solve.dense.lncc import LocalCorrelation
from inforeg.solve.dense.neural_tables import Learner, NeuralTables
from inforeg.solve.dense.normalised_table import NormalisedTable
from inforeg.solve.dense.plain import Plain
from inforeg.solve.dense.tables import JointTables, Places
from inforeg.space import Grid

MetricName = Literal["mi_local", "mi", "nmi", "lncc", "mind_ssc", "mine", "mine_local"]


def comparison(metric: MetricName | PatchScore, scene: Scene) -> Comparison:
    """The metric of that name for a pair, or the one that this network has learnt."""
    return _METRICS[metric](scene) if isinstance(metric, str) else OfPatches(metric, scene)


def _contrasts(scene: Scene) -> tuple[Scale, Scale]:
    size = scene.lengths.contrast_mm
    return (
        LocalContrast(scene.fixed, scene.fixed_object, size),
        LocalContrast(scene.moving, scene.moving_object, size),
    )


def _plain(scene: Scene) -> tuple[Scale, Scale]:
    return Plain(scene.fixed, scene.fixed_object), Plain(scene.moving, scene.moving_object)


def _blocks(sight: Sight, size_mm: float) -> Places:
    return Places(sight.fixed.grid, sight.box, size_mm)


def _local_tables(scene: Scene) -> Comparison:
    def make(sight: Sight, fixed: Tensor) -> Likeness:
        return JointTables(fixed, sight.weight, _blocks(sight, scene.lengths.places_mm))

    return OfIntensities(_contrasts(scene), make)


def _one_table(kind: type[JointTables]) -> Callable[[Scene], Comparison]:
    def made(scene: Scene) -> Comparison:
        return OfIntensities(
            _plain(scene), lambda sight, fixed: kind(fixed, sight.weight, _blocks(sight, float("inf")))
        )

    return made


def _correlation(scene: Scene) -> Comparison:
    def make(sight: Sight, fixed: Tensor) -> Likeness:
        half = _steps(sight.fixed.grid, 0.5 * scene.lengths.window_mm)
        return LocalCorrelation(fixed, sight.weight, [2 * n + 1 for n in half])

    return OfIntensities(_plain(scene), make)


def _network(local: bool) -> Callable[[Scene], Comparison]:
    def made(scene: Scene) -> Comparison:
        learner = Learner(scene.generator, scene.moving.data.device)
        lengths = scene.lengths

        def make(sight: Sight, fixed: Tensor) -> Likeness:
            reach = _steps(sight.fixed.grid, lengths.neighbourhood_mm) if local else None
            size_mm = max(2 * lengths.neighbourhood_mm, lengths.places_mm) if local else float("inf")
            blocks = _blocks(sight, size_mm)
            return NeuralTables(fixed, sight.weight, blocks, learner, reach)

        return OfIntensities(_plain(scene), make)

    return made


def _steps(grid: Grid, length_mm: float) -> Sequence[int]:
    """A length in voxels along each axis; at least one."""
    return [max(1, round(length_mm / float(spacing))) for spacing in grid.spacing_mm]


# A metric is one line here.
_METRICS: dict[MetricName, Callable[[Scene], Comparison]] = {
    "mi_local": _local_tables,
    "mi": _one_table(JointTables),
    "nmi": _one_table(NormalisedTable),
    "lncc": _correlation,
    "mind_ssc": lambda scene: OfDescriptors(scene.moving_object.background),
    "mine": _network(local=False),
    "mine_local": _network(local=True),
}
