import shutil

import pytest
import torch
from small_heads import data, head, threads_and_caches_as_found  # noqa: F401  (fixtures)

from inforeg.bench.vm_mine.sets import LEARNT, VALIDATION
from inforeg.io import write_labels
from inforeg.transforms import Linear


@pytest.fixture(scope="session")
def all_heads(data, tmp_path_factory):  # noqa: F811
    """The folder of images with a label map of every head there is to learn from and to validate on."""
    folder = shutil.copytree(data, tmp_path_factory.mktemp("all") / "images")
    for n, name in enumerate((*LEARNT, *VALIDATION)):
        path = folder / "oasis" / f"{name}_labels.nii.gz"
        if not path.exists():
            shift = torch.tensor([0.3 * (n % 5) - 0.6, 0.4 * (n % 3) - 0.4, 0.2 * n % 1], dtype=torch.float64)
            write_labels(head(Linear.translation(shift))[1], path)
    return folder
