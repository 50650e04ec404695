"""One small volume on a sheared grid, for formats whose headers are written by hand."""

from pathlib import Path

import numpy as np

from inforeg.io import read_image

VALUES = np.random.default_rng(0).integers(-30000, 30000, (3, 4, 5)).astype(np.int16)
TEXT = " ".join(str(int(v)) for v in VALUES.flatten("F")).encode()
WORLD = np.array([[-1, -0.5, 0, -10], [0, -2, 0, -20], [0, 0, 3, 30], [0, 0, 0, 1.0]])


def raw(values: np.ndarray = VALUES, order: str = "<") -> bytes:
    """Values as they lie in a file, the first axis fastest."""
    return values.astype(values.dtype.newbyteorder(order)).tobytes("F")


def check(path: Path) -> None:
    """That a file is the volume."""
    read = read_image(path)
    np.testing.assert_array_equal(read.data[0, 0].numpy(), VALUES)
    np.testing.assert_allclose(read.grid.voxel_to_world.numpy(), WORLD, rtol=1e-12)
    assert read.dtype == "int16"
