"""What methods have in common that register by a trained model."""

from math import prod

from inforeg.errors import PairError, UsageError
from inforeg.image import Image
from inforeg.nets.files import ModelFile, Net, read_model, read_sizes
from inforeg.shipped import model_path


def bytes_of(model: str) -> int:
    """What a model's network takes at most while it looks, by what its file says. Raises `ReadError` for no model."""
    net, canonical = read_sizes(model_path(model))
    return prod(canonical.shape) * net.bytes_a_voxel()


def model_for(model: str, kind: type[Net] | tuple[type[Net], ...], do: str, fixed: Image) -> ModelFile:
    """A model of a kind of network, or one of several kinds, said by what they `do`, on the device of an image of its
    dimension.

    Raises `ReadError` for a file that is no model, `UsageError` for one of another kind, and `PairError` for an image
    of another dimension.
    """
    found = read_model(model_path(model), fixed.data.device)
    if not isinstance(found.net, kind):
        raise UsageError(f"expected a model that {do}, and {model} is of kind {found.kind}")
    ndim = found.net.settings.ndim
    if fixed.grid.ndim != ndim:
        raise PairError(
            f"{model} was trained on {ndim}-D images, and these are {fixed.grid.ndim}-D; take another model"
        )
    return found
