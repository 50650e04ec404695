"""What a network is trained for, as the loop sees it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inforeg.nets.files import Net


@runtime_checkable
class Cost(Protocol):
    """What a step minimises, and what it is made of."""

    @property
    def cost(self) -> Tensor:
        """The sum."""
        ...

    def parts(self) -> dict[str, Tensor]:
        """What the log has of it, by name, the sum among it; the same names at every step."""
        ...


@runtime_checkable
class Figures(Protocol):
    """How well a network does on pairs it has not learnt from."""

    @property
    def score(self) -> float:
        """By what the best model is chosen. More is better."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        ...

    def in_words(self) -> str:
        """The figure that matters, before and after."""
        ...

    def score_in_words(self, score: float) -> str:
        """A score of this kind, as a user knows it."""
        ...

    def doubts(self, step: int, steps: int) -> dict[str, str]:
        """What a user should look into, by kind, at a step of so many."""
        ...


class Objective(nn.Module):
    """A module whose `forward` gives a `Cost`, with the network that is trained."""

    net: Net

    @property
    def kept(self) -> Net:
        """The network that is judged and written."""
        return self.net


@runtime_checkable
class Task(Protocol):
    """A kind of training: what is drawn, what is minimised, how it is judged."""

    @property
    def objective(self) -> Objective: ...

    @property
    def summary(self) -> str:
        """What is learnt from, in a few words, for the model's card."""
        ...

    @property
    def holds_back(self) -> bool:
        """Whether there are pairs to validate on."""
        ...

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam, each group with its rate in `base`."""
        ...

    def before(self, step: int, optimiser: torch.optim.Optimizer, say: Callable[[str], None]) -> None:
        """What comes before a step, counted from 0; the same on every rank. Lines for the user go to `say`."""
        ...

    def batch(self, numbers: Sequence[int]) -> tuple[Any, ...]:
        """What `forward` takes, of the pairs with these numbers."""
        ...

    def doubts(self, done: int, lately: dict[str, float]) -> dict[str, str]:
        """What a user should look into, by kind, from the log's last lines on average."""
        ...

    def validate(self) -> tuple[Figures, NDArray[np.uint8]]:
        """Figures on pairs held back, and a picture of some."""
        ...
