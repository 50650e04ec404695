"""Devices, memory, and room for temporary files."""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from inforeg.doctor.check import Check, broken, measured
from inforeg.memory import available_bytes

# float32 places a sample among 40 voxels to about 3e-6 of a voxel.
_DEVICE_BOUND = 1e-5
_GB = 1e9


def checks() -> Iterator[Check]:
    """Memory and the folder for temporary files, then every device with something to do."""
    yield _memory()
    yield _temporary()
    try:
        import torch
    except Exception as error:
        yield broken("machine", "devices", error)
        return
    yield _device("cpu", f"{torch.get_num_threads()} threads of {os.cpu_count()} processors")
    if torch.cuda.is_available():
        for n in range(torch.cuda.device_count()):
            memory = torch.cuda.get_device_properties(n).total_memory / _GB
            yield _device(f"cuda:{n}", f"{torch.cuda.get_device_name(n)}, {memory:.0f} GB")
    else:
        why = "no device that it can use" if torch.version.cuda else "this PyTorch is built without CUDA"
        yield Check("machine", "cuda", "note", f"none: {why}")
    if torch.backends.mps.is_available():
        yield _device("mps", platform.processor())
    elif platform.system() == "Darwin":
        yield Check("machine", "mps", "note", "none that this PyTorch can use")


def _memory() -> Check:
    free = available_bytes()
    if free is None:
        return Check("machine", "memory", "note", "this system does not say how much is free")
    if free < _GB:
        return Check("machine", "memory", "note", f"{free / _GB:.1f} GB free: little for whole heads at 1 mm")
    return Check("machine", "memory", "ok", f"{free / _GB:.1f} GB free")


def _temporary() -> Check:
    try:
        with tempfile.TemporaryDirectory(prefix="inforeg-doctor-") as folder:
            written = Path(folder) / "a"
            written.write_bytes(b"written")
            if written.read_bytes() != b"written":
                raise OSError("what was written cannot be read back")
            free = shutil.disk_usage(folder).free / _GB
    except OSError as error:
        return broken("machine", "temporary files", error)
    return Check(
        "machine", "temporary files", "ok", f"{tempfile.gettempdir()} can be written, {free:.1f} GB free"
    )


def _device(name: str, what: str) -> Check:
    """An image is warped on the device, and each value computed anew in float64 on the processor."""
    try:
        import torch

        from inforeg.image import Image, resample
        from inforeg.image.interpolate import vectors_at
        from inforeg.space import Grid
        from inforeg.transforms import Linear

        grid = Grid.from_spacing((40, 36, 32), 2.0)
        matrix = torch.tensor(
            [[0.96, -0.2, 0.05, 3.1], [0.19, 0.97, -0.1, -2.3], [-0.02, 0.11, 0.98, 1.7], [0, 0, 0, 1]],
            dtype=torch.float64,
        )
        transform = Linear(matrix)
        values = torch.rand(grid.shape, generator=torch.Generator().manual_seed(0))
        image = Image(values[None, None], grid)
        # Once before the clock runs: the first call on a device prepares it.
        resample(image.to(name), grid, transform)
        began = perf_counter()
        found = resample(image.to(name), grid, transform).data[0, 0].cpu()
        took = 1000 * (perf_counter() - began)
        voxel = grid.to_voxel(transform(grid.points_mm()))
        ends = torch.tensor(grid.shape, dtype=torch.float64) - 0.5
        inside = ((voxel > -0.499) & (voxel < ends - 0.001)).all(dim=1)
        expected = vectors_at(values[None], voxel)[:, 0]
        difference = float((found.reshape(-1).double() - expected)[inside].abs().max())
    except Exception as error:
        return broken("machine", name, error)
    return measured(
        "machine", name, f"{what}; an image warped in {took:.0f} ms, off by", difference, _DEVICE_BOUND
    )
