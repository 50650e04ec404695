"""Small whole files of settings and folders of registrations, to be damaged."""

import json
import tempfile
from pathlib import Path

import numpy as np
from fuzz.cases import Case
from fuzz.seeds_images import PLACE, SHAPE


def settings_seeds(suffix: str) -> list[Case]:
    """Settings of the method, as a run writes them."""
    from inforeg.methods import linear_method

    methods = (linear_method("rigid"), linear_method("rigid+affine", metric="mse", init="header", seed=3))
    texts = [m.to_toml() if suffix == ".toml" else m.to_json() for m in methods]
    if suffix == ".json":
        texts.append(json.dumps({"settings": methods[0].to_dict(), "version": "0"}))
    return [{f"input{suffix}": text.encode()} for text in texts]


def registration_seeds() -> list[Case]:
    """What `register` leaves that a chain reads: the record and the transforms."""
    from inforeg.io import write_transform
    from inforeg.transforms import Linear

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transform.h5"
        write_transform(Linear.identity(3), path)
        transform = path.read_bytes()
    grid = {"shape": list(SHAPE), "voxel_to_world_ras_mm": np.asarray(PLACE).tolist()}
    record = {
        "program": "inforeg",
        "inputs": {
            "fixed": {"path": "fixed.nii.gz", "sha256": "0" * 64, "grid": grid},
            "moving": {"object": "Image", "grid": grid},
        },
    }
    text = json.dumps(record, indent=1).encode()
    return [{"result.json": text, "transform.h5": transform, "inverse.h5": transform}]
