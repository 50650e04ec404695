"""Metrics: how badly two images agree, as a number that is smaller when they agree more."""

from inforeg.metrics.donsker_varadhan import DonskerVaradhan
from inforeg.metrics.lncc import LNCC
from inforeg.metrics.local_mine import LocalMINE
from inforeg.metrics.metric import Metric
from inforeg.metrics.mind_ssc import MINDSSC
from inforeg.metrics.mine import MINE
from inforeg.metrics.mse import MSE
from inforeg.metrics.mutual_information import MutualInformation
from inforeg.metrics.ncc import NCC
from inforeg.metrics.normalised_mutual_information import NormalisedMutualInformation
from inforeg.metrics.overlap import overlap_fraction, with_overlap

METRICS: dict[str, type[Metric]] = {
    "mse": MSE,
    "ncc": NCC,
    "lncc": LNCC,
    "mi": MutualInformation,
    "nmi": NormalisedMutualInformation,
    "mine": MINE,
    "mine_local": LocalMINE,
    "mind_ssc": MINDSSC,
}
"""Every metric by its name; a line here puts a new one under the law tests."""

__all__ = [
    "LNCC",
    "METRICS",
    "MINDSSC",
    "MINE",
    "MSE",
    "NCC",
    "DonskerVaradhan",
    "LocalMINE",
    "Metric",
    "MutualInformation",
    "NormalisedMutualInformation",
    "overlap_fraction",
    "with_overlap",
]
