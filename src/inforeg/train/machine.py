"""Where a run takes place: devices, ranks and launchers, which are Lightning Fabric's."""

import os
from dataclasses import dataclass
from typing import Any

import torch

from inforeg.errors import UsageError


@dataclass(frozen=True)
class Machine:
    """Where a run takes place: kind of device, how many of them (one rank on each), and threads of each rank."""

    device: str = "auto"
    ranks: int = 1
    threads: int | None = None


def follows() -> bool:
    """Whether this process is one of several ranks, and not the first: as the launchers tell it."""
    return any(os.environ.get(name, "0") != "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def launched() -> bool:
    """Whether this process is a rank that something else has started for nothing but the run."""
    return follows() or "TORCHELASTIC_RUN_ID" in os.environ


def features_in(precision: str, device: torch.device) -> torch.autocast:
    """What features are computed in, as a context: bf16 where a recipe says so and the device computes in it."""
    wanted = precision == "bf16" and computes_in_bf16(device)
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def computes_in_bf16(device: torch.device) -> bool:
    """A CPU without it makes it up from 32 bits, which took twelve times as long as staying there (AVX2)."""
    if device.type != "cpu":
        return True
    there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def start(machine: Machine) -> Any:
    """Fabric, launched: from here on there are as many processes as ranks. Raises `UsageError` where it cannot be."""
    try:
        # Seconds to import, and only training needs it.
        from lightning_fabric import Fabric
    except ImportError:
        raise UsageError(
            "training needs Lightning Fabric, which is not installed: pip install 'inforeg[train]'"
        ) from None
    kind, _, index = machine.device.partition(":")
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if kind == "auto" else kind
    devices: int | list[int] = [int(index)] if index else machine.ranks
    try:
        fabric = Fabric(
            accelerator=kind,
            devices=devices,
            strategy="ddp" if machine.ranks > 1 else "auto",
            precision="32-true",
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {machine.device!r} cannot be trained on here ({reason})") from None
    if machine.threads is not None:
        torch.set_num_threads(machine.threads)
    return fabric
