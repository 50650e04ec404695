"""Chains of transforms: from the files and folders a user lists to one transform, in the direction that is needed.

A transform file takes fixed points to moving points and does not say of which images. A folder that `register` wrote
does: its links can be walked either way, and which way is found by looking at what lies at the two ends.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg import io
from inforeg.errors import NotInvertible, PairError, ReadError, UsageError
from inforeg.image.interpolate import inside_grid
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear, Transform
from inforeg.transforms.invert import Inverted, inverted
from inforeg.transforms.linear import compose

Side = Literal["fixed", "moving"]

# Positions looked at to see whether a chain leads anywhere near its image.
_PROBES = 12


@dataclass(frozen=True, eq=False)
class Space:
    """One end of a transform: an image's name, its grid, and, if it is a file, where."""

    name: str
    grid: Grid | None = None
    path: Path | None = None
    known_digest: str | None = None

    @cached_property
    def digest(self) -> str | None:
        """The SHA-256 of the file, if there is one."""
        if self.known_digest is not None or self.path is None or not self.path.is_file():
            return self.known_digest
        return io.file_digest(self.path)

    def likeness(self, other: "Space") -> int:
        """2 for the same file, 1 for the same grid, 0 for neither."""
        if self.digest is not None and self.digest == other.digest:
            return 2
        return int(self.grid is not None and other.grid is not None and self.grid.same_as(other.grid, 1e-2))


@dataclass(frozen=True, eq=False)
class Link:
    """One entry of a chain: a transform file, or a folder with what lies at its two ends."""

    path: Path
    transform: Transform
    fixed: Space | None = None
    moving: Space | None = None
    stored_inverse: Path | None = None

    @property
    def of_registration(self) -> bool:
        """Whether its ends are known."""
        return self.fixed is not None

    def walked(self, turned: bool, exact: bool) -> Transform:
        """Fixed to moving, or turned, moving to fixed: by the field that was stored for it, or exactly and slower."""
        if not turned:
            return self.transform
        if exact or self.stored_inverse is None:
            return inverted(self.transform)
        return io.read_transform(self.stored_inverse)

    def in_words(self, turned: bool) -> str:
        """What happens on the way through."""
        if not self.of_registration:
            return f"{self.path}{' turned round' if turned else ''}"
        assert self.fixed is not None and self.moving is not None
        ends = (self.moving.name, self.fixed.name) if turned else (self.fixed.name, self.moving.name)
        return f"{self.path} ({'moving to fixed' if turned else 'fixed to moving'}: {ends[0]} to {ends[1]})"


@dataclass(frozen=True, eq=False)
class Chain:
    """A chain in the direction that was needed: what it does, the way back, and both in words."""

    transform: Transform
    words: str
    steps: tuple[tuple[Link, bool], ...] = ()
    exact: bool = False

    @cached_property
    def way_back(self) -> Transform:
        """The other direction; raises `NotInvertible` where a matrix is singular."""
        if not self.steps:
            return self.transform
        return compose([link.walked(not turned, self.exact) for link, turned in self.steps])

    def error_mm(
        self, points_mm: Float[Tensor, "n d"], moved_mm: Float[Tensor, "n d"]
    ) -> Float[Tensor, " n"]:
        """How far from where they came points end on the way back: more than rounding where there is no inverse."""
        error: Tensor = (self.way_back(moved_mm) - points_mm).norm(dim=1)
        return error

    def beyond_fields(self, points_mm: Float[Tensor, "n d"]) -> int:
        """How many points pass a displacement field outside its grid, where it moves nothing."""
        beyond = torch.zeros(len(points_mm), dtype=torch.bool)
        parts = self.transform.parts if isinstance(self.transform, Composite) else (self.transform,)
        for part in reversed(parts):
            after = part(points_mm)
            field, at = (part.of, after) if isinstance(part, Inverted) else (part, points_mm)
            if isinstance(field, Displacement):
                beyond |= ~inside_grid(field.grid.to_voxel(at), field.grid.shape)
            points_mm = after
        return int(beyond.sum())


