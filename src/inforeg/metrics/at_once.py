"""Values whose derivatives are computed along with them, so that nothing else is kept until they are asked for."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

Slopes = list[Tensor | None]


def with_slopes(compute: Callable[..., Tensor], *inputs: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
    """`compute(slopes, *inputs)`, one number for each entry of the batch, with first derivatives by the inputs.

    `slopes` has a tensor of zeros for each input whose derivative may be asked for, and None for the others;
    `compute` adds to it how each number changes with its own entry's values. It runs without autograd, which it may
    switch on for parts of its work. Memory until the derivative is asked for is those tensors.
    """
    wanted = tuple(torch.is_grad_enabled() and t.requires_grad for t in inputs)
    value: Tensor = _AtOnce.apply(compute, wanted, *inputs)  # type: ignore[no-untyped-call]
    return value


class _AtOnce(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, compute: Callable[..., Tensor], wanted: tuple[bool, ...], *inputs: Tensor
    ) -> Tensor:
        slopes: Slopes = [torch.zeros_like(t) if yes else None for t, yes in zip(inputs, wanted, strict=True)]
        value = compute(slopes, *inputs)
        ctx.save_for_backward(*[slope for slope in slopes if slope is not None])
        ctx.wanted = wanted
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        saved = iter(ctx.saved_tensors)
        found: list[Tensor | None] = [None, None]
        for yes in ctx.wanted:
            slope = next(saved) if yes else None
            found.append(None if slope is None else slope * upstream.reshape(-1, *[1] * (slope.ndim - 1)))
        return tuple(found)
