"""Model files: weights with all that is needed to use them, in safetensors; nothing in them is ever executed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from inforeg.errors import InforegError, ReadError, UsageError
from inforeg.io import atomic_path
from inforeg.nets.canonical import Canonical
from inforeg.nets.displacement_net import DisplacementNet, DisplacementNetSettings
from inforeg.nets.keypoint_net import KeypointNet, KeypointNetSettings
from inforeg.nets.patch_net import PatchMetric, PatchMetricSettings
from inforeg.nets.velocity_net import VelocityNet, VelocityNetSettings

FORMAT = 1
VELOCITY, KEYPOINTS, PATCHES, DISPLACEMENTS = "velocity", "keypoints", "patches", "displacements"
_KEY = "inforeg"
Net = VelocityNet | KeypointNet | PatchMetric | DisplacementNet
NetSettings = VelocityNetSettings | KeypointNetSettings | PatchMetricSettings | DisplacementNetSettings
# A kind of network is a line here.
_KINDS: dict[str, tuple[type[NetSettings], type[Net]]] = {
    VELOCITY: (VelocityNetSettings, VelocityNet),
    KEYPOINTS: (KeypointNetSettings, KeypointNet),
    PATCHES: (PatchMetricSettings, PatchMetric),
    DISPLACEMENTS: (DisplacementNetSettings, DisplacementNet),
}


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A trained network: its weights, what it sees, and its training card.

    `card` holds what a user may ask about it, such as `data`, `licence`, `metric`, `contrasts`, `steps`, `machine` and
    `figures`; `summary` is its one line.
    """

    net: Net
    canonical: Canonical
    card: Mapping[str, Any]
    path: Path | None = None

    @property
    def kind(self) -> str:
        """What kind of network it is."""
        return next(kind for kind, (_, net) in _KINDS.items() if isinstance(self.net, net))

    @property
    def summary(self) -> str:
        """What it is for, in a line."""
        return str(self.card.get("summary", "")) or "no summary in its card"

    @property
    def between_subjects(self) -> bool:
        """Whether it was trained on pairs of different people, as far as its card says."""
        recipe = self.card.get("recipe")
        return isinstance(recipe, Mapping) and recipe.get("subjects") in ("different", "any")

    @property
    def parameters(self) -> int:
        """How many numbers were learnt."""
        return sum(p.numel() for p in self.net.parameters())


def write_model(model: ModelFile, path: Path, *, overwrite: bool = False) -> None:
    """Write a model file; raises `OutputExists` where it is there and `overwrite` is not given."""
    said = {
        "format": FORMAT,
        "kind": model.kind,
        "net": model.net.settings.to_dict(),
        "canonical": model.canonical.to_dict(),
        "card": dict(model.card),
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.net.state_dict().items()}
    with atomic_path(path, overwrite=overwrite) as temporary:
        save_file(tensors, temporary, {_KEY: json.dumps(said, ensure_ascii=False)})


def read_said(path: Path) -> dict[str, Any]:
    """What a model file says of itself, without its weights. Raises `ReadError` for what is none."""
    if not path.is_file():
        raise ReadError(
            f"expected a model file, and {path} is not there"
            if not path.exists()
            else f"expected a model file, and {path} is none"
        )
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
        said = json.loads(text) if text is not None else None
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ReadError(f"cannot read {path} as a model file (safetensors): {error}") from None
    if not isinstance(said, dict) or not isinstance(said.get("format"), int):
        raise ReadError(
            f"{path} holds tensors but is no model file of inforeg's: it does not say what they are"
        )
    if said["format"] > FORMAT:
        raise ReadError(
            f"{path} is of format {said['format']}, and this inforeg knows up to {FORMAT}: renew it"
        )
    if said.get("kind") not in _KINDS:
        raise ReadError(f"expected a model of kind {' or '.join(_KINDS)}, got {said.get('kind')!r} in {path}")
    return said


def read_sizes(path: Path) -> tuple[NetSettings, Canonical]:
    """The network's settings and the grid it sees, without its weights. Raises `ReadError` where a file has neither."""
    said = read_said(path)
    if not isinstance(said.get("net"), dict) or not isinstance(said.get("canonical"), dict):
        raise ReadError(f"{path} does not hold the model it says it does: no network, or no grid it sees")
    try:
        settings = _KINDS[said["kind"]][0].from_dict(said["net"])
        canonical = Canonical.from_dict(said["canonical"])
    except UsageError as error:
        raise ReadError(f"{path} does not hold the model it says it does: {error}") from None
    if settings.ndim != len(canonical.shape):
        raise ReadError(
            f"{path} does not hold the model it says it does: a network of {settings.ndim} axes, and a grid of"
            f" {len(canonical.shape)}"
        )
    return settings, canonical


def read_model(path: Path, device: torch.device | str = "cpu") -> ModelFile:
    """A model, ready to use. Raises `ReadError` where the file does not hold what it says, or weights that are no
    numbers."""
    settings, canonical = read_sizes(path)
    said = read_said(path)
    kind: Any = _KINDS[said["kind"]][1]
    try:
        net: Net = kind(settings)
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        net.load_state_dict(tensors)
    except (UsageError, RuntimeError, SafetensorError) as error:
        raise ReadError(f"{path} does not hold the model it says it does: {error}") from None
    if not all(bool(torch.isfinite(p).all()) for p in net.parameters()):
        raise ReadError(f"{path} holds weights that are NaN or infinite; train it again")
    card = said.get("card")
    net.eval()
    return ModelFile(net.to(device), canonical, card if isinstance(card, dict) else {}, path)


def is_model(path: Path) -> bool:
    """Whether a file says that it is a model of inforeg's."""
    try:
        read_said(path)
    except InforegError:
        return False
    return True
