"""Files that are read while something else is going on, such as the import of torch."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inforeg.io.stored import Stored

_lock = threading.Lock()
_pending: "dict[Path, Future[Stored]]" = {}


def read_ahead(*paths: Path) -> None:
    """Begin to read image files, each in a thread of its own; reading them later then only waits.

    Each file read ahead is handed out once, and whatever is wrong with it is raised then.
    """
    from inforeg.io.formats import read_file

    pool = ThreadPoolExecutor(max_workers=len(paths), thread_name_prefix="inforeg-read")
    with _lock:
        for path in paths:
            if path not in _pending:
                _pending[path] = pool.submit(read_file, path)
    pool.shutdown(wait=False)


def taken(path: Path) -> "Stored | None":
    """What was read ahead of that name, if anything was."""
    with _lock:
        future = _pending.pop(path, None)
    return None if future is None else future.result()