def read_link(
    path: Path, *, format: str | None = None, fixed: Grid | None = None, moving: Grid | None = None
) -> Link:
    """A transform file, or a folder that `register` wrote; raises `ReadError` for anything else."""
    if not path.is_dir():
        return Link(path, io.read_transform(path, format=format, fixed=fixed, moving=moving))
    record = _record(path)
    stored = {
        name: next((p for p in (path / f"{name}.h5", path / f"{name}.json") if p.is_file()), None)
        for name in ("transform", "inverse")
    }
    if stored["transform"] is None:
        raise ReadError(f"expected a transform.h5 in the registration's folder {path}, and there is none")
    ends = {side: _end(record, side, path) for side in ("fixed", "moving")}
    transform = io.read_transform(stored["transform"])
    return Link(path, transform, ends["fixed"], ends["moving"], stored["inverse"])


def to_image(
    links: Sequence[Link], reference: Space, image: Space, *, ndim: int, on: Side | None = None
) -> Chain:
    """The chain that takes points of a reference grid to points of the image that is to be drawn on it.

    Links stand in the order in which points travel from the fixed to the moving image of the whole chain. `on` says
    with which of the two the image lies: with the moving one, the chain is walked as it is listed, with the fixed one
    it is turned round. Without `on`, files are walked as listed, and folders the way that fits the two ends best.
    Raises `UsageError` where nothing tells, and `PairError` for a chain that leads wholly past the image, saying so if
    the other direction does not.
    """
    ordered, turned = _directions(links, reference, image, on)
    chain = _chain(ordered, turned, ndim, reference, image)
    if reference.grid is not None and image.grid is not None:
        _check_leads_there(chain, reference, image)
    return chain


def for_points(links: Sequence[Link], on: Side, *, ndim: int) -> Chain:
    """The chain for points marked on the fixed image (to moving), or on the moving image (to fixed).

    Links stand in the order in which points travel from fixed to moving, whichever way they are wanted.
    """
    ends = [Space("the fixed image"), Space("the moving image")]
    if links and links[0].fixed is not None:
        ends[0] = links[0].fixed
    if links and links[-1].moving is not None:
        ends[1] = links[-1].moving
    if on == "fixed":
        return _chain(links, [False] * len(links), ndim, ends[0], ends[1], exact=True)
    return _chain(links[::-1], [True] * len(links), ndim, ends[1], ends[0], exact=True)


def start_of_points(links: Sequence[Link], image: Space) -> Side:
    """On which side of a chain an image lies; raises `UsageError` where neither grid nor file tells."""
    fixed, moving = links[0].fixed, links[-1].moving
    fits = [0 if end is None else image.likeness(end) for end in (fixed, moving)]
    if fits[0] == fits[1]:
        raise UsageError(
            f"cannot tell whether {image.name} is the fixed or the moving image of these transforms:"
            " say --on fixed or --on moving"
        )
    return "fixed" if fits[0] > fits[1] else "moving"


def other_end(link: Link, image: Space, on: Side | None) -> Space:
    """Where an image goes through one registration when no reference is named: to the other image's grid."""
    assert link.fixed is not None and link.moving is not None
    if on is None:
        fits = {"fixed": image.likeness(link.fixed), "moving": image.likeness(link.moving)}
        if fits["fixed"] == fits["moving"]:
            raise UsageError(_undecided(link, image))
        on = "fixed" if fits["fixed"] > fits["moving"] else "moving"
    end = link.fixed if on == "moving" else link.moving
    if end.grid is None:
        raise UsageError(f"{link.path} does not say the grid of {end.name}: give it as --reference")
    return end


def _chain(
    links: Sequence[Link], turned: Sequence[bool], ndim: int, start: Space, end: Space, exact: bool = False
) -> Chain:
    parts = [link.walked(turn, exact) for link, turn in zip(links, turned, strict=True)]
    for link, part in zip(links, parts, strict=True):
        if part.ndim != ndim:
            raise UsageError(f"expected a {ndim}-D transform here, and {link.path} is {part.ndim}-D")
    if not parts:
        words = f"points travel {start.name} -> no transform (the headers as they are) -> {end.name}"
        return Chain(Linear.identity(ndim), words)
    steps = tuple(zip(links, turned, strict=True))
    way = " -> ".join(link.in_words(turn) for link, turn in steps)
    # In a product, what is applied first stands last.
    return Chain(compose(parts[::-1]), f"points travel {start.name} -> {way} -> {end.name}", steps, exact)


