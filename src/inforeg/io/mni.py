"""Where nilearn keeps the MNI152 template and its tissue maps, which examples are made of."""

from importlib.util import find_spec
from pathlib import Path

from inforeg.errors import ReadError


def mni_map(kind: str) -> Path:
    """The file of `t1`, `gm` or `wm` of MNI152 at 1 mm; nilearn itself is not imported, which would take seconds.

    Raises `ReadError` where nilearn is not installed.
    """
    spec = find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise ReadError(
            "the MNI152 maps come with nilearn, which is not installed: pip install 'inforeg[demo]'"
        )
    folder = Path(spec.origin).parent / "datasets" / "data"
    return folder / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
