"""A process that reads damaged inputs and says what became of each; it may die, and is started again.

It is told a target and a folder, one JSON line each, and answers with a verdict, one JSON line each:
`read`, `refused` (an error that inforeg raises on purpose), or `find`, with what was wrong.
"""

import ctypes
import faulthandler
import json
import logging
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.cases import pick_up, size_of
from fuzz.targets import targets

# What a reader may need beside what the file justifies: buffers, a library's tables.
_FREE_BYTES = 128 << 20
# gzip grows 1032-fold at most; values are then held in up to 16 bytes a byte (uint8 as float64, and a copy).
_GROWTH = 1032 * 16


# Code, the system's own libraries, and what a reader unpacks to look at.
_ALLOWED = (
    *(sys.prefix, sys.base_prefix, str(Path(__file__).parents[2] / "src"), tempfile.gettempdir() + "/"),
    *("/proc/self", f"/proc/{os.getpid()}", "/usr/lib", "/lib", os.devnull, "/sys/devices"),
)


class Watch:
    """Notes what a reader opens or starts that it has no business with."""

    def __init__(self) -> None:
        self.inside = ""
        self.seen: list[str] = []
        sys.addaudithook(self._event)

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.inside:
            return
        if event == "open":
            self._opened(arguments[0])
        elif event in ("pickle.find_class", "socket.connect", "os.system", "os.exec"):
            self.seen.append(f"{event} {arguments[:2]!r}")
        elif event in ("os.remove", "os.rename", "os.truncate", "os.chmod") and os.path.isabs(arguments[0]):
            self._opened(arguments[0])

    def _opened(self, name: Any) -> None:
        if not isinstance(name, str | bytes | os.PathLike):
            return
        path = os.path.realpath(os.fsdecode(name))
        if not path.startswith((self.inside, *_ALLOWED)):
            self.seen.append(f"open {path}")


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    said = Path(sys.argv[1])
    capture = os.open(said, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    os.dup2(capture, 1)
    os.dup2(capture, 2)
    # Readers silence the error stream while a C library works; what faulthandler says must not be lost with it.
    faulthandler.enable(said.with_suffix(".trace").open("w"))
    logging.getLogger("inforeg").addHandler(logging.NullHandler())
    logging.getLogger("inforeg").propagate = False
    watch = Watch()
    answers.write(json.dumps({"verdict": "ready", "limit": _limit(int(sys.argv[2]))}) + "\n")
    warnings.simplefilter("error")
    for line in sys.stdin:
        order = json.loads(line)
        answers.write(json.dumps(_judge(order["target"], Path(order["folder"]), capture, watch)) + "\n")


def _limit(megabytes: int) -> int:
    """Load the libraries that readers load late, and set the limit on top of what that takes."""
    for name in (
        "nibabel.nifti2",
        "nibabel.streamlines",
        "scipy.ndimage",
        "SimpleITK",
        "h5py",
        "pydicom",
        "torch",
    ):
        with suppress(ImportError):
            import_module(name)
    limit = _status("VmSize") + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return limit


def _peak_forgotten() -> bool:
    """Let the kernel count the peak of memory from now on; not every kernel lets it be reset."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _status(name: str) -> int:
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) << 10
    return 0


def _judge(name: str, folder: Path, capture: int, watch: Watch) -> dict[str, Any]:
    target = targets()[name]
    before = pick_up(folder)
    os.ftruncate(capture, 0)
    counted = _peak_forgotten()
    held = _status("VmRSS")
    watch.seen, watch.inside = [], str(folder.resolve())
    began = time.process_time()
    verdict = _outcome(target, folder)
    watch.inside = ""
    verdict["seconds"] = time.process_time() - began
    _flush()
    printed = os.fstat(capture).st_size
    grown = _status("VmHWM") - held
    if verdict["verdict"] != "find":
        if printed:
            os.lseek(capture, 0, os.SEEK_SET)
            text = os.read(capture, 300).decode("utf-8", "replace")
            verdict.update(verdict="find", kind="prints", what=text, where="")
        elif watch.seen and not target.leads_out:
            verdict.update(verdict="find", kind="reaches out", what=watch.seen[0], where="")
        elif pick_up(folder) != before:
            verdict.update(verdict="find", kind="changes its input", what="", where="")
        elif counted and grown > _FREE_BYTES + _GROWTH * size_of(before):
            verdict.update(verdict="find", kind="memory", what=f"{grown >> 20} MB", where="")
        elif verdict["seconds"] > 5:
            verdict.update(verdict="find", kind="slow", what=f"{verdict['seconds']:.1f} s", where="")
    return verdict


def _outcome(target: Any, folder: Path) -> dict[str, Any]:
    from inforeg.errors import InforegError, NotEnoughMemory

    try:
        target.read(folder / target.entry if target.entry else folder)
    except InforegError as error:
        if isinstance(error, NotEnoughMemory) or "alloc" in str(error) or "MemoryError" in str(error):
            return _find("memory", error)
        return {"verdict": "refused", "what": str(error)[:300]}
    except MemoryError as error:
        return _find("memory", error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _find("raises", error)
    return {"verdict": "read"}


def _find(kind: str, error: BaseException) -> dict[str, Any]:
    # What a door made into a refusal is blamed on what it was made from.
    blamed = error.__context__ if kind == "memory" and error.__context__ is not None else error
    frames = traceback.extract_tb(blamed.__traceback__)
    ours = [f for f in frames if "inforeg" in f.filename]
    named = [f"{Path(f.filename).name}:{f.name}" for f in (*ours[-1:], *frames[-1:])]
    return {
        "verdict": "find",
        "kind": kind,
        "what": f"{type(error).__name__}: {str(error)[:300]}",
        "where": " > ".join(dict.fromkeys(named)),
    }


def _flush() -> None:
    """Empty the buffers of C and of Python, so that what was printed is in the file."""
    ctypes.CDLL(None).fflush(None)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


if __name__ == "__main__":
    main()
