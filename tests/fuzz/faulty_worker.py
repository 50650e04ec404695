"""The worker with one more reader, which runs the Python its input holds: to see that every fault is seen."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import worker
from fuzz.targets import Target


def _read(path: Path) -> None:
    exec(path.read_text(encoding="utf-8"), {"path": path})


if __name__ == "__main__":
    worker.targets = lambda: {"faulty": Target("faulty", "input.txt", _read, list)}
    worker.main()
