"""Files that are read while something else is going on, such as the import of torch."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from inforeg.errors import ReadError

if TYPE_CHECKING:
    from inforeg.io.stored import Stored

_lock = threading.Lock()
_pending: "dict[Path, Future[Stored | None]]" = {}
# A file that takes more than this share of the memory there is waits until it is known whether the run has room.
_SHARE = 1 / 16


def read_ahead(*paths: Path) -> None:
    """Begin to read image files, each in a thread of its own; reading them later then only waits.

    Each file read ahead is handed out once, and whatever is wrong with it is raised then. Large files are left.
    """
    pool = ThreadPoolExecutor(max_workers=len(paths), thread_name_prefix="inforeg-read")
    with _lock:
        for path in paths:
            if path not in _pending:
                _pending[path] = pool.submit(_read_small, path)
    pool.shutdown(wait=False)


def taken(path: Path) -> "Stored | None":
    """What was read ahead of that name, if anything was."""
    with _lock:
        future = _pending.pop(path, None)
    return None if future is None else future.result()


def _read_small(path: Path) -> "Stored | None":
    from inforeg.io.formats import read_file
    from inforeg.io.headers import read_header
    from inforeg.memory import available_bytes

    available = available_bytes()
    with suppress(ReadError):  # reading it says what is wrong
        if available is not None and read_header(path).voxel_bytes > _SHARE * available:
            return None
    return read_file(path)
