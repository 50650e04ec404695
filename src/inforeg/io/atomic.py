"""Outputs that are there whole or not at all, and never where an input is.

What is written grows under a temporary name beside its place and is renamed at the end. Whatever goes wrong
before that, an interruption included, leaves nothing behind.
"""

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inforeg.errors import OutputExists, UsageError, WriteError
from inforeg.io.files import why

# A folder that holds this file, with this word in it, was written by inforeg and may be replaced when asked
# to.
MARKER = "result.json"
_MARKER_WORD = b"inforeg"

_OVERWRITE_HINT = "give another name, or ask for it to be replaced with --overwrite (overwrite=True)"


@contextmanager
def atomic_path(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside `path` to write one file to; it becomes `path` when the block ends well.

    The temporary name ends like `path`, so that writers that go by the suffix find it. Missing parent folders
    are made, and removed again if the block fails. Raises `OutputExists` where the file is there and
    `overwrite` is not given, and `WriteError` where it cannot be written.
    """
    target = Path(path)
    refuse_file(target, overwrite)
    with _parents(target):
        temporary = _beside(target)
        try:
            yield temporary
            if not overwrite:
                _claim(temporary, target)
            os.replace(temporary, target)
        except OSError as error:
            raise WriteError(f"cannot write {target}: {why(error)}") from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(
    path: str | os.PathLike[str], overwrite: bool = False, owned: Iterable[str] = ()
) -> Iterator[Path]:
    """A temporary folder beside `path` to write into; it becomes `path` when the block ends well.

    An empty folder of that name counts as absent. With `overwrite`, a folder is replaced only if inforeg
    wrote it (it holds `result.json` with the word inforeg in it), and in it only what the new folder holds
    and what matches the patterns of `owned` (such as `"warped.*"`): any other file stays. Raises
    `OutputExists` for a folder that may not be replaced, and `WriteError` where it cannot be written.
    """
    # Through a link the folder it points to is meant; the link itself stays.
    target = Path(path).resolve()
    refuse_folder(target, overwrite)
    with _parents(target):
        temporary = _beside(target)
        try:
            temporary.mkdir()
            yield temporary
            refuse_folder(target, overwrite)
            _swap(temporary, target, tuple(owned))
        except OSError as error:
            raise WriteError(f"cannot write {target}: {why(error)}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def refuse_inputs(output: str | os.PathLike[str], inputs: Iterable[object]) -> None:
    """Raise `UsageError` if `output` is one of the inputs, or a folder that holds one.

    Symbolic and hard links are followed. Inputs that are not paths, or not there, are passed over.
    """
    place = Path(output).resolve()
    for entry in inputs:
        if not isinstance(entry, str | os.PathLike):
            continue
        source = Path(entry)
        if not source.exists():
            continue
        resolved = source.resolve()
        if resolved == place or (place.exists() and place.samefile(resolved)):
            raise UsageError(
                f"the output {output} is the input {entry}; inputs are never changed: give another name"
            )
        if place in resolved.parents:
            raise UsageError(f"the input {entry} lies inside the output folder {output}; give another folder")


def refuse_file(path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Raise `OutputExists` if `atomic_path` would: worth asking before a long run."""
    target = Path(path)
    if target.is_dir():
        raise OutputExists(f"expected a file name to write to, got the folder {target}")
    if not overwrite and os.path.lexists(target):
        raise OutputExists(f"{target} exists; {_OVERWRITE_HINT}")


def refuse_folder(path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Raise `OutputExists` if `atomic_folder` would: worth asking before a long run."""
    target = Path(path)
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise OutputExists(f"expected a folder to write to, and {target} is a file; give another name")
    try:
        if not any(target.iterdir()):
            return
        if not overwrite:
            raise OutputExists(f"{target} exists and is not empty; {_OVERWRITE_HINT}")
        marker = target / MARKER
        with marker.open("rb") as file:
            if _MARKER_WORD in file.read(1 << 16):
                return
    except FileNotFoundError:
        pass
    except OSError as error:
        raise WriteError(f"cannot look into {target}: {why(error)}") from error
    raise OutputExists(
        f"{target} exists and was not written by inforeg (no {MARKER} of its own); give another name"
    )


def _swap(new: Path, target: Path, owned: tuple[str, ...]) -> None:
    if not target.exists():
        new.rename(target)
        return
    old = _beside(target)
    target.rename(old)
    moved: list[str] = []
    try:
        new.rename(target)
        for entry in list(old.iterdir()):
            ours = any(entry.match(pattern) for pattern in owned) or os.path.lexists(target / entry.name)
            if not ours:
                entry.rename(target / entry.name)
                moved.append(entry.name)
    except BaseException:
        for name in moved:
            (target / name).rename(old / name)
        shutil.rmtree(target, ignore_errors=True)
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _claim(temporary: Path, target: Path) -> None:
    """Take the name in one step, so that of two runs that write to it one is refused."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise OutputExists(f"{target} appeared while it was being written; {_OVERWRITE_HINT}") from None
    except OSError:
        # Some file systems have no hard links; there the check at the start has to do.
        return


def _beside(target: Path) -> Path:
    """A free name in the same folder (so that renaming needs no copy) with the same ending."""
    return target.parent / f".inforeg-{secrets.token_hex(4)}-{target.name}"


@contextmanager
def _parents(target: Path) -> Iterator[None]:
    """The folders above `target`, made if missing, and those that were made removed again on failure."""
    missing = [parent for parent in target.parents if not parent.exists()]
    made: list[Path] = []
    try:
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
            made.append(parent)
    except OSError as error:
        _remove(made)
        raise WriteError(f"cannot make the folder {target.parent}: {why(error)}") from error
    try:
        yield
    except BaseException:
        _remove(made)
        raise


def _remove(folders: list[Path]) -> None:
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()
