"""How the values of an image lie in its file: what a header comes to, for every format of plain voxels.

A format reads its own header into a `Layout`; reading the values, one volume or many, and saying what the header
says is the same for all of them, and is done here. What a header promises is compared with the size of the file
before memory is asked for.
"""

import logging
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.headers import Header, geometry_notes
from inforeg.io.stored import Stored, StoredSeries, a_series
from inforeg.io.streams import Stream, room
from inforeg.memory import in_words

_log = logging.getLogger("inforeg")

_TEXT_PIECE = 1 << 20


@dataclass(frozen=True, eq=False)
class Layout:
    """What a header says.

    `axes` names the axes from the fastest on: i, j, k (space), c (channels) and t (volumes), each once at most, with
    `sizes`. `voxel_to_world` is `(4, 4)` or `(3, 3)` in RAS+ mm. The values are in `data` (`path` itself where it is
    None), behind `skip_lines` lines and `skip_bytes` bytes of the file as it lies on disk (or at its very end:
    `at_the_end`), `encoding` is how they are packed (raw, gzip, zlib, bzip2, ascii, or auto: gzip by its first
    bytes), and `offset` counts bytes after that. `step_behind` is the type of a number behind the values that is the
    step between volumes. The last of `channels` is not read where it is `transparency`. Each
    of `said` is a level of the log and a sentence: it is logged when values are read, and is a note of the header.
    `facts` are more fields of `Header`.
    """

    path: Path
    format: str
    dtype: np.dtype[Any]
    axes: str
    sizes: tuple[int, ...]
    voxel_to_world: NDArray[np.float64]
    data: Path | None = None
    encoding: str = "raw"
    skip_lines: int = 0
    skip_bytes: int = 0
    at_the_end: bool = False
    offset: int = 0
    slope: float = 1.0
    intercept: float = 0.0
    step: float = 0.0
    step_unit: str = ""
    step_behind: str = ""
    transparency: bool = False
    what: str = ""
    said: tuple[tuple[int, str], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    def size(self, axis: str) -> int:
        """Values along one of the axes."""
        return self.sizes[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along `(i, j[, k])` as they are given out: a slice in the world's x-y plane is 2-D."""
        shape = tuple(self.size(axis) for axis in "ijk" if axis in self.axes)
        return shape[:2] if self._flat else shape

    @property
    def place(self) -> NDArray[np.float64]:
        """The voxel-to-world matrix that belongs to `shape`."""
        return self.voxel_to_world[np.ix_((0, 1, 3), (0, 1, 3))] if self._flat else self.voxel_to_world

    @property
    def _flat(self) -> bool:
        return "k" in self.axes and self.size("k") == 1 and lies_flat(self.voxel_to_world)

    @property
    def _bytes(self) -> int:
        return prod(self.sizes) * self.dtype.itemsize

    def stored(self) -> Stored:
        """The one volume; raises `ReadError` for a series before any of it is read."""
        if self.size("t") > 1:
            self._refuse_what()
            with self._open() as stream:
                self._check(stream)
            raise a_series(str(self.path), self.size("t"), self.shape)
        return self.series().only()

    def series(self) -> StoredSeries:
        """All volumes as they lie in the file; raises `ReadError` for what is no image and no series."""
        self._refuse_what()
        values, step = self._values()
        for level, sentence in self.said:
            _log.log(level, "%s: %s", self.path, sentence)
        if self.transparency:
            _log.info("%s: its transparency is not used", self.path)
            values = values[:, :-1]
        return StoredSeries(
            values,
            self.place,
            str(self.path),
            self.slope,
            self.intercept,
            step,
            self.step_unit if step else "",
        )

    def header(self) -> Header:
        """What the file says of itself; raises `ReadError` where it cannot hold what its header promises."""
        step = self.step
        with self._open() as stream:
            self._check(stream)
            if self.step_behind and stream.encoding == "raw":
                stream.skip(self.offset + self._bytes)
                step = self._read_step(stream)
        what = self.what or ("a series" if self.size("t") > 1 else "an image")
        notes = [sentence for _, sentence in self.said]
        if self.step_behind and stream.encoding != "raw":
            notes.append("the step between its volumes is said behind them, and is known once they are read")
        if self.what:
            notes.insert(0, f"it holds {self.what}, and is no image")
        return Header(
            str(self.path),
            self.format,
            self.shape,
            self.place,
            self.dtype.newbyteorder("=").name,
            self._bytes,
            self.size("t"),
            self.size("c") - self.transparency,
            step,
            self.step_unit if step else "",
            what=what,
            notes=(*notes, *geometry_notes(self.place)),
            warnings=tuple(sentence for level, sentence in self.said if level >= logging.WARNING),
            **self.facts,
        )

    def _refuse_what(self) -> None:
        if self.what:
            size = "x".join(map(str, self.sizes))
            raise ReadError(
                f"expected one volume, and {self.path} holds {self.what} of {size}; give it as a transform"
            )

    def _open(self) -> Stream:
        return Stream(self.data or self.path, "raw" if self.encoding == "ascii" else self.encoding)

    def _check(self, stream: Stream) -> None:
        """Raise `ReadError` if the file is too small for what its header promises."""
        count, promised = prod(self.sizes), self.offset + self._bytes
        if self.encoding == "ascii":
            promised = self.offset + 2 * count - 1  # a digit and a space each
        elif self.skip_bytes and stream.encoding == "raw":
            promised += self.skip_bytes
        if stream.most() < promised:
            held = in_words(stream.size) + ("" if stream.encoding == "raw" else f" of {stream.encoding}")
            raise self._short(stream, held)

    def _short(self, stream: Stream, held: str) -> ReadError:
        size = "x".join(map(str, self.sizes))
        total = in_words(self.offset + self._bytes)
        return ReadError(
            f"{stream.path} is cut short: its header promises {size} values of"
            f" {self.dtype.newbyteorder('=').name} ({total}), it holds {held}"
        )

    def _values(self) -> tuple[NDArray[Any], float]:
        """The values, `(volumes, channels, i, j[, k])`, and the step between volumes."""
        step = self.step
        with self._open() as stream:
            self._check(stream)
            if self.at_the_end:
                stream.start_at(stream.size - self._bytes)
            elif self.skip_bytes or self.skip_lines:
                stream.start_at(self.skip_bytes)
                stream.skip_lines(self.skip_lines)
                self._check_rest(stream)
            stream.skip(self.offset)
            if self.encoding == "ascii":
                return self._ordered(self._from_text(stream)), step
            raw = room(self.path, self._bytes)
            done = stream.fill(raw)
            if done < len(raw):
                raise self._short(stream, in_words(self.offset + done))
            if self.step_behind:
                step = self._read_step(stream)
            stream.check_end()
        return self._ordered(raw.view(self.dtype)), step

    def _read_step(self, stream: Stream) -> float:
        kind = np.dtype(self.step_behind)
        read = stream.read(kind.itemsize)
        step = float(str(np.frombuffer(read, kind)[0])) if len(read) == kind.itemsize else 0.0
        return step if np.isfinite(step) and step > 0 else 0.0

    def _check_rest(self, stream: Stream) -> None:
        least = 2 * prod(self.sizes) - 1 if self.encoding == "ascii" else self.offset + self._bytes
        if stream.most() < least:
            raise self._short(stream, in_words(stream.most()))

    def _from_text(self, stream: Stream) -> NDArray[Any]:
        """Numbers with spaces between them, exact for integers of any size; a piece of text at a time."""
        values = room(self.path, self._bytes).view(self.dtype)
        number: Any = int if self.dtype.kind in "iu" else float
        done, rest = 0, b""
        while done < len(values):
            piece = stream.read(_TEXT_PIECE)
            words = (rest + piece).replace(b",", b" ").split()
            # The last word of a piece may go on in the next one.
            whole = not piece or piece[-1:].isspace()
            rest = b"" if whole or not words else words.pop()
            if len(rest) > 400:
                raise ReadError(f"{stream.path}: expected numbers, got a word of over 400 letters")
            words = words[: len(values) - done]
            try:
                with np.errstate(over="ignore"):
                    values[done : done + len(words)] = [number(word) for word in words]
            except (ValueError, OverflowError) as error:
                raise ReadError(f"{stream.path}: expected values of {self.dtype.name} ({error})") from None
            done += len(words)
            if not piece and done < len(values):
                raise ReadError(
                    f"{stream.path} is cut short: its header promises {len(values)} values, it holds {done}"
                )
        return values

    def _ordered(self, values: NDArray[Any]) -> NDArray[Any]:
        """From the order of the file to `(volumes, channels, i, j[, k])`, without moving anything."""
        space = "ijk" if "k" in self.axes else "ij"
        missing = [axis for axis in "tc" + space if axis not in self.axes]
        values = values.reshape((*self.sizes, *(1 for _ in missing)), order="F")
        order = self.axes + "".join(missing)
        values = values.transpose([order.index(axis) for axis in "tc" + space])
        return values[..., 0] if self._flat else values


def lies_flat(voxel_to_world: NDArray[np.float64]) -> bool:
    """Whether the first two axes span the world's x-y plane and the third is upright on it."""
    matrix = voxel_to_world
    reach = np.abs(matrix[:3, :2]).max()
    return bool(np.abs(matrix[2, :2]).max() <= 1e-5 * reach and np.abs(matrix[:2, 2]).max() <= 1e-5 * reach)


def flatten(values: NDArray[Any], matrix: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """`(..., i, j, k)` as 2-D, with its matrix, where its only slice lies in the world's x-y plane."""
    if values.shape[-1] > 1 or not lies_flat(matrix):
        return values, matrix
    return values[..., 0], matrix[np.ix_((0, 1, 3), (0, 1, 3))]
