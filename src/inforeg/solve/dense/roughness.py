"""What a velocity field costs for being rough, and the quadratic problems that cost makes."""

from collections.abc import Callable
from copy import copy
from functools import cached_property
from math import pi, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.solve.dense.lattice import Lattice, along_axes
from inforeg.solve.dense.spectrum import Spectrum


class Roughness:
    """`1/2 sum |v_k|^2 / S(k)`, in nats, over the cosine waves of velocities in mm on a lattice; what is even is free.

    `S` is the spectrum that is expected. Where it is the power law `k^-4`, this is the bending energy of a plate,
    `1/2 strength * integral |D^2 v|^2` with mirrored ends. Products of small matrices apply, invert and draw from it on
    any device. Strengths follow from lengths that grow with the object, so a mouse is a small man.
    """

    def __init__(self, lattice: Lattice, spectrum: Spectrum) -> None:
        d = lattice.grid.ndim
        self.shape = lattice.grid.shape
        self.spacing_mm = lattice.spacing_mm
        waves = torch.zeros(self.shape, dtype=torch.float64)
        for axis, n in enumerate(self.shape):
            frequency = 2 - 2 * torch.cos(pi * torch.arange(n, dtype=torch.float64) / n)
            waves = waves + (frequency / self.spacing_mm**2).reshape(-1, *[1] * (d - 1 - axis))
        self._waves = waves
        self.spectrum, self.diagonal = spectrum, self._diagonal(spectrum)

    def _diagonal(self, spectrum: Spectrum) -> Tensor:
        """What each wave costs."""
        d = len(self.shape)
        inverse = torch.zeros_like(self._waves)
        # The integral is a sum over nodes times the volume of one.
        inverse.view(-1)[1:] = self.spacing_mm**d / spectrum.density(self._waves.view(-1)[1:], d)
        return inverse.float()

    def learnt(self, weights: Float[Tensor, "w ..."], vectors: Float[Tensor, "d ..."]) -> "Roughness":
        """With a spectrum a step closer to what the most likely velocities show; weights as `Quadratic` has them."""
        found = along_axes(vectors, self._cosines).square().sum(0)
        told = weights[: len(vectors)].mean(0)
        other = copy(self)
        other.spectrum = self.spectrum.learnt(self._waves, found.cpu(), told.cpu(), self.spacing_mm)
        other.diagonal = self._diagonal(other.spectrum).to(self.diagonal.device)
        return other

    @cached_property
    def _cosines(self) -> list[Tensor]:
        """Orthonormal cosine waves along each axis, `(waves, nodes)`."""
        found = []
        for n in self.shape:
            place = (2 * torch.arange(n, dtype=torch.float64) + 1) * pi / (2 * n)
            matrix = torch.cos(torch.arange(n, dtype=torch.float64)[:, None] * place) * sqrt(2 / n)
            matrix[0] /= sqrt(2)
            found.append(matrix.float().to(self.diagonal.device))
        return found

    def to(self, device: torch.device) -> "Roughness":
        """The same, its matrices on another device."""
        self.diagonal = self.diagonal.to(device)
        self.__dict__.pop("_cosines", None)
        return self

    def filtered(
        self, vectors: Float[Tensor, "d ..."], gain: Callable[[Tensor], Tensor]
    ) -> Float[Tensor, "d ..."]:
        """A function of the operator, applied: `gain` of its eigenvalues."""
        waves = along_axes(vectors, self._cosines) * gain(self.diagonal)
        return along_axes(waves, [matrix.T for matrix in self._cosines])

    def times(self, factor: float) -> "Roughness":
        """So many times as strong."""
        other = copy(self)
        other.diagonal = self.diagonal * factor
        return other

    def slope(self, vectors: Float[Tensor, "d ..."]) -> Float[Tensor, "d ..."]:
        """The derivative of the cost by the vectors."""
        return self.filtered(vectors, lambda diagonal: diagonal)


class Quadratic:
    """`1/2 x' (W + R) x - b' x`: a Newton step's problem, with `W` a symmetric matrix at every node and `R` roughness.

    `weights` is `(d (d + 1) / 2, *shape)`: the diagonal, then the entries above it, row by row.
    """

    def __init__(self, weights: Float[Tensor, "w ..."], roughness: Roughness) -> None:
        self.weights, self.roughness = weights, roughness
        self.ndim = weights.ndim - 1
        self._mean = float(weights[: self.ndim].mean())

    def __call__(self, x: Float[Tensor, "d ..."]) -> Float[Tensor, "d ..."]:
        """The matrix times a field."""
        return self.weighed(x) + self.roughness.slope(x)

    def stiffer(self, factor: float) -> "Quadratic":
        """The same with a roughness so many times as strong."""
        return Quadratic(self.weights, self.roughness.times(factor))

    def weighed(self, x: Float[Tensor, "d ..."]) -> Float[Tensor, "d ..."]:
        """`W x`."""
        d, w = self.ndim, self.weights
        rows = [w[axis] * x[axis] for axis in range(d)]
        place = d
        for i in range(d):
            for j in range(i + 1, d):
                rows[i] = rows[i] + w[place] * x[j]
                rows[j] = rows[j] + w[place] * x[i]
                place += 1
        return torch.stack(rows)

    def solve(
        self, right: Float[Tensor, "d ..."], steps: int, tolerance: float = 0.1
    ) -> Float[Tensor, "d ..."]:
        """The minimiser, by conjugate gradients from zero; stops where the residual is a tenth of what it was.

        A constant weight everywhere is solved exactly by cosine waves, and that is the preconditioner.
        """
        mean = max(self._mean, 1e-12)

        def near(residual: Tensor) -> Tensor:
            return self.roughness.filtered(residual, lambda diagonal: 1 / (mean + diagonal))

        x, residual = torch.zeros_like(right), right
        z = near(residual)
        way, fall = z, (residual * z).sum()
        first = fall
        for _ in range(steps):
            # What is no number goes on, so that the step it makes is none either, and is seen.
            if bool(fall <= tolerance**2 * first):
                break
            product = self(way)
            length = fall / (way * product).sum()
            x = x + length * way
            residual = residual - length * product
            z = near(residual)
            after = (residual * z).sum()
            way, fall = z + after / fall * way, after
        return x

    def drawn(self, generator: torch.Generator, steps: int) -> Float[Tensor, "d ..."]:
        """A field drawn from the Gaussian whose inverse covariance the matrix is: how far the minimiser may be off."""
        d, shape = self.ndim, self.weights.shape[1:]
        noise = [torch.randn(d, *shape, generator=generator).to(self.weights) for _ in range(2)]
        matrices = self.weights.new_zeros(*shape, d, d)
        place = d
        for i in range(d):
            matrices[..., i, i] = self.weights[i] + 1e-6 * self._mean + 1e-20
            for j in range(i + 1, d):
                matrices[..., i, j] = matrices[..., j, i] = self.weights[place]
                place += 1
        roots = torch.linalg.cholesky_ex(matrices).L
        # Noise with the covariance of the matrix itself; what solves for it has the inverse's.
        told = (roots @ noise[0].movedim(0, -1)[..., None])[..., 0].movedim(-1, 0)
        # To a hundredth: what is left unsolved is missing from the draw, a seventh of its variance at a tenth.
        return self.solve(told + self.roughness.filtered(noise[1], torch.sqrt), steps, tolerance=0.01)
