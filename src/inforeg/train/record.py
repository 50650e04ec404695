"""What a run writes down while it goes: lines of JSON, TensorBoard's events, and pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

LOG = "log.jsonl"


class Record:
    """The record of a run in its folder, from a step on; what an interrupted run wrote beyond that is dropped."""

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        self.path = folder / LOG
        kept = []
        if self.path.exists() and step > 0:
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    if json.loads(line)["step"] <= step:
                        kept.append(line)
                except (ValueError, KeyError):
                    # The last line of a run that was killed may be half there.
                    continue
        self.path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        self.file = self.path.open("a", encoding="utf-8")
        self.board = _board(folder, step)

    def write(self, step: int, values: dict[str, Any]) -> None:
        """A line of the log, and its numbers for TensorBoard."""
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.file.flush()
        if self.board is not None:
            for name, value in _flat(values):
                self.board.add_scalar(name, value, step)

    def picture(self, step: int, picture: NDArray[np.uint8]) -> None:
        """A grey picture, as a file and for TensorBoard."""
        import SimpleITK

        place = self.folder / "pictures"
        place.mkdir(exist_ok=True)
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(picture), str(place / f"{step:07d}.png"))
        if self.board is not None:
            self.board.add_image("validation", torch.from_numpy(picture)[None], step)

    def flush(self) -> None:
        """All that was written is on the disk."""
        self.file.flush()
        if self.board is not None:
            self.board.flush()

    def close(self) -> None:
        """Nothing more is written."""
        self.file.close()
        if self.board is not None:
            self.board.close()


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            found.append((prefix + name, float(value)))
    return found


def _board(folder: Path, step: int) -> Any:
    """TensorBoard's writer, where it is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1 if step else None)
