"""How much a deformation is expected to wave over every length, and how that is learnt from the images themselves."""

from dataclasses import dataclass, replace
from math import exp, log

import torch
from jaxtyping import Float
from torch import Tensor

# Wave numbers times the smoothness at which the spectrum has a value of its own: a quarter of an octave or so apart,
# from waves far longer than any object to such as no lattice holds.
_LOWEST, _HIGHEST, _APART = 0.12, 26.0, 0.23
# What is asked of a learnt spectrum: to bend little from one of its values to the next, and to lie near the power law.
_BENDS, _LEAVES = 10.0, 0.05
# Nodes whose weights are looked at.
_NODES = 20_000
# No value changes by more than this factor's logarithm at a time, nor leaves these bounds.
_STEP = 2.0
_LEAST, _MOST = log(1e-5), log(30.0)
# Deformations between two anatomies go on waving over lengths at which those of one anatomy have ended: wave numbers
# times the smoothness at which the two are told apart, the logarithm between them, and how sharply.
_BETWEEN = (1.5, 2.0)
_LINE, _SHARPNESS = -1.3, 0.1
# How much more than the power law says is allowed of what differs like two anatomies.
_ROUGH = log(3.3)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The power of a velocity field at every wave number `k`, in mm^2 mm^d: a power law, and by how much it differs.

    The law is `k^-4`, the one of a bending plate: waves of `smoothness_mm` are expected, `expected_mm` high. `more` is
    the logarithm of how many times that is expected at wave numbers `_APART` apart, with straight lines between.
    """

    smoothness_mm: float
    expected_mm: float
    more: Tensor | None = None

    def density(self, squares: Tensor, ndim: int) -> Tensor:
        """At squared wave numbers (1/mm^2, above zero), float64."""
        law = self.expected_mm**2 * self.smoothness_mm ** (ndim - 4) / squares.square()
        if self.more is None:
            return law
        index, share = self._between(squares)
        return law * torch.lerp(self.more[index], self.more[index + 1], share).exp()

    def learnt(
        self,
        squares: Float[Tensor, "*waves"],
        found: Float[Tensor, "*waves"],
        weights: Float[Tensor, "*nodes"],
        spacing_mm: float,
    ) -> "Spectrum":
        """One Newton step of this spectrum's logarithm towards the most likely one (empirical Bayes).

        `squares` are the squared wave numbers of all cosine waves on a lattice, `found` the squared sizes of the most
        likely field there, summed over its components, and `weights` what the images tell of one component at each
        node. A wave of the most likely field has, on average, as much of the power that is expected of it as the images
        determine; the slope of the log-evidence by a log-density is half of what it has more. (MacKay, Neural
        Computation 4, 1992, for one strength; here there is one for every length.) Where the images say nothing, the
        spectrum goes on as it came. What they determine is taken as if the weight of a node were that of all.
        """
        d = squares.ndim
        # The first wave is even, and costs nothing.
        flat = squares.reshape(-1)[1:]
        index, share = self._between(flat)
        cost = spacing_mm**d / self.density(flat, d)

        def binned(values: Tensor) -> Tensor:
            n = len(_KNOTS)
            return torch.bincount(index, values * (1 - share), minlength=n) + torch.bincount(
                index + 1, values * share, minlength=n
            )

        waves = binned(torch.ones_like(share))
        # Costs span many powers of ten: their mean is that of logarithms.
        costs = (binned(cost.log()) / waves.clamp(min=1e-9)).exp()
        told = weights.reshape(-1)[:: max(1, weights.numel() // _NODES)].double()
        determined = (told / (told + costs[:, None])).mean(1)
        count, seen = d * waves, binned(found.reshape(-1)[1:].double() * cost)
        more = self._more()
        bends = torch.diff(torch.eye(len(more), dtype=torch.float64), n=2, dim=0)
        held = _BENDS * bends.T @ bends + _LEAVES * torch.eye(len(more), dtype=torch.float64)
        step = torch.linalg.solve(
            torch.diag(0.5 * count * determined.square()) + held,
            0.5 * (seen - count * determined) - held @ more,
        )
        step = step * min(1.0, _STEP / max(float(step.abs().max()), 1e-9))
        return replace(self, more=(more + step).clamp(_LEAST, _MOST))

    def settled(self) -> tuple["Spectrum", float]:
        """The spectrum to go on with, and how much, from 0 to 1, the deformation is like one of two anatomies.

        Where the power falls off, that is how it is. Between two anatomies it does not: what is there at short
        lengths is lost in the errors of the images long before it ends, so that a spectrum learnt from what is seen
        would forbid it. There the power law is taken, a few times as strong.
        """
        more = self._more()
        low, high = (log(edge) for edge in _BETWEEN)
        line = float(more[(low <= _KNOTS) & (high >= _KNOTS)].mean())
        rough = 1 / (1 + exp((_LINE - line) / _SHARPNESS))
        two = self.of_two_anatomies()._more()
        return replace(self, more=torch.lerp(more, two, rough)), rough

    def of_two_anatomies(self) -> "Spectrum":
        """What is expected where it is known that two anatomies differ."""
        return replace(self, more=torch.full_like(_KNOTS, _ROUGH))

    def _more(self) -> Tensor:
        return torch.zeros_like(_KNOTS) if self.more is None else self.more

    def _between(self, squares: Tensor) -> tuple[Tensor, Float[Tensor, "..."]]:
        """Which value a wave number follows, and how far it is on the way to the next."""
        place = (0.5 * squares.log() + log(self.smoothness_mm) - log(_LOWEST)) / _APART
        place = place.clamp(0, len(_KNOTS) - 1.0001)
        index = place.to(torch.int64)
        return index, place - index


_KNOTS = torch.arange(log(_LOWEST), log(_HIGHEST), _APART, dtype=torch.float64)
