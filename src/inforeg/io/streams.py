"""The bytes of a file that holds voxels, plain or compressed, and never more of them than are asked for."""

import bz2
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import NotEnoughMemory, ReadError
from inforeg.io.compressed import ENGINE, WINDOW
from inforeg.io.files import why
from inforeg.memory import in_words

_GZIP_MAGIC = b"\x1f\x8b"
# What a byte can grow to at most: by the design of DEFLATE, and of a block of bzip2 after its run lengths.
_MOST_GROWTH = {"raw": 1, "gzip": 1032, "zlib": 1032, "bzip2": 1_100_000}
# What is fed at a time. A short window at the start of a further member keeps files of very many members quick:
# what a member leaves over is copied. Then it doubles.
_SHORTEST, _LONGEST = 1 << 12, 1 << 20
_LARGEST_PIECE = 1 << 24


def open_plain(path: Path) -> BinaryIO:
    """The file, open for reading; raises `ReadError` for a folder, a device, or where there is nothing in it."""
    try:
        kind = path.stat()
        if stat.S_ISDIR(kind.st_mode):
            raise ReadError(f"expected a file, and {path} is a folder")
        # A pipe has no end that can be seen, and a device may have none at all.
        if not stat.S_ISREG(kind.st_mode):
            raise ReadError(f"expected a file, and {path} is a pipe or a device; write it to a file first")
        if kind.st_size == 0:
            raise ReadError(f"{path} is empty (0 bytes)")
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise ReadError(f"{path} is not there") from None
    except (OSError, ValueError) as error:
        raise ReadError(
            f"cannot read {path}: {why(error) if isinstance(error, OSError) else error}"
        ) from None


class Stream:
    """A file's bytes from the front on: `encoding` is raw, gzip, zlib, bzip2, or auto (gzip by its first bytes).

    Every fault of the file is a `ReadError` with its path. A context manager: the file is closed at its end.
    """

    def __init__(self, path: Path, encoding: str = "raw") -> None:
        self.path = path
        self._file = open_plain(path)
        self._start, self._buffer, self._at, self._window, self._ended = 0, b"", 0, _LONGEST, False
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            if encoding == "auto":
                encoding = "gzip" if self._raw(2) == _GZIP_MAGIC else "raw"
                self._file.seek(0)
        except BaseException:
            self._file.close()
            raise
        self.encoding = encoding
        self._engine: Any = None if encoding == "raw" else self._new_engine()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def most(self) -> int:
        """How many bytes the file can hold at most, from where it was started: a lying header is seen by it."""
        return max(0, self.size - self._start) * _MOST_GROWTH[self.encoding]

    def start_at(self, place: int) -> None:
        """Begin at this byte of the file as it lies on disk, before anything is decompressed."""
        self._file.seek(place)
        self._start = place

    def skip_lines(self, count: int) -> None:
        """Pass over lines of the file as it lies on disk, from where it was started."""
        place = self._start
        while count > 0:
            piece = self._raw(_LONGEST)
            if not piece:
                raise ReadError(
                    f"{self.path} is cut short: its header says that {count} more lines come first"
                )
            lines = piece.count(b"\n")
            if lines >= count:
                piece = b"\n".join(piece.split(b"\n", count)[:count]) + b"\n"
            count -= min(lines, count)
            place += len(piece)
        self.start_at(place)

    def read(self, count: int) -> bytes:
        """The next `count` bytes, or fewer where the file ends."""
        target = bytearray(min(count, self.most()))
        return bytes(target[: self.fill(target)])

    def skip(self, count: int) -> None:
        """Pass over bytes, after decompression; the file may end before."""
        if self._engine is None:
            self._file.seek(count, os.SEEK_CUR)
            return
        while count > 0:
            piece = self._piece(min(count, _LARGEST_PIECE))
            if not piece:
                return
            count -= len(piece)

    def fill(self, target: bytearray | NDArray[np.uint8]) -> int:
        """Put the next bytes into `target`; returns how many there were."""
        view = memoryview(target) if isinstance(target, bytearray) else target.data
        done = 0
        while done < len(view):
            if self._engine is None:
                count = self._into(view[done : done + _LARGEST_PIECE])
            else:
                piece = self._piece(min(len(view) - done, _LARGEST_PIECE))
                count = len(piece)
                view[done : done + count] = piece
            if count == 0:
                break
            done += count
        return done

    def check_end(self) -> None:
        """Raise `ReadError` unless the check sum is there and right; a little may follow what was read."""
        left = 0 if self._engine is None else _LONGEST
        while left > 0:
            piece = self._piece(left)
            left -= len(piece)
            if not piece and not self._ended:
                raise ReadError(
                    f"{self.path} is damaged: it cannot be decompressed (it ends before its check sum)"
                )
            if not piece:
                return

    def _piece(self, most: int) -> bytes:
        """Some decompressed bytes, `most` at the most; none at the end."""
        while not self._ended:
            # bzip2 keeps what it was fed; the others give back what they have no room for.
            fed = b"" if not getattr(self._engine, "needs_input", True) else self._feed()
            try:
                piece: bytes = self._engine.decompress(fed, most)
            except Exception as error:  # zlib, isal and bz2 each have their own type
                raise ReadError(f"{self.path} is damaged: it cannot be decompressed ({error})") from None
            left = (
                self._engine.unused_data
                if self._engine.eof
                else getattr(self._engine, "unconsumed_tail", b"")
            )
            self._at += len(fed) - len(left)
            if self._engine.eof:
                self._next_member()
            elif not piece and not fed and getattr(self._engine, "needs_input", True):
                return b""
            if piece:
                return piece
        return b""

    def _next_member(self) -> None:
        """A gzip file may hold several, one behind the other, and zeros between them; the rest is no fault."""
        if self.encoding == "gzip":
            while True:
                if len(self._buffer) - self._at < 2:
                    more = self._raw(_LONGEST)
                    self._buffer, self._at = self._buffer[self._at :] + more, 0
                    if not more:
                        break
                if self._buffer[self._at] != 0:
                    break
                rest = self._buffer[self._at :].lstrip(b"\0")
                self._at = len(self._buffer) - len(rest)
            if self._buffer[self._at : self._at + 2] == _GZIP_MAGIC:
                self._engine, self._window = self._new_engine(), _SHORTEST
                return
        self._ended = True

    def _feed(self) -> bytes:
        if self._at == len(self._buffer):
            self._buffer, self._at = self._raw(_LONGEST), 0
        fed = self._buffer[self._at : self._at + self._window]
        self._window = min(2 * self._window, _LONGEST)
        return fed

    def _new_engine(self) -> Any:
        if self.encoding == "bzip2":
            return bz2.BZ2Decompressor()
        return ENGINE.decompressobj(WINDOW[self.encoding])

    def _raw(self, count: int) -> bytes:
        try:
            return self._file.read(count) or b""
        except OSError as error:
            raise ReadError(f"cannot read {self.path}: {why(error)}") from None

    def _into(self, view: memoryview) -> int:
        try:
            return self._file.readinto(view) or 0  # type: ignore[attr-defined]
        except OSError as error:
            raise ReadError(f"cannot read {self.path}: {why(error)}") from None


def room(path: Path, count: int) -> NDArray[np.uint8]:
    """Memory for `count` bytes of a file; raises `NotEnoughMemory`. It is taken up only as it is filled."""
    try:
        return np.empty(count, np.uint8)
    except (MemoryError, ValueError):
        raise NotEnoughMemory(f"{path} needs {in_words(count)} of memory, more than there is") from None