def _directions(
    links: Sequence[Link], reference: Space, image: Space, on: Side | None
) -> tuple[Sequence[Link], list[bool]]:
    """The links in the order in which they are walked, and which of them are turned round."""
    free = [link.of_registration for link in links]
    if on is not None or not any(free):
        turn = on == "fixed"
        return links[::-1] if turn else links, [turn] * len(links)
    choices = []
    for order, turn in ((links, False), (links[::-1], True)):
        for turned in product(*((False, True) if link.of_registration else (turn,) for link in order)):
            # Of one link alone both orders are the same.
            if len(links) > 1 or not turn:
                choices.append((order, turned))
    scores = [_fit(order, turned, reference, image) for order, turned in choices]
    best = max(scores)
    if best == 0 or scores.count(best) > 1:
        raise UsageError(_undecided(links[free.index(True)], image))
    order, turned = choices[scores.index(best)]
    return order, list(turned)


def _fit(links: Sequence[Link], turned: Sequence[bool], reference: Space, image: Space) -> int:
    """How well the ends of neighbours along a chain agree."""
    stops: list[Space | None] = [reference]
    for link, turn in zip(links, turned, strict=True):
        stops += [link.moving, link.fixed] if turn else [link.fixed, link.moving]
    stops.append(image)
    pairs = zip(stops[::2], stops[1::2], strict=True)
    return sum(a.likeness(b) for a, b in pairs if a is not None and b is not None)


def _undecided(link: Link, image: Space) -> str:
    assert link.fixed is not None and link.moving is not None
    return (
        f"cannot tell whether {image.name} lies with the fixed ({link.fixed.name}) or the moving ({link.moving.name})"
        f" image of {link.path}: say --on fixed or --on moving"
    )


def _check_leads_there(chain: Chain, reference: Space, image: Space) -> None:
    assert reference.grid is not None and image.grid is not None
    if _share_inside(chain.transform, reference.grid, image.grid) > 0:
        return
    line = f"these transforms take no point of {reference.name} into {image.name}"
    try:
        other = _share_inside(chain.way_back, reference.grid, image.grid)
    except NotInvertible:
        other = 0.0
    if other > 0:
        raise PairError(
            f"{line}, but turned round they take {100 * other:.0f} % of it there: were they found with the images"
            " the other way round? inforeg invert turns them"
        )
    raise PairError(f"{line}, nor the other way round: do they belong to these images?")


def _share_inside(transform: Transform, reference: Grid, image: Grid) -> float:
    """Share of a lattice of points across a grid that ends inside the other."""
    axes = [torch.linspace(-0.4, n - 0.6, min(_PROBES, n), dtype=torch.float64) for n in reference.shape]
    lattice = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, reference.ndim)
    voxel = image.to_voxel(transform(reference.to_world(lattice)))
    size = torch.tensor(image.shape, dtype=torch.float64)
    return float(((voxel >= -0.5) & (voxel <= size - 0.5)).all(dim=1).double().mean())


def _record(folder: Path) -> dict[str, Any]:
    path = folder / "result.json"
    if not path.is_file():
        raise ReadError(
            f"expected a transform file or a folder that register wrote, and {folder} holds no result.json"
        )
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or not isinstance(record["inputs"], dict):
            raise ValueError("it has no inputs")
        return record
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise ReadError(f"expected the result.json of a registration in {path}: {error}") from None


def _end(record: dict[str, Any], side: str, folder: Path) -> Space:
    try:
        entry = record["inputs"][side]
        stored = entry.get("grid")
        grid = None
        if stored is not None:
            matrix = torch.tensor(stored["voxel_to_world_ras_mm"], dtype=torch.float64)
            grid = Grid(tuple(stored["shape"]), matrix)
        path = Path(entry["path"]) if "path" in entry else None
        name = path.name if path is not None else str(entry.get("object", side))
        return Space(name, grid, path, entry.get("sha256"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadError(
            f"expected the {side} image of a registration in {folder}/result.json: {error}"
        ) from None
