"""Normalised mutual information as what one table tells of every voxel."""

from jaxtyping import Float
from torch import Tensor

from inforeg.solve.dense.tables import JointTables


class NormalisedTable(JointTables):
    """A joint table whose force is the slope of normalised mutual information `S = (H(f) + H(w)) / H(f, w)`.

    `H(f, w) log S` is about mutual information where images share little, and in nats. With the joint entropy before
    the logarithm held, its slope by one of n warped intensities is 1/n of that of `log p(f, w) - log p(w) / S`: mutual
    information with the warped image's own entropy, which rewards mere variety, counted for less the more the images
    share. That is taken for the log-likelihood of a voxel. `nats` is the mutual information of the table.

    Studholme et al., Pattern Recognition 1999.
    """

    def _scores(self, tables: Float[Tensor, "t bins bins"]) -> Float[Tensor, "t bins bins"]:
        rows, columns = tables.sum(2, keepdim=True), tables.sum(1, keepdim=True)
        apart = _entropy(rows) + _entropy(columns)
        share = (_entropy(tables) / apart.clamp(min=1e-12)).clamp(max=1)
        return (tables / rows).log() - share * columns.log()

    def _information(self, tables: Float[Tensor, "t bins bins"]) -> Float[Tensor, " t"]:
        return (tables * super()._scores(tables)).sum((1, 2))


def _entropy(tables: Tensor) -> Tensor:
    return -(tables * tables.clamp(min=1e-30).log()).sum((1, 2), keepdim=True)
