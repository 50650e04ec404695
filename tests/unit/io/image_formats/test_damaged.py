"""Files cut off anywhere, and with bits turned anywhere: an image or one line, quickly, and in little memory."""

import gzip
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from inforeg.errors import NotEnoughMemory, ReadError
from inforeg.io import read_header, read_image, read_labels, read_series

VALUES = np.arange(8 * 9 * 10, dtype=np.int16).reshape(8, 9, 10)
CASES = 150
# What these files promise when a size is damaged is bounded by their own size, times what gzip can grow to.
MOST_BYTES = 24_000_000


def whole(folder: Path, name: str) -> Path:
    """A good file of that kind, not written by inforeg."""
    path = folder / name
    if path.suffix in (".mgh", ".mgz"):
        raw = nib.MGHImage(VALUES, np.diag([1, 2, 3, 1.0])).to_bytes()
        path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".mgz" else raw)
    elif name.endswith((".nii", ".nii.gz", ".hdr")):
        nib.save(
            (nib.Nifti1Pair if path.suffix == ".hdr" else nib.Nifti1Image)(VALUES, np.diag([1, 2, 3, 1.0])),
            path,
        )
    else:
        image = sitk.GetImageFromArray(VALUES)
        image.SetDirection((0, 1, 0, -1, 0, 0, 0, 0, 1))
        sitk.WriteImage(image, str(path), useCompression="packed" in name)
    return path


def damaged(content: bytes, header: int) -> Iterator[bytes]:
    """Cut off at many places, and with one to four bytes changed, more of them in the header."""
    rng = np.random.default_rng(0)
    for n in range(CASES):
        if n % 3 == 0:
            yield content[: int(rng.integers(0, len(content)))]
            continue
        changed = bytearray(content)
        for _ in range(int(rng.integers(1, 5))):
            reach = header if n % 3 == 1 else len(content)
            changed[int(rng.integers(0, min(reach, len(content))))] = int(rng.integers(0, 256))
        yield bytes(changed)


NAMES = [
    "a.nii",
    "a.nii.gz",
    "a.hdr",
    "a.mgh",
    "a.mgz",
    "a.nrrd",
    "packed.nrrd",
    "a.nhdr",
    "a.mha",
    "packed.mha",
    "a.mhd",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("error")
def test_an_image_or_one_line(tmp_path: Path, name: str) -> None:
    path = whole(tmp_path, name)
    content = path.read_bytes()
    images, said = 0, []
    start = time.process_time()
    tracemalloc.start()
    try:
        for number, bytes_ in enumerate(damaged(content, 400)):
            path.write_bytes(bytes_)
            read = (read_image, read_labels, read_series, read_header)[number % 4]
            try:
                read(path)
                images += 1
            except (ReadError, NotEnoughMemory) as error:
                said.append(str(error))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert min(images, len(said)) > 5, (images, said)
    assert all("\n" not in line and str(tmp_path) in line for line in said)
    assert peak < MOST_BYTES
    assert time.process_time() - start < 20
