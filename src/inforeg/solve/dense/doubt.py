"""How far a velocity field may be off, by what the images tell and by how rough the field turned out."""

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.solve.dense.roughness import Quadratic

# How far the roughness that a field shows may be from the one that was expected of it.
_LEAST, _MOST = 0.3, 30.0
_ROUNDS = 2
_INNER = 20


def likely_error(
    quadratic: Quadratic, vectors: Float[Tensor, "d ..."], generator: torch.Generator
) -> Float[Tensor, "d ..."]:
    """One field of errors (mm) drawn for a field `vectors` that minimises a quadratic.

    What is expected of a deformation before it is known has to allow for the roughest. Once it is known, its own
    roughness says more: the strength of the prior is estimated anew as `gamma / v' R v`, where gamma counts what the
    images determine (MacKay, Neural Computation 1992), with a drawn field in place of the trace that it needs.
    """
    count = vectors.numel() - len(vectors)
    strength, rough = 1.0, float((vectors * quadratic.roughness.slope(vectors)).sum())
    for _ in range(_ROUNDS):
        drawn = quadratic.stiffer(strength).drawn(generator, _INNER)
        unknown = strength * float((drawn * quadratic.roughness.slope(drawn)).sum())
        strength = min(max((count - unknown) / max(rough, 1e-9), _LEAST), _MOST)
    return quadratic.stiffer(strength).drawn(generator, _INNER)
