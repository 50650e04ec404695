"""SimpleITK, kept at arm's length: imported late, silenced, and its errors in one line."""

import ctypes
import os
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

# A message that repeats bytes of a damaged file may not be text.
LIBRARY_ERRORS = (RuntimeError, UnicodeDecodeError)

_lock = threading.Lock()


def simpleitk() -> Any:
    """The library, imported when it is first needed (it takes 0.15 s); it states few types."""
    import SimpleITK

    return SimpleITK


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence C libraries (HDF5, libpng, libjpeg) that print by themselves; ITK raises faults anyway."""
    with _lock, ExitStack() as undo:
        for stream in (1, 2):
            try:
                kept = os.dup(stream)
            except OSError:  # there is no such stream
                continue
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, stream)
            undo.callback(_flush)
            _flush()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream)
            os.close(nowhere)
        yield


def _flush() -> None:
    """Empty the buffers of C, so that what is printed comes out where it was printed to."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)


def reason(error: Exception) -> str:
    """What ITK's many lines of error boil down to: the first that says ERROR, without addresses in memory."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no reason given"]
    said = [line.split("ERROR:", 1)[1] for line in lines if "ERROR:" in line]
    text = re.sub(r"\w+\(0x[0-9a-f]+\): ", "", said[0] if said else lines[-1]).strip()
    return text or lines[-1]
